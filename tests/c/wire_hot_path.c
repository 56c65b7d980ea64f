/* The functions of the wire and of contexts, under the rules of the per-request functions (rules.h): wire_hot_path RULE */
#include "rules.h"

/* The functions, replaceable so that the stack of the caller itself can be measured. */
struct calls {
    int32_t (*header_parse)(const uint8_t *, size_t, const mcrpc_limits_t *, mcrpc_header_t *);
    int32_t (*header_emit)(const mcrpc_header_t *, uint8_t *, size_t);
    uint32_t (*method_id)(const uint8_t *, size_t);
    int32_t (*frame_init)(const mcrpc_limits_t *, mcrpc_frame_decoder_t *);
    int32_t (*frame_next)(mcrpc_frame_decoder_t *, const uint8_t *, size_t, size_t *, mcrpc_frame_event_t *);
    int32_t (*frame_answered)(mcrpc_frame_decoder_t *);
    int32_t (*frame_wanted)(const uint8_t *, size_t, const mcrpc_limits_t *, size_t *);
    int32_t (*frame_parse)(const uint8_t *, size_t, const mcrpc_limits_t *, mcrpc_header_t *, mcrpc_metadata_t *,
                           mcrpc_bytes_t *, size_t *);
    int32_t (*metadata_parse)(const uint8_t *, size_t, const mcrpc_limits_t *, mcrpc_metadata_t *);
    int32_t (*head_write)(const mcrpc_header_t *, const mcrpc_metadata_t *, uint32_t, uint8_t *, size_t, size_t *);
    int32_t (*tag_next)(const mcrpc_bytes_t *, size_t *, uint8_t *, mcrpc_bytes_t *);
    int32_t (*tag_write)(uint8_t, const uint8_t *, size_t, uint8_t *, size_t, size_t *);
    uint32_t (*checksum)(uint32_t, const uint8_t *, size_t);
    uint32_t (*sniff)(const uint8_t *, size_t);
    int32_t (*context_read)(const mcrpc_header_t *, const mcrpc_metadata_t *, uint64_t, mcrpc_context_t *);
    int32_t (*context_onward)(const mcrpc_context_t *, const uint8_t *, mcrpc_context_t *);
    int32_t (*context_write)(const mcrpc_context_t *, uint64_t, mcrpc_header_t *, mcrpc_metadata_t *);
    int32_t (*context_encode)(const mcrpc_context_t *, uint64_t, uint8_t *, size_t, size_t *);
    int32_t (*context_decode)(const uint8_t *, size_t, const mcrpc_limits_t *, uint64_t, mcrpc_context_t *);
    int32_t (*request_from_context)(const mcrpc_context_t *, uint64_t, uint32_t, mcrpc_request_t *);
    const mcrpc_context_t *(*context_current)(void);
};

static const struct calls real = {
    mcrpc_header_parse,  mcrpc_header_emit,    mcrpc_method_id,           mcrpc_frame_init,      mcrpc_frame_next,
    mcrpc_frame_answered, mcrpc_frame_wanted,  mcrpc_frame_parse,         mcrpc_metadata_parse,  mcrpc_head_write,
    mcrpc_tag_next,      mcrpc_tag_write,      mcrpc_checksum,            mcrpc_sniff,           mcrpc_context_read,
    mcrpc_context_onward, mcrpc_context_write, mcrpc_context_encode,      mcrpc_context_decode,
    mcrpc_request_from_context, mcrpc_context_current};

static uint64_t evidence;
static const mcrpc_context_t process_context = MCRPC_CONTEXT_INIT;

static const mcrpc_context_t *lookup(void) {
    return &process_context;
}

static mcrpc_bytes_t bytes_of(const char *text) {
    return (mcrpc_bytes_t){(const uint8_t *)text, strlen(text)};
}

