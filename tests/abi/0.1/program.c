/* A program that was compiled against the first version of the header, which lies beside it: it calls every function, and runs
   on every later library with the same soname. */
#include "mcrpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { MS = 1000000 };
static uint64_t now = 1000 * (uint64_t)MS;
static _Alignas(64) uint8_t admission_memory[1 << 18], endpoints_memory[1 << 20], host_memory[1 << 22];
static mcrpc_host_t host;

static mcrpc_bytes_t bytes_of(const char *text) {
    return (mcrpc_bytes_t){(const uint8_t *)text, strlen(text)};
}

static int are_equal(mcrpc_bytes_t a, mcrpc_bytes_t b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void versions_and_names(void) {
    CHECK(mcrpc_version() >= MCRPC_VERSION_NUMBER);
    CHECK(strchr(mcrpc_version_string(), '.') != NULL);
    CHECK(strcmp(mcrpc_status_name(MCRPC_BELOW_CURSOR), "below_cursor") == 0);
    CHECK(mcrpc_status_text(MCRPC_BELOW_CURSOR)[0] != '\0');
    CHECK(mcrpc_outcome_of(MCRPC_CONNECT_FAILED) == MCRPC_OUTCOME_FAILED);
    CHECK(mcrpc_outcome_is_retriable(MCRPC_OUTCOME_FAILED) == 1);
}

static const mcrpc_context_t *current;

static const mcrpc_context_t *find_current(void) {
    return current;
}

/* A request travels: from a context into a frame, out of it by both ways of reading, and on to the next service. */
static void frames_and_contexts(mcrpc_request_t *request) {
    static const uint8_t payload[3] = {1, 2, 3}, span_id[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    mcrpc_context_t context = MCRPC_CONTEXT_INIT, arrived = MCRPC_CONTEXT_INIT, onward = MCRPC_CONTEXT_INIT;
    mcrpc_metadata_t metadata = MCRPC_METADATA_INIT, read = MCRPC_METADATA_INIT;
    mcrpc_header_t header = {0}, got;
    uint8_t frame[512], tag[16], kept[256];
    size_t len, used, wanted, offset = 0;
    limits.max_open_calls = 2;

    context.uin = 42;
    context.deadline_ns = now + 500 * MS;
    context.priority = 3;
    context.business_id = 138;
    context.call_graph_id = 9;
    context.cookie = bytes_of("cookie");
    header.kind = MCRPC_KIND_REQUEST;
    header.flags = MCRPC_FLAG_CRC_TRAILER;
    header.call_id = 7;
    header.method_id = mcrpc_method_id((const uint8_t *)"pkg.Service.Method", 18);
    CHECK(mcrpc_tag_write(MCRPC_TAG_APPLICATION | 1, payload, 3, tag, sizeof tag, &wanted) == MCRPC_OK);
    metadata.caller = bytes_of("mmproxy");
    metadata.tags = (mcrpc_bytes_t){tag, wanted};
    CHECK(mcrpc_context_write(&context, now, &header, &metadata) == MCRPC_OK && header.budget_ms == 500);
    CHECK(mcrpc_head_write(&header, &metadata, sizeof payload, frame, sizeof frame, &len) == MCRPC_OK);
    memcpy(frame + len, payload, sizeof payload);
    len += sizeof payload;
    const uint32_t checksum = mcrpc_checksum(0, frame, len);
    for (int n = 0; n < 4; n++) {
        frame[len++] = (uint8_t)(checksum >> (8 * n));
    }

    mcrpc_bytes_t got_payload, value;
    uint8_t number;
    CHECK(mcrpc_sniff(frame, 4) == MCRPC_PROTOCOL_NATIVE);
    CHECK(mcrpc_header_parse(frame, len, &limits, &got) == MCRPC_OK && got.uin == 42 && got.priority == 3);
    CHECK(mcrpc_frame_wanted(frame, len, &limits, &wanted) == MCRPC_OK && wanted == len);
    CHECK(mcrpc_frame_parse(frame, len, &limits, &got, &read, &got_payload, &wanted) == MCRPC_OK && wanted == len);
    CHECK(are_equal(read.caller, metadata.caller) && are_equal(got_payload, (mcrpc_bytes_t){payload, 3}));
    CHECK(mcrpc_metadata_parse(frame + MCRPC_HEADER_LEN, got.metadata_len, &limits, &read) == MCRPC_OK);
    do {
        CHECK(mcrpc_tag_next(&read.tags, &offset, &number, &value) == MCRPC_OK);
    } while (number != 0 && number != (MCRPC_TAG_APPLICATION | 1));
    CHECK(are_equal(value, (mcrpc_bytes_t){payload, 3}));

    mcrpc_frame_decoder_t decoder;
    mcrpc_frame_event_t event;
    int seen = 0;
    CHECK(mcrpc_frame_init(&limits, &decoder) == MCRPC_OK);
    for (size_t at = 0; at < len; at += used) {
        CHECK(mcrpc_frame_next(&decoder, frame + at, len - at, &used, &event) == MCRPC_OK);
        seen |= 1 << event.kind;
    }
    CHECK(seen == (1 << MCRPC_EVENT_HEADER | 1 << MCRPC_EVENT_METADATA | 1 << MCRPC_EVENT_PAYLOAD | 1 << MCRPC_EVENT_CHECKED));
    CHECK(mcrpc_frame_answered(&decoder) == MCRPC_OK);

    CHECK(mcrpc_context_read(&got, &read, now, &arrived) == MCRPC_OK && arrived.uin == 42 && arrived.call_graph_id == 9);
    CHECK(mcrpc_context_onward(&arrived, span_id, &onward) == MCRPC_OK && memcmp(onward.span_id, span_id, 8) == 0);
    CHECK(mcrpc_context_encode(&arrived, now, kept, sizeof kept, &wanted) == MCRPC_OK);
    CHECK(mcrpc_context_decode(kept, wanted, &limits, now, &onward) == MCRPC_OK && are_equal(onward.cookie, context.cookie));
    mcrpc_context_set_lookup(find_current);
    current = &arrived;
    CHECK(mcrpc_context_current() == &arrived);
    CHECK(mcrpc_request_from_header(&got, 1, 2, now, request) == MCRPC_OK);
    CHECK(mcrpc_request_from_context(&arrived, 1, 2, request) == MCRPC_OK && request->deadline_ns == now + 500 * MS);
    CHECK(request->key == mcrpc_key(1, 2, 42, 3, 0));
    header.kind = MCRPC_KIND_PING;
    CHECK(mcrpc_header_emit(&header, frame, sizeof frame) == MCRPC_OK);
}

static void baidu_std(void) {
    static const uint8_t payload[4] = {1, 2, 3, 4};
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT, got = MCRPC_BAIDU_META_INIT;
    const mcrpc_baidu_origin_t origin = {42, 138, 3, {0}};
    const mcrpc_baidu_field_t field = {bytes_of("key"), bytes_of("value")};
    mcrpc_context_t context = MCRPC_CONTEXT_INIT, arrived = MCRPC_CONTEXT_INIT;
    mcrpc_bytes_t got_payload, attachment, value, rest;
    mcrpc_baidu_field_t pair;
    mcrpc_header_t header;
    uint8_t frame[256];
    size_t len, wanted;
    context.deadline_ns = now + 100 * MS;
    meta.present = MCRPC_BAIDU_REQUEST | MCRPC_BAIDU_CORRELATION_ID;
    meta.service_name = bytes_of("pkg.Service");
    meta.method_name = bytes_of("Method");
    meta.correlation_id = 7;
    mcrpc_baidu_origin_t from_context;
    CHECK(mcrpc_baidu_set_context(&context, now, &meta, &from_context) == MCRPC_OK && meta.timeout_ms == 100);
    CHECK(mcrpc_baidu_write_request(&meta, &origin, &field, 1, sizeof payload, frame, sizeof frame, &len) == MCRPC_OK);
    memcpy(frame + len, payload, sizeof payload);
    len += sizeof payload;
    CHECK(mcrpc_baidu_wanted(frame, len, 1000, 1000, &wanted) == MCRPC_OK && wanted == len);
    CHECK(mcrpc_baidu_parse(frame, len, 1000, 1000, &got, &got_payload, &attachment) == MCRPC_OK);
    CHECK(got.correlation_id == 7 && got.timeout_ms == 100 && are_equal(got_payload, (mcrpc_bytes_t){payload, 4}));
    CHECK(mcrpc_baidu_user_field(&got, (const uint8_t *)"key", 3, &value) == MCRPC_OK && are_equal(value, bytes_of("value")));
    rest = got.user_fields;
    CHECK(mcrpc_baidu_next_user_field(&rest, &pair) == MCRPC_OK && pair.key.len != 0);
    CHECK(mcrpc_baidu_to_header(&got, sizeof payload, &header) == MCRPC_OK && header.uin == 42);
    CHECK(header.method_id == mcrpc_method_id((const uint8_t *)"pkg.Service.Method", 18));
    CHECK(mcrpc_baidu_to_context(&got, now, &arrived) == MCRPC_OK && arrived.uin == 42 && arrived.business_id == 138);
    meta = (mcrpc_baidu_meta_t)MCRPC_BAIDU_META_INIT;
    meta.present = MCRPC_BAIDU_RESPONSE | MCRPC_BAIDU_ERROR_CODE;
    meta.error_code = mcrpc_baidu_error_of(MCRPC_BELOW_CURSOR);
    CHECK(meta.error_code == MCRPC_BAIDU_ELIMIT && mcrpc_baidu_status_of(meta.error_code) == MCRPC_QUEUE_FULL);
    CHECK(mcrpc_baidu_write_response(&meta, NULL, 0, 0, frame, sizeof frame, &len) == MCRPC_OK);
}

static void admission(const mcrpc_request_t *request) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_admission_t first, admission;
    mcrpc_admission_snapshot_t all = {.struct_size = sizeof all};
    mcrpc_queue_snapshot_t one = {.struct_size = sizeof one};
    mcrpc_tenant_snapshot_t tenant = {.struct_size = sizeof tenant};
    size_t len;
    config.workers_per_queue = 4;
    config.fair_share = 1;
    CHECK(mcrpc_admission_memory_size(&config, &len) == MCRPC_OK && len <= sizeof admission_memory);
    CHECK(mcrpc_admission_init(admission_memory, len, &config, now, &first) == MCRPC_OK);
    CHECK(mcrpc_admission_attach(admission_memory, len, &admission) == MCRPC_OK);
    CHECK(mcrpc_admission_set_tenant_weight(&admission, 5, 2) == MCRPC_OK);
    for (int n = 0; n < 10; n++) {
        mcrpc_request_t of_tenant = *request;
        of_tenant.flags |= 5u << MCRPC_REQUEST_TENANT_SHIFT;
        CHECK(mcrpc_admit(&admission, 0, &of_tenant, now) == MCRPC_OK);
        CHECK(mcrpc_dequeued(&admission, 0, now, request->deadline_ns, now + MS) == MCRPC_OK);
        CHECK(mcrpc_done(&admission, 0, now + MS, now + 2 * MS) == MCRPC_OK);
    }
    CHECK(mcrpc_admit(&admission, 0, request, now) == MCRPC_OK && mcrpc_abandoned(&admission, 0) == MCRPC_OK);
    CHECK(mcrpc_cursor(&admission, 0) == MCRPC_CURSOR_OPEN);
    CHECK(mcrpc_admission_withheld(&admission, 0, request->key, 1) == MCRPC_OK);
    CHECK(mcrpc_admission_set_cpu(&admission, 5000, now) == MCRPC_OK);
    CHECK(mcrpc_admission_set_enforced(&admission, 10000) == MCRPC_OK);
    CHECK(mcrpc_admission_set_mode(&admission, MCRPC_MODE_OBSERVE) == MCRPC_OK);
    CHECK(mcrpc_admission_snapshot(&admission, &all) == MCRPC_OK && all.mode == MCRPC_MODE_OBSERVE && all.queue_count == 1);
    CHECK(mcrpc_admission_follow(&admission, &host, MCRPC_MODE_ENFORCE) == MCRPC_OK);
    CHECK(mcrpc_admission_queue_snapshot(&admission, 0, &one) == MCRPC_OK && one.admitted == 11 && one.completed == 10);
    CHECK(mcrpc_admission_tenant_snapshot(&admission, 5, &tenant) == MCRPC_OK && tenant.admitted == 10);
    CHECK(mcrpc_refusal_status(0) < 0 && one.refused[0] == 0);
    CHECK(mcrpc_host_report_queue(&host, &admission, 0, now) == MCRPC_OK);
    CHECK(mcrpc_admission_queue_lost(&admission, 0) == MCRPC_OK);
}

static void open_host(void) {
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    mcrpc_segment_status_t status = {.struct_size = sizeof status};
    mcrpc_host_t nowhere;
    size_t len;
    memcpy(config.name, "first", 5);
    memset(&nowhere, 0, sizeof nowhere);
    CHECK(mcrpc_host_open("/nonexistent/mcrpc", &config, now, &nowhere) == MCRPC_OK);
    CHECK(mcrpc_host_close(&nowhere) == MCRPC_OK);
    CHECK(mcrpc_host_memory_size(&config, &len) == MCRPC_OK && len <= sizeof host_memory);
    CHECK(mcrpc_host_create(host_memory, len, &config, now, &host) == MCRPC_OK);
    CHECK(mcrpc_host_tick(&host, now) == MCRPC_OK);
    CHECK(mcrpc_host_segment_status(&host, MCRPC_SEGMENT_STAT, &status) == MCRPC_OK && status.status == MCRPC_OK);
}

static void questions(void) {
    static const uint8_t address[4] = {10, 0, 0, 1};
    mcrpc_endpoint_t endpoint;
    mcrpc_leak_t leak = MCRPC_LEAK_INIT;
    uint64_t counter, bucket, sampled_ns;
    CHECK(mcrpc_endpoint_v4(address, 80, 7, &endpoint) == MCRPC_OK);
    CHECK(mcrpc_strategy(&host, &endpoint, 42).pass_rate_per_10k == 10000);
    CHECK(mcrpc_host_mode(&host, MCRPC_MECHANISM_SHIELD, 42, MCRPC_MODE_OBSERVE) == MCRPC_MODE_OBSERVE);
    CHECK(mcrpc_host_killed(&host) == 0 && mcrpc_host_salt(&host, 9) == 9 && mcrpc_host_dyed(&host, 42, now) == 0);
    CHECK(mcrpc_shield_check(&host, &endpoint, 42, now) == MCRPC_OK);
    CHECK(mcrpc_skip_check(&host, 7, 1, 42) == MCRPC_OK);
    CHECK(mcrpc_host_cpu(&host, now, &sampled_ns) == MCRPC_NO_POLICY);
    CHECK(mcrpc_counter_open(&host, 1, 1, MCRPC_COUNTER_SUM, &counter) == MCRPC_OK);
    CHECK(mcrpc_counter_add(&host, counter, 1) == MCRPC_OK && mcrpc_count(&host, 1, 1, 1) == MCRPC_OK);
    CHECK(mcrpc_counter_open(&host, 1, 2, MCRPC_COUNTER_MAX, &counter) == MCRPC_OK);
    CHECK(mcrpc_counter_max(&host, counter, 5, now) == MCRPC_OK && mcrpc_set_max(&host, 1, 2, 6, now) == MCRPC_OK);
    CHECK(mcrpc_trace(&host, 1, address, sizeof address, now) == MCRPC_OK);
    CHECK(mcrpc_bucket_open(&host, &endpoint, &bucket) == MCRPC_OK);
    for (int n = 0; n < 11; n++) {
        CHECK(mcrpc_bucket_pour(&host, bucket, &leak, now) == MCRPC_OK);
    }
    CHECK(mcrpc_bucket_check(&host, bucket, &leak, 42, now) == MCRPC_BUCKET_FULL);
    CHECK(mcrpc_bucket_empty(&host, bucket) == MCRPC_OK);
    CHECK(mcrpc_bucket_check(&host, bucket, &leak, 42, now) == MCRPC_OK);
}

static void choosing(void) {
    mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
    mcrpc_endpoints_t set;
    mcrpc_endpoint_spec_t specs[2] = {{.weight = 100, .user_data = 1}, {.weight = 100, .user_data = 2}};
    const mcrpc_group_rule_t rule = {.group = 0, .share_per_10k = 10000, .last_uin = UINT64_MAX};
    mcrpc_call_t call = {.uin = 42, .call_id = 1, .deadline_ns = now + 500 * MS};
    mcrpc_choice_t choice;
    mcrpc_health_t health = {.struct_size = sizeof health};
    mcrpc_endpoints_snapshot_t snapshot = {.struct_size = sizeof snapshot};
    size_t len;
    config.ring_seed = 1;
    CHECK(mcrpc_endpoints_memory_size(&config, &len) == MCRPC_OK && len <= sizeof endpoints_memory);
    CHECK(mcrpc_endpoints_init(endpoints_memory, len, &config, &set) == MCRPC_OK);
    for (uint8_t n = 0; n < 2; n++) {
        const uint8_t address[4] = {10, 0, 1, n};
        CHECK(mcrpc_endpoint_v4(address, 80, 7, &specs[n].endpoint) == MCRPC_OK);
    }
    CHECK(mcrpc_endpoints_replace(&set, &host, specs, 2, &rule, 1) == MCRPC_OK);
    CHECK(mcrpc_select(&set, &host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK);
    const uint64_t first = choice.user_data;
    CHECK(mcrpc_heard(&set, &host, &choice, MCRPC_CURSOR_OPEN, 300, now) == MCRPC_OK);
    CHECK(mcrpc_report(&set, &host, &choice, MCRPC_OUTCOME_FAILED, MS, now) == MCRPC_OK);
    CHECK(mcrpc_select(&set, &host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK && choice.user_data == 3 - first);
    CHECK(mcrpc_report(&set, &host, &choice, MCRPC_OUTCOME_OK, MS, now) == MCRPC_OK);
    CHECK(mcrpc_endpoints_tick(&set, &host) == MCRPC_OK);
    CHECK(mcrpc_endpoints_health(&set, &host, (uint32_t)first - 1, now, &health) == MCRPC_OK && health.level > 0);
    CHECK(mcrpc_endpoints_snapshot(&set, &snapshot) == MCRPC_OK && snapshot.count == 2 && snapshot.decisions[8] == 1);
}

int main(void) {
    mcrpc_request_t request = MCRPC_REQUEST_INIT;
    versions_and_names();
    frames_and_contexts(&request);
    baidu_std();
    open_host();
    admission(&request);
    questions();
    choosing();
    CHECK(mcrpc_host_close(&host) == MCRPC_OK);
    return 0;
}
