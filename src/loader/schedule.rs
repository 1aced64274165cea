//! Which records are in which batch: a pure function of the seed, the epoch and the settings.
//!
//! An epoch is a sequence of *rounds*, and a round one window of records for each *lane*. A rank
//! works in a lane of its own, so that no two ranks decode the same blocks, while the batches of
//! all lanes stand in one sequence that does not know how many ranks there are: batch `i` of lane
//! `l` is number `i · lanes + l` of its round, and all lanes of a round have the same number of
//! batches. So a run goes on exactly with any other number of ranks from two numbers, the round and
//! the batch in it; only what a rank decodes is more if it is not in one lane.

use super::cursor::Cursor;
use super::order::{Order, Shuffle};
use super::pack::{Limits, divide, first_fit, in_order};
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// How records are put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batching {
    /// The number of records in a batch; the most if there is also a cap on their cost.
    pub records: Option<u64>,
    /// The most that the records of a batch cost together.
    pub cost: Option<u64>,
    /// What happens to the last batch of an epoch if it has fewer than `records`.
    pub last: Last,
}

/// What happens to a last batch with fewer records than the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Last {
    /// It comes.
    #[default]
    Keep,
    /// It is left out, and with it less than a batch of records in each epoch. Without effect if a
    /// cap on the cost decides what is in a batch.
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
}

/// A batch: numbers of records.
pub type Numbers = Vec<u64>;

/// The records of a round: their positions, and into how many lanes they are divided.
struct RoundRecords {
    positions: Range<u64>,
    lanes: u64,
}

impl Schedule {
    /// The batches of `records` records.
    ///
    /// `costs` are what a cap counts, one for each record; without a cap there are none. The window
    /// of the order grows to a multiple of the records of a batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size of 0, for neither a number of records nor a cap, for costs that
    /// are not one for each record, and for a record that alone costs more than the cap: its number
    /// is in the message.
    pub fn new(
        records: u64,
        mut order: Order,
        batching: Batching,
        lanes: u64,
        costs: Option<Arc<[u32]>>,
    ) -> Result<Self> {
        let named = [("group", order.group), ("window", order.window), ("lanes", lanes)];
        let limits = [("batch size", batching.records), ("cost of a batch", batching.cost)];
        let limits = limits.into_iter().filter_map(|(name, limit)| Some((name, limit?)));
        if let Some((what, _)) = named.into_iter().chain(limits).find(|(_, size)| *size == 0) {
            return Err(Error::invalid(what, "is 0, and must be 1 or more"));
        }
        match (&batching, &costs) {
            (Batching { cost: Some(cap), .. }, Some(costs)) if costs.len() as u64 == records => {
                let above = (0_u64..).zip(&**costs).find(|(_, cost)| u64::from(**cost) > *cap);
                if let Some((number, cost)) = above {
                    let why = format!("record {number} alone costs {cost}, above the cap of {cap}");
                    return Err(Error::invalid("cost of a batch", why));
                }
            }
            (Batching { cost: Some(_), .. }, _) => {
                return Err(Error::invalid("costs", "are not one for each record"));
            }
            (Batching { records: None, .. }, _) => {
                let why = "say how many records, or what cost, a batch has";
                return Err(Error::invalid("batch size", why));
            }
            (Batching { records: Some(batch), .. }, _) => {
                let window = order.window.div_ceil(*batch).checked_mul(*batch);
                order.window = window.unwrap_or(order.window);
            }
        }
        Ok(Self { records, order, batching, lanes, costs })
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

    /// Number of records.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
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

    /// What a record costs; 1 without a cap.
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
        let (full, rest) = (self.records / each, self.records % each);
        match (self.batching.cost, self.batching.records) {
            (None, Some(batch)) if self.lanes > 1 => {
                let even = rest / self.lanes / batch * batch;
                (full, even, rest - even * self.lanes)
            }
            _ => (full, 0, rest),
        }
    }

    fn part(&self, number: u64) -> Option<RoundRecords> {
        let (full, even, rest) = self.parts();
        let each = self.order.window.saturating_mul(self.lanes);
        let capped = self.batching.cost.is_some();
        if number < full {
            let first = number * each;
            Some(RoundRecords { positions: first..first + each, lanes: self.lanes })
        } else if number == full && even > 0 {
            let first = full * each;
            Some(RoundRecords { positions: first..first + even * self.lanes, lanes: self.lanes })
        } else if number == full + u64::from(even > 0) && rest > 0 {
            let lanes = if capped { self.lanes } else { 1 };
            Some(RoundRecords { positions: self.records - rest..self.records, lanes })
        } else {
            None
        }
    }

    /// Number of batches of an epoch, of all ranks. Under a cap they are packed to count them, in
    /// some tens of nanoseconds for each record.
    #[must_use]
    pub fn batches(&self, epoch: u64) -> u64 {
        match (self.batching.cost, self.batching.records, self.batching.last) {
            (None, Some(size), Last::Keep) => self.records.div_ceil(size.max(1)),
            (None, Some(size), Last::Drop) => self.records / size.max(1),
            _ => (0..self.rounds()).map(|number| self.round(epoch, number).len() as u64).sum(),
        }
    }

