/* Every function of the wire and of contexts with NULL, misaligned, short and nonsense arguments: a status each, and nothing
 * written. */
#include "expect.h"

static const mcrpc_limits_t defaults = MCRPC_LIMITS_INIT;
static const mcrpc_metadata_t no_metadata = MCRPC_METADATA_INIT;
static const mcrpc_context_t no_context = MCRPC_CONTEXT_INIT;

static uint8_t frame[MCRPC_HEADER_LEN];

static void expect_untouched(const void *memory, size_t len) {
    for (size_t n = 0; n < len; n++) {
        EXPECT(((const unsigned char *)memory)[n], CANARY);
    }
}

static mcrpc_bytes_t bytes_of(const char *text) {
    return (mcrpc_bytes_t){(const uint8_t *)text, strlen(text)};
}

static void limits(void) {
    size_t wanted = 99;
    mcrpc_limits_t some = defaults;
    EXPECT(mcrpc_frame_wanted(frame, sizeof frame, odd(&some), &wanted), MCRPC_MISALIGNED);
    some.struct_size = sizeof some - 1;
    EXPECT(mcrpc_frame_wanted(frame, sizeof frame, &some, &wanted), MCRPC_BAD_STRUCT_SIZE);
    some.struct_size = UINT32_MAX;
    EXPECT(mcrpc_frame_wanted(frame, sizeof frame, &some, &wanted), MCRPC_BAD_STRUCT_SIZE);
    some = defaults;
    some.needs_checksum = 2;
    EXPECT(mcrpc_frame_wanted(frame, sizeof frame, &some, &wanted), MCRPC_INVALID_ARGUMENT);
    struct {
        mcrpc_limits_t known;
        uint32_t newer;
    } longer = {MCRPC_LIMITS_INIT, 0};
    longer.known.struct_size = sizeof longer;
    EXPECT(mcrpc_frame_wanted(frame, sizeof frame, &longer.known, &wanted), MCRPC_OK);
    longer.newer = 1;
    EXPECT(mcrpc_frame_wanted(frame, sizeof frame, &longer.known, &wanted), MCRPC_BAD_STRUCT_SIZE);
    EXPECT(wanted, MCRPC_HEADER_LEN);
}

