//! What a request brings, within the memory that there is for all of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use mcrpc::{Failure, Status};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The longest body: what a native frame may have.
pub(super) const MAX_BODY: usize = 64 << 20;
/// Bytes of all bodies together.
const MAX_TOGETHER: usize = 256 << 20;
/// A body arrives within this time.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// The memory for bodies.
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Room {
        Room(Arc::new(Semaphore::new(MAX_TOGETHER)))
    }
}

/// A body that has arrived as a whole, and the memory that it takes.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// It is too long, too late, broken off, or one too many.
    pub(super) async fn read(&self, body: Incoming) -> Result<Whole, Failure> {
        let failed = |status, text: &'static str| Err(Failure::of_system(status).with_text(text));
        match timeout(ARRIVES_WITHIN, self.collect(body)).await {
            Ok(Ok(whole)) => Ok(whole),
            Ok(Err(Status::BODY_TOO_LONG)) => failed(Status::BODY_TOO_LONG, "the body is longer than 64 MiB"),
            Ok(Err(Status::QUEUE_FULL)) => failed(Status::QUEUE_FULL, "the proxy has no memory for another body now"),
            Ok(Err(status)) => failed(status, "the body broke off"),
            Err(_) => failed(Status::EXPIRED_ON_ARRIVAL, "the body did not arrive within 30 s"),
        }
    }

    async fn collect(&self, mut body: Incoming) -> Result<Whole, Status> {
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(Status::BODY_TOO_LONG);
        }
        let (mut bytes, mut room) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Status::READ_FAILED)?.into_data() else { continue };
            if bytes.len() + data.len() > MAX_BODY {
                return Err(Status::BODY_TOO_LONG);
            }
            let len = u32::try_from(data.len()).map_err(|_| Status::BODY_TOO_LONG)?;
            let more = self.0.clone().try_acquire_many_owned(len).map_err(|_| Status::QUEUE_FULL)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Whole { bytes: bytes.freeze(), _room: room })
    }
}
