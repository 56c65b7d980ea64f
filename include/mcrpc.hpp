// libmcrpc for C++17: the functions of mcrpc.h with types and without casts. Header only; mcrpc.h is the manual.
//
// Thin            Every function here is one call of mcrpc.h, and decides nothing. A struct here has the layout of its
//                 C namesake and converts to it.
// Errors          No exceptions, no RTTI. A Status is returned and must be looked at; outputs come last and are written
//                 only on success.
// Ownership       Memory owns its memory, Running ends one request, Attempt reports one attempt, Host owns its mappings.
//                 Metadata, Frame and Context refer to the bytes that they were read from.
//                 Everything else is a plain value: copy it, drop it. A handle refers to the memory it was made from, which has to outlive it.
// Threads         Admission may be used by any number of threads and processes at once, a FrameDecoder by one thread at
//                 a time, like any other value.

#ifndef MCRPC_HPP
#define MCRPC_HPP

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <iterator>
#include <new>
#include <string_view>
#include <utility>

#include "mcrpc.h"

namespace mcrpc {

// CLOCK_MONOTONIC in nanoseconds, the clock of every function below. Any thread; no system call on common machines.
inline std::uint64_t now_ns() noexcept {
    std::timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// What happened: MCRPC_OK, another MCRPC_ status, or a service's own code that came with a response.
class [[nodiscard]] Status {
public:
    constexpr Status() noexcept = default;
    constexpr explicit Status(std::int32_t code) noexcept : code_(code) {}

    constexpr bool ok() const noexcept { return code_ == MCRPC_OK; }
    constexpr std::int32_t code() const noexcept { return code_; }
    // A metric label, such as "below_cursor". Static.
    std::string_view name() const noexcept { return mcrpc_status_name(code_); }
    // One sentence for people: what it means and what to do. Static.
    std::string_view text() const noexcept { return mcrpc_status_text(code_); }

    friend constexpr bool operator==(Status a, Status b) noexcept { return a.code_ == b.code_; }
    friend constexpr bool operator!=(Status a, Status b) noexcept { return a.code_ != b.code_; }

private:
    std::int32_t code_ = MCRPC_OK;
};

// Bytes as mcrpc.h has them, and back. Neither owns them.
inline mcrpc_bytes_t bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}
inline std::string_view view(const mcrpc_bytes_t &bytes) noexcept {
    return {reinterpret_cast<const char *>(bytes.data), bytes.len};
}

// What a receiver accepts of one connection, at the defaults to begin with.
struct Limits : mcrpc_limits_t {
    constexpr Limits() noexcept : mcrpc_limits_t MCRPC_LIMITS_INIT {}
    // The defaults, but bodies of at most this many bytes.
    constexpr explicit Limits(std::uint32_t body_len) noexcept : Limits() { max_body_len = body_len; }
};

// One tag of some metadata.
struct Tag {
    std::uint8_t number = 0;
    std::string_view value{};

    // Writes a tag to `out`, which has room for `len`; sets `wanted` to its length also when it is MCRPC_TOO_SMALL.
    Status write(std::uint8_t *out, std::size_t len, std::size_t &wanted) const noexcept {
        const mcrpc_bytes_t bytes = bytes_of(value);
        return Status(mcrpc_tag_write(number, bytes.data, bytes.len, out, len, &wanted));
    }
};

// Tags as they lie on the wire, known or not: for (const mcrpc::Tag &tag : metadata.tags()). Ends at the first that is
// broken, of which metadata that was read has none. Refers to the bytes.
class Tags {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Tag;
        using difference_type = std::ptrdiff_t;
        using pointer = const Tag *;
        using reference = const Tag &;

        Iterator() noexcept = default;
        explicit Iterator(const mcrpc_bytes_t &bytes) noexcept : bytes_(bytes) { ++*this; }

        reference operator*() const noexcept { return tag_; }
        pointer operator->() const noexcept { return &tag_; }
        Iterator &operator++() noexcept {
            mcrpc_bytes_t value{};
            if (mcrpc_tag_next(&bytes_, &offset_, &tag_.number, &value) != MCRPC_OK) tag_.number = 0;
            tag_.value = view(value);
            return *this;
        }
        Iterator operator++(int) noexcept { return std::exchange(*this, Iterator(*this).operator++()); }

        // All that have come to the end are equal.
        friend bool operator==(const Iterator &a, const Iterator &b) noexcept {
            return a.tag_.number == b.tag_.number && (a.tag_.number == 0 || a.offset_ == b.offset_);
        }
        friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return !(a == b); }

    private:
        mcrpc_bytes_t bytes_{};
        std::size_t offset_ = 0;
        Tag tag_{};
    };

    explicit Tags(const mcrpc_bytes_t &bytes) noexcept : bytes_(bytes) {}

    Iterator begin() const noexcept { return Iterator(bytes_); }
    Iterator end() const noexcept { return {}; }
    // As they lie on the wire.
    std::string_view bytes() const noexcept { return view(bytes_); }

private:
    mcrpc_bytes_t bytes_;
};

// The metadata of a frame: names and bytes by functions, numbers by the fields of mcrpc_metadata_t. Refers to the bytes that it
// was read from or given.
struct Metadata : mcrpc_metadata_t {
    constexpr Metadata() noexcept : mcrpc_metadata_t MCRPC_METADATA_INIT {}

    // Reads all the metadata of a frame.
    static Status parse(const std::uint8_t *bytes, std::size_t len, const Limits &limits, Metadata &out) noexcept {
        return Status(mcrpc_metadata_parse(bytes, len, &limits, &out));
    }

    std::string_view caller() const noexcept { return view(mcrpc_metadata_t::caller); }
    std::string_view service() const noexcept { return view(mcrpc_metadata_t::service); }
    std::string_view method() const noexcept { return view(mcrpc_metadata_t::method); }
    std::string_view zone() const noexcept { return view(mcrpc_metadata_t::zone); }
    std::string_view error_text() const noexcept { return view(mcrpc_metadata_t::error_text); }
    std::string_view ticket() const noexcept { return view(mcrpc_metadata_t::ticket); }
    std::string_view cookie() const noexcept { return view(mcrpc_metadata_t::cookie); }
    // All of it, if it was read.
    Tags tags() const noexcept { return Tags(mcrpc_metadata_t::tags); }

