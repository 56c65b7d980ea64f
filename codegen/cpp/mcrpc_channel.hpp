// A channel for generated clients in C++17: the connections to the servers of one service. Written next to the stubs by
// `mcrpc gen`; header only, for Linux.
//
//     mcrpc::ChannelConfig config;
//     config.caller = "VOA.Front";
//     std::unique_ptr<mcrpc::Channel> channel;
//     mcrpc::Status status = mcrpc::Channel::open(config, &host, channel);      // the host may be null
//     status = channel->replace(specs, count);                                  // the servers, whenever they change
//     crawl::CrawlServiceClient<mcrpc::Channel> client(*channel);
//     status = client.get_list(request, reply);
//
// Servers         mcrpc::Endpoints chooses: the user's server, no shielded one, none whose cursor refuses the call. There is one
//                 connection per server, made by the first call and shared by all. One that could not be made is tried again
//                 after 20 ms, doubling to 2 s; calls go elsewhere meanwhile.
// Context         A call is made on behalf of Context::current(), if there is one: user, business, priority, trace, ticket and
//                 cookie go on, and its deadline, which the method's timeout only brings nearer. What else a call is to say of
//                 itself, the user of a new task for instance, is said by a ContextScope around it.
// Retries         On another server, within the budget: what was surely not run always, what may have been run only if the
//                 method is idempotent.
// Going away      A server that goes away gets no new calls for a second, or until something listens at its address again. It is
//                 hung up on when those that it has are answered.
// Threads         Any number may call. The channel has one thread of its own, which runs the `done` of asynchronous calls: they
//                 must not wait there, for a call of this channel least of all. It handles no signals.
// fork            The thread is not in the child: open channels after fork().
// Errors          No exceptions, no RTTI. A call that fails has the status of its last attempt, or that why none was made.
#ifndef MCRPC_CHANNEL_HPP
#define MCRPC_CHANNEL_HPP

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mcrpc_stub.hpp"

namespace mcrpc {

struct ChannelConfig {
    // Our name, which servers are told: visible ASCII.
    std::string caller{};
    // The service as route files number it, and as `mcrpc skip` knows it; 0 if nobody does.
    std::uint32_t service_id = 0;
    // How long a call waits whose method does not say, all attempts together.
    std::uint32_t default_timeout_ms = 1000;
    std::uint32_t connect_timeout_ms = 500;
    // The key of the order of users, the fleet's; the host's goes before it.
    std::uint64_t salt = 0;
    EndpointsConfig endpoints{};
};

class Channel {
public:
    using Done = std::function<void(Status, std::string_view)>;

