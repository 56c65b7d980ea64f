// What the programs with one thread for their connections (fleet_front.cpp, fleet_back.cpp, bridge_server.cpp) have in
// common: epoll, and connections that carry frames. Nothing here decides anything about load.
//
// The thread that calls run() owns everything, and hears as a Handler what comes in; what a turn of the loop brought for a
// connection leaves in one write at its end.

#ifndef FRAMED_LOOP_HPP
#define FRAMED_LOOP_HPP

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "framed_connection.hpp"

namespace framed {

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
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
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

class FramedLoop : public Handler {
public:
    explicit FramedLoop(Self self) : self_(std::move(self)) {
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

    // Listens on 127.0.0.1, and says so on stdout. The kernel chooses a port if it is 0.
    void listen_on(uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        std::printf("listening 127.0.0.1:%u\n", listen_at(address));
    }

    // Listens; returns the port, which the kernel chooses if it is 0.
    uint16_t listen_at(sockaddr_in address) {
        listener_ = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        socklen_t len = sizeof address;
        must(bind(listener_, reinterpret_cast<const sockaddr *>(&address), len), "cannot bind the port");
        must(listen(listener_, SOMAXCONN), "listen");
        must(getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &len), "getsockname");
        // Edge-triggered, since a listener stays readable while there is no descriptor left for accept().
        watch(listener_, kListener, EPOLLIN | EPOLLET);
        return ntohs(address.sin_port);
    }

    // Serves until SIGTERM or SIGINT, and then until the drain is over. on_tick() is called about every `tick_ms`.
    void run(uint64_t tick_ms) {
        uint64_t next_tick_ns = mcrpc::now_ns();
        while (!is_over()) {
            const uint64_t now_ns = mcrpc::now_ns();
            if (now_ns >= next_tick_ns) {
                next_tick_ns = std::max(next_tick_ns + tick_ms * kMs, now_ns);
                on_tick(now_ns);
                end_overdue(now_ns);
                flush();
            }
            const uint64_t left_ns = next_tick_ns - std::min(next_tick_ns, mcrpc::now_ns());
            turn(static_cast<int>((left_ns + kMs - 1) / kMs));
        }
    }

protected:
    using ConnectionId = uint64_t;

    virtual void on_tick(uint64_t now_ns) = 0;
    // Bytes are there to be read from what wake_by() was given.
    virtual void on_wake() {}
    virtual void on_closed(ConnectionId) {}
    virtual void on_signal(int) {}
    // What a connection brought: frames, unless somebody knows better.
    virtual void on_bytes(Connection &from, const uint8_t *bytes, size_t len) { from.feed(bytes, len); }
    // The program was told to end: what a connection is told of that.
    virtual void on_drain(Connection &connection) { connection.say_go_away(); }
    bool is_draining() const { return drain_.has_begun(); }
    // Whether all that was taken over a connection is answered.
    virtual bool is_idle(const Connection &connection) const { return connection.is_idle(); }

    // Calls on_wake() whenever this descriptor is readable.
    void wake_by(int fd) { watch(fd, kWake); }

    // Begins to connect, and to say hello; frames may be sent at once. on_closed() says if it failed.
    ConnectionId connect_to(const sockaddr_in &address) {
        const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
        // What it returns does not matter: a connection that fails becomes readable, like one that is closed.
        static_cast<void>(connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address));
        const ConnectionId id = add(fd, false);
        at(id)->say_hello();
        return id;
    }

    // A connection, to send something: that leaves at the end of this turn. Null if it is gone.
    Connection *at(ConnectionId id) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return nullptr;
        touched_.insert(id);
        return &found->second.connection;
    }

    // Answers a request, unless the one who sent it is gone.
    void respond(ConnectionId to, const mcrpc::Header &request, mcrpc::Status status, std::string_view payload = {}) {
        if (Connection *const connection = at(to)) connection->respond(request, status, payload);
    }

