/* What travels between a caller, a proxy and a server: written, cut into pieces, read, changed, carried on. */
#define _GNU_SOURCE
#include "expect.h"

#include <pthread.h>
#include <ucontext.h>

#define MS UINT64_C(1000000)

static const mcrpc_metadata_t no_metadata = MCRPC_METADATA_INIT;
static const mcrpc_context_t no_context = MCRPC_CONTEXT_INIT;
static const uint8_t payload[] = "the payload";

static mcrpc_bytes_t bytes_of(const char *text) {
    return (mcrpc_bytes_t){(const uint8_t *)text, strlen(text)};
}

static int equal(mcrpc_bytes_t bytes, const char *text) {
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static int all_equal(mcrpc_bytes_t a, mcrpc_bytes_t b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static mcrpc_header_t request_header(void) {
    mcrpc_header_t header = {0};
    header.kind = MCRPC_KIND_REQUEST;
    header.call_id = 7;
    header.method_id = mcrpc_method_id((const uint8_t *)"pkg.Service.Method", 18);
    header.uin = 42;
    header.budget_ms = 500;
    header.business_id = 138;
    header.priority = 2;
    return header;
}

static mcrpc_metadata_t every_field(void) {
    mcrpc_metadata_t metadata = no_metadata;
    metadata.features = MCRPC_FEATURE_CHECKSUMS | MCRPC_FEATURE_DECOMPRESSES(MCRPC_COMPRESSION_ZSTD);
    metadata.call_graph_id = UINT64_C(0x0123456789abcdef);
    memset(metadata.trace_id, 0x11, sizeof metadata.trace_id);
    memset(metadata.span_id, 0x22, sizeof metadata.span_id);
    metadata.trace_flags = 2;
    metadata.origin_budget_ms = 800;
    metadata.withheld_count = 3;
    metadata.withheld_key = 99;
    metadata.max_body_len = 1 << 20;
    metadata.max_open_calls = 1000;
    metadata.compression = MCRPC_COMPRESSION_ZSTD;
    metadata.raw_len = 4096;
    metadata.reject_hold_ms = 300;
    metadata.reject_share_per_10k = 2500;
    metadata.caller = bytes_of("mmproxy");
    metadata.service = bytes_of("pkg.Service");
    metadata.method = bytes_of("pkg.Service.Method");
    metadata.zone = bytes_of("sz-1");
    metadata.error_text = bytes_of("\xc3\xa4");
    metadata.ticket = bytes_of("ticket");
    metadata.cookie = bytes_of("cookie");
    return metadata;
}

static void expect_same(const mcrpc_metadata_t *a, const mcrpc_metadata_t *b) {
    EXPECT(memcmp(a, b, offsetof(mcrpc_metadata_t, caller)), 0);
    EXPECT(all_equal(a->caller, b->caller) && all_equal(a->service, b->service) && all_equal(a->method, b->method), 1);
    EXPECT(all_equal(a->zone, b->zone) && all_equal(a->error_text, b->error_text), 1);
    EXPECT(all_equal(a->ticket, b->ticket) && all_equal(a->cookie, b->cookie), 1);
}

/* A head, the payload, and the checksum that the flags announce. */
static size_t write_frame(mcrpc_header_t header, const mcrpc_metadata_t *metadata, uint8_t *out, size_t room) {
    size_t len;
    EXPECT(mcrpc_head_write(&header, metadata, sizeof payload, out, room, &len), MCRPC_OK);
    memcpy(out + len, payload, sizeof payload);
    len += sizeof payload;
    if (header.flags & MCRPC_FLAG_CRC_TRAILER) {
        uint32_t checksum = mcrpc_checksum(0, out, len - sizeof payload);
        checksum = mcrpc_checksum(checksum, payload, sizeof payload);
        EXPECT(checksum == mcrpc_checksum(0, out, len), 1);
        for (int n = 0; n < 4; n++) {
            out[len++] = (uint8_t)(checksum >> (8 * n));
        }
    }
    return len;
}

static void what_is_written_is_read(void) {
    const mcrpc_metadata_t written = every_field();
    for (unsigned flags = 0; flags < 2; flags++) {
        mcrpc_header_t header = request_header(), read_header;
        header.flags = flags != 0 ? MCRPC_FLAG_CRC_TRAILER : 0;
        uint8_t memory[512];
        /* A frame may lie at any address. */
        uint8_t *frame = odd(memory);
        size_t len = write_frame(header, &written, frame, sizeof memory - 1), frame_len, wanted;
        mcrpc_metadata_t read = no_metadata;
        mcrpc_bytes_t read_payload;
        EXPECT(mcrpc_frame_wanted(frame, MCRPC_HEADER_LEN, NULL, &wanted), MCRPC_OK);
        EXPECT(wanted, len);
        for (size_t part = 0; part < len; part++) {
            EXPECT(mcrpc_frame_parse(frame, part, NULL, &read_header, &read, &read_payload, &frame_len), MCRPC_INCOMPLETE);
        }
        EXPECT(mcrpc_frame_parse(frame, sizeof memory - 1, NULL, &read_header, &read, &read_payload, &frame_len), MCRPC_OK);
        EXPECT(frame_len, len);
        expect_same(&written, &read);
        EXPECT(read.tags.len == read_header.metadata_len && read.tags.data == frame + MCRPC_HEADER_LEN, 1);
        EXPECT(all_equal(read_payload, (mcrpc_bytes_t){payload, sizeof payload}), 1);
        EXPECT(read_header.uin == 42 && read_header.method_id == header.method_id && read_header.priority == 2, 1);
        if (flags != 0) {
            frame[40] ^= 1;
            EXPECT(mcrpc_frame_parse(frame, len, NULL, &read_header, &read, &read_payload, &frame_len), MCRPC_BAD_CHECKSUM);
        }
    }
}

/* A short buffer says how long it should be, and nothing is written behind it. */
static void the_head_says_how_long_it_is(void) {
    const mcrpc_header_t header = request_header();
    const mcrpc_metadata_t metadata = every_field();
    size_t wanted, len;
    EXPECT(mcrpc_head_write(&header, &metadata, 0, NULL, 0, &wanted), MCRPC_TOO_SMALL);
    for (size_t room = 0; room <= wanted; room++) {
        uint8_t out[512];
        memset(out, CANARY, sizeof out);
        EXPECT(mcrpc_head_write(&header, &metadata, 0, out, room, &len), room < wanted ? MCRPC_TOO_SMALL : MCRPC_OK);
        EXPECT(len, wanted);
        for (size_t n = room; n < sizeof out; n++) {
            EXPECT(out[n], CANARY);
        }
    }
}

/* Any two pieces of the stream give the events of the whole. */
static void any_split_gives_the_same_frames(void) {
    const mcrpc_metadata_t metadata = every_field();
    mcrpc_header_t header = request_header();
    uint8_t stream[1024];
    size_t len = write_frame(header, &metadata, stream, sizeof stream);
    header.flags = MCRPC_FLAG_CRC_TRAILER;
    len += write_frame(header, NULL, stream + len, sizeof stream - len);
    mcrpc_header_t ping = {0};
    ping.kind = MCRPC_KIND_PING;
    EXPECT(mcrpc_header_emit(&ping, stream + len, sizeof stream - len), MCRPC_OK);
    len += MCRPC_HEADER_LEN;
    for (size_t cut = 0; cut <= len; cut++) {
        mcrpc_frame_decoder_t decoder;
        EXPECT(mcrpc_frame_init(NULL, &decoder), MCRPC_OK);
        uint8_t tags[512];
        size_t tags_len = 0, payload_len = 0, frames = 0, headers = 0, checked = 0, from = 0;
        for (int piece = 0; piece < 2; piece++) {
            const size_t end = piece == 0 ? cut : len;
            mcrpc_frame_event_t event;
            do {
                size_t used;
                EXPECT(mcrpc_frame_next(&decoder, stream + from, end - from, &used, &event), MCRPC_OK);
                if (event.kind == MCRPC_EVENT_METADATA) {
                    EXPECT(event.bytes.data == stream + from && event.bytes.len == used, 1);
                    memcpy(tags + tags_len, event.bytes.data, event.bytes.len);
                    tags_len += event.bytes.len;
                }
                headers += event.kind == MCRPC_EVENT_HEADER;
                checked += event.kind == MCRPC_EVENT_CHECKED;
                payload_len += event.kind == MCRPC_EVENT_PAYLOAD ? event.bytes.len : 0;
                frames += event.last;
                from += used;
            } while (event.kind != MCRPC_EVENT_NONE);
            EXPECT(from, end);
        }
        mcrpc_metadata_t read = no_metadata;
        EXPECT(mcrpc_metadata_parse(tags, tags_len, NULL, &read), MCRPC_OK);
        expect_same(&metadata, &read);
        EXPECT(headers == 3 && frames == 3 && checked == 1 && payload_len == 2 * sizeof payload, 1);
    }
}

static uint32_t next_kind(mcrpc_frame_decoder_t *decoder, const uint8_t *frame, int32_t *status) {
    mcrpc_frame_event_t event;
    size_t used;
    EXPECT(mcrpc_frame_next(decoder, frame, MCRPC_HEADER_LEN, &used, &event), MCRPC_OK);
    *status = event.status;
    return event.kind;
}

static void one_request_too_many_is_refused_by_name(void) {
    mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    limits.max_open_calls = 1;
    mcrpc_frame_decoder_t decoder;
    EXPECT(mcrpc_frame_init(&limits, &decoder), MCRPC_OK);
    const mcrpc_header_t header = request_header();
    uint8_t frame[MCRPC_HEADER_LEN];
    int32_t status;
    EXPECT(mcrpc_header_emit(&header, frame, sizeof frame), MCRPC_OK);
    EXPECT(next_kind(&decoder, frame, &status), MCRPC_EVENT_HEADER);
    EXPECT(next_kind(&decoder, frame, &status), MCRPC_EVENT_REFUSED);
    EXPECT(status, MCRPC_TOO_MANY_OPEN_CALLS);
    EXPECT(mcrpc_frame_answered(&decoder), MCRPC_OK);
    EXPECT(next_kind(&decoder, frame, &status), MCRPC_EVENT_HEADER);
    frame[2] |= MCRPC_FLAG_MUST_UNDERSTAND;
    EXPECT(next_kind(&decoder, frame, &status), MCRPC_EVENT_REFUSED);
    EXPECT(status, MCRPC_UNSUPPORTED_FLAG);
    frame[2] = 0;
    frame[1] = 0x1f;
    EXPECT(next_kind(&decoder, frame, &status), MCRPC_EVENT_SKIPPED);
}

/* The metadata of a newer version: a longer trace, unknown tags, and the application's, which may repeat. */
static const uint8_t newer[] = "\x20\x1c" "TTTTTTTTTTTTTTTTSSSSSSSS\x02" "abc"
                               "\x81\x07mmproxy" "\x1f\x02xy" "\x3f\x02on" "\x41\x01p" "\x41\x01q" "\x61\x03go!";
enum { NEWER_LEN = sizeof newer - 1 };

static mcrpc_bytes_t written_tags(const mcrpc_metadata_t *metadata, uint8_t *out, size_t room) {
    const mcrpc_header_t header = request_header();
    size_t len;
    EXPECT(mcrpc_head_write(&header, metadata, 0, out, room, &len), MCRPC_OK);
    return (mcrpc_bytes_t){out + MCRPC_HEADER_LEN, len - MCRPC_HEADER_LEN};
}

static void a_proxy_passes_on_what_it_does_not_know(void) {
    uint8_t out[512];
    mcrpc_metadata_t metadata = no_metadata;
    EXPECT(mcrpc_metadata_parse(newer, NEWER_LEN, NULL, &metadata), MCRPC_OK);
    EXPECT(equal(metadata.caller, "mmproxy") && metadata.trace_flags == 2, 1);
    /* Unchanged it lies as it came, byte by byte. */
    EXPECT(all_equal(written_tags(&metadata, out, sizeof out), (mcrpc_bytes_t){newer, NEWER_LEN}), 1);

    /* Of what is changed there is one, what is cleared is gone, the rest is as it came. */
    metadata.caller = bytes_of("proxy");
    memset(metadata.trace_id, 0, sizeof metadata.trace_id);
    metadata.zone = bytes_of("sz-1");
    const mcrpc_bytes_t tags = written_tags(&metadata, out, sizeof out);
    mcrpc_metadata_t read = no_metadata;
    EXPECT(mcrpc_metadata_parse(tags.data, tags.len, NULL, &read), MCRPC_OK);
    EXPECT(equal(read.caller, "proxy") && equal(read.zone, "sz-1") && read.trace_id[0] == 0 && read.trace_flags == 0, 1);
    const char *wanted = "\x1f\x02xy" "\x3f\x02on" "\x41\x01p" "\x41\x01q" "\x61\x03go!";
    EXPECT(tags.len > strlen(wanted) && equal((mcrpc_bytes_t){tags.data + tags.len - strlen(wanted), strlen(wanted)}, wanted), 1);
}

static void a_call_onward_takes_along_what_travels(void) {
    uint8_t out[512];
    mcrpc_metadata_t came = no_metadata, own = no_metadata;
    EXPECT(mcrpc_metadata_parse(newer, NEWER_LEN, NULL, &came), MCRPC_OK);
    own.onward_tags = came.tags;
    own.tags = bytes_of("\x42\x02me");
    EXPECT(equal(written_tags(&own, out, sizeof out), "\x42\x02me" "\x3f\x02on" "\x61\x03go!"), 1);
}

static void a_hello_binds_several_methods(void) {
    static const char *const names[] = {"pkg.Service.A", "pkg.Service.B", "pkg.Service.C"};
    uint8_t tags[256], out[512];
    size_t len = 0;
    for (int n = 0; n < 3; n++) {
        size_t tag_len;
        const mcrpc_bytes_t name = bytes_of(names[n]);
        EXPECT(mcrpc_tag_write(MCRPC_TAG_METHOD, name.data, name.len, tags + len, sizeof tags - len, &tag_len), MCRPC_OK);
        len += tag_len;
    }
    mcrpc_metadata_t hello = no_metadata, read = no_metadata;
    hello.caller = bytes_of("mmproxy");
    hello.tags = (mcrpc_bytes_t){tags, len};
    const mcrpc_bytes_t written = written_tags(&hello, out, sizeof out);
    EXPECT(mcrpc_metadata_parse(written.data, written.len, NULL, &read), MCRPC_OK);
    EXPECT(equal(read.method, names[0]), 1);
    size_t offset = 0, found = 0;
    uint8_t tag;
    mcrpc_bytes_t value;
    while (mcrpc_tag_next(&read.tags, &offset, &tag, &value) == MCRPC_OK && tag != 0) {
        if (tag == MCRPC_TAG_METHOD) {
            EXPECT(equal(value, names[found++]), 1);
        }
    }
    EXPECT(found == 3 && offset == read.tags.len, 1);

    /* A long value has a long length. */
    static uint8_t value_of_300[300], long_tag[304];
    EXPECT(mcrpc_tag_write(0x41, value_of_300, 300, long_tag, sizeof long_tag, &len), MCRPC_OK);
    EXPECT(len, 304);
    const mcrpc_bytes_t one = {long_tag, len};
    offset = 0;
    EXPECT(mcrpc_tag_next(&one, &offset, &tag, &value), MCRPC_OK);
    EXPECT(tag == 0x41 && value.len == 300 && offset == 304, 1);
}

/* Three machines: the second calls the third on behalf of the first. */
static void a_context_goes_from_hop_to_hop(void) {
    const uint8_t span[8] = "spanspa";
    mcrpc_metadata_t came = every_field();
    came.origin_budget_ms = 0;
    came.tags = (mcrpc_bytes_t){newer, NEWER_LEN};
    mcrpc_header_t header = request_header();
    header.flags = MCRPC_FLAGS_WITH_ATTEMPT(MCRPC_FLAG_SAMPLED | MCRPC_FLAG_CONTINUES_TASK, 2);
    mcrpc_context_t context = no_context, onward = no_context, third = no_context;
    EXPECT(mcrpc_context_read(&header, &came, 100 * MS, &context), MCRPC_OK);
    EXPECT(context.flags, MCRPC_CONTEXT_SAMPLED | MCRPC_CONTEXT_CONTINUES_TASK);
    EXPECT(context.uin == 42 && context.attempt == 2 && context.priority == 2 && context.business_id == 138, 1);
    EXPECT(context.deadline_ns == 600 * MS && context.origin_budget_ms == 500 && context.task_id == 0, 1);
    EXPECT(equal(context.ticket, "ticket") && context.call_graph_id == came.call_graph_id, 1);

    EXPECT(mcrpc_context_onward(&context, span, &onward), MCRPC_OK);
    EXPECT(onward.flags == MCRPC_CONTEXT_SAMPLED && onward.attempt == 0, 1);
    EXPECT(memcmp(onward.span_id, span, 8) == 0 && memcmp(onward.trace_id, came.trace_id, 16) == 0, 1);

    mcrpc_header_t sent = {0};
    mcrpc_metadata_t said = no_metadata;
    sent.kind = MCRPC_KIND_REQUEST;
    sent.call_id = 8;
    sent.flags = MCRPC_FLAG_CRC_TRAILER | MCRPC_FLAG_CONTINUES_TASK;
    said.caller = bytes_of("second");
    EXPECT(mcrpc_context_write(&onward, 300 * MS, &sent, &said), MCRPC_OK);
    EXPECT(sent.flags, MCRPC_FLAG_CRC_TRAILER | MCRPC_FLAG_SAMPLED);
    EXPECT(sent.call_id == 8 && sent.budget_ms == 300 && sent.uin == 42 && sent.priority == 2, 1);
    uint8_t frame[512];
    size_t len = write_frame(sent, &said, frame, sizeof frame), frame_len;

    mcrpc_header_t arrived;
    mcrpc_metadata_t read = no_metadata;
    mcrpc_bytes_t body;
    EXPECT(mcrpc_frame_parse(frame, len, NULL, &arrived, &read, &body, &frame_len), MCRPC_OK);
    EXPECT(mcrpc_context_read(&arrived, &read, 7 * MS, &third), MCRPC_OK);
    EXPECT(third.deadline_ns == 307 * MS && third.origin_budget_ms == 500 && equal(third.cookie, "cookie"), 1);
    EXPECT(equal(read.caller, "second") && memcmp(third.span_id, span, 8) == 0, 1);
    size_t offset = 0, onward_tags = 0;
    uint8_t tag;
    mcrpc_bytes_t value;
    while (mcrpc_tag_next(&third.tags, &offset, &tag, &value) == MCRPC_OK && tag != 0) {
        EXPECT(tag == 0x1f || tag == 0x41, 0);
        onward_tags += tag == 0x3f || tag == 0x61;
    }
    EXPECT(onward_tags, 2);
    EXPECT(mcrpc_context_write(&third, 307 * MS, &sent, NULL), MCRPC_OUT_OF_TIME);
    EXPECT(mcrpc_context_write(&third, 306 * MS, &sent, NULL), MCRPC_OK);
    EXPECT(sent.budget_ms, 1);

    mcrpc_request_t by_header, by_context;
    EXPECT(mcrpc_request_from_header(&arrived, 3, 1, 7 * MS, &by_header), MCRPC_OK);
    EXPECT(mcrpc_request_from_context(&third, 3, 1, &by_context), MCRPC_OK);
    EXPECT(by_header.key == by_context.key && by_header.deadline_ns == by_context.deadline_ns, 1);
    EXPECT(by_header.flags, by_context.flags);
}

static void a_context_waits_in_a_queue(void) {
    mcrpc_context_t context = no_context, taken = no_context;
    uint8_t queue[256];
    size_t len, wanted;
    context.task_id = 77;
    context.deadline_ns = 900 * MS;
    context.ticket = bytes_of("ticket");
    context.tags = bytes_of("\x61\x03go!");
    EXPECT(mcrpc_context_encode(&context, 400 * MS, NULL, 0, &wanted), MCRPC_TOO_SMALL);
    EXPECT(mcrpc_context_encode(&context, 400 * MS, queue, sizeof queue, &len), MCRPC_OK);
    EXPECT(len, wanted);
    EXPECT(mcrpc_context_decode(queue, len, NULL, 400 * MS, &taken), MCRPC_OK);
    EXPECT(taken.deadline_ns == 900 * MS && taken.task_id == 77 && equal(taken.ticket, "ticket"), 1);
    EXPECT(taken.origin_budget_ms, 500);
    uint8_t tag;
    size_t offset = taken.tags.len - 5;
    mcrpc_bytes_t value;
    EXPECT(mcrpc_tag_next(&taken.tags, &offset, &tag, &value), MCRPC_OK);
    EXPECT(tag == 0x61 && equal(value, "go!"), 1);
    context.deadline_ns = MCRPC_NO_DEADLINE;
    EXPECT(mcrpc_context_encode(&context, 400 * MS, queue, sizeof queue, &len), MCRPC_OK);
    EXPECT(mcrpc_context_decode(queue, len, NULL, 400 * MS, &taken), MCRPC_OK);
    EXPECT(taken.deadline_ns == MCRPC_NO_DEADLINE && taken.origin_budget_ms == 0, 1);
}

/* Threads: each looks into a thread-local of the program's. */
static _Thread_local const mcrpc_context_t *of_thread;

static const mcrpc_context_t *look_into_thread(void) {
    return of_thread;
}

static void *run_thread(void *context) {
    EXPECT(mcrpc_context_current() == NULL, 1);
    of_thread = context;
    EXPECT(mcrpc_context_current() == context, 1);
    return NULL;
}

static void each_thread_has_its_own_context(void) {
    mcrpc_context_t contexts[2] = {no_context, no_context};
    mcrpc_context_set_lookup(look_into_thread);
    of_thread = &contexts[0];
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, run_thread, &contexts[1]), 0);
    EXPECT(pthread_join(thread, NULL), 0);
    EXPECT(mcrpc_context_current() == &contexts[0], 1);
    mcrpc_context_set_lookup(NULL);
    EXPECT(mcrpc_context_current() == NULL, 1);
}

