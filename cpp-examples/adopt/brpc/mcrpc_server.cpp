#include "mcrpc_server.h"

#include <brpc/errno.pb.h>

#include <charconv>
#include <ctime>

namespace mcrpc_brpc {

namespace {

constexpr std::uint64_t NS_PER_US = 1'000, NS_PER_MS = 1'000'000;

// 0 if there is no such field, `otherwise` if it is no number that fits.
template <typename Number>
Number number_in(const brpc::UserFieldsMap &fields, const char *key, Number otherwise) {
    const std::string *text = fields.seek(key);
    Number number = 0;
    if (text == nullptr) return number;
    const char *end = text->data() + text->size();
    const auto [last, error] = std::from_chars(text->data(), end, number);
    return error == std::errc() && last == end ? number : otherwise;
}

}  // namespace

Origin origin_of_user_fields(brpc::Controller &controller) {
    if (!controller.has_request_user_fields()) return {};
    const brpc::UserFieldsMap &fields = *controller.request_user_fields();
    return {number_in<std::uint64_t>(fields, "mc-uin", 0), number_in<std::uint8_t>(fields, "mc-priority", UINT8_MAX)};
}

mcrpc::Status ServerAdmission::init(const Options &options) {
    options_ = options;
    options_.admission.workers_per_queue = options.workers;
    options_.admission.mode = options.mode;
    if (options.workers == 0) return mcrpc::Status(MCRPC_INVALID_ARGUMENT);
    std::size_t len = 0;
    mcrpc::Status status = options_.admission.memory_size(len);
    if (!status.ok()) return status;
    memory_ = mcrpc::Memory::heap(len);
    status = mcrpc::Admission::init(memory_, options_.admission, options_.now_ns(), admission_);
    if (status.ok()) book_ = Book(admission_, options.workers);
    return status;
}

bool ServerAdmission::requested(brpc::Controller &controller) {
    const std::uint64_t now_ns = options_.now_ns();
    // On the server's side this is the time since the request was read.
    const std::int64_t waited_us = controller.latency_us();
    const std::uint64_t waited_ns = waited_us > 0 ? static_cast<std::uint64_t>(waited_us) * NS_PER_US : 0;
    const Origin origin = options_.origin_of(controller);
    const mcrpc_host_t *host = options_.host == nullptr ? nullptr : options_.host->handle();
    const std::uint64_t salt = mcrpc_host_salt(host, options_.salt);
    const auto hour = static_cast<std::uint32_t>(std::time(nullptr) / 3600);
    mcrpc::Request request;
    request.key = mcrpc_key(salt, hour, origin.uin, origin.priority, 0);
    if (controller.timeout_ms() > 0) {
        const std::uint64_t budget_ns = static_cast<std::uint64_t>(controller.timeout_ms()) * NS_PER_MS;
        request.deadline_ns = now_ns + budget_ns - std::min(waited_ns, now_ns + budget_ns);
    }
    std::lock_guard<std::mutex> guard(mutex_);
    // Left over if brpc refused a request for a reason of its own before the interceptor was asked.
    reasons_.erase(&controller);
    const mcrpc::Status status = book_.enter(request, waited_ns, now_ns);
    if (status.ok()) return true;
    ++refused_;
    if (has_interceptor_) reasons_[&controller] = status.code();
    return has_interceptor_;
}

void ServerAdmission::responded(int error_code) {
    std::lock_guard<std::mutex> guard(mutex_);
    // brpc does not say whether it was refused. One that failed otherwise may take a refused one's place here, which then
    // takes its place: as many leave the book as have entered it.
    if (error_code != 0 && refused_ > 0) {
        --refused_;
        return;
    }
    book_.leave(options_.now_ns());
}

bool ServerAdmission::accept(const brpc::Controller *controller, int &error_code, std::string &error_text) {
    std::int32_t status = MCRPC_OK;
    {
        std::lock_guard<std::mutex> guard(mutex_);
        const auto place = reasons_.find(controller);
        if (place == reasons_.end()) return true;
        status = place->second;
        reasons_.erase(place);
    }
    error_code = mcrpc_baidu_error_of(status);
    if (error_code == brpc::ELIMIT && !options_.others_may_serve) error_code = brpc::EREJECT;
    error_text = std::string(mcrpc_status_name(status)) + ": " + mcrpc_status_text(status);
    return false;
}

void ServerAdmission::tick() {
    const std::uint64_t now_ns = options_.now_ns();
    {
        std::lock_guard<std::mutex> guard(mutex_);
        book_.settle(now_ns);
    }
    if (options_.host == nullptr) return;
    const mcrpc_host_t *host = options_.host->handle();
    mcrpc_host_tick(host, now_ns);
    mcrpc_admission_follow(admission_.handle(), host, options_.mode);
    mcrpc_host_report_queue(host, admission_.handle(), 0, now_ns);
    std::uint64_t sampled_ns = 0;
    const std::int32_t cpu_per_10k = mcrpc_host_cpu(host, now_ns, &sampled_ns);
    if (cpu_per_10k >= 0) {
        mcrpc_admission_set_cpu(admission_.handle(), static_cast<std::uint32_t>(cpu_per_10k), sampled_ns);
    }
}

}  // namespace mcrpc_brpc
