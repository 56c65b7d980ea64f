// The C++ layer of baidu_std: a brpc request admitted and answered, a call to a brpc server and what its answer means.
#include "../c/check.h"

#include <mcrpc.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace baidu = mcrpc::baidu_std;

static_assert(std::is_trivially_copyable_v<baidu::Meta>);
static_assert(std::is_trivially_copyable_v<baidu::Frame>);

static void a_request_is_admitted_and_answered() {
    const baidu::Limits limits;
    baidu::Origin origin;
    origin.uin = 42;
    origin.priority = 3;
    const baidu::UserField fields[] = {{"key", "value"}};
    std::uint8_t bytes[256];
    std::size_t len = 0, wanted = 0;
    const baidu::Meta sent = baidu::Meta::request("pkg.Service", "Method", 7);
    CHECK(sent.write_request(origin, fields, 1, 2, bytes, sizeof bytes, len).ok());
    std::memcpy(bytes + len, "hi", 2);
    CHECK(baidu::wanted(bytes, 11, limits, wanted).code() == MCRPC_INCOMPLETE);
    CHECK(baidu::wanted(bytes, 12, limits, wanted).ok() && wanted == len + 2);

    baidu::Frame frame;
    CHECK(baidu::Frame::parse(bytes, wanted, limits, frame).ok());
    CHECK(frame.meta.service() == "pkg.Service" && frame.meta.method() == "Method");
    CHECK(frame.meta.has(MCRPC_BAIDU_REQUEST | MCRPC_BAIDU_CORRELATION_ID) && !frame.meta.has(MCRPC_BAIDU_RESPONSE));
    CHECK(mcrpc::view(frame.payload) == "hi" && frame.attachment.len == 0);
    mcrpc_bytes_t value;
    CHECK(frame.meta.user_field("key", value).ok() && mcrpc::view(value) == "value");
    CHECK(frame.meta.user_field("other", value).ok() && value.data == nullptr);
    mcrpc_bytes_t rest = frame.meta.user_fields;
    baidu::UserField field;
    std::size_t count = 0;
    while (baidu::Meta::next_user_field(rest, field).ok() && field.key.data != nullptr) {
        count++;
    }
    CHECK(count == 3);

    mcrpc::Header header;
    CHECK(frame.meta.to_header(2, header).ok() && header.uin == 42 && header.priority == 3 && header.call_id == 7);
    mcrpc::Request request;
    CHECK(mcrpc::Request::from_header(header, 1, 1, mcrpc::now_ns(), request).ok());
    CHECK(request.deadline_ns == MCRPC_NO_DEADLINE);
}

static void an_answer_says_what_a_client_may_do() {
    std::uint8_t bytes[128];
    std::size_t len = 0;
    const auto refused = baidu::Meta::response(7, mcrpc::Status(MCRPC_WAIT_ABOVE_HARD_LIMIT), "busy");
    CHECK(refused.write_response(nullptr, 0, 0, bytes, sizeof bytes, len).ok());
    baidu::Frame frame;
    CHECK(baidu::Frame::parse(bytes, len, baidu::Limits(), frame).ok());
    CHECK(frame.meta.error_code == MCRPC_BAIDU_ELIMIT && mcrpc::view(frame.meta.error_text) == "busy");
    CHECK(frame.meta.status().code() == MCRPC_QUEUE_FULL);
    CHECK(baidu::Meta::response(7, mcrpc::Status()).status().ok());
    // What is no response does not say that all went well, and a code that is not there says nothing.
    CHECK(baidu::Meta().status().code() == MCRPC_BAD_KIND);
    CHECK(baidu::Meta::request("s", "m", 7).status().code() == MCRPC_BAD_KIND);
    baidu::Meta without_code = baidu::Meta::response(7, mcrpc::Status(MCRPC_QUEUE_FULL));
    without_code.present = MCRPC_BAIDU_RESPONSE;
    CHECK(without_code.status().ok());
}

int main() {
    a_request_is_admitted_and_answered();
    an_answer_says_what_a_client_may_do();
    return 0;
}