    /// How much of its epoch lies before `at`, from 0 to 1.
    #[must_use]
    pub fn progress(&self, at: Cursor) -> f64 {
        let Some(part) = self.part(at.round) else { return 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
        let float = |n: u64| n as f64;
        let batches = float((self.round(at.epoch, at.round).len() as u64).max(1));
        let inside = float(part.positions.end - part.positions.start) * float(at.batch) / batches;
        (float(part.positions.start) + inside) / float(self.records.max(1))
    }

    /// The batches of a round in their order; none behind the last round.
    #[must_use]
    pub fn round(&self, epoch: u64, number: u64) -> Vec<Numbers> {
        let Some(part) = self.part(number) else { return Vec::new() };
        match (self.batching.cost, self.batching.records) {
            (None, Some(batch)) => self.counted(epoch, number, &part, batch),
            (cost, records) => {
                let cost = cost.unwrap_or(u64::MAX);
                let limits = Limits { records: records.unwrap_or(u64::MAX), cost };
                self.capped(epoch, number, &part, limits)
            }
        }
    }

    fn counted(&self, epoch: u64, number: u64, part: &RoundRecords, batch: u64) -> Vec<Numbers> {
        let sequence = self.order.sequence(self.records, epoch);
        let Range { start, end } = part.positions;
        let each = (end - start) / part.lanes;
        let lanes = (0..part.lanes).map(|lane| {
            let first = start + lane * each;
            let mut records: Numbers = sequence.records(first..first + each).collect();
            self.order.shuffle_window(epoch, number * self.lanes + lane, &mut records);
            let size = usize::try_from(batch).unwrap_or(usize::MAX);
            let mut batches: Vec<_> = records.chunks(size).map(<[u64]>::to_vec).collect();
            if self.batching.last == Last::Drop {
                batches.retain(|b| b.len() as u64 == batch);
            }
            batches
        });
        dealt(lanes.collect())
    }

    fn capped(&self, epoch: u64, number: u64, part: &RoundRecords, limits: Limits) -> Vec<Numbers> {
        let sequence = self.order.sequence(self.records, epoch);
        let runs: Vec<Range<u64>> = sequence.runs(part.positions.clone()).collect();
        let cost = |record| self.cost(record);
        let pack = |lane: u64, runs: &[Range<u64>]| {
            let mut records: Numbers = runs.iter().cloned().flatten().collect();
            let window = number * self.lanes + lane;
            if self.order.shuffle == Shuffle::Sequential {
                return in_order(&records, cost, limits);
            }
            self.order.shuffle_window(epoch, window, &mut records);
            // Not those that shuffled the records.
            let mut random = self.order.random(epoch, u64::MAX - window);
            first_fit(&records, cost, limits, &mut random)
        };
        if part.lanes > 1
            && let Some(divided) = self.divided(&runs, part.lanes)
        {
            let mut lanes: Vec<_> =
                (0..).zip(&divided).map(|(lane, runs)| pack(lane, runs)).collect();
            let most = lanes.iter().map(Vec::len).max().unwrap_or(0);
            if lanes.iter_mut().all(|batches| divide(batches, most)) {
                // The lane with the largest group is another one in each round.
                self.order.random(epoch, number).shuffle(&mut lanes);
                return dealt(lanes);
            }
        }
        // Too few records for that: all lanes share a window.
        let mut batches = pack(0, &runs);
        let lanes = usize::try_from(part.lanes).unwrap_or(usize::MAX);
        let even = batches.len().checked_next_multiple_of(lanes).unwrap_or(usize::MAX);
        let records: usize = batches.iter().map(Vec::len).sum();
        if even <= records {
            divide(&mut batches, even);
        }
        batches
    }

    /// The groups of a round for each lane, so that all lanes cost about the same: the dearest first,
    /// each to the lane that has least so far. `None` if there are fewer groups than lanes.
    fn divided(&self, runs: &[Range<u64>], lanes: u64) -> Option<Vec<Vec<Range<u64>>>> {
        if (runs.len() as u64) < lanes {
            return None;
        }
        let sum = |run: &Range<u64>| run.clone().map(|r| self.cost(r)).sum::<u64>();
        let mut runs: Vec<_> = runs.iter().map(|run| (sum(run), run.clone())).collect();
        runs.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        let mut out: Vec<(u64, Vec<Range<u64>>)> = (0..lanes).map(|_| (0, Vec::new())).collect();
        for (cost, run) in runs {
            let lane = out.iter_mut().min_by_key(|(sum, runs)| (*sum, runs.len()))?;
            lane.0 += cost;
            lane.1.push(run);
        }
        Some(out.into_iter().map(|(_, runs)| runs).collect())
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
