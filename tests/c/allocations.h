/* Counts what the program asks of the allocator and of the system's memory: malloc and its relatives, mmap and brk are
 * replaced. To be included by one file of a program. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile unsigned long allocations;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    allocations++;
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t align, size_t size) {
    allocations++;
    return __libc_memalign(align, size);
}
int posix_memalign(void **out, size_t align, size_t size) {
    allocations++;
    *out = __libc_memalign(align, size);
    return *out == NULL ? ENOMEM : 0;
}
void free(void *memory) {
    allocations += memory != NULL;
    __libc_free(memory);
}
void *mmap(void *at, size_t len, int protection, int flags, int file, off_t offset) {
    allocations++;
    return (void *)syscall(SYS_mmap, at, len, protection, flags, file, offset);
}
int munmap(void *at, size_t len) {
    allocations++;
    return (int)syscall(SYS_munmap, at, len);
}
/* Nobody in these programs moves the end of the data segment: whoever tries is counted and refused. */
int brk(void *end) {
    (void)end;
    allocations++;
    errno = ENOMEM;
    return -1;
}
void *sbrk(intptr_t by) {
    (void)by;
    allocations++;
    errno = ENOMEM;
    return (void *)-1;
}

#endif