    // Makes a channel without servers. `host` has to outlive it, and is looked after by the program (Host::tick).
    static Status open(const ChannelConfig &config, const Host *host, std::unique_ptr<Channel> &out) {
        const auto is_visible = [](char c) { return c > ' ' && c <= '~'; };
        const bool is_name = !config.caller.empty() && config.caller.size() <= 255 &&
                             std::all_of(config.caller.begin(), config.caller.end(), is_visible);
        if (!is_name) return Status(MCRPC_BAD_NAME);
        std::size_t len = 0;
        if (const Status status = config.endpoints.memory_size(len); !status.ok()) return status;
        std::unique_ptr<Channel> channel(new Channel(config, host, len));
        const Status status = Endpoints::init(channel->memory_, config.endpoints, host, channel->endpoints_);
        if (!status.ok()) return status;
        // There are no descriptors left.
        if (channel->epoll_ < 0 || channel->wake_ < 0) return Status(MCRPC_CONNECT_FAILED);
        channel->start_thread();
        out = std::move(channel);
        return status;
    }
    Channel(const Channel &) = delete;
    Channel &operator=(const Channel &) = delete;
    // Calls that are not over end with MCRPC_OUT_OF_TIME.
    ~Channel() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            is_closing_ = true;
        }
        wake();
        if (thread_.joinable()) thread_.join();
        close(epoll_);
        close(wake_);
    }

    // A server at "10.0.0.7:8000" or "[::1]:8000".
    static Status endpoint(std::string_view address, std::uint32_t service_id, Endpoint &out) {
        const std::size_t colon = address.rfind(':');
        if (colon == std::string_view::npos) return Status(MCRPC_INVALID_ARGUMENT);
        std::string ip(address.substr(0, colon));
        const std::string port(address.substr(colon + 1));
        const bool is_v6 = ip.size() > 2 && ip.front() == '[' && ip.back() == ']';
        if (is_v6) ip = ip.substr(1, ip.size() - 2);
        const bool is_number = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
        const int number = is_number ? std::stoi(port) : 0;
        if (number < 1 || number > 65535) return Status(MCRPC_INVALID_ARGUMENT);
        Endpoint endpoint;
        endpoint.service_id = service_id;
        endpoint.port = static_cast<std::uint16_t>(number);
        if (!is_v6) endpoint.address[10] = endpoint.address[11] = 0xff;
        const bool is_read = is_v6 ? inet_pton(AF_INET6, ip.c_str(), endpoint.address) == 1
                                   : inet_pton(AF_INET, ip.c_str(), endpoint.address + 12) == 1;
        if (!is_read) return Status(MCRPC_INVALID_ARGUMENT);
        out = endpoint;
        return Status();
    }

    // Puts another list of servers in force; calls go on meanwhile. By one thread at a time.
    Status replace(const EndpointSpec *specs, std::uint32_t count, const GroupRule *rules = nullptr,
                   std::uint32_t rule_count = 0) {
        const Status status = endpoints_.replace(specs, count, rules, rule_count);
        if (!status.ok()) return status;
        std::set<Place> listed;
        for (std::uint32_t n = 0; n < count; n++) listed.insert(place_of(specs[n].endpoint));
        const std::lock_guard<std::mutex> lock(mutex_);
        listed_ = std::move(listed);
        return status;
    }

    Status call(const MethodDescriptor &method, std::string_view payload, std::string &reply) {
        struct {
            std::mutex mutex;
            std::condition_variable over;
            bool is_over = false;
            Status status;
        } waiter;
        call_async(method, std::string(payload), [&waiter, &reply](Status status, std::string_view answer) {
            const std::lock_guard<std::mutex> lock(waiter.mutex);
            waiter.status = status;
            reply.assign(answer);
            waiter.is_over = true;
            // Under the lock: the one who waits takes it away with him.
            waiter.over.notify_one();
        });
        std::unique_lock<std::mutex> lock(waiter.mutex);
        waiter.over.wait(lock, [&waiter] { return waiter.is_over; });
        return waiter.status;
    }

    void call_async(const MethodDescriptor &method, std::string payload, Done done) {
        auto pending = std::make_unique<Pending>();
        pending->method_id = method.id;
        pending->is_idempotent = method.is_idempotent;
        pending->payload = std::move(payload);
        pending->done = std::move(done);
        if (const mcrpc_context_t *current = Context::current()) pending->take(Context(*current));
        const std::uint64_t timeout_ms = method.timeout_ms.value_or(config_.default_timeout_ms);
        Context &context = pending->context;
        context.deadline_ns = std::min(context.deadline_ns, now_ns() + timeout_ms * kMsNs);
        context.priority = method.priority.value_or(context.priority);
        context.business_id = method.business_id.value_or(context.business_id);
        bool is_first = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            is_first = submitted_.empty();
            submitted_.push_back(std::move(pending));
        }
        if (is_first) wake();
    }

    // What is known of the servers, and what was decided.
    const Endpoints &endpoints() const noexcept { return endpoints_; }

