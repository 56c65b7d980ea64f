// A client and a server in C that find each other by name, through the host's agent. Start `mcrpc agent` first.
//
// Build it, with LIB the directory of the library:
//
//     gcc -std=c11 -O2 -Iinclude c-examples/names.c $LIB/libmcrpc.a -o names
//     gcc -std=c11 -O2 -Iinclude c-examples/names.c -L$LIB -lmcrpc -Wl,-rpath,$LIB -o names
//
//     ./names /run/mcrpc VOA.Crawl 10.1.0.1:8080      registers a server that listens there
//     ./names /run/mcrpc VOA.Crawl                    shows which server each of three users is sent to
#define _GNU_SOURCE
#include "names.h"

#include <stdlib.h>
#include <time.h>

static _Alignas(64) unsigned char memory[4 * 1024 * 1024];
static names_t names;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int serve(const char *dir, const char *service, const char *address) {
    names_server_t server;
    char agent[256], entry[256];
    snprintf(agent, sizeof agent, "%s/names.sock", dir);
    snprintf(entry, sizeof entry, "%s %s", service, address);
    int32_t status = names_register_init(agent, entry, &server), last = MCRPC_INCOMPLETE;
    if (status != MCRPC_OK) { return fprintf(stderr, "%s\n", mcrpc_status_text(status)), 1; }
    for (;;) {
        names_register_tick(&server);
        if (server.status != last) { printf("registered: %s\n", mcrpc_status_name(last = server.status)), fflush(stdout); }
        sleep(1);  // stands for your loop
    }
}

static void show(const mcrpc_endpoints_t *endpoints) {
    printf("%u servers", names.count);
    for (uint64_t uin = 1; uin <= 3; uin++) {
        mcrpc_call_t call = { .uin = uin, .call_id = uin, .service_id = names.service_id };
        mcrpc_choice_t choice;
        int32_t status = mcrpc_select(endpoints, NULL, &call, MCRPC_ATTEMPT_NEXT, now_ns(), &choice);
        if (status == MCRPC_OK) { printf(", user %d: port %d", (int)uin, choice.endpoint.port); }
    }
    printf("\n"), fflush(stdout);
}

static int call(const char *dir, const char *service) {
    mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
    mcrpc_endpoints_t endpoints;
    struct stat seen = {0};
    char path[256];
    int is_made = 0;
    snprintf(path, sizeof path, "%s/names/%s", dir, service);
    for (;;) {
        if (names_read(path, &seen, &names) == 1) {
            if (!is_made) {
                config.capacity = 1024;
                config.zone_strategy = names.zone_strategy;
                config.region = names.region;
                config.zone = names.zone;
                int32_t status = mcrpc_endpoints_init(memory, sizeof memory, &config, &endpoints);
                if (status != MCRPC_OK) { return fprintf(stderr, "%s\n", mcrpc_status_text(status)), 1; }
                is_made = 1;
            }
            mcrpc_endpoints_replace(&endpoints, NULL, names.specs, names.count, names.rules, names.rule_count);
            show(&endpoints);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);  // stands for your loop
    }
}

int main(int argc, char **argv) {
    if (argc < 3) { return fprintf(stderr, "usage: %s DIR SERVICE [ADDRESS]\n", argv[0]), 2; }
    return argc > 3 ? serve(argv[1], argv[2], argv[3]) : call(argv[1], argv[2]);
}
