//! Entries of the log: what one commit adds, in one self-checking piece of bytes (see
//! `docs/format.md`, «Log entry»).

use super::layout::{ChunkEntry, LOG_MAGIC, LogHeader, PieceEntry, RecordEntry};
use crate::wire::{U32, U64, checksum, identify, to_usize};
use bytemuck::{AnyBitPattern, Pod, Zeroable};

/// A record that a commit deletes: the hash of its key, 0 without one, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DeadEntry {
    /// Hash of the key.
    pub hash: U64,
    /// The record.
    pub record: U64,
    /// Its length in bytes; 0 if it is shared.
    pub len: U32,
    /// 1 if it is a shared record that this entry brings, 0 if it is deleted.
    pub shared: U32,
}

/// What one commit adds. Built by the writer; a reader gets the same parts back.
#[derive(Debug, Default)]
pub struct LogContent<'a> {
    /// The commit.
    pub generation: u64,
    /// First of the records.
    pub first_record: u64,
    /// First of the chunks.
    pub first_chunk: u64,
    /// End of the last record in the logical byte space.
    pub cursor: u64,
    /// Block size of the open chunk, 0 if none is open.
    pub open_block: u32,
    /// New records; their key places count from the start of `keys`.
    pub records: &'a [RecordEntry],
    /// New finished chunks; their first checksums count from the start of `sums`.
    pub chunks: &'a [ChunkEntry],
    /// Checksums of the blocks of those chunks.
    pub sums: &'a [U64],
    /// Deleted records.
    pub dead: &'a [DeadEntry],
    /// Keys of the new records.
    pub keys: &'a [u8],
    /// The attributes, if they changed.
    pub attributes: Option<&'a [u8]>,
    /// Added bytes of the open chunk: start and length in the chunk, and a Blosc2 chunk.
    pub pieces: Vec<(u32, u32, &'a [u8])>,
    /// Rows of the records, one behind the other; none if no record was put with one.
    pub rows: &'a [U64],
}

const SUM_AT: usize = 8;
const SUMMED: usize = 16;

fn count(n: usize) -> Option<U32> {
    u32::try_from(n).ok().map(U32::new)
}

impl LogContent<'_> {
    /// The entry as it is written at `offset` of the file; `None` if a part has more than
    /// 2^32 entries.
    #[must_use]
    pub fn encode(&self, file: [u8; 16], offset: u64) -> Option<Vec<u8>> {
        let attributes = self.attributes.map_or(Some(0), |a| a.len().checked_add(1))?;
        let mut header = LogHeader {
            magic: LOG_MAGIC,
            generation: self.generation.into(),
            first_record: self.first_record.into(),
            first_chunk: self.first_chunk.into(),
            cursor: self.cursor.into(),
            records: count(self.records.len())?,
            chunks: count(self.chunks.len())?,
            sums: count(self.sums.len())?,
            dead: count(self.dead.len())?,
            pieces: count(self.pieces.len())?,
            keys_len: count(self.keys.len())?,
            attributes: count(attributes)?,
            open_block: self.open_block.into(),
            ..LogHeader::zeroed()
        };
        let mut out = bytemuck::bytes_of(&header).to_vec();
        out.extend_from_slice(bytemuck::cast_slice(self.records));
        out.extend_from_slice(bytemuck::cast_slice(self.chunks));
        out.extend_from_slice(bytemuck::cast_slice(self.sums));
        out.extend_from_slice(bytemuck::cast_slice(self.dead));
        for (start, len, bytes) in &self.pieces {
            let piece = PieceEntry {
                start: U32::new(*start),
                len: U32::new(*len),
                stored: count(bytes.len())?,
                ..PieceEntry::zeroed()
            };
            out.extend_from_slice(bytemuck::bytes_of(&piece));
        }
        out.extend_from_slice(self.keys);
        out.extend_from_slice(self.attributes.unwrap_or_default());
        out.resize(out.len().next_multiple_of(8), 0);
        for (_, _, bytes) in &self.pieces {
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(8), 0);
        }
        out.extend_from_slice(bytemuck::cast_slice(self.rows));
        header.len = U64::new(out.len() as u64);
        out.get_mut(..size_of::<LogHeader>())?.copy_from_slice(bytemuck::bytes_of(&header));
        let sum = checksum(out.get(SUMMED..)?) ^ identify(file, self.generation, offset);
        out.get_mut(SUM_AT..SUMMED)?.copy_from_slice(&sum.to_le_bytes());
        Some(out)
    }
}

