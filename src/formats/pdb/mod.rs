//! PDB, the text of structures of the wwPDB and of many simulation programs: positions with names of
//! atoms, residues and chains, elements, bonds and the cell.
//!
//! The columns are those of the wwPDB format, version 3.3, chapters 8 to 10. A frame is a model (`MODEL` to
//! `ENDMDL`), or what stands before `END` or the end of the file where there are no models. Serial
//! numbers beyond their columns are decimal in six columns, hybrid-36 or hexadecimal.

mod topology;

use super::gro_lines::number_after;
use super::kind::FormatKind;
use super::pdb_lines::{self as lines, Atom, LABEL, Record};
use super::reader::{FramePlace, FrameReader, Reach};
use super::report::{NoteKind, ReadReport};
use super::source::Source;
use super::sum::Sum;
use crate::codec::{MdFrame, Real, Topology};
use crate::error::{Error, Result};
use crate::wire::memory;
use std::io::{Read, Seek};
use std::sync::Arc;
use topology::Bonds;

/// Positions have so many parts of an angstrom.
const PRECISION: f32 = 1000.0;

/// What holds for all frames.
#[derive(Default)]
struct Whole {
    /// The first cell of the file.
    cell: Option<[f64; 9]>,
    bonds: Bonds,
}

/// Reads frames from `R`.
pub(super) struct PdbReader<R> {
    source: Source<R>,
    line: Vec<u8>,
    /// Lines and frames that were read.
    number: u64,
    frame: u64,
    /// `None` until the file was looked through.
    whole: Option<Whole>,
    labels: Vec<u8>,
    topology: Option<Arc<Topology>>,
    report: ReadReport,
    failed: Option<(Box<str>, Box<str>)>,
}

/// What stands before the atoms of a frame, and where it ends.
#[derive(Default)]
struct Found {
    title: Option<String>,
    cell: Option<Option<[f64; 9]>>,
    atoms: usize,
}

impl<R: Read + Seek> PdbReader<R> {
    pub(super) fn new(source: Source<R>) -> Self {
        Self {
            source,
            line: Vec::new(),
            number: 0,
            frame: 0,
            whole: None,
            labels: Vec::new(),
            topology: None,
            report: ReadReport::default(),
            failed: None,
        }
    }

    fn at(&self) -> String {
        format!("line {} (frame {})", self.number, self.frame)
    }

    fn wrong(&self, why: impl Into<Box<str>>) -> Error {
        Error::format("PDB", self.at(), why.into())
    }

    fn advance(&mut self) -> Result<bool> {
        let more = self.source.line(&mut self.line)?;
        self.number = self.number.saturating_add(u64::from(more));
        Ok(more)
    }

    /// Looks through a file for what may stand behind the frames: bonds, and for the first cell.
    fn look(&mut self) -> Result<()> {
        if self.whole.is_some() {
            return Ok(());
        }
        let mut whole = Whole::default();
        if self.source.rewinds() {
            let byte = self.source.at();
            self.source.go_to(0)?;
            let mut cell = false;
            while self.source.line(&mut self.line)? {
                match Record::of(&self.line) {
                    Record::Bonds => whole.bonds.add(&self.line),
                    Record::Cell if !cell => {
                        cell = true;
                        // What is wrong with it is said by the frame in which it stands.
                        whole.cell = lines::cell(&self.line).ok().flatten();
                    }
                    _ => {}
                }
            }
            self.source.go_to(byte)?;
        }
        self.whole = Some(whole);
        Ok(())
    }

