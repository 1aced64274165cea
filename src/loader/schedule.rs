//! Which records are in which batch: a pure function of the seed, the epoch and the settings.
//!
//! An epoch is a sequence of *rounds*, and a round one window of records for each *lane*. A rank
//! works in a lane of its own, so that no two ranks decode the same blocks, while the batches of
//! all lanes stand in one sequence that does not know how many ranks there are: batch `i` of lane
//! `l` is number `i · lanes + l` of its round, and all lanes of a round have the same number of
//! batches. So a run goes on exactly with any other number of ranks from two numbers, the round and
//! the batch in it; only what a rank decodes is more if it is not in one lane.

use super::cursor::Cursor;
use super::dealing::{Dealing, Dealt};
use super::groups::Groups;
use super::mixture::{Mixture, Neighbours};
use super::order::{Order, Shuffle};
use super::pack::{Limits, alike, divide, first_fit, in_order};
use super::round::Round;
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// How records are put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batching {
    /// The number of records in a batch; the most if there is also a cap on their cost.
    pub records: Option<u64>,
    /// The most that the records of a batch cost together; with buckets, what they cost if each costs
    /// as much as the dearest, as in a padded batch.
    pub cost: Option<u64>,
    /// Whether records of the same or nearly the same cost are put together.
    pub buckets: Option<Buckets>,
    /// What happens to the last batch of an epoch if it has fewer than `records`.
    pub last: Last,
}

/// Which records of a window are put together by their cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buckets {
    /// Neighbours in cost: least padding, and a width of its own for each batch.
    Near,
    /// Those that have the same edge, the first of these that is not below their cost: few widths, for
    /// frameworks that compile for each. Edges ascend, and no record costs more than the last.
    Edges(Vec<u64>),
}

impl Buckets {
    const fn edges(&self) -> &[u64] {
        match self {
            Self::Near => &[],
            Self::Edges(edges) => edges.as_slice(),
        }
    }

    /// What a record of this cost counts as; `None` above the last edge.
    #[must_use]
    pub fn width(&self, cost: u64) -> Option<u64> {
        match self {
            Self::Near => Some(cost),
            Self::Edges(edges) => edges.get(edges.partition_point(|e| *e < cost)).copied(),
        }
    }
}

/// What happens to a last batch with fewer records than the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Last {
    /// It comes.
    #[default]
    Keep,
    /// It is left out, and with it less than a batch of records in each epoch. Without effect if a
    /// cap on the cost, or buckets, decide what is in a batch.
    Drop,
}

/// The batches of all epochs.
#[derive(Debug, Clone)]
pub struct Schedule {
    records: u64,
    order: Order,
    batching: Batching,
    lanes: u64,
    costs: Option<Arc<[u32]>>,
    mixture: Option<Mixture>,
    groups: Option<Groups>,
}

/// A batch: numbers of records.
pub type Numbers = Vec<u64>;

/// The records of a round: their positions, and into how many lanes they are divided.
struct RoundRecords {
    positions: Range<u64>,
    lanes: u64,
}

