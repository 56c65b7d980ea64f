// Admission for all methods of a brpc server. The limiter asks it, since brpc tells a limiter of the begin and the end of
// each request, in every protocol; the interceptor only gives the refusal its code and its reason.
#ifndef MCRPC_BRPC_SERVER_H
#define MCRPC_BRPC_SERVER_H

#include <brpc/controller.h>

#include <cstdint>
#include <functional>
#include <mcrpc.hpp>
#include <mutex>
#include <string>
#include <unordered_map>

#include "mcrpc_book.h"

namespace mcrpc_brpc {

// For whom a request is made, and how important it is.
struct Origin {
    std::uint64_t uin = 0;
    // 0 first; what is no number is 255, the last.
    std::uint8_t priority = 0;
};

// From the user fields "mc-uin" and "mc-priority", which libmcrpc's own clients send over baidu_std.
Origin origin_of_user_fields(brpc::Controller &controller);

// Has to outlive the server, and is neither copied nor moved.
class ServerAdmission {
public:
    struct Options {
        // How many handlers make progress at a time: the bthread workers (-bthread_concurrency) for handlers that compute or
        // block their thread; for handlers that wait as bthreads, what the slowest thing behind them works on at a time.
        std::uint32_t workers = 0;
        // MCRPC_MODE_...; the operator's word of `host` goes first.
        std::uint32_t mode = MCRPC_MODE_ENFORCE;
        // Whether a client may try another server after a refusal: no if all are overloaded alike, since brpc clients
        // would then send each request several times. Only with an interceptor.
        bool others_may_serve = true;
        // Other settings. `workers` and `mode` here count instead of those there.
        mcrpc::AdmissionConfig admission{};
        // May be null.
        const mcrpc::Host *host = nullptr;
        // The fleet's secret, for the order of users.
        std::uint64_t salt = 0;
        std::function<Origin(brpc::Controller &)> origin_of = origin_of_user_fields;
        std::uint64_t (*now_ns)() = mcrpc::now_ns;
    };

    ServerAdmission() = default;
    ServerAdmission(const ServerAdmission &) = delete;
    ServerAdmission &operator=(const ServerAdmission &) = delete;

    // Once, before the server is started.
    mcrpc::Status init(const Options &options);

    // What only libmcrpc's own limiter and interceptor call.
    bool requested(brpc::Controller &controller);
    void responded(int error_code);
    bool accept(const brpc::Controller *controller, int &error_code, std::string &error_text);
    void has_interceptor() { has_interceptor_ = true; }

    // The housekeeping, once a second.
    void tick();

    int workers() const { return static_cast<int>(options_.workers); }
    const mcrpc::Admission &admission() const { return admission_; }

private:
    Options options_;
    mcrpc::Memory memory_;
    mcrpc::Admission admission_;
    bool has_interceptor_ = false;

    // Held for a few additions at a time; nothing that could switch bthreads happens under it.
    std::mutex mutex_;
    Book book_;
    // Refused requests of which brpc has not said yet that they have ended.
    std::uint64_t refused_ = 0;
    // Why, until the interceptor asks. Names a controller by its address, which no other one has meanwhile.
    std::unordered_map<const brpc::Controller *, std::int32_t> reasons_;
};

}  // namespace mcrpc_brpc

#endif
