#ifndef STUB_BRPC_CONTROLLER_H
#define STUB_BRPC_CONTROLLER_H

#include <cstdint>
#include <memory>
#include <string>

#include "brpc/errno.pb.h"
#include "butil/containers/flat_map.h"
#include "butil/strings/string_piece.h"

namespace brpc {

const int32_t UNSET_MAGIC_NUM = -123456789;
typedef butil::FlatMap<std::string, std::string> UserFieldsMap;

class Controller {
public:
    void set_timeout_ms(int64_t timeout_ms) { timeout_ms_ = timeout_ms; }
    int64_t timeout_ms() const { return timeout_ms_; }
    // At a server: since the request was read. At a client: since the call began.
    int64_t latency_us() const { return latency_us_; }
    void set_request_code(uint64_t code) { request_code_ = code, has_request_code_ = true; }
    bool has_request_code() const { return has_request_code_; }
    uint64_t request_code() const { return request_code_; }
    UserFieldsMap *request_user_fields() {
        if (!user_fields_) user_fields_ = std::make_unique<UserFieldsMap>();
        return user_fields_.get();
    }
    bool has_request_user_fields() const { return user_fields_ != nullptr; }
    bool Failed() const { return error_code_ != 0; }
    int ErrorCode() const { return error_code_; }
    const std::string &ErrorText() const { return error_text_; }
    void SetFailed(int error_code, const std::string &text) { error_code_ = error_code, error_text_ = text; }

private:
    friend class FakeServer;
    friend class FakeChannel;

    int64_t timeout_ms_ = UNSET_MAGIC_NUM;
    int64_t latency_us_ = 0;
    uint64_t request_code_ = 0;
    bool has_request_code_ = false;
    int error_code_ = 0;
    std::string error_text_;
    std::unique_ptr<UserFieldsMap> user_fields_;
};

}  // namespace brpc

#endif