    void set_caller(std::string_view name) noexcept { mcrpc_metadata_t::caller = bytes_of(name); }
    void set_service(std::string_view name) noexcept { mcrpc_metadata_t::service = bytes_of(name); }
    void set_method(std::string_view full_name) noexcept { mcrpc_metadata_t::method = bytes_of(full_name); }
    void set_zone(std::string_view name) noexcept { mcrpc_metadata_t::zone = bytes_of(name); }
    void set_error_text(std::string_view text) noexcept { mcrpc_metadata_t::error_text = bytes_of(text); }
    void set_ticket(std::string_view bytes) noexcept { mcrpc_metadata_t::ticket = bytes_of(bytes); }
    void set_cookie(std::string_view bytes) noexcept { mcrpc_metadata_t::cookie = bytes_of(bytes); }
    // Further tags, one after the other as Tag::write() writes them.
    void set_tags(std::string_view bytes) noexcept { mcrpc_metadata_t::tags = bytes_of(bytes); }
};

// A frame header. A new one has no time limit, refuses nothing when it becomes a response, and has 0 everywhere else, which is
// no kind: set at least `kind`.
struct Header : mcrpc_header_t {
    constexpr Header() noexcept : mcrpc_header_t{} {
        budget_ms = UINT32_MAX;
        cursor = MCRPC_CURSOR_OPEN;
    }
    constexpr explicit Header(const mcrpc_header_t &header) noexcept : mcrpc_header_t(header) {}

    // Reads the header at the start of `bytes`, of which `len` are there.
    static Status parse(const std::uint8_t *bytes, std::size_t len, const Limits &limits, Header &out) noexcept {
        return Status(mcrpc_header_parse(bytes, len, &limits, &out));
    }

    // Writes MCRPC_HEADER_LEN bytes to `out`, which has room for `len`.
    Status emit(std::uint8_t *out, std::size_t len) const noexcept {
        return Status(mcrpc_header_emit(this, out, len));
    }

    // Writes the head of a frame, with metadata, of which `payload_len` bytes are to follow; sets `wanted` to its length also
    // when it is MCRPC_TOO_SMALL.
    Status emit(const Metadata &metadata, std::uint32_t payload_len, std::uint8_t *out, std::size_t len,
                std::size_t &wanted) const noexcept {
        return Status(mcrpc_head_write(this, &metadata, payload_len, out, len, &wanted));
    }
};

// The checksum with which a frame ends that has MCRPC_FLAG_CRC_TRAILER: of its head and its payload, piece by piece.
class Checksum {
public:
    static constexpr std::size_t kTrailerLen = 4;

    void update(const std::uint8_t *bytes, std::size_t len) noexcept { value_ = mcrpc_checksum(value_, bytes, len); }
    std::uint32_t value() const noexcept { return value_; }
    // The bytes that follow the payload.
    void trailer(std::uint8_t (&out)[kTrailerLen]) const noexcept {
        for (std::size_t n = 0; n < kTrailerLen; n++) out[n] = static_cast<std::uint8_t>(value_ >> (8 * n));
    }

private:
    std::uint32_t value_ = 0;
};

// Which protocol a connection speaks that begins so: MCRPC_PROTOCOL_...
inline std::uint32_t sniff(const std::uint8_t *bytes, std::size_t len) noexcept { return mcrpc_sniff(bytes, len); }

// One whole frame that lies in one buffer. Refers to the buffer.
struct Frame {
    Header header;
    Metadata metadata;
    std::string_view payload;
    std::size_t len = 0;  // of all of it: where the next one begins

    // Reads the frame at the front of `bytes`. MCRPC_INCOMPLETE: wanted() says how long it is.
    static Status parse(const std::uint8_t *bytes, std::size_t len, const Limits &limits, Frame &out) noexcept {
        mcrpc_bytes_t payload{};
        const Status status(
            mcrpc_frame_parse(bytes, len, &limits, &out.header, &out.metadata, &payload, &out.len));
        if (status.ok()) out.payload = view(payload);
        return status;
    }

    // How long the frame at the front of `bytes` is, once MCRPC_HEADER_LEN of them are there.
    static Status wanted(const std::uint8_t *bytes, std::size_t len, const Limits &limits, std::size_t &out) noexcept {
        return Status(mcrpc_frame_wanted(bytes, len, &limits, &out));
    }
};

// What FrameDecoder::next() found: `kind` says which of the fields are set. `bytes` points into the bytes passed in.
struct FrameEvent : mcrpc_frame_event_t {
    constexpr FrameEvent() noexcept : mcrpc_frame_event_t{} {}
};

// The incoming stream of one connection, cut into frames. Belongs to one connection; one thread at a time.
class FrameDecoder {
public:
    explicit FrameDecoder(const Limits &limits = {}) noexcept { mcrpc_frame_init(&limits, &decoder_); }

    // Takes the next event from the front of `data`, and sets `used` to the bytes it took. Call it again with what is
    // left until the event is MCRPC_EVENT_NONE. Any failure is final: close the connection.
    Status next(const std::uint8_t *data, std::size_t len, std::size_t &used, FrameEvent &event) noexcept {
        return Status(mcrpc_frame_next(&decoder_, data, len, &used, &event));
    }

    // A request of this connection has been answered, or never will be: not for one that came as MCRPC_EVENT_REFUSED. Only for
    // limits with max_open_calls.
    void answered() noexcept { mcrpc_frame_answered(&decoder_); }

private:
    mcrpc_frame_decoder_t decoder_{};
};

// The context of a request: who asks, how important it is, until when the answer is wanted, and what travels with it. Refers to
// the bytes of the metadata that it was read from.
struct Context : mcrpc_context_t {
    constexpr Context() noexcept : mcrpc_context_t MCRPC_CONTEXT_INIT {}
    constexpr explicit Context(const mcrpc_context_t &context) noexcept : mcrpc_context_t(context) {}

