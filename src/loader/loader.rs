//! The loader of one store: its order, where it is, and its runs.

use super::cursor::Cursor;
use super::options::LoaderOptions;
use super::order::{Order, Shuffle};
use super::read_ahead::Ahead;
use super::run::{Maker, Run};
use super::schedule::Schedule;
use super::sources::Sources;
use super::state::{resumed, state};
use super::view::View;
use super::walk::{Share, Walk};
use crate::codec;
use crate::column::ColumnValues;
use crate::depot::Columns;
use crate::error::{Error, Result};
use crate::store::{Batch, Purpose, Readable, Snapshot};
use crate::wire::memory;
use serde_json::Value;
use std::sync::Arc;

/// Groups of a window, unless another number is asked for.
const GROUPS: u64 = 64;

/// Loads the records of a store for training, as one commit has them: what is written later is not
/// seen. As cheap to clone as a snapshot; holds no thread, so that it may be used in a child of a
/// fork.
///
/// ```
/// use vlstore::loader::{Batching, Loader, LoaderOptions};
/// use vlstore::{Readable, StoreOptions, Writer};
///
/// let mut w = Writer::in_memory(&StoreOptions::default())?;
/// for i in 0..1000_u32 {
///     w.push(&i.to_le_bytes())?;
/// }
/// w.commit()?;
///
/// let batching = Batching { records: Some(32), ..Batching::default() };
/// let options = LoaderOptions { batching, seed: 7, ..LoaderOptions::default() };
/// let mut loader = Loader::new(w.snapshot()?, options)?;
/// let mut run = loader.records()?;
/// let batch = run.next().unwrap()?;
/// assert_eq!(batch.records().count(), 32);
///
/// // Later, elsewhere, with another number of ranks: exactly the records that nobody had.
/// let state = loader.state(batch.step().after);
/// loader.resume(&state)?;
/// let rest: usize = loader.records()?.map(|b| Ok(b?.records().count())).sum::<vlstore::Result<_>>()?;
/// assert_eq!(rest, 1000 - 32);
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    sources: Sources,
    options: LoaderOptions,
    view: View,
    schedule: Schedule,
    at: Cursor,
}

impl Loader {
    /// A loader of the records of `snapshot`; see [`over`](Self::over).
    ///
    /// # Errors
    /// As there.
    pub fn new(snapshot: Snapshot, options: LoaderOptions) -> Result<Self> {
        Self::over(Sources::one(snapshot)?, options)
    }

    /// A loader of the records of one or several stores.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work, for a column that is no cost, and for a cap
    /// below the cost of one record, which is named by its key; [`Error::NotFound`] for a view that
    /// reaches past the store; as [`Readable::column`] for the costs.
    pub fn over(sources: Sources, options: LoaderOptions) -> Result<Self> {
        options.share.check()?;
        let view = options.view.clone().unwrap_or_else(|| View::range(0..sources.len()));
        view.check(sources.len())?;
        let costs = match options.batching.cost {
            Some(cap) => Some(costs(&sources, &view, &options.cost, cap)?),
            None => None,
        };
        let (group, window) = sizes(&sources, &options)?;
        let Share { world, workers, .. } = options.share;
        let lanes = options.lanes.unwrap_or_else(|| world.saturating_mul(workers));
        let order = Order { shuffle: options.shuffle, seed: options.seed, group, window };
        let schedule = Schedule::new(view.len(), order, options.batching.clone(), lanes, costs)?;
        Ok(Self { sources, options, view, schedule, at: Cursor::default() })
    }

    /// The stores, as they are loaded.
    #[must_use]
    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The records that are loaded.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// The batches of all ranks.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// What was asked for.
    #[must_use]
    pub const fn options(&self) -> &LoaderOptions {
        &self.options
    }

    /// Where the next run begins.
    #[must_use]
    pub const fn at(&self) -> Cursor {
        self.at
    }

    /// Lets the next run begin there.
    pub const fn set_at(&mut self, at: Cursor) {
        self.at = at;
    }

    /// The steps of this share from `from` on to the end of its epoch; reads no record.
    ///
    /// # Errors
    /// As [`Walk::new`].
    pub fn walk(&self, from: Cursor) -> Result<Walk> {
        Walk::new(self.schedule.clone(), self.options.share, self.options.rest, from)
    }

    /// Number of batches of this rank and worker in a whole `epoch`.
    #[must_use]
    pub fn steps(&self, epoch: u64) -> u64 {
        self.options.share.steps(self.options.rest, self.schedule.batches(epoch))
    }

    /// The state of a run that has come to `at`: the [`after`](super::StepBatch::after) of its last
    /// batch.
    #[must_use]
    pub fn state(&self, at: Cursor) -> Value {
        state(&self.schedule, &self.data(), self.cost(), at)
    }

