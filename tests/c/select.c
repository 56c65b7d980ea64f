/* Sets of endpoints as a C program sees them, with a host and without one. The clock is a number. */
#define _GNU_SOURCE
#include "check.h"

#include <mcrpc.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

enum { MAX_COUNT = 20, PROCESSES = 8 };
/* The numbers of the decisions in a snapshot that are used here. */
enum { ATTEMPTS_EXHAUSTED = 1, BUDGET_EXHAUSTED, OUT_OF_TIME, WITHHELD = 5, BUCKET_FULL = 7, RETRY, BACKUP, PROBE,
       CAPPED = 12, SHIELDING };

static const mcrpc_endpoints_config_t defaults = MCRPC_ENDPOINTS_CONFIG_INIT;

static void *shared_memory(size_t len) {
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* A host of its own for each scenario: nothing is known of any endpoint. */
static mcrpc_host_t *new_host(void) {
    static mcrpc_host_t hosts[8];
    static int made;
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    size_t len;
    CHECK(made < 8 && mcrpc_host_memory_size(&config, &len) == MCRPC_OK);
    CHECK(mcrpc_host_create(shared_memory(len), len, &config, 1, &hosts[made]) == MCRPC_OK);
    return &hosts[made++];
}

static mcrpc_endpoints_t new_set(const mcrpc_endpoints_config_t *config) {
    size_t len;
    mcrpc_endpoints_t set;
    CHECK(mcrpc_endpoints_memory_size(config, &len) == MCRPC_OK);
    CHECK(mcrpc_endpoints_init(shared_memory(len), len, config, &set) == MCRPC_OK);
    return set;
}

/* The machine `last` of a list; its user data say which it is. */
static mcrpc_endpoint_spec_t machine(unsigned list, unsigned last) {
    mcrpc_endpoint_spec_t spec;
    memset(&spec, 0, sizeof spec);
    const uint8_t address[4] = {10, 0, (uint8_t)list, (uint8_t)last};
    CHECK(mcrpc_endpoint_v4(address, 80, 7, &spec.endpoint) == MCRPC_OK);
    spec.weight = 100;
    spec.user_data = (uint64_t)list << 32 | last;
    return spec;
}

static void fill(const mcrpc_endpoints_t *set, const mcrpc_host_t *host, unsigned list, uint32_t count) {
    mcrpc_endpoint_spec_t specs[MAX_COUNT];
    for (uint32_t n = 0; n < count; n++) {
        specs[n] = machine(list, n);
    }
    CHECK(mcrpc_endpoints_replace(set, host, specs, count, NULL, 0) == MCRPC_OK);
}

static mcrpc_call_t new_call(uint64_t uin) {
    mcrpc_call_t call = {0};
    call.uin = uin;
    call.call_id = uin;
    return call;
}

static mcrpc_health_t health_of(const mcrpc_endpoints_t *set, const mcrpc_host_t *host, uint32_t index, uint64_t now) {
    mcrpc_health_t health = {0};
    health.struct_size = sizeof health;
    CHECK(mcrpc_endpoints_health(set, host, index, now, &health) == MCRPC_OK);
    return health;
}

static mcrpc_endpoints_snapshot_t snapshot_of(const mcrpc_endpoints_t *set) {
    mcrpc_endpoints_snapshot_t snapshot = {0};
    snapshot.struct_size = sizeof snapshot;
    CHECK(mcrpc_endpoints_snapshot(set, &snapshot) == MCRPC_OK);
    return snapshot;
}

struct sent {
    uint64_t to[MAX_COUNT], retries, probes, refused;
};

/* A call with its retries; the machine `broken` (none if there is no such one) does not answer. */
static void call_once(const mcrpc_endpoints_t *set, const mcrpc_host_t *host, uint64_t uin, uint32_t broken, uint64_t now,
                      struct sent *sent) {
    mcrpc_call_t call = new_call(uin);
    mcrpc_choice_t choice;
    while (mcrpc_select(set, host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK) {
        CHECK(choice.index < MAX_COUNT && (uint32_t)choice.user_data == choice.index);
        CHECK(choice.endpoint.address[15] == choice.index && choice.endpoint.port == 80);
        sent->to[choice.index]++;
        sent->retries += call.attempts > 1;
        sent->probes += choice.flags & MCRPC_CHOICE_PROBE;
        int32_t status = choice.index == broken ? MCRPC_TIMED_OUT : MCRPC_OK;
        CHECK(mcrpc_report(set, host, &choice, mcrpc_outcome_of(status), MS, now) == MCRPC_OK);
        if (status == MCRPC_OK) {
            return;
        }
    }
    sent->refused++;
}

/* 2 s of 1000 calls per second, of which one machine of three answers none. */
static void a_machine_that_fails_is_shielded_and_comes_back(mcrpc_host_t *host) {
    mcrpc_endpoints_t set = new_set(&defaults);
    struct sent sent = {0};
    fill(&set, host, 1, 3);
    uint64_t now = SECOND;
    for (uint64_t uin = 1; uin <= 2000; uin++, now += MS) {
        call_once(&set, host, uin, 1, now, &sent);
    }
    CHECK(sent.refused == 0 && sent.to[0] > 500 && sent.to[2] > 500);
    /* Six until it is found, and then a probe after each backoff. */
    CHECK(sent.to[1] == 6 + sent.probes && sent.probes >= 2 && sent.probes <= 6);
    mcrpc_endpoints_snapshot_t snapshot = snapshot_of(&set);
    CHECK(snapshot.count == 3 && snapshot.decisions[SHIELDING] == 1);
    CHECK(snapshot.decisions[RETRY] == sent.retries && sent.retries == sent.to[1]);
    CHECK(snapshot.decisions[PROBE] == sent.probes && snapshot.decisions[BUCKET_FULL] == 0);
    mcrpc_health_t health = health_of(&set, host, 1, now);
    CHECK(health.probes == sent.probes && health.shields == 1);

    /* It answers again: within its backoff and the ramp it has its share of the calls. */
    memset(&sent, 0, sizeof sent);
    for (uint64_t uin = 1; uin <= 6000; uin++, now += MS) {
        call_once(&set, host, uin, MAX_COUNT, now, &sent);
    }
    CHECK(health_of(&set, host, 1, now).state == MCRPC_HEALTH_NORMAL && sent.probes == 1);
    memset(&sent, 0, sizeof sent);
    for (uint64_t uin = 1; uin <= 3000; uin++, now += MS) {
        call_once(&set, host, uin, MAX_COUNT, now, &sent);
    }
    CHECK(sent.to[1] > 700 && sent.retries + sent.probes + sent.refused == 0);
}

static void each_state_of_health_follows_from_the_one_before(mcrpc_host_t *host) {
    mcrpc_endpoints_t set = new_set(&defaults);
    mcrpc_choice_t choice;
    fill(&set, host, 2, 2);
    uint64_t now = SECOND;
    mcrpc_call_t call = new_call(42);
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK);
    const uint32_t index = choice.index;
    /* What the service itself says, and that it is overloaded, does not speak against a machine. */
    for (int n = 0; n < 100; n++) {
        CHECK(mcrpc_report(&set, host, &choice, MCRPC_OUTCOME_LOGIC, MS, now) == MCRPC_OK);
        CHECK(mcrpc_report(&set, host, &choice, MCRPC_OUTCOME_OVERLOADED, MS, now) == MCRPC_OK);
    }
    mcrpc_health_t health = health_of(&set, host, index, now);
    CHECK(health.state == MCRPC_HEALTH_NORMAL && health.level == 0 && health.share == 65536 && health.shields == 0);
    for (int n = 0; n < 6; n++) {
        CHECK(health_of(&set, host, index, now).state == MCRPC_HEALTH_NORMAL);
        CHECK(mcrpc_report(&set, host, &choice, MCRPC_OUTCOME_FAILED, MS, now) == MCRPC_OK);
    }
    health = health_of(&set, host, index, now);
    CHECK(health.state == MCRPC_HEALTH_SHIELDED && health.level > 35 && health.share == 0 && health.shields == 1);
    CHECK(health.left_ms >= 75 && health.left_ms <= 125 && health.probes == 0);
    CHECK(health_of(&set, host, 1 - index, now).state == MCRPC_HEALTH_NORMAL);

    now += 125 * MS;
    CHECK(health_of(&set, host, index, now).state == MCRPC_HEALTH_DUE);
    call = new_call(42);
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK);
    CHECK(choice.index == index && choice.flags == MCRPC_CHOICE_PROBE);
    CHECK(health_of(&set, host, index, now).state == MCRPC_HEALTH_PROBING);
    /* Meanwhile the user's calls go elsewhere. */
    mcrpc_choice_t other;
    call = new_call(42);
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, now, &other) == MCRPC_OK && other.index == 1 - index);
    CHECK(mcrpc_report(&set, host, &choice, MCRPC_OUTCOME_OK, MS, now) == MCRPC_OK);
    health = health_of(&set, host, index, now);
    CHECK(health.state == MCRPC_HEALTH_RECOVERING && health.share == 4096 && health.probes == 1);
    health = health_of(&set, host, index, now + SECOND);
    CHECK(health.state == MCRPC_HEALTH_RECOVERING && health.share == 16384);
    now += 2 * SECOND;
    CHECK(mcrpc_report(&set, host, &choice, MCRPC_OUTCOME_OK, MS, now) == MCRPC_OK);
    CHECK(health_of(&set, host, index, now).state == MCRPC_HEALTH_NORMAL);
}

