/* Calls this library and others that are written in Rust too. */
#include <mcrpc.h>

#include <stdio.h>

#ifdef WITH_STD
uint32_t other_std(uint32_t n);
#endif
#ifdef WITHOUT_STD
uint32_t other_core(uint32_t n);
#endif

int main(void) {
    uint32_t sum = mcrpc_key(42, 0, 7, 0, 0) == 0;
#ifdef WITH_STD
    sum += other_std(0) + other_std(100);
#endif
#ifdef WITHOUT_STD
    sum += other_core(2);
#endif
    sum += mcrpc_checksum(0, NULL, 0);
    printf("%u\n", (unsigned)sum);
    return 0;
}