private:
    // What epoll reports: one of these, or a connection's number.
    enum : uint64_t { kListener, kSignal, kWake, kFirstConnection };
    static constexpr int kEventsPerTurn = 256;

    struct Entry {
        Entry(int fd, ConnectionId id, const Self &self, Handler &handler, bool accepted)
            : connection(fd, id, self, handler), is_accepted(accepted) {}

        Connection connection;
        bool is_accepted;
    };

    void watch(int fd, uint64_t id, uint32_t events = EPOLLIN, int operation = EPOLL_CTL_ADD) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = id;
        must(epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
    }

    ConnectionId add(int fd, bool is_accepted) {
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const ConnectionId id = next_connection_++;
        watch(fd, id);
        connections_.try_emplace(id, fd, id, self_, *this, is_accepted);
        return id;
    }

    void turn(int timeout_ms) {
        epoll_event events[kEventsPerTurn];
        const int count = epoll_wait(epoll_, events, kEventsPerTurn, timeout_ms);
        must(count < 0 && errno == EINTR ? 0 : count, "epoll_wait");
        for (int i = 0; i < count; ++i) {
            switch (events[i].data.u64) {
            case kListener: accept_all(); break;
            case kSignal: take_signal(); break;
            case kWake: on_wake(); break;
            default:  // a connection, and here for certain: they are closed in flush() alone
                if (events[i].events & ~EPOLLOUT) receive(*at(events[i].data.u64));
                touched_.insert(events[i].data.u64);
            }
        }
        flush();
    }

    // Ends when there are no more, or no descriptors for them, or no listener.
    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 && errno == ECONNABORTED) continue;
            if (fd < 0) return;
            add(fd, true);
        }
    }

    // Once a second.
    void end_overdue(uint64_t now_ns) {
        if (now_ns - looked_ns_ < 1000 * kMs) return;
        looked_ns_ = now_ns;
        for (auto &[id, entry] : connections_) {
            entry.connection.end_if_overdue(now_ns);
            if (entry.connection.is_broken()) touched_.insert(id);
        }
    }

    // One read per turn, so that a busy connection does not keep the others waiting.
    void receive(Connection &connection) {
        uint8_t bytes[kReadLen];
        const size_t len = connection.read(bytes, sizeof bytes);
        if (len > 0) on_bytes(connection, bytes, len);
    }

    void flush() {
        // on_closed() may touch others, whose turn is then the next one.
        for (const ConnectionId id : std::exchange(touched_, {})) {
            const auto found = connections_.find(id);
            if (found == connections_.end()) continue;
            Connection &connection = found->second.connection;
            connection.flush();
            uint32_t events = 0;
            if (connection.is_broken()) {
                connections_.erase(found);
                on_closed(id);
                accept_all();  // one may have had to wait for a descriptor
            } else if (connection.waits_for(events)) {
                watch(connection.fd(), id, events, EPOLL_CTL_MOD);
            }
        }
    }

    bool is_over() const {
        if (!drain_.has_begun()) return false;
        bool all_idle = true;
        bool is_alone = true;
        for (const auto &[id, entry] : connections_) {
            if (!entry.is_accepted) continue;
            is_alone = false;
            all_idle = all_idle && is_idle(entry.connection);
        }
        return drain_.is_over(all_idle, is_alone);
    }

    void take_signal() {
        signalfd_siginfo info{};
        if (read(signal_fd_, &info, sizeof info) != sizeof info) return;
        const auto signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGTERM || signal == SIGINT) drain();
        on_signal(signal);
    }

    void drain() {
        if (drain_.has_begun()) return;
        drain_.begin();
        // Those that have connected already shall not find out by a reset that nobody is there.
        accept_all();
        close(std::exchange(listener_, -1));
        for (auto &[id, entry] : connections_) {
            if (!entry.is_accepted) continue;
            on_drain(entry.connection);
            touched_.insert(id);
        }
    }

    const Self self_;
    const int epoll_ = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    sigset_t signals_{};
    int signal_fd_ = -1;
    int listener_ = -1;
    Drain drain_{self_.drain_grace_ns, self_.drain_limit_ns};
    uint64_t looked_ns_ = 0;
    uint64_t next_connection_ = kFirstConnection;
    std::unordered_map<ConnectionId, Entry> connections_;
    std::unordered_set<ConnectionId> touched_;  // by this turn
};

}  // namespace framed

#endif  // FRAMED_LOOP_HPP
