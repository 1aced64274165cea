//! Which batches one rank gets, step by step, from any place on.

use super::cursor::Cursor;
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
    /// The batches of the round that are not given yet.
    round: std::vec::IntoIter<Numbers>,
    dropped: u64,
}

impl Walk {
    /// The steps from `from` on to the end of its epoch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong share, and for a place that the schedule does not have.
    pub fn new(schedule: Schedule, share: Share, rest: Rest, from: Cursor) -> Result<Self> {
        share.check()?;
        let mut round = schedule.round(from.epoch, from.round).into_iter();
        let there = round.len() as u64;
        if from.round > schedule.rounds() || from.batch > there {
            let why = format!("there is no batch {} in round {}", from.batch, from.round);
            return Err(Error::invalid("state", why));
        }
        if let Some(last) = usize::try_from(from.batch).ok().and_then(|n| n.checked_sub(1)) {
            round.nth(last);
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

    /// The next batch of the epoch, whoever gets it.
    fn batch(&mut self) -> Option<Numbers> {
        loop {
            if let Some(batch) = self.round.next() {
                self.next.batch += 1;
                return Some(batch);
            }
            if self.next.round >= self.schedule.rounds() {
                return None;
            }
            self.next.round += 1;
            self.next.batch = 0;
            self.round = self.schedule.round(self.next.epoch, self.next.round).into_iter();
        }
    }

    /// The batch of this rank in the next step, whichever worker loads it.
    fn step(&mut self) -> Option<StepBatch> {
        let (mut own, mut all) = (None, Vec::new());
        let mut given = 0;
        while given < self.share.world
            && let Some(batch) = self.batch()
        {
            if given == self.share.rank {
                own = Some(batch);
            } else if self.rest == Rest::Repeat && given < self.share.rank {
                // What may have to be given to this rank, too.
                all.push(batch);
            } else {
                self.dropped += batch.len() as u64;
            }
            given += 1;
        }
        if given == self.share.world {
            self.dropped = 0;
            let records = own?;
            return Some(StepBatch { records, repeated: false, after: self.next });
        }
        match self.rest {
            Rest::Drop => {
                self.dropped += own.map_or(0, |batch| batch.len() as u64);
                None
            }
            Rest::Repeat => {
                self.dropped = 0;
                let repeated = own.is_none();
                let again =
                    self.share.rank.checked_rem(given).and_then(|at| usize::try_from(at).ok());
                let records = own.or_else(|| all.into_iter().nth(again?))?;
                Some(StepBatch { records, repeated, after: self.next })
            }
        }
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
