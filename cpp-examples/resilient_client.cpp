// A client that outlives its servers: libmcrpc chooses the endpoint of each attempt, and learns from what it meets.
//
// The path of a call, in the order of the functions of Client:
//
//     work       a thread takes the next arrival of the open loop and waits for its moment; a call that starts late
//                because all threads are busy has less time, as its user would have
//     call       attempts, each at the endpoint that mcrpc::Attempt names, until one is answered or none is left
//     exchange   one request and its answer over a pooled connection, within the attempt's time; the request carries the
//                call's trace, the time that it began with, and what was withheld from its server
//
// What a connection does with frames is in framed_connection.hpp. A server that says goodbye is not called over that
// connection any more, which is no failure of it.
//
// The main thread does the housekeeping (tick() of the set five times per second, of the host once), and prints what
// became of the calls that arrived in each tenth of a second, as soon as their time is over:
//
//     bucket 81234500 calls 25 ok 24 refused 0 probes 1 attempts 9,8,9 failed 1,0,0 latency_us 2210,3105,...
//
// The number behind `bucket` is its start, in ms of CLOCK_MONOTONIC; attempts and failures are those of each endpoint.
//
// --protection says what stands between a fault and the users:
//
//     none       the user's endpoint, once
//     retries    up to three more attempts at other endpoints, whatever is known of them, and without a budget
//     process    shields and a budget of retries; the process knows what its own calls met
//     host       the same, with what all processes of the host and its agent know (--host)
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -pthread -Iinclude cpp-examples/resilient_client.cpp $LIB/libmcrpc.a -o client

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "framed_connection.hpp"

namespace {

// The fleet's secret, the same as its servers': a real one is configured.
constexpr uint64_t kSalt = 0x6d63'7270'6320'6578;
constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kBucketMs = 100;
constexpr uint32_t kAttempts = 4;
constexpr std::string_view kProtections[] = {"none", "retries", "process", "host"};
enum Protection : size_t { kNone, kRetries, kProcess, kHost };

// Where a server listens, and its place in the set.
struct Target {
    sockaddr_in address{};
    uint16_t zone = 0;
    uint16_t weight = 100;
};

struct Options {
    std::vector<Target> targets;
    size_t protection = kHost;
    const char *host = nullptr;
    uint32_t zone = 0;
    double rate = 250;
    uint64_t timeout_ns = 150 * kMs;
    uint64_t duration_ns = 10'000 * kMs;
    uint32_t threads = 32;
    uint64_t seed = 1;
    bool checksums = false;

    // Time for as many attempts as there may be.
    uint64_t deadline_ns() const { return kAttempts * timeout_ns; }
};

// Ends the program if the library did not take a call, which happens only if this program is wrong.
void must(mcrpc::Status status, const char *what) {
    if (!status.ok()) {
        std::fprintf(stderr, "resilient_client: %s: %s\n", what, status.text().data());
        std::abort();
    }
}

// What became of the calls that arrived in a tenth of a second, and of the attempts that began in it.
struct Bucket {
    uint32_t calls = 0;
    uint32_t ok = 0;
    uint32_t refused = 0;  // no attempt was made
    uint32_t probes = 0;
    std::vector<uint32_t> attempts;
    std::vector<uint32_t> failed;
    std::vector<uint64_t> latencies_us;  // of the calls that were answered
};

void print_list(const char *name, const std::vector<uint32_t> &numbers) {
    std::printf(" %s ", name);
    for (size_t i = 0; i < numbers.size(); ++i) std::printf("%s%u", i == 0 ? "" : ",", numbers[i]);
}

void print_bucket(uint64_t number, const Bucket &bucket) {
    std::printf("bucket %" PRIu64 " calls %u ok %u refused %u probes %u", number * kBucketMs, bucket.calls, bucket.ok,
                bucket.refused, bucket.probes);
    print_list("attempts", bucket.attempts);
    print_list("failed", bucket.failed);
    std::printf(" latency_us ");
    for (const uint64_t us : bucket.latencies_us) std::printf("%" PRIu64 ",", us);
    std::printf("\n");
}

// What a server answered.
struct Reply {
    int32_t status = MCRPC_OK;
    uint32_t cursor = MCRPC_CURSOR_OPEN;
    uint32_t hold_ms = 0;
};

// It always looks: that this thread was kept from running speaks against nobody else.
bool wait_for(int fd, short events, uint64_t until_ns) {
    const uint64_t now_ns = mcrpc::now_ns();
    const uint64_t left_ns = until_ns - std::min(now_ns, until_ns);
    pollfd waited{fd, events, 0};
    return poll(&waited, 1, static_cast<int>((left_ns + kMs - 1) / kMs)) > 0;
}

// A connection to a server, for one call at a time.
class Line : public framed::Handler {
public:
    Line(int fd, uint64_t id, const framed::Self &self) : connection_(fd, id, self, *this) { connection_.say_hello(); }

