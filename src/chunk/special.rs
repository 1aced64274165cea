//! Runs of one value: made and found in Rust, never by the C library.

use super::header::{EXTENDED, Header, Kind};

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    // Piecewise without an early exit inside a piece, so that it becomes vector instructions.
    bytes.chunks(256).all(|piece| piece.iter().fold(0, |all, b| all | b) == 0)
}

/// The chunk of `nbytes` zeros. `nbytes` must be a multiple of `typesize`.
pub(crate) fn zeros_chunk(typesize: u8, nbytes: u32, block_size: u32) -> [u8; EXTENDED] {
    let mut header = Header::new(Kind::Zeros, typesize, nbytes, block_size);
    header.cbytes = 32;
    header.encode()
}

/// Fills `dst`, whose length is a multiple of `element.len()`, with copies of `element`.
pub(super) fn fill(dst: &mut [u8], element: &[u8]) {
    for piece in dst.chunks_mut(element.len().max(1)) {
        for (to, from) in piece.iter_mut().zip(element) {
            *to = *from;
        }
    }
}

/// The bytes of a NaN of 4 or 8 bytes, the quiet one that C's `nan("")` gives.
pub(super) fn nan(typesize: u8) -> &'static [u8] {
    if typesize == 4 { &[0, 0, 0xc0, 0x7f] } else { &[0, 0, 0, 0, 0, 0, 0xf8, 0x7f] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_bit_anywhere_is_not_zero() {
        let mut bytes = vec![0; 1000];
        assert!(is_zero(&bytes));
        assert!(is_zero(&[]));
        for at in [0, 255, 256, 511, 999] {
            bytes[at] = 128;
            assert!(!is_zero(&bytes));
            bytes[at] = 0;
        }
    }

    #[test]
    fn nan_is_not_a_number() {
        assert!(f32::from_le_bytes(nan(4).try_into().unwrap()).is_nan());
        assert!(f64::from_le_bytes(nan(8).try_into().unwrap()).is_nan());
        let mut out = [0; 8];
        fill(&mut out, nan(4));
        assert_eq!(out, [0, 0, 0xc0, 0x7f, 0, 0, 0xc0, 0x7f]);
    }
}
