//! Making and opening stores: on a file, in memory, over bytes.

use crate::backend::{
    Backend, FileBackend, LockOutcome, MemoryBackend, SliceBackend, StagedFile, WriterLock,
};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::frame::{self, SLOT_OFFSETS, TOTALS_OFFSET};
use crate::index::saved_lookup;
use crate::index::slot::{Seal, Slot};
use crate::store::config::{CONFIG_AT, Config};
use crate::store::foreign::any::load_any;
use crate::store::foreign::extended::adopt_if_extended;
use crate::store::foreign::original::{copy_original, load_original};
use crate::store::index::slots;
use crate::store::options::{Layout, OriginalTable, ReadOptions, StoreOptions, WriteOptions};
use crate::store::read::newest_state::{Opened, hold_open_chunk, load, read_config};
use crate::store::read::readable::Readable;
use crate::store::read::snapshot::Snapshot;
use crate::store::target::may_appear;
use crate::store::write::writer::Writer;
use crate::wire::{U32, U64, checksum, identify, memory, to_usize};
use std::any::Any;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

type Guard = Option<Box<dyn Any + Send + Sync>>;

/// What other programs see of a store that was closed; see [`Writer::close`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Records of the store.
    pub records: u64,
    /// Records at the last seal, which is what other programs see.
    pub seen: u64,
    /// Whether that is all of them. If not, [`Writer::seal`] brings other programs up to date.
    pub sealed: bool,
}

/// A store opened for reading: a snapshot, and the way to a newer one.
///
/// Takes no lock; any number of processes may read while one writes.
#[derive(Debug, Clone)]
pub struct Store {
    snapshot: Snapshot,
    options: ReadOptions,
}

impl Store {
    /// Opens the store at `path` for reading. Reads a few small pieces of the file however
    /// many records it has.
    ///
    /// # Errors
    /// [`Error::NotAStore`] for other files, [`Error::Unsupported`] for a newer format,
    /// [`Error::Corrupt`] if no whole state is left, [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &ReadOptions::default())
    }

    /// As [`Store::open`], with other options than the default.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let open = || -> Result<Self> {
            Self::open_in(Arc::new(FileBackend::open_read(path, options.access)?), options)
        };
        open().map_err(|e| e.at(path))
    }

    /// Opens the store in `backend` for reading.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_in(backend: Arc<dyn Backend>, options: &ReadOptions) -> Result<Self> {
        let state = load_any(&backend, options)?;
        Ok(Self { snapshot: Snapshot::new(state), options: *options })
    }

    /// Opens the store whose file content is `bytes`, without copying it.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let backend: Arc<dyn Backend> = Arc::new(SliceBackend::new(bytes.into()));
        Self::open_in(backend, &ReadOptions::default())
    }

    /// Moves on to the newest commit; whether there was a newer one. Snapshots that were
    /// cloned before keep what they saw.
    ///
    /// # Errors
    /// [`Error::Replaced`] if there is no newer commit here and the path leads to another file
    /// by now, as after [`compact`](crate::maintain::compact()), or to none: this store stays as it is,
    /// and opening the path again shows the other. Else as [`Store::open`].
    pub fn refresh(&mut self) -> Result<bool> {
        let newer = !self.snapshot.is_newest()? && self.load_newer()?;
        if !newer {
            self.snapshot.backend().check_current()?;
        }
        Ok(newer)
    }

    fn load_newer(&mut self) -> Result<bool> {
        let state = load_any(self.snapshot.backend(), &self.options)?;
        let newer = state.slot.generation.get() != self.snapshot.generation()
            || state.reader.ids() != self.snapshot.inner().reader.ids();
        if newer {
            self.snapshot = Snapshot::new(state);
        }
        Ok(newer)
    }

    /// The state that is seen now, to keep.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }
}

impl Deref for Store {
    type Target = Snapshot;
    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Writer {
    /// Makes a new store at `path`. It appears under its name when it is whole, with no record
    /// in it.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file already, [`Error::Invalid`] for options that
    /// cannot work or for a path that is a folder, a pipe, a socket or a device, [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        Self::create_file(path.as_ref(), options, Existing::Refuse)
    }

    /// As [`Writer::create`]; a store that is there is replaced, also a damaged one, and an empty
    /// file.
    ///
    /// # Errors
    /// As [`Writer::create`]; [`Error::Invalid`] if the file that is there is not a store, such as
    /// a trajectory: it is never replaced; [`Error::Locked`] if that file has a writer, whose records would be
    /// lost without a word.
    pub fn replace(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        Self::create_file(path.as_ref(), options, Existing::Replace)
    }

    fn create_file(path: &Path, options: &StoreOptions, existing: Existing) -> Result<Self> {
        let make = || {
            options.check()?;
            may_appear(path, existing)?;
            let staged = StagedFile::over(path, options.write.access)?;
            let file = staged.backend().clone();
            write_empty_store(&*file, options)?;
            let guard = lock(&file)?;
            let backend: Arc<dyn Backend> = file;
            staged.publish(existing)?;
            open_locked(&backend, &options.write, guard)
        };
        make().map_err(|e| e.at(path))
    }

