//! Writing a task: trials, each committed when it is written, and pieces as they are acquired.

use super::{Named, begun_key, check_mark, mark, named, object_key, piece_key, trial_key};
use crate::backend::process_id;
use crate::codec::{ArrayView, DType, DocumentCodec, DocumentRef};
use crate::depot::DepotWriter;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::experiments::array::{Array, StackAxis};
use crate::experiments::head::{
    ArrayEntry, Trial, begun_head, check_attributes, check_numbers, piece_head, trial_head,
};
use crate::experiments::names;
use crate::experiments::object::Object;
use crate::experiments::value::Value;
use crate::key::Key;
use crate::store::{Durability, Layout, Readable, StoreOptions, WriteOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Pieces that wait in memory for the next commit have at most so many bytes.
const WAITING_MAX: usize = 1 << 20;

/// How a task is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOptions {
    /// Pieces are committed when a piece comes and so much time has passed since the last
    /// commit: what a killed acquisition can lose. Zero commits each piece by itself.
    pub commit_interval: Duration,
    /// When a commit returns.
    pub durability: Durability,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self { commit_interval: Duration::from_secs(1), durability: Durability::default() }
    }
}

impl TaskOptions {
    fn store(self) -> StoreOptions {
        StoreOptions {
            layout: Layout { typesize: 8, ..Layout::default() },
            write: WriteOptions {
                durability: self.durability,
                // Commits are made here, where a trial is complete or its pieces are.
                commit_bytes: u64::MAX,
                commit_interval: Duration::MAX,
                ..WriteOptions::default()
            },
        }
    }
}

/// What an array of a trial that is written has.
#[derive(Debug, Clone, Copy)]
pub enum Acquired<'a> {
    /// These values.
    Whole(ArrayView<'a>),
    /// The pieces that [`TaskWriter::stack`] was given.
    Stacked,
}

/// An array of a trial under way.
#[derive(Debug)]
struct Stream {
    axis: StackAxis,
    dtype: DType,
    /// Of all pieces together.
    shape: Vec<u64>,
    waiting: Vec<Array>,
    /// Number of the first piece in the store and of the next one.
    pieces: (u64, u64),
}

/// A trial under way.
#[derive(Debug, Default)]
struct Begun {
    streams: BTreeMap<String, Stream>,
    /// Numbers of pieces that arrays had before they were cleared: they are not used again.
    used: BTreeMap<String, u64>,
    noted: bool,
}

/// Writes the trials of one task. There is one for a task at a time, in all processes.
#[derive(Debug)]
pub struct TaskWriter {
    writer: DepotWriter<DocumentCodec>,
    options: TaskOptions,
    /// Number of the next trial.
    trials: u64,
    /// The next token.
    next: u64,
    begun: BTreeMap<u64, Begun>,
    waiting: usize,
    committed: Instant,
    process: u32,
}

impl TaskWriter {
    /// Makes a new task at `path`.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one and it is not to be replaced, [`Error::Locked`] if it has
    /// a writer; else as [`Writer::create`](crate::Writer::create).
    pub fn create(path: &Path, existing: Existing, options: TaskOptions) -> Result<Self> {
        let store = options.store();
        let mut writer = match existing {
            Existing::Refuse => DepotWriter::create(path, DocumentCodec, &store),
            Existing::Replace => DepotWriter::replace(path, DocumentCodec, &store),
        }?;
        let begin = || {
            writer.writer_mut().set_attributes(&mark())?;
            writer.commit()?;
            Self::over(writer, options)
        };
        begin().map_err(|e| e.at(path))
    }

    /// Opens the task at `path` to append trials.
    ///
    /// # Errors
    /// [`Error::Locked`] if it has a writer; [`Error::Invalid`] for a store that is no task; else
    /// as [`Writer::open`](crate::Writer::open).
    pub fn open(path: &Path, options: TaskOptions) -> Result<Self> {
        let writer = DepotWriter::open(path, DocumentCodec, &options.store().write)?;
        let begin = || {
            check_mark(&writer.writer().attributes())?;
            Self::over(writer, options)
        };
        begin().map_err(|e| e.at(path))
    }

