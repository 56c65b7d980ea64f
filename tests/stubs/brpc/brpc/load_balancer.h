#ifndef STUB_BRPC_LOAD_BALANCER_H
#define STUB_BRPC_LOAD_BALANCER_H

#include <cstdint>
#include <string>
#include <vector>

#include "brpc/describable.h"
#include "brpc/destroyable.h"
#include "brpc/excluded_servers.h"
#include "brpc/extension.h"
#include "brpc/server_id.h"
#include "butil/strings/string_piece.h"

namespace brpc {

class Controller;

class LoadBalancer : public NonConstDescribable, public Destroyable {
public:
    struct SelectIn {
        int64_t begin_time_us;
        bool changable_weights;
        bool has_request_code;
        uint64_t request_code;
        const ExcludedServers *excluded;
    };
    struct SelectOut {
        explicit SelectOut(SocketUniquePtr *ptr_in) : ptr(ptr_in), need_feedback(false) {}
        SocketUniquePtr *ptr;
        bool need_feedback;
    };
    struct CallInfo {
        int64_t begin_time_us;
        SocketId server_id;
        int error_code;
        const Controller *controller;
    };

    virtual bool AddServer(const ServerId &server) = 0;
    virtual bool RemoveServer(const ServerId &server) = 0;
    virtual size_t AddServersInBatch(const std::vector<ServerId> &servers) = 0;
    virtual size_t RemoveServersInBatch(const std::vector<ServerId> &servers) = 0;
    virtual int SelectServer(const SelectIn &in, SelectOut *out) = 0;
    virtual void Feedback(const CallInfo &) {}
    virtual LoadBalancer *New(const butil::StringPiece &params) const = 0;

protected:
    virtual ~LoadBalancer() {}
};

inline Extension<const LoadBalancer> *LoadBalancerExtension() { return Extension<const LoadBalancer>::instance(); }

}  // namespace brpc

#endif