    // The context of a request that arrived at `arrival_ns`.
    static Status read(const Header &header, const Metadata &metadata, std::uint64_t arrival_ns, Context &out) noexcept {
        return Status(mcrpc_context_read(&header, &metadata, arrival_ns, &out));
    }

    // The context of a call that is made on behalf of this one, from a new span.
    Status onward(const std::uint8_t (&span)[8], Context &out) const noexcept {
        return Status(mcrpc_context_onward(this, span, &out));
    }

    // Fills in what a frame says of it that is sent at `now_ns`: start from a new Header and a new Metadata.
    // MCRPC_OUT_OF_TIME: do not send.
    Status write(std::uint64_t now_ns, Header &header, Metadata &metadata) const noexcept {
        return Status(mcrpc_context_write(this, now_ns, &header, &metadata));
    }

    // Its form in a queue, or a batch; sets `wanted` to its length also when it is MCRPC_TOO_SMALL.
    Status encode(std::uint64_t now_ns, std::uint8_t *out, std::size_t len, std::size_t &wanted) const noexcept {
        return Status(mcrpc_context_encode(this, now_ns, out, len, &wanted));
    }
    // What encode() wrote at `put_ns`. Refers to the bytes.
    static Status decode(const std::uint8_t *bytes, std::size_t len, const Limits &limits, std::uint64_t put_ns,
                         Context &out) noexcept {
        return Status(mcrpc_context_decode(bytes, len, &limits, put_ns, &out));
    }

    // The context of the request that the caller works for, by the program's lookup; null if there is none.
    static const mcrpc_context_t *current() noexcept { return mcrpc_context_current(); }
    // How current() finds it, for the whole process: a ContextScope's lookup, or the program's own.
    static void set_lookup(mcrpc_context_lookup_t lookup) noexcept { mcrpc_context_set_lookup(lookup); }

    std::string_view ticket() const noexcept { return view(mcrpc_context_t::ticket); }
    std::string_view cookie() const noexcept { return view(mcrpc_context_t::cookie); }
    void set_ticket(std::string_view bytes) noexcept { mcrpc_context_t::ticket = bytes_of(bytes); }
    void set_cookie(std::string_view bytes) noexcept { mcrpc_context_t::cookie = bytes_of(bytes); }
    Tags tags() const noexcept { return Tags(mcrpc_context_t::tags); }
};

// Makes a context the current one of this thread until it goes out of scope; they nest. For programs with a thread per request,
// which call install() once. In one with coroutines it would follow the thread instead of the coroutine: give
// Context::set_lookup() a function that asks the running coroutine. Refers to the context, which has to outlive it.
class [[nodiscard]] ContextScope {
public:
    explicit ContextScope(const Context &context) noexcept : outer_(std::exchange(slot(), &context)) {}
    explicit ContextScope(const Context &&) = delete;  // would be gone at the end of the statement
    ContextScope(const ContextScope &) = delete;
    ContextScope &operator=(const ContextScope &) = delete;
    ~ContextScope() { slot() = outer_; }

    // From now on Context::current() looks for a scope of the thread that calls it.
    static void install() noexcept { Context::set_lookup(&lookup); }

private:
    static const mcrpc_context_t *lookup() noexcept { return slot(); }
    static const mcrpc_context_t *&slot() noexcept {
        thread_local const mcrpc_context_t *current = nullptr;
        return current;
    }

    const mcrpc_context_t *outer_;
};

// What a decision needs to know of a request. A new one has no deadline and the highest importance.
struct Request : mcrpc_request_t {
    constexpr Request() noexcept : mcrpc_request_t MCRPC_REQUEST_INIT {}

    // `salt` is the fleet's secret, `epoch` rotates who comes first (the hour, say), and `arrival_ns` is when the
    // header was read.
    static Status from_header(const Header &header, std::uint64_t salt, std::uint32_t epoch, std::uint64_t arrival_ns,
                              Request &out) noexcept {
        return Status(mcrpc_request_from_header(&header, salt, epoch, arrival_ns, &out));
    }
    // The same, of a request whose context is there already.
    static Status from_context(const Context &context, std::uint64_t salt, std::uint32_t epoch, Request &out) noexcept {
        return Status(mcrpc_request_from_context(&context, salt, epoch, &out));
    }
};

// Settings of a controller, at their defaults to begin with: set queue_count and workers_per_queue.
struct AdmissionConfig : mcrpc_admission_config_t {
    constexpr AdmissionConfig() noexcept : mcrpc_admission_config_t MCRPC_ADMISSION_CONFIG_INIT {}

    // The bytes that a controller with these settings needs.
    Status memory_size(std::size_t &out) const noexcept { return Status(mcrpc_admission_memory_size(this, &out)); }
};

// What a controller knows.
struct AdmissionSnapshot : mcrpc_admission_snapshot_t {
    constexpr AdmissionSnapshot() noexcept : mcrpc_admission_snapshot_t{} { struct_size = sizeof(AdmissionSnapshot); }
};

// What a controller knows of a tenant.
struct TenantSnapshot : mcrpc_tenant_snapshot_t {
    constexpr TenantSnapshot() noexcept : mcrpc_tenant_snapshot_t{} { struct_size = sizeof(TenantSnapshot); }
};

// What a controller knows of one queue.
struct QueueSnapshot : mcrpc_queue_snapshot_t {
    constexpr QueueSnapshot() noexcept : mcrpc_queue_snapshot_t{} { struct_size = sizeof(QueueSnapshot); }
};