/* Coroutines: the lookup asks which one runs, so that it does not matter on which thread. */
struct coroutine {
    ucontext_t state;
    mcrpc_context_t context;
    uint64_t seen;
    char stack[64 << 10];
};

static struct coroutine coroutines[2];
static struct coroutine *running;
static ucontext_t scheduler;

static const mcrpc_context_t *look_into_coroutine(void) {
    return running == NULL ? NULL : &running->context;
}

static void yield(void) {
    EXPECT(swapcontext(&running->state, &scheduler), 0);
}

static void run_coroutine(void) {
    for (int turn = 0; turn < 3; turn++) {
        running->seen += mcrpc_context_current()->uin;
        yield();
    }
}

static void resume(struct coroutine *coroutine) {
    running = coroutine;
    EXPECT(swapcontext(&scheduler, &coroutine->state), 0);
    running = NULL;
}

static void *resume_all(void *unused) {
    for (int n = 0; n < 2; n++) {
        resume(&coroutines[n]);
    }
    return unused;
}

static void each_coroutine_has_its_own_context_on_any_thread(void) {
    mcrpc_context_set_lookup(look_into_coroutine);
    for (int n = 0; n < 2; n++) {
        struct coroutine *coroutine = &coroutines[n];
        coroutine->context = no_context;
        coroutine->context.uin = n == 0 ? 1 : 100;
        EXPECT(getcontext(&coroutine->state), 0);
        coroutine->state.uc_stack.ss_sp = coroutine->stack;
        coroutine->state.uc_stack.ss_size = sizeof coroutine->stack;
        coroutine->state.uc_link = &scheduler;
        makecontext(&coroutine->state, run_coroutine, 0);
    }
    resume_all(NULL);
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, resume_all, NULL), 0);
    EXPECT(pthread_join(thread, NULL), 0);
    resume_all(NULL);
    EXPECT(coroutines[0].seen == 3 && coroutines[1].seen == 300, 1);
    EXPECT(mcrpc_context_current() == NULL, 1);
}

