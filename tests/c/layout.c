/* The layout of the structs, and the macros of the header that compute something: compiling it is the test. */
#include "layout.h"

/* Each macro sets every field, or there is a warning. */
static const mcrpc_limits_t limits = MCRPC_LIMITS_INIT;
static const mcrpc_metadata_t metadata = MCRPC_METADATA_INIT;
static const mcrpc_context_t context = MCRPC_CONTEXT_INIT;
static const mcrpc_admission_config_t admission = MCRPC_ADMISSION_CONFIG_INIT;
static const mcrpc_request_t request = MCRPC_REQUEST_INIT;
static const mcrpc_host_config_t host = MCRPC_HOST_CONFIG_INIT;
static const mcrpc_endpoints_config_t endpoints = MCRPC_ENDPOINTS_CONFIG_INIT;
static const mcrpc_leak_t leak = MCRPC_LEAK_INIT;
static const mcrpc_log_line_t log_line = MCRPC_LOG_LINE_INIT;
static const mcrpc_baidu_meta_t meta = MCRPC_BAIDU_META_INIT;

_Static_assert(MCRPC_VERSION_NUMBER ==
                   MCRPC_VERSION_MAJOR * 1000000 + MCRPC_VERSION_MINOR * 1000 + MCRPC_VERSION_PATCH,
               "it has to be a constant");
_Static_assert(MCRPC_FLAGS_WITH_ATTEMPT(0xff, 0) == 0xe7 && MCRPC_FLAGS_WITH_ATTEMPT(0, 3) == 0x18, "two bits");
_Static_assert(MCRPC_FLAGS_ATTEMPT(MCRPC_FLAGS_WITH_ATTEMPT(0xff, 2)) == 2, "what was written is read");
_Static_assert(MCRPC_FEATURE_DECOMPRESSES(MCRPC_COMPRESSION_GZIP) == 1 << 9, "the bits begin behind the first eight");
_Static_assert(MCRPC_NO_DEADLINE == UINT64_MAX && MCRPC_ANY_OWNER == UINT32_MAX, "as wide as their fields");
_Static_assert(MCRPC_REFUSAL_COUNT <= MCRPC_REFUSAL_ROOM && MCRPC_DECISION_COUNT <= MCRPC_DECISION_ROOM, "there is room");

int main(void) {
    return !(limits.struct_size == sizeof limits && metadata.struct_size == sizeof metadata &&
             context.struct_size == sizeof context && admission.struct_size == sizeof admission &&
             host.struct_size == sizeof host && endpoints.struct_size == sizeof endpoints &&
             meta.struct_size == sizeof meta && log_line.struct_size == sizeof log_line && context.deadline_ns == MCRPC_NO_DEADLINE &&
             request.deadline_ns == MCRPC_NO_DEADLINE && leak.drain_ns <= leak.capacity_ns);
}
