#ifndef STUB_BRPC_CHANNEL_H
#define STUB_BRPC_CHANNEL_H

#include "brpc/controller.h"

namespace brpc {

struct ChannelOptions {
    int timeout_ms = 500;
    int max_retry = 3;
};

class Channel {
public:
    int Init(const char *naming_service_url, const char *load_balancer_name, const ChannelOptions *options);
};

}  // namespace brpc

#endif
