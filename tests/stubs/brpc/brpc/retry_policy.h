#ifndef STUB_BRPC_RETRY_POLICY_H
#define STUB_BRPC_RETRY_POLICY_H

namespace brpc {

class Controller;

class RetryPolicy {
public:
    virtual ~RetryPolicy() = default;
    virtual bool DoRetry(const Controller *controller) const = 0;
};

const RetryPolicy *DefaultRetryPolicy();

}  // namespace brpc

#endif
