/* baidu_std for C: the golden vectors, a call there and back, and what is written. */
#include "check.h"

#include <mcrpc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mcrpc_bytes_t text(const char *string) {
    mcrpc_bytes_t bytes = {(const uint8_t *)string, strlen(string)};
    return bytes;
}

static int equal(mcrpc_bytes_t bytes, const char *string) {
    return bytes.len == strlen(string) && (bytes.len == 0 || memcmp(bytes.data, string, bytes.len) == 0);
}

static int parse(const uint8_t *data, size_t len, mcrpc_baidu_meta_t *meta, mcrpc_bytes_t *payload,
                 mcrpc_bytes_t *attachment) {
    return mcrpc_baidu_parse(data, len, MCRPC_BAIDU_MAX_BODY_LEN, MCRPC_BAIDU_MAX_META_LEN, meta, payload, attachment);
}

/* Reads the bytes of a vector and the status that it expects. */
static size_t load(const char *path, uint8_t *bytes, size_t room, char *status, size_t status_room) {
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    char line[1024];
    size_t len = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "> status ", 9) == 0) {
            snprintf(status, status_room, "%.*s", (int)strcspn(line + 9, "\n"), line + 9);
        }
        if (line[0] == '#' || line[0] == '>') {
            continue;
        }
        unsigned byte;
        int used;
        for (const char *at = line; sscanf(at, "%2x%n", &byte, &used) == 1; at += used) {
            CHECK(len < room);
            bytes[len++] = (uint8_t)byte;
        }
    }
    fclose(file);
    return len;
}

static void a_vector_is_read_as_it_says(const char *path) {
    uint8_t bytes[1024];
    char expected[64] = "";
    size_t len = load(path, bytes, sizeof bytes, expected, sizeof expected);
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    mcrpc_bytes_t payload, attachment;
    int32_t status = parse(bytes, len, &meta, &payload, &attachment);
    if (strcmp(mcrpc_status_name(status), expected) != 0) {
        fprintf(stderr, "%s: %s, not %s\n", path, mcrpc_status_name(status), expected);
        exit(1);
    }
    for (size_t have = 0; status == MCRPC_OK && have < len; have++) {
        size_t wanted = 0;
        CHECK(parse(bytes, have, &meta, &payload, &attachment) == MCRPC_INCOMPLETE);
        int32_t known = mcrpc_baidu_wanted(bytes, have, MCRPC_BAIDU_MAX_BODY_LEN, MCRPC_BAIDU_MAX_META_LEN, &wanted);
        CHECK(known == (have < MCRPC_BAIDU_HEADER_LEN ? MCRPC_INCOMPLETE : MCRPC_OK));
        CHECK(wanted == (known == MCRPC_OK ? len : 0));
    }
}

