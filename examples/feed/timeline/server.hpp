// A server for skeletons that `mcrpc gen` has made: one thread for connections and admission, and worker threads that run the
// methods. What a connection does with frames is in cpp-examples/framed_connection.hpp, epoll in framed_loop.hpp.
//
//     on_header   may this request be taken? Nobody has looked at its body yet
//     on_request  it is whole: it waits for a worker
//     work        is there still time? Then it is dispatched, in the context of the request
//     on_wake     what the workers answered goes out
//
// SIGTERM: all callers are sent a go-away, what was taken is answered, and what still comes is refused, until they have hung up.

#ifndef FEED_SERVER_HPP
#define FEED_SERVER_HPP

#include <sys/eventfd.h>

#include <condition_variable>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../../../cpp-examples/framed_loop.hpp"

namespace feed {

using framed::kMs;
using framed::must;

class Server : public framed::FramedLoop {
public:
    // Runs a method: a skeleton's dispatch().
    using Dispatch = std::function<mcrpc::Status(uint32_t method_id, std::string_view payload, std::string &answer)>;

    Server(const std::string &name, uint32_t workers, const mcrpc::Host &host, Dispatch dispatch)
        : FramedLoop(self(name)), host_(host), dispatch_(std::move(dispatch)) {
        mcrpc::AdmissionConfig config;
        config.workers_per_queue = workers;
        size_t len = 0;
        must(config.memory_size(len), "memory_size");
        memory_ = mcrpc::Memory::heap(len);
        must(mcrpc::Admission::init(memory_, config, mcrpc::now_ns(), admission_), "init");
        wake_by(answers_ready_);
        for (uint32_t n = 0; n < workers; ++n) workers_.emplace_back([this] { work(); });
    }
    ~Server() override {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            is_closed_ = true;
        }
        jobs_ready_.notify_all();
        for (std::thread &worker : workers_) worker.join();
    }

    // Called about once a second by the thread that serves.
    std::function<void(uint64_t now_ns)> each_second = [](uint64_t) {};

private:
    // An admitted request, and what became of it.
    struct Job {
        ConnectionId connection;
        mcrpc::Header request;
        std::string metadata;
        std::string payload;
        uint64_t admitted_ns;
        mcrpc::Status status{};
        std::string answer{};
    };

    static framed::Self self(const std::string &name) {
        framed::Self self{name};
        self.drain_grace_ns = 1'000 * kMs;
        self.drain_limit_ns = 10'000 * kMs;
        return self;
    }

    bool on_header(framed::Connection &from, const mcrpc::Header &header) override {
        // All members of the fleet have the users in one order, another one each hour.
        const auto hour = static_cast<uint32_t>(std::time(nullptr) / 3600);
        mcrpc::Request request;
        must(mcrpc::Request::from_header(header, host_.salt(0), hour, from.arrival_ns(), request), "from_header");
        const mcrpc::Status status = admission_.admit(0, request, from.arrival_ns());
        if (!status.ok()) from.respond(header, status);
        return status.ok();
    }

    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view payload) override {
        Job job{from.id(), header, std::string(metadata.tags().bytes()), std::string(payload), from.arrival_ns()};
        const std::lock_guard<std::mutex> lock(mutex_);
        jobs_.push_back(std::move(job));
        jobs_ready_.notify_one();
    }

    void on_lost(framed::Connection &, const mcrpc::Header &) override { must(admission_.abandoned(0), "abandoned"); }
    void on_withheld(framed::Connection &, uint32_t count, uint32_t key) override {
        must(admission_.withheld(0, key, count), "withheld");
    }
    framed::Load load() override { return load_.load(); }

    // What each worker does.
    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            jobs_ready_.wait(lock, [this] { return is_closed_ || !jobs_.empty(); });
            if (is_closed_) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            const uint64_t started_ns = mcrpc::now_ns();
            const uint64_t deadline_ns = framed::deadline_ns(job.request, job.admitted_ns);
            job.status = admission_.dequeued(0, job.admitted_ns, deadline_ns, started_ns);
            if (job.status.ok()) {
                const mcrpc::Running running(admission_, 0, started_ns);
                const mcrpc::Context context = framed::context_of(job.request, job.metadata, job.admitted_ns);
                const mcrpc::ContextScope scope(context);
                job.status = dispatch_(job.request.method_id, job.payload, job.answer);
            }
            lock.lock();
            answers_.push_back(std::move(job));
            // For the others of a batch the IO thread has been woken already.
            if (answers_.size() == 1) eventfd_write(answers_ready_, 1);
        }
    }

    void on_wake() override {
        // First the wakeup, then the answers: the other way round one put in between would go unnoticed.
        eventfd_t ignored = 0;
        eventfd_read(answers_ready_, &ignored);
        std::unique_lock<std::mutex> lock(mutex_);
        const std::vector<Job> answers = std::exchange(answers_, {});
        lock.unlock();
        for (const Job &job : answers) respond(job.connection, job.request, job.status, job.answer);
    }

    void on_tick(uint64_t now_ns) override {
        if (now_ns - ticked_ns_ < 1'000 * kMs) return;
        ticked_ns_ = now_ns;
        // It fails where there is no agent: then everything goes on as it is set here.
        static_cast<void>(host_.tick(now_ns));
        static_cast<void>(host_.steer(admission_, MCRPC_MODE_ENFORCE));
        static_cast<void>(host_.report_queue(admission_, 0, now_ns));
        each_second(now_ns);
    }

    const mcrpc::Host &host_;
    const Dispatch dispatch_;
    mcrpc::Memory memory_{};
    mcrpc::Admission admission_{};
    framed::LoadMeter load_{admission_, 0};
    uint64_t ticked_ns_ = 0;

    // Of the IO thread and the workers.
    std::mutex mutex_{};
    bool is_closed_ = false;
    std::deque<Job> jobs_{};
    std::condition_variable jobs_ready_{};
    std::vector<Job> answers_{};
    const int answers_ready_ = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    std::vector<std::thread> workers_{};
};

}  // namespace feed

#endif
