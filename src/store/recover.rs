//! Recovering: a new store with all that is left of a damaged one, and a report that names what
//! is not.
//!
//! The means, in this order: the newest commit as any reader opens it, record by record; the
//! newest root that a search of the file finds, with the leaves and log entries behind it, or
//! those alone; the table of the last seal; chunks to which no index leads.

mod content;
mod rebuild;
mod report;
mod salvage;
mod scan;
mod sealed;

pub use report::{Found, Means, Recovered};

use super::config::{CONFIG_AT, CONFIG_SPACE, Config};
use super::foreign::{self, adopt_if_extended};
use super::io::Io;
use super::options::{Durability, StoreOptions};
use super::shared::other_content;
use super::state::{Opened, State, load, read_config};
use super::transfer::key_of;
use super::verify::is_damage;
use super::writer::Writer;
use crate::backend::{Aside, Backend, FileBackend};
use crate::chunk::ChunkLayout;
use crate::column::Content;
use crate::error::{Error, Result};
use crate::frame::MAGIC;
use crate::index::layout::KEY_SHARED;
use crate::index::slot::Slot;
use crate::key::Key;
use crate::limits::{CHUNK_MAX, CHUNK_MAX_FOREIGN};
use crate::wire::Digest;
use content::Gaps;
use rebuild::{dead_of, rebuild, rows_of, without_index};
use salvage::{Entry, Part, Row, Salvage};
use scan::Scanned;
use sealed::Sealed;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// How [`recover`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct RecoverOptions {
    /// Whether a file that is there at the new path is replaced.
    pub overwrite: bool,
    /// Whether chunks to which no index leads are written too, decoded, each as a record
    /// `chunk-n`.
    pub chunks: bool,
    /// What the records of a codec, named with its version, tell by themselves
    /// (`Some(codec::content)`): then sites and rows that were lost with the index follow from
    /// the records again, and a shared record of whose index nothing is left is looked for where
    /// it can lie and known by its digest. `None` leaves them lost.
    pub contents: Option<Contents>,
    /// Threads, access and durability; and what the new store is made with where the damaged
    /// file no longer says how it was made.
    pub store: StoreOptions,
}

/// For the name and the version of a codec, what its records tell by themselves; `None` if that is
/// not known. `codec::content` answers for the codecs of this crate.
pub type Contents = fn(&str, u32) -> Option<Content>;

type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<()>;