private:
    static constexpr std::uint64_t kMsNs = 1'000'000;
    static constexpr std::uint64_t kTickNs = 200 * kMsNs;
    static constexpr std::uint64_t kFirstBackoffNs = 20 * kMsNs;
    static constexpr std::uint64_t kLongestBackoffNs = 2000 * kMsNs;
    // So long a server is left alone that goes away.
    static constexpr std::uint32_t kGoingAwayMs = 1000;
    // Meanwhile it is looked for so often at least.
    static constexpr std::uint64_t kLookedForEachNs = 100 * kMsNs;
    // For how long a cursor holds whose server did not say.
    static constexpr std::uint32_t kCursorHoldMs = 300;
    static constexpr std::size_t kReadLen = 64u << 10;
    // A server that reads so slowly gets no further calls.
    static constexpr std::size_t kMaxUnsentLen = 16u << 20;

    // Where a server listens: address and port.
    using Place = std::array<std::uint8_t, 18>;
    // Never 0, and never used again.
    using ConnectionId = std::uint64_t;

    // A call from its start to its end.
    struct Pending {
        std::uint32_t method_id = 0;
        bool is_idempotent = false;
        std::string payload{};
        Done done{};
        std::string carried{};  // what the context refers to
        Context context{};
        Call call{};
        mcrpc_choice_t choice{};
        std::uint64_t began_ns = 0;  // of the attempt, like the choice
        Status last{};               // what the attempt before met
        ConnectionId connection = 0;

        // The request on whose behalf it is made may be over before it is.
        void take(const Context &from) {
            context = from;
            carried.append(from.ticket()).append(from.cookie()).append(from.tags().bytes());
            const std::string_view all(carried);
            context.set_ticket(all.substr(0, from.ticket().size()));
            context.set_cookie(all.substr(from.ticket().size(), from.cookie().size()));
            context.mcrpc_context_t::tags = bytes_of(all.substr(from.ticket().size() + from.cookie().size()));
        }
    };

    struct Connection {
        int fd = -1;
        Place place{};
        std::uint64_t begun_ns = 0;
        bool is_connected = false;
        bool is_leaving = false;
        bool is_watched_for_room = false;
        std::string received{};
        std::string unsent{};
        std::set<std::uint32_t> open{};
    };

    // What is remembered of a server.
    struct Server {
        ConnectionId connection = 0;
        std::uint32_t failed = 0;
        std::uint64_t not_before_ns = 0;
        std::uint64_t sent_away_ns = 0;
        // Of one that goes away: what is to be told when something listens there again, and when that is looked at.
        mcrpc_choice_t choice{};
        std::uint64_t looked_for_ns = 0;
        std::uint64_t pause_ns = 0;
    };

    Channel(const ChannelConfig &config, const Host *host, std::size_t len)
        : config_(config), host_(host), memory_(Memory::heap(len)), random_(now_ns() ^ reinterpret_cast<std::uintptr_t>(this)) {
        watch(wake_, 0, EPOLLIN, EPOLL_CTL_ADD);
    }

    // Signals are for the program's own threads.
    void start_thread() {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this] { run(); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void wake() { static_cast<void>(eventfd_write(wake_, 1)); }

    void watch(int fd, ConnectionId id, std::uint32_t events, int operation) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = id;
        epoll_ctl(epoll_, operation, fd, &event);
    }

    static Place place_of(const mcrpc_endpoint_t &endpoint) {
        Place place{};
        std::copy(std::begin(endpoint.address), std::end(endpoint.address), place.begin());
        place[16] = static_cast<std::uint8_t>(endpoint.port >> 8);
        place[17] = static_cast<std::uint8_t>(endpoint.port & 0xff);
        return place;
    }

    // ---- The thread: all below belongs to it

    void run() {
        std::uint64_t next_tick_ns = now_ns();
        while (take_submitted()) {
            flush();
            const std::uint64_t now = now_ns();
            end_late(now);
            if (now >= next_tick_ns) {
                next_tick_ns = now + kTickNs;
                tick(now);
            }
            std::uint64_t next_ns = std::min(next_tick_ns, look(now));
            if (!deadlines_.empty()) next_ns = std::min(next_ns, deadlines_.begin()->first);
            const std::uint64_t left_ns = next_ns - std::min(next_ns, now_ns());
            flush();
            wait(static_cast<int>((left_ns + kMsNs - 1) / kMsNs));
        }
        std::unordered_map<std::uint32_t, std::unique_ptr<Pending>> open;
        open.swap(calls_);
        for (auto &[id, pending] : open) {
            pending->done(Status(MCRPC_OUT_OF_TIME), {});
        }
        for (auto &[id, connection] : connections_) close(connection.fd);
    }

    // False: the channel is being closed.
    bool take_submitted() {
        std::vector<std::unique_ptr<Pending>> submitted;
        bool is_closing = false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            submitted.swap(submitted_);
            is_closing = is_closing_;
        }
        for (std::unique_ptr<Pending> &pending : submitted) {
            if (is_closing) {
                pending->done(Status(MCRPC_OUT_OF_TIME), {});
            } else {
                begin(std::move(pending));
            }
        }
        return !is_closing;
    }

    void wait(int timeout_ms) {
        epoll_event events[64];
        const int count = epoll_wait(epoll_, events, 64, timeout_ms);
        for (int n = 0; n < count; n++) {
            const ConnectionId id = events[n].data.u64;
            if (id == 0) {
                eventfd_t ignored = 0;
                static_cast<void>(eventfd_read(wake_, &ignored));
                continue;
            }
            const auto found = connections_.find(id);
            // An event before this one may have ended it.
            if (found == connections_.end()) continue;
            if (!found->second.is_connected && !finish_connecting(found->second)) {
                fail(id);
                continue;
            }
            touched_.insert(id);
            if ((events[n].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(id, found->second);
        }
    }

    void tick(std::uint64_t now) {
        static_cast<void>(endpoints_.tick());
        std::vector<ConnectionId> failed;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (auto &[id, connection] : connections_) {
                if (!connection.is_connected && now - connection.begun_ns > config_.connect_timeout_ms * kMsNs) {
                    failed.push_back(id);
                } else if (listed_.count(connection.place) == 0) {
                    leave(connection);
                    touched_.insert(id);
                }
            }
        }
        for (const ConnectionId id : failed) fail(id);
    }

    // ---- Calls

    void begin(std::unique_ptr<Pending> pending) {
        const Context &context = pending->context;
        const std::uint64_t salt = host_ == nullptr ? config_.salt : host_->salt(config_.salt);
        // All members of the fleet have the users in one order, another one each hour.
        const auto hour = static_cast<std::uint32_t>(std::time(nullptr) / 3600);
        Request request;
        if (const Status status = Request::from_context(context, salt, hour, request); !status.ok()) {
            return pending->done(status, {});
        }
        Call &call = pending->call;
        call.uin = context.uin;
        call.call_id = random_();
        call.deadline_ns = context.deadline_ns;
        call.key = request.key;
        call.service_id = config_.service_id;
        call.method_id = pending->method_id;
        attempt(std::move(pending));
    }

    // Tries servers until the call is on its way, or it is not worth another attempt.
    void attempt(std::unique_ptr<Pending> pending) {
        for (;;) {
            pending->began_ns = now_ns();
            const Status chosen =
                endpoints_.select(pending->call, MCRPC_ATTEMPT_NEXT, pending->began_ns, pending->choice);
            // What the servers said explains more than that there is no other.
            if (!chosen.ok()) return pending->done(pending->last.ok() ? chosen : pending->last, {});
            const Status sent = send(pending);
            if (sent.ok()) return;
            if (!settle(*pending, sent, MCRPC_CURSOR_OPEN, 0)) return pending->done(sent, {});
        }
    }

    // Tells what the attempt met; whether another one makes sense.
    bool settle(Pending &pending, Status status, std::uint32_t cursor, std::uint32_t hold_ms) {
        const std::uint64_t now = now_ns();
        const std::uint32_t outcome = mcrpc_outcome_of(status.code());
        static_cast<void>(endpoints_.report(pending.choice, outcome, now - pending.began_ns, now));
        if (status == Status(MCRPC_GOING_AWAY)) {
            // Nobody is sent there for a while, which costs no retry.
            static_cast<void>(endpoints_.heard(pending.choice, 0, kGoingAwayMs, now));
            look_for(pending.choice, now);
        } else if (cursor != MCRPC_CURSOR_OPEN) {
            const std::uint32_t held_ms = hold_ms == 0 ? kCursorHoldMs : hold_ms;
            static_cast<void>(endpoints_.heard(pending.choice, cursor, held_ms, now));
        }
        pending.last = status;
        const bool may_do_better = mcrpc_outcome_is_retriable(outcome) != 0 && !is_about_time(status);
        return may_do_better && (pending.is_idempotent || was_surely_not_run(status));
    }

    static bool is_about_time(Status status) {
        switch (status.code()) {
            case MCRPC_DEADLINE_ON_ARRIVAL:
            case MCRPC_DEADLINE_IN_QUEUE:
            case MCRPC_EXPIRED_ON_ARRIVAL:
            case MCRPC_OUT_OF_TIME: return true;
            default: return false;
        }
    }

    static bool was_surely_not_run(Status status) {
        if (status == Status(MCRPC_CONNECT_FAILED)) return true;
        // A worker may be lost with the work half done.
        return status != Status(MCRPC_WORKER_LOST) && mcrpc_outcome_of(status.code()) == MCRPC_OUTCOME_OVERLOADED;
    }

    // Puts a request on its way to the attempt's server; then the call is in `calls_`. Not OK: nobody has seen it.
    Status send(std::unique_ptr<Pending> &pending) {
        const std::uint64_t now = now_ns();
        ConnectionId id = 0;
        if (const Status status = connect(pending->choice.endpoint, now, id); !status.ok()) return status;
        Connection &connection = connections_.find(id)->second;
        if (connection.unsent.size() > kMaxUnsentLen) return Status(MCRPC_TOO_MANY_OPEN_CALLS);
        Context onward;
        std::uint8_t span[8];
        const std::uint64_t number = random_();
        std::memcpy(span, &number, sizeof span);
        if (const Status status = pending->context.onward(span, onward); !status.ok()) return status;
        onward.attempt = static_cast<std::uint8_t>(std::min(pending->call.attempts - 1, 3));
        Header header;
        header.kind = MCRPC_KIND_REQUEST;
        header.method_id = pending->method_id;
        do {
            header.call_id = ++last_call_id_;
        } while (calls_.count(header.call_id) != 0);
        Metadata metadata;
        if (const Status status = onward.write(now, header, metadata); !status.ok()) return status;
        metadata.withheld_count = pending->choice.withheld_count;
        metadata.withheld_key = pending->choice.withheld_key;
        if (const Status status = put(connection, header, metadata, pending->payload); !status.ok()) return status;
        touched_.insert(id);
        pending->connection = id;
        connection.open.insert(header.call_id);
        deadlines_.emplace(pending->call.deadline_ns, header.call_id);
        calls_.emplace(header.call_id, std::move(pending));
        return Status();
    }

    // An attempt is over.
    void answered(std::uint32_t call_id, Status status, std::string_view payload, std::uint32_t cursor, std::uint32_t hold_ms) {
        const auto found = calls_.find(call_id);
        // Nobody waits for an answer that comes too late.
        if (found == calls_.end()) return;
        std::unique_ptr<Pending> pending = std::move(found->second);
        calls_.erase(found);
        deadlines_.erase({pending->call.deadline_ns, call_id});
        const auto connection = connections_.find(pending->connection);
        if (connection != connections_.end()) connection->second.open.erase(call_id);
        touched_.insert(pending->connection);
        const bool tries_again = settle(*pending, status, cursor, hold_ms);
        if (status.ok() || !tries_again) return pending->done(status, status.ok() ? payload : std::string_view());
        attempt(std::move(pending));
    }

    void end_late(std::uint64_t now) {
        while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
            answered(deadlines_.begin()->second, Status(MCRPC_TIMED_OUT), {}, MCRPC_CURSOR_OPEN, 0);
        }
    }

    // ---- Connections

    // A connection that takes calls; it need not be made yet.
    Status connect(const mcrpc_endpoint_t &endpoint, std::uint64_t now, ConnectionId &out) {
        const Place place = place_of(endpoint);
        Server &server = servers_[place];
        if (server.connection == 0) {
            if (server.sent_away_ns != 0 && now - server.sent_away_ns < kGoingAwayMs * kMsNs) return Status(MCRPC_GOING_AWAY);
            server.sent_away_ns = 0;
            if (now < server.not_before_ns || !make_connection(endpoint, server, now)) return Status(MCRPC_CONNECT_FAILED);
        }
        out = server.connection;
        return Status();
    }

    // Begins to connect, and to say hello.
    bool make_connection(const mcrpc_endpoint_t &endpoint, Server &server, std::uint64_t now) {
        Connection connection;
        connection.fd = start_connecting(endpoint);
        connection.place = place_of(endpoint);
        connection.begun_ns = now;
        if (connection.fd < 0) {
            back_off(server, now);
            return false;
        }
        Header hello;
        hello.kind = MCRPC_KIND_HELLO;
        Metadata metadata;
        metadata.set_caller(config_.caller);
        // A name, as open() has seen to it.
        static_cast<void>(put(connection, hello, metadata, {}));
        server.connection = ++last_connection_;
        watch(connection.fd, server.connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
        connection.is_watched_for_room = true;
        connections_.emplace(server.connection, std::move(connection));
        return true;
    }

    // Calls are sent again to a server that goes away as soon as something listens at its address.
    void look_for(const mcrpc_choice_t &choice, std::uint64_t now) {
        const Place place = place_of(choice.endpoint);
        Server &server = servers_[place];
        server.choice = choice;
        if (!looked_for_.insert(place).second) return;
        if (server.sent_away_ns == 0) server.sent_away_ns = now;
        server.pause_ns = kFirstBackoffNs;
        server.looked_for_ns = now + server.pause_ns;
    }

    // Looks for those whose time has come; when the next one's comes.
    std::uint64_t look(std::uint64_t now) {
        std::uint64_t next_ns = UINT64_MAX;
        for (auto place = looked_for_.begin(); place != looked_for_.end();) {
            Server &server = servers_[*place];
            if (now >= server.sent_away_ns + kGoingAwayMs * kMsNs) {
                server.sent_away_ns = 0;
                place = looked_for_.erase(place);
                continue;
            }
            if (now >= server.looked_for_ns) {
                server.pause_ns = std::min(2 * server.pause_ns, kLookedForEachNs);
                server.looked_for_ns = now + server.pause_ns;
                if (server.connection == 0) make_connection(server.choice.endpoint, server, now);
            }
            next_ns = std::min(next_ns, server.looked_for_ns);
            ++place;
        }
        return next_ns;
    }

    // A socket that is being connected, or -1.
    static int start_connecting(const mcrpc_endpoint_t &endpoint) {
        static constexpr std::uint8_t kV4[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        const bool is_v4 = std::equal(std::begin(kV4), std::end(kV4), endpoint.address);
        const int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return -1;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, endpoint.address + 12, sizeof v4.sin_addr);
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        std::memcpy(&v6.sin6_addr, endpoint.address, sizeof v6.sin6_addr);
        const int result = is_v4 ? ::connect(fd, reinterpret_cast<const sockaddr *>(&v4), sizeof v4)
                                 : ::connect(fd, reinterpret_cast<const sockaddr *>(&v6), sizeof v6);
        if (result == 0 || errno == EINPROGRESS || errno == EINTR) return fd;
        close(fd);
        return -1;
    }

    // False: the connection could not be made.
    bool finish_connecting(Connection &connection) {
        int error = 0;
        socklen_t len = sizeof error;
        getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) return false;
        connection.is_connected = true;
        Server &server = servers_[connection.place];
        server.failed = 0;
        server.not_before_ns = server.sent_away_ns = 0;
        if (looked_for_.erase(connection.place) > 0) {
            static_cast<void>(endpoints_.heard(server.choice, MCRPC_CURSOR_OPEN, 0, now_ns()));
        }
        return true;
    }

    static void back_off(Server &server, std::uint64_t now) {
        // It says nothing of a server that is not back yet.
        if (server.sent_away_ns != 0) return;
        server.not_before_ns = now + std::min(kFirstBackoffNs << std::min(server.failed, 10u), kLongestBackoffNs);
        server.failed++;
    }

    // The connection gets no new calls.
    void leave(Connection &connection) {
        if (std::exchange(connection.is_leaving, true)) return;
        servers_[connection.place].connection = 0;
    }

    // A connection is over, and what was open on it has failed.
    void fail(ConnectionId id) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        const Connection connection = std::move(found->second);
        connections_.erase(found);
        close(connection.fd);
        Server &server = servers_[connection.place];
        if (server.connection == id) server.connection = 0;
        if (!connection.is_connected) back_off(server, now_ns());
        const Status status(connection.is_connected ? MCRPC_READ_FAILED : MCRPC_CONNECT_FAILED);
        for (const std::uint32_t call_id : connection.open) answered(call_id, status, {}, MCRPC_CURSOR_OPEN, 0);
    }

    // Appends a frame to what is unsent.
    static Status put(Connection &connection, const Header &header, const Metadata &metadata, std::string_view payload) {
        if (payload.size() > UINT32_MAX) return Status(MCRPC_BODY_TOO_LONG);
        std::string &unsent = connection.unsent;
        const std::size_t begin = unsent.size();
        std::size_t head_len = 192;
        Status status(MCRPC_TOO_SMALL);
        while (status == Status(MCRPC_TOO_SMALL)) {
            unsent.resize(begin + head_len);
            status = header.emit(metadata, static_cast<std::uint32_t>(payload.size()),
                                 reinterpret_cast<std::uint8_t *>(&unsent[begin]), head_len, head_len);
        }
        unsent.resize(status.ok() ? begin + head_len : begin);
        if (status.ok()) unsent.append(payload);
        return status;
    }

    // Writes what the calls of this turn left, and hangs up where nobody waits any more.
    void flush() {
        while (!touched_.empty()) {
            // A connection that breaks sends its calls elsewhere.
            for (const ConnectionId id : std::exchange(touched_, {})) {
                const auto found = connections_.find(id);
                if (found == connections_.end() || !found->second.is_connected) continue;
                Connection &connection = found->second;
                const bool is_written = write(connection);
                if (!is_written || (connection.is_leaving && connection.open.empty())) {
                    fail(id);
                    continue;
                }
                const bool needs_room = !connection.unsent.empty();
                if (std::exchange(connection.is_watched_for_room, needs_room) == needs_room) continue;
                watch(connection.fd, id, needs_room ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
            }
        }
    }

    static bool write(Connection &connection) {
        std::size_t written = 0;
        std::string &unsent = connection.unsent;
        while (written < unsent.size()) {
            const ssize_t sent = ::send(connection.fd, unsent.data() + written, unsent.size() - written, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) continue;
            if (sent < 0 && errno != EAGAIN) return false;
            if (sent < 0) break;
            written += static_cast<std::size_t>(sent);
        }
        unsent.erase(0, written);
        return true;
    }

    void receive(ConnectionId id, Connection &connection) {
        char bytes[kReadLen];
        const ssize_t len = recv(connection.fd, bytes, sizeof bytes, 0);
        if (len < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (len <= 0) return fail(id);
        connection.received.append(bytes, static_cast<std::size_t>(len));
        std::size_t used = 0;
        const bool is_sound = take_frames(connection, used);
        connection.received.erase(0, used);
        if (!is_sound) fail(id);
    }

    // Takes the frames at the front. False: the stream is broken.
    bool take_frames(Connection &connection, std::size_t &used) {
        const Limits limits;
        for (;;) {
            const auto *bytes = reinterpret_cast<const std::uint8_t *>(connection.received.data()) + used;
            const std::size_t len = connection.received.size() - used;
            Frame frame;
            const Status status = Frame::parse(bytes, len, limits, frame);
            if (status.ok()) {
                used += frame.len;
                take(connection, frame);
                continue;
            }
            if (status == Status(MCRPC_INCOMPLETE)) return true;
            // One frame alone is wrong if one can say where the next begins.
            std::size_t wanted = 0;
            Header header;
            const bool ends = Frame::wanted(bytes, len, limits, wanted).ok() && wanted <= len;
            if (!ends || status == Status(MCRPC_BAD_CHECKSUM)) return false;
            used += wanted;
            const bool is_answer = Header::parse(bytes, len, limits, header).ok() && header.kind == MCRPC_KIND_RESPONSE;
            if (is_answer) answered(header.call_id, status, {}, MCRPC_CURSOR_OPEN, 0);
        }
    }

    void take(Connection &connection, const Frame &frame) {
        switch (frame.header.kind) {
            case MCRPC_KIND_RESPONSE:
                return answered(frame.header.call_id, Status(frame.header.status), frame.payload, frame.header.cursor,
                                frame.metadata.reject_hold_ms);
            case MCRPC_KIND_GO_AWAY:
                servers_[connection.place].sent_away_ns = now_ns();
                return leave(connection);
            case MCRPC_KIND_PING: {
                Header pong;
                pong.kind = MCRPC_KIND_PONG;
                pong.call_id = frame.header.call_id;
                pong.uin = frame.header.uin;
                static_cast<void>(put(connection, pong, {}, {}));
                return;
            }
            default: return;
        }
    }

    const ChannelConfig config_;
    const Host *const host_;
    const Memory memory_;
    Endpoints endpoints_{};
    const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    const int wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    std::thread thread_{};

    // Of all threads.
    std::mutex mutex_{};
    std::vector<std::unique_ptr<Pending>> submitted_{};
    std::set<Place> listed_{};
    bool is_closing_ = false;

    // Of the channel's own thread.
    std::mt19937_64 random_;
    std::unordered_map<std::uint32_t, std::unique_ptr<Pending>> calls_{};
    std::set<std::pair<std::uint64_t, std::uint32_t>> deadlines_{};
    std::unordered_map<ConnectionId, Connection> connections_{};
    std::map<Place, Server> servers_{};
    std::set<Place> looked_for_{};
    std::set<ConnectionId> touched_{};  // by this turn
    std::uint32_t last_call_id_ = 0;
    ConnectionId last_connection_ = 0;
};

}  // namespace mcrpc

#endif
