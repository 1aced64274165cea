//! Checking a whole store: every page of the index, every block, every reference. A damage never
//! ends the check: what else can be looked at is looked at, and what follows from a damage is
//! told with it.

mod index;
mod records;
mod report;

pub use report::{Affected, Damage, Effect, Verified};

pub(super) use report::Causes;

use super::core::{ChunkData, Core};
use super::foreign::frame_is_readable;
use super::root::Base;
use super::slots::Slots;
use super::snapshot::Snapshot;
use super::state::Opened;
use crate::error::{Error, Result};
use crate::wire::AlignedBuf;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is said of records whose bytes are damaged.
const UNREAD: &str = "cannot be read";
/// What is said of records to which no key leads.
const NOT_FOUND: &str = "cannot be found by key";

/// Whether an error says that bytes are damaged, and not that the system failed.
pub(super) fn is_damage(e: &Error) -> bool {
    // What there is no memory for may be read elsewhere.
    !matches!(e.root(), Error::Io { .. } | Error::OutOfMemory { .. } | Error::Interrupted)
}

impl Snapshot {
    /// Checks every byte that this state refers to: index pages, chunks, blocks, the place of
    /// every record and that every key leads to its record. Reads the whole file.
    ///
    /// `progress` is told the decoded bytes done and to do; its error ends the check.
    ///
    /// # Errors
    /// [`Error::Io`] and what `progress` answers; damage is no error here, it is in the answer.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64) -> Result<()>) -> Result<Verified> {
        let core = &self.inner().core;
        let mut out = Verified::default();
        let mut causes = Causes::default();
        if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = self.opened()
        {
            let why = format!("the newest commit cannot be read; checked is commit {generation}");
            let at = crate::frame::SLOT_OFFSETS[0];
            causes.cause(Damage::new("commit slot", Some(at), why));
        }
        if self.opened() != Opened::Unchecked {
            for offset in Slots::read(&**core.io.backend(), Some(core.io.file()))?.bad {
                let why = "one of its copies cannot be read";
                causes.cause(Damage::new("commit slot", Some(offset), why));
            }
        }
        let base = self.inner().base.as_ref();
        let bad = check_chunks(core, base, &mut out, &mut causes, &mut progress)?;
        index::check(core, &mut causes)?;
        let causes = self.check_records(core, &bad, &mut out, causes)?;
        out.damages = causes.into_list();
        out.frame = frame_is_readable(&**core.io.backend()).err().map(|e| e.to_string().into());
        Ok(out)
    }
}

/// Damaged blocks: by chunk, the logical bytes that they hold, and what is wrong.
#[derive(Default)]
struct BadBlocks(BTreeMap<u64, Vec<(u64, u64, usize)>>);

impl BadBlocks {
    /// The first damage inside these logical bytes.
    fn inside(&self, core: &Core, span: &std::ops::Range<u64>) -> Option<usize> {
        if span.is_empty() {
            return None;
        }
        let chunks = span.start / core.chunk_size..=(span.end - 1) / core.chunk_size;
        self.0
            .range(chunks)
            .flat_map(|(_, blocks)| blocks)
            .find(|(start, end, _)| *start < span.end && span.start < *end)
            .map(|(_, _, cause)| *cause)
    }
}

fn check_chunks(
    core: &Core,
    base: Option<&Base>,
    out: &mut Verified,
    causes: &mut Causes,
    progress: &mut impl FnMut(u64, u64) -> Result<()>,
) -> Result<BadBlocks> {
    let mut bad = BadBlocks::default();
    let chunks = core.tail.chunks_end();
    let chunks = chunks + u64::from(base.is_some());
    let total = chunks * core.chunk_size;
    let mut block = AlignedBuf::default();
    for number in 0..chunks {
        let start = number * core.chunk_size;
        let found = match base.filter(|_| number + 1 == chunks) {
            Some(base) => core
                .place_of(number, &base.entry, Some(base.sums.clone().into()))
                .map(|place| ChunkData::File(Arc::new(place))),
            None => core.chunk(number),
        };
        let place = match found {
            Ok(ChunkData::File(place)) => place,
            Ok(ChunkData::Memory(_)) => continue,
            Err(e) if is_damage(&e) => {
                let end = start + core.chunk_size;
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
            match core.decode(&place, i, &mut block) {
                Ok(()) => {}
                Err(e) if is_damage(&e) => {
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
