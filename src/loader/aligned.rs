//! Where groups of records begin so that each has whole blocks: asked of the index, once for each group.
//!
//! A block at the edge of a group is decoded for the group before, too: of groups of two blocks, which those of a
//! dense store have, that would be half as much again as is served.

use super::groups::Groups;
use super::sources::Sources;
use super::view::View;
use crate::error::{Error, Result};
use crate::store::Snapshot;
use std::ops::Range;

/// Groups for which the index is asked at most: more would take longer than it saves at the start of a run, and
/// hold more memory.
const MOST: u64 = 1 << 17;

/// Stores that are opened for it at most.
const STORES: usize = 256;

/// Groups of about `group` records of the view, at most twice as many, each of whole blocks; `None` where that cannot be known, or not
/// at a small price: for records in another order than that of the stores, far stores, and very many groups.
///
/// The same records give the same groups also when a store has grown since: what lies in the last chunk of them
/// may be written anew then, and is divided by numbers alone.
pub(super) fn aligned(sources: &Sources, view: &View, group: u64) -> Result<Option<Groups>> {
    let n = view.len();
    let few = sources.stores() <= STORES && n / group.max(1) <= MOST;
    if n == 0 || !few || !view.is_sorted() || sources.snapshot(0)?.is_far() {
        return Ok(None);
    }
    let mut asked = Asked { sources, view, held: None };
    let mut starts = Vec::new();
    let mut start = 0_u64;
    while start < n {
        starts.push(start);
        let near = start.saturating_add(group.max(1)).min(n);
        start = match asked.edge(start, near) {
            Ok(edge) => edge.unwrap_or(near),
            // The error comes when the record is read.
            Err(e) if e.is_damage() => near,
            Err(e) => return Err(e),
        };
    }
    Ok(Some(Groups::new(n, starts)))
}

/// The stores, of which the one that was asked last is held.
struct Asked<'a> {
    sources: &'a Sources,
    view: &'a View,
    held: Option<Held>,
}

/// A store, and the records of the view that are in it.
struct Held {
    snapshot: Snapshot,
    /// Its first record among those of all stores.
    first: u64,
    /// Numbers in the view.
    numbers: Range<u64>,
    /// The chunk in which the last of them begins.
    last_chunk: u64,
}

impl Asked<'_> {
    /// Where the group that begins at `start` ends: where the block of the record `near` begins, or, if that is not
    /// behind `start`, where it ends; at the end of the store at the latest. `None` if nothing is known of the block, or it is much longer
    /// than a group.
    fn edge(&mut self, start: u64, near: u64) -> Result<Option<u64>> {
        let (view, held) = (self.view, self.held(start)?);
        if near >= held.numbers.end {
            return Ok(Some(held.numbers.end));
        }
        let begins = |number: u64| {
            let ordinal = view.ordinal(number).unwrap_or(u64::MAX).saturating_sub(held.first);
            held.snapshot.begins(ordinal)
        };
        let at = begins(near)?;
        if held.snapshot.chunk_of(at) >= held.last_chunk {
            return Ok(None);
        }
        let Some(block) = held.snapshot.block_around(at)? else { return Ok(None) };
        let first = first_from(start + 1..near, block.start, begins)?;
        if begins(first - 1)? < block.start {
            return Ok(Some(first));
        }
        // All of them begin in this block. If it is much longer than a group, as in files of other programs, it is
        // divided: a window shall have many groups.
        let most = near.saturating_add(near - start).min(held.numbers.end);
        let end = first_from(near + 1..most, block.end, begins)?;
        Ok((end < most || end == held.numbers.end).then_some(end))
    }

    /// The store in which a record of the view is.
    fn held(&mut self, number: u64) -> Result<&Held> {
        let held = match self.held.take() {
            Some(held) if held.numbers.contains(&number) => held,
            _ => self.open(number)?,
        };
        Ok(self.held.insert(held))
    }

    fn open(&self, number: u64) -> Result<Held> {
        let (sources, view) = (self.sources, self.view);
        let ordinal = |number| view.ordinal(number).unwrap_or(u64::MAX);
        let (store, _) = sources.place(ordinal(number));
        let (first, behind) = (sources.first_of(store), sources.first_of(store + 1));
        let from = |end: u64| first_from(0..view.len(), end, |number| Ok(ordinal(number)));
        let numbers = from(first)?..from(behind)?;
        let snapshot = sources.snapshot(store)?;
        let last = numbers
            .end
            .checked_sub(1)
            .ok_or_else(|| Error::NotFound { key: format!("in the view at {number}").into() })?;
        let last_chunk = snapshot.chunk_of(snapshot.begins(ordinal(last) - first)?);
        Ok(Held { snapshot, first, numbers, last_chunk })
    }
}

/// The first of these numbers, which ascend in `of`, that has at least `least`; behind them if none has.
fn first_from(among: Range<u64>, least: u64, of: impl Fn(u64) -> Result<u64>) -> Result<u64> {
    let Range { mut start, mut end } = among;
    while start < end {
        let middle = start + (end - start) / 2;
        if of(middle)? < least { start = middle + 1 } else { end = middle }
    }
    Ok(start)
}
