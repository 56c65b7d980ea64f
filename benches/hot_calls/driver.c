/* Makes the hot calls (tests/c/hot_calls.h) for whoever counts and times:
 *
 *   driver count DIRECTORY TIMES            each of them so often, in a cold cache, for a simulated processor to watch; prints
 *                                           their names
 *   driver time  DIRECTORY THREADS BATCHES  prints of each the name and the nanoseconds of each batch; the other threads make
 *                                           the same call meanwhile, on queues of their own
 */
#define _GNU_SOURCE
#include "../../tests/c/hot_calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* Callers in a batch: few enough that what they have stays in the first-level cache, which a clock is read around. */
enum { CALLERS = 8, ROUNDS = 500, CACHE_LINE = 64, CACHE_LEN = 256 << 10 };

static struct world worlds[QUEUES][CALLERS];
static const struct hot_call *other_call;
static atomic_int stop, ready;

/* Puts everything else out of the first-level cache. */
static unsigned clear_cache(void) {
    static volatile unsigned char other_data[CACHE_LEN];
    unsigned sum = 0;
    for (size_t n = 0; n < CACHE_LEN; n += CACHE_LINE) {
        sum += other_data[n];
    }
    return sum;
}

static void count(long times) {
    struct world *world = &worlds[0][0];
    for (size_t n = 0; n < hot_call_count; n++) {
        printf("%s\n", hot_calls[n].name);
        for (long time = 0; time < times; time++) {
            if (hot_calls[n].prepare != NULL) {
                hot_calls[n].prepare(world);
            }
            clear_cache();
            hot_calls[n].run(world);
            if (hot_calls[n].finish != NULL) {
                hot_calls[n].finish(world);
            }
            world->now += 1000;
        }
    }
}

static double clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void nothing(struct world *world) {
    world->good = 1;
}

/* Nanoseconds per call: what is prepared and finished is not timed. */
static double batch(const struct hot_call *call, void (*run)(struct world *), struct world *callers) {
    double sum_ns = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int n = 0; call->prepare != NULL && n < CALLERS; n++) {
            call->prepare(&callers[n]);
        }
        double begun_ns = clock_ns();
        for (int n = 0; n < CALLERS; n++) {
            run(&callers[n]);
        }
        sum_ns += clock_ns() - begun_ns;
        for (int n = 0; call->finish != NULL && run == call->run && n < CALLERS; n++) {
            call->finish(&callers[n]);
        }
        for (int n = 0; n < CALLERS; n++) {
            callers[n].now += 100;
        }
    }
    return sum_ns / (ROUNDS * CALLERS);
}

static void *keep_calling(void *callers) {
    ready++;
    while (!stop) {
        batch(other_call, other_call->run, callers);
    }
    return NULL;
}

static void time_call(const struct hot_call *call, int threads, int batches) {
    static const struct hot_call pause = {"nothing", NULL, nothing, NULL};
    pthread_t others[QUEUES];
    stop = ready = 0;
    other_call = call;
    for (int n = 1; n < threads; n++) {
        CHECK(pthread_create(&others[n], NULL, keep_calling, worlds[n]) == 0);
    }
    while (ready < threads - 1) {
    }
    printf("%s", call->name);
    batch(call, call->run, worlds[0]);
    for (int n = 0; n < batches; n++) {
        double whole_ns = batch(call, call->run, worlds[0]), loop_ns = batch(&pause, nothing, worlds[0]);
        printf(" %.2f", whole_ns - loop_ns);
    }
    printf("\n");
    stop = 1;
    for (int n = 1; n < threads; n++) {
        CHECK(pthread_join(others[n], NULL) == 0);
    }
}

int main(int argc, char **argv) {
    CHECK(argc >= 3);
    open_shared(argv[2]);
    for (uint32_t queue = 0; queue < QUEUES; queue++) {
        for (int n = 0; n < CALLERS; n++) {
            fill_world(&worlds[queue][n], queue);
        }
    }
    if (strcmp(argv[1], "count") == 0 && argc == 4) {
        count(strtol(argv[3], NULL, 10));
    } else if (strcmp(argv[1], "time") == 0 && argc == 5) {
        for (size_t n = 0; n < hot_call_count; n++) {
            time_call(&hot_calls[n], (int)strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
        }
    } else {
        fprintf(stderr, "count DIRECTORY TIMES, or time DIRECTORY THREADS BATCHES\n");
        return 2;
    }
    return 0;
}
