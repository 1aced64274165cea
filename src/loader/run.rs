//! One pass over the records: what a background thread makes of them, batch by batch.

use super::called::called;
use super::engine::{Ahead, Make, Piece};
use super::options::Damaged;
use super::view::View;
use super::walk::Turn;
use crate::error::{Error, Result};
use crate::store::{Batch, Readable, Snapshot};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Batches of a piece that are not given yet.
type Turns = std::vec::IntoIter<(Turn, Range<usize>)>;

/// The batches of an epoch, or of the rest of one, for one rank.
#[derive(Debug)]
pub struct Run<T> {
    ahead: Ahead<T>,
    piece: Option<(Arc<T>, Turns)>,
    skipped: Arc<AtomicU64>,
}

/// A batch, and what was made of its records together with those of others.
#[derive(Debug)]
pub struct Loaded<T> {
    made: Arc<T>,
    range: Range<usize>,
    turn: Turn,
}

impl<T> Loaded<T> {
    /// What was made of the records of several batches.
    #[must_use]
    pub fn made(&self) -> &T {
        &self.made
    }

    /// Where the records of this batch stand among those.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The records of the batch, by their ordinals, and its place. Records that were skipped are not
    /// among them.
    #[must_use]
    pub const fn turn(&self) -> &Turn {
        &self.turn
    }
}

impl Loaded<Batch> {
    /// The bytes of the records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.range.clone().map(|i| self.made.get(i).unwrap_or_default())
    }
}

impl<T: Send + 'static> Run<T> {
    pub(super) const fn new(ahead: Ahead<T>, skipped: Arc<AtomicU64>) -> Self {
        Self { ahead, piece: None, skipped }
    }

    /// Damaged records that were left out so far, those of batches that were read ahead too.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> Iterator for Run<T> {
    type Item = Result<Loaded<T>>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((made, turns)) = &mut self.piece
                && let Some((turn, range)) = turns.next()
            {
                return Some(Ok(Loaded { made: made.clone(), range, turn }));
            }
            // Before the next one is waited for: it is made while this one's memory is free.
            self.piece = None;
            match self.ahead.next()? {
                Ok(Piece { made, turns }) => self.piece = Some((Arc::new(made), turns.into_iter())),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// Makes pieces of the records of a store, as a run asks for it.
pub(super) struct Maker<F> {
    pub(super) snapshot: Snapshot,
    pub(super) view: View,
    pub(super) damaged: Damaged,
    pub(super) skipped: Arc<AtomicU64>,
    pub(super) make: F,
}

impl<T, F: Fn(&Snapshot, &[u64]) -> Result<T>> Maker<F> {
    /// The error of the first of these records that cannot be made alone, with its name; those that
    /// can, if damaged ones are skipped.
    fn sieve(&self, ordinals: &[u64], error: Error) -> Result<Vec<u64>> {
        let mut good = Vec::new();
        for ordinal in ordinals {
            match (self.make)(&self.snapshot, &[*ordinal]) {
                Ok(_) => good.push(*ordinal),
                Err(e) if self.damaged == Damaged::Skip && e.is_damage() => {
                    self.skipped.fetch_add(1, Ordering::Relaxed);
                }
                Err(e @ Error::Record { .. }) => return Err(e),
                Err(e) => {
                    let key = called(&self.snapshot, *ordinal);
                    let key = key.strip_prefix("record ").unwrap_or(&key).into();
                    return Err(Error::Record { key, source: Box::new(e) });
                }
            }
        }
        // Each alone is good: what is wrong is between them.
        if good.len() == ordinals.len() { Err(error) } else { Ok(good) }
    }
}

impl<T, F: Fn(&Snapshot, &[u64]) -> Result<T> + Send> Make for Maker<F> {
    type Made = T;

    fn ordinal(&self, number: u64) -> u64 {
        self.view.ordinal(number).unwrap_or(u64::MAX)
    }

    fn bytes(&self, ordinal: u64) -> Result<u64> {
        Ok(self.snapshot.location_at(ordinal)?.len())
    }

    fn make(&self, turns: Vec<Turn>) -> Result<Piece<T>> {
        let ordinals: Vec<u64> = turns.iter().flat_map(|t| t.records.iter().copied()).collect();
        let (made, turns) = match (self.make)(&self.snapshot, &ordinals) {
            Ok(made) => (made, turns),
            Err(e) if e.is_damage() => {
                let good = self.sieve(&ordinals, e)?;
                let mut left = good.iter().copied().peekable();
                let mut turns = turns;
                for turn in &mut turns {
                    turn.records.retain(|o| left.next_if_eq(o).is_some());
                }
                ((self.make)(&self.snapshot, &good)?, turns)
            }
            Err(e) => return Err(e),
        };
        let mut end = 0;
        let place = |turn: Turn| {
            let start = end;
            end += turn.records.len();
            (turn, start..end)
        };
        Ok(Piece { made, turns: turns.into_iter().map(place).collect() })
    }
}
