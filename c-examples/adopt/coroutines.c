// Stackful coroutines on stacks of 128 KiB: half of them have one of their own, half share a few and are copied out and in,
// as in libco's share-stack mode. Several threads run them, and each goes on with whichever is free.
//
//     caller    asks for admission, waits for one of a few places, and calls a backend: which one, says mcrpc_select()
//     backend   answers the messages of callers; one of the three is broken for a while
//
// The library is called from all of them, and needs to know nothing of switches. What a program must heed is marked "Rule".
//
// Build it, with LIB the directory of the library:
//
//     gcc -std=c11 -O2 -pthread -Iinclude c-examples/adopt/coroutines.c $LIB/libmcrpc.a -o coroutines
#define _GNU_SOURCE
#include <mcrpc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { THREADS = 3, CALLERS = 160, BACKENDS = 3, BROKEN = 1, COUNT = CALLERS + BACKENDS, SHARED_STACKS = 4, PLACES = 8 };
enum { STACK_LEN = 128 << 10, BELOW_SP = 1 << 10, RUN_MS = 3000, SERVICE_MS = 5, BUDGET_MS = 300 };
enum { BROKEN_FROM_MS = 500, BROKEN_UNTIL_MS = 1500 };
#define MS 1000000ull

// ---- The scheduler: knows nothing of libmcrpc -----------------------------------------------------------

struct stack {
    unsigned char *memory;
    struct coroutine *resident;  // whose frames lie there
    int is_used;                 // by a thread, now
};

struct coroutine {
    void (*body)(struct coroutine *);
    ucontext_t registers;
    struct stack *stack;
    unsigned char *frames;  // of one that shares its stack, while another is resident
    size_t frames_len;
    uint64_t wake_ns;
    int is_running, is_waiting, is_over;
    const void *thread;  // that ran it last
    // What a coroutine tells others about lies here, not on its stack.
    mcrpc_context_t context;
    struct message {
        uint64_t sent_ns;
        int32_t status;
        int is_answered;
        struct message *next;
    } message;
    struct message *mailbox;  // of a backend
    struct wait {
        uint64_t admitted_ns, begun_ns;
        int32_t verdict;
        struct coroutine *next;
    } wait;
};

static struct coroutine coroutines[COUNT];
static struct stack shared_stacks[SHARED_STACKS], private_stacks[COUNT];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // of all that coroutines share
static unsigned next_to_run, over;
static uint64_t started_ns;
static uint64_t moves, copies;  // coroutines that changed their thread; stacks that were copied out

static _Thread_local struct coroutine *running;
static _Thread_local ucontext_t scheduler;