static void a_request_arrives_as_it_was_sent(void) {
    mcrpc_baidu_meta_t sent = MCRPC_BAIDU_META_INIT, meta = MCRPC_BAIDU_META_INIT;
    sent.present = MCRPC_BAIDU_REQUEST | MCRPC_BAIDU_CORRELATION_ID | MCRPC_BAIDU_TIMEOUT_MS | MCRPC_BAIDU_FROM_SVR_NAME |
                   MCRPC_BAIDU_ATTACHMENT_SIZE;
    sent.service_name = text("pkg.Service");
    sent.method_name = text("Method");
    sent.from_svr_name = text("mmproxy");
    sent.correlation_id = 0x123456789;
    sent.timeout_ms = 800;
    sent.attachment_size = 3;
    sent.log_id = 99; /* its bit is not set: it is not sent */
    mcrpc_baidu_origin_t origin = {2709160720, 138, 2, {0}};
    mcrpc_baidu_field_t fields[2] = {{text("key"), text("first")}, {text("key"), text("last")}};
    uint8_t frame[256];
    size_t wanted = 0, len = 0;
    CHECK(mcrpc_baidu_write_request(&sent, &origin, fields, 2, 8, NULL, 0, &wanted) == MCRPC_TOO_SMALL);
    CHECK(mcrpc_baidu_write_request(&sent, &origin, fields, 2, 8, frame, wanted - 1, &len) == MCRPC_TOO_SMALL && len == wanted);
    CHECK(mcrpc_baidu_write_request(&sent, &origin, fields, 2, 8, frame, wanted, &len) == MCRPC_OK && len == wanted);
    memcpy(frame + len, "helloatt", 8);

    mcrpc_bytes_t payload, attachment, value;
    CHECK(parse(frame, len + 8, &meta, &payload, &attachment) == MCRPC_OK);
    CHECK(meta.present == sent.present && meta.log_id == 0 && meta.timeout_ms == 800);
    CHECK(equal(meta.service_name, "pkg.Service") && equal(meta.method_name, "Method"));
    CHECK(equal(meta.from_svr_name, "mmproxy"));
    CHECK(equal(payload, "hello") && equal(attachment, "att"));
    CHECK(mcrpc_baidu_user_field(&meta, (const uint8_t *)"key", 3, &value) == MCRPC_OK && equal(value, "last"));
    CHECK(mcrpc_baidu_user_field(&meta, (const uint8_t *)"kez", 3, &value) == MCRPC_OK && value.data == NULL);

    mcrpc_header_t header;
    CHECK(mcrpc_baidu_to_header(&meta, 8, &header) == MCRPC_OK);
    CHECK(header.kind == MCRPC_KIND_REQUEST && header.uin == 2709160720 && header.business_id == 138 && header.priority == 2);
    CHECK(header.method_id == mcrpc_method_id((const uint8_t *)"pkg.Service.Method", 18));
    CHECK(header.budget_ms == 800 && header.call_id == 0x23456789 + UINT32_C(0x9E3779B9) && header.body_len == 8 && header.metadata_len == 0);

    /* A relay passes on all user fields, those of the origin among them. */
    mcrpc_baidu_field_t received[8];
    size_t count = 0;
    mcrpc_bytes_t rest = meta.user_fields;
    while (mcrpc_baidu_next_user_field(&rest, &received[count]) == MCRPC_OK && received[count].key.data != NULL) {
        count++;
        CHECK(count < 8);
    }
    CHECK(count == 5 && equal(received[0].key, "mc-uin") && equal(received[4].value, "last"));
    uint8_t relayed[256];
    CHECK(mcrpc_baidu_write_request(&meta, NULL, received, count, 8, relayed, sizeof relayed, &wanted) == MCRPC_OK);
    CHECK(wanted == len && memcmp(relayed, frame, len) == 0);
}

