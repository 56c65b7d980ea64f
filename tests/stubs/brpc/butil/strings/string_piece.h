#ifndef STUB_BUTIL_STRINGS_STRING_PIECE_H
#define STUB_BUTIL_STRINGS_STRING_PIECE_H

#include <string>

namespace butil {

class StringPiece {
public:
    StringPiece() = default;
    StringPiece(const char *text) : text_(text) {}
    StringPiece(const std::string &text) : text_(text) {}
    std::string as_string() const { return text_; }

private:
    std::string text_;
};

}  // namespace butil

#endif
