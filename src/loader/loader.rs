//! The loader of one store: its order, where it is, and its runs.

use super::aligned::aligned;
use super::counts::Counts;
use super::cursor::Cursor;
use super::default_sizes::default_sizes;
use super::mixture::Mixture;
use super::options::{LoaderOptions, Mixing};
use super::order::{Order, Shuffle};
use super::random::key_of;
use super::rank_balance::{Balance, Padded, padding};
use super::ranks::{Share, Walk};
use super::read_ahead::Ahead;
use super::run::{Asked, Maker, Run};
use super::schedule::{Batching, Schedule};
use super::shuffle_quality::{Spread, window_for, window_for_groups, window_for_mixture};
use super::sources::Sources;
use super::state::{order_id, resumed, state};
use super::view::View;
use crate::column::ColumnValues;
use crate::error::{Error, Result};
use crate::store::{Batch, ColumnData, Purpose, Readable, Snapshot};
use crate::wire::{Digest, memory};
use once_cell::race::OnceBox;
use serde_json::Value;
use std::cell::RefCell;
use std::sync::Arc;

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
    /// How many batches the schedule has, as far as it was asked for.
    counts: Counts,
    /// A checksum of the last record of the view, if it can be read, as soon as it was asked for.
    last: Arc<OnceBox<Option<String>>>,
    /// What the data and the costs are called in a state: found once, since it is asked of all records.
    names: Arc<OnceBox<Names>>,
    at: Cursor,
}

/// What the records and their costs are called in a state.
#[derive(Debug)]
struct Names {
    data: String,
    cost: String,
}

