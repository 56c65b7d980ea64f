//! Every status there is: one list for the C return code, the field of a response header, the label of a metric
//! and the sentence a person reads.
//!
//! Zero is success, every failure is negative, and a number never changes its meaning. The codes from -201 to
//! -217 are the ones that Svrkit's services already speak.

use core::ffi::CStr;
use core::ops::Deref;

/// One outcome: a number on the wire and at the C boundary. Unknown numbers are legal; they come from newer peers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(pub i32);

/// What a caller may do about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It worked.
    Success,
    /// The program called the library wrongly: mend the program.
    Usage,
    /// The peer sent bytes that are no valid frame: close the connection.
    Protocol,
    /// The call failed on its way: try another machine.
    System,
    /// The server refused on purpose, or lost the request: never try the same machine again at once, another one within the
    /// retry budget.
    Overload,
    /// There is no time left: do not try again.
    Deadline,
    /// The call was not sent because the machine is shielded: choose another one; that costs no retry.
    Shielded,
    /// The call was not sent on purpose: do not try another machine either.
    Skipped,
    /// The shared state of the host cannot be used: go on without it, and tell the operator.
    Host,
    /// A service's own code, or one that this version does not know.
    Other,
}

/// What the list says about one status.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The status itself.
    pub status: Status,
    /// Its name in snake case; in C it is upper case behind `MCRPC_`.
    pub name: Text,
    /// What happened and what to do, in one sentence.
    pub text: Text,
    /// What a caller may do.
    pub class: Class,
}

/// A text of the list, found by its place in one string: a table of pointers would have to be written anew by the dynamic
/// linker whenever a program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(u16);

impl Text {
    /// The text, with the NUL that C wants.
    pub fn get(self) -> &'static CStr {
        let rest = TEXTS.as_bytes().get(self.0 as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(rest).unwrap_or_default()
    }
}

impl Deref for Text {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        self.get()
    }
}

