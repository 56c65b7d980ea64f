/* What stands in nginx.conf. */
#ifndef MCRPC_NGINX_DIRECTIVES_H
#define MCRPC_NGINX_DIRECTIVES_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "zone.h"

typedef struct {
    /* Of mcrpc_zone_t *. */
    ngx_array_t zones;
    ngx_str_t host_directory;
} mcrpc_main_conf_t;

typedef struct {
    /* NULL: off. */
    mcrpc_zone_t *zone;
    ngx_http_complex_value_t *user;
    ngx_http_complex_value_t *priority;
    ngx_uint_t refusal_code;
} mcrpc_loc_conf_t;

extern ngx_module_t ngx_http_mcrpc_module;

extern ngx_command_t mcrpc_commands[];

void *mcrpc_create_main_conf(ngx_conf_t *cf);
void *mcrpc_create_loc_conf(ngx_conf_t *cf);
char *mcrpc_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);

#endif
