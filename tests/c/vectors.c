/* The golden vectors, read by a C program as tests/vectors/README.md says: vectors FILE... */
#include "expect.h"

#include <stdarg.h>

enum { MAX_LINES = 256, MAX_LINE = 20000, MAX_BYTES = 1 << 17 };

static char *expected[MAX_LINES];
static size_t expected_count, told_count;
static mcrpc_limits_t limits;
static uint8_t bytes[MAX_BYTES];
static size_t bytes_len;
static const char *file_name;
static int failed;

/* Says what was read: the next expectation of the file, or the program fails at the end. */
static void tell(const char *format, ...) {
    static char line[MAX_LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const char *wanted = told_count < expected_count ? expected[told_count] : "nothing more";
    if (strcmp(line, wanted) != 0) {
        fprintf(stderr, "%s: read \"%s\", expected \"%s\"\n", file_name, line, wanted);
        failed = 1;
    }
    told_count++;
}

static void tell_number(const char *key, long long value) {
    if (value != 0) {
        tell("%s %lld", key, value);
    }
}

static void tell_text(const char *key, mcrpc_bytes_t text) {
    if (text.len != 0) {
        tell("%s %.*s", key, (int)text.len, (const char *)text.data);
    }
}

static const char *hex(const uint8_t *data, size_t len) {
    static char text[MAX_LINE];
    text[0] = 0;
    for (size_t n = 0; n < len; n++) {
        snprintf(text + 2 * n, 3, "%02x", data[n]);
    }
    return text;
}

static void tell_bytes(const char *key, mcrpc_bytes_t data) {
    if (data.len != 0) {
        tell("%s %s", key, hex(data.data, data.len));
    }
}

static void tell_header(const mcrpc_header_t *header) {
    static const char *const kinds[] = {"",     "request", "response", "one_way", "hello",
                                        "ping", "pong",    "go_away",  "cancel"};
    const int is_response = header->kind == MCRPC_KIND_RESPONSE;
    tell("frame %s", kinds[header->kind]);
    tell_number("flags", header->flags);
    tell_number("priority", header->priority);
    tell_number("body_len", header->body_len);
    tell_number("call_id", header->call_id);
    tell_number(is_response ? "status" : "method_id", is_response ? header->status : (long long)header->method_id);
    if (header->uin != 0) {
        tell("uin %llu", (unsigned long long)header->uin);
    }
    tell_number(is_response ? "cursor" : "budget_ms", is_response ? header->cursor : header->budget_ms);
    tell_number("business_id", header->business_id);
    tell_number("metadata_len", header->metadata_len);
}

static void tell_tag(uint8_t tag, mcrpc_bytes_t value, const mcrpc_metadata_t *metadata) {
    switch (tag & ~MCRPC_TAG_MUST_UNDERSTAND) {
    case MCRPC_TAG_CALLER: tell_text("tag.caller", metadata->caller); break;
    case MCRPC_TAG_SERVICE: tell_text("tag.service", metadata->service); break;
    case MCRPC_TAG_METHOD: tell_text("tag.method", value); break;
    case MCRPC_TAG_ZONE: tell_text("tag.zone", metadata->zone); break;
    case MCRPC_TAG_FEATURES: tell("tag.features %u", metadata->features); break;
    case MCRPC_TAG_ERROR_TEXT: tell_text("tag.error_text", metadata->error_text); break;
    case MCRPC_TAG_REJECT_STATE:
        tell("tag.reject_hold_ms %u", metadata->reject_hold_ms);
        tell("tag.reject_share_per_10k %u", metadata->reject_share_per_10k);
        break;
    case MCRPC_TAG_WITHHELD:
        tell("tag.withheld_count %u", metadata->withheld_count);
        tell("tag.withheld_key %u", metadata->withheld_key);
        break;
    case MCRPC_TAG_COMPRESSION:
        tell("tag.compression_algorithm %u", metadata->compression);
        tell("tag.compression_raw_len %u", metadata->raw_len);
        break;
    case MCRPC_TAG_PEER_LIMITS:
        tell("tag.peer_max_body_len %u", metadata->max_body_len);
        tell("tag.peer_max_open_calls %u", metadata->max_open_calls);
        break;
    case MCRPC_TAG_TRACE:
        tell("tag.trace_id %s", hex(metadata->trace_id, sizeof metadata->trace_id));
        tell("tag.span_id %s", hex(metadata->span_id, sizeof metadata->span_id));
        tell_number("tag.trace_flags", metadata->trace_flags);
        break;
    case MCRPC_TAG_ORIGIN_BUDGET: tell("tag.origin_budget_ms %u", metadata->origin_budget_ms); break;
    case MCRPC_TAG_CALL_GRAPH: tell("tag.call_graph_id %llu", (unsigned long long)metadata->call_graph_id); break;
    case MCRPC_TAG_TICKET: tell_bytes("tag.ticket", metadata->ticket); break;
    case MCRPC_TAG_COOKIE: tell_bytes("tag.cookie", metadata->cookie); break;
    default: tell(value.len == 0 ? "tag.0x%02x" : "tag.0x%02x %s", tag, hex(value.data, value.len));
    }
}

static int is_refused_alone(const mcrpc_header_t *header) {
    switch (header->kind) {
    case MCRPC_KIND_HELLO:
    case MCRPC_KIND_PING:
    case MCRPC_KIND_PONG:
    case MCRPC_KIND_GO_AWAY: return 0;
    default: return 1;
    }
}

/* A frame that must not be acted on. Returns whether the stream goes on all the same. */
static int tell_refused(const mcrpc_header_t *header, int32_t status) {
    if (!is_refused_alone(header)) {
        tell("broken %s", mcrpc_status_name(status));
        return 0;
    }
    tell_header(header);
    tell("refused %s", mcrpc_status_name(status));
    return 1;
}

/* A frame that was handed out. What is read of it is written again, to the same bytes. Returns whether the stream goes on. */
static int tell_frame(mcrpc_frame_decoder_t *decoder, const mcrpc_header_t *header, const uint8_t *frame, size_t len) {
    mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
    mcrpc_header_t again;
    mcrpc_bytes_t payload = {NULL, 0}, value;
    size_t frame_len, offset = 0, head_len;
    uint8_t tag;
    static uint8_t head[MCRPC_HEADER_LEN + UINT16_MAX];
    const int32_t status = mcrpc_frame_parse(frame, len, &limits, &again, &metadata, &payload, &frame_len);
    if (status != MCRPC_OK) {
        EXPECT(mcrpc_metadata_parse(frame + MCRPC_HEADER_LEN, header->metadata_len, &limits, &metadata), status);
        if (header->kind == MCRPC_KIND_REQUEST) {
            EXPECT(mcrpc_frame_answered(decoder), MCRPC_OK);
        }
        return tell_refused(header, status);
    }
    tell_header(header);
    EXPECT(frame_len == len && memcmp(&again, header, sizeof again) == 0, 1);
    while (mcrpc_tag_next(&metadata.tags, &offset, &tag, &value) == MCRPC_OK && tag != 0) {
        tell_tag(tag, value, &metadata);
    }
    tell_bytes("payload", payload);
    if (header->flags & MCRPC_FLAG_CRC_TRAILER) {
        tell("checksum %s", hex(frame + len - 4, 4));
        const uint32_t checksum = mcrpc_checksum(0, frame, len - 4);
        for (int n = 0; n < 4; n++) {
            EXPECT(frame[len - 4 + (size_t)n], (uint8_t)(checksum >> (8 * n)));
        }
    }
    const int has_budget = header->kind == MCRPC_KIND_REQUEST || header->kind == MCRPC_KIND_ONE_WAY ||
                           header->kind == MCRPC_KIND_GO_AWAY;
    if (metadata.tags.len + payload.len != header->body_len || (header->budget_ms != 0 && !has_budget)) {
        return 1; /* the kind has no use for the rest */
    }
    EXPECT(mcrpc_head_write(header, &metadata, (uint32_t)payload.len, head, sizeof head, &head_len), MCRPC_OK);
    EXPECT(head_len == MCRPC_HEADER_LEN + (size_t)header->metadata_len && memcmp(head, frame, head_len) == 0, 1);
    return 1;
}

/* One frame of the stream, of which `len` bytes are there, in pieces. Returns whether the stream goes on. */
static int read_frame(mcrpc_frame_decoder_t *decoder, const uint8_t *frame, size_t len, size_t wanted, size_t piece) {
    mcrpc_header_t header = {0};
    mcrpc_frame_event_t event;
    int32_t refused = MCRPC_OK;
    int is_frame = 0, is_whole = 0;
    for (size_t at = 0, used; at < len; at += used) {
        const int32_t status = mcrpc_frame_next(decoder, frame + at, len - at < piece ? len - at : piece, &used, &event);
        if (status != MCRPC_OK) {
            EXPECT(mcrpc_frame_next(decoder, frame, len, &used, &event), status);
            tell("broken %s", mcrpc_status_name(status));
            return 0;
        }
        if (event.kind == MCRPC_EVENT_HEADER || event.kind == MCRPC_EVENT_REFUSED) {
            header = event.header;
            is_frame = 1;
            refused = event.status;
        }
        if (refused != MCRPC_OK && !is_refused_alone(&header)) {
            return tell_refused(&header, refused);
        }
        is_whole |= event.last != 0;
    }
    if (len < wanted) {
        tell("incomplete %zu", len);
        return 0;
    }
    if (!is_frame) {
        tell("skipped %zu", len);
    } else if (refused != MCRPC_OK) {
        EXPECT(is_whole, 0);
        return tell_refused(&header, refused);
    } else {
        EXPECT(is_whole, 1);
        return tell_frame(decoder, &header, frame, len);
    }
    return 1;
}

static void read_stream(size_t piece) {
    mcrpc_frame_decoder_t decoder;
    EXPECT(mcrpc_frame_init(&limits, &decoder), MCRPC_OK);
    told_count = 0;
    size_t at = 0, wanted;
    while (at < bytes_len) {
        const size_t left = bytes_len - at;
        const int32_t status = mcrpc_frame_wanted(bytes + at, left, &limits, &wanted);
        if (status != MCRPC_OK) {
            wanted = MCRPC_HEADER_LEN;
        }
        if (!read_frame(&decoder, bytes + at, left < wanted ? left : wanted, wanted, piece)) {
            break;
        }
        EXPECT(status, MCRPC_OK);
        at += wanted;
    }
    if (told_count < expected_count) {
        fprintf(stderr, "%s: expected \"%s\", read nothing more\n", file_name, expected[told_count]);
        failed = 1;
    }
}

static void set_limit(const char *name, unsigned value) {
    if (strcmp(name, "max_body_len") == 0) {
        limits.max_body_len = value;
    } else if (strcmp(name, "max_metadata_len") == 0) {
        limits.max_metadata_len = (uint16_t)value;
    } else if (strcmp(name, "max_tags") == 0) {
        limits.max_tags = (uint16_t)value;
    } else if (strcmp(name, "max_name_len") == 0) {
        limits.max_name_len = (uint16_t)value;
    } else if (strcmp(name, "max_open_calls") == 0) {
        limits.max_open_calls = value;
    } else {
        EXPECT(strcmp(name, "needs_checksum"), 0);
        limits.needs_checksum = (uint16_t)value;
    }
}

static void take_line(char *line) {
    char name[32];
    unsigned value;
    if (line[0] == 0 || line[0] == '#') {
        return;
    }
    if (sscanf(line, "> limit.%31s %u", name, &value) == 2) {
        set_limit(name, value);
    } else if (strncmp(line, "> ", 2) == 0) {
        EXPECT(expected_count < MAX_LINES, 1);
        expected[expected_count] = malloc(strlen(line));
        strcpy(expected[expected_count++], line + 2);
    } else {
        line[strcspn(line, ";")] = 0;
        for (char *digits = strtok(line, " "); digits != NULL; digits = strtok(NULL, " ")) {
            EXPECT(bytes_len < MAX_BYTES, 1);
            bytes[bytes_len++] = (uint8_t)strtoul(digits, NULL, 16);
        }
    }
}

static void check_file(const char *path) {
    static char line[MAX_LINE];
    FILE *file = fopen(path, "r");
    EXPECT(file != NULL, 1);
    const mcrpc_limits_t defaults = MCRPC_LIMITS_INIT;
    limits = defaults;
    file_name = path;
    bytes_len = expected_count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        EXPECT(strlen(line) < sizeof line - 1, 1);
        line[strcspn(line, "\n")] = 0;
        take_line(line);
    }
    fclose(file);
    const size_t pieces[] = {SIZE_MAX, 1, 7};
    for (size_t n = 0; n < sizeof pieces / sizeof *pieces; n++) {
        read_stream(pieces[n]);
    }
    while (expected_count > 0) {
        free(expected[--expected_count]);
    }
}

int main(int argc, char **argv) {
    EXPECT(argc > 1 && odd(argv) != NULL, 1);
    for (int n = 1; n < argc; n++) {
        check_file(argv[n]);
    }
    printf("%d vectors\n", argc - 1);
    return failed;
}
