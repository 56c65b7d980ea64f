// The C++ layer: what it adds to the C functions is ownership, and that is what is checked here.
#include "../c/check.h"

#include <mcrpc.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

mcrpc::Status admit_from_second_unit(const mcrpc::Admission &, const mcrpc::Request &, std::uint64_t);

static_assert(std::is_trivially_copyable_v<mcrpc::Admission>);
static_assert(!std::is_copy_constructible_v<mcrpc::Memory>);

// Memory that is gone at the end of the line is refused by what would refer to it.
template <typename M, typename = void>
struct Takes : std::false_type {};
template <typename M>
struct Takes<M, std::void_t<decltype(mcrpc::Admission::init(std::declval<M>(), mcrpc::AdmissionConfig(), 1,
                                                            std::declval<mcrpc::Admission &>()))>> : std::true_type {};
static_assert(Takes<mcrpc::Memory &>::value && Takes<const mcrpc::Memory &>::value && !Takes<mcrpc::Memory>::value);
static_assert(std::is_nothrow_move_constructible_v<mcrpc::Memory>);
static_assert(!std::is_copy_constructible_v<mcrpc::Running>);

static mcrpc::QueueSnapshot queue_of(const mcrpc::Admission &admission) {
    mcrpc::QueueSnapshot snapshot;
    CHECK(admission.queue_snapshot(0, snapshot).ok());
    return snapshot;
}

static void a_request_from_bytes_to_done() {
    mcrpc::AdmissionConfig config;
    config.workers_per_queue = 2;
    std::size_t size = 0;
    CHECK(config.memory_size(size).ok());
    auto memory = mcrpc::Memory::heap(size);
    mcrpc::Admission admission;
    CHECK(admission.set_mode(MCRPC_MODE_OFF).code() == MCRPC_NOT_INITIALISED);
    CHECK(mcrpc::Admission::init(memory, config, mcrpc::now_ns(), admission).ok());

    mcrpc::Header sent;
    sent.kind = MCRPC_KIND_REQUEST;
    sent.uin = 42;
    sent.budget_ms = 500;
    sent.flags = MCRPC_FLAGS_WITH_ATTEMPT(MCRPC_FLAG_CONTINUES_TASK, 2);
    std::uint8_t bytes[MCRPC_HEADER_LEN];
    CHECK(sent.emit(bytes, sizeof bytes).ok());

    mcrpc::FrameDecoder decoder(mcrpc::Limits(1024));
    mcrpc::FrameEvent event;
    std::size_t used = 0;
    CHECK(decoder.next(bytes, 7, used, event).ok() && used == 7 && event.kind == MCRPC_EVENT_NONE);
    CHECK(decoder.next(bytes + 7, sizeof bytes - 7, used, event).ok() && event.kind == MCRPC_EVENT_HEADER);
    CHECK(event.header.uin == 42 && MCRPC_FLAGS_ATTEMPT(event.header.flags) == 2);

    const std::uint64_t now_ns = mcrpc::now_ns();
    mcrpc::Request request;
    CHECK(mcrpc::Request::from_header(mcrpc::Header(event.header), 7, 1, now_ns, request).ok());
    CHECK(request.flags == (MCRPC_REQUEST_RETRY | MCRPC_REQUEST_CONTINUES_TASK));
    CHECK(request.deadline_ns == now_ns + 500'000'000);
    CHECK(admit_from_second_unit(admission, request, now_ns).ok());
    CHECK(queue_of(admission).queued == 1);
    CHECK(admission.dequeued(0, now_ns, request.deadline_ns, now_ns).ok());
    {
        const mcrpc::Running outer(admission, 0, now_ns);
        CHECK(queue_of(admission).running == 1);
    }
    CHECK(queue_of(admission).running == 0 && queue_of(admission).completed == 1);
    CHECK(admission.cursor(0) == MCRPC_CURSOR_OPEN);

    mcrpc::Memory moved = std::move(memory);
    CHECK(memory.data() == nullptr && moved.size() == size);
    CHECK(queue_of(admission).completed == 1);
}

static void a_moved_guard_ends_its_request_once() {
    auto memory = mcrpc::Memory::heap(1 << 20);
    mcrpc::Admission admission;
    CHECK(mcrpc::Admission::init(memory, mcrpc::AdmissionConfig(), 1, admission).ok());
    const mcrpc::Request request;
    CHECK(admission.admit(0, request, 2).ok() && admission.dequeued(0, 2, MCRPC_NO_DEADLINE, 3).ok());
    {
        mcrpc::Running first(admission, 0, 3);
        const mcrpc::Running second(std::move(first));
    }
    CHECK(queue_of(admission).completed == 1 && queue_of(admission).running == 0);
}

