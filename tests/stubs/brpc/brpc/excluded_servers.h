#ifndef STUB_BRPC_EXCLUDED_SERVERS_H
#define STUB_BRPC_EXCLUDED_SERVERS_H

#include <cstddef>
#include <set>

#include "brpc/socket_id.h"

namespace brpc {

class ExcludedServers {
public:
    void Add(SocketId id) { ids_.insert(id); }
    static bool IsExcluded(const ExcludedServers *servers, SocketId id) {
        return servers != nullptr && servers->ids_.count(id) != 0;
    }
    size_t size() const { return ids_.size(); }

private:
    std::set<SocketId> ids_;
};

}  // namespace brpc

#endif
