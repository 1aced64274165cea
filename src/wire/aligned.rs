//! Memory that starts at a multiple of 64, without unsafe code.

use bytemuck::{Pod, Zeroable};
use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

#[expect(unsafe_code, reason = "derive(Pod) rejects align(64); the layout is checked below")]
// SAFETY: 64 bytes without padding: the alignment equals the size.
unsafe impl Zeroable for Line {}
#[expect(unsafe_code, reason = "derive(Pod) rejects align(64); the layout is checked below")]
// SAFETY: 64 bytes without padding: the alignment equals the size, every bit pattern is valid.
unsafe impl Pod for Line {}
const _: () = assert!(size_of::<Line>() == 64 && align_of::<Line>() == 64);

/// Bytes whose first one lies at a multiple of 64 in memory, so that arrays in a record that
/// starts at a multiple of 8 can be viewed where they are.
#[derive(Clone, Default)]
pub struct AlignedBuf {
    lines: Vec<Line>,
    len: usize,
}

/// Buffers that each thread keeps for the next one, and the largest of them, in bytes.
const KEPT: usize = 4;
const KEPT_MAX: usize = 64 << 10;

thread_local! {
    /// Allocators are slow to give memory at multiples of 64, and what was freed last lies in a
    /// cache of the processor.
    static SPARE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

impl AlignedBuf {
    /// A buffer of `len` bytes to be overwritten: what they are is not said. It holds at most a
    /// quarter and half a KiB more memory than that.
    #[must_use]
    pub fn unset(len: usize) -> Self {
        let need = len.div_ceil(64);
        let kept = SPARE.try_with(|spare| {
            let mut spare = spare.try_borrow_mut().ok()?;
            let fits = |v: &Vec<Line>| (need..=need + need / 4 + 8).contains(&v.capacity());
            spare.iter().rposition(fits).map(|i| spare.swap_remove(i))
        });
        let Ok(Some(mut lines)) = kept else { return Self::zeroed(len) };
        lines.resize(need, Line([0; 64]));
        Self { lines, len }
    }

    /// A buffer of `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }

    /// A buffer with a copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut out = Self::unset(bytes.len());
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

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if !(1..=KEPT_MAX / 64).contains(&self.lines.capacity()) {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        // What falls out is freed when nothing is borrowed any more, as it is where a thread ends.
        let _oldest = SPARE.try_with(|spare| {
            let Ok(mut spare) = spare.try_borrow_mut() else { return Some(lines) };
            let oldest = (spare.len() >= KEPT).then(|| spare.remove(0));
            spare.push(lines);
            oldest
        });
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
    fn a_buffer_is_used_again_for_one_of_about_its_length_and_for_no_other() {
        let mut used = AlignedBuf::zeroed(4000);
        used.fill(7);
        let at = used.as_ptr();
        drop(used);
        // Too small, and less than four fifths.
        let others = [4097, 2000].map(AlignedBuf::unset);
        assert!(others.iter().all(|other| other.as_ptr() != at));
        let again = AlignedBuf::unset(3800);
        assert_eq!((again.as_ptr(), again.len()), (at, 3800));
        assert!(AlignedBuf::zeroed(4000).iter().all(|b| *b == 0));
        let many: Vec<_> = (0..3 * KEPT).map(|_| AlignedBuf::zeroed(640)).collect();
        drop(many);
        SPARE.with(|spare| assert!(spare.borrow().len() <= KEPT));
        drop(AlignedBuf::zeroed(KEPT_MAX + 1));
        let largest = |v: &Vec<Vec<Line>>| v.iter().map(Vec::capacity).max();
        SPARE.with(|spare| assert!(largest(&spare.borrow()) <= Some(KEPT_MAX / 64)));
    }

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
