#ifndef STUB_BUTIL_ENDPOINT_H
#define STUB_BUTIL_ENDPOINT_H

#include <netinet/in.h>

namespace butil {

typedef struct in_addr ip_t;

struct EndPoint {
    EndPoint() : ip{INADDR_ANY}, port(0) {}
    EndPoint(ip_t ip_in, int port_in) : ip(ip_in), port(port_in) {}

    ip_t ip;
    int port;
};

}  // namespace butil

#endif
