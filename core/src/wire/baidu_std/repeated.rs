//! The fields of a meta that occur any number of times, read one by one out of the validated bytes.

use core::fmt;

use super::number;
use super::protobuf::{Malformed, Reader, Value};

/// The pairs of a meta's map `user_fields`, in the order in which they came. Of equal keys the last one counts.
#[derive(Clone, Copy, Default)]
pub struct UserFields<'a> {
    /// A part of a meta that has all of them.
    span: &'a [u8],
}

impl<'a> UserFields<'a> {
    /// The user fields in a part of a meta that begins and ends between fields. Where it is no meta they end.
    pub const fn within(span: &'a [u8]) -> UserFields<'a> {
        UserFields { span }
    }

    /// The bytes they are read from: empty if there are none, and otherwise with other fields of the meta between them.
    pub const fn span(&self) -> &'a [u8] {
        self.span
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter().filter(|pair| pair.0 == key).last().map(|pair| pair.1)
    }

    /// The pairs of key and value.
    pub const fn iter(&self) -> UserFieldsIter<'a> {
        UserFieldsIter { rest: Reader::new(self.span) }
    }
}

impl<'a> IntoIterator for UserFields<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = UserFieldsIter<'a>;

    fn into_iter(self) -> UserFieldsIter<'a> {
        self.iter()
    }
}

impl PartialEq for UserFields<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for UserFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// See [`UserFields::iter`].
#[derive(Clone)]
pub struct UserFieldsIter<'a> {
    rest: Reader<'a>,
}

impl<'a> UserFieldsIter<'a> {
    /// What has not been read: see [`UserFields::span`].
    pub const fn rest(&self) -> &'a [u8] {
        self.rest.rest()
    }
}

impl<'a> Iterator for UserFieldsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        loop {
            if let (number::USER_FIELDS, Value::Bytes(bytes)) = self.rest.next().ok()?? {
                return user_field(bytes).ok();
            }
        }
    }
}

/// Reads an entry of the map: a message of a key and a value, either of which is empty if it is left out.
pub(super) fn user_field(bytes: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut key, mut value) = ("", "");
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next()? {
        match field {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            (1 | 2, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok((key, value))
}

/// The numbers of further streams, in the order in which they came.
#[derive(Clone, Copy, Default)]
pub struct ExtraStreamIds<'a> {
    /// A part of a meta that has all its stream settings.
    span: &'a [u8],
}

impl<'a> ExtraStreamIds<'a> {
    pub(super) const fn within(span: &'a [u8]) -> ExtraStreamIds<'a> {
        ExtraStreamIds { span }
    }

    pub(super) const fn span(&self) -> &'a [u8] {
        self.span
    }

    /// The numbers.
    pub const fn iter(&self) -> ExtraStreamIdsIter<'a> {
        ExtraStreamIdsIter { meta: Reader::new(self.span), settings: Reader::new(&[]), packed: Reader::new(&[]) }
    }
}

impl PartialEq for ExtraStreamIds<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for ExtraStreamIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// See [`ExtraStreamIds::iter`].
#[derive(Clone)]
pub struct ExtraStreamIdsIter<'a> {
    meta: Reader<'a>,
    settings: Reader<'a>,
    packed: Reader<'a>,
}

impl Iterator for ExtraStreamIdsIter<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        loop {
            if !self.packed.rest().is_empty() {
                return self.packed.varint().ok().map(u64::cast_signed);
            }
            match self.settings.next().ok()? {
                Some((number::EXTRA_STREAM_IDS, Value::Varint(value))) => return Some(value.cast_signed()),
                Some((number::EXTRA_STREAM_IDS, Value::Bytes(bytes))) => self.packed = Reader::new(bytes),
                Some(_) => {}
                None => {
                    if let (number::STREAM_SETTINGS, Value::Bytes(bytes)) = self.meta.next().ok()?? {
                        self.settings = Reader::new(bytes);
                    }
                }
            }
        }
    }
}

/// Checks packed numbers.
pub(super) fn packed_numbers(bytes: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while !reader.rest().is_empty() {
        reader.varint()?;
    }
    Ok(())
}

/// A string of which nothing depends, as far as it is UTF-8: protobuf for C++ does not look, and a message for people that was
/// cut within a letter, or is in another encoding, is no reason to lose the call.
pub(super) fn legible(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            bytes.get(..error.valid_up_to()).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
        }
    }
}

/// Checks a string.
#[inline(never)]
pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    core::str::from_utf8(bytes).map_err(|_| Malformed)
}
