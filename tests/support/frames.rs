//! Frames over a blocking socket, whole and owned.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use mcrpc_core::wire::{Checksum, Features, Flags, Frame, HEADER_LEN, Header, Kind, Limits, Metadata, Writer};

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

/// The bytes of the next frame, of any kind.
pub fn read_bytes(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_LEN];
    stream.read_exact(&mut bytes)?;
    let len = Frame::wanted(&bytes, &Limits::default()).expect("the peer speaks in frames");
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[HEADER_LEN..])?;
    Ok(bytes)
}

/// The next frame, of any kind.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Received> {
    let bytes = read_bytes(stream)?;
    let frame = Frame::new_checked(&bytes, &Limits::default()).expect("the peer's frames are valid");
    let metadata_end = HEADER_LEN + usize::from(frame.header.metadata_len);
    Ok(Received {
        header: frame.header,
        payload: frame.payload.to_vec(),
        metadata: bytes[HEADER_LEN..metadata_end].to_vec(),
    })
}

/// A whole frame; with a checksum if the header's flags say so.
pub fn frame(header: Header, metadata: impl FnOnce(&mut Writer<'_>), payload: &[u8]) -> Vec<u8> {
    let mut head = [0; 1024];
    let mut writer = Writer::new(&mut head);
    metadata(&mut writer);
    let len = writer.finish(&header, payload.len() as u32).unwrap();
    let mut bytes = [&head[..len], payload].concat();
    if header.flags.contains(Flags::CRC_TRAILER) {
        let mut checksum = Checksum::new();
        checksum.update(&bytes);
        bytes.extend(checksum.trailer());
    }
    bytes
}

/// The hello of a caller that checks checksums.
pub fn hello(caller: &str) -> Vec<u8> {
    let metadata = |writer: &mut Writer<'_>| {
        writer.caller(caller).features(Features::CHECKSUMS.0);
    };
    frame(Header::new(Kind::Hello, 0), metadata, &[])
}
