//! Memory that starts at a multiple of 64, without unsafe code, and that is asked for, not taken.
//!
//! The memory comes from the allocator at any address and is used from its first multiple of 64 on.
//! An allocator that is asked for such an address takes more than it needs, gives back both ends, and
//! cannot use again for the next buffer what it has for this one: rewriting a store of 2 GB grew to
//! as much memory.

use super::{memory, pages};
use crate::error::Result;
use memmap2::MmapMut;
use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// What the address is a multiple of.
const LINE: usize = 64;

/// Bytes whose first one lies at a multiple of 64 in memory, so that arrays in a record that
/// starts at a multiple of 8 can be viewed where they are.
///
/// How many there are is often decided by a file, so memory that is not there is an error, never the
/// end of the process.
#[derive(Default)]
pub struct AlignedBuf {
    memory: Memory,
    /// Where in `memory` the bytes start.
    at: usize,
    len: usize,
}

/// Where the bytes are.
enum Memory {
    /// From the allocator; as long as what is in use of it.
    Heap(Vec<u8>),
    /// From the system, [`pages::LARGE`] or more.
    Pages(MmapMut),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Heap(memory) => memory,
            Self::Pages(memory) => memory,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(memory) => memory,
            Self::Pages(memory) => memory,
        }
    }

    /// Bytes that there is memory for.
    fn room(&self) -> usize {
        match self {
            Self::Heap(memory) => memory.capacity(),
            Self::Pages(memory) => memory.len(),
        }
    }
}

/// Buffers that each thread keeps for the next one, their bytes, and the largest of them: most blocks
/// and records are as long as that, or shorter.
const KEPT: usize = 4;
const KEPT_BYTES: usize = 4 << 20;
const KEPT_MAX: usize = 5 << 18;

thread_local! {
    /// What was freed last lies in a cache of the processor.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl AlignedBuf {
    /// A buffer of `len` bytes to be overwritten: what they are is not said. It holds at most a
    /// quarter and half a KiB more memory than that.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn unset(len: usize) -> Result<Self> {
        if len > KEPT_MAX {
            return Self::zeroed(len);
        }
        let need = len + LINE;
        let kept = SPARE.try_with(|spare| {
            let mut spare = spare.try_borrow_mut().ok()?;
            let fits = |v: &Vec<u8>| (need..=need + need / 4 + 448).contains(&v.capacity());
            spare.iter().rposition(fits).map(|i| spare.swap_remove(i))
        });
        let Ok(Some(mut memory)) = kept else { return Self::zeroed(len) };
        let at = start(&memory);
        memory.resize(at + len, 0);
        Ok(Self { memory: Memory::Heap(memory), at, len })
    }

    /// A buffer of `len` zero bytes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn zeroed(len: usize) -> Result<Self> {
        if len == 0 {
            return Ok(Self::default());
        }
        Self::with_room(len, len)
    }

    /// As [`Self::zeroed`], for memory that is kept and used again and again: from 2 MiB on it comes from the system
    /// in large pages, where there are any. A small page is a fault, which costs as much as what is
    /// written to it, and far more on a machine whose memory is another's.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn lasting(len: usize) -> Result<Self> {
        if len < pages::LARGE_PAGE {
            return Self::zeroed(len);
        }
        Ok(Self { memory: Memory::Pages(pages::zeroed(len)?), at: 0, len })
    }

    /// As [`Self::zeroed`], with memory for `room` bytes if there is so much.
    fn with_room(len: usize, room: usize) -> Result<Self> {
        if len >= pages::LARGE {
            let memory = pages::zeroed(room).or_else(|_| pages::zeroed(len))?;
            return Ok(Self { memory: Memory::Pages(memory), at: 0, len });
        }
        let taken = memory::with_room(room.saturating_add(LINE))
            .or_else(|_| memory::with_room(len.saturating_add(LINE)));
        let mut memory: Vec<u8> = taken.map_err(|_| memory::out_of_memory(len))?;
        let at = start(&memory);
        memory.resize(at + len, 0);
        Ok(Self { memory: Memory::Heap(memory), at, len })
    }

    /// A buffer with a copy of `bytes`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        let mut out = Self::unset(bytes.len())?;
        out.copy_from_slice(bytes);
        Ok(out)
    }

    /// Shortens or lengthens to `len` bytes; new bytes are zero.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory); then nothing has changed.
    pub fn resize(&mut self, len: usize) -> Result<()> {
        if len > self.memory.room().saturating_sub(self.at) {
            // Twice as much where it grows again and again, so that the copying stays in proportion.
            let mut larger = Self::with_room(len, len.max(self.len.saturating_mul(2)))?;
            if let Some(old) = larger.get_mut(..self.len) {
                old.copy_from_slice(self);
            }
            *self = larger;
            return Ok(());
        }
        // What lies behind the old length is not known to be zero.
        let kept = self.at + self.len.min(len);
        match &mut self.memory {
            Memory::Heap(memory) => {
                memory.truncate(kept);
                memory.resize(self.at + len, 0);
            }
            Memory::Pages(memory) => {
                memory.get_mut(kept..self.at + len).unwrap_or_default().fill(0);
            }
        }
        self.len = len;
        Ok(())
    }
}

