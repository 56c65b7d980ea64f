// The back of a fleet of two tiers: a server of limited capacity, and in front of its queue one of several policies against
// overload. `mcrpc demo overload` compares them; fleet_front.cpp is the tier that calls this one.
//
// The path of a request, in the order of the functions of Server:
//
//     on_header  the IO thread asks the policy; a refusal is answered at once
//     on_request the rest of a request is there, and it is queued
//     work       a worker asks again whether there is still time, waits for its backend, and tells the policy
//     on_wake    the answer goes back to the IO thread, and out
//
// The policies, --policy NAME:
//
//     none        takes everything
//     drop-tail   takes what finds a worker or one of a few places in the queue
//     gradient2   a limit on what is in the system, from the gradient of the latency (Netflix concurrency-limits)
//     pass-rate   libmcrpc with Svrkit's policy: a share that falls fast and rises slowly, by how long requests wait
//     mcrpc       libmcrpc: by importance, learnt from the queue; see mcrpc.h
//
// Under every policy a request whose caller has gone is not run: they differ in what they take.
//
// SIGUSR1 makes requests take --slowed-ms from then on (a brownout), SIGUSR2 --service-ms again. Every tenth of a second it
// prints how many requests reached it; the number behind `bucket` is its start, in ms of CLOCK_MONOTONIC:
//
//     bucket 81234500 received 61
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -pthread -Iinclude cpp-examples/fleet_back.cpp $LIB/libmcrpc.a -o fleet_back

#include <getopt.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "framed_loop.hpp"

namespace {

using framed::kMs;
using framed::must;

struct Options {
    std::string policy = "mcrpc";
    uint32_t workers = 8;
    uint16_t port = 0;
    uint64_t service_ns = 32 * kMs;
    uint64_t slowed_ns = 80 * kMs;
    uint32_t queue_len = 0;  // of drop-tail; 0: half as many as workers
    uint64_t seed = 1;
    bool checksums = false;
    bool dies_with_parent = false;
};

// An admitted request on its way to a worker, and back with a status.
struct Job {
    uint64_t connection;
    mcrpc::Header request;
    std::string metadata;
    uint64_t admitted_ns;
    uint64_t deadline_ns;
    mcrpc::Status status;
};

// ---- Policies -------------------------------------------------------------------------------------------

// Decides what is taken. started() and finished() are called by any thread, the others by the IO thread.
class Policy {
public:
    virtual ~Policy() = default;
    virtual mcrpc::Status admit(const mcrpc::Header &request, uint64_t now_ns) = 0;
    // The rest of a request that was admitted never came.
    virtual void lost() = 0;
    // A worker has taken a job. Not OK: it is not run, and finished() is not called.
    virtual mcrpc::Status started(const Job &job, uint64_t now_ns) = 0;
    virtual void finished(const Job &job, uint64_t started_ns, uint64_t now_ns) = 0;
    // What responses carry.
    virtual framed::Load load() { return {}; }
    // A caller did not send `count` requests, one of which had this key.
    virtual void withheld(uint32_t /*count*/, uint32_t /*key*/) {}
};

// A policy that limits how many requests are in the system, waiting or being served.
class Limited : public Policy {
public:
    mcrpc::Status admit(const mcrpc::Header &, uint64_t) override {
        if (in_system_ >= limit()) return mcrpc::Status(MCRPC_QUEUE_FULL);
        ++in_system_;
        return mcrpc::Status();
    }
    void lost() override { --in_system_; }
    mcrpc::Status started(const Job &job, uint64_t now_ns) override {
        if (now_ns < job.deadline_ns) return mcrpc::Status();
        --in_system_;
        return mcrpc::Status(MCRPC_DEADLINE_IN_QUEUE);
    }
    void finished(const Job &job, uint64_t, uint64_t now_ns) override {
        observe(now_ns - job.admitted_ns, in_system_--, now_ns);
    }

protected:
    virtual uint32_t limit() = 0;
    virtual void observe(uint64_t /*latency_ns*/, uint32_t /*in_system*/, uint64_t /*now_ns*/) {}

private:
    std::atomic<uint32_t> in_system_{0};
};

// None, and drop-tail: the workers and the places of the queue.
class FixedLimit : public Limited {
public:
    explicit FixedLimit(uint32_t limit) : limit_(limit) {}

private:
    uint32_t limit() override { return limit_; }

