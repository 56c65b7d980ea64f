// A second unit that includes the header: nothing in it may be defined twice.
#include <mcrpc.hpp>

mcrpc::Status admit_from_second_unit(const mcrpc::Admission &admission, const mcrpc::Request &request,
                                     std::uint64_t now_ns) {
    return admission.admit(0, request, now_ns);
}
