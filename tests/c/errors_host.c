/* The statuses of a host, each provoked once. The directories are made, and damaged, by whoever starts it:
 *
 *   errors_host file DIRECTORY SEGMENT [OWNER]   why the segment is not used; the directory is to belong to OWNER
 *   errors_host stale DIRECTORY                  the same of strategies that nobody refreshes for six seconds
 *   errors_host operator DIRECTORY               what an operator has said: 10.0.0.9:80 is shielded, service 7 skipped; and a
 *                                                log that nobody empties
 *   errors_host memory                           what needs no directory */
#include "errors.h"

enum { CELLS = 16, SEATS = 1 };

static mcrpc_host_t host;
static const mcrpc_host_config_t defaults = MCRPC_HOST_CONFIG_INIT;

static int32_t segment_status(uint32_t segment) {
    mcrpc_segment_status_t status = {.struct_size = sizeof status};
    CHECK(mcrpc_host_segment_status(&host, segment, &status) == MCRPC_OK);
    return status.status;
}

/* Whatever it is: the caller knows. */
static int32_t tell(int32_t status) {
    TELL(status, mcrpc_host_segment_status);
    return 0;
}

static int of_file(const char *directory, uint32_t segment, uint32_t owner_uid) {
    mcrpc_host_config_t config = defaults;
    config.owner_uid = owner_uid;
    CHECK(mcrpc_host_open(directory, &config, SECOND, &host) == MCRPC_OK);
    return tell(segment_status(segment));
}

static int of_stale(const char *directory) {
    CHECK(mcrpc_host_open(directory, NULL, SECOND, &host) == MCRPC_OK);
    CHECK(segment_status(MCRPC_SEGMENT_STRATEGY) == MCRPC_OK);
    for (uint64_t second = 2; second <= 7; second++) {
        CHECK(mcrpc_host_tick(&host, second * SECOND) == MCRPC_OK);
    }
    return tell(segment_status(MCRPC_SEGMENT_STRATEGY));
}

static int32_t log_until_it_is_full(void) {
    const mcrpc_log_line_t line = MCRPC_LOG_LINE_INIT;
    int32_t status = MCRPC_OK;
    for (int n = 0; n < 1000 && status == MCRPC_OK; n++) {
        status = mcrpc_log(&host, &line, NULL, "x", 1);
    }
    return status;
}

static int of_operator(const char *directory) {
    const uint8_t address[4] = {10, 0, 0, 9};
    const uint64_t uin = 1;
    mcrpc_endpoint_t endpoint;
    CHECK(mcrpc_endpoint_v4(address, 80, 0, &endpoint) == MCRPC_OK);
    CHECK(mcrpc_host_open(directory, NULL, SECOND, &host) == MCRPC_OK);
    PROVOKE(MCRPC_SHIELDED, mcrpc_shield_check, mcrpc_shield_check(&host, &endpoint, uin, SECOND));
    PROVOKE(MCRPC_LINE_DROPPED, mcrpc_log, log_until_it_is_full());
    PROVOKE(MCRPC_SKIPPED, mcrpc_skip_check, mcrpc_skip_check(&host, 7, mcrpc_method_id((const uint8_t *)"a", 1), uin));
    return 0;
}

/* The cell of 64 bytes that a record lies in. */
static unsigned char *cell_of(unsigned char *memory, size_t len, const char *record) {
    for (size_t at = 0; at + 64 <= len; at += 8) {
        if (memcmp(memory + at, record, strlen(record)) == 0) {
            return memory + at / 64 * 64;
        }
    }
    CHECK(!"the record lies somewhere");
    return NULL;
}

/* A thread that was stopped in the middle of a record has marked its cell: bit 6 of its word, docs/shared-memory.md. */
static int32_t trace_around(unsigned char *memory, size_t len) {
    const char record[] = "a record of which the bytes are found";
    int32_t status = mcrpc_trace(&host, 1, (const uint8_t *)record, sizeof record, SECOND);
    cell_of(memory, len, record)[0] |= 1 << 6;
    for (int n = 0; n < CELLS && status == MCRPC_OK; n++) {
        status = mcrpc_trace(&host, 1, NULL, 0, SECOND);
    }
    return status;
}

static int of_memory(void) {
    static _Alignas(64) unsigned char memory[1 << 18];
    mcrpc_host_config_t config = defaults;
    uint64_t counter;
    size_t len;
    CHECK(mcrpc_host_open(NULL, NULL, SECOND, &host) == MCRPC_OK);
    PROVOKE(MCRPC_NO_POLICY, mcrpc_count, mcrpc_count(&host, 1, 1, 1));
    CHECK(mcrpc_host_close(&host) == MCRPC_OK);
    config.seats = SEATS;
    config.trace_cells = CELLS;
    config.buckets = config.counters = 16;
    CHECK(mcrpc_host_memory_size(&config, &len) == MCRPC_OK && len <= sizeof memory);
    CHECK(mcrpc_host_create(memory, len, &config, SECOND, &host) == MCRPC_OK);
    CHECK(mcrpc_counter_open(&host, 1, 1, MCRPC_COUNTER_SUM, &counter) == MCRPC_OK);
    PROVOKE(MCRPC_STALE_ID, mcrpc_counter_add, mcrpc_counter_add(&host, ~counter, 1));
    PROVOKE(MCRPC_RECORD_DROPPED, mcrpc_trace, trace_around(memory, len));
    return 0;
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "", *directory = count > 2 ? arguments[2] : NULL;
    if (strcmp(what, "file") == 0 && count > 3) {
        const uint32_t owner_uid = count > 4 ? (uint32_t)strtoul(arguments[4], NULL, 10) : MCRPC_ANY_OWNER;
        return of_file(directory, (uint32_t)strtoul(arguments[3], NULL, 10), owner_uid);
    }
    if (strcmp(what, "stale") == 0 && directory != NULL) {
        return of_stale(directory);
    }
    if (strcmp(what, "operator") == 0 && directory != NULL) {
        return of_operator(directory);
    }
    if (strcmp(what, "memory") == 0) {
        return of_memory();
    }
    fprintf(stderr, "file DIRECTORY SEGMENT [OWNER] | stale DIRECTORY | operator DIRECTORY | memory\n");
    return 2;
}
