/* Who is being worked on, and who waits for that, among the requests that one nginx process has sent on.
 *
 * nginx has no queue: it passes every request on at once, and what is too much waits within the upstream, where nobody sees
 * it. But an upstream that works on N requests at a time keeps all others waiting: so the N + 1st counts as queued from its
 * arrival until one of the N ends. Which one is answered first does not matter to the counts, their sum is that of a
 * queue with N workers.
 */
#ifndef MCRPC_NGINX_SLOTS_H
#define MCRPC_NGINX_SLOTS_H

#include <ngx_config.h>
#include <ngx_core.h>

#include <mcrpc.h>
#include <time.h>

/* nginx's own time is as old as its last look at the clock. */
static inline uint64_t mcrpc_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The queue of one process. */
typedef struct {
    const mcrpc_admission_t *admission;
    uint32_t queue;
    /* How many run at a time, at least 1. */
    ngx_uint_t workers;
    ngx_uint_t running_count;
    /* Of mcrpc_ticket_t: those that run in the order of their starts, the others in the order of their arrivals. */
    ngx_queue_t running;
    ngx_queue_t waiting;
} mcrpc_slots_t;

/* One request that was admitted. */
typedef struct {
    ngx_queue_t link;
    /* When it was admitted, while it waits; when it was started, while it runs. */
    uint64_t since_ns;
    unsigned is_running : 1;
} mcrpc_ticket_t;

void mcrpc_slots_init(mcrpc_slots_t *slots, const mcrpc_admission_t *admission, uint32_t queue, ngx_uint_t workers);

/* mcrpc_admit(); and if it says MCRPC_OK, the ticket has a place until mcrpc_slots_leave(). */
int32_t mcrpc_slots_enter(mcrpc_slots_t *slots, const mcrpc_request_t *request, uint64_t now_ns, mcrpc_ticket_t *ticket);

void mcrpc_slots_leave(mcrpc_slots_t *slots, mcrpc_ticket_t *ticket, uint64_t now_ns);

#endif
