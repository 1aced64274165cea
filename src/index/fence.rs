//! Fences: the first keys of the leaves whose keys ascend (see `docs/format.md`, «Fences»). A
//! key that lies between two fences is in the leaf of the first one, or in no such leaf; so those
//! leaves need no entries in runs.

use super::layout::{KEY_BYTES, KEY_I64, KEY_STR, KEY_U64};
use super::slot::ordered;
use crate::wire::{Cursor, U32, U64};
use std::sync::Arc;

/// Longest key that a fence has, in bytes. A leaf that begins with a longer one has none.
pub const FENCE_MAX: usize = 254;

/// Bytes before a list of fences: their number, and their length.
pub const LIST_HEAD: usize = 8;

/// A key in the order in which leaves follow each other: first by kind, then integers by
/// their value, text and bytes byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank<'a> {
    kind: u8,
    number: [u8; 8],
    bytes: &'a [u8],
}

impl<'a> Rank<'a> {
    /// The rank of a key; `None` for kinds that have no order, and numbers that are none.
    #[must_use]
    pub fn new(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        let number = match kind {
            KEY_STR | KEY_BYTES => return Some(Self { kind, number: [0; 8], bytes }),
            KEY_I64 => ordered(i64::from_le_bytes(bytes.try_into().ok()?)),
            KEY_U64 => u64::from_le_bytes(bytes.try_into().ok()?),
            _ => return None,
        };
        Some(Self { kind, number: number.to_be_bytes(), bytes: &[] })
    }

    /// The kind of the key.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    fn ordered(&self) -> (u8, &[u8]) {
        match self.kind {
            KEY_I64 | KEY_U64 => (self.kind, &self.number),
            _ => (self.kind, self.bytes),
        }
    }
}

impl PartialOrd for Rank<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ordered().cmp(&other.ordered())
    }
}

/// The first key of a leaf whose keys ascend, and the first record of that leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Kind, then the key so that its bytes are in the order of ranks.
    key: Arc<[u8]>,
    record: u64,
}

impl Fence {
    /// The fence of a leaf; `None` if its first key is too long for one.
    #[must_use]
    pub fn new(first: &Rank<'_>, record: u64) -> Option<Self> {
        let (kind, bytes) = first.ordered();
        let key = [&[kind], bytes].concat();
        (bytes.len() <= FENCE_MAX).then(|| Self { key: key.into(), record })
    }

    /// The first record of the leaf.
    #[must_use]
    pub const fn record(&self) -> u64 {
        self.record
    }

    /// The kind of the keys of the leaf.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.key.first().copied().unwrap_or(0)
    }

    /// Whether the leaf begins with a key that is not above `rank`.
    #[must_use]
    pub fn is_not_above(&self, rank: &Rank<'_>) -> bool {
        self.key.split_first().is_none_or(|(kind, bytes)| (*kind, bytes) <= rank.ordered())
    }

    /// Whether the fence stands before `other`.
    fn is_before(&self, other: &Self) -> bool {
        self.key < other.key && self.record < other.record
    }
}

/// The fence of the leaf that may hold a key of this rank: the last one that is not above it.
#[must_use]
pub fn find<'a>(fences: &'a [Fence], rank: &Rank<'_>) -> Option<&'a Fence> {
    let behind = fences.partition_point(|f| f.is_not_above(rank));
    fences.get(behind.checked_sub(1)?)
}

