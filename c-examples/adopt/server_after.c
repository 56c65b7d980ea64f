// A server as many have them, before (server_before.c) and after (server_after.c) it adopts libmcrpc: diff shows what that
// took. It has an IO thread with epoll, a bounded queue, worker threads, and a protocol of its own:
//
//     request   "pay 4711 300\n"   what is wanted, for which user, and how many milliseconds the caller waits
//     answer    "0\n"              or a code that says why not
//
// One request at a time per connection. Build it, with LIB the directory of the library, and start it:
//
//     gcc -std=c11 -O2 -pthread -Iinclude c-examples/adopt/server_after.c $LIB/libmcrpc.a -o server
//     ./server PORT [FILE]   with port 0 the kernel chooses; while somebody holds a lock on the file, the service waits
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mcrpc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4, SERVICE_MS = 10, QUEUE_LEN = 256, MAX_CONNECTIONS = 4096, LINE_LEN = 64 };
enum { OK = 0, BUSY = 1 };  // the codes of this service
#define MS 1000000ull

struct job {
    int fd;
    uint8_t priority;
    uint64_t user, arrival_ns, deadline_ns;
};

static struct job queue[QUEUE_LEN];
static unsigned head, tail;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static struct line { char text[LINE_LEN]; size_t len; } lines[MAX_CONNECTIONS];  // by descriptor
static int events;
static _Alignas(MCRPC_ADMISSION_ALIGN) unsigned char memory[128 << 10];
static mcrpc_admission_t admission;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static int must(int result, const char *what) {
    if (result >= 0) { return result; }
    perror(what);
    exit(1);
}

// One shot: while a request is on its way through the server, nobody else touches its connection.
static void watch(int operation, int fd) {
    struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = fd };
    must(epoll_ctl(events, operation, fd, &event), "epoll_ctl");
}

static void answer(int fd, int32_t code) {
    char text[LINE_LEN];
    int len = snprintf(text, sizeof text, "%d\n", (int)code);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len) { shutdown(fd, SHUT_RDWR); }
    watch(EPOLL_CTL_MOD, fd);
}

static int is_full(void) {
    pthread_mutex_lock(&mutex);
    int full = tail - head == QUEUE_LEN;
    pthread_mutex_unlock(&mutex);
    return full;
}

static void put(struct job job) {
    pthread_mutex_lock(&mutex);
    queue[tail++ % QUEUE_LEN] = job;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
}

static struct job get(void) {
    pthread_mutex_lock(&mutex);
    while (head == tail) { pthread_cond_wait(&not_empty, &mutex); }
    struct job job = queue[head++ % QUEUE_LEN];
    pthread_mutex_unlock(&mutex);
    return job;
}

// The IO thread has read a request. It alone puts, so there is still room when it does.
static void take(struct job job) {
    int32_t code = is_full() ? BUSY : OK;
    mcrpc_request_t request = { .deadline_ns = job.deadline_ns, .key = mcrpc_key(0, 0, job.user, job.priority, 0) };
    if (code == OK) { code = mcrpc_admit(&admission, 0, &request, job.arrival_ns); }
    if (code == OK) { put(job); } else { answer(job.fd, code); }
}

// The service itself: asks a table, which somebody may have locked, and works.
static int32_t run(struct job job, int table) {
    uint64_t started_ns = now_ns();
    if (mcrpc_dequeued(&admission, 0, job.arrival_ns, job.deadline_ns, started_ns)) { return MCRPC_DEADLINE_IN_QUEUE; }
    flock(table, LOCK_SH);
    flock(table, LOCK_UN);
    usleep(SERVICE_MS * 1000);
    uint64_t ended_ns = now_ns();
    if (ended_ns > job.deadline_ns) {
        unsigned waited_ms = (unsigned)((started_ns - job.arrival_ns) / MS);
        fprintf(stderr, "late: user %llu waited %u ms\n", (unsigned long long)job.user, waited_ms);
    }
    mcrpc_done(&admission, 0, started_ns, now_ns());
    return OK;
}

static void *work(void *path) {
    int table = path == NULL ? -1 : must(open(path, O_RDONLY | O_CLOEXEC), path);
    for (;;) {
        struct job job = get();
        answer(job.fd, run(job, table));
    }
    return NULL;
}

// Reads what has arrived; the connection is closed by its end, and by what is no request.
static void receive(int fd) {
    struct line *line = &lines[fd];
    ssize_t got = recv(fd, line->text + line->len, LINE_LEN - 1 - line->len, MSG_DONTWAIT);
    uint64_t arrival_ns = now_ns();
    line->len += got > 0 ? (size_t)got : 0;
    line->text[line->len] = '\0';
    int is_whole = strchr(line->text, '\n') != NULL;
    int may_go_on = got > 0 ? line->len < LINE_LEN - 1 : got < 0 && errno == EAGAIN;
    if (!is_whole && may_go_on) { watch(EPOLL_CTL_MOD, fd); return; }
    char what[8];
    unsigned long long user;
    unsigned budget_ms;
    int is_request = is_whole && sscanf(line->text, "%7s %llu %u", what, &user, &budget_ms) == 3;
    line->len = 0;
    if (!is_request) { close(fd); return; }
    uint8_t priority = strcmp(what, "pay") == 0 ? 0 : 1;
    take((struct job){ fd, priority, user, arrival_ns, arrival_ns + budget_ms * MS });
}

int main(int argc, char **argv) {
    if (argc < 2) { return fprintf(stderr, "usage: server PORT [FILE]\n"), 2; }
    mcrpc_admission_config_t config = MCRPC_ADMISSION_CONFIG_INIT;
    config.workers_per_queue = WORKERS;
    must(mcrpc_admission_init(memory, sizeof memory, &config, now_ns(), &admission), "mcrpc_admission_init");
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    int listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    must(bind(listener, (struct sockaddr *)&address, len), "bind");
    must(listen(listener, SOMAXCONN), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &len), "getsockname");
    events = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    watch(EPOLL_CTL_ADD, listener);
    pthread_t worker;
    for (int n = 0; n < WORKERS; n++) { must(-pthread_create(&worker, NULL, work, argv[2]), "pthread_create"); }
    printf("listening 127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(events, &event, 1, -1) < 1) { continue; }
        if (event.data.fd != listener) { receive(event.data.fd); continue; }
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= MAX_CONNECTIONS) { close(fd); } else if (fd >= 0) { watch(EPOLL_CTL_ADD, fd); }
        watch(EPOLL_CTL_MOD, listener);
    }
}
