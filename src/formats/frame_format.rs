//! What the readers of all formats do alike: count frames, stay at the first error, tell where they are and
//! go elsewhere. A format says only how a frame is read and how one is passed over.

use super::input::Input;
use super::kind::FormatKind;
use super::reader::{FramePlace, FrameReader, Reach};
use super::report::ReadReport;
use super::source::Source;
use super::sum::Sum;
use crate::codec::{MdFrame, Topology};
use crate::error::Result;
use std::io::{Read, Seek};
use std::sync::Arc;

/// How one format is read. It holds what it parses with; the input is given to it.
pub(super) trait FrameFormat: Send {
    const KIND: FormatKind;
    /// As errors call it.
    const NAME: &'static str;

    /// Reads the next frame; `false` at the end of the file. After an error or the end `into` may hold anything.
    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool>;

    /// Passes over the next frame; `false` at the end of the file.
    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool>;

    /// Whether later frames need what only the first one says, and it has not been passed.
    fn needs_the_first<R: Read + Seek>(&self, _: &Input<R>) -> bool {
        false
    }

    /// Takes what later frames need of the first one; `false` at the end of the file.
    fn take_first<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        self.pass(input)
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

/// The frames of a trajectory of format `F`, from `R`.
pub(super) struct Frames<F, R> {
    format: F,
    input: Input<R>,
}

impl<F: FrameFormat, R: Read + Seek> Frames<F, R> {
    pub(super) fn new(format: F, source: Source<R>) -> Self {
        Self { format, input: Input::new(F::NAME, source) }
    }

    fn step(&mut self, act: impl FnOnce(&mut F, &mut Input<R>) -> Result<bool>) -> Result<bool> {
        self.input.counter.check()?;
        self.input.source.begin();
        let byte = self.input.source.at();
        let result = act(&mut self.format, &mut self.input);
        self.input.counter.count(byte, result)
    }
}

impl<F: FrameFormat, R: Read + Seek + Send> FrameReader for Frames<F, R> {
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool> {
        let read = self.step(|format, input| format.read(input, into));
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
        self.format.known_topology()
    }

    fn progress(&self) -> (u64, u64) {
        self.input.source.progress()
    }

    fn place(&self) -> FramePlace {
        self.input.counter.place(self.input.source.at())
    }

    fn go_to(&mut self, place: FramePlace) -> Result<bool> {
        let needed = place.frame > 0 && self.format.needs_the_first(&self.input);
        if needed && !self.step(F::take_first)? {
            return Ok(false);
        }
        if !self.input.source.go_to(place.byte)? {
            return Ok(false);
        }
        self.input.counter.go_to(place);
        Ok(true)
    }

    fn reach(&self) -> Reach {
        if self.input.source.rewinds() { Reach::Anywhere } else { Reach::Forward }
    }

    fn unfinished(&self) -> bool {
        self.input.source.unfinished()
    }

    fn tail(&self) -> Sum {
        self.input.source.tail()
    }

    fn report(&self) -> ReadReport {
        self.format.notes()
    }
}