    const uint32_t limit_;
};

// Gradient2Limit of Netflix concurrency-limits with its defaults, over windows of a second: the limit grows while the latency
// of a window is within 1.5 times the long average, and shrinks beyond that. It tells no request from another.
class Gradient2 : public Limited {
private:
    static constexpr double kTolerance = 1.5, kSmoothing = 0.2, kGrowth = 4, kMinLimit = 20, kMaxLimit = 200;
    static constexpr uint32_t kLongWindow = 600, kWarmUp = 10, kMinSamples = 10;
    static constexpr uint64_t kWindowNs = 1000 * kMs;

    uint32_t limit() override { return static_cast<uint32_t>(limit_.load(std::memory_order_relaxed)); }

    void observe(uint64_t latency_ns, uint32_t in_system, uint64_t now_ns) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        sum_ns_ += latency_ns;
        ++samples_;
        highest_in_system_ = std::max(highest_in_system_, in_system);
        if (now_ns < window_end_ns_ || samples_ < kMinSamples) return;
        close_window(static_cast<double>(sum_ns_) / samples_);
        window_end_ns_ = now_ns + kWindowNs;
        sum_ns_ = 0;
        samples_ = highest_in_system_ = 0;
    }

    void close_window(double short_ns) {
        if (windows_ < kWarmUp) {
            long_ns_ += (short_ns - long_ns_) / ++windows_;
        } else {
            long_ns_ += (short_ns - long_ns_) * 2 / (kLongWindow + 1);
        }
        const double long_ns = long_ns_;
        // The long average follows faster downwards.
        if (long_ns / short_ns > 2) long_ns_ *= 0.95;
        const double limit = limit_.load(std::memory_order_relaxed);
        if (highest_in_system_ < limit / 2) return;
        const double gradient = std::clamp(kTolerance * long_ns / short_ns, 0.5, 1.0);
        const double next = (1 - kSmoothing) * limit + kSmoothing * (limit * gradient + kGrowth);
        limit_.store(std::clamp(next, kMinLimit, kMaxLimit), std::memory_order_relaxed);
    }

    std::atomic<double> limit_{kMinLimit};
    std::mutex mutex_;
    uint64_t window_end_ns_ = mcrpc::now_ns() + kWindowNs;
    uint64_t sum_ns_ = 0;
    uint32_t samples_ = 0;
    uint32_t highest_in_system_ = 0;
    uint32_t windows_ = 0;
    double long_ns_ = 0;
};

// libmcrpc's controller.
class Controlled : public Policy {
public:
    Controlled(uint32_t workers, uint32_t policy) {
        mcrpc::AdmissionConfig config;
        config.policy = policy;
        config.workers_per_queue = workers;
        size_t len = 0;
        must(config.memory_size(len), "memory_size");
        memory_ = mcrpc::Memory::heap(len);
        must(mcrpc::Admission::init(memory_, config, mcrpc::now_ns(), admission_), "init");
    }
    mcrpc::Status admit(const mcrpc::Header &header, uint64_t now_ns) override {
        // By the wall clock: all servers of the fleet have the users in the same order, a new one each hour.
        const auto hour = static_cast<uint32_t>(std::time(nullptr) / 3600);
        mcrpc::Request request;
        must(mcrpc::Request::from_header(header, framed::kSalt, hour, now_ns, request), "from_header");
        return admission_.admit(0, request, now_ns);
    }
    void lost() override { must(admission_.abandoned(0), "abandoned"); }
    mcrpc::Status started(const Job &job, uint64_t now_ns) override {
        return admission_.dequeued(0, job.admitted_ns, job.deadline_ns, now_ns);
    }
    void finished(const Job &, uint64_t started_ns, uint64_t now_ns) override {
        must(admission_.done(0, started_ns, now_ns), "done");
    }
    framed::Load load() override { return load_.load(); }
    void withheld(uint32_t count, uint32_t key) override { must(admission_.withheld(0, key, count), "withheld"); }

private:
    mcrpc::Memory memory_;
    mcrpc::Admission admission_;
    framed::LoadMeter load_{admission_, 0};
};

