//! What the native header has and RpcMeta has not: the user, the business and the priority of a request.
//!
//! They travel as user fields, which brpc hands on untouched: `mc-uin`, `mc-business-id` and `mc-priority`, in decimal digits. One
//! that is missing, no number or too large for its type is 0. Whoever is let to set them is trusted as the sender of a native
//! header is.

use super::errors;
use super::meta::Meta;
use crate::status::Status;
use crate::wire::header::{Header, Kind};

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

impl Meta<'_> {
    /// What the user fields say.
    pub fn origin(&self) -> Origin {
        let mut origin = Origin::default();
        for (key, value) in self.user_fields.iter() {
            match key {
                UIN_KEY => origin.uin = value.parse().unwrap_or(0),
                BUSINESS_ID_KEY => origin.business_id = value.parse().unwrap_or(0),
                PRIORITY_KEY => origin.priority = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        origin
    }

    /// The native header of this request, for [`crate::admission`] and [`crate::context`]. Its body has `payload_len` bytes
    /// (payload and attachment) and no metadata.
    ///
    /// The method id is that of `service_name.method_name`, the budget is `timeout_ms` (without limit if that is missing or not
    /// positive: brpc sends it only when told to, so give such requests a deadline of the server's own), and the call
    /// id is the low half of the correlation id: respond with the whole.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_KIND`] if this is no request.
    pub fn to_header(&self, payload_len: u32) -> Result<Header, Status> {
        let request = self.request.as_ref().ok_or(Status::BAD_KIND)?;
        let origin = self.origin();
        Ok(Header {
            priority: origin.priority,
            body_len: payload_len,
            method_id: method_id(request.service_name, request.method_name),
            uin: origin.uin,
            budget_ms: match request.timeout_ms {
                Some(timeout_ms) if timeout_ms > 0 => timeout_ms.cast_unsigned(),
                _ => u32::MAX,
            },
            business_id: origin.business_id,
            ..Header::new(Kind::Request, self.correlation_id.unwrap_or(0) as u32)
        })
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

/// [`crate::wire::header::method_id`] of the two names with a dot between them.
fn method_id(service_name: &str, method_name: &str) -> u32 {
    let name = service_name.bytes().chain(*b".").chain(method_name.bytes());
    name.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
