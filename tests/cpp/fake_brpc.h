// As much of brpc as its hooks see: who is called when, with what. For tests; nothing here is brpc's code.
#ifndef FAKE_BRPC_H
#define FAKE_BRPC_H

#include <brpc/concurrency_limiter.h>
#include <brpc/controller.h>
#include <brpc/interceptor.h>
#include <brpc/load_balancer.h>
#include <brpc/retry_policy.h>
#include <brpc/socket.h>

#include <cerrno>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace brpc {

// What brpc tries again on another server unless told otherwise.
class FakeRetryPolicy : public RetryPolicy {
public:
    bool DoRetry(const Controller *controller) const override {
        switch (controller->ErrorCode()) {
            case EFAILEDSOCKET: case EEOF: case EHOSTDOWN: case ELOGOFF: case ETIMEDOUT: case ELIMIT: case ENOENT: case EPIPE:
            case ECONNREFUSED: case ECONNRESET: case ENODATA: case EOVERCROWDED: case EH2RUNOUTSTREAMS:
                return true;
            default:
                return false;
        }
    }
};
inline const RetryPolicy *DefaultRetryPolicy() {
    static FakeRetryPolicy only;
    return &only;
}

// One method of a server: limiter, then brpc's own checks (over HTTP), then the interceptor, then the service; at the end of
// each request, refused or not, the limiter once more, after the response was written.
class FakeServer {
public:
    FakeServer(ConcurrencyLimiter *limiter, const Interceptor *interceptor) : limiter_(limiter), interceptor_(interceptor) {}

    // Whether the service is to run; if not, the response has been sent.
    bool begin(Controller &controller, int64_t waited_us, int refused_by_brpc = 0, bool write_fails = false) {
        controller.latency_us_ = waited_us;
        int code = refused_by_brpc;
        std::string text = "Connection is overcrowded";
        if (!limiter_->OnRequested(1, &controller)) {
            code = ELIMIT;
            text = "Rejected by ConcurrencyLimiter";
        } else if (code == 0 && (interceptor_ == nullptr || interceptor_->Accept(&controller, code, text))) {
            return true;
        }
        controller.SetFailed(code, text);
        end(controller, write_fails);
        return false;
    }

    void end(Controller &controller, bool write_fails = false) {
        if (write_fails) controller.SetFailed(EPIPE, "Fail to write");
        limiter_->OnResponded(controller.ErrorCode(), controller.latency_us());
    }

private:
    ConcurrencyLimiter *limiter_;
    const Interceptor *interceptor_;
};

// One channel with a balancer, to servers that are functions of the attempt's number.
class FakeChannel {
public:
    explicit FakeChannel(const LoadBalancer *prototype) : balancer_(prototype->New("")) {}
    ~FakeChannel() { balancer_->Destroy(); }

    static ServerId server(SocketId id, const std::string &tag = "") {
        Socket &socket = sockets()[id];
        socket.id_ = id;
        socket.remote_side_ = butil::EndPoint({htonl(0x0a000000 + static_cast<uint32_t>(id))}, 8000);
        return ServerId(id, tag);
    }
    static void set_failed(SocketId id, bool is_failed) { sockets()[id].is_failed_ = is_failed; }
    static void set_logoff(SocketId id, bool is_logoff) { sockets()[id].is_logoff_ = is_logoff; }
    static std::map<SocketId, Socket> &sockets() {
        static std::map<SocketId, Socket> all;
        return all;
    }
    static int address(SocketId id, SocketUniquePtr *ptr) {
        const auto place = sockets().find(id);
        if (place == sockets().end()) return -1;
        ptr->reset(&place->second);
        return place->second.is_failed_ ? 1 : 0;
    }

    // A call with retries. `answer` is an error code, or 0, for an attempt at a server; `timeout` is what the controller
    // says its latency is when the attempt ends.
    int call(uint64_t uin, const std::function<int(SocketId)> &answer, int64_t latency_us = 100) {
        ExcludedServers excluded;
        Controller controller;
        controller.set_timeout_ms(500);
        for (int attempt = 0; attempt <= max_retry; ++attempt) {
            SocketUniquePtr socket;
            LoadBalancer::SelectOut out(&socket);
            const int64_t begin_us = ++begins_us_;
            int code = balancer_->SelectServer({begin_us, true, uin != 0, uin, excluded.size() ? &excluded : nullptr}, &out);
            if (code == 0) {
                const SocketId id = socket->id();
                code = answer(id);
                controller.latency_us_ = latency_us;
                excluded.Add(id);
                ++attempts;
                if (out.need_feedback) balancer_->Feedback({begin_us, id, code, &controller});
            }
            controller.SetFailed(code, "");
            if (!DefaultRetryPolicy()->DoRetry(&controller)) break;
        }
        return controller.ErrorCode();
    }

    LoadBalancer *operator->() { return balancer_; }

    int max_retry = 3;
    int attempts = 0;

private:
    LoadBalancer *balancer_;
    int64_t begins_us_ = 0;
};

// Not inline: this header is of one translation unit, and the others call it too.
int Socket::AddressFailedAsWell(SocketId id, SocketUniquePtr *ptr) { return FakeChannel::address(id, ptr); }

}  // namespace brpc

#endif
