//! Checking a whole store: every page of the index, every block, every reference.

use super::core::{ChunkData, Core};
use super::crowd::Lookups;
use super::foreign::frame_is_readable;
use super::perm::{Leaf, run_segment, segment};
use super::root::Base;
use super::rows::leaf_rows;
use super::shared::other_content;
use super::slots::Slots;
use super::snapshot::Snapshot;
use super::state::Opened;
use super::writer::signed;
use crate::error::{Error, Result};
use crate::index::filter::Filter;
use crate::index::layout::{KEY_NONE, KEY_SHARED, RecordEntry, RunEntry, key_from_bytes};
use crate::wire::Digest;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One damage, and the record that it costs, if it costs one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The record, as a person would write its key; `at n` for one without a key.
    pub record: Option<Box<str>>,
    /// Its ordinal.
    pub ordinal: Option<u64>,
    /// The damaged part of the file, in the words of `docs/format.md`.
    pub part: Box<str>,
    /// Where in the file, in bytes, if that is known.
    pub offset: Option<u64>,
    /// How the damage shows.
    pub why: Box<str>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.record, self.ordinal) {
            (Some(key), Some(o)) => write!(f, "record {key} (ordinal {o}): ")?,
            (Some(key), None) => write!(f, "record {key}: ")?,
            _ => {}
        }
        write!(f, "{}", self.part)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Live records whose place and bytes were checked.
    pub records: u64,
    /// Shared records that were checked.
    pub shared: u64,
    /// Blocks that were decoded.
    pub blocks: u64,
    /// Bytes that they hold, decoded.
    pub bytes: u64,
    /// Blocks without a checksum: those of a file of the original.
    pub unchecked: u64,
    /// Everything that is wrong.
    pub damages: Vec<Damage>,
    /// Something that other programs would trip over, while everything of ours is whole: the
    /// Blosc2 frame around the chunks.
    pub frame: Option<Box<str>>,
}

impl Verified {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.damages.is_empty()
    }
}

