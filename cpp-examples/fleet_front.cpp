// The front of a fleet of two tiers: each task it is given takes several calls to the servers behind it (fleet_back.cpp),
// one after the other, and is good only if all of them are answered in time. `mcrpc demo overload` runs it.
//
// One thread, many tasks in flight. The path of a task, in the order of the functions of Front:
//
//     on_request a request of a user becomes a task
//     attempt    the caller names a server for the task's next attempt, or says that none is worth it
//     depart     the request leaves when the network would have carried it (--network-us), with the context of the task:
//                its trace, what is left of its time, what the caller withheld
//     answered   a response of the back: the next call, the same call again elsewhere, or the end
//     on_tick    gives up the tasks whose time is over, and connects to servers that are back
//
// Every tenth of a second it prints how many executed calls the good tasks that ended in it had, and how many the failed ones;
// the number behind `bucket` is its start, in ms of CLOCK_MONOTONIC:
//
//     bucket 81234500 useful 74 wasted 3
//
// The callers, --caller NAME:
//
//     blind   a server at random, and after a refusal up to two others at once, whatever is known of them
//     mcrpc   mcrpc::Endpoints: the user's server; heeds the cursors that responses carry, has a budget of retries,
//             and tells the servers what it withheld
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -pthread -Iinclude cpp-examples/fleet_front.cpp $LIB/libmcrpc.a -o fleet_front

#include <arpa/inet.h>
#include <getopt.h>
#include <sys/timerfd.h>

#include <cinttypes>
#include <ctime>
#include <deque>
#include <memory>
#include <random>
#include <set>
#include <string_view>
#include <vector>

#include "framed_loop.hpp"

namespace {

using framed::kMs;
using framed::must;

constexpr uint64_t kTickMs = 5;
constexpr uint64_t kSlowTickMs = 200;

struct Options {
    std::vector<sockaddr_in> servers;
    std::string caller = "mcrpc";
    uint32_t calls = 2;
    uint32_t attempts = 3;
    uint16_t port = 0;
    uint64_t network_ns = 500'000;
    uint64_t seed = 1;
    bool checksums = false;
    bool dies_with_parent = false;
};

// A user's request and how far it is.
struct Task {
    uint64_t user;  // his connection
    mcrpc::Header request;
    std::string metadata;
    uint64_t arrival_ns;
    uint64_t deadline_ns;
    uint32_t calls_done = 0;
    // Of the call that is being made.
    mcrpc::Call call{};
    mcrpc_choice_t choice{};
    uint64_t attempt_started_ns = 0;
};

// ---- Callers --------------------------------------------------------------------------------------------

// Chooses servers, and learns from what attempts met.
class Caller {
public:
    virtual ~Caller() = default;
    // A new call of the task begins.
    virtual void begin(Task &task) = 0;
    // Sets the task's choice, whose user_data is the server's number. Not OK: no attempt is to be made.
    virtual mcrpc::Status choose(Task &task, uint64_t now_ns) = 0;
    // What the attempt met.
    virtual void answered(const Task &task, int32_t status, uint32_t cursor, uint32_t hold_ms, uint64_t now_ns) = 0;
    virtual void failed(const Task &task, uint64_t now_ns) = 0;
    // Whether it tells the servers which calls continue a task.
    virtual bool marks_tasks() const { return false; }
    virtual void tick() {}
};

class Blind : public Caller {
public:
    explicit Blind(const Options &options) : options_(options), random_(options.seed) {}

