//! Memory that starts at a multiple of 64, without unsafe code.

use bytemuck::{Pod, Zeroable};
use std::fmt;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: 64 bytes without padding: the alignment equals the size.
#[expect(unsafe_code, reason = "derive(Pod) rejects align(64); the layout is checked below")]
unsafe impl Zeroable for Line {}
// SAFETY: 64 bytes without padding: the alignment equals the size, every bit pattern is valid.
#[expect(unsafe_code, reason = "derive(Pod) rejects align(64); the layout is checked below")]
unsafe impl Pod for Line {}
const _: () = assert!(size_of::<Line>() == 64 && align_of::<Line>() == 64);

/// Bytes whose first one lies at a multiple of 64 in memory, so that arrays in a record that
/// starts at a multiple of 8 can be viewed where they are.
#[derive(Clone, Default)]
pub struct AlignedBuf {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBuf {
    /// A buffer of `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }

    /// A buffer with a copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut out = Self::zeroed(bytes.len());
        out.copy_from_slice(bytes);
        out
    }

    /// Shortens or lengthens to `len` bytes; new bytes are zero.
    pub fn resize(&mut self, len: usize) {
        if len > self.len {
            let old = self.len;
            self.lines.resize(len.div_ceil(64), Line([0; 64]));
            self.len = len;
            if let Some(tail) = self.get_mut(old..) {
                tail.fill(0);
            }
        } else {
            self.lines.truncate(len.div_ceil(64));
            self.len = len;
        }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.lines).get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.lines).get_mut(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_start_at_a_multiple_of_64_and_grow_with_zeros() {
        let mut b = AlignedBuf::copy_of(&[9; 70]);
        assert_eq!(b.as_ptr().addr() % 64, 0);
        b.resize(60);
        b.resize(130);
        assert_eq!(&b[..60], &[9; 60]);
        assert_eq!(&b[60..], &[0; 70]);
    }
}