impl Damage {
    pub(super) fn of(error: &Error) -> Self {
        let (part, offset, why): (Box<str>, _, Box<str>) = match error.root() {
            Error::Corrupt(c) => (c.part.into(), Some(c.offset), c.why.into()),
            other => ("store".into(), None, other.to_string().into()),
        };
        Self { record: None, ordinal: None, part, offset, why }
    }
}

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
        if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = self.opened()
        {
            out.damages.push(Damage {
                record: None,
                ordinal: None,
                part: "commit slot".into(),
                offset: Some(crate::frame::SLOT_OFFSETS[0]),
                why: format!("the newest commit cannot be read; checked is commit {generation}")
                    .into(),
            });
        }
        if self.opened() != Opened::Unchecked {
            for offset in Slots::read(&**core.io.backend(), Some(core.io.file()))?.bad {
                out.damages.push(Damage {
                    record: None,
                    ordinal: None,
                    part: "commit slot".into(),
                    offset: Some(offset),
                    why: "one of its copies cannot be read".into(),
                });
            }
        }
        let base = self.inner().base.as_ref();
        let bad = check_chunks(core, base, &mut out, &mut progress)?;
        check_index(core, &mut out)?;
        self.check_records(core, &bad, &mut out)?;
        // A leaf that is damaged is met for each of its chunks.
        out.damages.dedup();
        out.frame = frame_is_readable(&**core.io.backend()).err().map(|e| e.to_string().into());
        Ok(out)
    }

    fn check_records(&self, core: &Core, bad: &BadBlocks, out: &mut Verified) -> Result<()> {
        let dead: Vec<u64> = match core.dead() {
            Ok(d) => d.to_vec(),
            Err(e) if is_damage(&e) => {
                out.damages.push(Damage::of(&e));
                Vec::new()
            }
            Err(e) => return Err(e),
        };
        let dead_listed = dead.len() as u64 == core.totals.dead_records;
        let mut dead = dead.into_iter().peekable();
        let next = std::cell::Cell::new(0_u64);
        let mut found: Vec<Damage> = Vec::new();
        let (mut records, mut shared, mut missed) = (0, 0, false);
        let (mut all_bytes, mut dead_bytes) = (0_u64, 0_u64);
        let mut lookups = Lookups::new(core);
        let listed = core.each_record_or(
            |id, entry, key| {
                while dead.next_if(|d| *d < id).is_some() {}
                let is_dead = dead.next_if_eq(&id).is_some();
                let len = u64::from(entry.len.get());
                all_bytes = all_bytes.saturating_add(len);
                if is_dead && entry.key_kind != KEY_SHARED {
                    dead_bytes = dead_bytes.saturating_add(len);
                }
                if entry.key_kind == KEY_SHARED {
                    shared += 1;
                    found.extend(check_shared(core, &mut lookups, bad, entry, key, is_dead)?);
                }
                if is_dead {
                    return Ok(());
                }
                let ordinal = next.get();
                let name: Box<str> = match key_from_bytes(entry.key_kind, key) {
                    Some(k) => k.to_string().into(),
                    None => format!("at {ordinal}").into(),
                };
                let mut damage = None;
                if signed(entry.key_kind, key).is_some_and(|k| self.inner().slot.is_above_all(k)) {
                    damage = Some(Damage {
                        record: None,
                        ordinal: None,
                        part: "commit slot".into(),
                        offset: None,
                        why: "says that no key is so great".into(),
                    });
                }
                match core.span(entry) {
                    Ok(span) => damage = bad.inside(core, span).or(damage),
                    Err(e) => damage = damage.or(Some(Damage::of(&e))),
                }
                if damage.is_none() && entry.key_kind != KEY_NONE {
                    match lookups.find(entry.key_kind, key) {
                        Ok(Some(at)) if at == id => {}
                        Ok(_) => {
                            damage = Some(Damage {
                                record: None,
                                ordinal: None,
                                part: "run of keys".into(),
                                offset: None,
                                why: "does not lead from the key to the record".into(),
                            });
                        }
                        Err(e) if is_damage(&e) => damage = Some(Damage::of(&e)),
                        Err(e) => return Err(e),
                    }
                }
                records += 1;
                if let Some(d) = damage {
                    found.push(Damage { record: Some(name), ordinal: Some(ordinal), ..d });
                }
                next.set(ordinal + 1);
                Ok(())
            },
            |first, count, e| {
                next.set(next.get() + count);
                if !is_damage(&e) {
                    return Err(e);
                }
                missed = true;
                let why = format!(
                    "{}; it held the index of {count} records from number {first} on",
                    Damage::of(&e).why
                );
                out.damages.push(Damage { why: why.into(), ..Damage::of(&e) });
                Ok(())
            },
        );
        listed?;
        out.records += records;
        out.shared += shared;
        out.damages.extend(found);
        let told = core.totals;
        for (what, told, counted) in [
            ("shared records", told.shared, shared),
            ("bytes of all records", told.record_bytes, all_bytes),
            ("bytes of deleted records", told.dead_bytes, dead_bytes),
        ] {
            // Where a part of the index cannot be read, nobody can count.
            if told != counted && !missed && dead_listed {
                out.damages.push(Damage {
                    record: None,
                    ordinal: None,
                    part: "root".into(),
                    offset: None,
                    why: format!("counts {told} {what}; there are {counted}").into(),
                });
            }
        }
        Ok(())
    }
}

/// Checks one shared record: that it is out of the count, found, and what its key says.
fn check_shared(
    core: &Core,
    lookups: &mut Lookups<'_>,
    bad: &BadBlocks,
    entry: &RecordEntry,
    key: &[u8],
    is_dead: bool,
) -> Result<Option<Damage>> {
    let digest = Digest::from_bytes(key);
    let mut check = || {
        let digest = digest.ok_or_else(|| other_content(entry.start.get()))?;
        let span = core.span(entry)?;
        if let Some(damage) = bad.inside(core, span) {
            return Ok(Some(damage));
        }
        if Digest::of(&core.record(entry)?) != digest {
            return Err(other_content(entry.start.get()));
        }
        if !is_dead {
            let why = "is counted among the records";
            return Err(Error::corrupt("shared record", entry.start.get(), why));
        }
        if lookups.find(KEY_SHARED, digest.as_bytes())?.is_none() {
            let why = "no run of keys leads to it";
            return Err(Error::corrupt("shared record", entry.start.get(), why));
        }
        Ok(None)
    };
    let name = digest.map_or("shared".into(), |d| format!("shared {d}"));
    let damage = match check() {
        Ok(damage) => damage,
        Err(e) if is_damage(&e) => Some(Damage::of(&e)),
        Err(e) => return Err(e),
    };
    Ok(damage.map(|d| Damage { record: Some(name.into()), ..d }))
}

/// Damaged blocks: by chunk, the logical bytes that they hold, and what is wrong.
#[derive(Default)]
struct BadBlocks(BTreeMap<u64, Vec<(u64, u64, Damage)>>);

