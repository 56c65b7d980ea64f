/* Admission in front of any upstream of nginx: each request is asked for before it is passed on, and refused at once if the
 * upstream cannot answer it in time.
 *
 *     http {
 *         mcrpc_host /run/mcrpc;                        # optional: `mcrpc top`, `mcrpc kill on`
 *         mcrpc_zone api 4m workers=16 mode=observe;    # what the upstream works on at a time
 *         server {
 *             location / {
 *                 mcrpc          api;                   # or off
 *                 mcrpc_priority $http_x_priority;      # 0 (first) to 63
 *                 mcrpc_user     $cookie_uid;
 *                 mcrpc_refusal_code 503;
 *                 proxy_pass     http://backend;
 *             }
 *         }
 *     }
 *
 * A decision is made once per request of a client, in the preaccess phase; its subrequests, error pages and internal
 * redirects belong to it. It ends with the request's pool, so however the request ends, once.
 */
#include "directives.h"

/* What was decided of a request. */
typedef struct {
    mcrpc_zone_t *zone;
    mcrpc_ticket_t ticket;
    int32_t status;
    /* Observe mode: what it would have been refused for; else MCRPC_OK. */
    int32_t observed;
} mcrpc_decision_t;

/* What the host knows, in memory that is this process's own. */
static mcrpc_host_t host;
static ngx_event_t housekeeping;

static void end_of_request(void *data) {
    mcrpc_decision_t *decision = data;
    if (decision->status == MCRPC_OK) {
        mcrpc_slots_leave(&decision->zone->slots, &decision->ticket, mcrpc_now_ns());
    }
}

/* An internal redirect forgets a module's context, but not the handlers of the pool. */
static mcrpc_decision_t *decision_of(ngx_http_request_t *r) {
    for (ngx_pool_cleanup_t *cleanup = r->main->pool->cleanup; cleanup != NULL; cleanup = cleanup->next) {
        if (cleanup->handler == end_of_request) {
            return cleanup->data;
        }
    }
    return NULL;
}

/* A user that is no number is one that its name gives. */
static uint64_t user_number(const ngx_str_t *user) {
    ngx_int_t number = user->len == 0 ? 0 : ngx_atoi(user->data, user->len);
    return number >= 0 ? (uint64_t)number : (uint64_t)1 << 32 | ngx_murmur_hash2(user->data, user->len);
}

/* None is the first, and what is no number the last: it shall not gain by that. */
static uint8_t priority_number(const ngx_str_t *priority) {
    ngx_int_t number = priority->len == 0 ? 0 : ngx_atoi(priority->data, priority->len);
    return number >= 0 && number < UINT8_MAX ? (uint8_t)number : UINT8_MAX;
}

static ngx_int_t value_of(ngx_http_request_t *r, ngx_http_complex_value_t *value, ngx_str_t *out) {
    ngx_str_null(out);
    return value == NULL ? NGX_OK : ngx_http_complex_value(r, value, out);
}

/* What would have been refused, if anything was since `before`: nobody else counts in this process's queue. */
static int32_t newly_observed(const mcrpc_zone_t *zone, const mcrpc_queue_snapshot_t *before) {
    mcrpc_queue_snapshot_t after = { .struct_size = sizeof after };
    mcrpc_admission_queue_snapshot(&zone->admission, zone->slots.queue, &after);
    for (uint32_t reason = 0; reason < MCRPC_REFUSAL_COUNT; reason++) {
        if (after.would_refuse[reason] != before->would_refuse[reason]) {
            return mcrpc_refusal_status(reason);
        }
    }
    return MCRPC_OK;
}

static ngx_int_t add_header(ngx_http_request_t *r, const char *name, u_char *value, size_t len) {
    ngx_table_elt_t *header = ngx_list_push(&r->headers_out.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }
    ngx_memzero(header, sizeof *header);
    header->hash = 1;
    header->key.data = (u_char *)name;
    header->key.len = ngx_strlen(name);
    header->value.data = value;
    header->value.len = len;
    return NGX_OK;
}

