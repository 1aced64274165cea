//! One store or many as one data set: their records under one numbering, files opened when they are
//! needed.

use super::random::key_of;
use crate::codec;
use crate::column::ColumnValues;
use crate::dataset::{DataSet, Member, open_store};
use crate::depot::Columns;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::printable::printable_path;
use crate::store::{ColumnData, Looked, ReadOptions, Readable, Snapshot};
use crate::wire::memory;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Stores whose records are numbered one store after the other.
///
/// The records are those of the last commit of each when it was added. Of stores that were given by
/// their paths only so many stay open as was asked for; one that is opened again must still have the
/// records that it had.
#[derive(Debug, Clone)]
pub struct Sources {
    stores: Arc<[Entry]>,
    open: Arc<Open>,
}

#[derive(Debug)]
struct Entry {
    from: Reached,
    /// The number of its first record among all.
    first: u64,
    records: u64,
    /// Bytes of its records.
    bytes: u64,
    known: Known,
}

/// How a store is reached.
#[derive(Debug, Clone)]
enum Reached {
    Held(Snapshot),
    /// A member of a data set, which knows how to open it.
    Member(DataSet),
    Path(PathBuf),
}

/// What says whether a file still has the same records at the same ordinals.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    file: String,
    dead: u64,
}

impl Known {
    fn of(snapshot: &Snapshot) -> Self {
        Self { file: snapshot.file_id(), dead: snapshot.total() - snapshot.len() }
    }
}

/// Which records of a store are loaded: enough to find the same ones in another process, later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The id of the file.
    pub file: String,
    /// How many records were deleted in it.
    pub deleted: u64,
    /// How many records it has; behind them others may have come.
    pub records: u64,
}

/// Stores that are open, the last one used last.
#[derive(Debug)]
struct Open {
    most: usize,
    options: ReadOptions,
    stores: Mutex<VecDeque<(usize, Snapshot)>>,
}

impl Entry {
    fn new(from: Reached, first: u64, snapshot: &Snapshot) -> Result<Self> {
        let info = snapshot.info()?;
        let (records, bytes) = (info.records, info.raw_bytes);
        Ok(Self { from, first, records, bytes, known: Known::of(snapshot) })
    }
}

impl Sources {
    /// The records of one snapshot.
    ///
    /// # Errors
    /// As [`Snapshot::info`].
    pub fn one(snapshot: Snapshot) -> Result<Self> {
        let entry = Entry::new(Reached::Held(snapshot.clone()), 0, &snapshot)?;
        let open = Open { most: 0, options: ReadOptions::default(), stores: Mutex::default() };
        Ok(Self { stores: [entry].into(), open: Arc::new(open) })
    }

    /// The stores at these paths, of which at most `most_open` are open at a time, one at least. Each
    /// is opened once now, to count its records.
    ///
    /// # Errors
    /// As [`Store::open_with`](crate::Store::open_with), with the path; [`Error::Invalid`] for stores whose records are of
    /// different codecs, and for no store at all.
    pub fn open(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        options: &ReadOptions,
        most_open: usize,
    ) -> Result<Self> {
        let open = Open { most: most_open.max(1), options: *options, stores: Mutex::default() };
        let mut stores: Vec<Entry> = Vec::new();
        let (mut first, mut codec) = (0_u64, None);
        for path in paths {
            let path = path.as_ref();
            let snapshot = open_store(path, options)?.snapshot();
            let own = snapshot.layout().record_codec.clone();
            let expected = codec.get_or_insert_with(|| own.clone());
            if own.0 != expected.0 {
                let why = format!(
                    "the records are {} (version {}), those of the first store {} (version {}): one \
                     data set has records of one codec",
                    own.0, own.1, expected.0, expected.1
                );
                return Err(Error::invalid("stores", why).at(path));
            }
            open.keep(stores.len(), &snapshot);
            stores.push(Entry::new(Reached::Path(path.into()), first, &snapshot)?);
            first = first.saturating_add(snapshot.len());
        }
        if stores.is_empty() {
            return Err(Error::invalid("stores", "none was given; give at least one path"));
        }
        Ok(Self { stores: stores.into(), open: Arc::new(open) })
    }

    /// The members of a data set, none of which is opened now; at most `most_open` are open at a time.
    #[must_use]
    pub fn of_set(set: &DataSet, most_open: usize) -> Self {
        let own = set.opening(most_open);
        let entry = |(number, member): (usize, &Member)| Entry {
            from: Reached::Member(own.clone()),
            first: set.first_of(number),
            records: member.records,
            bytes: member.record_bytes,
            known: Known { file: member.file.to_string(), dead: member.deleted },
        };
        let stores = set.members().iter().enumerate().map(entry).collect();
        let open = Open { most: 0, options: *set.options(), stores: Mutex::default() };
        Self { stores, open: Arc::new(open) }
    }