impl BadBlocks {
    fn inside(&self, core: &Core, span: std::ops::Range<u64>) -> Option<Damage> {
        if span.is_empty() {
            return None;
        }
        let chunks = span.start / core.chunk_size..=(span.end - 1) / core.chunk_size;
        self.0
            .range(chunks)
            .flat_map(|(_, blocks)| blocks)
            .find(|(start, end, _)| *start < span.end && span.start < *end)
            .map(|(_, _, d)| d.clone())
    }
}

fn check_chunks(
    core: &Core,
    base: Option<&Base>,
    out: &mut Verified,
    progress: &mut impl FnMut(u64, u64) -> Result<()>,
) -> Result<BadBlocks> {
    let mut bad = BadBlocks::default();
    let chunks = core.tail.chunks_end();
    let chunks = chunks + u64::from(base.is_some());
    let total = chunks * core.chunk_size;
    let mut block = crate::wire::AlignedBuf::default();
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
                bad.0.entry(number).or_default().push((start, end, Damage::of(&e)));
                out.damages.push(Damage::of(&e));
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
                    bad.0.entry(number).or_default().push((at, end, Damage::of(&e)));
                    out.damages.push(Damage::of(&e));
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

/// Decodes the rows of a leaf, and says where there are none although a record has one.
fn check_rows(core: &Core, leaf: &Leaf, words: usize) -> Result<()> {
    if leaf_rows(&core.io, leaf, words, 0..words)?.is_some() {
        return Ok(());
    }
    let records = leaf.at.records.get() as usize;
    let entries: Vec<RecordEntry> = segment(&core.io, leaf)?.list(&core.io, 64, records)?;
    if entries.iter().any(|e| e.has_row()) {
        let at = leaf.at.segment.offset.get();
        return Err(Error::corrupt("rows", at, "of a record are missing"));
    }
    Ok(())
}

/// Reads every page of runs and lists of deleted records; leaves are read record by record.
fn check_index(core: &Core, out: &mut Verified) -> Result<()> {
    let mut note = |r: Result<()>| match r {
        Err(e) if !is_damage(&e) => Err(e),
        Err(e) => {
            out.damages.push(Damage::of(&e));
            Ok(())
        }
        Ok(()) => Ok(()),
    };
    let words = core.tail.row_words();
    // A leaf that cannot be opened is told of with its records.
    for leaf in core.perm.all_leaves(&core.io).unwrap_or_default() {
        if segment(&core.io, leaf).is_ok() {
            note(check_rows(core, leaf, words))?;
        }
    }
    for run in &core.perm.runs {
        note(run_segment(&core.io, run).and_then(|open| {
            let seg = &open.segment;
            let mut buf = vec![0; crate::limits::INDEX_PAGE];
            let mut at = 0;
            while at < seg.len() {
                let n = buf.len().min(seg.len() - at);
                seg.read(&core.io, at, buf.get_mut(..n).unwrap_or_default())?;
                at += n;
            }
            let count = usize::try_from(run.at.count.get()).unwrap_or(0);
            let mut last: Option<RunEntry> = None;
            // A filter that reaches past the end of the file is not made for comparison.
            let filter_at = run.at.filter_at();
            let filter_end = filter_at.and_then(|at| at.checked_add(run.at.filter_len()));
            if filter_at.is_some() && filter_end.is_none_or(|end| end > core.io.len()) {
                return Err(seg.corrupt("its filter reaches past the end of the file"));
            }
            let mut filter = Filter::of_blocks(run.at.filter_blocks.get().into())?;
            let mut done = 0;
            while done < count {
                let n = (count - done).min(4096);
                let list: Vec<RunEntry> =
                    seg.list(&core.io, 64 + done * size_of::<RunEntry>(), n)?;
                for e in list {
                    if last.is_some_and(|l| l.order() > e.order()) {
                        let at = run.at.segment.offset.get();
                        return Err(Error::corrupt("run of keys", at, "is out of order"));
                    }
                    filter.insert(e.hash());
                    last = Some(e);
                }
                done += n;
            }
            // A bit that is missing there would hide a record.
            let Some(filter_at) = filter_at else { return Ok(()) };
            let ours = filter.finish(filter_at, &run.at.segment);
            for (ours, at) in ours.chunks(buf.len()).zip((filter_at..).step_by(buf.len())) {
                if !core.io.bytes(at, ours.len(), |theirs| theirs == ours)? {
                    let why = "its filter is damaged or does not fit its entries";
                    return Err(seg.corrupt(why));
                }
            }
            Ok(())
        }))?;
    }
    Ok(())
}
