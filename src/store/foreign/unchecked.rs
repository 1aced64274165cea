//! Chunks and records of other programs in the index of a state: without checksums.

use super::frame::Frame;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::frame::ChunkPlace;
use crate::index::key_hash::key_hash;
use crate::index::layout::{ChunkEntry, key_bytes};
use crate::index::log::DeadEntry;
use crate::key::Key;
use crate::store::index::memtable::Unchecked;
use crate::store::read::find_chunk::special_layout;
use crate::store::read::reader::Reader;
use crate::wire::{U32, memory};

/// The index entry of a chunk without checksums.
fn unchecked(backend: &dyn Backend, offset: u64) -> Result<ChunkEntry> {
    let mut head = [0; 16];
    if offset + 16 > backend.len()? {
        return Err(Error::corrupt("chunk", offset, "lies outside the file; it was cut short"));
    }
    backend.read_at(offset, &mut head)?;
    let [.., a, b, c, d] = head;
    Ok(ChunkEntry {
        offset: offset.into(),
        cbytes: U32::new(u32::from_le_bytes([a, b, c, d])),
        ..bytemuck::Zeroable::zeroed()
    })
}

/// Adds the chunks of a frame, from number `skip` on, to the memtable of `reader`.
pub(crate) fn add_chunks(
    reader: &mut Reader,
    backend: &dyn Backend,
    frame: &Frame,
    skip: usize,
) -> Result<()> {
    memory::reserve(&mut reader.memtable.chunks, frame.places.len().saturating_sub(skip))?;
    for place in frame.places.iter().skip(skip) {
        let kind = match place {
            ChunkPlace::At(offset) => {
                let entry = unchecked(backend, frame.header.header_len + offset)?;
                reader.memtable.push_unchecked(entry, Unchecked::Stored);
                continue;
            }
            ChunkPlace::Zeros => Unchecked::Zeros,
            // Numbers of 8 bytes if the frame says so, else of 4, as python-blosc2 makes them.
            ChunkPlace::Nans if frame.header.typesize == 8 => Unchecked::Nans8,
            ChunkPlace::Nans => Unchecked::Nans4,
        };
        special_layout(kind, reader.chunk_size)?;
        reader.memtable.push_unchecked(bytemuck::Zeroable::zeroed(), kind);
    }
    Ok(())
}

pub(crate) fn add_record(reader: &mut Reader, key: &Key, start: u64, end: u64) -> Result<()> {
    let mut scratch = [0; 8];
    let (kind, bytes) = key_bytes(key, &mut scratch)
        .ok_or_else(|| Error::invalid("key", "is outside the range of keys"))?;
    let hash = key_hash(kind, bytes);
    if let Some(old) = reader.find_bytes(kind, bytes, hash)? {
        let len = reader.entry(old)?.len;
        let dead = DeadEntry {
            hash: hash.into(),
            record: old.into(),
            len: len.into(),
            ..bytemuck::Zeroable::zeroed()
        };
        reader.memtable.kill(dead);
        reader.totals.dead_records += 1;
        reader.totals.dead_bytes += u64::from(len);
    }
    let len = u32::try_from(end - start).map_err(|_| {
        Error::Limit { what: "record", asked: end - start, max: u64::from(u32::MAX) }.of_record(key)
    })?;
    reader.totals.record_bytes += u64::from(len);
    reader.memtable.push(start, len, 0, Some((kind, bytes, hash)), None)
}
