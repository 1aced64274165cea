//! How a trajectory goes on after a stop: which stored frames stay, which new ones are taken.
//!
//! Frames that come from a trajectory file bear whole-number keys: the number of the frame,
//! counted from 0 (see [`DepotWriter::put_frame`]). A job that was killed and started again
//! repeats frames that are stored already, or starts from a checkpoint that lies before the
//! last stored frame; [`DepotWriter::continue_from`] settles both.

use super::put::DepotWriter;
use crate::codec::{AnyCodec, Codec, MdFrame, MdFrameCodec};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::store::Record;

/// Where a trajectory goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At this simulation step.
    Step(i64),
    /// At the frame of this number, counted from 0: the whole-number key under which it is or
    /// would be stored; for frames without such keys the ordinal.
    Frame(u64),
}

/// What happens where stored frames and new ones overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continue {
    /// The new ones win: stored frames at and past the start are deleted.
    DropNewer,
    /// The stored ones win: new frames up to the last stored one are ignored.
    SkipOlder,
    /// Both stay, nothing is compared: stored frames are kept, and every new one from the start
    /// on is taken.
    KeepAll,
}

/// What [`DepotWriter::continue_from`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// Stored frames that were deleted.
    pub dropped: u64,
    /// Stored frames that stayed.
    pub kept: u64,
    /// Step of the last frame that stayed, if it bears one.
    pub last_step: Option<i64>,
    /// The number of the next frame: behind the last whole-number key, or the count of frames.
    pub next_frame: u64,
}

/// Which frames are still wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct After {
    /// Frames before this step are ignored.
    first_step: Option<i64>,
    /// Frames up to this step are ignored; moves on with what is stored.
    step: Option<i64>,
    /// Frames under whole-number keys before this one are ignored.
    frame: Option<u64>,
}

impl DepotWriter<MdFrameCodec> {
    /// Prepares for going on at `start`. From then on [`put_frame`](Self::put_frame) ignores
    /// what is older than `start`, and with [`Continue::SkipOlder`] everything up to the last
    /// stored frame, so that steps (or numbers) of stored frames only grow.
    ///
    /// [`Continue::DropNewer`] deletes the stored frames at and past `start`, looking back from
    /// the end to the first that is older; the deletion is committed with what is put next.
    /// Uncommitted puts are committed first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if steps are to be compared and a stored frame bears none;
    /// [`Error::Corrupt`] or [`Error::Codec`] if a stored frame that must be looked at is
    /// damaged.
    pub fn continue_from(&mut self, start: StartAt, how: Continue) -> Result<Continued> {
        if self.writer.is_dirty() {
            self.writer.commit()?;
        }
        let stored = self.len();
        let kept = match how {
            Continue::SkipOlder | Continue::KeepAll => stored,
            Continue::DropNewer => self.first_at_or_past(start)?,
        };
        let snapshot = self.snapshot()?;
        // Keys and ordinals first, then deleting from the end, so that ordinals stay true.
        for ordinal in (kept..stored).rev() {
            match snapshot.key_at(ordinal)? {
                Some(key) => self.writer.delete(key)?,
                None => self.writer.delete_at(ordinal)?,
            }
        }
        let last = kept.checked_sub(1);
        let last_step = match last {
            Some(last) => self.step_at(last)?,
            None => None,
        };
        let next_frame = match last.map(|last| snapshot.key_at(last)).transpose()?.flatten() {
            Some(Key::Int(n)) => u64::try_from(n).map_or(kept, |n| n.saturating_add(1)),
            _ => kept,
        };
        self.after = match (start, how) {
            (StartAt::Step(_), Continue::SkipOlder) if kept > 0 && last_step.is_none() => {
                return Err(no_step(kept - 1));
            }
            (StartAt::Step(first), Continue::SkipOlder) => {
                After { first_step: Some(first), step: last_step, frame: None }
            }
            (StartAt::Step(first), Continue::DropNewer | Continue::KeepAll) => {
                After { first_step: Some(first), ..After::default() }
            }
            (StartAt::Frame(first), Continue::SkipOlder) => {
                After { frame: Some(first.max(next_frame)), ..After::default() }
            }
            (StartAt::Frame(first), Continue::DropNewer | Continue::KeepAll) => {
                After { frame: Some(first), ..After::default() }
            }
        };
        Ok(Continued { dropped: stored - kept, kept, last_step, next_frame })
    }

