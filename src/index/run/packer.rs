//! Packing the entries of a run, one behind the other.

use super::entry::RunEntry;
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::wire::memory;

/// Packs entries in their order. Only the table stays in memory.
#[derive(Debug)]
pub struct Packer {
    shape: Shape,
    count: u32,
    /// Bits that do not fill a byte yet, and how many they are.
    held: u128,
    bits: u32,
    table: Vec<u8>,
    slots: u64,
}

impl Packer {
    /// For entries of this shape; how many they are need not be known.
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self { shape, count: 0, held: 0, bits: 0, table: Vec::new(), slots: 0 }
    }

    /// Appends an entry to `out`, but for bits that do not fill a byte yet. It must not stand
    /// before the one that was appended last, and its record must be one of the shape's.
    ///
    /// # Errors
    /// [`Error::Limit`] for the entry number 2^32, [`Error::OutOfMemory`].
    pub fn push(&mut self, entry: RunEntry, out: &mut Vec<u8>) -> Result<()> {
        debug_assert!(self.shape.records().contains(&entry.record()), "a record of the shape");
        self.fill_table(self.shape.slot(entry.hash()) + 1)?;
        self.count = self.count.checked_add(1).ok_or(Error::Limit {
            what: "entries of one run",
            asked: 1 << 32,
            max: u64::from(u32::MAX),
        })?;
        // At most 7 bits are held, and no entry has more than 88.
        self.held |= self.shape.pack(entry) << self.bits;
        self.bits += self.shape.entry_bits();
        let whole = self.bits / 8;
        let bytes = self.held.to_le_bytes();
        memory::append(out, bytes.get(..whole as usize).unwrap_or_default())?;
        self.held >>= whole * 8;
        self.bits %= 8;
        Ok(())
    }

    /// Appends what is left, and the table; the shape with the number of entries.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Shape> {
        let shape = self.shape.with_count(self.count.into());
        self.fill_table(shape.slots() + 1)?;
        let [last, ..] = self.held.to_le_bytes();
        let entries = shape.span(0..shape.count()).map_or(0, |span| span.end);
        if self.bits > 0 {
            memory::append(out, &[last])?;
        }
        let gap = entries.next_multiple_of(4) - entries;
        memory::append(out, [0; 4].get(..gap).unwrap_or_default())?;
        memory::append(out, &self.table)?;
        let table = entries.next_multiple_of(4) + self.table.len();
        let gap = table.next_multiple_of(8) - table;
        memory::append(out, [0; 8].get(..gap).unwrap_or_default())?;
        Ok(shape)
    }

    /// Notes the count so far as the first entry of every slot below `end`.
    fn fill_table(&mut self, end: u64) -> Result<()> {
        while self.slots < end {
            memory::append(&mut self.table, &self.count.to_le_bytes())?;
            self.slots += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::layout::SegmentHeader;
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    /// The body of a run behind its header, and its shape.
    fn packed(entries: &[RunEntry], expected: u64) -> (Vec<u8>, Shape) {
        let records = entries.iter().map(|e| e.record());
        let first = records.clone().min().unwrap_or(0);
        let shape = Shape::new(expected, first..=records.max().unwrap_or(0));
        let mut packer = Packer::new(shape);
        let mut out = vec![0; 64];
        entries.iter().for_each(|e| packer.push(*e, &mut out).unwrap());
        let shape = packer.finish(&mut out).unwrap();
        (out, shape)
    }

    /// All entries of a body, or nothing where it is no run.
    fn unpacked(body: &[u8], header: &SegmentHeader) -> Option<Vec<RunEntry>> {
        let shape = Shape::read(header, body.len())?;
        let number = |slot| {
            let at = shape.slot_at(slot)?;
            Some(u64::from(u32::from_le_bytes(body.get(at..)?.first_chunk().copied()?)))
        };
        let mut out = Vec::new();
        for slot in 0..shape.slots() {
            for i in number(slot)?..number(slot + 1)?.min(shape.count()) {
                let bytes = body.get(shape.span(i..i + 1)?)?;
                out.push(shape.unpack(bytes, i, i, slot)?);
            }
        }
        Some(out)
    }

    fn header(shape: &Shape) -> SegmentHeader {
        let mut header = SegmentHeader::zeroed();
        shape.write(&mut header);
        header
    }

    fn some_entries() -> impl Strategy<Value = Vec<RunEntry>> {
        let records = prop_oneof![0..5_u64, 1000..1500_u64, 0..(1_u64 << 47)];
        let hashes = prop_oneof![Just(u64::MAX), Just(0), any::<u64>()];
        let entry = (hashes, records, any::<bool>());
        proptest::collection::vec(entry, 0..200).prop_map(|entries| {
            let mut out: Vec<_> =
                entries.into_iter().map(|(h, r, d)| RunEntry::new(h, r, d)).collect();
            out.sort_unstable();
            out
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        #[test]
        fn what_was_packed_comes_back(entries in some_entries(), expected in 0..4000_u64) {
            let (body, shape) = packed(&entries, expected);
            prop_assert_eq!(shape.count(), entries.len() as u64);
            prop_assert_eq!(Shape::read(&header(&shape), body.len()), Some(shape));
            prop_assert_eq!(unpacked(&body, &header(&shape)), Some(entries.clone()));
            // Of several entries at once, too.
            for (i, e) in entries.iter().enumerate() {
                let (from, i) = ((i / 3 * 3) as u64, i as u64);
                let bytes = &body[shape.span(from..shape.count()).unwrap()];
                prop_assert_eq!(shape.unpack(bytes, from, i, shape.slot(e.hash())), Some(*e));
            }
        }

        #[test]
        fn runs_packed_apart_hold_what_one_holds(
            a in some_entries(),
            b in some_entries(),
        ) {
            let parts = [packed(&a, 8), packed(&b, 900)];
            let mut all: Vec<_> =
                parts.iter().flat_map(|(body, s)| unpacked(body, &header(s)).unwrap()).collect();
            all.sort_unstable();
            let mut expected = [a, b].concat();
            expected.sort_unstable();
            let (body, shape) = packed(&all, all.len() as u64);
            prop_assert_eq!(unpacked(&body, &header(&shape)), Some(expected));
        }

        #[test]
        fn changed_and_cut_bytes_never_panic(
            entries in some_entries(),
            flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..9),
            cut in any::<u16>(),
            head in any::<[u8; 64]>(),
        ) {
            let (mut body, shape) = packed(&entries, 300);
            for (at, bit) in flips {
                let at = usize::from(at) % body.len();
                body[at] ^= 1 << (bit % 8);
            }
            let _ = unpacked(&body, &header(&shape));
            let at = usize::from(cut) % body.len();
            prop_assert_eq!(unpacked(&body[..at], &header(&shape)), None);
            let _ = unpacked(&body, &bytemuck::cast(head));
        }
    }

    #[test]
    fn an_entry_takes_the_bits_that_it_needs() {
        let shape = Shape::new(10_000_000, 0..=9_999_999);
        // 20 of 40 bits of hash, 24 of record, the mark of a tombstone.
        assert_eq!(shape.entry_bits(), 45);
        assert_eq!(Shape::new(1, 7..=7).entry_bits(), 41);
        let most = Shape::new(1, 0..=(1 << 47) - 1);
        assert_eq!(most.entry_bits(), 88);
    }

    #[test]
    fn a_shape_that_does_not_fit_its_body_is_refused() {
        let entries: Vec<_> = (0..100).map(|i| RunEntry::new(i << 57, i, false)).collect();
        let (body, shape) = packed(&entries, 100);
        let good = header(&shape);
        assert!(Shape::read(&good, body.len()).is_some());
        assert!(Shape::read(&good, body.len() + 8).is_none());
        let with = |f: &dyn Fn(&mut SegmentHeader)| {
            let mut bad = good;
            f(&mut bad);
            Shape::read(&bad, body.len())
        };
        assert!(with(&|h| h.count = u64::MAX.into()).is_none());
        assert!(with(&|h| h.count = (1 << 61).into()).is_none());
        assert!(with(&|h| h.first_chunk = 33.into()).is_none(), "more than 32 bits of table");
        assert!(with(&|h| h.first_chunk = (48 << 8).into()).is_none(), "wider than a record");
        assert!(with(&|h| h.first_record = (1 << 47).into()).is_none());
        assert!(with(&|h| h.first_chunk = (good.first_chunk.get() | 1 << 16).into()).is_none());
    }
}
