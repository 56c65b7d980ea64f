/* What the hot calls work on: see hot_calls.h. */
#define _GNU_SOURCE
#include "hot_calls.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static mcrpc_admission_t admission;
static mcrpc_endpoints_t endpoints;
static mcrpc_host_t host;

static const mcrpc_context_t process_context = MCRPC_CONTEXT_INIT;
static const uint8_t method[] = "pkg.Service.Method";

static mcrpc_bytes_t bytes_of(const char *text) {
    return (mcrpc_bytes_t){(const uint8_t *)text, strlen(text)};
}

static void *shared_memory(size_t len) {
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static void open_admission(void) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.queue_count = QUEUES;
    config.workers_per_queue = 8;
    size_t len;
    CHECK(mcrpc_admission_memory_size(&config, &len) == MCRPC_OK);
    CHECK(mcrpc_admission_init(shared_memory(len), len, &config, MS, &admission) == MCRPC_OK);
}

static void open_endpoints(void) {
    mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
    config.capacity = ENDPOINTS;
    mcrpc_endpoint_spec_t specs[ENDPOINTS];
    memset(specs, 0, sizeof specs);
    for (uint8_t n = 0; n < ENDPOINTS; n++) {
        const uint8_t address[4] = {10, 0, 1, (uint8_t)(n + 1)};
        CHECK(mcrpc_endpoint_v4(address, 1, SERVICE, &specs[n].endpoint) == MCRPC_OK);
        specs[n].weight = 100;
    }
    size_t len;
    CHECK(mcrpc_endpoints_memory_size(&config, &len) == MCRPC_OK);
    CHECK(mcrpc_endpoints_init(shared_memory(len), len, &config, &endpoints) == MCRPC_OK);
    CHECK(mcrpc_endpoints_replace(&endpoints, &host, specs, ENDPOINTS, NULL, 0) == MCRPC_OK);
}

/* log.v1 as docs/shared-memory.md lays it out. */
enum { GEOMETRY = 4, RINGS = 512 + 8 + 2 * (8 + 8 * 4097), RING_HEAD = 24, TAIL = 16 };
static _Atomic uint64_t *log_words;

static void open_log(const char *directory) {
    char path[512];
    CHECK(snprintf(path, sizeof path, "%s/log.v1", directory) < (int)sizeof path);
    int file = open(path, O_RDWR);
    CHECK(file >= 0);
    off_t len = lseek(file, 0, SEEK_END);
    log_words = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(log_words != MAP_FAILED && close(file) == 0);
}

void empty_logs(void) {
    const uint64_t geometry = log_words[GEOMETRY];
    const size_t ring_len = RING_HEAD + (uint32_t)geometry * 8;
    for (size_t seat = 0; seat <= geometry >> 32; seat++) {
        _Atomic uint64_t *ring = log_words + RINGS + seat * ring_len;
        atomic_store(&ring[TAIL], atomic_load(&ring[0]));
    }
}

static const mcrpc_context_t *lookup(void) {
    return &process_context;
}

void open_shared(const char *directory) {
    mcrpc_context_set_lookup(lookup);
    /* Nobody refreshes the strategies while a program is being measured. */
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    config.max_age_ms = 3600000;
    CHECK(mcrpc_host_open(directory, &config, MS, &host) == MCRPC_OK);
    open_log(directory);
    open_admission();
    open_endpoints();
}

const mcrpc_context_t *current_context(void) {
    return &process_context;
}

/* A request with trace, names, ticket and cookie, in a frame with checksum. */
static void fill_frame(struct world *world) {
    mcrpc_header_t header = {0};
    header.kind = MCRPC_KIND_REQUEST;
    header.flags = MCRPC_FLAG_CRC_TRAILER | MCRPC_FLAG_SAMPLED;
    header.uin = 4711;
    header.priority = 3;
    header.budget_ms = 500;
    header.method_id = mcrpc_method_id(method, sizeof method - 1);
    mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
    memset(metadata.trace_id, 7, sizeof metadata.trace_id);
    memset(metadata.span_id, 8, sizeof metadata.span_id);
    metadata.origin_budget_ms = 800;
    metadata.call_graph_id = 9;
    metadata.caller = bytes_of("pkg.Caller");
    metadata.ticket = bytes_of("ticket");
    metadata.cookie = bytes_of("cookie");
    size_t len;
    CHECK(mcrpc_head_write(&header, &metadata, PAYLOAD, world->frame, BYTES, &len) == MCRPC_OK);
    memset(world->frame + len, 'p', PAYLOAD);
    len += PAYLOAD;
    uint32_t sum = mcrpc_checksum(0, world->frame, len);
    for (int n = 0; n < 4; n++) {
        world->frame[len++] = (uint8_t)(sum >> (8 * n));
    }
    world->frame_len = len;
}