static ngx_int_t refuse(ngx_http_request_t *r, const mcrpc_decision_t *decision, ngx_uint_t code) {
    const char *name = mcrpc_status_name(decision->status);
    u_char *cursor = ngx_pnalloc(r->pool, NGX_INT32_LEN);
    if (cursor == NULL || add_header(r, "Mcrpc-Status", (u_char *)name, ngx_strlen(name)) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    const mcrpc_slots_t *slots = &decision->zone->slots;
    size_t len = (size_t)(ngx_sprintf(cursor, "%uD", mcrpc_cursor(slots->admission, slots->queue)) - cursor);
    if (add_header(r, "Mcrpc-Cursor", cursor, len) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "mcrpc refuses: %s", mcrpc_status_text(decision->status));
    return (ngx_int_t)code;
}

static ngx_int_t preaccess(ngx_http_request_t *r) {
    const mcrpc_loc_conf_t *conf = ngx_http_get_module_loc_conf(r, ngx_http_mcrpc_module);
    mcrpc_zone_t *zone = conf->zone;
    if (zone == NULL || !zone->has_queue || r != r->main || decision_of(r) != NULL) {
        return NGX_DECLINED;
    }
    ngx_str_t user, priority;
    if (value_of(r, conf->user, &user) != NGX_OK || value_of(r, conf->priority, &priority) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, sizeof(mcrpc_decision_t));
    if (cleanup == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    mcrpc_decision_t *decision = cleanup->data;
    decision->zone = zone;
    mcrpc_queue_snapshot_t before = { .struct_size = sizeof before };
    mcrpc_admission_queue_snapshot(&zone->admission, zone->slots.queue, &before);
    mcrpc_request_t request = MCRPC_REQUEST_INIT;
    uint64_t salt = mcrpc_host_salt(&host, zone->shared->salt);
    request.key = mcrpc_key(salt, (uint32_t)(ngx_time() / 3600), user_number(&user), priority_number(&priority), 0);
    decision->status = mcrpc_slots_enter(&zone->slots, &request, mcrpc_now_ns(), &decision->ticket);
    decision->observed = decision->status == MCRPC_OK ? newly_observed(zone, &before) : MCRPC_OK;
    cleanup->handler = end_of_request;
    return decision->status == MCRPC_OK ? NGX_DECLINED : refuse(r, decision, conf->refusal_code);
}

/* What a variable begins with: none. */
static void no_value(ngx_http_variable_value_t *value) {
    value->valid = 1;
    value->no_cacheable = 1;
    value->not_found = 1;
    value->len = 0;
}

static ngx_int_t text_value(ngx_http_request_t *r, ngx_http_variable_value_t *value, const char *prefix, const char *text) {
    size_t room = ngx_strlen(prefix) + ngx_strlen(text);
    value->data = ngx_pnalloc(r->pool, room);
    if (value->data == NULL) {
        return NGX_ERROR;
    }
    value->not_found = 0;
    value->len = (unsigned)(ngx_snprintf(value->data, room, "%s%s", prefix, text) - value->data);
    return NGX_OK;
}

static ngx_int_t number_value(ngx_http_request_t *r, ngx_http_variable_value_t *value, uint32_t number) {
    u_char text[NGX_INT32_LEN + 1];
    *ngx_sprintf(text, "%uD", number) = '\0';
    return text_value(r, value, "", (const char *)text);
}

/* $mcrpc_status: admitted, the reason of a refusal, or "observed_" and the reason. */
static ngx_int_t status_variable(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
    (void)data;
    const mcrpc_decision_t *decision = decision_of(r);
    no_value(value);
    if (decision == NULL) {
        return NGX_OK;
    }
    if (decision->observed != MCRPC_OK) {
        return text_value(r, value, "observed_", mcrpc_status_name(decision->observed));
    }
    return text_value(r, value, "", decision->status == MCRPC_OK ? "admitted" : mcrpc_status_name(decision->status));
}

/* $mcrpc_cursor: what callers may go by, see mcrpc_heard(). */
static ngx_int_t cursor_variable(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
    (void)data;
    const mcrpc_decision_t *decision = decision_of(r);
    no_value(value);
    if (decision == NULL) {
        return NGX_OK;
    }
    const mcrpc_slots_t *slots = &decision->zone->slots;
    return number_value(r, value, mcrpc_cursor(slots->admission, slots->queue));
}

/* $mcrpc_running and $mcrpc_queued, over all processes: `data` is the offset in the snapshot of a queue. */
static ngx_int_t level_variable(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
    const mcrpc_loc_conf_t *conf = ngx_http_get_module_loc_conf(r, ngx_http_mcrpc_module);
    no_value(value);
    if (conf->zone == NULL) {
        return NGX_OK;
    }
    uint32_t sum = 0;
    for (uint32_t queue = 0; queue < conf->zone->shared->config.queue_count; queue++) {
        mcrpc_queue_snapshot_t snapshot = { .struct_size = sizeof snapshot };
        mcrpc_admission_queue_snapshot(&conf->zone->admission, queue, &snapshot);
        sum += *(const uint32_t *)((const char *)&snapshot + data);
    }
    return number_value(r, value, sum);
}

static mcrpc_main_conf_t *main_conf_of(ngx_cycle_t *cycle) {
    return ngx_http_cycle_get_module_main_conf(cycle, ngx_http_mcrpc_module);
}

static void keep_house(ngx_event_t *event) {
    mcrpc_main_conf_t *conf = main_conf_of(event->data);
    mcrpc_zone_t **zones = conf->zones.elts;
    uint64_t now_ns = mcrpc_now_ns();
    mcrpc_host_tick(&host, now_ns);
    /* After a reload the mode is that of the new processes, however long an old one still has connections. */
    for (ngx_uint_t i = 0; !ngx_exiting && i < conf->zones.nelts; i++) {
        mcrpc_admission_follow(&zones[i]->admission, &host, zones[i]->config.mode);
    }
    /* `mcrpc top` has one line for a process. */
    if (conf->zones.nelts > 0 && zones[0]->has_queue) {
        mcrpc_host_report_queue(&host, &zones[0]->admission, zones[0]->slots.queue, now_ns);
    }
    ngx_add_timer(event, 1000);
}

static ngx_int_t init_process(ngx_cycle_t *cycle) {
    mcrpc_main_conf_t *conf = main_conf_of(cycle);
    if (conf == NULL || (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)) {
        return NGX_OK;
    }
    mcrpc_zone_t **zones = conf->zones.elts;
    for (ngx_uint_t i = 0; i < conf->zones.nelts; i++) {
        mcrpc_zone_take_queue(zones[i], cycle->log);
    }
    if (conf->host_directory.len > 0) {
        mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
        ngx_memcpy(config.name, "nginx", sizeof "nginx");
        int32_t status = mcrpc_host_open((const char *)conf->host_directory.data, &config, mcrpc_now_ns(), &host);
        if (status != MCRPC_OK) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0, "mcrpc_host: %s", mcrpc_status_text(status));
            return NGX_OK;
        }
        housekeeping = (ngx_event_t){ .handler = keep_house, .data = cycle, .log = cycle->log, .cancelable = 1 };
        ngx_add_timer(&housekeeping, 1000);
    }
    return NGX_OK;
}

