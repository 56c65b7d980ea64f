//! Which protocol a connection speaks, from its first bytes.

/// A protocol that can be told from its first four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// This library's own.
    Native = 1,
    /// brpc's. See [`super::baidu_std`].
    BaiduStd = 2,
    /// HTTP/1.0 and 1.1.
    Http1 = 3,
    /// HTTP/2 with prior knowledge (RFC 9113, section 3.4): gRPC.
    Http2 = 4,
    /// None of these: close the connection.
    Unknown = 5,
}

/// What a connection of each protocol may begin with.
const BEGINNINGS: [(&[u8], Protocol); 12] = [
    (&[super::header::MAGIC], Protocol::Native),
    (b"PRPC", Protocol::BaiduStd),
    (b"PRI ", Protocol::Http2),
    (b"GET ", Protocol::Http1),
    (b"POST", Protocol::Http1),
    (b"PUT ", Protocol::Http1),
    (b"HEAD", Protocol::Http1),
    (b"DELE", Protocol::Http1),
    (b"OPTI", Protocol::Http1),
    (b"PATC", Protocol::Http1),
    (b"CONN", Protocol::Http1),
    (b"TRAC", Protocol::Http1),
];

/// The protocol of a connection that begins with `bytes`; `None` if they are too few to tell. Four always suffice.
pub fn sniff(bytes: &[u8]) -> Option<Protocol> {
    let mut protocol = Some(Protocol::Unknown);
    for (beginning, candidate) in BEGINNINGS {
        if bytes.starts_with(beginning) {
            return Some(candidate);
        }
        if beginning.starts_with(bytes) {
            protocol = None;
        }
    }
    protocol
}
