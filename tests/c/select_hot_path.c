/* Choosing endpoints and reporting, under the rules of the per-request functions (rules.h), in every state that an
 * endpoint can be in and with every reason to refuse:
 *
 *   select_hot_path RULE DIRECTORY
 *
 * In the directory, 10.0.1.1:1 to .3:1 of service 7 have strategies; an operator shields 10.0.3.1:1 of service 7 and skips
 * all calls to service 9.
 */
#include "rules.h"

enum { ZONES, STRATEGIES, BY_HASH, OPERATED, EMPTY, SETS, PER_SET = 12 };
enum { ALL_WELL, ONE_FAILS, ONE_WORKS, ALL_FAIL, OVERLOADED, PHASES };

static mcrpc_host_t host;
static mcrpc_endpoints_t sets[SETS];
/* The decisions and the states of health that were seen, and how many these are. */
static uint64_t seen, evidence;

struct calls {
    int32_t (*select)(const mcrpc_endpoints_t *, const mcrpc_host_t *, mcrpc_call_t *, uint32_t, uint64_t, mcrpc_choice_t *);
    int32_t (*report)(const mcrpc_endpoints_t *, const mcrpc_host_t *, const mcrpc_choice_t *, uint32_t, uint64_t, uint64_t);
    int32_t (*heard)(const mcrpc_endpoints_t *, const mcrpc_host_t *, const mcrpc_choice_t *, uint32_t, uint32_t, uint64_t);
    uint32_t (*outcome_of)(int32_t);
    int32_t (*health)(const mcrpc_endpoints_t *, const mcrpc_host_t *, uint32_t, uint64_t, mcrpc_health_t *);
    int32_t (*snapshot)(const mcrpc_endpoints_t *, mcrpc_endpoints_snapshot_t *);
};

static const struct calls real = {mcrpc_select,     mcrpc_report,           mcrpc_heard,
                                  mcrpc_outcome_of, mcrpc_endpoints_health, mcrpc_endpoints_snapshot};

static int32_t nothing_select(const mcrpc_endpoints_t *s, const mcrpc_host_t *h, mcrpc_call_t *c, uint32_t a, uint64_t n,
                              mcrpc_choice_t *o) {
    return s == NULL || h == NULL || c == NULL || o == NULL || a + n == 0;
}
static int32_t nothing_report(const mcrpc_endpoints_t *s, const mcrpc_host_t *h, const mcrpc_choice_t *c, uint32_t o,
                              uint64_t e, uint64_t n) {
    return s == NULL || h == NULL || c == NULL || o + e + n == 0;
}
static int32_t nothing_heard(const mcrpc_endpoints_t *s, const mcrpc_host_t *h, const mcrpc_choice_t *c, uint32_t k,
                             uint32_t m, uint64_t n) {
    return s == NULL || h == NULL || c == NULL || k + m + n == 0;
}
static uint32_t nothing_outcome(int32_t s) {
    return s == 0;
}
static int32_t nothing_health(const mcrpc_endpoints_t *s, const mcrpc_host_t *h, uint32_t i, uint64_t n, mcrpc_health_t *o) {
    return s == NULL || h == NULL || o == NULL || i + n == 0;
}
static int32_t nothing_snapshot(const mcrpc_endpoints_t *s, mcrpc_endpoints_snapshot_t *o) {
    return s == NULL || o == NULL;
}
static const struct calls nothing = {nothing_select,  nothing_report, nothing_heard,
                                     nothing_outcome, nothing_health, nothing_snapshot};

/* How a call to an endpoint ends. */
static int32_t status_in(int phase, uint32_t index) {
    switch (phase) {
        case ONE_FAILS: return index == 0 ? MCRPC_TIMED_OUT : MCRPC_OK;
        case ONE_WORKS: return index == 1 ? MCRPC_OK : MCRPC_CONNECT_FAILED;
        case ALL_FAIL: return MCRPC_CONNECT_FAILED;
        case OVERLOADED: return MCRPC_BELOW_CURSOR;
        default: return index == 2 ? 7 : MCRPC_OK;
    }
}

/* One call with all its attempts, every 7th with a backup request, every 11th with little time. */
static void call_once(const struct calls *calls, uint32_t set, uint64_t n, int phase, uint64_t now) {
    mcrpc_call_t call = {0};
    call.uin = n % 13 == 0 ? 0 : n;
    call.call_id = n;
    call.deadline_ns = n % 11 == 0 ? now + 1 : MCRPC_NO_DEADLINE;
    call.key = (uint32_t)(n * 2654435761u) >> 3;
    call.service_id = n % 17 == 0 ? 9 : 7;
    for (uint64_t attempt = 0; attempt < 6; attempt++) {
        mcrpc_choice_t choice = {0};
        uint32_t kind = attempt > 0 && n % 7 == 0 ? MCRPC_ATTEMPT_BACKUP : MCRPC_ATTEMPT_NEXT;
        if (calls->select(&sets[set], &host, &call, kind, now + attempt * MS, &choice) != MCRPC_OK) {
            return;
        }
        mcrpc_health_t health = {0};
        health.struct_size = sizeof health;
        calls->health(&sets[set], &host, choice.index, now + attempt * MS, &health);
        seen |= UINT64_C(1) << (32 + health.state);
        int32_t status = status_in(phase, choice.index);
        uint32_t outcome = calls->outcome_of(status);
        if (outcome == MCRPC_OUTCOME_OVERLOADED) {
            calls->heard(&sets[set], &host, &choice, 1u << 28, 300, now);
        }
        calls->report(&sets[set], &host, &choice, outcome, 3 * MS, now + attempt * MS);
        if (outcome == MCRPC_OUTCOME_OK || outcome == MCRPC_OUTCOME_LOGIC) {
            return;
        }
    }
}