/// Takes `count` structures from the front of `rest`.
fn split<'a, T: AnyBitPattern>(rest: &mut &'a [u8], count: U32) -> Option<&'a [T]> {
    let len = to_usize(u64::from(count.get()))?.checked_mul(size_of::<T>())?;
    let (now, later) = rest.split_at_checked(len)?;
    *rest = later;
    bytemuck::try_cast_slice(now).ok()
}

/// Parses the entry at the front of `log`, which lies at `offset` of the file, and gives its
/// length; `None` if it is not whole.
#[must_use]
pub fn decode(log: &[u8], file: [u8; 16], offset: u64) -> Option<(LogContent<'_>, usize)> {
    let header: LogHeader =
        bytemuck::try_pod_read_unaligned(log.get(..size_of::<LogHeader>())?).ok()?;
    let len = to_usize(header.len.get())?;
    let entry = log.get(..len)?;
    let sum = checksum(entry.get(SUMMED..)?) ^ identify(file, header.generation.get(), offset);
    if header.magic != LOG_MAGIC || header.sum.get() != sum {
        return None;
    }
    let mut rest = entry.get(size_of::<LogHeader>()..)?;
    let records: &[RecordEntry] = split(&mut rest, header.records)?;
    let chunks = split(&mut rest, header.chunks)?;
    let sums = split(&mut rest, header.sums)?;
    let dead = split(&mut rest, header.dead)?;
    let table: &[PieceEntry] = split(&mut rest, header.pieces)?;
    let keys = split(&mut rest, header.keys_len)?;
    let attributes = match header.attributes.get().checked_sub(1) {
        Some(n) => Some(split::<u8>(&mut rest, U32::new(n))?),
        None => None,
    };
    let mut at = (len - rest.len()).next_multiple_of(8);
    let mut pieces = Vec::new();
    for piece in table {
        let stored = to_usize(u64::from(piece.stored.get()))?;
        let bytes = entry.get(at..at.checked_add(stored)?)?;
        pieces.push((piece.start.get(), piece.len.get(), bytes));
        at = at.checked_add(stored)?.next_multiple_of(8);
    }
    // What is left are rows, of equal length: how long, the configuration says.
    let rows: &[U64] = bytemuck::try_cast_slice(entry.get(at..)?).ok()?;
    let even = rows.is_empty() || rows.len().checked_rem(records.len()) == Some(0);
    let content = LogContent {
        generation: header.generation.get(),
        first_record: header.first_record.get(),
        first_chunk: header.first_chunk.get(),
        cursor: header.cursor.get(),
        open_block: header.open_block.get(),
        records,
        chunks,
        sums,
        dead,
        keys,
        attributes,
        pieces,
        rows,
    };
    even.then_some((content, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        LogContent {
            generation: 5,
            first_record: 7,
            cursor: 99,
            records: &[RecordEntry::zeroed(); 2],
            chunks: &[ChunkEntry::zeroed()],
            sums: &[U64::new(3)],
            dead: &[DeadEntry {
                hash: U64::new(1),
                record: U64::new(2),
                len: U32::new(3),
                shared: U32::new(0),
            }],
            keys: b"abc",
            attributes: Some(b""),
            pieces: vec![(0, 10, b"piece one"), (10, 4, b"p2")],
            rows: &[U64::new(8), U64::new(9), U64::new(10), U64::new(11)],
            ..LogContent::default()
        }
        .encode([1; 16], 640)
        .unwrap()
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let bytes = sample();
        let (e, len) = decode(&bytes, [1; 16], 640).unwrap();
        assert_eq!((len, e.generation, e.first_record, e.cursor), (bytes.len(), 5, 7, 99));
        assert_eq!(
            (e.records.len(), e.chunks.len(), e.sums, e.keys),
            (2, 1, &[U64::new(3)][..], &b"abc"[..])
        );
        assert_eq!(e.attributes, Some(&b""[..]));
        assert_eq!(e.pieces, vec![(0, 10, &b"piece one"[..]), (10, 4, &b"p2"[..])]);
        assert_eq!(e.rows.iter().map(|w| w.get()).collect::<Vec<_>>(), [8, 9, 10, 11]);
    }

    #[test]
    fn every_changed_bit_every_cut_and_every_other_place_is_noticed() {
        let good = sample();
        for bit in (0..good.len() * 8).step_by(if cfg!(miri) { 53 } else { 1 }) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad, [1; 16], 640).is_none(), "bit {bit}");
        }
        for cut in (0..good.len()).step_by(if cfg!(miri) { 7 } else { 1 }) {
            assert!(decode(&good[..cut], [1; 16], 640).is_none(), "cut {cut}");
        }
        assert!(decode(&good, [2; 16], 640).is_none());
        assert!(decode(&good, [1; 16], 704).is_none());
    }
}
