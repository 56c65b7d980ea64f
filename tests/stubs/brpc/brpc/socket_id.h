#ifndef STUB_BRPC_SOCKET_ID_H
#define STUB_BRPC_SOCKET_ID_H

#include <cstdint>
#include <memory>

namespace brpc {

typedef uint64_t SocketId;
class Socket;
struct SocketDeleter {
    void operator()(Socket *) const {}
};
typedef std::unique_ptr<Socket, SocketDeleter> SocketUniquePtr;

}  // namespace brpc

#endif
