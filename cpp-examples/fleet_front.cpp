// The front of a fleet of two tiers: each task it is given takes several calls to the servers behind it (fleet_back.cpp),
// one after the other, and is good only if all of them are answered in time. `mcrpc demo overload` runs it.
//
// One thread, many tasks in flight. The path of a task, in the order of the functions of Front:
//
//     on_frame   a request of a user becomes a task; a response of the back goes to the task that waits for it
//     attempt    the caller names a server for the task's next attempt, or says that none is worth it; the request leaves
//                when the network would have carried it (--network-us)
//     answered   the next call, the same call again elsewhere, or the end
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
#include <map>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "framed_loop.hpp"

namespace {

using fleet::kMs;
using fleet::must;

constexpr uint32_t kCursorHoldMs = 300;
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
    bool dies_with_parent = false;
};

// A user's request and how far it is.
struct Task {
    uint64_t user;  // his connection
    mcrpc::Header request;
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
    virtual void answered(const Task &task, int32_t status, uint32_t cursor, uint64_t now_ns) = 0;
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
    void answered(const Task &, int32_t, uint32_t, uint64_t) override {}
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
        task.call.key = mcrpc_key(fleet::kSalt, hour, task.request.uin, 0, 0);
        task.call.continues_task = task.calls_done > 0;
    }
    mcrpc::Status choose(Task &task, uint64_t now_ns) override {
        return endpoints_.select(task.call, MCRPC_ATTEMPT_NEXT, now_ns, task.choice);
    }
    void answered(const Task &task, int32_t status, uint32_t cursor, uint64_t now_ns) override {
        report(task, mcrpc_outcome_of(status), now_ns);
        must(endpoints_.heard(task.choice, cursor, kCursorHoldMs, now_ns), "heard");
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

class Front : public fleet::FramedLoop {
public:
    Front(const Options &options, Caller &caller) : options_(options), caller_(caller) {
        servers_.resize(options.servers.size(), kUnconnected);
        wake_by(timer_);
    }

private:
    // The tasks by the id of the call that each waits for.
    using Tasks = std::unordered_map<uint32_t, Task>;
    static constexpr ConnectionId kUnconnected = 0;
    // A request on its way to a server.
    struct Departure {
        uint64_t at_ns;
        size_t server;
        mcrpc::Header request;
        std::string body;
    };

    void on_frame(ConnectionId from, const mcrpc::Header &header, const std::string &) override {
        const uint64_t now_ns = mcrpc::now_ns();
        if (header.kind == MCRPC_KIND_REQUEST) {
            Task task{from, header, now_ns + header.budget_ms * kMs};
            caller_.begin(task);
            attempt(std::move(task), MCRPC_OK, now_ns);
        } else if (header.kind == MCRPC_KIND_RESPONSE) {
            // Nobody waits for an answer that comes after its task was given up.
            const auto found = tasks_.find(header.call_id);
            if (found != tasks_.end()) return answered(take(found), header, now_ns);
            wasted_ += header.status == MCRPC_OK;
        }
    }

    // Makes an attempt, if there is one to be made. `last` is what the one before met.
    void attempt(Task task, int32_t last, uint64_t now_ns) {
        const mcrpc::Status status = caller_.choose(task, now_ns);
        // Why no other attempt is made matters less than why the last one failed.
        if (!status.ok()) return finish(task, last == MCRPC_OK ? status.code() : last);
        task.attempt_started_ns = now_ns;
        if (servers_[task.choice.user_data] == kUnconnected) {
            caller_.failed(task, now_ns);
            return attempt(std::move(task), MCRPC_CONNECT_FAILED, now_ns);
        }
        const uint64_t departure_ns = now_ns + options_.network_ns;
        const uint64_t left_ns = task.deadline_ns - std::min(task.deadline_ns, departure_ns);
        mcrpc::Header request;
        request.kind = MCRPC_KIND_REQUEST;
        request.call_id = ++last_call_id_;
        request.uin = task.request.uin;
        request.budget_ms = static_cast<uint32_t>(left_ns / kMs);
        const bool continues = caller_.marks_tasks() && task.calls_done > 0;
        request.flags = MCRPC_FLAGS_WITH_ATTEMPT(continues ? MCRPC_FLAG_CONTINUES_TASK : 0, task.call.attempts - 1);
        if (departures_.empty()) set_timer(departure_ns);
        departures_.push_back({departure_ns, task.choice.user_data, request, withheld(task.choice)});
        deadlines_.emplace(task.deadline_ns, request.call_id);
        tasks_.emplace(request.call_id, std::move(task));
    }

    // On one machine a server's answer and the next request it causes are some 50 us apart, so that the caller who has just
    // been answered would get the worker who has just become free. Between machines others come first: a round trip of the
    // network lies between the two, and here before each request.
    void on_wake() override {
        uint64_t ignored = 0;
        static_cast<void>(read(timer_, &ignored, sizeof ignored));
        const uint64_t now_ns = mcrpc::now_ns();
        while (!departures_.empty() && departures_.front().at_ns <= now_ns) {
            const Departure &departure = departures_.front();
            const bool is_awaited = tasks_.count(departure.request.call_id) > 0;
            if (is_awaited) send(servers_[departure.server], departure.request, departure.body);
            departures_.pop_front();
        }
        if (!departures_.empty()) set_timer(departures_.front().at_ns);
    }

    void set_timer(uint64_t at_ns) {
        itimerspec when{};
        when.it_value.tv_sec = static_cast<time_t>(at_ns / 1'000'000'000);
        when.it_value.tv_nsec = static_cast<long>(at_ns % 1'000'000'000);
        must(timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr), "timerfd_settime");
    }

    // The wire format has no field yet for what a caller withheld: in this fleet it is the body of a request, a count and
    // a key of four bytes each, little endian.
    static std::string withheld(const mcrpc_choice_t &choice) {
        std::string body;
        if (choice.withheld_count == 0) return body;
        for (const uint32_t number : {choice.withheld_count, choice.withheld_key}) {
            for (int bits = 0; bits < 32; bits += 8) body.push_back(static_cast<char>(number >> bits));
        }
        return body;
    }

    void answered(Task task, const mcrpc::Header &response, uint64_t now_ns) {
        caller_.answered(task, response.status, response.cursor, now_ns);
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
        respond(task.user, task.request, status, MCRPC_CURSOR_OPEN);
    }

    void on_tick(uint64_t now_ns) override {
        if (bucket_.ends(now_ns)) {
            std::printf("bucket %" PRIu64 " useful %u wasted %u\n", bucket_.next(now_ns), useful_, wasted_);
            useful_ = wasted_ = 0;
        }
        while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
            const auto found = tasks_.find(deadlines_.begin()->second);
            deadlines_.erase(deadlines_.begin());
            if (found == tasks_.end()) continue;
            const Task task = take(found);
            caller_.failed(task, now_ns);
            finish(task, MCRPC_TIMED_OUT);
        }
        if (now_ns - ticked_ns_ < kSlowTickMs * kMs) return;
        ticked_ns_ = now_ns;
        caller_.tick();
        for (size_t i = 0; i < servers_.size(); ++i) {
            if (servers_[i] == kUnconnected) servers_[i] = connect_to(options_.servers[i]);
        }
    }

    // A user's connection needs no care: its tasks go on, and their ends find nobody.
    void on_closed(ConnectionId connection) override {
        const auto lost = std::find(servers_.begin(), servers_.end(), connection);
        if (lost == servers_.end()) return;
        const auto server = static_cast<size_t>(lost - servers_.begin());
        *lost = kUnconnected;
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
        tasks_.erase(at);
        return task;
    }

    const Options &options_;
    Caller &caller_;
    std::vector<ConnectionId> servers_;
    Tasks tasks_;
    std::deque<Departure> departures_;  // the same way for all, so the first to set out is the first to arrive
    const int timer_ = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create");
    std::multimap<uint64_t, uint32_t> deadlines_;  // calls; those that were answered are still there
    uint32_t last_call_id_ = 0;
    uint64_t ticked_ns_ = 0;

    fleet::Bucket bucket_;
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
  --seed N           of the choices of blind (default 1)
  --die-with-parent  stop when the parent of this process ends

SIGTERM and SIGINT stop it.
)";

constexpr option kFlags[] = {
    {"servers", required_argument, nullptr, 's'},  {"caller", required_argument, nullptr, 'c'},
    {"calls", required_argument, nullptr, 'n'},    {"attempts", required_argument, nullptr, 'a'},
    {"network-us", required_argument, nullptr, 'u'},
    {"port", required_argument, nullptr, 'o'},     {"seed", required_argument, nullptr, 'r'},
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
        if (!has_ip || port < 1 || port > 65535) fleet::reject("--servers needs IP:PORT,..., not \"" + text + "\"");
        servers.push_back(server);
    }
    return servers;
}

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const auto value = [&](double min, double max) { return fleet::number(kFlags[index].name, optarg, min, max); };
        switch (flag) {
        case 's': options.servers = parse_servers(optarg); break;
        case 'c': options.caller = optarg; break;
        case 'n': options.calls = static_cast<uint32_t>(value(1, 100)); break;
        case 'a': options.attempts = static_cast<uint32_t>(value(1, 8)); break;
        case 'o': options.port = static_cast<uint16_t>(value(0, 65535)); break;
        case 'u': options.network_ns = static_cast<uint64_t>(value(0, 100'000) * 1e3); break;
        case 'r': options.seed = static_cast<uint64_t>(value(0, 1e15)); break;
        case 'd': options.dies_with_parent = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) fleet::reject("\"" + std::string(argv[optind]) + "\" is no option");
    if (options.servers.empty()) fleet::reject("--servers is missing");
    if (options.caller != "blind" && options.caller != "mcrpc") {
        fleet::reject("--caller needs blind or mcrpc, not \"" + options.caller + "\"");
    }
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();
    const Options options = parse_options(argc, argv);
    fleet::prepare(options.dies_with_parent, parent);
    const std::unique_ptr<Caller> caller = make_caller(options);
    Front front(options, *caller);
    front.listen_on(options.port);
    front.run(kTickMs);
    return 0;
}
