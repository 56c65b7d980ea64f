/* The statuses of wrong calls and of bytes that are no frame, each provoked once, and those that a transport says. */
#include "errors.h"

enum { BODY = MCRPC_BAIDU_MAX_BODY_LEN, META = MCRPC_BAIDU_MAX_META_LEN };

/* What the calls here write; nobody looks at it. */
static mcrpc_header_t header;
static mcrpc_metadata_t metadata;
static mcrpc_bytes_t payload;
static size_t len;

/* A request with `body_len` bytes behind its header, of which byte `at` is `value`. */
static const uint8_t *request_with(uint32_t body_len, unsigned at, uint8_t value) {
    static uint8_t bytes[MCRPC_HEADER_LEN + 8];
    const mcrpc_header_t plain = {.kind = MCRPC_KIND_REQUEST, .body_len = body_len};
    memset(bytes, 0, sizeof bytes);
    CHECK(mcrpc_header_emit(&plain, bytes, sizeof bytes) == MCRPC_OK);
    bytes[at] = value;
    return bytes;
}

static const uint8_t *untouched(void) {
    return request_with(0, 1, 0x11);
}

static int32_t parse_header(const uint8_t *bytes, const mcrpc_limits_t *limits) {
    return mcrpc_header_parse(bytes, MCRPC_HEADER_LEN, limits, &header);
}

static int32_t parse_tags(const char *tags, size_t tags_len, const mcrpc_limits_t *limits) {
    metadata.struct_size = sizeof metadata;
    return mcrpc_metadata_parse((const uint8_t *)tags, tags_len, limits, &metadata);
}

static void wrong_calls(void) {
    mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    mcrpc_frame_decoder_t decoder = {0};
    uint8_t out[MCRPC_HEADER_LEN];
    unsigned char *volatile misaligned = (unsigned char *)&header + 1;
    CHECK(parse_header(untouched(), NULL) == MCRPC_OK);
    PROVOKE(MCRPC_OK, mcrpc_header_emit, mcrpc_header_emit(&header, out, sizeof out));
    PROVOKE(MCRPC_NULL_ARGUMENT, mcrpc_header_emit, mcrpc_header_emit(NULL, out, sizeof out));
    PROVOKE(MCRPC_MISALIGNED, mcrpc_header_emit, mcrpc_header_emit((const void *)misaligned, out, sizeof out));
    PROVOKE(MCRPC_TOO_SMALL, mcrpc_header_emit, mcrpc_header_emit(&header, out, MCRPC_HEADER_LEN - 1));
    PROVOKE(MCRPC_NOT_INITIALISED, mcrpc_frame_answered, mcrpc_frame_answered(&decoder));
    limits.needs_checksum = 2;
    PROVOKE(MCRPC_INVALID_ARGUMENT, mcrpc_frame_init, mcrpc_frame_init(&limits, &decoder));
    limits.struct_size = 0;
    PROVOKE(MCRPC_BAD_STRUCT_SIZE, mcrpc_frame_init, mcrpc_frame_init(&limits, &decoder));
}

/* What is wrong with a header, field by field: docs/wire-format.md. */
static void headers(void) {
    mcrpc_limits_t checked = MCRPC_LIMITS_INIT;
    checked.needs_checksum = 1;
    PROVOKE(MCRPC_INCOMPLETE, mcrpc_header_parse,
            mcrpc_header_parse(untouched(), MCRPC_HEADER_LEN - 1, NULL, &header));
    PROVOKE(MCRPC_BAD_MAGIC, mcrpc_header_parse, parse_header(request_with(0, 0, 'G'), NULL));
    PROVOKE(MCRPC_BAD_VERSION, mcrpc_header_parse, parse_header(request_with(0, 1, 0x21), NULL));
    PROVOKE(MCRPC_BAD_KIND, mcrpc_header_parse, parse_header(request_with(0, 1, 0x10), NULL));
    PROVOKE(MCRPC_BODY_TOO_LONG, mcrpc_header_parse, parse_header(request_with(UINT32_C(64) << 20, 4, 1), NULL));
    PROVOKE(MCRPC_BAD_METADATA_LENGTH, mcrpc_header_parse, parse_header(request_with(0, 30, 1), NULL));
    PROVOKE(MCRPC_UNSUPPORTED_FLAG, mcrpc_header_parse,
            parse_header(request_with(0, 2, MCRPC_FLAG_MUST_UNDERSTAND), NULL));
    PROVOKE(MCRPC_CHECKSUM_MISSING, mcrpc_header_parse, parse_header(untouched(), &checked));
    PROVOKE(MCRPC_METADATA_TOO_LONG, mcrpc_header_parse, parse_header(request_with(1 << 16, 31, 0x40), NULL));
    metadata.struct_size = sizeof metadata;
    PROVOKE(MCRPC_BAD_CHECKSUM, mcrpc_frame_parse,
            mcrpc_frame_parse(request_with(0, 2, MCRPC_FLAG_CRC_TRAILER), MCRPC_HEADER_LEN + 4, NULL, &header,
                              &metadata, &payload, &len));
}

