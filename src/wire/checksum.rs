//! The one checksum of the format: XXH3, 64 bits.
//!
//! Source: the XXH3 specification of the xxHash project. Tied to a place by [`identify`], so
//! that bytes which are whole but stand in the wrong place, chunk or file do not pass.

use twox_hash::XxHash3_64;

/// The checksum of `bytes`.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// A number that stands for a place: `file` is the file's id, `a` and `b` say which part of it.
///
/// The checksum that is stored for a part is the checksum of its bytes combined by exclusive or
/// with this number. The mixing is the finaliser of `SplitMix64` over the four words in turn.
#[must_use]
pub fn identify(file: [u8; 16], a: u64, b: u64) -> u64 {
    let [lo, hi] = bytemuck::cast::<[u8; 16], [u64; 2]>(file).map(u64::from_le);
    [lo, hi, a, b].into_iter().fold(0x9e37_79b9_7f4a_7c15, |h, word| mix(h ^ word))
}

/// The finaliser of `SplitMix64`: every bit of the result depends on every bit of `x`.
#[must_use]
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_its_neighbours() {
        let id = [7; 16];
        let here = identify(id, 3, 4);
        assert_ne!(here, identify(id, 4, 3));
        assert_ne!(here, identify(id, 3, 5));
        assert_ne!(here, identify([8; 16], 3, 4));
    }

    #[test]
    fn the_checksum_is_xxh3() {
        // The value that the reference implementation gives for no input.
        assert_eq!(checksum(b""), 0x2d06_8005_38d3_94c2);
    }
}
