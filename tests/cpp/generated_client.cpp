// A generated client with protoc's messages, over one connection to a server: `program PORT`.
#include <crawl.mcrpc.hpp>
#include <odd/names.mcrpc.hpp>

#include "connection_channel.hpp"

namespace {

// protoc has made the same of the odd names.
class Strange final : public odd::names::v1::StrangeSkeleton {
public:
    mcrpc::Status type(const odd::names::v1::Outer_Inner_Core &request, odd::names::v1::Outer_Inner &reply) override {
        *reply.mutable_core() = request;
        return {};
    }
    mcrpc::Status async(const odd::names::v1::class__new &, google::protobuf::Empty &) override { return {}; }
    mcrpc::Status self(const google::protobuf::Empty &, odd::names::v1::class__new &) override { return {}; }
    mcrpc::Status http_get2(const odd::names::v1::Outer &, odd::names::v1::Outer_Inner_Core &) override { return {}; }
    mcrpc::Status namespace_(const odd::names::v1::class_ &, odd::names::v1::Outer &) override { return {}; }
};

// Gives requests to an implementation in the same process.
struct LocalChannel {
    Strange service{};

    mcrpc::Status call(const mcrpc::MethodDescriptor &method, std::string_view payload, std::string &reply) {
        return service.dispatch(method.id, payload, reply);
    }
};

void client_and_skeleton_understand_each_other() {
    LocalChannel channel;
    const odd::names::v1::StrangeClient client(channel);
    odd::names::v1::Outer_Inner_Core core;
    odd::names::v1::Outer_Inner inner;
    core.set_int_(7);
    CHECK(client.type(core, inner).ok() && inner.core().int_() == 7);
    odd::names::v1::Outer outer;
    CHECK(client.namespace_({}, outer).ok());
    std::string answer;
    const std::uint32_t type_id = odd::names::v1::StrangeMethods::kType.id;
    CHECK(channel.service.dispatch(type_id, "no required field", answer).code() == MCRPC_INVALID_ARGUMENT);
}

}  // namespace

int main(int argc, char **argv) {
    client_and_skeleton_understand_each_other();
    CHECK(argc == 2);
    ConnectionChannel channel(argv[1]);
    const crawl::CrawlServiceClient client(channel);

    crawl::GetListRequest request;
    request.set_user(5);
    request.mutable_page()->set_count(2);
    crawl::GetListReply list;
    CHECK(client.get_list(request, list).ok());
    CHECK(list.entries_size() == 2 && list.entries(1).url() == "user 5, priority 2, business 7");

    crawl::GetListReply_Entry entry;
    entry.set_body("four");
    crawl::Score score;
    CHECK(client.rate(entry, score).ok() && score.value() == 2);
    google::protobuf::Empty empty;
    CHECK(client.put_entry(entry, empty).code() == 7001);
    entry.set_url("x");
    CHECK(client.put_entry(entry, empty).ok());
    return 0;
}
