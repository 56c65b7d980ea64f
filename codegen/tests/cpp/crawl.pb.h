// In place of protoc's classes: messages of one text each, with nothing but what stubs use.
#ifndef CRAWL_PB_H
#define CRAWL_PB_H

#include <string>

struct FakeMessage {
    std::string text;

    // A text that begins with '!' cannot go either way.
    bool SerializeToString(std::string *out) const {
        *out = text;
        return text.empty() || text[0] != '!';
    }
    bool ParseFromString(const std::string &in) {
        text = in;
        return in.empty() || in[0] != '!';
    }
};

namespace crawl {
struct GetListRequest : FakeMessage {};
struct GetListReply : FakeMessage {};
struct GetListReply_Entry : FakeMessage {};
struct Score : FakeMessage {};
}  // namespace crawl

namespace google::protobuf {
struct Empty : FakeMessage {};
}  // namespace google::protobuf

#endif
