// What a connection does with frames (docs/wire-format.md), the same in every server and client here: it says hello and hears
// it, answers pings, gathers metadata and payloads within limits, looks after checksums, says goodbye, and refuses what the
// document tells it to refuse. Nothing here decides anything about load: a Handler does that, from a header alone.
//
// A Connection belongs to one thread. It never waits for its socket: its owner does, and closes it as soon as is_broken(). It
// allocates nothing per frame: its buffers grow to what they need, and what is beyond 64 KiB they give back.

#ifndef FRAMED_CONNECTION_HPP
#define FRAMED_CONNECTION_HPP

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mcrpc.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace framed {

constexpr size_t kReadLen = 64u << 10;
// How long a cursor in a response holds, and what is meant if it does not say so.
constexpr uint16_t kCursorHoldMs = 300;

// What this side says of itself, and accepts of the others.
struct Self {
    std::string caller;
    std::string zone{};
    // With needs_checksum all frames have one in both directions; else those to a peer whose hello asked for it.
    mcrpc::Limits limits{64u << 10};
    // Beyond this the peer reads too slowly, and is left.
    size_t max_unsent_len = 1u << 20;
    // For so long the rest of what has begun to come is waited for: an admitted request has its place in the queue already.
    uint64_t rest_limit_ns = 5'000'000'000;
    // When the program was told to end, callers have so long to notice and to hang up, and so long to be answered.
    uint64_t drain_grace_ns = 100'000'000;
    uint64_t drain_limit_ns = 1'000'000'000;
};

// What the other side's hello said.
struct Peer {
    std::string caller{};
    uint32_t features = 0;
    uint32_t max_body_len = UINT32_MAX;
    // Whom its requests are accounted to: for the upper half of mcrpc_request_t.flags. Two callers may share one.
    uint32_t tenant = 0;
    // It has sent a go-away: it takes no new requests.
    bool is_leaving = false;
};

// Whom the requests of a caller are accounted to: one of the 63 places that a controller tells apart, chosen by his name.
inline uint32_t tenant_of(std::string_view caller) {
    constexpr uint32_t kTenants = 63;
    const mcrpc_bytes_t name = mcrpc::bytes_of(caller);
    return name.len == 0 ? 0 : 1 + mcrpc_method_id(name.data, name.len) % kTenants;
}

// What responses say of the server's admission.
struct Load {
    uint32_t cursor = MCRPC_CURSOR_OPEN;
    uint16_t refused_per_10k = 0;
};

// The load of one queue of a controller. The cursor is always the present one; the share of requests that are refused
// costs more to know, and is from the last tenth of a second.
class LoadMeter {
public:
    explicit LoadMeter(const mcrpc::Admission &admission, uint32_t queue) : admission_(admission), queue_(queue) {}

    Load load() {
        Load load;
        load.cursor = admission_.cursor(queue_);
        if (load.cursor == MCRPC_CURSOR_OPEN) return load;
        const uint64_t now_ns = mcrpc::now_ns();
        if (now_ns - looked_ns_ > kPeriodNs) {
            looked_ns_ = now_ns;
            mcrpc::AdmissionSnapshot all;
            // It is 0 while the capacity is not known.
            const bool is_known = admission_.snapshot(all).ok() && all.capacity_mrps > 0;
            const uint64_t excess = all.demand_mrps - std::min(all.demand_mrps, all.capacity_mrps);
            refused_per_10k_ = is_known && excess > 0 ? static_cast<uint16_t>(excess * 10'000 / all.demand_mrps) : 0;
        }
        load.refused_per_10k = refused_per_10k_;
        return load;
    }

private:
    static constexpr uint64_t kPeriodNs = 100'000'000;

    const mcrpc::Admission &admission_;
    const uint32_t queue_;
    uint64_t looked_ns_ = 0;
    uint16_t refused_per_10k_ = 0;
};

// Of what a peer said, without what a terminal would act on.
inline std::string printable(std::string_view text) {
    std::string result;
    for (const char c : text) result.push_back(c >= ' ' && c <= '~' ? c : '?');
    return result;
}

class Connection;

// What its owner does with what comes in. Everything that is passed in is good until the function returns. A request that was
// wanted is handed over once, by on_request() or by on_lost().
class Handler {
public:
    virtual ~Handler() = default;

    // A request or one-way begins. False: it is not wanted, and has been answered.
    virtual bool on_header(Connection &, const mcrpc::Header &) = 0;
    // All of a wanted request is there.
    virtual void on_request(Connection &, const mcrpc::Header &, const mcrpc::Metadata &, std::string_view /*payload*/) {}
    // The rest of a wanted request will never come; if there is somebody to answer, he is answered.
    virtual void on_lost(Connection &, const mcrpc::Header &) {}
    // The caller did not send `count` requests, one of which had this key. Said of wanted and unwanted requests alike.
    virtual void on_withheld(Connection &, uint32_t /*count*/, uint32_t /*key*/) {}
    virtual void on_cancel(Connection &, uint32_t /*call_id*/) {}
    virtual void on_response(Connection &, const mcrpc::Header &, const mcrpc::Metadata &, std::string_view /*payload*/) {}
    virtual void on_go_away(Connection &) {}
    // What the next response says.
    virtual Load load() { return {}; }
};

class Connection {
public:
    // `fd` is closed with the connection. `self` and `handler` have to outlive it.
    Connection(int fd, uint64_t id, const Self &self, Handler &handler)
        : fd_(fd), id_(id), self_(self), handler_(handler), decoder_(self.limits) {}
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;
    ~Connection() { close(fd_); }

    int fd() const { return fd_; }
    // The owner's name for it; never used again, unlike the descriptor.
    uint64_t id() const { return id_; }
    const Peer &peer() const { return peer_; }
    // When the header of the frame that is being handled was read.
    uint64_t arrival_ns() const { return arrival_ns_; }
    // To be closed, when all that can be written is.
    bool is_broken() const { return is_broken_; }
    // Nobody waits for anything: no request of the peer is unanswered, and no byte unsent.
    bool is_idle() const { return open_calls_ == 0 && unsent_.empty(); }

    // ---- In

    // Reads once, so that a busy connection does not keep the others waiting, and hands on what came.
    void receive() {
        uint8_t bytes[kReadLen];
        feed(bytes, read(bytes, sizeof bytes));
    }

    // The same without handing on: for who has to look at the first bytes. 0 if there are none.
    size_t read(uint8_t *bytes, size_t len) {
        const ssize_t received = recv(fd_, bytes, len, MSG_DONTWAIT);
        if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR)) break_off();
        read_ns_ = mcrpc::now_ns();
        return received < 0 ? 0 : static_cast<size_t>(received);
    }

    // Takes bytes of the incoming stream, split anywhere.
    void feed(const uint8_t *bytes, size_t len) {
        while (len > 0 && !is_broken_) {
            mcrpc::FrameEvent event;
            size_t used = 0;
            const mcrpc::Status status = decoder_.next(bytes, len, used, event);
            if (!status.ok()) return fail(status);
            bytes += used;
            len -= used;
            take(event);
        }
        wait_for_rest(is_wanted_);
    }

    // Whether what has come so far ends in the middle of something that takes a place.
    void wait_for_rest(bool is_waiting) {
        begun_ns_ = is_waiting ? begun_ns_ > 0 ? begun_ns_ : read_ns_ : 0;
    }

    // Ends the connection if the rest did not come in time. To be asked about once a second.
    void end_if_overdue(uint64_t now_ns) {
        if (begun_ns_ > 0 && now_ns > begun_ns_ + self_.rest_limit_ns) fail(mcrpc::Status(MCRPC_TIMED_OUT));
    }

    // Ends the connection because of what the peer sent.
    void fail(mcrpc::Status status) {
        if (is_broken_) return;
        std::fprintf(stderr, "%s: connection %" PRIu64 " closed: %s: %s\n", program_invocation_short_name, id_,
                     status.name().data(), status.text().data());
        break_off();
    }

    // Ends the connection.
    void break_off() {
        is_broken_ = true;
        if (std::exchange(is_wanted_, false)) handler_.on_lost(*this, header_);
    }

    // ---- Out

    // Says what holds for the connection; a client as soon as there is one. Nobody waits for it.
    void say_hello() {
        mcrpc::Header hello;
        hello.kind = MCRPC_KIND_HELLO;
        mcrpc::Metadata metadata;
        metadata.set_caller(self_.caller);
        metadata.set_zone(self_.zone);
        metadata.features = MCRPC_FEATURE_CHECKSUMS;
        metadata.max_body_len = self_.limits.max_body_len;
        metadata.max_open_calls = self_.limits.max_open_calls;
        said_hello_ = true;
        send(hello, metadata);
    }

    // Takes no new requests from now on, and says so.
    void say_go_away() {
        if (std::exchange(is_leaving_, true)) return;
        mcrpc::Header go_away;
        go_away.kind = MCRPC_KIND_GO_AWAY;
        mcrpc::Metadata metadata;
        metadata.set_error_text("the server is closing down");
        send(go_away, metadata);
    }

    // Answers a request that was handed to the handler; a one-way needs no answer. `why` explains a failure to a person,
    // unless what the status means says it all.
    void respond(const mcrpc::Header &request, mcrpc::Status status, std::string_view payload = {},
                 std::string_view why = {}) {
        if (request.kind != MCRPC_KIND_REQUEST) return;
        forget();
        answer(request, status, payload, why);
    }

    // A request that was handed to the handler needs no answer any more.
    void forget() {
        open_calls_ -= open_calls_ > 0;
        decoder_.answered();
    }

    // Sends a frame.
    void send(mcrpc::Header header, const mcrpc::Metadata &metadata = {}, std::string_view payload = {}) {
        const bool has_checksum =
            self_.limits.needs_checksum != 0 || (peer_.features & MCRPC_FEATURE_CHECKSUMS) != 0;
        if (has_checksum) header.flags |= MCRPC_FLAG_CRC_TRAILER;
        const size_t begin = unsent_.size();
        const auto payload_len = static_cast<uint32_t>(payload.size());
        size_t head_len = kUsualHeadLen;
        mcrpc::Status status(MCRPC_TOO_SMALL);
        while (status == mcrpc::Status(MCRPC_TOO_SMALL)) {
            unsent_.resize(begin + head_len);
            status = header.emit(metadata, payload_len, bytes_at(begin), head_len, head_len);
        }
        if (!status.ok()) {
            // What this program writes of itself is valid, so it is wrong.
            std::fprintf(stderr, "%s: cannot write a frame: %s\n", program_invocation_short_name, status.text().data());
            std::abort();
        }
        unsent_.resize(begin + head_len);
        unsent_.append(payload);
        if (!has_checksum) return;
        mcrpc::Checksum checksum;
        checksum.update(bytes_at(begin), unsent_.size() - begin);
        uint8_t trailer[mcrpc::Checksum::kTrailerLen];
        checksum.trailer(trailer);
        unsent_.append(reinterpret_cast<const char *>(trailer), sizeof trailer);
    }

    // Sends bytes as they are: for another protocol on the same port.
    void send_raw(std::string_view bytes) { unsent_.append(bytes); }

    // Sends what there is, and then no more: it is the peer who closes.
    void hang_up() { is_hanging_up_ = true; }

    // Writes as much as the socket takes.
    void flush() {
        if (!unsent_.empty()) {
            const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno != EAGAIN && errno != EINTR) break_off();
            if (sent > 0) unsent_.erase(0, static_cast<size_t>(sent));
        }
        if (unsent_.size() > self_.max_unsent_len) break_off();
        if (unsent_.empty() && unsent_.capacity() > kKeptLen) unsent_.shrink_to_fit();
        if (is_hanging_up_ && unsent_.empty()) shutdown(fd_, SHUT_WR);
    }

    // What epoll has to wait for now, and whether that is something else than when this was asked last.
    bool waits_for(uint32_t &events) {
        events = unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
        return std::exchange(is_blocked_, !unsent_.empty()) != is_blocked_;
    }

