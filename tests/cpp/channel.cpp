// mcrpc::Channel against the servers that tests/channel.rs starts: `program SCENARIO ADDRESS...`.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../../codegen/cpp/mcrpc_channel.hpp"
#include "../c/check.h"

namespace {

constexpr std::uint32_t kPatienceMs = 20'000;

// FNV-1a.
constexpr std::uint32_t id_of(std::string_view name) {
    std::uint32_t id = 0x811c9dc5;
    for (const char letter : name) id = (id ^ static_cast<unsigned char>(letter)) * 0x01000193;
    return id;
}

constexpr mcrpc::MethodDescriptor method(std::string_view name, bool is_idempotent = false) {
    return {"", name, id_of(name), kPatienceMs, {}, {}, is_idempotent};
}

constexpr mcrpc::MethodDescriptor kEcho = method("t.T.Echo");
constexpr mcrpc::MethodDescriptor kWho = method("t.T.Who");
constexpr mcrpc::MethodDescriptor kFail = method("t.T.Fail");
constexpr mcrpc::MethodDescriptor kNever{"", "t.T.Never", id_of("t.T.Never"), 50, {}, {}, false};

std::unique_ptr<mcrpc::Channel> open_channel(const std::vector<std::string> &addresses, std::uint32_t timeout_ms = kPatienceMs) {
    mcrpc::ChannelConfig config;
    config.caller = "mcrpc.test.Channel";
    config.default_timeout_ms = timeout_ms;
    std::unique_ptr<mcrpc::Channel> channel;
    CHECK(mcrpc::Channel::open(config, nullptr, channel).ok());
    std::vector<mcrpc::EndpointSpec> specs;
    for (const std::string &address : addresses) {
        mcrpc::Endpoint endpoint;
        CHECK(mcrpc::Channel::endpoint(address, 0, endpoint).ok());
        specs.emplace_back(endpoint);
    }
    CHECK(channel->replace(specs.data(), static_cast<std::uint32_t>(specs.size())).ok());
    return channel;
}

// Runs `work` on behalf of a user.
mcrpc::Status as_user(std::uint64_t uin, const std::function<mcrpc::Status()> &work) {
    mcrpc::Context context;
    context.uin = uin;
    const mcrpc::ContextScope scope(context);
    return work();
}

void addresses_are_read() {
    mcrpc::Endpoint endpoint;
    CHECK(mcrpc::Channel::endpoint("10.0.0.7:8000", 3, endpoint).ok());
    CHECK(endpoint.port == 8000 && endpoint.service_id == 3 && endpoint.address[12] == 10 && endpoint.address[11] == 0xff);
    CHECK(mcrpc::Channel::endpoint("[::1]:80", 0, endpoint).ok() && endpoint.address[15] == 1 && endpoint.address[11] == 0);
    for (const char *none : {"", "10.0.0.7", "10.0.0.7:", "10.0.0.7:0", "10.0.0.7:65536", "10.0.0:80", "host:80", "[::1:80"}) {
        CHECK(!mcrpc::Channel::endpoint(none, 0, endpoint).ok());
    }
    mcrpc::ChannelConfig unnamed;
    std::unique_ptr<mcrpc::Channel> channel;
    CHECK(mcrpc::Channel::open(unnamed, nullptr, channel) == mcrpc::Status(MCRPC_BAD_NAME) && !channel);
}

void calls(const std::vector<std::string> &addresses) {
    addresses_are_read();
    const auto channel = open_channel(addresses);
    std::string reply;
    CHECK(channel->call(kEcho, "hello", reply).ok() && reply == "hello");
    const std::string large(3u << 20, 'x');
    CHECK(channel->call(kEcho, large, reply).ok() && reply == large);
    CHECK(channel->call(kFail, "", reply).code() == 7001 && reply.empty());
    CHECK(channel->call(kNever, "", reply).code() == MCRPC_TIMED_OUT);
    CHECK(channel->call(method("t.T.Nothing"), "", reply).code() == MCRPC_NO_METHOD);

    // Many threads share a connection, and each is given its own answer.
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; thread++) {
        threads.emplace_back([&channel, thread] {
            for (int n = 0; n < 250; n++) {
                std::string answer;
                const std::string text = std::to_string(thread) + " " + std::to_string(n);
                CHECK(channel->call(kEcho, text, answer).ok() && answer == text);
            }
        });
    }
    for (std::thread &thread : threads) thread.join();

    // Asynchronous calls; a further one is begun by the end of the last.
    std::promise<std::string> ended;
    std::atomic<int> left{500};
    for (int n = 0; n < 500; n++) {
        channel->call_async(kEcho, std::to_string(n), [&, n](mcrpc::Status status, std::string_view answer) {
            CHECK(status.ok() && answer == std::to_string(n));
            if (--left > 0) return;
            channel->call_async(kEcho, "last", [&ended](mcrpc::Status, std::string_view last) {
                ended.set_value(std::string(last));
            });
        });
    }
    CHECK(ended.get_future().get() == "last");
}

