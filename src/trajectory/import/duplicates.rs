//! Frames that the inputs have twice: a simulation that is started again from a checkpoint writes
//! frames that it had written before.
//!
//! A frame is looked up by its step and time, and one without either by its positions; so is one
//! of a format that counts its steps from a header (DCD). What is found is compared with the frame
//! as it is stored, so only the marks of the newest frames are held in memory.

use super::options::Duplicates;
use crate::codec::{Field, Fields, MdFrame, Real};
use crate::error::Result;
use crate::store::Readable;
use crate::trajectory::fields::Frames;
use crate::wire::checksum;
use std::collections::{HashMap, VecDeque};

/// Frames that are remembered, the newest: some 40 bytes each.
const REMEMBERED: u64 = 1 << 20;
/// After so many frames in a row with a stored step and other content the rest of the run is taken
/// to be another one, such as a replica, and is not compared unless that decides what is stored.
const OTHERS: u32 = 16;
/// Spans that are told one by one.
const SPANS: usize = 8;
/// Stored frames that are read at once.
const AT_ONCE: u64 = 256;

/// When a frame was, as it says itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    step: Option<i64>,
    time: Option<f64>,
}

impl Clock {
    pub(super) const fn of(frame: &MdFrame) -> Self {
        Self { step: frame.step, time: frame.time }
    }

    const fn is_none(self) -> bool {
        self.step.is_none() && self.time.is_none()
    }

    fn is_before(self, other: Self) -> bool {
        match (self.step, other.step) {
            (Some(a), Some(b)) if a != b => a < b,
            _ => matches!((self.time, other.time), (Some(a), Some(b)) if a < b),
        }
    }

    fn bits(self) -> (Option<i64>, Option<u64>) {
        (self.step, self.time.map(f64::to_bits))
    }
}

/// What a frame is looked up by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    sum: u64,
    pub(super) clock: Clock,
    /// Whether the sum is that of the positions.
    pub(super) by_content: bool,
}

/// How a frame compares with one that was taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// The same step and time, and the same content.
    Same,
    /// The same step and time, and other content.
    Other,
}

/// Frames in a row that were met.
#[derive(Debug)]
pub(super) struct Span {
    /// Which of the inputs.
    input: usize,
    /// Number of the first in its input.
    frame: u64,
    count: u64,
    clocks: (Clock, Clock),
    met: Met,
    /// What the earlier ones are of, as a person calls it.
    of: String,
    /// Whether some of them were not compared.
    pub(super) assumed: bool,
    /// Stored frames that were deleted for them.
    pub(super) replaced: u64,
}

/// The frames that were taken, as far as they are remembered.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether steps and times are counted, and say nothing.
    counted: bool,
    /// The mark of each frame from ordinal `base` on.
    sums: VecDeque<u64>,
    base: u64,
    places: HashMap<u64, u64>,
    /// The clock of the last frame that was taken, and whether it is greater than the one before.
    last: Option<Clock>,
    rose: bool,
    /// Ordinal from which on the clocks of the frames only grow.
    rising: u64,
    others: u32,
    spans: Vec<Span>,
    /// Frames that were met, and those of them that no span tells of.
    pub(super) met: u64,
    untold: u64,
}

fn positions_sum(frame: &MdFrame) -> u64 {
    let mut bytes = Vec::with_capacity(8 + frame.nsites.saturating_mul(24));
    bytes.extend((frame.nsites as u64).to_le_bytes());
    match &frame.positions {
        Some(Real::F32(v)) => v.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
        Some(Real::F64(v)) => v.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
        None => {}
    }
    checksum(&bytes)
}

impl Known {
    /// Of an import whose frames have steps that are `counted` or their own.
    pub(super) fn new(counted: bool) -> Self {
        Self { counted, ..Self::default() }
    }

    /// Whether only content can tell whether two frames are the same.
    pub(super) const fn counted(&self) -> bool {
        self.counted
    }

    /// Learns the stored frames before `upto`: all that are remembered, or the last one alone.
    pub(super) fn seed(&mut self, source: &dyn Readable, upto: u64, all: bool) -> Result<()> {
        *self = Self::new(self.counted);
        let mut next = upto.saturating_sub(if all { REMEMBERED } else { 1 });
        (self.base, self.rising) = (next, next);
        while next < upto {
            let end = upto.min(next + AT_ONCE);
            let ordinals: Vec<u64> = (next..end).collect();
            let clocks = source.frames_at(&ordinals, Fields::of(&[Field::Step, Field::Time]))?;
            for (ordinal, mut frame) in ordinals.into_iter().zip(clocks) {
                if self.looks_at_content(&frame) {
                    let positions =
                        source.frames_at(&[ordinal], Fields::of(&[Field::Positions]))?;
                    if let Some(found) = positions.into_iter().next() {
                        (frame.nsites, frame.positions) = (found.nsites, found.positions);
                    }
                }
                let mark = self.mark(&frame);
                self.take(mark, None);
            }
            next = end;
        }
        Ok(())
    }