/// The name of that checksum in a state.
const LAST: &str = "last";

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
    /// [`Error::Invalid`] for options that cannot work, for a column that is no cost, for a cap or a
    /// last bucket below the cost of one record, which is named by its key, and as
    /// [`Mixture::new`]; [`Error::NotFound`] for a view that reaches past the store; as
    /// [`Readable::column`] for the costs.
    pub fn over(sources: Sources, options: LoaderOptions) -> Result<Self> {
        options.share.check()?;
        let view = options.view.clone().unwrap_or_else(|| View::range(0..sources.len()));
        view.check(sources.len())?;
        let batching = &options.batching;
        batching.check_limits()?;
        let costs = match batching.cost.is_some() || batching.buckets.is_some() {
            true => Some(costs(&sources, &view, &options, batching)?),
            false => None,
        };
        let mixture = options.mixing.as_ref().map(|m| mixture(&sources, &view, m)).transpose()?;
        let sizes = sizes(&sources, &options)?;
        let schedule = schedule(&sources, &view, &options, sizes, costs, mixture)?;
        Ok(Self {
            sources,
            options,
            view,
            schedule,
            counts: Counts::default(),
            last: Arc::default(),
            names: Arc::default(),
            at: Cursor::default(),
        })
    }

    /// The same loader for another share, with what it has open and knows: it reads no file, and has the same records
    /// though the stores may have grown. The order is that of this loader if its number of lanes was given or came
    /// with a state, else that of so many ranks and workers.
    ///
    /// # Errors
    /// As [`Share::check`].
    pub fn shared(&self, share: Share) -> Result<Self> {
        share.check()?;
        let lanes = self.options.lanes.unwrap_or_else(|| lanes_of(share));
        Ok(Self {
            sources: self.sources.apart(),
            options: LoaderOptions { share, ..self.options.clone() },
            view: self.view.clone(),
            schedule: self.schedule.with_lanes(lanes)?,
            counts: Counts::default(),
            last: self.last.clone(),
            names: self.names.clone(),
            at: self.at,
        })
    }

    /// The same loader with groups and windows of these sizes, in records, where none were asked for: those that were
    /// found when there were fewer records.
    ///
    /// # Errors
    /// As [`over`](Self::over).
    pub fn with_sizes(&self, group: u64, window: u64) -> Result<Self> {
        let own = (self.schedule.order().group, self.schedule.order().window);
        let group = if self.options.group.is_some() { own.0 } else { group };
        let window = if self.options.window.is_some() { own.1 } else { window };
        if (group, window) == own {
            return Ok(self.clone());
        }
        let (costs, mixture) = (self.schedule.costs().cloned(), self.schedule.mixture().cloned());
        let Self { sources, options, view, .. } = self;
        let schedule = schedule(sources, view, options, (group, window), costs, mixture)?;
        let schedule = schedule.with_lanes(self.schedule.lanes())?;
        Ok(Self { schedule, counts: Counts::default(), ..self.clone() })
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

    /// Number of batches of this rank and worker in a whole `epoch`. Under a cap they are packed to
    /// count them, the first time that it is asked of an epoch.
    #[must_use]
    pub fn steps(&self, epoch: u64) -> u64 {
        let batches = self.counts.batches(&self.schedule, epoch);
        self.options.share.steps(self.options.rest, batches)
    }

    /// How much of its epoch lies before `at`, from 0 to 1.
    #[must_use]
    pub fn progress(&self, at: Cursor) -> f64 {
        self.counts.progress(&self.schedule, at)
    }

    /// How evenly an epoch is divided between the ranks, by the column
    /// [`cost`](LoaderOptions::cost); reads the index and no record.
    ///
    /// # Errors
    /// As [`over`](Self::over) for the costs.
    pub fn balance(&self, epoch: u64) -> Result<Balance> {
        let costs = self.costs()?;
        let Share { world, .. } = self.options.share;
        Balance::of(&self.schedule, epoch, world, self.options.rest, |r| cost_at(&costs, r))
    }

    /// The share of padding in the padded batches of an epoch, by the column
    /// [`cost`](LoaderOptions::cost), 0 to 1; see [`padding`].
    ///
    /// # Errors
    /// As [`over`](Self::over) for the costs.
    pub fn padding(&self, epoch: u64, shape: Padded) -> Result<f64> {
        let costs = self.costs()?;
        Ok(padding(&self.schedule, epoch, shape, |r| cost_at(&costs, r)))
    }

    /// What each record costs, also if nothing caps it.
    fn costs(&self) -> Result<Arc<[u32]>> {
        match self.schedule.costs() {
            Some(costs) => Ok(costs.clone()),
            None => costs(&self.sources, &self.view, &self.options, &Batching::default()),
        }
    }

    /// The design effect of the batches of an epoch of this share, by `values`, one for each record of
    /// the view; see [`Spread`].
    ///
    /// # Errors
    /// As [`walk`](Self::walk).
    pub fn effect(&self, values: &[f64], epoch: u64) -> Result<f64> {
        let mut spread = match self.schedule.mixture() {
            None => Spread::new(values),
            Some(mixture) => Spread::mixed(values, mixture),
        };
        let walk = self.walk(Cursor { epoch, ..Cursor::default() })?;
        walk.for_each(|step| spread.add(&step.records));
        Ok(spread.effect())
    }

    /// The first number of a column for each record of the view, to measure an
    /// [`effect`](Self::effect) by; reads the index and no record if the store keeps the column.
    ///
    /// # Errors
    /// As [`Readable::column`]; [`Error::Invalid`] for a record that has no such number, by its key.
    pub fn values(&self, name: &str) -> Result<Vec<f64>> {
        let all = self.sources.values(name)?;
        let mut out = memory::with_room(usize::try_from(self.view.len()).unwrap_or(usize::MAX))?;
        for number in 0..self.view.len() {
            let record = self.view.ordinal(number).unwrap_or(u64::MAX);
            let found = usize::try_from(record).ok().and_then(|at| all.get(at));
            out.push(*found.filter(|v| v.is_finite()).ok_or_else(|| {
                let why = format!("record {} has no {name:?}", self.sources.called(record));
                Error::invalid("column", why)
            })?);
        }
        Ok(out)
    }

    /// The window that keeps the [`effect`](Self::effect) of batches of `batch` records below `1 +
    /// excess`; see [`window_for`].
    #[must_use]
    pub fn window_for(&self, values: &[f64], batch: u64, excess: f64) -> u64 {
        let group = self.schedule.order().group;
        if let Some(mixture) = self.schedule.mixture() {
            return window_for_mixture(values, mixture, group, batch, excess);
        }
        // One window of all records has no groups; a smaller one would.
        let aligned = || {
            let aligns = aligns(&self.sources, &self.options).unwrap_or(false);
            aligns.then(|| aligned(&self.sources, &self.view, group).ok().flatten()).flatten()
        };
        match self.schedule.groups().cloned().or_else(aligned) {
            None => window_for(values, group, batch, excess),
            Some(groups) => window_for_groups(values, &groups, batch, excess),
        }
    }

    /// The state of a run that has come to `at`: the [`after`](super::StepBatch::after) of its last
    /// batch. The first time, the last record is read, whose checksum tells copies apart that were written differently.
    #[must_use]
    pub fn state(&self, at: Cursor) -> Value {
        let mut state = state(&self.schedule, self.data(), self.cost(), at);
        if let (Value::Object(state), Some(last)) = (&mut state, self.last()) {
            state.insert(LAST.to_owned(), last.into());
        }
        state
    }

    /// A checksum of the last record; `None` if there is none, or it cannot be read.
    fn last(&self) -> Option<&str> {
        if let Some(known) = self.last.get() {
            return known.as_deref();
        }
        let read = |last| -> Result<String> {
            let (store, ordinal) = self.sources.place(last);
            let snapshot = self.sources.snapshot(store)?;
            let (key, record) = (snapshot.key_at(ordinal)?, snapshot.get_at(ordinal)?);
            Ok(Digest::of(&[format!("{key:?}").as_bytes(), &record].concat()).to_string())
        };
        let found = match self.view.last().map(read).transpose() {
            Ok(found) => found,
            Err(e) if e.is_damage() => None,
            // It may be read another time.
            Err(_) => return None,
        };
        self.last.get_or_init(|| Box::new(found)).as_deref()
    }

    /// A short name for the batches of all epochs and ranks: the same for all loaders that have the same records by
    /// number in the same batches, and for no others.
    ///
    /// Ranks that train together must have the same one, or records are lost and others come twice. Without
    /// [`group`](LoaderOptions::group) groups begin where blocks begin, in a store that is not far away: copies of a
    /// store with other blocks, or in another place, differ then.
    ///
    /// ```
    /// use vlstore::loader::{Batching, Loader, LoaderOptions};
    /// use vlstore::{StoreOptions, Writer};
    ///
    /// let mut w = Writer::in_memory(&StoreOptions::default())?;
    /// w.push(b"one")?;
    /// w.commit()?;
    /// let id = |seed| -> vlstore::Result<String> {
    ///     let batching = Batching { records: Some(1), ..Batching::default() };
    ///     let options = LoaderOptions { batching, seed, ..LoaderOptions::default() };
    ///     Ok(Loader::new(w.snapshot()?, options)?.order_id())
    /// };
    /// assert_eq!(id(1)?, id(1)?);
    /// assert_ne!(id(1)?, id(2)?);
    /// # Ok::<(), vlstore::Error>(())
    /// ```
    #[must_use]
    pub fn order_id(&self) -> String {
        order_id(&self.schedule, &self.view.name(), self.cost())
    }

    /// Continues where a state was made: the next run has exactly the records that no rank had.
    ///
    /// # Errors
    /// As [`resumed`]; [`Error::Invalid`] for a state of a copy of the store that was written differently.
    pub fn resume(&mut self, given: &Value) -> Result<()> {
        let size = |name: &str, own| given.get(name).and_then(Value::as_u64).unwrap_or(own);
        let own = self.schedule.order();
        // Sizes that nobody asked for follow from what is in the store, and it may have grown.
        let like = self.with_sizes(size("group", own.group), size("window", own.window));
        let loader = like.unwrap_or_else(|_| self.clone());
        let (schedule, at) = resumed(&loader.schedule, self.data(), self.cost(), given)?;
        let last = given.get(LAST).and_then(Value::as_str).zip(self.last());
        if last.is_some_and(|(there, here)| there != here) {
            let why = "its last record is another one than that of this loader: two copies of a store were written \
                       differently, and a run continues only in the one that it began with";
            return Err(Error::invalid("state", why));
        }
        self.options.lanes = Some(schedule.lanes());
        (self.schedule, self.counts, self.at) = (schedule, Counts::default(), at);
        Ok(())
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let cost = match (self.schedule.costs(), &self.options.costs) {
                (None, _) => String::new(),
                (Some(_), None) => self.options.cost.to_string(),
                (Some(_), Some(costs)) => format!("given {:016x}", key_of(costs)),
            };
            let data = format!("{} {}", self.sources.name(), self.view.name());
            Box::new(Names { data, cost })
        })
    }

    /// What the costs are: a column, or numbers of the caller's.
    fn cost(&self) -> &str {
        &self.names().cost
    }

    /// Which records these are: the files, what was deleted in them so far, and the view.
    fn data(&self) -> &str {
        &self.names().data
    }

    /// A run from [`at`](Self::at) to the end of the epoch. `make` makes of some records of a store what the
    /// caller wants, in a background thread: of those of many batches in one call, in the order in which they
    /// come, so that each block is decoded once.
    ///
    /// # Errors
    /// As [`Walk::new`]; [`Error::Io`] if no thread can be started.
    pub fn start<T: Send + 'static>(
        &self,
        make: impl Fn(Asked<'_>) -> Result<T> + Send + 'static,
    ) -> Result<Run<T>> {
        let walk = self.walk(self.at)?;
        let maker = Maker {
            sources: self.sources.clone(),
            view: self.view.clone(),
            damaged: self.options.damaged,
            skipped: Arc::default(),
            make,
            looked: RefCell::default(),
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
        self.start(|asked| asked.plan()?.batch())
    }
}

