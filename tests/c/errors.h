/* What the programs share that provoke statuses: each is told as its name, a tab, and the function that said so. */
#ifndef ERRORS_H
#define ERRORS_H

#include "check.h"

#include <mcrpc.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

/* The call, in which `function` of the library says so, gives the status `wanted`. */
#define PROVOKE(wanted, function, call) \
    do { \
        int32_t got_ = (call); \
        if (got_ != (wanted)) { \
            fprintf(stderr, "%s:%d: %s is %s\n", __FILE__, __LINE__, #call, mcrpc_status_name(got_)); \
            exit(1); \
        } \
        TELL(got_, function); \
    } while (0)

#define TELL(status, function) ((void)(function), (void)printf("%s\t%s\n", mcrpc_status_name(status), #function))

#endif
