// The messages of feed.proto, so that the tier builds where protobuf for C++ is not installed: the part of what protoc writes that
// is used here, and the same bytes on the wire. With protoc, leave this directory out: see README.md.

#ifndef FEED_PB_H
#define FEED_PB_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace feed {

namespace wire {

inline void put_varint(std::string &out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}
inline void put_number(std::string &out, std::uint32_t field, std::uint64_t value) {
    if (value == 0) return;
    put_varint(out, field << 3);
    put_varint(out, value);
}
inline void put_bytes(std::string &out, std::uint32_t field, std::string_view bytes) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.size());
    out.append(bytes);
}

inline bool take_varint(std::string_view &in, std::uint64_t &value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

// A field: its number, and its value as a number or as bytes.
struct Field {
    std::uint64_t field = 0;
    std::uint64_t number = 0;
    std::string_view bytes{};

    bool take(std::string_view &in) {
        std::uint64_t key = 0;
        if (!take_varint(in, key)) return false;
        field = key >> 3;
        std::uint64_t len = key & 7;
        if (len == 0) return take_varint(in, number);
        if (len == 2 && !take_varint(in, len)) return false;
        const bool is_known = (key & 7) == 2 || (key & 7) == 1 || (key & 7) == 5;
        if ((key & 7) == 1) len = 8;
        if ((key & 7) == 5) len = 4;
        if (!is_known || len > in.size()) return false;
        bytes = in.substr(0, len);
        in.remove_prefix(len);
        return true;
    }
};

// Hands all fields to `each`, which says whether it likes them.
template <class Each>
bool parse(std::string_view in, Each each) {
    Field field;
    while (!in.empty()) {
        if (!field.take(in) || !each(field)) return false;
    }
    return true;
}

}  // namespace wire

class Post {
public:
    std::uint64_t id() const { return id_; }
    void set_id(std::uint64_t id) { id_ = id; }
    std::uint64_t author() const { return author_; }
    void set_author(std::uint64_t author) { author_ = author; }
    const std::string &text() const { return text_; }
    void set_text(std::string_view text) { text_ = text; }

    bool SerializeToString(std::string *out) const {
        out->clear();
        wire::put_number(*out, 1, id_);
        wire::put_number(*out, 2, author_);
        if (!text_.empty()) wire::put_bytes(*out, 3, text_);
        return true;
    }
    bool ParseFromString(std::string_view in) {
        *this = Post();
        return wire::parse(in, [this](const wire::Field &field) {
            if (field.field == 1) id_ = field.number;
            if (field.field == 2) author_ = field.number;
            if (field.field == 3) text_ = field.bytes;
            return true;
        });
    }

private:
    std::uint64_t id_ = 0;
    std::uint64_t author_ = 0;
    std::string text_{};
};

class Posts {
public:
    int posts_size() const { return static_cast<int>(posts_.size()); }
    const Post &posts(int index) const { return posts_[static_cast<std::size_t>(index)]; }
    Post *add_posts() { return &posts_.emplace_back(); }

    bool SerializeToString(std::string *out) const {
        out->clear();
        std::string bytes;
        for (const Post &post : posts_) {
            post.SerializeToString(&bytes);
            wire::put_bytes(*out, 1, bytes);
        }
        return true;
    }
    bool ParseFromString(std::string_view in) {
        posts_.clear();
        return wire::parse(in, [this](const wire::Field &field) {
            return field.field != 1 || add_posts()->ParseFromString(field.bytes);
        });
    }

private:
    std::vector<Post> posts_{};
};

class PostIds {
public:
    void add_ids(std::uint64_t id) { ids_.push_back(id); }

    bool SerializeToString(std::string *out) const {
        out->clear();
        std::string packed;
        for (const std::uint64_t id : ids_) wire::put_varint(packed, id);
        if (!packed.empty()) wire::put_bytes(*out, 1, packed);
        return true;
    }
    bool ParseFromString(std::string_view in) {
        ids_.clear();
        return wire::parse(in, [this](const wire::Field &field) {
            std::string_view packed = field.field == 1 ? field.bytes : std::string_view();
            std::uint64_t id = 0;
            while (!packed.empty()) {
                if (!wire::take_varint(packed, id)) return false;
                add_ids(id);
            }
            return true;
        });
    }

private:
    std::vector<std::uint64_t> ids_{};
};

// A message of one number, and one of one text.
template <class Number>
class OfNumber {
public:
    bool SerializeToString(std::string *out) const {
        out->clear();
        wire::put_number(*out, 1, number_);
        return true;
    }
    bool ParseFromString(std::string_view in) {
        number_ = 0;
        return wire::parse(in, [this](const wire::Field &field) {
            if (field.field == 1) number_ = static_cast<Number>(field.number);
            return true;
        });
    }

protected:
    Number number_ = 0;
};

class FeedRequest : public OfNumber<std::uint32_t> {
public:
    std::uint32_t count() const { return number_; }
    void set_count(std::uint32_t count) { number_ = count; }
};

class PublishReply : public OfNumber<std::uint64_t> {
public:
    std::uint64_t id() const { return number_; }
    void set_id(std::uint64_t id) { number_ = id; }
};

class PublishRequest {
public:
    const std::string &text() const { return text_; }
    void set_text(std::string_view text) { text_ = text; }

    bool SerializeToString(std::string *out) const {
        out->clear();
        if (!text_.empty()) wire::put_bytes(*out, 1, text_);
        return true;
    }
    bool ParseFromString(std::string_view in) {
        text_.clear();
        return wire::parse(in, [this](const wire::Field &field) {
            if (field.field == 1) text_ = field.bytes;
            return true;
        });
    }

private:
    std::string text_{};
};

}  // namespace feed

#endif
