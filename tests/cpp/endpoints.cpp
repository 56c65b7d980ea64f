// The C++ layer over sets of endpoints: what an attempt says of its endpoint when its scope ends.
#include "../c/check.h"

#include <mcrpc.hpp>

#include <cstdio>
#include <cstdlib>
#include <type_traits>

static_assert(std::is_trivially_copyable_v<mcrpc::Endpoints> && std::is_trivially_copyable_v<mcrpc::Call>);
static_assert(!std::is_copy_constructible_v<mcrpc::Attempt> && !std::is_move_constructible_v<mcrpc::Attempt>);
static_assert(std::is_nothrow_destructible_v<mcrpc::Attempt>);

// A set of machines, 10.0.0.1 and on, each with its number as user data.
struct Fleet {
    mcrpc::Memory memory;
    mcrpc::Endpoints endpoints;
    std::uint32_t count;

    explicit Fleet(std::uint32_t machines, const mcrpc::Host *host = nullptr) : count(machines) {
        mcrpc::EndpointsConfig config;
        std::size_t size = 0;
        CHECK(config.memory_size(size).ok());
        memory = mcrpc::Memory::heap(size);
        CHECK(mcrpc::Endpoints::init(memory, config, host, endpoints).ok());
        replace(nullptr, 0);
    }
    // The last machine is in group 1 if there are rules.
    void replace(const mcrpc::GroupRule *rules, std::uint32_t rule_count) {
        mcrpc::EndpointSpec specs[8];
        CHECK(count <= 8);
        for (std::uint32_t n = 0; n < count; n++) {
            const std::uint8_t address[4] = {10, 0, 0, static_cast<std::uint8_t>(n + 1)};
            specs[n] = mcrpc::EndpointSpec(mcrpc::Endpoint::v4(address, 80, 7), n);
            CHECK(specs[n].weight == 100);
        }
        specs[count - 1].group = rule_count > 0 ? 1 : 0;
        CHECK(endpoints.replace(specs, count, rules, rule_count).ok());
    }
    mcrpc::Health health(std::uint32_t index) const {
        mcrpc::Health health;
        CHECK(endpoints.health(index, mcrpc::now_ns(), health).ok());
        return health;
    }
};

static mcrpc::Call call_of(std::uint64_t uin) {
    mcrpc::Call call;
    call.uin = call.call_id = uin;
    return call;
}

static void an_attempt_of_which_nothing_is_said_has_failed() {
    const Fleet fleet(2);
    auto call = call_of(42);
    std::uint32_t index = 0;
    {
        mcrpc::Attempt attempt(fleet.endpoints, call);
        CHECK(attempt.status().ok() && attempt.is_retriable() && !attempt.is_probe());
        CHECK(attempt.user_data() == attempt.index() && attempt.endpoint().port == 80);
        index = attempt.index();
    }
    CHECK(fleet.health(index).level == 7 && fleet.health(1 - index).level == 0);
    {
        mcrpc::Attempt retry(fleet.endpoints, call);
        CHECK(retry.status().ok() && retry.index() == 1 - index);
        retry.answered(MCRPC_OK);
        CHECK(!retry.is_retriable());
    }
    CHECK(fleet.health(1 - index).level == 0);
    // What was refused is not reported.
    mcrpc::Attempt third(fleet.endpoints, call);
    CHECK(third.status().code() == MCRPC_NO_ENDPOINT);
}

static void an_attempt_reports_what_was_answered() {
    const struct {
        std::int32_t status;
        std::uint32_t level;
        bool is_retriable;
    } cases[] = {{MCRPC_OK, 6, false}, {5, 6, false}, {MCRPC_QUEUE_FULL, 7, true}, {MCRPC_TIMED_OUT, 14, true}};
    for (const auto &one : cases) {
        const Fleet fleet(1);
        auto first = call_of(1), second = call_of(2);
        { mcrpc::Attempt failed(fleet.endpoints, first); }
        {
            mcrpc::Attempt attempt(fleet.endpoints, second);
            attempt.answered(one.status);
            CHECK(attempt.is_retriable() == one.is_retriable);
        }
        CHECK(fleet.health(0).level == one.level);
    }
}

