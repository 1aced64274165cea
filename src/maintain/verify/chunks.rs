//! Checking chunks: that each block of each can be decoded.

use super::report::{Causes, Damage, Verified};
use crate::error::Result;
use crate::store::index::root::Base;
use crate::store::read::chunk_locations::Located;
use crate::store::read::reader::{ChunkData, Reader};
use crate::wire::AlignedBuf;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Damaged blocks: by chunk, the logical bytes that they hold, and what is wrong.
#[derive(Default)]
pub(crate) struct BadBlocks(BTreeMap<u64, Vec<(u64, u64, usize)>>);

impl BadBlocks {
    /// The first damage inside these logical bytes.
    pub(crate) fn inside(&self, reader: &Reader, span: &std::ops::Range<u64>) -> Option<usize> {
        if span.is_empty() {
            return None;
        }
        let chunks = span.start / reader.chunk_size..=(span.end - 1) / reader.chunk_size;
        self.0
            .range(chunks)
            .flat_map(|(_, blocks)| blocks)
            .find(|(start, end, _)| *start < span.end && span.start < *end)
            .map(|(_, _, cause)| *cause)
    }
}

pub(crate) fn check_chunks(
    reader: &Reader,
    base: Option<&Base>,
    out: &mut Verified,
    causes: &mut Causes,
    progress: &mut impl FnMut(u64, u64) -> Result<()>,
) -> Result<BadBlocks> {
    let mut bad = BadBlocks::default();
    let chunks = reader.memtable.chunks_end();
    let chunks = chunks + u64::from(base.is_some());
    let total = chunks * reader.chunk_size;
    let mut block = AlignedBuf::default();
    for number in 0..chunks {
        let start = number * reader.chunk_size;
        let found = match base.filter(|_| number + 1 == chunks) {
            Some(base) => reader
                .place_of(number, &base.entry, Some(base.sums.clone().into()))
                .map(|place| ChunkData::File(Located::Shared(Arc::new(place)))),
            None => reader.chunk(number),
        };
        let place = match found {
            Ok(ChunkData::File(place)) => place,
            Ok(ChunkData::Memory(_)) => continue,
            Err(e) if e.is_damage() => {
                let end = start + reader.chunk_size;
                let cause = causes.cause(Damage::of(&e));
                bad.0.entry(number).or_default().push((start, end, cause));
                continue;
            }
            Err(e) => return Err(e),
        };
        let mut at = start;
        for i in 0..place.layout.blocks() {
            let len = place.layout.block_len(i);
            block.resize(len as usize)?;
            match reader.decode(&place, i, &mut block) {
                Ok(()) => {}
                Err(e) if e.is_damage() => {
                    let end = at + u64::from(len);
                    let cause = causes.cause(Damage::of(&e));
                    bad.0.entry(number).or_default().push((at, end, cause));
                }
                Err(e) => return Err(e),
            }
            at += u64::from(len);
            out.blocks += 1;
            out.bytes += u64::from(len);
            out.unchecked += u64::from(place.sums.is_none());
        }
        progress(at.min(total), total)?;
    }
    Ok(bad)
}