impl Batching {
    /// Refuses limits that no batch can keep.
    pub(super) fn check_limits(&self) -> Result<()> {
        let limits = [("batch size", self.records), ("cost of a batch", self.cost)];
        if let Some((what, _)) = limits.into_iter().find(|(_, limit)| *limit == Some(0)) {
            return Err(Error::invalid(what, "is 0, and must be 1 or more"));
        }
        if self.records.is_none() && self.cost.is_none() {
            let why = "say how many records, or what cost, a batch has";
            return Err(Error::invalid("batch size", why));
        }
        match &self.buckets {
            Some(Buckets::Edges(edges))
                if edges.is_empty() || !edges.is_sorted_by(|a, b| a < b) =>
            {
                Err(Error::invalid("buckets", "the edges are at least one, and ascend"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a record of this cost that fits no batch; `say` names it before the reason.
    pub(super) fn check(&self, cost: u64, say: impl Fn(String) -> String) -> Result<()> {
        let width = self.buckets.as_ref().map_or(Some(cost), |buckets| buckets.width(cost));
        let Some(width) = width else {
            let last = self.buckets.as_ref().and_then(|b| b.edges().last()).copied().unwrap_or(0);
            return Err(Error::invalid("buckets", say(format!("above the last edge {last}"))));
        };
        match self.cost {
            Some(cap) if width > cap => {
                let padded =
                    if width > cost { format!("{width} with padding, ") } else { String::new() };
                let why = say(format!("{padded}above the cap of {cap} a batch"));
                Err(Error::invalid("cost of a batch", why))
            }
            _ => Ok(()),
        }
    }

    /// The most records that a batch can have whose dearest one costs `largest`: the number that was asked
    /// for, or how often its bucket is in the cap. The number of rows that gives padded batches of a bucket one
    /// shape. `None` if nothing but a cap without buckets bounds it.
    #[must_use]
    pub fn rows(&self, largest: u64) -> Option<u64> {
        let bucket = match &self.buckets {
            Some(edged @ Buckets::Edges(_)) => edged.width(largest),
            _ => None,
        };
        let held = self.cost.zip(bucket).map(|(cap, width)| cap / width.max(1));
        self.records.into_iter().chain(held).min()
    }

    /// The records of every batch but the last, if nothing but their number counts.
    const fn counted(&self) -> Option<u64> {
        if self.cost.is_some() || self.buckets.is_some() { None } else { self.records }
    }
}

impl Schedule {
    /// The batches of `records` records.
    ///
    /// `costs` are what a cap and buckets count, one for each record; without these there are none. The
    /// window of the order grows to a multiple of the records of a batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size of 0, for neither a number of records nor a cap, for edges that
    /// do not ascend, for costs that are not one for each record, and for a record that alone costs
    /// more than the cap or the last edge: its number is in the message.
    pub fn new(
        records: u64,
        mut order: Order,
        batching: Batching,
        lanes: u64,
        costs: Option<Arc<[u32]>>,
    ) -> Result<Self> {
        let named = [("group", order.group), ("window", order.window), ("lanes", lanes)];
        if let Some((what, _)) = named.into_iter().find(|(_, size)| *size == 0) {
            return Err(Error::invalid(what, "is 0, and must be 1 or more"));
        }
        batching.check_limits()?;
        if batching.cost.is_some() || batching.buckets.is_some() {
            let there = costs.as_ref().filter(|costs| costs.len() as u64 == records);
            let costs =
                there.ok_or_else(|| Error::invalid("costs", "are not one for each record"))?;
            for (number, cost) in (0_u64..).zip(&**costs) {
                batching
                    .check((*cost).into(), |why| format!("record {number} costs {cost}, {why}"))?;
            }
        } else if let Some(batch) = batching.records {
            let window = order.window.div_ceil(batch).checked_mul(batch);
            order.window = window.unwrap_or(order.window);
        }
        Ok(Self { records, order, batching, lanes, costs, mixture: None, groups: None })
    }

    /// The same batches, of the draws of a mixture of these records.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a mixture of another number of records.
    pub fn mixed(self, mixture: Mixture) -> Result<Self> {
        if mixture.records() != self.records {
            return Err(Error::invalid("mixture", "is not of the records that are loaded"));
        }
        Ok(Self { mixture: Some(mixture), ..self })
    }

    /// The same batches, of groups that are not all of the same size. Without effect on an order that has no
    /// groups, and on a mixture.
    ///
    /// # Errors
    /// [`Error::Invalid`] for groups of another number of records.
    pub fn grouped(self, groups: Groups) -> Result<Self> {
        if groups.records() != self.records {
            return Err(Error::invalid("groups", "are not of the records that are loaded"));
        }
        Ok(Self { groups: Some(groups), ..self })
    }

    /// The same batches dealt in another number of lanes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 0.
    pub fn with_lanes(&self, lanes: u64) -> Result<Self> {
        if lanes == 0 {
            return Err(Error::invalid("lanes", "is 0, and must be 1 or more"));
        }
        Ok(Self { lanes, ..self.clone() })
    }

    /// Number of records of an epoch.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.mixture.as_ref().map_or(self.records, Mixture::draws)
    }

    /// What parts of the records an epoch has how many of, if it is not each once.
    #[must_use]
    pub const fn mixture(&self) -> Option<&Mixture> {
        self.mixture.as_ref()
    }

    /// The groups, if they are not all of the same size.
    #[must_use]
    pub fn groups(&self) -> Option<&Groups> {
        let used = self.order.shuffle == Shuffle::Windows && self.mixture.is_none();
        self.groups.as_ref().filter(|_| used)
    }

    /// The order, with the window that is used.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// How batches are made.
    #[must_use]
    pub const fn batching(&self) -> &Batching {
        &self.batching
    }

    /// The number of lanes.
    #[must_use]
    pub const fn lanes(&self) -> u64 {
        self.lanes
    }

    /// What each record costs, if something counts it.
    pub(super) const fn costs(&self) -> Option<&Arc<[u32]>> {
        self.costs.as_ref()
    }

    /// What a record costs; 1 if nothing counts it.
    #[must_use]
    pub fn cost(&self, number: u64) -> u64 {
        let Some(costs) = &self.costs else { return 1 };
        usize::try_from(number).ok().and_then(|at| costs.get(at)).map_or(0, |cost| (*cost).into())
    }

    /// Number of rounds of an epoch.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        let (full, even, rest) = self.parts();
        full + u64::from(even > 0) + u64::from(rest > 0)
    }

    /// Full rounds; records of each lane in a shorter one; records in a last one of one lane.
    fn parts(&self) -> (u64, u64, u64) {
        let each = self.order.window.saturating_mul(self.lanes);
        let (full, rest) = (self.records() / each, self.records() % each);
        match self.batching.counted() {
            Some(batch) if self.lanes > 1 => {
                let even = rest / self.lanes / batch * batch;
                (full, even, rest - even * self.lanes)
            }
            _ => (full, 0, rest),
        }
    }

    fn part(&self, number: u64) -> Option<RoundRecords> {
        let (full, even, rest) = self.parts();
        let each = self.order.window.saturating_mul(self.lanes);
        let capped = self.batching.counted().is_none();
        if number < full {
            let first = number * each;
            Some(RoundRecords { positions: first..first + each, lanes: self.lanes })
        } else if number == full && even > 0 {
            let first = full * each;
            Some(RoundRecords { positions: first..first + even * self.lanes, lanes: self.lanes })
        } else if number == full + u64::from(even > 0) && rest > 0 {
            let lanes = if capped { self.lanes } else { 1 };
            Some(RoundRecords { positions: self.records() - rest..self.records(), lanes })
        } else {
            None
        }
    }

    /// Number of batches of an epoch, of all ranks. Under a cap they are packed to count them, in
    /// some tens of nanoseconds for each record; a [`Loader`](super::Loader) keeps the number.
    #[must_use]
    pub fn batches(&self, epoch: u64) -> u64 {
        self.counted_batches().unwrap_or_else(|| {
            (0..self.rounds()).map(|number| self.round(epoch, number).len() as u64).sum()
        })
    }

    /// The same of any epoch, if nothing need be packed to know it.
    pub(super) fn counted_batches(&self) -> Option<u64> {
        let size = self.batching.counted()?.max(1);
        Some(match self.batching.last {
            Last::Keep => self.records().div_ceil(size),
            Last::Drop => self.records() / size,
        })
    }

    /// How much of its epoch lies before `at`, from 0 to 1. Packs the round of `at` under a cap; a
    /// [`Loader`](super::Loader) keeps what it counted.
    #[must_use]
    pub fn progress(&self, at: Cursor) -> f64 {
        self.progress_of(at, || self.lazy_round(at.epoch, at.round).len())
    }

    /// The same, where `batches` says how many batches the round of `at` has.
    pub(super) fn progress_of(&self, at: Cursor, batches: impl FnOnce() -> u64) -> f64 {
        let Some(part) = self.part(at.round) else { return 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
        let float = |n: u64| n as f64;
        // Nothing of a round is before its first batch.
        let batches = if at.batch == 0 { 1 } else { batches().max(1) };
        let inside =
            float(part.positions.end - part.positions.start) * float(at.batch) / float(batches);
        (float(part.positions.start) + inside) / float(self.records().max(1))
    }

    /// The batches of a round in their order; none behind the last round.
    #[must_use]
    pub fn round(&self, epoch: u64, number: u64) -> Vec<Numbers> {
        let Some(part) = self.part(number) else { return Vec::new() };
        if let Some(batch) = self.batching.counted() {
            let lanes = (0..part.lanes).map(|lane| self.counted(epoch, number, &part, batch, lane));
            return dealt(lanes.collect());
        }
        let Batching { records, cost, .. } = self.batching;
        let (records, cost) = (records.unwrap_or(u64::MAX), cost.unwrap_or(u64::MAX));
        self.packed(epoch, number, &part, Limits { records, cost })
    }

    /// The records at these positions of an epoch.
    fn numbers(&self, epoch: u64, positions: Range<u64>) -> Numbers {
        match (&self.mixture, self.groups()) {
            (Some(mixture), _) => mixture.sequence(&self.order, epoch).records(positions),
            (None, Some(groups)) => {
                groups.sequence(&self.order, epoch).runs(positions).flatten().collect()
            }
            (None, None) => self.order.sequence(self.records, epoch).records(positions).collect(),
        }
    }

    /// The same as runs of neighbours.
    fn runs(&self, epoch: u64, positions: Range<u64>) -> Vec<Neighbours> {
        let run = |(place, records)| Neighbours { part: 0, place, records };
        match (&self.mixture, self.groups()) {
            (Some(mixture), _) => mixture.sequence(&self.order, epoch).runs(positions),
            (None, Some(groups)) => {
                let sequence = groups.sequence(&self.order, epoch);
                (0..).zip(sequence.runs(positions)).map(run).collect()
            }
            (None, None) => {
                let sequence = self.order.sequence(self.records, epoch);
                (0..).zip(sequence.runs(positions)).map(run).collect()
            }
        }
    }

    /// The batches of a round, each made when it is asked for, if nothing but the number of records decides what is
    /// in it.
    pub(super) fn lazy_round(&self, epoch: u64, number: u64) -> Round {
        match (self.part(number), self.batching.counted()) {
            (Some(part), Some(batch)) => {
                let records = (part.positions.end - part.positions.start) / part.lanes;
                let each = match self.batching.last {
                    Last::Keep => records.div_ceil(batch),
                    Last::Drop => records / batch,
                };
                Round::of_lanes(part.lanes, each, records, batch)
            }
            _ => Round::of_all(self.round(epoch, number)),
        }
    }

    /// The batches of one lane of a round, of so many records each.
    pub(super) fn lane(&self, epoch: u64, number: u64, lane: u64) -> Vec<Numbers> {
        match (self.part(number), self.batching.counted()) {
            (Some(part), Some(batch)) => self.counted(epoch, number, &part, batch, lane),
            _ => Vec::new(),
        }
    }

    fn counted(
        &self,
        epoch: u64,
        number: u64,
        part: &RoundRecords,
        batch: u64,
        lane: u64,
    ) -> Vec<Numbers> {
        let Range { start, end } = part.positions;
        let each = (end - start) / part.lanes;
        let first = start + lane * each;
        let mut records = self.numbers(epoch, first..first + each);
        self.order.shuffle_window(epoch, number * self.lanes + lane, &mut records);
        let size = usize::try_from(batch).unwrap_or(usize::MAX);
        let mut batches: Vec<_> = records.chunks(size).map(<[u64]>::to_vec).collect();
        if self.batching.last == Last::Drop {
            batches.retain(|b| b.len() as u64 == batch);
        }
        batches
    }

    /// All batches of an epoch, in their order.
    pub fn all(&self, epoch: u64) -> impl Iterator<Item = Numbers> {
        (0..self.rounds()).flat_map(move |number| self.round(epoch, number))
    }

    /// The records of a round for each lane; `None` if there are fewer records than lanes.
    fn divided(&self, runs: Vec<Neighbours>, lanes: u64) -> Option<Vec<Numbers>> {
        let dealing =
            Dealing { cost: |record| self.cost(record), lanes, mixed: self.mixture.is_some() };
        let records = |mut lane: Dealt| {
            if self.order.shuffle != Shuffle::Windows {
                // Nothing shuffles them behind this.
                lane.runs.sort_by_key(|(place, run)| (*place, run.start));
            }
            lane.runs.into_iter().flat_map(|(_, run)| run).collect()
        };
        Some(dealing.evenly(runs)?.into_iter().map(records).collect())
    }

    fn packed(&self, epoch: u64, number: u64, part: &RoundRecords, limits: Limits) -> Vec<Numbers> {
        let cost = |record| self.cost(record);
        let pack = |lane: u64, mut records: Numbers| {
            let window = number * self.lanes + lane;
            self.order.shuffle_window(epoch, window, &mut records);
            // Not those that shuffled the records.
            let mut random = self.order.random(epoch, u64::MAX - window);
            match &self.batching.buckets {
                Some(buckets) => alike(&records, cost, limits, buckets.edges(), &mut random),
                None if self.order.shuffle == Shuffle::Sequential => {
                    in_order(&records, cost, limits)
                }
                None => first_fit(&records, cost, limits, &mut random),
            }
        };
        if part.lanes > 1
            && let Some(divided) =
                self.divided(self.runs(epoch, part.positions.clone()), part.lanes)
        {
            let mut lanes: Vec<_> =
                (0..).zip(divided).map(|(lane, records)| pack(lane, records)).collect();
            let most = lanes.iter().map(Vec::len).max().unwrap_or(0);
            if lanes.iter_mut().all(|batches| divide(batches, most)) {
                // The lane with the largest group is another one in each round.
                self.order.random(epoch, number).shuffle(&mut lanes);
                return dealt(lanes);
            }
        }
        // Too few records for that: all lanes share a window.
        let mut batches = pack(0, self.numbers(epoch, part.positions.clone()));
        let lanes = usize::try_from(part.lanes).unwrap_or(usize::MAX);
        let even = batches.len().checked_next_multiple_of(lanes).unwrap_or(usize::MAX);
        let records: usize = batches.iter().map(Vec::len).sum();
        if even <= records {
            divide(&mut batches, even);
        }
        batches
    }
}

/// The batches of lanes as one sequence, one of each lane in step.
fn dealt(lanes: Vec<Vec<Numbers>>) -> Vec<Numbers> {
    let mut lanes: Vec<_> = lanes.into_iter().map(Vec::into_iter).collect();
    let mut out = Vec::new();
    loop {
        let before = out.len();
        out.extend(lanes.iter_mut().filter_map(Iterator::next));
        if out.len() == before {
            return out;
        }
    }
}