    /// Puts a frame under `key`, or ignores it as [`continue_from`](Self::continue_from) asked;
    /// then the answer is `None`, else its ordinal. `number` is the number of the frame in its
    /// trajectory, counted from 0, by which it is compared where frames are not compared by
    /// step; it is also the usual key. What frames have in common is stored as
    /// [`share_topologies`](Self::share_topologies) says.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Error::Invalid`] if steps are compared and `frame` bears none.
    pub fn put_frame(
        &mut self,
        number: u64,
        key: impl Into<Key>,
        frame: &MdFrame,
    ) -> Result<Option<u64>> {
        if self.ignores(number, frame.step)? {
            return Ok(None);
        }
        let ordinal = self.add_frame(&key.into(), frame)?;
        if self.after.step.is_some() {
            self.after.step = frame.step;
        }
        Ok(Some(ordinal))
    }

    /// Whether [`put_frame`](Self::put_frame) would ignore the frame of this number and step.
    ///
    /// # Errors
    /// [`Error::Invalid`] if steps are compared and there is none.
    pub fn ignores(&self, number: u64, step: Option<i64>) -> Result<bool> {
        let After { first_step, step: last, frame } = self.after;
        if frame.is_some_and(|first| number < first) {
            return Ok(true);
        }
        if first_step.is_none() && last.is_none() {
            return Ok(false);
        }
        let Some(step) = step else {
            return Err(Error::invalid(
                "step",
                "this frame bears none, so that it cannot be compared with the stored ones; go \
                 on from a frame number instead",
            ));
        };
        Ok(first_step.is_some_and(|first| step < first) || last.is_some_and(|last| step <= last))
    }

    /// Ordinal of the first stored frame that is not older than `start`, all behind it included.
    fn first_at_or_past(&self, start: StartAt) -> Result<u64> {
        let snapshot = self.snapshot()?;
        let mut kept = snapshot.len();
        while let Some(ordinal) = kept.checked_sub(1) {
            let newer = match start {
                StartAt::Step(first) => {
                    self.step_at(ordinal)?.ok_or_else(|| no_step(ordinal))? >= first
                }
                StartAt::Frame(first) => match snapshot.key_at(ordinal)? {
                    Some(Key::Int(n)) => n >= i128::from(first),
                    _ => ordinal >= first,
                },
            };
            if !newer {
                break;
            }
            kept = ordinal;
        }
        Ok(kept)
    }

    fn step_at(&self, ordinal: u64) -> Result<Option<i64>> {
        let record = self.writer.get_at(ordinal)?;
        let record = self.codec.expand(&record)?.map_or(record, Record::from);
        Ok(self.codec.decode(&record)?.step())
    }
}

