/* What the programs share that call functions with wrong arguments. */
#ifndef EXPECT_H
#define EXPECT_H

#include <mcrpc.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(call, wanted) \
    do { \
        long long got_ = (long long)(call), wanted_ = (long long)(wanted); \
        if (got_ != wanted_) { \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #call, got_, wanted_); \
            exit(1); \
        } \
    } while (0)

/* What stands where nothing may be written. */
enum { CANARY = 0x5A };

/* A misaligned pointer, made so that the compiler does not see it. */
static inline void *odd(void *pointer) {
    unsigned char *volatile bytes = pointer;
    return bytes + 1;
}

#endif
