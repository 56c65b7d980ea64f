// A server whose workers may crash: one process for input and output, a process per worker, libmcrpc in front.
//
//     master      forks the others, and replaces what dies
//     IO layer    epoll: holds the connections and the one input queue, decides with admit(), and gives each idle worker
//                 one request at a time, over a socket of its own
//     worker      takes a request from its socket, works, sends back a status
//
// A worker that dies, of whatever and at any instruction, takes one request with it: the one it ran. The kernel closes its
// socket, the IO layer sees the end of the stream and answers that request at once, with MCRPC_WORKER_LOST: its caller
// goes elsewhere instead of waiting. Nobody else notices: connections and queue are in another process. The request is
// not given to another worker, since it may be what killed this one.
//
// What a connection does with frames is in framed_connection.hpp. On SIGTERM the IO layer says goodbye to its callers, answers
// what it has, and refuses what was on its way.
//
// Only the IO layer tells the controller what happens to requests, so its books are right whatever a worker dies of.
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -Iinclude cpp-examples/io_worker_server.cpp $LIB/libmcrpc.a -o server
// g++ -std=c++17 -Iinclude cpp-examples/io_worker_server.cpp -L$LIB -lmcrpc -Wl,-rpath,$LIB -o server

#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "framed_connection.hpp"

namespace {

// The fleet's secret: who knows it can choose a uin that always comes first. A real one is configured.
constexpr uint64_t kSalt = 0x6d63'7270'6320'6578;
constexpr size_t kMaxQueueLen = 1000;
constexpr int kEventsPerTurn = 256;
constexpr int kHousekeepingMs = 1000;
constexpr int kDrainTickMs = 10;
constexpr uint32_t kQueue = 0;  // the controller's only one
constexpr timespec kForkPause = {0, 10'000'000};

struct Options {
    uint32_t workers = 8;
    uint16_t port = 0;
    uint64_t service_ns = 10'000'000;
    std::optional<uint32_t> crash_method;
    bool checksums = false;
    bool die_with_parent = false;
};

// Ends the program if a system call failed.
int must(int result, const char *what) {
    if (result < 0) {
        std::fprintf(stderr, "io_worker_server: %s: %s\n", what, std::strerror(errno));
        _exit(1);
    }
    return result;
}

// Ends the program if the library did not take a call, which happens only if this program is wrong.
void must(mcrpc::Status status, const char *what) {
    if (!status.ok()) {
        std::fprintf(stderr, "io_worker_server: %s: %s\n", what, status.text().data());
        std::abort();
    }
}

sigset_t signal_set(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    return set;
}

// ---- A worker -------------------------------------------------------------------------------------------

int worker_socket = -1;

// The kernel closes the sockets of a crashed process only when it has written its core and freed its memory: 0.8 s for
// 512 MB. This does not wait for that. What the signal does without a handler, it does when this one returns.
void on_crash(int signal) {
    shutdown(worker_socket, SHUT_RDWR);
    raise(signal);
}

// On a stack of its own: that of a worker may be what has overflowed.
void tell_of_crashes() {
    static char memory[64 << 10];
    stack_t stack{};
    stack.ss_sp = memory;
    stack.ss_size = sizeof memory;
    must(sigaltstack(&stack, nullptr), "sigaltstack");
    struct sigaction action {};
    action.sa_handler = on_crash;
    action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaction(signal, &action, nullptr);
}

// What the IO layer sends to a worker, and behind it the metadata of the request.
struct Errand {
    mcrpc::Header request;
    uint64_t arrival_ns;
};

// The service itself: waits for a backend that answers after a fixed time. If it called another server, it would do so on
// behalf of mcrpc::Context::current(), from anywhere below.
int32_t handle(const Options &options, const mcrpc::Header &request) {
    if (options.crash_method == request.method_id) std::abort();
    std::this_thread::sleep_for(std::chrono::nanoseconds(options.service_ns));
    return MCRPC_OK;
}

// Ends when the IO layer does. This service needs no payload.
[[noreturn]] void work(const Options &options, int io) {
    worker_socket = io;
    tell_of_crashes();
    mcrpc::ContextScope::install();
    Errand errand;
    static char metadata[UINT16_MAX];
    iovec parts[] = {{&errand, sizeof errand}, {metadata, sizeof metadata}};
    for (ssize_t len = 0; (len = readv(io, parts, 2)) >= static_cast<ssize_t>(sizeof errand);) {
        const std::string_view tags(metadata, static_cast<size_t>(len) - sizeof errand);
        const mcrpc::Context context = framed::context_of(errand.request, tags, errand.arrival_ns);
        const mcrpc::ContextScope scope(context);
        const int32_t status = handle(options, errand.request);
        if (send(io, &status, sizeof status, 0) < 0) break;
    }
    _exit(0);
}

// ---- The IO layer ---------------------------------------------------------------------------------------

// Gives an open descriptor to the process at the other end of a socket.
void send_descriptor(int socket, int fd) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    char something = 0;  // nothing at all would be the end of the stream
    iovec data = {&something, sizeof something};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    must(static_cast<int>(sendmsg(socket, &message, 0)), "sendmsg");
}

