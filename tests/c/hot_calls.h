/* Every hot function of the library, each in its typical use: one table, for the programs that prove the rules of the hot
 * path (hot_contract.c), that fork while threads call (fork_storm.c), and that measure (benches/hot_calls/driver.c). A test
 * holds its names to ffi/abi.toml.
 */
#ifndef HOT_CALLS_H
#define HOT_CALLS_H

#include "check.h"

#include <mcrpc.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)

enum { QUEUES = 8, ENDPOINTS = 16, BYTES = 512, PAYLOAD = 64, SERVICE = 7 };

/* What a caller has: handles that all of them share, and arguments and results of its own. It may be copied, and lie on any
 * stack. */
struct world {
    mcrpc_admission_t admission;
    mcrpc_endpoints_t endpoints;
    const mcrpc_host_t *host;
    uint32_t queue;
    uint64_t now;

    mcrpc_limits_t limits;
    mcrpc_request_t request;
    mcrpc_frame_decoder_t decoder, first_decoder, open_decoder;
    mcrpc_frame_event_t event;
    mcrpc_header_t header, out_header;
    mcrpc_metadata_t metadata, out_metadata;
    mcrpc_context_t context, out_context;
    mcrpc_baidu_meta_t baidu, out_baidu;
    mcrpc_baidu_origin_t origin;
    mcrpc_baidu_field_t field;
    mcrpc_bytes_t payload, attachment, rest;
    mcrpc_endpoint_t endpoint;
    mcrpc_call_t call;
    mcrpc_choice_t choice, out_choice;
    mcrpc_leak_t leak;
    mcrpc_log_line_t log_line;
    uint64_t counter, maximum, bucket, number;
    size_t used;
    uint8_t tag;
    uint8_t frame[BYTES], baidu_frame[BYTES], encoded[BYTES], out[BYTES];
    size_t frame_len, baidu_len, encoded_len;

    /* Whether the function returned what it should, and where the stack was when it was called. */
    int good;
    uintptr_t stack_pointer;
};

/* `run` makes the call, and nothing else. `prepare` and `finish` do what belongs before and behind it in a program; either
 * may be NULL. */
struct hot_call {
    const char *name;
    void (*prepare)(struct world *);
    void (*run)(struct world *);
    void (*finish)(struct world *);
};

extern const struct hot_call hot_calls[];
extern const size_t hot_call_count;

/* The call with a name; all of them have one. */
const struct hot_call *find_hot_call(const char *name);

/* Makes what all worlds of the process share: a controller and a set of endpoints in memory that children inherit, and the
 * host in a directory. Once. */
void open_shared(const char *directory);

/* What the process's lookup answers. */
const mcrpc_context_t *current_context(void);

/* Fills in the arguments of a caller that uses one of the controller's queues. */
void fill_world(struct world *world, uint32_t queue);

/* Takes all lines out of the log rings, as the agent does. */
void empty_logs(void);

/* The call with what belongs to it: whether it returned what it should. */
int run_hot_call(const struct hot_call *call, struct world *world);

#endif