    fn over(writer: DepotWriter<DocumentCodec>, options: TaskOptions) -> Result<Self> {
        let (mut trials, mut next) = (0, 0);
        writer.writer().visit_index(&mut |_, key, _| {
            match key.as_ref().map(named) {
                Some(Named::Trial(number)) => trials = trials.max(number.saturating_add(1)),
                Some(Named::Begun(token) | Named::Piece { token, .. }) => {
                    next = next.max(token.saturating_add(1));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            writer,
            options,
            trials,
            // That of a trial without pieces may be used again: nothing is found by it.
            next,
            begun: BTreeMap::new(),
            waiting: 0,
            committed: Instant::now(),
            process: process_id(),
        })
    }

    /// Refuses a process that has this writer by a fork, which has no lock, and a writer that the
    /// disk failed: what is stacked to it would never be in the file.
    fn usable(&self) -> Result<()> {
        if self.process == process_id() {
            return self.writer.writer().usable();
        }
        let why = "the task was opened before a fork; only the process that opened it writes it";
        Err(Error::invalid("task", why))
    }

    /// Begins a trial whose arrays are written while they are acquired, and returns by what it is
    /// named until it is written. What is committed of a trial that is never written can be read
    /// with [`StoredTask::unfinished`](super::StoredTask::unfinished).
    ///
    /// # Errors
    /// [`Error::Invalid`] for attributes that cannot be kept; else as
    /// [`Writer::put`](crate::Writer::put).
    pub fn begin(&mut self, attributes: &[(String, Value)]) -> Result<u64> {
        self.usable()?;
        check_attributes(attributes)?;
        check_numbers(attributes)?;
        let token = self.next;
        self.put(&begun_key(token), &begun_head(attributes), &[])?;
        self.next += 1;
        self.begun.insert(token, Begun { noted: true, ..Begun::default() });
        self.commit()?;
        Ok(token)
    }

    /// Adds a piece to the array `name` of the trial `token`. It is committed with the next
    /// commit, which comes at latest with the first piece after the
    /// [interval](TaskOptions::commit_interval).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a piece that does not fit those before it, or a trial that was not
    /// begun: nothing has changed. Else as [`Writer::put`](crate::Writer::put): then this writer
    /// writes no more, and what was committed stays.
    pub fn stack(
        &mut self,
        token: u64,
        name: &str,
        axis: StackAxis,
        piece: &ArrayView<'_>,
    ) -> Result<()> {
        self.usable()?;
        names::check("array", name)?;
        let shape = axis.lifted(piece.shape())?;
        let begun = self.begun.get_mut(&token).ok_or_else(not_begun)?;
        let from = begun.used.get(name).copied().unwrap_or_default();
        let bytes = piece.data().len();
        match begun.streams.get_mut(name) {
            Some(stream) => {
                stream.axis.fits((stream.dtype, &stream.shape), (piece.dtype(), &shape))?;
                let along = stream.axis.along(shape.len());
                stream.waiting.push(Array::of(piece)?);
                if let (Some(total), Some(more)) = (stream.shape.get_mut(along), shape.get(along)) {
                    *total += more;
                }
            }
            None => {
                let waiting = vec![Array::of(piece)?];
                let dtype = piece.dtype();
                let stream = Stream { axis, dtype, shape, waiting, pieces: (from, from) };
                begun.streams.insert(name.into(), stream);
            }
        }
        self.waiting += bytes;
        let due = self.committed.elapsed() >= self.options.commit_interval;
        if due || self.waiting >= WAITING_MAX { self.commit().map(drop) } else { Ok(()) }
    }

    /// Empties the array `name` of the trial `token`.
    ///
    /// # Errors
    /// As [`Writer::delete`](crate::Writer::delete).
    pub fn clear(&mut self, token: u64, name: &str) -> Result<()> {
        self.usable()?;
        let begun = self.begun.get_mut(&token).ok_or_else(not_begun)?;
        let Some(stream) = begun.streams.remove(name) else { return Ok(()) };
        begun.used.insert(name.into(), stream.pieces.1);
        self.waiting = self.waiting.saturating_sub(waiting_bytes(&stream));
        self.forget(token, name, stream.pieces)
    }

    /// Writes a trial and commits it; returns its number, counted from 0. `token` is of a trial
    /// that was begun.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a trial without block or trial number, with an array that was never
    /// filled, or with names that cannot be kept. A trial that is refused leaves nothing behind,
    /// also nothing of what was stacked. Else as [`Writer::put`](crate::Writer::put): then the
    /// task is as of the last commit.
    pub fn write(
        &mut self,
        token: Option<u64>,
        attributes: &[(String, Value)],
        arrays: &[(&str, StackAxis, Acquired<'_>)],
    ) -> Result<u64> {
        self.usable()?;
        let token = match token {
            Some(token) if self.begun.contains_key(&token) => token,
            Some(_) => return Err(not_begun()),
            None => {
                let token = self.next;
                self.next += 1;
                self.begun.insert(token, Begun::default());
                token
            }
        };
        let written = self.write_begun(token, attributes, arrays);
        if written.is_err() {
            // A writer that the disk failed can do nothing more, and has not committed this.
            let _ = self.abandon(token);
        }
        written
    }

    fn write_begun(
        &mut self,
        token: u64,
        attributes: &[(String, Value)],
        arrays: &[(&str, StackAxis, Acquired<'_>)],
    ) -> Result<u64> {
        check_attributes(attributes)?;
        check_numbers(attributes)?;
        for (i, (name, _, acquired)) in arrays.iter().enumerate() {
            names::check("array", name)?;
            if arrays.iter().take(i).any(|(other, ..)| other == name) {
                return Err(Error::invalid("array", format!("{name:?} is given twice")));
            }
            let begun = self.begun.get(&token).ok_or_else(not_begun)?;
            if matches!(acquired, Acquired::Stacked) && !begun.streams.contains_key(*name) {
                let why = format!(
                    "{name:?} was declared and never filled; stack data or remove the array \
                     from the trial"
                );
                return Err(Error::invalid("trial", why));
            }
        }
        self.put_waiting(token)?;
        let mut entries = Vec::new();
        for (name, axis, acquired) in arrays {
            let (dtype, shape, axis, pieces, whole) = match acquired {
                Acquired::Whole(view) => {
                    self.clear(token, name)?;
                    let begun = self.begun.get_mut(&token).ok_or_else(not_begun)?;
                    let at = begun.used.get(*name).copied().unwrap_or_default();
                    begun.used.insert((*name).into(), at + 1);
                    self.put(&piece_key(token, name, at), &piece_head(*axis), &[*view])?;
                    (view.dtype(), view.shape().to_vec(), *axis, (at, at + 1), true)
                }
                Acquired::Stacked => {
                    let begun = self.begun.get(&token).ok_or_else(not_begun)?;
                    let stream = begun.streams.get(*name).ok_or_else(not_begun)?;
                    let shape = stream.shape.clone();
                    (stream.dtype, shape, stream.axis, stream.pieces, false)
                }
            };
            let name = (*name).to_owned();
            entries.push(ArrayEntry { name, dtype, shape, axis, pieces, whole });
        }
        // What was stacked to arrays that the trial has no more.
        let dropped: Vec<(String, (u64, u64))> = {
            let begun = self.begun.get(&token).ok_or_else(not_begun)?;
            let kept = |name: &String| arrays.iter().any(|(other, ..)| other == name);
            let streams = begun.streams.iter().filter(|(name, _)| !kept(name));
            streams.map(|(name, stream)| (name.clone(), stream.pieces)).collect()
        };
        for (name, pieces) in dropped {
            self.forget(token, &name, pieces)?;
        }
        let noted = self.begun.get(&token).is_some_and(|b| b.noted);
        if noted {
            self.writer.writer_mut().delete(begun_key(token))?;
        }
        let trial = Trial { attributes: attributes.to_vec(), arrays: entries, token };
        self.put(&trial_key(self.trials), &trial_head(&trial), &[])?;
        if let Err(error) = self.commit() {
            // Not of this trial: of the next state of a handle that writes no more.
            self.begun.remove(&token);
            return Err(error);
        }
        self.begun.remove(&token);
        self.trials += 1;
        Ok(self.trials - 1)
    }

    /// Discards the trial `token`: nothing of it stays.
    ///
    /// # Errors
    /// As [`Writer::delete`](crate::Writer::delete).
    pub fn abandon(&mut self, token: u64) -> Result<()> {
        self.usable()?;
        let Some(begun) = self.begun.remove(&token) else { return Ok(()) };
        let mut there = false;
        for (name, stream) in &begun.streams {
            self.waiting = self.waiting.saturating_sub(waiting_bytes(stream));
            self.forget(token, name, stream.pieces)?;
            there |= stream.pieces.0 < stream.pieces.1;
        }
        for (name, next) in &begun.used {
            // Whole arrays that were put before the trial was refused.
            if let Some(last) = next.checked_sub(1) {
                self.forget(token, name, (last, *next))?;
            }
        }
        self.delete(&begun_key(token))?;
        self.delete(&trial_key(self.trials))?;
        if begun.noted || there || self.writer.writer().is_dirty() {
            self.commit()?;
        }
        Ok(())
    }

    /// Removes what is left of trials that were begun and never written, by earlier runs that
    /// were stopped; returns how many there were.
    ///
    /// # Errors
    /// As [`Writer::delete`](crate::Writer::delete).
    pub fn discard_unfinished(&mut self) -> Result<u64> {
        self.usable()?;
        let (mut old, mut tokens) = (Vec::new(), Vec::new());
        self.writer.writer().visit_index(&mut |_, key, _| {
            if let Some(Named::Begun(token)) = key.as_ref().map(named)
                && !self.begun.contains_key(&token)
            {
                tokens.push(token);
            }
            Ok(())
        })?;
        self.writer.writer().visit_index(&mut |_, key, _| {
            let Some(key) = key else { return Ok(()) };
            let of = match named(&key) {
                Named::Begun(token) | Named::Piece { token, .. } => Some(token),
                _ => None,
            };
            if of.is_some_and(|token| tokens.contains(&token)) {
                old.push(key);
            }
            Ok(())
        })?;
        for key in old {
            self.writer.writer_mut().delete(key)?;
        }
        self.commit()?;
        Ok(tokens.len() as u64)
    }

    /// Keeps a single object under `name` and commits it; one that is there is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be kept; else as
    /// [`Writer::put`](crate::Writer::put).
    pub fn put_object(&mut self, name: &str, object: &Object) -> Result<()> {
        self.usable()?;
        names::check("object", name)?;
        let array = object.array()?;
        self.put(&object_key(name), &object.head(), array.as_slice())?;
        self.commit().map(drop)
    }

    /// Commits all pieces that wait; returns the number of the commit.
    ///
    /// # Errors
    /// As [`Writer::commit`](crate::Writer::commit).
    pub fn commit(&mut self) -> Result<u64> {
        self.usable()?;
        let tokens: Vec<u64> = self.begun.keys().copied().collect();
        for token in tokens {
            self.put_waiting(token)?;
        }
        self.committed = Instant::now();
        self.writer.commit()
    }

    /// Number of trials that are written.
    #[must_use]
    pub const fn trials(&self) -> u64 {
        self.trials
    }

    /// Whether the file system keeps a second writer out.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.writer.writer().is_locked()
    }

    /// Commits what waits and ends.
    ///
    /// # Errors
    /// As [`Writer::close`](crate::Writer::close).
    pub fn close(mut self) -> Result<()> {
        self.commit()?;
        self.writer.close().map(drop)
    }

    /// Puts the pieces of a trial that wait, joined: one record for each array.
    fn put_waiting(&mut self, token: u64) -> Result<()> {
        let Some(begun) = self.begun.get_mut(&token) else { return Ok(()) };
        let mut joined = Vec::new();
        for (name, stream) in &mut begun.streams {
            if stream.waiting.is_empty() {
                continue;
            }
            let views = stream.waiting.iter().map(Array::view).collect::<Result<Vec<_>>>()?;
            joined.push((name.clone(), stream.axis, stream.pieces.1, stream.axis.joined(&views)?));
            self.waiting = self.waiting.saturating_sub(waiting_bytes(stream));
            stream.waiting.clear();
            stream.pieces.1 += 1;
        }
        for (name, axis, number, array) in joined {
            self.put(&piece_key(token, &name, number), &piece_head(axis), &[array.view()?])?;
        }
        Ok(())
    }

    fn put(&mut self, key: &Key, head: &str, arrays: &[ArrayView<'_>]) -> Result<()> {
        self.writer.put(key.clone(), &DocumentRef { head, arrays }).map(drop)
    }

    fn forget(&mut self, token: u64, name: &str, pieces: (u64, u64)) -> Result<()> {
        (pieces.0..pieces.1).try_for_each(|number| self.delete(&piece_key(token, name, number)))
    }

    fn delete(&mut self, key: &Key) -> Result<()> {
        match self.writer.writer_mut().delete(key.clone()) {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

fn waiting_bytes(stream: &Stream) -> usize {
    stream.waiting.iter().map(|a| a.data.len()).sum()
}

fn not_begun() -> Error {
    Error::invalid("trial", "it was not begun with this writer, or is written already")
}