static void an_attempt_that_was_given_up_says_nothing() {
    const Fleet fleet(2);
    auto call = call_of(1);
    {
        mcrpc::Attempt slow(fleet.endpoints, call), backup(fleet.endpoints, call, MCRPC_ATTEMPT_BACKUP);
        CHECK(slow.status().ok() && backup.status().ok() && slow.index() != backup.index());
        backup.answered(MCRPC_OK);
        slow.abandon();
    }
    CHECK(fleet.health(0).level == 0 && fleet.health(1).level == 0);
    mcrpc::EndpointsSnapshot snapshot;
    CHECK(fleet.endpoints.snapshot(snapshot).ok() && snapshot.count == 2);
    std::uint64_t decisions = 0;
    for (const auto decision : snapshot.decisions) {
        decisions += decision;
    }
    CHECK(snapshot.decisions[9] == 1 && decisions == 1);
}

static void a_cursor_that_was_heard_withholds_calls() {
    const Fleet fleet(1);
    auto call = call_of(1);
    {
        mcrpc::Attempt attempt(fleet.endpoints, call);
        attempt.answered(MCRPC_OK, 1000, 10'000);
        CHECK(attempt.withheld_count() == 0);
    }
    call = call_of(2);
    call.key = 1000;
    CHECK(mcrpc::Attempt(fleet.endpoints, call).status().code() == MCRPC_WITHHELD);
    call.key = 999;
    mcrpc::Attempt sent(fleet.endpoints, call);
    CHECK(sent.status().ok() && sent.withheld_count() == 1 && sent.withheld_key() == 1000);
    sent.answered(MCRPC_OK);
}

static void a_rule_sends_its_users_to_a_group() {
    Fleet fleet(3);
    mcrpc::GroupRule rule(1, 10000);
    CHECK(rule.first_uin == 0 && rule.last_uin == UINT64_MAX);
    rule.last_uin = 99;
    fleet.replace(&rule, 1);
    for (std::uint64_t uin = 1; uin < 200; uin++) {
        auto call = call_of(uin);
        mcrpc_choice_t choice;
        CHECK(fleet.endpoints.select(call, MCRPC_ATTEMPT_NEXT, 1, choice).ok());
        CHECK((choice.index == 2) == (uin < 100));
    }
}

static void copies_and_hosts_share_what_is_known() {
    mcrpc::HostConfig config;
    std::size_t size = 0;
    CHECK(mcrpc::Host::memory_size(config, size).ok());
    auto memory = mcrpc::Memory::shared(size);
    mcrpc::Host host;
    CHECK(host.create(memory.data(), memory.size(), config, 1).ok());
    const Fleet fleet(3, &host), other(3, &host), alone(3);
    const mcrpc::Endpoints copy = fleet.endpoints;
    for (int failure = 0; failure < 6; failure++) {
        auto call = call_of(42);
        mcrpc::Attempt failed(copy, call);
        CHECK(failed.status().ok());
    }
    auto call = call_of(42);
    mcrpc_choice_t choice;
    CHECK(alone.endpoints.select(call, MCRPC_ATTEMPT_NEXT, 1, choice).ok());
    const std::uint32_t broken = choice.index;
    CHECK(fleet.health(broken).shields == 1 && other.health(broken).shields == 1);
    CHECK(alone.health(broken).shields == 0 && other.health(broken).state != MCRPC_HEALTH_NORMAL);
    CHECK(fleet.endpoints.tick().ok() && other.endpoints.tick().ok() && alone.endpoints.tick().ok());
}

static void a_default_one_is_not_initialised() {
    const mcrpc::Endpoints endpoints;
    mcrpc::Call call;
    mcrpc::Attempt attempt(endpoints, call);
    CHECK(attempt.status().code() == MCRPC_NOT_INITIALISED);
    attempt.answered(MCRPC_OK, 0, 1000);
    mcrpc_choice_t choice{};
    CHECK(endpoints.report(choice, MCRPC_OUTCOME_OK, 1, 1).code() == MCRPC_NOT_INITIALISED);
    CHECK(endpoints.heard(choice, 1, 1, 1).code() == MCRPC_NOT_INITIALISED);
    CHECK(endpoints.replace(nullptr, 0).code() == MCRPC_NOT_INITIALISED);
    CHECK(endpoints.tick().code() == MCRPC_NOT_INITIALISED);
}

int main() {
    an_attempt_of_which_nothing_is_said_has_failed();
    an_attempt_reports_what_was_answered();
    an_attempt_that_was_given_up_says_nothing();
    a_cursor_that_was_heard_withholds_calls();
    a_rule_sends_its_users_to_a_group();
    copies_and_hosts_share_what_is_known();
    a_default_one_is_not_initialised();
}
