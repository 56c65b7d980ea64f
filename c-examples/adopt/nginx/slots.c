/* The only place that calls mcrpc_admit(), mcrpc_dequeued() and mcrpc_done(). */
#include "slots.h"

void mcrpc_slots_init(mcrpc_slots_t *slots, const mcrpc_admission_t *admission, uint32_t queue, ngx_uint_t workers) {
    slots->admission = admission;
    slots->queue = queue;
    slots->workers = workers;
    slots->running_count = 0;
    ngx_queue_init(&slots->running);
    ngx_queue_init(&slots->waiting);
}

static void start(mcrpc_slots_t *slots, mcrpc_ticket_t *ticket, uint64_t now_ns) {
    /* Without a deadline it is never too late: it has been sent on already. */
    mcrpc_dequeued(slots->admission, slots->queue, ticket->since_ns, MCRPC_NO_DEADLINE, now_ns);
    ticket->since_ns = now_ns;
    ticket->is_running = 1;
    slots->running_count++;
    ngx_queue_insert_tail(&slots->running, &ticket->link);
}

int32_t mcrpc_slots_enter(mcrpc_slots_t *slots, const mcrpc_request_t *request, uint64_t now_ns, mcrpc_ticket_t *ticket) {
    int32_t status = mcrpc_admit(slots->admission, slots->queue, request, now_ns);
    if (status != MCRPC_OK) {
        return status;
    }
    ticket->since_ns = now_ns;
    ticket->is_running = 0;
    if (slots->running_count < slots->workers) {
        start(slots, ticket, now_ns);
    } else {
        ngx_queue_insert_tail(&slots->waiting, &ticket->link);
    }
    return MCRPC_OK;
}

/* A ticket that ends while it waits has overtaken the one that has run longest: they change places. */
static void overtake(mcrpc_slots_t *slots, mcrpc_ticket_t *ticket) {
    mcrpc_ticket_t *oldest = ngx_queue_data(ngx_queue_head(&slots->running), mcrpc_ticket_t, link);
    uint64_t admitted_ns = ticket->since_ns;
    ticket->since_ns = oldest->since_ns;
    ticket->is_running = 1;
    oldest->since_ns = admitted_ns;
    oldest->is_running = 0;
    ngx_queue_remove(&oldest->link);
    ngx_queue_insert_after(&ticket->link, &oldest->link);
}

void mcrpc_slots_leave(mcrpc_slots_t *slots, mcrpc_ticket_t *ticket, uint64_t now_ns) {
    if (!ticket->is_running) {
        overtake(slots, ticket);
    }
    ngx_queue_remove(&ticket->link);
    slots->running_count--;
    mcrpc_done(slots->admission, slots->queue, ticket->since_ns, now_ns);
    if (!ngx_queue_empty(&slots->waiting)) {
        mcrpc_ticket_t *next = ngx_queue_data(ngx_queue_head(&slots->waiting), mcrpc_ticket_t, link);
        ngx_queue_remove(&next->link);
        start(slots, next, now_ns);
    }
}
