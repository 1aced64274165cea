//! The new store as it grows: record by record, with a word on each that is lost.

use super::report::Progress;
use crate::column::Content;
use crate::error::{Error, Result};
use crate::index::layout::KEY_SHARED;
use crate::key::Key;
use crate::maintain::recover::content::Gaps;
use crate::maintain::recover::rebuild::loose;
use crate::maintain::recover::recovery_reader::{KnownRecord, RecoveryReader};
use crate::maintain::recover::report::{Recovered, RecoveryMethod};
use crate::maintain::recover::scan;
use crate::maintain::transfer::key_of;
use crate::store::Readable;
use crate::store::read::shared::other_content;
use crate::store::write::writer::Writer;
use crate::wire::Digest;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// The new store as it grows.
pub(crate) struct RecoveryWriter {
    pub(crate) writer: Writer,
    pub(crate) out: RefCell<Recovered>,
    pub(crate) lost_keys: HashSet<Key>,
    pub(crate) ordinal: Cell<u64>,
    /// Logical end of the last record that was seen.
    pub(crate) place_end: u64,
    pub(crate) holes: bool,
    pub(crate) lost_shared: Vec<(Option<Digest>, String, Error)>,
    pub(crate) content: Option<Content>,
    /// Where records of whose index nothing is left can lie.
    pub(crate) gaps: Gaps,
    /// Shared records that are in the new store.
    pub(crate) known: HashSet<Digest>,
    /// Shared records that were not found, with the first record that refers to each and how
    /// many do.
    pub(crate) missing: BTreeMap<Digest, (String, u64)>,
}

impl RecoveryWriter {
    pub(crate) fn records(&mut self, s: &RecoveryReader, progress: Progress<'_>) -> Result<()> {
        let known: u64 = s.rows.iter().map(|r| r.count).fold(0, u64::saturating_add);
        let total = s.expected.unwrap_or(known).max(known);
        let mut end = 0;
        for (i, row) in s.rows.iter().enumerate() {
            progress(end.min(total), total)?;
            if row.first > end {
                let gone = Error::corrupt("index", 0, "a leaf or log entry is gone");
                self.hole(s, end..row.first, s.next_start(i)?, &gone)?;
            }
            end = end.max(row.first.saturating_add(row.count));
            let holes = RefCell::new(Vec::new());
            {
                let this = RefCell::new(&mut *self);
                s.each(
                    row,
                    |e| {
                        let at = e.entry.start;
                        for (range, error) in holes.take() {
                            this.borrow_mut().hole(s, range, at, &error)?;
                        }
                        if e.id.is_multiple_of(1024) {
                            progress(e.id.min(total), total)?;
                        }
                        this.borrow_mut().record(s, &e)
                    },
                    |range, error| {
                        let error = match error.root() {
                            Error::Corrupt(c) => Error::Corrupt(*c),
                            _ => Error::corrupt("index", 0, "cannot be read"),
                        };
                        holes.borrow_mut().push((range, error));
                        Ok(())
                    },
                )?;
            }
            for (range, error) in holes.take() {
                self.hole(s, range, s.next_start(i + 1)?, &error)?;
            }
        }
        // What the newest slot counts and nothing tells of; without a slot nobody knows.
        let gone = Error::corrupt("index", 0, "the newest commits are gone");
        match s.expected {
            Some(expected) if expected > end => self.hole(s, end..expected, u64::MAX, &gone)?,
            None => self.hole(s, end..end, u64::MAX, &gone)?,
            _ => {}
        }
        progress(total, total)
    }

