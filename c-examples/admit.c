// Four workers of 10 ms, offered four times what they can do: libmcrpc decides whom they serve. The clock is a number.
//
// Build it, with LIB the directory of the library:
//
//     gcc -std=c11 -O2 -Iinclude c-examples/admit.c $LIB/libmcrpc.a -o admit
//     gcc -std=c11 -O2 -Iinclude c-examples/admit.c -L$LIB -lmcrpc -Wl,-rpath,$LIB -o admit
#include <mcrpc.h>
#include <stdio.h>

enum { WORKERS = 4, SERVICE_MS = 10, LOAD = 4, SECONDS = 10, QUEUE_LEN = 1024, BUDGET_MS = 100 };
enum { CAPACITY = WORKERS * 1000 / SERVICE_MS * SECONDS, OFFERED = LOAD * CAPACITY };
#define MS 1000000ull

static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char memory[128 * 1024];
static struct job { uint64_t admitted_ns, deadline_ns; } ring[QUEUE_LEN];
static struct { uint64_t started_ns; int busy; } workers[WORKERS];

int main(void) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.workers_per_queue = WORKERS;
    mcrpc_admission_t admission;
    int32_t status = mcrpc_admission_init(memory, sizeof memory, &config, 0, &admission);
    if (status != MCRPC_OK) { return fprintf(stderr, "%s\n", mcrpc_status_text(status)), 1; }

    uint64_t head = 0, tail = 0, sent = 0, served = 0, longest_wait_ns = 0;
    for (uint64_t now_ns = 0; now_ns < SECONDS * 1000 * MS; now_ns += MS / 10) {
        for (int i = 0; i < WORKERS; i++) {
            if (workers[i].busy && now_ns - workers[i].started_ns >= SERVICE_MS * MS) {
                workers[i].busy = 0, served++;
                mcrpc_done(&admission, 0, workers[i].started_ns, now_ns);
            }
        }
        for (; sent * SECONDS * 1000 * MS < now_ns * OFFERED; sent++) {
            mcrpc_header_t header = { .kind = MCRPC_KIND_REQUEST, .uin = sent + 1, .budget_ms = BUDGET_MS };
            mcrpc_request_t request;
            mcrpc_request_from_header(&header, 42, 0, now_ns, &request);
            if (mcrpc_admit(&admission, 0, &request, now_ns) != MCRPC_OK) { continue; }  // answer the status at once
            if (tail - head == QUEUE_LEN) { mcrpc_abandoned(&admission, 0); continue; }
            ring[tail++ % QUEUE_LEN] = (struct job){ now_ns, request.deadline_ns };
        }
        for (int i = 0; i < WORKERS; i++) {
            while (!workers[i].busy && head < tail) {
                struct job job = ring[head++ % QUEUE_LEN];
                if (now_ns - job.admitted_ns > longest_wait_ns) { longest_wait_ns = now_ns - job.admitted_ns; }
                status = mcrpc_dequeued(&admission, 0, job.admitted_ns, job.deadline_ns, now_ns);
                workers[i].busy = status == MCRPC_OK;  // too late: answer so
                workers[i].started_ns = now_ns;
            }
        }
    }
    mcrpc_queue_snapshot_t queue = { .struct_size = sizeof queue };
    mcrpc_admission_queue_snapshot(&admission, 0, &queue);
    printf("offered %d, capacity %d, served %d, ", OFFERED, CAPACITY, (int)served);
    printf("longest wait %d ms, refused:\n", (int)(longest_wait_ns / MS));
    for (uint32_t i = 0; i < MCRPC_REFUSAL_COUNT; i++) {
        printf("  %-22s %d\n", mcrpc_status_name(mcrpc_refusal_status(i)), (int)queue.refused[i]);
    }
    return served * 10 < CAPACITY * 9;  // less than 90 % of what was possible is a failure
}