macro_rules! statuses {
    ($($constant:ident = $number:literal, $name:literal, $class:ident, $text:literal;)*) => {
        impl Status {
            $(#[doc = $text] pub const $constant: Status = Status($number);)*

            /// The whole list, in the order of its numbers from zero down.
            pub const ALL: &[Description] = &LIST;

            /// What a caller may do about it.
            #[inline]
            pub const fn class(self) -> Class {
                match self.0 {
                    $($number => Class::$class,)*
                    _ => Class::Other,
                }
            }
        }

        const NUMBERS: &[(Status, Class)] = &[$((Status($number), Class::$class)),*];
        const TEXTS: &str = concat!($($name, "\0", $text, "\0"),*);
    };
}

static LIST: [Description; NUMBERS.len()] = {
    let (mut list, mut at) = ([Description::EMPTY; NUMBERS.len()], 0);
    let mut n = 0;
    while n < NUMBERS.len() {
        let (status, class) = NUMBERS[n];
        let text_at = after_nul(at);
        list[n] = Description { status, name: Text(at), text: Text(text_at), class };
        at = after_nul(text_at);
        n += 1;
    }
    // A name or text with a NUL inside would have shifted those behind it.
    assert!(at as usize == TEXTS.len());
    list
};

impl Description {
    const EMPTY: Description = Description { status: Status::OK, name: Text(0), text: Text(0), class: Class::Other };
}

const fn after_nul(at: u16) -> u16 {
    let mut at = at as usize;
    while TEXTS.as_bytes()[at] != 0 {
        at += 1;
    }
    assert!(at < u16::MAX as usize);
    at as u16 + 1
}

statuses! {
    OK = 0, "ok", Success, "The call succeeded; the request may go on.";

    NULL_ARGUMENT = -1, "null_argument", Usage, "A pointer that must not be NULL is NULL: pass a valid one.";
    INVALID_ARGUMENT = -2, "invalid_argument", Usage, "An argument is outside its documented range: compare it with the function's comment.";
    MISALIGNED = -3, "misaligned", Usage, "The memory is not aligned as required: align it to 64 bytes.";
    TOO_SMALL = -4, "too_small", Usage, "The memory or buffer is shorter than the matching size function or constant says: give it that many bytes.";
    BAD_STRUCT_SIZE = -5, "bad_struct_size", Usage, "struct_size is no size this library knows, or a field it does not know is not zero: initialise the struct with its _INIT macro.";
    NOT_INITIALISED = -6, "not_initialised", Usage, "The handle or memory was never initialised, or has been overwritten: call the init function first.";
    VERSION_MISMATCH = -7, "version_mismatch", Usage, "The memory was laid out by another version of the library: let one version create it and attach it.";

    INCOMPLETE = -101, "incomplete", Protocol, "The bytes end inside a frame: feed more when they arrive.";
    BAD_MAGIC = -110, "bad_magic", Protocol, "The first byte is not 0xC7, so the peer does not speak this protocol: close the connection.";
    BAD_VERSION = -111, "bad_version", Protocol, "The frame's version is not one this library speaks: upgrade the older side.";
    BAD_KIND = -112, "bad_kind", Protocol, "The frame's kind is not a known one: close the connection.";
    BODY_TOO_LONG = -113, "body_too_long", Protocol, "The frame announces a body above the configured limit: raise the limit or close the connection.";
    BAD_METADATA_LENGTH = -114, "bad_metadata_length", Protocol, "The frame announces more metadata than body: close the connection.";
    UNSUPPORTED_FLAG = -115, "unsupported_flag", Protocol, "The frame carries a flag that must be understood and is not: upgrade this side or let the peer clear it.";
    BAD_CHECKSUM = -116, "bad_checksum", Protocol, "The frame's checksum does not fit its bytes, so they were changed on their way: close the connection.";
    CHECKSUM_MISSING = -117, "checksum_missing", Protocol, "The frame has no checksum and the limits ask for one: let the peer send it, or accept frames without.";
    METADATA_TOO_LONG = -118, "metadata_too_long", Protocol, "The frame announces more metadata than the configured limit: raise the limit, or let the peer send less.";
    BAD_TAG = -119, "bad_tag", Protocol, "A tag of the metadata runs past its end, is numbered 0, or is not as long as its meaning wants: mend the peer that wrote it.";
    UNSUPPORTED_TAG = -120, "unsupported_tag", Protocol, "The metadata has a tag that must be understood and is not: upgrade this side or let the peer leave it out.";
    REPEATED_TAG = -121, "repeated_tag", Protocol, "A tag that may occur once occurs twice in the metadata: mend the peer that wrote it.";
    TOO_MANY_TAGS = -122, "too_many_tags", Protocol, "The metadata has more tags than the configured limit: raise the limit, or let the peer send fewer.";
    NAME_TOO_LONG = -123, "name_too_long", Protocol, "A name in the metadata is longer than the configured limit: raise the limit or shorten the name.";
    BAD_NAME = -124, "bad_name", Protocol, "A name in the metadata is empty or has a character that is not visible ASCII: correct the name.";
    BAD_TEXT = -125, "bad_text", Protocol, "A text in the metadata is not UTF-8: let its writer encode it so.";
    BAD_META = -126, "bad_meta", Protocol, "The RpcMeta of a baidu_std frame is no valid protobuf message, or lacks a required field: close the connection.";

    CONNECT_FAILED = -201, "connect_failed", System, "The connection could not be made: try another machine.";
    READ_FAILED = -202, "read_failed", System, "The answer could not be read: try another machine.";
    WRITE_FAILED = -203, "write_failed", System, "The request could not be written: try another machine.";
    TIMED_OUT = -204, "timed_out", System, "No answer came in time: try another machine if there is time left.";

    QUEUE_FULL = -206, "queue_full", Overload, "The server's input queue is full: do not call this machine again at once.";
    WITHHELD = -216, "withheld", Overload, "The caller did not send the request because the server's cursor would refuse it: do not call this machine until the cursor expires.";
    BELOW_CURSOR = -217, "below_cursor", Overload, "The server is overloaded and this request's priority is below its cursor: do not call this machine until the cursor expires.";
    WAIT_ABOVE_SOFT_LIMIT = -218, "wait_above_soft_limit", Overload, "The server is overloaded, this request's priority is marginal and the queue is longer than such requests may wait: do not call this machine again at once.";
    WAIT_ABOVE_HARD_LIMIT = -219, "wait_above_hard_limit", Overload, "The server's queue is longer than any request may wait: do not call this machine again at once.";
    DEADLINE_ON_ARRIVAL = -220, "deadline_on_arrival", Deadline, "The queue is so long that the request cannot be finished before its deadline: do not try again.";
    DEADLINE_IN_QUEUE = -221, "deadline_in_queue", Deadline, "The request's deadline came too near while it waited in the queue, so it was not run: do not try again.";
    EXPIRED_ON_ARRIVAL = -222, "expired_on_arrival", Deadline, "The request's deadline was past when it arrived: do not try again, and look at what it spent its time on before.";
    WORKER_LOST = -223, "worker_lost", Overload, "The worker that ran the request died, perhaps with the work half done, or there is no worker at all: do not call this machine again at once.";

    GOING_AWAY = -224, "going_away", Overload, "The server is closing down and takes no new calls: call another machine.";
    TOO_MANY_OPEN_CALLS = -225, "too_many_open_calls", Overload, "The connection has as many unanswered calls as the configured limit allows: wait for answers, or call another machine.";
    NO_SERVICE = -226, "no_service", Usage, "The server has no such service: correct the service's name or its routes.";
    NO_METHOD = -227, "no_method", Usage, "The service has no such method: correct its name, or upgrade the server.";

    BUCKET_FULL = -230, "bucket_full", Shielded, "So many calls to the endpoint have failed lately that none is sent to it: choose another one.";
    SHIELDED = -231, "shielded", Shielded, "An operator has shielded the endpoint for the whole host: choose another one.";
    SKIPPED = -232, "skipped", Skipped, "An operator has this share of the calls to the target left out: do without the answer.";

    NO_ENDPOINT = -233, "no_endpoint", Shielded, "The set has no endpoint that may be called, none in the zone and group, or all were tried: look at the routes.";
    ATTEMPTS_EXHAUSTED = -234, "attempts_exhausted", Skipped, "The call was tried as often as the settings allow: answer with its last failure.";
    BUDGET_EXHAUSTED = -235, "budget_exhausted", Skipped, "So many calls were tried again lately that another attempt would only add load: answer with the last failure.";
    OUT_OF_TIME = -236, "out_of_time", Deadline, "The call's deadline has passed, so it is not sent: answer with its last failure, or with a timeout.";

    NO_POLICY = -300, "no_policy", Host, "The host has told nothing about this: let the call pass; if it should know, look at the segment's own status.";
    SEGMENT_MISSING = -301, "segment_missing", Host, "There is no such file: start the agent, or correct the directory.";
    SEGMENT_DENIED = -302, "segment_denied", Host, "The file may not be opened by this user: add the user to the group of the directory.";
    SEGMENT_NOT_A_FILE = -303, "segment_not_a_file", Host, "The name is a symbolic link or no regular file: remove it, and find out who made it.";
    SEGMENT_WRONG_OWNER = -304, "segment_wrong_owner", Host, "The file or directory does not belong to the user that may write it: remove it, and find out who made it.";
    SEGMENT_UNSAFE_MODE = -305, "segment_unsafe_mode", Host, "Others than its owner may write the file or directory: take the right away from them.";
    SEGMENT_TOO_SHORT = -306, "segment_too_short", Host, "The file is shorter than a header: let its owner make it anew.";
    SEGMENT_BAD_MAGIC = -307, "segment_bad_magic", Host, "The file is no segment of this kind: remove it.";
    SEGMENT_OTHER_MAJOR = -308, "segment_other_major", Host, "Another major version made the segment: upgrade the older side.";
    SEGMENT_BAD_CHECKSUM = -309, "segment_bad_checksum", Host, "The fixed part of the header is damaged: let its owner make it anew.";
    SEGMENT_OTHER_LAYOUT = -310, "segment_other_layout", Host, "The segment was laid out by a different build of the same version: let both sides use one build.";
    SEGMENT_BAD_LENGTH = -311, "segment_bad_length", Host, "The file is not as long as its header says: let its owner make it anew.";
    SEGMENT_BAD_GEOMETRY = -312, "segment_bad_geometry", Host, "The sizes in the header do not give the segment's length: let its owner make it anew.";
    SEGMENT_NOT_READY = -313, "segment_not_ready", Host, "The segment is being made, superseded or closed: attach again later.";
    SEGMENT_STALE = -314, "segment_stale", Host, "The writer has not refreshed the segment for too long, so its contents are not used: look after the agent.";
    SEGMENT_IO = -315, "segment_io", Host, "The operating system refused to open, look at or map the file: the error number says why.";
    TABLE_FULL = -320, "table_full", Host, "There is no room for another entry: make a larger table.";
    KEY_COLLISION = -321, "key_collision", Host, "Another key has the same fingerprint in the same place: make the table anew with another seed.";
    STALE_ID = -322, "stale_id", Host, "The number belongs to a segment that has been replaced: ask for a new one.";
    RECORD_DROPPED = -323, "record_dropped", Host, "The cell for the record is still being written by another thread, so this record was dropped: nothing to do.";
    LINE_DROPPED = -324, "line_dropped", Host, "The log ring is full, so this line was dropped and counted: write less, or make the rings larger.";
}

impl Status {
    /// What the list says about this status; `None` for a number that is not on it.
    pub fn description(self) -> Option<&'static Description> {
        Status::ALL.iter().find(|entry| entry.status == self)
    }

    /// Whether it worked.
    #[inline]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Debug for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = self.description().and_then(|entry| entry.name.to_str().ok()).unwrap_or("unknown");
        write!(f, "{name} ({})", self.0)
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.description().and_then(|entry| entry.text.to_str().ok()) {
            Some(text) => f.write_str(text),
            None => write!(f, "The status {} is not known to this version of the library.", self.0),
        }
    }
}

