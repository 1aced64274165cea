//! How a trajectory goes on after a stop: which stored frames stay, which new ones are taken.
//!
//! Frames that come from a trajectory file have integer keys: the number of the frame, counted
//! from 0. A job that was killed and started again repeats frames that are stored already, or
//! starts from a checkpoint that lies before the last stored frame;
//! [`continue_from`](super::TrajectoryWriter::continue_from) settles both.

use crate::codec::{AnyCodec, Codec, MdFrameCodec};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::store::{Record, Writer};

/// Where a trajectory goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At this simulation step.
    Step(i64),
    /// At the frame of this number, counted from 0: the integer key under which it is or
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

/// What [`continue_from`](super::TrajectoryWriter::continue_from) found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// Stored frames that were deleted.
    pub dropped: u64,
    /// Stored frames that stayed.
    pub kept: u64,
    /// Step of the last frame that stayed, if it has one.
    pub last_step: Option<i64>,
    /// The number of the next frame: behind the last integer key, or the count of frames.
    pub next_frame: u64,
}

/// Which frames are still wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FrameFilter {
    /// Frames before this step are ignored.
    first_step: Option<i64>,
    /// Frames up to this step are ignored; moves on with what is stored.
    step: Option<i64>,
    /// Frames of a number before this one are ignored.
    frame: Option<u64>,
}

impl FrameFilter {
    /// Whether the frame of this key and step is ignored; without a key it is called by its
    /// `ordinal`.
    pub(super) fn ignores(
        &self,
        key: Option<&Key>,
        ordinal: u64,
        step: Option<i64>,
    ) -> Result<bool> {
        if let Some(first) = self.frame {
            let number = match key {
                None => ordinal.into(),
                Some(Key::Int(n)) => *n,
                Some(key) => {
                    let why = format!(
                        "{key} is not an integer, so that the frame cannot be compared by its \
                         number; continue from a step instead"
                    );
                    return Err(Error::invalid("key", why));
                }
            };
            return Ok(number < i128::from(first));
        }
        if self.first_step.is_none() && self.step.is_none() {
            return Ok(false);
        }
        let Some(step) = step else {
            return Err(Error::invalid(
                "step",
                "this frame has none, so that it cannot be compared with the stored ones; \
                 continue from a frame number instead",
            ));
        };
        let before = |first: Option<i64>| first.is_some_and(|first| step < first);
        Ok(before(self.first_step) || self.step.is_some_and(|last| step <= last))
    }

    /// Notes the step of a frame that was put.
    pub(super) fn put(&mut self, step: Option<i64>) {
        if self.step.is_some() {
            self.step = step;
        }
    }
}

/// Deletes the stored frames at and past `start`, for a job that starts again from a checkpoint which
/// lies before the last stored frame: what it repeats is not stored twice. Looks back from the end to the
/// first frame that is older. The deletion is committed with what is put next, or by
/// [`Writer::commit`].
///
/// # Errors
/// As [`TrajectoryWriter::continue_from`](super::TrajectoryWriter::continue_from).
pub fn drop_from(writer: &mut Writer, start: StartAt) -> Result<Continued> {
    continue_from(writer, start, Continue::DropNewer).map(|(found, _)| found)
}

/// Prepares a writer for going on at `start`; see
/// [`TrajectoryWriter::continue_from`](super::TrajectoryWriter::continue_from).
pub(super) fn continue_from(
    writer: &mut Writer,
    start: StartAt,
    how: Continue,
) -> Result<(Continued, FrameFilter)> {
    if writer.is_dirty() {
        writer.commit()?;
    }
    let stored = writer.len();
    let kept = match how {
        Continue::SkipOlder | Continue::KeepAll => stored,
        Continue::DropNewer => first_at_or_past(writer, start)?,
    };
    let snapshot = writer.snapshot()?;
    // Keys and ordinals first, then deleting from the end, so that ordinals stay true.
    for ordinal in (kept..stored).rev() {
        match snapshot.key_at(ordinal)? {
            Some(key) => writer.delete(key)?,
            None => writer.delete_at(ordinal)?,
        }
    }
    let last = kept.checked_sub(1);
    let last_step = match last {
        Some(last) => step_at(writer, last)?,
        None => None,
    };
    let next_frame = match last.map(|last| snapshot.key_at(last)).transpose()?.flatten() {
        Some(Key::Int(n)) => u64::try_from(n).map_or(kept, |n| n.saturating_add(1)),
        _ => kept,
    };
    let after = match (start, how) {
        (StartAt::Step(_), Continue::SkipOlder) if kept > 0 && last_step.is_none() => {
            return Err(no_step(kept - 1));
        }
        (StartAt::Step(first), Continue::SkipOlder) => {
            FrameFilter { first_step: Some(first), step: last_step, frame: None }
        }
        (StartAt::Step(first), Continue::DropNewer | Continue::KeepAll) => {
            FrameFilter { first_step: Some(first), ..FrameFilter::default() }
        }
        (StartAt::Frame(first), Continue::SkipOlder) => {
            FrameFilter { frame: Some(first.max(next_frame)), ..FrameFilter::default() }
        }
        (StartAt::Frame(first), Continue::DropNewer | Continue::KeepAll) => {
            FrameFilter { frame: Some(first), ..FrameFilter::default() }
        }
    };
    Ok((Continued { dropped: stored - kept, kept, last_step, next_frame }, after))
}

