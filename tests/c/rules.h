/* The rules of the per-request functions, checked on the library as it is linked into a C program.
 *
 *   alloc     no allocation: malloc and its relatives are replaced and counted
 *   seccomp   no system call: the kernel kills the process at the first one but read, write and exit
 *   stack     at most 512 bytes of stack, on a painted coroutine stack of 128 KiB
 *   signal    usable from a signal handler that interrupts the same calls
 *   fork      usable in the child of a process whose other threads use them
 */
#ifndef RULES_H
#define RULES_H

#define _GNU_SOURCE
#include <mcrpc.h>

#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* What is put to the test. */
struct subject {
    /* Calls every function, through a table of them. */
    uint64_t (*exercise)(const void *calls, uint32_t queue, uint64_t now, int rounds);
    /* The library's functions, and stand-ins that do nothing, so that the stack of `exercise` itself can be measured. */
    const void *real, *nothing;
    /* Grows when the calls do what they are there for. */
    const uint64_t *evidence;
    uint64_t evidence_wanted;
    /* May be NULL: what must hold after signals and forks; what a process does once a second. */
    void (*afterwards)(void);
    void (*keep_house)(void);
};

static volatile unsigned long allocations;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    allocations++;
    return __libc_realloc(old, size);
}
void free(void *memory) {
    __libc_free(memory);
}

static int is_done(const struct subject *subject) {
    return *subject->evidence >= subject->evidence_wanted;
}

static void no_allocation(const struct subject *subject) {
    unsigned long before = allocations;
    void *volatile probe = malloc(1);
    CHECK(allocations == before + 1);
    free(probe);
    subject->exercise(subject->real, 0, MS, 200);
    CHECK(allocations == before + 1);
    CHECK(is_done(subject));
}

static void no_system_call(const struct subject *subject) {
    static const char ok[] = "no system call\n", failed[] = "the calls did nothing\n";
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    subject->exercise(subject->real, 0, MS, 200);
    int good = is_done(subject);
    ssize_t written = good ? write(1, ok, sizeof ok - 1) : write(1, failed, sizeof failed - 1);
    syscall(SYS_exit, good && written > 0 ? 0 : 1);
}

enum { STACK_LEN = 128 << 10, PAINT = 0xA5 };
static _Alignas(64) unsigned char stack[STACK_LEN];
static ucontext_t caller, coroutine;
static const struct subject *coroutine_subject;
static const void *coroutine_calls;

static void run_coroutine(void) {
    coroutine_subject->exercise(coroutine_calls, 0, MS, 50);
}

/* Bytes of the coroutine's stack that a run with these functions writes to. */
static size_t stack_used(const struct subject *subject, const void *calls) {
    memset(stack, PAINT, STACK_LEN);
    coroutine_subject = subject;
    coroutine_calls = calls;
    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = STACK_LEN;
    coroutine.uc_link = &caller;
    makecontext(&coroutine, run_coroutine, 0);
    CHECK(swapcontext(&caller, &coroutine) == 0);
    size_t untouched = 0;
    while (stack[untouched] == PAINT) {
        untouched++;
    }
    return STACK_LEN - untouched;
}

static void little_stack(const struct subject *subject) {
    /* The first calls into a shared library also run the dynamic linker: they do not count. */
    stack_used(subject, subject->real);
    size_t own = stack_used(subject, subject->nothing), with_library = stack_used(subject, subject->real);
    CHECK(is_done(subject));
    printf("the library used %zu bytes of stack\n", with_library - own);
    CHECK(with_library - own <= 512);
}


enum { SIGNALS = 200, CHILDREN = 50 };
static const struct subject *signal_subject;
static volatile int signals, stop;

static void on_signal(int number) {
    (void)number;
    signals++;
    signal_subject->exercise(signal_subject->real, 1, 900000 * MS, 1);
}

static void check_afterwards(const struct subject *subject) {
    if (subject->afterwards != NULL) {
        subject->afterwards();
    }
}

static void in_a_signal_handler(const struct subject *subject) {
    signal_subject = subject;
    signal(SIGALRM, on_signal);
    struct itimerval timer = {{0, 500}, {0, 500}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    uint64_t now = 900000 * MS;
    while (signals < SIGNALS) {
        now = subject->exercise(subject->real, 0, now, 20);
    }
    signal(SIGALRM, SIG_IGN);
    CHECK(is_done(subject));
    check_afterwards(subject);
}

static void *busy_thread(void *argument) {
    const struct subject *subject = argument;
    for (uint64_t now = MS; !stop;) {
        now = subject->exercise(subject->real, 0, now, 1);
        if (subject->keep_house != NULL) {
            subject->keep_house();
        }
    }
    return NULL;
}

static void in_a_forked_child(const struct subject *subject) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, busy_thread, (void *)subject) == 0);
    for (int child = 0; child < CHILDREN; child++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            subject->exercise(subject->real, 1, MS, 5);
            if (subject->keep_house != NULL) {
                subject->keep_house();
                subject->exercise(subject->real, 1, MS, 5);
            }
            _exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = 1;
    pthread_join(thread, NULL);
    check_afterwards(subject);
}

static int check_rule(const char *name, const struct subject *subject) {
    static const struct {
        const char *name;
        void (*run)(const struct subject *);
    } rules[] = {{"alloc", no_allocation},
                 {"seccomp", no_system_call},
                 {"stack", little_stack},
                 {"signal", in_a_signal_handler},
                 {"fork", in_a_forked_child}};
    for (size_t n = 0; n < sizeof rules / sizeof *rules; n++) {
        if (strcmp(name, rules[n].name) == 0) {
            rules[n].run(subject);
            return 0;
        }
    }
    fprintf(stderr, "the rules are alloc, seccomp, stack, signal and fork\n");
    return 2;
}

#endif
