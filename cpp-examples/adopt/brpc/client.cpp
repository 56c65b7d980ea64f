// A brpc client whose servers libmcrpc chooses: the lines to add to one that is there already are marked with +.
//
// Built against brpc as in docs/adopt/brpc.md.

#include <brpc/channel.h>

#include <cstdint>
#include <cstdio>

#include "mcrpc_load_balancer.h"  // +

// Your call, by a stub that protoc made.
void call(brpc::Channel &channel, brpc::Controller &controller);

int main() {
    static mcrpc::Host host;                                                 // + optional: what the host knows
    const mcrpc::Status status = host.open("/run/mcrpc", mcrpc::HostConfig(), mcrpc::now_ns());  // +
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.text().data());
    mcrpc_brpc::LoadBalancer::Options balancer;                              // +
    balancer.host = &host;                                                   // +
    mcrpc_brpc::register_load_balancer(balancer);                            // +

    brpc::Channel channel;
    brpc::ChannelOptions options;
    options.timeout_ms = 500;
    options.max_retry = 3;
    if (channel.Init("list://10.0.0.1:8000,10.0.0.2:8000", "mcrpc", &options) != 0) return 1;  // + "rr" before
    for (std::uint64_t uin = 1; uin <= 1000; ++uin) {
        brpc::Controller controller;
        controller.set_request_code(uin);                                    // + the same user, the same server
        call(channel, controller);
        if (controller.Failed()) std::fprintf(stderr, "%s\n", controller.ErrorText().c_str());
        static_cast<void>(host.tick(mcrpc::now_ns()));                       // + once a second is enough
    }
    return 0;
}
