// libmcrpc: a generator of pass rates as a plugin of the host agent. This header is the manual.
//
// What        About once a second the agent decides which share of its calls each endpoint may be sent, from what the calls of
//             all processes of the host met there. A plugin is a shared object with one function that makes this decision.
// Linking     cc -O2 -fPIC -shared plugin.c -o plugin.so     nothing of libmcrpc is needed
// Choosing    the generator `plugin:/path/to/plugin.so`      without a slash: in the agent's working directory
// C++         The declaration below is extern "C". An exception must not leave the function: it ends the agent.
// Memory      The input is the agent's, and good until the function returns. The plugin may keep memory of its own.
// Threads     One call at a time, and none before the object's constructors have run. Other processes do not wait for it; but a
//             call that takes seconds delays all strategies, and makes their readers let all calls pass.
// Trust       It runs in the agent and with its rights, so the file must be as safe as the agent's own program. One that
//             crashes ends the agent: all calls pass until that is started again.
// Versions    The input may grow at its end: struct_size says how much of it this agent fills. Everything else would have another
//             name: an agent looks for mcrpc_generate_v1 as long as it knows it.
//
// c-examples/generate.c is a complete plugin.


#ifndef MCRPC_GENERATE_H
#define MCRPC_GENERATE_H

#include <stdint.h>

// The lowest and the highest pass rate. What the function returns is kept between the two: some calls must go on to measure.
#define MCRPC_GENERATE_MIN_RATE 100
#define MCRPC_GENERATE_MAX_RATE 10000

#ifdef __cplusplus
extern "C" {
#endif  // __cplusplus

// What is known of one endpoint.
typedef struct {
    // Bytes of this struct that the agent has filled, at least 24.
    uint32_t struct_size;
    // The pass rate in force while the calls were made, in 1/10000.
    uint32_t pass_rate_per_10k;
    // Calls that ended since the last decision for this endpoint: at least 10. Of fewer more are waited for.
    uint32_t requests;
    // How many of them failed for the endpoint's sake: no connection, no answer, a timeout. An answer is no failure, also
    // one that reports an error of the business or refuses for overload.
    uint32_t failures;
    // How long these calls took to gather: about 1000, or more for an endpoint with few calls.
    uint64_t gathered_ms;
} mcrpc_generate_input_t;

// The next pass rate of an endpoint, in 1/10000. To be defined by the plugin, and visible (-fvisibility=default).
// It may be called for any endpoints in any order, and should depend on nothing but the input. `input` is never NULL.
// Not called for an endpoint with fewer than 10 requests: with no failure in 30 s such a one climbs back by itself.
// Since 0.1.
uint32_t mcrpc_generate_v1(const mcrpc_generate_input_t *input);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MCRPC_GENERATE_H */
