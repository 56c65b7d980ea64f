/* The header in a second file of the same program. */
#include <mcrpc.h>

uint32_t key_of_second_unit(uint64_t uin);

uint32_t key_of_second_unit(uint64_t uin) {
    return mcrpc_key(42, 0, uin, 0, 0);
}
