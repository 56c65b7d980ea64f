//! A connection of a gRPC client: the same methods, admission, queues and counts as over the native protocol (`docs/grpc.md`).
//!
//! ```text
//! socket ──► HTTP/2 ──► a task per call ──► native request ──► intake ──► workers
//!    ▲                                                                      │
//!    └─── HTTP/2 ◄── the call's task ◄── native answers ◄── outbox ◄────────┘
//! ```
//!
//! HTTP/2 itself is the crate `h2`. A call becomes a native request, and what is answered is a native answer: neither the intake nor
//! the workers know that gRPC is spoken. All of a connection runs on the IO thread that has it.
//!
//! | module | |
//! |---|---|
//! | `socket` | what HTTP/2 reads from and writes to |
//! | `connection` | accepts calls, hands answers to them, goes away |
//! | `call` | from the headers of a call to its trailers |
//! | `head` | what the headers say, natively |
//! | `trace` | `traceparent` |
//! | `message` | the one message of a call, as it arrives |
//! | `answers` | native answers, and the messages in them |
//! | `status` | statuses in gRPC's terms |
//! | `health`, `reflection` | the services that gRPC has for probes and for tools |
//! | `descriptors` | what tools are told of messages |

mod answers;
mod call;
mod connection;
mod descriptors;
mod head;
mod health;
mod message;
mod reflection;
mod socket;
mod status;
mod trace;

pub(super) use connection::{Http2, serve};
pub(super) use descriptors::Descriptors;
