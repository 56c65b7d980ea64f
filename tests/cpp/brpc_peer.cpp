// A peer that behaves as brpc does, made of Debian's protobuf and sockets alone: it knows nothing of libmcrpc. What it knows of
// brpc is in baidu_rpc_meta.proto and in the rules here: 12 bytes of header (PRPC, then the lengths of the body and of the meta,
// big endian), an answer names its call by the correlation id alone and comes in whatever order, an attachment is at the end of
// the body, a request has no timeout unless it says so.
//
//     brpc_peer client PORT SCENARIO    calls mcrpc.example.Echo: "calls", "busy" (its server has one worker, one place and is
//                                       slow), "logoff" (and is told to end after a line of this program's output)
//     brpc_peer server                  example.EchoService, whose answers come in the reverse order; its methods are Echo, and
//                                       the names of error codes

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "baidu_rpc_meta.pb.h"

namespace {

using mcrpc::peers::baidu::RpcMeta;

enum : int { kNoService = 1001, kNoMethod = 1002, kRequest = 1003, kTimedOut = 1008, kLogoff = 2003, kLimit = 2004 };

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            std::fprintf(stderr, "brpc_peer:%d: %s does not hold\n", __LINE__, #condition); \
            std::_Exit(1);                                                            \
        }                                                                             \
    } while (false)

struct Message {
    RpcMeta meta;
    std::string payload;
    std::string attachment;
};

std::string big_endian(size_t number) {
    std::string bytes;
    for (int bits = 24; bits >= 0; bits -= 8) bytes.push_back(static_cast<char>(number >> bits));
    return bytes;
}

std::string frame_of(Message message) {
    if (!message.attachment.empty()) message.meta.set_attachment_size(static_cast<int>(message.attachment.size()));
    std::string meta;
    CHECK(message.meta.SerializeToString(&meta));
    const std::string body = meta + message.payload + message.attachment;
    return "PRPC" + big_endian(body.size()) + big_endian(meta.size()) + body;
}

