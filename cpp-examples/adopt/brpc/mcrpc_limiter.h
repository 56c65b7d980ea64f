// brpc's ConcurrencyLimiter "mcrpc": asks ServerAdmission for each request, and tells it of each end.
#ifndef MCRPC_BRPC_LIMITER_H
#define MCRPC_BRPC_LIMITER_H

#include <brpc/concurrency_limiter.h>
#include <brpc/controller.h>

#include <new>

#include "mcrpc_server.h"

namespace mcrpc_brpc {

// brpc makes one for each method, from the one that was registered; all share the server's admission.
class Limiter : public brpc::ConcurrencyLimiter {
public:
    explicit Limiter(ServerAdmission &admission) : admission_(admission) {}

    bool OnRequested(int, brpc::Controller *controller) override { return admission_.requested(*controller); }
    void OnResponded(int error_code, std::int64_t) override { admission_.responded(error_code); }
    // For brpc's /status only: nothing is limited to it.
    int MaxConcurrency() override { return admission_.workers(); }
    // The methods take no number of their own. Not marked `override`, since older versions of brpc do not have it.
    virtual int ResetMaxConcurrency(const brpc::AdaptiveMaxConcurrency &) { return -1; }
    Limiter *New(const brpc::AdaptiveMaxConcurrency &) const override { return new (std::nothrow) Limiter(admission_); }

private:
    ServerAdmission &admission_;
};

// Once, before the server is started: then `options.method_max_concurrency = "mcrpc"`. The admission has to outlive brpc.
inline void register_limiter(ServerAdmission &admission) {
    brpc::ConcurrencyLimiterExtension()->RegisterOrDie("mcrpc", new Limiter(admission));
}

}  // namespace mcrpc_brpc

#endif