// Memory for a controller or a set of endpoints, aligned, and released with this object; all handles into it must be gone by then.
//
// Move-only; moving it leaves the memory where it is, so handles stay good. Empty if there was not enough memory, which
// init() reports as MCRPC_NULL_ARGUMENT.
class Memory {
public:
    Memory() noexcept = default;
    Memory(Memory &&other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          len_(std::exchange(other.len_, 0)),
          mapped_(other.mapped_) {}
    Memory &operator=(Memory &&other) noexcept {
        Memory taken(std::move(other));
        std::swap(data_, taken.data_);
        std::swap(len_, taken.len_);
        std::swap(mapped_, taken.mapped_);
        return *this;
    }
    ~Memory() {
        if (data_ == nullptr) {
            return;
        }
        if (mapped_) {
            munmap(data_, len_);
        } else {
            ::operator delete(data_, std::align_val_t{MCRPC_ADMISSION_ALIGN});
        }
    }

    // For the threads of one process.
    static Memory heap(std::size_t len) noexcept {
        void *data = ::operator new(len, std::align_val_t{MCRPC_ADMISSION_ALIGN}, std::nothrow);
        return Memory(data, len, false);
    }

    // For a process and the children it forks after this call. A child's own object unmaps it from the child alone.
    static Memory shared(std::size_t len) noexcept {
        void *data = mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        return Memory(data == MAP_FAILED ? nullptr : data, len, true);
    }

    void *data() const noexcept { return data_; }
    // Its bytes; 0 if it is empty.
    std::size_t size() const noexcept { return len_; }

private:
    Memory(void *data, std::size_t len, bool mapped) noexcept
        : data_(data), len_(data == nullptr ? 0 : len), mapped_(mapped) {}

    void *data_ = nullptr;
    std::size_t len_ = 0;
    bool mapped_ = false;
};

// A controller as one process sees it: a plain value. Any number of threads may use one or copies of it at once, and it
// is good in a child after fork() if its memory is shared. A default one answers MCRPC_NOT_INITIALISED to everything.
class Admission {
public:
    Admission() noexcept = default;

    // Lays out a controller in memory of the caller, once, before anybody uses it.
    static Status init(void *memory, std::size_t len, const AdmissionConfig &config, std::uint64_t now_ns,
                       Admission &out) noexcept {
        return Status(mcrpc_admission_init(memory, len, &config, now_ns, &out.handle_));
    }
    static Status init(const Memory &memory, const AdmissionConfig &config, std::uint64_t now_ns,
                       Admission &out) noexcept {
        return init(memory.data(), memory.size(), config, now_ns, out);
    }
    static Status init(const Memory &&, const AdmissionConfig &, std::uint64_t, Admission &) = delete;

    // Joins the controller that another process laid out in the same memory. Not needed after fork().
    static Status attach(void *memory, std::size_t len, Admission &out) noexcept {
        return Status(mcrpc_admission_attach(memory, len, &out.handle_));
    }

    // May I take this request into `queue`? OK: queue it, then call dequeued() or abandoned(). A refusal: answer at
    // once with this status and cursor().
    Status admit(std::uint32_t queue, const Request &request, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_admit(&handle_, queue, &request, now_ns));
    }

    // A worker took a request out of `queue`. OK: run it, then call done(), or let a Running do so.
    // MCRPC_DEADLINE_IN_QUEUE: answer so, and call nothing more.
    Status dequeued(std::uint32_t queue, std::uint64_t admitted_ns, std::uint64_t deadline_ns,
                    std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_dequeued(&handle_, queue, admitted_ns, deadline_ns, now_ns));
    }

    // A request that dequeued() let run is finished, well or badly.
    Status done(std::uint32_t queue, std::uint64_t started_ns, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_done(&handle_, queue, started_ns, now_ns));
    }

    // An admitted request left `queue` without being run.
    Status abandoned(std::uint32_t queue) const noexcept { return Status(mcrpc_abandoned(&handle_, queue)); }

    // The cursor to put into every response.
    std::uint32_t cursor(std::uint32_t queue) const noexcept { return mcrpc_cursor(&handle_, queue); }

    // The process behind `queue` is gone. To be called before another one takes the queue over.
    Status queue_lost(std::uint32_t queue) const noexcept {
        return Status(mcrpc_admission_queue_lost(&handle_, queue));
    }

    // MCRPC_MODE_..., for all processes at once.
    Status set_mode(std::uint32_t mode) const noexcept { return Status(mcrpc_admission_set_mode(&handle_, mode)); }

    // For which share of the tasks MCRPC_MODE_ENFORCE is in force.
    Status set_enforced(std::uint32_t share_per_10k) const noexcept {
        return Status(mcrpc_admission_set_enforced(&handle_, share_per_10k));
    }

    // How much of the processor the service uses, for one whose concurrency nothing else bounds.
    Status set_cpu(std::uint32_t cpu_per_10k, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_admission_set_cpu(&handle_, cpu_per_10k, now_ns));
    }

    // The weight of a tenant's fair share, and what was counted of it.
    Status set_tenant_weight(std::uint16_t tenant, std::uint32_t weight) const noexcept {
        return Status(mcrpc_admission_set_tenant_weight(&handle_, tenant, weight));
    }
    Status tenant_snapshot(std::uint16_t tenant, TenantSnapshot &out) const noexcept {
        return Status(mcrpc_admission_tenant_snapshot(&handle_, tenant, &out));
    }

    Status snapshot(AdmissionSnapshot &out) const noexcept { return Status(mcrpc_admission_snapshot(&handle_, &out)); }
    // A request says that its caller withheld `count` others, one of which had this key.
    Status withheld(std::uint32_t queue, std::uint32_t key, std::uint32_t count) const noexcept {
        return Status(mcrpc_admission_withheld(&handle_, queue, key, count));
    }
    Status queue_snapshot(std::uint32_t queue, QueueSnapshot &out) const noexcept {
        return Status(mcrpc_admission_queue_snapshot(&handle_, queue, &out));
    }

    // For the functions of mcrpc.h.
    const mcrpc_admission_t *handle() const noexcept { return &handle_; }

private:
    mcrpc_admission_t handle_{};
};

// A request that runs: calls done() when it goes out of scope, however that happens. Made after dequeued() said OK,
// with the same `started_ns`. Refers to `admission`, which has to outlive it; one thread at a time.
class [[nodiscard]] Running {
public:
    Running(const Admission &admission, std::uint32_t queue, std::uint64_t started_ns) noexcept
        : admission_(&admission), queue_(queue), started_ns_(started_ns) {}
    Running(Running &&other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)), queue_(other.queue_), started_ns_(other.started_ns_) {}
    Running &operator=(Running &&) = delete;
    ~Running() {
        if (admission_ != nullptr) {
            // It fails only for a queue that dequeued() would have refused as well.
            static_cast<void>(admission_->done(queue_, started_ns_, now_ns()));
        }
    }