static uint64_t exercise(const void *table, uint32_t key, uint64_t now, int rounds) {
    const struct calls *calls = table;
    for (int round = 0; round < rounds; round++) {
        /* A signal handler has to be done before the next signal. */
        for (uint64_t n = 1; n <= (key == 0 ? 100 : 10); n++) {
            now += 7 * MS;
            for (uint32_t set = 0; set < SETS; set++) {
                call_once(calls, set, (uint64_t)round * 100 + n + key, round % PHASES, now);
            }
        }
        for (uint32_t set = 0; set < SETS; set++) {
            mcrpc_endpoints_snapshot_t snapshot = {0};
            snapshot.struct_size = sizeof snapshot;
            calls->snapshot(&sets[set], &snapshot);
            /* What is only observed does not happen here. */
            for (int kind = 0; kind < 14; kind++) {
                seen |= snapshot.decisions[kind] != 0 ? UINT64_C(1) << kind : 0;
            }
            mcrpc_health_t health = {0};
            health.struct_size = sizeof health;
            calls->health(&sets[set], &host, 0, now, &health);
            seen |= UINT64_C(1) << (32 + health.state);
        }
    }
    uint64_t count = 0;
    for (uint64_t rest = seen; rest != 0; rest &= rest - 1) {
        count++;
    }
    evidence = count;
    return now;
}

static void fill(int set, uint32_t count) {
    mcrpc_endpoint_spec_t specs[PER_SET];
    memset(specs, 0, sizeof specs);
    for (uint32_t n = 0; n < count; n++) {
        const uint8_t address[4] = {10, 0, (uint8_t)set, (uint8_t)(n + 1)};
        CHECK(mcrpc_endpoint_v4(address, 1, 7, &specs[n].endpoint) == MCRPC_OK);
        specs[n].weight = (uint16_t)(n % 3 == 0 ? 50 : 100);
        specs[n].region = 1;
        specs[n].zone = (uint16_t)(n % 3);
        specs[n].group = (uint16_t)(set == ZONES && n >= 6 ? 5 : 0);
    }
    const mcrpc_group_rule_t rules[2] = {{6, 100, 0, 0, 1000, {0}}, {5, 3000, 0, 0, UINT64_MAX, {0}}};
    CHECK(mcrpc_endpoints_replace(&sets[set], &host, specs, count, rules, set == ZONES ? 2 : 0) == MCRPC_OK);
}

static void set_up(void) {
    for (int set = 0; set < SETS; set++) {
        mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
        config.capacity = PER_SET;
        config.region = 1;
        config.zone_strategy = set == ZONES ? MCRPC_ZONE_FIRST : set == BY_HASH ? MCRPC_ZONE_BY_HASH : MCRPC_ZONE_ANYWHERE;
        config.fail_count = set == BY_HASH ? 3 : 0;
        /* So little that most retries find no token, but not all. */
        config.retry_ratio_per_10k = set == STRATEGIES ? 100 : 10000;
        config.max_attempts = set == BY_HASH ? 2 : 4;
        config.backoff_max_ms = 400;
        config.probe_lease_ms = 50;
        config.ramp_ms = 300;
        size_t len;
        CHECK(mcrpc_endpoints_memory_size(&config, &len) == MCRPC_OK);
        void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(memory != MAP_FAILED);
        CHECK(mcrpc_endpoints_init(memory, len, &config, &sets[set]) == MCRPC_OK);
    }
    fill(ZONES, PER_SET);
    fill(STRATEGIES, 8);
    fill(BY_HASH, 6);
    fill(OPERATED, 1);
}

int main(int argc, char **argv) {
    /* Fourteen kinds of decisions, five states of health. A signal handler whose clock is another one keeps some of them away. */
    struct subject subject = {exercise, &real, &nothing, &evidence, 19, NULL};
    CHECK(argc == 3 && mcrpc_host_open(argv[2], NULL, MS, &host) == MCRPC_OK);
    if (strcmp(argv[1], "signal") == 0) {
        subject.evidence_wanted = 10;
    }
    set_up();
    return check_rule(argv[1], &subject);
}
