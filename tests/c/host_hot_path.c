/* The functions over the host's shared segments, under the rules of the per-request functions (rules.h):
 *
 *   host_hot_path RULE DIRECTORY
 *
 * The strategies of the directory say something about 10.0.0.1:1 of service 7.
 */
#include "rules.h"

static mcrpc_host_t host;
static uint64_t evidence;

struct calls {
    mcrpc_strategy_t (*strategy)(const mcrpc_host_t *, const mcrpc_endpoint_t *, uint64_t);
    uint32_t (*mode)(const mcrpc_host_t *, uint32_t, uint64_t, uint32_t);
    int (*killed)(const mcrpc_host_t *);
    int (*dyed)(const mcrpc_host_t *, uint64_t, uint64_t);
    int32_t (*shield)(const mcrpc_host_t *, const mcrpc_endpoint_t *, uint64_t, uint64_t);
    int32_t (*skip)(const mcrpc_host_t *, uint32_t, uint32_t, uint64_t);
    int32_t (*counter_open)(const mcrpc_host_t *, uint32_t, uint32_t, uint32_t, uint64_t *);
    int32_t (*counter_add)(const mcrpc_host_t *, uint64_t, uint64_t);
    int32_t (*counter_max)(const mcrpc_host_t *, uint64_t, uint64_t, uint64_t);
    int32_t (*count)(const mcrpc_host_t *, uint32_t, uint32_t, uint64_t);
    int32_t (*set_max)(const mcrpc_host_t *, uint32_t, uint32_t, uint64_t, uint64_t);
    int32_t (*bucket_open)(const mcrpc_host_t *, const mcrpc_endpoint_t *, uint64_t *);
    int32_t (*bucket_pour)(const mcrpc_host_t *, uint64_t, const mcrpc_leak_t *, uint64_t);
    int32_t (*bucket_check)(const mcrpc_host_t *, uint64_t, const mcrpc_leak_t *, uint64_t, uint64_t);
    int32_t (*cpu)(const mcrpc_host_t *, uint64_t, uint64_t *);
    int32_t (*trace)(const mcrpc_host_t *, uint8_t, const uint8_t *, size_t, uint64_t);
    int32_t (*endpoint_v4)(const uint8_t *, uint16_t, uint32_t, mcrpc_endpoint_t *);
};

static const struct calls real = {mcrpc_strategy,    mcrpc_host_mode,   mcrpc_host_killed,  mcrpc_host_dyed,
                                  mcrpc_shield_check, mcrpc_skip_check, mcrpc_counter_open, mcrpc_counter_add,
                                  mcrpc_counter_max, mcrpc_count,       mcrpc_set_max,      mcrpc_bucket_open,
                                  mcrpc_bucket_pour, mcrpc_bucket_check, mcrpc_host_cpu,    mcrpc_trace,
                                  mcrpc_endpoint_v4};