/* A request of every field and with tags of its own, with checksum. */
static size_t make_frame(const struct calls *calls, uint64_t now, uint8_t *frame, size_t room) {
    static const uint8_t payload[64] = "payload";
    uint8_t tags[64];
    size_t tag_len = 0, more = 0, len = 0;
    calls->tag_write(MCRPC_TAG_APPLICATION | 1, payload, 8, tags, sizeof tags, &tag_len);
    calls->tag_write(MCRPC_TAG_APPLICATION | MCRPC_TAG_ONWARD | 1, payload, 9, tags + tag_len, sizeof tags - tag_len, &more);
    mcrpc_header_t header = {0};
    header.kind = MCRPC_KIND_REQUEST;
    header.flags = MCRPC_FLAG_CRC_TRAILER | MCRPC_FLAG_SAMPLED;
    header.uin = now;
    header.budget_ms = 500;
    header.method_id = calls->method_id((const uint8_t *)"pkg.Service.Method", 18);
    mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
    memset(metadata.trace_id, 7, sizeof metadata.trace_id);
    metadata.trace_flags = 2;
    metadata.origin_budget_ms = 800;
    metadata.call_graph_id = now;
    metadata.withheld_count = 3;
    metadata.compression = MCRPC_COMPRESSION_ZSTD;
    metadata.reject_hold_ms = 300;
    metadata.features = MCRPC_FEATURE_CHECKSUMS;
    metadata.max_body_len = 1 << 20;
    metadata.caller = bytes_of("caller");
    metadata.service = bytes_of("pkg.Service");
    metadata.method = bytes_of("pkg.Service.Method");
    metadata.zone = bytes_of("zone");
    metadata.error_text = bytes_of("\xc3\xa4 text that is longer than a word");
    metadata.ticket = bytes_of("ticket");
    metadata.cookie = bytes_of("cookie");
    metadata.tags = (mcrpc_bytes_t){tags, tag_len + more};
    metadata.onward_tags = metadata.tags;
    if (calls->head_write(&header, &metadata, sizeof payload, frame, room - sizeof payload - 4, &len) != MCRPC_OK) {
        return 0;
    }
    memcpy(frame + len, payload, sizeof payload);
    uint32_t sum = calls->checksum(0, frame, len);
    sum = calls->checksum(sum, payload, sizeof payload);
    len += sizeof payload;
    for (int n = 0; n < 4; n++) {
        frame[len++] = (uint8_t)(sum >> (8 * n));
    }
    return len;
}

/* Every function, over `rounds` rounds of ten frames, cut at every round in another place. */
static uint64_t exercise(const void *table, uint32_t queue, uint64_t now, int rounds) {
    const struct calls *calls = table;
    static const uint8_t span[8] = "span id";
    mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    limits.max_open_calls = 2;
    mcrpc_frame_decoder_t decoder;
    calls->frame_init(&limits, &decoder);
    for (int n = 0; n < rounds * 10; n++) {
        now += MS + queue;
        uint8_t frame[512], again[512], queued[512];
        size_t len = make_frame(calls, now, frame, sizeof frame), used, wanted = 0, at = 0;
        mcrpc_frame_event_t event;
        for (size_t from = 0, end = (size_t)n % 300; from < len; end = len) {
            size_t piece = (end < len ? end : len) - from;
            if (calls->frame_next(&decoder, frame + from, piece, &used, &event) != MCRPC_OK) {
                return 0;
            }
            from += used;
            evidence += event.kind == MCRPC_EVENT_CHECKED && event.last == 1;
        }
        calls->frame_answered(&decoder);
        mcrpc_header_t header = {0};
        mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
        mcrpc_bytes_t payload = {NULL, 0}, value;
        mcrpc_context_t context = MCRPC_CONTEXT_INIT, onward = MCRPC_CONTEXT_INIT;
        mcrpc_request_t request;
        uint8_t tag = 0;
        calls->sniff(frame, len);
        calls->header_parse(frame, len, &limits, &header);
        calls->frame_wanted(frame, len, &limits, &wanted);
        calls->metadata_parse(frame + MCRPC_HEADER_LEN, header.metadata_len, &limits, &metadata);
        calls->frame_parse(frame, len, &limits, &header, &metadata, &payload, &wanted);
        while (calls->tag_next(&metadata.tags, &at, &tag, &value) == MCRPC_OK && tag != 0) {
        }
        calls->context_read(&header, &metadata, now, &context);
        calls->context_onward(&context, span, &onward);
        calls->request_from_context(&onward, 7, 1, &request);
        if (calls->context_encode(&onward, now, queued, sizeof queued, &wanted) == MCRPC_OK) {
            calls->context_decode(queued, wanted, &limits, now, &onward);
        }
        /* What a proxy does, and then a call onward. */
        metadata.origin_budget_ms = 1;
        calls->head_write(&header, &metadata, (uint32_t)payload.len, again, sizeof again, &wanted);
        mcrpc_metadata_t own = MCRPC_METADATA_INIT;
        calls->context_write(&onward, now, &header, &own);
        calls->head_write(&header, &own, 0, again, sizeof again, &wanted);
        calls->header_emit(&header, again, sizeof again);
        evidence += calls->context_current() == &process_context && onward.call_graph_id == now;
    }
    return now;
}

