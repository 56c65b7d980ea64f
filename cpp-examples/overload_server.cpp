// A server that protects itself from overload: epoll, one input queue, fixed workers, libmcrpc in front.
//
// The path of a request, in the order of the functions of Server:
//
//     on_header  the IO thread has read 32 bytes of header, and nothing behind them is needed to decide: admit() says
//                yes, or no and why; a refusal is answered at once and costs next to nothing. The queue is bounded,
//                and what does not fit is refused as well
//     on_request all of an admitted request is there, and it is queued
//     work       a worker asks dequeued() whether there is still time, works, and says done()
//     deliver    the answer goes back to the IO thread
//     flush      which writes all that a turn of its loop brought for a connection in one call
//
// With --processes each worker is a process with its own socket on the same port (SO_REUSEPORT), its own IO
// thread and queue. They share one controller in memory that the master mapped before it forked: what one of
// them sees, all know. The master replaces a worker that dies, and tells the controller so with queue_lost().
//
// What a connection does with frames is in framed_connection.hpp. On SIGTERM the server says goodbye to its callers, answers
// what it has, and refuses what was on its way.
//
// With --host it joins the host's shared segments: `mcrpc top` shows its queues, `mcrpc mode` and `mcrpc kill` switch its
// admission while it runs.
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -pthread -Iinclude cpp-examples/overload_server.cpp $LIB/libmcrpc.a -o server
// g++ -std=c++17 -pthread -Iinclude cpp-examples/overload_server.cpp -L$LIB -lmcrpc -Wl,-rpath,$LIB -o server

#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "framed_connection.hpp"

