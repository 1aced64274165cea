//! What can be read of an open store, by key as the mapping has it, and by ordinal.

use crate::error::{Failure, Outcome};
use std::ops::Deref;
use vlstore::dataset::DataSet;
use vlstore::trajectory::arrays::Selection;
use vlstore::{Batch, Error, Info, Key, Readable, Record, Result, Snapshot, Writer};

/// What can be read, whichever way the store is open.
pub(crate) enum View<'a> {
    Reader(&'a Snapshot),
    Set(&'a DataSet),
    Writer(&'a Writer),
}

impl<'a> Deref for View<'a> {
    type Target = dyn Readable + 'a;
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Reader(s) => *s,
            Self::Set(s) => *s,
            Self::Writer(w) => *w,
        }
    }
}

impl View<'_> {
    /// The state of the last commit, of what is one file.
    pub(crate) fn committed(&self) -> Result<Snapshot> {
        match self {
            Self::Reader(s) => Ok((*s).clone()),
            Self::Set(_) => {
                let why = "this needs one store, and this is a data set of several: open a member by its \
                           own path, or make one store of all of them (vlstore.copy)";
                Err(Error::invalid("store", why))
            }
            Self::Writer(w) => w.snapshot(),
        }
    }

    pub(crate) fn info(&self) -> Result<Info> {
        self.committed()?.info()
    }

    /// What a store is known by: the id of its file; a data set by its members.
    pub(crate) fn id(&self) -> Result<String> {
        match self {
            Self::Set(set) => Ok(first_members(set, set.members().len())),
            one => Ok(one.committed()?.file_id()),
        }
    }

    /// Whether this is what was known by `id`, at the same or a later commit: of a data set the members of then are
    /// the first ones.
    pub(crate) fn is_still(&self, id: &str) -> Result<bool> {
        match self {
            Self::Set(set) => {
                let members = id.split(' ').next().and_then(|n| n.parse().ok());
                Ok(members.is_some_and(|n| first_members(set, n) == id))
            }
            one => Ok(one.committed()?.file_id() == id),
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        match self {
            Self::Reader(_) | Self::Set(_) => false,
            Self::Writer(w) => w.is_dirty(),
        }
    }

    /// The ordinal of the record that the mapping has under `key`: the one with this key, or, for
    /// an integer, the one at this ordinal if it was put without a key.
    pub(crate) fn place(&self, key: &Key, keyed: bool) -> Result<Option<u64>> {
        match self.find_key(key)? {
            None if !keyed => self.unkeyed(key),
            found => Ok(found),
        }
    }

    /// The ordinal that `key` is, if the record there has no key.
    pub(crate) fn unkeyed(&self, key: &Key) -> Result<Option<u64>> {
        let Key::Int(n) = key else { return Ok(None) };
        let ordinal = u64::try_from(*n).ok().filter(|ordinal| *ordinal < self.len());
        match ordinal {
            Some(ordinal) if self.key_at(ordinal)?.is_none() => Ok(Some(ordinal)),
            _ => Ok(None),
        }
    }

    /// As [`View::place`]; an error if there is none.
    pub(crate) fn placed(&self, key: &Key, keyed: bool) -> Outcome<u64> {
        self.place(key, keyed)?.ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &Key) -> Failure {
        let at = match key {
            Key::Int(n) if (0..i128::from(self.len())).contains(n) => {
                format!("{key}; the record at ordinal {n} is store.at[{n}]")
            }
            _ => key.to_string(),
        };
        Error::NotFound { key: at.into() }.into()
    }

    /// The record that the mapping has under `key`.
    pub(crate) fn record(&self, key: &Key, keyed: bool) -> Outcome<Record> {
        match self.get_key(key) {
            Err(Error::NotFound { .. }) if matches!(key, Key::Int(_)) => {
                Ok(self.get_at(self.placed(key, keyed)?)?)
            }
            found => Ok(found?),
        }
    }

    /// What the mapping has under `keys`: by key, or by ordinals where some of them may be such.
    pub(crate) fn asked(&self, keys: Vec<Key>, keyed: bool) -> Outcome<Asked> {
        if keyed || !keys.iter().any(|key| matches!(key, Key::Int(_))) {
            return Ok(Asked::Keys(keys));
        }
        let ordinals = keys.iter().map(|key| self.placed(key, keyed));
        Ok(Asked::Ordinals(ordinals.collect::<Outcome<_>>()?))
    }

    /// The records that the mapping has under `keys`.
    pub(crate) fn batch(&self, keys: Vec<Key>, keyed: bool) -> Outcome<Batch> {
        match self.asked(keys, keyed)? {
            Asked::Keys(keys) => Ok(self.plan_keys(&keys)?.batch()?),
            Asked::Ordinals(ordinals) => Ok(self.get_batch_at(&ordinals)?),
        }
    }

    /// An ordinal as Python counts: negative ones from the end.
    pub(crate) fn ordinal(&self, asked: i64) -> Outcome<u64> {
        let len = self.len();
        let found = if asked < 0 {
            len.checked_sub(asked.unsigned_abs())
        } else {
            Some(asked.unsigned_abs()).filter(|o| *o < len)
        };
        found.ok_or(Failure::Ordinal { asked, len })
    }

    pub(crate) fn ordinals(&self, asked: &[i64]) -> Outcome<Vec<u64>> {
        asked.iter().map(|o| self.ordinal(*o)).collect()
    }
}

/// Which records are wanted.
pub(crate) enum Asked {
    Keys(Vec<Key>),
    Ordinals(Vec<u64>),
}

impl Asked {
    pub(crate) fn selection(&self) -> Selection<'_> {
        match self {
            Self::Keys(keys) => Selection::Keys(keys),
            Self::Ordinals(ordinals) => Selection::Ordinals(ordinals),
        }
    }
}

/// Refuses a key that names a record without one already: by its ordinal, which it keeps.
pub(crate) fn free(writer: &Writer, key: Option<&Key>, keyed: bool) -> Outcome<()> {
    let Some(key) = key.filter(|_| !keyed) else { return Ok(()) };
    match View::Writer(writer).unkeyed(key)? {
        Some(n) if !writer.contains(key)? => {
            let why = format!(
                "{n} is the ordinal of a record without a key, which keeps its place: put under \
                 another key, or remove that record first (del store.at[{n}])"
            );
            Err(Error::invalid("key", why).into())
        }
        _ => Ok(()),
    }
}

fn first_members(set: &DataSet, members: usize) -> String {
    let state = set.state_of_first(members);
    state.map_or_else(String::new, |state| format!("{members} members {state:016x}"))
}
