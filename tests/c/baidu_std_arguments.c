/* The functions of baidu_std with NULL, misaligned, short and nonsense arguments: a status each, and nothing written. */
#include "expect.h"

enum { BODY = MCRPC_BAIDU_MAX_BODY_LEN, META = MCRPC_BAIDU_MAX_META_LEN };

/* A request of service "s", method "m", with the user field "k" = "v" and one byte of payload. */
static const uint8_t frame[] = {'P', 'R', 'P', 'C', 0,   0,    0,   17, 0,   0,    0, 16,  0x0A, 6,   0x0A,
                                1,   's', 0x12, 1,  'm', 0x4A, 6,   0x0A, 1, 'k', 0x12, 1, 'v', 'p'};

static mcrpc_baidu_meta_t filled(void) {
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    mcrpc_bytes_t payload, attachment;
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, &meta, &payload, &attachment), MCRPC_OK);
    return meta;
}

static void lengths(void) {
    size_t wanted = 99;
    EXPECT(mcrpc_baidu_wanted(NULL, 0, BODY, META, &wanted), MCRPC_INCOMPLETE);
    EXPECT(mcrpc_baidu_wanted(NULL, 1, BODY, META, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_wanted(frame, SIZE_MAX, BODY, META, &wanted), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_baidu_wanted(frame, 12, BODY, META, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_wanted(frame, 12, BODY, META, odd(&wanted)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_wanted(frame, 12, 16, META, &wanted), MCRPC_BODY_TOO_LONG);
    EXPECT(mcrpc_baidu_wanted(frame, 12, BODY, 15, &wanted), MCRPC_METADATA_TOO_LONG);
    EXPECT(mcrpc_baidu_wanted((const uint8_t *)"GET ", 4, BODY, META, &wanted), MCRPC_BAD_MAGIC);
    EXPECT(wanted, 99);
    EXPECT(mcrpc_baidu_wanted(frame, 12, 17, 16, &wanted), MCRPC_OK);
    EXPECT(wanted, sizeof frame);
}

static void parsing(void) {
    struct {
        mcrpc_baidu_meta_t meta;
        uint8_t tail[64];
    } room;
    mcrpc_bytes_t payload = {frame, 99}, attachment = {frame, 99};
    memset(&room, CANARY, sizeof room);
    mcrpc_baidu_meta_t *meta = &room.meta;
    meta->struct_size = sizeof *meta;
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, NULL, &payload, &attachment), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, odd(meta), &payload, &attachment), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, meta, NULL, &attachment), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, meta, &payload, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, meta, odd(&payload), &attachment), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_parse(NULL, 1, BODY, META, meta, &payload, &attachment), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_parse(frame, SIZE_MAX, BODY, META, meta, &payload, &attachment), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame - 1, BODY, META, meta, &payload, &attachment), MCRPC_INCOMPLETE);
    for (uint32_t size = 0; size < sizeof *meta; size++) {
        meta->struct_size = size;
        EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, meta, &payload, &attachment), MCRPC_BAD_STRUCT_SIZE);
    }
    meta->struct_size = UINT32_MAX;
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, meta, &payload, &attachment), MCRPC_BAD_STRUCT_SIZE);
    for (size_t at = sizeof(uint32_t); at < sizeof room; at++) {
        EXPECT(((unsigned char *)&room)[at], CANARY);
    }
    EXPECT(payload.len + attachment.len, 198);
    /* Of a bad meta nothing is left, not even what was there before. */
    uint8_t wrong[sizeof frame];
    memcpy(wrong, frame, sizeof frame);
    wrong[16] = 0xFF;
    meta->struct_size = sizeof *meta;
    EXPECT(mcrpc_baidu_parse(wrong, sizeof wrong, BODY, META, meta, &payload, &attachment), MCRPC_BAD_META);
    EXPECT(payload.len + attachment.len, 198);
    for (size_t at = sizeof(uint32_t); at < sizeof room; at++) {
        EXPECT(((unsigned char *)&room)[at], at < sizeof *meta ? 0 : CANARY);
    }
    /* A program of the future: its unknown tail is zeroed, and nothing behind it is touched. */
    meta->struct_size = sizeof *meta + 16;
    EXPECT(mcrpc_baidu_parse(frame, sizeof frame, BODY, META, meta, &payload, &attachment), MCRPC_OK);
    EXPECT(meta->struct_size, sizeof *meta + 16);
    EXPECT(room.tail[0] + room.tail[15], 0);
    EXPECT(room.tail[16], CANARY);
    EXPECT(payload.len, 1);
    EXPECT(attachment.len, 0);
}