static mcrpc_strategy_t nothing_strategy(const mcrpc_host_t *h, const mcrpc_endpoint_t *e, uint64_t u) {
    mcrpc_strategy_t answer = {h == NULL || e == NULL || u == 0, 0, 0, 0};
    return answer;
}
static uint32_t nothing_mode(const mcrpc_host_t *h, uint32_t m, uint64_t u, uint32_t o) {
    return h == NULL || m + u + o == 0;
}
static int nothing_killed(const mcrpc_host_t *h) {
    return h == NULL;
}
static int nothing_dyed(const mcrpc_host_t *h, uint64_t u, uint64_t n) {
    return h == NULL || u + n == 0;
}
static int32_t nothing_shield(const mcrpc_host_t *h, const mcrpc_endpoint_t *e, uint64_t u, uint64_t n) {
    return h == NULL || e == NULL || u + n == 0;
}
static int32_t nothing_skip(const mcrpc_host_t *h, uint32_t s, uint32_t m, uint64_t u) {
    return h == NULL || s + m + u == 0;
}
static int32_t nothing_counter_open(const mcrpc_host_t *h, uint32_t i, uint32_t k, uint32_t d, uint64_t *o) {
    return h == NULL || o == NULL || i + k + d == 0;
}
static int32_t nothing_add(const mcrpc_host_t *h, uint64_t c, uint64_t n) {
    return h == NULL || c + n == 0;
}
static int32_t nothing_max(const mcrpc_host_t *h, uint64_t c, uint64_t v, uint64_t n) {
    return h == NULL || c + v + n == 0;
}
static int32_t nothing_count(const mcrpc_host_t *h, uint32_t i, uint32_t k, uint64_t n) {
    return h == NULL || i + k + n == 0;
}
static int32_t nothing_set_max(const mcrpc_host_t *h, uint32_t i, uint32_t k, uint64_t v, uint64_t n) {
    return h == NULL || i + k + v + n == 0;
}
static int32_t nothing_open(const mcrpc_host_t *h, const mcrpc_endpoint_t *e, uint64_t *o) {
    return h == NULL || e == NULL || o == NULL;
}
static int32_t nothing_leak(const mcrpc_host_t *h, uint64_t b, const mcrpc_leak_t *l, uint64_t n) {
    return h == NULL || l == NULL || b + n == 0;
}
static int32_t nothing_check(const mcrpc_host_t *h, uint64_t b, const mcrpc_leak_t *l, uint64_t u, uint64_t n) {
    return h == NULL || l == NULL || b + u + n == 0;
}
static int32_t nothing_cpu(const mcrpc_host_t *h, uint64_t n, uint64_t *o) {
    return h == NULL || o == NULL || n == 0;
}
static int32_t nothing_trace(const mcrpc_host_t *h, uint8_t k, const uint8_t *d, size_t l, uint64_t n) {
    return h == NULL || d == NULL || k + l + n == 0;
}
static int32_t nothing_v4(const uint8_t *a, uint16_t p, uint32_t s, mcrpc_endpoint_t *o) {
    return a == NULL || o == NULL || p + s == 0;
}
static const struct calls nothing = {nothing_strategy, nothing_mode, nothing_killed,       nothing_dyed,
                                     nothing_shield,   nothing_skip, nothing_counter_open, nothing_add,
                                     nothing_max,      nothing_count, nothing_set_max,     nothing_open,
                                     nothing_leak,     nothing_check, nothing_cpu,          nothing_trace,
                                     nothing_v4};

static uint64_t exercise(const void *table, uint32_t key, uint64_t now, int rounds) {
    const struct calls *calls = table;
    static const uint8_t line[] = "a line that is long enough to need two cells of the ring, and a little more";
    const mcrpc_leak_t leak = MCRPC_LEAK_INIT;
    for (int round = 0; round < rounds; round++) {
        for (uint32_t n = 0; n < 100; n++) {
            now += MS / 4;
            const uint8_t address[4] = {10, 0, 0, (uint8_t)(n + 1)};
            mcrpc_endpoint_t endpoint;
            memset(&endpoint, 0, sizeof endpoint);
            calls->endpoint_v4(address, 1, 7, &endpoint);
            mcrpc_strategy_t strategy = calls->strategy(&host, &endpoint, n);
            uint64_t bucket = 0, counter = 0;
            calls->bucket_open(&host, &endpoint, &bucket);
            calls->bucket_pour(&host, bucket, &leak, now);
            if (strategy.status == MCRPC_OK && strategy.pass_rate_per_10k < 10000 &&
                calls->bucket_check(&host, bucket, &leak, n, now) == MCRPC_BUCKET_FULL) {
                evidence++;
            }
            calls->mode(&host, n % 6, n, MCRPC_MODE_ENFORCE);
            calls->killed(&host);
            calls->cpu(&host, now, &counter);
            calls->dyed(&host, n, now);
            calls->shield(&host, &endpoint, n, now);
            calls->skip(&host, 7, n, n);
            calls->counter_open(&host, 1, 1 + key, MCRPC_COUNTER_SUM, &counter);
            calls->counter_add(&host, counter, 1);
            calls->counter_open(&host, 1, 1 + key, MCRPC_COUNTER_MAX, &counter);
            calls->counter_max(&host, counter, n, now);
            calls->count(&host, 1, 1 + key, 1);
            calls->set_max(&host, 2, 1 + key, n, now);
            calls->trace(&host, 1, line, sizeof line, now);
        }
    }
    return now;
}

int main(int argc, char **argv) {
    static const struct subject subject = {exercise, &real, &nothing, &evidence, 10, NULL};
    CHECK(argc == 3 && mcrpc_host_open(argv[2], NULL, MS, &host) == MCRPC_OK);
    return check_rule(argv[1], &subject);
}