    void begin(Task &task) override {
        task.call.attempts = 0;
        task.choice.user_data = random_() % options_.servers.size();
    }
    mcrpc::Status choose(Task &task, uint64_t) override {
        if (task.call.attempts == options_.attempts) return mcrpc::Status(MCRPC_ATTEMPTS_EXHAUSTED);
        if (task.call.attempts++ > 0) task.choice.user_data = (task.choice.user_data + 1) % options_.servers.size();
        return mcrpc::Status();
    }
    void answered(const Task &, int32_t, uint32_t, uint32_t, uint64_t) override {}
    void failed(const Task &, uint64_t) override {}

private:
    const Options &options_;
    std::mt19937_64 random_;
};

class Informed : public Caller {
public:
    explicit Informed(const Options &options) {
        mcrpc::EndpointsConfig config;
        config.capacity = static_cast<uint32_t>(options.servers.size());
        config.scope = MCRPC_SCOPE_PROCESS;
        config.max_attempts = options.attempts;
        size_t len = 0;
        must(config.memory_size(len), "memory_size");
        memory_ = mcrpc::Memory::heap(len);
        must(mcrpc::Endpoints::init(memory_, config, nullptr, endpoints_), "init");
        std::vector<mcrpc::EndpointSpec> specs;
        for (const sockaddr_in &server : options.servers) {
            uint8_t ip[4];
            std::memcpy(ip, &server.sin_addr, sizeof ip);
            specs.emplace_back(mcrpc::Endpoint::v4(ip, ntohs(server.sin_port)), specs.size());
        }
        must(endpoints_.replace(specs.data(), static_cast<uint32_t>(specs.size())), "replace");
    }

    void begin(Task &task) override {
        task.call = mcrpc::Call();
        task.call.uin = task.request.uin;
        task.call.call_id = ++last_call_id_;
        task.call.deadline_ns = task.deadline_ns;
        const auto hour = static_cast<uint32_t>(std::time(nullptr) / 3600);
        task.call.key = mcrpc_key(framed::kSalt, hour, task.request.uin, 0, 0);
        task.call.continues_task = task.calls_done > 0;
    }
    mcrpc::Status choose(Task &task, uint64_t now_ns) override {
        return endpoints_.select(task.call, MCRPC_ATTEMPT_NEXT, now_ns, task.choice);
    }
    void answered(const Task &task, int32_t status, uint32_t cursor, uint32_t hold_ms, uint64_t now_ns) override {
        report(task, mcrpc_outcome_of(status), now_ns);
        must(endpoints_.heard(task.choice, cursor, hold_ms, now_ns), "heard");
    }
    void failed(const Task &task, uint64_t now_ns) override { report(task, MCRPC_OUTCOME_FAILED, now_ns); }
    bool marks_tasks() const override { return true; }
    void tick() override { must(endpoints_.tick(), "tick"); }

private:
    void report(const Task &task, uint32_t outcome, uint64_t now_ns) {
        must(endpoints_.report(task.choice, outcome, now_ns - task.attempt_started_ns, now_ns), "report");
    }

    mcrpc::Memory memory_;
    mcrpc::Endpoints endpoints_;
    uint64_t last_call_id_ = 0;
};

std::unique_ptr<Caller> make_caller(const Options &options) {
    if (options.caller == "blind") return std::make_unique<Blind>(options);
    return std::make_unique<Informed>(options);
}

// ---- The server -----------------------------------------------------------------------------------------

class Front : public framed::FramedLoop {
public:
    Front(const Options &options, Caller &caller)
        : FramedLoop(self(options)), options_(options), caller_(caller), spans_(options.seed) {
        servers_.resize(options.servers.size());
        wake_by(timer_);
    }

private:
    // The tasks by the id of the call that each waits for.
    using Tasks = std::unordered_map<uint32_t, Task>;
    static constexpr ConnectionId kUnconnected = 0;
    struct Server {
        ConnectionId connection = kUnconnected;
        bool is_leaving = false;  // it takes no new requests over this connection
        uint32_t open_calls = 0;
    };
    // A request on its way to a server.
    struct Departure {
        uint64_t at_ns;
        uint32_t call_id;
    };

    static framed::Self self(const Options &options) {
        framed::Self self{"mcrpc.example.FleetFront"};
        self.limits.needs_checksum = options.checksums;
        self.max_unsent_len = 16u << 20;
        return self;
    }

    bool on_header(framed::Connection &, const mcrpc::Header &) override { return true; }

    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view) override {
        const uint64_t now_ns = from.arrival_ns();
        const uint64_t deadline_ns = framed::deadline_ns(header, now_ns);
        Task task{from.id(), header, std::string(metadata.tags().bytes()), now_ns, deadline_ns};
        caller_.begin(task);
        attempt(std::move(task), MCRPC_OK, now_ns);
    }

