/* The statuses of admission and of choosing an endpoint, each provoked once. The clock is a number. */
#include "errors.h"

enum { WORKERS = 2, SERVICE_MS = 10, QUEUE_LEN = 1024, MAX_IN_SYSTEM = 32000, FAILURES = 6 };

static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char memory[1 << 17];
static mcrpc_admission_t admission;
static _Alignas(64) unsigned char set_memory[1 << 17];
static mcrpc_endpoints_t set;
static mcrpc_choice_t choice;

static void new_controller(uint32_t workers) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.workers_per_queue = workers;
    CHECK(mcrpc_admission_init(memory, sizeof memory, &config, 0, &admission) == MCRPC_OK);
}

static int32_t admit(uint64_t deadline_ns, uint64_t now_ns) {
    mcrpc_request_t request = MCRPC_REQUEST_INIT;
    request.deadline_ns = deadline_ns;
    return mcrpc_admit(&admission, 0, &request, now_ns);
}

static void by_deadline(void) {
    new_controller(WORKERS);
    PROVOKE(MCRPC_EXPIRED_ON_ARRIVAL, mcrpc_admit, admit(/* deadline */ 1 * MS, /* now */ 2 * MS));
    CHECK(admit(5 * MS, 2 * MS) == MCRPC_OK);
    PROVOKE(MCRPC_DEADLINE_IN_QUEUE, mcrpc_dequeued, mcrpc_dequeued(&admission, 0, 2 * MS, 5 * MS, 6 * MS));
}

static void by_number(void) {
    new_controller(0);
    for (int n = 0; n < MAX_IN_SYSTEM; n++) {
        CHECK(admit(MCRPC_NO_DEADLINE, MS) == MCRPC_OK);
    }
    PROVOKE(MCRPC_QUEUE_FULL, mcrpc_admit, admit(MCRPC_NO_DEADLINE, MS));
}

/* Two workers of 10 ms are offered four times what they can do, until `wanted` is met. Every fourth request has hardly
 * more time than it takes, and every fifth continues a task, which no cursor holds back. */
static int32_t admit_under_overload(int32_t wanted) {
    static uint64_t queue[QUEUE_LEN], started_ns[WORKERS];
    int busy[WORKERS] = {0};
    uint64_t head = 0, tail = 0, sent = 0;
    new_controller(WORKERS);
    for (uint64_t now = 0; now < 20 * SECOND; now += MS) {
        for (int n = 0; n < WORKERS; n++) {
            if (busy[n] && now - started_ns[n] >= SERVICE_MS * MS) {
                CHECK(mcrpc_done(&admission, 0, started_ns[n], now) == MCRPC_OK);
                busy[n] = 0;
            }
            while (!busy[n] && head < tail) {
                const uint64_t admitted_ns = queue[head++ % QUEUE_LEN];
                busy[n] = mcrpc_dequeued(&admission, 0, admitted_ns, MCRPC_NO_DEADLINE, now) == MCRPC_OK;
                started_ns[n] = now;
            }
        }
        for (; sent * 1000 < (now / MS) * WORKERS * 1000 / SERVICE_MS * 4; sent++) {
            mcrpc_request_t request = MCRPC_REQUEST_INIT;
            request.key = mcrpc_key(42, 0, sent + 1, 0, 0);
            request.deadline_ns = sent % 4 == 0 ? now + 15 * MS : MCRPC_NO_DEADLINE;
            request.flags = sent % 5 == 0 ? MCRPC_REQUEST_CONTINUES_TASK : 0;
            const int32_t status = mcrpc_admit(&admission, 0, &request, now);
            if (status == wanted) {
                return status;
            }
            if (status == MCRPC_OK) {
                CHECK(tail - head < QUEUE_LEN);
                queue[tail++ % QUEUE_LEN] = now;
            }
        }
    }
    return MCRPC_OK;
}

