//! The import itself: frames from the inputs, one by one, into the store.

use super::inputs::{Given, Input, same_file};
use super::options::{Duplicates, ImportOptions, Imported, Progress, Target};
use super::reading::{Arrived, Reading};
use super::record::ImportRecord;
use super::resume::{self, Resumption};
use super::session::{Session, Settings};
use super::site_count;
use crate::codec::MdFrame;
use crate::error::{Error, Result};
use crate::formats::{FormatKind, InputOptions, Units};
use crate::key::Key;
use crate::printable::printable_path;
use crate::store::Readable;
use crate::store::{Layout, Opened, Store, Writer};
use crate::trajectory::convert_units::{check_units, state_units};
use crate::trajectory::reader::Trajectory;
use crate::trajectory::writer::TrajectoryWriter;
use crate::wire::Digest;
use std::path::{Path, PathBuf};

/// An import that is about to be done.
///
/// ```no_run
/// use std::path::Path;
/// use vlstore::trajectory::{ImportOptions, Importer, Target};
/// # fn main() -> vlstore::Result<()> {
/// let options = ImportOptions { target: Target::Append, ..ImportOptions::default() };
/// let inputs = vec![Path::new("run.xtc").into()];
/// let mut importer = Importer::open(inputs, "frames.vls".as_ref(), &options)?;
/// importer.run(|_progress| Ok(()))?;
/// println!("{} frames", importer.imported().frames);
/// # Ok(())
/// # }
/// ```
///
/// The store keeps a record of its inputs, so the same call, given again after the process was
/// killed, continues where it was stopped, with no frame lost or duplicated; what it cannot settle
/// it refuses with [`Error::Resume`].
pub struct Importer {
    options: ImportOptions,
    store: PathBuf,
    reading: Reading,
    session: Session,
    writer: Option<TrajectoryWriter>,
    /// The frame that is put next.
    next: Option<Arrived>,
    /// The record as the store has it.
    written: ImportRecord,
    /// Bytes that were read when the place was written down.
    marked: Option<u64>,
    uncommitted: u64,
    tally: Imported,
    opened: Opened,
    /// The topology that was stored last.
    shared: Option<Digest>,
    kind: Option<FormatKind>,
    units: Units,
    /// What becomes of frames that are there twice.
    duplicates: Duplicates,
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").field("store", &self.store).field("tally", &self.tally).finish()
    }
}

impl Importer {
    /// Looks at the inputs and the store, settles what is to be added, and makes or opens the
    /// store. Nothing was changed if this fails.
    ///
    /// # Errors
    /// [`Error::Resume`] if the store has frames and it cannot be settled which of the inputs
    /// these are; [`Error::Exists`] if there is a store and [`Target::Create`] was asked for;
    /// [`Error::Invalid`] for options that cannot work and units that differ; [`Error::Format`]
    /// and [`Error::Io`] with the path of an input whose first frame cannot be read or that has
    /// none; as [`TrajectoryWriter::create`] and [`TrajectoryWriter::open`].
    pub fn open(inputs: Vec<Input>, store: &Path, options: &ImportOptions) -> Result<Self> {
        options.check()?;
        let appending = options.target == Target::Append;
        let there = store.try_exists().unwrap_or(false);
        let read =
            InputOptions { empty: options.growing.unwrap_or(appending), ..options.read.clone() };
        let options = ImportOptions { read, ..options.clone() };
        for input in &inputs {
            if there && matches!(input, Input::Path(path) if same_file(path, store)) {
                return Err(Error::invalid("store", "it is also an input").at(store));
            }
        }
        let looked = inputs.into_iter().map(|input| Given::look(input, &options.read));
        let given = looked.collect::<Result<Vec<_>>>()?;
        let (kind, units) = same_units(&given)?;
        let depot = if appending && there {
            may_append(store, &units, &options).map_err(|e| e.at(store))?
        } else {
            None
        };
        let planned = depot.as_ref().map_or(0, |d| d.len());
        let behind = depot.as_ref().filter(|d| !d.is_empty());
        let record = depot.as_ref().and_then(|d| ImportRecord::of(&d.snapshot().attributes()));
        let begun = record.as_ref().filter(|r| behind.is_none() && !r.ended);
        let Resumption { mut session, mut reading, resumed } =
            resume::resume(given, behind, begun, &options).map_err(|e| e.at(store))?;
        let written = record.unwrap_or_default();
        // An import that is resumed was allowed it, or was not, when it began.
        let mixed = options.mixed || (resumed && !written.ended && written.mixed);
        let several = site_count::check(&mut reading, behind, mixed, store)?;
        session.record.mixed = mixed || several;
        // A file whose first frame is damaged leaves no empty store behind.
        let last = session.last.take();
        let source = behind.map(|d| d.snapshot() as &dyn Readable);
        let spare = MdFrame::default();
        let next = session.next_taken(&mut reading, spare, last.as_ref(), source)?;
        if let Some(next) = next.as_ref().filter(|_| resumed) {
            let (input, allowed) = (next.input, options.out_of_order);
            resume::check_order(&session, &mut reading, input, allowed).map_err(|e| e.at(store))?;
        }
        tell(&mut reading, next.is_none() && resumed);
        let mut me = Self {
            store: store.into(),
            duplicates: session.settings.duplicates,
            kind: Some(kind),
            units,
            written,
            options,
            reading,
            session,
            writer: None,
            next,
            marked: None,
            uncommitted: 0,
            tally: Imported::default(),
            opened: Opened::Intact,
            shared: None,
        };
        me.begin(there, planned, depot.as_ref())?;
        Ok(me)
    }