namespace {

// The fleet's secret: who knows it can choose a uin that always comes first. A real one is configured.
constexpr uint64_t kSalt = 0x6d63'7270'6320'6578;
constexpr int kEventsPerTurn = 256;
constexpr int kHousekeepingMs = 1000;
constexpr int kDrainTickMs = 10;
constexpr std::string_view kModeNames[] = {"off", "observe", "enforce"};  // by MCRPC_MODE_

struct Options {
    uint32_t processes = 0;  // 0: no master, this process serves
    uint32_t threads = 0;    // workers in each process
    uint16_t port = 0;
    uint64_t service_ns = 10'000'000;
    uint64_t spin_ns = 0;
    size_t queue_len = 1000;
    uint32_t mode = MCRPC_MODE_ENFORCE;
    bool checksums = false;
    bool die_with_parent = false;
    const char *host = nullptr;  // directory of the host's shared segments
};

// Ends the program if a system call failed.
int must(int result, const char *what) {
    if (result < 0) {
        std::fprintf(stderr, "overload_server: %s: %s\n", what, std::strerror(errno));
        _exit(1);
    }
    return result;
}

// Ends the program if the library did not take a call, which happens only if this program is wrong.
void must(mcrpc::Status status, const char *what) {
    if (!status.ok()) {
        std::fprintf(stderr, "overload_server: %s: %s\n", what, status.text().data());
        std::abort();
    }
}

sigset_t signal_set(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    return set;
}

// What the controller knows, as one line of JSON.
void print_report(const Options &options, const mcrpc::Admission &admission) {
    mcrpc::AdmissionSnapshot all;
    must(admission.snapshot(all), "snapshot");
    std::printf("{\"mode\":\"%s\",\"admission\":\"%s\",\"shedding\":%u,\"capacity_per_s\":%.1f",
                options.processes > 0 ? "processes" : "threads", kModeNames[all.mode].data(), all.shedding,
                static_cast<double>(all.capacity_mrps) / 1000);
    std::printf(",\"demand_per_s\":%.1f,\"windows_closed\":%" PRIu64 ",\"queues\":[",
                static_cast<double>(all.demand_mrps) / 1000, all.windows_closed);
    const auto print_reasons = [](const char *name, const uint64_t (&counts)[MCRPC_REFUSAL_ROOM]) {
        std::printf(",\"%s\":", name);
        for (uint32_t i = 0; i < MCRPC_REFUSAL_COUNT; ++i) {
            const char *reason = mcrpc_status_name(mcrpc_refusal_status(i));
            std::printf("%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', reason, counts[i]);
        }
        std::printf("}");
    };
    for (uint32_t i = 0; i < all.queue_count; ++i) {
        mcrpc::QueueSnapshot queue;
        must(admission.queue_snapshot(i, queue), "queue_snapshot");
        std::printf("%s{\"queued\":%u,\"running\":%u,\"admitted\":%" PRIu64 ",\"completed\":%" PRIu64,
                    i == 0 ? "" : ",", queue.queued, queue.running, queue.admitted, queue.completed);
        print_reasons("refused", queue.refused);
        print_reasons("would_refuse", queue.would_refuse);
        std::printf("}");
    }
    std::printf("]}\n");
}

// ---- One IO thread, one queue, its workers --------------------------------------------------------------

// An admitted request on its way to a worker, and back with a status. It names its connection by the id:
// connections close, and descriptors are reused, while their requests wait.
struct Job {
    uint64_t connection_id;
    mcrpc::Header request;
    std::string metadata;
    uint64_t admitted_ns;
    uint64_t deadline_ns;
    mcrpc::Status status;
};

class Server : public framed::Handler {
public:
    Server(const Options &options, const mcrpc::Admission &admission, const mcrpc::Host &host, uint32_t queue,
           int listener)
        : options_(options), admission_(admission), host_(host), queue_(queue), listener_(listener) {
        self_.limits.needs_checksum = options.checksums;
    }

    // Serves until a signal says stop. The thread that calls it is the IO thread. It closes no descriptors at
    // the end, because the process ends as well.
    void run() {
        // Edge-triggered, since a listener stays readable while there is no descriptor left for accept().
        watch(EPOLL_CTL_ADD, listener_, kListener, EPOLLIN | EPOLLET);
        watch(EPOLL_CTL_ADD, answers_ready_, kAnswers, EPOLLIN);
        watch(EPOLL_CTL_ADD, signals_, kSignal, EPOLLIN);
        std::vector<std::thread> workers;
        for (uint32_t i = 0; i < options_.threads; ++i) workers.emplace_back([this] { work(); });
        epoll_event events[kEventsPerTurn];
        while (!closed_) {
            const int timeout_ms = drain_.has_begun() ? kDrainTickMs : kHousekeepingMs;
            const int count = epoll_wait(epoll_, events, kEventsPerTurn, timeout_ms);
            must(count < 0 && errno == EINTR ? 0 : count, "epoll_wait");
            for (int i = 0; i < count; ++i) {
                switch (events[i].data.u64) {
                case kListener: accept_all(); break;
                case kAnswers: deliver(); break;
                case kSignal: take_signal(); break;
                default:  // a connection, and here for certain: they are closed in flush() alone
                    framed::Connection &connection = connections_.at(events[i].data.u64);
                    if (events[i].events & ~EPOLLOUT) connection.receive();
                    touched_.insert(&connection);
                }
            }
            end_overdue(mcrpc::now_ns());
            flush();
            if (options_.host) keep_house(mcrpc::now_ns());
            if (drain_.has_begun()) end_when_drained();
        }
        for (std::thread &worker : workers) worker.join();
    }

private:
    // What epoll reports: one of these, or a connection's id.
    enum : uint64_t { kListener, kAnswers, kSignal, kFirstConnection };

    void watch(int operation, int fd, uint64_t id, uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = id;
        must(epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
    }

    // Once a second: what the host's operator wants, and what this process has done. A host that is not there says
    // nothing and takes nothing, so the answers need no look.
    void keep_house(uint64_t now_ns) {
        if (now_ns - kept_house_ns_ < kHousekeepingMs * 1'000'000ull) return;
        kept_house_ns_ = now_ns;
        static_cast<void>(host_.tick(now_ns));
        must(host_.steer(admission_, options_.mode), "steer");
        uint64_t sampled_ns = 0;
        const int32_t cpu_per_10k = host_.cpu(now_ns, &sampled_ns);
        if (cpu_per_10k >= 0) must(admission_.set_cpu(static_cast<uint32_t>(cpu_per_10k), sampled_ns), "set_cpu");
        static_cast<void>(host_.report_queue(admission_, queue_, now_ns));
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
            const uint64_t id = next_connection_++;
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
        const mcrpc::Status status = admission_.admit(queue_, request, from.arrival_ns());
        if (!status.ok()) from.respond(header, status);
        return status.ok();
    }

    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view) override {
        const uint64_t admitted_ns = from.arrival_ns();
        const uint64_t deadline_ns = framed::deadline_ns(header, admitted_ns);
        std::unique_lock<std::mutex> lock(mutex_);
        if (jobs_.size() < options_.queue_len) {
            jobs_.push_back({from.id(), header, std::string(metadata.tags().bytes()), admitted_ns, deadline_ns, {}});
            jobs_ready_.notify_one();
            return;
        }
        lock.unlock();
        must(admission_.abandoned(queue_), "abandoned");
        from.respond(header, mcrpc::Status(MCRPC_QUEUE_FULL));
    }

    void on_lost(framed::Connection &, const mcrpc::Header &) override {
        must(admission_.abandoned(queue_), "abandoned");
    }

    void on_withheld(framed::Connection &, uint32_t count, uint32_t key) override {
        must(admission_.withheld(queue_, key, count), "withheld");
    }

    // Nobody wants the answer any more: a one-way has none. What a worker has begun, it finishes.
    void on_cancel(framed::Connection &from, uint32_t call_id) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const Job &job) {
            return job.connection_id == from.id() && job.request.kind == MCRPC_KIND_REQUEST && job.request.call_id == call_id;
        });
        if (found == jobs_.end()) return;
        jobs_.erase(found);
        must(admission_.abandoned(queue_), "abandoned");
        from.forget();
    }

    framed::Load load() override { return load_.load(); }

    // What each worker thread does.
    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            jobs_ready_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
            if (closed_) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            const uint64_t started_ns = mcrpc::now_ns();
            job.status = admission_.dequeued(queue_, job.admitted_ns, job.deadline_ns, started_ns);
            if (job.status.ok()) {
                const mcrpc::Running running(admission_, queue_, started_ns);
                const mcrpc::Context context = framed::context_of(job.request, job.metadata, job.admitted_ns);
                const mcrpc::ContextScope scope(context);
                handle(started_ns);
            }
            lock.lock();
            answers_.push_back(std::move(job));
            // For the others of a batch the IO thread has been woken already.
            if (answers_.size() == 1) eventfd_write(answers_ready_, 1);
        }
    }

    // The service itself: waits for a backend that answers at a fixed time, then computes. If it called another server, it
    // would do so on behalf of mcrpc::Context::current(), from anywhere below.
    void handle(uint64_t started_ns) const {
        const std::chrono::nanoseconds answered(started_ns + options_.service_ns);
        std::this_thread::sleep_until(std::chrono::steady_clock::time_point(answered));
        const auto cpu_ns = [] {
            timespec used{};
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
            return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
        };
        for (const uint64_t end_ns = cpu_ns() + options_.spin_ns; cpu_ns() < end_ns;) {
        }
    }

    void deliver() {
        // First the wakeup, then the answers: the other way round one put in between would go unnoticed.
        eventfd_t ignored = 0;
        eventfd_read(answers_ready_, &ignored);
        std::unique_lock<std::mutex> lock(mutex_);
        const std::vector<Job> answers = std::exchange(answers_, {});
        lock.unlock();
        for (const Job &job : answers) {
            const auto found = connections_.find(job.connection_id);
            if (found == connections_.end()) continue;
            found->second.respond(job.request, job.status);
            touched_.insert(&found->second);
        }
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

    void take_signal() {
        signalfd_siginfo info{};
        if (read(signals_, &info, sizeof info) != sizeof info) return;
        if (info.ssi_signo == SIGUSR1) return print_report(options_, admission_);
        if (drain_.has_begun()) return;
        drain_.begin();
        watch(EPOLL_CTL_DEL, listener_, kListener, 0);
        for (auto &[id, connection] : connections_) {
            connection.say_go_away();
            touched_.insert(&connection);
        }
    }

    void end_when_drained() {
        const bool is_idle = std::all_of(connections_.begin(), connections_.end(),
                                         [](const auto &entry) { return entry.second.is_idle(); });
        if (!drain_.is_over(is_idle, connections_.empty())) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        closed_ = true;
        for (size_t i = 0; i < jobs_.size(); ++i) must(admission_.abandoned(queue_), "abandoned");
        jobs_ready_.notify_all();
    }

    const Options &options_;
    const mcrpc::Admission admission_;
    const mcrpc::Host &host_;
    const uint32_t queue_;
    framed::Self self_{"mcrpc.example.OverloadServer"};

    // Of the IO thread alone.
    const int listener_;
    const int epoll_ = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    // A worker process takes SIGTERM only: a terminal sends SIGINT to all, and then the master acts.
    const sigset_t signal_set_ =
        options_.processes > 0 ? signal_set({SIGTERM}) : signal_set({SIGTERM, SIGINT, SIGUSR1});
    const int signals_ = must(signalfd(-1, &signal_set_, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
    uint64_t next_connection_ = kFirstConnection;
    uint64_t kept_house_ns_ = 0;
    uint64_t looked_ns_ = 0;
    framed::LoadMeter load_{admission_, queue_};
    framed::Drain drain_;
    std::unordered_map<uint64_t, framed::Connection> connections_;
    std::unordered_set<framed::Connection *> touched_;  // by this turn

    // Of the IO thread and the workers. Only the IO thread sets `closed_`.
    std::mutex mutex_;
    bool closed_ = false;
    std::deque<Job> jobs_;
    std::condition_variable jobs_ready_;
    std::vector<Job> answers_;
    const int answers_ready_ = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
};

// ---- Starting and stopping ------------------------------------------------------------------------------

// A socket that listens on 127.0.0.1. If `port` is 0 the kernel chooses one, which then is in `port`.
int listen_on(uint16_t &port, bool share_port) {
    const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (share_port) must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
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

// What the master does. It has one thread and serves nothing, so it can fork at any time. It keeps the
// sockets of its workers: connections that arrive for a dead one wait for the next.
void serve_with_processes(const Options &options, const mcrpc::Admission &admission, const mcrpc::Host &host) {
    uint16_t port = options.port;
    std::vector<int> listeners;
    std::vector<pid_t> workers(options.processes);
    const auto start = [&, master = getpid()](uint32_t queue) {
        workers[queue] = must(fork(), "fork");
        if (workers[queue] == 0) {
            // If the master died between fork() and prctl() nobody reports it, but there is another parent.
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == master) Server(options, admission, host, queue, listeners[queue]).run();
            _exit(0);
        }
        std::printf("worker %u pid %d\n", queue, workers[queue]);
    };
    for (uint32_t queue = 0; queue < options.processes; ++queue) {
        listeners.push_back(listen_on(port, true));
        start(queue);
    }
    std::printf("listening 127.0.0.1:%u\n", port);

    const sigset_t signals = signal_set({SIGTERM, SIGINT, SIGUSR1, SIGCHLD});
    const timespec second = {kHousekeepingMs / 1000, 0};
    for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
        signal = sigtimedwait(&signals, nullptr, &second);
        static_cast<void>(host.tick(mcrpc::now_ns()));
        if (signal == SIGUSR1) print_report(options, admission);
        if (signal != SIGCHLD) continue;
        int status = 0;
        for (pid_t dead = 0; (dead = waitpid(-1, &status, WNOHANG)) > 0;) {
            const auto worker = std::find(workers.begin(), workers.end(), dead);
            if (worker == workers.end()) continue;  // left by the program that became this one with exec()
            const auto queue = static_cast<uint32_t>(worker - workers.begin());
            std::fprintf(stderr, "overload_server: worker %u pid %d %s %d, replacing it\n", queue, dead,
                         WIFSIGNALED(status) ? "was killed by signal" : "exited with",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            must(admission.queue_lost(queue), "queue_lost");
            usleep(10'000);  // a worker that cannot live must not make the master fork at full speed
            start(queue);
        }
    }
    for (const pid_t worker : workers) kill(worker, SIGTERM);
    for (const pid_t worker : workers) waitpid(worker, nullptr, 0);
}

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: overload_server [--threads N | --processes N] [options]

  --threads N        one process, N worker threads (1 to 1000; the default, with 8)
  --processes N      a master and N worker processes (1 to 64)
  --port P           port on 127.0.0.1 (0 to 65535; default 0: the kernel chooses)
  --service-ms F     how long a request waits for its backend (0 to 10000; default 10)
  --spin-ms F        CPU time that a request then burns (0 to 10000; default 0)
  --queue N          places in each input queue (1 to 10000; default 1000)
  --admission MODE   off, observe or enforce (default enforce)
  --checksums        each frame has one, in both directions
  --host DIR         join the shared segments of the host, usually in /run/mcrpc
  --die-with-parent  stop when the parent of this process ends

SIGTERM and SIGINT stop it, SIGUSR1 prints what the controller knows.
)";

constexpr option kFlags[] = {
    {"threads", required_argument, nullptr, 't'},    {"processes", required_argument, nullptr, 'n'},
    {"port", required_argument, nullptr, 'p'},       {"service-ms", required_argument, nullptr, 'w'},
    {"spin-ms", required_argument, nullptr, 's'},    {"queue", required_argument, nullptr, 'q'},
    {"admission", required_argument, nullptr, 'a'},  {"die-with-parent", no_argument, nullptr, 'd'},
    {"host", required_argument, nullptr, 'o'},       {"checksums", no_argument, nullptr, 'k'},
    {"help", no_argument, nullptr, 'h'},             {nullptr, 0, nullptr, 0}};

[[noreturn]] void reject(const std::string &complaint) {
    std::fprintf(stderr, "overload_server: %s; see --help\n", complaint.c_str());
    std::exit(2);
}

// The value of the option that getopt_long() found last, times `scale`: 1 for whole numbers.
uint64_t number(const char *name, int min, int max, int scale = 1) {
    char *end = nullptr;
    const double value = std::strtod(optarg, &end);
    const bool valid = end != optarg && *end == '\0' && value >= min && value <= max;
    if (!valid || (scale == 1 && value != static_cast<int>(value))) {
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
        case 't': options.threads = static_cast<uint32_t>(number(name, 1, 1000)); break;
        case 'n': options.processes = static_cast<uint32_t>(number(name, 1, 64)); break;
        case 'p': options.port = static_cast<uint16_t>(number(name, 0, 65535)); break;
        case 'w': options.service_ns = number(name, 0, 10'000, 1'000'000); break;
        case 's': options.spin_ns = number(name, 0, 10'000, 1'000'000); break;
        case 'q': options.queue_len = number(name, 1, 10'000); break;
        case 'a':
            options.mode = MCRPC_MODE_OFF;
            while (options.mode <= MCRPC_MODE_ENFORCE && kModeNames[options.mode] != optarg) ++options.mode;
            if (options.mode <= MCRPC_MODE_ENFORCE) break;
            reject("--admission needs off, observe or enforce, not \"" + std::string(optarg) + "\"");
        case 'k': options.checksums = true; break;
        case 'd': options.die_with_parent = true; break;
        case 'o': options.host = optarg; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) reject("\"" + std::string(argv[optind]) + "\" is no option");
    if (options.threads > 0 && options.processes > 0) reject("--threads and --processes exclude each other");
    if (options.threads == 0) options.threads = options.processes > 0 ? 1 : 8;
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();  // first of all: if it ended before, nobody could tell
    const Options options = parse_options(argc, argv);
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);

    // Signals are blocked from here on, in every thread and child, and taken where they are waited for.
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

    mcrpc::ContextScope::install();
    mcrpc::AdmissionConfig config;
    config.mode = options.mode;
    config.queue_count = std::max(options.processes, 1u);
    config.workers_per_queue = options.threads;
    size_t len = 0;
    must(config.memory_size(len), "memory_size");
    const mcrpc::Memory memory =
        options.processes > 0 ? mcrpc::Memory::shared(len) : mcrpc::Memory::heap(len);
    mcrpc::Admission admission;
    must(mcrpc::Admission::init(memory, config, mcrpc::now_ns(), admission), "init");

    mcrpc::Host host;
    mcrpc::HostConfig host_config;
    host_config.set_name("overload_server");
    must(host.open(options.host, host_config, mcrpc::now_ns()), "host");

    if (options.processes > 0) {
        serve_with_processes(options, admission, host);
    } else {
        uint16_t port = options.port;
        Server server(options, admission, host, 0, listen_on(port, false));
        std::printf("listening 127.0.0.1:%u\n", port);
        server.run();
    }
    print_report(options, admission);
    return 0;
}