    void on_response(framed::Connection &, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                     std::string_view) override {
        // Nobody waits for an answer that comes after its task was given up.
        const auto found = tasks_.find(header.call_id);
        if (found == tasks_.end()) {
            wasted_ += header.status == MCRPC_OK;
            return;
        }
        const uint32_t hold_ms = metadata.reject_hold_ms > 0 ? metadata.reject_hold_ms : framed::kCursorHoldMs;
        answered(take(found), header, hold_ms);
    }

    // A server that is closing down is no failure: it answers what it has, and is called no more.
    void on_go_away(framed::Connection &from) override {
        for (Server &server : servers_) {
            if (server.connection == from.id()) server.is_leaving = true;
        }
        close_unused();
    }

    // Makes an attempt, if there is one to be made. `last` is what the one before met.
    void attempt(Task task, int32_t last, uint64_t now_ns) {
        const mcrpc::Status status = caller_.choose(task, now_ns);
        // Why no other attempt is made matters less than why the last one failed.
        if (!status.ok()) return finish(task, last == MCRPC_OK ? status.code() : last);
        task.attempt_started_ns = now_ns;
        Server &server = servers_[task.choice.user_data];
        if (server.connection == kUnconnected) {
            caller_.failed(task, now_ns);
            return attempt(std::move(task), MCRPC_CONNECT_FAILED, now_ns);
        }
        if (server.is_leaving) {
            caller_.answered(task, MCRPC_GOING_AWAY, MCRPC_CURSOR_OPEN, 0, now_ns);
            return attempt(std::move(task), MCRPC_GOING_AWAY, now_ns);
        }
        const uint64_t departure_ns = now_ns + options_.network_ns;
        const uint32_t call_id = ++last_call_id_;
        ++server.open_calls;
        if (departures_.empty()) set_timer(departure_ns);
        departures_.push_back({departure_ns, call_id});
        deadlines_.emplace(task.deadline_ns, call_id);
        tasks_.emplace(call_id, std::move(task));
    }

    // On one machine a server's answer and the next request it causes are some 50 us apart, so that the caller who has just
    // been answered would get the worker who has just become free. Between machines others come first: a round trip of the
    // network lies between the two, and here before each request.
    void on_wake() override {
        uint64_t ignored = 0;
        static_cast<void>(read(timer_, &ignored, sizeof ignored));
        const uint64_t now_ns = mcrpc::now_ns();
        while (!departures_.empty() && departures_.front().at_ns <= now_ns) {
            const Departure departure = departures_.front();
            departures_.pop_front();
            const auto waiting = tasks_.find(departure.call_id);
            if (waiting != tasks_.end()) depart(waiting, departure.at_ns);
        }
        if (!departures_.empty()) set_timer(departures_.front().at_ns);
    }

    // The request is made on behalf of the user's: it carries his context, from a span of its own.
    void depart(Tasks::iterator waiting, uint64_t now_ns) {
        const Task &task = waiting->second;
        mcrpc::Context context = framed::context_of(task.request, task.metadata, task.arrival_ns);
        if (context.origin_budget_ms == 0 && task.request.budget_ms != UINT32_MAX) {
            context.origin_budget_ms = task.request.budget_ms;
        }
        if (std::all_of(std::begin(context.trace_id), std::end(context.trace_id), [](uint8_t byte) { return byte == 0; })) {
            fill(context.trace_id);
        }
        uint8_t span[sizeof context.span_id];
        fill(span);
        must(context.onward(span, context), "onward");
        context.attempt = static_cast<uint8_t>(std::min<uint32_t>(task.call.attempts - 1, 3));
        if (caller_.marks_tasks() && task.calls_done > 0) context.flags |= MCRPC_CONTEXT_CONTINUES_TASK;
        mcrpc::Header request;
        request.kind = MCRPC_KIND_REQUEST;
        request.call_id = waiting->first;
        mcrpc::Metadata metadata;
        metadata.withheld_count = task.choice.withheld_count;
        metadata.withheld_key = task.choice.withheld_key;
        // Out of time: that says nothing of the server.
        if (!context.write(now_ns, request, metadata).ok()) return finish(take(waiting), MCRPC_OUT_OF_TIME);
        framed::Connection *const connection = at(servers_[task.choice.user_data].connection);
        if (connection != nullptr) connection->send(request, metadata);
    }