/// Ordinal of the first stored frame that is not older than `start`, all behind it included.
fn first_at_or_past(writer: &Writer, start: StartAt) -> Result<u64> {
    let snapshot = writer.snapshot()?;
    let mut kept = snapshot.len();
    while let Some(ordinal) = kept.checked_sub(1) {
        let newer = match start {
            StartAt::Step(first) => {
                step_at(writer, ordinal)?.ok_or_else(|| no_step(ordinal))? >= first
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

fn step_at(writer: &Writer, ordinal: u64) -> Result<Option<i64>> {
    let record = writer.get_at(ordinal)?;
    let record = MdFrameCodec.expand(&record)?.map_or(record, Record::from);
    Ok(MdFrameCodec.decode(&record)?.step())
}

fn no_step(ordinal: u64) -> Error {
    Error::invalid(
        "step",
        format!(
            "the stored frame at ordinal {ordinal} has none, so that frames cannot be compared \
             by step; continue from a frame number instead"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::codec::MdFrame;
    use crate::trajectory::TrajectoryWriter;

    fn frame(step: i64) -> MdFrame {
        MdFrame { step: Some(step), ..MdFrame::default() }
    }

    /// Frames at the steps 0, 10, …, 90.
    fn ten() -> TrajectoryWriter {
        let mut w = TrajectoryWriter::in_memory(&StoreOptions::default()).unwrap();
        for n in 0..10 {
            w.insert(n, &frame(n * 10)).unwrap();
        }
        w
    }

    fn steps(w: &mut TrajectoryWriter) -> Vec<i64> {
        w.commit().unwrap();
        let stored = w.trajectory().unwrap();
        stored.iter().map(|f| f.unwrap().view().unwrap().step().unwrap()).collect()
    }

    fn put_from(w: &mut TrajectoryWriter, mut next: u64, all: &[i64]) -> usize {
        let mut taken = 0;
        for step in all {
            if w.insert(next, &frame(*step)).unwrap().is_some() {
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
        let taken = |w: &mut TrajectoryWriter| {
            (0..12).filter(|n| w.insert(*n, &frame(5)).unwrap().is_some()).count()
        };
        let mut w = ten();
        w.continue_from(StartAt::Frame(0), Continue::SkipOlder).unwrap();
        assert_eq!(taken(&mut w), 2);
        let mut w = ten();
        let at = w.continue_from(StartAt::Frame(8), Continue::DropNewer).unwrap();
        assert_eq!((at.dropped, at.next_frame), (2, 8));
        assert_eq!(taken(&mut w), 4);
        assert_eq!(steps(&mut w).len(), 12);
        // Without a key its ordinal is the number of a frame; a string has none.
        w.continue_from(StartAt::Frame(13), Continue::KeepAll).unwrap();
        assert_eq!(w.push(&frame(6)).unwrap(), None);
        w.continue_from(StartAt::Frame(12), Continue::KeepAll).unwrap();
        assert_eq!(w.push(&frame(6)).unwrap(), Some(12));
        let why = w.insert("a", &frame(7)).unwrap_err().to_string();
        assert!(why.contains("continue from a step"), "{why}");
    }

    #[test]
    fn all_frames_are_kept_where_that_is_asked_for() {
        let mut w = ten();
        let at = w.continue_from(StartAt::Frame(11), Continue::KeepAll).unwrap();
        assert_eq!((at.dropped, at.kept, at.next_frame), (0, 10, 10));
        let frames = [(10, 0), (11, 0), (12, 50)];
        let taken = frames.map(|(n, step)| w.insert(n, &frame(step)).unwrap().is_some());
        assert_eq!(taken, [false, true, true]);
        assert_eq!(steps(&mut w)[9..], [90, 0, 50]);
    }

    #[test]
    fn dropping_reaches_records_without_a_key_and_may_drop_all() {
        let mut w = TrajectoryWriter::in_memory(&StoreOptions::default()).unwrap();
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
        let why = w.insert(10, &MdFrame::default()).unwrap_err().to_string();
        assert!(why.contains("frame number"), "{why}");
        let mut w = ten();
        w.push(&MdFrame::default()).unwrap();
        for how in [Continue::DropNewer, Continue::SkipOlder] {
            let why = w.continue_from(StartAt::Step(0), how).unwrap_err().to_string();
            assert!(why.contains("ordinal 10"), "{why}");
        }
        assert!(w.continue_from(StartAt::Frame(3), Continue::DropNewer).is_ok());
    }
}
