// A shelf in front of another one: `program PORT_OF_THE_OTHER`. Says where it listens, and ends with its parent.
#include "../../cpp-examples/framed_loop.hpp"
#include "connection_channel.hpp"
#include "shelf.hpp"

namespace {

class Shelf final : public shelf::ShelfSkeleton {
public:
    explicit Shelf(const char *port_behind) : channel_(port_behind) {}

    mcrpc::Status get(const shelf::Item &request, shelf::Item &reply) override {
        reply.set_id(request.id() + 1);
        reply.set_colour(request.colour());
        reply.set_name("next " + request.name());
        shelf::put_label(reply, "the server's");
        return {};
    }
    mcrpc::Status pass(const shelf::Item &request, shelf::Item &reply) override {
        return shelf::ShelfClient(channel_).pass(request, reply);
    }
#ifdef NEW_SHELF
    mcrpc::Status count(const shelf::Item &request, shelf::Item &reply) override {
        reply.set_id(static_cast<std::uint64_t>(request.sizes_size()));
        return {};
    }
#endif

private:
    ConnectionChannel channel_;
};

// One thread for all: what a method waits for, all wait for.
class Server final : public framed::FramedLoop {
public:
    explicit Server(const char *port_behind) : FramedLoop({"mcrpc.test.Shelf"}), shelf_(port_behind) {}

private:
    bool on_header(framed::Connection &, const mcrpc::Header &) override { return true; }
    void on_request(framed::Connection &from, const mcrpc::Header &header, const mcrpc::Metadata &metadata,
                    std::string_view payload) override {
        mcrpc::Context context;
        CHECK(mcrpc::Context::read(header, metadata, from.arrival_ns(), context).ok());
        const mcrpc::ContextScope scope(context);
        std::string answer;
        const mcrpc::Status status = shelf_.dispatch(header.method_id, payload, answer);
        from.respond(header, status, answer);
    }
    void on_tick(std::uint64_t) override {}

    Shelf shelf_;
};

}  // namespace

int main(int argc, char **argv) {
    const pid_t parent = getppid();
    CHECK(argc == 2);
    framed::prepare(true, parent);
    mcrpc::ContextScope::install();
    Server server(argv[1]);
    server.listen_on(0);
    server.run(1000);
    return 0;
}
