// The C++ layer of the wire: names and bytes as string views, and a context per thread.
#include "../c/check.h"

#include <mcrpc.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>
#include <thread>
#include <type_traits>

static_assert(std::is_trivially_copyable_v<mcrpc::Metadata> && std::is_trivially_copyable_v<mcrpc::Context>);
static_assert(!std::is_copy_constructible_v<mcrpc::ContextScope>);
static_assert(std::is_constructible_v<mcrpc::ContextScope, const mcrpc::Context &>);
static_assert(!std::is_constructible_v<mcrpc::ContextScope, mcrpc::Context>, "it would refer to what is gone");
static_assert(mcrpc::Limits().max_body_len == 64u << 20 && mcrpc::Limits(9).max_body_len == 9);

static constexpr std::string_view kPayload = "the payload";

static mcrpc::Header request_header() {
    mcrpc::Header header;
    header.kind = MCRPC_KIND_REQUEST;
    header.flags = MCRPC_FLAG_CRC_TRAILER;
    header.uin = 42;
    header.budget_ms = 500;
    return header;
}

// The frame and its length.
static std::size_t write_frame(const mcrpc::Header &header, const mcrpc::Metadata &metadata, std::uint8_t (&out)[512]) {
    std::size_t len = 0;
    CHECK(header.emit(metadata, kPayload.size(), out, sizeof out, len).ok());
    std::memcpy(out + len, kPayload.data(), kPayload.size());
    len += kPayload.size();
    mcrpc::Checksum checksum;
    checksum.update(out, 10);
    checksum.update(out + 10, len - 10);
    std::uint8_t trailer[mcrpc::Checksum::kTrailerLen];
    checksum.trailer(trailer);
    std::memcpy(out + len, trailer, sizeof trailer);
    return len + sizeof trailer;
}

static void a_frame_is_written_and_read() {
    std::uint8_t tags[16], bytes[512];
    std::size_t tags_len = 0;
    CHECK((mcrpc::Tag{MCRPC_TAG_APPLICATION | 1, "own"}.write(tags, 4, tags_len).code() == MCRPC_TOO_SMALL && tags_len == 5));
    CHECK((mcrpc::Tag{MCRPC_TAG_APPLICATION | 1, "own"}.write(tags, sizeof tags, tags_len).ok()));
    mcrpc::Metadata written;
    written.set_caller("mmproxy");
    written.set_service("pkg.Service");
    written.set_method("pkg.Service.Method");
    written.set_zone("sz-1");
    written.set_error_text("text");
    written.set_ticket("ticket");
    written.set_cookie("cookie");
    written.set_tags({reinterpret_cast<const char *>(tags), tags_len});
    written.withheld_count = 3;
    const std::size_t len = write_frame(request_header(), written, bytes);

    mcrpc::Limits limits;
    limits.needs_checksum = 1;
    mcrpc::Frame frame;
    std::size_t wanted = 0;
    CHECK(mcrpc::Frame::wanted(bytes, MCRPC_HEADER_LEN, limits, wanted).ok() && wanted == len);
    CHECK(mcrpc::Frame::parse(bytes, len - 1, limits, frame).code() == MCRPC_INCOMPLETE);
    CHECK(mcrpc::Frame::parse(bytes, len, limits, frame).ok() && frame.len == len && frame.payload == kPayload);
    const mcrpc::Metadata &read = frame.metadata;
    CHECK(read.caller() == "mmproxy" && read.service() == "pkg.Service" && read.method() == "pkg.Service.Method");
    CHECK(read.zone() == "sz-1" && read.error_text() == "text" && read.ticket() == "ticket" && read.cookie() == "cookie");
    CHECK(read.withheld_count == 3 && frame.header.uin == 42);
    int tags_read = 0, own = 0;
    for (const mcrpc::Tag &tag : read.tags()) {
        tags_read++;
        own += tag.number == (MCRPC_TAG_APPLICATION | 1) && tag.value == "own";
    }
    CHECK(tags_read == 9 && own == 1);
    CHECK(std::distance(read.tags().begin(), read.tags().end()) == 9);
    for (const mcrpc::Tag &tag : mcrpc::Metadata().tags()) CHECK(tag.number == 0);

    mcrpc::Metadata parsed;
    CHECK(mcrpc::Metadata::parse(bytes + MCRPC_HEADER_LEN, frame.header.metadata_len, limits, parsed).ok());
    CHECK(parsed.tags().bytes() == read.tags().bytes());
    CHECK(mcrpc::sniff(bytes, 1) == MCRPC_PROTOCOL_NATIVE && mcrpc::sniff(bytes, 0) == MCRPC_PROTOCOL_UNDECIDED);
}

