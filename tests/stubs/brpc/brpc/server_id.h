#ifndef STUB_BRPC_SERVER_ID_H
#define STUB_BRPC_SERVER_ID_H

#include <ostream>
#include <string>

#include "brpc/socket_id.h"

namespace brpc {

struct ServerId {
    ServerId() : id(0) {}
    explicit ServerId(SocketId id_in) : id(id_in) {}
    ServerId(SocketId id_in, const std::string &tag_in) : id(id_in), tag(tag_in) {}

    SocketId id;
    std::string tag;
};
inline bool operator==(const ServerId &a, const ServerId &b) { return a.id == b.id && a.tag == b.tag; }
inline std::ostream &operator<<(std::ostream &os, const ServerId &server) { return os << server.id; }

}  // namespace brpc

#endif
