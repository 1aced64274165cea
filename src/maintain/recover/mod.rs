//! Recovering: a new store with all that is left of a damaged one, and a report that names what
//! is not.
//!
//! The means, in this order: the newest commit as any reader opens it, record by record; the
//! newest root that a search of the file finds, with the leaves and log entries behind it, or
//! those alone; the table of the last seal; chunks to which no index leads.

mod content;
mod rebuild;
mod recovery_reader;
mod recovery_writer;
mod report;
mod scan;
mod sealed;

use crate::store::Readable;
pub use report::{Found, Recovered, RecoveryMethod};

use crate::backend::{Backend, FileBackend, StagedFile};
use crate::chunk::ChunkLayout;
use crate::column::Content;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::frame::MAGIC;
use crate::index::slot::Slot;
use crate::limits::{CHUNK_MAX, CHUNK_MAX_FOREIGN};
use crate::store::config::{CONFIG_AT, CONFIG_SPACE, Config};
use crate::store::foreign::extended::adopt_if_extended;
use crate::store::foreign::frame::read_header;
use crate::store::foreign::original::load_original;
use crate::store::index::io::Io;
use crate::store::index::slots::slots;
use crate::store::options::{Durability, Layout, StoreOptions, WriteOptions};
use crate::store::read::newest_state::{Opened, State, load, read_config};
use crate::store::target::may_appear;
use crate::store::write::writer::Writer;
use content::Gaps;
use rebuild::{dead_of, rebuild, rows_of, without_index};
use recovery_reader::{FoundRange, RangeIndex, RecoveryReader};
use recovery_writer::RecoveryWriter;
use report::Progress;
use scan::Scanned;
use sealed::Sealed;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// How [`recover`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct RecoverOptions {
    /// Whether a store that is there at the new path is replaced; a file that is not a store never
    /// is.
    pub overwrite: bool,
    /// Whether chunks to which no index leads are written too, decoded, each as a record
    /// `chunk-n`.
    pub chunks: bool,
    /// What the records of a codec, named with its version, tell by themselves
    /// (`Some(codec::content)`): then weights and rows that were lost with the index follow from
    /// the records again, and a shared record of whose index nothing is left is looked for where
    /// it can lie and known by its digest. `None` leaves them lost.
    pub contents: Option<Contents>,
    /// Threads, access and durability; and what the new store is made with where the damaged
    /// file no longer says how it was made.
    pub store: StoreOptions,
}

/// For the name and the version of a codec, what its records tell by themselves; `None` if that is
/// not known. `codec::content` knows the codecs of this crate.
pub type Contents = fn(&str, u32) -> Option<Content>;

