// A pool of connections to the instances of a Redis service, with hiredis. libmcrpc decides twice: which instance gets a call
// (Endpoints, Attempt), and whether a call may wait for a connection at all (Admission), when the instances have become slow.
//
// The program has many callers who look things up for users, a quarter of them important, and prints once in 200 ms, as a line of
// JSON, how they fared. It ends when its input does.
//
// Build it, with LIB the directory of the library (Debian: libhiredis-dev), and start it:
//
//     g++ -std=c++17 -O2 -pthread -Iinclude cpp-examples/adopt/redis_pool.cpp $LIB/libmcrpc.a -lhiredis -o redis_pool
//     ./redis_pool 6379 6380    the ports of the instances, on 127.0.0.1
//
// With MCRPC_DIR in its environment, usually /run/mcrpc, it joins the host: what it meets, all processes there know.

#include <hiredis/hiredis.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mcrpc.hpp>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr uint32_t kMode = MCRPC_MODE_ENFORCE;  // while the operator says nothing; to begin with, MCRPC_MODE_OBSERVE
constexpr int kCallers = 64;
constexpr uint32_t kConnections = 8;  // calls at once, to all instances together
constexpr uint64_t kBudgetNs = 200'000'000;
constexpr timeval kTimeout = {0, 100'000};  // of connecting, and of waiting for a reply
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kTick = std::chrono::milliseconds(200);

void check(mcrpc::Status status) {
    if (status.ok()) return;
    std::fprintf(stderr, "redis_pool: %s\n", status.text().data());
    std::abort();
}

struct Free {
    void operator()(redisContext *connection) const { redisFree(connection); }
    void operator()(redisReply *reply) const { freeReplyObject(reply); }
};
using Connection = std::unique_ptr<redisContext, Free>;
using Reply = std::unique_ptr<redisReply, Free>;

// ---- What hiredis says, in the library's terms ----------------------------------------------------------

// A connection that cannot be used any more.
int32_t status_of(const redisContext &connection) {
    const bool is_late = connection.err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
    return is_late ? MCRPC_TIMED_OUT : MCRPC_READ_FAILED;
}

// An answer, which may be an error: some are of the instance, and another one may do better.
int32_t status_of(const redisReply &reply) {
    if (reply.type != REDIS_REPLY_ERROR) return MCRPC_OK;
    const std::string_view text(reply.str, reply.len);
    const auto is = [text](std::string_view code) { return text.substr(0, text.find(' ')) == code; };
    if (text == "ERR max number of clients reached" || is("BUSY") || is("OOM")) return MCRPC_QUEUE_FULL;
    if (is("LOADING") || is("MASTERDOWN") || is("CLUSTERDOWN")) return MCRPC_CONNECT_FAILED;
    if (is("READONLY")) return MCRPC_WRITE_FAILED;
    return 1;  // the command is wrong: it would be so elsewhere
}

// ---- The pool -------------------------------------------------------------------------------------------

class Pool {
public:
    explicit Pool(const std::vector<uint16_t> &ports) : idle_(ports.size()), sent_(ports.size()), ports_(ports) {
        mcrpc::HostConfig host_config;
        host_config.set_name("redis_pool");
        check(host_.open(std::getenv("MCRPC_DIR"), host_config, mcrpc::now_ns()));

        mcrpc::AdmissionConfig admission_config;
        admission_config.mode = kMode;
        admission_config.workers_per_queue = kConnections;
        admission_memory_ = memory_for(admission_config);
        check(mcrpc::Admission::init(admission_memory_, admission_config, mcrpc::now_ns(), admission_));

        const mcrpc::EndpointsConfig config;
        endpoints_memory_ = memory_for(config);
        check(mcrpc::Endpoints::init(endpoints_memory_, config, &host_, endpoints_));
        std::vector<mcrpc::EndpointSpec> specs;
        for (size_t n = 0; n < ports.size(); ++n) {
            specs.emplace_back(mcrpc::Endpoint::v4({127, 0, 0, 1}, ports[n]), n);
        }
        check(endpoints_.replace(specs.data(), static_cast<uint32_t>(specs.size())));
    }

    // A command about a user that may be run twice. Returns a status of the library's list, or 1 if the command is wrong.
    int32_t call(uint64_t user, uint8_t priority, const char *command) {
        const uint64_t admitted_ns = mcrpc::now_ns();
        mcrpc::Request request;
        request.key = mcrpc_key(host_.salt(0), 0, user, priority, 0);
        request.deadline_ns = admitted_ns + kBudgetNs;
        mcrpc::Status verdict = admission_.admit(kQueue, request, admitted_ns);
        if (!verdict.ok()) return verdict.code();
        const std::lock_guard<Places> place(places_);
        const uint64_t started_ns = mcrpc::now_ns();
        verdict = admission_.dequeued(kQueue, admitted_ns, request.deadline_ns, started_ns);
        if (!verdict.ok()) return verdict.code();
        const mcrpc::Running running(admission_, kQueue, started_ns);

        mcrpc::Call call;
        call.uin = user;
        call.call_id = ++calls_;
        call.deadline_ns = request.deadline_ns;
        for (int32_t last = MCRPC_OK;;) {
            mcrpc::Attempt attempt(endpoints_, call);
            if (!attempt.status().ok()) return call.attempts > 0 ? last : attempt.status().code();
            last = send_to(attempt.user_data(), command);
            attempt.answered(last);
            if (!attempt.is_retriable()) return last;
        }
    }

    // Five times a second, by one thread.
    void keep_house() {
        const uint64_t now_ns = mcrpc::now_ns();
        check(endpoints_.tick());
        static_cast<void>(host_.tick(now_ns));
        check(host_.steer(admission_, kMode));
        static_cast<void>(host_.report_queue(admission_, kQueue, now_ns));
    }

    // For each instance, the commands sent to it since the last time, and its health.
    void print() {
        static constexpr const char *kStates[] = {"normal", "shielded", "due", "probing", "recovering"};
        std::printf("\"instances\":[");
        for (size_t n = 0; n < sent_.size(); ++n) {
            mcrpc::Health health;
            check(endpoints_.health(static_cast<uint32_t>(n), mcrpc::now_ns(), health));
            std::printf("%s{\"sent\":%" PRIu64 ",\"state\":\"%s\"}", n == 0 ? "" : ",", sent_[n].exchange(0),
                        kStates[std::min<uint32_t>(health.state, 4)]);
        }
        std::printf("]");
    }

private:
    static constexpr uint32_t kQueue = 0;

    // So many at a time; the others wait in turn.
    class Places {
    public:
        void lock() {
            std::unique_lock<std::mutex> lock(mutex_);
            const uint64_t ticket = next_++;
            changed_.wait(lock, [&] { return ticket < served_ + kConnections; });
        }
        void unlock() {
            const std::lock_guard<std::mutex> lock(mutex_);
            ++served_;
            changed_.notify_all();
        }

    private:
        std::mutex mutex_;
        std::condition_variable changed_;
        uint64_t next_ = 0;
        uint64_t served_ = 0;
    };

    template <typename Config>
    static mcrpc::Memory memory_for(const Config &config) {
        size_t len = 0;
        check(config.memory_size(len));
        return mcrpc::Memory::heap(len);
    }

    // A connection that failed is not used again, and all others to its instance have probably ended too.
    int32_t send_to(size_t instance, const char *command) {
        ++sent_[instance];
        Connection connection = take(instance);
        if (connection == nullptr) {
            connection.reset(redisConnectWithTimeout("127.0.0.1", ports_[instance], kTimeout));
            if (connection == nullptr || connection->err != 0) return MCRPC_CONNECT_FAILED;
            redisSetTimeout(connection.get(), kTimeout);
        }
        const Reply reply(static_cast<redisReply *>(redisCommand(connection.get(), command)));
        if (reply == nullptr) {
            const int32_t status = status_of(*connection);
            const std::lock_guard<std::mutex> lock(mutex_);
            idle_[instance].clear();
            return status;
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        idle_[instance].push_back(std::move(connection));
        return status_of(*reply);
    }

    Connection take(size_t instance) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (idle_[instance].empty()) return nullptr;
        Connection connection = std::move(idle_[instance].back());
        idle_[instance].pop_back();
        return connection;
    }

    mcrpc::Host host_;
    mcrpc::Memory admission_memory_;
    mcrpc::Memory endpoints_memory_;
    mcrpc::Admission admission_;
    mcrpc::Endpoints endpoints_;
    Places places_;
    std::mutex mutex_;
    std::vector<std::vector<Connection>> idle_;  // by instance
    std::vector<std::atomic<uint64_t>> sent_;
    std::atomic<uint64_t> calls_{0};
    const std::vector<uint16_t> ports_;
};

// ---- The callers ----------------------------------------------------------------------------------------

struct Counts {
    std::atomic<uint64_t> answered{0}, refused{0}, failed{0};

    void add(int32_t status) {
        if (status == MCRPC_OK) {
            ++answered;
        } else if (mcrpc_outcome_of(status) == MCRPC_OUTCOME_OVERLOADED) {
            ++refused;
        } else {
            ++failed;
        }
    }
    void print(const char *name) {
        std::printf("\"%s\":{\"answered\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"failed\":%" PRIu64 "},", name,
                    answered.exchange(0), refused.exchange(0), failed.exchange(0));
    }
};

bool has_input_ended() {
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    char byte = 0;
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

}  // namespace

int main(int argc, char **argv) {
    std::vector<uint16_t> ports;
    for (int n = 1; n < argc; ++n) ports.push_back(static_cast<uint16_t>(std::atoi(argv[n])));
    if (ports.empty()) return std::fprintf(stderr, "usage: redis_pool PORT...\n"), 2;
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);

    Pool pool(ports);
    Counts important, ordinary;
    std::atomic<bool> is_over{false};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
        callers.emplace_back([&, caller] {
            for (uint64_t user = static_cast<uint64_t>(caller); !is_over; user += kCallers) {
                const bool is_important = caller % 4 == 0;
                const std::string command = "GET user:" + std::to_string(user % 10'000);
                const int32_t status = pool.call(user, is_important ? 0 : 1, command.c_str());
                (is_important ? important : ordinary).add(status);
                std::this_thread::sleep_for(kPause);
            }
        });
    }
    while (!has_input_ended()) {
        std::this_thread::sleep_for(kTick);
        pool.keep_house();
        std::printf("{");
        important.print("important");
        ordinary.print("ordinary");
        pool.print();
        std::printf("}\n");
    }
    is_over = true;
    for (std::thread &caller : callers) caller.join();
    return 0;
}
