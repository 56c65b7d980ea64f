/* The functions of baidu_std, under the rules of the per-request functions (rules.h): baidu_std_hot_path RULE */
#include "rules.h"

struct calls {
    int32_t (*wanted)(const uint8_t *, size_t, uint32_t, uint32_t, size_t *);
    int32_t (*parse)(const uint8_t *, size_t, uint32_t, uint32_t, mcrpc_baidu_meta_t *, mcrpc_bytes_t *, mcrpc_bytes_t *);
    int32_t (*write_request)(const mcrpc_baidu_meta_t *, const mcrpc_baidu_origin_t *, const mcrpc_baidu_field_t *, size_t,
                             uint32_t, uint8_t *, size_t, size_t *);
    int32_t (*write_response)(const mcrpc_baidu_meta_t *, const mcrpc_baidu_field_t *, size_t, uint32_t, uint8_t *, size_t,
                              size_t *);
    int32_t (*user_field)(const mcrpc_baidu_meta_t *, const uint8_t *, size_t, mcrpc_bytes_t *);
    int32_t (*next_user_field)(mcrpc_bytes_t *, mcrpc_baidu_field_t *);
    int32_t (*to_header)(const mcrpc_baidu_meta_t *, uint32_t, mcrpc_header_t *);
    int32_t (*to_context)(const mcrpc_baidu_meta_t *, uint64_t, mcrpc_context_t *);
    int32_t (*set_context)(const mcrpc_context_t *, uint64_t, mcrpc_baidu_meta_t *, mcrpc_baidu_origin_t *);
    int32_t (*error_of)(int32_t);
    int32_t (*status_of)(int32_t);
};

static const struct calls real = {mcrpc_baidu_wanted,         mcrpc_baidu_parse,      mcrpc_baidu_write_request,
                                  mcrpc_baidu_write_response, mcrpc_baidu_user_field, mcrpc_baidu_next_user_field,
                                  mcrpc_baidu_to_header,      mcrpc_baidu_to_context, mcrpc_baidu_set_context,
                                  mcrpc_baidu_error_of,       mcrpc_baidu_status_of};

static uint64_t accepted;

static mcrpc_bytes_t text(const char *string) {
    mcrpc_bytes_t bytes = {(const uint8_t *)string, strlen(string)};
    return bytes;
}

/* Requests and responses of every form, whole and damaged: each byte is changed once in a while. */
static uint64_t exercise(const void *table, uint32_t queue, uint64_t now, int rounds) {
    const struct calls *calls = table;
    for (int round = 0; round < rounds; round++) {
        for (unsigned n = 0; n < 64; n++, now++) {
            mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
            meta.present = (uint32_t)now & 0x3FFFFF & ~(uint32_t)MCRPC_BAIDU_ATTACHMENT_SIZE;
            meta.present |= n % 8 == 0 ? 0x3FDFFF : MCRPC_BAIDU_REQUEST | MCRPC_BAIDU_RESPONSE;
            meta.service_name = text("pkg.Service");
            meta.method_name = meta.from_svr_name = meta.error_text = meta.request_id = text("Method \xE8\xAF\xB7");
            meta.authentication_data = meta.checksum_value = text("\x01\xFF");
            meta.log_id = meta.trace_id = meta.chunk_id = (int64_t)now;
            meta.correlation_id = meta.stream_id = -(int64_t)n;
            meta.error_code = calls->error_of(-(int32_t)n * 4);
            mcrpc_baidu_origin_t origin = {now, (uint16_t)n, 3, {0}};
            mcrpc_baidu_field_t fields[2] = {{text("key"), text("value")}, {text("mc-uin"), text("12345678901234567890")}};
            uint8_t bytes[512] = {0};
            size_t len = 0, wanted = 0;
            calls->write_response(&meta, fields, 2, 8, bytes, sizeof bytes, &len);
            calls->write_request(&meta, &origin, fields, 2, 8, bytes, sizeof bytes, &len);
            if (n % 4 == 0) {
                bytes[now % 384] ^= (uint8_t)(1 << now % 8);
            }
            calls->wanted(bytes, len + 8, 4096, 1024, &wanted);
            mcrpc_bytes_t payload, attachment, value;
            meta.struct_size = sizeof meta;
            if (calls->parse(bytes, len + 8, 4096, 1024, &meta, &payload, &attachment) == MCRPC_OK) {
                accepted++;
            }
            mcrpc_header_t header;
            calls->user_field(&meta, (const uint8_t *)"mc-uin", 6, &value);
            value = meta.user_fields;
            calls->next_user_field(&value, fields);
            calls->to_header(&meta, 8, &header);
            mcrpc_context_t context = MCRPC_CONTEXT_INIT;
            calls->to_context(&meta, now, &context);
            calls->set_context(&context, now + n, &meta, &origin);
            calls->status_of(meta.error_code + (int32_t)queue);
        }
    }
    return now;
}

static int32_t nothing_wanted(const uint8_t *d, size_t l, uint32_t b, uint32_t m, size_t *w) {
    return d == NULL || w == NULL || l + b + m == 0;
}
static int32_t nothing_parse(const uint8_t *d, size_t l, uint32_t b, uint32_t m, mcrpc_baidu_meta_t *o, mcrpc_bytes_t *p,
                             mcrpc_bytes_t *a) {
    return d == NULL || o == NULL || p == NULL || a == NULL || l + b + m == 0;
}
static int32_t nothing_request(const mcrpc_baidu_meta_t *m, const mcrpc_baidu_origin_t *g, const mcrpc_baidu_field_t *f,
                               size_t c, uint32_t p, uint8_t *o, size_t l, size_t *w) {
    return m == NULL || g == NULL || f == NULL || o == NULL || w == NULL || c + p + l == 0;
}
static int32_t nothing_response(const mcrpc_baidu_meta_t *m, const mcrpc_baidu_field_t *f, size_t c, uint32_t p, uint8_t *o,
                                size_t l, size_t *w) {
    return m == NULL || f == NULL || o == NULL || w == NULL || c + p + l == 0;
}
static int32_t nothing_field(const mcrpc_baidu_meta_t *m, const uint8_t *k, size_t l, mcrpc_bytes_t *v) {
    return m == NULL || k == NULL || v == NULL || l == 0;
}
static int32_t nothing_next(mcrpc_bytes_t *r, mcrpc_baidu_field_t *f) {
    return r == NULL || f == NULL;
}
static int32_t nothing_header(const mcrpc_baidu_meta_t *m, uint32_t p, mcrpc_header_t *h) {
    return m == NULL || h == NULL || p == 0;
}
static int32_t nothing_to(const mcrpc_baidu_meta_t *m, uint64_t a, mcrpc_context_t *c) {
    return m == NULL || c == NULL || a == 0;
}
static int32_t nothing_set(const mcrpc_context_t *c, uint64_t a, mcrpc_baidu_meta_t *m, mcrpc_baidu_origin_t *o) {
    return c == NULL || m == NULL || o == NULL || a == 0;
}
static int32_t nothing_code(int32_t c) {
    return c + 1;
}
static const struct calls nothing = {nothing_wanted, nothing_parse,  nothing_request, nothing_response, nothing_field,
                                     nothing_next,   nothing_header, nothing_to,      nothing_set,
                                     nothing_code,   nothing_code};

int main(int argc, char **argv) {
    static const struct subject subject = {exercise, &real, &nothing, &accepted, 1000, NULL};
    CHECK(argc == 2);
    return check_rule(argv[1], &subject);
}
