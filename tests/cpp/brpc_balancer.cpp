// The load balancer of cpp-examples/adopt/brpc, called as brpc calls it. The argument names a case.

#include "../c/check.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "fake_brpc.h"
#include "mcrpc_load_balancer.h"

namespace {

using brpc::FakeChannel;

constexpr std::uint64_t MS = 1'000'000;
std::atomic<std::uint64_t> clock_ns{1'000 * MS};
std::uint64_t now_ns() { return clock_ns += MS / 10; }

const brpc::LoadBalancer *prototype() {
    static const brpc::LoadBalancer *registered = [] {
        mcrpc_brpc::LoadBalancer::Options options;
        options.now_ns = now_ns;
        mcrpc_brpc::register_load_balancer(options);
        return brpc::LoadBalancerExtension()->Find("mcrpc");
    }();
    return registered;
}

std::vector<brpc::ServerId> servers(brpc::SocketId count) {
    std::vector<brpc::ServerId> list;
    for (brpc::SocketId id = 1; id <= count; ++id) list.push_back(FakeChannel::server(id));
    return list;
}

// Given healthy servers, then a user is always sent to the same one, and users are shared out.
void users_case() {
    FakeChannel channel(prototype());
    CHECK(channel->AddServersInBatch(servers(4)) == 4);
    std::map<std::uint64_t, brpc::SocketId> home;
    std::map<brpc::SocketId, int> share;
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t uin = 1; uin <= 1000; ++uin) {
            CHECK(channel.call(uin, [&](brpc::SocketId id) {
                CHECK(round == 0 || home[uin] == id);
                home[uin] = id;
                share[id]++;
                return 0;
            }) == 0);
        }
    }
    CHECK(share.size() == 4 && channel.attempts == 3000);
    for (const auto &[id, count] : share) CHECK(count > 300 && count < 1500);
    // Calls without a user are shared out too.
    share.clear();
    for (int i = 0; i < 1000; ++i) CHECK(channel.call(0, [&](brpc::SocketId id) { return share[id]++, 0; }) == 0);
    CHECK(share.size() == 4);
}

