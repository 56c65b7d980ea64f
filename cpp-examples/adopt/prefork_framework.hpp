// A prefork framework in miniature, as Svrkit is a large one. It knows nothing of libmcrpc, and offers callbacks: prefork.cpp is a
// service that fills them in.
//
//     master   forks the children, and replaces those that die
//     child    a socket of its own on the common port (SO_REUSEPORT), an IO thread with epoll, a queue, worker threads
//
//     request  "4711 300\n"   the user, and how many milliseconds the caller waits
//     answer   "0\n"          or a code that says why not

#ifndef PREFORK_FRAMEWORK_HPP
#define PREFORK_FRAMEWORK_HPP

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace prefork {

struct Options {
    int children = 2;
    int workers = 4;  // threads of each child
    size_t queue_len = 1000;
};

// A request on its way through a child. The connection is the request's own until it is answered.
struct Request {
    int fd = -1;
    uint64_t user = 0;
    uint64_t arrival_ns = 0;
    uint64_t deadline_ns = 0;
    uint64_t started_ns = 0;
};

// What a service gives the framework. A callback that returns a code other than 0 has the request answered with it.
struct Service {
    // In the master, once, before the first child is forked.
    std::function<void(const Options &)> BeforeMasterRun;
    // In a child, first of all. `child` is its number, which a dead one may have had before.
    std::function<void(int child)> BeforeChildRun;
    // In the IO thread, for a request that has been read and is to be queued: there is room for it.
    std::function<int(Request &)> BeforeEpollIORun;
    // In the worker that has taken the request out of the queue.
    std::function<int(Request &)> BeforeRoutineRun;
    // In that worker: the service itself.
    std::function<int(const Request &)> SvrProc;
    // In that worker, when the service has run.
    std::function<void(const Request &)> AfterSvrProcRun;
    // In the IO thread, once a second.
    std::function<void()> OnTimer;
    // In the master, when it is asked for its status (SIGUSR1), and at its end.
    std::function<void()> OnStatus;
};

constexpr int kBusy = 1;  // the framework's own code

inline uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline int must(int result, const char *what) {
    if (result >= 0) return result;
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    _exit(1);
}

class Child {
public:
    Child(const Options &options, const Service &service, int listener)
        : options_(options), service_(service), listener_(listener) {}

    // Until the process is killed.
    [[noreturn]] void run() {
        std::vector<std::thread> workers;
        for (int n = 0; n < options_.workers; ++n) workers.emplace_back([this] { work(); });
        watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
        for (uint64_t next_tick_ns = 0;;) {
            epoll_event event{};
            const int count = epoll_wait(epoll_, &event, 1, 1000);
            if (now_ns() >= next_tick_ns) {
                service_.OnTimer();
                next_tick_ns = now_ns() + 1'000'000'000;
            }
            if (count < 1) continue;
            if (event.data.fd != listener_) {
                receive(event.data.fd);
            } else if (const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) {
                watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT);
            }
        }
    }

private:
    void watch(int operation, int fd, uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        must(epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
    }

    void answer(const Request &request, int code) {
        const std::string line = std::to_string(code) + "\n";
        send(request.fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        watch(EPOLL_CTL_MOD, request.fd, EPOLLIN | EPOLLONESHOT);
    }

    void receive(int fd) {
        char bytes[64];
        const ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        std::string &line = lines_[fd];
        if (got > 0) line.append(bytes, static_cast<size_t>(got));
        const bool is_whole = line.find('\n') != std::string::npos;
        if (!is_whole && got > 0 && line.size() < sizeof bytes) return watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT);
        Request request;
        uint64_t budget_ms = 0;
        const int fields = std::sscanf(line.c_str(), "%" SCNu64 " %" SCNu64, &request.user, &budget_ms);
        lines_.erase(fd);
        if (!is_whole || fields != 2) {
            close(fd);
            return;
        }
        request.fd = fd;
        request.arrival_ns = now_ns();
        request.deadline_ns = request.arrival_ns + budget_ms * 1'000'000;
        const int code = is_full() ? kBusy : service_.BeforeEpollIORun(request);
        if (code != 0) return answer(request, code);
        const std::lock_guard<std::mutex> lock(mutex_);
        queue_.push_back(request);
        not_empty_.notify_one();
    }

    bool is_full() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return queue_.size() >= options_.queue_len;
    }

    void work() {
        for (;;) {
            std::unique_lock<std::mutex> lock(mutex_);
            not_empty_.wait(lock, [this] { return !queue_.empty(); });
            Request request = queue_.front();
            queue_.pop_front();
            lock.unlock();
            request.started_ns = now_ns();
            int code = service_.BeforeRoutineRun(request);
            if (code == 0) {
                code = service_.SvrProc(request);
                service_.AfterSvrProcRun(request);
            }
            answer(request, code);
        }
    }

    const Options &options_;
    const Service &service_;
    const int listener_;
    const int epoll_ = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    std::unordered_map<int, std::string> lines_;  // what has been read of a request
    std::mutex mutex_;
    std::condition_variable not_empty_;
    std::deque<Request> queue_;
};

// The master: serves until SIGTERM. It has one thread and serves nothing, so it can fork at any time.
class Master {
public:
    Master(const Options &options, const Service &service) : options_(options), service_(service) {}

    void run() {
        sigset_t signals;
        sigemptyset(&signals);
        for (const int signal : {SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&signals, signal);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        service_.BeforeMasterRun(options_);
        for (int child = 0; child < options_.children; ++child) {
            listeners_.push_back(listen_on_port());
            pids_.push_back(start(child));
        }
        std::printf("listening 127.0.0.1:%u\n", port_);
        for (int signal = 0; signal != SIGTERM;) {
            must(sigwait(&signals, &signal) == 0 ? 0 : -1, "sigwait");
            if (signal == SIGUSR1) service_.OnStatus();
            if (signal == SIGCHLD) replace_the_dead();
        }
        for (const pid_t pid : pids_) kill(pid, SIGKILL);
        for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
        service_.OnStatus();
    }

private:
    pid_t start(int child) {
        const pid_t master = getpid(), pid = must(fork(), "fork");
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != master) _exit(1);
            service_.BeforeChildRun(child);
            Child(options_, service_, listeners_[static_cast<size_t>(child)]).run();
        }
        std::printf("child %d pid %d\n", child, pid);
        return pid;
    }

    void replace_the_dead() {
        for (pid_t dead = 0; (dead = waitpid(-1, nullptr, WNOHANG)) > 0;) {
            const auto found = std::find(pids_.begin(), pids_.end(), dead);
            if (found == pids_.end()) continue;
            usleep(10'000);  // a child that cannot live must not make the master fork at full speed
            *found = start(static_cast<int>(found - pids_.begin()));
        }
    }

    int listen_on_port() {
        const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"), on = 1;
        must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t len = sizeof address;
        must(bind(fd, reinterpret_cast<const sockaddr *>(&address), len), "bind");
        must(listen(fd, SOMAXCONN), "listen");
        must(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &len), "getsockname");
        port_ = ntohs(address.sin_port);
        return fd;
    }

    const Options options_;
    const Service service_;
    uint16_t port_ = 0;
    std::vector<int> listeners_;  // of the children: what arrives for a dead one waits for the next
    std::vector<pid_t> pids_;
};

}  // namespace prefork

#endif  // PREFORK_FRAMEWORK_HPP
