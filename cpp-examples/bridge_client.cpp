// Calls an echo service over either protocol, this library's own or that of brpc (baidu_std), and prints what came back. The
// server may be bridge_server.cpp, or with --protocol baidu_std any brpc server.
//
// All calls are made at once over one connection, and their answers come in whatever order. What is sent is a protobuf message
// with a string as its field 1, as in the echo examples of brpc:
//
//     message EchoRequest { required string message = 1; }
//
// Each answer is a line; the number of a status is one of `mcrpc.h` or the service's own code, whatever the protocol:
//
//     call 1 status 0 ok message hello attachment world
//     call 2 status -206 queue_full text the server's words
//
// The path of a call, in the order of the functions of Client: call, await, end.
//
// Build it, with LIB the directory of the library:
//
// g++ -std=c++17 -Iinclude cpp-examples/bridge_client.cpp $LIB/libmcrpc.a -o bridge_client
// g++ -std=c++17 -Iinclude cpp-examples/bridge_client.cpp -L$LIB -lmcrpc -Wl,-rpath,$LIB -o bridge_client

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>

#include "framed_connection.hpp"

namespace {

using framed::printable;
namespace baidu = mcrpc::baidu_std;

constexpr uint64_t kMs = 1'000'000;
constexpr const char *kCaller = "mcrpc.example.BridgeClient";

struct Options {
    sockaddr_in server{};
    bool is_brpc = false;
    std::string service = "mcrpc.example.Echo";
    std::string method = "Echo";
    std::string message = "hello";
    std::string attachment{};
    uint32_t count = 1;
    uint32_t timeout_ms = 1000;
    mcrpc::Header origin{};  // user, business and priority
    int64_t log_id = 0;
    bool checksums = false;
};

// Ends the program if a call did not do what only this program can have got wrong.
void must(mcrpc::Status status, const char *what) {
    if (!status.ok()) {
        std::fprintf(stderr, "bridge_client: %s: %s\n", what, status.text().data());
        std::exit(1);
    }
}

// A protobuf message with `text` as its field 1.
std::string message_of(std::string_view text) {
    std::string message = "\x0a";
    size_t len = text.size();
    for (; len >= 0x80; len >>= 7) message.push_back(static_cast<char>(len | 0x80));
    message.push_back(static_cast<char>(len));
    return message.append(text);
}

// Its field 1, if that is all there is to it; else all bytes.
std::string_view text_of(std::string_view message) {
    size_t len = 0;
    for (size_t i = 1, shift = 0; i < message.size() && message[0] == '\x0a' && shift < 35; ++i, shift += 7) {
        const auto byte = static_cast<uint8_t>(message[i]);
        len |= static_cast<size_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return len == message.size() - i - 1 ? message.substr(i + 1) : message;
    }
    return message;
}

class Client : public framed::Handler {
public:
    Client(const Options &options, int fd) : options_(options), connection_(fd, 1, self_, *this) {
        self_.limits.needs_checksum = options.checksums;
        if (!options.is_brpc) connection_.say_hello();
        std::random_device random;
        for (uint8_t &byte : context_.trace_id) byte = static_cast<uint8_t>(random());
        for (uint8_t &byte : context_.span_id) byte = static_cast<uint8_t>(random());
        context_.uin = options.origin.uin;
        context_.business_id = options.origin.business_id;
        context_.priority = options.origin.priority;
        context_.flags = MCRPC_CONTEXT_SAMPLED;  // or a brpc server would not be told of the trace
        context_.origin_budget_ms = options.timeout_ms;
        context_.deadline_ns = mcrpc::now_ns() + options.timeout_ms * kMs;
    }

    // 0 if all went well.
    int run() {
        for (uint32_t id = 1; id <= options_.count; ++id) {
            open_.insert(id);
            options_.is_brpc ? call_brpc(id) : call(id);
        }
        while (!open_.empty() && await()) {
        }
        if (!open_.empty()) std::printf("%zu calls were not answered\n", open_.size());
        return open_.empty() && failed_ == 0 ? 0 : 1;
    }

private:
    void call(uint32_t id) {
        const std::string name = options_.service + "." + options_.method;
        mcrpc::Header request;
        request.kind = MCRPC_KIND_REQUEST;
        request.call_id = id;
        request.method_id = mcrpc_method_id(mcrpc::bytes_of(name).data, name.size());
        mcrpc::Metadata metadata;
        metadata.set_service(options_.service);
        metadata.set_method(name);
        const mcrpc::Status in_time = context_.write(mcrpc::now_ns(), request, metadata);
        if (!in_time.ok()) return end(id, in_time);
        connection_.send(request, metadata, message_of(options_.message));
    }