/* The same for a brpc server. */
static void fill_baidu_frame(struct world *world) {
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    meta.present = MCRPC_BAIDU_REQUEST | MCRPC_BAIDU_RESPONSE | MCRPC_BAIDU_CORRELATION_ID | MCRPC_BAIDU_TIMEOUT_MS |
                   MCRPC_BAIDU_TRACE_ID | MCRPC_BAIDU_SPAN_ID;
    meta.service_name = bytes_of("pkg.Service");
    meta.method_name = bytes_of("Method");
    meta.correlation_id = 12345;
    meta.timeout_ms = 500;
    meta.trace_id = 77;
    meta.span_id = 88;
    world->origin.uin = 4711;
    world->origin.priority = 3;
    size_t len;
    CHECK(mcrpc_baidu_write_request(&meta, &world->origin, NULL, 0, PAYLOAD, world->baidu_frame, BYTES - PAYLOAD, &len) ==
          MCRPC_OK);
    memset(world->baidu_frame + len, 'p', PAYLOAD);
    world->baidu_len = len + PAYLOAD;
}

void fill_world(struct world *world, uint32_t queue) {
    static const mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    static const mcrpc_metadata_t no_metadata = MCRPC_METADATA_INIT;
    static const mcrpc_context_t no_context = MCRPC_CONTEXT_INIT;
    static const mcrpc_baidu_meta_t no_meta = MCRPC_BAIDU_META_INIT;
    static const mcrpc_log_line_t info = MCRPC_LOG_LINE_INIT;
    memset(world, 0, sizeof *world);
    world->log_line = info;
    world->log_line.now_ns = 2 * MS;
    world->admission = admission;
    world->endpoints = endpoints;
    world->host = &host;
    world->queue = queue;
    world->now = 2 * MS;
    world->limits = limits;
    world->limits.max_open_calls = 2;
    world->metadata = world->out_metadata = no_metadata;
    world->context = world->out_context = no_context;
    world->baidu = world->out_baidu = no_meta;

    fill_frame(world);
    size_t len;
    CHECK(mcrpc_frame_parse(world->frame, world->frame_len, NULL, &world->header, &world->metadata, &world->payload, &len) ==
          MCRPC_OK);
    CHECK(mcrpc_context_read(&world->header, &world->metadata, world->now, &world->context) == MCRPC_OK);
    CHECK(mcrpc_context_encode(&world->context, world->now, world->encoded, BYTES, &world->encoded_len) == MCRPC_OK);
    CHECK(mcrpc_request_from_header(&world->header, 7, 1, world->now, &world->request) == MCRPC_OK);
    world->out_header = world->header;
    CHECK(mcrpc_frame_init(&world->limits, &world->first_decoder) == MCRPC_OK);
    world->open_decoder = world->first_decoder;
    CHECK(mcrpc_frame_next(&world->open_decoder, world->frame, world->frame_len, &len, &world->event) == MCRPC_OK);

    fill_baidu_frame(world);
    CHECK(mcrpc_baidu_parse(world->baidu_frame, world->baidu_len, MCRPC_BAIDU_MAX_BODY_LEN, MCRPC_BAIDU_MAX_META_LEN,
                            &world->baidu, &world->payload, &world->attachment) == MCRPC_OK);
    world->out_baidu = world->baidu;

    const uint8_t address[4] = {10, 0, 0, 1};
    CHECK(mcrpc_endpoint_v4(address, 1, SERVICE, &world->endpoint) == MCRPC_OK);
    CHECK(mcrpc_bucket_open(&host, &world->endpoint, &world->bucket) == MCRPC_OK);
    CHECK(mcrpc_counter_open(&host, 1, 1, MCRPC_COUNTER_SUM, &world->counter) == MCRPC_OK);
    CHECK(mcrpc_counter_open(&host, 1, 2, MCRPC_COUNTER_MAX, &world->maximum) == MCRPC_OK);
    world->call.uin = 4711;
    world->call.call_id = 1;
    world->call.deadline_ns = MCRPC_NO_DEADLINE;
    world->call.key = world->request.key;
    world->call.service_id = SERVICE;
    world->call.method_id = world->header.method_id;
    mcrpc_call_t call = world->call;
    CHECK(mcrpc_select(&endpoints, &host, &call, MCRPC_ATTEMPT_NEXT, world->now, &world->choice) == MCRPC_OK);
}
