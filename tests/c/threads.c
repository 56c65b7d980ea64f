/* Threads that use one controller, one set of endpoints and one host at the same time: no request stays in a
 * queue, and no addition to a counter is lost. Under ThreadSanitizer
 * it shows that what the library shares between threads is shared by atomic words alone.
 *
 *   threads DIRECTORY      prints how often each thread added to the counter 7, 7
 */
#include "check.h"

#include <mcrpc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

enum { THREADS = 4, REQUESTS = 20000, MACHINES = 6, MEMORY_LEN = 1 << 20 };

static mcrpc_admission_t admission;
static mcrpc_endpoints_t set;
static mcrpc_host_t host;
static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char controller_memory[MEMORY_LEN], set_memory[MEMORY_LEN];
static const mcrpc_context_t context = MCRPC_CONTEXT_INIT;

static const mcrpc_context_t *lookup(void) {
    return &context;
}

/* A request of a queue that two threads share, to its end. */
static void serve(unsigned thread, unsigned n, uint64_t now) {
    const uint32_t queue = thread % 2;
    mcrpc_request_t request = MCRPC_REQUEST_INIT;
    request.key = mcrpc_key(7, 1, n, (uint8_t)(n % 64), thread);
    request.flags = n % 7 << MCRPC_REQUEST_TENANT_SHIFT;
    if (mcrpc_admit(&admission, queue, &request, now) != MCRPC_OK) {
        return;
    }
    if (n % 16 == 0) {
        CHECK(mcrpc_abandoned(&admission, queue) == MCRPC_OK);
    } else if (mcrpc_dequeued(&admission, queue, now, MCRPC_NO_DEADLINE, now + MS) == MCRPC_OK) {
        CHECK(mcrpc_done(&admission, queue, now + MS, now + 5 * MS) == MCRPC_OK);
    }
}