void send_all(int fd, const std::string &bytes) {
    CHECK(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

// False at the end of the stream.
bool receive_exactly(int fd, std::string &bytes, size_t len) {
    bytes.resize(len);
    for (size_t have = 0; have < len;) {
        const ssize_t received = recv(fd, &bytes[have], len - have, 0);
        if (received <= 0) return false;
        have += static_cast<size_t>(received);
    }
    return true;
}

bool receive_frame(int fd, Message &message) {
    std::string header, body;
    if (!receive_exactly(fd, header, 12)) return false;
    CHECK(header.compare(0, 4, "PRPC") == 0);
    uint32_t lens[2];
    std::memcpy(lens, header.data() + 4, sizeof lens);
    const size_t body_len = ntohl(lens[0]), meta_len = ntohl(lens[1]);
    CHECK(meta_len <= body_len && receive_exactly(fd, body, body_len));
    message.meta.Clear();
    CHECK(message.meta.ParseFromArray(body.data(), static_cast<int>(meta_len)));
    const auto attachment_len = static_cast<size_t>(message.meta.attachment_size());
    CHECK(attachment_len <= body_len - meta_len);
    message.payload = body.substr(meta_len, body_len - meta_len - attachment_len);
    message.attachment = body.substr(body_len - attachment_len);
    return true;
}

// ---- The client -----------------------------------------------------------------------------------------

Message request_of(int64_t correlation_id, const std::string &method, const std::string &service = "mcrpc.example.Echo") {
    Message request;
    request.meta.mutable_request()->set_service_name(service);
    request.meta.mutable_request()->set_method_name(method);
    request.meta.set_correlation_id(correlation_id);
    request.payload = "payload of " + std::to_string(correlation_id);
    return request;
}

int connect_to(const char *port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval limit = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

// The answer to one request.
Message call(int fd, const Message &request) {
    send_all(fd, frame_of(request));
    Message answer;
    CHECK(receive_frame(fd, answer));
    CHECK(answer.meta.correlation_id() == request.meta.correlation_id() && !answer.meta.has_request());
    return answer;
}

void check_echo(const Message &request, const Message &answer) {
    CHECK(answer.meta.response().error_code() == 0 && answer.meta.response().error_text().empty());
    CHECK(answer.payload == request.payload && answer.attachment == request.attachment);
}

void expect_error(int fd, const Message &request, int code) {
    const Message answer = call(fd, request);
    if (answer.meta.response().error_code() != code) {
        std::fprintf(stderr, "brpc_peer: %d instead of %d: %s\n", answer.meta.response().error_code(), code,
                     answer.meta.response().error_text().c_str());
        std::_Exit(1);
    }
    CHECK(!answer.meta.response().error_text().empty() && answer.payload.empty() && answer.attachment.empty());
}

void make_calls(int fd) {
    // Ids have 64 bits, and brpc's are large.
    Message first = request_of(0x4000'0000'8000'0001, "Echo");
    first.attachment = std::string("attached\0bytes", 14);
    check_echo(first, call(fd, first));

    // What a caller may say of itself. The meta is longer than brpc's clients make theirs in general, 244 bytes.
    Message rich = request_of(2, "Echo");
    auto *const request = rich.meta.mutable_request();
    request->set_log_id(77);
    request->set_trace_id(78);
    request->set_span_id(79);
    request->set_parent_span_id(80);
    request->set_request_id("request-81");
    request->set_timeout_ms(5000);
    request->set_from_svr_name("peer.Caller");
    auto &fields = *rich.meta.mutable_user_fields();
    fields["mc-uin"] = "2709160720";
    fields["mc-priority"] = "2";
    fields["more"] = std::string(300, 'm');
    check_echo(rich, call(fd, rich));

    // In pieces of a byte.
    const Message slow = request_of(3, "Echo");
    for (const char byte : frame_of(slow)) send_all(fd, std::string(1, byte));
    Message answer;
    CHECK(receive_frame(fd, answer));
    check_echo(slow, answer);

    // Many at once.
    std::map<int64_t, Message> open;
    std::string bytes;
    for (int64_t id = 100; id < 300; ++id) {
        open[id] = request_of(id, "Echo");
        open[id].attachment = std::string(static_cast<size_t>(id % 7), 'a');
        bytes += frame_of(open[id]);
    }
    send_all(fd, bytes);
    while (!open.empty()) {
        CHECK(receive_frame(fd, answer));
        const auto found = open.find(answer.meta.correlation_id());
        CHECK(found != open.end());
        check_echo(found->second, answer);
        open.erase(found);
    }

    expect_error(fd, request_of(4, "Echo", "mcrpc.example.Other"), kNoService);
    expect_error(fd, request_of(5, "Other"), kNoMethod);
    expect_error(fd, request_of(6, "Fail"), 42);
    Message odd = request_of(7, "Echo");
    odd.meta.set_compress_type(2);
    expect_error(fd, odd, kRequest);
    odd = request_of(8, "Echo");
    odd.meta.mutable_stream_settings()->set_stream_id(1);
    expect_error(fd, odd, kRequest);
    // After all that the connection is as good as before.
    const Message last = request_of(9, "Echo");
    check_echo(last, call(fd, last));
}

void find_busy(int fd) {
    Message hurried = request_of(50, "Echo");
    hurried.meta.mutable_request()->set_timeout_ms(20);
    std::string bytes = frame_of(request_of(1, "Echo"));
    send_all(fd, bytes);
    usleep(50'000);  // the worker has it
    bytes = frame_of(hurried);
    for (int64_t id = 2; id < 6; ++id) bytes += frame_of(request_of(id, "Echo"));
    send_all(fd, bytes);
    std::map<int64_t, int> codes;
    for (Message answer; codes.size() < 6;) {
        CHECK(receive_frame(fd, answer));
        codes[answer.meta.correlation_id()] = answer.meta.response().error_code();
    }
    CHECK(codes[1] == 0 && codes[50] == kTimedOut);
    int refused = 0;
    for (int64_t id = 2; id < 6; ++id) {
        CHECK(codes[id] == 0 || codes[id] == kLimit || codes[id] == kTimedOut);
        refused += codes[id] == kLimit;
    }
    CHECK(refused > 0);
}

void see_logoff(int fd) {
    const Message open = request_of(1, "Echo");
    send_all(fd, frame_of(open));
    usleep(50'000);  // the worker has it
    std::printf("sent\n");
    std::fflush(stdout);
    CHECK(std::getchar() != EOF);
    expect_error(fd, request_of(2, "Echo"), kLogoff);
    Message answer;
    CHECK(receive_frame(fd, answer) && answer.meta.correlation_id() == 1);
    check_echo(open, answer);
    CHECK(!receive_frame(fd, answer));
}

// ---- The server -----------------------------------------------------------------------------------------

Message answer_to(const Message &request) {
    static const std::map<std::string, int> codes = {
        {"Echo", 0}, {"ELIMIT", kLimit}, {"ELOGOFF", kLogoff}, {"EOVERCROWDED", 1011}, {"ERPCTIMEDOUT", kTimedOut},
        {"EREQUEST", kRequest}, {"Own", 77}};
    const auto &asked = request.meta.request();
    std::string known;
    for (const auto &[key, value] : std::map<std::string, std::string>(request.meta.user_fields().begin(),
                                                                       request.meta.user_fields().end())) {
        known += " " + key + "=" + value;
    }
    const bool is_in_time = asked.timeout_ms() > 0 && asked.timeout_ms() <= 1000;
    std::printf("%s.%s log_id %lld %s %s from %s%s\n", asked.service_name().c_str(), asked.method_name().c_str(),
                static_cast<long long>(asked.log_id()), is_in_time ? "in time" : "without time",
                asked.trace_id() != 0 && asked.span_id() != 0 ? "traced" : "untraced", asked.from_svr_name().c_str(),
                known.c_str());
    Message answer;
    answer.meta.set_correlation_id(request.meta.correlation_id());
    auto *const response = answer.meta.mutable_response();
    response->set_error_code(0);
    const auto code = codes.find(asked.method_name());
    if (asked.service_name() != "example.EchoService") {
        response->set_error_code(kNoService);
        response->set_error_text("Fail to find service=" + asked.service_name());
    } else if (code == codes.end()) {
        response->set_error_code(kNoMethod);
        response->set_error_text("Fail to find method=" + asked.method_name());
    } else if (code->second != 0) {
        response->set_error_code(code->second);
        response->set_error_text("[E" + std::to_string(code->second) + "]");
    } else {
        answer.payload = request.payload;
        answer.attachment = request.attachment;
    }
    return answer;
}

// Answers what has come when nothing more is there, the last first.
void serve(int fd) {
    std::vector<Message> waiting;
    for (Message request; receive_frame(fd, request);) {
        CHECK(request.meta.has_request() && request.meta.IsInitialized());
        waiting.push_back(request);
        usleep(20'000);
        char byte = 0;
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) continue;
        std::string bytes;
        for (; !waiting.empty(); waiting.pop_back()) bytes += frame_of(answer_to(waiting.back()));
        std::fflush(stdout);
        send_all(fd, bytes);
    }
    close(fd);
}

int run_server() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    CHECK(bind(listener, reinterpret_cast<const sockaddr *>(&address), len) == 0 && listen(listener, 16) == 0);
    CHECK(getsockname(listener, reinterpret_cast<sockaddr *>(&address), &len) == 0);
    std::printf("listening 127.0.0.1:%u\n", ntohs(address.sin_port));
    std::fflush(stdout);
    for (int fd = 0; (fd = accept(listener, nullptr, nullptr)) >= 0;) std::thread(serve, fd).detach();
    return 1;
}

}  // namespace

int main(int argc, char **argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "server" && argc == 2) return run_server();
    const std::string scenario = mode == "client" && argc == 4 ? argv[3] : "";
    const std::map<std::string, void (*)(int)> scenarios = {
        {"calls", make_calls}, {"busy", find_busy}, {"logoff", see_logoff}};
    if (scenarios.count(scenario) == 0) {
        std::fprintf(stderr, "usage: brpc_peer server | client PORT calls|busy|logoff\n");
        return 2;
    }
    scenarios.at(scenario)(connect_to(argv[2]));
    std::printf("%s hold\n", scenario.c_str());
    return 0;
}
