//! Statuses and brpc's error codes.

use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::{Class, Status};
use mcrpc_core::wire::baidu_std::errors::*;

#[test]
fn every_status_has_the_code_that_makes_a_brpc_client_do_the_right_thing() {
    for entry in Status::ALL {
        let expected = match (entry.status, entry.class) {
            (Status::OK, _) => 0,
            (Status::NO_SERVICE, _) => ENOSERVICE,
            (Status::NO_METHOD, _) => ENOMETHOD,
            (Status::GOING_AWAY, _) => ELOGOFF,
            (Status::TIMED_OUT, _) | (_, Class::Deadline) => ERPCTIMEDOUT,
            (_, Class::Overload) => ELIMIT,
            (_, Class::Protocol) => EREQUEST,
            _ => EINTERNAL,
        };
        assert_eq!(error_of(entry.status), expected, "{:?}", entry.status);
    }
    assert_eq!(error_of(Status::WAIT_ABOVE_HARD_LIMIT), 2004);
    for own in [1, 1001, 2004, i32::MAX] {
        assert_eq!(error_of(Status(own)), own, "a service's own code passes");
    }
    for unknown in [-1, -9_999, i32::MIN] {
        assert_eq!(error_of(Status(unknown)), EINTERNAL);
    }
}

#[test]
fn every_code_of_a_brpc_server_is_known_or_passes() {
    let table = [
        (0, Status::OK),
        (ENOSERVICE, Status::NO_SERVICE),
        (ENOMETHOD, Status::NO_METHOD),
        (ERPCTIMEDOUT, Status::DEADLINE_IN_QUEUE),
        (EOVERCROWDED, Status::QUEUE_FULL),
        (ELIMIT, Status::QUEUE_FULL),
        (ELOGOFF, Status::GOING_AWAY),
        (EREQUEST, Status(EREQUEST)),
        (EINTERNAL, Status(EINTERNAL)),
        (7, Status(7)),
        (i32::MAX, Status(i32::MAX)),
        (-1, Status(EINTERNAL)),
        (Status::BELOW_CURSOR.0, Status(EINTERNAL)),
        (i32::MIN, Status(EINTERNAL)),
    ];
    for (code, status) in table {
        assert_eq!(status_of(code), status, "{code}");
    }
}

/// A relay turns a status into a code and back: what a caller may do about it stays the same.
#[test]
fn a_refusal_stays_a_refusal_over_brpc() {
    for entry in Status::ALL.iter().filter(|entry| matches!(entry.class, Class::Overload | Class::Deadline)) {
        let relayed = status_of(error_of(entry.status));
        assert_eq!(relayed.class(), entry.class, "{:?}", entry.status);
        assert_eq!(Outcome::of(relayed), Outcome::Overloaded);
    }
}
