// One port for two protocols: callers of this library and callers of brpc (baidu_std) are served by the same service, behind
// the same admission. What a connection speaks is told by its first bytes.
//
// The path of a request, in the order of the functions of Bridge:
//
//     on_bytes     the first bytes of a connection say what it speaks; frames of the library go on to framed_connection.hpp,
//                  those of brpc to take_brpc()
//     on_header    a native request is admitted or refused, from its header alone
//     take_brpc    a brpc request is, from the header that the library makes of its meta: user, business and priority are
//                  its user fields, so they are those of a native one
//     enqueue      which service and method it wants; from here on the protocols differ no more
//     work         a worker does it, with the request's context current
//     on_wake      the answer goes out, in the protocol that the question came in; a brpc client is told brpc's error codes
//
// The service is mcrpc.example.Echo. Echo answers with what it was sent, payload and attachment; Fail with an error of its own.
// It looks at no payload, so that a brpc client may call it with any message.
//
// HTTP is answered in plain text: 200 to GET /health, 404 to anything else. What is none of these is closed, and so is a
// connection that stops for five seconds in the middle of a request.
//
// A brpc client sends no timeout unless it is told to; its requests have half a second then, which is what brpc's own channels
// wait. It has no hello and no goodbye: on SIGTERM its further requests are answered with ELOGOFF, until the server ends.
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -pthread -Iinclude cpp-examples/bridge_server.cpp $LIB/libmcrpc.a -o bridge_server
// g++ -std=c++17 -pthread -Iinclude cpp-examples/bridge_server.cpp -L$LIB -lmcrpc -Wl,-rpath,$LIB -o bridge_server

#include <getopt.h>
#include <sys/eventfd.h>

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "framed_loop.hpp"

namespace {

using framed::kMs;
using framed::must;
using framed::printable;
namespace baidu = mcrpc::baidu_std;

constexpr std::string_view kService = "mcrpc.example.Echo";
constexpr uint32_t kMaxBodyLen = 1u << 20;
// Of what waits in the queue, whose places say nothing of how long each request is.
constexpr size_t kMaxQueuedLen = 16u << 20;
constexpr size_t kMaxHttpLen = 8u << 10;
constexpr uint32_t kBrpcTimeoutMs = 500;
constexpr int32_t kFailCode = 42;  // the service's own
constexpr uint32_t kQueue = 0;     // the controller's only one

struct Options {
    uint32_t workers = 4;
    uint16_t port = 0;
    uint64_t service_ns = 0;
    size_t queue_len = 1000;
    bool checksums = false;
    bool verbose = false;
    bool dies_with_parent = false;
};

// What a request asks for.
enum class Method { kEcho, kFail };

// An admitted request on its way to a worker, and back with a status.
struct Job {
    uint64_t connection = 0;
    bool is_brpc = false;
    int64_t correlation_id = 0;  // brpc's name for the call
    mcrpc::Header request{};
    std::string metadata{};
    mcrpc::Context context{};  // of a brpc request, which has no metadata
    uint64_t admitted_ns = 0;
    Method method = Method::kEcho;
    std::string payload{};
    std::string attachment{};
    mcrpc::Status status{};
    std::string why{};

