// The C++ layer in a program with exceptions: one that ends an attempt's scope says nothing of the endpoint.
#include <mcrpc.hpp>

#include <cstdio>
#include <stdexcept>

int main() {
    mcrpc::EndpointsConfig config;
    std::size_t size = 0;
    if (!config.memory_size(size).ok()) return 1;
    const mcrpc::Memory memory = mcrpc::Memory::heap(size);
    mcrpc::Endpoints endpoints;
    if (!mcrpc::Endpoints::init(memory, config, nullptr, endpoints).ok()) return 1;
    const mcrpc::EndpointSpec spec(mcrpc::Endpoint::v4({10, 0, 0, 1}, 80));
    if (!endpoints.replace(&spec, 1).ok()) return 1;

    const auto level_after = [&](bool throws) {
        mcrpc::Call call;
        try {
            mcrpc::Attempt attempt(endpoints, call);
            if (throws) throw std::runtime_error("the request cannot be encoded");
        } catch (const std::runtime_error &) {
        }
        mcrpc::Health health;
        return endpoints.health(0, mcrpc::now_ns(), health).ok() ? static_cast<int>(health.level) : -1;
    };
    const int thrown = level_after(true), unsaid = level_after(false);
    if (thrown != 0 || unsaid <= 0) {
        std::fprintf(stderr, "level %d after an exception, %d after nothing was said\n", thrown, unsaid);
        return 1;
    }
}