/* Tasks: a job carries its context as bytes, and whoever runs it makes it the current one. */
struct job {
    uint8_t bytes[128];
    size_t len;
    uint64_t put_ns;
};

static void run_job(const struct job *job, uint64_t wanted_uin) {
    mcrpc_context_t context = no_context;
    EXPECT(mcrpc_context_decode(job->bytes, job->len, NULL, job->put_ns, &context), MCRPC_OK);
    of_thread = &context;
    EXPECT(mcrpc_context_current()->uin, wanted_uin);
    EXPECT(mcrpc_context_current()->deadline_ns, 50 * MS);
    of_thread = NULL;
}

static void each_task_of_a_queue_has_its_own_context(void) {
    struct job jobs[3];
    mcrpc_context_set_lookup(look_into_thread);
    of_thread = NULL;
    for (uint64_t n = 0; n < 3; n++) {
        mcrpc_context_t context = no_context;
        context.uin = n + 1;
        context.deadline_ns = 50 * MS;
        jobs[n].put_ns = n * MS;
        EXPECT(mcrpc_context_encode(&context, n * MS, jobs[n].bytes, sizeof jobs[n].bytes, &jobs[n].len), MCRPC_OK);
    }
    for (uint64_t n = 0; n < 3; n++) {
        run_job(&jobs[n], n + 1);
    }
    mcrpc_context_set_lookup(NULL);
}