    /// Which records of each store are loaded.
    #[must_use]
    pub fn pins(&self) -> Vec<Pin> {
        let pin = |entry: &Entry| Pin {
            file: entry.known.file.clone(),
            deleted: entry.known.dead,
            records: entry.records,
        };
        self.stores.iter().map(pin).collect()
    }

    /// Those of these stores that `pins` name, with the records that they had then: stores that were written since
    /// have more.
    ///
    /// # Errors
    /// [`Error::Replaced`] for a store that is another file, or in which records were deleted since.
    pub fn as_pinned(self, pins: &[Pin]) -> Result<Self> {
        let mut first = 0_u64;
        let mut kept = Vec::new();
        for (number, pin) in pins.iter().enumerate() {
            let there = self.stores.get(number);
            let same = there.filter(|entry| {
                (&entry.known.file, entry.known.dead) == (&pin.file, pin.deleted)
                    && entry.records >= pin.records
            });
            let Some(entry) = same else {
                return Err(Error::Replaced.at(Path::new(&self.store_name(number))));
            };
            let (from, known) = (entry.from.clone(), entry.known.clone());
            let bytes = entry.bytes / entry.records.max(1) * pin.records;
            kept.push(Entry { from, first, records: pin.records, bytes, known });
            first = first.saturating_add(pin.records);
        }
        Ok(Self { stores: kept.into(), open: self.open })
    }

    /// The same stores, opened anew where they are needed: for another process or thread, which waits for none of
    /// those that are open here.
    #[must_use]
    pub(super) fn apart(&self) -> Self {
        let Open { most, options, .. } = *self.open;
        let open = Open { most, options, stores: Mutex::default() };
        Self { stores: self.stores.clone(), open: Arc::new(open) }
    }

    /// Number of records of all stores.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.stores.last().map_or(0, |last| last.first + last.records)
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of stores.
    #[must_use]
    pub fn stores(&self) -> usize {
        self.stores.len()
    }

    /// The store in which the record `number` of all is, and its ordinal there; behind the last
    /// record the last store and an ordinal that it does not have.
    #[must_use]
    pub fn place(&self, number: u64) -> (usize, u64) {
        let at = self.stores.partition_point(|entry| entry.first <= number).saturating_sub(1);
        // Stores without records have the number of the one behind them.
        let first = self.stores.get(at).map_or(0, |entry| entry.first);
        (at, number - first)
    }

    /// Bytes of all records.
    pub(super) fn bytes(&self) -> u64 {
        self.stores.iter().map(|entry| entry.bytes).sum()
    }

    /// These records, looked up, if they are of a store that is open, and the only one.
    pub(super) fn looked_up(&self, numbers: &[u64]) -> Result<Option<Looked>> {
        match &*self.stores {
            [Entry { from: Reached::Held(snapshot), .. }] => snapshot.look_up(numbers).map(Some),
            _ => Ok(None),
        }
    }

    /// Bytes of these records together, each as the mean of its store, so that it need not be opened.
    pub(super) fn mean_bytes_of(&self, numbers: &[u64]) -> u64 {
        let mean = |number: &u64| {
            let entry = self.stores.get(self.place(*number).0);
            entry.map_or(0, |entry| entry.bytes / entry.records.max(1))
        };
        numbers.iter().map(mean).sum()
    }

    /// The number of the first record of a store; behind the last store that of all records.
    pub(super) fn first_of(&self, store: usize) -> u64 {
        self.stores.get(store).map_or(self.len(), |entry| entry.first)
    }

    /// What a store is called in messages.
    pub(super) fn store_name(&self, store: usize) -> String {
        match self.stores.get(store).map(|entry| &entry.from) {
            Some(Reached::Path(path)) => printable_path(path).to_string(),
            _ => format!("store {store}"),
        }
    }

    /// How many records a store has.
    pub(super) fn records_of(&self, store: usize) -> u64 {
        self.stores.get(store).map_or(0, |entry| entry.records)
    }

    /// The state of a store that is loaded; opened if it is not open.
    ///
    /// # Errors
    /// As [`Store::open_with`](crate::Store::open_with); [`Error::Replaced`] if another file is there or records were deleted
    /// since.
    pub fn snapshot(&self, store: usize) -> Result<Snapshot> {
        let entry = self.stores.get(store).ok_or_else(|| Error::NotFound {
            key: format!("in store {store} of {}", self.stores.len()).into(),
        })?;
        let path = match &entry.from {
            Reached::Held(snapshot) => return Ok(snapshot.clone()),
            Reached::Member(set) => return set.snapshot(store),
            Reached::Path(path) => path,
        };
        if let Some(snapshot) = self.open.find(store) {
            return Ok(snapshot);
        }
        let snapshot = open_store(path, &self.open.options)?.snapshot();
        if Known::of(&snapshot) != entry.known || snapshot.len() < entry.records {
            return Err(Error::Replaced.at(path));
        }
        self.open.keep(store, &snapshot);
        Ok(snapshot)
    }