// Whoever answers without an admission controller has nothing to say of a cursor: 0 would refuse everything.
static void a_new_response_refuses_nothing() {
    mcrpc::Header response, read;
    response.kind = MCRPC_KIND_RESPONSE;
    std::uint8_t bytes[MCRPC_HEADER_LEN];
    CHECK(response.emit(bytes, sizeof bytes).ok() && mcrpc::Header::parse(bytes, sizeof bytes, {}, read).ok());
    CHECK(read.cursor == MCRPC_CURSOR_OPEN && read.status == MCRPC_OK);
}

static void a_stream_is_cut_into_frames() {
    std::uint8_t bytes[512];
    mcrpc::Metadata metadata;
    metadata.set_caller("mmproxy");
    const std::size_t len = write_frame(request_header(), metadata, bytes);
    mcrpc::Limits limits;
    limits.max_open_calls = 1;
    mcrpc::FrameDecoder decoder(limits);
    mcrpc::FrameEvent event;
    int payload = 0, refused = 0, whole = 0;
    for (int frame = 0; frame < 3; frame++) {
        if (frame == 2) decoder.answered();
        for (std::size_t at = 0, used = 0; at < len; at += used) {
            CHECK(decoder.next(bytes + at, len - at, used, event).ok());
            payload += event.kind == MCRPC_EVENT_PAYLOAD && mcrpc::view(event.bytes) == kPayload;
            refused += event.kind == MCRPC_EVENT_REFUSED && event.status == MCRPC_TOO_MANY_OPEN_CALLS;
            whole += event.last != 0;
        }
    }
    CHECK(payload == 2 && refused == 1 && whole == 2);
    mcrpc::FrameDecoder by_default;
    std::size_t used = 0;
    CHECK(by_default.next(bytes, len, used, event).ok() && used == MCRPC_HEADER_LEN && event.header.uin == 42);
}

static void a_context_goes_on() {
    const std::uint8_t span[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    mcrpc::Metadata came, said;
    came.set_ticket("ticket");
    came.set_cookie("cookie");
    came.trace_id[0] = 9;
    mcrpc::Context context, onward, taken;
    CHECK(mcrpc::Context::read(request_header(), came, 1'000'000, context).ok() && context.ticket() == "ticket");
    CHECK(context.onward(span, onward).ok() && std::memcmp(onward.span_id, span, sizeof span) == 0);
    mcrpc::Header header;
    CHECK(onward.write(101'000'000, header, said).ok() && header.budget_ms == 400 && said.cookie() == "cookie");
    CHECK(onward.write(501'000'000, header, said).code() == MCRPC_OUT_OF_TIME);

    std::uint8_t queued[256];
    std::size_t len = 0;
    CHECK(onward.encode(101'000'000, queued, sizeof queued, len).ok());
    CHECK(mcrpc::Context::decode(queued, len, {}, 101'000'000, taken).ok());
    CHECK(taken.deadline_ns == 501'000'000 && taken.trace_id[0] == 9 && taken.cookie() == "cookie");
    CHECK(taken.tags().begin() != taken.tags().end());
    taken.set_ticket("other");
    taken.set_cookie({});
    CHECK(taken.ticket() == "other" && taken.cookie().empty());
    mcrpc::Request request;
    CHECK(mcrpc::Request::from_context(taken, 7, 1, request).ok() && request.deadline_ns == taken.deadline_ns);
}

static void each_thread_has_its_scopes() {
    CHECK(mcrpc::Context::current() == nullptr);
    mcrpc::ContextScope::install();
    mcrpc::Context outer, inner;
    const mcrpc::ContextScope outer_scope(outer);
    {
        const mcrpc::ContextScope inner_scope(inner);
        CHECK(mcrpc::Context::current() == &inner);
        std::thread([&outer] {
            CHECK(mcrpc::Context::current() == nullptr);
            const mcrpc::ContextScope scope(outer);
            CHECK(mcrpc::Context::current() == &outer);
        }).join();
    }
    CHECK(mcrpc::Context::current() == &outer);
    CHECK(mcrpc::Context(*mcrpc::Context::current()).deadline_ns == MCRPC_NO_DEADLINE);
    mcrpc::Context::set_lookup(nullptr);
    CHECK(mcrpc::Context::current() == nullptr);
}

int main() {
    a_frame_is_written_and_read();
    a_new_response_refuses_nothing();
    a_stream_is_cut_into_frames();
    a_context_goes_on();
    each_thread_has_its_scopes();
}
