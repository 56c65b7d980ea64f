//! CRC-32 by PCLMULQDQ: V. Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel,
//! 2009; the constants are those of its section 4 for the reflected polynomial.
//!
//! A register of 128 bits is congruent to the message so far; sixteen more bytes are one step. What is more than whole blocks is taken
//! *first*, behind zeroes, which change nothing while the register is zero: so there is no tail, and no table.

use core::arch::x86_64::{__m128i, _mm_and_si128, _mm_clmulepi64_si128, _mm_set_epi32, _mm_srli_si128, _mm_xor_si128};

const BLOCK: usize = size_of::<u128>();

/// x^(128+32) and x^(128-32), reflected: a step of sixteen bytes.
const STEP: u128 = 0xccaa_009e << 64 | 0x1_7519_97d0;
/// x^64, reflected: from 96 bits to 64.
const HALVE: u128 = 0x1_63cd_6124;
/// The quotient of x^64 by the polynomial, and the polynomial, reflected (Barrett).
const BARRETT: u128 = 0x1_f701_1641 << 64 | 0x1_db71_0641;

cpufeatures::new!(pclmulqdq, "pclmulqdq");

/// The checksum of what had the checksum `before`, and `piece`; `None` if this processor cannot do it.
#[inline]
pub(super) fn update(before: u32, piece: &[u8]) -> Option<u32> {
    // SAFETY: a function with a target feature may be called where the processor has the feature and those that it implies. The
    // call is made only after `get` has found PCLMULQDQ by CPUID; it implies SSE2, which every x86-64 processor has.
    pclmulqdq::get().then(|| unsafe { by_multiplication(before, piece) })
}

#[target_feature(enable = "pclmulqdq")]
fn by_multiplication(before: u32, piece: &[u8]) -> u32 {
    // The old checksum is added to the first four bytes. What is left of it behind fewer bytes is added to the next block, or, where
    // there is none, to the new checksum.
    let mut rest = u128::from(!before);
    let mut blocks = piece;
    let mut folded = bytemuck::must_cast(0u128);
    let front_len = piece.len() % BLOCK;
    if front_len != 0 {
        folded = bytemuck::must_cast((load_front(piece) ^ rest) << (8 * (BLOCK - front_len)));
        rest >>= 8 * front_len;
        blocks = piece.get(front_len..).unwrap_or_default();
    }
    for block in blocks.as_chunks().0 {
        folded = _mm_xor_si128(step(folded), bytemuck::must_cast(u128::from_le_bytes(*block) ^ rest));
        rest = 0;
    }
    !(remainder(folded) ^ rest as u32)
}

/// The first bytes of a piece, at most a block of them, the very first lowest. The caller shifts out what is above the first
/// `len % BLOCK`. Of 8 to 15 bytes, and of 4 to 7, the two halves overlap in bytes that are the same in both.
#[inline]
fn load_front(piece: &[u8]) -> u128 {
    if let Some(block) = piece.first_chunk() {
        return u128::from_le_bytes(*block);
    }
    let behind = 8 * piece.len() as u32;
    if let (Some(first), Some(last)) = (piece.first_chunk(), piece.last_chunk()) {
        return u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (behind - u64::BITS);
    }
    if let (Some(first), Some(last)) = (piece.first_chunk(), piece.last_chunk()) {
        return u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << (behind - u32::BITS);
    }
    piece.iter().rev().fold(0, |bytes, byte| bytes << 8 | u128::from(*byte))
}

#[inline]
#[target_feature(enable = "pclmulqdq")]
fn step(folded: __m128i) -> __m128i {
    let by = bytemuck::must_cast(STEP);
    _mm_xor_si128(_mm_clmulepi64_si128::<0x00>(folded, by), _mm_clmulepi64_si128::<0x11>(folded, by))
}

/// The remainder of a register of 128 bits.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn remainder(folded: __m128i) -> u32 {
    let low_words = _mm_set_epi32(0, -1, 0, -1);
    let to_96 = _mm_clmulepi64_si128::<0x10>(folded, bytemuck::must_cast(STEP));
    let folded = _mm_xor_si128(_mm_srli_si128::<8>(folded), to_96);
    let to_64 = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(folded, low_words), bytemuck::must_cast(HALVE));
    let folded = _mm_xor_si128(_mm_srli_si128::<4>(folded), to_64);
    let quotient = _mm_clmulepi64_si128::<0x10>(_mm_and_si128(folded, low_words), bytemuck::must_cast(BARRETT));
    let product = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(quotient, low_words), bytemuck::must_cast(BARRETT));
    (bytemuck::must_cast::<_, u128>(_mm_xor_si128(folded, product)) >> 32) as u32
}