static void attempts_end_for_the_reason_that_is_counted(mcrpc_host_t *host) {
    mcrpc_endpoints_config_t config = defaults;
    config.retry_burst = 4;
    config.retry_ratio_per_10k = 0;
    config.backup_burst = 1;
    mcrpc_endpoints_t set = new_set(&config);
    fill(&set, host, 3, 10);
    mcrpc_choice_t choice, before;
    mcrpc_call_t call = new_call(1);
    uint32_t tried = 0;
    for (int attempt = 0; attempt < 4; attempt++) {
        CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 1, &choice) == MCRPC_OK);
        CHECK((tried & 1u << choice.index) == 0);
        tried |= 1u << choice.index;
    }
    before = choice;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 1, &choice) == MCRPC_ATTEMPTS_EXHAUSTED);
    call = new_call(2);
    call.deadline_ns = 100;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 99, &choice) == MCRPC_OK);
    before = choice;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 100, &choice) == MCRPC_OUT_OF_TIME);
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_BACKUP, 99, &choice) == MCRPC_OK);
    CHECK(choice.index != before.index);
    before = choice;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_BACKUP, 99, &choice) == MCRPC_BUDGET_EXHAUSTED);
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 99, &choice) == MCRPC_OK);
    before = choice;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 99, &choice) == MCRPC_BUDGET_EXHAUSTED);
    CHECK(memcmp(&before, &choice, sizeof choice) == 0 && call.attempts == 3);
    mcrpc_endpoints_snapshot_t snapshot = snapshot_of(&set);
    CHECK(snapshot.decisions[ATTEMPTS_EXHAUSTED] == 1 && snapshot.decisions[OUT_OF_TIME] == 1);
    CHECK(snapshot.decisions[BUDGET_EXHAUSTED] == 2);
    CHECK(snapshot.decisions[RETRY] == 4 && snapshot.decisions[BACKUP] == 1);
}

