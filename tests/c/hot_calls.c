/* The table of the hot calls, and what they need: see hot_calls.h. */
#include "hot_calls.h"

#include <string.h>

static const uint8_t address[4] = {10, 0, 0, 1};
static const uint8_t method[] = "pkg.Service.Method", span[8] = "span id", user_key[] = "mc-uin";
static const uint8_t line[] = "a line that is long enough to need two cells of the ring, and a little more";
static const mcrpc_leak_t default_leak = MCRPC_LEAK_INIT;
static const mcrpc_metadata_t no_metadata = MCRPC_METADATA_INIT;

enum { MAX_BODY = MCRPC_BAIDU_MAX_BODY_LEN, MAX_META = MCRPC_BAIDU_MAX_META_LEN };

/* What belongs before and behind a call. */
static void admit(struct world *w) {
    mcrpc_admit(&w->admission, w->queue, &w->request, w->now);
}
static void admit_and_dequeue(struct world *w) {
    admit(w);
    mcrpc_dequeued(&w->admission, w->queue, w->now, MCRPC_NO_DEADLINE, w->now);
}
static void abandon(struct world *w) {
    mcrpc_abandoned(&w->admission, w->queue);
}
static void finish(struct world *w) {
    mcrpc_done(&w->admission, w->queue, w->now, w->now + 1);
}
static void new_call(struct world *w) {
    w->call.attempts = 0;
}
static void take_lines(struct world *w) {
    (void)w;
    empty_logs();
}
static void empty_bucket(struct world *w) {
    mcrpc_bucket_empty(w->host, w->bucket);
}
static void new_stream(struct world *w) {
    w->decoder = w->first_decoder;
}
static void open_stream(struct world *w) {
    w->decoder = w->open_decoder;
}
static void first_tag(struct world *w) {
    w->used = 0;
}
static void new_metadata(struct world *w) {
    w->out_metadata = no_metadata;
}
static void new_meta(struct world *w) {
    w->out_baidu.struct_size = sizeof w->out_baidu;
}
static void expect_checksum(struct world *w) {
    const uint8_t *end = w->frame + w->frame_len - 4;
    w->number = end[0] | (uint64_t)end[1] << 8 | (uint64_t)end[2] << 16 | (uint64_t)end[3] << 24;
}
static void first_field(struct world *w) {
    w->rest = w->baidu.user_fields;
}

static inline uintptr_t stack_pointer(void) {
    uintptr_t pointer;
#if defined(__x86_64__)
    __asm__ volatile("mov %%rsp, %0" : "=r"(pointer));
#elif defined(__aarch64__)
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
#else
#error "say how the stack pointer is read on this machine"
#endif
    return pointer;
}