// The next descriptor that was sent; -1 if there is none.
int receive_descriptor(int socket) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    char something = 0;
    iovec data = {&something, sizeof something};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) return -1;
    const cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

// An admitted request. It names its connection by the id: connections close while their requests wait.
struct Job {
    uint64_t connection_id;
    mcrpc::Header request;
    std::string metadata;
    uint64_t admitted_ns;
    uint64_t deadline_ns;
};

struct Worker {
    int fd;
    uint64_t id;  // never used again
    std::optional<Job> running{};
    uint64_t started_ns = 0;
};

class IoLayer : public framed::Handler {
public:
    // The sockets of workers come from `master`, one whenever a worker has been started.
    IoLayer(const Options &options, const mcrpc::Admission &admission, int listener, int master)
        : admission_(admission), listener_(listener), master_(master) {
        self_.limits.needs_checksum = options.checksums;
    }

    // Serves until SIGTERM, and then until the drain is over.
    void run() {
        // Edge-triggered, since a listener stays readable while there is no descriptor left for accept().
        watch(EPOLL_CTL_ADD, listener_, kListener, EPOLLIN | EPOLLET);
        watch(EPOLL_CTL_ADD, master_, kMaster, EPOLLIN);
        watch(EPOLL_CTL_ADD, signals_, kSignal, EPOLLIN);
        epoll_event events[kEventsPerTurn];
        while (!is_over()) {
            const int timeout_ms = drain_.has_begun() ? kDrainTickMs : kHousekeepingMs;
            const int count = epoll_wait(epoll_, events, kEventsPerTurn, timeout_ms);
            must(count < 0 && errno == EINTR ? 0 : count, "epoll_wait");
            for (int i = 0; i < count; ++i) take(events[i]);
            end_overdue(mcrpc::now_ns());
            dispatch();
            flush();
        }
    }

private:
    // What epoll reports: one of these, or the id of a worker or connection.
    enum : uint64_t { kListener, kMaster, kSignal, kFirstId };