private:
    const Admission *admission_;
    std::uint32_t queue_;
    std::uint64_t started_ns_;
};

// One endpoint of one service.
struct Endpoint : mcrpc_endpoint_t {
    constexpr Endpoint() noexcept : mcrpc_endpoint_t{} {}

    // At an IPv4 address: four bytes, network order.
    static Endpoint v4(const std::uint8_t (&address)[4], std::uint16_t port, std::uint32_t service_id = 0) noexcept {
        Endpoint endpoint;
        mcrpc_endpoint_v4(address, port, service_id, &endpoint);
        return endpoint;
    }
};

// How a leaky bucket leaks. A new one: ten failures at once fill it, one per second leaks out.
struct Leak : mcrpc_leak_t {
    constexpr Leak() noexcept : mcrpc_leak_t MCRPC_LEAK_INIT {}
};

// Settings of a host, at their defaults to begin with.
struct HostConfig : mcrpc_host_config_t {
    constexpr HostConfig() noexcept : mcrpc_host_config_t MCRPC_HOST_CONFIG_INIT {}

    // What the process is called in `mcrpc top`; what is longer than MCRPC_NAME_LEN is cut off.
    void set_name(std::string_view text) noexcept {
        for (std::size_t n = 0; n < MCRPC_NAME_LEN; n++) {
            name[n] = n < text.size() ? static_cast<std::uint8_t>(text[n]) : 0;
        }
    }
};

// Why a segment is in use or not.
struct SegmentStatus : mcrpc_segment_status_t {
    constexpr SegmentStatus() noexcept : mcrpc_segment_status_t{} { struct_size = sizeof(SegmentStatus); }
};

// The number of a leaky bucket or of a counter. A new one belongs to nothing: it is never full, and pouring or adding to it
// is answered with MCRPC_STALE_ID.
struct BucketId {
    std::uint64_t number = 0;
};
struct CounterId {
    std::uint64_t number = 0;
};

// What is known of a line of text: of this level and moment, of no thread, coroutine or request that is known.
struct LogLine : mcrpc_log_line_t {
    constexpr explicit LogLine(std::uint32_t level_of_line, std::uint64_t at_ns) noexcept
        : mcrpc_log_line_t MCRPC_LOG_LINE_INIT {
        level = level_of_line;
        now_ns = at_ns;
    }
};

// The host's shared segments as this process sees them. It stays where it is: neither copied nor moved. Any number of
// threads may use it at once, and a child after fork(). Closed when it is destroyed, when nobody may use it any more.
class Host {
public:
    Host() noexcept = default;
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;
    ~Host() { static_cast<void>(mcrpc_host_close(&host_)); }

    // Opens the segments in a directory, which need not exist: then all calls pass, and tick() goes on looking. Once.
    Status open(const char *directory, const HostConfig &config, std::uint64_t now_ns) noexcept {
        return Status(mcrpc_host_open(directory, &config, now_ns, &host_));
    }
    // Lays buckets, counters and traces out in memory of the caller's, for the processes it forks. Once.
    Status create(void *memory, std::size_t len, const HostConfig &config, std::uint64_t now_ns) noexcept {
        return Status(mcrpc_host_create(memory, len, &config, now_ns, &host_));
    }
    // The bytes that create() needs.
    static Status memory_size(const HostConfig &config, std::size_t &out) noexcept {
        return Status(mcrpc_host_memory_size(&config, &out));
    }

    // The housekeeping, about once a second. Opens and maps files: on an ordinary thread's stack.
    Status tick(std::uint64_t now_ns) const noexcept { return Status(mcrpc_host_tick(&host_, now_ns)); }
    // `segment` is MCRPC_SEGMENT_...
    Status segment_status(std::uint32_t segment, SegmentStatus &out) const noexcept {
        return Status(mcrpc_host_segment_status(&host_, segment, &out));
    }
    // Shows the process's own admission queue to `mcrpc top`, with each tick().
    Status report_queue(const Admission &admission, std::uint32_t queue, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_host_report_queue(&host_, admission.handle(), queue, now_ns));
    }
    // How much is used of the CPU time that this process may use, 0 to 10000, and when; below 0 when the agent does not say.
    std::int32_t cpu(std::uint64_t now_ns, std::uint64_t *sampled_ns = nullptr) const noexcept {
        return mcrpc_host_cpu(&host_, now_ns, sampled_ns);
    }

    // What the host learnt about an endpoint, for a call of `uin`; always an answer.
    mcrpc_strategy_t strategy(const Endpoint &endpoint, std::uint64_t uin) const noexcept {
        return mcrpc_strategy(&host_, &endpoint, uin);
    }
    // MCRPC_MODE_... in force for a mechanism (MCRPC_MECHANISM_...) and a user.
    std::uint32_t mode(std::uint32_t mechanism, std::uint64_t uin, std::uint32_t own_mode) const noexcept {
        return mcrpc_host_mode(&host_, mechanism, uin, own_mode);
    }
    // Puts in force what the operator says of admission. Once a second.
    Status steer(const Admission &admission, std::uint32_t own_mode) const noexcept {
        return Status(mcrpc_admission_follow(admission.handle(), &host_, own_mode));
    }
    // The key of the hashes over users: the operator's, else the program's own.
    std::uint64_t salt(std::uint64_t own_salt) const noexcept { return mcrpc_host_salt(&host_, own_salt); }
    bool killed() const noexcept { return mcrpc_host_killed(&host_) != 0; }
    bool dyed(std::uint64_t uin, std::uint64_t now_ns) const noexcept {
        return mcrpc_host_dyed(&host_, uin, now_ns) != 0;
    }
    // OK, or MCRPC_SHIELDED: choose another endpoint.
    Status check_shield(const Endpoint &endpoint, std::uint64_t uin, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_shield_check(&host_, &endpoint, uin, now_ns));
    }
    // OK, or MCRPC_SKIPPED: do without the answer.
    Status check_skip(std::uint32_t service_id, std::uint32_t method_id, std::uint64_t uin) const noexcept {
        return Status(mcrpc_skip_check(&host_, service_id, method_id, uin));
    }

    Status bucket(const Endpoint &endpoint, BucketId &out) const noexcept {
        return Status(mcrpc_bucket_open(&host_, &endpoint, &out.number));
    }
    // A call to the bucket's endpoint has failed.
    Status pour(BucketId bucket, const Leak &leak, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_bucket_pour(&host_, bucket.number, &leak, now_ns));
    }
    // OK, or MCRPC_BUCKET_FULL: choose another endpoint.
    Status check_bucket(BucketId bucket, const Leak &leak, std::uint64_t uin, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_bucket_check(&host_, bucket.number, &leak, uin, now_ns));
    }
    // The bucket's endpoint has proved that it works.
    Status empty(BucketId bucket) const noexcept { return Status(mcrpc_bucket_empty(&host_, bucket.number)); }

    // `kind` is MCRPC_COUNTER_...
    Status counter(std::uint32_t id, std::uint32_t key, std::uint32_t kind, CounterId &out) const noexcept {
        return Status(mcrpc_counter_open(&host_, id, key, kind, &out.number));
    }
    Status add(CounterId counter, std::uint64_t n) const noexcept {
        return Status(mcrpc_counter_add(&host_, counter.number, n));
    }
    Status raise(CounterId counter, std::uint64_t value, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_counter_max(&host_, counter.number, value, now_ns));
    }
    Status count(std::uint32_t id, std::uint32_t key, std::uint64_t n) const noexcept {
        return Status(mcrpc_count(&host_, id, key, n));
    }
    Status set_max(std::uint32_t id, std::uint32_t key, std::uint64_t value, std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_set_max(&host_, id, key, value, now_ns));
    }
    // Appends to this process's trace ring. `kind` is yours, from 1 on.
    Status trace(std::uint8_t kind, std::string_view text, std::uint64_t now_ns) const noexcept {
        return Status(
            mcrpc_trace(&host_, kind, reinterpret_cast<const std::uint8_t *>(text.data()), text.size(), now_ns));
    }

    // Hands a line to the agent, which writes it into a file. MCRPC_NO_POLICY: the agent keeps no logs.
    // `context` says for whom: nullptr for nobody.
    Status log(const LogLine &line, const mcrpc_context_t *context, std::string_view text) const noexcept {
        return Status(mcrpc_log(&host_, &line, context, text.data(), text.size()));
    }

    // For the functions of mcrpc.h.
    const mcrpc_host_t *handle() const noexcept { return &host_; }