/// Writes a new store to `new` with all that is left of the store at `damaged`, which is opened
/// for reading only and never touched.
///
/// `progress` is told how far the work has come and how far it has to go: bytes of the file
/// while it is searched, then records. Its error ends the work; nothing appears at `new` then.
///
/// # Errors
/// [`Error::Exists`] if there is a file at `new`; [`Error::Invalid`] if both paths lead to the
/// same file; [`Error::NotAStore`] if nothing in the file is a store's; [`Error::Unsupported`]
/// for a newer format; [`Error::Interrupted`] or what else `progress` answers; [`Error::Io`].
/// Damage is no error here, it is in the answer.
pub fn recover(
    damaged: impl AsRef<Path>,
    new: impl AsRef<Path>,
    options: &RecoverOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Recovered> {
    let (damaged, new) = (damaged.as_ref(), new.as_ref());
    let input = FileBackend::open_read(damaged, options.store.access)?;
    let there = new.try_exists().unwrap_or(false);
    if there && std::fs::canonicalize(damaged).ok() == std::fs::canonicalize(new).ok() {
        return Err(Error::invalid("new path", "leads to the damaged file itself; name another"));
    }
    if there && !options.overwrite {
        return Err(Error::Exists { what: new.display().to_string().into() });
    }
    let aside = Aside::new(new, options.store.access)?;
    let target: Arc<dyn Backend> = aside.backend().clone();
    let input: Arc<dyn Backend> = Arc::new(input);
    let out = recover_into(&input, &target, options, &mut progress).map_err(|e| e.at(damaged))?;
    aside.publish(options.overwrite)?;
    Ok(out)
}

/// As [`recover`], from one backend into another, which must be empty.
///
/// # Errors
/// As [`recover`].
pub fn recover_into(
    damaged: &Arc<dyn Backend>,
    new: &Arc<dyn Backend>,
    options: &RecoverOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Recovered> {
    let mut out = Recovered::default();
    let (salvage, found) = open(damaged, options, &mut out, &mut progress)?;
    let (codec, version) = &found.record_codec;
    let content = options.contents.and_then(|of| of(codec, *version));
    let wanted = StoreOptions {
        file_id: None,
        rows: content.and_then(|c| c.rows).or(found.rows),
        // One commit, at the end: a recovery that was cut short leaves nothing.
        durability: Durability::None,
        ..found.clone()
    };
    let mut rescue = Rescue {
        content,
        gaps: Gaps::new(found.alignment, damaged.len()?),
        writer: Writer::create_in(new.clone(), &wanted)?,
        out: RefCell::new(out),
        lost_keys: HashSet::new(),
        ordinal: Cell::new(0),
        place_end: 0,
        holes: false,
        lost_shared: Vec::new(),
        missing: BTreeMap::new(),
        known: HashSet::new(),
    };
    rescue.records(&salvage, &mut progress)?;
    rescue.tell_lost_shared()?;
    rescue.chunks(&salvage, options.chunks)?;
    if let Ok(attributes) = serde_json::from_slice::<serde_json::Value>(&salvage.attributes)
        && attributes.is_object()
    {
        rescue.writer.set_attributes(&attributes)?;
    }
    let mut out = rescue.out.into_inner();
    out.records = rescue.writer.len();
    out.shared = rescue.writer.core.totals.shared;
    rescue.writer.close()?;
    Ok(out)
}

/// The best that can be made of the file, and how it was made.
fn open(
    backend: &Arc<dyn Backend>,
    options: &RecoverOptions,
    out: &mut Recovered,
    progress: Progress<'_>,
) -> Result<(Salvage, StoreOptions)> {
    let config = config_of(&**backend, out)?;
    if let Some(config) = &config
        && let Ok(state) = load(backend, config, &options.store)
        && let Ok(state) = adopt_if_extended(backend, state)
        && matches!(state.opened, Opened::Whole | Opened::Extended)
        && state.core.perm.all_leaves(&state.core.io).is_ok()
    {
        let found = state.options.clone();
        return Ok((of_state(state, out)?, found));
    }
    let known = config.as_ref().map(|c| c.file);
    let slots = scan::slots(&**backend, known)?;
    let named = known.or(slots.first().map(|s| s.file));
    let file = match named {
        Some(file) => Some(file),
        None => scan::file_id(&**backend, progress)?,
    };
    let Some(file) = file else {
        return open_foreign(backend, options, out);
    };
    let scanned = scan::scan(&**backend, file, progress)?;
    let found = match &config {
        Some(config) => options.store.with_config(&config.json)?,
        None => lost_config(backend, file, &scanned, options, out)?,
    };
    let salvage = rebuild(backend, file, &scanned, &slots, &found, out)?;
    if let Some(slot) = slots.first() {
        tell_newest(slot, out);
    }
    Ok((salvage, found))
}

fn tell_newest(slot: &Slot, out: &mut Recovered) {
    let why = format!(
        "commit {} cannot be opened as a whole; its records were looked for one by one",
        slot.generation.get()
    );
    out.note(why);
}

/// The configuration; `None` where it is damaged or there is none.
fn config_of(backend: &dyn Backend, out: &mut Recovered) -> Result<Option<Config>> {
    match read_config(backend) {
        Ok(config) => Ok(config),
        Err(e @ Error::Corrupt(_)) => {
            out.note(e.to_string());
            Ok(None)
        }
        Err(e @ Error::Unsupported { .. }) => {
            // A newer format, or a flipped bit in the number of ours: the checksum knows.
            let mut bytes = vec![0; CONFIG_SPACE];
            backend.read_at(CONFIG_AT, &mut bytes)?;
            if let Some(version) = bytes.get_mut(8..12) {
                version.copy_from_slice(&super::config::FORMAT_VERSION.to_le_bytes());
            }
            let config = Config::parse(&bytes).map_err(|_| e)?;
            out.note(
                "the version of the format is damaged; the rest of the configuration is whole",
            );
            Ok(config)
        }
        Err(e) => Err(e),
    }
}

/// Chunk size and compression where the configuration no longer tells them.
fn lost_config(
    backend: &Arc<dyn Backend>,
    file: [u8; 16],
    scanned: &Scanned,
    options: &RecoverOptions,
    out: &mut Recovered,
) -> Result<StoreOptions> {
    out.note(
        "the configuration is lost: purpose, alignment and the name of the record codec are those that were asked for",
    );
    let mut found = options.store.clone();
    if let Ok((header, _)) = foreign::read_header(&**backend)
        && let Some(params) = header.params()
    {
        found.chunk_size = header.chunk_size;
        found.codec = Some(params.codec);
        (found.level, found.filter, found.typesize) =
            (params.level, params.filter, params.typesize);
        if found.block_size > found.chunk_size {
            found.block_size = 0;
        }
        if found.check().is_ok() {
            return Ok(found);
        }
    }
    // Every finished chunk says how large it is.
    let io = Io::new(backend.clone(), file)?;
    let leaves = scanned.of(crate::index::layout::LEAF_MAGIC);
    let in_leaves = leaves.filter_map(|s| {
        let leaf = super::perm::Lazy::new(rebuild::leaf_ref(&io, s)?);
        super::perm::leaf_content(&io, &leaf).ok()?.chunks.first().map(|c| c.offset.get())
    });
    let in_log = scanned.entries.iter().filter_map(|e| {
        let (entry, _) = crate::index::log::decode(&e.bytes, file, e.offset)?;
        entry.chunks.first().map(|c| c.offset.get())
    });
    let offsets: Vec<u64> = in_leaves.chain(in_log).collect();
    let size = offsets.into_iter().find_map(|at| {
        let head = io.bytes(at, ChunkLayout::HEADER_LEN, <[u8]>::to_vec).ok()?;
        let n = ChunkLayout::prefix_len(&head, CHUNK_MAX).ok()?;
        let prefix = io.bytes(at, n, <[u8]>::to_vec).ok()?;
        Some(ChunkLayout::parse(&prefix, CHUNK_MAX).ok()?.nbytes())
    });
    found = StoreOptions { chunk_size: size.unwrap_or(0), block_size: 0, ..options.store.clone() };
    found.check()?;
    Ok(found)
}

/// The newest state, as readers open it.
fn of_state(state: State, out: &mut Recovered) -> Result<Salvage> {
    let State { core, slot, root, opened, attributes, options, .. } = state;
    let mut rows = rows_of(&core.io, &core.perm)?;
    let count = core.tail.records.len() as u64;
    if count > 0 {
        rows.push(Row { first: core.tail.first_record, count, part: Part::Tail });
    }
    let (mut dead, bad) = dead_of(&core.io, &core.perm)?;
    dead.extend(core.tail.dead.iter().map(|(_, record)| *record));
    dead.sort_unstable();
    if let Some(e) = &bad {
        out.note(format!(
            "a list of deleted records cannot be read ({e}): deleted records without a key may be back"
        ));
    }
    let unchecked = opened == Opened::Unchecked;
    let sealed = if unchecked {
        Sealed::default()
    } else {
        Sealed::read(&**core.io.backend(), Some(&slot.seal), options.chunk())
    };
    let base = root.base.clone().map(|b| (root.chunks, b));
    Ok(Salvage {
        runs_reach: core.tail.first_record,
        expected: (!unchecked).then(|| core.ids()),
        core,
        rows,
        chunks: BTreeMap::new(),
        pieces: BTreeMap::new(),
        base,
        dead,
        certain: bad.is_none(),
        sealed,
        attributes,
        means: Means::Commit { generation: slot.generation.get() },
        places: RefCell::default(),
        used: RefCell::default(),
    })
}

/// A file of the original, whole or not.
fn open_foreign(
    backend: &Arc<dyn Backend>,
    options: &RecoverOptions,
    out: &mut Recovered,
) -> Result<(Salvage, StoreOptions)> {
    let state = match foreign::load_original(backend, &options.store) {
        Ok(state) => state,
        Err(e) if is_damage(&e) => return open_cut(backend, options, e, out),
        Err(e) => return Err(e),
    };
    let mut found = state.options.clone();
    found.chunk_size = found.chunk_size.min(CHUNK_MAX);
    out.note("a file of the original program: its bytes have no checksums");
    Ok((of_state(state, out)?, found))
}

/// A frame of another program whose end, with the index, is lost: its chunks are what is left.
fn open_cut(
    backend: &Arc<dyn Backend>,
    options: &RecoverOptions,
    why: Error,
    out: &mut Recovered,
) -> Result<(Salvage, StoreOptions)> {
    let Ok((header, bytes)) = foreign::read_header(&**backend) else { return Err(why) };
    // Only of files of the original: a frame of somebody else is no store.
    let ours = header
        .metalayer("magic")
        .and_then(|r| bytes.get(r))
        .is_some_and(|m| m.len() == MAGIC.len() + 2 && m.ends_with(&MAGIC));
    if !ours || header.chunk_size == 0 || header.chunk_size > CHUNK_MAX_FOREIGN {
        return Err(why);
    }
    let sealed = Sealed::walk(&**backend, header.header_len, header.chunk_size)?;
    out.note(format!("a file of the original program, and its index is lost: {why}"));
    let read = StoreOptions { chunk_size: header.chunk_size, ..options.store.clone() };
    let salvage = without_index(backend, sealed, &read)?;
    Ok((salvage, StoreOptions { chunk_size: 0, block_size: 0, ..options.store.clone() }))
}

/// The new store as it grows.
struct Rescue {
    writer: Writer,
    out: RefCell<Recovered>,
    lost_keys: HashSet<Key>,
    ordinal: Cell<u64>,
    /// Logical end of the last record that was seen.
    place_end: u64,
    holes: bool,
    lost_shared: Vec<(Option<Digest>, String, Error)>,
    content: Option<Content>,
    /// Where records of whose index nothing is left can lie.
    gaps: Gaps,
    /// Shared records that are in the new store.
    known: HashSet<Digest>,
    /// Shared records that were not found, with the first record that refers to each and how
    /// many do.
    missing: BTreeMap<Digest, (String, u64)>,
}

impl Rescue {
    fn records(&mut self, s: &Salvage, progress: Progress<'_>) -> Result<()> {
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
                        let at = e.entry.start.get();
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
    fn record(&mut self, s: &Salvage, e: &Entry) -> Result<()> {
        let (start, len) = (e.entry.start.get(), u64::from(e.entry.len.get()));
        let end = start.saturating_add(len);
        s.mark(start, end);
        self.place_end = self.place_end.max(end);
        if e.entry.key_kind == KEY_SHARED {
            return self.shared(s, e);
        }
        if s.is_dead(e.id) {
            return Ok(());
        }
        let key = match key_of(&e.entry, &e.key) {
            Ok(key) => key,
            Err(error) => {
                self.lose(None, &error);
                return Ok(());
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
            Ok((bytes, unchecked)) => self.put(
                s,
                (s.means, unchecked),
                key.as_ref(),
                &bytes,
                e.entry.sites.get(),
                e.row.as_deref(),
            ),
            Err(error) if is_damage(&error) => {
                self.lose(key, &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn put(
        &mut self,
        s: &Salvage,
        (means, unchecked): (Means, bool),
        key: Option<&Key>,
        bytes: &[u8],
        sites: u32,
        row: Option<&[u64]>,
    ) -> Result<()> {
        self.refer(s, key, bytes, sites)?;
        // The later of two records with one key is the one that replaced the other.
        self.writer.put_carried(key, bytes, sites, row, true)?;
        let len = bytes.len() as u64;
        let out = self.out.get_mut();
        out.add(means, len, unchecked);
        out.bytes += len;
        self.ordinal.set(self.ordinal.get() + 1);
        Ok(())
    }

    /// Sees to it that what this record refers to is in the new store, if it can be found.
    fn refer(&mut self, s: &Salvage, key: Option<&Key>, bytes: &[u8], sites: u32) -> Result<()> {
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
            // Both have the same sites, or the record would be refused.
            self.writer.share_sized(&found, sites)?;
            self.missing.remove(&digest);
            self.out.get_mut().note(format!(
                "shared {digest}: its place was lost with the index; it was found by its content, which is the one that records refer to"
            ));
        }
        self.known.insert(digest);
        Ok(())
    }

    /// A shared record: kept whether or not a record that is left refers to it.
    fn shared(&mut self, s: &Salvage, e: &Entry) -> Result<()> {
        let (start, len) = (e.entry.start.get(), u64::from(e.entry.len.get()));
        let digest = Digest::from_bytes(&e.key);
        let error = match s.read(start, start.saturating_add(len)) {
            Ok((bytes, _)) if digest == Some(Digest::of(&bytes)) => {
                self.writer.share_sized(&bytes, e.entry.sites.get())?;
                return Ok(());
            }
            Ok(_) => other_content(start),
            Err(error) if is_damage(&error) => error,
            Err(error) => return Err(error),
        };
        // It may have been put again when it was found to be damaged.
        let name = digest.map_or("shared".into(), |d| format!("shared {d}"));
        self.lost_shared.push((digest, name, error));
        Ok(())
    }

    /// A record that cannot be read. An older one under its key must not stand in for it.
    fn lose(&mut self, key: Option<Key>, error: &Error) {
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
    fn hole(&mut self, s: &Salvage, ids: Range<u64>, next: u64, why: &Error) -> Result<()> {
        self.holes = true;
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
                    let sites = self.content.and_then(|c| (c.sites)(&bytes));
                    siteless += u64::from(sites.is_none());
                    let sites = sites.unwrap_or(0);
                    self.put(s, (Means::Lookup, unchecked), Some(key), &bytes, sites, None)?;
                }
                Err(e) if is_damage(&e) => self.lose(Some(key.clone()), &e),
                Err(e) => return Err(e),
            }
        }
        let whole = s.sealed.chunks().saturating_mul(s.core.chunk_size);
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
    fn tell_lost_shared(&mut self) -> Result<()> {
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
    fn chunks(&mut self, s: &Salvage, write: bool) -> Result<()> {
        if !self.holes {
            return Ok(());
        }
        let size = s.core.chunk_size;
        for number in s.unused()? {
            let Some(start) = number.checked_mul(size) else { continue };
            let Ok((bytes, unchecked)) = s.read(start, start.saturating_add(size)) else {
                continue;
            };
            if bytes.iter().all(|b| *b == 0) {
                continue;
            }
            self.out.get_mut().chunks_without_index += 1;
            if write {
                let mut name = format!("chunk-{number}");
                while self.writer.contains(name.as_str())? {
                    name.push('\'');
                }
                self.put(s, (Means::Chunks, unchecked), Some(&Key::from(name)), &bytes, 0, None)?;
            }
        }
        Ok(())
    }
}
