// Random RpcMeta messages by protobuf for C++, as brpc itself has them, beside this library: each writes what the other reads, and
// of a message that is cut short they say the same.
#include "../c/check.h"

#include <mcrpc.hpp>

#include <google/protobuf/util/message_differencer.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "baidu_rpc_meta.pb.h"

namespace baidu = mcrpc::baidu_std;
namespace pb = mcrpc::peers::baidu;
using google::protobuf::util::MessageDifferencer;

static std::mt19937_64 random_bits(20260822);

static bool maybe() {
    return random_bits() % 2 == 0;
}

// Numbers of every length on the wire.
static std::int64_t number() {
    return static_cast<std::int64_t>(random_bits()) >> (random_bits() % 64);
}
static std::int32_t small_number() {
    return static_cast<std::int32_t>(number());
}

static std::string text() {
    static const char *const letters[] = {"a", "B", ".", "_", "7", " ", "é", "请", "\U0001F600", "\n"};
    std::string result;
    for (auto n = random_bits() % 20; n > 0; n--) {
        result += letters[random_bits() % 10];
    }
    return result;
}

static std::string any_bytes() {
    std::string result(random_bits() % 12, '\0');
    for (auto &byte : result) {
        byte = static_cast<char>(random_bits());
    }
    return result;
}

// A complete message: a request, a response, or both.
static pb::RpcMeta any_message() {
    pb::RpcMeta message;
    const auto parts = random_bits() % 3;
    if (parts != 0) {
        auto &request = *message.mutable_request();
        request.set_service_name(text());
        request.set_method_name(text());
        if (maybe()) request.set_log_id(number());
        if (maybe()) request.set_trace_id(number());
        if (maybe()) request.set_span_id(number());
        if (maybe()) request.set_parent_span_id(number());
        if (maybe()) request.set_request_id(text());
        if (maybe()) request.set_timeout_ms(small_number());
        if (maybe()) request.set_from_svr_name(text());
    }
    if (parts != 1) {
        auto &response = *message.mutable_response();
        if (maybe()) response.set_error_code(small_number());
        if (maybe()) response.set_error_text(text());
    }
    if (maybe()) message.set_compress_type(small_number());
    if (maybe()) message.set_correlation_id(number());
    if (maybe()) message.set_attachment_size(static_cast<std::int32_t>(random_bits() % 5));
    if (maybe()) {
        message.mutable_chunk_info()->set_stream_id(number());
        message.mutable_chunk_info()->set_chunk_id(number());
    }
    if (maybe()) message.set_authentication_data(any_bytes());
    if (maybe()) {
        auto &settings = *message.mutable_stream_settings();
        settings.set_stream_id(number());
        if (maybe()) settings.set_need_feedback(maybe());
        if (maybe()) settings.set_writable(maybe());
        // C neither reports these nor writes its own, but it passes them on.
        for (auto n = random_bits() % 3; n > 0; n--) settings.add_extra_stream_ids(number());
    }
    for (auto n = random_bits() % 4; n > 0; n--) {
        (*message.mutable_user_fields())[text()] = text();
    }
    if (maybe()) message.set_content_type(static_cast<pb::ContentType>(random_bits() % 4));
    if (maybe()) message.set_checksum_type(small_number());
    if (maybe()) message.set_checksum_value(any_bytes());
    return message;
}

static std::string frame_of(const std::string &meta, const std::string &body) {
    std::string frame = "PRPC";
    for (const std::size_t len : {meta.size() + body.size(), meta.size()}) {
        for (const int shift : {24, 16, 8, 0}) {
            frame += static_cast<char>(len >> shift);
        }
    }
    return frame + meta + body;
}

static mcrpc::Status parse(const std::string &frame, baidu::Frame &out) {
    return baidu::Frame::parse(reinterpret_cast<const std::uint8_t *>(frame.data()), frame.size(), baidu::Limits(), out);
}

static pb::RpcMeta without_extra_streams(pb::RpcMeta message) {
    if (message.has_stream_settings()) message.mutable_stream_settings()->clear_extra_stream_ids();
    return message;
}

