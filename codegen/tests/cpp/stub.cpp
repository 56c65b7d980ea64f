// Generated stubs through a channel that only remembers, and answers as it is told; and a skeleton without a server.
#include <crawl.mcrpc.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "check.h"

namespace {

class FakeChannel {
public:
    using Done = std::function<void(mcrpc::Status, std::string_view)>;

    mcrpc::Status call(const mcrpc::MethodDescriptor &method, std::string_view payload, std::string &reply) {
        remember(method, payload);
        reply = answer;
        return status;
    }
    void call_async(const mcrpc::MethodDescriptor &method, std::string payload, Done done) {
        remember(method, payload);
        waiting.push_back(std::move(done));
    }
    // Ends what was started.
    void answer_all() {
        for (const Done &done : std::exchange(waiting, {})) done(status, answer);
    }

    mcrpc::Status status;
    std::string answer;
    const mcrpc::MethodDescriptor *last_method = nullptr;
    std::string last_payload;
    int calls = 0;
    std::vector<Done> waiting;

private:
    void remember(const mcrpc::MethodDescriptor &called, std::string_view bytes) {
        last_method = &called;
        last_payload = bytes;
        ++calls;
    }
};

// What has no asynchronous calls serves those who make none.
struct SynchronousChannel {
    mcrpc::Status call(const mcrpc::MethodDescriptor &, std::string_view payload, std::string &reply) {
        reply = payload;
        return {};
    }
};

// FNV-1a.
constexpr std::uint32_t id_of(std::string_view name) {
    std::uint32_t id = 0x811c9dc5;
    for (const char letter : name) id = (id ^ static_cast<unsigned char>(letter)) * 0x01000193;
    return id;
}

constexpr mcrpc::MethodDescriptor kGetList = crawl::CrawlServiceMethods::kGetList;
static_assert(kGetList.service == "VOA.Crawl" && kGetList.name == "crawl.CrawlService.GetList");
static_assert(kGetList.timeout_ms == 200u && kGetList.priority == 2 && kGetList.business_id == 7);
static_assert(kGetList.is_idempotent && kGetList.id == id_of(kGetList.name));
static_assert(!crawl::CrawlServiceMethods::kDelete.timeout_ms && !crawl::CrawlServiceMethods::kDelete.priority);
static_assert(crawl::AdminMethods::kNew.service.empty() && !crawl::AdminMethods::kNew.is_idempotent);

crawl::GetListRequest request_of(const char *text) {
    crawl::GetListRequest request;
    request.text = text;
    return request;
}

void waiting_calls() {
    FakeChannel channel;
    const crawl::CrawlServiceClient client(channel);
    crawl::GetListReply reply;
    channel.answer = "entries";
    CHECK(client.get_list(request_of("user"), reply).ok());
    CHECK(reply.text == "entries" && channel.last_payload == "user");

    // A reply is written only on success.
    channel.status = mcrpc::Status(MCRPC_BELOW_CURSOR);
    channel.answer = "other";
    CHECK(client.get_list(request_of("user"), reply).code() == MCRPC_BELOW_CURSOR && reply.text == "entries");
    channel.status = mcrpc::Status(7001);
    CHECK(client.get_list(request_of("user"), reply).code() == 7001 && reply.text == "entries");
    channel.status = mcrpc::Status();
    channel.answer = "!garbage";
    CHECK(client.get_list(request_of("user"), reply).code() == MCRPC_READ_FAILED && reply.text == "entries");

    const int calls = channel.calls;
    CHECK(client.get_list(request_of("!unset"), reply).code() == MCRPC_INVALID_ARGUMENT && channel.calls == calls);

    google::protobuf::Empty empty;
    channel.answer = "";
    CHECK(client.delete_(request_of("user"), empty).ok());
    CHECK(channel.last_method == &crawl::CrawlServiceMethods::kDelete);
    const crawl::AdminClient admin(channel);
    CHECK(admin.new_(empty, empty).ok() && channel.last_method == &crawl::AdminMethods::kNew);
}

void started_calls() {
    FakeChannel channel;
    const crawl::CrawlServiceClient client(channel);
    std::vector<mcrpc::Result<crawl::GetListReply>> results;
    const auto keep = [&results](mcrpc::Result<crawl::GetListReply> result) { results.push_back(std::move(result)); };

    client.get_list_async(request_of("user"), keep);
    CHECK(results.empty());
    channel.answer = "entries";
    channel.answer_all();
    CHECK(results.size() == 1 && results[0].status.ok() && results[0].reply.text == "entries");

    client.get_list_async(request_of("user"), keep);
    channel.answer = "!garbage";
    channel.answer_all();
    CHECK(results.size() == 2 && results[1].status.code() == MCRPC_READ_FAILED && results[1].reply.text.empty());

    client.get_list_async(request_of("!unset"), keep);
    CHECK(results.size() == 3 && results[2].status.code() == MCRPC_INVALID_ARGUMENT && channel.waiting.empty());

    std::future<mcrpc::Result<crawl::GetListReply>> future = client.get_list_future(request_of("user"));
    channel.status = mcrpc::Status(MCRPC_TIMED_OUT);
    channel.answer_all();
    CHECK(future.get().status.code() == MCRPC_TIMED_OUT);
}

void a_synchronous_channel_is_enough() {
    SynchronousChannel channel;
    const crawl::CrawlServiceClient client(channel);
    crawl::GetListReply reply;
    CHECK(client.get_list(request_of("echo"), reply).ok() && reply.text == "echo");
}

class Implementation final : public crawl::CrawlServiceSkeleton {
public:
    mcrpc::Status get_list(const crawl::GetListRequest &request, crawl::GetListReply &reply) override {
        reply.text = request.text == "unwritable" ? "!" : "the list of " + request.text;
        return {};
    }
    mcrpc::Status put_entry(const crawl::GetListReply_Entry &, google::protobuf::Empty &reply) override {
        reply.text = "not to be sent";
        return mcrpc::Status(7001);
    }
    mcrpc::Status rate(const crawl::GetListReply_Entry &, crawl::Score &) override { return {}; }
    mcrpc::Status delete_(const crawl::GetListRequest &, google::protobuf::Empty &) override { return {}; }
};

void a_skeleton_finds_the_function() {
    using Methods = crawl::CrawlServiceMethods;
    Implementation service;
    std::string answer;
    CHECK(service.dispatch(Methods::kGetList.id, "user", answer).ok() && answer == "the list of user");
    answer.clear();
    CHECK(service.dispatch(Methods::kPutEntry.id, "", answer).code() == 7001 && answer.empty());
    CHECK(service.dispatch(Methods::kGetList.id, "!garbage", answer).code() == MCRPC_INVALID_ARGUMENT && answer.empty());
    CHECK(service.dispatch(Methods::kGetList.id, "unwritable", answer).code() == MCRPC_INVALID_ARGUMENT);
    CHECK(service.dispatch(crawl::AdminMethods::kNew.id, "", answer).code() == MCRPC_NO_METHOD);
}

}  // namespace

int main() {
    waiting_calls();
    started_calls();
    a_synchronous_channel_is_enough();
    a_skeleton_finds_the_function();
    return 0;
}
