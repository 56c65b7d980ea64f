#include "mcrpc_load_balancer.h"

#include <brpc/controller.h>
#include <brpc/errno.pb.h>
#include <brpc/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <new>
#include <set>
#include <utility>

namespace mcrpc_brpc {

namespace {

constexpr std::uint64_t HOUSEKEEPING_NS = 200'000'000;
constexpr int MOST_PASSED_OVER = 16;
// The codes of brpc begin here; those below are the system's.
constexpr int FIRST_OF_BRPC = brpc::ENOSERVICE;

// The tag of a server is its weight, as for brpc's own weighted balancers.
std::uint16_t weight_of(const std::string &tag) {
    std::uint16_t weight = 0;
    const char *end = tag.data() + tag.size();
    const auto [last, error] = std::from_chars(tag.data(), end, weight);
    return error == std::errc() && last == end && weight <= 10000 ? weight : 100;
}

// What brpc does with a failure to select: a code that it does not retry ends the call.
int code_of(std::int32_t status) {
    switch (status) {
        case MCRPC_SHIELDED:
        case MCRPC_BUCKET_FULL:
            return EHOSTDOWN;
        case MCRPC_OUT_OF_TIME:
            return brpc::ERPCTIMEDOUT;
        default:
            return brpc::EREJECT;
    }
}

}  // namespace

int outcome_of(int error_code, bool client_timed_out) {
    switch (error_code) {
        // The caller, or the other one of two attempts, was faster; nothing was sent.
        case ECANCELED:
        case brpc::EBACKUPREQUEST:
        case brpc::EUNUSED:
        case brpc::EH2RUNOUTSTREAMS:
            return -1;
        case brpc::EREJECT:
            return MCRPC_OUTCOME_OVERLOADED;
        case brpc::ERPCTIMEDOUT:
            if (client_timed_out) return MCRPC_OUTCOME_FAILED;
            break;
        case brpc::EFAILEDSOCKET:
        case brpc::EEOF:
        case brpc::ESSL:
        case brpc::ECLOSE:
            return MCRPC_OUTCOME_FAILED;
        default:
            break;
    }
    if (error_code > 0 && error_code < FIRST_OF_BRPC) return MCRPC_OUTCOME_FAILED;
    return static_cast<int>(mcrpc_outcome_of(mcrpc_baidu_status_of(error_code)));
}

LoadBalancer::LoadBalancer(const Options &options) : options_(options) {
    std::size_t len = 0;
    if (!options_.endpoints.memory_size(len).ok()) return;
    memory_ = mcrpc::Memory::heap(len);
    // If it fails, the set answers "not initialised" to everything, and New() says so to brpc.
    static_cast<void>(mcrpc::Endpoints::init(memory_, options_.endpoints, options_.host, endpoints_));
}

LoadBalancer *LoadBalancer::New(const butil::StringPiece &) const {
    auto *made = new (std::nothrow) LoadBalancer(options_);
    if (made != nullptr && !made->put_in_force({})) {
        delete made;
        return nullptr;
    }
    return made;
}

bool LoadBalancer::put_in_force(const std::vector<brpc::ServerId> &servers) {
    std::vector<brpc::ServerId> kept;
    std::vector<mcrpc::EndpointSpec> specs;
    std::set<std::pair<std::uint32_t, int>> seen;
    for (const brpc::ServerId &server : servers) {
        brpc::SocketUniquePtr socket;
        // Also one that is down now: brpc goes on trying to connect to it.
        if (brpc::Socket::AddressFailedAsWell(server.id, &socket) < 0) continue;
        const butil::EndPoint where = socket->remote_side();
        if (where.port <= 0 || where.port > UINT16_MAX || !seen.emplace(where.ip.s_addr, where.port).second) continue;
        mcrpc::Endpoint endpoint;
        const auto *ipv4 = reinterpret_cast<const std::uint8_t *>(&where.ip.s_addr);
        mcrpc_endpoint_v4(ipv4, static_cast<std::uint16_t>(where.port), options_.service_id, &endpoint);
        specs.emplace_back(endpoint, server.id).weight = weight_of(server.tag);
        kept.push_back(server);
    }
    if (!endpoints_.replace(specs.data(), static_cast<std::uint32_t>(specs.size())).ok()) return false;
    servers_ = std::move(kept);
    return true;
}

bool LoadBalancer::AddServer(const brpc::ServerId &server) { return AddServersInBatch({server}) == 1; }

bool LoadBalancer::RemoveServer(const brpc::ServerId &server) { return RemoveServersInBatch({server}) == 1; }

size_t LoadBalancer::AddServersInBatch(const std::vector<brpc::ServerId> &added) {
    std::lock_guard<std::mutex> guard(list_mutex_);
    std::vector<brpc::ServerId> servers = servers_;
    for (const brpc::ServerId &server : added) {
        if (std::find(servers.begin(), servers.end(), server) == servers.end()) servers.push_back(server);
    }
    const size_t before = servers_.size();
    return put_in_force(servers) && servers_.size() > before ? servers_.size() - before : 0;
}

size_t LoadBalancer::RemoveServersInBatch(const std::vector<brpc::ServerId> &removed) {
    std::lock_guard<std::mutex> guard(list_mutex_);
    std::vector<brpc::ServerId> servers;
    for (const brpc::ServerId &server : servers_) {
        if (std::find(removed.begin(), removed.end(), server) == removed.end()) servers.push_back(server);
    }
    const size_t count = servers_.size() - servers.size();
    return put_in_force(servers) ? count : 0;
}

int LoadBalancer::SelectServer(const SelectIn &in, SelectOut *out) {
    const std::uint64_t now_ns = options_.now_ns();
    keep_house(now_ns);
    mcrpc::Call call = call_of(in.has_request_code ? in.request_code : 0);
    mcrpc_choice_t choice;
    mcrpc::Status status = endpoints_.select(call, MCRPC_ATTEMPT_NEXT, now_ns, choice);
    // brpc asks for every attempt anew. Choosing once more for the same call makes it the retry that it is, which the budget knows.
    if (status.ok() && in.excluded != nullptr) status = endpoints_.select(call, MCRPC_ATTEMPT_NEXT, now_ns, choice);
    for (int passed_over = 0; status.ok() && passed_over < MOST_PASSED_OVER; ++passed_over) {
        if (accept(in, choice, now_ns, out)) return 0;
        // To pass over a server that brpc knows to be away is no retry: the user gets another place on the ring.
        call = call_of((call.uin != 0 ? call.uin : call.call_id) * 0x9e3779b97f4a7c15 + 1);
        status = endpoints_.select(call, MCRPC_ATTEMPT_NEXT, now_ns, choice);
    }
    return status.ok() ? take_any(in, out) : refusal_of(status);
}

mcrpc::Call LoadBalancer::call_of(std::uint64_t uin) {
    mcrpc::Call call;
    call.uin = uin;
    call.call_id = calls_.fetch_add(1, std::memory_order_relaxed) + 1;
    call.service_id = options_.service_id;
    return call;
}

int LoadBalancer::refusal_of(mcrpc::Status status) {
    std::lock_guard<std::mutex> guard(list_mutex_);
    return servers_.empty() ? ENODATA : code_of(status.code());
}

// Nearly all servers are away.
int LoadBalancer::take_any(const SelectIn &in, SelectOut *out) {
    std::lock_guard<std::mutex> guard(list_mutex_);
    for (const brpc::ServerId &server : servers_) {
        if (!brpc::ExcludedServers::IsExcluded(in.excluded, server.id) && brpc::Socket::Address(server.id, out->ptr) == 0 &&
            (*out->ptr)->IsAvailable()) {
            return 0;
        }
    }
    out->ptr->reset();
    return EHOSTDOWN;
}

// Whether the attempt may be made there.
bool LoadBalancer::accept(const SelectIn &in, const mcrpc_choice_t &choice, std::uint64_t now_ns, SelectOut *out) {
    const brpc::SocketId id = choice.user_data;
    if (brpc::ExcludedServers::IsExcluded(in.excluded, id)) return false;
    if (brpc::Socket::Address(id, out->ptr) != 0) {
        // brpc knows that it cannot be connected to, and nobody else will report it.
        static_cast<void>(endpoints_.report(choice, MCRPC_OUTCOME_FAILED, 0, now_ns));
        return false;
    }
    if (!(*out->ptr)->IsAvailable()) {
        out->ptr->reset();
        return false;
    }
    // A channel that only looks whether there is a server has no begin, and says nothing more.
    if (in.begin_time_us != 0) {
        out->need_feedback = true;
        Shard &shard = shard_of(id);
        std::lock_guard<std::mutex> guard(shard.mutex);
        shard.attempts.insert({{id, in.begin_time_us}, {choice, now_ns}});
    }
    return true;
}

void LoadBalancer::Feedback(const CallInfo &info) {
    Attempt attempt;
    {
        Shard &shard = shard_of(info.server_id);
        std::lock_guard<std::mutex> guard(shard.mutex);
        const auto place = shard.attempts.find({info.server_id, info.begin_time_us});
        if (place == shard.attempts.end()) return;
        attempt = place->second;
        shard.attempts.erase(place);
    }
    const brpc::Controller *controller = info.controller;
    const bool client_timed_out = controller != nullptr && controller->timeout_ms() > 0 &&
                                  controller->latency_us() >= controller->timeout_ms() * 1000;
    const int outcome = outcome_of(info.error_code, client_timed_out);
    if (outcome < 0) return;
    const std::uint64_t now_ns = options_.now_ns();
    const std::uint64_t elapsed_ns = now_ns - std::min(now_ns, attempt.started_ns);
    static_cast<void>(endpoints_.report(attempt.choice, static_cast<std::uint32_t>(outcome), elapsed_ns, now_ns));
}

// Five times a second, by whoever calls: brpc gives a balancer no time of its own.
void LoadBalancer::keep_house(std::uint64_t now_ns) {
    std::uint64_t before_ns = housekept_ns_.load(std::memory_order_relaxed);
    if (now_ns - before_ns < HOUSEKEEPING_NS || now_ns < before_ns) return;
    if (housekept_ns_.compare_exchange_strong(before_ns, now_ns, std::memory_order_relaxed)) {
        static_cast<void>(endpoints_.tick());
    }
}

void LoadBalancer::Describe(std::ostream &os, const brpc::DescribeOptions &options) {
    if (!options.verbose) {
        os << "mcrpc";
        return;
    }
    static constexpr const char *STATES[] = {"normal", "shielded", "due", "probing", "recovering"};
    std::lock_guard<std::mutex> guard(list_mutex_);
    os << "mcrpc{n=" << servers_.size();
    for (std::uint32_t index = 0; index < servers_.size(); ++index) {
        mcrpc::Health health;
        if (!endpoints_.health(index, options_.now_ns(), health).ok()) continue;
        os << ' ' << servers_[index] << '=' << STATES[std::min<std::uint32_t>(health.state, 4)];
    }
    os << '}';
}

}  // namespace mcrpc_brpc
