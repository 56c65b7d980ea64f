// brpc's LoadBalancer "mcrpc": libmcrpc chooses the server of each attempt, and learns what became of it.
//
// The user of a call is its request code (Controller::set_request_code): the same user, the same server. A server that keeps
// failing is shielded; with a host, for all its processes. brpc decides whether there is another attempt, libmcrpc where, and
// its budget whether at all.
#ifndef MCRPC_BRPC_LOAD_BALANCER_H
#define MCRPC_BRPC_LOAD_BALANCER_H

#include <brpc/load_balancer.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mcrpc.hpp>
#include <mutex>
#include <ostream>
#include <string>
#include <vector>

namespace mcrpc_brpc {

// Channels that name the same service have a balancer each; with a host they share what is known.
class LoadBalancer : public brpc::LoadBalancer {
public:
    struct Options {
        mcrpc::EndpointsConfig endpoints{};
        // What `mcrpc skip` and the strategies of the host know the service as; 0 if nobody names services.
        std::uint32_t service_id = 0;
        // May be null. Has to outlive brpc.
        const mcrpc::Host *host = nullptr;
        std::uint64_t (*now_ns)() = mcrpc::now_ns;
        // brpc has lists of any length.
        Options() { endpoints.capacity = 1024; }
    };

    explicit LoadBalancer(const Options &options);

    bool AddServer(const brpc::ServerId &server) override;
    bool RemoveServer(const brpc::ServerId &server) override;
    size_t AddServersInBatch(const std::vector<brpc::ServerId> &servers) override;
    size_t RemoveServersInBatch(const std::vector<brpc::ServerId> &servers) override;
    int SelectServer(const SelectIn &in, SelectOut *out) override;
    void Feedback(const CallInfo &info) override;
    LoadBalancer *New(const butil::StringPiece &params) const override;
    void Destroy() override { delete this; }
    void Describe(std::ostream &os, const brpc::DescribeOptions &options) override;

    const mcrpc::Endpoints &endpoints() const { return endpoints_; }

private:
    // An attempt on its way. brpc names it by its server and its begin.
    struct Attempt {
        mcrpc_choice_t choice;
        std::uint64_t started_ns;
    };
    struct Shard {
        std::mutex mutex;
        std::multimap<std::pair<brpc::SocketId, std::int64_t>, Attempt> attempts;
    };

    // Without those that have no address of their own that libmcrpc knows: they must not keep the others out.
    bool put_in_force(const std::vector<brpc::ServerId> &servers);
    mcrpc::Call call_of(std::uint64_t uin);
    bool accept(const SelectIn &in, const mcrpc_choice_t &choice, std::uint64_t now_ns, SelectOut *out);
    int refusal_of(mcrpc::Status status);
    int take_any(const SelectIn &in, SelectOut *out);
    void keep_house(std::uint64_t now_ns);
    Shard &shard_of(brpc::SocketId server) { return shards_[server % shards_.size()]; }

    Options options_;
    mcrpc::Memory memory_;
    mcrpc::Endpoints endpoints_;
    // Guards the list. SelectServer() does not need it: libmcrpc puts a list in force as a whole while calls go on.
    std::mutex list_mutex_;
    std::vector<brpc::ServerId> servers_;
    std::atomic<std::uint64_t> calls_{0};
    std::atomic<std::uint64_t> housekept_ns_{0};
    std::array<Shard, 16> shards_;
};

// Before the first channel is made: then `channel.Init("list://...", "mcrpc", &options)`. `options.host` has to outlive brpc.
inline void register_load_balancer(const LoadBalancer::Options &options = {}) {
    brpc::LoadBalancerExtension()->RegisterOrDie("mcrpc", new LoadBalancer(options));
}

// What an attempt that ended with this code says of its server: MCRPC_OUTCOME_..., or -1: nothing.
int outcome_of(int error_code, bool client_timed_out);

}  // namespace mcrpc_brpc

#endif