// Not inlined: a coroutine may have changed its thread, so the address of a thread-local must be found anew each time.
static __attribute__((noinline)) struct coroutine *self(void) {
    __asm__ volatile("");
    return running;
}
static __attribute__((noinline)) ucontext_t *home(void) {
    __asm__ volatile("");
    return &scheduler;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

// Lets others run, for at least so long.
static void yield_ms(unsigned ms) {
    struct coroutine *me = self();
    me->wake_ns = now_ns() + ms * MS;
    unsigned char *bottom = (unsigned char *)__builtin_frame_address(0) - BELOW_SP;
    me->frames_len = (size_t)(me->stack->memory + STACK_LEN - bottom);
    swapcontext(&me->registers, home());
}

static void begin(void) {
    struct coroutine *me = self();
    me->body(me);
    me->is_over = 1;
    yield_ms(0);
}

// Brings the frames of a coroutine back to where they were, and those of another one out of the way.
static void take_seat(struct coroutine *next) {
    struct stack *stack = next->stack;
    struct coroutine *last = stack->resident;
    if (last == next) { return; }
    if (last != NULL && !last->is_over) {
        last->frames = realloc(last->frames, last->frames_len);
        memcpy(last->frames, stack->memory + STACK_LEN - last->frames_len, last->frames_len);
        copies++;
    }
    if (next->frames != NULL) { memcpy(stack->memory + STACK_LEN - next->frames_len, next->frames, next->frames_len); }
    stack->resident = next;
}

// The next coroutine that may run; NULL if there is none.
static struct coroutine *choose(void) {
    uint64_t now = now_ns();
    for (unsigned n = 0; n < COUNT; n++) {
        struct coroutine *one = &coroutines[next_to_run++ % COUNT];
        int may_run = !one->is_running && !one->is_over && !one->is_waiting && !one->stack->is_used;
        if (may_run && one->wake_ns <= now) { return one; }
    }
    return NULL;
}

static void *run_coroutines(void *unused) {
    const void *thread = home();
    pthread_mutex_lock(&mutex);
    while (over < COUNT) {
        struct coroutine *next = choose();
        if (next == NULL) {
            pthread_mutex_unlock(&mutex);
            usleep(200);
            pthread_mutex_lock(&mutex);
            continue;
        }
        next->is_running = next->stack->is_used = 1;
        take_seat(next);
        moves += next->thread != NULL && next->thread != thread;
        next->thread = thread;
        pthread_mutex_unlock(&mutex);
        running = next;
        swapcontext(&scheduler, &next->registers);
        running = NULL;
        pthread_mutex_lock(&mutex);
        next->is_running = next->stack->is_used = 0;
        over += (unsigned)next->is_over;
    }
    pthread_mutex_unlock(&mutex);
    return unused;
}

static void make_coroutine(struct coroutine *one, struct stack *stack, void (*body)(struct coroutine *)) {
    if (stack->memory == NULL) { stack->memory = malloc(STACK_LEN); }
    one->stack = stack;
    one->body = body;
    getcontext(&one->registers);
    one->registers.uc_stack.ss_sp = stack->memory;
    one->registers.uc_stack.ss_size = STACK_LEN;
    makecontext(&one->registers, begin, 0);
}

// ---- The service ----------------------------------------------------------------------------------------

static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char admission_memory[128 << 10];
static _Alignas(64) unsigned char endpoints_memory[256 << 10];
static mcrpc_admission_t admission;
static mcrpc_endpoints_t endpoints;
static int places = PLACES;
static struct coroutine *waiting;  // for a place, in the order in which they came
static _Atomic unsigned answered, refused, too_late, unanswered, retries, to_broken, wrong_contexts, broken_frames;

// Rule 1: whose request it is, is the running coroutine's affair. A thread-local would follow the thread.
static const mcrpc_context_t *current_context(void) {
    struct coroutine *me = self();
    return me == NULL ? NULL : &me->context;
}

static int is_broken_now(uint64_t now) {
    uint64_t ran_ms = (now - started_ns) / MS;
    return ran_ms >= BROKEN_FROM_MS && ran_ms < BROKEN_UNTIL_MS;
}

// Rule 2: what another coroutine reads or writes (the message) lies on no stack. On a shared one, somebody else's frames
// would be there when it does.
static int32_t send_to(struct coroutine *me, struct coroutine *backend) {
    pthread_mutex_lock(&mutex);
    me->message = (struct message){ now_ns(), MCRPC_OK, 0, backend->mailbox };
    backend->mailbox = &me->message;
    pthread_mutex_unlock(&mutex);
    for (;;) {
        yield_ms(1);
        pthread_mutex_lock(&mutex);
        int is_answered = me->message.is_answered;
        pthread_mutex_unlock(&mutex);  // Rule 3: no lock is held across a switch
        if (is_answered) { return me->message.status; }
    }
}

static void serve(struct coroutine *me) {
    for (int is_needed = 1; is_needed;) {
        pthread_mutex_lock(&mutex);
        is_needed = over < CALLERS;
        struct message **link = &me->mailbox;
        while (*link != NULL) {
            struct message *message = *link;
            uint64_t now = now_ns();
            if (now < message->sent_ns + SERVICE_MS * MS) { link = &message->next; continue; }
            *link = message->next;
            message->status = me == &coroutines[CALLERS + BROKEN] && is_broken_now(now) ? MCRPC_TIMED_OUT : MCRPC_OK;
            message->is_answered = 1;
        }
        pthread_mutex_unlock(&mutex);
        yield_ms(1);
    }
}

// A call with its retries, on behalf of the current request.
static int32_t call_backend(struct coroutine *me) {
    mcrpc_call_t call = { .uin = mcrpc_context_current()->uin, .deadline_ns = mcrpc_context_current()->deadline_ns };
    call.call_id = now_ns();
    for (;;) {
        mcrpc_choice_t choice;
        int32_t status = mcrpc_select(&endpoints, NULL, &call, MCRPC_ATTEMPT_NEXT, now_ns(), &choice);
        if (status != MCRPC_OK) { return status; }
        uint64_t sent_ns = now_ns();
        to_broken += choice.user_data == BROKEN && is_broken_now(sent_ns);
        // Rule 4: between the calls of the library the coroutine may be switched, moved and copied. What it holds of the
        // library's is plain data on its own stack: nobody kept a pointer to it.
        status = send_to(me, &coroutines[CALLERS + choice.user_data]);
        uint32_t outcome = mcrpc_outcome_of(status);
        mcrpc_report(&endpoints, NULL, &choice, outcome, now_ns() - sent_ns, now_ns());
        if (!mcrpc_outcome_is_retriable(outcome)) { return status; }
        retries++;
    }
}

static void handle(struct coroutine *me, uint64_t uin) {
    volatile uint64_t frame[64];
    for (unsigned n = 0; n < 64; n++) { frame[n] = uin + n; }
    unanswered += call_backend(me) != MCRPC_OK;
    wrong_contexts += mcrpc_context_current() == NULL || mcrpc_context_current()->uin != uin;
    for (unsigned n = 0; n < 64; n++) { broken_frames += frame[n] != uin + n; }
    answered++;
}

// A place is free: the first of those who wait gets it, unless it is too late for that one.
static void give_place(void) {
    pthread_mutex_lock(&mutex);
    struct coroutine *first = NULL;
    while (waiting != NULL && (first == NULL || first->wait.verdict != MCRPC_OK)) {
        first = waiting;
        waiting = first->wait.next;
        first->wait.begun_ns = now_ns();
        first->wait.verdict = mcrpc_dequeued(&admission, 0, first->wait.admitted_ns, first->context.deadline_ns,
                                             first->wait.begun_ns);
        first->is_waiting = 0;
    }
    places += first == NULL || first->wait.verdict != MCRPC_OK;
    pthread_mutex_unlock(&mutex);
}

static int32_t wait_for_place(struct coroutine *me, uint64_t admitted_ns) {
    pthread_mutex_lock(&mutex);
    me->wait = (struct wait){ admitted_ns, 0, MCRPC_OK, NULL };
    me->is_waiting = 1;
    struct coroutine **last = &waiting;
    while (*last != NULL) { last = &(*last)->wait.next; }
    *last = me;
    int has_place = places > 0;
    places -= has_place;
    pthread_mutex_unlock(&mutex);
    if (has_place) { give_place(); }
    yield_ms(0);
    return me->wait.verdict;
}

static void ask_again_and_again(struct coroutine *me) {
    uint64_t uin = (uint64_t)(me - coroutines) + 1;
    while (now_ns() < started_ns + RUN_MS * MS) {
        uint64_t admitted_ns = now_ns();
        me->context = (mcrpc_context_t)MCRPC_CONTEXT_INIT;
        me->context.uin = uin;
        me->context.deadline_ns = admitted_ns + BUDGET_MS * MS;
        mcrpc_request_t request;
        mcrpc_request_from_context(mcrpc_context_current(), 0, 0, &request);
        if (mcrpc_admit(&admission, 0, &request, admitted_ns) != MCRPC_OK) {
            refused++;
            yield_ms(50);
        } else if (wait_for_place(me, admitted_ns) != MCRPC_OK) {
            too_late++;
        } else {
            handle(me, uin);
            mcrpc_done(&admission, 0, me->wait.begun_ns, now_ns());
            give_place();
        }
    }
}

// ---- Everything together --------------------------------------------------------------------------------

static void must(int32_t status) {
    if (status != MCRPC_OK) { fprintf(stderr, "%s\n", mcrpc_status_text(status)), exit(1); }
}

int main(void) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.workers_per_queue = PLACES;
    must(mcrpc_admission_init(admission_memory, sizeof admission_memory, &config, now_ns(), &admission));
    mcrpc_endpoints_config_t settings = MCRPC_ENDPOINTS_CONFIG_INIT;
    must(mcrpc_endpoints_init(endpoints_memory, sizeof endpoints_memory, &settings, &endpoints));
    mcrpc_endpoint_spec_t specs[BACKENDS] = {0};
    for (uint8_t n = 0; n < BACKENDS; n++) {
        must(mcrpc_endpoint_v4((const uint8_t[]){ 10, 0, 0, n }, 1, 0, &specs[n].endpoint));
        specs[n].weight = 100;
        specs[n].user_data = n;
    }
    must(mcrpc_endpoints_replace(&endpoints, NULL, specs, BACKENDS, NULL, 0));
    mcrpc_context_set_lookup(current_context);

    for (unsigned n = 0; n < COUNT; n++) {
        struct stack *stack = n < CALLERS && n % 2 == 0 ? &shared_stacks[n / 2 % SHARED_STACKS] : &private_stacks[n];
        make_coroutine(&coroutines[n], stack, n < CALLERS ? ask_again_and_again : serve);
    }
    started_ns = now_ns();
    pthread_t threads[THREADS];
    for (int n = 0; n < THREADS; n++) { pthread_create(&threads[n], NULL, run_coroutines, NULL); }
    for (unsigned n = 0; n < RUN_MS / 200; n++) {
        usleep(200 * 1000);
        mcrpc_endpoints_tick(&endpoints, NULL);
    }
    for (int n = 0; n < THREADS; n++) { pthread_join(threads[n], NULL); }

    mcrpc_queue_snapshot_t queue = { .struct_size = sizeof queue };
    must(mcrpc_admission_queue_snapshot(&admission, 0, &queue));
    printf("requests: %u answered, %u refused, %u too late, %u left\n", answered, refused, too_late,
           queue.queued + queue.running);
    printf("calls: %u unanswered, %u retries, %u to the broken backend\n", unanswered, retries, to_broken);
    printf("switches: %llu to another thread, %llu copies of a stack\n", (unsigned long long)moves,
           (unsigned long long)copies);
    printf("wrong contexts: %u, broken frames: %u\n", wrong_contexts, broken_frames);
    return wrong_contexts + broken_frames > 0;
}
