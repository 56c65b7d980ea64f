//! The key of the table: an address, a port, and the service behind it.

use core::net::{IpAddr, SocketAddr};

use crate::id::{MULTIPLIERS, fold};

/// One endpoint of one service. An IPv4 address is kept as the IPv6 address that it maps to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address, big-endian.
    pub address: u128,
    /// The port.
    pub port: u16,
    /// The service; 0 if the port says enough.
    pub service_id: u32,
}

impl Endpoint {
    /// The endpoint of a service at a socket's address.
    pub const fn new(socket: SocketAddr, service_id: u32) -> Endpoint {
        let address = match socket.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        Endpoint { address, port: socket.port(), service_id }
    }

    /// Where it listens.
    pub const fn socket(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V6(core::net::Ipv6Addr::from_bits(self.address)).to_canonical(), self.port)
    }

    /// The three words in which it is stored: the address's high and low half; service, flags (0) and port.
    pub const fn to_words(&self) -> [u64; 3] {
        [(self.address >> 64) as u64, self.address as u64, (self.service_id as u64) << 32 | self.port as u64]
    }

    /// The endpoint that these words store.
    pub const fn from_words(words: [u64; 3]) -> Endpoint {
        Endpoint {
            address: (words[0] as u128) << 64 | words[1] as u128,
            port: words[2] as u16,
            service_id: (words[2] >> 32) as u32,
        }
    }

    /// A hash keyed with the seed of a segment; never 0.
    #[inline]
    pub const fn hash(&self, seed: u64) -> u64 {
        hash(self.to_words(), seed)
    }
}

/// The hash of three words; never 0. Folded multiplications as in [`crate::id::Salt::hash`].
#[inline]
pub const fn hash(words: [u64; 3], seed: u64) -> u64 {
    let [high, low, rest] = words;
    let mixed = fold(high ^ MULTIPLIERS[0] ^ seed, low ^ MULTIPLIERS[1]);
    let mixed = fold(mixed ^ rest ^ seed, MULTIPLIERS[2]);
    let mixed = fold(mixed ^ MULTIPLIERS[1], MULTIPLIERS[3]);
    mixed | (mixed == 0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_survives_its_words() {
        for text in ["10.1.2.3:80", "[2001:db8::1]:65535"] {
            let endpoint = Endpoint::new(text.parse().unwrap(), u32::MAX);
            assert_eq!(Endpoint::from_words(endpoint.to_words()), endpoint);
            assert_eq!(endpoint.socket(), text.parse().unwrap());
        }
    }

    #[test]
    fn every_part_and_the_seed_change_the_hash() {
        let endpoint = Endpoint::new("10.1.2.3:80".parse().unwrap(), 9);
        let others = [
            Endpoint { address: endpoint.address + 1, ..endpoint },
            Endpoint { address: endpoint.address ^ 1 << 127, ..endpoint },
            Endpoint { port: 81, ..endpoint },
            Endpoint { service_id: 10, ..endpoint },
        ];
        assert!(others.iter().all(|other| other.hash(5) != endpoint.hash(5)));
        assert_ne!(endpoint.hash(5), endpoint.hash(6));
    }
}