static void writing(void) {
    mcrpc_baidu_meta_t meta = filled();
    mcrpc_baidu_origin_t origin = {1, 2, 3, {0}};
    mcrpc_baidu_field_t field = {{frame, 1}, {frame, 1}};
    uint8_t out[128];
    size_t wanted = 99;
    memset(out, CANARY, sizeof out);
    EXPECT(mcrpc_baidu_write_request(NULL, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_write_request(odd(&meta), &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_write_request(&meta, odd(&origin), &field, 1, 0, out, sizeof out, &wanted), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, NULL, 1, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, odd(&field), 1, 0, out, sizeof out, &wanted), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, SIZE_MAX, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, NULL, 1, &wanted), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, SIZE_MAX, &wanted), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, sizeof out, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, sizeof out, odd(&wanted)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, UINT32_MAX, out, sizeof out, &wanted), MCRPC_BODY_TOO_LONG);
    EXPECT(mcrpc_baidu_write_response(&meta, &field, 1, 0, out, sizeof out, &wanted), MCRPC_BAD_KIND);
    EXPECT(mcrpc_baidu_write_response(NULL, &field, 1, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    origin.reserved[4] = 1;
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    origin.reserved[4] = 0;
    uint8_t no_text = 0xFF;
    field.value.data = &no_text;
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_BAD_TEXT);
    field.value.data = NULL;
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    field.value.len = 0;

    mcrpc_baidu_meta_t wrong = meta;
    wrong.struct_size--;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_BAD_STRUCT_SIZE);
    wrong = meta;
    wrong.present |= UINT32_C(1) << 31;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    wrong = meta;
    wrong.reserved = 1;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    wrong = meta;
    wrong.reserved_too = 1;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    wrong = meta;
    wrong.service_name.data = &no_text;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_BAD_TEXT);
    wrong = meta;
    wrong.user_fields.data = NULL;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    wrong = meta;
    wrong.present |= MCRPC_BAIDU_CHECKSUM_VALUE;
    wrong.checksum_value.len = SIZE_MAX;
    wrong.checksum_value.data = &no_text;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    wrong = meta;
    wrong.service_name.data = NULL;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 0, out, sizeof out, &wanted), MCRPC_NULL_ARGUMENT);
    wrong = meta;
    wrong.present |= MCRPC_BAIDU_ATTACHMENT_SIZE;
    wrong.attachment_size = 5;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 4, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    wrong.attachment_size = -1;
    EXPECT(mcrpc_baidu_write_request(&wrong, &origin, &field, 1, 4, out, sizeof out, &wanted), MCRPC_INVALID_ARGUMENT);
    EXPECT(wanted, 99);
    EXPECT(mcrpc_baidu_write_request(&meta, &origin, &field, 1, 0, out, 20, &wanted), MCRPC_TOO_SMALL);
    EXPECT(wanted > 20 && wanted < sizeof out, 1);
    for (size_t at = 0; at < sizeof out; at++) {
        EXPECT(out[at], CANARY);
    }
    EXPECT(mcrpc_baidu_write_request(&meta, NULL, NULL, 0, 0, out, sizeof out, &wanted), MCRPC_OK);
    EXPECT(out[wanted], CANARY);
}

static void looking_up(void) {
    mcrpc_baidu_meta_t meta = filled(), empty = MCRPC_BAIDU_META_INIT;
    mcrpc_bytes_t value = {frame, 99}, rest;
    mcrpc_baidu_field_t field;
    mcrpc_header_t header;
    memset(&header, CANARY, sizeof header);
    EXPECT(mcrpc_baidu_user_field(NULL, frame, 1, &value), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_user_field(odd(&meta), frame, 1, &value), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_user_field(&meta, NULL, 1, &value), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_user_field(&meta, frame, SIZE_MAX, &value), MCRPC_INVALID_ARGUMENT);
    EXPECT(mcrpc_baidu_user_field(&meta, frame, 1, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_user_field(&meta, frame, 1, odd(&value)), MCRPC_MISALIGNED);
    EXPECT(value.len, 99);
    EXPECT(mcrpc_baidu_user_field(&meta, (const uint8_t *)"k", 1, &value), MCRPC_OK);
    EXPECT(value.len == 1 && *value.data == 'v', 1);
    EXPECT(mcrpc_baidu_user_field(&meta, (const uint8_t *)"\xFF", 1, &value), MCRPC_OK);
    EXPECT(value.data == NULL && value.len == 0, 1);
    EXPECT(mcrpc_baidu_user_field(&empty, NULL, 0, &value), MCRPC_OK);
    EXPECT(value.data == NULL, 1);

    EXPECT(mcrpc_baidu_next_user_field(NULL, &field), MCRPC_NULL_ARGUMENT);
    rest = meta.user_fields;
    EXPECT(mcrpc_baidu_next_user_field(odd(&rest), &field), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_next_user_field(&rest, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_next_user_field(&rest, odd(&field)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_next_user_field(&rest, &field), MCRPC_OK);
    EXPECT(field.key.len == 1 && field.value.len == 1 && rest.len == 0, 1);
    EXPECT(mcrpc_baidu_next_user_field(&rest, &field), MCRPC_OK);
    EXPECT(field.key.data == NULL, 1);
    rest.data = NULL;
    rest.len = 1;
    EXPECT(mcrpc_baidu_next_user_field(&rest, &field), MCRPC_NULL_ARGUMENT);
    rest.data = (const uint8_t *)"\xFF\xFF";
    rest.len = 2;
    EXPECT(mcrpc_baidu_next_user_field(&rest, &field), MCRPC_OK);
    EXPECT(field.key.data == NULL, 1);

    EXPECT(mcrpc_baidu_to_header(NULL, 0, &header), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_to_header(odd(&meta), 0, &header), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_to_header(&meta, 0, NULL), MCRPC_NULL_ARGUMENT);
    EXPECT(mcrpc_baidu_to_header(&meta, 0, odd(&header)), MCRPC_MISALIGNED);
    EXPECT(mcrpc_baidu_to_header(&empty, 0, &header), MCRPC_BAD_KIND);
    EXPECT(header.kind, CANARY);
    EXPECT(mcrpc_baidu_to_header(&meta, 0, &header), MCRPC_OK);
    EXPECT(header.budget_ms, UINT32_MAX);
}

int main(void) {
    lengths();
    parsing();
    writing();
    looking_up();
    EXPECT(mcrpc_baidu_error_of(INT32_MIN), MCRPC_BAIDU_EINTERNAL);
    EXPECT(mcrpc_baidu_status_of(INT32_MIN), MCRPC_BAIDU_EINTERNAL);
    return 0;
}
