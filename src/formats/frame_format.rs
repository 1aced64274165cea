//! What the readers of all formats do alike: count frames, stay at the first error, tell where they are and
//! go elsewhere. A format says only how a frame is read and how one is passed over.

use super::counter::Counter;
use super::kind::FormatKind;
use super::reader::{FramePlace, FrameReader, Reach};
use super::report::ReadReport;
use super::source::Source;
use super::sum::Sum;
use crate::codec::{MdFrame, Topology};
use crate::error::Result;
use std::io::{Read, Seek};
use std::sync::Arc;

/// How one format is read.
pub(super) trait FrameFormat: Send {
    /// What the bytes come from.
    type Input: Read + Seek + Send;
    const KIND: FormatKind;

    fn source(&self) -> &Source<Self::Input>;
    fn counter(&self) -> &Counter;
    /// Both, to be changed.
    fn parts(&mut self) -> (&mut Source<Self::Input>, &mut Counter);

    /// Reads the next frame; `false` at the end of the file. After an error or the end `into` may hold anything.
    fn read(&mut self, into: &mut MdFrame) -> Result<bool>;

    /// Passes over the next frame; `false` at the end of the file.
    fn pass(&mut self) -> Result<bool>;

    /// Whether later frames need what only the first one says, and it has not been passed.
    fn needs_the_first(&self) -> bool {
        false
    }

    /// As [`FrameReader::topology`].
    fn known_topology(&self) -> Option<&Arc<Topology>> {
        None
    }

    /// As [`FrameReader::report`].
    fn notes(&self) -> ReadReport {
        ReadReport::default()
    }
}

/// The frames of a trajectory of this format.
pub(super) struct Frames<F>(pub(super) F);

impl<F: FrameFormat> Frames<F> {
    fn step(&mut self, act: impl FnOnce(&mut F) -> Result<bool>) -> Result<bool> {
        let (source, counter) = self.0.parts();
        counter.check()?;
        source.begin();
        let byte = source.at();
        let result = act(&mut self.0);
        self.0.parts().1.count(byte, result)
    }
}

impl<F: FrameFormat> FrameReader for Frames<F> {
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool> {
        let read = self.step(|format| format.read(into));
        if !matches!(read, Ok(true)) {
            *into = MdFrame::default();
        }
        read
    }

    fn skip(&mut self, frames: u64) -> Result<u64> {
        for done in 0..frames {
            if !self.step(F::pass)? {
                return Ok(done);
            }
        }
        Ok(frames)
    }

    fn kind(&self) -> FormatKind {
        F::KIND
    }

    fn topology(&self) -> Option<&Arc<Topology>> {
        self.0.known_topology()
    }

    fn progress(&self) -> (u64, u64) {
        self.0.source().progress()
    }

    fn place(&self) -> FramePlace {
        self.0.counter().place(self.0.source().at())
    }

    fn go_to(&mut self, place: FramePlace) -> Result<bool> {
        if place.frame > 0 && self.0.needs_the_first() && !self.step(F::pass)? {
            return Ok(false);
        }
        let (source, counter) = self.0.parts();
        if !source.go_to(place.byte)? {
            return Ok(false);
        }
        counter.go_to(place);
        Ok(true)
    }

    fn reach(&self) -> Reach {
        if self.0.source().rewinds() { Reach::Anywhere } else { Reach::Forward }
    }

    fn unfinished(&self) -> bool {
        self.0.source().unfinished()
    }

    fn tail(&self) -> Sum {
        self.0.source().tail()
    }

    fn report(&self) -> ReadReport {
        self.0.notes()
    }
}