    size_t len() const { return metadata.size() + payload.size() + attachment.size(); }
};

// ---- What is printed ------------------------------------------------------------------------------------

void print_native(const mcrpc::Header &header, const mcrpc::Metadata &metadata, const framed::Peer &peer) {
    const std::string_view caller = metadata.caller().empty() ? std::string_view(peer.caller) : metadata.caller();
    std::printf("native call_id %u method_id 0x%08x uin %" PRIu64 " caller %s trace ", header.call_id, header.method_id,
                header.uin, printable(caller).c_str());
    for (const uint8_t byte : metadata.trace_id) std::printf("%02x", byte);
    std::printf("\n");
}

void print_brpc(const baidu::Meta &meta) {
    std::printf("brpc correlation_id %" PRId64 " method %s.%s caller %s log_id %" PRId64 " trace_id %" PRId64
                " span_id %" PRId64 " parent_span_id %" PRId64 " user_fields",
                meta.correlation_id, printable(meta.service()).c_str(), printable(meta.method()).c_str(),
                printable(mcrpc::view(meta.from_svr_name)).c_str(), meta.log_id, meta.trace_id, meta.span_id,
                meta.parent_span_id);
    mcrpc_bytes_t rest = meta.user_fields;
    baidu::UserField field;
    while (baidu::Meta::next_user_field(rest, field).ok() && field.key.data != nullptr) {
        std::printf(" %s=%s", printable(mcrpc::view(field.key)).c_str(), printable(mcrpc::view(field.value)).c_str());
    }
    std::printf("\n");
}

// ---- The server -----------------------------------------------------------------------------------------

class Bridge : public framed::FramedLoop {
public:
    Bridge(const Options &options, const mcrpc::Admission &admission)
        : FramedLoop(self(options)), options_(options), admission_(admission) {
        wake_by(answers_ready_);
        for (uint32_t i = 0; i < options.workers; ++i) workers_.emplace_back([this] { work(); });
    }
    ~Bridge() override {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            is_closed_ = true;
        }
        jobs_ready_.notify_all();
        for (std::thread &worker : workers_) worker.join();
    }

private:
    // How a connection's bytes are to be understood.
    struct Talk {
        uint32_t protocol = MCRPC_PROTOCOL_UNDECIDED;
        std::string bytes{};  // that were not understood yet; none of a native one
        uint32_t brpc_calls = 0;
        bool is_over = false;  // what else it says is not looked at
    };

    static framed::Self self(const Options &options) {
        framed::Self self{"mcrpc.example.Bridge"};
        self.limits.max_body_len = kMaxBodyLen;
        self.limits.max_open_calls = 10'000;
        self.limits.needs_checksum = options.checksums;
        // The answers to all that one peer can have in the queue, and to what is being worked on.
        self.max_unsent_len = 2 * kMaxQueuedLen;
        return self;
    }

    void on_bytes(framed::Connection &from, const uint8_t *bytes, size_t len) override {
        Talk &talk = talks_[from.id()];
        if (talk.protocol == MCRPC_PROTOCOL_NATIVE) return from.feed(bytes, len);
        from.wait_for_rest(true);
        if (talk.is_over) return;
        talk.bytes.append(reinterpret_cast<const char *>(bytes), len);
        const auto *all = reinterpret_cast<const uint8_t *>(talk.bytes.data());
        if (talk.protocol == MCRPC_PROTOCOL_UNDECIDED) talk.protocol = mcrpc::sniff(all, talk.bytes.size());
        switch (talk.protocol) {
        case MCRPC_PROTOCOL_UNDECIDED: return;
        case MCRPC_PROTOCOL_NATIVE: {
            if (is_draining()) from.say_go_away();
            const std::string first = std::exchange(talk.bytes, {});
            return from.feed(reinterpret_cast<const uint8_t *>(first.data()), first.size());
        }
        case MCRPC_PROTOCOL_BAIDU_STD: return take_brpc_frames(from, talk);
        case MCRPC_PROTOCOL_HTTP1: return answer_http(from, talk);
        default: return from.fail(mcrpc::Status(MCRPC_BAD_MAGIC));
        }
    }

    // ---- Native

