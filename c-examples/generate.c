// A plugin of the host agent: down by half when a tenth of the calls fail, back up in steps of five points.
//
// Build it, and tell the agent to use it as its generator, plugin:/path/to/generate.so:
//
//     gcc -std=c11 -O2 -fPIC -shared -Iinclude c-examples/generate.c -o generate.so
#include <mcrpc_generate.h>

enum { TOLERATED_PERCENT = 10, STEP_UP = 500 };

uint32_t mcrpc_generate_v1(const mcrpc_generate_input_t *input) {
    int is_well = (uint64_t)input->failures * 100 < (uint64_t)input->requests * TOLERATED_PERCENT;
    // Beyond 1 % and 100 % the agent limits it.
    return is_well ? input->pass_rate_per_10k + STEP_UP : input->pass_rate_per_10k / 2;
}
