//! A server that serves until it is told to end.

use std::future::pending;
use std::io;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::shared::Shared;

/// Waits for SIGTERM or SIGINT, or until the threads of this process are told to end in another way.
///
/// # Errors
///
/// What the operating system says.
pub(super) fn wait(shared: Option<&Shared>) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let told_to_end = async {
            match shared {
                Some(shared) => shared.until_told_to_end().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = told_to_end => {}
        }
        Ok(())
    })
}
