// The limiter and the interceptor of cpp-examples/adopt/brpc, called as brpc calls them. The argument names a case.

#include "../c/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "fake_brpc.h"
#include "mcrpc_interceptor.h"
#include "mcrpc_limiter.h"

// Users change places by the hour. Here it is said, so that each run is the same.
static std::time_t unix_s = 0;
extern "C" std::time_t time(std::time_t *out) noexcept {
    if (out) *out = unix_s;
    return unix_s;
}

namespace {

constexpr std::uint64_t MS = 1'000'000;
std::atomic<std::uint64_t> clock_ns{1'000 * MS};
std::uint64_t now_ns() { return clock_ns; }

// A server with its hooks.
struct Fixture {
    explicit Fixture(mcrpc_brpc::ServerAdmission::Options options, bool with_interceptor = true) {
        options.now_ns = now_ns;
        CHECK(admission.init(options).ok());
        mcrpc_brpc::register_limiter(admission);
        brpc::AdaptiveMaxConcurrency setting;
        setting = "mcrpc";
        limiter.reset(brpc::ConcurrencyLimiterExtension()->Find(setting.value().c_str())->New(setting));
        if (with_interceptor) interceptor = std::make_unique<mcrpc_brpc::Interceptor>(admission);
        server = std::make_unique<brpc::FakeServer>(limiter.get(), interceptor.get());
    }

    mcrpc::QueueSnapshot queue() {
        admission.tick();
        mcrpc::QueueSnapshot snapshot;
        CHECK(admission.admission().queue_snapshot(0, snapshot).ok());
        return snapshot;
    }

    mcrpc_brpc::ServerAdmission admission;
    std::unique_ptr<brpc::ConcurrencyLimiter> limiter;
    std::unique_ptr<brpc::Interceptor> interceptor;
    std::unique_ptr<brpc::FakeServer> server;
};

mcrpc_brpc::ServerAdmission::Options options_of(std::uint32_t workers, std::uint32_t mode = MCRPC_MODE_ENFORCE) {
    mcrpc_brpc::ServerAdmission::Options options;
    options.workers = workers;
    options.mode = mode;
    return options;
}

void set_origin(brpc::Controller &controller, std::uint64_t uin, const char *priority) {
    controller.request_user_fields()->insert("mc-uin", std::to_string(uin));
    controller.request_user_fields()->insert("mc-priority", priority);
}

struct Outcome {
    // By importance: 0 is priority 0, one request in five; 1 the others.
    int offered[2] = {}, in_time[2] = {}, refused[2] = {};
    std::uint64_t longest_wait_ns = 0;
};

// Five seconds of three times what four workers of 10 ms can do. A request waits for a thread before brpc looks at it
// (handlers that block their thread), or behind its handler (handlers that wait for something behind them).
Outcome overload(Fixture &fixture, bool handlers_block) {
    constexpr std::uint64_t SERVICE_NS = 10 * MS, STEP_NS = MS / 10, END_NS = 5'000 * MS, BUDGET_NS = 500 * MS;
    constexpr std::size_t WORKERS = 4;
    struct Call {
        brpc::Controller controller;
        std::uint64_t arrived_ns;
        int importance;
    };
    Outcome outcome;
    std::deque<std::unique_ptr<Call>> unseen, behind;
    std::list<std::pair<std::uint64_t, std::unique_ptr<Call>>> running;
    std::uint64_t sent = 0, random = 1;
    const std::uint64_t began_ns = clock_ns;
    const auto begin = [&](Call &call) {
        const std::uint64_t waited_ns = clock_ns - call.arrived_ns;
        const bool runs = fixture.server->begin(call.controller, static_cast<std::int64_t>(waited_ns / 1000));
        outcome.refused[call.importance] += !runs;
        if (clock_ns - began_ns > 1'000 * MS && runs) outcome.longest_wait_ns = std::max(outcome.longest_wait_ns, waited_ns);
        return runs;
    };
    for (; clock_ns - began_ns < END_NS || !running.empty() || !unseen.empty() || !behind.empty(); clock_ns += STEP_NS) {
        for (auto it = running.begin(); it != running.end();) {
            if (it->first > clock_ns) {
                ++it;
                continue;
            }
            fixture.server->end(it->second->controller);
            outcome.in_time[it->second->importance] += clock_ns - it->second->arrived_ns < BUDGET_NS;
            it = running.erase(it);
        }
        for (; clock_ns - began_ns < END_NS && sent * SERVICE_NS < 3 * WORKERS * (clock_ns - began_ns); ++sent) {
            random = random * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
            auto call = std::make_unique<Call>();
            call->arrived_ns = clock_ns;
            call->importance = sent % 5 != 0;
            call->controller.set_timeout_ms(BUDGET_NS / MS);
            set_origin(call->controller, random >> 20, call->importance == 0 ? "0" : "40");
            ++outcome.offered[call->importance];
            if (handlers_block) {
                unseen.push_back(std::move(call));
            } else if (begin(*call)) {
                behind.push_back(std::move(call));
            }
        }
        while (running.size() < WORKERS && !unseen.empty()) {
            if (begin(*unseen.front())) running.emplace_back(clock_ns + SERVICE_NS, std::move(unseen.front()));
            unseen.pop_front();
        }
        while (running.size() < WORKERS && !behind.empty()) {
            running.emplace_back(clock_ns + SERVICE_NS, std::move(behind.front()));
            behind.pop_front();
        }
    }
    clock_ns += 2'000 * MS;
    return outcome;
}

// Given three times the load, then the less important are refused, the others served, and nobody waits long; whoever is first in
// that hour.
void overload_case(bool handlers_block) {
    constexpr int HOURS = 16;
    Outcome all;
    for (int hour = 0; hour < HOURS; ++hour) {
        unix_s = hour * 3600;
        Fixture fixture(options_of(4));
        const Outcome outcome = overload(fixture, handlers_block);
        std::printf("priority 0: %d of %d in time; 40: %d of %d; longest wait %d ms\n", outcome.in_time[0], outcome.offered[0],
                    outcome.in_time[1], outcome.offered[1], static_cast<int>(outcome.longest_wait_ns / MS));
        CHECK(outcome.in_time[0] + outcome.in_time[1] > 2000 * 85 / 100);
        CHECK(outcome.in_time[0] > outcome.offered[0] * 90 / 100);
        CHECK(outcome.refused[1] > outcome.offered[1] / 2);
        CHECK(outcome.longest_wait_ns < 150 * MS);
        const mcrpc::QueueSnapshot queue = fixture.queue();
        CHECK(queue.queued == 0 && queue.running == 0 && queue.admitted == queue.completed);
        all.offered[0] += outcome.offered[0];
        all.in_time[0] += outcome.in_time[0];
    }
    CHECK(all.in_time[0] > all.offered[0] * 94 / 100);
}

// Given the same load in observe mode, then nobody is refused, and what would have been is counted.
void observe_case() {
    for (const std::uint32_t mode : {MCRPC_MODE_OBSERVE, MCRPC_MODE_OFF}) {
        Fixture fixture(options_of(4, mode));
        const Outcome outcome = overload(fixture, true);
        CHECK(outcome.refused[0] == 0 && outcome.refused[1] == 0);
        std::uint64_t would_refuse = 0;
        for (const std::uint64_t count : fixture.queue().would_refuse) would_refuse += count;
        CHECK((would_refuse > 0) == (mode == MCRPC_MODE_OBSERVE));
    }
}

// Fills a server of one worker until it refuses.
brpc::Controller refused(Fixture &fixture, int budget_ms, std::list<brpc::Controller> &admitted) {
    for (int i = 0; i < 10'000; ++i) {
        clock_ns += MS;
        admitted.emplace_back();
        if (budget_ms > 0) admitted.back().set_timeout_ms(budget_ms);
        set_origin(admitted.back(), static_cast<std::uint64_t>(i), "5");
        if (!fixture.server->begin(admitted.back(), 0)) {
            brpc::Controller last = std::move(admitted.back());
            admitted.pop_back();
            return last;
        }
        if (i % 10 == 9) {
            fixture.server->end(admitted.front());
            admitted.pop_front();
        }
    }
    CHECK(!"it refuses at last");
    return {};
}

// Given a refusal, then its code makes a brpc client do the right thing.
void codes_case() {
    const struct {
        bool with_interceptor, others_may_serve;
        int code;
        bool tried_again;
    } cases[] = {{true, true, brpc::ELIMIT, true}, {true, false, brpc::EREJECT, false}, {false, true, brpc::ELIMIT, true}};
    for (const auto &each : cases) {
        mcrpc_brpc::ServerAdmission::Options options = options_of(1);
        options.others_may_serve = each.others_may_serve;
        Fixture fixture(options, each.with_interceptor);
        std::list<brpc::Controller> admitted;
        const brpc::Controller controller = refused(fixture, 0, admitted);
        CHECK(controller.ErrorCode() == each.code);
        CHECK(brpc::DefaultRetryPolicy()->DoRetry(&controller) == each.tried_again);
        const bool names_reason = controller.ErrorText().find("wait_above") != std::string::npos ||
                                  controller.ErrorText().find("below_cursor") != std::string::npos;
        CHECK(names_reason == each.with_interceptor);
        for (brpc::Controller &call : admitted) fixture.server->end(call);
        CHECK(fixture.queue().running == 0 && fixture.queue().queued == 0);
    }
    // Nobody waits for it any more: another server would not help.
    Fixture fixture(options_of(1));
    brpc::Controller late;
    late.set_timeout_ms(100);
    CHECK(!fixture.server->begin(late, 150'000));
    CHECK(late.ErrorCode() == brpc::ERPCTIMEDOUT && !brpc::DefaultRetryPolicy()->DoRetry(&late));
    CHECK(late.ErrorText().find("expired_on_arrival") == 0);
    CHECK(fixture.queue().admitted == 0);
}

// Given refusals by admission and by brpc, failing services and broken connections, in many threads, then as many leave the book
// as have entered it.
void balance_case() {
    Fixture fixture(options_of(4));
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> run{0}, not_run{0};
    for (unsigned seed = 1; seed <= 4; ++seed) {
        threads.emplace_back([&, seed] {
            std::uint64_t random = seed;
            std::deque<std::unique_ptr<brpc::Controller>> running;
            for (int i = 0; i < 20'000; ++i) {
                random = random * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
                const unsigned dice = static_cast<unsigned>(random >> 33);
                clock_ns += 50'000;
                auto call = std::make_unique<brpc::Controller>();
                set_origin(*call, random, "7");
                if (dice % 4 == 0) call->set_timeout_ms(20);
                const int by_brpc = dice % 7 == 0 ? brpc::EOVERCROWDED : 0;
                const std::int64_t waited_us = dice % 16 == 0 ? 30'000 : 10;
                if (fixture.server->begin(*call, waited_us, by_brpc, dice % 5 == 0)) {
                    ++run;
                    running.push_back(std::move(call));
                } else {
                    ++not_run;
                }
                if (running.size() > dice % 24) {
                    if (dice % 3 == 0) running.front()->SetFailed(dice % 2 ? brpc::ELIMIT : 4711, "the service's own");
                    fixture.server->end(*running.front(), dice % 11 == 0);
                    running.pop_front();
                }
            }
            for (auto &call : running) fixture.server->end(*call);
        });
    }
    for (std::thread &thread : threads) thread.join();
    clock_ns += 2'000 * MS;
    const mcrpc::QueueSnapshot queue = fixture.queue();
    std::printf("%d run, %d not\n", static_cast<int>(run), static_cast<int>(not_run));
    CHECK(run > 1000 && not_run > 1000);
    CHECK(queue.queued == 0 && queue.running == 0 && queue.admitted == queue.completed);
}

// Given fields that are no numbers, then they gain nobody anything.
void origin_case() {
    const struct {
        const char *uin, *priority;
        std::uint64_t wanted_uin;
        int wanted_priority;
    } cases[] = {{"12345", "3", 12345, 3}, {"x", "", 0, 255}, {"1x", "256", 0, 255}, {"-1", "-1", 0, 255}};
    for (const auto &each : cases) {
        brpc::Controller controller;
        controller.request_user_fields()->insert("mc-uin", each.uin);
        controller.request_user_fields()->insert("mc-priority", each.priority);
        const mcrpc_brpc::Origin origin = mcrpc_brpc::origin_of_user_fields(controller);
        CHECK(origin.uin == each.wanted_uin && origin.priority == each.wanted_priority);
    }
    brpc::Controller none;
    CHECK(mcrpc_brpc::origin_of_user_fields(none).priority == 0);
    mcrpc_brpc::ServerAdmission admission;
    CHECK(admission.init(options_of(0)) == mcrpc::Status(MCRPC_INVALID_ARGUMENT));
}

}  // namespace

int main(int, char **argv) {
    const std::string name = argv[1];
    if (name == "overload-before-brpc-looks") overload_case(true);
    else if (name == "overload-behind-handlers") overload_case(false);
    else if (name == "observe") observe_case();
    else if (name == "codes") codes_case();
    else if (name == "balance") balance_case();
    else if (name == "origin") origin_case();
    else return 2;
    return 0;
}
