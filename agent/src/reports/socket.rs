//! `reports.sock`: datagrams of text. The kernel keeps a few of them for the agent; beyond that whoever sends waits, or is
//! told to try again later if it does not want to wait. The agent itself waits for nobody: an answer that its receiver has no
//! room for is dropped.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recvfrom, sendto, socket};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// The longest datagram that is taken, in bytes.
pub const MAX_LEN: usize = 32 << 10;

/// Who has sent a report and wants an answer.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The name of its socket.
    pub(crate) name: SocketAddrUnix,
    /// Whether an answer would get there: the agent may send to that name, somebody has it, and there is room.
    pub(crate) hears: bool,
}

/// Where a host's agent takes reports.
pub fn socket_of(host: &Path) -> PathBuf {
    host.join("reports.sock")
}

/// The socket.
#[derive(Debug)]
pub struct Reports {
    socket: UnixDatagram,
    datagram: Box<[u8]>,
}

impl Reports {
    /// Takes reports in the directory of a host, of whose agents this process has to be the only one, from those whom `mode`
    /// lets write. In a tokio runtime with network.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(host: &Path, mode: u32) -> io::Result<Reports> {
        let path = socket_of(host);
        // The last agent's.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let facts = fs::metadata(host)?;
        // What is in the directory belongs to its user and its group, as far as the maker may give it away.
        let _ = chown(&path, Some(facts.uid()), None);
        let _ = chown(&path, None, Some(facts.gid()));
        // One byte more, by which one that is too long is known.
        Ok(Reports { socket, datagram: vec![0; MAX_LEN + 1].into_boxed_slice() })
    }

    /// The next datagram, or what there is of one that is too long, and who wants an answer. Nothing is lost if it is not
    /// waited for to the end.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn next(&mut self) -> io::Result<(&[u8], Option<Sender>)> {
        let Reports { socket, datagram } = self;
        let receive = || Ok(recvfrom(&*socket, &mut datagram[..], RecvFlags::empty())?);
        let (len, _, sender) = socket.async_io(Interest::READABLE, receive).await?;
        let name = sender.and_then(|sender| SocketAddrUnix::try_from(sender).ok()).filter(|name| !name.is_unnamed());
        let sender = name.map(|name| Sender { hears: hears(&name), name });
        Ok((&self.datagram[..len], sender))
    }

    /// Answers, unless the receiver has gone or has no room.
    pub fn answer(&self, text: &str, to: &Sender) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let send = |from: BorrowedFd<'_>| sendto(from, text.as_bytes(), flags, &to.name);
        // What is not read takes room of the socket that it was sent from: who reads nothing must not take that of others.
        let Ok(own) = socket(AddressFamily::UNIX, SocketType::DGRAM, None) else { return };
        if send(own.as_fd()) == Err(Errno::PERM) {
            // It has connected its socket, and hears nobody else.
            let _ = send(self.socket.as_fd());
        }
    }
}

fn hears(name: &SocketAddrUnix) -> bool {
    let Ok(own) = socket(AddressFamily::UNIX, SocketType::DGRAM, None) else { return false };
    match connect(&own, name) {
        // The room of who is connected is part of whether this socket can be written to.
        Ok(()) => poll(&mut [PollFd::new(&own, PollFlags::OUT)], Some(&Timespec::default())) == Ok(1),
        // As when it is answered.
        Err(error) => error == Errno::PERM,
    }
}