static void streams(void) {
    mcrpc_frame_decoder_t decoder;
    mcrpc_frame_event_t event;
    size_t used = 99;
    memset(&decoder, 0, sizeof decoder);
    EXPECT(mcrpc_frame_next(&decoder, frame, 1, &used, &event), MCRPC_NOT_INITIALISED);
    EXPECT(mcrpc_frame_answered(&decoder), MCRPC_NOT_INITIALISED);
    EXPECT(mcrpc_frame_init(NULL, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_init(NULL, odd(&decoder)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_init(odd(&decoder), &decoder), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_init(&defaults, &decoder), MCRPC_OK);
    EXPECT(mcrpc_frame_answered(NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_answered(odd(&decoder)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_answered(&decoder), MCRPC_OK);
    EXPECT(mcrpc_frame_next(NULL, frame, 1, &used, &event), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_next(odd(&decoder), frame, 1, &used, &event), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_next(&decoder, NULL, 1, &used, &event), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_next(&decoder, frame, SIZE_MAX, &used, &event), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_frame_next(&decoder, frame, 1, NULL, &event), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_next(&decoder, frame, 1, &used, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_next(&decoder, frame, 1, &used, odd(&event)), MCRPC_MISALIGNED);
    EXPECT(used, 99);
    EXPECT(mcrpc_frame_next(&decoder, NULL, 0, &used, &event), MCRPC_OK);
    EXPECT(event.kind == MCRPC_EVENT_NONE && used == 0, 1);
    memset(&event, CANARY, sizeof event);
    EXPECT(mcrpc_frame_next(&decoder, (const uint8_t *)"GET / HTTP/1.1\r\nHost: localhost\r\n", 33, &used, &event), MCRPC_BAD_MAGIC);
    EXPECT(mcrpc_frame_next(&decoder, frame, sizeof frame, &used, &event), MCRPC_BAD_MAGIC);
    expect_untouched(&event, sizeof event);
}

static void whole_frames(void) {
    mcrpc_header_t header;
    mcrpc_metadata_t metadata = no_metadata;
    mcrpc_bytes_t payload;
    size_t len = 99, wanted = 99;
    memset(&header, CANARY, sizeof header);
    EXPECT(mcrpc_frame_wanted(NULL, 32, NULL, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_wanted(frame, 31, NULL, &wanted), MCRPC_INCOMPLETE);
    EXPECT(mcrpc_frame_wanted(frame, 32, NULL, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_wanted(frame, 32, NULL, odd(&wanted)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_parse(NULL, 32, NULL, &header, &metadata, &payload, &len), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_parse(frame, SIZE_MAX, NULL, &header, &metadata, &payload, &len), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_frame_parse(frame, 31, NULL, &header, &metadata, &payload, &len), MCRPC_INCOMPLETE);
    EXPECT(mcrpc_frame_parse(frame, 32, odd(&len), &header, &metadata, &payload, &len), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, NULL, &metadata, &payload, &len), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, &header, NULL, &payload, &len), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, &header, odd(&metadata), &payload, &len), MCRPC_MISALIGNED);
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, &header, &metadata, NULL, &len), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, &header, &metadata, &payload, NULL), MCRPC_NULL_ARGUMENT);
    metadata.struct_size = 8;
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, &header, &metadata, &payload, &len), MCRPC_BAD_STRUCT_SIZE);
    EXPECT(len == 99 && wanted == 99, 1);
    expect_untouched(&header, sizeof header);
    metadata.struct_size = sizeof metadata;
    EXPECT(mcrpc_frame_parse(frame, 32, NULL, &header, &metadata, &payload, &len), MCRPC_OK);
    EXPECT(len == 32 && payload.data == NULL && metadata.tags.data == NULL, 1);
    EXPECT(mcrpc_checksum(7, NULL, 9), 7);
    EXPECT(mcrpc_checksum(7, frame, SIZE_MAX), 7);
    EXPECT(mcrpc_checksum(0, (const uint8_t *)"123456789", 9), 0xcbf43926);
    EXPECT(mcrpc_sniff(NULL, 4), MCRPC_PROTOCOL_UNKNOWN);
    EXPECT(mcrpc_sniff(NULL, 0), MCRPC_PROTOCOL_UNDECIDED);
}