    bool on_header(framed::Connection &from, const mcrpc::Header &header) override {
        const mcrpc::Status status = admit(header, from.arrival_ns(), from.peer().tenant);
        if (!status.ok()) from.respond(header, status);
        return status.ok();
    }

    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view payload) override {
        if (options_.verbose) print_native(header, metadata, from.peer());
        Job job;
        job.connection = from.id();
        job.request = header;
        job.metadata = metadata.tags().bytes();
        job.admitted_ns = from.arrival_ns();
        job.payload = payload;
        enqueue(std::move(job), metadata.service(), header.method_id);
    }

    void on_lost(framed::Connection &, const mcrpc::Header &) override {
        must(admission_.abandoned(kQueue), "abandoned");
    }

    void on_withheld(framed::Connection &, uint32_t count, uint32_t key) override {
        must(admission_.withheld(kQueue, key, count), "withheld");
    }

    // Nobody wants the answer any more: a one-way has none. What a worker has begun, it finishes.
    void on_cancel(framed::Connection &from, uint32_t call_id) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const Job &job) {
            return job.connection == from.id() && job.request.kind == MCRPC_KIND_REQUEST && job.request.call_id == call_id;
        });
        if (found == jobs_.end()) return;
        queued_len_ -= found->len();
        jobs_.erase(found);
        must(admission_.abandoned(kQueue), "abandoned");
        from.forget();
    }

    framed::Load load() override { return load_.load(); }

    // ---- brpc

    void take_brpc_frames(framed::Connection &from, Talk &talk) {
        const baidu::Limits limits{kMaxBodyLen, MCRPC_BAIDU_MAX_META_LEN};
        size_t begin = 0;
        while (!from.is_broken()) {
            const auto *bytes = reinterpret_cast<const uint8_t *>(talk.bytes.data()) + begin;
            const size_t len = talk.bytes.size() - begin;
            size_t wanted = 0;
            baidu::Frame frame;
            mcrpc::Status status = baidu::wanted(bytes, len, limits, wanted);
            if (status.ok()) status = baidu::Frame::parse(bytes, len, limits, frame);
            if (status == mcrpc::Status(MCRPC_INCOMPLETE)) break;
            if (!status.ok()) return from.fail(status);
            from.wait_for_rest(false);
            if (!frame.meta.has(MCRPC_BAIDU_REQUEST)) return from.fail(mcrpc::Status(MCRPC_BAD_KIND));
            take_brpc(from, talk, frame);
            begin += wanted;
        }
        talk.bytes.erase(0, begin);
        if (talk.bytes.empty() && talk.bytes.capacity() > framed::kReadLen) talk.bytes.shrink_to_fit();
        from.wait_for_rest(!talk.bytes.empty());
    }

    void take_brpc(framed::Connection &from, Talk &talk, const baidu::Frame &frame) {
        const baidu::Meta &meta = frame.meta;
        if (options_.verbose) print_brpc(meta);
        Job job;
        job.connection = from.id();
        job.is_brpc = true;
        job.correlation_id = meta.correlation_id;
        ++talk.brpc_calls;
        const auto body_len = static_cast<uint32_t>(frame.payload.len + frame.attachment.len);
        must(meta.to_header(body_len, job.request), "to_header");
        if (job.request.budget_ms == UINT32_MAX) job.request.budget_ms = kBrpcTimeoutMs;
        job.admitted_ns = mcrpc::now_ns();
        const auto refuse = [&](int32_t status, std::string_view why) {
            job.status = mcrpc::Status(status);
            job.why = why;
            answer(job);
        };
        if (is_draining()) return refuse(MCRPC_GOING_AWAY, {});
        constexpr uint32_t kUnknown = MCRPC_BAIDU_CHUNK_INFO | MCRPC_BAIDU_STREAM_SETTINGS;
        if ((meta.present & kUnknown) != 0) return refuse(MCRPC_BAIDU_EREQUEST, "this server has no streams");
        if (meta.compress_type != 0) return refuse(MCRPC_BAIDU_EREQUEST, "this server decompresses nothing");
        const std::string_view caller = mcrpc::view(meta.from_svr_name);
        const mcrpc::Status status = admit(job.request, job.admitted_ns, framed::tenant_of(caller));
        if (!status.ok()) return refuse(status.code(), {});
        must(meta.to_context(job.admitted_ns, job.context), "to_context");
        job.context.deadline_ns = framed::deadline_ns(job.request, job.admitted_ns);
        job.payload = mcrpc::view(frame.payload);
        job.attachment = mcrpc::view(frame.attachment);
        enqueue(std::move(job), meta.service(), job.request.method_id);
    }

    void answer_brpc(framed::Connection &to, const Job &job) {
        const std::string_view why = job.why.empty() && job.status.code() < 0 ? job.status.text() : job.why;
        baidu::Meta meta = baidu::Meta::response(job.correlation_id, job.status, why);
        const bool is_answer = job.status.ok();
        if (is_answer && !job.attachment.empty()) {
            meta.present |= MCRPC_BAIDU_ATTACHMENT_SIZE;
            meta.attachment_size = static_cast<int32_t>(job.attachment.size());
        }
        const size_t body_len = is_answer ? job.payload.size() + job.attachment.size() : 0;
        std::string head(256, '\0');
        size_t len = 0;
        mcrpc::Status status(MCRPC_TOO_SMALL);
        while (status == mcrpc::Status(MCRPC_TOO_SMALL)) {
            head.resize(std::max(head.size(), len));
            status = meta.write_response(nullptr, 0, static_cast<uint32_t>(body_len),
                                         reinterpret_cast<uint8_t *>(&head[0]), head.size(), len);
        }
        must(status, "write_response");
        to.send_raw({head.data(), len});
        if (!is_answer) return;
        to.send_raw(job.payload);
        to.send_raw(job.attachment);
    }

    // ---- HTTP

    // One answer, and no more than that. Who does not hang up then is hung up on.
    static void answer_http(framed::Connection &from, Talk &talk) {
        const bool is_whole = talk.bytes.find("\r\n\r\n") != std::string::npos;
        if (!is_whole && talk.bytes.size() <= kMaxHttpLen) return;
        const bool is_health = talk.bytes.rfind("GET /health ", 0) == 0;
        const std::string text = is_health ? "ok\n" : "This port speaks mcrpc and baidu_std; over HTTP there is /health.\n";
        from.send_raw(std::string("HTTP/1.1 ") + (is_health ? "200 OK" : "404 Not Found") +
                      "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
                      std::to_string(text.size()) + "\r\n\r\n" + text);
        from.hang_up();
        talk.is_over = true;
    }

    // ---- Both

    mcrpc::Status admit(const mcrpc::Header &header, uint64_t now_ns, uint32_t tenant) const {
        // By the wall clock: all servers of the fleet have the users in the same order, a new one each hour.
        const auto hour = static_cast<uint32_t>(std::time(nullptr) / 3600);
        mcrpc::Request request;
        must(mcrpc::Request::from_header(header, framed::kSalt, hour, now_ns, request), "from_header");
        request.flags |= tenant << MCRPC_REQUEST_TENANT_SHIFT;
        return admission_.admit(kQueue, request, now_ns);
    }

    // Both protocols name a method by the id of its full name, in the end. A service that is not named is this one.
    void enqueue(Job job, std::string_view service, uint32_t method_id) {
        const auto id = [](std::string_view name) {
            return mcrpc_method_id(mcrpc::bytes_of(name).data, name.size());
        };
        static const uint32_t echo_id = id("mcrpc.example.Echo.Echo"), fail_id = id("mcrpc.example.Echo.Fail");
        if (!service.empty() && service != kService) {
            job.status = mcrpc::Status(MCRPC_NO_SERVICE);
            job.why = "no service " + printable(service);
        } else if (method_id != echo_id && method_id != fail_id) {
            job.status = mcrpc::Status(MCRPC_NO_METHOD);
        } else {
            job.method = method_id == echo_id ? Method::kEcho : Method::kFail;
            const std::lock_guard<std::mutex> lock(mutex_);
            const size_t queued_len = queued_len_ + job.len();
            if (jobs_.size() < options_.queue_len && queued_len <= kMaxQueuedLen) {
                queued_len_ = queued_len;
                jobs_.push_back(std::move(job));
                jobs_ready_.notify_one();
                return;
            }
            job.status = mcrpc::Status(MCRPC_QUEUE_FULL);
        }
        must(admission_.abandoned(kQueue), "abandoned");
        answer(job);
    }

    // What each worker thread does.
    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            jobs_ready_.wait(lock, [this] { return is_closed_ || !jobs_.empty(); });
            if (is_closed_) return;
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            queued_len_ -= job.len();
            lock.unlock();
            const uint64_t started_ns = mcrpc::now_ns();
            const uint64_t deadline_ns = framed::deadline_ns(job.request, job.admitted_ns);
            job.status = admission_.dequeued(kQueue, job.admitted_ns, deadline_ns, started_ns);
            if (job.status.ok()) {
                const mcrpc::Running running(admission_, kQueue, started_ns);
                const mcrpc::Context context =
                    job.is_brpc ? job.context : framed::context_of(job.request, job.metadata, job.admitted_ns);
                const mcrpc::ContextScope scope(context);
                handle(job);
            }
            lock.lock();
            answers_.push_back(std::move(job));
            // For the others of a batch the IO thread has been woken already.
            if (answers_.size() == 1) eventfd_write(answers_ready_, 1);
        }
    }

    // The service itself. If it called another server, it would do so on behalf of mcrpc::Context::current(), whichever
    // protocol that came in.
    void handle(Job &job) const {
        if (options_.service_ns > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(options_.service_ns));
        if (job.method == Method::kEcho) return;
        job.status = mcrpc::Status(kFailCode);
        job.why = "as was asked";
    }

    void on_wake() override {
        // First the wakeup, then the answers: the other way round one put in between would go unnoticed.
        eventfd_t ignored = 0;
        eventfd_read(answers_ready_, &ignored);
        std::unique_lock<std::mutex> lock(mutex_);
        const std::vector<Job> answers = std::exchange(answers_, {});
        lock.unlock();
        for (const Job &job : answers) answer(job);
    }

    // Unless the one who asked is gone.
    void answer(const Job &job) {
        framed::Connection *const to = at(job.connection);
        if (to == nullptr) return;
        if (!job.is_brpc) return to->respond(job.request, job.status, job.status.ok() ? job.payload : "", job.why);
        --talks_[job.connection].brpc_calls;
        answer_brpc(*to, job);
    }

    void on_drain(framed::Connection &connection) override {
        const auto talk = talks_.find(connection.id());
        if (talk != talks_.end() && talk->second.protocol == MCRPC_PROTOCOL_NATIVE) connection.say_go_away();
    }

    bool is_idle(const framed::Connection &connection) const override {
        const auto talk = talks_.find(connection.id());
        return connection.is_idle() && (talk == talks_.end() || talk->second.brpc_calls == 0);
    }

    void on_closed(ConnectionId connection) override { talks_.erase(connection); }
    void on_tick(uint64_t) override {}

    const Options &options_;
    const mcrpc::Admission &admission_;

    // Of the IO thread alone.
    framed::LoadMeter load_{admission_, kQueue};
    std::unordered_map<ConnectionId, Talk> talks_;

    // Of the IO thread and the workers.
    std::mutex mutex_;
    bool is_closed_ = false;
    std::deque<Job> jobs_;
    size_t queued_len_ = 0;  // of them all
    std::condition_variable jobs_ready_;
    std::vector<Job> answers_;
    const int answers_ready_ = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    std::vector<std::thread> workers_;
};

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: bridge_server [options]

  --workers N        worker threads (default 4)
  --port P           port on 127.0.0.1 (default 0: the kernel chooses)
  --service-ms F     how long a request takes (default 0)
  --queue N          places in the input queue (default 1000)
  --checksums        each native frame has one, in both directions
  --verbose          print each request and what came with it
  --die-with-parent  stop when the parent of this process ends