    mcrpc::Status call(const mcrpc::Header &request, const mcrpc::Metadata &metadata, uint64_t until_ns, Reply &reply) {
        call_id_ = request.call_id;
        is_answered_ = false;
        connection_.send(request, metadata);
        while (!is_answered_) {
            connection_.flush();
            // Who has said goodbye may leave without an answer.
            if (connection_.is_broken()) {
                return mcrpc::Status(connection_.peer().is_leaving ? MCRPC_GOING_AWAY : MCRPC_READ_FAILED);
            }
            const short events = connection_.is_idle() ? POLLIN : POLLIN | POLLOUT;
            if (!wait_for(connection_.fd(), events, until_ns)) return mcrpc::Status(MCRPC_TIMED_OUT);
            connection_.receive();
        }
        reply = reply_;
        return mcrpc::Status();
    }

    // Whether there can be another call. Hears first what the server has said while nobody asked.
    bool is_usable() {
        connection_.receive();
        connection_.flush();
        return !connection_.is_broken() && !connection_.peer().is_leaving;
    }

private:
    // This side serves nothing.
    bool on_header(framed::Connection &from, const mcrpc::Header &header) override {
        from.respond(header, mcrpc::Status(MCRPC_NO_SERVICE));
        return false;
    }

    // An answer to another call is that of one which was given up.
    void on_response(framed::Connection &, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                     std::string_view) override {
        if (header.call_id != call_id_) return;
        is_answered_ = true;
        reply_.status = header.status;
        reply_.cursor = header.cursor;
        reply_.hold_ms = metadata.reject_hold_ms > 0 ? metadata.reject_hold_ms : framed::kCursorHoldMs;
    }

    framed::Connection connection_;
    uint32_t call_id_ = 0;
    bool is_answered_ = true;
    Reply reply_{};
};

// Idle connections to one server.
struct Pool {
    std::mutex mutex;
    std::vector<std::unique_ptr<Line>> idle;
};

class Client {
public:
    Client(const Options &options, const mcrpc::Endpoints &endpoints, const mcrpc::Host &host)
        : options_(options), endpoints_(endpoints), host_(host), pools_(options.targets.size()), random_(options.seed) {
        self_.limits.needs_checksum = options.checksums;
        if (options.zone > 0) self_.zone = "zone-" + std::to_string(options.zone);
        next_arrival_ns_ = mcrpc::now_ns();
        end_ns_ = next_arrival_ns_ + options.duration_ns;
        next_bucket_ = next_arrival_ns_ / kMs / kBucketMs;
    }

