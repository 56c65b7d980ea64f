// The second tier of the feed: whose posts a user reads. A generated skeleton serves it (server.hpp), and a generated client calls
// the next tier through a channel.
//
// Build it, with LIB the directory of the library and GENERATED what `mcrpc gen` has written:
//
// g++ -std=c++17 -O2 -pthread -Iinclude -IGENERATED -Iexamples/feed/timeline/messages examples/feed/timeline/timeline.cpp
//     $LIB/libmcrpc.a -o timeline

#include <feed.mcrpc.hpp>
#include <getopt.h>
#include <mcrpc_channel.hpp>

#include <chrono>

#include "routes.hpp"
#include "server.hpp"

namespace {

using feed::must;

// Codes of the service's own, as in the first tier: a server behind this one ended while it had the call; it could not answer.
constexpr int32_t kLostBehind = 7001;
constexpr int32_t kFailedBehind = 7002;
// The host's counter of calls that were not sent, because the store had said that it would refuse them.
constexpr uint32_t kFeedCounters = 70;
constexpr uint32_t kWithheld = 1;
constexpr size_t kWithheldDecision = 5;  // of mcrpc_endpoints_snapshot_t

struct Options {
    std::string listen = "127.0.0.1:0";
    std::string host = "/run/mcrpc";
    std::string routes = "/etc/mcrpc";
    uint32_t workers = 16;
    uint64_t work_us = 2'000;
};

class Timeline final : public feed::TimelineServiceSkeleton {
public:
    Timeline(mcrpc::Channel &store, uint64_t work_us) : posts_(store), work_(work_us) {}

    mcrpc::Status get_timeline(const feed::FeedRequest &request, feed::Posts &reply) override {
        std::this_thread::sleep_for(work_);
        const mcrpc_context_t *context = mcrpc::Context::current();
        const uint64_t user = context == nullptr ? 0 : context->uin;
        feed::PostIds wanted;
        // Whom he follows is made up, too.
        for (uint32_t n = 0; n < std::min(request.count(), kMostPosts); ++n) wanted.add_ids((user + n) << 16 | n);
        return behind(posts_.get_posts(wanted, reply));
    }

    mcrpc::Status append(const feed::PublishRequest &request, feed::PublishReply &reply) override {
        std::this_thread::sleep_for(work_);
        return behind(posts_.put(request, reply));
    }

private:
    static constexpr uint32_t kMostPosts = 100;

    // How a call of the store failed, for our own caller. A refusal is passed on as it is. Everything else becomes a code of the
    // service: as the library's own it would say that this server is broken.
    static mcrpc::Status behind(mcrpc::Status status) {
        switch (status.code()) {
            case MCRPC_READ_FAILED:
            case MCRPC_WRITE_FAILED:
            case MCRPC_WORKER_LOST: return mcrpc::Status(kLostBehind);
            default:
                if (status.ok() || mcrpc_outcome_of(status.code()) != MCRPC_OUTCOME_FAILED) return status;
                return mcrpc::Status(kFailedBehind);
        }
    }

    const feed::PostServiceClient<mcrpc::Channel> posts_;
    const std::chrono::microseconds work_;
};

constexpr const char *kUsage = R"(usage: timeline [options]

  --listen ADDR   where to listen (default 127.0.0.1:0: the kernel chooses a port)
  --host DIR      the host's directory (default /run/mcrpc)
  --routes DIR    the files that say where the store is (default /etc/mcrpc)
  --workers N     worker threads (default 16)
  --work-us N     how long a request takes, beside what it waits for the store (default 2000)

SIGTERM ends it, when all that was taken is answered.
)";

constexpr option kFlags[] = {
    {"listen", required_argument, nullptr, 'l'},  {"host", required_argument, nullptr, 'h'},
    {"routes", required_argument, nullptr, 'r'},  {"workers", required_argument, nullptr, 'w'},
    {"work-us", required_argument, nullptr, 'u'}, {"help", no_argument, nullptr, '?'},
    {nullptr, 0, nullptr, 0}};

Options parse_options(int argc, char **argv) {
    Options options;
    int index = 0;
    for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags, &index)) != -1;) {
        const auto value = [&](double min, double max) { return framed::number(kFlags[index].name, optarg, min, max); };
        switch (flag) {
        case 'l': options.listen = optarg; break;
        case 'h': options.host = optarg; break;
        case 'r': options.routes = optarg; break;
        case 'w': options.workers = static_cast<uint32_t>(value(1, 1000)); break;
        case 'u': options.work_us = static_cast<uint64_t>(value(0, 1e7)); break;
        default: std::fputs(kUsage, stdout); std::exit(optopt == 0 ? 0 : 2);
        }
    }
    if (optind < argc) framed::reject("\"" + std::string(argv[optind]) + "\" is no option");
    return options;
}

// "127.0.0.1:8000", and 0 for a port that the kernel chooses.
sockaddr_in parse_address(const std::string &text) {
    const size_t colon = text.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const bool is_ip = colon != std::string::npos && inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) == 1;
    if (!is_ip) framed::reject("--listen needs an address such as 127.0.0.1:8000, not \"" + text + "\"");
    address.sin_port = htons(static_cast<uint16_t>(framed::number("listen", text.c_str() + colon + 1, 0, 65535)));
    return address;
}

}  // namespace

int main(int argc, char **argv) {
    const Options options = parse_options(argc, argv);
    framed::prepare(false, 0);
    mcrpc::ContextScope::install();

    mcrpc::Host host;
    mcrpc::HostConfig about;
    about.set_name("feed.timeline");
    must(host.open(options.host.c_str(), about, mcrpc::now_ns()), "host");

    feed::Routes routes(options.routes, "local", "store");
    routes.look();
    mcrpc::ChannelConfig config;
    config.caller = "feed.timeline";
    config.service_id = routes.service_id();
    std::unique_ptr<mcrpc::Channel> store;
    must(mcrpc::Channel::open(config, &host, store), "channel");
    const auto follow = [&] { must(store->replace(routes.servers().data(), static_cast<uint32_t>(routes.servers().size())), "replace"); };
    follow();

    Timeline timeline(*store, options.work_us);
    feed::Server server("feed.timeline", options.workers, host, [&](uint32_t method_id, std::string_view payload, std::string &answer) {
        return timeline.dispatch(method_id, payload, answer);
    });
    uint64_t withheld = 0;
    server.each_second = [&](uint64_t) {
        if (routes.look()) follow();
        mcrpc::EndpointsSnapshot decided;
        must(store->endpoints().snapshot(decided), "snapshot");
        const uint64_t now = decided.decisions[kWithheldDecision];
        static_cast<void>(host.count(kFeedCounters, kWithheld, now - std::exchange(withheld, now)));
    };
    sockaddr_in address = parse_address(options.listen);
    address.sin_port = htons(server.listen_at(address));
    char ip[INET_ADDRSTRLEN];
    std::printf("ready %s:%u\n", inet_ntop(AF_INET, &address.sin_addr, ip, sizeof ip), ntohs(address.sin_port));
    server.run(10);
    return 0;
}