impl core::error::Error for Status {}

/// Why a server refuses a request: the part of the list that [`crate::admission`] can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// See [`Status::QUEUE_FULL`].
    QueueFull = 0,
    /// See [`Status::BELOW_CURSOR`].
    BelowCursor = 1,
    /// See [`Status::WAIT_ABOVE_SOFT_LIMIT`].
    WaitAboveSoftLimit = 2,
    /// See [`Status::WAIT_ABOVE_HARD_LIMIT`].
    WaitAboveHardLimit = 3,
    /// See [`Status::DEADLINE_ON_ARRIVAL`].
    DeadlineOnArrival = 4,
    /// See [`Status::DEADLINE_IN_QUEUE`].
    DeadlineInQueue = 5,
    /// See [`Status::EXPIRED_ON_ARRIVAL`].
    ExpiredOnArrival = 6,
}

impl Refusal {
    /// How many reasons there are: the length of a table indexed by `reason as usize`.
    pub const COUNT: usize = Refusal::ALL.len();

    /// Every reason, in the order of its index.
    pub const ALL: [Refusal; 7] = [
        Refusal::QueueFull,
        Refusal::BelowCursor,
        Refusal::WaitAboveSoftLimit,
        Refusal::WaitAboveHardLimit,
        Refusal::DeadlineOnArrival,
        Refusal::DeadlineInQueue,
        Refusal::ExpiredOnArrival,
    ];

