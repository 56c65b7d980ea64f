/* The rules of the hot path, for each hot call by itself, on the library as it is linked into a C program:
 *
 *   hot_contract RULE DIRECTORY [CALL]
 *
 *   alloc         no allocation: malloc and its relatives, mmap and brk are replaced and counted
 *   seccomp       no system call: the kernel kills the process at the first one but read, write and exit
 *   stack         at most 512 bytes of stack, on a painted coroutine stack of 128 KiB; prints how many
 *   shared-stack  usable by coroutines that share a stack, which is copied out and in between any two calls
 *   signal        usable by a signal handler that interrupts the same call, before each of its instructions
 *   fork          usable in the children of a process whose other thread makes the same call
 *
 * Each call has a process of its own, so that the one which breaks a rule has a name. The directory is a host's.
 */
#define _GNU_SOURCE
#include "allocations.h"
#include "hot_calls.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>

enum { ROUNDS = 50, CHILDREN = 20, MAX_STACK = 512, STACK_LEN = 128 << 10, PATIENCE_S = 60 };

static struct world world, inner_world;

static void no_allocation(const struct hot_call *call) {
    unsigned long before = allocations;
    void *volatile probe = malloc(1);
    CHECK(allocations == before + 1);
    free(probe);
    for (int n = 0; n < ROUNDS; n++) {
        CHECK(run_hot_call(call, &world));
    }
    CHECK(allocations == before + 2);
}

static void no_system_call(const struct hot_call *call) {
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    int good = 1;
    for (int n = 0; n < ROUNDS; n++) {
        good &= run_hot_call(call, &world);
    }
    syscall(SYS_exit, good ? 0 : 1);
}

static _Alignas(64) unsigned char stack[STACK_LEN];
static ucontext_t scheduler, coroutine;
static const struct hot_call *current_call;

static void start(ucontext_t *context, void (*body)(void)) {
    CHECK(getcontext(context) == 0);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK_LEN;
    context->uc_link = &scheduler;
    makecontext(context, body, 0);
}

static void call_once(void) {
    current_call->run(&world);
}

/* Bytes of the stack below its caller's that the call writes to, if they are painted so. */
static size_t stack_used(const struct hot_call *call, unsigned char paint) {
    if (call->prepare != NULL) {
        call->prepare(&world);
    }
    memset(stack, paint, STACK_LEN);
    start(&coroutine, call_once);
    CHECK(swapcontext(&scheduler, &coroutine) == 0 && world.good);
    if (call->finish != NULL) {
        call->finish(&world);
    }
    size_t untouched = 0;
    while (stack[untouched] == paint) {
        untouched++;
    }
    return world.stack_pointer - (uintptr_t)(stack + untouched);
}

static void little_stack(const struct hot_call *call) {
    current_call = call;
    /* The first call into a shared library also runs the dynamic linker: it does not count. */
    CHECK(run_hot_call(call, &world));
    /* A byte may be written that has the colour already. */
    size_t one = stack_used(call, 0xA5), other = stack_used(call, 0x5A), most = one > other ? one : other;
    printf("%s %zu\n", call->name, most);
    CHECK(most <= MAX_STACK);
}

enum { COROUTINES = 2 };
static ucontext_t coroutines[COROUTINES];
static unsigned char saved[COROUTINES][STACK_LEN];
static int running, finished;

static void yield(void) {
    CHECK(swapcontext(&coroutines[running], &scheduler) == 0);
}

/* The call, its arguments and its results on the shared stack, which belongs to another coroutine between any two steps. */
static void share_stack(void) {
    struct world own;
    fill_world(&own, (uint32_t)running);
    for (int n = 0; n < 5; n++) {
        if (current_call->prepare != NULL) {
            current_call->prepare(&own);
        }
        yield();
        current_call->run(&own);
        CHECK(own.good);
        yield();
        if (current_call->finish != NULL) {
            current_call->finish(&own);
        }
        yield();
    }
    finished++;
}

