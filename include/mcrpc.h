// libmcrpc: overload control for C and C++ servers. This header is the manual.
//
// GENERATED from ffi/src by `MCRPC_UPDATE=1 cargo test -p mcrpc-ffi --test header`. Do not edit.
//
// Linking      cc program.c $(pkg-config --cflags --libs mcrpc)   or -lmcrpc: shared, libmcrpc.so.0, and libmcrpc_wire.so.0
//                                                if frames, contexts or baidu_std are called
//              cc program.c libmcrpc.a           static, the parts that are called; no further library is needed
// C++          #include <mcrpc.hpp> instead: the same with types and without casts, C++17, header only.
// Memory       All of it is yours. The library allocates nothing, frees nothing. A handle or a decoder is a plain struct:
//              copy it, drop it; there is nothing to destroy. A host alone maps files and keeps one open: it stays where
//              it is, and mcrpc_host_close() gives both back. There is no thread-local state, and one word that is global: the
//              address of your function that mcrpc_context_set_lookup() is given. (And a byte: what the processor can do.)
// Errors       0 is success, negative is failure; mcrpc_status_name() and mcrpc_status_text() say which and what to
//              do. Outputs come last and are written only on success, unless a function's comment says more. NULL,
//              misaligned and nonsense arguments give a status, never a fault.
// Structs      Start from the _INIT macro, or from {0} where there is none. What begins with struct_size grows at its
//              end: the macro sets it, and for a struct that is only written set it to the struct's sizeof yourself.
//              Reserved fields must be 0. So a program keeps running on later libraries of the same soname.
// Time         Nanoseconds of CLOCK_MONOTONIC, passed in by you. The library reads no clock, except that a host's
//              housekeeping looks how old strategies are that it finds.
// Threads      Admission handles may be used by any number of threads and processes at once; a frame decoder by
//              one thread at a time.
// fork         No threads, no locks, no handlers: handles made before a fork are good in parent and child.
// Coroutines   Functions marked "Hot" need at most 512 bytes of stack, keep nothing in thread-locals and never
//              block or yield: call them from any stackful coroutine.
// Panics       There is no code path that can panic or abort; a link test proves it.
//
// One request, from its header to its answer:
//
//     mcrpc_header_parse(bytes, 32, NULL, &header);                          // or mcrpc_frame_next() on a stream
//     mcrpc_request_from_header(&header, salt, epoch, now, &request);
//     status = mcrpc_admit(&admission, queue, &request, now);                 // refused: answer with status, cursor
//     ... your input queue ...
//     status = mcrpc_dequeued(&admission, queue, admitted, deadline, now);    // too late: answer with status
//     ... your handler ...
//     mcrpc_done(&admission, queue, started, now);
//
// What a request carries, from the frame that brought it to the frames that are sent on its behalf:
//
//     mcrpc_metadata_parse(bytes, len, NULL, &metadata);                      // or mcrpc_frame_parse() on a whole frame
//     mcrpc_context_read(&header, &metadata, now, &context);                  // your lookup may find it: _set_lookup()
//     mcrpc_context_onward(mcrpc_context_current(), span_id, &onward);
//     mcrpc_context_write(&onward, now, &header, &metadata);                  // a new header and metadata
//     mcrpc_head_write(&header, &metadata, payload_len, out, len, &head_len); // then the payload
//
// One call to another machine, with what all processes of the host know:
//
//     mcrpc_host_open("/run/mcrpc", NULL, now, &host);                       // once; it need not exist
//     mcrpc_endpoints_init(memory, len, NULL, &set);                          // once per service
//     mcrpc_endpoints_replace(&set, &host, specs, count, NULL, 0);            // whenever the machines change
//     while (mcrpc_select(&set, &host, &call, MCRPC_ATTEMPT_NEXT, now, &choice) == MCRPC_OK) {
//         ... send to choice.endpoint ...
//         mcrpc_report(&set, &host, &choice, mcrpc_outcome_of(status), elapsed, now);
//         mcrpc_heard(&set, &host, &choice, cursor, hold_ms, now);             // if the reply says what is refused
//         if (answered) break;                                                 // else once more, elsewhere
//     }
//     mcrpc_endpoints_tick(&set, &host);                                       // five times a second
//     mcrpc_host_tick(&host, now);                                             // once a second
//
// A line for the agent's log files:
//
//     mcrpc_log_line_t line = MCRPC_LOG_LINE_INIT;                             // level, thread, coroutine
//     line.now_ns = now;
//     mcrpc_log(&host, &line, mcrpc_context_current(), text, len);             // _NO_POLICY: the agent keeps no logs
//
// The same, one question at a time, for those who choose machines themselves: mcrpc_skip_check(), mcrpc_shield_check(),
// mcrpc_bucket_check(), mcrpc_strategy(), and mcrpc_bucket_pour() after a failure.
//
// Which function may be called where. After each group of functions: by how many threads at once; what it does beyond
// its arguments ("nothing": no allocation, lock or system call); whether from a signal handler that has interrupted the
// same function; whether in a child of a process with several threads; the most bytes of stack, where that is promised.
//
// mcrpc_status_name, mcrpc_status_text, mcrpc_version, mcrpc_version_string
//     hot; threads: any number; does: nothing; signal handler: yes; after fork: yes; stack: 512 bytes
// mcrpc_header_parse, mcrpc_header_emit, mcrpc_method_id
//     hot; threads: any number; does: nothing; signal handler: yes; after fork: yes; stack: 512 bytes
// mcrpc_admit, mcrpc_dequeued, mcrpc_done, mcrpc_abandoned, mcrpc_cursor, mcrpc_admission_withheld
//     hot; threads: any number, any processes; does: nothing; signal handler: yes; after fork: yes;
//     stack: 512 bytes
// mcrpc_key, mcrpc_request_from_header, mcrpc_refusal_status
//     hot; threads: any number; does: nothing; signal handler: yes; after fork: yes; stack: 512 bytes
// mcrpc_admission_memory_size, mcrpc_admission_attach, mcrpc_admission_set_mode, mcrpc_admission_set_enforced,
// mcrpc_admission_set_cpu, mcrpc_admission_set_tenant_weight, mcrpc_admission_queue_lost,
// mcrpc_admission_snapshot, mcrpc_admission_queue_snapshot, mcrpc_admission_tenant_snapshot
//     threads: any number, any processes; does: nothing; signal handler: yes; after fork: yes
// mcrpc_admission_init
//     threads: one, before all others; does: nothing; signal handler: no; after fork: yes
// mcrpc_admission_follow
//     threads: any number; does: nothing; signal handler: yes; after fork: yes
// mcrpc_host_segment_status, mcrpc_host_memory_size
//     threads: any number; does: nothing; signal handler: yes; after fork: yes
// mcrpc_host_tick
//     threads: any number; one works, the others return; does: opens, maps and looks at files;
//     signal handler: no; after fork: yes; stack: 4096 bytes
// mcrpc_host_open, mcrpc_host_create, mcrpc_host_close
//     threads: one, while nobody else uses the host; does: opens, maps and unmaps files; signal handler: no;
//     after fork: yes; stack: 8192 bytes
// mcrpc_endpoint_v4, mcrpc_strategy, mcrpc_host_mode, mcrpc_host_killed, mcrpc_host_dyed, mcrpc_host_salt,
// mcrpc_shield_check, mcrpc_skip_check
//     hot; threads: any number, any processes; does: nothing; signal handler: yes; after fork: yes;
//     stack: 512 bytes
// mcrpc_host_cpu
//     hot; threads: any number, any processes; does: nothing; signal handler: yes; after fork: yes;
//     stack: 512 bytes
// mcrpc_bucket_open, mcrpc_bucket_pour, mcrpc_bucket_check, mcrpc_counter_open, mcrpc_counter_add,
// mcrpc_counter_max, mcrpc_count, mcrpc_set_max, mcrpc_trace
//     hot; threads: any number, any processes; does: nothing; signal handler: yes;
//     after fork: yes: in the common seat until the first tick; stack: 512 bytes
// mcrpc_bucket_empty, mcrpc_host_report_queue
//     threads: any number; does: nothing; signal handler: yes; after fork: yes
// mcrpc_log
//     hot; threads: any number, any processes; does: nothing; signal handler: yes;
//     after fork: yes: as a process without a name until the first tick; stack: 512 bytes
// mcrpc_select, mcrpc_report, mcrpc_heard, mcrpc_outcome_of, mcrpc_outcome_is_retriable
//     hot; threads: any number, any processes; a call by one at a time; does: nothing; signal handler: yes;
//     after fork: yes; stack: 512 bytes
// mcrpc_endpoints_tick, mcrpc_endpoints_snapshot, mcrpc_endpoints_health, mcrpc_endpoints_memory_size
//     threads: any number; does: nothing; signal handler: yes; after fork: yes
// mcrpc_endpoints_init, mcrpc_endpoints_replace
//     threads: one at a time per set; calls go on during a replacement; does: nothing; signal handler: no;
//     after fork: yes
// mcrpc_frame_init, mcrpc_frame_wanted, mcrpc_frame_parse, mcrpc_metadata_parse, mcrpc_head_write,
// mcrpc_tag_next, mcrpc_tag_write, mcrpc_checksum, mcrpc_sniff
//     hot; threads: any number; does: nothing; signal handler: yes; after fork: yes; stack: 512 bytes
// mcrpc_frame_next, mcrpc_frame_answered
//     hot; threads: one at a time per decoder; does: nothing; signal handler: yes, with another decoder;
//     after fork: yes; stack: 512 bytes
// mcrpc_context_read, mcrpc_context_onward, mcrpc_context_write, mcrpc_context_encode, mcrpc_context_decode,
// mcrpc_request_from_context
//     hot; threads: any number; does: nothing; signal handler: yes; after fork: yes; stack: 512 bytes
// mcrpc_context_current
//     hot; threads: any number, if the program's lookup may; does: the lookup's;
//     signal handler: if the lookup may; after fork: if the lookup may; stack: 512 bytes
// mcrpc_context_set_lookup
//     threads: any number; it concerns the whole process; does: nothing; signal handler: yes; after fork: yes
// mcrpc_baidu_wanted, mcrpc_baidu_parse, mcrpc_baidu_write_request, mcrpc_baidu_write_response,
// mcrpc_baidu_user_field, mcrpc_baidu_next_user_field, mcrpc_baidu_to_header, mcrpc_baidu_to_context,
// mcrpc_baidu_set_context, mcrpc_baidu_error_of, mcrpc_baidu_status_of
//     hot; threads: any number; does: nothing; signal handler: yes; after fork: yes; stack: 512 bytes


#ifndef MCRPC_H
#define MCRPC_H

#include <stddef.h>
#include <stdint.h>

// The version of this header; mcrpc_version() is that of the library.
#define MCRPC_VERSION_MAJOR 0
#define MCRPC_VERSION_MINOR 1
#define MCRPC_VERSION_PATCH 0
#define MCRPC_VERSION_NUMBER (MCRPC_VERSION_MAJOR * 1000000 + MCRPC_VERSION_MINOR * 1000 + MCRPC_VERSION_PATCH)

// Bytes of a frame header.
#define MCRPC_HEADER_LEN 32
// Alignment of the memory of a controller.
#define MCRPC_ADMISSION_ALIGN 64

// Kinds of frames.
#define MCRPC_KIND_REQUEST 1
#define MCRPC_KIND_RESPONSE 2
#define MCRPC_KIND_ONE_WAY 3
#define MCRPC_KIND_HELLO 4
#define MCRPC_KIND_PING 5
#define MCRPC_KIND_PONG 6
#define MCRPC_KIND_GO_AWAY 7
#define MCRPC_KIND_CANCEL 8

// Flags of a frame. MUST_UNDERSTAND is refused by this version: it knows nothing that it could mean.
#define MCRPC_FLAG_CRC_TRAILER 0x01
#define MCRPC_FLAG_SAMPLED 0x02
#define MCRPC_FLAG_MORE 0x04
#define MCRPC_FLAG_CONTINUES_TASK 0x20
#define MCRPC_FLAG_COMPRESSED 0x40
#define MCRPC_FLAG_MUST_UNDERSTAND 0x80
// The number of the attempt in the flags, 0 to 3, and flags with that number.
#define MCRPC_FLAGS_ATTEMPT(flags) (((flags) >> 3) & 3)
#define MCRPC_FLAGS_WITH_ATTEMPT(flags, attempt) (((flags) & 0xe7) | (((attempt) & 3) << 3))

// Tags of metadata, and their bits: must be understood, the application's own, travels onward.
#define MCRPC_TAG_CALLER 0x01
#define MCRPC_TAG_SERVICE 0x02
#define MCRPC_TAG_METHOD 0x03
#define MCRPC_TAG_ZONE 0x04
#define MCRPC_TAG_FEATURES 0x05
#define MCRPC_TAG_ERROR_TEXT 0x06
#define MCRPC_TAG_REJECT_STATE 0x07
#define MCRPC_TAG_WITHHELD 0x08
#define MCRPC_TAG_COMPRESSION 0x09
#define MCRPC_TAG_PEER_LIMITS 0x0a
#define MCRPC_TAG_TRACE 0x20
#define MCRPC_TAG_ORIGIN_BUDGET 0x21
#define MCRPC_TAG_CALL_GRAPH 0x22
#define MCRPC_TAG_TICKET 0x23
#define MCRPC_TAG_COOKIE 0x24
#define MCRPC_TAG_ONWARD 0x20
#define MCRPC_TAG_APPLICATION 0x40
#define MCRPC_TAG_MUST_UNDERSTAND 0x80

