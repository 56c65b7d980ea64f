// A client of three machines, of which one breaks for a while: libmcrpc decides whom it calls. The clock is a number.
//
// Build it, with LIB the directory of the library:
//
//     gcc -std=c11 -O2 -Iinclude c-examples/select.c $LIB/libmcrpc.a -o select
//     gcc -std=c11 -O2 -Iinclude c-examples/select.c -L$LIB -lmcrpc -Wl,-rpath,$LIB -o select
#include <mcrpc.h>
#include <stdio.h>

enum { MACHINES = 3, BROKEN = 1, SERVICE = 7, CALLS_PER_MS = 2, SECONDS = 12 };
#define MS 1000000ull

static _Alignas(64) unsigned char memory[256 * 1024];
static mcrpc_endpoints_t endpoints;

// Stands for your network: from the second to the sixth second one machine does not answer.
static int32_t send_to(const mcrpc_choice_t *choice, uint64_t now_ns) {
    int is_broken = now_ns >= 1000 * MS && now_ns < 6000 * MS;
    return is_broken && choice->user_data == BROKEN ? MCRPC_TIMED_OUT : MCRPC_OK;
}

// One call, with its retries on other machines. In a program with more processes, a host instead of NULL: see host.c.
static int32_t call(uint64_t uin, uint64_t now_ns, int *sent_to) {
    mcrpc_call_t call = { .uin = uin, .call_id = now_ns, .deadline_ns = now_ns + 500 * MS, .service_id = SERVICE };
    mcrpc_choice_t choice;
    for (;;) {
        int32_t status = mcrpc_select(&endpoints, NULL, &call, MCRPC_ATTEMPT_NEXT, now_ns, &choice);
        if (status != MCRPC_OK) { return status; }  // do not send; do without the answer
        sent_to[choice.user_data]++;
        status = send_to(&choice, now_ns);
        uint32_t outcome = mcrpc_outcome_of(status);
        mcrpc_report(&endpoints, NULL, &choice, outcome, 2 * MS, now_ns + 2 * MS);
        // A reply that comes from a server with admission control says what it admits: mcrpc_heard().
        if (outcome == MCRPC_OUTCOME_OK || outcome == MCRPC_OUTCOME_LOGIC) { return status; }
    }
}

int main(void) {
    mcrpc_endpoints_config_t config = MCRPC_ENDPOINTS_CONFIG_INIT;
    int32_t status = mcrpc_endpoints_init(memory, sizeof memory, &config, &endpoints);
    mcrpc_endpoint_spec_t specs[MACHINES] = {0};
    for (uint8_t n = 0; n < MACHINES; n++) {
        mcrpc_endpoint_v4((const uint8_t[]){ 10, 0, 0, n }, 8080, SERVICE, &specs[n].endpoint);
        specs[n].weight = 100;
        specs[n].user_data = n;  // a connection, or its number
    }
    if (status == MCRPC_OK) { status = mcrpc_endpoints_replace(&endpoints, NULL, specs, MACHINES, NULL, 0); }
    if (status != MCRPC_OK) { return fprintf(stderr, "%s\n", mcrpc_status_text(status)), 1; }

    static const char *const states[] = { "normal", "shielded", "due", "probing", "recovering" };
    uint64_t uin = 0, unanswered = 0, to_broken = 0;
    printf("second   calls to each machine   machine %d\n", BROKEN);
    for (uint64_t second = 0; second < SECONDS; second++) {
        int sent_to[MACHINES] = {0};
        uint64_t now_ns = second * 1000 * MS;
        for (; now_ns < (second + 1) * 1000 * MS; now_ns += MS / CALLS_PER_MS) {
            if (now_ns % (200 * MS) == 0) { mcrpc_endpoints_tick(&endpoints, NULL); }
            unanswered += call(++uin, now_ns, sent_to) != MCRPC_OK;
        }
        mcrpc_health_t health = { .struct_size = sizeof health };
        mcrpc_endpoints_health(&endpoints, NULL, BROKEN, now_ns, &health);
        printf("%6d %8d %6d %6d   %s\n", (int)second, sent_to[0], sent_to[1], sent_to[2], states[health.state]);
        to_broken += second >= 1 && second < 6 ? (uint64_t)sent_to[BROKEN] : 0;
    }
    mcrpc_endpoints_snapshot_t all = { .struct_size = sizeof all };
    mcrpc_endpoints_snapshot(&endpoints, &all);
    printf("%d calls, %d without an answer, %d to the broken machine\n", (int)uin, (int)unanswered, (int)to_broken);
    return unanswered > 0 || to_broken > 20;  // one machine that breaks costs no call its answer
}