    void watch(int operation, int fd, uint64_t id, uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = id;
        must(epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
    }

    void take(const epoll_event &event) {
        const uint64_t id = event.data.u64;
        if (id == kListener) return accept_all();
        if (id == kMaster) return hire();
        if (id == kSignal) return drain();
        const auto worker = workers_.find(id);
        if (worker != workers_.end()) return hear(worker->second);
        framed::Connection &connection = connections_.at(id);  // which is there: they are closed in flush() alone
        if (event.events & ~EPOLLOUT) connection.receive();
        touched_.insert(&connection);
    }

    // No more connections, and no more requests over those that are there.
    void drain() {
        drain_.begin();
        watch(EPOLL_CTL_DEL, listener_, kListener, 0);
        watch(EPOLL_CTL_DEL, signals_, kSignal, 0);
        for (auto &[id, connection] : connections_) {
            connection.say_go_away();
            touched_.insert(&connection);
        }
    }

    bool is_over() const {
        if (!drain_.has_begun()) return false;
        const bool is_idle = std::all_of(connections_.begin(), connections_.end(),
                                         [](const auto &entry) { return entry.second.is_idle(); });
        return drain_.is_over(is_idle, connections_.empty());
    }

    void hire() {
        for (int fd = 0; (fd = receive_descriptor(master_)) >= 0;) {
            const uint64_t id = next_id_++;
            watch(EPOLL_CTL_ADD, fd, id, EPOLLIN);
            workers_.emplace(id, Worker{fd, id});
            idle_.push_back(id);
        }
    }

    // A worker says how its request ended, or is gone.
    void hear(Worker &worker) {
        int32_t code = 0;
        const ssize_t received = recv(worker.fd, &code, sizeof code, MSG_DONTWAIT);
        if (received < 0 && errno == EAGAIN) return;
        if (received != sizeof code || !worker.running) return lose(worker);
        finish(worker, mcrpc::Status(code));
        idle_.push_back(worker.id);
    }

    void lose(Worker &worker) {
        if (worker.running) finish(worker, mcrpc::Status(MCRPC_WORKER_LOST));
        idle_.erase(std::remove(idle_.begin(), idle_.end(), worker.id), idle_.end());
        watch(EPOLL_CTL_DEL, worker.fd, worker.id, 0);  // the master may not have closed its copy yet
        close(worker.fd);
        workers_.erase(worker.id);
    }

    // Also for a request whose worker is gone: it was running, it runs no more, and the next one may.
    void finish(Worker &worker, mcrpc::Status status) {
        must(admission_.done(kQueue, worker.started_ns, mcrpc::now_ns()), "done");
        answer(*worker.running, status);
        worker.running.reset();
    }

    // A worker gets its next request when it has answered the last: what it holds when it dies is what it ran.
    void dispatch() {
        while (!jobs_.empty() && !idle_.empty()) {
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            const uint64_t now_ns = mcrpc::now_ns();
            const mcrpc::Status status = admission_.dequeued(kQueue, job.admitted_ns, job.deadline_ns, now_ns);
            if (!status.ok()) {
                answer(job, status);
                continue;
            }
            Worker &worker = workers_.at(idle_.back());
            idle_.pop_back();
            Errand errand{job.request, job.admitted_ns};
            iovec parts[] = {{&errand, sizeof errand}, {job.metadata.data(), job.metadata.size()}};
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = 2;
            const ssize_t sent = sendmsg(worker.fd, &message, MSG_DONTWAIT);
            worker.running = std::move(job);
            worker.started_ns = now_ns;
            if (sent < 0) lose(worker);
        }
        // Without any worker nobody knows how long they would wait.
        for (; workers_.empty() && !jobs_.empty(); jobs_.pop_front()) {
            must(admission_.abandoned(kQueue), "abandoned");
            answer(jobs_.front(), mcrpc::Status(MCRPC_WORKER_LOST));
        }
    }

    // Once a second.
    void end_overdue(uint64_t now_ns) {
        if (now_ns - looked_ns_ < kHousekeepingMs * 1'000'000ull) return;
        looked_ns_ = now_ns;
        for (auto &[id, connection] : connections_) {
            connection.end_if_overdue(now_ns);
            if (connection.is_broken()) touched_.insert(&connection);
        }
    }

    // Ends when there are no more, or no descriptors for them.
    void accept_all() {
        if (drain_.has_begun()) return;
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 && errno == ECONNABORTED) continue;
            if (fd < 0) return;
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            const uint64_t id = next_id_++;
            watch(EPOLL_CTL_ADD, fd, id, EPOLLIN);
            connections_.try_emplace(id, fd, id, self_, *this);
        }
    }

    bool on_header(framed::Connection &from, const mcrpc::Header &header) override {
        // By the wall clock: all servers of the fleet have the users in the same order, a new one each hour.
        const auto hour = static_cast<uint32_t>(std::time(nullptr) / 3600);
        mcrpc::Request request;
        must(mcrpc::Request::from_header(header, kSalt, hour, from.arrival_ns(), request), "from_header");
        request.flags |= from.peer().tenant << MCRPC_REQUEST_TENANT_SHIFT;
        const mcrpc::Status status = admission_.admit(kQueue, request, from.arrival_ns());
        if (!status.ok()) from.respond(header, status);
        return status.ok();
    }

    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view) override {
        const uint64_t admitted_ns = from.arrival_ns();
        const uint64_t deadline_ns = framed::deadline_ns(header, admitted_ns);
        if (jobs_.size() < kMaxQueueLen) {
            jobs_.push_back({from.id(), header, std::string(metadata.tags().bytes()), admitted_ns, deadline_ns});
        } else {
            must(admission_.abandoned(kQueue), "abandoned");
            from.respond(header, mcrpc::Status(MCRPC_QUEUE_FULL));
        }
    }

    void on_lost(framed::Connection &, const mcrpc::Header &) override {
        must(admission_.abandoned(kQueue), "abandoned");
    }

    void on_withheld(framed::Connection &, uint32_t count, uint32_t key) override {
        must(admission_.withheld(kQueue, key, count), "withheld");
    }

    // Nobody wants the answer any more: a one-way has none. What a worker has begun, it finishes.
    void on_cancel(framed::Connection &from, uint32_t call_id) override {
        const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const Job &job) {
            return job.connection_id == from.id() && job.request.kind == MCRPC_KIND_REQUEST && job.request.call_id == call_id;
        });
        if (found == jobs_.end()) return;
        jobs_.erase(found);
        must(admission_.abandoned(kQueue), "abandoned");
        from.forget();
    }

    framed::Load load() override { return load_.load(); }

    // A caller that has gone gets no answer.
    void answer(const Job &job, mcrpc::Status status) {
        const auto found = connections_.find(job.connection_id);
        if (found == connections_.end()) return;
        found->second.respond(job.request, status);
        touched_.insert(&found->second);
    }

    // Everything a turn brought for a connection leaves in one write.
    void flush() {
        for (framed::Connection *const connection : touched_) {
            connection->flush();
            uint32_t events = 0;
            if (connection->is_broken()) {
                // Its requests stay in the queue, and their answers find nobody.
                connections_.erase(connection->id());
                accept_all();  // one may have had to wait for a descriptor
            } else if (connection->waits_for(events)) {
                watch(EPOLL_CTL_MOD, connection->fd(), connection->id(), events);
            }
        }
        touched_.clear();
    }

    const mcrpc::Admission admission_;
    const int listener_;
    const int master_;
    const int epoll_ = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    const sigset_t signal_set_ = signal_set({SIGTERM});
    const int signals_ = must(signalfd(-1, &signal_set_, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
    framed::Self self_{"mcrpc.example.IoWorkerServer"};
    framed::LoadMeter load_{admission_, kQueue};
    framed::Drain drain_;
    uint64_t looked_ns_ = 0;
    uint64_t next_id_ = kFirstId;
    std::unordered_map<uint64_t, Worker> workers_;
    std::vector<uint64_t> idle_;  // of the workers; the last one worked last
    std::deque<Job> jobs_;        // the input queue
    std::unordered_map<uint64_t, framed::Connection> connections_;
    std::unordered_set<framed::Connection *> touched_;  // by this turn
};

// ---- The master -----------------------------------------------------------------------------------------

// It has one thread and no connections, so it can fork at any time, and a child inherits nobody's connection.
class Master {
public:
    Master(const Options &options, const mcrpc::Admission &admission, int listener)
        : options_(options), admission_(admission), listener_(listener), pids_(options.workers + 1) {
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, hiring_), "socketpair");
        for (uint32_t place = kIoLayer; place < pids_.size(); ++place) start(place);
    }

    // Replaces what dies, one process after each pause: what cannot live must not make the master fork at full speed.
    void run() {
        const sigset_t signals = signal_set({SIGTERM, SIGINT, SIGUSR1, SIGCHLD});
        for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
            const auto vacant = std::find(pids_.begin(), pids_.end(), 0);
            signal = sigtimedwait(&signals, nullptr, vacant == pids_.end() ? nullptr : &kForkPause);
            if (signal == SIGUSR1) print_report();
            if (signal == SIGCHLD) bury();
            const bool paused = signal < 0 && errno == EAGAIN;
            if (paused) start(static_cast<uint32_t>(vacant - pids_.begin()));
        }
        // The workers follow the IO layer when they have finished what they run.
        if (pids_[kIoLayer] > 0) kill(pids_[kIoLayer], SIGTERM);
        for (const int fd : hiring_) close(fd);
        for (const pid_t pid : pids_) {
            if (pid > 0) waitpid(pid, nullptr, 0);
        }
        must(admission_.queue_lost(kQueue), "queue_lost");
    }

    // What the controller knows, as one line of JSON.
    void print_report() const {
        mcrpc::AdmissionSnapshot all;
        must(admission_.snapshot(all), "snapshot");
        mcrpc::QueueSnapshot queue;
        must(admission_.queue_snapshot(kQueue, queue), "queue_snapshot");
        std::printf("{\"shedding\":%u,\"capacity_per_s\":%.1f", all.shedding,
                    static_cast<double>(all.capacity_mrps) / 1000);
        std::printf(",\"queued\":%u,\"running\":%u,\"admitted\":%" PRIu64 ",\"completed\":%" PRIu64 ",\"refused\":{",
                    queue.queued, queue.running, queue.admitted, queue.completed);
        for (uint32_t i = 0; i < MCRPC_REFUSAL_COUNT; ++i) {
            const char *reason = mcrpc_status_name(mcrpc_refusal_status(i));
            std::printf("%s\"%s\":%" PRIu64, i == 0 ? "" : ",", reason, queue.refused[i]);
        }
        std::printf("}}\n");
    }

