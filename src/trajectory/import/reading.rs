//! The inputs one after the other, as one row of frames.

use super::inputs::Given;
use super::options::Progress;
use crate::codec::{MdFrame, Topology};
use crate::error::{Error, Result};
use crate::formats::{FramePlace, FrameReader, InputOptions, NameMap, ReadReport, Sum};
use crate::printable::printable_path;
use std::sync::Arc;

/// A frame that was read, and where.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) frame: MdFrame,
    /// Which of the inputs.
    pub(super) input: usize,
    /// Where it begins in its input, and where it ends.
    pub(super) begin: FramePlace,
    pub(super) end: FramePlace,
    /// The end of its bytes.
    pub(super) tail: Sum,
    /// What its input says of its atoms.
    pub(super) topology: Option<Arc<Topology>>,
    /// The ordinal from which on it replaces what is stored.
    pub(super) replaces: Option<u64>,
}

/// What came next.
#[expect(clippy::large_enum_variant, reason = "one at a time, taken apart at once")]
pub(super) enum Next {
    Frame(Arrived),
    /// The input of this number was read to its end, or up to a frame that is not complete.
    End {
        input: usize,
        /// Behind the last frame.
        place: FramePlace,
        /// The end of the last frame that was read; `None` if all were passed over.
        tail: Option<Sum>,
    },
    /// All inputs were read.
    Done,
}

/// The inputs, and where reading is in them.
pub(super) struct Reading {
    pub(super) given: Vec<Given>,
    /// The order in which they are read, and how many were opened.
    order: Vec<usize>,
    opened: usize,
    reader: Option<(usize, Box<dyn FrameReader>)>,
    /// Where the last frame that was read of the input that is open ends, and its end.
    last: Option<(FramePlace, Sum)>,
    options: InputOptions,
    /// Frames of the inputs that are still to be passed over.
    skip: u64,
    growing: bool,
    /// Bytes of inputs that were read to their end.
    before: u64,
    total: u64,
    pub(super) skipped: u64,
    pub(super) notes: Vec<String>,
    /// What the readers of the inputs that were read to their end have to say.
    report: ReadReport,
    /// Whether all inputs were read to their end.
    done: bool,
}

impl Reading {
    pub(super) fn new(given: Vec<Given>, options: InputOptions, skip: u64, growing: bool) -> Self {
        let known = given.iter().all(|g| g.bytes > 0);
        let total = if known { given.iter().map(|g| g.bytes).sum() } else { 0 };
        let order = (0..given.len()).collect();
        Self {
            given,
            order,
            opened: 0,
            reader: None,
            last: None,
            options,
            skip,
            growing,
            before: 0,
            total,
            skipped: 0,
            notes: Vec::new(),
            report: ReadReport::default(),
            done: false,
        }
    }

    /// How names are mapped in inputs that are opened from now on.
    pub(super) fn set_map(&mut self, map: &NameMap) {
        self.options.map.clone_from(map);
    }

    /// What the readers have to say, up to now.
    pub(super) fn report(&self) -> ReadReport {
        let mut all = self.report.clone();
        if let Some((_, reader)) = &self.reader {
            all.add(&reader.report());
        }
        all
    }

    /// All that a person should know.
    pub(super) fn notes(&self) -> Vec<String> {
        let report = self.report();
        let met = report.notes().iter().map(ToString::to_string);
        let unmatched = report.unmatched().filter(|_| self.done && self.opened > 0);
        let unmatched = unmatched
            .map(|name| format!("{name} is mapped, but no frame has a key or column {name}"));
        self.notes.iter().cloned().chain(met).chain(unmatched).collect()
    }

    /// Whether a last frame that is not complete is waited for.
    pub(super) const fn set_growing(&mut self, growing: bool) {
        self.growing = growing;
    }

    /// The frames to pass over, to be set aside while those that are stored are compared.
    pub(super) const fn take_skip(&mut self) -> u64 {
        std::mem::replace(&mut self.skip, 0)
    }

