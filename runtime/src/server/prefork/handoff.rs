//! What a child inherits: numbered file descriptors, of which one is a file that says what the others are for.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use std::{env, fs, thread};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};

use super::super::listener::Listener;
use super::super::shared::Shared;
use super::super::{Server, StartError};
use crate::net::Address;

/// Names the file of the handoff by its inode, so that a program which a child starts, and which inherits its environment but not
/// its files, does not take itself for a child.
const VARIABLE: &str = "MCRPC_CHILD";
/// What a child says when it serves; anything else is why it does not.
pub(super) const READY: &[u8] = b"serves";
/// So long a child that was told to end may take beyond its drain timeout.
pub(super) const END_GRACE: Duration = Duration::from_secs(5);

const CONTROL: RawFd = 3;
const HANDOFF: RawFd = 4;
const SEGMENT: RawFd = 5;
const FIRST_SOCKET: RawFd = 6;

/// What a child has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handoff {
    pub(super) number: usize,
    pub(super) processes: usize,
    /// With the ports that the system chose.
    pub(super) addresses: Vec<String>,
    /// What the settings' file said when the server started.
    pub(super) settings: Option<String>,
}

impl Handoff {
    /// The command that starts a child: this program with its arguments, even if its file has been replaced since.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(super) fn command(
        &self,
        control: OwnedFd,
        segment: BorrowedFd<'_>,
        sockets: &[Listener],
    ) -> io::Result<Command> {
        let mut file = File::from(rustix::fs::memfd_create("mcrpc-handoff", MemfdFlags::CLOEXEC)?);
        file.write_all(toml::to_string(self).map_err(io::Error::other)?.as_bytes())?;
        let inode = file.metadata()?.ino();
        let mut inherited = vec![control, file.into(), segment.try_clone_to_owned()?];
        for socket in sockets {
            inherited.push(socket.as_fd().try_clone_to_owned()?);
        }
        let mappings =
            inherited.into_iter().zip(CONTROL..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
        let mut arguments = env::args_os();
        let mut command = Command::new("/proc/self/exe");
        command.arg0(arguments.next().unwrap_or_else(|| "mcrpc".into())).args(arguments);
        command.env(VARIABLE, inode.to_string()).stdin(Stdio::null());
        command.fd_mappings(mappings.collect()).map_err(io::Error::other)?;
        Ok(command)
    }
}

/// Whether this is the first server of several processes that this process starts.
pub(super) fn is_first_server() -> bool {
    static IS_STARTED: AtomicBool = AtomicBool::new(false);
    !IS_STARTED.swap(true, Relaxed)
}

/// What this process has inherited, as a child.
pub(crate) struct Inherited {
    handoff: Handoff,
    control: UnixStream,
    segment: Option<OwnedFd>,
    /// They listen, in the order of the addresses.
    sockets: Vec<OwnedFd>,
}

impl Inherited {
    /// What this process has inherited; `None` if it is no child.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn take() -> io::Result<Option<Inherited>> {
        let Ok(named) = env::var(VARIABLE) else { return Ok(None) };
        let is_there =
            fs::metadata(format!("/proc/self/fd/{HANDOFF}")).is_ok_and(|file| file.ino().to_string() == named);
        if !is_there || !is_first_server() {
            return Ok(None);
        }
        let mut text = String::new();
        // Its place in the file is the master's, too.
        let mut file = File::from(take(HANDOFF)?);
        file.rewind()?;
        file.read_to_string(&mut text)?;
        let handoff: Handoff = toml::from_str(&text).map_err(io::Error::other)?;
        let sockets = (FIRST_SOCKET..).take(handoff.addresses.len()).map(take).collect::<io::Result<_>>()?;
        restore_name();
        let (control, segment) = (take(CONTROL)?.into(), Some(take(SEGMENT)?));
        Ok(Some(Inherited { handoff, control, segment, sockets }))
    }

    /// The number of this process.
    pub(crate) fn number(&self) -> usize {
        self.handoff.number
    }

    /// How many there are.
    pub(crate) fn processes(&self) -> usize {
        self.handoff.processes
    }

    /// What the settings' file said when the server started.
    pub(crate) fn settings(&self) -> Option<String> {
        self.handoff.settings.clone()
    }

    /// Where to listen.
    ///
    /// # Errors
    ///
    /// [`StartError::Address`] for an address that is none.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, StartError> {
        Ok(self.handoff.addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
    }

    /// The memory that all processes share.
    ///
    /// # Errors
    ///
    /// If it was taken before.
    pub(crate) fn take_segment(&mut self) -> io::Result<OwnedFd> {
        self.segment.take().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The sockets that listen, in the order of the addresses.
    pub(crate) fn take_sockets(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.sockets)
    }

    /// Serves, and tells the master so, or why not.
    ///
    /// # Errors
    ///
    /// Those of `start`.
    pub(crate) fn serve(
        mut self,
        start: impl FnOnce(&mut Inherited) -> Result<Server, StartError>,
    ) -> Result<Server, StartError> {
        let started = start(&mut self);
        let said = match &started {
            Ok(_) => self.control.write_all(READY),
            Err(error) => self.control.write_all(error.to_string().as_bytes()),
        };
        if said.is_err() {
            tracing::warn!("the master of this process has gone");
        }
        let server = started?;
        if let Some(threads) = server.serving() {
            end_with_master(self.control, threads.shared.clone())?;
        }
        Ok(server)
    }
}

/// Tells the threads to end when the master says so, which it does by ending its side of the socket, or by dying. A program that does
/// not wait for that is ended.
fn end_with_master(mut control: UnixStream, shared: Arc<Shared>) -> io::Result<()> {
    let wait = move || {
        // Nothing is ever said but that it is over.
        let _ = io::copy(&mut control, &mut io::sink());
        shared.tell_to_end();
        thread::sleep(shared.config.drain_timeout + END_GRACE);
        tracing::error!("this process has not ended though its server has: it is ended now");
        std::process::exit(1);
    };
    thread::Builder::new().name("control".to_owned()).spawn(wait)?;
    Ok(())
}

/// Takes a file descriptor that the master has put there. Programs that this process starts do not inherit it.
fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the master of this process has put its files at these numbers, and the inode of one of them proves it. Nobody else
    // owns them: they were open when the program began, and are taken once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(fd.as_fd(), FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// The system has named the process after `/proc/self/exe`.
fn restore_name() {
    let name = env::args_os().next().and_then(|path| std::path::Path::new(&path).file_name().map(ToOwned::to_owned));
    if let Some(name) = name {
        // Only people look at it.
        let _ = fs::write("/proc/self/comm", name.as_encoded_bytes());
    }
}