static void a_connection_says_what_it_speaks(void) {
    const struct {
        const char *bytes;
        uint32_t protocol;
    } cases[] = {{"", MCRPC_PROTOCOL_UNDECIDED},    {"\xc7", MCRPC_PROTOCOL_NATIVE}, {"P", MCRPC_PROTOCOL_UNDECIDED},
                 {"PRPC", MCRPC_PROTOCOL_BAIDU_STD}, {"PRI *", MCRPC_PROTOCOL_HTTP2}, {"GET /", MCRPC_PROTOCOL_HTTP1},
                 {"POST", MCRPC_PROTOCOL_HTTP1},     {"\x16\x03", MCRPC_PROTOCOL_UNKNOWN}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        EXPECT(mcrpc_sniff((const uint8_t *)cases[n].bytes, strlen(cases[n].bytes)), cases[n].protocol);
    }
}

int main(void) {
    what_is_written_is_read();
    the_head_says_how_long_it_is();
    any_split_gives_the_same_frames();
    one_request_too_many_is_refused_by_name();
    a_proxy_passes_on_what_it_does_not_know();
    a_call_onward_takes_along_what_travels();
    a_hello_binds_several_methods();
    a_context_goes_from_hop_to_hop();
    a_context_waits_in_a_queue();
    each_thread_has_its_own_context();
    each_coroutine_has_its_own_context_on_any_thread();
    each_task_of_a_queue_has_its_own_context();
    a_connection_says_what_it_speaks();
    return 0;
}