private:
    mcrpc_host_t host_{};
};

// Settings of a set of endpoints, at their defaults to begin with.
struct EndpointsConfig : mcrpc_endpoints_config_t {
    constexpr EndpointsConfig() noexcept : mcrpc_endpoints_config_t MCRPC_ENDPOINTS_CONFIG_INIT {}

    // The bytes that a set with these settings needs.
    Status memory_size(std::size_t &out) const noexcept { return Status(mcrpc_endpoints_memory_size(this, &out)); }
};

// One endpoint of a set: of weight 100, for everybody, in no particular zone.
struct EndpointSpec : mcrpc_endpoint_spec_t {
    constexpr EndpointSpec() noexcept : mcrpc_endpoint_spec_t{} { weight = 100; }
    constexpr explicit EndpointSpec(const Endpoint &where, std::uint64_t data = 0) noexcept : EndpointSpec() {
        endpoint = where;
        user_data = data;
    }
};

// Sends a share of the users, or of a range of them, to the endpoints of a group.
struct GroupRule : mcrpc_group_rule_t {
    constexpr GroupRule() noexcept : mcrpc_group_rule_t{} { last_uin = UINT64_MAX; }
    constexpr GroupRule(std::uint16_t to, std::uint16_t per_10k) noexcept : GroupRule() {
        group = to;
        share_per_10k = per_10k;
    }
};

// A call and its attempts so far: fill in the user, a call id, the deadline, the key and what is called. One thread at a time.
struct Call : mcrpc_call_t {
    constexpr Call() noexcept : mcrpc_call_t{} {}
};

// What is known of an endpoint.
struct Health : mcrpc_health_t {
    constexpr Health() noexcept : mcrpc_health_t{} { struct_size = sizeof(Health); }
};

// What a set decided so far.
struct EndpointsSnapshot : mcrpc_endpoints_snapshot_t {
    constexpr EndpointsSnapshot() noexcept : mcrpc_endpoints_snapshot_t{} { struct_size = sizeof(EndpointsSnapshot); }
};

// The endpoints of one service, as this process sees them: a plain value. Any number of threads may use one or copies of it
// at once, and a child after fork(). It refers to its memory and its host, which have to outlive it. A default one answers
// MCRPC_NOT_INITIALISED to everything.
class Endpoints {
public:
    Endpoints() noexcept = default;

    // An empty set in memory of the caller's. `host` may be null: then the set knows what its own calls met.
    static Status init(const Memory &memory, const EndpointsConfig &config, const Host *host, Endpoints &out) noexcept {
        out.host_ = host == nullptr ? nullptr : host->handle();
        return Status(mcrpc_endpoints_init(memory.data(), memory.size(), &config, &out.handle_));
    }
    static Status init(const Memory &&, const EndpointsConfig &, const Host *, Endpoints &) = delete;

    // Puts another list in force, as a whole and at once; calls go on meanwhile. By one thread at a time.
    Status replace(const EndpointSpec *specs, std::uint32_t count, const GroupRule *rules = nullptr,
                   std::uint32_t rule_count = 0) const noexcept {
        return Status(mcrpc_endpoints_replace(&handle_, host_, specs, count, rules, rule_count));
    }

