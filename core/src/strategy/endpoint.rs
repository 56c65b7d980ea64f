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

/// The hash of three words; never 0.
#[inline]
pub const fn hash(words: [u64; 3], seed: u64) -> u64 {
    let mixed = mix(words, seed);
    mixed | (mixed == 0) as u64
}

/// As [`hash`], but it may be 0: to look a key up, where 0 and 1 are the same. Two folded multiplications, as in
/// [`crate::id::Salt::hash`]; the third word is a factor of the second, so that a lookup waits for no more than these two.
#[inline]
pub(super) const fn mix(words: [u64; 3], seed: u64) -> u64 {
    let [high, low, rest] = words;
    let address = fold(high ^ MULTIPLIERS[0] ^ seed, low ^ MULTIPLIERS[1]);
    fold(address ^ MULTIPLIERS[2] ^ seed, rest ^ MULTIPLIERS[3])
}

#[cfg(test)]
mod tests {
    extern crate std;
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

    /// Each bit of the key changes each bit of the hash about every second time.
    #[test]
    fn every_bit_of_the_key_reaches_every_bit_of_the_hash() {
        const KEYS: u64 = 2_000;
        for bit in 0..192u32 {
            let mut changed = [0u64; 64];
            for number in 0..KEYS {
                let words = [0, 0xFFFF_0A00_0000 + number, 8_000 + number % 4 + ((number % 331) << 32)];
                let mut other = words;
                other[bit as usize / 64] ^= 1 << (bit % 64);
                let difference = hash(words, 99) ^ hash(other, 99);
                for (place, count) in changed.iter_mut().enumerate() {
                    *count += difference >> place & 1;
                }
            }
            // Eight standard deviations are 180.
            assert!(changed.iter().all(|count| count.abs_diff(KEYS / 2) < 180), "bit {bit}: {changed:?}");
        }
    }

    #[test]
    fn consecutive_endpoints_fill_buckets_evenly_and_share_no_fingerprint() {
        let mut loads = std::vec![0u32; 1 << 12];
        let mut low_bits = std::vec::Vec::new();
        for number in 0..1u64 << 18 {
            let hash = hash([0, 0xFFFF_0A00_0000 + number / 4, 8_000 + number % 4], 7);
            loads[(hash >> 52) as usize] += 1;
            low_bits.push(hash & ((1 << 36) - 1));
        }
        // 64 expected in each: six standard deviations are 48. 0.5 shared fingerprints are expected.
        assert!(loads.iter().all(|load| load.abs_diff(64) < 48), "{:?}", loads.iter().max());
        low_bits.sort_unstable();
        let shared = low_bits.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(shared <= 4, "{shared}");
    }
}
