/* Four threads make hot calls all the time while the process forks, over and over; each child makes them too:
 *
 *   fork_storm DIRECTORY FORKS
 *
 * Nobody may hang, every call must return what it should, a child has no seat of its own until its first housekeeping and
 * has one then, and in the end every request has been counted once. Prints how many rounds of calls were made, each of which
 * adds 1 to the counter 1:1. The directory is a host's.
 */
#define _GNU_SOURCE
#include "hot_calls.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, CHILD_QUEUE = THREADS, ROUNDS_EACH = 5, PATIENCE_S = 30, PROGRAM_PATIENCE_S = 540 };

static struct world child_world;
static atomic_int stop;

static uint64_t clock_ns(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

/* One request through the server and one call to another, counted. Whether all went well. */
static int make_round(struct world *w) {
    w->now = clock_ns();
    mcrpc_choice_t choice;
    int good = mcrpc_admit(&w->admission, w->queue, &w->request, w->now) == MCRPC_OK;
    good &= mcrpc_dequeued(&w->admission, w->queue, w->now, MCRPC_NO_DEADLINE, w->now) == MCRPC_OK;
    w->call.attempts = 0;
    good &= mcrpc_select(&w->endpoints, w->host, &w->call, MCRPC_ATTEMPT_NEXT, w->now, &choice) == MCRPC_OK;
    good &= mcrpc_report(&w->endpoints, w->host, &choice, MCRPC_OUTCOME_OK, MS, w->now) == MCRPC_OK;
    good &= mcrpc_counter_add(w->host, w->counter, 1) == MCRPC_OK;
    good &= mcrpc_set_max(w->host, 1, 2, w->queue, w->now) == MCRPC_OK;
    good &= mcrpc_strategy(w->host, &w->endpoint, w->call.uin).pass_rate_per_10k <= 10000;
    good &= mcrpc_done(&w->admission, w->queue, w->now, w->now) == MCRPC_OK;
    return good;
}

struct thread {
    pthread_t id;
    struct world world;
    uint64_t rounds;
};

/* The first one keeps house as well, so that children are also made in the middle of that. */
static void *serve(void *argument) {
    struct thread *thread = argument;
    /* Else each fork waits for its turn among them. */
    CHECK(setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19) == 0);
    while (!stop) {
        CHECK(make_round(&thread->world));
        thread->rounds++;
        if (thread->world.queue == 0 && thread->rounds % 64 == 0) {
            CHECK(mcrpc_host_tick(thread->world.host, clock_ns()) == MCRPC_OK);
            CHECK(mcrpc_endpoints_tick(&thread->world.endpoints, thread->world.host) == MCRPC_OK);
        }
    }
    return NULL;
}

/* What the child does; its exit code says which part went wrong. */
static int live(void) {
    struct world *w = &child_world;
    int good = 1;
    for (int round = 0; round < ROUNDS_EACH; round++) {
        good &= make_round(w);
    }
    if (!good) {
        return 1;
    }
    if (mcrpc_host_report_queue(w->host, &w->admission, CHILD_QUEUE, w->now) != MCRPC_NO_POLICY) {
        return 2;
    }
    if (mcrpc_host_tick(w->host, clock_ns()) != MCRPC_OK ||
        mcrpc_host_report_queue(w->host, &w->admission, CHILD_QUEUE, w->now) != MCRPC_OK) {
        return 3;
    }
    for (int round = 0; round < ROUNDS_EACH; round++) {
        good &= make_round(w);
    }
    return good ? 0 : 4;
}

static void fork_once(long number) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(PATIENCE_S);
        _exit(live());
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "child %ld %s %d\n", number, WIFEXITED(status) ? "failed at" : "was killed by signal",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        exit(1);
    }
}

static uint64_t check_requests(uint64_t wanted, uint32_t queue) {
    mcrpc_queue_snapshot_t snapshot = {0};
    snapshot.struct_size = sizeof snapshot;
    CHECK(mcrpc_admission_queue_snapshot(&child_world.admission, queue, &snapshot) == MCRPC_OK);
    CHECK(snapshot.queued == 0 && snapshot.running == 0);
    CHECK(snapshot.admitted == wanted && snapshot.completed == wanted);
    return wanted;
}

int main(int argc, char **argv) {
    static struct thread threads[THREADS];
    CHECK(argc == 3);
    long forks = strtol(argv[2], NULL, 10);
    alarm(PROGRAM_PATIENCE_S);
    open_shared(argv[1]);
    fill_world(&child_world, CHILD_QUEUE);
    /* A machine that stalls must not make the controller refuse. */
    CHECK(mcrpc_admission_set_mode(&child_world.admission, MCRPC_MODE_OBSERVE) == MCRPC_OK);
    for (uint32_t n = 0; n < THREADS; n++) {
        fill_world(&threads[n].world, n);
        CHECK(pthread_create(&threads[n].id, NULL, serve, &threads[n]) == 0);
    }
    for (long number = 1; number <= forks; number++) {
        fork_once(number);
    }
    stop = 1;
    uint64_t rounds = check_requests((uint64_t)forks * 2 * ROUNDS_EACH, CHILD_QUEUE);
    for (uint32_t n = 0; n < THREADS; n++) {
        CHECK(pthread_join(threads[n].id, NULL) == 0);
        rounds += check_requests(threads[n].rounds, n);
    }
    printf("%llu\n", (unsigned long long)rounds);
    return 0;
}
