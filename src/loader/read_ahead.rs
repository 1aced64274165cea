//! Reading ahead in a background thread, within a stated amount of memory.

use super::ranks::StepBatch;
use crate::error::{Error, Result};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use std::collections::VecDeque;
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches that are read together: each block in which one of their records lies is decoded once.
#[derive(Debug)]
pub(super) struct Piece<T> {
    /// What was made of the records of each store.
    pub(super) made: Vec<T>,
    /// The batches, and where their records stand in what was made.
    pub(super) steps: Vec<(StepBatch, Vec<Place>)>,
}

/// Where a record stands: in which of the things that were made, and at which position.
pub(super) type Place = (usize, usize);

/// How pieces are made.
pub(super) trait Make: Send {
    type Made;
    /// The ordinal of a record of the view.
    fn ordinal(&self, number: u64) -> u64;
    /// The bytes of the records at these ordinals together.
    fn bytes(&self, ordinals: &[u64]) -> Result<u64>;
    /// The piece of these batches, whose records are ordinals.
    fn make(&self, steps: Vec<StepBatch>) -> Result<Piece<Self::Made>>;
}

/// Pieces that a thread makes one ahead of their use.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    pieces: Option<Receiver<Result<Piece<T>>>>,
    /// A piece that was waited for and not taken yet.
    come: Option<Result<Piece<T>>>,
    thread: Option<JoinHandle<()>>,
    /// Is cut off when the thread ends.
    ended: Receiver<()>,
    process: u32,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts a thread that cuts `steps` into pieces, at the ends of rounds or before where a piece
    /// would have more than `most` bytes of records, and makes each.
    ///
    /// One piece is in use, and one is being made or waits: twice `most` is in memory.
    pub(super) fn start(
        steps: impl Iterator<Item = StepBatch> + Send + 'static,
        most: u64,
        make: impl Make<Made = T> + 'static,
    ) -> Result<Self> {
        let (sender, pieces) = bounded(0);
        let (end, ended) = bounded(0);
        let work = move || {
            let _end = end;
            let mut cut = Cut { steps: steps.peekable(), round: VecDeque::new() };
            while let Some(piece) = cut.next(most, &make).transpose() {
                let made = piece.and_then(|steps| make.make(steps));
                let failed = made.is_err();
                // Nobody waits for it any more, or it ends here.
                if sender.send(made).is_err() || failed {
                    return;
                }
            }
        };
        let named = std::thread::Builder::new().name("vlstore loader".into());
        let thread = named.spawn(work).map_err(|e| Error::io("start a loading thread", e))?;
        let process = std::process::id();
        Ok(Self { pieces: Some(pieces), come: None, thread: Some(thread), ended, process })
    }

    /// Waits until [`next`](Self::next) has something to return, `most` at most; whether it has.
    pub(super) fn wait(&mut self, most: Duration) -> bool {
        let Some(pieces) = &self.pieces else { return true };
        if self.come.is_none() && std::process::id() == self.process {
            match pieces.recv_timeout(most) {
                Ok(piece) => self.come = Some(piece),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        true
    }

    /// The next piece; `None` behind the last. After an error there is no other piece.
    pub(super) fn next(&mut self) -> Option<Result<Piece<T>>> {
        if std::process::id() != self.process {
            let why = "this iteration belongs to the process that began it: begin a new one here";
            return Some(Err(Error::invalid("loader", why)));
        }
        if let Some(piece) = self.come.take() {
            return Some(piece);
        }
        if let Ok(piece) = self.pieces.as_ref()?.recv() {
            return Some(piece);
        }
        self.pieces = None;
        match self.thread.take()?.join() {
            Ok(()) => None,
            Err(_) => Some(Err(Error::Thread { doing: "loading" })),
        }
    }

    /// Tells the thread to end, which it does behind the piece that it makes, and waits for that `most` at
    /// most; whether it has ended.
    pub(super) fn end(&mut self, most: Duration) -> bool {
        if std::process::id() != self.process {
            return true;
        }
        (self.pieces, self.come) = (None, None);
        self.ended.recv_timeout(most) != Err(RecvTimeoutError::Timeout)
    }

    /// Lets the thread end by itself.
    pub(super) fn leave(mut self) {
        if std::process::id() == self.process {
            self.thread = None;
        }
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        let (pieces, thread) = (self.pieces.take(), self.thread.take());
        if std::process::id() != self.process {
            // The thread is in the parent; what it shares with this copy stays untouched.
            let ended = std::mem::replace(&mut self.ended, crossbeam::channel::never());
            std::mem::forget((pieces, thread, ended));
            return;
        }
        // The thread notices at its next piece.
        drop(pieces);
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

/// Batches in pieces.
struct Cut<I: Iterator<Item = StepBatch>> {
    steps: std::iter::Peekable<I>,
    /// Batches of a round that did not fit in one piece, and their bytes.
    round: VecDeque<(StepBatch, u64)>,
}

impl<I: Iterator<Item = StepBatch>> Cut<I> {
    fn next(&mut self, most: u64, make: &impl Make) -> Result<Option<Vec<StepBatch>>> {
        if self.round.is_empty() {
            let steps = self.round(make);
            let records: Vec<u64> = steps.iter().flat_map(|s| s.records.iter().copied()).collect();
            if steps.len() < 2 || make.bytes(&records)? <= most {
                return Ok(Some(steps).filter(|steps| !steps.is_empty()));
            }
            for step in steps {
                let bytes = make.bytes(&step.records)?;
                self.round.push_back((step, bytes));
            }
        }
        let (mut piece, mut bytes) = (Vec::new(), 0_u64);
        while let Some((step, more)) = self.round.pop_front() {
            bytes = bytes.saturating_add(more);
            if !piece.is_empty() && bytes > most {
                self.round.push_front((step, more));
                break;
            }
            piece.push(step);
        }
        Ok(Some(piece))
    }

    /// The batches of the next round, with ordinals for their records.
    fn round(&mut self, make: &impl Make) -> Vec<StepBatch> {
        let mut steps: Vec<StepBatch> = Vec::new();
        let same = |step: &StepBatch, first: Option<&StepBatch>| {
            first.is_none_or(|first| first.after.round == step.after.round)
        };
        while let Some(mut step) = self.steps.next_if(|step| same(step, steps.first())) {
            step.records.iter_mut().for_each(|record| *record = make.ordinal(*record));
            steps.push(step);
        }
        steps
    }
}