    // Which endpoint for the next attempt? Not OK: do not send. An Attempt does this and report() in one.
    Status select(Call &call, std::uint32_t attempt, std::uint64_t now_ns, mcrpc_choice_t &out) const noexcept {
        return Status(mcrpc_select(&handle_, host_, &call, attempt, now_ns, &out));
    }
    // What an attempt met: MCRPC_OUTCOME_...
    Status report(const mcrpc_choice_t &choice, std::uint32_t outcome, std::uint64_t elapsed_ns,
                  std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_report(&handle_, host_, &choice, outcome, elapsed_ns, now_ns));
    }
    // A reply said which keys its endpoint admits, and for how long.
    Status heard(const mcrpc_choice_t &choice, std::uint32_t cursor, std::uint32_t hold_ms,
                 std::uint64_t now_ns) const noexcept {
        return Status(mcrpc_heard(&handle_, host_, &choice, cursor, hold_ms, now_ns));
    }

    // Hands over what was counted: about five times per second.
    Status tick() const noexcept { return Status(mcrpc_endpoints_tick(&handle_, host_)); }
    Status health(std::uint32_t index, std::uint64_t now_ns, Health &out) const noexcept {
        return Status(mcrpc_endpoints_health(&handle_, host_, index, now_ns, &out));
    }
    Status snapshot(EndpointsSnapshot &out) const noexcept {
        return Status(mcrpc_endpoints_snapshot(&handle_, &out));
    }

private:
    mcrpc_endpoints_t handle_{};
    const mcrpc_host_t *host_ = nullptr;
};

// One attempt of a call: chooses an endpoint when it is made, and reports what happened when it goes out of scope. An attempt
// of which nobody said that it was answered has failed, unless an exception ends the scope: that says nothing of the endpoint,
// and nothing is reported. Who returns early for a reason of its own calls abandon(). Refers to the set, which has to outlive
// it; one thread at a time.
//
//     mcrpc::Call call;                                  // fill in uin, call_id, deadline_ns, key
//     for (;;) {
//         mcrpc::Attempt attempt(endpoints, call);
//         if (!attempt.status().ok()) return attempt.status();     // refused, or no endpoint or retry is left
//         if (send_to(attempt.endpoint(), request, reply)) {       // false: could not connect, no answer in time
//             attempt.answered(reply.status, reply.cursor, 300);
//             if (!attempt.is_retriable()) return reply.status;
//         }
//     }
class [[nodiscard]] Attempt {
public:
    Attempt(const Endpoints &endpoints, Call &call, std::uint32_t attempt = MCRPC_ATTEMPT_NEXT) noexcept
        : endpoints_(&endpoints), started_ns_(now_ns()) {
        status_ = endpoints.select(call, attempt, started_ns_, choice_);
        reports_ = status_.ok();
    }
    Attempt(const Attempt &) = delete;
    Attempt &operator=(const Attempt &) = delete;
    ~Attempt() {
        if (reports_ && std::uncaught_exceptions() == exceptions_) {
            const std::uint64_t now = now_ns();
            static_cast<void>(endpoints_->report(choice_, outcome_, now - started_ns_, now));
        }
    }

    // OK: send. Anything else: do not.
    Status status() const noexcept { return status_; }
    const mcrpc_endpoint_t &endpoint() const noexcept { return choice_.endpoint; }
    std::uint32_t index() const noexcept { return choice_.index; }
    std::uint64_t user_data() const noexcept { return choice_.user_data; }
    // Whether it finds out for the whole host if a shielded endpoint works again.
    bool is_probe() const noexcept { return (choice_.flags & MCRPC_CHOICE_PROBE) != 0; }
    // To be sent along when it is not 0.
    std::uint32_t withheld_count() const noexcept { return choice_.withheld_count; }
    std::uint32_t withheld_key() const noexcept { return choice_.withheld_key; }

    // A reply came, with this status of the library's list or the service's own.
    void answered(std::int32_t status) noexcept { outcome_ = mcrpc_outcome_of(status); }
    // It also said which keys the endpoint admits, and for how long.
    void answered(std::int32_t status, std::uint32_t cursor, std::uint32_t hold_ms) noexcept {
        answered(status);
        static_cast<void>(endpoints_->heard(choice_, cursor, hold_ms, now_ns()));
    }
    // Nothing can be said of the endpoint: the attempt was given up, as the slower one of two.
    void abandon() noexcept { reports_ = false; }
    // Whether another endpoint may do better.
    bool is_retriable() const noexcept { return mcrpc_outcome_is_retriable(outcome_) != 0; }

private:
    const Endpoints *endpoints_;
    mcrpc_choice_t choice_{};
    Status status_;
    std::uint64_t started_ns_;
    int exceptions_ = std::uncaught_exceptions();
    std::uint32_t outcome_ = MCRPC_OUTCOME_FAILED;
    bool reports_ = false;
};

// baidu_std, the protocol of brpc. Views are of the frame that was parsed, or of what was given, and good as long as that is.
namespace baidu_std {

// The most that a peer may announce.
struct Limits {
    std::uint32_t max_body_len = MCRPC_BAIDU_MAX_BODY_LEN;
    std::uint32_t max_meta_len = MCRPC_BAIDU_MAX_META_LEN;
};

// For whom a request is made. A new one is for nobody.
struct Origin : mcrpc_baidu_origin_t {
    constexpr Origin() noexcept : mcrpc_baidu_origin_t{} {}
};

// A pair of the map user_fields.
struct UserField : mcrpc_baidu_field_t {
    constexpr UserField() noexcept : mcrpc_baidu_field_t{} {}
    UserField(std::string_view key_text, std::string_view value_text) noexcept
        : mcrpc_baidu_field_t{bytes_of(key_text), bytes_of(value_text)} {}
};

// What a frame says about itself. A new one says nothing.
struct Meta : mcrpc_baidu_meta_t {
    constexpr Meta() noexcept : mcrpc_baidu_meta_t MCRPC_BAIDU_META_INIT {}

    static Meta request(std::string_view service, std::string_view method, std::int64_t correlation) noexcept {
        Meta meta;
        meta.present = MCRPC_BAIDU_REQUEST | MCRPC_BAIDU_CORRELATION_ID;
        meta.service_name = bytes_of(service);
        meta.method_name = bytes_of(method);
        meta.correlation_id = correlation;
        return meta;
    }
    // The response to the request with this correlation id, for the brpc client that sent it.
    static Meta response(std::int64_t correlation, Status status, std::string_view text = {}) noexcept {
        Meta meta;
        meta.present = MCRPC_BAIDU_RESPONSE | MCRPC_BAIDU_ERROR_CODE | MCRPC_BAIDU_CORRELATION_ID;
        meta.error_code = mcrpc_baidu_error_of(status.code());
        meta.correlation_id = correlation;
        if (!text.empty()) {
            meta.present |= MCRPC_BAIDU_ERROR_TEXT;
            meta.error_text = bytes_of(text);
        }
        return meta;
    }

