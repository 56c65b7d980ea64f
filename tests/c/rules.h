/* The rules of the per-request functions over many states and all reasons to refuse, checked on the library as it is linked into
 * a C program. hot_contract.c checks them, and that children may make the calls, for each function by itself.
 *
 *   alloc     no allocation: malloc and its relatives are replaced and counted
 *   seccomp   no system call: the kernel kills the process at the first one but read, write and exit
 *   stack     at most 512 bytes of stack, on a painted coroutine stack of 128 KiB
 *   signal    usable from a signal handler that interrupts the same calls
 */
#ifndef RULES_H
#define RULES_H

#define _GNU_SOURCE
#include "check.h"
#include "allocations.h"

#include <mcrpc.h>

#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

/* What is put to the test. */
struct subject {
    /* Calls every function, through a table of them. */
    uint64_t (*exercise)(const void *calls, uint32_t queue, uint64_t now, int rounds);
    /* The library's functions, and stand-ins that do nothing, so that the stack of `exercise` itself can be measured. */
    const void *real, *nothing;
    /* Grows when the calls do what they are there for. */
    const uint64_t *evidence;
    uint64_t evidence_wanted;
    /* What must hold after signals; may be NULL. */
    void (*afterwards)(void);
};

static int is_done(const struct subject *subject) {
    return *subject->evidence >= subject->evidence_wanted;
}

static void no_allocation(const struct subject *subject) {
    unsigned long before = allocations;
    void *volatile probe = malloc(1);
    CHECK(allocations == before + 1);
    free(probe);
    subject->exercise(subject->real, 0, MS, 200);
    CHECK(allocations == before + 2);
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

enum { SIGNALS = 200 };
static const struct subject *signal_subject;
static volatile int signals;

static void on_signal(int number) {
    (void)number;
    signals++;
    signal_subject->exercise(signal_subject->real, 1, 900000 * MS, 1);
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
    if (subject->afterwards != NULL) {
        subject->afterwards();
    }
}

static int check_rule(const char *name, const struct subject *subject) {
    static const struct {
        const char *name;
        void (*run)(const struct subject *);
    } rules[] = {{"alloc", no_allocation},
                 {"seccomp", no_system_call},
                 {"stack", little_stack},
                 {"signal", in_a_signal_handler}};
    for (size_t n = 0; n < sizeof rules / sizeof *rules; n++) {
        if (strcmp(name, rules[n].name) == 0) {
            rules[n].run(subject);
            return 0;
        }
    }
    fprintf(stderr, "the rules are alloc, seccomp, stack and signal\n");
    return 2;
}

#endif
