// What the two programs of the fleet (fleet_front.cpp, fleet_back.cpp) have in common: one thread, epoll, and connections
// that carry frames. Nothing here decides anything about load.
//
// The thread that calls run() owns everything. Frames are handed to on_frame() whole; what a turn of the loop brought for
// a connection leaves in one write at its end.

#ifndef FRAMED_LOOP_HPP
#define FRAMED_LOOP_HPP

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <mcrpc.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace fleet {

// The fleet's secret: who knows it can choose a uin that always comes first. A real one is configured.
constexpr uint64_t kSalt = 0x6d63'7270'6320'6578;
constexpr uint64_t kMs = 1'000'000;

// Ends the program if a system call failed.
inline int must(int result, const char *what) {
    if (result < 0) {
        std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
        _exit(1);
    }
    return result;
}

// Ends the program if the library did not take a call, which happens only if this program is wrong.
inline void must(mcrpc::Status status, const char *what) {
    if (!status.ok()) {
        std::fprintf(stderr, "%s: %s\n", what, status.text().data());
        std::abort();
    }
}

// Ends the program because of its options.
[[noreturn]] inline void reject(const std::string &complaint) {
    std::fprintf(stderr, "%s; see --help\n", complaint.c_str());
    std::exit(2);
}

// The value of an option in a range.
inline double number(const std::string &name, const char *text, double min, double max) {
    char *end = nullptr;
    const double value = std::strtod(text, &end);
    if (end != text && *end == '\0' && value >= min && value <= max) return value;
    reject("--" + name + " needs a number from " + std::to_string(min) + " to " + std::to_string(max) + ", not \"" +
           text + "\"");
}

// What both programs do before they start a thread. `parent` is getppid(), asked first of all: if that process ended
// before, nobody could tell.
inline void prepare(bool dies_with_parent, pid_t parent) {
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    if (dies_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (dies_with_parent && getppid() != parent) std::exit(0);
    prctl(PR_SET_TIMERSLACK, 1000);  // 1 us instead of 50, so that a request takes what it should
}

// The tenth of a second that is being counted.
class Bucket {
public:
    bool ends(uint64_t now_ns) const { return now_ns / kLenNs != number_; }
    // Goes on to the present one; returns the start of the one before in ms.
    uint64_t next(uint64_t now_ns) { return std::exchange(number_, now_ns / kLenNs) * (kLenNs / kMs); }

private:
    static constexpr uint64_t kLenNs = 100 * kMs;
    uint64_t number_ = mcrpc::now_ns() / kLenNs;
};

class FramedLoop {
public:
    FramedLoop() {
        sigemptyset(&signals_);
        for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&signals_, signal);
        // In this thread before it starts others, which then inherit it.
        sigprocmask(SIG_BLOCK, &signals_, nullptr);
        std::signal(SIGPIPE, SIG_IGN);
        signal_fd_ = must(signalfd(-1, &signals_, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
        watch(signal_fd_, kSignal);
    }
    FramedLoop(const FramedLoop &) = delete;
    FramedLoop &operator=(const FramedLoop &) = delete;
    virtual ~FramedLoop() = default;

    // Listens on 127.0.0.1, and says so on stdout. The kernel chooses a port if it is 0.
    void listen_on(uint16_t port) {
        listener_ = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t len = sizeof address;
        must(bind(listener_, reinterpret_cast<const sockaddr *>(&address), len), "cannot bind the port");
        must(listen(listener_, SOMAXCONN), "listen");
        must(getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &len), "getsockname");
        watch(listener_, kListener);
        std::printf("listening 127.0.0.1:%u\n", ntohs(address.sin_port));
    }

    // Serves until SIGTERM or SIGINT. on_tick() is called about every `tick_ms`.
    void run(uint64_t tick_ms) {
        uint64_t next_tick_ns = mcrpc::now_ns();
        while (!stopped_) {
            const uint64_t now_ns = mcrpc::now_ns();
            if (now_ns >= next_tick_ns) {
                next_tick_ns = std::max(next_tick_ns + tick_ms * kMs, now_ns);
                on_tick(now_ns);
                flush();
            }
            const uint64_t left_ns = next_tick_ns - std::min(next_tick_ns, mcrpc::now_ns());
            turn(static_cast<int>((left_ns + kMs - 1) / kMs));
        }
    }

protected:
    // A connection's number; never used again, unlike a descriptor.
    using ConnectionId = uint64_t;

    virtual void on_frame(ConnectionId from, const mcrpc::Header &header, const std::string &body) = 0;
    virtual void on_tick(uint64_t now_ns) = 0;
    // Bytes are there to be read from what wake_by() was given.
    virtual void on_wake() {}
    virtual void on_closed(ConnectionId) {}
    virtual void on_signal(int) {}

    // Calls on_wake() whenever this descriptor is readable.
    void wake_by(int fd) { watch(fd, kWake); }

    // Begins to connect; frames may be sent at once. on_closed() says if it failed.
    ConnectionId connect_to(const sockaddr_in &address) {
        const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
        // What it returns does not matter: a connection that fails becomes readable, like one that is closed.
        static_cast<void>(connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address));
        return add(fd);
    }

    // A frame without metadata. Nothing happens if the connection is gone.
    void send(ConnectionId to, mcrpc::Header header, const std::string &body = {}) {
        const auto found = connections_.find(to);
        if (found == connections_.end()) return;
        header.body_len = static_cast<uint32_t>(body.size());
        uint8_t bytes[MCRPC_HEADER_LEN];
        must(header.emit(bytes, sizeof bytes), "emit");
        found->second.unsent.append(reinterpret_cast<const char *>(bytes), sizeof bytes);
        found->second.unsent.append(body);
        touched_.insert(to);
    }

    // Answers a request.
    void respond(ConnectionId to, const mcrpc::Header &request, int32_t status, uint32_t cursor) {
        mcrpc::Header response;
        response.kind = MCRPC_KIND_RESPONSE;
        response.call_id = request.call_id;
        response.uin = request.uin;
        response.status = status;
        response.cursor = cursor;
        send(to, response);
    }

private:
    // What epoll reports: one of these, or a connection's number.
    enum : uint64_t { kListener, kSignal, kWake, kFirstConnection };
    static constexpr uint32_t kMaxBodyLen = 1u << 16;
    static constexpr size_t kReadLen = 64u << 10;
    static constexpr size_t kMaxUnsentLen = 16u << 20;
    static constexpr int kEventsPerTurn = 256;

    struct Connection {
        int fd;
        mcrpc::FrameDecoder decoder{mcrpc::Limits(kMaxBodyLen)};
        mcrpc::Header header{};  // of the frame whose body is being read
        std::string body{};
        std::string unsent{};
        bool is_blocked = false;  // the socket takes no more; epoll says when it does
        bool is_broken = false;   // to be closed
    };

    void watch(int fd, uint64_t id, uint32_t events = EPOLLIN, int operation = EPOLL_CTL_ADD) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = id;
        must(epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
    }

    ConnectionId add(int fd) {
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const ConnectionId id = next_connection_++;
        watch(fd, id);
        connections_.emplace(id, Connection{fd});
        return id;
    }

    void turn(int timeout_ms) {
        epoll_event events[kEventsPerTurn];
        const int count = epoll_wait(epoll_, events, kEventsPerTurn, timeout_ms);
        must(count < 0 && errno == EINTR ? 0 : count, "epoll_wait");
        for (int i = 0; i < count; ++i) {
            switch (events[i].data.u64) {
            case kListener: accept_one(); break;
            case kSignal: take_signal(); break;
            case kWake: on_wake(); break;
            default:  // a connection, and here for certain: they are closed in flush() alone
                if (events[i].events & ~EPOLLOUT) receive(events[i].data.u64);
                touched_.insert(events[i].data.u64);
            }
        }
        flush();
    }

    void accept_one() {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) add(fd);
    }

    // One read per turn, so that a busy connection does not keep the others waiting.
    void receive(ConnectionId id) {
        Connection &connection = connections_.at(id);
        uint8_t bytes[kReadLen];
        const ssize_t received = recv(connection.fd, bytes, sizeof bytes, 0);
        connection.is_broken = received == 0 || (received < 0 && errno != EAGAIN);
        const uint8_t *rest = bytes;
        size_t rest_len = received < 0 ? 0 : static_cast<size_t>(received);
        while (rest_len > 0 && !connection.is_broken) {
            mcrpc::FrameEvent event;
            size_t used = 0;
            connection.is_broken = !connection.decoder.next(rest, rest_len, used, event).ok() ||
                                   event.kind == MCRPC_EVENT_REFUSED;
            rest += used;
            rest_len -= used;
            if (!connection.is_broken) take(id, connection, event);
        }
    }

    void take(ConnectionId id, Connection &connection, const mcrpc::FrameEvent &event) {
        if (event.kind == MCRPC_EVENT_HEADER) {
            connection.header = mcrpc::Header(event.header);
            connection.body.clear();
        } else if (event.kind == MCRPC_EVENT_PAYLOAD) {
            connection.body.append(mcrpc::view(event.bytes));
        }
        if (event.last) on_frame(id, connection.header, connection.body);
    }

    void flush() {
        // on_closed() may touch others, whose turn is then the next one.
        for (const ConnectionId id : std::exchange(touched_, {})) {
            const auto found = connections_.find(id);
            if (found == connections_.end()) continue;
            Connection &connection = found->second;
            std::string &unsent = connection.unsent;
            if (!unsent.empty()) {
                const ssize_t sent = ::send(connection.fd, unsent.data(), unsent.size(), 0);
                if (sent < 0 && errno != EAGAIN) connection.is_broken = true;
                if (sent > 0) unsent.erase(0, static_cast<size_t>(sent));
            }
            if (connection.is_broken || unsent.size() > kMaxUnsentLen) {
                close(connection.fd);
                connections_.erase(found);
                on_closed(id);
            } else if (connection.is_blocked == unsent.empty()) {
                connection.is_blocked = !unsent.empty();
                watch(connection.fd, id, connection.is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
            }
        }
    }

    void take_signal() {
        signalfd_siginfo info{};
        if (read(signal_fd_, &info, sizeof info) != sizeof info) return;
        const auto signal = static_cast<int>(info.ssi_signo);
        stopped_ = stopped_ || signal == SIGTERM || signal == SIGINT;
        on_signal(signal);
    }

    const int epoll_ = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    sigset_t signals_{};
    int signal_fd_ = -1;
    int listener_ = -1;
    bool stopped_ = false;
    uint64_t next_connection_ = kFirstConnection;
    std::unordered_map<ConnectionId, Connection> connections_;
    std::unordered_set<ConnectionId> touched_;  // by this turn
};

}  // namespace fleet

#endif  // FRAMED_LOOP_HPP