static int32_t nothing_header_parse(const uint8_t *b, size_t l, const mcrpc_limits_t *m, mcrpc_header_t *h) {
    return b == NULL || l == 0 || m == NULL || h == NULL;
}
static int32_t nothing_header_emit(const mcrpc_header_t *h, uint8_t *b, size_t l) {
    return h == NULL || b == NULL || l == 0;
}
static uint32_t nothing_method_id(const uint8_t *n, size_t l) {
    return n == NULL || l == 0;
}
static int32_t nothing_frame_init(const mcrpc_limits_t *m, mcrpc_frame_decoder_t *d) {
    return m == NULL || d == NULL;
}
static int32_t nothing_frame_next(mcrpc_frame_decoder_t *d, const uint8_t *b, size_t l, size_t *u, mcrpc_frame_event_t *e) {
    *u = l;
    e->kind = 0;
    return d == NULL || b == NULL;
}
static int32_t nothing_frame_answered(mcrpc_frame_decoder_t *d) {
    return d == NULL;
}
static int32_t nothing_frame_wanted(const uint8_t *b, size_t l, const mcrpc_limits_t *m, size_t *w) {
    return b == NULL || l == 0 || m == NULL || w == NULL;
}
static int32_t nothing_frame_parse(const uint8_t *b, size_t l, const mcrpc_limits_t *m, mcrpc_header_t *h,
                                   mcrpc_metadata_t *d, mcrpc_bytes_t *p, size_t *w) {
    return b == NULL || l == 0 || m == NULL || h == NULL || d == NULL || p == NULL || w == NULL;
}
static int32_t nothing_metadata_parse(const uint8_t *b, size_t l, const mcrpc_limits_t *m, mcrpc_metadata_t *d) {
    return b == NULL || l == 0 || m == NULL || d == NULL;
}
static int32_t nothing_head_write(const mcrpc_header_t *h, const mcrpc_metadata_t *d, uint32_t p, uint8_t *b, size_t l,
                                  size_t *w) {
    *w = MCRPC_HEADER_LEN;
    return h == NULL || d == NULL || b == NULL || p + l == 0;
}
static int32_t nothing_tag_next(const mcrpc_bytes_t *b, size_t *o, uint8_t *t, mcrpc_bytes_t *v) {
    return b == NULL || *o > 9 || t == NULL || v == NULL;
}
static int32_t nothing_tag_write(uint8_t t, const uint8_t *v, size_t l, uint8_t *b, size_t m, size_t *w) {
    *w = 2;
    return t == 0 || v == NULL || b == NULL || l + m == 0;
}
static uint32_t nothing_checksum(uint32_t s, const uint8_t *b, size_t l) {
    return s + (uint32_t)l + b[0];
}
static uint32_t nothing_sniff(const uint8_t *b, size_t l) {
    return b == NULL || l == 0;
}
static int32_t nothing_context_read(const mcrpc_header_t *h, const mcrpc_metadata_t *d, uint64_t n, mcrpc_context_t *c) {
    return h == NULL || d == NULL || n == 0 || c == NULL;
}
static int32_t nothing_context_onward(const mcrpc_context_t *c, const uint8_t *s, mcrpc_context_t *o) {
    return c == NULL || s == NULL || o == NULL;
}
static int32_t nothing_context_write(const mcrpc_context_t *c, uint64_t n, mcrpc_header_t *h, mcrpc_metadata_t *d) {
    return c == NULL || n == 0 || h == NULL || d == NULL;
}
static int32_t nothing_context_encode(const mcrpc_context_t *c, uint64_t n, uint8_t *b, size_t l, size_t *w) {
    *w = MCRPC_HEADER_LEN;
    return c == NULL || n == 0 || b == NULL || l == 0;
}
static int32_t nothing_context_decode(const uint8_t *b, size_t l, const mcrpc_limits_t *m, uint64_t n, mcrpc_context_t *c) {
    return b == NULL || l + n == 0 || m == NULL || c == NULL;
}
static int32_t nothing_request_from_context(const mcrpc_context_t *c, uint64_t s, uint32_t e, mcrpc_request_t *r) {
    return c == NULL || s + e == 0 || r == NULL;
}
static const mcrpc_context_t *nothing_context_current(void) {
    return NULL;
}
static const struct calls nothing = {
    nothing_header_parse,   nothing_header_emit,   nothing_method_id,      nothing_frame_init,     nothing_frame_next,
    nothing_frame_answered, nothing_frame_wanted,  nothing_frame_parse,    nothing_metadata_parse, nothing_head_write,
    nothing_tag_next,       nothing_tag_write,     nothing_checksum,       nothing_sniff,          nothing_context_read,
    nothing_context_onward, nothing_context_write, nothing_context_encode, nothing_context_decode,
    nothing_request_from_context, nothing_context_current};

int main(int argc, char **argv) {
    static const struct subject subject = {exercise, &real, &nothing, &evidence, 1000, NULL};
    CHECK(argc == 2);
    mcrpc_context_set_lookup(lookup);
    return check_rule(argv[1], &subject);
}
