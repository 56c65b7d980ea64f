// A program that logs for the users it works for, forks, and dies of a bug. Its last lines are in the agent's files.
//
// Build it, with LIB the directory of the library:
//
//     gcc -std=c11 -O2 -Iinclude c-examples/log.c $LIB/libmcrpc.a -o log
//     gcc -std=c11 -O2 -Iinclude c-examples/log.c -L$LIB -lmcrpc -Wl,-rpath,$LIB -o log
//
// and run it beside `mcrpc agent --logs DIR`: ./log /run/mcrpc
#define _GNU_SOURCE
#include <mcrpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static mcrpc_host_t host;
static mcrpc_context_t context = MCRPC_CONTEXT_INIT;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void say(uint32_t level, const char *text) {
    mcrpc_log_line_t line = MCRPC_LOG_LINE_INIT;
    line.level = level;
    line.thread = (uint32_t)gettid();
    line.now_ns = now_ns();
    if (mcrpc_log(&host, &line, &context, text, strlen(text)) == MCRPC_NO_POLICY) {
        fprintf(stderr, "%s\n", text); // the agent keeps no logs
    }
}

int main(int argc, char **argv) {
    mcrpc_host_config_t config = MCRPC_HOST_CONFIG_INIT;
    strcpy((char *)config.name, "log");
    mcrpc_host_open(argc > 1 ? argv[1] : "/run/mcrpc", &config, now_ns(), &host);
    say(MCRPC_LOG_INFO, "begins");
    context.uin = 42;
    context.call_graph_id = 5;
    memcpy(context.trace_id, "trace of request", sizeof context.trace_id);
    say(MCRPC_LOG_WARN, "works for user 42");

    pid_t child = fork();
    if (child == 0) {
        say(MCRPC_LOG_INFO, "a child that has not looked at the host yet");
        mcrpc_host_tick(&host, now_ns());
        say(MCRPC_LOG_INFO, "a child with a seat of its own");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    say(MCRPC_LOG_ERROR, "the last words\nof a program with a bug");
    abort();
}
