#ifndef STUB_BTHREAD_BTHREAD_H
#define STUB_BTHREAD_BTHREAD_H

#include <cstdint>

extern "C" int bthread_usleep(std::uint64_t microseconds);

#endif