    /// Whether a frame is looked up by its positions.
    pub(super) const fn looks_at_content(&self, frame: &MdFrame) -> bool {
        self.counted || Clock::of(frame).is_none()
    }

    /// What `frame`, as it is stored, is looked up by.
    pub(super) fn mark(&self, frame: &MdFrame) -> Mark {
        let clock = Clock::of(frame);
        let by_content = self.looks_at_content(frame);
        let sum = if by_content {
            positions_sum(frame)
        } else {
            let (step, time) = clock.bits();
            let mut bytes = [0; 18];
            let parts = [
                (step.is_some(), step.unwrap_or(0).to_le_bytes()),
                (time.is_some(), time.unwrap_or(0).to_le_bytes()),
            ];
            for (to, (is_some, part)) in bytes.chunks_exact_mut(9).zip(parts) {
                if let Some((head, rest)) = to.split_first_mut() {
                    *head = u8::from(is_some);
                    rest.copy_from_slice(&part);
                }
            }
            checksum(&bytes)
        };
        Mark { sum, clock, by_content }
    }

    /// The ordinal that the next frame that is taken gets.
    pub(super) fn next(&self) -> u64 {
        self.base + self.sums.len() as u64
    }

    /// The newest frame that was taken with this mark.
    pub(super) fn find(&self, mark: &Mark) -> Option<u64> {
        self.places.get(&mark.sum).copied()
    }

    /// Whether a frame of this mark with other content than the one that was found is another
    /// version of it. Where clocks stand still they say nothing.
    pub(super) fn is_version(&self, mark: &Mark) -> bool {
        let still = self.last.is_some_and(|last| last.bits() == mark.clock.bits());
        !mark.by_content && (self.rose || !still)
    }

    /// Whether what is found is compared.
    pub(super) fn compares(&self, how: Duplicates, mark: &Mark) -> bool {
        how != Duplicates::Keep || self.others < OTHERS || self.goes_back(mark)
    }

    fn goes_back(&self, mark: &Mark) -> bool {
        self.last.is_some_and(|last| mark.clock.is_before(last))
    }

    /// Whether the frames from `ordinal` on are the end of one run, which a later one replaces.
    pub(super) const fn may_replace(&self, ordinal: u64) -> bool {
        ordinal >= self.rising
    }

    /// Notes that a frame is taken; `replaced`: in the place of those from there on.
    pub(super) fn take(&mut self, mark: Mark, replaced: Option<u64>) {
        match replaced {
            Some(ordinal) => self.cut(ordinal),
            None if self.goes_back(&mark) => {
                self.rising = self.next();
                self.others = self.others.min(1);
            }
            None => {}
        }
        self.rose = self.last.is_some_and(|last| last.is_before(mark.clock));
        self.last = Some(mark.clock);
        self.places.insert(mark.sum, self.next());
        self.sums.push_back(mark.sum);
        if self.sums.len() as u64 > REMEMBERED
            && let Some(old) = self.sums.pop_front()
        {
            if self.places.get(&old) == Some(&self.base) {
                self.places.remove(&old);
            }
            self.base += 1;
        }
    }

    fn cut(&mut self, ordinal: u64) {
        while self.next() > ordinal {
            let last = self.next() - 1;
            let Some(sum) = self.sums.pop_back() else { break };
            if self.places.get(&sum) == Some(&last) {
                self.places.remove(&sum);
            }
        }
    }

    /// Whether the next frame that is met, of this input and number, begins a span of its own.
    pub(super) fn begins_span(&self, (input, frame): (usize, u64), met: Met) -> bool {
        self.spans.len() < SPANS
            && self.spans.last().is_none_or(|span| {
                (span.input, span.frame + span.count, span.met) != (input, frame, met)
            })
    }

    /// Notes one frame that was met; `begins`: the span that it begins.
    pub(super) fn meet(&mut self, one: Span, begins: bool) {
        self.met += 1;
        self.others = if one.met == Met::Other { self.others.saturating_add(1) } else { 0 };
        match self.spans.last_mut() {
            _ if begins => self.spans.push(one),
            Some(span)
                if self.untold == 0
                    && (span.input, span.frame + span.count, span.met)
                        == (one.input, one.frame, one.met) =>
            {
                span.count += 1;
                span.clocks.1 = one.clocks.1;
                span.assumed |= one.assumed;
                span.replaced += one.replaced;
            }
            _ => self.untold += 1,
        }
    }