constexpr std::string_view kPolicies[] = {"none", "drop-tail", "gradient2", "pass-rate", "mcrpc"};

std::unique_ptr<Policy> make_policy(const Options &options) {
    const uint32_t queue_len = options.queue_len > 0 ? options.queue_len : (options.workers + 1) / 2;
    if (options.policy == "none") return std::make_unique<FixedLimit>(UINT32_MAX);
    if (options.policy == "drop-tail") return std::make_unique<FixedLimit>(options.workers + queue_len);
    if (options.policy == "gradient2") return std::make_unique<Gradient2>();
    const auto kind = options.policy == "pass-rate" ? MCRPC_POLICY_PASS_RATE : MCRPC_POLICY_FEED_FORWARD;
    return std::make_unique<Controlled>(options.workers, kind);
}

// ---- The server -----------------------------------------------------------------------------------------

class Server : public framed::FramedLoop {
public:
    Server(const Options &options, Policy &policy)
        : FramedLoop(self(options)), options_(options), policy_(policy), service_ns_(options.service_ns) {
        wake_by(answers_ready_);
        for (uint32_t i = 0; i < options.workers; ++i) workers_.emplace_back([this, i] { work(options_.seed + i); });
    }
    ~Server() override {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            is_closed_ = true;
        }
        jobs_ready_.notify_all();
        for (std::thread &worker : workers_) worker.join();
    }

private:
    static framed::Self self(const Options &options) {
        framed::Self self{"mcrpc.example.FleetBack"};
        self.limits.needs_checksum = options.checksums;
        self.max_unsent_len = 16u << 20;
        return self;
    }

    bool on_header(framed::Connection &from, const mcrpc::Header &header) override {
        ++received_;
        const mcrpc::Status status = policy_.admit(header, from.arrival_ns());
        if (!status.ok()) from.respond(header, status);
        return status.ok();
    }

    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view) override {
        const uint64_t admitted_ns = from.arrival_ns();
        const uint64_t deadline_ns = framed::deadline_ns(header, admitted_ns);
        const std::lock_guard<std::mutex> lock(mutex_);
        jobs_.push_back({from.id(), header, std::string(metadata.tags().bytes()), admitted_ns, deadline_ns, {}});
        jobs_ready_.notify_one();
    }

    void on_lost(framed::Connection &, const mcrpc::Header &) override { policy_.lost(); }
    void on_withheld(framed::Connection &, uint32_t count, uint32_t key) override { policy_.withheld(count, key); }
    framed::Load load() override { return policy_.load(); }

    // What each worker thread does.
    void work(uint64_t seed) {
        std::mt19937_64 random(seed);
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            jobs_ready_.wait(lock, [this] { return is_closed_ || !jobs_.empty(); });
            if (is_closed_) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            const uint64_t started_ns = mcrpc::now_ns();
            job.status = policy_.started(job, started_ns);
            if (job.status.ok()) {
                const mcrpc::Context context = framed::context_of(job.request, job.metadata, job.admitted_ns);
                const mcrpc::ContextScope scope(context);
                serve(started_ns, random);
                policy_.finished(job, started_ns, mcrpc::now_ns());
            }
            lock.lock();
            answers_.push_back(std::move(job));
            // For the others of a batch the IO thread has been woken already.
            if (answers_.size() == 1) eventfd_write(answers_ready_, 1);
        }
    }

    // The service itself waits for a backend, whose time varies as that of four steps in a row does.
    void serve(uint64_t started_ns, std::mt19937_64 &random) const {
        constexpr double kSteps = 4;
        std::gamma_distribution<double> time_ns(kSteps, static_cast<double>(service_ns_) / kSteps);
        const std::chrono::nanoseconds answered(started_ns + static_cast<uint64_t>(time_ns(random)));
        std::this_thread::sleep_until(std::chrono::steady_clock::time_point(answered));
    }

    void on_wake() override {
        // First the wakeup, then the answers: the other way round one put in between would go unnoticed.
        eventfd_t ignored = 0;
        eventfd_read(answers_ready_, &ignored);
        std::unique_lock<std::mutex> lock(mutex_);
        const std::vector<Job> answers = std::exchange(answers_, {});
        lock.unlock();
        for (const Job &job : answers) {
            respond(job.connection, job.request, job.status);
        }
    }

    void on_tick(uint64_t now_ns) override {
        if (!bucket_.ends(now_ns)) return;
        std::printf("bucket %" PRIu64 " received %u\n", bucket_.next(now_ns), received_);
        received_ = 0;
    }

    void on_signal(int signal) override {
        if (signal == SIGUSR1) service_ns_ = options_.slowed_ns;
        if (signal == SIGUSR2) service_ns_ = options_.service_ns;
    }

    const Options &options_;
    Policy &policy_;
    std::atomic<uint64_t> service_ns_;

    // Of the IO thread alone.
    framed::Bucket bucket_;
    uint32_t received_ = 0;

    // Of the IO thread and the workers.
    std::mutex mutex_;
    bool is_closed_ = false;
    std::deque<Job> jobs_;
    std::condition_variable jobs_ready_;
    std::vector<Job> answers_;
    const int answers_ready_ = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    std::vector<std::thread> workers_;
};

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: fleet_back [options]

  --policy NAME      none, drop-tail, gradient2, pass-rate or mcrpc (default mcrpc)
  --workers N        worker threads (default 8)
  --port P           port on 127.0.0.1 (default 0: the kernel chooses)
  --service-ms F     how long a request takes on average (default 32)
  --slowed-ms F      and in a brownout: from SIGUSR1 to SIGUSR2 (default 80)
  --queue N          places in the queue of drop-tail (default: half as many as workers)
  --seed N           of the times that requests take (default 1)
  --checksums        each frame has one, in both directions
  --die-with-parent  stop when the parent of this process ends