fn no_step(ordinal: u64) -> Error {
    Error::invalid(
        "step",
        format!(
            "the stored frame at ordinal {ordinal} bears none, so that frames cannot be compared \
             by step; go on from a frame number instead"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    fn frame(step: i64) -> MdFrame {
        MdFrame { step: Some(step), ..MdFrame::default() }
    }

    /// Frames at the steps 0, 10, …, 90.
    fn ten() -> DepotWriter<MdFrameCodec> {
        let mut w = DepotWriter::in_memory(MdFrameCodec, &StoreOptions::default()).unwrap();
        for n in 0..10 {
            w.put(n, &frame(n * 10), false).unwrap();
        }
        w
    }

    fn steps(w: &mut DepotWriter<MdFrameCodec>) -> Vec<i64> {
        w.commit().unwrap();
        let depot = w.depot().unwrap();
        depot.iter().map(|f| f.unwrap().view().unwrap().step().unwrap()).collect()
    }

    fn put_from(w: &mut DepotWriter<MdFrameCodec>, mut next: u64, all: &[i64]) -> usize {
        let mut taken = 0;
        for (number, step) in all.iter().enumerate() {
            if w.put_frame(number as u64, next, &frame(*step)).unwrap().is_some() {
                taken += 1;
                next += 1;
            }
        }
        taken
    }

    #[test]
    fn frames_up_to_the_last_stored_step_are_skipped() {
        let mut w = ten();
        let at = w.continue_from(StartAt::Step(i64::MIN), Continue::SkipOlder).unwrap();
        assert_eq!((at.dropped, at.kept, at.last_step, at.next_frame), (0, 10, Some(90), 10));
        assert_eq!(put_from(&mut w, 10, &[70, 80, 90, 100, 100, 110]), 2);
        assert_eq!(steps(&mut w)[8..], [80, 90, 100, 110]);
    }

    #[test]
    fn stored_frames_from_the_given_step_on_are_dropped_and_older_new_ones_ignored() {
        let mut w = ten();
        let at = w.continue_from(StartAt::Step(55), Continue::DropNewer).unwrap();
        assert_eq!((at.dropped, at.kept, at.last_step, at.next_frame), (4, 6, Some(50), 6));
        assert_eq!(put_from(&mut w, 6, &[45, 55, 56]), 2);
        assert_eq!(steps(&mut w), [0, 10, 20, 30, 40, 50, 55, 56]);
    }

    #[test]
    fn frames_are_compared_by_number_where_that_is_asked_for() {
        let mut w = ten();
        w.continue_from(StartAt::Frame(0), Continue::SkipOlder).unwrap();
        assert_eq!(put_from(&mut w, 10, &[5; 12]), 2);
        let mut w = ten();
        let at = w.continue_from(StartAt::Frame(8), Continue::DropNewer).unwrap();
        assert_eq!((at.dropped, at.next_frame), (2, 8));
        assert_eq!(put_from(&mut w, 8, &[5; 12]), 4);
        assert_eq!(steps(&mut w).len(), 12);
    }

    #[test]
    fn all_frames_are_kept_where_that_is_asked_for() {
        let mut w = ten();
        let at = w.continue_from(StartAt::Frame(1), Continue::KeepAll).unwrap();
        assert_eq!((at.dropped, at.kept, at.next_frame), (0, 10, 10));
        assert_eq!(put_from(&mut w, 10, &[0, 0, 50]), 2);
        assert_eq!(steps(&mut w)[9..], [90, 0, 50]);
    }

    #[test]
    fn dropping_reaches_records_without_a_key_and_may_drop_all() {
        let mut w = DepotWriter::in_memory(MdFrameCodec, &StoreOptions::default()).unwrap();
        for n in 0..5 {
            w.push(&frame(n)).unwrap();
        }
        let at = w.continue_from(StartAt::Step(3), Continue::DropNewer).unwrap();
        assert_eq!((at.dropped, at.kept), (2, 3));
        let at = w.continue_from(StartAt::Step(-1), Continue::DropNewer).unwrap();
        assert_eq!((at.dropped, at.kept, at.last_step, at.next_frame), (3, 0, None, 0));
    }

    #[test]
    fn frames_without_a_step_are_refused_where_steps_are_compared() {
        let mut w = ten();
        w.continue_from(StartAt::Step(0), Continue::SkipOlder).unwrap();
        let why = w.put_frame(0, 10, &MdFrame::default()).unwrap_err().to_string();
        assert!(why.contains("frame number"), "{why}");
        w.push(&MdFrame::default()).unwrap();
        for how in [Continue::DropNewer, Continue::SkipOlder] {
            let why = w.continue_from(StartAt::Step(0), how).unwrap_err().to_string();
            assert!(why.contains("ordinal 10"), "{why}");
        }
        assert!(w.continue_from(StartAt::Frame(3), Continue::DropNewer).is_ok());
    }
}