    /// Continues where a state was made: the next run has exactly the records that no rank had.
    ///
    /// # Errors
    /// As [`resumed`].
    pub fn resume(&mut self, given: &Value) -> Result<()> {
        let (schedule, at) = resumed(&self.schedule, &self.data(), self.cost(), given)?;
        (self.schedule, self.at) = (schedule, at);
        Ok(())
    }

    const fn cost(&self) -> &str {
        if self.options.batching.cost.is_some() { &self.options.cost } else { "" }
    }

    /// Which records these are: the files, what was deleted in them so far, and the view.
    fn data(&self) -> String {
        format!("{} {}", self.sources.name(), self.view.name())
    }

    /// A run from [`at`](Self::at) to the end of the epoch. `make` makes of the records at some
    /// ordinals of a store, which ascend, what the caller wants, in a background thread: the records of
    /// many batches in one call, so that each block is decoded once.
    ///
    /// # Errors
    /// As [`Walk::new`]; [`Error::Io`] if no thread can be started.
    pub fn start<T: Send + 'static>(
        &self,
        make: impl Fn(&Snapshot, &[u64]) -> Result<T> + Send + 'static,
    ) -> Result<Run<T>> {
        let walk = self.walk(self.at)?;
        let maker = Maker {
            sources: self.sources.clone(),
            view: self.view.clone(),
            damaged: self.options.damaged,
            skipped: Arc::default(),
            make,
        };
        let skipped = maker.skipped.clone();
        let ahead = Ahead::start(walk, self.options.memory / 2, maker)?;
        Ok(Run::new(ahead, skipped))
    }

    /// A run that has the records as bytes.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn records(&self) -> Result<Run<Batch>> {
        self.start(|snapshot, ordinals| snapshot.get_batch_at(ordinals))
    }
}

/// Group and window: those that were asked for, or what suits the stores.
fn sizes(sources: &Sources, options: &LoaderOptions) -> Result<(u64, u64)> {
    let each = (sources.bytes() / sources.len().max(1)).max(1);
    let wanted = match sources.snapshot(0)?.layout().purpose {
        Purpose::Dense => 2 << 20,
        Purpose::Balanced | Purpose::Random => 512 << 10,
    };
    // A power of two is a multiple of most sizes of batches.
    let whole = |records: u64| 1 << (u64::BITS - 1 - records.max(1).leading_zeros());
    let group = match options.shuffle {
        Shuffle::Global => 1,
        _ => options.group.unwrap_or_else(|| whole(wanted / each)),
    };
    let most = whole(options.memory / 2 / each);
    let window = options.window.unwrap_or_else(|| (whole(wanted / each) * GROUPS).min(most));
    Ok((group, window))
}

/// What stands for a record without a cost.
const NONE: u64 = u64::MAX;

/// What the records of a store cost.
fn costs_of(snapshot: &Snapshot, name: &str, records: u64) -> Result<Vec<u64>> {
    let column = match codec::by_name(&snapshot.layout().record_codec.0) {
        Ok(codec) => snapshot.column_by(codec, name, 0..records)?,
        Err(_) => snapshot.column(name, 0..records)?,
    };
    if column.column.count != 1 {
        let n = column.column.count;
        let why = format!("{name:?} has {n} numbers for each record; a cost must be one number");
        return Err(Error::invalid("cost", why));
    }
    Ok(match column.values {
        ColumnValues::I64(v) => v.into_iter().map(|v| u64::try_from(v).unwrap_or(NONE)).collect(),
        ColumnValues::F64(v) => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            let cost = |v: f64| if v >= 0.0 { v.ceil() as u64 } else { NONE };
            v.into_iter().map(cost).collect()
        }
    })
}

/// What each record costs.
fn costs(sources: &Sources, view: &View, name: &str, cap: u64) -> Result<Arc<[u32]>> {
    let bad = |why: String| Error::invalid("cost", why);
    let mut all = Vec::new();
    for store in 0..sources.stores() {
        all.push(costs_of(&sources.snapshot(store)?, name, sources.records_of(store))?);
    }
    let mut out = memory::with_room(usize::try_from(view.len()).unwrap_or(usize::MAX))?;
    for number in 0..view.len() {
        let record = view.ordinal(number).unwrap_or(u64::MAX);
        let (store, ordinal) = sources.place(record);
        let own = usize::try_from(ordinal).ok().and_then(|at| all.get(store)?.get(at)).copied();
        let who = || format!("record {}", sources.called(record));
        let found = own.filter(|cost| *cost != NONE);
        let found = found.ok_or_else(|| bad(format!("{} has no {name:?} of 0 or more", who())))?;
        if found > cap {
            let why = format!("{} has {name} {found}, above the cap of {cap} a batch", who());
            return Err(Error::invalid("cost of a batch", why));
        }
        let found = u32::try_from(found).map_err(|_| bad(format!("{} is above 2^32", who())))?;
        out.push(found);
    }
    Ok(out.into())
}
