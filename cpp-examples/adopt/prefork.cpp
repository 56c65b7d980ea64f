// A service on a prefork framework, whose callbacks are all that libmcrpc needs: the framework (prefork_framework.hpp) has not a
// line of it. All children share one controller; each has a queue of its own there, so one that dies leaves nothing behind.
//
// Build it, with LIB the directory of the library, and start it:
//
//     g++ -std=c++17 -O2 -pthread -Iinclude cpp-examples/adopt/prefork.cpp $LIB/libmcrpc.a -o prefork
//     ./prefork CHILDREN WORKERS [FILE]   while somebody holds a lock on the file, the service waits
//
// With MCRPC_DIR in its environment, usually /run/mcrpc, it joins the host: `mcrpc top` shows it, `mcrpc kill on` turns it
// off.

#include <fcntl.h>
#include <sys/file.h>

#include <mcrpc.hpp>

#include "prefork_framework.hpp"

namespace {

constexpr uint32_t kMode = MCRPC_MODE_ENFORCE;  // while the operator says nothing; to begin with, MCRPC_MODE_OBSERVE

// What the callbacks share. Memory and handle are made in the master and inherited by the children.
struct Protection {
    mcrpc::Memory memory;
    mcrpc::Admission admission;
    mcrpc::Host host;
    uint32_t queue = 0;  // of this child
};

void check(mcrpc::Status status) {
    if (status.ok()) return;
    std::fprintf(stderr, "prefork: %s\n", status.text().data());
    std::abort();
}

// Before any fork: all children are to share it.
void before_master_run(Protection &mine, const prefork::Options &options) {
    mcrpc::AdmissionConfig config;
    config.mode = kMode;
    config.queue_count = static_cast<uint32_t>(options.children);
    config.workers_per_queue = static_cast<uint32_t>(options.workers);
    size_t len = 0;
    check(config.memory_size(len));
    mine.memory = mcrpc::Memory::shared(len);
    check(mcrpc::Admission::init(mine.memory, config, mcrpc::now_ns(), mine.admission));
}

// The queue may be that of a child that was killed: what was queued and running there is not any more.
void before_child_run(Protection &mine, int child) {
    mine.queue = static_cast<uint32_t>(child);
    check(mine.admission.queue_lost(mine.queue));
    mcrpc::HostConfig config;
    config.set_name("prefork");
    check(mine.host.open(std::getenv("MCRPC_DIR"), config, mcrpc::now_ns()));
}

// May it be queued?
int before_epoll_io_run(const Protection &mine, const prefork::Request &request) {
    mcrpc::Request wanted;
    wanted.key = mcrpc_key(mine.host.salt(0), 0, request.user, 0, 0);
    wanted.deadline_ns = request.deadline_ns;
    return mine.admission.admit(mine.queue, wanted, request.arrival_ns).code();
}

// Is there still time?
int before_routine_run(const Protection &mine, const prefork::Request &request) {
    return mine.admission.dequeued(mine.queue, request.arrival_ns, request.deadline_ns, request.started_ns).code();
}

void after_svr_proc_run(const Protection &mine, const prefork::Request &request) {
    check(mine.admission.done(mine.queue, request.started_ns, mcrpc::now_ns()));
}

// What the operator wants, and what this child has done. A host that is not there says nothing.
void on_timer(const Protection &mine) {
    const uint64_t now_ns = mcrpc::now_ns();
    static_cast<void>(mine.host.tick(now_ns));
    check(mine.host.steer(mine.admission, kMode));
    static_cast<void>(mine.host.report_queue(mine.admission, mine.queue, now_ns));
}

// One line of JSON.
void on_status(const Protection &mine) {
    mcrpc::AdmissionSnapshot all;
    check(mine.admission.snapshot(all));
    std::printf("{\"mode\":%u,\"queues\":[", all.mode);
    for (uint32_t n = 0; n < all.queue_count; ++n) {
        mcrpc::QueueSnapshot queue;
        check(mine.admission.queue_snapshot(n, queue));
        uint64_t refused = 0;
        for (const uint64_t count : queue.refused) refused += count;
        std::printf("%s{\"queued\":%u,\"running\":%u,\"admitted\":%" PRIu64, n == 0 ? "" : ",", queue.queued, queue.running,
                    queue.admitted);
        std::printf(",\"completed\":%" PRIu64 ",\"refused\":%" PRIu64 "}", queue.completed, refused);
    }
    std::printf("]}\n");
}

// The service itself: asks a table, which somebody may have locked, and works for 10 ms.
int svr_proc(const char *path) {
    thread_local const int table = path == nullptr ? -1 : prefork::must(open(path, O_RDONLY | O_CLOEXEC), path);
    flock(table, LOCK_SH);
    flock(table, LOCK_UN);
    usleep(10'000);
    return 0;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: prefork CHILDREN WORKERS [FILE]\n"), 2;
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    prefork::Options options;
    options.children = std::atoi(argv[1]);
    options.workers = std::atoi(argv[2]);

    Protection mine;
    prefork::Service service;
    service.BeforeMasterRun = [&](const prefork::Options &from) { before_master_run(mine, from); };
    service.BeforeChildRun = [&](int child) { before_child_run(mine, child); };
    service.BeforeEpollIORun = [&](prefork::Request &request) { return before_epoll_io_run(mine, request); };
    service.BeforeRoutineRun = [&](prefork::Request &request) { return before_routine_run(mine, request); };
    service.SvrProc = [path = argv[3]](const prefork::Request &) { return svr_proc(path); };
    service.AfterSvrProcRun = [&](const prefork::Request &request) { after_svr_proc_run(mine, request); };
    service.OnTimer = [&] { on_timer(mine); };
    service.OnStatus = [&] { on_status(mine); };
    prefork::Master(options, service).run();
    return 0;
}
