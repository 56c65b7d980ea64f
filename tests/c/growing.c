/* Given structs that begin with their size, when a program passes one of any length, then the library reads and writes as
   much of it and not a byte more: the struct ends where memory ends that may be touched, and canaries lie around it. */
#define _GNU_SOURCE
#include "expect.h"

#include <sys/mman.h>

enum { PAGE = 4096, ROOM = 2 * PAGE, MAX_TAIL = 4096, GUARD = 64 };

static mcrpc_admission_t admission;
static mcrpc_endpoints_t endpoints;
static mcrpc_host_t host;
static uint8_t frame[MCRPC_HEADER_LEN];
static uint8_t baidu_frame[256];
static size_t baidu_len;

/* ---- one function for each struct, that takes it and does little else */

static int32_t read_limits(void *it) {
    mcrpc_header_t header;
    return mcrpc_header_parse(frame, sizeof frame, it, &header);
}

static int32_t read_metadata(void *it) {
    const mcrpc_header_t header = {.kind = MCRPC_KIND_RESPONSE};
    uint8_t out[256];
    size_t wanted;
    return mcrpc_head_write(&header, it, 0, out, sizeof out, &wanted);
}

static int32_t write_metadata(void *it) {
    return mcrpc_metadata_parse(NULL, 0, NULL, it);
}

static int32_t change_metadata(void *it) {
    const mcrpc_context_t context = MCRPC_CONTEXT_INIT;
    mcrpc_header_t header = {0};
    return mcrpc_context_write(&context, 1, &header, it);
}

static int32_t read_context(void *it) {
    mcrpc_request_t request;
    return mcrpc_request_from_context(it, 1, 1, &request);
}

static int32_t write_context(void *it) {
    const mcrpc_header_t header = {.kind = MCRPC_KIND_REQUEST, .uin = 1, .budget_ms = 1};
    return mcrpc_context_read(&header, NULL, 1, it);
}

static int32_t read_meta(void *it) {
    uint8_t out[256];
    size_t wanted;
    return mcrpc_baidu_write_response(it, NULL, 0, 0, out, sizeof out, &wanted);
}

static int32_t write_meta(void *it) {
    mcrpc_bytes_t payload, attachment;
    return mcrpc_baidu_parse(baidu_frame, baidu_len, 1000, 1000, it, &payload, &attachment);
}

static int32_t read_admission_config(void *it) {
    size_t len;
    return mcrpc_admission_memory_size(it, &len);
}

static int32_t read_host_config(void *it) {
    size_t len;
    return mcrpc_host_memory_size(it, &len);
}

static int32_t read_endpoints_config(void *it) {
    size_t len;
    return mcrpc_endpoints_memory_size(it, &len);
}

static int32_t write_tenant_snapshot(void *it) {
    return mcrpc_admission_tenant_snapshot(&admission, 1, it);
}

static int32_t write_admission_snapshot(void *it) {
    return mcrpc_admission_snapshot(&admission, it);
}

static int32_t write_queue_snapshot(void *it) {
    return mcrpc_admission_queue_snapshot(&admission, 0, it);
}

static int32_t write_segment_status(void *it) {
    return mcrpc_host_segment_status(&host, MCRPC_SEGMENT_STAT, it);
}

static int32_t write_endpoints_snapshot(void *it) {
    return mcrpc_endpoints_snapshot(&endpoints, it);
}

/* Nobody takes lines from this host: the struct was read if it says so. */
static int32_t read_log_line(void *it) {
    int32_t status = mcrpc_log(&host, it, NULL, "x", 1);
    return status == MCRPC_NO_POLICY ? MCRPC_OK : status;
}

static int32_t write_health(void *it) {
    return mcrpc_endpoints_health(&endpoints, NULL, 0, 1, it);
}

/* ---- the table */

static const mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
static const mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
static const mcrpc_context_t context = MCRPC_CONTEXT_INIT;
static const mcrpc_admission_config_t admission_config = MCRPC_ADMISSION_CONFIG_INIT;
static const mcrpc_host_config_t host_config = MCRPC_HOST_CONFIG_INIT;
static const mcrpc_endpoints_config_t endpoints_config = MCRPC_ENDPOINTS_CONFIG_INIT;
static const mcrpc_log_line_t log_line = MCRPC_LOG_LINE_INIT;
static mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;

