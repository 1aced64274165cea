//! Which batches one rank gets, step by step, from any place on.

use super::cursor::Cursor;
use super::round::Round;
use super::schedule::{Numbers, Schedule};
use crate::error::{Error, Result};

/// Which part of the batches this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The number of this process among those that train together, from 0.
    pub rank: u64,
    /// How many train together. Each step gives one batch to each.
    pub world: u64,
    /// The number of this worker among those that load for this rank, from 0.
    pub worker: u64,
    /// How many load for this rank: each has every `workers`-th step.
    pub workers: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self { rank: 0, world: 1, worker: 0, workers: 1 }
    }
}

impl Share {
    /// Refuses a rank that is not below the world, and a worker that is not below their number.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self) -> Result<()> {
        for (what, many, number, of) in [
            ("rank", "world", self.rank, self.world),
            ("worker", "workers", self.worker, self.workers),
        ] {
            if of == 0 {
                return Err(Error::invalid(many, "is 0, and must be 1 or more"));
            }
            if number >= of {
                let why = format!("{number} is not below the number of {what}s, {of}");
                return Err(Error::invalid(what, why));
            }
        }
        Ok(())
    }

    /// How many batches this worker of this rank has of the `batches` of an epoch.
    #[must_use]
    pub fn steps(&self, rest: Rest, batches: u64) -> u64 {
        let world = self.world.max(1);
        let steps = match rest {
            Rest::Drop => batches / world,
            Rest::Repeat => batches.div_ceil(world),
        };
        let workers = self.workers.max(1);
        steps / workers + u64::from(steps % workers > self.worker)
    }
}

/// What happens to the batches of a last step that has not one for every rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// Nobody gets them: in this epoch their records are left out.
    #[default]
    Drop,
    /// The ranks that would have none get one of them once more, marked as repeated.
    Repeat,
}

impl Rest {
    /// The name in Python: `drop` or `repeat`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Repeat => "repeat",
        }
    }
}

/// The batch of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepBatch {
    /// The records of the batch.
    pub records: Numbers,
    /// Whether another rank has the same batch in this step.
    pub repeated: bool,
    /// Where the next step begins.
    pub after: Cursor,
}

/// The steps of one epoch from a place on.
#[derive(Debug)]
pub struct Walk {
    schedule: Schedule,
    share: Share,
    rest: Rest,
    next: Cursor,
    steps: u64,
    round: Round,
    dropped: u64,
}

impl Walk {
    /// The steps from `from` on to the end of its epoch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong share, and for a place that the schedule does not have.
    pub fn new(schedule: Schedule, share: Share, rest: Rest, from: Cursor) -> Result<Self> {
        share.check()?;
        let round = schedule.lazy_round(from.epoch, from.round);
        if from.round > schedule.rounds() || from.batch > round.len() {
            let why = format!("there is no batch {} in round {}", from.batch, from.round);
            return Err(Error::invalid("state", why));
        }
        Ok(Self { schedule, share, rest, next: from, steps: 0, round, dropped: 0 })
    }

    /// Records that nobody gets in this epoch: known at its end.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The place of the next step.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.next
    }

    /// Moves on by one batch of the epoch, whoever gets it; its place.
    fn batch(&mut self) -> Option<Cursor> {
        loop {
            if self.next.batch < self.round.len() {
                let at = self.next;
                self.next.batch += 1;
                return Some(at);
            }
            if self.next.round >= self.schedule.rounds() {
                return None;
            }
            self.next.round += 1;
            self.next.batch = 0;
            self.round = self.schedule.lazy_round(self.next.epoch, self.next.round);
        }
    }

    /// The records of the batch at a place of this round or one before.
    fn records(&mut self, at: Cursor) -> Numbers {
        let lane = |lane| self.schedule.lane(at.epoch, at.round, lane);
        if at.round == self.next.round {
            return self.round.take(at.batch, lane);
        }
        let mut before = self.schedule.lazy_round(at.epoch, at.round);
        before.take(at.batch, lane)
    }

    /// The batch of this rank in the next step, whichever worker loads it.
    fn step(&mut self) -> Option<StepBatch> {
        let Share { rank, world, .. } = self.share;
        if self.round.len() - self.next.batch >= world {
            // Nothing is looked at of the batches of other ranks.
            let own = Cursor { batch: self.next.batch + rank, ..self.next };
            self.next.batch += world;
            let records = self.records(own);
            return Some(StepBatch { records, repeated: false, after: self.next });
        }
        let (mut places, mut own, mut records) = (Vec::new(), None, 0);
        while (places.len() as u64) < world
            && let Some(at) = self.batch()
        {
            records += self.round.records_of(at.batch);
            if places.len() as u64 == rank {
                own = Some(self.records(at));
            }
            places.push(at);
        }
        let given = places.len() as u64;
        if given < world && self.rest == Rest::Drop {
            self.dropped += records;
            return None;
        }
        let repeated = own.is_none();
        let records = match own {
            Some(records) => records,
            None => {
                let again = usize::try_from(rank.checked_rem(given)?).ok()?;
                self.records(*places.get(again)?)
            }
        };
        Some(StepBatch { records, repeated, after: self.next })
    }
}

impl Iterator for Walk {
    type Item = StepBatch;
    fn next(&mut self) -> Option<StepBatch> {
        loop {
            let step = self.step()?;
            let mine = self.steps % self.share.workers == self.share.worker;
            self.steps += 1;
            if mine {
                return Some(step);
            }
        }
    }
}
