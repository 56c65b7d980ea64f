//! What holds for a connection, said once: who calls, what is called, where from, and what the sender can do.
//!
//! Each side may send a hello whenever it likes, and nobody waits for one. A later hello replaces all that an earlier one
//! bound but the methods, to which it adds. A request that names its caller itself is believed for that request.

use super::metadata::{Metadata, PeerLimits, Tag};
use super::writer::Writer;

/// What the sender of a hello can do: a feature is used when both sides have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Features(pub u32);

impl Features {
    /// It checks checksums, and wants them.
    pub const CHECKSUMS: Features = Features(1 << 0);

    const FIRST_ALGORITHM: u32 = 8;

    /// It can decompress payloads of this [algorithm](super::metadata::Compression), 1 to 23.
    pub const fn decompresses(algorithm: u8) -> Features {
        if algorithm == 0 || algorithm > 23 {
            return Features(0);
        }
        Features(1 << (Features::FIRST_ALGORITHM + algorithm as u32))
    }

    /// What both have.
    #[must_use]
    pub const fn common(self, other: Features) -> Features {
        Features(self.0 & other.0)
    }

    /// The two together.
    #[must_use]
    pub const fn with(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// Whether it has all of these.
    pub const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The metadata of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The name of the sender's service.
    pub caller: &'a str,
    /// The service that it calls.
    pub service: &'a str,
    /// The zone that it is in.
    pub zone: &'a str,
    /// What it can do.
    pub features: Features,
    /// What it accepts.
    pub limits: PeerLimits,
    metadata: Metadata<'a>,
}

impl<'a> Hello<'a> {
    /// Reads the metadata of a hello frame.
    pub fn read(metadata: Metadata<'a>) -> Hello<'a> {
        Hello {
            caller: metadata.caller(),
            service: metadata.service(),
            zone: metadata.zone(),
            features: Features(metadata.features()),
            limits: metadata.peer_limits(),
            metadata,
        }
    }

    /// A hello that says only who sends it.
    pub const fn from_caller(caller: &'a str) -> Hello<'a> {
        Hello {
            caller,
            service: "",
            zone: "",
            features: Features(0),
            limits: PeerLimits { max_body_len: 0, max_open_calls: 0 },
            metadata: Metadata::EMPTY,
        }
    }

    /// The full names of the methods that it binds to their ids.
    pub fn methods(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.metadata
            .iter()
            .filter(|(tag, _)| tag.plain() == Tag::METHOD)
            .filter_map(|(_, name)| core::str::from_utf8(name).ok())
    }

    /// Writes all but the methods, which the caller adds with [`Writer::method`].
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.caller(self.caller).service(self.service).zone(self.zone);
        writer.features(self.features.0).peer_limits(self.limits);
    }
}
