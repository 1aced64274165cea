//! What another program added to a sealed file of ours: seen by a reader, taken in by the next writer.

use super::frame::{Frame, read_frame, read_header};
use super::unchecked::{add_chunks, add_record};
use crate::backend::Backend;
use crate::error::Result;
use crate::frame::{ChunkPlace, HEADER_LEN, TOTALS_END, TOTALS_LEN, patch_totals};
use crate::index::layout::ChunkEntry;
use crate::index::slot::Seal;
use crate::store::options::ReadOptions;
use crate::store::read::newest_state::{Opened, State, load_sealed};
use crate::store::read::reader::OpenChunk;
use crate::store::write::seal::seal_is_intact;
use crate::wire::{U32, U64, to_usize};
use std::sync::Arc;

/// Whether the frame names something at `place`, where the offsets chunk of our seal was. Another
/// program writes from there on; we never do, we leave what was sealed as it is.
fn wrote_at(frame: &Frame, place: u64) -> bool {
    frame.header.cbytes == place
        || frame.places.iter().any(|p| matches!(p, ChunkPlace::At(at) if *at == place))
}

/// Whether the totals in the header are those of the seal, so that there is nothing else to look at.
fn says_seal(backend: &dyn Backend, seal: &Seal) -> bool {
    let mut first = [0; TOTALS_END];
    let [frame_len, nbytes, cbytes] = [seal.frame_len, seal.nbytes, seal.cbytes].map(U64::get);
    backend.read_at(0, &mut first).is_ok()
        && patch_totals(&first, frame_len, nbytes, cbytes)
            .is_ok_and(|totals| first.get(TOTALS_END - TOTALS_LEN..) == Some(&totals[..]))
}

/// A state that also sees what another program added to the sealed file. If it wrote over
/// commits that were not sealed, the state is that of the last seal.
pub(crate) fn adopt_if_extended(
    backend: &Arc<dyn Backend>,
    mut state: State,
    options: &ReadOptions,
) -> Result<State> {
    let seal = state.slot.seal;
    if says_seal(&**backend, &seal) {
        return Ok(state);
    }
    let Ok((header, _)) = read_header(&**backend) else { return Ok(state) };
    let now = [header.frame_len, header.nbytes, header.cbytes];
    if now == [seal.frame_len.get(), seal.nbytes.get(), seal.cbytes.get()] {
        return Ok(state);
    }
    if header.header_len != HEADER_LEN as u64 || seal_is_intact(&**backend, state.slot.file, &seal)?
    {
        // A seal whose last write is missing; the next writer repeats it.
        return Ok(state);
    }
    let Ok(frame) = read_frame(&**backend, header) else { return Ok(state) };
    if !wrote_at(&frame, seal.cbytes.get()) {
        // A seal of ours that damage keeps from being seen, newer or older than this one: nobody
        // else has written, and what it names is in our index, under checksums, or lost.
        return Ok(state);
    }
    let overwritten = state.slot.generation != seal.generation;
    if overwritten {
        let layout = state.layout.clone();
        state = load_sealed(backend, &state.slot, &layout, options)?;
    }
    let reader = &mut state.reader;
    let ours = to_usize(seal.nbytes.get() / reader.chunk_size).unwrap_or(usize::MAX);
    if frame.places.len() < ours || u64::from(frame.header.chunk_size) != reader.chunk_size {
        return Ok(state);
    }
    // The last, half-filled chunk of ours is closed: others follow it.
    if let Some(base) = state.root.base.take() {
        let first_sum = U32::new(u32::try_from(reader.memtable.sums.len()).unwrap_or(u32::MAX));
        reader.memtable.chunks.push(ChunkEntry { first_sum, ..base.entry });
        reader.memtable.sums.extend_from_slice(&base.sums);
    }
    reader.open = OpenChunk::default();
    reader.sealed = None;
    add_chunks(reader, &**backend, &frame, ours)?;
    reader.totals.cursor = reader.memtable.chunks_end() * reader.chunk_size;
    for (key, start, end) in frame.lookup.iter().flatten() {
        let known = match reader.find(key)? {
            Some(id) => {
                let e = reader.entry(id)?;
                e.start == *start && e.start + u64::from(e.len) == *end
            }
            None => false,
        };
        if !known {
            add_record(reader, key, *start, *end)?;
        }
    }
    state.slot.end = U64::new(state.slot.end.get().max(frame.header.frame_len));
    // What another program added may have any key.
    state.slot.key_bound = U64::new(0);
    // A loss is reported first.
    if state.opened == Opened::Intact {
        state.opened = Opened::Extended;
    }
    Ok(state)
}
