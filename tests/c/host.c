/* A process of the host, driven by lines on its standard input: one answer per line. The clock is a number in the lines.
 *
 *   host DIRECTORY | host -        a host in a directory, or none
 *   host memory CHILDREN FILE      a host in memory of its own, shared by children that are killed while they count;
 *                                 prints how often they did, and writes the memory to the file
 */
#define _GNU_SOURCE
#include "check.h"

#include <mcrpc.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static mcrpc_host_t host;

static mcrpc_endpoint_t endpoint(unsigned last, unsigned service) {
    const uint8_t address[4] = {10, 0, 0, (uint8_t)last};
    mcrpc_endpoint_t result;
    CHECK(mcrpc_endpoint_v4(address, 1, service, &result) == MCRPC_OK);
    return result;
}

static void answer(const char *line) {
    char word[32], text[900];
    unsigned long long a = 0, b = 0, c = 0, d = 0;
    int count = sscanf(line, "%31s %llu %llu %llu %llu", word, &a, &b, &c, &d);
    const mcrpc_leak_t leak = MCRPC_LEAK_INIT;
    CHECK(count >= 1);
    if (strcmp(word, "tick") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_host_tick(&host, a)));
    } else if (strcmp(word, "strategy") == 0) {
        mcrpc_endpoint_t key = endpoint((unsigned)a, (unsigned)b);
        mcrpc_strategy_t strategy = mcrpc_strategy(&host, &key, c);
        printf("%s %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", mcrpc_status_name(strategy.status),
               strategy.pass_rate_per_10k, strategy.kind, strategy.reject_cursor);
    } else if (strcmp(word, "segment") == 0) {
        mcrpc_segment_status_t status = {0};
        status.struct_size = sizeof status;
        CHECK(mcrpc_host_segment_status(&host, (uint32_t)a, &status) == MCRPC_OK);
        printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", mcrpc_status_name(status.status), status.found,
               status.expected, status.unanswered);
    } else if (strcmp(word, "mode") == 0) {
        printf("%" PRIu32 " %d\n", mcrpc_host_mode(&host, (uint32_t)a, b, (uint32_t)c), mcrpc_host_killed(&host));
    } else if (strcmp(word, "salt") == 0) {
        printf("%" PRIu64 "\n", mcrpc_host_salt(&host, a));
    } else if (strcmp(word, "dyed") == 0) {
        printf("%d\n", mcrpc_host_dyed(&host, a, b));
    } else if (strcmp(word, "shield") == 0) {
        mcrpc_endpoint_t key = endpoint((unsigned)a, 0);
        printf("%s\n", mcrpc_status_name(mcrpc_shield_check(&host, &key, c, b)));
    } else if (strcmp(word, "skip") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_skip_check(&host, (uint32_t)a, (uint32_t)b, c)));
    } else if (strcmp(word, "count") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_count(&host, (uint32_t)a, (uint32_t)b, c)));
    } else if (strcmp(word, "max") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_set_max(&host, (uint32_t)a, (uint32_t)b, c, d)));
    } else if (strcmp(word, "counter") == 0) {
        uint64_t counter = 0;
        int32_t status = mcrpc_counter_open(&host, (uint32_t)a, (uint32_t)b, MCRPC_COUNTER_SUM, &counter);
        printf("%s %" PRIu64 "\n", mcrpc_status_name(status), counter);
    } else if (strcmp(word, "add") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_counter_add(&host, a, b)));
    } else if (strcmp(word, "cpu") == 0) {
        uint64_t sampled_ns = 0;
        int32_t utilisation = mcrpc_host_cpu(&host, a, &sampled_ns);
        CHECK(utilisation == mcrpc_host_cpu(&host, a, NULL));
        if (utilisation < 0) {
            printf("%s\n", mcrpc_status_name(utilisation));
        } else {
            printf("%" PRId32 " %" PRIu64 "\n", utilisation, sampled_ns);
        }
    } else if (strcmp(word, "bucket") == 0) {
        mcrpc_endpoint_t key = endpoint((unsigned)a, 0);
        uint64_t bucket = 0;
        int32_t status = mcrpc_bucket_open(&host, &key, &bucket);
        printf("%s %" PRIu64 "\n", mcrpc_status_name(status), bucket);
    } else if (strcmp(word, "pour") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_bucket_pour(&host, a, &leak, b)));
    } else if (strcmp(word, "full") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_bucket_check(&host, a, &leak, c, b)));
    } else if (strcmp(word, "empty") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_bucket_empty(&host, a)));
    } else if (strcmp(word, "trace") == 0) {
        CHECK(sscanf(line, "trace %llu %899[^\n]", &a, text) == 2);
        printf("%s\n", mcrpc_status_name(mcrpc_trace(&host, 9, (const uint8_t *)text, strlen(text), a)));
    } else if (strcmp(word, "fork") == 0) {
        /* The child goes on with the next lines; its parent waits for its end. */
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid > 0) {
            int status;
            CHECK(waitpid(pid, &status, 0) == pid);
            exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
        printf("%d\n", (int)getpid());
    } else if (strcmp(word, "closefiles") == 0) {
        /* As a program does that turns itself into a daemon. */
        for (int file = 3; file < 64; file++) {
            close(file);
        }
        printf("closed\n");
    } else if (strcmp(word, "close") == 0) {
        printf("%s\n", mcrpc_status_name(mcrpc_host_close(&host)));
    } else {
        CHECK(!"a known word");
    }
    fflush(stdout);
}

/* Each child adds to the shared counter, then to a word of its own, and is killed at some moment: at most its last addition
 * is not in its own word yet. */
static void killed_children(int children, const char *path) {
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    config.seats = 4;
    size_t len;
    CHECK(mcrpc_host_memory_size(&config, &len) == MCRPC_OK);
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile uint64_t *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && own != MAP_FAILED);
    CHECK(mcrpc_host_create(memory, len, &config, 1, &host) == MCRPC_OK);
    uint64_t counted = 0;
    for (int round = 0; round < children / 2; round++) {
        pid_t pids[2];
        for (int n = 0; n < 2; n++) {
            own[n] = 0;
            pids[n] = fork();
            CHECK(pids[n] >= 0);
            if (pids[n] == 0) {
                for (uint64_t turn = 0;; turn++) {
                    if (turn == 1000) {
                        mcrpc_host_tick(&host, 1);
                    }
                    if (mcrpc_count(&host, 7, 7, 1) != MCRPC_OK) {
                        _exit(1);
                    }
                    own[n] = own[n] + 1;
                }
            }
        }
        while (own[0] < 2000 || own[1] < 2000) {
            usleep(100);
        }
        usleep((useconds_t)(round * 37 % 500));
        for (int n = 0; n < 2; n++) {
            int status;
            CHECK(kill(pids[n], SIGKILL) == 0 && waitpid(pids[n], &status, 0) == pids[n] && WIFSIGNALED(status));
            counted += own[n];
        }
    }
    printf("%" PRIu64 "\n", counted);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(memory, 1, len, file) == len && fclose(file) == 0);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "memory") == 0) {
        killed_children(atoi(argv[2]), argv[3]);
        return 0;
    }
    CHECK(argc == 2);
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    memcpy(config.name, "driven", 6);
    CHECK(mcrpc_host_open(strcmp(argv[1], "-") == 0 ? NULL : argv[1], &config, 1, &host) == MCRPC_OK);
    char line[1024];
    /* Unbuffered, so that a forked child goes on where its parent stopped. */
    setvbuf(stdin, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        answer(line);
    }
    return 0;
}
