#ifndef STUB_BRPC_ADAPTIVE_MAX_CONCURRENCY_H
#define STUB_BRPC_ADAPTIVE_MAX_CONCURRENCY_H

#include <string>

#include "butil/strings/string_piece.h"

namespace brpc {

class AdaptiveMaxConcurrency {
public:
    void operator=(int) {}
    void operator=(const butil::StringPiece &value) { value_ = value.as_string(); }
    const std::string &value() const { return value_; }

private:
    std::string value_;
};

}  // namespace brpc

#endif
