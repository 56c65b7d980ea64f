/* A controller in a shared memory zone of nginx, with a queue for each worker process.
 *
 * Every process takes a queue when it starts, and gives it back when it ends. One that was killed cannot: whoever starts
 * next (nginx starts another one at once) finds its process gone, and forgets what ran there. During a reload old and new
 * processes have queues of their own side by side. */
#ifndef MCRPC_NGINX_ZONE_H
#define MCRPC_NGINX_ZONE_H

#include "slots.h"

enum { MCRPC_MAX_QUEUES = 64 };

/* What processes share. */
typedef struct {
    mcrpc_admission_config_t config;
    uint64_t salt;
    /* Aligned, within the zone. */
    void *memory;
    size_t memory_len;
    /* The process that has the queue; 0: nobody. */
    ngx_atomic_t owners[MCRPC_MAX_QUEUES];
} mcrpc_shared_t;

typedef struct {
    ngx_shm_zone_t *shm_zone;
    /* The one whose configuration this is part of: not ngx_cycle yet when the zone is made. */
    ngx_cycle_t *cycle;
    mcrpc_admission_config_t config;
    /* What the upstream works on at a time, for all processes together. */
    ngx_uint_t workers;
    mcrpc_shared_t *shared;
    mcrpc_admission_t admission;
    mcrpc_slots_t slots;
    /* 0 in the master, and in a process for which there was no queue left. */
    unsigned has_queue : 1;
} mcrpc_zone_t;

/* For ngx_shm_zone_t.init: makes the controller, or finds the one from before a reload. */
ngx_int_t mcrpc_zone_init(ngx_shm_zone_t *shm_zone, void *old);

void mcrpc_zone_take_queue(mcrpc_zone_t *zone, ngx_log_t *log);
void mcrpc_zone_give_back_queue(mcrpc_zone_t *zone);

#endif