SIGTERM and SIGINT stop it.
)";

constexpr option kFlags[] = {
    {"workers", required_argument, nullptr, 'w'},    {"port", required_argument, nullptr, 'o'},
    {"service-ms", required_argument, nullptr, 's'}, {"queue", required_argument, nullptr, 'q'},
    {"checksums", no_argument, nullptr, 'k'},        {"verbose", no_argument, nullptr, 'v'},
    {"die-with-parent", no_argument, nullptr, 'd'},  {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0}};

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const auto value = [&](double min, double max) { return framed::number(kFlags[index].name, optarg, min, max); };
        switch (flag) {
        case 'w': options.workers = static_cast<uint32_t>(value(1, 1000)); break;
        case 'o': options.port = static_cast<uint16_t>(value(0, 65535)); break;
        case 's': options.service_ns = static_cast<uint64_t>(value(0, 10'000) * kMs); break;
        case 'q': options.queue_len = static_cast<size_t>(value(1, 10'000)); break;
        case 'k': options.checksums = true; break;
        case 'v': options.verbose = true; break;
        case 'd': options.dies_with_parent = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) framed::reject("\"" + std::string(argv[optind]) + "\" is no option");
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();
    const Options options = parse_options(argc, argv);
    framed::prepare(options.dies_with_parent, parent);
    mcrpc::ContextScope::install();
    mcrpc::AdmissionConfig config;
    config.workers_per_queue = options.workers;
    size_t len = 0;
    must(config.memory_size(len), "memory_size");
    const mcrpc::Memory memory = mcrpc::Memory::heap(len);
    mcrpc::Admission admission;
    must(mcrpc::Admission::init(memory, config, mcrpc::now_ns(), admission), "init");
    Bridge bridge(options, admission);
    bridge.listen_on(options.port);
    bridge.run(100);
    return 0;
}
