//! What the native header has and RpcMeta has not: the user, the business and the priority of a request.
//!
//! They travel as user fields, which brpc hands on untouched: `mc-uin`, `mc-business-id` and `mc-priority`, in decimal digits. One
//! that is missing is 0, and so is one that is no number or too large; but not the priority: 0 is the first, and a mistake must
//! not promote anybody, so it is the last then. Whoever is let to set them is trusted as the sender of a native
//! header is.

use super::errors;
use super::meta::Meta;
use super::packed::{PackedMeta, field};
use super::repeated::UserFields;
use crate::status::Status;
use crate::wire::header::{Header, Kind, method_id_in};

/// The key of the user.
pub const UIN_KEY: &str = "mc-uin";
/// The key of the business.
pub const BUSINESS_ID_KEY: &str = "mc-business-id";
/// The key of the business priority.
pub const PRIORITY_KEY: &str = "mc-priority";

/// For whom a request is made, and how important it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The user, or 0.
    pub uin: u64,
    /// The business the request belongs to.
    pub business_id: u16,
    /// Business priority, 0 first.
    pub priority: u8,
}

impl Origin {
    /// What the user fields say.
    pub fn of(user_fields: UserFields<'_>) -> Origin {
        let mut origin = Origin::default();
        for (key, value) in user_fields.iter() {
            match key {
                UIN_KEY => origin.uin = number(value).unwrap_or(0),
                BUSINESS_ID_KEY => {
                    origin.business_id = number(value).and_then(|value| value.try_into().ok()).unwrap_or(0)
                }
                PRIORITY_KEY => {
                    origin.priority = number(value).and_then(|value| value.try_into().ok()).unwrap_or(u8::MAX)
                }
                _ => {}
            }
        }
        origin
    }
}

impl PackedMeta<'_> {
    /// The native header of this request, for [`crate::admission`] and [`crate::context`]. Its body has `payload_len` bytes
    /// (payload and attachment) and no metadata.
    ///
    /// The method id is that of `service_name.method_name`, the budget is `timeout_ms` (without limit if that is missing or not
    /// positive: brpc sends it only when told to, so give such requests a deadline of the server's own), and the call
    /// id is made of both halves of the correlation id: respond with the correlation id itself.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_KIND`] if this is no request.
    pub fn to_header(&self, payload_len: u32) -> Result<Header, Status> {
        let (service_name, method_name) = self.names().ok_or(Status::BAD_KIND)?;
        let origin = Origin::of(self.user_fields());
        let timeout_ms = self.get(field::TIMEOUT_MS, self.timeout_ms).and_then(|timeout| u32::try_from(timeout).ok());
        let correlation_id = self.get(field::CORRELATION_ID, self.correlation_id).unwrap_or(0);
        Ok(Header {
            priority: origin.priority,
            body_len: payload_len,
            method_id: method_id_in(service_name, method_name),
            uin: origin.uin,
            budget_ms: timeout_ms.filter(|&timeout_ms| timeout_ms > 0).unwrap_or(u32::MAX),
            business_id: origin.business_id,
            ..Header::new(Kind::Request, call_id(correlation_id))
        })
    }
}

impl Meta<'_> {
    /// See [`PackedMeta::to_header`].
    ///
    /// # Errors
    ///
    /// [`Status::BAD_KIND`] if this is no request.
    pub fn to_header(&self, payload_len: u32) -> Result<Header, Status> {
        PackedMeta::from(self).to_header(payload_len)
    }

    /// How the call ended, for the client of a brpc server: see [`errors`].
    ///
    /// # Errors
    ///
    /// [`Status::BAD_KIND`] if this is no response.
    pub fn status(&self) -> Result<Status, Status> {
        let response = self.response.as_ref().ok_or(Status::BAD_KIND)?;
        Ok(errors::status_of(response.error_code.unwrap_or(0)))
    }
}

/// The 32 bits that stand for a correlation id, which among requests without a user also spread them over the keys of admission.
///
/// brpc puts the place of a call among those under way into the upper half, and how often that place has been used into the lower:
/// neither half tells calls apart. As the factor is odd, two ids that share a half never share the result.
const fn call_id(correlation_id: i64) -> u32 {
    let (upper, lower) = ((correlation_id >> 32) as u32, correlation_id as u32);
    lower.wrapping_add(upper.wrapping_mul(0x9e37_79b9))
}

/// A decimal number, of which an empty text is 0; `None` if it is none, or too large.
fn number(text: &str) -> Option<u64> {
    let digit = |byte: u8| char::from(byte).to_digit(10).map(u64::from);
    text.bytes().try_fold(0u64, |value, byte| value.checked_mul(10)?.checked_add(digit(byte)?))
}
