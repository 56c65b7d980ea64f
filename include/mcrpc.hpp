// libmcrpc for C++17: the functions of mcrpc.h with types and without casts. Header only; mcrpc.h is the manual.
//
// Thin            Every function here is one call of mcrpc.h, and decides nothing. A struct here has the layout of its
//                 C namesake and converts to it.
// Errors          No exceptions, no RTTI. A Status is returned and must be looked at; outputs come last and are written
//                 only on success.
// Ownership       AdmissionMemory owns its memory, Running ends one request, Host owns its mappings. Everything else is a
//                 plain value: copy it, drop it. A handle refers to the memory it was made from, which has to outlive it.
// Threads         Admission may be used by any number of threads and processes at once, a FrameDecoder by one thread at
//                 a time, like any other value.

#ifndef MCRPC_HPP
#define MCRPC_HPP

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
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

// A frame header. A new one has no time limit, and 0 everywhere else, which is no kind: set at least `kind`.
struct Header : mcrpc_header_t {
    constexpr Header() noexcept : mcrpc_header_t{} { budget_ms = UINT32_MAX; }
    constexpr explicit Header(const mcrpc_header_t &header) noexcept : mcrpc_header_t(header) {}

    // Reads the header at the start of `bytes`, of which `len` are there.
    static Status parse(const std::uint8_t *bytes, std::size_t len, std::uint32_t max_body_len, Header &out) noexcept {
        return Status(mcrpc_header_parse(bytes, len, max_body_len, &out));
    }

    // Writes MCRPC_HEADER_LEN bytes to `out`, which has room for `len`.
    Status emit(std::uint8_t *out, std::size_t len) const noexcept {
        return Status(mcrpc_header_emit(this, out, len));
    }
};

// What FrameDecoder::next() found: `kind` says which of the fields are set. `bytes` points into the bytes passed in.
struct FrameEvent : mcrpc_frame_event_t {
    constexpr FrameEvent() noexcept : mcrpc_frame_event_t{} {}
};

// The incoming stream of one connection, cut into frames. Belongs to one connection; one thread at a time.
class FrameDecoder {
public:
    // Frames with a body above `max_body_len` bytes break the stream.
    explicit FrameDecoder(std::uint32_t max_body_len) noexcept { mcrpc_frame_init(max_body_len, &decoder_); }

    // Takes the next event from the front of `data`, and sets `used` to the bytes it took. Call it again with what is
    // left until the event is MCRPC_EVENT_NONE. Any failure is final: close the connection.
    Status next(const std::uint8_t *data, std::size_t len, std::size_t &used, FrameEvent &event) noexcept {
        return Status(mcrpc_frame_next(&decoder_, data, len, &used, &event));
    }

private:
    mcrpc_frame_decoder_t decoder_{};
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

// What a controller knows of one queue.
struct QueueSnapshot : mcrpc_queue_snapshot_t {
    constexpr QueueSnapshot() noexcept : mcrpc_queue_snapshot_t{} { struct_size = sizeof(QueueSnapshot); }
};

// Memory for a controller, aligned, and released with this object; all handles into it must be gone by then.
//
// Move-only; moving it leaves the memory where it is, so handles stay good. Empty if there was not enough memory, which
// Admission::init() reports as MCRPC_NULL_ARGUMENT.
class AdmissionMemory {
public:
    AdmissionMemory() noexcept = default;
    AdmissionMemory(AdmissionMemory &&other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          len_(std::exchange(other.len_, 0)),
          mapped_(other.mapped_) {}
    AdmissionMemory &operator=(AdmissionMemory &&other) noexcept {
        AdmissionMemory taken(std::move(other));
        std::swap(data_, taken.data_);
        std::swap(len_, taken.len_);
        std::swap(mapped_, taken.mapped_);
        return *this;
    }
    ~AdmissionMemory() {
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
    static AdmissionMemory heap(std::size_t len) noexcept {
        void *data = ::operator new(len, std::align_val_t{MCRPC_ADMISSION_ALIGN}, std::nothrow);
        return AdmissionMemory(data, len, false);
    }

    // For a process and the children it forks after this call. A child's own object unmaps it from the child alone.
    static AdmissionMemory shared(std::size_t len) noexcept {
        void *data = mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        return AdmissionMemory(data == MAP_FAILED ? nullptr : data, len, true);
    }

    void *data() const noexcept { return data_; }
    // Its bytes; 0 if it is empty.
    std::size_t size() const noexcept { return len_; }

private:
    AdmissionMemory(void *data, std::size_t len, bool mapped) noexcept
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
    static Status init(const AdmissionMemory &memory, const AdmissionConfig &config, std::uint64_t now_ns,
                       Admission &out) noexcept {
        return init(memory.data(), memory.size(), config, now_ns, out);
    }

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

    Status snapshot(AdmissionSnapshot &out) const noexcept { return Status(mcrpc_admission_snapshot(&handle_, &out)); }
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

    // What the host learnt about an endpoint, for a call of `uin`; always an answer.
    mcrpc_strategy_t strategy(const Endpoint &endpoint, std::uint64_t uin) const noexcept {
        return mcrpc_strategy(&host_, &endpoint, uin);
    }
    // MCRPC_MODE_... in force for a mechanism (MCRPC_MECHANISM_...) and a user.
    std::uint32_t mode(std::uint32_t mechanism, std::uint64_t uin, std::uint32_t own_mode) const noexcept {
        return mcrpc_host_mode(&host_, mechanism, uin, own_mode);
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

private:
    mcrpc_host_t host_{};
};

// A struct that grew would no longer be what its struct_size, or an array of its C namesake, says.
static_assert(sizeof(Header) == sizeof(mcrpc_header_t) && sizeof(Request) == sizeof(mcrpc_request_t));
static_assert(sizeof(AdmissionConfig) == sizeof(mcrpc_admission_config_t));
static_assert(sizeof(AdmissionSnapshot) == sizeof(mcrpc_admission_snapshot_t));
static_assert(sizeof(QueueSnapshot) == sizeof(mcrpc_queue_snapshot_t));
static_assert(sizeof(Endpoint) == sizeof(mcrpc_endpoint_t) && sizeof(Leak) == sizeof(mcrpc_leak_t));
static_assert(sizeof(HostConfig) == sizeof(mcrpc_host_config_t));
static_assert(sizeof(SegmentStatus) == sizeof(mcrpc_segment_status_t));

}  // namespace mcrpc

#endif  // MCRPC_HPP
