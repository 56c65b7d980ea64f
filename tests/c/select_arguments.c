/* The functions of sets of endpoints with NULL, misaligned, short and nonsense arguments: a status each, and nothing written. */
#include "expect.h"

static _Alignas(64) unsigned char memory[1 << 18];
static mcrpc_host_t host;

static void settings_of_endpoints(void) {
    const mcrpc_endpoints_config_t good = MCRPC_ENDPOINTS_CONFIG_INIT;
    mcrpc_endpoints_config_t config = good;
    mcrpc_endpoints_t set;
    size_t size = 99, defaults;
    EXPECT(mcrpc_endpoints_memory_size(&good, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_memory_size(&good, odd(&size)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_memory_size(odd(&config), &size), MCRPC_MISALIGNED);
    const uint32_t sizes[] = {0, 4, sizeof config - 1, UINT32_MAX};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        config.struct_size = sizes[n];
        EXPECT(mcrpc_endpoints_memory_size(&config, &size), MCRPC_BAD_STRUCT_SIZE);
    }
#define WRONG(field, value) {offsetof(mcrpc_endpoints_config_t, field), value}
    const struct {
        size_t offset;
        uint32_t value;
    } wrong[] = {WRONG(capacity, 0),           WRONG(capacity, 1025),
                 WRONG(scope, 2),              WRONG(zone_strategy, 5),
                 WRONG(zone_strategy, UINT32_MAX), WRONG(region, 65536),
                 WRONG(zone, 65536),           WRONG(max_attempts, 0),
                 WRONG(max_attempts, 9),       WRONG(max_attempts, UINT32_MAX),
                 WRONG(max_shielded_per_10k, 10001), WRONG(retry_ratio_per_10k, 10001),
                 WRONG(retry_burst, 65536),    WRONG(backup_ratio_per_10k, 10001),
                 WRONG(backup_burst, 65536),   WRONG(fail_count, 10001),
                 WRONG(backoff_min_ms, 0),     WRONG(backoff_min_ms, 5001),
                 WRONG(backoff_max_ms, 3600001), WRONG(probe_lease_ms, 0),
                 WRONG(probe_lease_ms, 3600001), WRONG(ramp_ms, 3600001),
                 WRONG(memory_ms, 3600001)};
#undef WRONG
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        config = good;
        memcpy((unsigned char *)&config + wrong[n].offset, &wrong[n].value, sizeof wrong[n].value);
        EXPECT(mcrpc_endpoints_memory_size(&config, &size), MCRPC_INVALID_ARGUMENT);
        EXPECT(mcrpc_endpoints_init(memory, sizeof memory, &config, &set), MCRPC_INVALID_ARGUMENT);
    }
    EXPECT(size, 99);
    struct {
        mcrpc_endpoints_config_t known;
        uint64_t newer;
    } longer = {MCRPC_ENDPOINTS_CONFIG_INIT, 0};
    longer.known.struct_size = sizeof longer;
    EXPECT(mcrpc_endpoints_memory_size(&longer.known, &size), MCRPC_OK);
    longer.newer = 1;
    EXPECT(mcrpc_endpoints_memory_size(&longer.known, &size), MCRPC_BAD_STRUCT_SIZE);
    EXPECT(mcrpc_endpoints_memory_size(NULL, &defaults), MCRPC_OK);
    EXPECT(defaults, size);

    EXPECT(mcrpc_endpoints_init(NULL, size, &good, &set), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_init(memory, size, &good, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_init(memory, size, &good, odd(&set)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_init(memory + 8, size, &good, &set), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_init(memory, size - 1, &good, &set), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_endpoints_init(memory, 0, &good, &set), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_endpoints_init(memory, SIZE_MAX, &good, &set), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_endpoints_init(memory, size, odd(&config), &set), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_init(memory, size, NULL, &set), MCRPC_OK);
    /* A set of one endpoint in exactly as much memory as it asks for. */
    config = good;
    config.capacity = 1;
    EXPECT(mcrpc_endpoints_memory_size(&config, &size), MCRPC_OK);
    memset(memory, CANARY, sizeof memory);
    EXPECT(mcrpc_endpoints_init(memory, size, &config, &set), MCRPC_OK);
    mcrpc_endpoint_spec_t spec = {0};
    spec.weight = 1;
    EXPECT(mcrpc_endpoints_replace(&set, NULL, &spec, 1, NULL, 0), MCRPC_OK);
    EXPECT(memory[size], CANARY);
}

static void lists_of_endpoints(void) {
    mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
    config.capacity = 2;
    mcrpc_endpoints_t set;
    mcrpc_endpoint_spec_t specs[3];
    mcrpc_group_rule_t rules[MCRPC_MAX_GROUP_RULES + 1] = {{0}};
    memset(specs, 0, sizeof specs);
    for (int n = 0; n < 3; n++) {
        specs[n].endpoint.port = (uint16_t)(n + 1);
        specs[n].weight = 100;
    }
    EXPECT(mcrpc_endpoints_init(memory, sizeof memory, &config, &set), MCRPC_OK);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, NULL, 1, NULL, 0), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, odd(specs), 1, NULL, 0), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 1, NULL, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 1, odd(rules), 1), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_replace(&set, odd(&host), specs, 1, NULL, 0), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 2, NULL, 0), MCRPC_OK);

    /* The list that is in force stays so. */
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 3, NULL, 0), MCRPC_TABLE_FULL);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, UINT32_MAX, NULL, 0), MCRPC_TABLE_FULL);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 1, rules, MCRPC_MAX_GROUP_RULES + 1), MCRPC_INVALID_ARGUMENT);
    rules[1].share_per_10k = 10001;
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 1, rules, 2), MCRPC_INVALID_ARGUMENT);
    specs[1].weight = 10001;
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 2, NULL, 0), MCRPC_INVALID_ARGUMENT);
    specs[1] = specs[0];
    EXPECT(mcrpc_endpoints_replace(&set, NULL, specs, 2, NULL, 0), MCRPC_INVALID_ARGUMENT);
    mcrpc_endpoints_snapshot_t snapshot = {0};
    EXPECT(mcrpc_endpoints_snapshot(&set, &snapshot), MCRPC_BAD_STRUCT_SIZE);
    snapshot.struct_size = sizeof snapshot;
    EXPECT(mcrpc_endpoints_snapshot(&set, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_snapshot(&set, odd(&snapshot)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_endpoints_snapshot(&set, &snapshot), MCRPC_OK);
    EXPECT(snapshot.count, 2);
    mcrpc_health_t health = {0};
    EXPECT(mcrpc_endpoints_health(&set, NULL, 0, 1, &health), MCRPC_BAD_STRUCT_SIZE);
    health.struct_size = sizeof health;
    EXPECT(mcrpc_endpoints_health(&set, NULL, 0, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoints_health(&set, NULL, 2, 1, &health), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_endpoints_health(&set, NULL, UINT32_MAX, 1, &health), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_endpoints_health(&set, NULL, 1, 1, &health), MCRPC_OK);
    EXPECT(health.state == MCRPC_HEALTH_NORMAL && health.struct_size == sizeof health, 1);

    /* What a newer program asks for and this library does not know is zeroed; nothing is written behind it. */
    struct {
        mcrpc_endpoints_snapshot_t known;
        unsigned char newer[8], canary[8];
    } guarded;
    memset(&guarded, CANARY, sizeof guarded);
    guarded.known.struct_size = sizeof guarded.known + sizeof guarded.newer;
    EXPECT(mcrpc_endpoints_snapshot(&set, &guarded.known), MCRPC_OK);
    EXPECT(guarded.newer[0] + guarded.newer[7], 0);
    EXPECT(guarded.canary[0], CANARY);

    /* No endpoints at all is a list too. */
    EXPECT(mcrpc_endpoints_replace(&set, NULL, NULL, 0, NULL, 0), MCRPC_OK);
    EXPECT(mcrpc_endpoints_health(&set, NULL, 0, 1, &health), MCRPC_INVALID_ARGUMENT);
}

static void choices(void) {
    mcrpc_endpoints_t set, unset, zeroed;
    mcrpc_endpoint_spec_t spec = {0};
    mcrpc_call_t call = {0};
    mcrpc_choice_t choice;
    mcrpc_endpoints_snapshot_t snapshot = {0};
    mcrpc_health_t health = {0};
    mcrpc_host_t closed = {0};
    snapshot.struct_size = sizeof snapshot;
    health.struct_size = sizeof health;
    spec.weight = 100;
    memset(&unset, 0xFF, sizeof unset);
    memset(&zeroed, 0, sizeof zeroed);
    EXPECT(mcrpc_endpoints_init(memory, sizeof memory, NULL, &set), MCRPC_OK);
    memset(&choice, CANARY, sizeof choice);
    EXPECT(mcrpc_select(&set, NULL, &call, MCRPC_ATTEMPT_NEXT, 1, &choice), MCRPC_NO_ENDPOINT);
    EXPECT(mcrpc_endpoints_replace(&set, NULL, &spec, 1, NULL, 0), MCRPC_OK);

    const mcrpc_endpoints_t *sets[] = {NULL, &unset, &zeroed, odd(&set)};
    const int32_t statuses[] = {MCRPC_NULL_ARGUMENT, MCRPC_NOT_INITIALISED, MCRPC_NOT_INITIALISED, MCRPC_MISALIGNED};
    for (int n = 0; n < 4; n++) {
        EXPECT(mcrpc_endpoints_replace(sets[n], NULL, &spec, 1, NULL, 0), statuses[n]);
        EXPECT(mcrpc_endpoints_tick(sets[n], NULL), statuses[n]);
        EXPECT(mcrpc_endpoints_snapshot(sets[n], &snapshot), statuses[n]);
        EXPECT(mcrpc_endpoints_health(sets[n], NULL, 0, 1, &health), statuses[n]);
        EXPECT(mcrpc_select(sets[n], NULL, &call, MCRPC_ATTEMPT_NEXT, 1, &choice), statuses[n]);
        EXPECT(mcrpc_report(sets[n], NULL, &choice, MCRPC_OUTCOME_OK, 1, 1), statuses[n]);
        EXPECT(mcrpc_heard(sets[n], NULL, &choice, 0, 1, 1), statuses[n]);
    }
    const mcrpc_host_t *hosts[] = {&closed, odd(&host)};
    const int32_t of_hosts[] = {MCRPC_NOT_INITIALISED, MCRPC_MISALIGNED};
    for (int n = 0; n < 2; n++) {
        EXPECT(mcrpc_endpoints_tick(&set, hosts[n]), of_hosts[n]);
        EXPECT(mcrpc_endpoints_health(&set, hosts[n], 0, 1, &health), of_hosts[n]);
        EXPECT(mcrpc_select(&set, hosts[n], &call, MCRPC_ATTEMPT_NEXT, 1, &choice), of_hosts[n]);
        EXPECT(mcrpc_report(&set, hosts[n], &choice, MCRPC_OUTCOME_OK, 1, 1), of_hosts[n]);
        EXPECT(mcrpc_heard(&set, hosts[n], &choice, 0, 1, 1), of_hosts[n]);
    }
    EXPECT(mcrpc_select(&set, NULL, NULL, MCRPC_ATTEMPT_NEXT, 1, &choice), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_select(&set, NULL, odd(&call), MCRPC_ATTEMPT_NEXT, 1, &choice), MCRPC_MISALIGNED);
    EXPECT(mcrpc_select(&set, NULL, &call, 2, 1, &choice), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_select(&set, NULL, &call, UINT32_MAX, 1, &choice), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_select(&set, NULL, &call, MCRPC_ATTEMPT_NEXT, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_select(&set, NULL, &call, MCRPC_ATTEMPT_NEXT, 1, odd(&choice)), MCRPC_MISALIGNED);
    EXPECT(call.attempts == 0 && choice.index == CANARY * 0x01010101u, 1);
    EXPECT(mcrpc_select(&set, NULL, &call, MCRPC_ATTEMPT_NEXT, 1, &choice), MCRPC_OK);
    EXPECT(call.attempts == 1 && choice.index == 0 && choice.reserved == 0, 1);
    /* Nobody is left to retry; a call that was damaged has no attempt left. */
    EXPECT(mcrpc_select(&set, NULL, &call, MCRPC_ATTEMPT_NEXT, 1, &choice), MCRPC_NO_ENDPOINT);
    call.attempts = UINT8_MAX;
    EXPECT(mcrpc_select(&set, NULL, &call, MCRPC_ATTEMPT_NEXT, 1, &choice), MCRPC_ATTEMPTS_EXHAUSTED);

    EXPECT(mcrpc_report(&set, NULL, NULL, MCRPC_OUTCOME_OK, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_report(&set, NULL, odd(&choice), MCRPC_OUTCOME_OK, 1, 1), MCRPC_MISALIGNED);
    EXPECT(mcrpc_report(&set, NULL, &choice, 4, 1, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_report(&set, NULL, &choice, UINT32_MAX, 1, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_heard(&set, NULL, NULL, 0, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_heard(&set, NULL, odd(&choice), 0, 1, 1), MCRPC_MISALIGNED);
    /* Clocks at their ends, a cursor beyond all keys, times that no call can take: decided, not crashed. */
    EXPECT(mcrpc_heard(&set, NULL, &choice, UINT32_MAX, UINT32_MAX, UINT64_MAX), MCRPC_OK);
    EXPECT(mcrpc_report(&set, NULL, &choice, MCRPC_OUTCOME_FAILED, UINT64_MAX, UINT64_MAX), MCRPC_OK);
    EXPECT(mcrpc_report(&set, NULL, &choice, MCRPC_OUTCOME_FAILED, 0, 0), MCRPC_OK);
    /* A choice that was damaged is of no endpoint: it counts nowhere. */
    memset(&choice, 0xFF, sizeof choice);
    EXPECT(mcrpc_report(&set, NULL, &choice, MCRPC_OUTCOME_FAILED, 1, 1), MCRPC_OK);
    EXPECT(mcrpc_heard(&set, NULL, &choice, 0, 1, 1), MCRPC_OK);
    EXPECT(mcrpc_endpoints_health(&set, NULL, 0, 1, &health), MCRPC_OK);
    EXPECT(health.level, 14);

    EXPECT(mcrpc_outcome_is_retriable(MCRPC_OUTCOME_OK), 0);
    EXPECT(mcrpc_outcome_is_retriable(MCRPC_OUTCOME_LOGIC), 0);
    EXPECT(mcrpc_outcome_is_retriable(MCRPC_OUTCOME_FAILED), 1);
    EXPECT(mcrpc_outcome_is_retriable(MCRPC_OUTCOME_OVERLOADED), 1);
    EXPECT(mcrpc_outcome_is_retriable(4), 0);
    EXPECT(mcrpc_outcome_of(MCRPC_OK), MCRPC_OUTCOME_OK);
    EXPECT(mcrpc_outcome_of(7), MCRPC_OUTCOME_LOGIC);
    EXPECT(mcrpc_outcome_of(INT32_MIN), MCRPC_OUTCOME_LOGIC);
    EXPECT(mcrpc_outcome_of(MCRPC_CONNECT_FAILED), MCRPC_OUTCOME_FAILED);
    EXPECT(mcrpc_outcome_of(MCRPC_TIMED_OUT), MCRPC_OUTCOME_FAILED);
    EXPECT(mcrpc_outcome_of(MCRPC_BELOW_CURSOR), MCRPC_OUTCOME_OVERLOADED);
    EXPECT(mcrpc_outcome_of(MCRPC_QUEUE_FULL), MCRPC_OUTCOME_OVERLOADED);
}

int main(void) {
    settings_of_endpoints();
    lists_of_endpoints();
    choices();
    return 0;
}
