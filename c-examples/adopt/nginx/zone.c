/* Making the controller, and finding it again. */
#include "zone.h"

#include <signal.h>

/* Room for as many queues as fit: two of each process are in use during a reload. */
static int32_t make_controller(mcrpc_zone_t *zone, ngx_slab_pool_t *pool) {
    mcrpc_shared_t *shared = ngx_slab_calloc(pool, sizeof *shared);
    if (shared == NULL) {
        return MCRPC_TOO_SMALL;
    }
    shared->config = zone->config;
    shared->salt = (uint64_t)ngx_random() << 32 ^ (uint64_t)ngx_random() ^ mcrpc_now_ns();
    int32_t status = MCRPC_TOO_SMALL;
    for (uint32_t count = MCRPC_MAX_QUEUES; count > 0 && shared->memory == NULL; count--) {
        shared->config.queue_count = count;
        status = mcrpc_admission_memory_size(&shared->config, &shared->memory_len);
        if (status != MCRPC_OK) {
            return status;
        }
        /* What is longer than a page begins with one. */
        shared->memory = ngx_slab_alloc(pool, shared->memory_len);
    }
    if (shared->memory == NULL) {
        return MCRPC_TOO_SMALL;
    }
    zone->shared = pool->data = shared;
    return mcrpc_admission_init(shared->memory, shared->memory_len, &shared->config, mcrpc_now_ns(), &zone->admission);
}

static ngx_int_t find_controller(mcrpc_zone_t *zone, ngx_slab_pool_t *pool, ngx_log_t *log) {
    zone->shared = pool->data;
    int32_t status = mcrpc_admission_attach(zone->shared->memory, zone->shared->memory_len, &zone->admission);
    if (status != MCRPC_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "mcrpc_zone: %s", mcrpc_status_text(status));
        return NGX_ERROR;
    }
    mcrpc_admission_config_t before = zone->shared->config;
    before.queue_count = zone->config.queue_count;
    before.mode = zone->config.mode;
    if (ngx_memcmp(&before, &zone->config, sizeof before) != 0) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "mcrpc_zone \"%V\": only its mode changes with a reload; for the rest give it another name, or restart",
                      &zone->shm_zone->shm.name);
        zone->config = before;
    }
    mcrpc_admission_set_mode(&zone->admission, zone->config.mode);
    return NGX_OK;
}

ngx_int_t mcrpc_zone_init(ngx_shm_zone_t *shm_zone, void *old) {
    mcrpc_zone_t *zone = shm_zone->data;
    ngx_slab_pool_t *pool = (ngx_slab_pool_t *)shm_zone->shm.addr;
    ngx_core_conf_t *core = (ngx_core_conf_t *)ngx_get_conf(zone->cycle->conf_ctx, ngx_core_module);
    ngx_uint_t processes = core->worker_processes > 0 ? (ngx_uint_t)core->worker_processes : 1;
    zone->config.workers_per_queue = (uint32_t)((zone->workers + processes - 1) / processes);
    if (old != NULL || shm_zone->shm.exists) {
        return find_controller(zone, pool, shm_zone->shm.log);
    }
    int32_t status = make_controller(zone, pool);
    if (status != MCRPC_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0, "mcrpc_zone \"%V\": %s", &shm_zone->shm.name,
                      status == MCRPC_TOO_SMALL ? "too small: 128k, and 80k for each process" : mcrpc_status_text(status));
        return NGX_ERROR;
    }
    return NGX_OK;
}

/* With a barrier: whoever takes it next finds its books as they are now. */
static void give_back(mcrpc_zone_t *zone, uint32_t queue) {
    mcrpc_admission_queue_lost(&zone->admission, queue);
    ngx_atomic_cmp_set(&zone->shared->owners[queue], (ngx_atomic_uint_t)ngx_pid, 0);
}

/* A process of before this one's start that had the same number is gone too. */
static int is_gone(ngx_atomic_uint_t owner) {
    return owner == (ngx_atomic_uint_t)ngx_pid || (kill((pid_t)owner, 0) == -1 && ngx_errno == NGX_ESRCH);
}

void mcrpc_zone_take_queue(mcrpc_zone_t *zone, ngx_log_t *log) {
    mcrpc_shared_t *shared = zone->shared;
    ngx_atomic_uint_t self = (ngx_atomic_uint_t)ngx_pid;
    for (uint32_t queue = 0; queue < shared->config.queue_count; queue++) {
        ngx_atomic_uint_t owner = shared->owners[queue];
        if (owner != 0 && is_gone(owner) && ngx_atomic_cmp_set(&shared->owners[queue], owner, self)) {
            give_back(zone, queue);
        }
    }
    for (uint32_t queue = 0; queue < shared->config.queue_count; queue++) {
        if (ngx_atomic_cmp_set(&shared->owners[queue], 0, self)) {
            mcrpc_slots_init(&zone->slots, &zone->admission, queue, zone->config.workers_per_queue);
            zone->has_queue = 1;
            return;
        }
    }
    ngx_log_error(NGX_LOG_ERR, log, 0, "mcrpc_zone \"%V\": no queue left, so this process refuses nothing: enlarge it",
                  &zone->shm_zone->shm.name);
}

void mcrpc_zone_give_back_queue(mcrpc_zone_t *zone) {
    if (zone->has_queue) {
        give_back(zone, zone->slots.queue);
        zone->has_queue = 0;
    }
}
