// brpc's Interceptor: refuses what the limiter would have refused, with a code that says whether to try elsewhere and a text
// that says why. Without it every refusal is ELIMIT, and the text says nothing.
#ifndef MCRPC_BRPC_INTERCEPTOR_H
#define MCRPC_BRPC_INTERCEPTOR_H

#include <brpc/interceptor.h>

#include <string>

#include "mcrpc_server.h"

namespace mcrpc_brpc {

// Not for a server with a baidu_master_service, which brpc does not let intercept.
class Interceptor : public brpc::Interceptor {
public:
    explicit Interceptor(ServerAdmission &admission) : admission_(admission) { admission.has_interceptor(); }

    bool Accept(const brpc::Controller *controller, int &error_code, std::string &error_text) const override {
        return admission_.accept(controller, error_code, error_text);
    }

private:
    ServerAdmission &admission_;
};

}  // namespace mcrpc_brpc

#endif