enum { READ = 1, WRITTEN = 2 };

static const struct kind {
    const char *name;
    int32_t (*call)(void *);
    int use;
    /* Its length in this version and in the first one: where the last field of that ends. */
    size_t len, first_len;
    /* What the caller sets, if anything. */
    const void *init;
} kinds[] = {
#define LENS(type, last) sizeof(type), offsetof(type, last) + sizeof(((type *)0)->last)
    {"limits", read_limits, READ, LENS(mcrpc_limits_t, needs_checksum), &limits},
    {"metadata", read_metadata, READ, LENS(mcrpc_metadata_t, onward_tags), &metadata},
    {"parsed metadata", write_metadata, WRITTEN, LENS(mcrpc_metadata_t, onward_tags), NULL},
    {"changed metadata", change_metadata, READ | WRITTEN, LENS(mcrpc_metadata_t, onward_tags), &metadata},
    {"context", read_context, READ, LENS(mcrpc_context_t, tags), &context},
    {"parsed context", write_context, WRITTEN, LENS(mcrpc_context_t, tags), NULL},
    {"baidu_std meta", read_meta, READ, LENS(mcrpc_baidu_meta_t, checksum_type), &meta},
    {"parsed baidu_std meta", write_meta, WRITTEN, LENS(mcrpc_baidu_meta_t, checksum_type), NULL},
    {"admission config", read_admission_config, READ, LENS(mcrpc_admission_config_t, fair_share), &admission_config},
    {"host config", read_host_config, READ, LENS(mcrpc_host_config_t, name), &host_config},
    {"endpoints config", read_endpoints_config, READ, LENS(mcrpc_endpoints_config_t, ring_seed), &endpoints_config},
    {"log line", read_log_line, READ, LENS(mcrpc_log_line_t, now_ns), &log_line},
    {"tenant", write_tenant_snapshot, WRITTEN, LENS(mcrpc_tenant_snapshot_t, admitted), NULL},
    {"admission", write_admission_snapshot, WRITTEN, LENS(mcrpc_admission_snapshot_t, service_floor_ns), NULL},
    {"queue", write_queue_snapshot, WRITTEN, LENS(mcrpc_queue_snapshot_t, would_refuse), NULL},
    {"segment status", write_segment_status, WRITTEN, LENS(mcrpc_segment_status_t, unanswered), NULL},
    {"endpoints", write_endpoints_snapshot, WRITTEN, LENS(mcrpc_endpoints_snapshot_t, decisions), NULL},
    {"health", write_health, WRITTEN, LENS(mcrpc_health_t, shields), NULL},
};

/* ---- structs between canaries, and at the end of memory */

static const struct kind *kind;
static uint8_t *pages;

static void expect(int holds, size_t given, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s of %zu bytes: %s\n", kind->name, given, what);
        exit(1);
    }
}

/* Calls with a struct that says it has `given` bytes. `len` of them are there, and begin at `place`; what the caller does not
   set is `filling`, but behind what this version knows it is `tail`, of which the last byte is `last`. */
static int32_t call(uint8_t *place, size_t len, size_t given, uint8_t tail, uint8_t last) {
    const uint32_t struct_size = (uint32_t)given;
    memset(pages, CANARY, ROOM);
    if (len > kind->len) {
        memset(place + kind->len, tail, len - kind->len);
        place[len - 1] = last;
    }
    if (kind->init) {
        memcpy(place, kind->init, len < kind->len ? len : kind->len);
    }
    memcpy(place, &struct_size, sizeof struct_size);
    static uint8_t before[ROOM];
    memcpy(before, pages, ROOM);

    int32_t status = kind->call(place);

    const size_t at = (size_t)(place - pages);
    expect(memcmp(pages, before, at) == 0, given, "something was written in front of it");
    expect(memcmp(place + len, before + at + len, ROOM - at - len) == 0, given, "something was written behind it");
    if (status != MCRPC_OK || !(kind->use & WRITTEN)) {
        expect(memcmp(pages, before, ROOM) == 0, given, "it was written");
    } else {
        expect(memcmp(place, &struct_size, sizeof struct_size) == 0, given, "its size was changed");
        for (size_t n = kind->len; n < len; n++) {
            expect(place[n] == 0, given, "what is not known was not zeroed");
        }
    }
    return status;
}