// What the library read, as a message.
static pb::RpcMeta as_message(const baidu::Meta &meta) {
    const auto string = [](const mcrpc_bytes_t &bytes) { return std::string(mcrpc::view(bytes)); };
    pb::RpcMeta message;
    if (meta.has(MCRPC_BAIDU_REQUEST)) {
        auto &request = *message.mutable_request();
        request.set_service_name(string(meta.service_name));
        request.set_method_name(string(meta.method_name));
        if (meta.has(MCRPC_BAIDU_LOG_ID)) request.set_log_id(meta.log_id);
        if (meta.has(MCRPC_BAIDU_TRACE_ID)) request.set_trace_id(meta.trace_id);
        if (meta.has(MCRPC_BAIDU_SPAN_ID)) request.set_span_id(meta.span_id);
        if (meta.has(MCRPC_BAIDU_PARENT_SPAN_ID)) request.set_parent_span_id(meta.parent_span_id);
        if (meta.has(MCRPC_BAIDU_REQUEST_ID)) request.set_request_id(string(meta.request_id));
        if (meta.has(MCRPC_BAIDU_TIMEOUT_MS)) request.set_timeout_ms(meta.timeout_ms);
        if (meta.has(MCRPC_BAIDU_FROM_SVR_NAME)) request.set_from_svr_name(string(meta.from_svr_name));
    }
    if (meta.has(MCRPC_BAIDU_RESPONSE)) {
        auto &response = *message.mutable_response();
        if (meta.has(MCRPC_BAIDU_ERROR_CODE)) response.set_error_code(meta.error_code);
        if (meta.has(MCRPC_BAIDU_ERROR_TEXT)) response.set_error_text(string(meta.error_text));
    }
    if (meta.has(MCRPC_BAIDU_COMPRESS_TYPE)) message.set_compress_type(meta.compress_type);
    if (meta.has(MCRPC_BAIDU_CORRELATION_ID)) message.set_correlation_id(meta.correlation_id);
    if (meta.has(MCRPC_BAIDU_ATTACHMENT_SIZE)) message.set_attachment_size(meta.attachment_size);
    if (meta.has(MCRPC_BAIDU_CHUNK_INFO)) {
        message.mutable_chunk_info()->set_stream_id(meta.chunk_stream_id);
        message.mutable_chunk_info()->set_chunk_id(meta.chunk_id);
    }
    if (meta.has(MCRPC_BAIDU_AUTHENTICATION_DATA)) message.set_authentication_data(string(meta.authentication_data));
    if (meta.has(MCRPC_BAIDU_STREAM_SETTINGS)) {
        auto &settings = *message.mutable_stream_settings();
        settings.set_stream_id(meta.stream_id);
        if (meta.has(MCRPC_BAIDU_NEED_FEEDBACK)) settings.set_need_feedback(meta.need_feedback != 0);
        if (meta.has(MCRPC_BAIDU_WRITABLE)) settings.set_writable(meta.writable != 0);
    }
    mcrpc_bytes_t rest = meta.user_fields;
    baidu::UserField field;
    while (baidu::Meta::next_user_field(rest, field).ok() && field.key.data != nullptr) {
        (*message.mutable_user_fields())[string(field.key)] = string(field.value);
    }
    if (meta.has(MCRPC_BAIDU_CONTENT_TYPE)) message.set_content_type(static_cast<pb::ContentType>(meta.content_type));
    if (meta.has(MCRPC_BAIDU_CHECKSUM_TYPE)) message.set_checksum_type(meta.checksum_type);
    if (meta.has(MCRPC_BAIDU_CHECKSUM_VALUE)) message.set_checksum_value(string(meta.checksum_value));
    return message;
}

// The frame that the library writes of a meta, with the user fields of `message`.
static std::string write(const baidu::Meta &meta, const pb::RpcMeta &message, std::uint32_t payload_len) {
    std::vector<baidu::UserField> fields;
    for (const auto &pair : message.user_fields()) {
        fields.emplace_back(pair.first, pair.second);
    }
    const auto once = [&](std::uint8_t *out, std::size_t len, std::size_t &wanted) {
        return meta.has(MCRPC_BAIDU_REQUEST)
                   ? meta.write_request(baidu::Origin(), fields.data(), fields.size(), payload_len, out, len, wanted)
                   : meta.write_response(fields.data(), fields.size(), payload_len, out, len, wanted);
    };
    std::size_t wanted = 0;
    CHECK(once(nullptr, 0, wanted).code() == MCRPC_TOO_SMALL);
    std::string out(wanted, '\0');
    CHECK(once(reinterpret_cast<std::uint8_t *>(out.data()), out.size(), wanted).ok());
    return out;
}

