#ifndef STUB_BRPC_CONCURRENCY_LIMITER_H
#define STUB_BRPC_CONCURRENCY_LIMITER_H

#include <cstdint>

#include "brpc/adaptive_max_concurrency.h"
#include "brpc/extension.h"

namespace brpc {

class Controller;

class ConcurrencyLimiter {
public:
    virtual ~ConcurrencyLimiter() {}
    virtual bool OnRequested(int current_concurrency, Controller *cntl) = 0;
    virtual void OnResponded(int error_code, int64_t latency_us) = 0;
    virtual int MaxConcurrency() = 0;
    virtual int ResetMaxConcurrency(const AdaptiveMaxConcurrency &amc) = 0;
    virtual ConcurrencyLimiter *New(const AdaptiveMaxConcurrency &amc) const = 0;
};

inline Extension<const ConcurrencyLimiter> *ConcurrencyLimiterExtension() {
    return Extension<const ConcurrencyLimiter>::instance();
}

}  // namespace brpc

#endif
