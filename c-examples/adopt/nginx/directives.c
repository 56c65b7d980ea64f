/* Reading nginx.conf: what is wrong there is said with the line, and nothing of it is used. */
#include "directives.h"

static int is(const ngx_str_t *word, const char *text) {
    return word->len == ngx_strlen(text) && ngx_strncmp(word->data, text, word->len) == 0;
}

/* name=number, for the settings of a zone; NULL if it is none of them. */
static const char *zone_setting(mcrpc_zone_t *zone, const ngx_str_t *word) {
    static const char *const modes[] = { "mode=off", "mode=observe", "mode=enforce" };
    const struct {
        const char *name;
        uint32_t *value;
    } times[] = { { "target_wait_ms=", &zone->config.target_wait_ms },
                  { "overload_wait_ms=", &zone->config.overload_wait_ms },
                  { "soft_wait_limit_ms=", &zone->config.soft_wait_limit_ms },
                  { "hard_wait_limit_ms=", &zone->config.hard_wait_limit_ms },
                  { "window_ms=", &zone->config.window_ms } };
    for (uint32_t mode = 0; mode < 3; mode++) {
        if (is(word, modes[mode])) {
            zone->config.mode = mode;
            return NULL;
        }
    }
    if (word->len > 8 && ngx_strncmp(word->data, "workers=", 8) == 0) {
        ngx_int_t workers = ngx_atoi(word->data + 8, word->len - 8);
        zone->workers = workers > 0 ? (ngx_uint_t)workers : 0;
        return workers > 0 ? NULL : "workers is a number above 0";
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        size_t len = ngx_strlen(times[i].name);
        if (word->len > len && ngx_strncmp(word->data, times[i].name, len) == 0) {
            ngx_int_t ms = ngx_atoi(word->data + len, word->len - len);
            *times[i].value = ms > 0 && ms <= 60000 ? (uint32_t)ms : 0;
            return *times[i].value != 0 ? NULL : "a time is 1 to 60000";
        }
    }
    return "the settings are workers=, mode=off|observe|enforce, and *_ms= as in docs/tuning.md";
}

static char *zone_directive(ngx_conf_t *cf, ngx_command_t *command, void *data) {
    (void)command;
    mcrpc_main_conf_t *conf = data;
    const ngx_str_t *words = cf->args->elts;
    mcrpc_zone_t *zone = ngx_pcalloc(cf->pool, sizeof *zone);
    mcrpc_zone_t **place = ngx_array_push(&conf->zones);
    if (zone == NULL || place == NULL) {
        return NGX_CONF_ERROR;
    }
    *place = zone;
    zone->cycle = cf->cycle;
    zone->config = (mcrpc_admission_config_t)MCRPC_ADMISSION_CONFIG_INIT;
    for (ngx_uint_t i = 3; i < cf->args->nelts; i++) {
        const char *wrong = zone_setting(zone, &words[i]);
        if (wrong != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\": %s", &words[i], wrong);
            return NGX_CONF_ERROR;
        }
    }
    size_t ignored;
    ssize_t size = ngx_parse_size((ngx_str_t *)&words[2]);
    if (zone->workers == 0 || size == NGX_ERROR || mcrpc_admission_memory_size(&zone->config, &ignored) != MCRPC_OK) {
        return "needs a name, a size, workers=, and waits in the order target, overload, soft limit, hard limit";
    }
    zone->shm_zone = ngx_shared_memory_add(cf, (ngx_str_t *)&words[1], (size_t)size, &ngx_http_mcrpc_module);
    if (zone->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }
    if (zone->shm_zone->data != NULL) {
        return "has a name that is taken";
    }
    zone->shm_zone->data = zone;
    zone->shm_zone->init = mcrpc_zone_init;
    return NGX_CONF_OK;
}

/* mcrpc zone|off: a zone is made above the locations that use it. */
static char *location_directive(ngx_conf_t *cf, ngx_command_t *command, void *data) {
    (void)command;
    mcrpc_loc_conf_t *conf = data;
    const ngx_str_t *words = cf->args->elts;
    const mcrpc_main_conf_t *main_conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mcrpc_module);
    mcrpc_zone_t **zones = main_conf->zones.elts;
    if (conf->zone != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }
    if (is(&words[1], "off")) {
        conf->zone = NULL;
        return NGX_CONF_OK;
    }
    for (ngx_uint_t i = 0; i < main_conf->zones.nelts; i++) {
        const ngx_str_t *name = &zones[i]->shm_zone->shm.name;
        if (name->len == words[1].len && ngx_strncmp(name->data, words[1].data, name->len) == 0) {
            conf->zone = zones[i];
            return NGX_CONF_OK;
        }
    }
    return "names a zone that no mcrpc_zone has made above";
}

void *mcrpc_create_main_conf(ngx_conf_t *cf) {
    mcrpc_main_conf_t *conf = ngx_pcalloc(cf->pool, sizeof *conf);
    if (conf == NULL || ngx_array_init(&conf->zones, cf->pool, 2, sizeof(mcrpc_zone_t *)) != NGX_OK) {
        return NULL;
    }
    return conf;
}

void *mcrpc_create_loc_conf(ngx_conf_t *cf) {
    mcrpc_loc_conf_t *conf = ngx_pcalloc(cf->pool, sizeof *conf);
    if (conf != NULL) {
        conf->zone = NGX_CONF_UNSET_PTR;
        conf->refusal_code = NGX_CONF_UNSET_UINT;
    }
    return conf;
}

char *mcrpc_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child) {
    (void)cf;
    const mcrpc_loc_conf_t *outer = parent;
    mcrpc_loc_conf_t *inner = child;
    ngx_conf_merge_ptr_value(inner->zone, outer->zone, NULL);
    ngx_conf_merge_uint_value(inner->refusal_code, outer->refusal_code, NGX_HTTP_SERVICE_UNAVAILABLE);
    inner->user = inner->user != NULL ? inner->user : outer->user;
    inner->priority = inner->priority != NULL ? inner->priority : outer->priority;
    return NGX_CONF_OK;
}

#define ANYWHERE NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF

static ngx_conf_num_bounds_t error_codes = { ngx_conf_check_num_bounds, 400, 599 };

ngx_command_t mcrpc_commands[] = {
    { ngx_string("mcrpc_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_2MORE, zone_directive, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
    { ngx_string("mcrpc_host"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(mcrpc_main_conf_t, host_directory), NULL },
    { ngx_string("mcrpc"), ANYWHERE | NGX_CONF_TAKE1, location_directive, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },
    { ngx_string("mcrpc_user"), ANYWHERE | NGX_CONF_TAKE1, ngx_http_set_complex_value_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(mcrpc_loc_conf_t, user), NULL },
    { ngx_string("mcrpc_priority"), ANYWHERE | NGX_CONF_TAKE1, ngx_http_set_complex_value_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(mcrpc_loc_conf_t, priority), NULL },
    { ngx_string("mcrpc_refusal_code"), ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_num_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(mcrpc_loc_conf_t, refusal_code), &error_codes },
    ngx_null_command
};
