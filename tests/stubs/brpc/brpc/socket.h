#ifndef STUB_BRPC_SOCKET_H
#define STUB_BRPC_SOCKET_H

#include <map>
#include <mutex>

#include "brpc/socket_id.h"
#include "butil/endpoint.h"

namespace brpc {

class Socket {
public:
    // 0, or -1 if it has failed.
    static int Address(SocketId id, SocketUniquePtr *ptr) { return AddressFailedAsWell(id, ptr) == 0 ? 0 : (ptr->reset(), -1); }
    // 0, 1 if it has failed, -1 if there is none.
    static int AddressFailedAsWell(SocketId id, SocketUniquePtr *ptr);
    SocketId id() const { return id_; }
    butil::EndPoint remote_side() const { return remote_side_; }
    bool IsAvailable() const { return !is_logoff_; }

private:
    friend class FakeChannel;

    SocketId id_ = 0;
    butil::EndPoint remote_side_;
    bool is_failed_ = false, is_logoff_ = false;
};

}  // namespace brpc

#endif