    /// Opens or makes the store.
    fn begin(&mut self, there: bool, planned: u64, depot: Option<&Trajectory>) -> Result<()> {
        let (path, options) = (self.store.clone(), &self.options.store);
        let mut writer = match self.options.target {
            Target::Append if there => TrajectoryWriter::open(&path, &options.write)?,
            Target::Append | Target::Create => TrajectoryWriter::create(&path, options)?,
            Target::Replace => TrajectoryWriter::replace(&path, options)?,
        };
        self.opened = writer.writer().opened();
        if writer.len() != planned {
            let why = "another process has added or deleted records just now; try again";
            return Err(Error::invalid("store", why).at(&path));
        }
        let mut prepare = || {
            self.prepare(&mut writer, depot)?;
            if planned == 0 {
                // Whoever goes on after a kill before the first commit goes on as it was begun.
                mark(&mut self.session, &mut writer, None)?;
                self.written.clone_from(&self.session.record);
                writer.commit()?;
            }
            Ok(())
        };
        prepare().map_err(|e: Error| e.at(&path))?;
        self.writer = Some(writer);
        Ok(())
    }

    fn prepare(&mut self, writer: &mut TrajectoryWriter, depot: Option<&Trajectory>) -> Result<()> {
        let known = writer.is_empty() || self.options.same_units;
        let attributes = writer.writer().attributes();
        if !known {
            check_units(&attributes, &self.units)?;
        } else if let Some(stated) = state_units(&attributes, &self.units)? {
            writer.writer_mut().set_attributes(&stated)?;
        }
        writer.share_topologies(self.options.topologies);
        writer.keep_positions(self.session.settings.positions(&self.options))?;
        if let Some(depot) = depot.filter(|_| self.options.drop_newer) {
            // From the end, so that ordinals stay true.
            for ordinal in (self.session.ordinal..depot.len()).rev() {
                match depot.snapshot().key_at(ordinal)? {
                    Some(key) => writer.writer_mut().delete(key)?,
                    None => writer.writer_mut().delete_at(ordinal)?,
                }
                self.tally.dropped += 1;
            }
        }
        Ok(())
    }

    /// Adds the frames. `watch` is told how far it has come before each; its error, such as
    /// [`Error::Interrupted`], ends the import.
    ///
    /// Whatever ends it: what was read is committed, and the store is closed.
    ///
    /// # Errors
    /// What `watch` returns; [`Error::Format`] and [`Error::Io`] with the path of an input that is
    /// damaged or cannot be read; [`Error::Io`] if the store cannot be written: then what the last
    /// commit holds is kept.
    pub fn run(&mut self, mut watch: impl FnMut(Progress) -> Result<()>) -> Result<()> {
        let passed = self.pass(&mut watch);
        let closed = self.close(passed.is_ok()).map_err(|e| e.at(&self.store));
        passed.map_err(|e| e.at(&self.store))?;
        closed
    }

