// Two processes of one host: what the first learns about a broken machine keeps the second from calling it. No agent.
//
// Build it, with LIB the directory of the library:
//
//     gcc -std=c11 -O2 -Iinclude c-examples/host.c $LIB/libmcrpc.a -o host
//     gcc -std=c11 -O2 -Iinclude c-examples/host.c -L$LIB -lmcrpc -Wl,-rpath,$LIB -o host
//
// With an argument it joins the host's own segments instead, and so all processes of the host: ./host /run/mcrpc
#define _GNU_SOURCE
#include <mcrpc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SERVICE = 7, CALLS_FAILED = 1 };

static mcrpc_host_t host;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// What a client asks before each call, in this order.
static int32_t may_call(const mcrpc_endpoint_t *machine, uint64_t bucket, const mcrpc_leak_t *leak, uint64_t uin) {
    uint64_t now = now_ns();
    int32_t status = mcrpc_skip_check(&host, SERVICE, 0, uin);
    if (status == MCRPC_OK) { status = mcrpc_shield_check(&host, machine, uin, now); }
    if (status == MCRPC_OK) { status = mcrpc_bucket_check(&host, bucket, leak, uin, now); }
    return status;
}

int main(int argc, char **argv) {
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    if (argc > 1) {
        mcrpc_host_open(argv[1], &config, now_ns(), &host);
    } else {
        size_t len;
        mcrpc_host_memory_size(&config, &len);
        void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) { return perror("mmap"), 1; }
        mcrpc_host_create(memory, len, &config, now_ns(), &host);
    }
    mcrpc_segment_status_t buckets = {0};
    buckets.struct_size = sizeof buckets;
    mcrpc_host_segment_status(&host, MCRPC_SEGMENT_FAIL, &buckets);
    printf("shared buckets: %s\n", mcrpc_status_name(buckets.status));
    fflush(stdout);

    mcrpc_endpoint_t machine;
    mcrpc_endpoint_v4((const uint8_t[]){10, 0, 0, 1}, 8080, SERVICE, &machine);
    mcrpc_leak_t leak = MCRPC_LEAK_INIT;
    uint64_t bucket = 0;
    mcrpc_bucket_open(&host, &machine, &bucket);

    if (fork() == 0) {
        // A child inherits all that it needs. Its calls fail, every one of them.
        for (int call = 0; call < 12; call++) {
            int32_t status = may_call(&machine, bucket, &leak, 42);
            printf("child, call %2d: %s\n", call + 1, mcrpc_status_name(status));
            if (status == MCRPC_OK) {
                mcrpc_bucket_pour(&host, bucket, &leak, now_ns());
                mcrpc_count(&host, SERVICE, CALLS_FAILED, 1);
            }
        }
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    int32_t status = may_call(&machine, bucket, &leak, 43);
    printf("parent, its first call: %s\n    %s\n", mcrpc_status_name(status), mcrpc_status_text(status));
    mcrpc_host_close(&host);
    return 0;
}