private:
    static constexpr uint32_t kIoLayer = 0;  // its place in pids_; the workers have those behind it

    void start(uint32_t place) {
        int ends[2] = {-1, -1};  // the IO layer's, the worker's
        if (place != kIoLayer) must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
        const pid_t master = getpid();
        pids_[place] = must(fork(), "fork");
        if (pids_[place] == 0) {
            // If the master died between fork() and prctl() nobody reports it, but there is another parent.
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != master) _exit(0);
            if (place == kIoLayer) {
                IoLayer(options_, admission_, listener_, hiring_[1]).run();
                _exit(0);
            }
            close(ends[0]);  // or the worker would not see the IO layer end
            work(options_, ends[1]);
        }
        if (place == kIoLayer) {
            std::printf("io pid %d\n", pids_[place]);
            return;
        }
        send_descriptor(hiring_[0], ends[0]);
        for (const int fd : ends) close(fd);  // or the IO layer would not see the worker end
        std::printf("worker %u pid %d\n", place - 1, pids_[place]);
    }

    void bury() {
        int status = 0;
        for (pid_t dead = 0; (dead = waitpid(-1, &status, WNOHANG)) > 0;) {
            const auto pid = std::find(pids_.begin(), pids_.end(), dead);
            if (pid == pids_.end()) continue;  // left by the program that became this one with exec()
            *pid = 0;
            const bool is_io = pid == pids_.begin();
            std::fprintf(stderr, "io_worker_server: %s pid %d %s %d, replacing it\n", is_io ? "io" : "worker", dead,
                         WIFSIGNALED(status) ? "was killed by signal" : "exited with",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            if (is_io) must(admission_.queue_lost(kQueue), "queue_lost");
        }
    }

    const Options &options_;
    const mcrpc::Admission admission_;
    const int listener_;
    int hiring_[2] = {-1, -1};  // carries the sockets of workers to the IO layer, whichever that is at the time
    std::vector<pid_t> pids_;   // 0: to be replaced
};

