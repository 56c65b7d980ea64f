// A brpc server with libmcrpc's admission: the lines to add to one that is there already are marked with +.
//
// Built against brpc as in docs/adopt/brpc.md.

#include <brpc/server.h>

#include <cstdio>

#include "mcrpc_interceptor.h"  // +
#include "mcrpc_limiter.h"      // +

// Your service, which this function has from somewhere.
google::protobuf::Service *make_service();

int main() {
    mcrpc_brpc::ServerAdmission admission;                                   // +
    mcrpc_brpc::ServerAdmission::Options admission_options;                  // +
    admission_options.workers = 8;                                           // + see docs/adopt/brpc.md
    admission_options.mode = MCRPC_MODE_OBSERVE;                             // + MCRPC_MODE_ENFORCE later
    if (const mcrpc::Status status = admission.init(admission_options); !status.ok()) {
        std::fprintf(stderr, "%s\n", status.text().data());
        return 1;
    }
    mcrpc_brpc::register_limiter(admission);                                 // +

    brpc::Server server;
    if (server.AddService(make_service(), brpc::SERVER_OWNS_SERVICE) != 0) return 1;
    brpc::ServerOptions options;
    options.method_max_concurrency = "mcrpc";                                // +
    options.interceptor = new mcrpc_brpc::Interceptor(admission);            // +
    options.server_owns_interceptor = true;                                  // +
    if (server.Start(8000, &options) != 0) return 1;
    while (!brpc::IsAskedToQuit()) {
        bthread_usleep(1'000'000);
        admission.tick();                                                    // +
    }
    server.Stop(0);
    server.Join();
    return 0;
}
