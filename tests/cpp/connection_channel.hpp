// A channel for generated clients: one connection, one call at a time, each waited for. A call that is made while a
// ContextScope is open goes on behalf of its request.
#ifndef CONNECTION_CHANNEL_HPP
#define CONNECTION_CHANNEL_HPP

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <mcrpc_stub.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "../../cpp-examples/framed_connection.hpp"
#include "../c/check.h"

class ConnectionChannel : private framed::Handler {
public:
    // To this port of 127.0.0.1.
    explicit ConnectionChannel(const char *port) : connection_(connect_to(port), 1, self_, *this) {
        connection_.say_hello();
    }

    mcrpc::Status call(const mcrpc::MethodDescriptor &method, std::string_view payload, std::string &reply) {
        mcrpc::Header header;
        header.kind = MCRPC_KIND_REQUEST;
        header.call_id = ++call_id_;
        header.method_id = method.id;
        header.budget_ms = kPatienceMs;  // what the annotation says may be too little on a busy machine
        header.priority = method.priority.value_or(0);
        header.business_id = method.business_id.value_or(0);
        mcrpc::Metadata metadata;
        if (const mcrpc_context_t *const request = mcrpc::Context::current()) {
            const std::uint8_t span[8] = {1};
            mcrpc::Context context;
            CHECK(mcrpc::Context(*request).onward(span, context).ok());
            const mcrpc::Status in_time = context.write(mcrpc::now_ns(), header, metadata);
            if (!in_time.ok()) return in_time;
        }
        connection_.send(header, metadata, payload);
        answer_.reset();
        while (!answer_ && !connection_.is_broken()) {
            connection_.flush();
            pollfd waited{connection_.fd(), POLLIN, 0};
            CHECK(poll(&waited, 1, kPatienceMs) == 1);
            connection_.receive();
        }
        if (!answer_) return mcrpc::Status(MCRPC_READ_FAILED);
        reply = std::move(answer_->payload);
        return answer_->status;
    }

private:
    struct Answer {
        mcrpc::Status status;
        std::string payload;
    };
    static constexpr int kPatienceMs = 20'000;

    static int connect_to(const char *port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
        return fd;
    }

    bool on_header(framed::Connection &, const mcrpc::Header &) override { return false; }
    void on_response(framed::Connection &, const mcrpc::Header &header, const mcrpc::Metadata &,
                     std::string_view payload) override {
        if (header.call_id == call_id_) answer_ = Answer{mcrpc::Status(header.status), std::string(payload)};
    }

    framed::Self self_{"mcrpc.test.ConnectionChannel"};
    std::uint32_t call_id_ = 0;
    std::optional<Answer> answer_{};
    framed::Connection connection_;
};

#endif  // CONNECTION_CHANNEL_HPP