    /// Forgets what was met: an earlier import told it.
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        (self.met, self.untold) = (0, 0);
    }

    /// What a person should know; `name`: of an input.
    pub(super) fn notes(&self, how: Duplicates, name: impl Fn(usize) -> String) -> Vec<String> {
        let spans = self.spans.iter();
        let told = spans.map(|span| format!("{}: {}", name(span.input), span.text(how)));
        let rest = (self.untold > 0)
            .then(|| format!("and {} more frames that are stored already", self.untold));
        told.chain(rest).collect()
    }
}

impl Span {
    /// Of one frame: its input, its number there, what it is and what the earlier one is of.
    pub(super) const fn of_one(
        (input, frame): (usize, u64),
        clock: Clock,
        met: Met,
        of: String,
    ) -> Self {
        let clocks = (clock, clock);
        Self { input, frame, count: 1, clocks, met, of, assumed: false, replaced: 0 }
    }

    fn when(&self) -> String {
        let range = |what: &str, a: String, b: String| match self.count {
            1 => format!(" ({what} {a})"),
            _ => format!(" ({what}s {a} to {b})"),
        };
        let (a, b) = self.clocks;
        match (a.step, b.step, a.time, b.time) {
            (Some(a), Some(b), _, _) => range("step", a.to_string(), b.to_string()),
            (_, _, Some(a), Some(b)) => range("time", a.to_string(), b.to_string()),
            _ => String::new(),
        }
    }

    /// Which frames these are, and of what.
    pub(super) fn what(&self) -> String {
        let last = self.frame + self.count.saturating_sub(1);
        let when = self.when();
        let of = &self.of;
        let which = match self.count {
            1 => format!("frame {}{when}", self.frame),
            _ => format!("frames {} to {last}{when}", self.frame),
        };
        match (self.met, self.count) {
            (Met::Same, 1) => format!("{which} repeats a frame of {of}"),
            (Met::Same, _) => format!("{which} repeat frames of {of}"),
            (Met::Other, 1) => {
                format!("{which} has the step of a frame of {of} and other content")
            }
            (Met::Other, _) => {
                let compared = if self.assumed {
                    format!(" (the first {OTHERS} were compared)")
                } else {
                    String::new()
                };
                format!("{which} have the steps of frames of {of} and other content{compared}")
            }
        }
    }

    fn text(&self, how: Duplicates) -> String {
        let done = match (self.met, how) {
            (Met::Same, Duplicates::Drop | Duplicates::Latest) => "stored once".into(),
            (Met::Other, Duplicates::Latest) if self.replaced > 0 => {
                format!("the later ones are stored, {} earlier deleted", self.replaced)
            }
            (Met::Same, _) => "both are kept; --duplicates drop stores them once".into(),
            (Met::Other, Duplicates::Latest) => {
                "both are kept: frames between them would be lost".into()
            }
            (Met::Other, _) => "both are kept; if the simulation was restarted, --duplicates \
                                latest stores the later ones alone"
                .into(),
        };
        format!("{}; {done}", self.what())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(step: Option<i64>, x: f32) -> MdFrame {
        MdFrame {
            nsites: 1,
            positions: Some(Real::F32(vec![x, 0.0, 0.0])),
            step,
            ..MdFrame::default()
        }
    }

    #[test]
    fn the_newest_frames_are_remembered_in_bounded_memory() {
        let mut known = Known::new(false);
        let many = i64::try_from(REMEMBERED).unwrap() + 1000;
        for step in 0..many {
            known.take(known.mark(&frame(Some(step), 0.0)), None);
        }
        assert_eq!(known.places.len() as u64, REMEMBERED);
        let find = |step| known.find(&known.mark(&frame(Some(step), 0.0)));
        assert_eq!(find(999), None);
        assert_eq!(find(1000), Some(1000));
        assert_eq!(find(many - 1), Some(many.unsigned_abs() - 1));
    }

    #[test]
    fn what_a_frame_is_found_by_depends_on_what_it_says() {
        let known = Known::new(false);
        let same = |known: &Known, a: &MdFrame, b: &MdFrame| known.mark(a).sum == known.mark(b).sum;
        assert!(same(&known, &frame(Some(1), 0.0), &frame(Some(1), 2.0)));
        assert!(!same(&known, &frame(Some(1), 0.0), &frame(Some(2), 0.0)));
        let timed = MdFrame { time: Some(1.0), ..frame(Some(1), 0.0) };
        assert!(!same(&known, &frame(Some(1), 0.0), &timed));
        assert!(!same(&known, &frame(None, 0.0), &frame(None, 2.0)));
        assert!(same(&known, &frame(None, 2.0), &frame(None, 2.0)));
        let counted = Known::new(true);
        assert!(same(&counted, &frame(Some(1), 0.5), &frame(Some(2), 0.5)));
        assert!(!same(&counted, &frame(Some(1), 0.0), &frame(Some(1), 0.5)));
    }
}
