/* Every function with NULL, misaligned, short and nonsense arguments: a status each, and nothing written. */
#include "expect.h"

enum { LEN = 1 << 20 };

static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char memory[LEN];

static void versions_and_statuses(void) {
    EXPECT(mcrpc_version(), MCRPC_VERSION_NUMBER);
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", MCRPC_VERSION_MAJOR, MCRPC_VERSION_MINOR, MCRPC_VERSION_PATCH);
    EXPECT(strcmp(mcrpc_version_string(), text), 0);
    EXPECT(strcmp(mcrpc_status_name(MCRPC_OK), "ok"), 0);
    EXPECT(strcmp(mcrpc_status_name(MCRPC_DEADLINE_IN_QUEUE), "deadline_in_queue"), 0);
    EXPECT(strcmp(mcrpc_status_name(INT32_MIN), "unknown"), 0);
    EXPECT(strlen(mcrpc_status_text(INT32_MAX)) > 10, 1);
    EXPECT(mcrpc_refusal_status(0), MCRPC_QUEUE_FULL);
    EXPECT(mcrpc_refusal_status(MCRPC_REFUSAL_COUNT), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_refusal_status(UINT32_MAX), MCRPC_INVALID_ARGUMENT);
}

static void headers(void) {
    uint8_t bytes[MCRPC_HEADER_LEN];
    mcrpc_header_t header = {0}, parsed;
    header.kind = MCRPC_KIND_REQUEST;
    EXPECT(mcrpc_header_emit(NULL, bytes, sizeof bytes), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_header_emit(odd(&header), bytes, sizeof bytes), MCRPC_MISALIGNED);
    EXPECT(mcrpc_header_emit(&header, NULL, sizeof bytes), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_header_emit(&header, bytes, MCRPC_HEADER_LEN - 1), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_header_emit(&header, bytes, sizeof bytes), MCRPC_OK);
    EXPECT(mcrpc_header_parse(NULL, 0, NULL, &parsed), MCRPC_INCOMPLETE);
    EXPECT(mcrpc_header_parse(NULL, 32, NULL, &parsed), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_header_parse(bytes, SIZE_MAX, NULL, &parsed), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_header_parse(bytes, 31, NULL, &parsed), MCRPC_INCOMPLETE);
    EXPECT(mcrpc_header_parse(bytes, 32, NULL, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_header_parse(bytes, 32, NULL, odd(&parsed)), MCRPC_MISALIGNED);
    memset(&parsed, CANARY, sizeof parsed);
    bytes[0] = 'G';
    EXPECT(mcrpc_header_parse(bytes, 32, NULL, &parsed), MCRPC_BAD_MAGIC);
    EXPECT(parsed.kind, CANARY);
    header.kind = 0;
    EXPECT(mcrpc_header_emit(&header, bytes, sizeof bytes), MCRPC_BAD_KIND);
    header.kind = MCRPC_KIND_REQUEST;
    header.metadata_len = 1;
    EXPECT(mcrpc_header_emit(&header, bytes, sizeof bytes), MCRPC_BAD_METADATA_LENGTH);
    header.metadata_len = 0;
    header.reserved = 1;
    EXPECT(mcrpc_header_emit(&header, bytes, sizeof bytes), MCRPC_INVALID_ARGUMENT);
    header.reserved = 0;
    header.flags = MCRPC_FLAG_MUST_UNDERSTAND;
    EXPECT(mcrpc_header_emit(&header, bytes, sizeof bytes), MCRPC_UNSUPPORTED_FLAG);
    EXPECT(mcrpc_method_id(NULL, 5), 0);
    EXPECT(mcrpc_method_id((const uint8_t *)"", 0), 0);
    EXPECT(mcrpc_method_id((const uint8_t *)"a", 1), 0xe40c292c);
    EXPECT(mcrpc_method_id((const uint8_t *)"a", SIZE_MAX), 0);
}

static void settings(void) {
    const mcrpc_admission_config_t good = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_admission_config_t config = good;
    mcrpc_admission_t handle;
    size_t size = 99;
    EXPECT(mcrpc_admission_memory_size(NULL, &size), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_memory_size(odd(&config), &size), MCRPC_MISALIGNED);
    EXPECT(mcrpc_admission_memory_size(&config, NULL), MCRPC_NULL_ARGUMENT);
    config.struct_size = 0;
    EXPECT(mcrpc_admission_memory_size(&config, &size), MCRPC_BAD_STRUCT_SIZE);
    config.struct_size = sizeof config - 1;
    EXPECT(mcrpc_admission_memory_size(&config, &size), MCRPC_BAD_STRUCT_SIZE);
    config.struct_size = UINT32_MAX;
    EXPECT(mcrpc_admission_memory_size(&config, &size), MCRPC_BAD_STRUCT_SIZE);
#define FIELD(name) offsetof(mcrpc_admission_config_t, name)
    const struct {
        size_t offset;
        uint32_t value;
    } refused[] = {{FIELD(queue_count), 0},
                   {FIELD(queue_count), 65},
                   {FIELD(workers_per_queue), UINT32_MAX},
                   {FIELD(mode), 3},
                   {FIELD(window_ms), 0},
                   {FIELD(window_ms), 1001},
                   {FIELD(target_wait_ms), 0},
                   {FIELD(target_wait_ms), 26},
                   {FIELD(overload_wait_ms), 41},
                   {FIELD(soft_wait_limit_ms), 81},
                   {FIELD(hard_wait_limit_ms), 39},
                   {FIELD(hard_wait_limit_ms), 60001},
                   {FIELD(marginal_band_per_10k), 10001},
                   {FIELD(headroom_per_10k), 10001},
                   {FIELD(policy), 2},
                   {FIELD(cpu_limit_per_10k), 0},
                   {FIELD(cpu_limit_per_10k), 10001},
                   {FIELD(fair_share), 2}};
#undef FIELD
    for (size_t n = 0; n < sizeof refused / sizeof *refused; n++) {
        config = good;
        memcpy((unsigned char *)&config + refused[n].offset, &refused[n].value, sizeof refused[n].value);
        EXPECT(mcrpc_admission_memory_size(&config, &size), MCRPC_INVALID_ARGUMENT);
    }
    EXPECT(size, 99);

    /* A program compiled against a newer header: its unknown tail must be zero. */
    struct {
        mcrpc_admission_config_t known;
        uint32_t newer[3];
    } longer = {MCRPC_ADMISSION_CONFIG_INIT, {0, 0, 0}};
    longer.known.struct_size = sizeof longer;
    EXPECT(mcrpc_admission_memory_size(&longer.known, &size), MCRPC_OK);
    longer.newer[2] = 1;
    EXPECT(mcrpc_admission_memory_size(&longer.known, &size), MCRPC_BAD_STRUCT_SIZE);

    EXPECT(mcrpc_admission_init(NULL, LEN, &good, 1, &handle), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_init(memory, LEN, NULL, 1, &handle), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_init(memory, LEN, &good, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_init(memory, LEN, &good, 1, odd(&handle)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_admission_init(odd(memory), LEN - 1, &good, 1, &handle), MCRPC_MISALIGNED);
    EXPECT(mcrpc_admission_init(memory, size - 1, &good, 1, &handle), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_admission_init(memory, 0, &good, 1, &handle), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_admission_init(memory, SIZE_MAX, &good, 1, &handle), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_attach(memory, LEN, &handle), MCRPC_NOT_INITIALISED);
    EXPECT(mcrpc_admission_init(memory, size, &good, 1, &handle), MCRPC_OK);
    EXPECT(mcrpc_admission_attach(NULL, LEN, &handle), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_attach(memory, size - 1, &handle), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_admission_attach(memory, size, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_attach(memory, size, &handle), MCRPC_OK);
    config = good;
    config.policy = MCRPC_POLICY_PASS_RATE;
    config.fair_share = 1;
    EXPECT(mcrpc_admission_init(memory, size, &config, 1, &handle), MCRPC_OK);
    EXPECT(mcrpc_admission_attach(memory, size, &handle), MCRPC_OK);
}

static void calls(void) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_admission_t handle, unset;
    mcrpc_request_t request = MCRPC_REQUEST_INIT;
    mcrpc_header_t header = {0};
    memset(&unset, 0xFF, sizeof unset);
    EXPECT(mcrpc_admission_init(memory, LEN, &config, 1, &handle), MCRPC_OK);

    EXPECT(mcrpc_request_from_header(NULL, 1, 1, 1, &request), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_request_from_header(&header, 1, 1, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_request_from_header(&header, 1, 1, 1, &request), MCRPC_BAD_KIND);
    EXPECT(mcrpc_key(1, 1, 0, 255, 0) < MCRPC_CURSOR_OPEN, 1);

    const mcrpc_admission_t *handles[] = {NULL, &unset, odd(&handle)};
    const int32_t statuses[] = {MCRPC_NULL_ARGUMENT, MCRPC_NOT_INITIALISED, MCRPC_MISALIGNED};
    mcrpc_admission_snapshot_t all = {0};
    mcrpc_queue_snapshot_t one = {0};
    mcrpc_tenant_snapshot_t tenant = {0};
    for (int n = 0; n < 3; n++) {
        EXPECT(mcrpc_admit(handles[n], 0, &request, 2), statuses[n]);
        EXPECT(mcrpc_dequeued(handles[n], 0, 2, 9, 3), statuses[n]);
        EXPECT(mcrpc_done(handles[n], 0, 3, 4), statuses[n]);
        EXPECT(mcrpc_abandoned(handles[n], 0), statuses[n]);
        EXPECT(mcrpc_admission_queue_lost(handles[n], 0), statuses[n]);
        EXPECT(mcrpc_admission_withheld(handles[n], 0, 0, 1), statuses[n]);
        EXPECT(mcrpc_admission_set_mode(handles[n], MCRPC_MODE_OFF), statuses[n]);
        EXPECT(mcrpc_admission_set_enforced(handles[n], 0), statuses[n]);
        EXPECT(mcrpc_admission_follow(handles[n], NULL, MCRPC_MODE_OFF), statuses[n]);
        EXPECT(mcrpc_admission_set_cpu(handles[n], 1, 1), statuses[n]);
        EXPECT(mcrpc_admission_set_tenant_weight(handles[n], 1, 1), statuses[n]);
        EXPECT(mcrpc_admission_tenant_snapshot(handles[n], 1, &tenant), statuses[n]);
        EXPECT(mcrpc_admission_snapshot(handles[n], &all), statuses[n]);
        EXPECT(mcrpc_admission_queue_snapshot(handles[n], 0, &one), statuses[n]);
        EXPECT(mcrpc_cursor(handles[n], 0), MCRPC_CURSOR_OPEN);
    }
    EXPECT(mcrpc_admit(&handle, 0, NULL, 2), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admit(&handle, 0, odd(&request), 2), MCRPC_MISALIGNED);
    EXPECT(mcrpc_admit(&handle, 1, &request, 2), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_withheld(&handle, 1, 0, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_withheld(&handle, 0, UINT32_MAX, UINT32_MAX), MCRPC_OK);
    EXPECT(mcrpc_admission_set_mode(&handle, 3), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_set_enforced(&handle, 10001), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_follow(&handle, NULL, MCRPC_MODE_OFF), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_follow(&handle, NULL, 3), MCRPC_INVALID_ARGUMENT);
    for (uint32_t mode = MCRPC_MODE_OFF; mode <= MCRPC_MODE_ENFORCE; mode++) {
        mcrpc_admission_snapshot_t set = {0};
        set.struct_size = sizeof set;
        EXPECT(mcrpc_admission_set_mode(&handle, mode), MCRPC_OK);
        EXPECT(mcrpc_admission_snapshot(&handle, &set), MCRPC_OK);
        EXPECT(set.mode, mode);
    }
    EXPECT(mcrpc_admission_set_enforced(&handle, 10000), MCRPC_OK);
    EXPECT(mcrpc_admission_set_cpu(&handle, UINT32_MAX, 2), MCRPC_OK);
    EXPECT(mcrpc_admission_set_cpu(&handle, 0, 2), MCRPC_OK);
    EXPECT(mcrpc_admission_set_tenant_weight(&handle, 0, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_set_tenant_weight(&handle, 64, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_set_tenant_weight(&handle, 63, 0), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_set_tenant_weight(&handle, 63, 10000), MCRPC_OK);
    EXPECT(mcrpc_admission_tenant_snapshot(&handle, 1, &tenant), MCRPC_BAD_STRUCT_SIZE);
    tenant.struct_size = sizeof tenant;
    EXPECT(mcrpc_admission_tenant_snapshot(&handle, 0, &tenant), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_tenant_snapshot(&handle, 64, &tenant), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_admission_tenant_snapshot(&handle, 1, &tenant), MCRPC_OK);
    EXPECT(mcrpc_admission_snapshot(&handle, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_admission_snapshot(&handle, &all), MCRPC_BAD_STRUCT_SIZE);
    EXPECT(mcrpc_admission_queue_snapshot(&handle, 0, &one), MCRPC_BAD_STRUCT_SIZE);
    one.struct_size = sizeof one;
    EXPECT(mcrpc_admission_queue_snapshot(&handle, 7, &one), MCRPC_INVALID_ARGUMENT);

    /* One report too many is the caller's mistake, and costs nobody a request. */
    EXPECT(mcrpc_done(&handle, 0, 3, 4), MCRPC_OK);
    EXPECT(mcrpc_abandoned(&handle, 0), MCRPC_OK);
    for (uint64_t now = 10; now < 1000; now++) {
        EXPECT(mcrpc_admit(&handle, 0, &request, now), MCRPC_OK);
        EXPECT(mcrpc_dequeued(&handle, 0, now, MCRPC_NO_DEADLINE, now), MCRPC_OK);
        EXPECT(mcrpc_done(&handle, 0, now, now), MCRPC_OK);
    }
    EXPECT(mcrpc_admission_init(memory, LEN, &config, 1, &handle), MCRPC_OK);

    /* A key beyond the last one, a deadline before the clock, times that run backwards: decided, not crashed. */
    request.key = UINT32_MAX;
    EXPECT(mcrpc_admit(&handle, 0, &request, UINT64_MAX - 1), MCRPC_OK);
    EXPECT(mcrpc_dequeued(&handle, 0, UINT64_MAX, MCRPC_NO_DEADLINE, 0), MCRPC_OK);
    EXPECT(mcrpc_done(&handle, 0, UINT64_MAX, 0), MCRPC_OK);
    request.deadline_ns = 5;
    EXPECT(mcrpc_admit(&handle, 0, &request, 6), MCRPC_EXPIRED_ON_ARRIVAL);
    EXPECT(mcrpc_admission_queue_snapshot(&handle, 0, &one), MCRPC_OK);
    EXPECT(one.queued == 0 && one.running == 0 && one.completed == 1 && one.struct_size == sizeof one, 1);
    EXPECT(one.refused[6], 1);
}

/* A snapshot struct is filled up to its size and not beyond; what a newer program asks for and this library does not know is
 * zeroed. */
static void snapshots_respect_their_size(void) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_admission_t handle;
    EXPECT(mcrpc_admission_init(memory, LEN, &config, 1, &handle), MCRPC_OK);
    struct {
        mcrpc_admission_snapshot_t snapshot;
        unsigned char canary[64];
    } guarded;
    memset(&guarded, CANARY, sizeof guarded);
    guarded.snapshot.struct_size = sizeof guarded.snapshot;
    EXPECT(mcrpc_admission_snapshot(&handle, &guarded.snapshot), MCRPC_OK);
    EXPECT(guarded.snapshot.queue_count, 1);
    EXPECT(guarded.snapshot.cursor, MCRPC_CURSOR_OPEN);
    for (size_t n = 0; n < sizeof guarded.canary; n++) {
        EXPECT(guarded.canary[n], CANARY);
    }
    guarded.snapshot.struct_size = sizeof guarded.snapshot + 8;
    EXPECT(mcrpc_admission_snapshot(&handle, &guarded.snapshot), MCRPC_OK);
    for (size_t n = 0; n < sizeof guarded.canary; n++) {
        EXPECT(guarded.canary[n], n < 8 ? 0 : CANARY);
    }
}

static _Alignas(64) unsigned char host_memory[4 << 20];
static mcrpc_host_t host;

static void hosts(void) {
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    char path[300];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = 0;
    EXPECT(mcrpc_host_tick(&host, 1), MCRPC_NOT_INITIALISED);
    EXPECT(mcrpc_host_open(NULL, NULL, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_open(NULL, NULL, 1, odd(&host)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_host_open(path, NULL, 1, &host), MCRPC_INVALID_ARGUMENT);
    config.max_age_ms = 999;
    EXPECT(mcrpc_host_open(NULL, &config, 1, &host), MCRPC_INVALID_ARGUMENT);
    config.max_age_ms = 5000;
    config.reserved = 1;
    EXPECT(mcrpc_host_open(NULL, &config, 1, &host), MCRPC_INVALID_ARGUMENT);
    config.reserved = 0;
    config.struct_size = 8;
    EXPECT(mcrpc_host_open(NULL, &config, 1, &host), MCRPC_BAD_STRUCT_SIZE);
    EXPECT(mcrpc_host_tick(&host, 1), MCRPC_NOT_INITIALISED);

    /* The root directory does not belong to this user, so nothing in it is believed. */
    mcrpc_segment_status_t status = {0};
    status.struct_size = sizeof status;
    config.struct_size = sizeof config;
    config.owner_uid = 4000000;
    EXPECT(mcrpc_host_open("/", &config, 1, &host), MCRPC_OK);
    EXPECT(mcrpc_host_segment_status(&host, MCRPC_SEGMENT_STAT, &status), MCRPC_OK);
    EXPECT(status.status, MCRPC_SEGMENT_WRONG_OWNER);
    EXPECT(mcrpc_host_close(&host), MCRPC_OK);
    EXPECT(mcrpc_host_close(&host), MCRPC_NOT_INITIALISED);

    size_t len;
    config.owner_uid = MCRPC_ANY_OWNER;
    EXPECT(mcrpc_host_memory_size(&config, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_memory_size(&config, &len), MCRPC_OK);
    EXPECT(len <= sizeof host_memory, 1);
    const struct {
        uint32_t seats, counters, buckets, cells;
    } wrong[] = {{0, 1, 1, 16},    {4097, 1, 1, 16}, {1, 0, 1, 16},       {1, 65537, 1, 16},
                 {1, 1, 0, 16},    {1, 1, UINT32_MAX, 16}, {1, 1, 1, 8},   {1, 1, 1, 17},
                 {1, 1, 1, 131072}};
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        mcrpc_host_config_t bad = config;
        bad.seats = wrong[n].seats;
        bad.counters = wrong[n].counters;
        bad.buckets = wrong[n].buckets;
        bad.trace_cells = wrong[n].cells;
        EXPECT(mcrpc_host_memory_size(&bad, &len), MCRPC_INVALID_ARGUMENT);
    }
    EXPECT(mcrpc_host_create(NULL, len, &config, 1, &host), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_create(host_memory + 8, len, &config, 1, &host), MCRPC_MISALIGNED);
    EXPECT(mcrpc_host_create(host_memory, len - 1, &config, 1, &host), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_host_create(host_memory, SIZE_MAX, &config, 1, &host), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_host_create(host_memory, len, &config, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_create(host_memory, len, &config, 1, &host), MCRPC_OK);

    status.struct_size = 0;
    EXPECT(mcrpc_host_segment_status(&host, MCRPC_SEGMENT_STAT, &status), MCRPC_BAD_STRUCT_SIZE);
    status.struct_size = sizeof status;
    EXPECT(mcrpc_host_segment_status(&host, 5, &status), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_host_segment_status(&host, MCRPC_SEGMENT_STAT, NULL), MCRPC_NULL_ARGUMENT);
    const int32_t of_segments[] = {[MCRPC_SEGMENT_STRATEGY] = MCRPC_NO_POLICY,
                                   [MCRPC_SEGMENT_CONTROL] = MCRPC_NO_POLICY,
                                   [MCRPC_SEGMENT_FAIL] = MCRPC_OK,
                                   [MCRPC_SEGMENT_STAT] = MCRPC_OK,
                                   [MCRPC_SEGMENT_TRACE] = MCRPC_OK,
                                   [5] = MCRPC_INVALID_ARGUMENT,
                                   [MCRPC_SEGMENT_LOG] = MCRPC_NO_POLICY};
    for (uint32_t n = 0; n < sizeof of_segments / sizeof *of_segments; n++) {
        if (of_segments[n] != MCRPC_INVALID_ARGUMENT) {
            EXPECT(mcrpc_host_segment_status(&host, n, &status), MCRPC_OK);
            EXPECT(status.status, of_segments[n]);
        }
    }
}

static void questions_to_a_host(void) {
    mcrpc_endpoint_t endpoint;
    const uint8_t address[4] = {10, 0, 0, 1};
    EXPECT(mcrpc_endpoint_v4(NULL, 1, 0, &endpoint), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoint_v4(address, 1, 0, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_endpoint_v4(address, 1, 0, &endpoint), MCRPC_OK);
    EXPECT(mcrpc_strategy(NULL, &endpoint, 1).status, MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_strategy(NULL, &endpoint, 1).pass_rate_per_10k, 10000);
    EXPECT(mcrpc_strategy(&host, NULL, 1).status, MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_strategy(&host, odd(&endpoint), 1).status, MCRPC_MISALIGNED);
    EXPECT(mcrpc_host_mode(NULL, MCRPC_MECHANISM_SKIP, 1, MCRPC_MODE_OBSERVE), MCRPC_MODE_OBSERVE);
    EXPECT(mcrpc_host_mode(&host, 99, 1, MCRPC_MODE_ENFORCE), MCRPC_MODE_ENFORCE);
    EXPECT(mcrpc_host_mode(&host, MCRPC_MECHANISM_SKIP, 1, 99), MCRPC_MODE_OFF);
    EXPECT(mcrpc_host_killed(NULL), 0);
    EXPECT(mcrpc_host_salt(NULL, 9), 9);
    EXPECT(mcrpc_host_salt(&host, 9), 9);
    EXPECT(mcrpc_host_dyed(NULL, 1, 1), 0);
    EXPECT(mcrpc_shield_check(NULL, &endpoint, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_shield_check(&host, NULL, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_skip_check(NULL, 1, 1, 1), MCRPC_NULL_ARGUMENT);

    uint64_t number = CANARY;
    EXPECT(mcrpc_counter_open(NULL, 1, 1, MCRPC_COUNTER_SUM, &number), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_counter_open(&host, 1, 1, MCRPC_COUNTER_SUM, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_counter_open(&host, 1, 1, 2, &number), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_counter_open(&host, 0, 0, MCRPC_COUNTER_SUM, &number), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_counter_open(&host, UINT32_MAX, 0, MCRPC_COUNTER_SUM, &number), MCRPC_INVALID_ARGUMENT);
    EXPECT(number, CANARY);
    EXPECT(mcrpc_counter_open(&host, 1, 1, MCRPC_COUNTER_SUM, &number), MCRPC_OK);
    EXPECT(mcrpc_counter_add(&host, number, 1), MCRPC_OK);
    EXPECT(mcrpc_counter_add(&host, ~number, 1), MCRPC_STALE_ID);
    EXPECT(mcrpc_counter_add(&host, number | UINT32_MAX, 1), MCRPC_OK);
    EXPECT(mcrpc_counter_max(&host, ~number, 1, 1), MCRPC_STALE_ID);
    EXPECT(mcrpc_count(NULL, 1, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_count(&host, UINT32_MAX, 1, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_set_max(NULL, 1, 1, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_set_max(&host, 1, 1, UINT64_MAX, UINT64_MAX), MCRPC_OK);

    mcrpc_leak_t leak = MCRPC_LEAK_INIT;
    EXPECT(mcrpc_bucket_open(NULL, &endpoint, &number), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_bucket_open(&host, NULL, &number), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_bucket_open(&host, &endpoint, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_bucket_open(&host, &endpoint, &number), MCRPC_OK);
    EXPECT(mcrpc_bucket_pour(&host, number, NULL, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_bucket_pour(&host, number, odd(&leak), 1), MCRPC_MISALIGNED);
    EXPECT(mcrpc_bucket_pour(&host, ~number, &leak, 1), MCRPC_STALE_ID);
    EXPECT(mcrpc_bucket_pour(&host, number | UINT32_MAX, &leak, 1), MCRPC_STALE_ID);
    EXPECT(mcrpc_bucket_check(&host, ~number, &leak, 1, 1), MCRPC_OK);
    EXPECT(mcrpc_bucket_check(&host, number, NULL, 1, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_bucket_empty(&host, ~number), MCRPC_STALE_ID);
    mcrpc_leak_t wrong = leak;
    wrong.drain_ns = 0;
    EXPECT(mcrpc_bucket_pour(&host, number, &wrong, 1), MCRPC_INVALID_ARGUMENT);
    wrong.drain_ns = wrong.capacity_ns + 1;
    EXPECT(mcrpc_bucket_pour(&host, number, &wrong, 1), MCRPC_INVALID_ARGUMENT);
    leak.drain_ns = leak.capacity_ns = UINT64_C(86400000000000);
    leak.limit_ns = leak.drain_ns;
    for (int n = 0; n < 3; n++) {
        EXPECT(mcrpc_bucket_pour(&host, number, &leak, UINT64_MAX), MCRPC_OK);
        EXPECT(mcrpc_bucket_check(&host, number, &leak, 1, UINT64_MAX), MCRPC_OK);
    }
    EXPECT(mcrpc_bucket_empty(&host, number), MCRPC_OK);

    EXPECT(mcrpc_trace(&host, 0, address, 4, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_trace(&host, 1, NULL, 4, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_trace(&host, 1, NULL, 0, 1), MCRPC_OK);
    EXPECT(mcrpc_trace(&host, 1, address, SIZE_MAX, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_trace(&host, 1, host_memory, 100000, 1), MCRPC_OK);

    mcrpc_log_line_t line = MCRPC_LOG_LINE_INIT;
    EXPECT(mcrpc_log(NULL, &line, NULL, "x", 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_log(&host, NULL, NULL, "x", 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_log(&host, &line, NULL, NULL, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_log(&host, &line, NULL, "x", SIZE_MAX), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_log(&host, &line, NULL, NULL, 0), MCRPC_NO_POLICY);
    const uint32_t levels[] = {0, MCRPC_LOG_TRACE + 1, UINT32_MAX};
    for (size_t n = 0; n < sizeof levels / sizeof *levels; n++) {
        line.level = levels[n];
        EXPECT(mcrpc_log(&host, &line, NULL, "x", 1), MCRPC_INVALID_ARGUMENT);
    }
    line.level = MCRPC_LOG_ERROR;
    line.struct_size = 8;
    EXPECT(mcrpc_log(&host, &line, NULL, "x", 1), MCRPC_BAD_STRUCT_SIZE);
    line.struct_size = sizeof line;
    const mcrpc_context_t zeroed = {0};
    EXPECT(mcrpc_log(&host, &line, &zeroed, "x", 1), MCRPC_BAD_STRUCT_SIZE);

    mcrpc_admission_t admission = {0};
    EXPECT(mcrpc_host_cpu(NULL, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_cpu(&host, 1, NULL), MCRPC_NO_POLICY);
    EXPECT(mcrpc_host_report_queue(&host, NULL, 0, 1), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_report_queue(&host, &admission, 0, 1), MCRPC_NOT_INITIALISED);
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    EXPECT(mcrpc_admission_init(memory, sizeof memory, &config, 1, &admission), MCRPC_OK);
    EXPECT(mcrpc_host_report_queue(&host, &admission, 1, 1), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_host_report_queue(&host, &admission, 0, 1), MCRPC_OK);
    EXPECT(mcrpc_host_close(NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_host_close(&host), MCRPC_OK);
    EXPECT(mcrpc_host_close(&host), MCRPC_NOT_INITIALISED);
    EXPECT(mcrpc_count(&host, 1, 1, 1), MCRPC_NOT_INITIALISED);
}

int main(void) {
    versions_and_statuses();
    headers();
    settings();
    calls();
    snapshots_respect_their_size();
    hosts();
    questions_to_a_host();
    return 0;
}
