// What shelf_client.cpp and shelf_server.cpp have in common: an item as a line of text, and what the new schema adds. Both are
// compiled against either schema of codegen/sample/proto/growth.
#ifndef SHELF_HPP
#define SHELF_HPP

#include <shelf.mcrpc.hpp>
#include <string>

namespace shelf {

#ifdef NEW_SHELF
constexpr Colour kOwnColour = COLOUR_GREEN;
inline void put_label(Item &item, const char *label) {
    item.set_label(label);
    item.add_sizes(1);
    item.add_sizes(300);
    item.mutable_part()->set_weight(5);
}
inline std::string label_of(const Item &item) { return item.label(); }
#else
constexpr Colour kOwnColour = COLOUR_BLUE;
inline void put_label(Item &, const char *) {}
inline std::string label_of(const Item &) { return {}; }
#endif

inline std::string line_of(const Item &item) {
    return "id " + std::to_string(item.id()) + " colour " + std::to_string(static_cast<int>(item.colour())) + " name " +
           item.name() + " label " + label_of(item);
}

}  // namespace shelf

#endif  // SHELF_HPP
