#ifndef STUB_BRPC_INTERCEPTOR_H
#define STUB_BRPC_INTERCEPTOR_H

#include <string>

#include "brpc/controller.h"

namespace brpc {

class Interceptor {
public:
    virtual ~Interceptor() = default;
    virtual bool Accept(const brpc::Controller *controller, int &error_code, std::string &error_txt) const = 0;
};

}  // namespace brpc

#endif