/* As far as there is room, between canaries first, then so that it ends with the memory that may be touched. */
static void both(size_t len, size_t given, uint8_t tail, uint8_t last, int32_t wanted) {
    const size_t aligned = (len + 7) / 8 * 8;
    uint8_t *places[] = {pages + GUARD, pages + ROOM - aligned};
    for (int n = 0; n < 2; n++) {
        int32_t status = call(places[n], len, given, tail, last);
        if (status != wanted) {
            fprintf(stderr, "%s of %zu bytes: %s, not %s\n", kind->name, given, mcrpc_status_name(status),
                    mcrpc_status_name(wanted));
            exit(1);
        }
    }
}

static void lengths(void) {
    for (size_t given = 0; given <= kind->len + GUARD; given++) {
        const size_t len = given < sizeof(uint32_t) ? sizeof(uint32_t) : given;
        both(len, given, 0, 0, given < kind->first_len ? MCRPC_BAD_STRUCT_SIZE : MCRPC_OK);
    }
    both(kind->len + MAX_TAIL, kind->len + MAX_TAIL, 0, 0, MCRPC_OK);
    /* These are longer than any version: nobody looks behind the size. */
    const size_t too_long[] = {kind->len + MAX_TAIL + 1, UINT32_MAX / 2, UINT32_MAX - 7, UINT32_MAX};
    for (size_t n = 0; n < sizeof too_long / sizeof *too_long; n++) {
        both(sizeof(uint32_t), too_long[n], 0, 0, MCRPC_BAD_STRUCT_SIZE);
    }
}

/* What a newer program sets there must be refused; what it wants to be told is zeroed. */
static void tails_in_use(void) {
    const int32_t wanted = kind->use & READ ? MCRPC_BAD_STRUCT_SIZE : MCRPC_OK;
    for (size_t more = 1; more <= GUARD; more++) {
        both(kind->len + more, kind->len + more, 0, 1, wanted);
        both(kind->len + more, kind->len + more, 0xFF, 0, more > 1 ? wanted : MCRPC_OK);
    }
    both(kind->len + MAX_TAIL, kind->len + MAX_TAIL, 0, 0x80, wanted);
}

static void misaligned(void) {
    for (size_t n = 1; n < sizeof(uint32_t); n++) {
        expect(call(pages + GUARD + n, kind->len, kind->len, 0, 0) == MCRPC_MISALIGNED, kind->len, "misaligned");
    }
}

static void set_up(void) {
    static _Alignas(64) uint8_t admission_memory[200000], endpoints_memory[400000], host_memory[4000000];
    mcrpc_endpoint_spec_t spec = {0};
    const mcrpc_header_t ping = {.kind = MCRPC_KIND_PING};
    mcrpc_baidu_meta_t request = MCRPC_BAIDU_META_INIT;
    EXPECT(mcrpc_admission_init(admission_memory, sizeof admission_memory, &admission_config, 1, &admission), MCRPC_OK);
    EXPECT(mcrpc_endpoints_init(endpoints_memory, sizeof endpoints_memory, NULL, &endpoints), MCRPC_OK);
    EXPECT(mcrpc_endpoints_replace(&endpoints, NULL, &spec, 1, NULL, 0), MCRPC_OK);
    EXPECT(mcrpc_host_create(host_memory, sizeof host_memory, NULL, 1, &host), MCRPC_OK);
    EXPECT(mcrpc_header_emit(&ping, frame, sizeof frame), MCRPC_OK);
    request.present = MCRPC_BAIDU_REQUEST;
    EXPECT(mcrpc_baidu_write_request(&request, NULL, NULL, 0, 0, baidu_frame, sizeof baidu_frame, &baidu_len), MCRPC_OK);
    meta.present = MCRPC_BAIDU_RESPONSE;

    uint8_t *memory = mmap(NULL, ROOM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages = memory + PAGE;
    EXPECT(memory == MAP_FAILED, 0);
    EXPECT(mprotect(pages, ROOM, PROT_READ | PROT_WRITE), 0);
}

int main(void) {
    set_up();
    for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++) {
        kind = &kinds[n];
        lengths();
        tails_in_use();
        misaligned();
    }
    return 0;
}