    void run() {
        std::vector<std::thread> threads;
        for (; working_ < options_.threads; ++working_) threads.emplace_back([this] { work(); });
        for (uint64_t turn = 0; working_ > 0; ++turn) {
            std::this_thread::sleep_for(std::chrono::milliseconds(kBucketMs));
            const uint64_t now_ns = mcrpc::now_ns();
            if (turn % 2 == 0) must(endpoints_.tick(), "tick");
            if (turn % 2 == 0) close_unusable();
            // It fails while there is no host, which is no fault: calls pass then.
            if (turn % 10 == 0) static_cast<void>(host_.tick(now_ns));
            print_until(now_ns - options_.deadline_ns() - kBucketMs * kMs);
        }
        for (std::thread &thread : threads) thread.join();
        print_until(std::max(end_ns_, next_bucket_ * kBucketMs * kMs) + kBucketMs * kMs);
    }

private:
    static void sleep_until(uint64_t at_ns) {
        std::this_thread::sleep_until(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(at_ns)));
    }

    // Arrivals of a Poisson process: a slow server delays none of them.
    void work() {
        for (;;) {
            std::unique_lock<std::mutex> lock(arrivals_mutex_);
            next_arrival_ns_ += static_cast<uint64_t>(gap_s_(random_) * 1e9);
            const uint64_t arrival_ns = next_arrival_ns_;
            const uint64_t uin = random_() | 1;  // 0 would be nobody
            lock.unlock();
            if (arrival_ns >= end_ns_) break;
            sleep_until(arrival_ns);
            call(arrival_ns, uin);
        }
        --working_;
    }

    void call(uint64_t arrival_ns, uint64_t uin) {
        mcrpc::Call call;
        call.uin = uin;
        call.call_id = ++last_call_id_;
        call.deadline_ns = arrival_ns + options_.deadline_ns();
        const auto hour = static_cast<uint32_t>(std::time(nullptr) / 3600);
        call.key = mcrpc_key(kSalt, hour, uin, 0, 0);
        // No thread was free for so long that nobody waits any more.
        if (mcrpc::now_ns() >= call.deadline_ns) return count_call(arrival_ns, false, true);
        for (;;) {
            mcrpc::Attempt attempt(endpoints_, call);
            if (!attempt.status().ok()) return count_call(arrival_ns, false, call.attempts == 0);
            Reply reply;
            const uint64_t started_ns = mcrpc::now_ns();
            const mcrpc::Status sent = exchange(attempt, call, reply);
            if (sent == mcrpc::Status(MCRPC_OUT_OF_TIME)) {
                // Nothing was sent, which says nothing of the server.
                attempt.abandon();
                return count_call(arrival_ns, false, false);
            }
            if (sent.ok()) attempt.answered(reply.status, reply.cursor, reply.hold_ms);
            if (sent == mcrpc::Status(MCRPC_GOING_AWAY)) attempt.answered(sent.code());
            const bool is_ok = sent.ok() && reply.status == MCRPC_OK;
            count_attempt(started_ns, attempt, is_ok);
            const bool tries_again = attempt.is_retriable();
            // Without protection nothing is learnt from what an attempt met.
            if (options_.protection <= kRetries) attempt.abandon();
            if (!tries_again) return count_call(arrival_ns, is_ok, false);
        }
    }

    // One request and its answer. A connection that did not bring it is closed: the answer may come later.
    mcrpc::Status exchange(const mcrpc::Attempt &attempt, const mcrpc::Call &call, Reply &reply) {
        const size_t target = attempt.user_data();
        const uint64_t now_ns = mcrpc::now_ns();
        const uint64_t until_ns = std::min(now_ns + options_.timeout_ns, call.deadline_ns);
        std::unique_ptr<Line> line = take_idle(target);
        if (line == nullptr) line = connect_until(options_.targets[target].address, until_ns);
        if (line == nullptr) return mcrpc::Status(MCRPC_CONNECT_FAILED);
        mcrpc::Header request;
        request.kind = MCRPC_KIND_REQUEST;
        request.call_id = static_cast<uint32_t>(call.call_id);
        mcrpc::Metadata metadata;
        metadata.withheld_count = attempt.withheld_count();
        metadata.withheld_key = attempt.withheld_key();
        const mcrpc::Status status = context_of(call, until_ns).write(mcrpc::now_ns(), request, metadata);
        const mcrpc::Status answered = status.ok() ? line->call(request, metadata, until_ns, reply) : status;
        if (answered.ok() || !status.ok()) {
            const std::lock_guard<std::mutex> lock(pools_[target].mutex);
            pools_[target].idle.push_back(std::move(line));
        }
        return answered;
    }