/* A call whose first attempt fails now and then. */
static void call(unsigned thread, unsigned n, uint64_t now) {
    mcrpc_call_t call = {0};
    call.uin = call.call_id = n * THREADS + thread;
    call.key = n;
    call.service_id = 7;
    mcrpc_choice_t choice;
    for (unsigned attempt = 0; mcrpc_select(&set, &host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK; attempt++) {
        CHECK(choice.index < MACHINES && choice.user_data == choice.index);
        const int32_t status = attempt > 0 || n % 8 != 0 ? MCRPC_OK : n % 16 == 0 ? MCRPC_BELOW_CURSOR : MCRPC_TIMED_OUT;
        if (status == MCRPC_BELOW_CURSOR) {
            CHECK(mcrpc_heard(&set, &host, &choice, 1u << 28, 10, now) == MCRPC_OK);
        }
        CHECK(mcrpc_report(&set, &host, &choice, mcrpc_outcome_of(status), MS, now) == MCRPC_OK);
        if (status == MCRPC_OK) {
            break;
        }
    }
}

static void fill(void) {
    mcrpc_endpoint_spec_t specs[MACHINES];
    memset(specs, 0, sizeof specs);
    for (uint32_t n = 0; n < MACHINES; n++) {
        const uint8_t address[4] = {10, 0, 0, (uint8_t)(n + 1)};
        CHECK(mcrpc_endpoint_v4(address, 1, 7, &specs[n].endpoint) == MCRPC_OK);
        specs[n].weight = 100;
        specs[n].user_data = n;
    }
    CHECK(mcrpc_endpoints_replace(&set, &host, specs, MACHINES, NULL, 0) == MCRPC_OK);
}

/* What is done now and then, by any thread; a list of endpoints is replaced by one at a time. */
static void keep_house(unsigned thread, unsigned n, uint64_t now) {
    mcrpc_admission_snapshot_t controller = {0};
    mcrpc_endpoints_snapshot_t decisions = {0};
    mcrpc_health_t health = {0};
    controller.struct_size = sizeof controller;
    decisions.struct_size = sizeof decisions;
    health.struct_size = sizeof health;
    CHECK(mcrpc_admission_snapshot(&admission, &controller) == MCRPC_OK);
    CHECK(mcrpc_endpoints_snapshot(&set, &decisions) == MCRPC_OK && decisions.count == MACHINES);
    CHECK(mcrpc_endpoints_health(&set, &host, n % MACHINES, now, &health) == MCRPC_OK);
    CHECK(mcrpc_admission_set_cpu(&admission, 5000, now) == MCRPC_OK);
    CHECK(mcrpc_admission_set_tenant_weight(&admission, 1, 1 + n % 3) == MCRPC_OK);
    CHECK(mcrpc_admission_follow(&admission, &host, MCRPC_MODE_ENFORCE) == MCRPC_OK);
    CHECK(mcrpc_admission_withheld(&admission, thread % 2, 9, 1) == MCRPC_OK);
    CHECK(mcrpc_endpoints_tick(&set, &host) == MCRPC_OK);
    CHECK(mcrpc_host_tick(&host, now) == MCRPC_OK);
    mcrpc_context_set_lookup(lookup);
    CHECK(mcrpc_context_current() == &context);
    if (thread == 0) {
        fill();
    }
}

/* Each thread's clock is a step behind that of the one before. */
static void *run(void *argument) {
    static const uint8_t record[] = "a record that is long enough to need two cells of the ring, and a little more";
    const unsigned thread = *(const unsigned *)argument;
    const mcrpc_leak_t leak = MCRPC_LEAK_INIT;
    for (unsigned n = 0; n < REQUESTS; n++) {
        const uint64_t now = (1 + n) * MS / 8 + (THREADS - thread) * MS;
        serve(thread, n, now);
        call(thread, n, now);
        uint64_t bucket;
        const uint8_t address[4] = {10, 0, 1, (uint8_t)(n % 4)};
        mcrpc_endpoint_t endpoint;
        CHECK(mcrpc_endpoint_v4(address, 1, 7, &endpoint) == MCRPC_OK);
        CHECK(mcrpc_bucket_open(&host, &endpoint, &bucket) == MCRPC_OK);
        CHECK(mcrpc_bucket_pour(&host, bucket, &leak, now) == MCRPC_OK);
        mcrpc_bucket_check(&host, bucket, &leak, n, now);
        mcrpc_strategy(&host, &endpoint, n);
        CHECK(mcrpc_count(&host, 7, 7, 1) == MCRPC_OK && mcrpc_set_max(&host, 7, 8, n, now) == MCRPC_OK);
        const int32_t traced = mcrpc_trace(&host, 1, record, sizeof record, now);
        CHECK(traced == MCRPC_OK || traced == MCRPC_RECORD_DROPPED);
        if (n % 512 == 0) {
            keep_house(thread, n, now);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 2 && mcrpc_host_open(argv[1], NULL, MS, &host) == MCRPC_OK);
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.queue_count = 2;
    config.workers_per_queue = 1;
    config.fair_share = 1;
    CHECK(mcrpc_admission_init(controller_memory, MEMORY_LEN, &config, 1, &admission) == MCRPC_OK);
    CHECK(mcrpc_endpoints_init(set_memory, MEMORY_LEN, NULL, &set) == MCRPC_OK);
    fill();
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    for (unsigned n = 0; n < THREADS; n++) {
        numbers[n] = n;
        CHECK(pthread_create(&threads[n], NULL, run, &numbers[n]) == 0);
    }
    for (unsigned n = 0; n < THREADS; n++) {
        CHECK(pthread_join(threads[n], NULL) == 0);
    }
    for (uint32_t queue = 0; queue < 2; queue++) {
        mcrpc_queue_snapshot_t snapshot = {0};
        snapshot.struct_size = sizeof snapshot;
        CHECK(mcrpc_admission_queue_snapshot(&admission, queue, &snapshot) == MCRPC_OK);
        /* The other counts of a queue are statistics: threads that meet may take some back. */
        CHECK(snapshot.queued == 0 && snapshot.running == 0 && snapshot.completed > 0);
    }
    CHECK(mcrpc_host_close(&host) == MCRPC_OK);
    printf("%d\n", THREADS * REQUESTS);
    return 0;
}
