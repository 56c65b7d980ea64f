// libmcrpc for C++17: the functions of mcrpc.h with types and without casts. Header only; mcrpc.h is the manual.
//
// Thin            Every function here is one call of mcrpc.h, and decides nothing. A struct here has the layout of its
//                 C namesake and converts to it.
// Errors          No exceptions, no RTTI. A Status is returned and must be looked at; outputs come last and are written
//                 only on success.
// Ownership       AdmissionMemory owns its memory, Running ends one request. Everything else is a plain value: copy it,
//                 drop it. A handle refers to the memory it was made from, which has to outlive it.
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

// A struct that grew would no longer be what its struct_size, or an array of its C namesake, says.
static_assert(sizeof(Header) == sizeof(mcrpc_header_t) && sizeof(Request) == sizeof(mcrpc_request_t));
static_assert(sizeof(AdmissionConfig) == sizeof(mcrpc_admission_config_t));
static_assert(sizeof(AdmissionSnapshot) == sizeof(mcrpc_admission_snapshot_t));
static_assert(sizeof(QueueSnapshot) == sizeof(mcrpc_queue_snapshot_t));

}  // namespace mcrpc

#endif  // MCRPC_HPP