    // The task begins here, and so do its trace and its time. Each attempt is a span of its own.
    mcrpc::Context context_of(const mcrpc::Call &call, uint64_t until_ns) const {
        mcrpc::Context context;
        context.uin = call.uin;
        context.deadline_ns = until_ns;
        context.attempt = static_cast<uint8_t>(call.attempts - 1);
        context.origin_budget_ms = static_cast<uint32_t>(options_.deadline_ns() / kMs);
        std::mt19937_64 random(options_.seed ^ call.call_id);
        fill(context.trace_id, random);
        random.discard(call.attempts);
        fill(context.span_id, random);
        return context;
    }

    template <size_t kLen>
    static void fill(uint8_t (&bytes)[kLen], std::mt19937_64 &random) {
        for (size_t i = 0; i < kLen; i += sizeof(uint64_t)) {
            const uint64_t number = random();
            std::memcpy(bytes + i, &number, sizeof number);
        }
    }

    // Null if there is none that can be used.
    std::unique_ptr<Line> take_idle(size_t target) {
        Pool &pool = pools_[target];
        const std::lock_guard<std::mutex> lock(pool.mutex);
        while (!pool.idle.empty()) {
            std::unique_ptr<Line> line = std::move(pool.idle.back());
            pool.idle.pop_back();
            if (line->is_usable()) return line;
        }
        return nullptr;
    }

    // A server that has said goodbye waits for nobody's next call.
    void close_unusable() {
        for (Pool &pool : pools_) {
            const std::lock_guard<std::mutex> lock(pool.mutex);
            const auto is_unusable = [](const std::unique_ptr<Line> &line) { return !line->is_usable(); };
            pool.idle.erase(std::remove_if(pool.idle.begin(), pool.idle.end(), is_unusable), pool.idle.end());
        }
    }

    std::unique_ptr<Line> connect_until(const sockaddr_in &address, uint64_t until_ns) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return nullptr;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        int error = 0;
        socklen_t len = sizeof error;
        const bool is_connected = connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0 ||
                                  (errno == EINPROGRESS && wait_for(fd, POLLOUT, until_ns) &&
                                   getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
        if (is_connected) return std::make_unique<Line>(fd, ++last_line_, self_);
        close(fd);
        return nullptr;
    }

    // With the counts' mutex held. What comes after its bucket was printed counts in the next one: nothing is lost.
    Bucket &bucket_at(uint64_t at_ns) {
        Bucket &bucket = buckets_[std::max(at_ns / kMs / kBucketMs, next_bucket_)];
        bucket.attempts.resize(options_.targets.size());
        bucket.failed.resize(options_.targets.size());
        return bucket;
    }

    void count_attempt(uint64_t started_ns, const mcrpc::Attempt &attempt, bool is_ok) {
        const std::lock_guard<std::mutex> lock(counts_mutex_);
        Bucket &bucket = bucket_at(started_ns);
        ++bucket.attempts[attempt.user_data()];
        bucket.failed[attempt.user_data()] += !is_ok;
        bucket.probes += attempt.is_probe();
    }

    void count_call(uint64_t arrival_ns, bool is_ok, bool is_refused) {
        const std::lock_guard<std::mutex> lock(counts_mutex_);
        Bucket &bucket = bucket_at(arrival_ns);
        ++bucket.calls;
        bucket.ok += is_ok;
        bucket.refused += is_refused;
        if (is_ok) bucket.latencies_us.push_back((mcrpc::now_ns() - arrival_ns) / 1000);
    }