private:
    // Room for the head of a frame with a few tags.
    static constexpr size_t kUsualHeadLen = 256;
    static constexpr size_t kKeptLen = 64u << 10;

    void take(const mcrpc::FrameEvent &event) {
        switch (event.kind) {
        case MCRPC_EVENT_HEADER: begin_frame(mcrpc::Header(event.header)); break;
        case MCRPC_EVENT_REFUSED: refuse(mcrpc::Header(event.header), mcrpc::Status(event.status)); break;
        case MCRPC_EVENT_METADATA:
            metadata_len_ += event.bytes.len;
            body_.append(mcrpc::view(event.bytes));
            break;
        case MCRPC_EVENT_PAYLOAD:
            if (is_wanted_ || header_.kind == MCRPC_KIND_RESPONSE) body_.append(mcrpc::view(event.bytes));
            break;
        default: break;
        }
        if (event.last != 0 && !is_broken_) end_frame();
    }

    void begin_frame(const mcrpc::Header &header) {
        header_ = header;
        arrival_ns_ = read_ns_;
        wait_for_rest(false);
        body_.clear();
        metadata_len_ = 0;
        if (body_.capacity() > kKeptLen) body_.shrink_to_fit();
        if (header.kind != MCRPC_KIND_REQUEST && header.kind != MCRPC_KIND_ONE_WAY) return;
        open_calls_ += header.kind == MCRPC_KIND_REQUEST;
        if (is_leaving_) return respond(header, mcrpc::Status(MCRPC_GOING_AWAY));
        is_wanted_ = handler_.on_header(*this, header);
    }

    // The frame is whole, and its checksum fits.
    void end_frame() {
        mcrpc::Metadata metadata;
        if (metadata_len_ > 0) {
            const auto *bytes = reinterpret_cast<const uint8_t *>(body_.data());
            const mcrpc::Status status = mcrpc::Metadata::parse(bytes, metadata_len_, self_.limits, metadata);
            if (!status.ok()) return refuse_late(status);
        }
        const std::string_view payload = std::string_view(body_).substr(metadata_len_);
        switch (header_.kind) {
        case MCRPC_KIND_REQUEST:
        case MCRPC_KIND_ONE_WAY:
            if (metadata.withheld_count > 0) handler_.on_withheld(*this, metadata.withheld_count, metadata.withheld_key);
            if (std::exchange(is_wanted_, false)) handler_.on_request(*this, header_, metadata, payload);
            break;
        case MCRPC_KIND_RESPONSE: handler_.on_response(*this, header_, metadata, payload); break;
        case MCRPC_KIND_HELLO: hear_hello(metadata); break;
        case MCRPC_KIND_PING: pong(); break;
        case MCRPC_KIND_GO_AWAY:
            peer_.is_leaving = true;
            handler_.on_go_away(*this);
            break;
        case MCRPC_KIND_CANCEL: handler_.on_cancel(*this, header_.call_id); break;
        default: break;
        }
    }

    // What a later one does not say does not hold any more.
    void hear_hello(const mcrpc::Metadata &hello) {
        peer_.caller.assign(hello.caller());
        peer_.features = hello.features;
        peer_.max_body_len = hello.max_body_len == 0 ? UINT32_MAX : hello.max_body_len;
        peer_.tenant = tenant_of(hello.caller());
        if (!said_hello_) say_hello();
    }

    void pong() {
        mcrpc::Header pong;
        pong.kind = MCRPC_KIND_PONG;
        pong.call_id = header_.call_id;
        pong.uin = header_.uin;
        send(pong);
    }

    // A frame is refused from its header, and the handler has not seen it.
    void refuse(const mcrpc::Header &header, mcrpc::Status status) {
        switch (header.kind) {
        case MCRPC_KIND_REQUEST: return answer(header, status, {}, {});
        case MCRPC_KIND_RESPONSE: return fail_call(header, status);
        case MCRPC_KIND_ONE_WAY:
        case MCRPC_KIND_CANCEL: return;
        default: return fail(status);
        }
    }

    // A frame is refused for its metadata, and the handler may be waiting for the rest of it.
    void refuse_late(mcrpc::Status status) {
        const bool was_wanted = std::exchange(is_wanted_, false);
        if (was_wanted) handler_.on_lost(*this, header_);
        if (header_.kind != MCRPC_KIND_REQUEST) return refuse(header_, status);
        if (was_wanted) respond(header_, status);
    }

    void fail_call(mcrpc::Header header, mcrpc::Status status) {
        header.status = status.code();
        header.cursor = MCRPC_CURSOR_OPEN;
        handler_.on_response(*this, header, {}, {});
    }

    void answer(const mcrpc::Header &request, mcrpc::Status status, std::string_view payload, std::string_view why) {
        const Load load = handler_.load();
        mcrpc::Header response;
        response.kind = MCRPC_KIND_RESPONSE;
        response.call_id = request.call_id;
        response.uin = request.uin;
        response.business_id = request.business_id;
        response.priority = request.priority;
        response.status = status.code();
        response.cursor = load.cursor;
        mcrpc::Metadata metadata;
        if (load.cursor != MCRPC_CURSOR_OPEN) {
            metadata.reject_hold_ms = kCursorHoldMs;
            metadata.reject_share_per_10k = load.refused_per_10k;
        }
        // A few tags go with it.
        const bool is_too_long = payload.size() + kUsualHeadLen > peer_.max_body_len && !payload.empty();
        if (is_too_long) {
            response.status = MCRPC_BODY_TOO_LONG;
            payload = {};
            why = "the answer is longer than the caller accepts";
        }
        if (why.empty() && status.code() < 0) why = status.text();
        metadata.set_error_text(why);
        send(response, metadata, payload);
    }

    uint8_t *bytes_at(size_t begin) { return reinterpret_cast<uint8_t *>(&unsent_[begin]); }

    const int fd_;
    const uint64_t id_;
    const Self &self_;
    Handler &handler_;
    mcrpc::FrameDecoder decoder_;
    Peer peer_{};
    mcrpc::Header header_{};  // of the frame that is being read
    std::string body_{};      // its metadata, and behind it its payload
    std::string unsent_{};
    size_t metadata_len_ = 0;
    uint64_t read_ns_ = 0;
    uint64_t begun_ns_ = 0;  // when that was read whose rest is waited for; 0: nothing is
    uint64_t arrival_ns_ = 0;
    uint32_t open_calls_ = 0;
    bool is_wanted_ = false;  // the handler waits for the rest of the request that is being read
    bool said_hello_ = false;
    bool is_leaving_ = false;
    bool is_hanging_up_ = false;
    bool is_blocked_ = false;  // the socket takes no more; epoll says when it does
    bool is_broken_ = false;
};