static void exit_process(ngx_cycle_t *cycle) {
    mcrpc_main_conf_t *conf = main_conf_of(cycle);
    if (conf == NULL) {
        return;
    }
    mcrpc_zone_t **zones = conf->zones.elts;
    for (ngx_uint_t i = 0; i < conf->zones.nelts; i++) {
        mcrpc_zone_give_back_queue(zones[i]);
    }
    mcrpc_host_close(&host);
}

static ngx_int_t preconfiguration(ngx_conf_t *cf) {
    static ngx_http_variable_t variables[] = {
        { .name = ngx_string("mcrpc_status"), .get_handler = status_variable },
        { .name = ngx_string("mcrpc_cursor"), .get_handler = cursor_variable },
        { .name = ngx_string("mcrpc_running"),
          .get_handler = level_variable,
          .data = offsetof(mcrpc_queue_snapshot_t, running) },
        { .name = ngx_string("mcrpc_queued"),
          .get_handler = level_variable,
          .data = offsetof(mcrpc_queue_snapshot_t, queued) },
    };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        ngx_http_variable_t *variable = ngx_http_add_variable(cf, &variables[i].name, NGX_HTTP_VAR_NOCACHEABLE);
        if (variable == NULL) {
            return NGX_ERROR;
        }
        variable->get_handler = variables[i].get_handler;
        variable->data = variables[i].data;
    }
    return NGX_OK;
}

static ngx_int_t postconfiguration(ngx_conf_t *cf) {
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_handler_pt *handler = ngx_array_push(&core->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }
    *handler = preaccess;
    return NGX_OK;
}

static ngx_http_module_t context = {
    .preconfiguration = preconfiguration,
    .postconfiguration = postconfiguration,
    .create_main_conf = mcrpc_create_main_conf,
    .create_loc_conf = mcrpc_create_loc_conf,
    .merge_loc_conf = mcrpc_merge_loc_conf,
};

ngx_module_t ngx_http_mcrpc_module = {
    NGX_MODULE_V1,
    .ctx = &context,
    .commands = mcrpc_commands,
    .type = NGX_HTTP_MODULE,
    .init_process = init_process,
    .exit_process = exit_process,
};