    // Whether all these are there: MCRPC_BAIDU_...
    constexpr bool has(std::uint32_t fields) const noexcept { return (present & fields) == fields; }
    std::string_view service() const noexcept { return view(service_name); }
    std::string_view method() const noexcept { return view(method_name); }
    // How a call to a brpc server ended, for Attempt::answered(); MCRPC_BAD_KIND if this is no response.
    Status status() const noexcept {
        if (!has(MCRPC_BAIDU_RESPONSE)) return Status(MCRPC_BAD_KIND);
        return Status(mcrpc_baidu_status_of(has(MCRPC_BAIDU_ERROR_CODE) ? error_code : 0));
    }

    // The value of a key; `data` is NULL if there is none.
    Status user_field(std::string_view key, mcrpc_bytes_t &out) const noexcept {
        const mcrpc_bytes_t wanted = bytes_of(key);
        return Status(mcrpc_baidu_user_field(this, wanted.data, wanted.len, &out));
    }
    // The next pair from `rest`, at first a copy of user_fields; `key.data` is NULL at the end.
    static Status next_user_field(mcrpc_bytes_t &rest, UserField &out) noexcept {
        return Status(mcrpc_baidu_next_user_field(&rest, &out));
    }

    // The context of this request; without a deadline if brpc did not send one.
    Status to_context(std::uint64_t arrival_ns, Context &out) const noexcept {
        return Status(mcrpc_baidu_to_context(this, arrival_ns, &out));
    }
    // Says in this request, and in `origin`, what a brpc server is to know of a context. MCRPC_OUT_OF_TIME: do not send.
    Status set_context(const Context &context, std::uint64_t now_ns, Origin &origin) noexcept {
        return Status(mcrpc_baidu_set_context(&context, now_ns, this, &origin));
    }

    // The native header of this request, for Request::from_header().
    Status to_header(std::uint32_t payload_len, Header &out) const noexcept {
        return Status(mcrpc_baidu_to_header(this, payload_len, &out));
    }

    // Writes the header and this meta, for a payload and attachment of `payload_len` bytes together, which follow. `wanted`
    // becomes the bytes written, or with MCRPC_TOO_SMALL those to make room for.
    Status write_request(const Origin &origin, const UserField *fields, std::size_t count, std::uint32_t payload_len,
                         std::uint8_t *out, std::size_t len, std::size_t &wanted) const noexcept {
        return Status(mcrpc_baidu_write_request(this, &origin, fields, count, payload_len, out, len, &wanted));
    }
    Status write_response(const UserField *fields, std::size_t count, std::uint32_t payload_len, std::uint8_t *out,
                          std::size_t len, std::size_t &wanted) const noexcept {
        return Status(mcrpc_baidu_write_response(this, fields, count, payload_len, out, len, &wanted));
    }
};

// How long the frame at the front of `data` is: read until so many bytes are there, then make a Frame.
inline Status wanted(const std::uint8_t *data, std::size_t len, const Limits &limits, std::size_t &out) noexcept {
    return Status(mcrpc_baidu_wanted(data, len, limits.max_body_len, limits.max_meta_len, &out));
}

// A frame. A plain value, whose views are of the bytes it was made from.
struct Frame {
    Meta meta;
    mcrpc_bytes_t payload{};
    mcrpc_bytes_t attachment{};

    static Status parse(const std::uint8_t *data, std::size_t len, const Limits &limits, Frame &out) noexcept {
        out.payload = out.attachment = {};
        return Status(mcrpc_baidu_parse(data, len, limits.max_body_len, limits.max_meta_len, &out.meta, &out.payload,
                                        &out.attachment));
    }
};

}  // namespace baidu_std

// A struct that grew would no longer be what its struct_size, or an array of its C namesake, says.
static_assert(sizeof(Header) == sizeof(mcrpc_header_t) && sizeof(Request) == sizeof(mcrpc_request_t));
static_assert(sizeof(Limits) == sizeof(mcrpc_limits_t) && sizeof(Metadata) == sizeof(mcrpc_metadata_t));
static_assert(sizeof(Context) == sizeof(mcrpc_context_t) && sizeof(FrameEvent) == sizeof(mcrpc_frame_event_t));
static_assert(sizeof(AdmissionConfig) == sizeof(mcrpc_admission_config_t));
static_assert(sizeof(AdmissionSnapshot) == sizeof(mcrpc_admission_snapshot_t));
static_assert(sizeof(QueueSnapshot) == sizeof(mcrpc_queue_snapshot_t));
static_assert(sizeof(Endpoint) == sizeof(mcrpc_endpoint_t) && sizeof(Leak) == sizeof(mcrpc_leak_t));
static_assert(sizeof(HostConfig) == sizeof(mcrpc_host_config_t));
static_assert(sizeof(EndpointsConfig) == sizeof(mcrpc_endpoints_config_t));
static_assert(sizeof(EndpointSpec) == sizeof(mcrpc_endpoint_spec_t) && sizeof(GroupRule) == sizeof(mcrpc_group_rule_t));
static_assert(sizeof(Call) == sizeof(mcrpc_call_t) && sizeof(Health) == sizeof(mcrpc_health_t));
static_assert(sizeof(EndpointsSnapshot) == sizeof(mcrpc_endpoints_snapshot_t));
static_assert(sizeof(SegmentStatus) == sizeof(mcrpc_segment_status_t));
static_assert(sizeof(baidu_std::Meta) == sizeof(mcrpc_baidu_meta_t));
static_assert(sizeof(baidu_std::Origin) == sizeof(mcrpc_baidu_origin_t));
static_assert(sizeof(baidu_std::UserField) == sizeof(mcrpc_baidu_field_t));

}  // namespace mcrpc

#endif  // MCRPC_HPP