/// The first place in `memory` whose address is a multiple of 64.
fn start(memory: &[u8]) -> usize {
    memory.as_ptr().addr().wrapping_neg() % LINE
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        let Memory::Heap(memory) = std::mem::take(&mut self.memory) else { return };
        if !(1..=KEPT_MAX + LINE).contains(&memory.capacity()) {
            return;
        }
        // What falls out is freed when nothing is borrowed any more, as it is where a thread ends.
        let _oldest = SPARE.try_with(|spare| {
            let Ok(mut spare) = spare.try_borrow_mut() else { return vec![memory] };
            spare.push(memory);
            let bytes: usize = spare.iter().map(Vec::capacity).sum();
            let mut over = bytes.saturating_sub(KEPT_BYTES);
            let many = spare.len().saturating_sub(KEPT);
            let more = spare.iter().take_while(|v| {
                let falls_out = over > 0;
                over = over.saturating_sub(v.capacity());
                falls_out
            });
            let n = more.count().max(many);
            spare.drain(..n).collect()
        });
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        if self.len == 0 {
            // Nothing also lies at a multiple, of 8, for who views it as numbers.
            let nothing: &[u64] = &[];
            return bytemuck::cast_slice(nothing);
        }
        self.memory.bytes().get(self.at..self.at + self.len).unwrap_or_default()
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut().get_mut(self.at..self.at + self.len).unwrap_or_default()
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
    use crate::error::Error;

    #[test]
    fn a_buffer_is_used_again_for_one_of_about_its_length_and_for_no_other() {
        let mut used = AlignedBuf::zeroed(4000).unwrap();
        used.fill(7);
        let at = used.as_ptr();
        drop(used);
        // Too small, and less than four fifths.
        let others = [4097, 2000].map(|len| AlignedBuf::unset(len).unwrap());
        assert!(others.iter().all(|other| other.as_ptr() != at));
        let again = AlignedBuf::unset(3800).unwrap();
        assert_eq!((again.as_ptr(), again.len()), (at, 3800));
        assert!(AlignedBuf::zeroed(4000).unwrap().iter().all(|b| *b == 0));
        let many: Vec<_> = (0..3 * KEPT).map(|_| AlignedBuf::zeroed(640).unwrap()).collect();
        drop(many);
        SPARE.with(|spare| assert!(spare.borrow().len() <= KEPT));
        drop(AlignedBuf::zeroed(KEPT_MAX + 1).unwrap());
        let largest = |v: &Vec<Vec<u8>>| v.iter().map(Vec::capacity).max();
        SPARE.with(|spare| assert!(largest(&spare.borrow()) <= Some(KEPT_MAX + LINE)));
        let large: Vec<_> = (0..KEPT).map(|_| AlignedBuf::zeroed(KEPT_MAX).unwrap()).collect();
        let newest = large[KEPT - 1].as_ptr();
        drop(large);
        let bytes = |v: &Vec<Vec<u8>>| v.iter().map(Vec::capacity).sum::<usize>();
        SPARE.with(|spare| assert!((1..=KEPT_BYTES).contains(&bytes(&spare.borrow()))));
        assert_eq!(AlignedBuf::unset(KEPT_MAX).unwrap().as_ptr(), newest);
    }

    #[test]
    fn bytes_start_at_a_multiple_of_64_and_grow_with_zeros() {
        for len in [1, 70, 640, 4000, 270_000, 1 << 20, pages::LARGE_PAGE, pages::LARGE] {
            for make in [AlignedBuf::zeroed, AlignedBuf::unset, AlignedBuf::lasting] {
                let b = make(len).unwrap();
                assert_eq!((b.as_ptr().addr() % 64, b.len()), (0, len));
            }
        }
        let mut b = AlignedBuf::copy_of(&[9; 70]).unwrap();
        b.resize(60).unwrap();
        b.resize(130).unwrap();
        assert_eq!(b.as_ptr().addr() % 64, 0);
        assert_eq!(&b[..60], &[9; 60]);
        assert_eq!(&b[60..], &[0; 70]);
        assert_eq!(AlignedBuf::default().as_ptr().addr() % 8, 0);
        let large = pages::LARGE;
        let mut b = AlignedBuf::zeroed(large - 10).unwrap();
        b.fill(9);
        for len in [large, large - 20, large + 10, 3 * large] {
            b.resize(len).unwrap();
        }
        let nines = b.iter().take_while(|byte| **byte == 9).count();
        assert_eq!((b.len(), nines), (3 * large, large - 20));
        assert!(b[nines..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn more_than_there_is_is_an_error_and_changes_nothing() {
        let mut b = AlignedBuf::copy_of(&[9; 70]).unwrap();
        for len in [usize::MAX, usize::MAX / 2, usize::MAX / 2 - LINE, 1 << 60] {
            let asked = len as u64;
            let refused = |e: Error| matches!(e, Error::OutOfMemory { asked: n } if n == asked);
            assert!(refused(AlignedBuf::zeroed(len).unwrap_err()));
            assert!(refused(AlignedBuf::unset(len).unwrap_err()));
            assert!(refused(b.resize(len).unwrap_err()));
        }
        assert_eq!(*b, [9; 70]);
    }
}