/* Name, arguments, whether it returned (r) what it should, what belongs before it and behind it. */
#define HOT_CALLS(CALL) \
    CALL(mcrpc_admit, (&w->admission, w->queue, &w->request, w->now), r == MCRPC_OK, NULL, abandon) \
    CALL(mcrpc_dequeued, (&w->admission, w->queue, w->now, MCRPC_NO_DEADLINE, w->now), r == MCRPC_OK, admit, finish) \
    CALL(mcrpc_done, (&w->admission, w->queue, w->now, w->now + 1), r == MCRPC_OK, admit_and_dequeue, NULL) \
    CALL(mcrpc_abandoned, (&w->admission, w->queue), r == MCRPC_OK, admit, NULL) \
    CALL(mcrpc_cursor, (&w->admission, w->queue), r == MCRPC_CURSOR_OPEN, NULL, NULL) \
    CALL(mcrpc_admission_withheld, (&w->admission, w->queue, w->request.key, 3), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_key, (7, 1, w->header.uin, w->header.priority, 0), r == w->request.key, NULL, NULL) \
    CALL(mcrpc_request_from_header, (&w->header, 7, 1, w->now, &w->request), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_refusal_status, (0), r < 0, NULL, NULL) \
    CALL(mcrpc_status_name, (MCRPC_BELOW_CURSOR), r[0] == 'b', NULL, NULL) \
    CALL(mcrpc_status_text, (MCRPC_BELOW_CURSOR), r[0] == 'T', NULL, NULL) \
    CALL(mcrpc_version, (), r == MCRPC_VERSION_NUMBER, NULL, NULL) \
    CALL(mcrpc_version_string, (), r[0] >= '0', NULL, NULL) \
    CALL(mcrpc_endpoint_v4, (address, 1, SERVICE, &w->endpoint), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_strategy, (w->host, &w->endpoint, w->call.uin), r.status == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_host_mode, (w->host, MCRPC_MECHANISM_SKIP, w->call.uin, MCRPC_MODE_ENFORCE), r == MCRPC_MODE_ENFORCE, NULL, \
         NULL) \
    CALL(mcrpc_host_killed, (w->host), r == 0, NULL, NULL) \
    CALL(mcrpc_host_dyed, (w->host, w->call.uin, w->now), r == 0, NULL, NULL) \
    CALL(mcrpc_host_salt, (w->host, 7), r != 0, NULL, NULL) \
    CALL(mcrpc_host_cpu, (w->host, w->now, &w->number), r == MCRPC_NO_POLICY, NULL, NULL) \
    CALL(mcrpc_shield_check, (w->host, &w->endpoint, w->call.uin, w->now), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_skip_check, (w->host, SERVICE, w->call.method_id, w->call.uin), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_bucket_open, (w->host, &w->endpoint, &w->bucket), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_bucket_pour, (w->host, w->bucket, &default_leak, w->now), r == MCRPC_OK, empty_bucket, empty_bucket) \
    CALL(mcrpc_bucket_check, (w->host, w->bucket, &default_leak, w->call.uin, w->now), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_counter_open, (w->host, 1, 1, MCRPC_COUNTER_SUM, &w->counter), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_counter_add, (w->host, w->counter, 1), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_counter_max, (w->host, w->maximum, 7, w->now), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_count, (w->host, 1, 1, 1), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_set_max, (w->host, 1, 2, 7, w->now), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_trace, (w->host, 1, line, sizeof line, w->now), r == MCRPC_OK || r == MCRPC_RECORD_DROPPED, NULL, NULL) \
    CALL(mcrpc_log, (w->host, &w->log_line, &w->context, (const char *)line, sizeof line), \
         r == MCRPC_OK || r == MCRPC_LINE_DROPPED, \
         take_lines, NULL) \
    CALL(mcrpc_select, (&w->endpoints, w->host, &w->call, MCRPC_ATTEMPT_NEXT, w->now, &w->out_choice), \
         r == MCRPC_OK && w->out_choice.index == w->choice.index, new_call, NULL) \
    CALL(mcrpc_report, (&w->endpoints, w->host, &w->choice, MCRPC_OUTCOME_OK, MS, w->now), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_heard, (&w->endpoints, w->host, &w->choice, MCRPC_CURSOR_OPEN, 300, w->now), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_outcome_of, (MCRPC_TIMED_OUT), r == MCRPC_OUTCOME_FAILED, NULL, NULL) \
    CALL(mcrpc_outcome_is_retriable, (MCRPC_OUTCOME_FAILED), r == 1, NULL, NULL) \
    CALL(mcrpc_header_parse, (w->frame, w->frame_len, NULL, &w->out_header), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_header_emit, (&w->header, w->out, BYTES), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_method_id, (method, sizeof method - 1), r == w->call.method_id, NULL, NULL) \
    CALL(mcrpc_frame_init, (&w->limits, &w->decoder), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_frame_next, (&w->decoder, w->frame, w->frame_len, &w->used, &w->event), \
         r == MCRPC_OK && w->event.kind == MCRPC_EVENT_HEADER, new_stream, NULL) \
    CALL(mcrpc_frame_answered, (&w->decoder), r == MCRPC_OK, open_stream, NULL) \
    CALL(mcrpc_frame_wanted, (w->frame, w->frame_len, NULL, &w->used), r == MCRPC_OK && w->used == w->frame_len, NULL, NULL) \
    CALL(mcrpc_frame_parse, (w->frame, w->frame_len, NULL, &w->out_header, &w->out_metadata, &w->payload, &w->used), \
         r == MCRPC_OK && w->payload.len == PAYLOAD, NULL, NULL) \
    CALL(mcrpc_metadata_parse, (w->frame + MCRPC_HEADER_LEN, w->header.metadata_len, NULL, &w->out_metadata), \
         r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_head_write, (&w->header, &w->metadata, PAYLOAD, w->out, BYTES, &w->used), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_tag_next, (&w->metadata.tags, &w->used, &w->tag, &w->rest), r == MCRPC_OK && w->tag != 0, first_tag, NULL) \
    CALL(mcrpc_tag_write, (MCRPC_TAG_APPLICATION | 1, method, sizeof method - 1, w->out, BYTES, &w->used), r == MCRPC_OK, \
         NULL, NULL) \
    CALL(mcrpc_checksum, (0, w->frame, w->frame_len - 4), r == w->number, expect_checksum, NULL) \
    CALL(mcrpc_sniff, (w->frame, w->frame_len), r == MCRPC_PROTOCOL_NATIVE, NULL, NULL) \
    CALL(mcrpc_context_read, (&w->header, &w->metadata, w->now, &w->out_context), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_context_onward, (&w->context, span, &w->out_context), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_context_write, (&w->context, w->now, &w->out_header, &w->out_metadata), r == MCRPC_OK, new_metadata, NULL) \
    CALL(mcrpc_context_encode, (&w->context, w->now, w->out, BYTES, &w->used), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_context_decode, (w->encoded, w->encoded_len, NULL, w->now, &w->out_context), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_request_from_context, (&w->context, 7, 1, &w->request), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_context_current, (), r == current_context(), NULL, NULL) \
    CALL(mcrpc_baidu_wanted, (w->baidu_frame, w->baidu_len, MAX_BODY, MAX_META, &w->used), \
         r == MCRPC_OK && w->used == w->baidu_len, NULL, NULL) \
    CALL(mcrpc_baidu_parse, \
         (w->baidu_frame, w->baidu_len, MAX_BODY, MAX_META, &w->out_baidu, &w->payload, &w->attachment), \
         r == MCRPC_OK && w->payload.len == PAYLOAD, new_meta, NULL) \
    CALL(mcrpc_baidu_write_request, (&w->baidu, &w->origin, NULL, 0, PAYLOAD, w->out, BYTES, &w->used), r == MCRPC_OK, NULL, \
         NULL) \
    CALL(mcrpc_baidu_write_response, (&w->baidu, NULL, 0, PAYLOAD, w->out, BYTES, &w->used), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_baidu_user_field, (&w->baidu, user_key, sizeof user_key - 1, &w->rest), r == MCRPC_OK && w->rest.len > 0, \
         NULL, NULL) \
    CALL(mcrpc_baidu_next_user_field, (&w->rest, &w->field), r == MCRPC_OK && w->field.key.len > 0, first_field, NULL) \
    CALL(mcrpc_baidu_to_header, (&w->baidu, PAYLOAD, &w->out_header), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_baidu_to_context, (&w->baidu, w->now, &w->out_context), r == MCRPC_OK, NULL, NULL) \
    CALL(mcrpc_baidu_set_context, (&w->context, w->now, &w->out_baidu, &w->origin), r == MCRPC_OK, new_meta, NULL) \
    CALL(mcrpc_baidu_error_of, (MCRPC_BELOW_CURSOR), r == MCRPC_BAIDU_ELIMIT, NULL, NULL) \
    CALL(mcrpc_baidu_status_of, (MCRPC_BAIDU_ELIMIT), r == MCRPC_QUEUE_FULL, NULL, NULL)

#define CALL_IT(name, arguments, is_good, before, behind) \
    static void call_##name(struct world *w) { \
        w->stack_pointer = stack_pointer(); \
        __auto_type r = name arguments; \
        w->good = is_good; \
    }
HOT_CALLS(CALL_IT)

#define ENTRY(name, arguments, is_good, before, behind) {#name, before, call_##name, behind},
const struct hot_call hot_calls[] = {HOT_CALLS(ENTRY)};
const size_t hot_call_count = sizeof hot_calls / sizeof *hot_calls;

const struct hot_call *find_hot_call(const char *name) {
    for (size_t n = 0; n < hot_call_count; n++) {
        if (strcmp(hot_calls[n].name, name) == 0) {
            return &hot_calls[n];
        }
    }
    fprintf(stderr, "%s is not among the hot calls\n", name);
    exit(2);
}

int run_hot_call(const struct hot_call *call, struct world *world) {
    if (call->prepare != NULL) {
        call->prepare(world);
    }
    call->run(world);
    int good = world->good;
    if (call->finish != NULL) {
        call->finish(world);
    }
    return good;
}
