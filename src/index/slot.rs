//! The two commit slots: which state of the file is the newest (see `docs/format.md`, «Slot»).
//!
//! A slot is bytes until [`Slot::parse`] has compared its checksum; that alone does not make it
//! usable: `store` also checks what it refers to before it believes it.

use super::layout::SegmentRef;
use crate::wire::{U32, U64, checksum, identify};
use bytemuck::{Pod, Zeroable};

/// Bytes of a slot.
pub const SLOT_LEN: usize = 256;
/// Where the copies of a slot lie in its page: in different sectors, so that neither a torn write
/// nor a lost sector takes both.
pub const SLOT_COPIES: [usize; 2] = [0, 2048];
/// Bytes of a mark. One lies directly behind each copy: where a copy is left, so is its mark.
pub const MARK_LEN: usize = 16;
/// Bytes of a slot page that are in use.
pub const SLOT_PAGE: usize = SLOT_COPIES[1] + SLOT_LEN + MARK_LEN;
/// Start of a slot.
pub const SLOT_MAGIC: [u8; 8] = *b"VLslot\0\x01";

/// What a seal brought the frame to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct Seal {
    /// Length of the frame.
    pub frame_len: U64,
    /// Bytes of all chunks, decoded.
    pub nbytes: U64,
    /// Bytes from the end of the header to the offsets chunk.
    pub cbytes: U64,
    /// Checksum of the offsets chunk and the trailer.
    pub sum: U64,
    /// The commit that was sealed.
    pub generation: U64,
    /// Live records at that commit.
    pub records: U64,
    /// Whether `saved_lookup` names all of them: 1 or 0.
    pub lookup: U64,
    /// The root of that commit.
    pub root: SegmentRef,
}

/// The state of the file at one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct Slot {
    /// [`SLOT_MAGIC`].
    pub magic: [u8; 8],
    /// The file.
    pub file: [u8; 16],
    /// Number of the commit, counted from 1.
    pub generation: U64,
    /// First byte of the file that no committed state refers to.
    pub end: U64,
    /// The root; all zero if there is none yet.
    pub root: SegmentRef,
    /// Where the log starts.
    pub log: U64,
    /// Bytes of the log.
    pub log_len: U64,
    /// Live records.
    pub records: U64,
    /// The newest seal.
    pub seal: Seal,
    /// Bytes that earlier seals left behind.
    pub seal_garbage: U64,
    /// What the frame header said before the newest seal: length, nbytes, cbytes.
    pub before: [U64; 3],
    /// Records that this commit knows, deleted ones included.
    pub total: U64,
    /// Every whole-number key below 2^63 that was ever put is less, as [`ordered`] counts them;
    /// 0 if that is not known.
    pub key_bound: U64,
    /// 0.
    pub spare: [U64; 3],
    /// 1 if the writer closed the file after this commit.
    pub closed: U32,
    /// 0.
    pub reserved: U32,
    /// Checksum of all before, tied to file and generation.
    pub sum: U64,
}

const _: () = assert!(size_of::<Slot>() == SLOT_LEN);

/// A key of 64 bits with a sign, as a number of the same order without one.
#[must_use]
pub const fn ordered(key: i64) -> u64 {
    key.cast_unsigned() ^ (1 << 63)
}

impl Slot {
    /// Whether no record can have this key, because every one that was put is less.
    #[must_use]
    pub fn is_above_all(&self, key: i64) -> bool {
        let bound = self.key_bound.get();
        bound != 0 && ordered(key) >= bound
    }

    /// Notes that a record was put under this key.
    pub fn raise_bound(&mut self, key: i64) {
        if self.is_above_all(key) {
            // Behind the greatest of all there is no bound left, and 0 says so.
            self.key_bound = U64::new(ordered(key).wrapping_add(1));
        }
    }

    /// The slot as bytes, its checksum filled in.
    #[must_use]
    pub fn encode(mut self) -> [u8; SLOT_LEN] {
        self.magic = SLOT_MAGIC;
        self.sum = U64::new(self.right_sum());
        bytemuck::cast(self)
    }

    /// The slot in `bytes`, if its checksum is right and it belongs to `file`.
    #[must_use]
    pub fn parse(bytes: &[u8], file: [u8; 16]) -> Option<Self> {
        let slot: Self = bytemuck::try_pod_read_unaligned(bytes.get(..SLOT_LEN)?).ok()?;
        let right =
            slot.magic == SLOT_MAGIC && slot.file == file && slot.sum.get() == slot.right_sum();
        right.then_some(slot)
    }

    /// The checksum of all before it, whatever is stated.
    #[must_use]
    pub fn right_sum(&self) -> u64 {
        let bytes = bytemuck::bytes_of(self);
        let summed = bytes.get(..SLOT_LEN - 8).unwrap_or_default();
        checksum(summed) ^ identify(self.file, self.generation.get(), 0)
    }
}

/// Says in one slot page which generation was published last when it was written: of the slot
/// before its own, and, as soon as the slot in the other page is in the file, of that one. So who
/// finds the other page lost or gone back to older bytes knows what it held.
#[derive(Debug, Clone, Copy)]
pub struct Mark;

impl Mark {
    /// The mark that `generation` was published.
    #[must_use]
    pub fn encode(file: [u8; 16], generation: u64) -> [u8; MARK_LEN] {
        bytemuck::cast([U64::new(generation), U64::new(Self::sum(file, generation))])
    }

    /// The generation that the mark in `bytes` names, if its checksum is right.
    #[must_use]
    pub fn parse(bytes: &[u8], file: [u8; 16]) -> Option<u64> {
        let words: [U64; 2] = bytemuck::try_pod_read_unaligned(bytes.get(..MARK_LEN)?).ok()?;
        let [generation, sum] = words.map(U64::get);
        (sum == Self::sum(file, generation)).then_some(generation)
    }

    fn sum(file: [u8; 16], generation: u64) -> u64 {
        checksum(&generation.to_le_bytes()) ^ identify(file, generation, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_lies_above_every_key_that_was_put_or_is_unknown() {
        let mut slot = Slot { key_bound: U64::new(1), ..Slot::default() };
        assert!(slot.is_above_all(i64::MIN + 1) && !slot.is_above_all(i64::MIN));
        for key in [-5, 7, 3] {
            slot.raise_bound(key);
        }
        assert!(!slot.is_above_all(-5) && !slot.is_above_all(7) && slot.is_above_all(8));
        slot.raise_bound(i64::MAX);
        assert_eq!(slot.key_bound.get(), 0);
        assert!(!slot.is_above_all(i64::MAX));
        slot.raise_bound(1);
        assert!(!slot.is_above_all(2), "an unknown bound stays unknown");
    }

    #[test]
    fn a_slot_comes_back_and_every_changed_bit_is_noticed() {
        let slot = Slot { file: [3; 16], generation: U64::new(9), ..Slot::default() };
        let good = slot.encode();
        assert_eq!(Slot::parse(&good, [3; 16]).unwrap().generation.get(), 9);
        assert!(Slot::parse(&good, [4; 16]).is_none());
        for bit in 0..SLOT_LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Slot::parse(&bad, [3; 16]).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_mark_comes_back_and_every_changed_bit_is_noticed() {
        let good = Mark::encode([3; 16], 9);
        assert_eq!(Mark::parse(&good, [3; 16]), Some(9));
        assert_eq!(Mark::parse(&good, [4; 16]), None);
        assert_eq!(Mark::parse(&[0; MARK_LEN], [3; 16]), None);
        for bit in 0..MARK_LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::parse(&bad, [3; 16]), None, "bit {bit}");
        }
    }
}