static void a_child_shares_the_controller() {
    auto memory = mcrpc::Memory::shared(1 << 20);
    mcrpc::Admission admission;
    CHECK(mcrpc::Admission::init(memory, mcrpc::AdmissionConfig(), 1, admission).ok());
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const mcrpc::Request request;
        _exit(admission.admit(0, request, 2).ok() ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(queue_of(admission).queued == 1);
    CHECK(admission.queue_lost(0).ok() && queue_of(admission).queued == 0);
}

static_assert(!std::is_copy_constructible_v<mcrpc::Host> && !std::is_move_constructible_v<mcrpc::Host>);

static void a_host_in_memory_of_its_own() {
    mcrpc::HostConfig config;
    config.seats = 2;
    config.set_name("wrapper");
    std::size_t size = 0;
    CHECK(mcrpc::Host::memory_size(config, size).ok());
    auto memory = mcrpc::Memory::shared(size);
    mcrpc::Host host;
    CHECK(host.tick(1).code() == MCRPC_NOT_INITIALISED);
    CHECK(host.create(memory.data(), memory.size(), config, 1).ok() && host.tick(2).ok());

    const std::uint8_t address[4] = {10, 0, 0, 1};
    const auto endpoint = mcrpc::Endpoint::v4(address, 80, 7);
    mcrpc::BucketId bucket;
    mcrpc::Leak leak;
    CHECK(host.check_bucket(bucket, leak, 42, 1).ok() && host.pour(bucket, leak, 1).code() == MCRPC_STALE_ID);
    CHECK(host.bucket(endpoint, bucket).ok());
    for (int failure = 0; failure < 10; failure++) {
        CHECK(host.check_bucket(bucket, leak, 42, 1).ok() && host.pour(bucket, leak, 1).ok());
    }
    CHECK(host.check_bucket(bucket, leak, 42, 1).code() == MCRPC_BUCKET_FULL);
    CHECK(host.empty(bucket).ok() && host.check_bucket(bucket, leak, 42, 1).ok());

    mcrpc::CounterId sum, max;
    CHECK(host.counter(1, 1, MCRPC_COUNTER_SUM, sum).ok() && host.add(sum, 2).ok() && host.count(1, 1, 3).ok());
    CHECK(host.counter(1, 1, MCRPC_COUNTER_MAX, max).ok() && host.raise(max, 9, 1).ok());
    CHECK(host.set_max(1, 1, 9, 1).ok() && host.trace(1, "text", 1).ok());

    // Nobody else speaks here: no strategies, no operator.
    mcrpc::SegmentStatus status;
    CHECK(host.segment_status(MCRPC_SEGMENT_STRATEGY, status).ok() && status.status == MCRPC_NO_POLICY);
    CHECK(host.strategy(endpoint, 42).status == MCRPC_NO_POLICY && host.strategy(endpoint, 42).pass_rate_per_10k == 10000);
    CHECK(host.check_shield(endpoint, 42, 1).ok() && host.check_skip(7, 0, 1).ok());
    CHECK(!host.killed() && !host.dyed(1, 1) && host.cpu(1) == MCRPC_NO_POLICY);
    mcrpc::LogLine line(MCRPC_LOG_WARN, 1);
    CHECK(line.level == MCRPC_LOG_WARN && host.log(line, nullptr, "nobody keeps logs").code() == MCRPC_NO_POLICY);
    CHECK(host.mode(MCRPC_MECHANISM_SKIP, 1, MCRPC_MODE_ENFORCE) == MCRPC_MODE_ENFORCE);
    CHECK(host.report_queue(mcrpc::Admission(), 0, 1).code() == MCRPC_NOT_INITIALISED);

    mcrpc::Host nowhere;
    CHECK(nowhere.open("/nonexistent", config, 1).ok());
    CHECK(nowhere.segment_status(MCRPC_SEGMENT_FAIL, status).ok() && status.status == MCRPC_SEGMENT_MISSING);
}

int main() {
    CHECK(mcrpc::Status(MCRPC_BELOW_CURSOR).name() == "below_cursor");
    CHECK(mcrpc::Status(-9999).name() == "unknown");
    a_request_from_bytes_to_done();
    a_moved_guard_ends_its_request_once();
    a_child_shares_the_controller();
    a_host_in_memory_of_its_own();
}