// What Who answers: user, business, priority, whether time is left, what travels with it.
void context(const std::vector<std::string> &addresses) {
    const auto channel = open_channel(addresses);
    std::string reply;
    CHECK(channel->call(kWho, "", reply).ok() && reply == "0 0 0 true  ");
    mcrpc::Context context;
    context.uin = 42;
    context.business_id = 7;
    context.priority = 3;
    context.set_cookie("cookie");
    context.set_ticket("ticket");
    {
        const mcrpc::ContextScope scope(context);
        CHECK(channel->call(kWho, "", reply).ok() && reply == "42 7 3 true ticket cookie");
        mcrpc::MethodDescriptor important = kWho;
        important.priority = 1;
        important.business_id = 9;
        CHECK(channel->call(important, "", reply).ok() && reply == "42 9 1 true ticket cookie");
    }
    context.deadline_ns = mcrpc::now_ns() - 1;
    const mcrpc::ContextScope scope(context);
    CHECK(channel->call(kWho, "", reply).code() == MCRPC_OUT_OF_TIME);
}

// The first address is a server's, at the others nobody listens.
void retries(const std::vector<std::string> &addresses) {
    const auto channel = open_channel(addresses);
    std::string reply;
    for (std::uint64_t user = 1; user <= 300; user++) {
        CHECK(as_user(user, [&] { return channel->call(kEcho, "x", reply); }).ok());
    }
}

// The first address is of one that reads requests and hangs up.
void lost(const std::vector<std::string> &addresses) {
    const auto alone = open_channel({addresses[0]});
    std::string reply;
    CHECK(alone->call(kEcho, "x", reply).code() == MCRPC_READ_FAILED);
    const auto channel = open_channel(addresses);
    int failed = 0;
    for (std::uint64_t user = 1; user <= 40; user++) {
        CHECK(as_user(user, [&] { return channel->call(method("t.T.Echo", true), "x", reply); }).ok());
    }
    const auto other = open_channel(addresses);
    for (std::uint64_t user = 1; user <= 40; user++) {
        const mcrpc::Status status = as_user(user, [&] { return other->call(kEcho, "x", reply); });
        CHECK(status.ok() || status.code() == MCRPC_READ_FAILED);
        failed += !status.ok();
    }
    CHECK(failed > 0);
}

// At the address is one that refuses what is not of the first importance, and says so.
void withheld(const std::vector<std::string> &addresses) {
    const auto channel = open_channel(addresses);
    std::string reply;
    mcrpc::MethodDescriptor minor = kEcho, major = kEcho;
    minor.priority = 9;
    major.priority = 0;
    CHECK(as_user(1, [&] { return channel->call(minor, "x", reply); }).code() == MCRPC_BELOW_CURSOR);
    for (std::uint64_t user = 1; user <= 50; user++) {
        CHECK(as_user(user, [&] { return channel->call(minor, "x", reply); }).code() == MCRPC_WITHHELD);
    }
    CHECK(as_user(1, [&] { return channel->call(major, "x", reply); }).code() == MCRPC_BELOW_CURSOR);
}

// Calls until the standard input ends, and says how many failed.
void load(const std::vector<std::string> &addresses) {
    const auto channel = open_channel(addresses);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> served{0}, failed{0};
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < 4; thread++) {
        threads.emplace_back([&, thread] {
            for (std::uint64_t user = thread << 32; !is_over; user++) {
                std::string reply;
                const mcrpc::Status status = as_user(user, [&] { return channel->call(kEcho, "x", reply); });
                if (!status.ok()) std::fprintf(stderr, "user %llu: %s\n", static_cast<unsigned long long>(user), status.text().data());
                ++(status.ok() ? served : failed);
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
    }
    std::printf("calling\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {}
    is_over = true;
    for (std::thread &thread : threads) thread.join();
    std::printf("served %llu failed %llu\n", static_cast<unsigned long long>(served), static_cast<unsigned long long>(failed));
}

// Is closed with calls that nobody answers.
void closed(const std::vector<std::string> &addresses) {
    std::promise<std::int32_t> ended;
    {
        const auto channel = open_channel(addresses);
        std::string reply;
        CHECK(channel->call(kEcho, "x", reply).ok());
        channel->call_async(method("t.T.Never"), "", [&ended](mcrpc::Status status, std::string_view) {
            ended.set_value(status.code());
        });
    }
    CHECK(ended.get_future().get() == MCRPC_OUT_OF_TIME);
}

}  // namespace

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    mcrpc::ContextScope::install();
    const std::string scenario = argv[1];
    const std::vector<std::string> addresses(argv + 2, argv + argc);
    if (scenario == "calls") return calls(addresses), 0;
    if (scenario == "context") return context(addresses), 0;
    if (scenario == "retries") return retries(addresses), 0;
    if (scenario == "lost") return lost(addresses), 0;
    if (scenario == "withheld") return withheld(addresses), 0;
    if (scenario == "load") return load(addresses), 0;
    if (scenario == "closed") return closed(addresses), 0;
    return 2;
}
