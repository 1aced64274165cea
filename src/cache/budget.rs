//! Keeping a cache within its budget, and its file without much dead space.

use super::entry::{EntryInfo, list, put_row};
use super::file::{Cache, locked};
use super::last_used::{self, digest, later};
use crate::backend::remove_abandoned;
use crate::error::Result;
use crate::key::Key;
use crate::maintain::{CompactOptions, Compacted, compact};
use crate::store::{Info, Readable as _, Writer};
use crate::wire::Digest;
use std::collections::HashMap;
use std::time::Duration;

/// A file that is being built and has not been written to for as long is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(15 * 60);
/// Dead space below which the file is left alone.
const LITTLE: u64 = 1 << 20;
/// From this many results on, more are deleted than must be, so that not every store looks at all of
/// them.
const MANY: usize = 10_000;

/// Bytes of all results but the one with this key, which is about to be put; 0 without a budget, where nobody
/// asks.
pub(super) fn bytes_beside(cache: &Cache, writer: &Writer, key: &Key) -> Result<u64> {
    if cache.options().max_bytes.is_none() {
        return Ok(0);
    }
    let others = last_used::bytes(writer)? + last_used::bytes_of(writer, key)?;
    Ok(writer.info()?.raw_bytes.saturating_sub(others))
}

/// Deletes what was used least recently until all results fit the budget: those of `before` bytes, and the
/// `newest` of `added` bytes, which was put just now and stays; how many.
///
/// The budget counts bytes before compression. With more than [`MANY`] results a twentieth of it is
/// freed beside.
pub(super) fn within_budget(
    cache: &Cache,
    writer: &mut Writer,
    before: u64,
    newest: &Key,
    added: u64,
) -> Result<u64> {
    let Some(max) = cache.options().max_bytes else { return Ok(0) };
    if before + added <= max {
        if locked(&cache.uses).are_due() {
            write_uses(cache, writer)?;
        }
        return Ok(0);
    }
    let used = write_uses(cache, writer)?;
    let mut entries = list(writer)?;
    entries.retain(|entry| entry.record_key() != *newest);
    let last = |entry: &EntryInfo| {
        used.get(&digest(&entry.key)).map_or(entry.stored, |time| time.max(entry.stored))
    };
    entries.sort_by(|a, b| last(a).total_cmp(&last(b)).then(a.ordinal.cmp(&b.ordinal)));
    let mut total = added + entries.iter().map(|entry| entry.bytes).sum::<u64>();
    let most = if entries.len() > MANY { max - max / 20 } else { max };
    let mut gone = 0;
    for entry in &entries {
        if total <= most {
            break;
        }
        writer.delete(entry.record_key())?;
        total -= entry.bytes;
        gone += 1;
    }
    Ok(gone)
}

/// Writes the record of uses anew: what it says, and what this process noted since. Entries that are
/// gone are left out.
pub(super) fn write_uses(cache: &Cache, writer: &mut Writer) -> Result<HashMap<Digest, f64>> {
    let noted = locked(&cache.uses).noted();
    let mut all = last_used::read(writer)?;
    if noted.is_empty() {
        return Ok(all);
    }
    later(&mut all, &noted);
    let mut there = HashMap::new();
    writer.visit_index(&mut |_, key, _| {
        if let Some(Key::Str(text)) = key
            && let Some((key, time)) = all.get_key_value(&digest(&text))
        {
            there.insert(*key, *time);
        }
        Ok(())
    })?;
    put_row(writer, &last_used::key(), &last_used::encode(&there)?, f64::NAN)?;
    locked(&cache.uses).forget(&noted);
    Ok(there)
}

impl Cache {
    /// Rewrites the file without dead space: a new file is built beside it and takes its place in one
    /// step, other processes go on with the new one. What processes left beside it that were killed while they did
    /// so is removed, a quarter of an hour later.
    ///
    /// # Errors
    /// As [`compact`]; [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn repack(&self) -> Result<Compacted> {
        self.writable()?;
        // Repacked without being asked, a cache would fill the disk with them.
        remove_abandoned(&self.path, ABANDONED);
        compact(&self.path, &CompactOptions::default(), |_, _| Ok(()))
    }
}

/// Whether the file should be repacked: if more than half of it is dead space, or a quarter while it is
/// longer than the budget.
pub(super) fn is_worn(cache: &Cache, info: &Info) -> bool {
    let over = cache.options().max_bytes.is_some_and(|max| info.file_bytes > max);
    let share = if over { 4 } else { 2 };
    info.compactable > LITTLE && info.compactable > info.file_bytes / share
}