    void call_brpc(uint32_t id) {
        baidu::Meta meta = baidu::Meta::request(options_.service, options_.method, id);
        baidu::Origin origin;
        const mcrpc::Status in_time = meta.set_context(context_, mcrpc::now_ns(), origin);
        if (!in_time.ok()) return end(id, in_time);
        meta.present |= MCRPC_BAIDU_LOG_ID | MCRPC_BAIDU_FROM_SVR_NAME;
        meta.log_id = options_.log_id;
        meta.from_svr_name = mcrpc::bytes_of(kCaller);
        if (!options_.attachment.empty()) {
            meta.present |= MCRPC_BAIDU_ATTACHMENT_SIZE;
            meta.attachment_size = static_cast<int32_t>(options_.attachment.size());
        }
        const std::string body = message_of(options_.message) + options_.attachment;
        const auto body_len = static_cast<uint32_t>(body.size());
        size_t len = 0;
        // The first time it only says how long it will be.
        static_cast<void>(meta.write_request(origin, nullptr, 0, body_len, nullptr, 0, len));
        std::string head(len, '\0');
        must(meta.write_request(origin, nullptr, 0, body_len, reinterpret_cast<uint8_t *>(&head[0]), len, len), "write");
        connection_.send_raw(head);
        connection_.send_raw(body);
    }

    // False: nothing more will come, or not in time.
    bool await() {
        connection_.flush();
        if (connection_.is_broken()) return false;
        const uint64_t now_ns = mcrpc::now_ns();
        const uint64_t left_ns = context_.deadline_ns - std::min(now_ns, context_.deadline_ns);
        const bool is_sent = connection_.is_idle();
        pollfd waited{connection_.fd(), static_cast<short>(is_sent ? POLLIN : POLLIN | POLLOUT), 0};
        if (poll(&waited, 1, static_cast<int>((left_ns + kMs - 1) / kMs)) <= 0) return false;
        uint8_t bytes[framed::kReadLen];
        const size_t len = connection_.read(bytes, sizeof bytes);
        if (!options_.is_brpc) {
            connection_.feed(bytes, len);
        } else {
            received_.append(reinterpret_cast<const char *>(bytes), len);
            take_brpc_frames();
        }
        return true;
    }

    void take_brpc_frames() {
        const baidu::Limits limits{self_.limits.max_body_len, MCRPC_BAIDU_MAX_META_LEN};
        while (!connection_.is_broken()) {
            const auto *bytes = reinterpret_cast<const uint8_t *>(received_.data());
            size_t wanted = 0;
            baidu::Frame frame;
            mcrpc::Status status = baidu::wanted(bytes, received_.size(), limits, wanted);
            if (status.ok()) status = baidu::Frame::parse(bytes, received_.size(), limits, frame);
            if (status == mcrpc::Status(MCRPC_INCOMPLETE)) return;
            if (!status.ok()) return connection_.fail(status);
            // This side serves nothing.
            if (frame.meta.has(MCRPC_BAIDU_REQUEST)) return connection_.fail(mcrpc::Status(MCRPC_BAD_KIND));
            // An answer without a response meta is one without an error.
            end(static_cast<uint64_t>(frame.meta.correlation_id), frame.meta.status(), mcrpc::view(frame.payload),
                mcrpc::view(frame.attachment), mcrpc::view(frame.meta.error_text));
            received_.erase(0, wanted);
        }
    }

    // This side serves nothing.
    bool on_header(framed::Connection &from, const mcrpc::Header &header) override {
        from.respond(header, mcrpc::Status(MCRPC_NO_SERVICE));
        return false;
    }

    void on_response(framed::Connection &, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                     std::string_view payload) override {
        end(header.call_id, mcrpc::Status(header.status), payload, {}, metadata.error_text());
    }

    // An answer to a call that is not open, or no more, says nothing.
    void end(uint64_t id, mcrpc::Status status, std::string_view payload = {}, std::string_view attachment = {},
             std::string_view why = {}) {
        if (open_.erase(id) == 0) return;
        failed_ += !status.ok();
        const std::string_view name = status.code() > 0 ? "own" : status.name();
        std::printf("call %" PRIu64 " status %d %s", id, status.code(), name.data());
        if (status.ok()) std::printf(" message %s", printable(text_of(payload)).c_str());
        if (!attachment.empty()) std::printf(" attachment %s", printable(attachment).c_str());
        if (!why.empty()) std::printf(" text %s", printable(why).c_str());
        std::printf("\n");
    }