    /// Goes on to frame `wanted`, counted across all inputs in the order in which they are given.
    /// `behind`: frames of the inputs before the one that is open.
    pub(super) fn skip_to(&mut self, wanted: u64, behind: u64) -> Result<()> {
        let here = self.reader.as_ref().map_or(0, |(_, reader)| reader.place().frame);
        self.skip = wanted.saturating_sub(behind + here);
        if let Some((_, reader)) = &mut self.reader {
            let passed = reader.skip(self.skip)?;
            self.skip -= passed;
            self.skipped += passed;
        }
        Ok(())
    }

    /// The name of an input, for people.
    pub(super) fn name(&self, input: usize) -> String {
        self.given.get(input).map_or_else(String::new, |g| printable_path(&g.name).to_string())
    }

    /// The input that is open.
    pub(super) fn input(&self) -> Option<usize> {
        self.reader.as_ref().map(|(input, _)| *input)
    }

    /// Reads in this order instead.
    pub(super) fn reorder(&mut self, order: Vec<usize>) {
        self.order = order;
    }

    pub(super) const fn options(&self) -> &InputOptions {
        &self.options
    }

    pub(super) fn progress(&self, frames: u64) -> Progress {
        let at = self.reader.as_ref().map_or(0, |(_, reader)| reader.progress().0);
        Progress { frames, bytes: self.before + at, total: self.total }
    }

    /// Opens the next input, where reading begins in it; `false` if there is none.
    fn open_next(&mut self) -> Result<bool> {
        loop {
            let Some(input) = self.order.get(self.opened).copied() else { return Ok(false) };
            self.opened += 1;
            let skip = self.skip;
            let Some(given) = self.given.get_mut(input) else { return Ok(false) };
            if given.done {
                self.skip = skip.saturating_sub(given.begin.frame);
                self.skipped += given.begin.frame;
                self.before += given.bytes;
                continue;
            }
            let mut reader = given.open(&self.options)?;
            self.skip -= reader.skip(skip)?;
            let place = given.begin;
            if place.frame > reader.place().frame {
                self.skip = self.skip.saturating_sub(place.frame - reader.place().frame);
                if !reader.go_to(place)? {
                    let why = "it ends before the place up to which it is stored";
                    return Err(Error::format("trajectory", "its end", why).at(&given.name));
                }
            }
            self.skipped += reader.place().frame;
            self.reader = Some((input, reader));
            self.last = None;
            return Ok(true);
        }
    }

    /// What comes next. `spare` lends its memory.
    pub(super) fn next(&mut self, spare: MdFrame) -> Result<Next> {
        if self.reader.is_none() && !self.open_next()? {
            self.done = true;
            return Ok(Next::Done);
        }
        let Some((input, reader)) = &mut self.reader else { return Ok(Next::Done) };
        let input = *input;
        let mut frame = spare;
        let begin = reader.place();
        let waits = match reader.next_frame(&mut frame) {
            Ok(true) if self.growing && reader.unfinished() => {
                Some("its last line has no end yet; --finished takes it as it is".to_owned())
            }
            Ok(true) => {
                let (end, tail) = (reader.place(), reader.tail());
                self.last = Some((end, tail));
                let topology = reader.topology().cloned();
                let replaces = None;
                return Ok(Next::Frame(Arrived {
                    frame,
                    input,
                    begin,
                    end,
                    tail,
                    topology,
                    replaces,
                }));
            }
            Ok(false) => None,
            Err(error) if self.growing && reader.unfinished() => Some(error.root().to_string()),
            Err(error) => return Err(error),
        };
        let name =
            self.given.get(input).map(|g| printable_path(&g.name).to_string()).unwrap_or_default();
        if let Some(why) = waits {
            self.notes.push(format!(
                "{name}: frame {} is not complete yet and is left for the next time ({why})",
                begin.frame
            ));
        } else if begin.frame == 0 {
            if !self.growing {
                let why = "it has no frames";
                return Err(Error::format("trajectory", "its end", why).at(name.as_ref()));
            }
            self.notes.push(format!("{name}: it has no frames yet"));
        }
        let tail = self.last.take().filter(|(end, _)| *end == begin).map(|(_, tail)| tail);
        self.before += self.given.get(input).map_or(0, |g| g.bytes);
        self.report.add(&reader.report());
        self.reader = None;
        Ok(Next::End { input, place: begin, tail })
    }
}