    /// The status that says so on the wire and at the C boundary.
    #[inline]
    pub const fn status(self) -> Status {
        match self {
            Refusal::QueueFull => Status::QUEUE_FULL,
            Refusal::BelowCursor => Status::BELOW_CURSOR,
            Refusal::WaitAboveSoftLimit => Status::WAIT_ABOVE_SOFT_LIMIT,
            Refusal::WaitAboveHardLimit => Status::WAIT_ABOVE_HARD_LIMIT,
            Refusal::DeadlineOnArrival => Status::DEADLINE_ON_ARRIVAL,
            Refusal::DeadlineInQueue => Status::DEADLINE_IN_QUEUE,
            Refusal::ExpiredOnArrival => Status::EXPIRED_ON_ARRIVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn numbers_fall_and_names_are_unique() {
        assert!(Status::ALL.windows(2).all(|pair| pair[0].status.0 > pair[1].status.0));
        let mut names: std::vec::Vec<_> = Status::ALL.iter().map(|entry| entry.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Status::ALL.len());
    }

    #[test]
    fn every_sentence_says_what_to_do() {
        for entry in Status::ALL {
            let text = entry.text.to_str().unwrap();
            assert!(text.ends_with('.'), "{text}");
            assert!(entry.status == Status::OK || text.contains(": "), "{text}");
        }
    }

    #[test]
    fn refusals_are_in_the_list_and_indexed_in_order() {
        for (index, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert!(matches!(reason.status().class(), Class::Overload | Class::Deadline));
        }
    }

    #[test]
    fn an_unknown_number_is_described_as_such() {
        assert_eq!(Status(-9999).class(), Class::Other);
        assert!(std::format!("{}", Status(-9999)).contains("-9999"));
        assert_eq!(std::format!("{:?}", Status(-9999)), "unknown (-9999)");
        assert_eq!(std::format!("{:?}", Status::QUEUE_FULL), "queue_full (-206)");
    }
}