static void a_context_crosses_to_brpc_and_back(void) {
    const uint64_t now_ns = 5000000000u;
    mcrpc_context_t context = MCRPC_CONTEXT_INIT, back = MCRPC_CONTEXT_INIT;
    mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;
    mcrpc_baidu_origin_t origin;
    meta.present = MCRPC_BAIDU_REQUEST;
    meta.service_name = text("s");
    meta.method_name = text("m");
    context.uin = 42;
    context.business_id = 7;
    context.priority = 3;
    context.flags = MCRPC_CONTEXT_SAMPLED;
    context.deadline_ns = now_ns + 250999999;
    for (int n = 0; n < 16; n++) context.trace_id[n] = (uint8_t)(n + 1);
    for (int n = 0; n < 8; n++) context.span_id[n] = (uint8_t)(0xF0 + n);
    CHECK(mcrpc_baidu_set_context(&context, now_ns, &meta, &origin) == MCRPC_OK);
    CHECK(origin.uin == 42 && origin.business_id == 7 && origin.priority == 3 && meta.timeout_ms == 250);
    CHECK(meta.trace_id == 0x090A0B0C0D0E0F10 && meta.span_id == (int64_t)0xF0F1F2F3F4F5F6F7);

    uint8_t frame[256];
    size_t len;
    mcrpc_bytes_t payload, attachment;
    CHECK(mcrpc_baidu_write_request(&meta, &origin, NULL, 0, 0, frame, sizeof frame, &len) == MCRPC_OK);
    CHECK(parse(frame, len, &meta, &payload, &attachment) == MCRPC_OK);
    CHECK(mcrpc_baidu_to_context(&meta, now_ns + 1000000, &back) == MCRPC_OK);
    CHECK(back.uin == 42 && back.business_id == 7 && back.priority == 3 && back.flags == MCRPC_CONTEXT_SAMPLED);
    CHECK(back.deadline_ns == now_ns + 251000000 && back.origin_budget_ms == 250);
    const uint8_t no_bytes[8] = {0};
    CHECK(memcmp(back.trace_id, no_bytes, 8) == 0 && memcmp(back.trace_id + 8, context.trace_id + 8, 8) == 0);
    CHECK(memcmp(back.span_id, context.span_id, 8) == 0);

    CHECK(mcrpc_baidu_set_context(&context, context.deadline_ns, &meta, &origin) == MCRPC_OUT_OF_TIME);
    CHECK(mcrpc_baidu_set_context(&context, now_ns, &meta, NULL) == MCRPC_NULL_ARGUMENT);
    CHECK(mcrpc_baidu_set_context(NULL, now_ns, &meta, &origin) == MCRPC_NULL_ARGUMENT);
    CHECK(mcrpc_baidu_to_context(&meta, now_ns, NULL) == MCRPC_NULL_ARGUMENT);
    meta.present = 0;
    CHECK(mcrpc_baidu_to_context(&meta, now_ns, &back) == MCRPC_BAD_KIND);

    /* Without a deadline and a sampled trace nothing is said of them. */
    mcrpc_context_t plain = MCRPC_CONTEXT_INIT;
    mcrpc_baidu_meta_t bare = MCRPC_BAIDU_META_INIT;
    bare.present = MCRPC_BAIDU_REQUEST;
    plain.trace_id[0] = 1;
    plain.deadline_ns = MCRPC_NO_DEADLINE;
    CHECK(mcrpc_baidu_set_context(&plain, now_ns, &bare, &origin) == MCRPC_OK && bare.present == MCRPC_BAIDU_REQUEST);
}

static void a_refusal_reaches_a_brpc_client_as_its_own(void) {
    mcrpc_baidu_meta_t sent = MCRPC_BAIDU_META_INIT, meta = MCRPC_BAIDU_META_INIT;
    sent.present = MCRPC_BAIDU_RESPONSE | MCRPC_BAIDU_ERROR_CODE | MCRPC_BAIDU_ERROR_TEXT | MCRPC_BAIDU_CORRELATION_ID;
    sent.error_code = mcrpc_baidu_error_of(MCRPC_BELOW_CURSOR);
    sent.error_text = text(mcrpc_status_name(MCRPC_BELOW_CURSOR));
    sent.correlation_id = -1;
    uint8_t frame[128];
    size_t len = 0;
    mcrpc_bytes_t payload, attachment;
    CHECK(mcrpc_baidu_write_response(&sent, NULL, 0, 0, frame, sizeof frame, &len) == MCRPC_OK);
    CHECK(parse(frame, len, &meta, &payload, &attachment) == MCRPC_OK);
    CHECK(meta.error_code == MCRPC_BAIDU_ELIMIT && equal(meta.error_text, "below_cursor") && meta.correlation_id == -1);
    CHECK(mcrpc_baidu_status_of(meta.error_code) == MCRPC_QUEUE_FULL);
    CHECK(mcrpc_outcome_of(mcrpc_baidu_status_of(meta.error_code)) == MCRPC_OUTCOME_OVERLOADED);
    CHECK(mcrpc_baidu_status_of(mcrpc_baidu_error_of(MCRPC_GOING_AWAY)) == MCRPC_GOING_AWAY);
    CHECK(mcrpc_baidu_error_of(MCRPC_NO_METHOD) == MCRPC_BAIDU_ENOMETHOD && mcrpc_baidu_error_of(42) == 42);
}

int main(int argc, char **argv) {
    for (int n = 1; n < argc; n++) {
        a_vector_is_read_as_it_says(argv[n]);
    }
    a_request_arrives_as_it_was_sent();
    a_context_crosses_to_brpc_and_back();
    a_refusal_reaches_a_brpc_client_as_its_own();
    printf("%d vectors\n", argc - 1);
    return 0;
}