static void on_a_shared_stack(const struct hot_call *call) {
    current_call = call;
    for (int n = 0; n < COROUTINES; n++) {
        start(&coroutines[n], share_stack);
        memcpy(saved[n], stack, STACK_LEN);
    }
    for (running = 0; finished < COROUTINES; running = (running + 1) % COROUTINES) {
        memcpy(stack, saved[running], STACK_LEN);
        CHECK(swapcontext(&scheduler, &coroutines[running]) == 0);
        memcpy(saved[running], stack, STACK_LEN);
        memset(stack, 0xEE, STACK_LEN);
    }
}

static volatile unsigned long steps, bad_steps;

static void on_step(int number) {
    (void)number;
    steps++;
    bad_steps += !run_hot_call(current_call, &inner_world);
}

/* The trap flag has the processor raise SIGTRAP behind each instruction; while the handler runs it is off. */
static void interrupted_everywhere(const struct hot_call *call) {
    current_call = call;
    signal(SIGTRAP, on_step);
    if (call->prepare != NULL) {
        call->prepare(&world);
    }
#if defined(__x86_64__)
    /* The flags are changed below the red zone. */
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "cc", "memory");
    call->run(&world);
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "cc", "memory");
#else
    fprintf(stderr, "only x86-64 has a flag that lets a program step through itself: use a debugger's steps here\n");
    exit(1);
#endif
    CHECK(world.good && bad_steps == 0 && steps >= 10);
    if (call->finish != NULL) {
        call->finish(&world);
    }
    printf("%s was interrupted %lu times\n", call->name, steps);
}

static atomic_int stop;

static void *call_on(void *call) {
    struct world own;
    fill_world(&own, 0);
    while (!stop) {
        CHECK(run_hot_call(call, &own));
    }
    return NULL;
}

static void in_a_forked_child(const struct hot_call *call) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, call_on, (void *)call) == 0);
    for (int child = 0; child < CHILDREN; child++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            alarm(PATIENCE_S);
            int good = 1;
            for (int n = 0; n < ROUNDS; n++) {
                good &= run_hot_call(call, &world);
            }
            _exit(good ? 0 : 1);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = 1;
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Every request has left its queue again: also those of calls that interrupted each other. */
static void check_nothing_is_left(void) {
    for (uint32_t queue = 0; queue < QUEUES; queue++) {
        mcrpc_queue_snapshot_t snapshot = {0};
        snapshot.struct_size = sizeof snapshot;
        CHECK(mcrpc_admission_queue_snapshot(&world.admission, queue, &snapshot) == MCRPC_OK);
        CHECK(snapshot.queued == 0 && snapshot.running == 0);
    }
}

/* Whether the rule holds, found out in a process of its own. */
static int holds(void (*rule)(const struct hot_call *), const struct hot_call *call) {
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(PATIENCE_S);
        rule(call);
        fflush(stdout);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return 0;
    }
    check_nothing_is_left();
    return 1;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*check)(const struct hot_call *);
    } rules[] = {{"alloc", no_allocation},           {"seccomp", no_system_call},        {"stack", little_stack},
                 {"shared-stack", on_a_shared_stack}, {"signal", interrupted_everywhere}, {"fork", in_a_forked_child}};
    CHECK(argc == 3 || argc == 4);
    open_shared(argv[2]);
    fill_world(&world, 0);
    fill_world(&inner_world, 0);
    int broken = 0, known = 0;
    for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++) {
        if (strcmp(argv[1], rules[rule].name) != 0) {
            continue;
        }
        known = 1;
        for (size_t n = 0; n < hot_call_count; n++) {
            const struct hot_call *call = &hot_calls[n];
            if ((argc == 3 || strcmp(argv[3], call->name) == 0) && !holds(rules[rule].check, call)) {
                fprintf(stderr, "%s breaks the rule %s\n", call->name, argv[1]);
                broken = 1;
            }
        }
    }
    CHECK(known);
    return broken;
}
