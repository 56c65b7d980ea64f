/* Processes that share a host in memory of their own: each has a seat while there is one, and that of a dead one is taken again. */
#define _GNU_SOURCE
#include "check.h"

#include <mcrpc.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char admission_memory[1 << 20];
static mcrpc_admission_t admission;
static mcrpc_host_t host;

/* Only who has a seat of its own may show its queue. */
static int32_t seat_status(void) {
    CHECK(mcrpc_host_tick(&host, 2) == MCRPC_OK);
    CHECK(mcrpc_count(&host, 7, 7, 1) == MCRPC_OK);
    CHECK(mcrpc_trace(&host, 1, (const uint8_t *)"here", 4, 2) == MCRPC_OK);
    return mcrpc_host_report_queue(&host, &admission, 0, 2);
}

/* A child that tells how it fares, and ends when it is told to or at once. */
static pid_t child(int32_t expected, const int *until) {
    int told[2];
    CHECK(pipe(told) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (until != NULL) {
            close(until[1]);
        }
        CHECK(seat_status() == expected);
        CHECK(write(told[1], "", 1) == 1);
        if (expected == MCRPC_NO_POLICY) {
            CHECK(mcrpc_host_close(&host) == MCRPC_OK);
        }
        char ignored;
        exit(until == NULL || read(until[0], &ignored, 1) == 0 ? 0 : 1);
    }
    char ignored;
    close(told[1]);
    CHECK(read(told[0], &ignored, 1) == 1);
    close(told[0]);
    return pid;
}

static void ends_well(pid_t pid) {
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    mcrpc_admission_config_t admission_config = MCRPC_ADMISSION_CONFIG_INIT;
    config.seats = 2;
    size_t len;
    CHECK(mcrpc_host_memory_size(&config, &len) == MCRPC_OK);
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(mcrpc_admission_init(admission_memory, sizeof admission_memory, &admission_config, 1, &admission) == MCRPC_OK);
    CHECK(mcrpc_host_create(memory, len, &config, 1, &host) == MCRPC_OK);
    CHECK(seat_status() == MCRPC_OK);

    int until[2];
    CHECK(pipe(until) == 0);
    pid_t seated = child(MCRPC_OK, until);
    ends_well(child(MCRPC_NO_POLICY, NULL));
    close(until[1]);
    ends_well(seated);
    ends_well(child(MCRPC_OK, NULL));
    CHECK(seat_status() == MCRPC_OK);
    CHECK(mcrpc_host_close(&host) == MCRPC_OK);
    return 0;
}