    /// One record of which the index still tells.
    pub(crate) fn record(&mut self, s: &RecoveryReader, e: &KnownRecord) -> Result<()> {
        let (start, len) = (e.entry.start, u64::from(e.entry.len));
        let end = start.saturating_add(len);
        s.mark(start, end);
        self.place_end = self.place_end.max(end);
        let shared = match &e.key {
            Some((kind, _)) => *kind == KEY_SHARED,
            None => self.may_be_shared(s, e)?,
        };
        if shared {
            return self.shared(s, e);
        }
        if s.is_dead(e.id) {
            return Ok(());
        }
        let mut keyless = false;
        let key = match e.key.as_ref().map(|(kind, key)| key_of(&e.entry, *kind, key)) {
            Some(Ok(key)) => key,
            // Bytes that are no key, or none that can be read.
            _ => {
                let key = s.sealed.key_at(start, end).cloned();
                keyless = key.is_none();
                key
            }
        };
        // Where a list of deleted records is lost, the runs still know those with keys.
        if let Some(key) = &key
            && !s.certain
            && s.runs_know(key, &(e.id..e.id + 1)) == Some(false)
        {
            return Ok(());
        }
        match s.read(start, end) {
            Ok((bytes, unchecked)) => {
                self.out.get_mut().without_key += u64::from(keyless);
                self.put(
                    s,
                    (s.means, unchecked),
                    key.as_ref(),
                    &bytes,
                    e.entry.weight,
                    e.row.as_deref(),
                )
            }
            Err(error) if error.is_damage() => {
                self.lose(key, &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn put(
        &mut self,
        s: &RecoveryReader,
        (means, unchecked): (RecoveryMethod, bool),
        key: Option<&Key>,
        bytes: &[u8],
        weight: u32,
        row: Option<&[u64]>,
    ) -> Result<()> {
        self.refer(s, key, bytes, weight)?;
        // The later of two records with one key is the one that replaced the other.
        self.writer.put_with_row(key, bytes, weight, row, crate::Existing::Replace)?;
        let len = bytes.len() as u64;
        let out = self.out.get_mut();
        out.add(means, len, unchecked);
        out.bytes += len;
        self.ordinal.set(self.ordinal.get() + 1);
        Ok(())
    }

    /// Sees to it that what this record refers to is in the new store, if it can be found.
    pub(crate) fn refer(
        &mut self,
        s: &RecoveryReader,
        key: Option<&Key>,
        bytes: &[u8],
        weight: u32,
    ) -> Result<()> {
        let Some(content) = self.content else { return Ok(()) };
        let Some(digest) = (content.reference)(bytes) else { return Ok(()) };
        if self.known.contains(&digest) {
            return Ok(());
        }
        if !self.writer.contains_shared(&digest)? {
            let Some((start, found)) = self.gaps.find(s, content.shared, &digest)? else {
                let ordinal = self.ordinal.get();
                let name = || key.map_or_else(|| format!("at {ordinal}"), Key::to_string);
                self.missing.entry(digest).or_insert_with(|| (name(), 0)).1 += 1;
                return Ok(());
            };
            s.mark(start, start + found.len() as u64);
            // Both have the same weight, or the record would be refused.
            self.writer.share_sized(&found, weight)?;
            self.missing.remove(&digest);
            self.out.get_mut().note(format!(
                "shared {digest}: its place was lost with the index; it was found by its content, which is the one that records refer to"
            ));
        }
        self.known.insert(digest);
        Ok(())
    }

    /// Whether a record of which the key cannot be read may be a shared one: its content tells.
    fn may_be_shared(&self, s: &RecoveryReader, e: &KnownRecord) -> Result<bool> {
        let Some(content) = self.content else { return Ok(false) };
        let end = e.entry.start.saturating_add(e.entry.len.into());
        match s.read(e.entry.start, end) {
            Ok((bytes, _)) => Ok((content.shared)(&bytes)),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A shared record: kept whether or not a record that is left refers to it.
    pub(crate) fn shared(&mut self, s: &RecoveryReader, e: &KnownRecord) -> Result<()> {
        let (start, len) = (e.entry.start, u64::from(e.entry.len));
        let digest = e.key.as_ref().and_then(|(_, key)| Digest::from_bytes(key));
        let error = match s.read(start, start.saturating_add(len)) {
            // It is known by what it holds, so its key follows from it.
            Ok((bytes, _)) if e.key.is_none() || digest == Some(Digest::of(&bytes)) => {
                self.writer.share_sized(&bytes, e.entry.weight)?;
                return Ok(());
            }
            Ok(_) => other_content(start),
            Err(error) if error.is_damage() => error,
            Err(error) => return Err(error),
        };
        // It may have been put again when it was found to be damaged.
        let name = digest.map_or("shared".into(), |d| format!("shared {d}"));
        self.lost_shared.push((digest, name, error));
        Ok(())
    }

    /// A record that cannot be read. An older one under its key must not stand in for it.
    pub(crate) fn lose(&mut self, key: Option<Key>, error: &Error) {
        let ordinal = self.ordinal.get();
        self.ordinal.set(ordinal + 1);
        let name = key.as_ref().map_or_else(|| format!("at {ordinal}"), Key::to_string);
        self.out.get_mut().lose(name, Some(ordinal), error);
        if let Some(key) = key {
            if self.writer.contains(&key).unwrap_or(false) {
                // Found a moment ago in the same writer; it cannot be missing.
                let _ = self.writer.delete(&key);
            }
            self.lost_keys.insert(key);
        }
    }

    /// Records of whose index nothing is left: what the last seal says of them, of those that
    /// start from the last record seen up to logical byte `next`.
    pub(crate) fn hole(
        &mut self,
        s: &RecoveryReader,
        ids: Range<u64>,
        next: u64,
        why: &Error,
    ) -> Result<()> {
        self.holes = true;
        self.out.get_mut().damaged = true;
        let dead_from = s.dead.partition_point(|d| *d < ids.start);
        let dead_to = s.dead.partition_point(|d| *d < ids.end);
        let dead = (dead_to - dead_from) as u64;
        let mut left = (ids.end - ids.start).saturating_sub(dead);
        let first = self.ordinal.get();
        let (mut siteless, mut seen) = (0_u64, self.place_end);
        for (key, start, end) in s.sealed.between(self.place_end, next) {
            self.gaps.add(seen..*start);
            seen = seen.max(*end);
            if self.lost_keys.contains(key) || self.writer.contains(key)? {
                continue;
            }
            match s.runs_know(key, &ids) {
                Some(false) => continue,
                Some(true) => {}
                None => self.out.get_mut().note(
                    "records were found by the table of the last seal: what was deleted after it may be back",
                ),
            }
            s.mark(*start, *end);
            left = left.saturating_sub(1);
            match s.read(*start, *end) {
                Ok((bytes, unchecked)) => {
                    let weight = self.content.and_then(|c| (c.weight)(&bytes));
                    siteless += u64::from(weight.is_none());
                    let weight = weight.unwrap_or(0);
                    self.put(
                        s,
                        (RecoveryMethod::OriginalTable, unchecked),
                        Some(key),
                        &bytes,
                        weight,
                        None,
                    )?;
                }
                Err(e) if e.is_damage() => self.lose(Some(key.clone()), &e),
                Err(e) => return Err(e),
            }
        }
        let whole = s.sealed.chunks().saturating_mul(s.reader.chunk_size);
        self.gaps.add(seen..next.min(whole));
        if siteless > 0 {
            self.out
                .get_mut()
                .note("the number of sites of records found by the table of the last seal is lost");
        }
        if left > 0 {
            self.out.get_mut().lose_range(first, left, why);
            self.ordinal.set(self.ordinal.get() + left);
        }
        Ok(())
    }

    /// Reports the shared records of which no copy could be read, and those of whose index
    /// nothing is left and to which records refer.
    pub(crate) fn tell_lost_shared(&mut self) -> Result<()> {
        for (digest, name, error) in std::mem::take(&mut self.lost_shared) {
            if let Some(digest) = &digest {
                if self.writer.contains_shared(digest)? {
                    continue;
                }
                self.missing.remove(digest);
            }
            self.out.get_mut().lose(name, None, &error);
        }
        for (digest, (first, count)) in std::mem::take(&mut self.missing) {
            if self.writer.contains_shared(&digest)? {
                continue;
            }
            let gone = Error::corrupt("shared record", 0, "is gone");
            self.out.get_mut().lose(format!("shared {digest}"), None, &gone);
            if let Some(loss) = self.out.get_mut().losses.last_mut() {
                let why = format!("is gone, and {count} records refer to it, the first is {first}");
                (loss.offset, loss.why) = (None, why.into());
            }
        }
        Ok(())
    }

    /// Chunks with data to which no record leads, if some of the index is lost.
    pub(crate) fn chunks(
        &mut self,
        s: &RecoveryReader,
        write: bool,
        progress: Progress<'_>,
    ) -> Result<()> {
        if !self.holes {
            return Ok(());
        }
        let size = s.reader.chunk_size;
        for number in s.unused()? {
            let Some(start) = number.checked_mul(size) else { continue };
            let Ok((bytes, unchecked)) = s.read(start, start.saturating_add(size)) else {
                continue;
            };
            if bytes.iter().all(|b| *b == 0) {
                continue;
            }
            self.chunk(s, format!("chunk-{number}"), &bytes, unchecked, write)?;
        }
        // Those to which no index leads at all.
        let io = &s.reader.io;
        let searched;
        let found = match &s.loose {
            Some(found) => found,
            None => {
                searched = loose(io, &scan::scan(&**io.backend(), io.file(), progress)?);
                &searched
            }
        };
        s.loose(found, |at, bytes| self.chunk(s, format!("chunk-at-{at}"), bytes, true, write))
    }

    fn chunk(
        &mut self,
        s: &RecoveryReader,
        mut name: String,
        bytes: &[u8],
        unchecked: bool,
        write: bool,
    ) -> Result<()> {
        self.out.get_mut().chunks_without_index += 1;
        if !write {
            return Ok(());
        }
        while self.writer.contains(name.as_str())? {
            name.push('\'');
        }
        self.put(s, (RecoveryMethod::Chunks, unchecked), Some(&Key::from(name)), bytes, 0, None)
    }
}