static void check_one() {
    const pb::RpcMeta message = any_message();
    const std::string bytes = message.SerializeAsString(), body = "body";
    const std::string frame = frame_of(bytes, body);
    baidu::Frame read;
    CHECK(parse(frame, read).ok());
    CHECK(MessageDifferencer::Equals(as_message(read.meta), without_extra_streams(message)));
    CHECK(std::string(mcrpc::view(read.payload)) + std::string(mcrpc::view(read.attachment)) == body);
    CHECK(read.attachment.len == static_cast<std::size_t>(message.attachment_size()));

    const std::string written = write(read.meta, message, static_cast<std::uint32_t>(body.size()));
    // A map has no order, so the same bytes may lie elsewhere; their number is the same.
    CHECK(written.size() + body.size() == frame.size());
    CHECK(written.compare(0, MCRPC_BAIDU_HEADER_LEN, frame, 0, MCRPC_BAIDU_HEADER_LEN) == 0);
    pb::RpcMeta back;
    CHECK(back.ParseFromString(written.substr(MCRPC_BAIDU_HEADER_LEN)));
    CHECK(MessageDifferencer::Equals(back, message));

    for (std::size_t len = 0; len < bytes.size(); len++) {
        const std::string cut = bytes.substr(0, len), cut_frame = frame_of(cut, body);
        pb::RpcMeta theirs;
        const bool accepted = theirs.ParsePartialFromString(cut) && theirs.IsInitialized();
        CHECK(parse(cut_frame, read).ok() == accepted);
        CHECK(!accepted || MessageDifferencer::Equals(as_message(read.meta), without_extra_streams(theirs)));
    }
}

// Where the two differ: the column of docs/baidu-std.md.
static void check_differences() {
    const std::string request("\x0A\x06\x0A\x01s\x12\x01m", 8);
    const auto groups = [](int depth) {
        std::string result;
        for (int n = 0; n < depth; n++) result += "\xA3\x06";
        for (int n = 0; n < depth; n++) result += "\xA4\x06";
        return result;
    };
    const struct {
        std::string more;
        bool ours, theirs;
    } table[] = {
        {std::string("\x32\x02\x08\x01", 4), false, false},                                      // a chunk without number
        {std::string("\x22\x01\x31", 3), false, true},                                          // a correlation id that is a string
        {std::string("\x4A\x03\x0A\x01\x80", 5), false, true},                                  // a key that is not UTF-8
        {std::string("\x20\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11), false, true},          // a varint above 64 bits
        {std::string("\xA0\x80\x80\x80\x80\x00\x07", 7), true, false},                            // a key in six bytes
        {std::string("\x3A\x81\x80\x80\x80\x80\x00\x61", 8), true, false},                         // a length in six bytes
        {groups(4), true, true},
        {groups(5), false, true},
        {groups(101), false, false},
        {std::string("\x28\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11), false, true},          // an attachment of -1 bytes
    };
    for (const auto &row : table) {
        pb::RpcMeta message;
        baidu::Frame read;
        const std::string frame = frame_of(request + row.more, "");
        CHECK(parse(frame, read).ok() == row.ours);
        CHECK(message.ParseFromString(request + row.more) == row.theirs);
    }
    pb::RpcMeta message;
    CHECK(message.ParseFromString("\x50\x09") && !message.has_content_type());
}

int main() {
    // It would report every string that is cut within a letter.
    google::protobuf::SetLogHandler(nullptr);
    check_differences();
    const int count = 4000;
    for (int n = 0; n < count; n++) {
        check_one();
    }
    std::printf("%d messages, each read alike\n", count);
    google::protobuf::ShutdownProtobufLibrary();
    return 0;
}