const fn lanes_of(share: Share) -> u64 {
    share.world.saturating_mul(share.workers)
}

/// The batches of these records, with groups and windows of these sizes.
fn schedule(
    sources: &Sources,
    view: &View,
    options: &LoaderOptions,
    (group, window): (u64, u64),
    costs: Option<Arc<[u32]>>,
    mixture: Option<Mixture>,
) -> Result<Schedule> {
    let lanes = options.lanes.unwrap_or_else(|| lanes_of(options.share));
    let order = Order { shuffle: options.shuffle, seed: options.seed, group, window };
    let mut schedule = Schedule::new(view.len(), order, options.batching.clone(), lanes, costs)?;
    // The window that is used: whoever has this schedule's sizes makes the same one.
    let several = schedule.order().window < view.len();
    let whole_blocks = aligns(sources, options)? && several && mixture.is_none();
    if whole_blocks && let Some(groups) = aligned(sources, view, group)? {
        schedule = schedule.grouped(groups)?;
    }
    match mixture {
        Some(mixture) => schedule.mixed(mixture),
        None => Ok(schedule),
    }
}

/// Group and window: those that were asked for, or what suits the stores.
fn sizes(sources: &Sources, options: &LoaderOptions) -> Result<(u64, u64)> {
    let each = sources.bytes() / sources.len().max(1);
    if sources.stores() == 0 {
        let why = "the data set has no members yet: publish a store in its folder first (`vlstore publish FOLDER STORE`)";
        return Err(Error::invalid("stores", why));
    }
    let purpose = sources.snapshot(0)?.layout().purpose;
    let suits = default_sizes(each, purpose, options.memory / 2);
    let group = match options.shuffle {
        Shuffle::Global => 1,
        _ => options.group.unwrap_or(suits.0),
    };
    Ok((group, options.window.unwrap_or(suits.1)))
}

