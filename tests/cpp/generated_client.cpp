// A generated client with protoc's messages, over one connection to a server: `program PORT`.
#include <arpa/inet.h>
#include <crawl.mcrpc.hpp>
#include <netinet/in.h>
#include <odd/names.mcrpc.hpp>
#include <poll.h>

#include <optional>

#include "../../cpp-examples/framed_connection.hpp"
#include "../c/check.h"

namespace {

// One call at a time, each waited for.
class ConnectionChannel : private framed::Handler {
public:
    explicit ConnectionChannel(int fd) : connection_(fd, 1, self_, *this) { connection_.say_hello(); }

    mcrpc::Status call(const mcrpc::MethodDescriptor &method, std::string_view payload, std::string &reply) {
        mcrpc::Header header;
        header.kind = MCRPC_KIND_REQUEST;
        header.call_id = ++call_id_;
        header.method_id = method.id;
        header.budget_ms = kPatienceMs;  // what the annotation says may be too little on a busy machine
        header.priority = method.priority.value_or(0);
        header.business_id = method.business_id.value_or(0);
        connection_.send(header, {}, payload);
        answer_.reset();
        while (!answer_ && !connection_.is_broken()) {
            connection_.flush();
            pollfd waited{connection_.fd(), POLLIN, 0};
            CHECK(poll(&waited, 1, kPatienceMs) == 1);
            connection_.receive();
        }
        if (!answer_) return mcrpc::Status(MCRPC_READ_FAILED);
        reply = std::move(answer_->payload);
        return answer_->status;
    }

private:
    struct Answer {
        mcrpc::Status status;
        std::string payload;
    };
    static constexpr int kPatienceMs = 20'000;

    bool on_header(framed::Connection &, const mcrpc::Header &) override { return false; }
    void on_response(framed::Connection &, const mcrpc::Header &header, const mcrpc::Metadata &,
                     std::string_view payload) override {
        if (header.call_id == call_id_) answer_ = Answer{mcrpc::Status(header.status), std::string(payload)};
    }

    framed::Self self_{"mcrpc.test.GeneratedClient"};
    std::uint32_t call_id_ = 0;
    std::optional<Answer> answer_;
    framed::Connection connection_;
};

int connect_to(const char *port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    return fd;
}

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
    ConnectionChannel channel(connect_to(argv[1]));
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