    /// Opens the store at `path` for adding records. Its layout is taken from the file.
    ///
    /// A file of the original program is first copied, chunk by chunk without recompressing,
    /// to a new file that takes its place.
    ///
    /// # Errors
    /// [`Error::Locked`] if there is another writer, [`Error::Older`] if the newest commit cannot
    /// be read (see [`WriteOptions::accept_older`](crate::WriteOptions::accept_older)); else as [`Store::open`]. After every error the
    /// file is as it was.
    pub fn open(path: impl AsRef<Path>, options: &WriteOptions) -> Result<Self> {
        let (layout, write) = (Layout::default(), options.clone());
        Self::open_converting(path.as_ref(), &StoreOptions { layout, write })
    }

    /// As [`Writer::open`]. A file of the original program does not know its codec and has no
    /// columns: the copy of it takes them from `options`.
    pub(crate) fn open_converting(path: &Path, options: &StoreOptions) -> Result<Self> {
        let (write, access) = (&options.write, options.write.access);
        let open = || {
            let (file, outcome) = WriterLock::open(path, access)?;
            let guard = held(outcome);
            let backend: Arc<dyn Backend> = file;
            if read_config(&*backend)?.is_none() {
                let state = load_original(&backend, &write.reading())?;
                let staged = StagedFile::new(path, access)?;
                let copy = staged.backend().clone();
                copy_original(&state, &copy, options)?;
                let new_guard = lock(&copy)?;
                staged.publish(Existing::Replace)?;
                drop(guard);
                let backend: Arc<dyn Backend> = copy;
                return open_locked(&backend, write, new_guard);
            }
            open_locked(&backend, write, guard)
        };
        open().map_err(|e| e.at(path))
    }

    /// Opens the store at `path` for adding records, or makes a new one there. The layout of a
    /// store that is there stays as it is.
    ///
    /// # Errors
    /// As [`Writer::open`] and [`Writer::create`].
    pub fn open_or_create(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        let path = path.as_ref();
        if path.try_exists().unwrap_or(true) {
            Self::open_converting(path, options)
        } else {
            Self::create(path, options)
        }
    }

    /// Makes a new store in memory.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work.
    pub fn in_memory(options: &StoreOptions) -> Result<Self> {
        Self::create_in(Arc::new(MemoryBackend::new()), options)
    }

    /// Makes a new store in an empty `backend`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work, [`Error::Exists`] if the backend is not
    /// empty.
    pub fn create_in(backend: Arc<dyn Backend>, options: &StoreOptions) -> Result<Self> {
        options.check()?;
        if backend.len()? != 0 {
            return Err(Error::Exists { what: "something in this backend".into(), instead: None });
        }
        write_empty_store(&*backend, options)?;
        open_locked(&backend, &options.write, None)
    }

    /// Opens the store in `backend` for adding records. There is no lock: the caller sees to it
    /// that there is one writer.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Older`] if the newest commit cannot be read (see
    /// [`WriteOptions::accept_older`](crate::WriteOptions::accept_older)).
    pub fn open_in(backend: Arc<dyn Backend>, options: &WriteOptions) -> Result<Self> {
        open_locked(&backend, options, None)
    }

    /// The state at the last commit, for readers.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        Store::open_in(self.backend().clone(), &self.write.reading()).map(|s| s.snapshot())
    }

    /// Commits, and seals if the rule says so, with [`OriginalTable::Always`] in any case; the last call
    /// to a writer. The result says what other programs see of the records now.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn close(mut self) -> Result<Closed> {
        self.usable()?;
        self.guard(|w| {
            let unsealed =
                w.is_dirty() || w.commits.slot.seal.generation != w.commits.slot.generation;
            if unsealed && (w.write.original_table == OriginalTable::Always || w.seal_is_due()) {
                w.seal_or_commit(true)
            } else {
                w.make_commit(true, false)
            }
        })?;
        let seal = &self.commits.slot.seal;
        Ok(Closed {
            records: self.len(),
            seen: seal.records.get(),
            sealed: seal.generation == self.commits.slot.generation,
        })
    }

    /// Writes what the last commit holds to a new file at `path`, byte by byte: for a writer whose
    /// own file was deleted or replaced ([`Error::Displaced`]), for as long as it lives. The
    /// writer itself stays with its file.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file already, [`Error::Io`].
    pub fn save_as(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let save = || {
            let staged = StagedFile::new(path, self.write.access)?;
            let from = self.backend();
            let mut piece = memory::zeroed(1 << 20)?;
            let mut at = 0;
            while at < self.commits.slot.end.get() {
                let n = to_usize(self.commits.slot.end.get() - at).unwrap_or(usize::MAX);
                let bytes = piece.get_mut(..n.min(1 << 20)).unwrap_or_default();
                from.read_at(at, bytes)?;
                staged.backend().write_at(at, bytes)?;
                at += bytes.len() as u64;
            }
            staged.publish(Existing::Refuse)
        };
        save().map_err(|e| e.at(path))
    }

    /// Brings the Blosc2 frame up to this moment: commits, and writes the offsets and the table
    /// of records that other programs read. Costs 8 bytes and more for each record.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn seal(&mut self) -> Result<u64> {
        self.usable()?;
        self.guard(|w| w.make_seal(false))?;
        Ok(self.generation())
    }
}