    template <size_t kLen>
    void fill(uint8_t (&bytes)[kLen]) {
        for (uint8_t &byte : bytes) byte = static_cast<uint8_t>(spans_());
    }

    void set_timer(uint64_t at_ns) {
        itimerspec when{};
        when.it_value.tv_sec = static_cast<time_t>(at_ns / 1'000'000'000);
        when.it_value.tv_nsec = static_cast<long>(at_ns % 1'000'000'000);
        must(timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr), "timerfd_settime");
    }

    void answered(Task task, const mcrpc::Header &response, uint32_t hold_ms) {
        const uint64_t now_ns = mcrpc::now_ns();
        caller_.answered(task, response.status, response.cursor, hold_ms, now_ns);
        if (response.status != MCRPC_OK) {
            const bool tries_again = mcrpc_outcome_is_retriable(mcrpc_outcome_of(response.status)) != 0;
            return tries_again && now_ns < task.deadline_ns ? attempt(std::move(task), response.status, now_ns)
                                                            : finish(task, response.status);
        }
        if (++task.calls_done == options_.calls) return finish(task, MCRPC_OK);
        caller_.begin(task);
        attempt(std::move(task), MCRPC_OK, now_ns);
    }

    void finish(const Task &task, int32_t status) {
        (status == MCRPC_OK ? useful_ : wasted_) += task.calls_done;
        respond(task.user, task.request, mcrpc::Status(status));
    }

    void on_tick(uint64_t now_ns) override {
        if (bucket_.ends(now_ns)) {
            std::printf("bucket %" PRIu64 " useful %u wasted %u\n", bucket_.next(now_ns), useful_, wasted_);
            useful_ = wasted_ = 0;
        }
        while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
            const Task task = take(tasks_.find(deadlines_.begin()->second));
            caller_.failed(task, now_ns);
            finish(task, MCRPC_TIMED_OUT);
        }
        if (now_ns - ticked_ns_ < kSlowTickMs * kMs) return;
        ticked_ns_ = now_ns;
        caller_.tick();
        for (size_t i = 0; i < servers_.size(); ++i) {
            if (servers_[i].connection == kUnconnected) servers_[i].connection = connect_to(options_.servers[i]);
        }
        close_unused();
    }

    // A connection to a server that is closing down goes when its last call is answered.
    void close_unused() {
        for (const Server &server : servers_) {
            if (!server.is_leaving || server.open_calls > 0) continue;
            if (framed::Connection *const connection = at(server.connection)) connection->break_off();
        }
    }

    // A user's connection needs no care: its tasks go on, and their ends find nobody.
    void on_closed(ConnectionId connection) override {
        const auto lost = std::find_if(servers_.begin(), servers_.end(),
                                       [connection](const Server &server) { return server.connection == connection; });
        if (lost == servers_.end()) return;
        const auto server = static_cast<size_t>(lost - servers_.begin());
        *lost = Server();
        std::vector<uint32_t> waiting;
        for (const auto &[id, task] : tasks_) {
            if (task.choice.user_data == server) waiting.push_back(id);
        }
        const uint64_t now_ns = mcrpc::now_ns();
        for (const uint32_t id : waiting) {
            Task task = take(tasks_.find(id));
            caller_.failed(task, now_ns);
            attempt(std::move(task), MCRPC_READ_FAILED, now_ns);
        }
    }

    Task take(Tasks::iterator at) {
        Task task = std::move(at->second);
        deadlines_.erase({task.deadline_ns, at->first});
        tasks_.erase(at);
        // The calls of a connection that is gone count no more.
        uint32_t &open_calls = servers_[task.choice.user_data].open_calls;
        open_calls -= open_calls > 0;
        return task;
    }