static void tags(void) {
    mcrpc_limits_t narrow = MCRPC_LIMITS_INIT;
    narrow.max_name_len = 3;
    narrow.max_tags = 1;
    PROVOKE(MCRPC_BAD_TAG, mcrpc_metadata_parse, parse_tags("\x01\x09x", 3, NULL));
    PROVOKE(MCRPC_UNSUPPORTED_TAG, mcrpc_metadata_parse, parse_tags("\x9f\x00", 2, NULL));
    PROVOKE(MCRPC_REPEATED_TAG, mcrpc_metadata_parse, parse_tags("\x01\x01x\x01\x01x", 6, NULL));
    PROVOKE(MCRPC_TOO_MANY_TAGS, mcrpc_metadata_parse, parse_tags("\x41\x00\x41\x00", 4, &narrow));
    PROVOKE(MCRPC_NAME_TOO_LONG, mcrpc_metadata_parse, parse_tags("\x01\x04zone", 6, &narrow));
    PROVOKE(MCRPC_BAD_NAME, mcrpc_metadata_parse, parse_tags("\x01\x03" "a b", 5, NULL));
    PROVOKE(MCRPC_BAD_TEXT, mcrpc_metadata_parse, parse_tags("\x06\x01\xff", 3, NULL));
}

/* The second request of a connection that may have one open. */
static int32_t second_open_call(void) {
    mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
    mcrpc_frame_decoder_t decoder;
    mcrpc_frame_event_t event;
    limits.max_open_calls = 1;
    CHECK(mcrpc_frame_init(&limits, &decoder) == MCRPC_OK);
    for (uint32_t wanted = MCRPC_EVENT_HEADER; wanted <= MCRPC_EVENT_REFUSED; wanted++) {
        CHECK(mcrpc_frame_next(&decoder, untouched(), MCRPC_HEADER_LEN, &len, &event) == MCRPC_OK);
        CHECK(event.kind == wanted);
    }
    return event.status;
}

static void peers(void) {
    static const uint8_t no_meta[] = {'P', 'R', 'P', 'C', 0, 0, 0, 1, 0, 0, 0, 1, 0xff};
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    mcrpc_bytes_t attachment;
    PROVOKE(MCRPC_BAD_META, mcrpc_baidu_parse,
            mcrpc_baidu_parse(no_meta, sizeof no_meta, BODY, META, &meta, &payload, &attachment));
    PROVOKE(MCRPC_NO_SERVICE, mcrpc_baidu_status_of, mcrpc_baidu_status_of(MCRPC_BAIDU_ENOSERVICE));
    PROVOKE(MCRPC_NO_METHOD, mcrpc_baidu_status_of, mcrpc_baidu_status_of(MCRPC_BAIDU_ENOMETHOD));
    PROVOKE(MCRPC_GOING_AWAY, mcrpc_baidu_status_of, mcrpc_baidu_status_of(MCRPC_BAIDU_ELOGOFF));
    PROVOKE(MCRPC_TOO_MANY_OPEN_CALLS, mcrpc_frame_next, second_open_call());
}

/* Those that the library is told, and does not find out: a transport's, and a server's whose worker died. What it makes
 * of them is an outcome for mcrpc_report(), and a code for a brpc client. */
static void from_transports(void) {
    static const struct {
        int32_t status;
        uint32_t outcome;
        int32_t error;
    } said[] = {{MCRPC_CONNECT_FAILED, MCRPC_OUTCOME_FAILED, MCRPC_BAIDU_EINTERNAL},
                {MCRPC_READ_FAILED, MCRPC_OUTCOME_FAILED, MCRPC_BAIDU_EINTERNAL},
                {MCRPC_WRITE_FAILED, MCRPC_OUTCOME_FAILED, MCRPC_BAIDU_EINTERNAL},
                {MCRPC_TIMED_OUT, MCRPC_OUTCOME_FAILED, MCRPC_BAIDU_ERPCTIMEDOUT},
                {MCRPC_WORKER_LOST, MCRPC_OUTCOME_OVERLOADED, MCRPC_BAIDU_ELIMIT}};
    for (size_t n = 0; n < sizeof said / sizeof *said; n++) {
        CHECK(mcrpc_outcome_of(said[n].status) == said[n].outcome);
        CHECK(mcrpc_outcome_is_retriable(said[n].outcome));
        CHECK(mcrpc_baidu_error_of(said[n].status) == said[n].error);
        TELL(said[n].status, mcrpc_outcome_of);
    }
}

int main(void) {
    wrong_calls();
    headers();
    tags();
    peers();
    from_transports();
    return 0;
}