// When the caller of a request stops waiting.
inline uint64_t deadline_ns(const mcrpc::Header &header, uint64_t arrival_ns) {
    return header.budget_ms == UINT32_MAX ? MCRPC_NO_DEADLINE : arrival_ns + header.budget_ms * uint64_t{1'000'000};
}

// The context of a request that had to wait: from its header, a copy of its metadata, which have been valid, and when it
// arrived. Refers to the copy.
inline mcrpc::Context context_of(const mcrpc::Header &header, std::string_view metadata, uint64_t arrival_ns) {
    mcrpc::Metadata parsed;
    mcrpc::Context context;
    const mcrpc_bytes_t bytes = mcrpc::bytes_of(metadata);
    const bool is_valid = (bytes.len == 0 || mcrpc::Metadata::parse(bytes.data, bytes.len, {}, parsed).ok()) &&
                          mcrpc::Context::read(header, parsed, arrival_ns, context).ok();
    return is_valid ? context : mcrpc::Context();
}

// The end of a server that was told to end: all connections have been sent a go-away, what was taken is being answered, and
// what was on its way is refused. It takes the grace while somebody is there, the limit while he has no answer.
class Drain {
public:
    Drain() = default;
    Drain(uint64_t grace_ns, uint64_t limit_ns) : grace_ns_(grace_ns), limit_ns_(limit_ns) {}

    void begin() {
        if (!has_begun()) began_ns_ = mcrpc::now_ns();
    }
    bool has_begun() const { return began_ns_ > 0; }
    // `is_idle`: everything is answered; `is_alone`: nobody is connected.
    bool is_over(bool is_idle, bool is_alone) const {
        if (!has_begun()) return false;
        const uint64_t elapsed_ns = mcrpc::now_ns() - began_ns_;
        return (is_idle && (is_alone || elapsed_ns >= grace_ns_)) || elapsed_ns >= limit_ns_;
    }

private:
    uint64_t grace_ns_ = Self().drain_grace_ns;
    uint64_t limit_ns_ = Self().drain_limit_ns;
    uint64_t began_ns_ = 0;  // 0: it serves
};

}  // namespace framed

#endif  // FRAMED_CONNECTION_HPP
