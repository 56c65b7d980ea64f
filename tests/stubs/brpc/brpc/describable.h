#ifndef STUB_BRPC_DESCRIBABLE_H
#define STUB_BRPC_DESCRIBABLE_H

#include <ostream>

namespace brpc {

struct DescribeOptions {
    bool verbose = true;
    bool use_html = false;
};

class NonConstDescribable {
public:
    virtual ~NonConstDescribable() {}
    virtual void Describe(std::ostream &, const DescribeOptions &) {}
};

}  // namespace brpc

#endif