SIGTERM and SIGINT stop it.
)";

constexpr option kFlags[] = {
    {"policy", required_argument, nullptr, 'p'},     {"workers", required_argument, nullptr, 'w'},
    {"port", required_argument, nullptr, 'o'},       {"service-ms", required_argument, nullptr, 's'},
    {"slowed-ms", required_argument, nullptr, 'b'},  {"queue", required_argument, nullptr, 'q'},
    {"seed", required_argument, nullptr, 'r'},       {"die-with-parent", no_argument, nullptr, 'd'},
    {"checksums", no_argument, nullptr, 'k'},        {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0}};

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const auto value = [&](double min, double max) { return framed::number(kFlags[index].name, optarg, min, max); };
        switch (flag) {
        case 'p': options.policy = optarg; break;
        case 'w': options.workers = static_cast<uint32_t>(value(1, 1000)); break;
        case 'o': options.port = static_cast<uint16_t>(value(0, 65535)); break;
        case 's': options.service_ns = static_cast<uint64_t>(value(0, 10'000) * kMs); break;
        case 'b': options.slowed_ns = static_cast<uint64_t>(value(0, 10'000) * kMs); break;
        case 'q': options.queue_len = static_cast<uint32_t>(value(1, 10'000)); break;
        case 'r': options.seed = static_cast<uint64_t>(value(0, 1e15)); break;
        case 'k': options.checksums = true; break;
        case 'd': options.dies_with_parent = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) framed::reject("\"" + std::string(argv[optind]) + "\" is no option");
    if (std::find(std::begin(kPolicies), std::end(kPolicies), options.policy) == std::end(kPolicies)) {
        framed::reject("--policy needs none, drop-tail, gradient2, pass-rate or mcrpc, not \"" + options.policy + "\"");
    }
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();
    const Options options = parse_options(argc, argv);
    framed::prepare(options.dies_with_parent, parent);
    mcrpc::ContextScope::install();
    const std::unique_ptr<Policy> policy = make_policy(options);
    Server server(options, *policy);
    server.listen_on(options.port);
    server.run(10);
    return 0;
}
