//! The byte that a tagged value begins with: which value it is, and what a reader may do that does not know it.
//!
//! | bits | meaning |
//! |---|---|
//! | 7 | must be understood: the call is refused by name |
//! | 6 | the application's own, free to be used |
//! | 5 | travels onward: copied to the calls that are made on behalf of this one |
//! | 0-4 | a number; 0 without bit 5 and 6 is no tag |

/// The byte that a tagged value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Tag(pub u8);

impl Tag {
    /// The name of the caller's service.
    pub const CALLER: Tag = Tag(0x01);
    /// The name of the service that is called, `pkg.Service`.
    pub const SERVICE: Tag = Tag(0x02);
    /// The full name of a method, `pkg.Service.Method`. May occur more than once.
    pub const METHOD: Tag = Tag(0x03);
    /// The name of the sender's zone.
    pub const ZONE: Tag = Tag(0x04);
    /// u32: what the sender can do. See [`super::Features`].
    pub const FEATURES: Tag = Tag(0x05);
    /// UTF-8: why the call failed, for a person.
    pub const ERROR_TEXT: Tag = Tag(0x06);
    /// See [`super::metadata::RejectState`].
    pub const REJECT_STATE: Tag = Tag(0x07);
    /// See [`super::metadata::Withheld`].
    pub const WITHHELD: Tag = Tag(0x08);
    /// See [`super::metadata::Compression`].
    pub const COMPRESSION: Tag = Tag(0x09);
    /// See [`super::metadata::PeerLimits`].
    pub const PEER_LIMITS: Tag = Tag(0x0A);
    /// See [`super::metadata::Trace`].
    pub const TRACE: Tag = Tag(0x20);
    /// u32: the budget in ms that the task began with.
    pub const ORIGIN_BUDGET: Tag = Tag(0x21);
    /// u64: names the call graph that the call is part of.
    pub const CALL_GRAPH: Tag = Tag(0x22);
    /// Bytes: the user's ticket.
    pub const TICKET: Tag = Tag(0x23);
    /// Bytes: the user's cookie.
    pub const COOKIE: Tag = Tag(0x24);
    /// The first of the application's 32 tags that concern one call alone.
    pub const APPLICATION: Tag = Tag(0x40);
    /// The first of the application's 32 tags that travel onward.
    pub const APPLICATION_ONWARD: Tag = Tag(0x60);

    const MUST_UNDERSTAND: u8 = 1 << 7;
    const IS_APPLICATION: u8 = 1 << 6;
    const IS_ONWARD: u8 = 1 << 5;

    /// The same tag, to be refused by a reader that does not know it.
    #[must_use]
    pub const fn that_must_be_understood(self) -> Tag {
        Tag(self.0 | Tag::MUST_UNDERSTAND)
    }

    /// The tag without the bit that says whether it must be understood: what it is compared by.
    #[inline]
    pub const fn plain(self) -> Tag {
        Tag(self.0 & !Tag::MUST_UNDERSTAND)
    }

    /// Whether a reader that does not know it has to refuse the call.
    #[inline]
    pub const fn must_be_understood(self) -> bool {
        self.0 & Tag::MUST_UNDERSTAND != 0
    }

    /// Whether it is the application's own.
    #[inline]
    pub const fn is_application(self) -> bool {
        self.0 & Tag::IS_APPLICATION != 0
    }

    /// Whether it is copied to the calls that are made on behalf of this one.
    #[inline]
    pub const fn is_onward(self) -> bool {
        self.0 & Tag::IS_ONWARD != 0
    }

    /// Whether this version knows what it means.
    pub const fn is_known(self) -> bool {
        self.bit() != 0
    }

    /// Its bit in a set of known tags; 0 if this version does not know it.
    #[inline]
    pub(super) const fn bit(self) -> u16 {
        match self.plain().0 {
            number @ 0x01..=0x0A => 1 << number,
            number @ 0x20..=0x24 => 1 << (FIRST_ONWARD_BIT + (number & 0x0F)),
            _ => 0,
        }
    }

    /// The same for those that may occur once, which are all but the methods.
    #[inline]
    pub(super) const fn bit_if_unique(self) -> u16 {
        self.bit() & !Tag::METHOD.bit()
    }
}

const FIRST_ONWARD_BIT: u8 = 11;
