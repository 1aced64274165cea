//! Reading a task: its trials at one commit, arrays one by one.

use super::{Named, begun_key, check_mark, named, object_key, piece_key, trial_key};
use crate::backend::Backend;
use crate::codec::{ArrayView, DocumentCodec};
use crate::depot::Depot;
use crate::error::{Error, Result};
use crate::experiments::array::Array;
use crate::experiments::head::{ArrayEntry, Trial, Unfinished, begun_of, piece_axis, trial_of};
use crate::experiments::object::Object;
use crate::experiments::source::Task;
use crate::key::Key;
use crate::store::{Opened, ReadOptions, Readable, Snapshot, Store};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Trials whose heads are read together.
const WINDOW: usize = 256;

/// A task in a store of ours, as of one commit.
#[derive(Debug)]
pub struct StoredTask {
    depot: Depot<DocumentCodec>,
    trials: Vec<Trial>,
    objects: Vec<String>,
    unfinished: Vec<Unfinished>,
}

impl StoredTask {
    /// Opens the task at `path`.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Older`] if the newest commit cannot be read; [`Error::Invalid`]
    /// for a store that is no task.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || Self::over(Store::open(path)?.snapshot());
        open().map_err(|e| e.at(path))
    }

    /// Whether there is a task at `path`.
    pub(in crate::experiments) fn is_at(path: &Path) -> bool {
        Store::open(path).is_ok_and(|store| check_mark(&store.snapshot().attributes()).is_ok())
    }

    /// Opens the task in `backend`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(backend: Arc<dyn Backend>) -> Result<Self> {
        Self::over(Store::open_in(backend, &ReadOptions::default())?.snapshot())
    }

    fn over(snapshot: Snapshot) -> Result<Self> {
        // Fewer trials than were written are not shown without a word: `recover` saves them.
        if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } =
            snapshot.opened()
        {
            return Err(Error::Older { generation, records: snapshot.len() });
        }
        check_mark(&snapshot.attributes())?;
        let depot = Depot::new(snapshot, DocumentCodec)?;
        let (mut numbers, mut objects) = (Vec::new(), Vec::new());
        let mut begun: BTreeMap<u64, BTreeMap<String, Vec<u64>>> = BTreeMap::new();
        let mut pieces: Vec<(u64, String, u64)> = Vec::new();
        depot.source().visit_index(&mut |_, key, _| {
            match key.as_ref().map(named) {
                Some(Named::Trial(number)) => numbers.push(number),
                Some(Named::Object(name)) => objects.push(name.to_owned()),
                Some(Named::Begun(token)) => drop(begun.entry(token).or_default()),
                Some(Named::Piece { token, array, number }) => {
                    pieces.push((token, array.to_owned(), number));
                }
                Some(Named::Other) | None => {}
            }
            Ok(())
        })?;
        for (token, array, number) in pieces {
            if let Some(arrays) = begun.get_mut(&token) {
                arrays.entry(array).or_default().push(number);
            }
        }
        numbers.sort_unstable();
        objects.sort_unstable();
        let mut trials = Vec::new();
        for window in numbers.chunks(WINDOW) {
            let items = depot.get_batch(window.iter().map(|n| trial_key(*n)))?;
            for view in items.iter() {
                trials.push(trial_of(view?.head())?);
            }
        }
        let mut unfinished = Vec::new();
        for (token, found) in begun {
            let attributes = begun_of(depot.get(begun_key(token))?.view()?.head())?;
            let mut arrays = BTreeMap::new();
            for (name, mut pieces) in found {
                pieces.sort_unstable();
                let Some(first) = pieces.first() else { continue };
                let axis = piece_axis(depot.get(piece_key(token, &name, *first))?.view()?.head())?;
                arrays.insert(name, (axis, pieces));
            }
            unfinished.push(Unfinished { attributes, arrays, token });
        }
        Ok(Self { depot, trials, objects, unfinished })
    }

    /// Trials that were begun and never written.
    #[must_use]
    pub fn unfinished(&self) -> &[Unfinished] {
        &self.unfinished
    }

    /// What is committed of the array `name` of an unfinished trial.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no piece of it; else as
    /// [`Readable::get`].
    pub fn unfinished_array(&self, trial: &Unfinished, name: &str) -> Result<Array> {
        let (_, numbers) = trial.arrays.get(name).ok_or_else(|| {
            Error::invalid("array", format!("no piece of {name:?} was committed"))
        })?;
        self.joined(numbers.iter().map(|n| piece_key(trial.token, name, *n)).collect(), None)
    }

    /// The number of the commit that is seen.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.depot.source().generation()
    }

    /// The array of these pieces.
    fn joined(&self, keys: Vec<Key>, entry: Option<&ArrayEntry>) -> Result<Array> {
        let items = self.depot.get_batch(keys)?;
        let mut views: Vec<ArrayView<'_>> = Vec::with_capacity(items.len());
        let mut axis = None;
        for view in items.iter() {
            let view = view?;
            axis = axis.or(Some(piece_axis(view.head())?));
            let piece = view.arrays().first().copied();
            views.push(piece.ok_or_else(|| Error::codec("document", "a piece has no array"))?);
        }
        match (views.as_slice(), entry) {
            ([whole], Some(ArrayEntry { whole: true, .. })) => Array::of(whole),
            _ => axis.unwrap_or_default().joined(&views),
        }
    }
}

impl Task for StoredTask {
    fn unfinished(&self) -> &[Unfinished] {
        self.unfinished()
    }

    fn unfinished_array(&self, trial: &Unfinished, name: &str) -> Result<Array> {
        self.unfinished_array(trial, name)
    }

    fn trials(&self) -> &[Trial] {
        &self.trials
    }

    fn array(&self, trial: usize, name: &str) -> Result<Array> {
        let found = self.trials.get(trial).ok_or_else(|| no_trial(trial, self.trials.len()))?;
        let entry = found.entry(&format!("trial {trial}"), name)?;
        let numbers = entry.pieces.0..entry.pieces.1;
        let keys = numbers.map(|n| piece_key(found.token, name, n)).collect();
        let array = self.joined(keys, Some(entry))?;
        if array.dtype != entry.dtype || array.shape != entry.shape {
            let why = format!("the pieces of {name:?} of trial {trial} are not what it notes");
            return Err(Error::codec("document", why));
        }
        Ok(array)
    }

    fn objects(&self) -> &[String] {
        &self.objects
    }

    fn object(&self, name: &str) -> Result<Object> {
        if !self.objects.iter().any(|n| n == name) {
            return Err(no_object(name, &self.objects));
        }
        let item = self.depot.get(object_key(name))?;
        let view = item.view()?;
        Object::of(view.head(), view.arrays().first())
    }
}

/// There is no such trial.
pub(crate) fn no_trial(trial: usize, of: usize) -> Error {
    Error::invalid(
        "trial",
        format!("trial {trial} does not exist; the task has {of}, counted from 0"),
    )
}

/// There is no such object.
pub(crate) fn no_object(name: &str, there: &[String]) -> Error {
    let names: Vec<_> = there.iter().map(|n| format!("{n:?}")).collect();
    let names = if names.is_empty() { "none".into() } else { names.join(", ") };
    Error::invalid("object", format!("{name:?} does not exist; objects: {names}"))
}