    // In order, and all of them: one in which nothing happened is there as well.
    void print_until(uint64_t before_ns) {
        const std::lock_guard<std::mutex> lock(counts_mutex_);
        for (; (next_bucket_ + 1) * kBucketMs * kMs <= before_ns; ++next_bucket_) {
            print_bucket(next_bucket_, bucket_at(next_bucket_ * kBucketMs * kMs));
            buckets_.erase(next_bucket_);
        }
    }

    const Options &options_;
    const mcrpc::Endpoints endpoints_;
    const mcrpc::Host &host_;
    framed::Self self_{"mcrpc.example.ResilientClient"};
    std::deque<Pool> pools_;  // by the targets' numbers
    std::atomic<uint64_t> last_line_{0};
    uint64_t end_ns_ = 0;
    std::atomic<uint64_t> last_call_id_{0};
    std::atomic<uint32_t> working_{0};

    std::mutex arrivals_mutex_;
    uint64_t next_arrival_ns_ = 0;
    std::mt19937_64 random_;
    std::exponential_distribution<double> gap_s_{options_.rate};

    std::mutex counts_mutex_;
    std::map<uint64_t, Bucket> buckets_;
    uint64_t next_bucket_ = 0;
};

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: resilient_client --endpoints LIST [options]

  --endpoints LIST   IP:PORT[/ZONE[/WEIGHT]],... (zone 0, weight 100)
  --protection NAME  none, retries, process or host (default host)
  --host DIR         the shared segments of the host, usually in /run/mcrpc
  --zone N           stay in this zone as long as enough of its servers work (default: use all servers)
  --rate F           calls per second, arriving at random (default 250)
  --timeout-ms N     for one attempt; a call has four times as long (default 150)
  --duration F       seconds until it stops (default 10)
  --threads N        calls at the same time (default 32)
  --seed N           of arrivals, users and traces (default 1)
  --checksums        each frame has one, in both directions
)";

constexpr option kFlags[] = {
    {"endpoints", required_argument, nullptr, 'e'}, {"protection", required_argument, nullptr, 'p'},
    {"host", required_argument, nullptr, 'o'},      {"zone", required_argument, nullptr, 'z'},
    {"rate", required_argument, nullptr, 'r'},      {"timeout-ms", required_argument, nullptr, 't'},
    {"duration", required_argument, nullptr, 'd'},  {"threads", required_argument, nullptr, 'n'},
    {"seed", required_argument, nullptr, 's'},      {"checksums", no_argument, nullptr, 'k'},
    {"help", no_argument, nullptr, 'h'},            {nullptr, 0, nullptr, 0}};

[[noreturn]] void reject(const std::string &complaint) {
    std::fprintf(stderr, "resilient_client: %s; see --help\n", complaint.c_str());
    std::exit(2);
}

// The value of the option that getopt_long() found last.
double number(const char *name, double min, double max) {
    char *end = nullptr;
    const double value = std::strtod(optarg, &end);
    if (end != optarg && *end == '\0' && value >= min && value <= max) return value;
    reject("--" + std::string(name) + " does not take \"" + optarg + "\"");
}