    /// Goes through the lines of a frame; `None` if there is none. Labels and positions are gathered if
    /// they are wanted.
    fn pass_lines(
        &mut self,
        mut into: Option<(&mut Vec<u8>, &mut Vec<f32>)>,
    ) -> Result<Option<Found>> {
        let (mut found, mut model) = (Found::default(), false);
        loop {
            if !self.advance()? {
                if model {
                    self.source.note_cut();
                    let why = format!(
                        "the file ends inside this model, after {} atoms and before ENDMDL; it \
                         was cut short",
                        found.atoms
                    );
                    return Err(self.wrong(why));
                }
                return Ok((found.atoms > 0).then_some(found));
            }
            match Record::of(&self.line) {
                Record::Model if model || found.atoms > 0 => {
                    return Err(self.wrong(format!(
                        "MODEL comes before the model before it, of {} atoms so far, has its \
                         ENDMDL",
                        found.atoms
                    )));
                }
                Record::Model => model = true,
                Record::EndOfModel | Record::End if model || found.atoms > 0 => {
                    return Ok(Some(found));
                }
                Record::Atom => {
                    if let Some((labels, positions)) = &mut into {
                        let position = Atom::position(&self.line).map_err(|why| self.wrong(why))?;
                        memory::append(labels, &Atom::label(&self.line))?;
                        memory::append(positions, &position)?;
                    }
                    found.atoms += 1;
                }
                Record::Cell if into.is_some() || self.frame == 0 => {
                    let cell = lines::cell(&self.line).map_err(|why| self.wrong(why))?;
                    found.cell = Some(cell);
                }
                Record::Title => {
                    let text = self.line.get(10..).unwrap_or_default();
                    let text = String::from_utf8_lossy(text).trim().to_owned();
                    match &mut found.title {
                        Some(title) => {
                            title.push(' ');
                            title.push_str(&text);
                        }
                        None => found.title = Some(text),
                    }
                }
                Record::Bonds if !self.source.rewinds() => {
                    self.whole.get_or_insert_default().bonds.add(&self.line);
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, into: &mut MdFrame) -> Result<bool> {
        let mut positions = match into.positions.take() {
            Some(Real::F32(v)) => v,
            _ => Vec::new(),
        };
        *into = MdFrame::default();
        self.look()?;
        self.source.begin();
        positions.clear();
        let mut labels = Vec::new();
        let Some(found) = self.pass_lines(Some((&mut labels, &mut positions)))? else {
            return Ok(false);
        };
        let title = found.title.unwrap_or_default();
        (into.time, into.step) = (number_after(&title, "t="), number_after(&title, "step="));
        let whole = self.whole.get_or_insert_default();
        if self.frame == 0
            && let Some(cell) = found.cell
        {
            // Of a stream it is known only now.
            whole.cell = cell;
        }
        into.cell = found.cell.unwrap_or(whole.cell);
        into.pbc = into.cell.map(|_| [true; 3]);
        into.nsites = found.atoms;
        into.positions = Some(Real::F32(positions));
        into.precision = Some(PRECISION);
        let same = labels.len() == self.labels.len()
            && labels.chunks(LABEL).zip(self.labels.chunks(LABEL)).all(|(a, b)| Atom::same(a, b));
        if self.topology.is_none() || !same {
            let name = title.split(" t=").next().unwrap_or_default().trim();
            let name = if name.starts_with("t=") { "" } else { name };
            let made = topology::topology(&labels, found.atoms, name, &whole.bonds);
            let (topology, odd) = made.map_err(|why| self.wrong(why))?;
            let first = format!("frame {}", self.frame);
            for (kind, count) in
                [(NoteKind::UnknownElement, odd.elements), (NoteKind::LostBonds, odd.bonds)]
            {
                if count > 0 {
                    self.report.count(&kind, count, || first.clone());
                }
            }
            self.topology = Some(Arc::new(topology));
            self.labels = labels;
        }
        Ok(true)
    }

    fn pass(&mut self) -> Result<bool> {
        if self.frame == 0 && !self.source.rewinds() {
            // A stream tells the first cell once.
            return self.read(&mut MdFrame::default());
        }
        self.source.begin();
        Ok(self.pass_lines(None)?.is_some())
    }

    /// Counts frames, and stays at the first error.
    fn step(&mut self, act: impl FnOnce(&mut Self) -> Result<bool>) -> Result<bool> {
        if let Some((at, why)) = &self.failed {
            return Err(Error::format("PDB", at.clone(), why.clone()));
        }
        let result = act(self);
        match &result {
            Ok(more) => self.frame = self.frame.saturating_add(u64::from(*more)),
            Err(Error::Format { at, why, .. }) => self.failed = Some((at.clone(), why.clone())),
            Err(other) => {
                let at = format!("line {}", self.number).into();
                self.failed = Some((at, format!("{other}; open the file again").into()));
            }
        }
        result
    }
}

impl<R: Read + Seek + Send> FrameReader for PdbReader<R> {
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool> {
        let result = self.step(|me| me.read(into));
        if !matches!(result, Ok(true)) {
            *into = MdFrame::default();
        }
        result
    }

    fn skip(&mut self, frames: u64) -> Result<u64> {
        for done in 0..frames {
            if !self.step(Self::pass)? {
                return Ok(done);
            }
        }
        Ok(frames)
    }

    fn kind(&self) -> FormatKind {
        FormatKind::Pdb
    }

    fn topology(&self) -> Option<&Arc<Topology>> {
        self.topology.as_ref()
    }

    fn progress(&self) -> (u64, u64) {
        self.source.progress()
    }

    fn place(&self) -> FramePlace {
        FramePlace { byte: self.source.at(), frame: self.frame, line: self.number }
    }

    fn go_to(&mut self, place: FramePlace) -> Result<bool> {
        if place.frame > 0 && self.whole.is_none() && !self.source.rewinds() {
            // The first cell of a stream.
            if !self.step(Self::pass)? {
                return Ok(false);
            }
        }
        if !self.source.go_to(place.byte)? {
            return Ok(false);
        }
        (self.frame, self.number, self.failed) = (place.frame, place.line, None);
        Ok(true)
    }

    fn reach(&self) -> Reach {
        if self.source.rewinds() { Reach::Anywhere } else { Reach::Forward }
    }

    fn unfinished(&self) -> bool {
        self.source.unfinished()
    }

    fn tail(&self) -> Sum {
        self.source.tail()
    }

    fn report(&self) -> ReadReport {
        self.report.clone()
    }
}

#[cfg(test)]
mod tests;