/// Whether groups are made of whole blocks: if nothing was said of their size, and blocks are not much smaller.
fn aligns(sources: &Sources, options: &LoaderOptions) -> Result<bool> {
    let asked = options.shuffle == Shuffle::Windows && options.group.is_none();
    Ok(asked && sources.snapshot(0)?.layout().purpose != Purpose::Random)
}

/// The parts of these records, and what an epoch has of each.
fn mixture(sources: &Sources, view: &View, mixing: &Mixing) -> Result<Mixture> {
    let bad = |why: &str| Error::invalid("mixture", why);
    let names: Vec<(Box<str>, usize)> = match &mixing.parts {
        Some(parts) => parts.clone(),
        None => (0..sources.stores()).map(|i| (sources.store_name(i).into(), 1)).collect(),
    };
    if names.iter().map(|(_, stores)| stores).sum::<usize>() != sources.stores() {
        return Err(bad("its parts do not have all stores"));
    }
    let mut ends = Vec::new();
    let mut store = 0;
    for (_, stores) in &names {
        store += stores;
        ends.push(sources.first_of(store));
    }
    let ends = view.cut(&ends).ok_or_else(|| {
        bad("the records are chosen in another order than that of the stores: sort them")
    })?;
    let mut from = 0;
    let mut parts = Vec::new();
    for ((name, _), end) in names.into_iter().zip(ends) {
        parts.push((name, end - from));
        from = end;
    }
    Mixture::new(&parts, &mixing.weights, mixing.records.unwrap_or(view.len()))
}

fn cost_at(costs: &[u32], record: u64) -> u64 {
    let cost = usize::try_from(record).ok().and_then(|at| costs.get(at));
    cost.copied().unwrap_or(0).into()
}

/// What stands for a record without a cost.
const NONE: u64 = u64::MAX;

/// What the records of a store cost.
fn costs_of(column: ColumnData, name: &str) -> Result<Vec<u64>> {
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

/// What each record costs, none more than a batch can hold.
fn costs(
    sources: &Sources,
    view: &View,
    options: &LoaderOptions,
    batching: &Batching,
) -> Result<Arc<[u32]>> {
    let bad = |why: String| Error::invalid("cost", why);
    let (name, all) = match &options.costs {
        Some(costs) if costs.len() as u64 == sources.len() => ("cost", costs.clone()),
        Some(costs) => {
            let (n, records) = (costs.len(), sources.len());
            return Err(bad(format!("there are {n} costs, for {records} records")));
        }
        None => {
            let columns = sources.columns(&options.cost)?.into_iter();
            let each = columns.map(|c| costs_of(c, &options.cost)).collect::<Result<Vec<_>>>()?;
            (&*options.cost, each.concat().into())
        }
    };
    let mut out = memory::with_room(usize::try_from(view.len()).unwrap_or(usize::MAX))?;
    for number in 0..view.len() {
        let record = view.ordinal(number).unwrap_or(u64::MAX);
        let own = usize::try_from(record).ok().and_then(|at| all.get(at)).copied();
        let who = || format!("record {}", sources.called(record));
        let found = own.filter(|cost| *cost != NONE);
        let found = found.ok_or_else(|| bad(format!("{} has no {name:?} of 0 or more", who())))?;
        batching.check(found, |why| format!("{} has {name} {found}, {why}", who()))?;
        let found = u32::try_from(found).map_err(|_| bad(format!("{} is above 2^32", who())))?;
        out.push(found);
    }
    Ok(out.into())
}