/// A list of fences as bytes.
#[must_use]
pub fn encode(fences: &[Fence]) -> Vec<u8> {
    let mut out = vec![0; LIST_HEAD];
    for fence in fences {
        out.extend_from_slice(bytemuck::bytes_of(&U64::new(fence.record)));
        out.push(u8::try_from(fence.key.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&fence.key);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let count = |n: usize| U32::new(u32::try_from(n).unwrap_or(u32::MAX));
    let head = [count(fences.len()), count(out.len() - LIST_HEAD)];
    if let Some(place) = out.get_mut(..LIST_HEAD) {
        place.copy_from_slice(bytemuck::bytes_of(&head));
    }
    out
}

/// Number of fences in a list and length of what follows, from its first bytes.
#[must_use]
pub fn head(bytes: [u8; LIST_HEAD]) -> (u32, u32) {
    let [count, len]: [U32; 2] = bytemuck::cast(bytes);
    (count.get(), len.get())
}

/// The fences of a list whose head says `count`, from what follows that; `None` if they are not
/// that many in ascending order.
#[must_use]
pub fn decode(count: u32, bytes: &[u8]) -> Option<Vec<Fence>> {
    let mut at = Cursor::new(bytes);
    let mut out: Vec<Fence> = Vec::new();
    for _ in 0..count {
        let record = at.u64_le()?;
        let len = at.u8()?;
        let key: Arc<[u8]> = at.take(len.into())?.into();
        let fence = Fence { key, record };
        if fence.key.is_empty() || out.last().is_some_and(|last| !last.is_before(&fence)) {
            return None;
        }
        out.push(fence);
    }
    (at.remaining() < 8).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::layout::{KEY_NONE, KEY_SHARED, key_bytes};
    use crate::key::Key;

    fn with_rank<R>(key: &Key, f: impl FnOnce(Rank<'_>) -> R) -> R {
        let mut scratch = [0; 8];
        let (kind, bytes) = key_bytes(key, &mut scratch).unwrap();
        f(Rank::new(kind, bytes).unwrap())
    }

    fn ascending() -> Vec<Key> {
        vec![
            Key::from(""),
            Key::from("a"),
            Key::from("a1"),
            Key::from("b"),
            Key::from("é"),
            Key::from(i64::MIN),
            Key::from(-256),
            Key::from(-1),
            Key::from(0),
            Key::from(255),
            Key::from(256),
            Key::from(i64::MAX),
            Key::from(1_u64 << 63),
            Key::from(u64::MAX),
            Key::from(vec![]),
            Key::from(vec![0]),
            Key::from(vec![255]),
        ]
    }

    fn fences(keys: &[Key]) -> Vec<Fence> {
        let numbered = keys.iter().zip((0..).step_by(10));
        numbered.map(|(key, n)| with_rank(key, |r| Fence::new(&r, n).unwrap())).collect()
    }

    #[test]
    fn ranks_and_fences_have_the_order_of_the_keys() {
        let keys = ascending();
        for pair in keys.windows(2) {
            with_rank(&pair[0], |a| with_rank(&pair[1], |b| assert!(a < b, "{pair:?}")));
        }
        let all = fences(&keys);
        assert!(all.is_sorted_by(Fence::is_before));
        assert_eq!(all.iter().map(Fence::kind).max(), Some(KEY_BYTES));
        for kind in [KEY_NONE, KEY_SHARED] {
            assert_eq!(Rank::new(kind, &[7; 8]), None);
        }
        assert_eq!(Rank::new(KEY_I64, &[7; 7]), None);
    }

    #[test]
    fn a_key_is_looked_for_behind_the_last_fence_that_is_not_above_it() {
        let keys = ascending();
        let every_third: Vec<_> = keys.iter().cloned().step_by(3).collect();
        let all = fences(&every_third);
        for (i, key) in keys.iter().enumerate() {
            let found = with_rank(key, |r| find(&all, &r).map(Fence::record));
            assert_eq!(found, Some(i as u64 / 3 * 10), "{key}");
        }
        let behind = fences(&keys[3..]);
        assert_eq!(with_rank(&keys[2], |r| find(&behind, &r).map(Fence::record)), None);
    }

    #[test]
    fn a_list_comes_back_and_one_that_is_out_of_order_does_not() {
        let all = fences(&ascending());
        let bytes = encode(&all);
        assert_eq!(bytes.len() % 8, 0);
        let (count, len) = head(*bytes.first_chunk().unwrap());
        let rest = &bytes[LIST_HEAD..];
        assert_eq!((count as usize, len as usize), (all.len(), rest.len()));
        assert_eq!(decode(count, rest), Some(all.clone()));
        assert_eq!(decode(count + 1, rest), None);
        assert_eq!(decode(count - 1, rest), None);
        assert_eq!(decode(u32::MAX, rest), None);
        for n in 0..rest.len() - 8 {
            assert_eq!(decode(count, &rest[..n]), None);
        }
        let mut swapped = all.clone();
        swapped.swap(3, 4);
        assert_eq!(decode(count, &encode(&swapped)[LIST_HEAD..]), None);
        let twice = [all[1].clone(), all[1].clone()];
        assert_eq!(decode(2, &encode(&twice)[LIST_HEAD..]), None);
        assert_eq!(decode(0, &encode(&[])[LIST_HEAD..]), Some(Vec::new()));
    }

    #[test]
    fn a_leaf_that_begins_with_a_long_key_has_no_fence() {
        let key = |n| Key::from("k".repeat(n));
        assert!(with_rank(&key(FENCE_MAX), |r| Fence::new(&r, 0)).is_some());
        assert!(with_rank(&key(FENCE_MAX + 1), |r| Fence::new(&r, 0)).is_none());
    }
}