fn lock(file: &Arc<FileBackend>) -> Result<Guard> {
    WriterLock::acquire(file).map(held)
}

fn held(outcome: LockOutcome) -> Guard {
    match outcome {
        LockOutcome::Held(guard) => Some(Box::new(guard)),
        LockOutcome::Unsupported => None,
    }
}

fn open_locked(backend: &Arc<dyn Backend>, options: &WriteOptions, guard: Guard) -> Result<Writer> {
    if !backend.writable() {
        return Err(Error::ReadOnly);
    }
    let Some(config) = read_config(&**backend)? else {
        return Err(Error::NotAStore { why: "it has no configuration of ours" });
    };
    let state = load(backend, &config, &options.reading())?;
    let state = adopt_if_extended(backend, state, &options.reading())?;
    if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = state.opened
        && !options.accept_older
    {
        return Err(Error::Older { generation, records: state.reader.live() });
    }
    let mut state = state;
    hold_open_chunk(&mut state)?;
    let reader = &mut state.reader;
    if reader.open.block != 0 {
        // Room for what is to come.
        reader.open.data.resize(to_usize(reader.chunk_size).unwrap_or(usize::MAX))?;
    }
    let mut writer = Writer::from_state(state, options.clone(), guard);
    writer.guard(Writer::repair_after_open)?;
    Ok(writer)
}

/// Writes a store without records into an empty backend: an empty sealed frame, and the first
/// slot.
fn write_empty_store(backend: &dyn Backend, options: &StoreOptions) -> Result<()> {
    let layout = options.kept();
    let config = Config { file: layout.file_id.unwrap_or_else(new_id), json: layout.to_config() };
    let params = layout.params();
    // Readers do not use the block size of the frame header, but it must be a multiple of the type size.
    let typesize = u32::from(params.typesize);
    let block = match layout.block_size {
        0 => (32 << 10) / typesize * typesize,
        block => block,
    };
    let mut bytes = frame::build_header(&params, layout.chunk(), block.min(layout.chunk()))?;
    let at = usize::try_from(CONFIG_AT).unwrap_or(0);
    let encoded = config.encode()?;
    if let Some(place) = bytes.get_mut(at..at + encoded.len()) {
        place.copy_from_slice(&encoded);
    }
    let header_len = bytes.len();
    let lookup = crate::store::write::seal::lookup_chunk(&[])?;
    bytes.extend(frame::build_trailer(&[(saved_lookup::NAME, &lookup)])?);
    let frame_len = bytes.len() as u64;
    let totals = frame::patch_totals(&bytes, frame_len, 0, 0)?;
    let at = usize::try_from(TOTALS_OFFSET).unwrap_or(0);
    if let Some(place) = bytes.get_mut(at..at + totals.len()) {
        place.copy_from_slice(&totals);
    }
    let seal = Seal {
        frame_len: frame_len.into(),
        sum: (checksum(bytes.get(header_len..).unwrap_or_default())
            ^ identify(config.file, 0, frame_len))
        .into(),
        lookup: U64::new(1),
        ..Seal::default()
    };
    // Both slots are there from the start: one that is not whole was once, and is missed.
    for (generation, at) in (0..).zip(SLOT_OFFSETS) {
        let generation = U64::new(generation);
        let slot = Slot {
            file: config.file,
            generation,
            end: frame_len.into(),
            seal: Seal { generation, ..seal },
            closed: U32::new(1),
            // Below the least key of all: there is none yet.
            key_bound: U64::new(1),
            ..Slot::default()
        };
        let at = usize::try_from(at).unwrap_or(0);
        let page = slots::page(&slot, 1);
        if let Some(place) = bytes.get_mut(at..at + page.len()) {
            place.copy_from_slice(&page);
        }
    }
    backend.write_at(0, &bytes)?;
    backend.sync()
}

/// A new file's id: 16 bytes that no other file has.
fn new_id() -> [u8; 16] {
    // The keys of a RandomState come from the system's source of random numbers.
    let word = || {
        let mut h = RandomState::new().build_hasher();
        h.write_u32(std::process::id());
        h.finish().to_le_bytes()
    };
    bytemuck::cast([word(), word()])
}

impl Store {
    /// Whether what was opened is all that was written, and can be checked.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.opened() == Opened::Intact
    }
}
