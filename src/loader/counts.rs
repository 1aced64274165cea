//! How many batches the rounds of an epoch have, counted once.
//!
//! Under a cap, and with buckets, a round is packed to count its batches. What was counted is kept for the
//! epoch that was asked for last, so that lengths and progress cost nothing when they are asked for again.

use super::cursor::Cursor;
use super::schedule::Schedule;
use std::sync::{Arc, Mutex};

/// Counts of one epoch; cheap to clone, clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(Arc<Mutex<Option<Epoch>>>);

#[derive(Debug)]
struct Epoch {
    number: u64,
    /// Of each round that was counted, by its number.
    rounds: Vec<Option<u64>>,
    all: Option<u64>,
}

impl Counts {
    /// What `count` finds among the counts of an epoch.
    fn with<T>(&self, epoch: u64, count: impl FnOnce(&mut Epoch) -> T) -> T {
        let new = || Epoch { number: epoch, rounds: Vec::new(), all: None };
        // Never waited for: in a child of a fork it may be locked for ever.
        match self.0.try_lock() {
            Err(_) => count(&mut new()),
            Ok(mut held) => {
                if held.as_ref().is_none_or(|held| held.number != epoch) {
                    *held = Some(new());
                }
                count(held.get_or_insert_with(new))
            }
        }
    }

    /// Number of batches of an epoch, of all ranks.
    pub(super) fn batches(&self, schedule: &Schedule, epoch: u64) -> u64 {
        if let Some(known) = schedule.counted_batches() {
            return known;
        }
        self.with(epoch, |known| {
            let counted = known.all.unwrap_or_else(|| {
                (0..schedule.rounds()).map(|round| known.round(schedule, round)).sum()
            });
            known.all = Some(counted);
            counted
        })
    }

    /// How much of its epoch lies before `at`, from 0 to 1.
    pub(super) fn progress(&self, schedule: &Schedule, at: Cursor) -> f64 {
        schedule.progress_of(at, || self.with(at.epoch, |known| known.round(schedule, at.round)))
    }
}

impl Epoch {
    /// Number of batches of a round.
    fn round(&mut self, schedule: &Schedule, number: u64) -> u64 {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(known) = self.rounds.get(place).copied().flatten() {
            return known;
        }
        let counted = schedule.lazy_round(self.number, number).len();
        if number < schedule.rounds() {
            if self.rounds.len() <= place {
                self.rounds.resize(place + 1, None);
            }
            if let Some(place) = self.rounds.get_mut(place) {
                *place = Some(counted);
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Batching, Order, Shuffle};
    use super::*;

    fn schedule(records: u32, window: u64) -> Schedule {
        let order = Order { shuffle: Shuffle::Windows, seed: 1, group: 8, window };
        let batching = Batching { cost: Some(40), ..Batching::default() };
        let costs: Vec<u32> = (0..records).map(|i| 1 + i % 17).collect();
        Schedule::new(records.into(), order, batching, 1, Some(costs.into())).unwrap()
    }

    #[test]
    fn what_was_counted_is_not_packed_again() {
        let (counts, schedule, other) = (Counts::default(), schedule(1000, 64), schedule(10, 64));
        let at = Cursor { epoch: 3, round: 5, batch: 2 };
        let (all, progress) = (schedule.batches(3), schedule.progress(at));
        assert!((counts.progress(&schedule, at) - progress).abs() < 1e-12);
        assert_eq!(counts.batches(&schedule, 3), all);
        // Another schedule would give other numbers, if it were packed.
        assert_eq!(counts.clone().batches(&other, 3), all);
        let known = counts.0.lock().unwrap();
        let rounds = &known.as_ref().unwrap().rounds;
        assert_eq!(rounds.len() as u64, schedule.rounds());
        drop(known);
        assert_eq!(counts.batches(&other, 4), other.batches(4), "each epoch has its own");
        assert_eq!(counts.batches(&schedule, 3), all);
    }

    #[test]
    fn a_lock_that_somebody_holds_is_not_waited_for() {
        let (counts, schedule) = (Counts::default(), schedule(300, 64));
        let held = counts.0.lock().unwrap();
        assert_eq!(counts.batches(&schedule, 1), schedule.batches(1));
        drop(held);
        let end = Cursor { epoch: 0, round: schedule.rounds(), batch: 0 };
        assert!((counts.progress(&schedule, end) - 1.0).abs() < 1e-12);
    }
}
