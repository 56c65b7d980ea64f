// The same for C++: MCRPC_WRAPPER takes in mcrpc.hpp, else the header alone.
#ifdef MCRPC_WRAPPER
#include <mcrpc.hpp>
#else
#include <mcrpc.h>
#endif

#include <cstdio>

uint32_t key_of_second_unit(uint64_t uin);

int main() {
#ifdef MCRPC_WRAPPER
    mcrpc::Admission admission;
    auto place = mcrpc::Memory::shared(1 << 17);
    if (!mcrpc::Admission::init(place, mcrpc::AdmissionConfig(), 1, admission).ok()) {
        return 1;
    }
#else
    alignas(MCRPC_ADMISSION_ALIGN) static unsigned char memory[1 << 17];
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_admission_t admission;
    if (mcrpc_admission_init(memory, sizeof memory, &config, 1, &admission) != MCRPC_OK) {
        return 1;
    }
#endif
    mcrpc_frame_decoder_t decoder;
    if (mcrpc_frame_init(nullptr, &decoder) != MCRPC_OK || key_of_second_unit(7) == key_of_second_unit(8)) {
        return 2;
    }
    std::printf("%s works\n", mcrpc_version_string());
    return 0;
}