// A socket that listens on 127.0.0.1. If `port` is 0 the kernel chooses one, which then is in `port`.
int listen_on(uint16_t &port) {
    const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    must(bind(fd, reinterpret_cast<const sockaddr *>(&address), len), "cannot bind the port");
    must(listen(fd, SOMAXCONN), "listen");
    must(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &len), "getsockname");
    port = ntohs(address.sin_port);
    return fd;
}

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: io_worker_server [options]

  --workers N         worker processes (1 to 100; default 8)
  --port P            port on 127.0.0.1 (0 to 65535; default 0: the kernel chooses)
  --service-ms F      how long a request waits for its backend (0 to 10000; default 10)
  --crash-method ID   requests with this method id crash their worker
  --checksums         each frame has one, in both directions
  --die-with-parent   stop when the parent of this process ends

SIGTERM and SIGINT stop it, SIGUSR1 prints what the controller knows.
)";

constexpr option kFlags[] = {
    {"workers", required_argument, nullptr, 'w'},      {"port", required_argument, nullptr, 'p'},
    {"service-ms", required_argument, nullptr, 's'},   {"crash-method", required_argument, nullptr, 'c'},
    {"checksums", no_argument, nullptr, 'k'},          {"die-with-parent", no_argument, nullptr, 'd'},
    {"help", no_argument, nullptr, 'h'},               {nullptr, 0, nullptr, 0}};