/* Both machines say which keys they admit. What is withheld then reaches the server with the next call that is sent. */
static void what_would_be_refused_is_withheld_and_told(mcrpc_host_t *host) {
    mcrpc_endpoints_t set = new_set(&defaults);
    fill(&set, host, 4, 2);
    mcrpc_choice_t choice;
    uint32_t heard = 0;
    for (uint64_t uin = 1; heard != 3; uin++) {
        mcrpc_call_t call = new_call(uin);
        CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, SECOND, &choice) == MCRPC_OK);
        CHECK(mcrpc_heard(&set, host, &choice, 1000, 300, SECOND) == MCRPC_OK);
        heard |= 1u << choice.index;
    }
    for (uint64_t n = 0; n < 300; n++) {
        mcrpc_call_t call = new_call(42);
        call.key = 1000 + (uint32_t)n;
        CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, SECOND + n, &choice) == MCRPC_WITHHELD);
        CHECK(call.attempts == 0);
    }
    CHECK(snapshot_of(&set).decisions[WITHHELD] == 300);
    mcrpc_call_t call = new_call(42);
    call.key = 999;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, SECOND + MS, &choice) == MCRPC_OK);
    CHECK(choice.withheld_count == 300 && choice.withheld_key >= 1000 && choice.withheld_key < 1300);
    const uint32_t count = choice.withheld_count, key = choice.withheld_key;
    /* When the cursor has expired, all are sent again. */
    call = new_call(42);
    call.key = 1000;
    CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, SECOND + 300 * MS, &choice) == MCRPC_OK);
    CHECK(choice.withheld_count == 0);

    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char memory[1 << 17];
    uint64_t demand_mrps[2];
    for (int told = 0; told < 2; told++) {
        mcrpc_admission_t admission;
        CHECK(mcrpc_admission_init(memory, sizeof memory, &config, 1, &admission) == MCRPC_OK);
        CHECK(!told || mcrpc_admission_withheld(&admission, 0, key, count) == MCRPC_OK);
        for (uint64_t now = MS; now < 150 * MS; now += MS) {
            mcrpc_request_t request = MCRPC_REQUEST_INIT;
            CHECK(mcrpc_admit(&admission, 0, &request, now) == MCRPC_OK);
            CHECK(mcrpc_dequeued(&admission, 0, now, MCRPC_NO_DEADLINE, now) == MCRPC_OK);
            CHECK(mcrpc_done(&admission, 0, now, now) == MCRPC_OK);
        }
        mcrpc_admission_snapshot_t snapshot = {0};
        snapshot.struct_size = sizeof snapshot;
        CHECK(mcrpc_admission_snapshot(&admission, &snapshot) == MCRPC_OK && snapshot.windows_closed == 1);
        demand_mrps[told] = snapshot.demand_mrps;
    }
    CHECK(demand_mrps[0] >= 900000 && demand_mrps[0] <= 1100000);
    CHECK(demand_mrps[1] >= 3900000 && demand_mrps[1] <= 4100000);
}

