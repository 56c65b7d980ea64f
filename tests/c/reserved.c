/* Given a struct that a program fills in, when one byte of what is reserved is not 0, then the call is refused: a newer program
   meant something by it that this library does not know. */
#include "expect.h"

static mcrpc_admission_t admission;
static mcrpc_endpoints_t endpoints;
static mcrpc_host_t host;

static int32_t use_header(void *it) {
    uint8_t out[MCRPC_HEADER_LEN];
    return mcrpc_header_emit(it, out, sizeof out);
}

static int32_t use_metadata(void *it) {
    const mcrpc_header_t header = {.kind = MCRPC_KIND_RESPONSE};
    uint8_t out[256];
    size_t wanted;
    return mcrpc_head_write(&header, it, 0, out, sizeof out, &wanted);
}

static int32_t use_context(void *it) {
    mcrpc_request_t request;
    return mcrpc_request_from_context(it, 1, 1, &request);
}

static int32_t use_meta(void *it) {
    uint8_t out[256];
    size_t wanted;
    return mcrpc_baidu_write_response(it, NULL, 0, 0, out, sizeof out, &wanted);
}

static int32_t use_origin(void *it) {
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    uint8_t out[256];
    size_t wanted;
    meta.present = MCRPC_BAIDU_REQUEST;
    return mcrpc_baidu_write_request(&meta, it, NULL, 0, 0, out, sizeof out, &wanted);
}

static int32_t use_request(void *it) {
    int32_t status = mcrpc_admit(&admission, 0, it, 1);
    if (status == MCRPC_OK) {
        EXPECT(mcrpc_abandoned(&admission, 0), MCRPC_OK);
    }
    return status;
}

static int32_t use_host_config(void *it) {
    static mcrpc_host_t unused;
    return mcrpc_host_open(NULL, it, 1, &unused);
}

static int32_t open_bucket(void *it) {
    uint64_t bucket;
    return mcrpc_bucket_open(&host, it, &bucket);
}

static int32_t check_shield(void *it) {
    return mcrpc_shield_check(&host, it, 1, 1);
}

static int32_t ask_strategy(void *it) {
    int32_t status = mcrpc_strategy(&host, it, 1).status;
    return status == MCRPC_NO_POLICY ? MCRPC_OK : status;
}

static int32_t log_text(void *it) {
    int32_t status = mcrpc_log(&host, it, NULL, "x", 1);
    return status == MCRPC_NO_POLICY ? MCRPC_OK : status;
}

static int32_t use_spec(void *it) {
    return mcrpc_endpoints_replace(&endpoints, NULL, it, 1, NULL, 0);
}

static int32_t use_rule(void *it) {
    const mcrpc_endpoint_spec_t spec = {.weight = 100};
    return mcrpc_endpoints_replace(&endpoints, NULL, &spec, 1, it, 1);
}

static int32_t use_call(void *it) {
    mcrpc_choice_t choice;
    return mcrpc_select(&endpoints, NULL, it, MCRPC_ATTEMPT_NEXT, 1, &choice);
}

static const mcrpc_header_t header = {.kind = MCRPC_KIND_RESPONSE};
static const mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
static const mcrpc_context_t context = MCRPC_CONTEXT_INIT;
static const mcrpc_request_t request = MCRPC_REQUEST_INIT;
static const mcrpc_host_config_t host_config = MCRPC_HOST_CONFIG_INIT;
static const mcrpc_log_line_t log_line = MCRPC_LOG_LINE_INIT;
static mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
static const mcrpc_baidu_origin_t origin;
static const mcrpc_endpoint_t endpoint;
static const mcrpc_endpoint_spec_t spec = {.weight = 100};
static const mcrpc_group_rule_t rule;
static const mcrpc_call_t call;

static const struct {
    const char *name;
    int32_t (*use)(void *);
    const void *init;
    size_t len, at, reserved_len;
} cases[] = {
#define CASE(use, init, type, field) {#type "." #field, use, &init, sizeof init, offsetof(type, field), sizeof init.field}
    CASE(use_header, header, mcrpc_header_t, reserved),
    CASE(use_metadata, metadata, mcrpc_metadata_t, reserved),
    CASE(use_context, context, mcrpc_context_t, reserved),
    CASE(use_meta, meta, mcrpc_baidu_meta_t, reserved),
    CASE(use_meta, meta, mcrpc_baidu_meta_t, reserved_too),
    CASE(use_origin, origin, mcrpc_baidu_origin_t, reserved),
    CASE(use_request, request, mcrpc_request_t, reserved),
    CASE(use_host_config, host_config, mcrpc_host_config_t, reserved),
    CASE(open_bucket, endpoint, mcrpc_endpoint_t, reserved),
    CASE(check_shield, endpoint, mcrpc_endpoint_t, reserved),
    CASE(ask_strategy, endpoint, mcrpc_endpoint_t, reserved),
    CASE(log_text, log_line, mcrpc_log_line_t, reserved),
    CASE(use_spec, spec, mcrpc_endpoint_spec_t, endpoint.reserved),
    CASE(use_spec, spec, mcrpc_endpoint_spec_t, reserved),
    CASE(use_rule, rule, mcrpc_group_rule_t, reserved),
    CASE(use_rule, rule, mcrpc_group_rule_t, reserved_too),
    CASE(use_call, call, mcrpc_call_t, reserved),
    CASE(use_call, call, mcrpc_call_t, reserved_too),
};

static void expect(int32_t status, int32_t wanted, const char *name, size_t byte) {
    if (status != wanted) {
        fprintf(stderr, "%s, byte %zu: %s, not %s\n", name, byte, mcrpc_status_name(status), mcrpc_status_name(wanted));
        exit(1);
    }
}

/* Flags that this version does not know are reserved too. */
static void flags(void) {
    for (uint32_t flag = 1; flag < 1 << MCRPC_REQUEST_TENANT_SHIFT; flag <<= 1) {
        mcrpc_request_t with = request;
        with.flags = flag;
        const int is_known = flag == MCRPC_REQUEST_RETRY || flag == MCRPC_REQUEST_CONTINUES_TASK;
        EXPECT(use_request(&with), is_known ? MCRPC_OK : MCRPC_INVALID_ARGUMENT);
    }
}

int main(void) {
    static _Alignas(64) uint8_t admission_memory[200000], endpoints_memory[400000], host_memory[4000000];
    const mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    EXPECT(mcrpc_admission_init(admission_memory, sizeof admission_memory, &config, 1, &admission), MCRPC_OK);
    EXPECT(mcrpc_endpoints_init(endpoints_memory, sizeof endpoints_memory, NULL, &endpoints), MCRPC_OK);
    EXPECT(mcrpc_host_create(host_memory, sizeof host_memory, NULL, 1, &host), MCRPC_OK);
    meta.present = MCRPC_BAIDU_RESPONSE;
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        _Alignas(8) uint8_t it[512];
        memcpy(it, cases[n].init, cases[n].len);
        expect(cases[n].use(it), MCRPC_OK, cases[n].name, 0);
        for (size_t byte = 0; byte < cases[n].reserved_len; byte++) {
            memcpy(it, cases[n].init, cases[n].len);
            it[cases[n].at + byte] = 0x80;
            expect(cases[n].use(it), MCRPC_INVALID_ARGUMENT, cases[n].name, byte);
        }
    }
    flags();
    return 0;
}