static void metadata(void) {
    mcrpc_metadata_t out = no_metadata;
    EXPECT(mcrpc_metadata_parse(NULL, 1, NULL, &out), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_metadata_parse(frame, SIZE_MAX, NULL, &out), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_metadata_parse(frame, 1, odd(&out), &out), MCRPC_MISALIGNED);
    EXPECT(mcrpc_metadata_parse(NULL, 0, NULL, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_metadata_parse(NULL, 0, NULL, odd(&out)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_metadata_parse((const uint8_t *)"\x01", 1, NULL, &out), MCRPC_BAD_TAG);
    out.struct_size = 0;
    EXPECT(mcrpc_metadata_parse(NULL, 0, NULL, &out), MCRPC_BAD_STRUCT_SIZE);

    /* A program compiled against a newer header: what this library does not know is zeroed, and nothing behind it. */
    struct {
        mcrpc_metadata_t known;
        unsigned char newer[16];
    } longer;
    memset(&longer, CANARY, sizeof longer);
    longer.known.struct_size = sizeof longer.known + 8;
    EXPECT(mcrpc_metadata_parse(NULL, 0, NULL, &longer.known), MCRPC_OK);
    EXPECT(longer.known.struct_size, sizeof longer.known + 8);
    EXPECT(longer.known.features == 0 && longer.known.onward_tags.data == NULL, 1);
    for (size_t n = 0; n < sizeof longer.newer; n++) {
        EXPECT(longer.newer[n], n < 8 ? 0 : CANARY);
    }
}

static void heads(void) {
    mcrpc_header_t header = {0};
    mcrpc_metadata_t some = no_metadata;
    uint8_t out[64];
    size_t wanted = 99;
    header.kind = MCRPC_KIND_REQUEST;
    memset(out, CANARY, sizeof out);
    EXPECT(mcrpc_head_write(NULL, NULL, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_head_write(odd(&header), NULL, 0, out, sizeof out, &wanted), MCRPC_MISALIGNED);
    EXPECT(mcrpc_head_write(&header, odd(&some), 0, out, sizeof out, &wanted), MCRPC_MISALIGNED);
    EXPECT(mcrpc_head_write(&header, NULL, 0, NULL, 1, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_head_write(&header, NULL, 0, out, SIZE_MAX, &wanted), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_head_write(&header, NULL, 0, out, sizeof out, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_head_write(&header, NULL, 0, out, sizeof out, odd(&wanted)), MCRPC_MISALIGNED);
    header.kind = 0;
    EXPECT(mcrpc_head_write(&header, NULL, 0, out, sizeof out, &wanted), MCRPC_BAD_KIND);
    header.kind = MCRPC_KIND_REQUEST;
    header.flags = MCRPC_FLAG_MUST_UNDERSTAND;
    EXPECT(mcrpc_head_write(&header, NULL, 0, out, sizeof out, &wanted), MCRPC_UNSUPPORTED_FLAG);
    header.flags = 0;
    header.reserved = 1;
    EXPECT(mcrpc_head_write(&header, NULL, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    header.reserved = 0;
    some.struct_size = 4;
    EXPECT(mcrpc_head_write(&header, &some, 0, out, sizeof out, &wanted), MCRPC_BAD_STRUCT_SIZE);

    /* What no receiver would accept is not written. */
    static uint8_t long_value[65536];
    memset(long_value, 'x', sizeof long_value);
    const struct {
        mcrpc_metadata_t metadata;
        int32_t status;
    } wrong[] = {{{.caller = {(const uint8_t *)"a b", 3}}, MCRPC_BAD_NAME},
                 {{.zone = {(const uint8_t *)"\n", 1}}, MCRPC_BAD_NAME},
                 {{.error_text = {(const uint8_t *)"\xff", 1}}, MCRPC_BAD_TEXT},
                 {{.ticket = {NULL, 1}}, MCRPC_NULL_ARGUMENT},
                 {{.ticket = {frame, SIZE_MAX}}, MCRPC_INVALID_ARGUMENT},
                 {{.ticket = {long_value, 65536}}, MCRPC_METADATA_TOO_LONG},
                 {{.ticket = {long_value, 40000}, .cookie = {long_value, 40000}}, MCRPC_METADATA_TOO_LONG},
                 {{.tags = {(const uint8_t *)"\x41\x02x", 3}}, MCRPC_BAD_TAG},
                 {{.tags = {(const uint8_t *)"\x00", 2}}, MCRPC_BAD_TAG},
                 {{.tags = {(const uint8_t *)"\x01\x01x\x01\x01x", 6}}, MCRPC_REPEATED_TAG},
                 {{.tags = {(const uint8_t *)"\x9f", 2}}, MCRPC_UNSUPPORTED_TAG},
                 {{.tags = {NULL, 1}}, MCRPC_NULL_ARGUMENT},
                 {{.onward_tags = {(const uint8_t *)"\x61\x02x", 3}}, MCRPC_BAD_TAG},
                 {{.onward_tags = {(const uint8_t *)"\xa5\x01x", 3}}, MCRPC_UNSUPPORTED_TAG},
                 {{.onward_tags = {NULL, 1}}, MCRPC_NULL_ARGUMENT},
                 {{.reserved = 1}, MCRPC_INVALID_ARGUMENT}};
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        static uint8_t much[1 << 18];
        some = wrong[n].metadata;
        some.struct_size = sizeof some;
        EXPECT(mcrpc_head_write(&header, &some, 0, much, sizeof much, &wanted), wrong[n].status);
    }
    EXPECT(mcrpc_head_write(&header, &no_metadata, UINT32_MAX, NULL, 0, &wanted), MCRPC_TOO_SMALL);
    EXPECT(wanted, MCRPC_HEADER_LEN);
    some = no_metadata;
    some.caller = bytes_of("a");
    wanted = 99;
    EXPECT(mcrpc_head_write(&header, &some, UINT32_MAX, out, sizeof out, &wanted), MCRPC_BODY_TOO_LONG);
    EXPECT(wanted, 99);
}

static void single_tags(void) {
    const mcrpc_bytes_t tags = bytes_of("\x41\x01x"), broken = bytes_of("\x41\x02x"), nowhere = {NULL, 1};
    mcrpc_bytes_t value = {frame, 99};
    size_t offset = 0, wanted = 99;
    uint8_t tag = CANARY, out[8];
    EXPECT(mcrpc_tag_next(NULL, &offset, &tag, &value), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_next(odd(&value), &offset, &tag, &value), MCRPC_MISALIGNED);
    EXPECT(mcrpc_tag_next(&nowhere, &offset, &tag, &value), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_next(&tags, NULL, &tag, &value), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_next(&tags, &offset, NULL, &value), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_next(&tags, &offset, &tag, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_next(&broken, &offset, &tag, &value), MCRPC_BAD_TAG);
    offset = 4;
    EXPECT(mcrpc_tag_next(&tags, &offset, &tag, &value), MCRPC_INVALID_ARGUMENT);
    EXPECT(tag == CANARY && offset == 4 && value.len == 99, 1);
    offset = 3;
    EXPECT(mcrpc_tag_next(&tags, &offset, &tag, &value), MCRPC_OK);
    EXPECT(tag == 0 && offset == 3 && value.len == 0, 1);

    EXPECT(mcrpc_tag_write(0x41, NULL, 1, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_write(0x41, frame, SIZE_MAX, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_tag_write(0x41, frame, 1, NULL, 1, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_write(0x41, frame, 1, out, sizeof out, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_tag_write(0, frame, 1, out, sizeof out, &wanted), MCRPC_BAD_TAG);
    EXPECT(mcrpc_tag_write(MCRPC_TAG_MUST_UNDERSTAND, frame, 1, out, sizeof out, &wanted), MCRPC_BAD_TAG);
    EXPECT(mcrpc_tag_write(MCRPC_TAG_TRACE, frame, 23, out, sizeof out, &wanted), MCRPC_BAD_TAG);
    EXPECT(mcrpc_tag_write(MCRPC_TAG_METHOD, (const uint8_t *)" ", 1, out, sizeof out, &wanted), MCRPC_BAD_NAME);
    EXPECT(wanted, 99);
    EXPECT(mcrpc_tag_write(0x41, frame, 7, out, sizeof out, &wanted), MCRPC_TOO_SMALL);
    EXPECT(wanted, 9);
    EXPECT(mcrpc_tag_write(0x41, NULL, 0, NULL, 0, &wanted), MCRPC_TOO_SMALL);
    EXPECT(wanted, 2);
}

static void contexts(void) {
    const uint8_t span[8] = {0};
    mcrpc_header_t header = {0}, none = {0};
    mcrpc_metadata_t some = no_metadata;
    mcrpc_context_t context = no_context, out;
    mcrpc_request_t request;
    uint8_t bytes[64];
    size_t wanted = 99;
    header.kind = MCRPC_KIND_REQUEST;
    memset(&out, CANARY, sizeof out);
    out.struct_size = sizeof out;
    EXPECT(mcrpc_context_read(NULL, NULL, 1, &out), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_read(odd(&header), NULL, 1, &out), MCRPC_MISALIGNED);
    EXPECT(mcrpc_context_read(&none, NULL, 1, &out), MCRPC_BAD_KIND);
    EXPECT(mcrpc_context_read(&header, odd(&some), 1, &out), MCRPC_MISALIGNED);
    EXPECT(mcrpc_context_read(&header, NULL, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_read(&header, NULL, 1, odd(&out)), MCRPC_MISALIGNED);
    some.struct_size = 0;
    EXPECT(mcrpc_context_read(&header, &some, 1, &out), MCRPC_BAD_STRUCT_SIZE);
    some = no_metadata;
    EXPECT(mcrpc_context_onward(NULL, span, &out), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_onward(&context, NULL, &out), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_onward(&context, span, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_write(NULL, 1, &header, &some), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_write(&context, 1, NULL, &some), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_write(&context, 1, odd(&header), &some), MCRPC_MISALIGNED);
    EXPECT(mcrpc_context_write(&context, 1, &header, odd(&some)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_context_encode(NULL, 1, bytes, sizeof bytes, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_encode(&context, 1, NULL, 1, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_encode(&context, 1, bytes, sizeof bytes, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_encode(&context, 1, bytes, 31, &wanted), MCRPC_TOO_SMALL);
    EXPECT(wanted, MCRPC_HEADER_LEN);
    EXPECT(mcrpc_context_decode(NULL, 1, NULL, 1, &out), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_context_decode(frame, 31, NULL, 1, &out), MCRPC_INCOMPLETE);
    EXPECT(mcrpc_context_decode(frame, 32, odd(&some), 1, &out), MCRPC_MISALIGNED);
    EXPECT(mcrpc_context_decode(frame, 32, NULL, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_request_from_context(NULL, 1, 1, &request), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_request_from_context(&context, 1, 1, NULL), MCRPC_NULL_ARGUMENT);
    context.flags = 4;
    EXPECT(mcrpc_context_onward(&context, span, &out), MCRPC_INVALID_ARGUMENT);
    context = no_context;
    context.reserved[6] = 1;
    EXPECT(mcrpc_context_onward(&context, span, &out), MCRPC_INVALID_ARGUMENT);
    context = no_context;
    context.cookie.len = 1;
    EXPECT(mcrpc_context_onward(&context, span, &out), MCRPC_NULL_ARGUMENT);
    context = no_context;
    context.tags = bytes_of("\x61\x02x");
    EXPECT(mcrpc_context_encode(&context, 1, bytes, sizeof bytes, &wanted), MCRPC_BAD_TAG);
    context = no_context;
    context.struct_size = 4;
    EXPECT(mcrpc_context_onward(&context, span, &out), MCRPC_BAD_STRUCT_SIZE);
    expect_untouched((unsigned char *)&out + sizeof out.struct_size, sizeof out - sizeof out.struct_size);

    mcrpc_header_t before = header;
    context = no_context;
    context.deadline_ns = 5;
    context.uin = 9;
    EXPECT(mcrpc_context_write(&context, 5, &header, &some), MCRPC_OUT_OF_TIME);
    some.struct_size = 4;
    context.deadline_ns = UINT64_MAX;
    EXPECT(mcrpc_context_write(&context, 5, &header, &some), MCRPC_BAD_STRUCT_SIZE);
    EXPECT(memcmp(&before, &header, sizeof header), 0);
    EXPECT(mcrpc_context_current() == NULL, 1);
    mcrpc_context_set_lookup(NULL);
    EXPECT(mcrpc_context_current() == NULL, 1);
}

int main(void) {
    mcrpc_header_t header = {0};
    header.kind = MCRPC_KIND_REQUEST;
    EXPECT(mcrpc_header_emit(&header, frame, sizeof frame), MCRPC_OK);
    limits();
    streams();
    whole_frames();
    metadata();
    heads();
    single_tags();
    contexts();
    return 0;
}
