//! One pass over the records: what a background thread makes of them, batch by batch.

use super::options::Damaged;
use super::ranks::StepBatch;
use super::read_ahead::{Ahead, Make, Piece, Place};
use super::sources::Sources;
use super::view::View;
use crate::error::{Error, Result};
use crate::store::{Batch, Looked, Plan, Readable, Snapshot};
use crate::wire::memory;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Batches of a piece that are not given yet.
type Steps = std::vec::IntoIter<(StepBatch, Vec<Place>)>;

/// The batches of an epoch, or of the rest of one, for one rank.
#[derive(Debug)]
pub struct Run<T> {
    ahead: Ahead<T>,
    piece: Option<(Arc<Vec<T>>, Steps)>,
    skipped: Arc<AtomicU64>,
}

/// A batch, and what was made of its records together with those of others.
#[derive(Debug)]
pub struct Loaded<T> {
    made: Arc<Vec<T>>,
    places: Vec<Place>,
    step: StepBatch,
}

impl<T> Loaded<T> {
    /// What was made of the records of several batches, once for each store that they are of.
    #[must_use]
    pub fn made(&self) -> &[T] {
        &self.made
    }

    /// Where the records of this batch stand: in which of those, and at which position.
    #[must_use]
    pub fn places(&self) -> &[(usize, usize)] {
        &self.places
    }

    /// The records of the batch, by their ordinals, and its place. Records that were skipped are not
    /// among them.
    #[must_use]
    pub const fn step(&self) -> &StepBatch {
        &self.step
    }
}

impl Loaded<Batch> {
    /// The bytes of the records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let found = |(part, i): &Place| self.made.get(*part).and_then(|batch| batch.get(*i));
        self.places.iter().map(move |place| found(place).unwrap_or_default())
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

    /// Whether a batch is there that was read already.
    #[must_use]
    pub fn at_hand(&self) -> bool {
        self.piece.as_ref().is_some_and(|(_, steps)| steps.len() > 0)
    }

    /// Waits, `most` at most, until [`next`](Iterator::next) returns at once: a batch, an error or the
    /// end. Whether it does: for callers who look after something else, as signals, meanwhile.
    pub fn wait(&mut self, most: Duration) -> bool {
        if self.at_hand() {
            return true;
        }
        self.piece = None;
        self.ahead.wait(most)
    }

    /// Ends the run, and waits, `most` at most, until its thread has ended: behind the window that it
    /// reads. Whether it has.
    pub fn end(&mut self, most: Duration) -> bool {
        self.piece = None;
        self.ahead.end(most)
    }

    /// Ends the run without waiting for its thread, as dropping it does: the thread reads its window to
    /// the end, frees it and ends by itself.
    pub fn leave(self) {
        self.ahead.leave();
    }
}

impl<T: Send + 'static> Iterator for Run<T> {
    type Item = Result<Loaded<T>>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((made, steps)) = &mut self.piece
                && let Some((step, places)) = steps.next()
            {
                return Some(Ok(Loaded { made: made.clone(), places, step }));
            }
            // Before the next one is waited for: it is made while this one's memory is free.
            self.piece = None;
            match self.ahead.next()? {
                Ok(Piece { made, steps }) => self.piece = Some((Arc::new(made), steps.into_iter())),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// Whether the bytes of a record are damaged: not what was asked of it, and not the whole store, of which
/// nothing would be left.
fn is_unreadable(error: &Error) -> bool {
    matches!(
        error.root(),
        Error::Corrupt(_)
            | Error::Codec { .. }
            | Error::Unsupported { .. }
            | Error::Limit { .. }
            | Error::NotAStore { .. }
    )
}

/// Records of one store of which a loader wants something made, see [`Loader::start`](super::Loader::start).
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    snapshot: &'a Snapshot,
    ordinals: &'a [u64],
    looked: Option<&'a Looked>,
}

impl<'a> Asked<'a> {
    /// The store.
    #[must_use]
    pub const fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Their ordinals there, in the order in which they come.
    #[must_use]
    pub const fn ordinals(&self) -> &'a [u64] {
        self.ordinals
    }

    /// The records, looked up: once, where the loader has done that to know how much memory they take.
    ///
    /// # Errors
    /// As [`Readable::plan_at`].
    pub fn plan(&self) -> Result<Plan<'a>> {
        match self.looked {
            Some(looked) => Ok(self.snapshot.plan_of(looked)),
            None => self.snapshot.plan_at(self.ordinals),
        }
    }
}

