//! Writing the index: leaves, runs and roots from what the writer holds in memory.

use super::io::Io;
use super::perm::{DeadRun, Lazy, PAGE_LEAVES, PageRef, Perm};
use super::rows::encode_rows;
use super::runs::{self, to_merge};
use super::space::{Space, header, write_segment};
use super::tail::Tail;
use crate::chunk::Params;
use crate::error::{Error, Result};
use crate::index::layout::{DEAD_MAGIC, LEAF_MAGIC, LeafRef, PAGE_MAGIC, RunEntry, RunRef};
use crate::wire::{U32, U64, memory};

/// Moves everything in `tail` into a leaf and runs of `perm`. Nothing refers to them until a
/// root does.
pub(super) fn flush(
    io: &Io,
    space: &mut Space,
    perm: &mut Perm,
    tail: &mut Tail,
    generation: u64,
    row_params: Params,
) -> Result<()> {
    let count = |n: usize| {
        u32::try_from(n).map(U32::new).map_err(|_| Error::Limit {
            what: "entries of one leaf",
            asked: n as u64,
            max: u64::from(u32::MAX),
        })
    };
    if !tail.records.is_empty() || !tail.chunks.is_empty() {
        let mut head = header(LEAF_MAGIC, generation, tail.records.len());
        head.first_record = tail.first_record.into();
        head.first_chunk = tail.first_chunk.into();
        let mut rest: Vec<u8> = memory::copied(bytemuck::cast_slice(&tail.records))?;
        rest.extend_from_slice(bytemuck::cast_slice(&tail.chunks));
        rest.extend(tail.sums.iter().flat_map(|s| s.to_le_bytes()));
        rest.extend_from_slice(&tail.keys);
        encode_rows(tail, row_params, &mut rest)?;
        let leaf = LeafRef {
            segment: write_segment(io, space, head, &rest)?,
            first_record: tail.first_record.into(),
            first_chunk: tail.first_chunk.into(),
            records: count(tail.records.len())?,
            chunks: count(tail.chunks.len())?,
            sums: count(tail.sums.len())?,
            keys_len: count(tail.keys.len())?,
        };
        perm.leaves.push(Lazy::new(leaf));
    }
    let mut entries: Vec<RunEntry> =
        tail.hashes().map(|(hash, record)| RunEntry::new(hash, record, false)).collect();
    entries.extend(
        tail.dead
            .iter()
            .filter(|d| d.hash.get() != 0)
            .map(|d| RunEntry::new(d.hash.get(), d.record.get(), true)),
    );
    if !entries.is_empty() {
        entries.sort_unstable_by_key(RunEntry::order);
        perm.runs.push(runs::write(io, space, generation, &entries)?);
        let fan = if tail.ascends() { runs::FAN_ASCENDING } else { runs::FAN };
        let (kept, before) = (perm.runs.clone(), *space);
        match runs::merge(io, space, &mut perm.runs, fan, generation) {
            // Runs that cannot be read stay as they are: a commit does not need them merged.
            Err(Error::Corrupt(_)) => (perm.runs, *space) = (kept, before),
            other => other?,
        }
    }
    if !tail.dead.is_empty() {
        let mut dead: Vec<U64> = tail.dead.iter().map(|d| d.record).collect();
        dead.sort_unstable_by_key(|r| r.get());
        perm.dead_runs.push(write_dead(io, space, &dead, generation)?);
        merge_dead(io, space, perm, generation)?;
    }
    if perm.leaves.len() >= 2 * PAGE_LEAVES {
        write_page(io, space, perm, generation)?;
    }
    *tail = tail.next();
    Ok(())
}

fn write_page(io: &Io, space: &mut Space, perm: &mut Perm, generation: u64) -> Result<()> {
    let old = perm.leaves.split_off(PAGE_LEAVES);
    let full = std::mem::replace(&mut perm.leaves, old);
    let refs: Vec<LeafRef> = full.iter().map(|l| l.at).collect();
    let Some(first) = refs.first() else { return Ok(()) };
    let mut head = header(PAGE_MAGIC, generation, refs.len());
    head.first_record = first.first_record;
    head.first_chunk = first.first_chunk;
    let segment = write_segment(io, space, head, bytemuck::cast_slice(&refs))?;
    let page =
        PageRef { segment, first_record: first.first_record, first_chunk: first.first_chunk };
    perm.pages.push(Lazy::new(page));
    Ok(())
}

fn write_dead(io: &Io, space: &mut Space, dead: &[U64], generation: u64) -> Result<DeadRun> {
    let head = header(DEAD_MAGIC, generation, dead.len());
    let segment = write_segment(io, space, head, bytemuck::cast_slice(dead))?;
    let count = U64::new(dead.len() as u64);
    Ok(Lazy::new(RunRef { segment, count, ..RunRef::default() }))
}

fn merge_dead(io: &Io, space: &mut Space, perm: &mut Perm, generation: u64) -> Result<()> {
    while let Some(n) = to_merge(&perm.dead_runs, runs::FAN) {
        let old = perm.dead_runs.split_off(perm.dead_runs.len() - n);
        let part = Perm { dead_runs: old, ..Perm::default() };
        let all: Vec<U64> = match part.dead(io) {
            Ok(all) => all.into_iter().map(U64::new).collect(),
            // Lists that cannot be read stay as they are.
            Err(Error::Corrupt(_)) => {
                perm.dead_runs.extend(part.dead_runs);
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        space.garbage += part.dead_runs.iter().map(|r| r.at.bytes()).sum::<u64>();
        perm.dead_runs.push(write_dead(io, space, &all, generation)?);
    }
    Ok(())
}