    /// The numbers of the records with these keys, in their order, for a [`View`](super::View).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key that no store has, [`Error::Invalid`] for one that several have;
    /// as [`Readable::find`].
    pub fn find(&self, keys: &[Key]) -> Result<Vec<u64>> {
        let mut found: Vec<Option<u64>> = vec![None; keys.len()];
        for (number, store) in self.stores.iter().enumerate() {
            let snapshot = self.snapshot(number)?;
            let ordinals = snapshot.find_keys(keys)?.into_iter();
            for ((place, key), ordinal) in found.iter_mut().zip(keys).zip(ordinals) {
                let Some(ordinal) = ordinal.filter(|o| *o < store.records) else { continue };
                if place.replace(store.first + ordinal).is_some() {
                    let why = format!("{key} is in several stores: choose its record by ordinal");
                    return Err(Error::invalid("keys", why));
                }
            }
        }
        let all = found.into_iter().zip(keys);
        all.map(|(at, key)| at.ok_or_else(|| Error::NotFound { key: key.to_string().into() }))
            .collect()
    }

    /// A column of each store, of the records that are loaded.
    ///
    /// # Errors
    /// As [`Readable::column`](crate::Readable::column).
    pub(super) fn columns(&self, name: &str) -> Result<Vec<ColumnData>> {
        let of = |store| {
            let (snapshot, records) = (self.snapshot(store)?, 0..self.records_of(store));
            match codec::by_name(&snapshot.layout().record_codec.0) {
                Ok(codec) => snapshot.column_by(codec, name, records),
                Err(_) => snapshot.column(name, records),
            }
        };
        (0..self.stores()).map(of).collect()
    }

    /// The first number of a column for each record of all stores, NaN where there is none: for a view
    /// of records that fulfil a condition. Reads the index and no record if the stores keep the column.
    ///
    /// # Errors
    /// As [`Readable::column`](crate::Readable::column).
    pub fn values(&self, name: &str) -> Result<Vec<f64>> {
        let mut out = memory::with_room(usize::try_from(self.len()).unwrap_or(usize::MAX))?;
        for column in self.columns(name)? {
            let each = (column.column.count as usize).max(1);
            #[expect(clippy::cast_precision_loss, reason = "a number to compare by")]
            let real = |v: &i64| if *v == i64::MIN { f64::NAN } else { *v as f64 };
            match &column.values {
                ColumnValues::I64(v) => out.extend(v.iter().step_by(each).map(real)),
                ColumnValues::F64(v) => out.extend(v.iter().step_by(each).copied()),
            }
        }
        Ok(out)
    }

    /// What a record is called in messages.
    #[must_use]
    pub fn called(&self, number: u64) -> String {
        let (store, ordinal) = self.place(number);
        let key = self.snapshot(store).and_then(|snapshot| snapshot.key_at(ordinal));
        let place = match self.stores.get(store).map(|entry| &entry.from) {
            Some(Reached::Path(path)) if self.stores.len() > 1 => {
                format!("ordinal {ordinal} of {}", printable_path(path))
            }
            Some(Reached::Member(set)) => {
                let name = set.members().get(store).map_or("", |member| &member.name);
                format!("ordinal {ordinal} of {}", printable_path(&set.folder().join(name)))
            }
            _ => format!("ordinal {ordinal}"),
        };
        match key {
            Ok(Some(key)) => format!("{key} ({place})"),
            _ => format!("at {place}"),
        }
    }

    /// A short name for these stores with these records: that of no others.
    pub(super) fn name(&self) -> String {
        let one = |entry: &Entry| format!("{} {}", entry.known.file, entry.known.dead);
        match &*self.stores {
            [only] => one(only),
            many => {
                let each = many.iter().flat_map(|entry| {
                    let text = format!("{} {}", one(entry), entry.records);
                    text.into_bytes().into_iter().map(u64::from)
                });
                format!("{} stores {:016x}", many.len(), key_of(&each.collect::<Vec<_>>()))
            }
        }
    }
}

impl Open {
    /// A store that is open. The lock is not waited for: in a child of a fork a thread that is not
    /// there may hold it.
    fn find(&self, store: usize) -> Option<Snapshot> {
        let mut stores = self.stores.try_lock().ok()?;
        let at = stores.iter().position(|(number, _)| *number == store)?;
        let found = stores.remove(at)?;
        let snapshot = found.1.clone();
        stores.push_back(found);
        Some(snapshot)
    }

    fn keep(&self, store: usize, snapshot: &Snapshot) {
        if let Ok(mut stores) = self.stores.try_lock() {
            stores.push_back((store, snapshot.clone()));
            while stores.len() > self.most {
                stores.pop_front();
            }
        }
    }
}