    const Options &options_;
    framed::Self self_{kCaller, {}, mcrpc::Limits(64u << 20), 64u << 20};
    framed::Connection connection_;
    mcrpc::Context context_;
    std::string received_{};  // of brpc's, and not understood yet
    std::unordered_set<uint64_t> open_{};  // calls
    uint32_t failed_ = 0;
};

int connect_to(const sockaddr_in &server) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr *>(&server), sizeof server) != 0) {
        std::fprintf(stderr, "bridge_client: cannot connect: %s\n", std::strerror(errno));
        std::exit(1);
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// ---- Options --------------------------------------------------------------------------------------------

constexpr const char *kUsage = R"(usage: bridge_client --server IP:PORT [options]

  --server IP:PORT   the server
  --protocol NAME    native or baidu_std (default native)
  --service NAME     pkg.Service (default mcrpc.example.Echo)
  --method NAME      (default Echo)
  --message TEXT     what is sent (default hello)
  --attachment TEXT  and beside it, with baidu_std
  --count N          calls, all at once (default 1)
  --timeout-ms N     for all of them (default 1000)
  --uin N            the user (default 0: nobody)
  --business-id N    the business (default 0)
  --priority N       of the business, 0 first (default 0)
  --log-id N         for the logs of a brpc server (default 0)
  --checksums        each native frame has one, in both directions

It succeeds if all calls did.
)";

constexpr option kFlags[] = {
    {"server", required_argument, nullptr, 's'},      {"protocol", required_argument, nullptr, 'p'},
    {"service", required_argument, nullptr, 'e'},     {"method", required_argument, nullptr, 'm'},
    {"message", required_argument, nullptr, 't'},     {"attachment", required_argument, nullptr, 'a'},
    {"count", required_argument, nullptr, 'n'},       {"timeout-ms", required_argument, nullptr, 'w'},
    {"uin", required_argument, nullptr, 'u'},         {"business-id", required_argument, nullptr, 'b'},
    {"priority", required_argument, nullptr, 'i'},    {"log-id", required_argument, nullptr, 'l'},
    {"checksums", no_argument, nullptr, 'k'},         {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0}};

[[noreturn]] void reject(const std::string &complaint) {
    std::fprintf(stderr, "bridge_client: %s; see --help\n", complaint.c_str());
    std::exit(2);
}

// The value of the option that getopt_long() found last.
uint64_t number(const char *name, uint64_t min, uint64_t max) {
    char *end = nullptr;
    errno = 0;
    const unsigned long long value = std::strtoull(optarg, &end, 10);
    if (errno == 0 && *optarg >= '0' && *optarg <= '9' && *end == '\0' && value >= min && value <= max) return value;
    reject("--" + std::string(name) + " needs a number from " + std::to_string(min) + " to " + std::to_string(max) +
           ", not \"" + optarg + "\"");
}

sockaddr_in parse_server(const std::string &text) {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    const size_t colon = text.find(':');
    const unsigned long port = colon == std::string::npos ? 0 : std::strtoul(text.c_str() + colon + 1, nullptr, 10);
    server.sin_port = htons(static_cast<uint16_t>(port));
    const bool has_ip = inet_pton(AF_INET, text.substr(0, colon).c_str(), &server.sin_addr) == 1;
    if (!has_ip || port < 1 || port > 65535) reject("--server needs IP:PORT, not \"" + text + "\"");
    return server;
}

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const char *name = kFlags[index].name;
        switch (flag) {
        case 's': options.server = parse_server(optarg); break;
        case 'p':
            options.is_brpc = std::string_view(optarg) == "baidu_std";
            if (!options.is_brpc && std::string_view(optarg) != "native") {
                reject("--protocol needs native or baidu_std, not \"" + std::string(optarg) + "\"");
            }
            break;
        case 'e': options.service = optarg; break;
        case 'm': options.method = optarg; break;
        case 't': options.message = optarg; break;
        case 'a': options.attachment = optarg; break;
        case 'n': options.count = static_cast<uint32_t>(number(name, 1, 10'000)); break;
        case 'w': options.timeout_ms = static_cast<uint32_t>(number(name, 1, 600'000)); break;
        case 'u': options.origin.uin = number(name, 0, UINT64_MAX); break;
        case 'b': options.origin.business_id = static_cast<uint16_t>(number(name, 0, 65535)); break;
        case 'i': options.origin.priority = static_cast<uint8_t>(number(name, 0, 63)); break;
        case 'l': options.log_id = static_cast<int64_t>(number(name, 0, INT64_MAX)); break;
        case 'k': options.checksums = true; break;
        case 'h': std::fputs(kUsage, stdout); std::exit(0);
        default: std::exit(2);  // getopt_long() has said why
        }
    }
    if (optind < argc) reject("\"" + std::string(argv[optind]) + "\" is no option");
    if (options.server.sin_port == 0) reject("--server is missing");
    if (!options.attachment.empty() && !options.is_brpc) reject("--attachment needs --protocol baidu_std");
    return options;
}

}  // namespace

int main(int argc, char **argv) {
    const Options options = parse_options(argc, argv);
    return Client(options, connect_to(options.server)).run();
}
