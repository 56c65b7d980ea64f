// Calls a shelf, and prints what it says, one line per call: `program PORT`.
#include "connection_channel.hpp"
#include "shelf.hpp"

namespace {

void print(const char *call, mcrpc::Status status, const shelf::Item &item) {
    std::printf("%s %d %s\n", call, status.code(), status.ok() ? shelf::line_of(item).c_str() : "");
}

}  // namespace

int main(int argc, char **argv) {
    CHECK(argc == 2);
    ConnectionChannel channel(argv[1]);
    const shelf::ShelfClient client(channel);
    shelf::Item own, got, passed;
    own.set_id(7);
    own.set_colour(shelf::kOwnColour);
    own.set_name("item");
    shelf::put_label(own, "the caller's");
    print("get", client.get(own, got), got);
    print("pass", client.pass(own, passed), passed);
    passed.Clear();
    print("pass on", client.pass(got, passed), passed);
#ifdef NEW_SHELF
    shelf::Item counted;
    print("count", client.count(own, counted), counted);
#endif
    return 0;
}
