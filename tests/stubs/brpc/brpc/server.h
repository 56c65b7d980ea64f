#ifndef STUB_BRPC_SERVER_H
#define STUB_BRPC_SERVER_H

#include "brpc/adaptive_max_concurrency.h"
#include "brpc/controller.h"
#include "bthread/bthread.h"

namespace google {
namespace protobuf {
class Service;
}
}  // namespace google

namespace brpc {

class Interceptor;

enum ServiceOwnership { SERVER_OWNS_SERVICE, SERVER_DOESNT_OWN_SERVICE };

struct ServerOptions {
    AdaptiveMaxConcurrency method_max_concurrency;
    const Interceptor *interceptor = nullptr;
    bool server_owns_interceptor = false;
};

class Server {
public:
    int AddService(google::protobuf::Service *service, ServiceOwnership ownership);
    int Start(int port, const ServerOptions *options);
    int Stop(int closewait_ms);
    int Join();
};

bool IsAskedToQuit();

}  // namespace brpc

#endif