    fn pass(&mut self, watch: &mut dyn FnMut(Progress) -> Result<()>) -> Result<()> {
        let mut spare = MdFrame::default();
        while let Some(current) = self.next.take() {
            watch(self.reading.progress(self.tally.frames))?;
            // Read before this one is put, so that it is known what the two have in common; if it
            // cannot be read, this one is kept all the same.
            let space = std::mem::take(&mut spare);
            let source = self.writer.as_ref().map(|w| w.writer() as &dyn Readable);
            let next = self.session.next_taken(&mut self.reading, space, Some(&current), source);
            let Some(writer) = &mut self.writer else { return Err(Error::Poisoned) };
            if let Ok(Some(next)) = &next {
                writer.foresee(&next.frame)?;
            }
            let session = &mut self.session;
            if let Some(kept) = current.replaces {
                self.tally.dropped += replace_from(session, writer, kept)?;
            }
            let again = self.reading.given.get(current.input).is_some_and(|g| g.row.is_some());
            let before = session.record.at.map(|at| at.row);
            session.taken(&mut self.reading, &current)?;
            // What the record says of an input that was begun earlier would be out of date.
            let again = again && session.record.at.map(|at| at.row) != before;
            let bytes = self.reading.progress(0).bytes;
            let due =
                self.marked.is_none_or(|at| bytes.saturating_sub(at) >= self.options.mark_bytes);
            if due || again || current.replaces.is_some() {
                self.marked = Some(bytes);
                mark(session, writer, None)?;
                self.written.clone_from(&session.record);
            }
            let key = match &session.record.key_prefix {
                Some(prefix) => Key::from(format!("{prefix}{}", session.key)),
                None => Key::from(session.key),
            };
            if let (Some(topology), Some(digest)) = (&current.topology, current.frame.topology)
                && self.shared != Some(digest)
            {
                self.shared = Some(writer.share_topology(topology)?);
            }
            writer.insert(key, &current.frame)?;
            session.put();
            self.tally.frames += 1;
            self.uncommitted += 1;
            if self.options.commit_frames.is_some_and(|n| self.uncommitted >= n) {
                writer.commit()?;
                self.uncommitted = 0;
            }
            self.next = next?;
            spare = current.frame;
        }
        watch(self.reading.progress(self.tally.frames))
    }

    /// Writes down where the import ended, commits, and closes the store.
    fn close(&mut self, ended: bool) -> Result<()> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        self.tally.quantised = writer.quantised();
        self.tally.records = writer.len();
        let session = &mut self.session;
        let written = &self.written;
        if self.tally.frames == 0 {
            // What is told of the frames that are there stays; what was compared may be more.
            let same = session.record.at == written.at;
            let ImportRecord { rows, at, .. } = std::mem::take(&mut session.record);
            session.record = ImportRecord { rows, at, ..written.clone() };
            session.settings = Settings::of(&session.record);
            session.record.ended = ended || (same && written.ended);
        } else {
            session.record.ended = ended;
        }
        session.record.records = Some(writer.len());
        if session.record != *written {
            // A writer that failed says so when it is closed.
            let records = writer.len();
            let _ = mark(session, &mut writer, Some(records));
        }
        let committed = writer.writer().committed_len();
        let closed = writer.close();
        if closed.is_err() {
            // What was put since the last commit is lost with it.
            let lost = self.tally.records.saturating_sub(committed);
            self.tally.records = committed;
            self.tally.frames = self.tally.frames.saturating_sub(lost);
        }
        closed.map(drop)
    }

    /// What was done, up to now.
    #[must_use]
    pub fn imported(&self) -> Imported {
        Imported {
            skipped: self.reading.skipped,
            duplicates: self.session.known.met,
            bytes: self.reading.given.iter().map(|g| g.bytes).sum(),
            notes: self.notes(),
            read: self.reading.report(),
            ..self.tally.clone()
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.reading.notes();
        let known = &self.session.known;
        notes.extend(known.notes(self.duplicates, |input| self.reading.name(input)));
        notes
    }

    /// The format of the inputs; of several formats that of the first.
    #[must_use]
    pub const fn kind(&self) -> Option<FormatKind> {
        self.kind
    }

    /// How much of what was written the store held when it was opened.
    #[must_use]
    pub const fn opened(&self) -> Opened {
        self.opened
    }

    /// The layout of the store, while it is open.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.writer.as_ref().map(|w| w.writer().layout())
    }

    /// Whether other writers are kept out, while the store is open; see [`Writer::is_locked`].
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.writer.as_ref().is_some_and(|w| w.writer().is_locked())
    }
}

