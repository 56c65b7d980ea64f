/* A program of somebody who has installed the library: it calls both of its shared objects. */
#include <mcrpc.h>

#include <stdio.h>

uint32_t key_of_second_unit(uint64_t uin);

static uint64_t memory[1 << 14];

int main(void) {
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    mcrpc_admission_t admission;
    void *aligned = (void *)(((uintptr_t)memory + MCRPC_ADMISSION_ALIGN - 1) / MCRPC_ADMISSION_ALIGN * MCRPC_ADMISSION_ALIGN);
    if (mcrpc_admission_init(aligned, sizeof memory - MCRPC_ADMISSION_ALIGN, &config, 1, &admission) != MCRPC_OK) {
        return 1;
    }
    mcrpc_request_t request = MCRPC_REQUEST_INIT;
    request.key = key_of_second_unit(7);
    if (mcrpc_admit(&admission, 0, &request, 2) != MCRPC_OK) {
        return 2;
    }
    mcrpc_frame_decoder_t decoder;
    if (mcrpc_frame_init(NULL, &decoder) != MCRPC_OK || mcrpc_checksum(0, NULL, 0) != 0) {
        return 3;
    }
    printf("%s works\n", mcrpc_version_string());
    return mcrpc_version() == MCRPC_VERSION_NUMBER ? 0 : 4;
}
