//! The part of protobuf's encoding that a meta needs: a bounded reader and a writer into the caller's buffer.
//!
//! The reader accepts what prost accepts, and refuses what prost refuses, but for the depth of groups: their numbers are kept
//! in one integer, so [`MAX_GROUP_DEPTH`] bounds it. A group never occurs in a meta: only a newer peer could send one, as a
//! field that is skipped. Every loop consumes input, which the frame's limits bound.

/// How deep groups within fields that nobody knows may be nested.
pub const MAX_GROUP_DEPTH: usize = 4;
// Of each group that is open, 32 bits are kept.
const _: () = assert!(MAX_GROUP_DEPTH as u32 * u32::BITS <= u128::BITS);

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// The bytes are no protobuf message, or not the one that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// An integer of any type but the fixed ones, or a bool.
    Varint(u64),
    /// A string, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// A fixed-width number or a group, which no field of a meta is: it has been skipped.
    Skipped,
}

/// What is left of a message.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// What has not been read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field and its number; `None` at the end of the message.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            VARINT => Value::Varint(self.varint()?),
            BYTES => Value::Bytes(self.bytes()?),
            START_GROUP => {
                self.skip_group(number)?;
                Value::Skipped
            }
            _ => {
                self.skip_fixed(wire_type)?;
                Value::Skipped
            }
        };
        Ok(Some((number, value)))
    }

    /// An integer of up to 64 bits, in at most ten bytes.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let (mut value, mut shift) = (0, 0);
        while let [byte, rest @ ..] = self.rest {
            self.rest = rest;
            // Of the tenth byte one bit is within the 64.
            if shift == 63 && *byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7F) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(Malformed)
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        match key >> 3 {
            0 => Err(Malformed),
            number => Ok((number, (key & 0b111) as u8)),
        }
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        self.take(len)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn skip_fixed(&mut self, wire_type: u8) -> Result<(), Malformed> {
        let len = match wire_type {
            FIXED64 => 8,
            FIXED32 => 4,
            _ => return Err(Malformed),
        };
        self.take(len).map(|_| ())
    }

    /// Skips the rest of a group, whose end must carry the number of its beginning.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        // The numbers of the open groups, the innermost lowest: in registers rather than on a coroutine's stack.
        let (mut open, mut depth) = (u128::from(number), 1);
        loop {
            let (number, wire_type) = self.key()?;
            match wire_type {
                START_GROUP if depth == MAX_GROUP_DEPTH => return Err(Malformed),
                START_GROUP => (open, depth) = (open << u32::BITS | u128::from(number), depth + 1),
                END_GROUP if open as u32 != number => return Err(Malformed),
                END_GROUP if depth == 1 => return Ok(()),
                END_GROUP => (open, depth) = (open >> u32::BITS, depth - 1),
                VARINT => drop(self.varint()?),
                BYTES => drop(self.bytes()?),
                _ => self.skip_fixed(wire_type)?,
            }
        }
    }
}

/// Takes a message, field by field.
pub(super) trait Output {
    fn raw(&mut self, bytes: &[u8]);

    fn varint(&mut self, value: u64);

    /// A message of `len` bytes, which `write` writes.
    fn message(&mut self, number: u32, len: usize, write: impl FnOnce(&mut Self));

    /// A field of the type int64, or of one that is encoded alike: int32 (its sign extended), enums and bools.
    #[inline]
    fn int(&mut self, number: u32, value: i64) {
        self.varint(u64::from(number << 3 | u32::from(VARINT)));
        self.varint(value.cast_unsigned());
    }

    #[inline]
    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.begin(number, bytes.len());
        self.raw(bytes);
    }

    /// The beginning of a message, or of bytes, of `len` bytes.
    #[inline]
    fn begin(&mut self, number: u32, len: usize) {
        self.varint(u64::from(number << 3 | u32::from(BYTES)));
        self.varint(len as u64);
    }
}

/// Counts the bytes of a message.
#[derive(Default)]
pub(super) struct Counter {
    len: usize,
}

impl Counter {
    /// The bytes that `write` writes.
    #[inline]
    pub(super) fn count(write: impl FnOnce(&mut Counter)) -> usize {
        let mut counter = Counter::default();
        write(&mut counter);
        counter.len
    }
}

impl Output for Counter {
    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len());
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        // Seven bits to a byte, and no value is without a byte: 9/64 is a little less than 1/7, and right for up to 64 bits.
        let bits = u64::BITS - (value | 1).leading_zeros();
        self.len = self.len.saturating_add((bits as usize * 9 + 64) / 64);
    }

    #[inline]
    fn message(&mut self, number: u32, len: usize, _: impl FnOnce(&mut Counter)) {
        self.begin(number, len);
        self.len = self.len.saturating_add(len);
    }
}

/// Writes a message. What is longer than the room is cut off.
pub(super) struct Writer<'a> {
    room: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(super) const fn new(room: &'a mut [u8]) -> Writer<'a> {
        Writer { room }
    }
}

impl Output for Writer<'_> {
    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        if let Some((target, rest)) = core::mem::take(&mut self.room).split_at_mut_checked(bytes.len()) {
            target.copy_from_slice(bytes);
            self.room = rest;
        }
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        let mut left = value;
        while let [slot, rest @ ..] = core::mem::take(&mut self.room) {
            self.room = rest;
            if left < 0x80 {
                *slot = left as u8;
                return;
            }
            // Seven bits, and one that says that more follow.
            *slot = left as u8 | 0x80;
            left >>= 7;
        }
    }

    #[inline]
    fn message(&mut self, number: u32, len: usize, write: impl FnOnce(&mut Self)) {
        self.begin(number, len);
        write(self);
    }
}
