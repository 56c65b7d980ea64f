// What generated clients and skeletons for C++17 share. Written next to them by `mcrpc gen`.
//
// Channel         What brings a request to a server of the service and its answer back: mcrpc::Channel of mcrpc_channel.hpp, or a
//                 program's own. It chooses the server, retries and reports by the functions of mcrpc.hpp; stubs only know
//                 messages. It has, for any number of threads at once:
//
//                     mcrpc::Status call(const mcrpc::MethodDescriptor &method, std::string_view payload, std::string &reply);
//                     template <class Done>
//                     void call_async(const mcrpc::MethodDescriptor &method, std::string payload, Done done);
//
//                 `done(mcrpc::Status, std::string_view reply)` is called once, from any thread; it can be copied, so that a
//                 std::function may hold it. A channel without call_async serves programs that only wait.
// Skeleton        The base of an implementation. A server that has admitted a request gives dispatch() its method id and
//                 payload, and answers with what comes back. Any number of threads, if the implementation's functions allow it.
// Status          MCRPC_OK, another MCRPC_ status, or the service's own code. A request that cannot be serialised or parsed is
//                 MCRPC_INVALID_ARGUMENT, a reply that cannot be parsed MCRPC_READ_FAILED.
// Messages        Any class with SerializeToString(std::string *) and ParseFromString(const std::string &), such as protoc's.
//                 A reply is written only on success.
#ifndef MCRPC_STUB_HPP
#define MCRPC_STUB_HPP

#include <cstdint>
#include <future>
#include <memory>
#include <mcrpc.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mcrpc {

// What a .proto says about a method. Nothing: as the channel has it.
struct MethodDescriptor {
    std::string_view service;  // as discovery knows it; empty: the channel knows it
    std::string_view name;     // pkg.Service.Method
    std::uint32_t id;          // on the wire
    std::optional<std::uint32_t> timeout_ms;
    std::optional<std::uint8_t> priority;
    std::optional<std::uint16_t> business_id;
    bool is_idempotent;
};

// How a call ended. The reply is empty unless the status is MCRPC_OK.
template <class Reply>
struct Result {
    Status status;
    Reply reply{};
};

namespace stub {

template <class Reply>
Result<Reply> parse(Status status, std::string_view payload) {
    Result<Reply> result{status};
    if (status.ok() && !result.reply.ParseFromString(std::string(payload))) {
        result = Result<Reply>{Status(MCRPC_READ_FAILED)};
    }
    return result;
}

template <class Channel, class Request, class Reply>
Status call(Channel &channel, const MethodDescriptor &method, const Request &request, Reply &reply) {
    std::string payload, answer;
    if (!request.SerializeToString(&payload)) return Status(MCRPC_INVALID_ARGUMENT);
    const Status status = channel.call(method, std::string_view(payload), answer);
    Result<Reply> result = parse<Reply>(status, answer);
    if (result.status.ok()) reply = std::move(result.reply);
    return result.status;
}

template <class Reply, class Channel, class Request, class Done>
void call_async(Channel &channel, const MethodDescriptor &method, const Request &request, Done done) {
    std::string payload;
    if (!request.SerializeToString(&payload)) return done(Result<Reply>{Status(MCRPC_INVALID_ARGUMENT)});
    channel.call_async(method, std::move(payload), [done = std::move(done)](Status status, std::string_view answer) mutable {
        done(parse<Reply>(status, answer));
    });
}

template <class Reply, class Channel, class Request>
std::future<Result<Reply>> call_future(Channel &channel, const MethodDescriptor &method, const Request &request) {
    const auto promise = std::make_shared<std::promise<Result<Reply>>>();
    std::future<Result<Reply>> future = promise->get_future();
    call_async<Reply>(channel, method, request, [promise](Result<Reply> result) { promise->set_value(std::move(result)); });
    return future;
}

// The server's side of a call: `run(request, reply)` between parsing and serialising.
template <class Request, class Reply, class Run>
Status serve(std::string_view payload, std::string &answer, Run run) {
    Request request;
    if (!request.ParseFromString(std::string(payload))) return Status(MCRPC_INVALID_ARGUMENT);
    Reply reply;
    const Status status = run(request, reply);
    if (!status.ok()) return status;
    return reply.SerializeToString(&answer) ? status : Status(MCRPC_INVALID_ARGUMENT);
}

}  // namespace stub
}  // namespace mcrpc

#endif