static void by_overload(void) {
    PROVOKE(MCRPC_BELOW_CURSOR, mcrpc_admit, admit_under_overload(MCRPC_BELOW_CURSOR));
    PROVOKE(MCRPC_WAIT_ABOVE_SOFT_LIMIT, mcrpc_admit, admit_under_overload(MCRPC_WAIT_ABOVE_SOFT_LIMIT));
    PROVOKE(MCRPC_WAIT_ABOVE_HARD_LIMIT, mcrpc_admit, admit_under_overload(MCRPC_WAIT_ABOVE_HARD_LIMIT));
    PROVOKE(MCRPC_DEADLINE_ON_ARRIVAL, mcrpc_admit, admit_under_overload(MCRPC_DEADLINE_ON_ARRIVAL));
}

/* The second word of a controller says by which version it was laid out. */
static void by_version(void) {
    new_controller(0);
    memory[8] ^= 1;
    PROVOKE(MCRPC_VERSION_MISMATCH, mcrpc_admission_attach, mcrpc_admission_attach(memory, sizeof memory, &admission));
}

static int32_t replace(uint32_t count) {
    static mcrpc_endpoint_spec_t specs[8];
    for (uint32_t n = 0; n < count; n++) {
        const uint8_t address[4] = {10, 0, 0, (uint8_t)n};
        CHECK(mcrpc_endpoint_v4(address, 80, 7, &specs[n].endpoint) == MCRPC_OK);
        specs[n].weight = 1;
    }
    return mcrpc_endpoints_replace(&set, NULL, specs, count, NULL, 0);
}

/* A set of its own for each scenario, with room for four endpoints and with one retry in store. */
static void new_set(uint32_t count) {
    mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
    config.capacity = 4;
    config.max_attempts = 3;
    config.retry_ratio_per_10k = 0;
    config.retry_burst = 1;
    config.max_shielded_per_10k = 10000;
    CHECK(mcrpc_endpoints_init(set_memory, sizeof set_memory, &config, &set) == MCRPC_OK);
    CHECK(replace(count) == MCRPC_OK);
}

static int32_t next(mcrpc_call_t *call, uint64_t now_ns) {
    return mcrpc_select(&set, NULL, call, MCRPC_ATTEMPT_NEXT, now_ns, &choice);
}

static void by_attempts(void) {
    mcrpc_call_t call = {.uin = 1, .call_id = 1, .deadline_ns = SECOND};
    new_set(0);
    PROVOKE(MCRPC_TABLE_FULL, mcrpc_endpoints_replace, replace(5));
    PROVOKE(MCRPC_NO_ENDPOINT, mcrpc_select, next(&call, 1));
    new_set(4);
    CHECK(next(&call, 1) == MCRPC_OK && next(&call, 2) == MCRPC_OK);
    PROVOKE(MCRPC_BUDGET_EXHAUSTED, mcrpc_select, next(&call, 3));
    PROVOKE(MCRPC_OUT_OF_TIME, mcrpc_select, next(&call, SECOND));
    call.attempts = 3;
    PROVOKE(MCRPC_ATTEMPTS_EXHAUSTED, mcrpc_select, next(&call, 3));
}

static void by_endpoint(void) {
    mcrpc_call_t call = {.uin = 1, .call_id = 1, .key = 1000};
    new_set(1);
    CHECK(next(&call, SECOND) == MCRPC_OK);
    CHECK(mcrpc_heard(&set, NULL, &choice, /* cursor */ 1000, /* hold_ms */ 300, SECOND) == MCRPC_OK);
    call = (mcrpc_call_t){.uin = 1, .call_id = 2, .key = 1000};
    PROVOKE(MCRPC_WITHHELD, mcrpc_select, next(&call, SECOND));
    new_set(1);
    call = (mcrpc_call_t){.uin = 1, .call_id = 3};
    CHECK(next(&call, SECOND) == MCRPC_OK);
    for (int n = 0; n < FAILURES; n++) {
        CHECK(mcrpc_report(&set, NULL, &choice, mcrpc_outcome_of(MCRPC_CONNECT_FAILED), MS, SECOND) == MCRPC_OK);
    }
    call = (mcrpc_call_t){.uin = 1, .call_id = 4};
    PROVOKE(MCRPC_BUCKET_FULL, mcrpc_select, next(&call, SECOND));
}

int main(void) {
    by_deadline();
    by_number();
    by_overload();
    by_version();
    by_attempts();
    by_endpoint();
    return 0;
}