// What the sender of a hello can do: it checks checksums, and wants them; it decompresses an algorithm, 1 to 23.
#define MCRPC_FEATURE_CHECKSUMS 0x1
#define MCRPC_FEATURE_DECOMPRESSES(algorithm) (UINT32_C(1) << (8 + (algorithm)))

// Algorithms of compression.
#define MCRPC_COMPRESSION_GZIP 1
#define MCRPC_COMPRESSION_ZSTD 2
#define MCRPC_COMPRESSION_LZ4 3
#define MCRPC_COMPRESSION_SNAPPY 4

// What mcrpc_sniff() says of a connection.
#define MCRPC_PROTOCOL_UNDECIDED 0
#define MCRPC_PROTOCOL_NATIVE 1
#define MCRPC_PROTOCOL_BAIDU_STD 2
#define MCRPC_PROTOCOL_HTTP1 3
#define MCRPC_PROTOCOL_HTTP2 4
#define MCRPC_PROTOCOL_UNKNOWN 5

// The limits to start from.
#define MCRPC_LIMITS_INIT { sizeof(mcrpc_limits_t), 67108864, 0, 8192, 64, 255, 0 }

// No metadata, and a context without any: what to start from.
#define MCRPC_METADATA_INIT \
    { sizeof(mcrpc_metadata_t), 0, 0, { 0 }, { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { NULL, 0 }, { NULL, 0 }, \
      { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } }
#define MCRPC_CONTEXT_INIT \
    { sizeof(mcrpc_context_t), 0, 0, MCRPC_NO_DEADLINE, 0, 0, { 0 }, { 0 }, 0, 0, 0, 0, 0, { 0 }, { NULL, 0 }, \
      { NULL, 0 }, { NULL, 0 } }

// The settings to start from: one queue, an unknown number of workers, defaults for the rest.
#define MCRPC_ADMISSION_CONFIG_INIT \
    { sizeof(mcrpc_admission_config_t), 1, 0, MCRPC_MODE_ENFORCE, 100, 15, 25, 40, 80, 2600, 1500, \
      MCRPC_POLICY_FEED_FORWARD, 9500, 0 }

// A request to start from: no deadline, the highest importance.
#define MCRPC_REQUEST_INIT { MCRPC_NO_DEADLINE, 0, 0, 0 }

// The settings of a host to start from.
#define MCRPC_HOST_CONFIG_INIT \
    { sizeof(mcrpc_host_config_t), MCRPC_ANY_OWNER, 5000, 64, 512, 4096, 256, 0, { 0 } }

// The settings of a set of endpoints to start from.
#define MCRPC_ENDPOINTS_CONFIG_INIT \
    { sizeof(mcrpc_endpoints_config_t), 128, MCRPC_SCOPE_HOST, MCRPC_ZONE_ANYWHERE, 0, 0, 4, \
      5000, 800, 10, 400, 5, 0, 100, 5000, 2000, 2000, 30000, 0 }

// A leak to start from: ten failures at once fill the bucket, one per second leaks out, and it is empty after 30 s.
#define MCRPC_LEAK_INIT { UINT64_C(1000000000), UINT64_C(9000000000), UINT64_C(30000000000) }

// A line of text to start from: INFO, of no thread, coroutine or request that is known.
#define MCRPC_LOG_LINE_INIT { sizeof(mcrpc_log_line_t), MCRPC_LOG_INFO, 0, 0, 0, 0 }

// A meta of baidu_std with nothing in it.
#define MCRPC_BAIDU_META_INIT \
    { sizeof(mcrpc_baidu_meta_t), 0, 0, 0, 0, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, \
      { 0, 0 }, { 0, 0 }, { 0, 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

// Every status: what happened, and what to do about it.
enum {
    // The call succeeded; the request may go on.
    MCRPC_OK = 0,
    // A pointer that must not be NULL is NULL: pass a valid one.
    MCRPC_NULL_ARGUMENT = -1,
    // An argument is outside its documented range: compare it with the function's comment.
    MCRPC_INVALID_ARGUMENT = -2,
    // The memory is not aligned as required: align it to 64 bytes.
    MCRPC_MISALIGNED = -3,
    // The memory or buffer is shorter than the matching size function or constant says: give it that many bytes.
    MCRPC_TOO_SMALL = -4,
    // struct_size is no size this library knows, or a field it does not know is not zero: initialise the struct with its _INIT macro.
    MCRPC_BAD_STRUCT_SIZE = -5,
    // The handle or memory was never initialised, or has been overwritten: call the init function first.
    MCRPC_NOT_INITIALISED = -6,
    // The memory was laid out by another version of the library: let one version create it and attach it.
    MCRPC_VERSION_MISMATCH = -7,
    // The bytes end inside a frame: feed more when they arrive.
    MCRPC_INCOMPLETE = -101,
    // The first byte is not 0xC7, so the peer does not speak this protocol: close the connection.
    MCRPC_BAD_MAGIC = -110,
    // The frame's version is not one this library speaks: upgrade the older side.
    MCRPC_BAD_VERSION = -111,
    // The frame's kind is not a known one: close the connection.
    MCRPC_BAD_KIND = -112,
    // The frame announces a body above the configured limit: raise the limit or close the connection.
    MCRPC_BODY_TOO_LONG = -113,
    // The frame announces more metadata than body: close the connection.
    MCRPC_BAD_METADATA_LENGTH = -114,
    // The frame carries a flag that must be understood and is not: upgrade this side or let the peer clear it.
    MCRPC_UNSUPPORTED_FLAG = -115,
    // The frame's checksum does not fit its bytes, so they were changed on their way: close the connection.
    MCRPC_BAD_CHECKSUM = -116,
    // The frame has no checksum and the limits ask for one: let the peer send it, or accept frames without.
    MCRPC_CHECKSUM_MISSING = -117,
    // The frame announces more metadata than the configured limit: raise the limit, or let the peer send less.
    MCRPC_METADATA_TOO_LONG = -118,
    // A tag of the metadata runs past its end, is numbered 0, or is not as long as its meaning wants: mend the peer that wrote it.
    MCRPC_BAD_TAG = -119,
    // The metadata has a tag that must be understood and is not: upgrade this side or let the peer leave it out.
    MCRPC_UNSUPPORTED_TAG = -120,
    // A tag that may occur once occurs twice in the metadata: mend the peer that wrote it.
    MCRPC_REPEATED_TAG = -121,
    // The metadata has more tags than the configured limit: raise the limit, or let the peer send fewer.
    MCRPC_TOO_MANY_TAGS = -122,
    // A name in the metadata is longer than the configured limit: raise the limit or shorten the name.
    MCRPC_NAME_TOO_LONG = -123,
    // A name in the metadata is empty or has a character that is not visible ASCII: correct the name.
    MCRPC_BAD_NAME = -124,
    // A text in the metadata is not UTF-8: let its writer encode it so.
    MCRPC_BAD_TEXT = -125,
    // The RpcMeta of a baidu_std frame is no valid protobuf message, or lacks a required field: close the connection.
    MCRPC_BAD_META = -126,
    // The connection could not be made: try another machine.
    MCRPC_CONNECT_FAILED = -201,
    // The answer could not be read: try another machine.
    MCRPC_READ_FAILED = -202,
    // The request could not be written: try another machine.
    MCRPC_WRITE_FAILED = -203,
    // No answer came in time: try another machine if there is time left.
    MCRPC_TIMED_OUT = -204,
    // The server's input queue is full: do not call this machine again at once.
    MCRPC_QUEUE_FULL = -206,
    // The caller did not send the request because the server's cursor would refuse it: do not call this machine until the cursor expires.
    MCRPC_WITHHELD = -216,
    // The server is overloaded and this request's priority is below its cursor: do not call this machine until the cursor expires.
    MCRPC_BELOW_CURSOR = -217,
    // The server is overloaded, this request's priority is marginal and the queue is longer than such requests may wait: do not call this machine again at once.
    MCRPC_WAIT_ABOVE_SOFT_LIMIT = -218,
    // The server's queue is longer than any request may wait: do not call this machine again at once.
    MCRPC_WAIT_ABOVE_HARD_LIMIT = -219,
    // The queue is so long that the request cannot be finished before its deadline: do not try again.
    MCRPC_DEADLINE_ON_ARRIVAL = -220,
    // The request's deadline came too near while it waited in the queue, so it was not run: do not try again.
    MCRPC_DEADLINE_IN_QUEUE = -221,
    // The request's deadline was past when it arrived: do not try again, and look at what it spent its time on before.
    MCRPC_EXPIRED_ON_ARRIVAL = -222,
    // The worker that ran the request died, perhaps with the work half done, or there is no worker at all: do not call this machine again at once.
    MCRPC_WORKER_LOST = -223,
    // The server is closing down and takes no new calls: call another machine.
    MCRPC_GOING_AWAY = -224,
    // The connection has as many unanswered calls as the configured limit allows: wait for answers, or call another machine.
    MCRPC_TOO_MANY_OPEN_CALLS = -225,
    // The server has no such service: correct the service's name or its routes.
    MCRPC_NO_SERVICE = -226,
    // The service has no such method: correct its name, or upgrade the server.
    MCRPC_NO_METHOD = -227,
    // So many calls to the endpoint have failed lately that none is sent to it: choose another one.
    MCRPC_BUCKET_FULL = -230,
    // An operator has shielded the endpoint for the whole host: choose another one.
    MCRPC_SHIELDED = -231,
    // An operator has this share of the calls to the target left out: do without the answer.
    MCRPC_SKIPPED = -232,
    // The set has no endpoint that may be called, none in the zone and group, or all were tried: look at the routes.
    MCRPC_NO_ENDPOINT = -233,
    // The call was tried as often as the settings allow: answer with its last failure.
    MCRPC_ATTEMPTS_EXHAUSTED = -234,
    // So many calls were tried again lately that another attempt would only add load: answer with the last failure.
    MCRPC_BUDGET_EXHAUSTED = -235,
    // The call's deadline has passed, so it is not sent: answer with its last failure, or with a timeout.
    MCRPC_OUT_OF_TIME = -236,
    // The host has told nothing about this: let the call pass; if it should know, look at the segment's own status.
    MCRPC_NO_POLICY = -300,
    // There is no such file: start the agent, or correct the directory.
    MCRPC_SEGMENT_MISSING = -301,
    // The file may not be opened by this user: add the user to the group of the directory.
    MCRPC_SEGMENT_DENIED = -302,
    // The name is a symbolic link or no regular file: remove it, and find out who made it.
    MCRPC_SEGMENT_NOT_A_FILE = -303,
    // The file or directory does not belong to the user that may write it: remove it, and find out who made it.
    MCRPC_SEGMENT_WRONG_OWNER = -304,
    // Others than its owner may write the file or directory: take the right away from them.
    MCRPC_SEGMENT_UNSAFE_MODE = -305,
    // The file is shorter than a header: let its owner make it anew.
    MCRPC_SEGMENT_TOO_SHORT = -306,
    // The file is no segment of this kind: remove it.
    MCRPC_SEGMENT_BAD_MAGIC = -307,
    // Another major version made the segment: upgrade the older side.
    MCRPC_SEGMENT_OTHER_MAJOR = -308,
    // The fixed part of the header is damaged: let its owner make it anew.
    MCRPC_SEGMENT_BAD_CHECKSUM = -309,
    // The segment was laid out by a different build of the same version: let both sides use one build.
    MCRPC_SEGMENT_OTHER_LAYOUT = -310,
    // The file is not as long as its header says: let its owner make it anew.
    MCRPC_SEGMENT_BAD_LENGTH = -311,
    // The sizes in the header do not give the segment's length: let its owner make it anew.
    MCRPC_SEGMENT_BAD_GEOMETRY = -312,
    // The segment is being made, superseded or closed: attach again later.
    MCRPC_SEGMENT_NOT_READY = -313,
    // The writer has not refreshed the segment for too long, so its contents are not used: look after the agent.
    MCRPC_SEGMENT_STALE = -314,
    // The operating system refused to open, look at or map the file: the error number says why.
    MCRPC_SEGMENT_IO = -315,
    // There is no room for another entry: make a larger table.
    MCRPC_TABLE_FULL = -320,
    // Another key has the same fingerprint in the same place: make the table anew with another seed.
    MCRPC_KEY_COLLISION = -321,
    // The number belongs to a segment that has been replaced: ask for a new one.
    MCRPC_STALE_ID = -322,
    // The cell for the record is still being written by another thread, so this record was dropped: nothing to do.
    MCRPC_RECORD_DROPPED = -323,
    // The log ring is full, so this line was dropped and counted: write less, or make the rings larger.
    MCRPC_LINE_DROPPED = -324,
};

// Nothing yet: all bytes were used, feed more when they arrive.
#define MCRPC_EVENT_NONE 0

// A frame begins: `header` is set.
#define MCRPC_EVENT_HEADER 1

// A frame begins that must not be acted on: `header` and `status` are set. Answer a request with this status, fail the
// call of a response with it, drop a one-way or a cancel, and close the connection for any other kind. What else belongs to
// it is skipped.
#define MCRPC_EVENT_REFUSED 2

// The next piece of the frame's metadata: `bytes` is set. mcrpc_metadata_parse() wants all of them together.
#define MCRPC_EVENT_METADATA 3

// The next piece of the frame's payload: `bytes` is set.
#define MCRPC_EVENT_PAYLOAD 4

// The frame's checksum fits its bytes. Until then they may have been changed on their way.
#define MCRPC_EVENT_CHECKED 5

// Bytes that are not for this version, belong to a refused frame, or that the frame's kind has no use for.
#define MCRPC_EVENT_SKIPPED 6

// There is a request: service_name and method_name are set.
#define MCRPC_BAIDU_REQUEST (1 << 0)

// log_id is set.
#define MCRPC_BAIDU_LOG_ID (1 << 1)

// trace_id is set.
#define MCRPC_BAIDU_TRACE_ID (1 << 2)

// span_id is set.
#define MCRPC_BAIDU_SPAN_ID (1 << 3)

// parent_span_id is set.
#define MCRPC_BAIDU_PARENT_SPAN_ID (1 << 4)

// request_id is set.
#define MCRPC_BAIDU_REQUEST_ID (1 << 5)

// timeout_ms is set.
#define MCRPC_BAIDU_TIMEOUT_MS (1 << 6)

// from_svr_name is set.
#define MCRPC_BAIDU_FROM_SVR_NAME (1 << 7)

// There is a response.
#define MCRPC_BAIDU_RESPONSE (1 << 8)

// error_code is set.
#define MCRPC_BAIDU_ERROR_CODE (1 << 9)

// error_text is set.
#define MCRPC_BAIDU_ERROR_TEXT (1 << 10)

// compress_type is set.
#define MCRPC_BAIDU_COMPRESS_TYPE (1 << 11)

// correlation_id is set.
#define MCRPC_BAIDU_CORRELATION_ID (1 << 12)

// attachment_size is set.
#define MCRPC_BAIDU_ATTACHMENT_SIZE (1 << 13)

// There is a chunk: chunk_stream_id and chunk_id are set.
#define MCRPC_BAIDU_CHUNK_INFO (1 << 14)

// authentication_data is set.
#define MCRPC_BAIDU_AUTHENTICATION_DATA (1 << 15)

// There is a stream: stream_id is set.
#define MCRPC_BAIDU_STREAM_SETTINGS (1 << 16)

// need_feedback is set.
#define MCRPC_BAIDU_NEED_FEEDBACK (1 << 17)

// writable is set.
#define MCRPC_BAIDU_WRITABLE (1 << 18)

// content_type is set.
#define MCRPC_BAIDU_CONTENT_TYPE (1 << 19)

// checksum_type is set.
#define MCRPC_BAIDU_CHECKSUM_TYPE (1 << 20)

// checksum_value is set.
#define MCRPC_BAIDU_CHECKSUM_VALUE (1 << 21)

// Bytes of the header of a frame of baidu_std.
#define MCRPC_BAIDU_HEADER_LEN 12

// The longest body to begin with: brpc's own limit, 64 MiB.
#define MCRPC_BAIDU_MAX_BODY_LEN 67108864

// The longest meta to begin with: 64 KiB.
#define MCRPC_BAIDU_MAX_META_LEN 65536

// brpc's error code for a service that does not exist.
#define MCRPC_BAIDU_ENOSERVICE 1001

// For a method that does not exist.
#define MCRPC_BAIDU_ENOMETHOD 1002

// For a request that cannot be understood.
#define MCRPC_BAIDU_EREQUEST 1003

// For a call that has timed out. It is not tried again.
#define MCRPC_BAIDU_ERPCTIMEDOUT 1008

// For a connection on which too much waits to be written.
#define MCRPC_BAIDU_EOVERCROWDED 1011

// For something that went wrong within the server.
#define MCRPC_BAIDU_EINTERNAL 2001

// For a server that is closing down.
#define MCRPC_BAIDU_ELOGOFF 2003

// For a server that has as much work as it takes. A brpc client tries another one, and its circuit breaker does not count it.
#define MCRPC_BAIDU_ELIMIT 2004

// Admit everything; count what passes, learn nothing.
#define MCRPC_MODE_OFF 0

// Decide and count, but admit everything.
#define MCRPC_MODE_OBSERVE 1

// Decide, and refuse.
#define MCRPC_MODE_ENFORCE 2

// The share of the requests that may pass follows from demand and capacity, in one jump.
#define MCRPC_POLICY_FEED_FORWARD 0

// Svrkit's pass rate: down fast while requests wait too long, up slowly else; the least important go first here too.
#define MCRPC_POLICY_PASS_RATE 1

// Flag of mcrpc_request_t: the call has been sent before, here or to another server.
#define MCRPC_REQUEST_RETRY 1

// Flag of mcrpc_request_t: this service has already served an earlier call of the same task.
#define MCRPC_REQUEST_CONTINUES_TASK 2

// The upper half of the flags of mcrpc_request_t is the tenant: whom the server accounts the request to, the calling service
// or the business; 1 to 63, larger ones share their places, 0 is nobody. See mcrpc_admission_tenant_snapshot().
#define MCRPC_REQUEST_TENANT_SHIFT 16

// How many reasons for a refusal there are.
#define MCRPC_REFUSAL_COUNT 7

// The length of the tables in mcrpc_queue_snapshot_t: there is room for reasons of later versions.
#define MCRPC_REFUSAL_ROOM 16

// A deadline that never comes.
#define MCRPC_NO_DEADLINE UINT64_MAX

// The cursor that admits every key.
#define MCRPC_CURSOR_OPEN 536870912

// Flag of mcrpc_context_t: the trace is recorded.
#define MCRPC_CONTEXT_SAMPLED 1

// Flag of mcrpc_context_t: the callee has already served an earlier call of the same task.
#define MCRPC_CONTEXT_CONTINUES_TASK 2

// Any owner: root or this process's own user.
#define MCRPC_ANY_OWNER UINT32_MAX

// What the host learnt about endpoints; written by the agent.
#define MCRPC_SEGMENT_STRATEGY 0

// What the operator said; written by the mcrpc command or the agent.
#define MCRPC_SEGMENT_CONTROL 1

// Leaky buckets; written by all processes.
#define MCRPC_SEGMENT_FAIL 2

// Counters and seats; written by all processes.
#define MCRPC_SEGMENT_STAT 3

// Trace rings; written by all processes.
#define MCRPC_SEGMENT_TRACE 4

// Log lines on their way to the agent; written by all processes. It is there if the agent keeps logs.
#define MCRPC_SEGMENT_LOG 6

// Bytes of a process's name.
#define MCRPC_NAME_LEN 32

// The endpoint has no entry: all calls pass.
#define MCRPC_STRATEGY_NONE 0

// Its pass rate or reject level was computed from what the host's calls met.
#define MCRPC_STRATEGY_NORMAL 1

// It is to be found out whether it works again: its pass rate says how many calls are let through for that.
#define MCRPC_STRATEGY_PROBE 2

// An operator has shielded it.
#define MCRPC_STRATEGY_SHIELDED 3

// Admission at the server.
#define MCRPC_MECHANISM_ADMISSION 0

// Shielding of endpoints by leaky buckets.
#define MCRPC_MECHANISM_SHIELD 1

// Pass rates from the strategy table.
#define MCRPC_MECHANISM_PASS_RATE 2

// Percentage skips.
#define MCRPC_MECHANISM_SKIP 3

// Withholding what a server's cursor would refuse.
#define MCRPC_MECHANISM_FAST_REJECT 4

// The budget of retries.
#define MCRPC_MECHANISM_RETRY_BUDGET 5

// A counter that is added to: its value is the sum over all processes.
#define MCRPC_COUNTER_SUM 0

// A counter of which the largest value within ten seconds is kept.
#define MCRPC_COUNTER_MAX 1

// The most bytes of a trace record; what is longer is cut off.
#define MCRPC_TRACE_MAX_LEN 888

// A line that says that something failed.
#define MCRPC_LOG_ERROR 1

// A line that says that something is not as it should be.
#define MCRPC_LOG_WARN 2

// A line for operators.
#define MCRPC_LOG_INFO 3

// A line for developers.
#define MCRPC_LOG_DEBUG 4

// A line about a single step.
#define MCRPC_LOG_TRACE 5

// The most bytes of text in a line; of a longer one the rest is cut off, and the file says so.
#define MCRPC_LOG_MAX_LEN 3528

// All processes of the host share what they know of the endpoints; each has its own while there is no host.
#define MCRPC_SCOPE_HOST 0

// Those that use the set's memory share it.
#define MCRPC_SCOPE_PROCESS 1

// All endpoints.
#define MCRPC_ZONE_ANYWHERE 0

// Those in the own zone; if there are none, or too many are shielded, those in the own region.
#define MCRPC_ZONE_FIRST 1

// Those in the own region.
#define MCRPC_ZONE_REGION 2

// Those in the own zone, and no others.
#define MCRPC_ZONE_ONLY 3

// Those of one zone of the own region, which follows from the user.
#define MCRPC_ZONE_BY_HASH 4

// All calls are made.
#define MCRPC_HEALTH_NORMAL 0

// None is made for a while.
#define MCRPC_HEALTH_SHIELDED 1

// The next call is a probe.
#define MCRPC_HEALTH_DUE 2

// The probe is on its way, and no other call is made.
#define MCRPC_HEALTH_PROBING 3

// The calls of a growing share of its users are made.
#define MCRPC_HEALTH_RECOVERING 4

// The most rules that send users to groups.
#define MCRPC_MAX_GROUP_RULES 8

// How many kinds of decisions are counted.
#define MCRPC_DECISION_COUNT 19

// The length of the table in mcrpc_endpoints_snapshot_t: there is room for decisions of later versions.
#define MCRPC_DECISION_ROOM 32

// The first attempt of a call; or, if one was made before, a retry.
#define MCRPC_ATTEMPT_NEXT 0

// One more attempt while the others are on their way.
#define MCRPC_ATTEMPT_BACKUP 1

// It was answered.
#define MCRPC_OUTCOME_OK 0

// It was answered with a failure of the service's own: the endpoint works.
#define MCRPC_OUTCOME_LOGIC 1

// It failed on its way, or no answer came in time: the one thing that counts against an endpoint.
#define MCRPC_OUTCOME_FAILED 2

// It was refused because the endpoint is overloaded: that does not shield it; report its cursor with mcrpc_heard().
#define MCRPC_OUTCOME_OVERLOADED 3

// The most attempts of a call.
#define MCRPC_MAX_ATTEMPTS 8

// Flag of mcrpc_choice_t: the attempt finds out for the whole host whether a shielded endpoint works again.
#define MCRPC_CHOICE_PROBE 1

// What a receiver accepts of one connection. Start from MCRPC_LIMITS_INIT, which is also what NULL stands for.
typedef struct {
    // sizeof(mcrpc_limits_t)
    uint32_t struct_size;
    // Bytes of metadata and payload in a frame. MCRPC_BODY_TOO_LONG breaks the stream.
    uint32_t max_body_len;
    // Unanswered requests of the connection, 0 if nobody counts them with mcrpc_frame_answered().
    // MCRPC_TOO_MANY_OPEN_CALLS refuses the call.
    uint32_t max_open_calls;
    // Bytes of metadata in a frame. MCRPC_METADATA_TOO_LONG refuses the call.
    uint16_t max_metadata_len;
    // Tags in the metadata of a frame. MCRPC_TOO_MANY_TAGS refuses the call.
    uint16_t max_tags;
    // Bytes of a name. MCRPC_NAME_TOO_LONG refuses the call.
    uint16_t max_name_len;
    // 1: each frame must have a checksum, as it should over TCP. MCRPC_CHECKSUM_MISSING breaks the stream.
    uint16_t needs_checksum;
} mcrpc_limits_t;

// A frame header in the host's terms. Of method_id and status, and of budget_ms and cursor, each kind of frame
// carries one; the other is 0. It mirrors the header on the wire, and does not grow.
typedef struct {
    // The user, or 0.
    uint64_t uin;
    // Bytes of metadata and payload behind the header.
    uint32_t body_len;
    // Chosen by the caller, unique among the open calls of a connection.
    uint32_t call_id;
    // Not in responses: mcrpc_method_id() of the method's full name.
    uint32_t method_id;
    // Responses: how the call ended, an MCRPC_ status or the service's own code.
    int32_t status;
    // Requests and one-ways: how long the caller still waits; UINT32_MAX: for ever. Go-aways: how long the sender still answers.
    // In other kinds it is not written.
    uint32_t budget_ms;
    // Responses: the server's admission cursor.
    uint32_t cursor;
    // The business the request belongs to.
    uint16_t business_id;
    // Bytes of metadata at the start of the body.
    uint16_t metadata_len;
    // MCRPC_KIND_...
    uint8_t kind;
    // MCRPC_FLAG_... and the attempt number, see MCRPC_FLAGS_ATTEMPT.
    uint8_t flags;
    // Business priority, 0 first.
    uint8_t priority;
    // Must be 0.
    uint8_t reserved;
} mcrpc_header_t;

// Bytes that lie somewhere else: a name, a value, a payload. No bytes are `{ NULL, 0 }`. It does not grow.
typedef struct {
    // The first one.
    const uint8_t *data;
    // How many.
    size_t len;
} mcrpc_bytes_t;

// The metadata of a frame. Start from MCRPC_METADATA_INIT. What is absent is 0 or empty, and what is 0 or empty is not
// written.
//
// What is read may be written again, changed or not: a proxy passes on what this version does not know.
typedef struct {
    // sizeof(mcrpc_metadata_t)
    uint32_t struct_size;
    // Hello: MCRPC_FEATURE_..., what the sender can do.
    uint32_t features;
    // Names the call graph that the call is part of.
    uint64_t call_graph_id;
    // W3C Trace Context: the trace. All zero is none, and then the other two are not written.
    uint8_t trace_id[16];
    // The caller's span.
    uint8_t span_id[8];
    // The budget in ms that the task began with.
    uint32_t origin_budget_ms;
    // Requests that the caller did not send since the last one, as mcrpc_choice_t has it: for mcrpc_admission_withheld().
    uint32_t withheld_count;
    // The key of one of them.
    uint32_t withheld_key;
    // Hello: the longest body that the sender accepts.
    uint32_t max_body_len;
    // Hello: how many unanswered requests the sender accepts.
    uint32_t max_open_calls;
    // Bytes of the payload when it is decompressed.
    uint32_t raw_len;
    // Response: how long the header's cursor holds; 0 is not said, and means 300 ms: pass that on to mcrpc_heard().
    uint16_t reject_hold_ms;
    // Response: the share of requests that the server refuses now, in 1/10000. Not written without reject_hold_ms.
    uint16_t reject_share_per_10k;
    // The trace's flags without bit 0, which is MCRPC_FLAG_SAMPLED.
    uint8_t trace_flags;
    // MCRPC_COMPRESSION_..., together with MCRPC_FLAG_COMPRESSED.
    uint8_t compression;
    // Must be 0.
    uint16_t reserved;
    // The name of the caller's service. Names are visible ASCII.
    mcrpc_bytes_t caller;
    // The name of the service that is called, "pkg.Service".
    mcrpc_bytes_t service;
    // The full name of the method, "pkg.Service.Method"; the first one if a hello has several. Writing: comes before those in
    // `tags`, unless it is the first of them.
    mcrpc_bytes_t method;
    // The name of the sender's zone.
    mcrpc_bytes_t zone;
    // Response: why the call failed, for a person. UTF-8.
    mcrpc_bytes_t error_text;
    // The user's ticket.
    mcrpc_bytes_t ticket;
    // The user's cookie.
    mcrpc_bytes_t cookie;
    // Reading: all tags as they lie on the wire, see mcrpc_tag_next(). Writing: further tags, see mcrpc_tag_write(); of one
    // that has a field of its own, the field's value is written.
    mcrpc_bytes_t tags;
    // Reading: empty. Writing: the tags of the request that this call is made on behalf of. What travels onward and has no
    // field here is written too.
    mcrpc_bytes_t onward_tags;
} mcrpc_metadata_t;

// The state of one connection's incoming stream. Set it up with mcrpc_frame_init(); it needs no clean-up.
typedef struct {
    // Private.
    uint64_t opaque[16];
} mcrpc_frame_decoder_t;

// What mcrpc_frame_next() found.
typedef struct {
    // MCRPC_EVENT_...
    uint32_t kind;
    // 1 if a frame whose header was handed out is whole now.
    uint32_t last;
    // Why the frame is refused.
    int32_t status;
    // 0.
    uint32_t reserved;
    // The frame's header.
    mcrpc_header_t header;
    // The piece, inside the bytes that were passed in; never empty.
    mcrpc_bytes_t bytes;
    // 0.
    uint64_t reserved_too;
} mcrpc_frame_event_t;

// What a frame of baidu_std says about itself: brpc's RpcMeta. A field counts if its bit in `present` is set, and those of a
// request, a response or a stream if theirs is set too. Bytes are views of the frame, good as long as that is. Start from
// MCRPC_BAIDU_META_INIT.
typedef struct {
    // sizeof(mcrpc_baidu_meta_t).
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // MCRPC_BAIDU_...: what is there.
    uint32_t present;
    // Stream: 1 if the caller wants to be told what has been consumed.
    uint8_t need_feedback;
    // Stream: 1 if the caller writes to it.
    uint8_t writable;
    // Must be 0.
    uint16_t reserved_too;
    // Request: the service's full name, "pkg.Service". UTF-8, as all names and texts are.
    mcrpc_bytes_t service_name;
    // Request: the method's name.
    mcrpc_bytes_t method_name;
    // Request: names it among people, as HTTP's x-request-id.
    mcrpc_bytes_t request_id;
    // Request: the caller's name, an extension of mc-brpc.
    mcrpc_bytes_t from_svr_name;
    // Response: how the call ended, for people.
    mcrpc_bytes_t error_text;
    // What proves who the caller is, in the first request of a connection.
    mcrpc_bytes_t authentication_data;
    // The payload's checksum.
    mcrpc_bytes_t checksum_value;
    // Set by mcrpc_baidu_parse(): what mcrpc_baidu_user_field() and mcrpc_baidu_next_user_field() read. It is not written.
    mcrpc_bytes_t user_fields;
    // Set by mcrpc_baidu_parse(): the stream settings with further streams, which are passed on when the meta is written.
    mcrpc_bytes_t streams;
    // Request: names it in logs.
    int64_t log_id;
    // Request: names the call tree. There if it is being traced.
    int64_t trace_id;
    // Request: names this call in the tree.
    int64_t span_id;
    // Request: names the call that caused this one.
    int64_t parent_span_id;
    // Chosen by the caller, and returned in the response.
    int64_t correlation_id;
    // Chunk: names the stream of pieces. brpc defines chunks and does not use them.
    int64_t chunk_stream_id;
    // Chunk: the piece's number.
    int64_t chunk_id;
    // Stream: the caller's name for it.
    int64_t stream_id;
    // Request: how long the caller waits. brpc sends it only when told to.
    int32_t timeout_ms;
    // Response: how the call ended: see mcrpc_baidu_error_of() and mcrpc_baidu_status_of().
    int32_t error_code;
    // How the payload is compressed: 0 not, 1 snappy, 2 gzip, 3 zlib, 4 lz4.
    int32_t compress_type;
    // How many bytes at the end of the body are the attachment.
    int32_t attachment_size;
    // How the payload is encoded: 0 protobuf, 1 JSON, and more in newer versions of brpc.
    int32_t content_type;
    // How the payload's checksum is computed: 0 not at all, 1 CRC-32C.
    int32_t checksum_type;
} mcrpc_baidu_meta_t;

// For whom a request is made, and how important it is: what the native header has and RpcMeta has not. It is sent in the user
// fields "mc-uin", "mc-business-id" and "mc-priority", in decimal digits; what is 0 is left out.
typedef struct {
    // The user, or 0.
    uint64_t uin;
    // The business the request belongs to.
    uint16_t business_id;
    // Business priority, 0 first.
    uint8_t priority;
    // Must be 0.
    uint8_t reserved[5];
} mcrpc_baidu_origin_t;

// A pair of the map user_fields. UTF-8. It does not grow.
typedef struct {
    // Its key.
    mcrpc_bytes_t key;
    // Its value.
    mcrpc_bytes_t value;
} mcrpc_baidu_field_t;

// Settings of a controller. Start from MCRPC_ADMISSION_CONFIG_INIT.
//
// The times are waits in the input queue, not response times. They must be in the order target, overload, soft
// limit, hard limit, each 1 to 60000.
typedef struct {
    // sizeof(mcrpc_admission_config_t)
    uint32_t struct_size;
    // Input queues that share the controller, 1 to 64: 1, or one per process of a prefork server.
    uint32_t queue_count;
    // Workers behind each queue; 0 if that is no fixed number, as with coroutines.
    uint32_t workers_per_queue;
    // MCRPC_MODE_...
    uint32_t mode;
    // Length of a measuring window, 1 to 1000.
    uint32_t window_ms;
    // Mean wait that is steered to while requests are shed.
    uint32_t target_wait_ms;
    // Mean wait above which shedding begins.
    uint32_t overload_wait_ms;
    // Estimated wait above which a request of marginal priority is refused.
    uint32_t soft_wait_limit_ms;
    // Estimated wait above which every request is refused.
    uint32_t hard_wait_limit_ms;
    // Share of the admitted requests that is marginal, in 1/10000.
    uint32_t marginal_band_per_10k;
    // How much more than the learnt capacity is admitted, in 1/10000.
    uint32_t headroom_per_10k;
    // MCRPC_POLICY_...
    uint32_t policy;
    // The CPU use that is not exceeded, in 1/10000, if mcrpc_admission_set_cpu() tells one.
    uint32_t cpu_limit_per_10k;
    // 1: a tenant that floods is held to its fair share; see MCRPC_REQUEST_TENANT_SHIFT.
    uint32_t fair_share;
} mcrpc_admission_config_t;

// A controller as one process sees it: pointers into the memory given to mcrpc_admission_init(), and a copy of the
// settings. It may be copied, used by all threads at once, and used on after fork(); it needs no clean-up.
typedef struct {
    // Private.
    uint64_t opaque[24];
} mcrpc_admission_t;

// What a decision needs to know of a request. Start from MCRPC_REQUEST_INIT, or let mcrpc_request_from_header() fill it
// in.
typedef struct {
    // When the caller stops waiting, in ns; MCRPC_NO_DEADLINE if it never does.
    uint64_t deadline_ns;
    // Its importance, from mcrpc_key().
    uint32_t key;
    // MCRPC_REQUEST_..., and the tenant << MCRPC_REQUEST_TENANT_SHIFT.
    uint32_t flags;
    // Must be 0.
    uint64_t reserved;
} mcrpc_request_t;

// The host as one process sees it. It must lie in memory that is private to the process (static, heap or stack, not
// MAP_SHARED) and stay where it is; zeroed, it is closed. All threads may use it at once, and a child after fork().
typedef struct {
    // Private.
    uint64_t opaque[512];
} mcrpc_host_t;

// What a controller knows of a tenant. Set struct_size before asking. Counts grow from 0 and wrap.
typedef struct {
    // sizeof(mcrpc_tenant_snapshot_t)
    uint32_t struct_size;
    // Which share of its requests competes as the least important because it floods, in 1/10000.
    uint32_t demoted_per_10k;
    // Its requests.
    uint64_t offered;
    // Those that were admitted.
    uint64_t admitted;
} mcrpc_tenant_snapshot_t;

// What a controller knows. Set struct_size before asking.
typedef struct {
    // sizeof(mcrpc_admission_snapshot_t)
    uint32_t struct_size;
    // MCRPC_MODE_...
    uint32_t mode;
    // 1 while the cursor is in force.
    uint32_t shedding;
    // Keys at or above it are refused.
    uint32_t cursor;
    // Keys from here up to the cursor are marginal.
    uint32_t marginal_cursor;
    // How many queues share the controller.
    uint32_t queue_count;
    // Windows that were used so far.
    uint64_t windows_closed;
    // New work offered, in 1/1000 of a request per second.
    uint64_t demand_mrps;
    // What the service can complete, in 1/1000 of a request per second; 0 while that is not known.
    uint64_t capacity_mrps;
    // The shortest service time lately.
    uint64_t service_floor_ns;
} mcrpc_admission_snapshot_t;

// What a controller knows of one queue. Set struct_size before asking. Counts grow from 0 and wrap.
typedef struct {
    // sizeof(mcrpc_queue_snapshot_t)
    uint32_t struct_size;
    // Requests that wait for a worker now.
    uint32_t queued;
    // Requests that run now.
    uint32_t running;
    // 0.
    uint32_t reserved;
    // Requests admitted.
    uint64_t admitted;
    // Requests completed.
    uint64_t completed;
    // Sum of the waits of all requests that left the queue.
    uint64_t wait_sum_ns;
    // How many left the queue.
    uint64_t wait_count;
    // What the queue's workers can complete, in 1/1000 of a request per second; 0 while that is not known.
    uint64_t capacity_mrps;
    // Requests refused, by reason: the status of index i is mcrpc_refusal_status(i). Those from MCRPC_REFUSAL_COUNT on are 0,
    // or of a later version than this header.
    uint64_t refused[MCRPC_REFUSAL_ROOM];
    // Requests that would have been refused while in observe mode, by reason.
    uint64_t would_refuse[MCRPC_REFUSAL_ROOM];
} mcrpc_queue_snapshot_t;

// The context of a request: who asks, how important it is, until when the answer is wanted, and what travels with it.
// Start from MCRPC_CONTEXT_INIT. A plain struct; what it points to has to stay as long as it is used.
typedef struct {
    // sizeof(mcrpc_context_t)
    uint32_t struct_size;
    // MCRPC_CONTEXT_...
    uint32_t flags;
    // The user, or 0.
    uint64_t uin;
    // When the caller stops waiting, in ns; MCRPC_NO_DEADLINE if it never does.
    uint64_t deadline_ns;
    // Names the task that the call is part of; 0 if only the uin names it. It does not travel.
    uint64_t task_id;
    // Names the call graph, or 0.
    uint64_t call_graph_id;
    // W3C Trace Context: the trace. All zero is none.
    uint8_t trace_id[16];
    // The caller's span.
    uint8_t span_id[8];
    // The budget in ms that the task began with; if its sender did not say, the one that the request arrived with. 0: none.
    uint32_t origin_budget_ms;
    // The business the request belongs to.
    uint16_t business_id;
    // Business priority, 0 first.
    uint8_t priority;
    // How often this call has been sent before, 0 to 3.
    uint8_t attempt;
    // The trace's flags without bit 0, which is MCRPC_CONTEXT_SAMPLED.
    uint8_t trace_flags;
    // Must be 0.
    uint8_t reserved[7];
    // The user's ticket.
    mcrpc_bytes_t ticket;
    // The user's cookie.
    mcrpc_bytes_t cookie;
    // Tags as they lie on the wire. Of these, those that travel onward and have no field here go on as well.
    mcrpc_bytes_t tags;
} mcrpc_context_t;

// Says which context is the current one: that of the thread, coroutine or task that calls it. NULL for none.
// Called by mcrpc_context_current(), wherever that is called.
typedef const mcrpc_context_t *(*mcrpc_context_lookup_t)(void);

// Settings of a host. Start from MCRPC_HOST_CONFIG_INIT.
typedef struct {
    // sizeof(mcrpc_host_config_t)
    uint32_t struct_size;
    // The user that the directory must belong to, or MCRPC_ANY_OWNER.
    uint32_t owner_uid;
    // Strategies are no longer believed when their writer has not refreshed them for so long, 1000 to 3600000.
    uint32_t max_age_ms;
    // mcrpc_host_create() only: processes that have counters of their own, 1 to 4096.
    uint32_t seats;
    // mcrpc_host_create() only: counters, 1 to 65536.
    uint32_t counters;
    // mcrpc_host_create() only: endpoints that have a leaky bucket, 1 to 1000000.
    uint32_t buckets;
    // mcrpc_host_create() only: cells of 64 bytes in the trace ring of a process, a power of two from 16 to 65536.
    uint32_t trace_cells;
    // Must be 0.
    uint32_t reserved;
    // What the process is called in `mcrpc top`; ends at the first NUL, if there is one.
    uint8_t name[MCRPC_NAME_LEN];
} mcrpc_host_config_t;

// What is known of a segment. Set struct_size before asking.
typedef struct {
    // sizeof(mcrpc_segment_status_t)
    uint32_t struct_size;
    // MCRPC_OK: it is in use. Otherwise why it is not.
    int32_t status;
    // The value found by the check that failed, or the system's error number.
    uint64_t found;
    // The value expected.
    uint64_t expected;
    // Strategies: the endpoints that do not pass all.
    uint64_t entries;
    // Questions of this process, to whatever segment, that were answered with *no policy*.
    uint64_t unanswered;
} mcrpc_segment_status_t;

// One endpoint of one service. It is the key of the host's tables, and does not grow.
typedef struct {
    // The IPv6 address in network order, or ten 0, two 255 and the IPv4 address.
    uint8_t address[16];
    // The service; 0 if the port says enough.
    uint32_t service_id;
    // The port, in the host's byte order.
    uint16_t port;
    // Must be 0.
    uint16_t reserved;
} mcrpc_endpoint_t;

// What to do with calls to an endpoint. It is returned by value, and does not grow.
typedef struct {
    // MCRPC_OK: this is what the host knows. Anything else, mostly MCRPC_NO_POLICY: it knows nothing, and all pass.
    int32_t status;
    // The share of the calls that may be sent, 0 to 10000.
    uint32_t pass_rate_per_10k;
    // MCRPC_STRATEGY_...
    uint32_t kind;
    // Keys at or above it would be refused by the endpoint; 1 << 29 if none.
    uint32_t reject_cursor;
} mcrpc_strategy_t;

// How a bucket leaks; the same for all who use it. 0 < drain, limit <= capacity <= one day. Start from MCRPC_LEAK_INIT.
// It does not grow: all versions must agree on a bucket that they share.
typedef struct {
    // How long one failure takes to leak out.
    uint64_t drain_ns;
    // The bucket is full when it needs longer than this to become empty.
    uint64_t limit_ns;
    // It never needs longer than this.
    uint64_t capacity_ns;
} mcrpc_leak_t;

// What is known of a line of text. Start from MCRPC_LOG_LINE_INIT.
typedef struct {
    // sizeof(mcrpc_log_line_t)
    uint32_t struct_size;
    // MCRPC_LOG_...
    uint32_t level;
    // The thread, as the program numbers them, for instance gettid() kept in a variable of the thread; 0: not said.
    uint32_t thread;
    // Must be 0.
    uint32_t reserved;
    // The coroutine, as the program numbers them; 0: none.
    uint64_t coroutine;
    // Now, in ns of CLOCK_MONOTONIC.
    uint64_t now_ns;
} mcrpc_log_line_t;

// Settings of a set. Start from MCRPC_ENDPOINTS_CONFIG_INIT. All sets of a host that call the same endpoints should have
// the same times.
typedef struct {
    // sizeof(mcrpc_endpoints_config_t)
    uint32_t struct_size;
    // Room for so many endpoints, 1 to 1024.
    uint32_t capacity;
    // MCRPC_SCOPE_...
    uint32_t scope;
    // MCRPC_ZONE_...
    uint32_t zone_strategy;
    // The caller's own region, 0 to 65535.
    uint32_t region;
    // The caller's own zone, 0 to 65535.
    uint32_t zone;
    // Attempts of a call, the first one included, 1 to 8.
    uint32_t max_attempts;
    // At most this share of the endpoints is shielded; beyond it, those with the lightest faults are called.
    uint32_t max_shielded_per_10k;
    // Retries over first attempts, in the long run.
    uint32_t retry_ratio_per_10k;
    // So many retries are saved up at most, 0 to 65535.
    uint32_t retry_burst;
    // Backup requests over first attempts, in the long run.
    uint32_t backup_ratio_per_10k;
    // So many backup requests are saved up at most, 0 to 65535.
    uint32_t backup_burst;
    // So many failures within a second or so shield an endpoint, 1 to 10000, however many calls succeed; 0: only the
    // bucket that counts in requests does.
    uint32_t fail_count;
    // An endpoint is first shielded for about so long, then for twice as long each time. Each time here: 1 to 3600000.
    uint32_t backoff_min_ms;
    // It is never shielded for longer than this and a quarter.
    uint32_t backoff_max_ms;
    // A probe that was not reported within so long is made again by the next call: longer than a call takes.
    uint32_t probe_lease_ms;
    // The share of an endpoint that works again climbs from a sixteenth to all within so long; 0 at once.
    uint32_t ramp_ms;
    // An endpoint that fails again within so long is shielded for longer than the time before; 0 never.
    uint32_t memory_ms;
    // Sets with the same one choose the same endpoint for a user: the same for all callers of a service.
    uint64_t ring_seed;
} mcrpc_endpoints_config_t;

// A set as one process sees it: a pointer into the memory given to mcrpc_endpoints_init(), and a copy of the settings. It may
// be copied, used by all threads at once, and used on after fork(); it needs no clean-up.
typedef struct {
    // Private.
    uint64_t opaque[24];
} mcrpc_endpoints_t;

// One endpoint of a set.
typedef struct {
    // Where it listens.
    mcrpc_endpoint_t endpoint;
    // Its share of the users compared with the others, 0 (none) to 10000.
    uint16_t weight;
    // Its region; 0 if there is only one.
    uint16_t region;
    // Its zone within the region.
    uint16_t zone;
    // Its group: 0 is for everybody, others are for the users whom a rule sends there.
    uint16_t group;
    // Yours: comes back with each choice.
    uint64_t user_data;
    // Must be 0.
    uint64_t reserved[3];
} mcrpc_endpoint_spec_t;

// Sends users to the endpoints of a group, as long as the rule stands: a grey release. The first rule that fits counts.
typedef struct {
    // Where to.
    uint16_t group;
    // Which share of the users in the range, 0 to 10000; always the same ones.
    uint16_t share_per_10k;
    // Must be 0.
    uint32_t reserved;
    // The first user of the range.
    uint64_t first_uin;
    // The last one.
    uint64_t last_uin;
    // Must be 0.
    uint64_t reserved_too[2];
} mcrpc_group_rule_t;

// What a set decided so far. Set struct_size before asking.
typedef struct {
    // sizeof(mcrpc_endpoints_snapshot_t)
    uint32_t struct_size;
    // The endpoints.
    uint32_t count;
    // How often, in this order. Refused with MCRPC_NO_ENDPOINT, _ATTEMPTS_EXHAUSTED, _BUDGET_EXHAUSTED, _OUT_OF_TIME, _SKIPPED,
    // _WITHHELD, _SHIELDED, _BUCKET_FULL. Retries, backup requests, probes, calls made to measure an endpoint that a pass rate
    // holds back, calls to shielded endpoints because too many are, endpoints shielded by calls through this set. Calls
    // that would have been refused, were the mechanism not only observed: shield, pass rate, skip, fast reject, budget.
    // Those from MCRPC_DECISION_COUNT on are 0, or of a later version than this header.
    uint64_t decisions[MCRPC_DECISION_ROOM];
} mcrpc_endpoints_snapshot_t;

// What is known of an endpoint. Set struct_size before asking.
typedef struct {
    // sizeof(mcrpc_health_t)
    uint32_t struct_size;
    // MCRPC_HEALTH_...
    uint32_t state;
    // How full the bucket that counts in requests is; above 35 it is full.
    uint32_t level;
    // While it recovers, the share of its users, of 65536.
    uint32_t share;
    // While it is shielded, what is left of that.
    uint32_t left_ms;
    // 0.
    uint32_t reserved;
    // Calls that were let through to see whether it works, by all who share what is known.
    uint64_t probes;
    // How often it was shielded.
    uint64_t shields;
} mcrpc_health_t;

// A call and its attempts so far. Zero it, fill in the first six fields, and use it for all attempts of one call.
typedef struct {
    // The user; 0 if there is none.
    uint64_t uin;
    // Names the call: different for the calls of a user.
    uint64_t call_id;
    // When its caller stops waiting, in ns; 0 or MCRPC_NO_DEADLINE if it never does.
    uint64_t deadline_ns;
    // Its importance, from mcrpc_key(); 0 is withheld by no cursor.
    uint32_t key;
    // The service that is called, as in `mcrpc skip`; 0 if nobody names services.
    uint32_t service_id;
    // The method that is called, as in `mcrpc skip`.
    uint32_t method_id;
    // Attempts so far. Private.
    uint8_t attempts;
    // 1 if the service has served an earlier call of the same task: then its cursor does not apply. Send it with
    // MCRPC_FLAG_CONTINUES_TASK.
    uint8_t continues_task;
    // Must be 0.
    uint8_t reserved[2];
    // The endpoints that were tried. Private.
    uint32_t tried[MCRPC_MAX_ATTEMPTS];
    // Must be 0.
    uint64_t reserved_too[3];
} mcrpc_call_t;

// The endpoint for an attempt.
typedef struct {
    // The endpoint.
    mcrpc_endpoint_t endpoint;
    // Its number in the list that was in force.
    uint32_t index;
    // MCRPC_CHOICE_...
    uint32_t flags;
    // What you gave with the endpoint.
    uint64_t user_data;
    // Send it along, if it is not 0: so many calls to this endpoint were withheld since the last one was sent.
    uint32_t withheld_count;
    // The key of one of them. The server's counterpart is mcrpc_admission_withheld().
    uint32_t withheld_key;
    // Private from here on.
    uint64_t generation;
    // Private.
    uint64_t cell;
    // Private.
    uint32_t identity;
    // 0.
    uint32_t reserved;
    // 0.
    uint64_t reserved_too[3];
} mcrpc_choice_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library that runs: major * 1000000 + minor * 1000 + patch. Compare it with
// MCRPC_VERSION_NUMBER, the version of this header.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_version(void);

// The version of the library that runs, as text. Static.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
const char *mcrpc_version_string(void);

// The name of a status, such as "below_cursor": a metric label. Static; "unknown" for a number that this version
// does not know, never NULL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
const char *mcrpc_status_name(int32_t status);

// What a status means and what to do about it, as one sentence for people. Static, never NULL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
const char *mcrpc_status_text(int32_t status);

// Reads the header at the start of `bytes`, of which `len` are there, under `limits` (NULL: the defaults).
//
// Returns MCRPC_INCOMPLETE below MCRPC_HEADER_LEN bytes; MCRPC_BAD_MAGIC, _BAD_VERSION, _CHECKSUM_MISSING, _BODY_TOO_LONG or
// _BAD_METADATA_LENGTH for bytes that no frame can follow; _UNSUPPORTED_FLAG, _METADATA_TOO_LONG or _BAD_KIND for a frame that
// must not be acted on: mcrpc_frame_wanted() says where the next one begins, if anybody can.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_header_parse(const uint8_t *bytes, size_t len, const mcrpc_limits_t *limits, mcrpc_header_t *out);

// Writes `header` as MCRPC_HEADER_LEN bytes to `out`, which has room for `len`.
//
// A whole head, with metadata, is written by mcrpc_head_write().
//
// Returns MCRPC_TOO_SMALL, _BAD_KIND, _BAD_METADATA_LENGTH, _UNSUPPORTED_FLAG (this version could not read it back) or
// _INVALID_ARGUMENT (reserved is not 0); then nothing was written.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_header_emit(const mcrpc_header_t *header, uint8_t *out, size_t len);

// The id of a method: FNV-1a 32 of its full name "pkg.Service.Method", which has `len` bytes. 0 if there is no name.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_method_id(const uint8_t *name, size_t len);

// Reads the metadata of a frame under `limits` (NULL: the defaults), all of it. Set out->struct_size before; what it points
// to lies in `bytes`.
//
// Returns MCRPC_BAD_TAG, _UNSUPPORTED_TAG, _REPEATED_TAG, _TOO_MANY_TAGS, _METADATA_TOO_LONG, _NAME_TOO_LONG, _BAD_NAME or
// _BAD_TEXT: refuse the call with it. The frames behind it are intact.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_metadata_parse(const uint8_t *bytes, size_t len, const mcrpc_limits_t *limits, mcrpc_metadata_t *out);

// Writes the head of a frame to `out`, which has room for `len`: `header`, whose lengths are set to what follows, and
// `metadata` (NULL: none). A payload of `payload_len` bytes is to be sent behind it, and then, with MCRPC_FLAG_CRC_TRAILER,
// the checksum of both: see mcrpc_checksum().
//
// Sets `wanted` to the length of the head, also with MCRPC_TOO_SMALL: ask with (NULL, 0) how long it would be. Otherwise what
// mcrpc_header_emit() returns, MCRPC_BODY_TOO_LONG or _METADATA_TOO_LONG for lengths that the header cannot say, and, for what
// no receiver would accept, _BAD_TAG, _UNSUPPORTED_TAG, _REPEATED_TAG, _NAME_TOO_LONG, _BAD_NAME or _BAD_TEXT. Then `out` has
// no frame.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_head_write(const mcrpc_header_t *header, const mcrpc_metadata_t *metadata, uint32_t payload_len, uint8_t *out, size_t len, size_t *wanted);

// Takes the tag at `*offset` out of the tags of some metadata, and moves `offset`, 0 at first, behind it. `tag` is
// MCRPC_TAG_... or another number, perhaps with MCRPC_TAG_MUST_UNDERSTAND; 0 behind the last one: call it until then.
//
// Returns MCRPC_BAD_TAG for broken bytes, and MCRPC_INVALID_ARGUMENT for an offset behind the end.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_tag_next(const mcrpc_bytes_t *tags, size_t *offset, uint8_t *tag, mcrpc_bytes_t *value);

// Writes one tag to `out`, which has room for `out_len`: the next of those that `tags` of mcrpc_metadata_t points to. For a
// tag that has a field of its own, but MCRPC_TAG_METHOD, set the field instead.
//
// Sets `wanted` to the length of the tag, also with MCRPC_TOO_SMALL. Otherwise MCRPC_BAD_TAG for a number that is no tag or a
// value that is too short for its meaning, _METADATA_TOO_LONG or _NAME_TOO_LONG above 65535 bytes, _BAD_NAME or _BAD_TEXT.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_tag_write(uint8_t tag, const uint8_t *value, size_t len, uint8_t *out, size_t out_len, size_t *wanted);

// Sets up a decoder at the start of a stream, for frames under `limits` (NULL: the defaults).
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_frame_init(const mcrpc_limits_t *limits, mcrpc_frame_decoder_t *out);

// Takes the next event from the front of `data`, and sets `used` to the bytes it took. Call it again with what is
// left until the event is MCRPC_EVENT_NONE. Any split of the stream gives the same frames.
//
// Returns, for a stream that is broken, what mcrpc_header_parse() returns or MCRPC_BAD_CHECKSUM, now and at every later
// call: close the connection. A decoder belongs to one connection and is not to be used by two threads at once.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_frame_next(mcrpc_frame_decoder_t *decoder, const uint8_t *data, size_t len, size_t *used, mcrpc_frame_event_t *event);

// Says that a request of this stream has been answered, or will never be: once for each that came as MCRPC_EVENT_HEADER,
// whatever became of it. One that came as MCRPC_EVENT_REFUSED was never counted: the answer to it must not be either, or
// the peer has one more open call each time. Only for limits with max_open_calls.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_frame_answered(mcrpc_frame_decoder_t *decoder);

// How long the frame at the front of `bytes` is, of any kind, and even if it must not be acted on.
//
// Returns MCRPC_INCOMPLETE below MCRPC_HEADER_LEN bytes, or why nobody can say: see mcrpc_header_parse().
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_frame_wanted(const uint8_t *bytes, size_t len, const mcrpc_limits_t *limits, size_t *wanted);

// Reads one whole frame that lies at the front of a buffer: its header, metadata and payload, and where the next one begins.
// Its checksum, if it has one, fits. Set metadata->struct_size before; what it points to lies in `bytes`.
//
// Returns MCRPC_INCOMPLETE if the frame is longer than `len`, see mcrpc_frame_wanted(); otherwise what mcrpc_header_parse()
// and mcrpc_metadata_parse() return, or MCRPC_BAD_CHECKSUM.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_frame_parse(const uint8_t *bytes, size_t len, const mcrpc_limits_t *limits, mcrpc_header_t *header, mcrpc_metadata_t *metadata, mcrpc_bytes_t *payload, size_t *frame_len);

// The CRC-32 (of IEEE 802.3, as zlib has it) of what `so_far` is the checksum of, 0 for nothing, followed by `bytes`.
//
// A frame with MCRPC_FLAG_CRC_TRAILER ends with the checksum of all its bytes from the header to the payload, as four bytes,
// the lowest first. Returns `so_far` if `bytes` is NULL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_checksum(uint32_t so_far, const uint8_t *bytes, size_t len);

// Which protocol a connection speaks that begins with `bytes`: MCRPC_PROTOCOL_..., of which MCRPC_PROTOCOL_UNDECIDED means
// that it takes more bytes to tell. Four always suffice. MCRPC_PROTOCOL_UNKNOWN if `bytes` is NULL and `len` is not 0.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_sniff(const uint8_t *bytes, size_t len);

// Sets `wanted` to the length of the frame at the front of `data`, of which `len` bytes are there: read until so many are there, then
// call mcrpc_baidu_parse(). A body above `max_body_len` or a meta above `max_meta_len` bytes is refused.
//
// Returns MCRPC_INCOMPLETE below MCRPC_BAIDU_HEADER_LEN bytes; MCRPC_BAD_MAGIC at the first byte that is not "PRPC";
// _BODY_TOO_LONG, _METADATA_TOO_LONG or _BAD_METADATA_LENGTH. All but MCRPC_INCOMPLETE break the stream: close the connection.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_wanted(const uint8_t *data, size_t len, uint32_t max_body_len, uint32_t max_meta_len, size_t *wanted);

// Reads the frame at the front of `data`. Everything in `meta`, `payload` and `attachment` is a view of `data`.
//
// Returns what mcrpc_baidu_wanted() returns, MCRPC_INCOMPLETE while bytes are missing, and MCRPC_BAD_META for a meta that is no valid
// RpcMeta, lacks a required field, or announces a longer attachment than there are bytes: close the connection. With MCRPC_BAD_META
// alone of all failures something is written: the meta is empty then.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_parse(const uint8_t *data, size_t len, uint32_t max_body_len, uint32_t max_meta_len, mcrpc_baidu_meta_t *meta, mcrpc_bytes_t *payload, mcrpc_bytes_t *attachment);

// Writes the header and the meta of a request to `out`, which has room for `len` bytes, for a payload and attachment of `payload_len`
// bytes together; these are sent behind it, with one writev() for instance. `wanted` becomes the bytes written, also with
// MCRPC_TOO_SMALL, when nothing is written: (NULL, 0) asks for the room to make.
//
// The user fields are those of `origin`, which may be NULL, and then the `count` ones at `fields`, of which one with the same key
// counts instead; to pass on received ones, see mcrpc_baidu_next_user_field(). Returns MCRPC_BAD_KIND if there is no request in the meta, MCRPC_BAD_TEXT if a name or text is not
// UTF-8, MCRPC_BODY_TOO_LONG above 4 GiB, MCRPC_INVALID_ARGUMENT (unknown bits, reserved is not 0, an attachment that is longer than
// the payload).
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_write_request(const mcrpc_baidu_meta_t *meta, const mcrpc_baidu_origin_t *origin, const mcrpc_baidu_field_t *fields, size_t count, uint32_t payload_len, uint8_t *out, size_t len, size_t *wanted);

// The same for a response: MCRPC_BAD_KIND if there is none in the meta. Give it the request's correlation id, and as error code
// mcrpc_baidu_error_of() of the status.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_write_response(const mcrpc_baidu_meta_t *meta, const mcrpc_baidu_field_t *fields, size_t count, uint32_t payload_len, uint8_t *out, size_t len, size_t *wanted);

// Sets `value` to the value of a key among the user fields of a meta that mcrpc_baidu_parse() filled in: the last one if there are
// several, with data NULL if there is none, and not NULL if it is empty. It takes a look at every field. The frame must still be there.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_user_field(const mcrpc_baidu_meta_t *meta, const uint8_t *key, size_t key_len, mcrpc_bytes_t *value);

// Takes the first pair from the front of `rest`, which is at first a copy of a meta's user_fields. At the end `field` is all zeroes:
// of a pair that is there no data is NULL, even if key and value are empty. A key may come twice; then the last value counts.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_next_user_field(mcrpc_bytes_t *rest, mcrpc_baidu_field_t *field);

// Sets `out` to the native header of a request, for mcrpc_request_from_header(). `payload_len` counts payload and attachment.
//
// The method id is that of "service_name.method_name", the budget is timeout_ms (none if that is missing or not positive: brpc
// sends it only when told to, so set a deadline of your own then), the call id is made of both halves of the correlation id: a
// response has the correlation id itself. uin, business_id and priority come from the user fields "mc-uin", "mc-business-id" and
// "mc-priority", and are 0 unless these are decimal numbers that fit; a priority that is none is 255, the last. Returns MCRPC_BAD_KIND if there is no request in the meta.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_to_header(const mcrpc_baidu_meta_t *meta, uint32_t payload_len, mcrpc_header_t *out);

// The error code that tells a brpc client of a status: chosen by what the client then does. Overload is ELIMIT, which is tried on
// another server and not counted by the client's circuit breaker; a server that closes is ELOGOFF; what has no time left is
// ERPCTIMEDOUT; bytes that cannot be understood are EREQUEST; a service's own positive code is itself; the rest is EINTERNAL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_error_of(int32_t status);

// What the error code of a brpc server means to mcrpc_outcome_of() and mcrpc_report(). ELIMIT and EOVERCROWDED are MCRPC_QUEUE_FULL,
// ELOGOFF is MCRPC_GOING_AWAY, ERPCTIMEDOUT is MCRPC_DEADLINE_IN_QUEUE, ENOSERVICE and ENOMETHOD are their namesakes; another
// positive code is itself, as the service's own, and a negative one is EINTERNAL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_status_of(int32_t error_code);

// The bytes that a controller with these settings needs: about 72 KiB, and 34 KiB per queue.
// Returns MCRPC_BAD_STRUCT_SIZE or MCRPC_INVALID_ARGUMENT. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_memory_size(const mcrpc_admission_config_t *config, size_t *out);

// Lays out a controller in `memory`, and sets `out` to a handle for it.
//
// The memory is the caller's: static, heap, or shared between processes (mmap with MAP_SHARED before fork, or a
// file). It must be aligned to MCRPC_ADMISSION_ALIGN, as long as mcrpc_admission_memory_size() says, and stay mapped at
// the same address while a handle is used. Nothing needs to be released.
// Returns MCRPC_MISALIGNED, _TOO_SMALL, _BAD_STRUCT_SIZE or _INVALID_ARGUMENT; then nothing was written.
// Once, before anybody uses the memory; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_init(void *memory, size_t len, const mcrpc_admission_config_t *config, uint64_t now_ns, mcrpc_admission_t *out);

// Sets `out` to a handle for the controller that another process laid out in the same memory, wherever it is mapped
// here. Processes made by fork() need not call it: the parent's handle is good in the child.
// Returns MCRPC_MISALIGNED, _TOO_SMALL, _NOT_INITIALISED or _VERSION_MISMATCH. Any thread; no allocation, lock or system
// call. Since 0.1.
int32_t mcrpc_admission_attach(void *memory, size_t len, mcrpc_admission_t *out);

// The importance of a request, smaller is more important: business priority (0 to 63, 0 first), then a level
// that a keyed hash of `uin` chooses, then the task. All calls of a task must be given the same numbers; `task_id` is 0
// when the uin alone names the task. `salt` is the fleet's secret; `epoch` (the hour, say) rotates who comes first.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_key(uint64_t salt, uint32_t epoch, uint64_t uin, uint8_t priority, uint64_t task_id);

// What admission needs to know of a request whose header was read at `arrival_ns`: key, flags and deadline.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_request_from_header(const mcrpc_header_t *header, uint64_t salt, uint32_t epoch, uint64_t arrival_ns, mcrpc_request_t *out);

// May I take this request into `queue` (0 to queue_count - 1)?
//
// MCRPC_OK: put it into the queue, and call mcrpc_dequeued() or mcrpc_abandoned() later. MCRPC_QUEUE_FULL,
// _BELOW_CURSOR, _WAIT_ABOVE_SOFT_LIMIT, _WAIT_ABOVE_HARD_LIMIT, _DEADLINE_ON_ARRIVAL or _EXPIRED_ON_ARRIVAL: answer at
// once with this status and mcrpc_cursor(). Any other status: the call was wrong, the request is not accounted for.
// `now_ns` is CLOCK_MONOTONIC, here and below.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_admit(const mcrpc_admission_t *admission, uint32_t queue, const mcrpc_request_t *request, uint64_t now_ns);

// A worker has taken an admitted request out of `queue`. Shall it run it? `admitted_ns` is what was passed to
// mcrpc_admit() as now_ns, `deadline_ns` what it was told as deadline.
//
// MCRPC_OK: run it, then call mcrpc_done(). MCRPC_DEADLINE_IN_QUEUE: it is too late; answer so, and call nothing more.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_dequeued(const mcrpc_admission_t *admission, uint32_t queue, uint64_t admitted_ns, uint64_t deadline_ns, uint64_t now_ns);

// A request that mcrpc_dequeued() let run is finished, well or badly; also when its worker has died, which somebody else
// says then. `started_ns` is what was passed to mcrpc_dequeued() as now_ns. Returns MCRPC_OK.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_done(const mcrpc_admission_t *admission, uint32_t queue, uint64_t started_ns, uint64_t now_ns);

// An admitted request left `queue` without being run: the queue was full after all, or its caller has gone.
// Returns MCRPC_OK.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_abandoned(const mcrpc_admission_t *admission, uint32_t queue);

// The cursor to put into every response: until it expires (300 ms), callers need not send requests whose key is not
// below it. MCRPC_CURSOR_OPEN while the queue is empty, in every mode but enforce, and for a wrong handle or queue.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_cursor(const mcrpc_admission_t *admission, uint32_t queue);

// The process that served `queue` is gone, and with it all that was queued and running there. To be called before
// another process takes the queue over. Returns MCRPC_OK. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_queue_lost(const mcrpc_admission_t *admission, uint32_t queue);

// A caller says that it withheld `count` requests since its last one, of which one had this key: mcrpc_choice_t at its side.
// They count as demand, without which the cursor would open as soon as callers heed it. Returns MCRPC_OK or
// MCRPC_INVALID_ARGUMENT. Hot: any thread, coroutine or signal handler; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_withheld(const mcrpc_admission_t *admission, uint32_t queue, uint32_t key, uint32_t count);

// Changes the mode for all processes at once. Requests in flight stay accounted for. Returns MCRPC_OK, or
// MCRPC_INVALID_ARGUMENT for a number that is no MCRPC_MODE_. Any thread; signal-safe. Since 0.1.
int32_t mcrpc_admission_set_mode(const mcrpc_admission_t *admission, uint32_t mode);

// Puts in force what the operator of `host` says of admission (`mcrpc mode admission enforce --share 5%`, `mcrpc kill on`):
// mode and share; without a word of his, `own_mode` for all. Often: a kill switch reaches admission with the next call of this, which
// is a few loads, so twenty times a second is not too much. Returns MCRPC_OK, also when there is no host;
// MCRPC_INVALID_ARGUMENT for a number that is no MCRPC_MODE_. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_follow(const mcrpc_admission_t *admission, const mcrpc_host_t *host, uint32_t own_mode);

// For which share of the tasks (0 to 10000) MCRPC_MODE_ENFORCE is in force, for a ramp; what the others would have been refused
// for is counted. Raising the share only adds tasks. All of them at first. Returns MCRPC_OK or MCRPC_INVALID_ARGUMENT.
// Any thread; signal-safe. Since 0.1.
int32_t mcrpc_admission_set_enforced(const mcrpc_admission_t *admission, uint32_t share_per_10k);

// Says how much of the processor this service uses of what it may use (its cgroup's quota), in 1/10000, as sampled lately: four
// times a second, say. Above cpu_limit_per_10k less is admitted, before any queue shows it. For services whose concurrency
// nothing else bounds, such as coroutines: where there are no more workers than processors, a full processor is what one
// wants. A sample is used for two seconds. Returns MCRPC_OK. Any thread; signal-safe. Since 0.1.
int32_t mcrpc_admission_set_cpu(const mcrpc_admission_t *admission, uint32_t cpu_per_10k, uint64_t now_ns);

// Sets a tenant's weight for its fair share, 1 to 10000; 1 at first. Returns MCRPC_OK, or MCRPC_INVALID_ARGUMENT for another
// weight or a tenant that is not 1 to 63. Any thread; signal-safe. Since 0.1.
int32_t mcrpc_admission_set_tenant_weight(const mcrpc_admission_t *admission, uint16_t tenant, uint32_t weight);

// What was counted of a tenant (1 to 63). Returns MCRPC_OK, MCRPC_INVALID_ARGUMENT or MCRPC_BAD_STRUCT_SIZE.
// Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_tenant_snapshot(const mcrpc_admission_t *admission, uint16_t tenant, mcrpc_tenant_snapshot_t *out);

// What the controller knows. Returns MCRPC_OK or MCRPC_BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call.
// Since 0.1.
int32_t mcrpc_admission_snapshot(const mcrpc_admission_t *admission, mcrpc_admission_snapshot_t *out);

// What the controller knows of one queue. Returns MCRPC_OK, MCRPC_INVALID_ARGUMENT or MCRPC_BAD_STRUCT_SIZE.
// Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_admission_queue_snapshot(const mcrpc_admission_t *admission, uint32_t queue, mcrpc_queue_snapshot_t *out);

// The status of a reason: index 0 to MCRPC_REFUSAL_COUNT - 1 of the tables in mcrpc_queue_snapshot_t.
// MCRPC_INVALID_ARGUMENT for another index.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_refusal_status(uint32_t index);

// The context of a request that arrived at `arrival_ns`: from its header and its metadata (NULL: none). Set out->struct_size
// before; what it points to is what the metadata points to.
//
// Returns MCRPC_BAD_KIND, _BAD_METADATA_LENGTH, _UNSUPPORTED_FLAG or _INVALID_ARGUMENT for a header that is none.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_context_read(const mcrpc_header_t *header, const mcrpc_metadata_t *metadata, uint64_t arrival_ns, mcrpc_context_t *out);

// The context of a call that is made on behalf of the request that `context` belongs to, from the new span `span_id`, 8
// bytes. The attempt and MCRPC_CONTEXT_CONTINUES_TASK begin anew. Set out->struct_size before; it may be `context` itself.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_context_onward(const mcrpc_context_t *context, const uint8_t *span_id, mcrpc_context_t *out);

// Fills in what a frame that is sent at `now_ns` says of its context, for mcrpc_head_write(): in `header` the user, the
// priority, the business, the budget that is left, the attempt and the other flags of a context; in `metadata` (NULL: the
// header alone) the trace, the origin budget, the call graph, ticket, cookie and onward_tags. The rest stays as it is: set
// kind, call id and method, and begin with a new MCRPC_METADATA_INIT, not with what came in.
//
// Returns MCRPC_OUT_OF_TIME when nothing of the budget is left: do not send. Then nothing was written.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_context_write(const mcrpc_context_t *context, uint64_t now_ns, mcrpc_header_t *header, mcrpc_metadata_t *metadata);

// Writes the context's form in a queue, a batch or a file to `out`, which has room for `len`.
//
// It is a frame's head: who reads it needs limits that its ticket, cookie and tags fit: the defaults are 8192 bytes
// and 64 tags.
//
// Sets `wanted` to its length, also with MCRPC_TOO_SMALL; otherwise MCRPC_METADATA_TOO_LONG, _BAD_TAG or _UNSUPPORTED_TAG.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_context_encode(const mcrpc_context_t *context, uint64_t now_ns, uint8_t *out, size_t len, size_t *wanted);

// Reads what mcrpc_context_encode() wrote. `put_ns` is when that was, by this machine's clock: the time in the queue counts
// against the budget. Who does not know it passes the present. Set out->struct_size before; it points into `bytes`.
//
// Returns what mcrpc_frame_parse() does.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_context_decode(const uint8_t *bytes, size_t len, const mcrpc_limits_t *limits, uint64_t put_ns, mcrpc_context_t *out);

// What mcrpc_admit() needs to know of a request, from its context. See mcrpc_request_from_header().
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_request_from_context(const mcrpc_context_t *context, uint64_t salt, uint32_t epoch, mcrpc_request_t *out);

// Chooses how mcrpc_context_current() finds the current context, for the whole process; NULL: not at all, as at first. A
// program with a thread per request looks into a thread-local of its own, one with coroutines into the running coroutine.
// It is the only thing that the library keeps: an atomic pointer to your function.
// Any thread; no allocation, lock or system call; after fork too. Since 0.1.
void mcrpc_context_set_lookup(mcrpc_context_lookup_t lookup);

// The context of the request that the caller works for, by the program's own lookup; NULL if there is none, or no lookup.
// Hot, if the lookup is: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too.
// Since 0.1.
const mcrpc_context_t *mcrpc_context_current(void);

// The context of a brpc request that arrived at `arrival_ns`, as mcrpc_context_read() has it of a native one. Set
// out->struct_size before. The trace is there if brpc traces the request: trace_id is the low half of its id, span_id the
// caller's span. A request without timeout_ms has no deadline: set one of your own.
//
// Returns MCRPC_BAD_KIND if there is no request in the meta.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_to_context(const mcrpc_baidu_meta_t *meta, uint64_t arrival_ns, mcrpc_context_t *out);

// Says in a request to a brpc server, which is sent at `now_ns`, what it has a place for of a context: timeout_ms, and trace_id
// and span_id if the trace is sampled, in `meta`; the user, the business and the priority in `origin`. The rest of the meta stays
// as it is.
//
// Returns MCRPC_OUT_OF_TIME when nothing of the budget is left: do not send. Then nothing was written.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_baidu_set_context(const mcrpc_context_t *context, uint64_t now_ns, mcrpc_baidu_meta_t *meta, mcrpc_baidu_origin_t *origin);

// Opens the host's shared segments in `directory` (usually "/run/mcrpc"), and takes a seat for this process.
//
// It succeeds also when there is no directory, no agent or nothing that can be believed: then every question is answered
// with *no policy*, the call passes, and mcrpc_host_tick() goes on looking. NULL as directory: there never will be any.
// mcrpc_host_segment_status() says what is in use and why not. `config` may be NULL.
// Returns MCRPC_INVALID_ARGUMENT for a setting outside its range or a path of more than 255 bytes, _BAD_STRUCT_SIZE.
// Once per process, before fork() or after. It maps files and keeps one open, whose lock is the process's seat: a program
// that closes all its descriptors gets another seat with its next housekeeping. Since 0.1.
int32_t mcrpc_host_open(const char *directory, const mcrpc_host_config_t *config, uint64_t now_ns, mcrpc_host_t *out);

// The bytes that mcrpc_host_create() needs with these settings. `config` may be NULL.
// Returns MCRPC_INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_host_memory_size(const mcrpc_host_config_t *config, size_t *out);

// Makes a host in memory of the caller's, for the processes of one server and without any agent: leaky buckets, counters
// and traces are shared by all that inherit the memory (mmap with MAP_SHARED | MAP_ANONYMOUS before fork). There are no
// strategies and no control segment: those questions are answered with *no policy*.
//
// `memory` is aligned to 64 bytes, as long as mcrpc_host_memory_size() says, and stays mapped. It is overwritten.
// Returns MCRPC_MISALIGNED, _TOO_SMALL, _INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Once, before fork(). Since 0.1.
int32_t mcrpc_host_create(void *memory, size_t len, const mcrpc_host_config_t *config, uint64_t now_ns, mcrpc_host_t *out);

// The housekeeping, about once a second: attaches segments that have appeared or been replaced, stops believing
// strategies whose writer is gone, takes a seat after fork(), and says that the process lives.
//
// Without it what was attached is believed for ever, and a forked child counts in the common seat. Any thread that is not
// cancelled, also several at once. It opens, maps and looks at files: not for a signal handler or a small stack (4 KiB
// are used). Since 0.1.
int32_t mcrpc_host_tick(const mcrpc_host_t *host, uint64_t now_ns);

// Gives the seat back, unmaps the segments and closes the host. Nobody may use it during the call or afterwards; a child's
// call does not touch its parent. A process that ends need not call it. Since 0.1.
int32_t mcrpc_host_close(mcrpc_host_t *host);

// Whether a segment (MCRPC_SEGMENT_...) is in use, and why not: e.g. "segment_other_major", found 2, expected 1.
// Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_host_segment_status(const mcrpc_host_t *host, uint32_t segment, mcrpc_segment_status_t *out);

// The endpoint at an IPv4 address (four bytes, network order).
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_endpoint_v4(const uint8_t *address, uint16_t port, uint32_t service_id, mcrpc_endpoint_t *out);

// What the host learnt about an endpoint, for a call of `uin`. It always answers: if nothing is known, or the operator has
// turned pass rates off for this user, that all calls pass.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
mcrpc_strategy_t mcrpc_strategy(const mcrpc_host_t *host, const mcrpc_endpoint_t *endpoint, uint64_t uin);

// How a mechanism (MCRPC_MECHANISM_...) is to work for the calls of `uin`: what the operator said for the whole host,
// else `own_mode`, the program's own setting. After `mcrpc kill on` it is MCRPC_MODE_OFF for all. A server's admission
// follows by mcrpc_admission_follow().
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_host_mode(const mcrpc_host_t *host, uint32_t mechanism, uint64_t uin, uint32_t own_mode);

// 1 if the operator has turned every mechanism off (`mcrpc kill on`), else 0.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int mcrpc_host_killed(const mcrpc_host_t *host);

// The key of the hashes over users for this host, for mcrpc_key(): what the operator set, else `own_salt`.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint64_t mcrpc_host_salt(const mcrpc_host_t *host, uint64_t own_salt);

// 1 if the call graph of `uin` is to be recorded (`mcrpc dye`), else 0.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int mcrpc_host_dyed(const mcrpc_host_t *host, uint64_t uin, uint64_t now_ns);

// MCRPC_SHIELDED if an operator has shielded the endpoint for the whole host (`mcrpc shield`): choose another one, without
// counting a retry. MCRPC_OK otherwise, also when nothing is known or shields are off for the calls of `uin`.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_shield_check(const mcrpc_host_t *host, const mcrpc_endpoint_t *endpoint, uint64_t uin, uint64_t now_ns);

// MCRPC_SKIPPED if an operator has this share of the users' calls to a method left out (`mcrpc skip`): do without the
// answer. The same users each time. MCRPC_OK otherwise, also when nothing is known. `method_id` is from mcrpc_method_id().
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_skip_check(const mcrpc_host_t *host, uint32_t service_id, uint32_t method_id, uint64_t uin);

// Sets `out` to the number of the counter `id` (at most 2^31 - 1), `key`, `kind` (MCRPC_COUNTER_...), which is made if there
// is none: for mcrpc_counter_add() and mcrpc_counter_max(). Good until the host's counters are replaced.
// Returns MCRPC_NO_POLICY, _INVALID_ARGUMENT (also for id 0 with key 0) or _TABLE_FULL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_counter_open(const mcrpc_host_t *host, uint32_t id, uint32_t key, uint32_t kind, uint64_t *out);

// Adds `n` to a counter from mcrpc_counter_open(), for this process.
// Returns MCRPC_STALE_ID when the counters were replaced (open it again), MCRPC_NO_POLICY when there are none.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_counter_add(const mcrpc_host_t *host, uint64_t counter, uint64_t n);

// Raises a counter of kind MCRPC_COUNTER_MAX to at least `value`, of which 48 bits count.
// Returns as mcrpc_counter_add().
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_counter_max(const mcrpc_host_t *host, uint64_t counter, uint64_t value, uint64_t now_ns);

// Adds `n` to the counter `id`, `key`: mcrpc_counter_open() and mcrpc_counter_add() in one.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_count(const mcrpc_host_t *host, uint32_t id, uint32_t key, uint64_t n);

// Raises the maximum `id`, `key` to at least `value`: mcrpc_counter_open() and mcrpc_counter_max() in one.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_set_max(const mcrpc_host_t *host, uint32_t id, uint32_t key, uint64_t value, uint64_t now_ns);

// Sets `out` to the number of the leaky bucket of an endpoint, which all processes of the host share. Once per endpoint;
// good until the host's buckets are replaced.
// Returns MCRPC_NO_POLICY or _TABLE_FULL: then the endpoint has none, and is never shielded by it.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_bucket_open(const mcrpc_host_t *host, const mcrpc_endpoint_t *endpoint, uint64_t *out);

// A call to the endpoint of `bucket` has failed: pours one failure in.
// Returns MCRPC_STALE_ID when the buckets were replaced (open it again), MCRPC_NO_POLICY when there are none,
// MCRPC_INVALID_ARGUMENT for a leak outside its range.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_bucket_pour(const mcrpc_host_t *host, uint64_t bucket, const mcrpc_leak_t *leak, uint64_t now_ns);

// MCRPC_BUCKET_FULL if the endpoint of `bucket` has failed so often lately that it is to be passed over. MCRPC_OK otherwise,
// also when nothing is known, when shields are off for the calls of `uin`, and for a number that is good no more (which
// mcrpc_bucket_pour() tells).
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_bucket_check(const mcrpc_host_t *host, uint64_t bucket, const mcrpc_leak_t *leak, uint64_t uin, uint64_t now_ns);

// Empties a bucket: its endpoint has proved that it works.
// Returns as mcrpc_bucket_pour(). Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_bucket_empty(const mcrpc_host_t *host, uint64_t bucket);

// Appends a record to this process's trace ring: a decision, a log line, a sampled call. `kind` is yours, from 1 on. It can
// be read when the process hangs or is dead (`mcrpc inspect`). At most MCRPC_TRACE_MAX_LEN bytes are kept.
// Returns MCRPC_NO_POLICY when there is no ring, MCRPC_RECORD_DROPPED when another thread still writes at that place.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_trace(const mcrpc_host_t *host, uint8_t kind, const uint8_t *data, size_t len, uint64_t now_ns);

// Shows what the admission controller does with `queue`, this process's own, to `mcrpc top`: about once a second, with
// mcrpc_host_tick(). Returns MCRPC_NO_POLICY when there are no counters or the process has no seat of its own.
// Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_host_report_queue(const mcrpc_host_t *host, const mcrpc_admission_t *admission, uint32_t queue, uint64_t now_ns);

// How much is used of the CPU time that this process may use, as the agent last saw it, once a second, 0 to 10000: of the
// quota of its cgroup or of one above it; or, unless a quota is lower, of the CPUs that it may run on, by all processes that
// have a seat. Sets `sampled_ns`, unless it is NULL, to when that was: give both to mcrpc_admission_set_cpu(), so that a
// sample counts once, however many processes of a server pass it on.
// Returns MCRPC_NO_POLICY when there is no agent, it has not looked within two seconds, or it cannot see this process
// (which is in another PID namespace, or has no seat of its own).
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_host_cpu(const mcrpc_host_t *host, uint64_t now_ns, uint64_t *sampled_ns);

// Hands a line of text to the host's agent, which writes it into a file with its time, process, thread, coroutine, user, call
// graph and trace. The latter three are those of `context`, usually mcrpc_context_current(), which may be NULL. `text` needs no end of line and no NUL; control characters in it are written as \n, \t, \x1b.
//
// The line is safe as soon as this returns: the agent takes it out of shared memory also when the process is killed with
// the next instruction. Nothing waits: if the agent has not taken earlier lines yet, the line is dropped and counted.
// Returns MCRPC_NO_POLICY when the agent keeps no logs (write the line somewhere else), MCRPC_LINE_DROPPED,
// MCRPC_INVALID_ARGUMENT for an unknown level, MCRPC_BAD_STRUCT_SIZE.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_log(const mcrpc_host_t *host, const mcrpc_log_line_t *line, const mcrpc_context_t *context, const char *text, size_t len);

// The bytes that a set with these settings needs. `config` may be NULL.
// Returns MCRPC_INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_endpoints_memory_size(const mcrpc_endpoints_config_t *config, size_t *out);

// Makes a set without endpoints in memory of yours, which is overwritten: aligned to 64 bytes, as long as
// mcrpc_endpoints_memory_size() says, used by nothing else, and there for as long as the set is used. `config` may be NULL.
// Returns MCRPC_MISALIGNED, _TOO_SMALL, _INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Since 0.1.
int32_t mcrpc_endpoints_init(void *memory, size_t len, const mcrpc_endpoints_config_t *config, mcrpc_endpoints_t *out);

// Puts another list of endpoints and of rules for groups in force, as a whole and at once. What is known of endpoints that
// stay is kept. Calls go on meanwhile; two threads must not replace at the same time. `host` may be NULL.
// Returns MCRPC_TABLE_FULL for more endpoints than there is room for, _INVALID_ARGUMENT for one that is there twice, a weight
// or share outside its range, reserved fields that are not 0, or too many rules: then the old list stays in force.
// It takes about 10 us per endpoint. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_endpoints_replace(const mcrpc_endpoints_t *endpoints, const mcrpc_host_t *host, const mcrpc_endpoint_spec_t *specs, uint32_t count, const mcrpc_group_rule_t *rules, uint32_t rule_count);

// Hands over what was counted to the agent, and finds a new segment of the host: about five times per second. `host` may be
// NULL. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_endpoints_tick(const mcrpc_endpoints_t *endpoints, const mcrpc_host_t *host);

// What a set decided so far. Returns MCRPC_OK or _BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_endpoints_snapshot(const mcrpc_endpoints_t *endpoints, mcrpc_endpoints_snapshot_t *out);

// What is known of the endpoint with a number, by the host or, without one, by this set. `host` may be NULL.
// Returns MCRPC_INVALID_ARGUMENT if there is no such endpoint, or _BAD_STRUCT_SIZE.
// Any thread; no allocation, lock or system call. Since 0.1.
int32_t mcrpc_endpoints_health(const mcrpc_endpoints_t *endpoints, const mcrpc_host_t *host, uint32_t index, uint64_t now_ns, mcrpc_health_t *out);

// Which endpoint for the next attempt of `call`? MCRPC_OK: `out` says which; send the request, then report with
// mcrpc_report(). Call it again after a failure: that is a retry, which goes to an endpoint that was not tried yet. Anything
// else: do not send. MCRPC_SKIPPED, _WITHHELD (it would be refused everywhere), _SHIELDED, _BUCKET_FULL, _NO_ENDPOINT; for
// attempts after the first one also _ATTEMPTS_EXHAUSTED, _BUDGET_EXHAUSTED and _OUT_OF_TIME.
//
// Passing over endpoints that are shielded, or that a pass rate or cursor holds the call back from, uses up no retry. With
// an endpoint that is shielded the next call of its users is sent there once in a while, by one process of the host. `host` may
// be NULL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_select(const mcrpc_endpoints_t *endpoints, const mcrpc_host_t *host, mcrpc_call_t *call, uint32_t attempt, uint64_t now_ns, mcrpc_choice_t *out);

// The attempt that `choice` was made for met `outcome` (MCRPC_OUTCOME_...) after `elapsed_ns`. `host` may be NULL.
// Returns MCRPC_OK or _INVALID_ARGUMENT for another outcome. An attempt that is never reported does no lasting harm.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_report(const mcrpc_endpoints_t *endpoints, const mcrpc_host_t *host, const mcrpc_choice_t *choice, uint32_t outcome, uint64_t elapsed_ns, uint64_t now_ns);

// The reply to the attempt that `choice` was made for said that the endpoint admits keys below `cursor`, for `hold_ms` (at
// most 10 s count): until then nobody on the host sends it others. A cursor of 1 << 29 admits all. `host` may be NULL.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int32_t mcrpc_heard(const mcrpc_endpoints_t *endpoints, const mcrpc_host_t *host, const mcrpc_choice_t *choice, uint32_t cursor, uint32_t hold_ms, uint64_t now_ns);

// 1 if another endpoint may do better after this outcome (MCRPC_OUTCOME_...), else 0. A failure of the service's own is only
// tried again if the program says so.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
int mcrpc_outcome_is_retriable(uint32_t outcome);

// The outcome (MCRPC_OUTCOME_...) of an attempt that ended with a status of this library's list or with a code of the
// service's own.
// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
uint32_t mcrpc_outcome_of(int32_t status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MCRPC_H */