std::vector<Target> parse_targets(const std::string &list) {
    std::vector<Target> targets;
    for (size_t from = 0; from <= list.size();) {
        const std::string item = list.substr(from, list.find(',', from) - from);
        from += item.size() + 1;
        char ip[16] = {};
        unsigned port = 0, zone = 0, weight = 100;
        int len = 0, zone_len = 0, weight_len = 0;
        Target target;
        std::sscanf(item.c_str(), "%15[0-9.]:%5u%n/%5u%n/%5u%n", ip, &port, &len, &zone, &zone_len, &weight, &weight_len);
        const auto used = static_cast<size_t>(std::max({len, zone_len, weight_len}));
        const bool valid = len > 0 && used == item.size() && port <= 65535 && zone <= 65535 && weight <= 10'000;
        if (!valid || inet_pton(AF_INET, ip, &target.address.sin_addr) != 1) {
            reject("--endpoints needs IP:PORT[/ZONE[/WEIGHT]], not \"" + item + "\"");
        }
        target.address.sin_family = AF_INET;
        target.address.sin_port = htons(static_cast<uint16_t>(port));
        target.zone = static_cast<uint16_t>(zone);
        target.weight = static_cast<uint16_t>(weight);
        targets.push_back(target);
    }
    return targets;
}

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const char *name = kFlags[index].name;
        switch (flag) {
        case 'e': options.targets = parse_targets(optarg); break;
        case 'p':
            options.protection = 0;
            while (options.protection <= kHost && kProtections[options.protection] != optarg) ++options.protection;
            if (options.protection <= kHost) break;
            reject("--protection needs none, retries, process or host, not \"" + std::string(optarg) + "\"");
        case 'o': options.host = optarg; break;
        case 'z': options.zone = static_cast<uint32_t>(number(name, 1, 65535)); break;
        case 'r': options.rate = number(name, 0.1, 100'000); break;
        case 't': options.timeout_ns = static_cast<uint64_t>(number(name, 1, 60'000)) * kMs; break;
        case 'd': options.duration_ns = static_cast<uint64_t>(number(name, 0.1, 1e6) * 1e9); break;
        case 'n': options.threads = static_cast<uint32_t>(number(name, 1, 10'000)); break;
        case 's': options.seed = static_cast<uint64_t>(number(name, 0, 1e15)); break;
        case 'k': options.checksums = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) reject("\"" + std::string(argv[optind]) + "\" is no option");
    if (options.targets.empty()) reject("--endpoints is missing");
    return options;
}

mcrpc::EndpointsConfig endpoints_config(const Options &options) {
    mcrpc::EndpointsConfig config;
    config.capacity = static_cast<uint32_t>(options.targets.size());
    config.scope = options.protection == kHost ? MCRPC_SCOPE_HOST : MCRPC_SCOPE_PROCESS;
    config.zone_strategy = options.zone == 0 ? MCRPC_ZONE_ANYWHERE : MCRPC_ZONE_FIRST;
    config.zone = options.zone;
    config.max_attempts = options.protection == kNone ? 1 : kAttempts;
    if (options.protection == kRetries) {
        config.retry_ratio_per_10k = 10'000;
        config.retry_burst = 65'535;
    }
    return config;
}

std::vector<mcrpc::EndpointSpec> endpoint_specs(const std::vector<Target> &targets) {
    std::vector<mcrpc::EndpointSpec> specs;
    for (const Target &target : targets) {
        uint8_t ip[4];
        std::memcpy(ip, &target.address.sin_addr, sizeof ip);
        mcrpc::EndpointSpec spec(mcrpc::Endpoint::v4(ip, ntohs(target.address.sin_port)), specs.size());
        spec.zone = target.zone;
        spec.weight = target.weight;
        specs.push_back(spec);
    }
    return specs;
}

}  // namespace

int main(int argc, char **argv) {
    const Options options = parse_options(argc, argv);
    std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
    prctl(PR_SET_TIMERSLACK, 1000);  // 1 us instead of 50: arrivals come when they should

    mcrpc::Host host;
    mcrpc::HostConfig host_config;
    host_config.set_name("resilient_client");
    must(host.open(options.protection == kHost ? options.host : nullptr, host_config, mcrpc::now_ns()), "host");

    const mcrpc::EndpointsConfig config = endpoints_config(options);
    size_t len = 0;
    must(config.memory_size(len), "memory_size");
    const mcrpc::Memory memory = mcrpc::Memory::heap(len);
    mcrpc::Endpoints endpoints;
    must(mcrpc::Endpoints::init(memory, config, &host, endpoints), "init");
    const std::vector<mcrpc::EndpointSpec> specs = endpoint_specs(options.targets);
    must(endpoints.replace(specs.data(), static_cast<uint32_t>(specs.size())), "replace");

    Client(options, endpoints, host).run();
    return 0;
}