/// Makes pieces of the records of a store, as a run asks for it.
pub(super) struct Maker<F> {
    pub(super) sources: Sources,
    pub(super) view: View,
    pub(super) damaged: Damaged,
    pub(super) skipped: Arc<AtomicU64>,
    pub(super) make: F,
    /// The records whose bytes were asked for last, looked up.
    pub(super) looked: RefCell<Option<(Vec<u64>, Looked)>>,
}

impl<T, F: Fn(Asked<'_>) -> Result<T>> Maker<F> {
    /// What is made of these records, store by store, and where each of them stands: those of a store
    /// in the order in which they come, so that a batch of one store lies in one piece.
    fn all(&self, records: &[u64]) -> Result<(Vec<T>, Vec<Place>)> {
        if self.sources.stores() == 1 {
            let (snapshot, held) = (self.sources.snapshot(0)?, self.looked.take());
            let same = held.as_ref().filter(|(asked, _)| asked == records);
            let looked = same.map(|(_, looked)| looked);
            let made = (self.make)(Asked { snapshot: &snapshot, ordinals: records, looked })?;
            return Ok((vec![made], (0..records.len()).map(|i| (0, i)).collect()));
        }
        let mut order: Vec<(usize, u64, usize)> = memory::with_room(records.len())?;
        for (position, record) in records.iter().enumerate() {
            let (store, ordinal) = self.sources.place(*record);
            order.push((store, ordinal, position));
        }
        order.sort_by_key(|(store, ..)| *store);
        let mut places = memory::filled(records.len(), (0, 0))?;
        let mut made = Vec::new();
        for own in order.chunk_by(|a, b| a.0 == b.0) {
            let mut ordinals = memory::with_room(own.len())?;
            for (i, (_, ordinal, position)) in own.iter().enumerate() {
                ordinals.push(*ordinal);
                if let Some(place) = places.get_mut(*position) {
                    *place = (made.len(), i);
                }
            }
            if let Some((store, ..)) = own.first() {
                let snapshot = &self.sources.snapshot(*store)?;
                made.push((self.make)(Asked { snapshot, ordinals: &ordinals, looked: None })?);
            }
        }
        Ok((made, places))
    }

    /// Those of these records that are not damaged, found by halves, if damaged ones are skipped; the error
    /// of the first record that cannot be made, with its name.
    fn sieve(&self, records: &[u64], error: Error) -> Result<Vec<u64>> {
        let half = records.len() / 2;
        if half == 0 {
            return match error {
                e if self.damaged == Damaged::Skip && is_unreadable(&e) => {
                    self.skipped.fetch_add(1, Ordering::Relaxed);
                    Ok(Vec::new())
                }
                e @ Error::Record { .. } => Err(e),
                e => {
                    let record = records.first().copied().unwrap_or(u64::MAX);
                    let key = self.sources.called(record).into();
                    Err(Error::Record { key, source: Box::new(e) })
                }
            };
        }
        let mut good = Vec::new();
        let (mut whole, parts) = (true, records.split_at(half));
        for part in [parts.0, parts.1] {
            match self.all(part) {
                Ok(_) => good.extend_from_slice(part),
                Err(e) => {
                    whole = false;
                    good.extend(self.sieve(part, e)?);
                }
            }
        }
        // Each half is good: what is wrong is between them.
        if whole { Err(error) } else { Ok(good) }
    }
}

impl<T, F: Fn(Asked<'_>) -> Result<T> + Send> Make for Maker<F> {
    type Made = T;

    fn ordinal(&self, number: u64) -> u64 {
        self.view.ordinal(number).unwrap_or(u64::MAX)
    }

    fn bytes(&self, records: &[u64]) -> Result<u64> {
        match self.sources.looked_up(records)? {
            None => Ok(self.sources.mean_bytes_of(records)),
            Some(looked) => {
                let bytes = looked.bytes();
                self.looked.replace(Some((records.to_vec(), looked)));
                Ok(bytes)
            }
        }
    }

    fn make(&self, mut steps: Vec<StepBatch>) -> Result<Piece<T>> {
        let records: Vec<u64> = steps.iter().flat_map(|t| t.records.iter().copied()).collect();
        let (made, places) = match self.all(&records) {
            Ok(made) => made,
            Err(e) if e.is_damage() => {
                let good = self.sieve(&records, e)?;
                let mut left = good.iter().copied().peekable();
                for step in &mut steps {
                    step.records.retain(|record| left.next_if_eq(record).is_some());
                }
                self.all(&good)?
            }
            Err(e) => return Err(e),
        };
        let mut places = places.into_iter();
        let placed = |step: StepBatch| {
            let own = places.by_ref().take(step.records.len()).collect();
            (step, own)
        };
        Ok(Piece { made, steps: steps.into_iter().map(placed).collect() })
    }
}