    const Options &options_;
    Caller &caller_;
    std::vector<Server> servers_;
    Tasks tasks_;
    std::mt19937_64 spans_;
    std::deque<Departure> departures_;  // the same way for all, so the first to set out is the first to arrive
    const int timer_ = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create");
    std::set<std::pair<uint64_t, uint32_t>> deadlines_;  // of the calls in tasks_
    uint32_t last_call_id_ = 0;
    uint64_t ticked_ns_ = 0;

    framed::Bucket bucket_;
    uint32_t useful_ = 0;
    uint32_t wasted_ = 0;
};

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: fleet_front --servers LIST [options]

  --servers LIST     IP:PORT,... of the servers behind this one
  --caller NAME      blind or mcrpc (default mcrpc)
  --calls N          calls of a task, one after the other (default 2)
  --attempts N       attempts of a call, each at another server (1 to 8; default 3)
  --network-us F     a round trip of the network to the servers (0 to 100000; default 500)
  --port P           port on 127.0.0.1 (default 0: the kernel chooses)
  --seed N           of the choices of blind, and of traces (default 1)
  --checksums        each frame has one, in both directions
  --die-with-parent  stop when the parent of this process ends

SIGTERM and SIGINT stop it.
)";

constexpr option kFlags[] = {
    {"servers", required_argument, nullptr, 's'},  {"caller", required_argument, nullptr, 'c'},
    {"calls", required_argument, nullptr, 'n'},    {"attempts", required_argument, nullptr, 'a'},
    {"network-us", required_argument, nullptr, 'u'},
    {"port", required_argument, nullptr, 'o'},     {"seed", required_argument, nullptr, 'r'},
    {"checksums", no_argument, nullptr, 'k'},
    {"die-with-parent", no_argument, nullptr, 'd'}, {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0}};

std::vector<sockaddr_in> parse_servers(const std::string &list) {
    std::vector<sockaddr_in> servers;
    for (size_t from = 0; from < list.size();) {
        const size_t end = std::min(list.find(',', from), list.size());
        const std::string text = list.substr(from, end - from);
        from = end + 1;
        const size_t colon = text.find(':');
        sockaddr_in server{};
        server.sin_family = AF_INET;
        const bool has_port = colon != std::string::npos;
        const unsigned long port = has_port ? std::strtoul(text.c_str() + colon + 1, nullptr, 10) : 0;
        server.sin_port = htons(static_cast<uint16_t>(port));
        const bool has_ip = inet_pton(AF_INET, text.substr(0, colon).c_str(), &server.sin_addr) == 1;
        if (!has_ip || port < 1 || port > 65535) framed::reject("--servers needs IP:PORT,..., not \"" + text + "\"");
        servers.push_back(server);
    }
    return servers;
}

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const auto value = [&](double min, double max) { return framed::number(kFlags[index].name, optarg, min, max); };
        switch (flag) {
        case 's': options.servers = parse_servers(optarg); break;
        case 'c': options.caller = optarg; break;
        case 'n': options.calls = static_cast<uint32_t>(value(1, 100)); break;
        case 'a': options.attempts = static_cast<uint32_t>(value(1, 8)); break;
        case 'o': options.port = static_cast<uint16_t>(value(0, 65535)); break;
        case 'u': options.network_ns = static_cast<uint64_t>(value(0, 100'000) * 1e3); break;
        case 'r': options.seed = static_cast<uint64_t>(value(0, 1e15)); break;
        case 'k': options.checksums = true; break;
        case 'd': options.dies_with_parent = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) framed::reject("\"" + std::string(argv[optind]) + "\" is no option");
    if (options.servers.empty()) framed::reject("--servers is missing");
    if (options.caller != "blind" && options.caller != "mcrpc") {
        framed::reject("--caller needs blind or mcrpc, not \"" + options.caller + "\"");
    }
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();
    const Options options = parse_options(argc, argv);
    framed::prepare(options.dies_with_parent, parent);
    const std::unique_ptr<Caller> caller = make_caller(options);
    Front front(options, *caller);
    front.listen_on(options.port);
    front.run(kTickMs);
    return 0;
}