static void users_are_placed_by_group_and_zone(mcrpc_host_t *host) {
    mcrpc_endpoints_config_t config = defaults;
    config.zone_strategy = MCRPC_ZONE_FIRST;
    config.zone = 1;
    mcrpc_endpoints_t set = new_set(&config);
    mcrpc_endpoint_spec_t specs[6];
    for (unsigned n = 0; n < 6; n++) {
        specs[n] = machine(5, n);
        specs[n].zone = (uint16_t)(n % 2);
        specs[n].group = n >= 4 ? 3 : 0;
    }
    const mcrpc_group_rule_t rule = {3, 10000, 0, 1000, 1999, {0}};
    CHECK(mcrpc_endpoints_replace(&set, host, specs, 6, &rule, 1) == MCRPC_OK);
    for (uint64_t uin = 1; uin < 3000; uin++) {
        mcrpc_call_t call = new_call(uin);
        mcrpc_choice_t choice;
        CHECK(mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, 1, &choice) == MCRPC_OK);
        CHECK(uin >= 1000 && uin < 2000 ? choice.index == 5 : choice.index == 1 || choice.index == 3);
    }
}

/* When all fail, half of them are called all the same. Which ones is looked at every 20 ms: until then a few calls find none. */
static void no_more_than_half_are_shielded(mcrpc_host_t *host) {
    mcrpc_endpoints_t set = new_set(&defaults);
    fill(&set, host, 6, 4);
    uint64_t now = SECOND, refused = 0;
    for (uint64_t uin = 1; uin <= 2000; uin++, now += MS) {
        mcrpc_call_t call = new_call(uin);
        mcrpc_choice_t choice;
        if (mcrpc_select(&set, host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK) {
            CHECK(mcrpc_report(&set, host, &choice, MCRPC_OUTCOME_FAILED, MS, now) == MCRPC_OK);
        } else {
            refused++;
        }
    }
    mcrpc_endpoints_snapshot_t snapshot = snapshot_of(&set);
    CHECK(refused <= 100 && snapshot.decisions[BUCKET_FULL] == refused);
    CHECK(snapshot.decisions[CAPPED] > 1000 && snapshot.decisions[SHIELDING] >= 4);
}

static int exit_code(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What this process has met keeps another one, with a set of its own, from its first call to that machine. */
static void another_process_of_the_host_knows_at_once(mcrpc_host_t *host) {
    mcrpc_endpoints_t set = new_set(&defaults), shared = new_set(&defaults);
    struct sent sent = {0};
    fill(&set, host, 7, 3);
    fill(&shared, NULL, 7, 3);
    for (uint64_t uin = 1; health_of(&set, host, 1, SECOND).state == MCRPC_HEALTH_NORMAL; uin++) {
        call_once(&set, host, uin, 1, SECOND, &sent);
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mcrpc_endpoints_t own = new_set(&defaults);
        struct sent by_child = {0};
        fill(&own, host, 7, 3);
        CHECK(health_of(&own, host, 1, SECOND).state == MCRPC_HEALTH_SHIELDED);
        for (uint64_t uin = 1; uin <= 1000; uin++) {
            call_once(&own, host, uin, 1, SECOND, &by_child);
        }
        CHECK(by_child.to[1] == 0 && by_child.to[0] + by_child.to[2] == 1000);
        /* Without a host those know who share the set's memory. */
        for (uint64_t uin = 1; uin <= 1000; uin++) {
            call_once(&shared, NULL, uin, 1, SECOND, &by_child);
        }
        _exit(0);
    }
    CHECK(exit_code(child) == 0);
    CHECK(health_of(&shared, NULL, 1, SECOND).state == MCRPC_HEALTH_SHIELDED);
    CHECK(snapshot_of(&shared).decisions[SHIELDING] == 1);
}

/* A process that makes a call whenever it reads a time, and answers when it has made it. */
static void serve_calls(const mcrpc_host_t *host, int from, int to) {
    mcrpc_endpoints_t set = new_set(&defaults);
    struct sent sent = {0};
    fill(&set, host, 8, 3);
    uint64_t now;
    while (read(from, &now, sizeof now) == sizeof now) {
        call_once(&set, host, now / 1000, 1, now, &sent);
        CHECK(write(to, &now, sizeof now) == sizeof now);
    }
    _exit(0);
}

/* A minute of calls by some processes in turn, to three machines of which one is dead: how often was it probed? */
static uint64_t probes_by(int processes) {
    mcrpc_host_t *host = new_host();
    int orders[PROCESSES][2], answers[2];
    pid_t children[PROCESSES];
    CHECK(pipe(answers) == 0);
    for (int n = 0; n < processes; n++) {
        CHECK(pipe(orders[n]) == 0);
        children[n] = fork();
        CHECK(children[n] >= 0);
        if (children[n] == 0) {
            for (int other = 0; other <= n; other++) {
                close(orders[other][1]);
            }
            serve_calls(host, orders[n][0], answers[1]);
        }
        close(orders[n][0]);
    }
    uint64_t now = SECOND, answer;
    for (int call = 0; call < 6000; call++, now += 10 * MS) {
        CHECK(write(orders[call % processes][1], &now, sizeof now) == sizeof now);
        CHECK(read(answers[0], &answer, sizeof answer) == sizeof answer && answer == now);
    }
    for (int n = 0; n < processes; n++) {
        close(orders[n][1]);
        CHECK(exit_code(children[n]) == 0);
    }
    close(answers[0]);
    close(answers[1]);
    mcrpc_endpoints_t set = new_set(&defaults);
    fill(&set, host, 8, 3);
    return health_of(&set, host, 1, now).probes;
}

/* Five until the backoff is at its longest, and then one in 3.75 to 6.25 s, however many ask. */
static void probes_do_not_grow_with_processes(void) {
    uint64_t by_one = probes_by(1), by_many = probes_by(PROCESSES);
    printf("probes by one process: %" PRIu64 ", by %d: %" PRIu64 "\n", by_one, PROCESSES, by_many);
    CHECK(by_one >= 10 && by_one <= 21 && by_many >= 10 && by_many <= 21);
}

static mcrpc_endpoints_t replaced;
static atomic_int stop;

static void *replace_again_and_again(void *argument) {
    static uint64_t replacements;
    (void)argument;
    for (; !stop; replacements++) {
        fill(&replaced, NULL, replacements % 2 == 0 ? 9 : 10, replacements % 2 == 0 ? 7 : MAX_COUNT);
    }
    return &replacements;
}

/* Two lists in turn: each choice is of one of them, and its parts belong together. */
static void a_list_is_replaced_as_a_whole_while_calls_go_on(void) {
    pthread_t thread;
    void *replacements;
    replaced = new_set(&defaults);
    fill(&replaced, NULL, 9, 7);
    CHECK(pthread_create(&thread, NULL, replace_again_and_again, NULL) == 0);
    for (uint64_t uin = 1; uin <= 400000; uin++) {
        mcrpc_call_t call = new_call(uin);
        for (int attempt = 0; attempt < 2; attempt++) {
            mcrpc_choice_t choice;
            int32_t status = mcrpc_select(&replaced, NULL, &call, MCRPC_ATTEMPT_NEXT, uin, &choice);
            if (attempt == 1 && status == MCRPC_BUDGET_EXHAUSTED) {
                continue;
            }
            CHECK(status == MCRPC_OK);
            const uint64_t list = choice.user_data >> 32, last = (uint32_t)choice.user_data;
            CHECK(choice.index == last && choice.endpoint.address[14] == list && choice.endpoint.address[15] == last);
            CHECK(list == 9 ? last < 7 : list == 10 && last < MAX_COUNT);
            CHECK(mcrpc_report(&replaced, NULL, &choice, MCRPC_OUTCOME_OK, 1, uin) == MCRPC_OK);
        }
    }
    stop = 1;
    CHECK(pthread_join(thread, &replacements) == 0);
    printf("%" PRIu64 " replacements\n", *(uint64_t *)replacements);
    CHECK(*(uint64_t *)replacements > 10);
}

int main(void) {
    for (int has_host = 0; has_host < 2; has_host++) {
        mcrpc_host_t *host = has_host ? new_host() : NULL;
        a_machine_that_fails_is_shielded_and_comes_back(host);
        each_state_of_health_follows_from_the_one_before(host);
        attempts_end_for_the_reason_that_is_counted(host);
        what_would_be_refused_is_withheld_and_told(host);
        users_are_placed_by_group_and_zone(host);
        no_more_than_half_are_shielded(host);
    }
    another_process_of_the_host_knows_at_once(new_host());
    probes_do_not_grow_with_processes();
    a_list_is_replaced_as_a_whole_while_calls_go_on();
    return 0;
}
