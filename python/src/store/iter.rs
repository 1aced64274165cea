//! Going through a store: keys, values and both, a window at a time.

use crate::convert::key::to_python;
use crate::error::{Failure, Outcome};
use crate::store::typed::Typed;
use crate::store::view::View;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use vlstore::dataset::DataSet;
use vlstore::{Error, Key, Record, Snapshot};

/// Keys that are read from the index at a time.
const PAGE: u64 = 256;

/// What each step returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Keys,
    /// Values of what the mapping has.
    Values,
    /// Keys and values.
    Items,
    /// Values of all records, with a key or without.
    All,
}

/// Goes through the records of a store in the order of insertion.
#[pyclass(frozen, module = "vlstore", name = "Iterator")]
pub(crate) struct Iter {
    typed: Typed,
    what: What,
    /// The state that a reader goes through; a writer has none.
    seen: Option<Seen>,
    state: Mutex<State>,
}

/// What a reader goes through.
enum Seen {
    Store(Snapshot),
    Set(DataSet),
}

/// Records in order.
type Records = Box<dyn Iterator<Item = vlstore::Result<Record>> + Send>;

impl Seen {
    fn of(view: &View<'_>) -> Option<Self> {
        match view {
            View::Reader(snapshot) => Some(Self::Store((*snapshot).clone())),
            View::Set(set) => Some(Self::Set((*set).clone())),
            View::Writer(_) => None,
        }
    }

    const fn view(&self) -> View<'_> {
        match self {
            Self::Store(snapshot) => View::Reader(snapshot),
            Self::Set(set) => View::Set(set),
        }
    }

    fn scan(&self, len: u64) -> Records {
        match self {
            Self::Store(snapshot) => Box::new(snapshot.scan(0..len)),
            Self::Set(set) => Box::new(set.scan(0..len)),
        }
    }
}

struct State {
    scan: Option<Records>,
    next: u64,
    len: u64,
    /// Writes that the handle had seen.
    writes: u64,
    keys: VecDeque<Option<Key>>,
}

enum Step {
    End,
    Key(Key),
    Value(Option<Key>, u64, Record),
}

impl Iter {
    pub(crate) fn new(py: Python<'_>, typed: &Typed, what: What) -> Outcome<Self> {
        let handle = &typed.handle;
        let (seen, state) = handle.read(py, |view| {
            let seen = Seen::of(&view);
            let len = view.len();
            let scan = seen.as_ref().filter(|_| what != What::Keys).map(|seen| seen.scan(len));
            let writes = handle.writes();
            Ok((seen, State { scan, next: 0, len, writes, keys: VecDeque::new() }))
        })?;
        Ok(Self { typed: typed.clone(), what, seen, state: Mutex::new(state) })
    }

    fn step(&self, py: Python<'_>) -> Outcome<Step> {
        if let Some(seen) = &self.seen {
            return py.detach(|| self.advance(&seen.view()));
        }
        self.typed.handle.read(py, |view| self.advance(&view))
    }

    fn advance(&self, view: &View<'_>) -> Outcome<Step> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seen.is_none() && state.writes != self.typed.handle.writes() {
            return Err(Failure::Python(PyRuntimeError::new_err(
                "the store changed during the iteration; go through list(store) instead",
            )));
        }
        while state.next < state.len {
            let ordinal = state.next;
            let mut key = if self.what == What::All { None } else { state.key(view)? };
            state.next += 1;
            let wanted = !self.typed.keyed || self.what == What::All || key.is_some();
            if key.is_none() && wanted && matches!(self.what, What::Keys | What::Items) {
                key = Some(named(view, ordinal)?);
            }
            if self.what == What::Keys {
                match key {
                    Some(key) => return Ok(Step::Key(key)),
                    None => continue,
                }
            }
            let record = match &mut state.scan {
                Some(scan) => match scan.next() {
                    Some(record) => record?,
                    None => return Ok(Step::End),
                },
                None if wanted => view.get_at(ordinal)?,
                None => continue,
            };
            if wanted {
                return Ok(Step::Value(key, ordinal, record));
            }
        }
        Ok(Step::End)
    }
}

/// The key under which the mapping has the record at `ordinal`, which was put without one.
fn named(view: &View<'_>, ordinal: u64) -> Outcome<Key> {
    let key = Key::from(ordinal);
    if view.find_key(&key)?.is_some() {
        let why = format!(
            "the record at ordinal {ordinal} was put without a key, and another record has the key \
             {ordinal}: go over store.values() or store.at, which have both"
        );
        return Err(Error::invalid("keys", why).into());
    }
    Ok(key)
}

impl State {
    /// The key of the next record; a page of them is read at a time.
    fn key(&mut self, view: &View<'_>) -> Outcome<Option<Key>> {
        if self.keys.is_empty() {
            for ordinal in self.next..self.len.min(self.next + PAGE) {
                self.keys.push_back(view.key_at(ordinal)?);
            }
        }
        Ok(self.keys.pop_front().flatten())
    }
}

#[pymethods]
impl Iter {
    #[expect(clippy::self_named_constructors, reason = "the name is that of Python's protocol")]
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(match self.step(py)? {
            Step::End => None,
            Step::Key(key) => Some(to_python(py, Some(&key))?),
            Step::Value(key, ordinal, record) => {
                let name = || match &key {
                    Some(key) => format!("record {key}"),
                    None => format!("ordinal {ordinal}"),
                };
                let value = self.typed.decode_as(py, record, name)?;
                if self.what == What::Items {
                    let pair = (to_python(py, key.as_ref())?, value);
                    Some(pair.into_pyobject(py)?.into_any().unbind())
                } else {
                    Some(value)
                }
            }
        })
    }
}
