//! Frames over a blocking socket, whole and owned.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use mcrpc_core::wire::{Frame, HEADER_LEN, Header, Limits, Metadata};

/// A frame as it was received: valid, and its checksum fits if it has one.
#[derive(Clone, Debug)]
pub struct Received {
    pub header: Header,
    pub payload: Vec<u8>,
    metadata: Vec<u8>,
}

impl Received {
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::new_checked(&self.metadata, &Limits::default()).unwrap()
    }
}

/// A connection on which nobody waits longer than two seconds.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream
}

/// The next frame, of any kind.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Received> {
    let limits = Limits::default();
    let mut bytes = vec![0; HEADER_LEN];
    stream.read_exact(&mut bytes)?;
    let len = Frame::wanted(&bytes, &limits).expect("the peer speaks in frames");
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[HEADER_LEN..])?;
    let frame = Frame::new_checked(&bytes, &limits).expect("the peer's frames are valid");
    let metadata_end = HEADER_LEN + usize::from(frame.header.metadata_len);
    Ok(Received {
        header: frame.header,
        payload: frame.payload.to_vec(),
        metadata: bytes[HEADER_LEN..metadata_end].to_vec(),
    })
}