/// Writes a new store to `new` with all that is left of the store at `damaged`, which is opened
/// for reading only and never touched.
///
/// `progress` is told how far the work has come and how far it has to go: bytes of the file
/// while it is searched, then records. Its error ends the work; nothing appears at `new` then.
///
/// # Errors
/// [`Error::Exists`] if there is a file at `new`; [`Error::Invalid`] if both paths lead to the
/// same file; [`Error::NotAStore`] if nothing in the file is a store's; [`Error::Unsupported`]
/// for a newer format; [`Error::Interrupted`] or what else `progress` returns; [`Error::Io`].
/// Damage is not an error here, it is in the result.
pub fn recover(
    damaged: impl AsRef<Path>,
    new: impl AsRef<Path>,
    options: &RecoverOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Recovered> {
    let (damaged, new) = (damaged.as_ref(), new.as_ref());
    let input = FileBackend::open_read(damaged, options.store.write.access)?;
    let there = new.try_exists().unwrap_or(false);
    if there && std::fs::canonicalize(damaged).ok() == std::fs::canonicalize(new).ok() {
        return Err(Error::invalid("new path", "leads to the damaged file itself; name another"));
    }
    may_appear(new, Existing::of(options.overwrite))?;
    let staged = StagedFile::over(new, options.store.write.access)?;
    let target: Arc<dyn Backend> = staged.backend().clone();
    let input: Arc<dyn Backend> = Arc::new(input);
    let out = recover_into(&input, &target, options, &mut progress).map_err(|e| e.at(damaged))?;
    staged.publish(Existing::of(options.overwrite))?;
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
    let (source, found) = open(damaged, options, &mut out, &mut progress)?;
    let (codec, version) = &found.record_codec;
    let content = options.contents.and_then(|of| of(codec, *version));
    let asked = &options.store.write;
    let wanted = StoreOptions {
        layout: found.clone(),
        write: WriteOptions {
            rows: content.and_then(|c| c.rows).or(asked.rows),
            // One commit, at the end: a recovery that was cut short leaves nothing.
            durability: Durability::None,
            ..asked.clone()
        },
    };
    let mut recovery = RecoveryWriter {
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
    recovery.records(&source, &mut progress)?;
    recovery.tell_lost_shared()?;
    recovery.chunks(&source, options.chunks, &mut progress)?;
    if let Ok(attributes) = serde_json::from_slice::<serde_json::Value>(&source.attributes)
        && attributes.is_object()
    {
        recovery.writer.set_attributes(&attributes)?;
    }
    let mut out = recovery.out.into_inner();
    out.records = recovery.writer.len();
    out.shared = recovery.writer.reader.totals.shared;
    recovery.writer.close()?;
    Ok(out)
}

/// The best that can be made of the file, and how it was made.
fn open(
    backend: &Arc<dyn Backend>,
    options: &RecoverOptions,
    out: &mut Recovered,
    progress: Progress<'_>,
) -> Result<(RecoveryReader, Layout)> {
    let config = config_of(&**backend, out)?;
    if let Some(config) = &config
        && let Ok(state) = load(backend, config, &options.store.write.reading())
        && let Ok(state) = adopt_if_extended(backend, state, &options.store.write.reading())
        && matches!(state.opened, Opened::Intact | Opened::Extended)
        && state.reader.stored_index.all_leaves(&state.reader.io).is_ok()
    {
        let found = state.layout.clone();
        return Ok((of_state(state, out)?, found));
    }
    let before = std::mem::replace(&mut out.damaged, true);
    let known = config.as_ref().map(|c| c.file);
    let slots = slots(&**backend, known)?;
    let named = known.or(slots.first().map(|s| s.file));
    let file = match named {
        Some(file) => Some(file),
        None => scan::file_id(&**backend, progress)?,
    };
    let Some(file) = file else {
        out.damaged = before;
        return open_foreign(backend, options, out);
    };
    let scanned = scan::scan(&**backend, file, progress)?;
    let found = match &config {
        Some(config) => Layout::from_config(&config.json)?,
        None => lost_config(backend, file, &scanned, options, out)?,
    };
    let source = rebuild(backend, file, &scanned, &slots, &found, out)?;
    if let Some(slot) = slots.first() {
        tell_newest(slot, out);
    }
    Ok((source, found))
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
            out.damage(e.to_string());
            Ok(None)
        }
        Err(e @ Error::Unsupported { .. }) => {
            // A newer format, or a flipped bit in the number of ours: the checksum knows.
            let mut bytes = vec![0; CONFIG_SPACE];
            backend.read_at(CONFIG_AT, &mut bytes)?;
            if let Some(version) = bytes.get_mut(8..12) {
                version.copy_from_slice(&crate::store::config::FORMAT_VERSION.to_le_bytes());
            }
            let config = Config::parse(&bytes).map_err(|_| e)?;
            out.damage(
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
) -> Result<Layout> {
    out.note(
        "the configuration is lost: purpose, alignment and the name of the record codec are those that were asked for",
    );
    let mut found = options.store.layout.clone();
    if let Ok((header, _)) = read_header(&**backend)
        && let Some(params) = header.params()
    {
        found.chunk_size = header.chunk_size;
        found.compression = params.algorithm.into();
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
        let leaf = crate::store::index::lazy::Lazy::new(rebuild::leaf_ref(&io, s)?);
        let chunks = crate::store::index::leaf::leaf_chunks(&io, &leaf).ok()?;
        chunks.first().map(|c| c.offset.get())
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
    found = Layout { chunk_size: size.unwrap_or(0), block_size: 0, ..options.store.layout.clone() };
    found.check()?;
    Ok(found)
}

/// The newest state, as readers open it.
fn of_state(state: State, out: &mut Recovered) -> Result<RecoveryReader> {
    let State { reader, slot, root, opened, attributes, layout, .. } = state;
    let mut rows = rows_of(&reader.io, &reader.stored_index)?;
    let count = reader.memtable.records.len() as u64;
    if count > 0 {
        rows.push(FoundRange {
            first: reader.memtable.first_record,
            count,
            part: RangeIndex::Memtable,
        });
    }
    let (mut dead, bad) = dead_of(&reader.io, &reader.stored_index)?;
    dead.extend(reader.memtable.dead.iter().map(|d| d.record.get()));
    dead.sort_unstable();
    if let Some(e) = &bad {
        out.damage(format!(
            "a list of deleted records cannot be read ({e}): deleted records without a key may be back"
        ));
    }
    let unchecked = opened == Opened::Unchecked;
    let sealed = if unchecked {
        Sealed::default()
    } else {
        Sealed::read(&**reader.io.backend(), Some(&slot.seal), layout.chunk())
    };
    let base = root.base.clone().map(|b| (root.chunks, b));
    Ok(RecoveryReader {
        runs_reach: reader.memtable.first_record,
        expected: (!unchecked).then(|| reader.ids()),
        loose: unchecked.then(Vec::new),
        reader,
        rows,
        chunks: BTreeMap::new(),
        pieces: BTreeMap::new(),
        bases: base.into_iter().collect(),
        dead,
        certain: bad.is_none(),
        sealed,
        attributes,
        means: RecoveryMethod::Commit { generation: slot.generation.get() },
        places: RefCell::default(),
        used: RefCell::default(),
    })
}

/// A file of the original, whole or not.
fn open_foreign(
    backend: &Arc<dyn Backend>,
    options: &RecoverOptions,
    out: &mut Recovered,
) -> Result<(RecoveryReader, Layout)> {
    let state = match load_original(backend, &options.store.write.reading()) {
        Ok(state) => state,
        Err(e) if e.is_damage() => return open_cut(backend, options, e, out),
        Err(e) => return Err(e),
    };
    let mut found = state.layout.clone();
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
) -> Result<(RecoveryReader, Layout)> {
    let Ok((header, bytes)) = read_header(&**backend) else { return Err(why) };
    // Only of files of the original: a frame of another program is not a store.
    let ours = header
        .metalayer("magic")
        .and_then(|r| bytes.get(r))
        .is_some_and(|m| m.len() == MAGIC.len() + 2 && m.ends_with(&MAGIC));
    if !ours || header.chunk_size == 0 || header.chunk_size > CHUNK_MAX_FOREIGN {
        return Err(why);
    }
    let sealed = Sealed::walk(&**backend, header.header_len, header.chunk_size)?;
    out.damage(format!("a file of the original program, and its index is lost: {why}"));
    let read = Layout { chunk_size: header.chunk_size, ..options.store.layout.clone() };
    let source = without_index(backend, sealed, &read)?;
    Ok((source, Layout { chunk_size: 0, block_size: 0, ..options.store.layout.clone() }))
}
