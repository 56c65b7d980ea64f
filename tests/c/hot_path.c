/* The functions of admission, under the rules of the per-request functions (rules.h): hot_path RULE */
#include "rules.h"

static mcrpc_admission_t admission;

/* The functions of one request, replaceable so that the stack of the caller itself can be measured. */
struct calls {
    int32_t (*admit)(const mcrpc_admission_t *, uint32_t, const mcrpc_request_t *, uint64_t);
    int32_t (*dequeued)(const mcrpc_admission_t *, uint32_t, uint64_t, uint64_t, uint64_t);
    int32_t (*done)(const mcrpc_admission_t *, uint32_t, uint64_t, uint64_t);
    int32_t (*abandoned)(const mcrpc_admission_t *, uint32_t);
    uint32_t (*cursor)(const mcrpc_admission_t *, uint32_t);
    uint32_t (*key)(uint64_t, uint32_t, uint64_t, uint8_t, uint64_t);
    int32_t (*from_header)(const mcrpc_header_t *, uint64_t, uint32_t, uint64_t, mcrpc_request_t *);
    const char *(*status_name)(int32_t);
    const char *(*status_text)(int32_t);
};

static const struct calls real = {mcrpc_admit,      mcrpc_dequeued, mcrpc_done,
                                  mcrpc_abandoned,  mcrpc_cursor,   mcrpc_key,
                                  mcrpc_request_from_header, mcrpc_status_name, mcrpc_status_text};

static void set_up(void *memory, size_t len) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.queue_count = 2;
    config.workers_per_queue = 1;
    config.fair_share = 1;
    size_t wanted;
    CHECK(mcrpc_admission_memory_size(&config, &wanted) == MCRPC_OK && wanted <= len);
    CHECK(mcrpc_admission_init(memory, len, &config, 1, &admission) == MCRPC_OK);
}

static uint64_t refused;

/* Every function of the hot path, over `windows` windows of overload on all priorities: the cursor moves, every kind of
 * refusal happens, windows are closed. The clock is stepped. */
static uint64_t exercise(const void *table, uint32_t queue, uint64_t now, int windows) {
    const struct calls *calls = table;
    calls->status_text(MCRPC_DEADLINE_IN_QUEUE);
    calls->status_name(INT32_MIN);
    uint64_t queued = 0;
    for (int window = 0; window < windows; window++) {
        for (unsigned n = 0; n < 400; n++) {
            now += MS / 4;
            mcrpc_header_t header = {0};
            header.kind = MCRPC_KIND_REQUEST;
            header.uin = now;
            header.priority = (uint8_t)(n % 64);
            header.budget_ms = n % 8 == 0 ? 10 : 500;
            header.flags = n % 5 == 0 ? MCRPC_FLAG_CONTINUES_TASK : 0;
            mcrpc_request_t request = {0};
            calls->from_header(&header, 7, 1, now, &request);
            request.key = calls->key(7, 1, header.uin, header.priority, n);
            request.flags |= n % 7 << MCRPC_REQUEST_TENANT_SHIFT;
            if (calls->admit(&admission, queue, &request, now) == MCRPC_OK) {
                queued++;
            } else {
                refused++;
            }
            calls->cursor(&admission, queue);
            if (n % 4 == 0 && queued > 0) {
                queued--;
                if (calls->dequeued(&admission, queue, now - 60 * MS, now + MS, now) == MCRPC_OK) {
                    calls->done(&admission, queue, now - MS, now);
                }
            }
        }
    }
    for (; queued > 0; queued--) {
        calls->abandoned(&admission, queue);
    }
    return now;
}

static int32_t nothing_admit(const mcrpc_admission_t *a, uint32_t q, const mcrpc_request_t *r, uint64_t n) {
    return a == NULL || r == NULL || q + n == 0;
}
static int32_t nothing_dequeued(const mcrpc_admission_t *a, uint32_t q, uint64_t t, uint64_t d, uint64_t n) {
    return a == NULL || q + t + d + n == 0;
}
static int32_t nothing_done(const mcrpc_admission_t *a, uint32_t q, uint64_t s, uint64_t n) {
    return a == NULL || q + s + n == 0;
}
static int32_t nothing_abandoned(const mcrpc_admission_t *a, uint32_t q) {
    return a == NULL || q > 9;
}
static uint32_t nothing_cursor(const mcrpc_admission_t *a, uint32_t q) {
    return a == NULL || q > 9;
}
static uint32_t nothing_key(uint64_t s, uint32_t e, uint64_t u, uint8_t p, uint64_t t) {
    return (uint32_t)(s + e + u + p + t);
}
static int32_t nothing_from_header(const mcrpc_header_t *h, uint64_t s, uint32_t e, uint64_t n, mcrpc_request_t *r) {
    return h == NULL || r == NULL || s + e + n == 0;
}
static const char *nothing_status(int32_t s) {
    return s == 0 ? "" : "x";
}
static const struct calls nothing = {nothing_admit,       nothing_dequeued, nothing_done,  nothing_abandoned,
                                     nothing_cursor,      nothing_key,      nothing_from_header,
                                     nothing_status,      nothing_status};

/* Every request has left its queue again, wherever it was interrupted. */
static void nothing_is_left(void) {
    for (uint32_t queue = 0; queue < 2; queue++) {
        mcrpc_queue_snapshot_t snapshot = {0};
        snapshot.struct_size = sizeof snapshot;
        CHECK(mcrpc_admission_queue_snapshot(&admission, queue, &snapshot) == MCRPC_OK);
        CHECK(snapshot.queued == 0 && snapshot.running == 0 && snapshot.completed > 0);
    }
}

int main(int argc, char **argv) {
    static const struct subject subject = {exercise, &real, &nothing, &refused, 1000, nothing_is_left};
    CHECK(argc == 2);
    size_t len = 1 << 20;
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    set_up(memory, len);
    return check_rule(argv[1], &subject);
}