// Given a server that fails, then its calls succeed elsewhere, it is shielded, and it gets its users back when it works.
void shield_case() {
    for (const int code : {ECONNREFUSED, static_cast<int>(brpc::EFAILEDSOCKET), static_cast<int>(brpc::EEOF)}) {
        FakeChannel channel(prototype());
        CHECK(channel->AddServersInBatch(servers(4)) == 4);
        int at_dead = 0, failed = 0;
        const auto run = [&](int calls, bool dead) {
            at_dead = failed = 0;
            for (int i = 0; i < calls; ++i) {
                const auto answer = [&](brpc::SocketId id) { return id == 2 ? ++at_dead, dead ? code : 0 : 0; };
                failed += channel.call(static_cast<std::uint64_t>(i % 1000 + 1), answer) != 0;
            }
        };
        run(1000, true);
        CHECK(at_dead > 3 && at_dead < 60 && failed == 0);
        std::ostringstream page;
        channel->Describe(page, brpc::DescribeOptions());
        CHECK(page.str().find("2=") != std::string::npos && page.str().find("2=normal") == std::string::npos);
        clock_ns += 60'000 * MS;
        run(20'000, false);
        clock_ns += 10'000 * MS;
        run(2'000, false);
        CHECK(at_dead > 200 && failed == 0);
    }
}

// Given a server that refuses, then the call is tried elsewhere if the code says so, and nobody is shielded.
void refusal_case() {
    FakeChannel channel(prototype());
    CHECK(channel->AddServersInBatch(servers(4)) == 4);
    const struct {
        int code, result;
    } cases[] = {{brpc::ELIMIT, 0}, {brpc::EREJECT, brpc::EREJECT}, {brpc::ERPCTIMEDOUT, brpc::ERPCTIMEDOUT}, {4711, 4711}};
    for (const auto &each : cases) {
        int at_server = 0, tried_again = 0;
        for (int i = 0; i < 400; ++i) {
            const int before = channel.attempts;
            const auto answer = [&](brpc::SocketId id) { return id == 3 ? ++at_server, each.code : 0; };
            int seen = 0;
            const int result = channel.call(static_cast<std::uint64_t>(i + 1), [&](brpc::SocketId id) {
                seen |= id == 3;
                return answer(id);
            });
            // The budget of retries is a tenth of the calls, and ten at first.
            CHECK(result == (seen ? each.result : 0) || (each.code == brpc::ELIMIT && result == brpc::EREJECT));
            tried_again += channel.attempts - before - 1;
        }
        CHECK(at_server > 30);
        CHECK((tried_again > 0) == (each.code == brpc::ELIMIT));
        std::ostringstream page;
        channel->Describe(page, brpc::DescribeOptions());
        CHECK(page.str() == "mcrpc{n=4 1=normal 2=normal 3=normal 4=normal}");
    }
}

// Given retries of all calls, then the budget bounds them: brpc alone would make three of each.
void budget_case() {
    FakeChannel channel(prototype());
    CHECK(channel->AddServersInBatch(servers(4)) == 4);
    for (int i = 0; i < 2000; ++i) {
        const int result = channel.call(static_cast<std::uint64_t>(i + 1), [](brpc::SocketId) { return +brpc::ELIMIT; });
        CHECK(result == brpc::ELIMIT || result == brpc::EREJECT);
    }
    std::printf("%d attempts of 2000 calls\n", channel.attempts);
    CHECK(channel.attempts < 2000 * 13 / 10);
}

// Given servers that brpc knows to be down or closing, then they are passed over.
void unavailable_case() {
    FakeChannel channel(prototype());
    CHECK(channel.call(1, [](brpc::SocketId) { return 0; }) == ENODATA);
    CHECK(channel->AddServersInBatch(servers(3)) == 3);
    FakeChannel::set_failed(1, true);
    FakeChannel::set_logoff(2, true);
    int failed = 0;
    for (int i = 0; i < 200; ++i) {
        const auto answer = [](brpc::SocketId id) {
            CHECK(id == 3);
            return 0;
        };
        failed += channel.call(static_cast<std::uint64_t>(i + 1), answer) != 0;
    }
    CHECK(failed == 0);
    FakeChannel::set_logoff(3, true);
    CHECK(channel.call(1, [](brpc::SocketId) { return 0; }) == EHOSTDOWN);
    FakeChannel::set_logoff(3, false);
    FakeChannel::set_failed(1, false);
    FakeChannel::set_logoff(2, false);
}

// Given lists that change while calls are made, then every call is answered by a server that was in a list.
void lists_case() {
    FakeChannel channel(prototype());
    const std::vector<brpc::ServerId> all = servers(20);
    CHECK(channel->AddServer(all[0]) && !channel->AddServer(all[0]));
    CHECK(!channel->AddServer(brpc::ServerId(all[0].id, "50")));  // the same machine twice
    CHECK(!channel->AddServer(brpc::ServerId(999)));              // brpc knows no such connection
    CHECK(!channel->RemoveServer(all[1]));
    CHECK(channel->AddServersInBatch({brpc::ServerId(999), all[2], brpc::ServerId(all[2].id, "50")}) == 1);
    CHECK(channel->RemoveServersInBatch({brpc::ServerId(999), all[2]}) == 1);
    std::atomic<bool> stop{false};
    std::vector<std::thread> callers;
    for (int n = 0; n < 3; ++n) {
        callers.emplace_back([&, n] {
            for (std::int64_t i = 1; !stop; ++i) {
                brpc::SocketUniquePtr socket;
                brpc::LoadBalancer::SelectOut out(&socket);
                const std::int64_t begin_us = i * 4 + n;
                CHECK(channel->SelectServer({begin_us, true, true, static_cast<std::uint64_t>(i), nullptr}, &out) == 0);
                CHECK(out.need_feedback && socket->id() >= 1 && socket->id() <= 20);
                channel->Feedback({begin_us, socket->id(), 0, nullptr});
            }
        });
    }
    const std::vector<brpc::ServerId> rest(all.begin() + 1, all.end());
    for (int i = 0; i < 300; ++i) {
        CHECK(channel->AddServersInBatch(rest) == 19);
        CHECK(channel->RemoveServersInBatch(rest) == 19);
    }
    stop = true;
    for (std::thread &caller : callers) caller.join();
    // A channel that only looks whether there is a server never feeds back.
    brpc::SocketUniquePtr socket;
    brpc::LoadBalancer::SelectOut out(&socket);
    CHECK(channel->SelectServer({0, false, false, 0, nullptr}, &out) == 0 && !out.need_feedback);
}

// Given the code that an attempt ended with, then it says of its server what it can.
void outcomes_case() {
    const struct {
        int code;
        bool client_timed_out;
        int outcome;
    } cases[] = {
        {0, false, MCRPC_OUTCOME_OK},
        {4711, false, MCRPC_OUTCOME_LOGIC},
        {brpc::EINTERNAL, false, MCRPC_OUTCOME_LOGIC},
        {ECONNREFUSED, false, MCRPC_OUTCOME_FAILED},
        {EHOSTDOWN, false, MCRPC_OUTCOME_FAILED},
        {brpc::EFAILEDSOCKET, false, MCRPC_OUTCOME_FAILED},
        {brpc::EEOF, false, MCRPC_OUTCOME_FAILED},
        {brpc::ERPCTIMEDOUT, true, MCRPC_OUTCOME_FAILED},
        {brpc::ERPCTIMEDOUT, false, MCRPC_OUTCOME_OVERLOADED},
        {brpc::ELIMIT, false, MCRPC_OUTCOME_OVERLOADED},
        {brpc::EREJECT, false, MCRPC_OUTCOME_OVERLOADED},
        {brpc::EOVERCROWDED, false, MCRPC_OUTCOME_OVERLOADED},
        {ECANCELED, false, -1},
        {brpc::EBACKUPREQUEST, false, -1},
    };
    for (const auto &each : cases) {
        const int outcome = mcrpc_brpc::outcome_of(each.code, each.client_timed_out);
        std::printf("%d: %d\n", each.code, outcome);
        CHECK(outcome == each.outcome);
    }
    // A client's own timeouts count, a server's refusals for want of time do not.
    FakeChannel channel(prototype());
    CHECK(channel->AddServersInBatch(servers(4)) == 4);
    int at_slow = 0;
    for (int i = 0; i < 400; ++i) {
        const auto answer = [&](brpc::SocketId id) { return id == 1 ? ++at_slow, +brpc::ERPCTIMEDOUT : 0; };
        channel.call(static_cast<std::uint64_t>(i + 1), answer, 500'000);
    }
    CHECK(at_slow > 3 && at_slow < 40);
}

}  // namespace

int main(int, char **argv) {
    const std::string name = argv[1];
    if (name == "users") users_case();
    else if (name == "shield") shield_case();
    else if (name == "refusal") refusal_case();
    else if (name == "budget") budget_case();
    else if (name == "unavailable") unavailable_case();
    else if (name == "lists") lists_case();
    else if (name == "outcomes") outcomes_case();
    else return 2;
    return 0;
}
