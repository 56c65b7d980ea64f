/* A program that was compiled against a header of a later version than the library: in it every struct that begins with its size has
   two more words, `made_up`. What the program leaves 0 there works; what it sets is refused; what it asks for is 0. */
#include "newer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(call, wanted) \
    do { \
        long long got_ = (long long)(call), wanted_ = (long long)(wanted); \
        if (got_ != wanted_) { \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #call, got_, wanted_); \
            exit(1); \
        } \
    } while (0)

/* A struct that is read, with the field 0 and not 0. */
#define READ(it, call) \
    do { \
        EXPECT(call, MCRPC_OK); \
        (it).made_up[1] = 1; \
        EXPECT(call, MCRPC_BAD_STRUCT_SIZE); \
    } while (0)

/* A struct that is written. */
#define WRITTEN(it, call) \
    do { \
        (it).made_up[0] = (it).made_up[1] = 1; \
        EXPECT(call, MCRPC_OK); \
        EXPECT((it).made_up[0] + (it).made_up[1], 0); \
        EXPECT((it).struct_size, sizeof(it)); \
    } while (0)

static _Alignas(64) uint8_t admission_memory[1 << 18], endpoints_memory[1 << 20], host_memory[1 << 22];

static void wire(void) {
    mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
    mcrpc_context_t context = MCRPC_CONTEXT_INIT;
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    mcrpc_header_t header = {.kind = MCRPC_KIND_REQUEST, .budget_ms = 1}, got;
    mcrpc_request_t request;
    mcrpc_bytes_t payload, attachment;
    uint8_t frame[256];
    size_t len;
    WRITTEN(metadata, mcrpc_metadata_parse(NULL, 0, NULL, &metadata));
    READ(metadata, mcrpc_head_write(&header, &metadata, 0, frame, sizeof frame, &len));
    READ(limits, mcrpc_header_parse(frame, len, &limits, &got));
    WRITTEN(context, mcrpc_context_read(&header, NULL, 1, &context));
    READ(context, mcrpc_request_from_context(&context, 1, 1, &request));
    meta.present = MCRPC_BAIDU_REQUEST;
    READ(meta, mcrpc_baidu_write_request(&meta, NULL, NULL, 0, 0, frame, sizeof frame, &len));
    WRITTEN(meta, mcrpc_baidu_parse(frame, len, 1000, 1000, &meta, &payload, &attachment));
}

int main(void) {
    mcrpc_admission_config_t admission_config = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_host_config_t host_config = MCRPC_HOST_CONFIG_INIT;
    mcrpc_endpoints_config_t endpoints_config = MCRPC_ENDPOINTS_CONFIG_INIT;
    mcrpc_admission_snapshot_t all = {.struct_size = sizeof all};
    mcrpc_queue_snapshot_t one = {.struct_size = sizeof one};
    mcrpc_tenant_snapshot_t tenant = {.struct_size = sizeof tenant};
    mcrpc_segment_status_t status = {.struct_size = sizeof status};
    mcrpc_endpoints_snapshot_t set_of_them = {.struct_size = sizeof set_of_them};
    mcrpc_health_t health = {.struct_size = sizeof health};
    const mcrpc_endpoint_spec_t spec = {.weight = 100};
    static mcrpc_host_t host;
    mcrpc_admission_t admission;
    mcrpc_endpoints_t set;
    READ(admission_config, mcrpc_admission_init(admission_memory, sizeof admission_memory, &admission_config, 1, &admission));
    READ(host_config, mcrpc_host_create(host_memory, sizeof host_memory, &host_config, 1, &host));
    READ(endpoints_config, mcrpc_endpoints_init(endpoints_memory, sizeof endpoints_memory, &endpoints_config, &set));
    EXPECT(mcrpc_endpoints_replace(&set, NULL, &spec, 1, NULL, 0), MCRPC_OK);
    WRITTEN(all, mcrpc_admission_snapshot(&admission, &all));
    WRITTEN(one, mcrpc_admission_queue_snapshot(&admission, 0, &one));
    WRITTEN(tenant, mcrpc_admission_tenant_snapshot(&admission, 1, &tenant));
    WRITTEN(status, mcrpc_host_segment_status(&host, MCRPC_SEGMENT_STAT, &status));
    WRITTEN(set_of_them, mcrpc_endpoints_snapshot(&set, &set_of_them));
    WRITTEN(health, mcrpc_endpoints_health(&set, NULL, 0, 1, &health));
    wire();
    return 0;
}
