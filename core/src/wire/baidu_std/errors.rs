//! Statuses as brpc's error codes, and back.
//!
//! A brpc client acts on the code, so it is chosen by what the client then does. `ELIMIT` and `ELOGOFF` are tried again on another
//! server, and its circuit breaker does not count `ELIMIT` as a failure: an overloaded server that refuses is not isolated, which would
//! push its load onto the others. `ERPCTIMEDOUT` is not tried again, as there is no time left. `ELOGOFF` keeps a client away until its
//! connection has been made anew, so it is for a process that ends, which closes its connections.
//!
//! | status | to a brpc client |
//! |---|---|
//! | OK | 0 |
//! | the service's own, positive | the same number |
//! | `NO_SERVICE` | 1001 `ENOSERVICE` |
//! | `NO_METHOD` | 1002 `ENOMETHOD` |
//! | class Protocol | 1003 `EREQUEST` |
//! | class Deadline, `TIMED_OUT` | 1008 `ERPCTIMEDOUT` |
//! | `GOING_AWAY` | 2003 `ELOGOFF` |
//! | the rest of class Overload | 2004 `ELIMIT` |
//! | any other | 2001 `EINTERNAL` |
//!
//! | from a brpc server | status |
//! |---|---|
//! | 0 | OK |
//! | 1001 `ENOSERVICE` | `NO_SERVICE` |
//! | 1002 `ENOMETHOD` | `NO_METHOD` |
//! | 1008 `ERPCTIMEDOUT` | `DEADLINE_IN_QUEUE`: the server's clock, not the caller's, ran out |
//! | 1011 `EOVERCROWDED`, 2004 `ELIMIT` | `QUEUE_FULL` |
//! | 2003 `ELOGOFF` | `GOING_AWAY` |
//! | any other positive code | the same number: the server answered, so it is the service's own |
//! | a negative code | 2001 `EINTERNAL`: it would be taken for a status of this library |

use crate::status::{Class, Status};

/// There is no such service.
pub const ENOSERVICE: i32 = 1001;
/// There is no such method.
pub const ENOMETHOD: i32 = 1002;
/// The request cannot be understood.
pub const EREQUEST: i32 = 1003;
/// The call has timed out.
pub const ERPCTIMEDOUT: i32 = 1008;
/// Too much waits to be written to the connection.
pub const EOVERCROWDED: i32 = 1011;
/// Something went wrong within the server.
pub const EINTERNAL: i32 = 2001;
/// The server is closing down.
pub const ELOGOFF: i32 = 2003;
/// The server has as much work as it takes.
pub const ELIMIT: i32 = 2004;

/// The error code that tells a brpc client of `status`.
pub fn error_of(status: Status) -> i32 {
    if status.0 >= 0 {
        return status.0;
    }
    match status {
        Status::NO_SERVICE => ENOSERVICE,
        Status::NO_METHOD => ENOMETHOD,
        Status::TIMED_OUT => ERPCTIMEDOUT,
        Status::GOING_AWAY => ELOGOFF,
        _ => match status.class() {
            Class::Overload => ELIMIT,
            Class::Deadline => ERPCTIMEDOUT,
            Class::Protocol => EREQUEST,
            _ => EINTERNAL,
        },
    }
}

/// What the error code of a brpc server means to this library's client.
pub const fn status_of(error_code: i32) -> Status {
    match error_code {
        ENOSERVICE => Status::NO_SERVICE,
        ENOMETHOD => Status::NO_METHOD,
        ERPCTIMEDOUT => Status::DEADLINE_IN_QUEUE,
        EOVERCROWDED | ELIMIT => Status::QUEUE_FULL,
        ELOGOFF => Status::GOING_AWAY,
        ..0 => Status(EINTERNAL),
        _ => Status(error_code),
    }
}