/// Puts the record among the attributes, to be committed with the frames.
fn mark(session: &mut Session, writer: &mut TrajectoryWriter, records: Option<u64>) -> Result<()> {
    let settings = &session.settings;
    let record = &mut session.record;
    record.records = records;
    record.ended &= records.is_some();
    record.growing = settings.growing;
    record.float32 = settings.float32;
    record.precision = settings.precision;
    record.masses = settings.masses;
    record.from_step = settings.from_step;
    record.duplicates = settings.duplicates;
    record.map.clone_from(&settings.map);
    let attributes = record.attributes(writer.writer().attributes());
    writer.writer_mut().set_attributes(&attributes)
}

/// Deletes the frames from ordinal `kept` on, which the next one replaces, and returns how many there
/// were.
fn replace_from(session: &mut Session, writer: &mut TrajectoryWriter, kept: u64) -> Result<u64> {
    let stored = writer.len();
    // From the end, so that ordinals stay true.
    for ordinal in (kept..stored).rev() {
        let writer = writer.writer_mut();
        match writer.key_at(ordinal)? {
            Some(key) => writer.delete(key)?,
            None => writer.delete_at(ordinal)?,
        }
    }
    let prefix = session.record.key_prefix.as_deref();
    let key = resume::next_key(writer.writer(), kept, prefix)?;
    session.rewind(kept, key);
    Ok(stored.saturating_sub(kept))
}

/// What is odd about the list of inputs.
fn tell(reading: &mut Reading, nothing: bool) {
    let given = &reading.given;
    let mut notes = Vec::new();
    for (i, input) in given.iter().enumerate() {
        let twice = given.iter().take(i).any(|g| g.path.is_some() && g.path == input.path);
        if twice && !input.done {
            let name = printable_path(&input.name);
            notes.push(format!("{name} is given twice: its frames are stored twice"));
        }
    }
    let rows = given.iter().filter_map(|g| g.row);
    if nothing && !rows.is_sorted() {
        notes.push("the inputs are stored in another order than they are given".into());
    }
    reading.notes.extend(notes);
}

fn same_units(given: &[Given]) -> Result<(FormatKind, Units)> {
    let Some((first, others)) = given.split_first() else {
        return Err(Error::invalid("inputs", "none was given"));
    };
    for other in others {
        if other.units != first.units {
            let why = format!(
                "this file is in the units of {}, the first in those of {}; units are not mixed \
                 in one store",
                other.kind.name(),
                first.kind.name()
            );
            return Err(Error::invalid("units", why).at(&other.name));
        }
    }
    Ok((first.kind, first.units))
}

/// Refuses before anything is changed: opening a file of the original program for writing turns
/// it into one of ours.
fn may_append(path: &Path, units: &Units, options: &ImportOptions) -> Result<Option<Trajectory>> {
    let depot =
        Trajectory::new(Store::open_with(path, &options.store.write.reading())?.snapshot())?;
    let known = depot.is_empty() || options.same_units;
    let attributes = depot.snapshot().attributes();
    if known {
        state_units(&attributes, units)?;
    } else {
        check_units(&attributes, units)?;
    }
    if matches!(depot.snapshot().opened(), Opened::OlderCommit { .. } | Opened::LastSeal { .. }) {
        // What can be read is not all that was written: a writer says so first.
        Writer::open(path, &options.store.write)?;
    }
    Ok(Some(depot))
}
