// Services by name for programs in C: a client reads the list that the host's agent keeps, a server says once a second that it
// is there. Nothing here waits for the agent, which may die or start at any time. Copy it; docs/discovery.md is its manual.
#ifndef NAMES_H
#define NAMES_H

#include <arpa/inet.h>
#include <mcrpc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// What the agent says of a service.
typedef struct {
    uint32_t service_id;
    uint32_t zone_strategy, region, zone;  // of this host: for mcrpc_endpoints_config_t
    uint32_t count, rule_count;
    mcrpc_endpoint_spec_t specs[1024];
    mcrpc_group_rule_t rules[64];
} names_t;

static int names_parse(FILE *file, names_t *out) {
    char line[512], ip[64];
    unsigned count = 0;
    int is_whole = 0;
    memset(out, 0, sizeof *out);
    if (!fgets(line, sizeof line, file) || strcmp(line, "mcrpc-names 1\n") != 0) { return -1; }
    while (fgets(line, sizeof line, file)) {
        unsigned short port, weight, region, zone, group;
        mcrpc_endpoint_spec_t *spec = &out->specs[out->count % 1024];
        mcrpc_group_rule_t rule = {0};
        unsigned long long first, last;
        unsigned share;
        sscanf(line, "id %u", &out->service_id);
        sscanf(line, "here region=%u zone=%u strategy=%u", &out->region, &out->zone, &out->zone_strategy);
        if (sscanf(line, "rule group=%hu share=%u first=%llu last=%llu", &group, &share, &first, &last) == 4) {
            if (out->rule_count == 64) { return -1; }
            rule.group = group;
            rule.share_per_10k = (uint16_t)share;
            rule.first_uin = first;
            rule.last_uin = last;
            out->rules[out->rule_count++] = rule;
        } else if (sscanf(line, "server %63s %hu weight=%hu region=%hu zone=%hu group=%hu", ip, &port, &weight, &region,
                          &zone, &group) == 6) {
            uint8_t v4[4];
            if (out->count == 1024) { return -1; }  // more than a set has room for
            if (inet_pton(AF_INET, ip, v4) == 1) {
                mcrpc_endpoint_v4(v4, port, out->service_id, &spec->endpoint);
            } else if (inet_pton(AF_INET6, ip, spec->endpoint.address) == 1) {
                spec->endpoint.port = port;
                spec->endpoint.service_id = out->service_id;
            } else {
                return -1;
            }
            spec->weight = weight;
            spec->region = region;
            spec->zone = zone;
            spec->group = group;
            spec->user_data = out->count++;
        } else if (sscanf(line, "servers %u", &count) == 1) {
            is_whole = count == out->count;
        }
    }
    return is_whole ? 0 : -1;
}

// Reads the list at `path`, /run/mcrpc/names/<service>, if it has changed since `seen`, which is all zeroes at first. 1: it has, and
// `out` is what to give mcrpc_endpoints_replace(). 0: it has not. -1: there is none, or it is not good: use on what you have.
static inline int names_read(const char *path, struct stat *seen, names_t *out) {
    struct stat now;
    if (stat(path, &now) != 0) { return -1; }
    if (now.st_ino == seen->st_ino && now.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec) { return 0; }
    *seen = now;
    FILE *file = fopen(path, "re");
    if (!file) { return -1; }
    int read = names_parse(file, out);
    fclose(file);
    return read == 0 ? 1 : -1;
}

// A server that is registered.
typedef struct {
    struct sockaddr_un agent;
    uint8_t frame[512];
    size_t frame_len;
    int fd;
    int32_t status;  // what the agent has answered last; MCRPC_INCOMPLETE until then
} names_server_t;

// `entry` is the service and the address, and what else is to be said: "VOA.Crawl 10.1.0.1:8080 weight=50". `agent` is
// /run/mcrpc/names.sock.
static inline int32_t names_register_init(const char *agent, const char *entry, names_server_t *out) {
    static const char method[] = "mcrpc.Names.Register";
    mcrpc_header_t header = {0};
    size_t len = strlen(entry);
    memset(out, 0, sizeof *out);
    out->fd = -1;
    out->status = MCRPC_INCOMPLETE;
    out->agent.sun_family = AF_UNIX;
    if (strlen(agent) >= sizeof out->agent.sun_path) { return MCRPC_NAME_TOO_LONG; }
    strcpy(out->agent.sun_path, agent);
    header.kind = MCRPC_KIND_REQUEST;
    header.call_id = 1;
    header.budget_ms = 1000;
    header.method_id = mcrpc_method_id((const uint8_t *)method, sizeof method - 1);
    int32_t status = mcrpc_head_write(&header, NULL, (uint32_t)len, out->frame, sizeof out->frame, &out->frame_len);
    if (status != MCRPC_OK) { return status; }
    if (len > sizeof out->frame - out->frame_len) { return MCRPC_TOO_SMALL; }
    memcpy(out->frame + out->frame_len, entry, len);
    out->frame_len += len;
    return MCRPC_OK;
}

// To be called once a second; the server leaves five seconds after the last time. It never blocks.
static inline void names_register_tick(names_server_t *server) {
    if (server->fd >= 0) {
        uint8_t answer[512];
        mcrpc_header_t header;
        ssize_t got = recv(server->fd, answer, sizeof answer, MSG_DONTWAIT);
        if (got >= MCRPC_HEADER_LEN && mcrpc_header_parse(answer, (size_t)got, NULL, &header) == MCRPC_OK &&
            header.kind == MCRPC_KIND_RESPONSE) { server->status = header.status; }
        if (got == 0) { close(server->fd), server->fd = -1; }  // the agent has ended
    }
    if (server->fd < 0) {
        server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (server->fd < 0) { return; }
        if (connect(server->fd, (struct sockaddr *)&server->agent, sizeof server->agent) != 0) {
            close(server->fd), server->fd = -1;
            return;
        }
    }
    if (send(server->fd, server->frame, server->frame_len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)server->frame_len) {
        close(server->fd), server->fd = -1;  // half a frame is none: the next one begins on another connection
    }
}

#endif