[[noreturn]] void reject(const std::string &complaint) {
    std::fprintf(stderr, "io_worker_server: %s; see --help\n", complaint.c_str());
    std::exit(2);
}

// The value of the option that getopt_long() found last, times `scale`: 1 for whole numbers.
uint64_t number(const char *name, int64_t min, int64_t max, int scale = 1) {
    char *end = nullptr;
    const double value = std::strtod(optarg, &end);
    const bool valid = end != optarg && *end == '\0' && value >= static_cast<double>(min) &&
                       value <= static_cast<double>(max);
    if (!valid || (scale == 1 && value != static_cast<double>(static_cast<int64_t>(value)))) {
        reject("--" + std::string(name) + " needs a " + (scale == 1 ? "whole " : "") + "number from " +
               std::to_string(min) + " to " + std::to_string(max) + ", not \"" + optarg + "\"");
    }
    return static_cast<uint64_t>(value * scale);
}

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const char *name = kFlags[index].name;
        switch (flag) {
        case 'w': options.workers = static_cast<uint32_t>(number(name, 1, 100)); break;
        case 'p': options.port = static_cast<uint16_t>(number(name, 0, 65535)); break;
        case 's': options.service_ns = number(name, 0, 10'000, 1'000'000); break;
        case 'c': options.crash_method = static_cast<uint32_t>(number(name, 0, UINT32_MAX)); break;
        case 'k': options.checksums = true; break;
        case 'd': options.die_with_parent = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) reject("\"" + std::string(argv[optind]) + "\" is no option");
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();  // first of all: if it ended before, nobody could tell
    const Options options = parse_options(argc, argv);
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);

    // Blocked from here on, in every child: the master takes them where it waits for them.
    const sigset_t signals = signal_set({SIGTERM, SIGINT, SIGUSR1, SIGCHLD});
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);
    if (options.die_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (options.die_with_parent && getppid() != parent) return 0;
    prctl(PR_SET_TIMERSLACK, 1000);  // 1 us instead of 50, so that a request takes what --service-ms says
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    mcrpc::AdmissionConfig config;
    config.workers_per_queue = options.workers;
    size_t len = 0;
    must(config.memory_size(len), "memory_size");
    const mcrpc::Memory memory = mcrpc::Memory::shared(len);
    mcrpc::Admission admission;
    must(mcrpc::Admission::init(memory, config, mcrpc::now_ns(), admission), "init");

    uint16_t port = options.port;
    Master master(options, admission, listen_on(port));
    std::printf("listening 127.0.0.1:%u\n", port);
    master.run();
    master.print_report();
    return 0;
}
