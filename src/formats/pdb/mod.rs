//! PDB, the text of structures of the wwPDB and of many simulation programs: positions with names of
//! atoms, residues and chains, elements, bonds and the cell.
//!
//! The columns are those of the wwPDB format, version 3.3, chapters 8 to 10. A frame is a model (`MODEL` to
//! `ENDMDL`), or what stands before `END` or the end of the file where there are no models. Serial
//! numbers beyond their columns are decimal in six columns, hybrid-36 or hexadecimal.

mod topology;

use super::frame_format::FrameFormat;
use super::gro_lines::number_after;
use super::input::Input;
use super::kind::FormatKind;
use super::known_atoms::KnownAtoms;
use super::pdb_lines::{self as lines, Atom, LABEL, Record};
use super::report::{NoteKind, ReadReport};
use crate::codec::{MdFrame, Real, Topology};
use crate::error::Result;
use crate::wire::memory;
use std::io::{Read, Seek};
use std::sync::Arc;
use topology::Bonds;

/// Positions have so many parts of an angstrom.
const PRECISION: f32 = 1000.0;

/// What holds for all frames.
#[derive(Default)]
struct Whole {
    /// The cell of the first frame: later ones that state none have it.
    cell: Option<[f64; 9]>,
    bonds: Bonds,
}

#[derive(Default)]
pub(super) struct PdbReader {
    line: Vec<u8>,
    /// `None` until the file was looked through.
    whole: Option<Whole>,
    atoms: KnownAtoms,
    report: ReadReport,
}

/// What stands before the atoms of a frame, and where it ends.
#[derive(Default)]
struct Found {
    title: Option<String>,
    cell: Option<Option<[f64; 9]>>,
    atoms: usize,
}

impl PdbReader {
    /// Looks through a file for what may stand behind the frames: bonds, and for the cell of the first frame, as
    /// others may be read without it. A cell behind that says nothing of it: in a stream, or in a file that
    /// grows, it is not there yet.
    fn look<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<()> {
        if self.whole.is_some() {
            return Ok(());
        }
        let mut whole = Whole::default();
        if input.source.rewinds() {
            let byte = input.source.at();
            input.source.go_to(0)?;
            let (mut first, mut model, mut atoms) = (true, false, false);
            while input.source.line(&mut self.line)? {
                match Record::of(&self.line) {
                    Record::Bonds => whole.bonds.add(&self.line),
                    Record::Model => model = true,
                    Record::Atom => atoms = true,
                    Record::EndOfModel | Record::End if model || atoms => first = false,
                    Record::Cell if first => {
                        // What is wrong with it is said by the frame in which it stands.
                        whole.cell = lines::cell(&self.line).ok().flatten();
                    }
                    _ => {}
                }
            }
            input.source.go_to(byte)?;
            input.source.begin();
        }
        self.whole = Some(whole);
        Ok(())
    }

    /// Goes through the lines of a frame; `None` if there is none. Labels and positions are gathered if
    /// they are wanted.
    fn pass_lines<R: Read + Seek>(
        &mut self,
        input: &mut Input<R>,
        mut into: Option<(&mut Vec<u8>, &mut Vec<f32>)>,
    ) -> Result<Option<Found>> {
        let (mut found, mut model) = (Found::default(), false);
        loop {
            if !input.next_line(&mut self.line)? {
                if model {
                    let why = format!(
                        "the file ends inside this model, after {} atoms and before ENDMDL; it \
                         was cut short",
                        found.atoms
                    );
                    return Err(input.short(why));
                }
                return Ok((found.atoms > 0).then_some(found));
            }
            match Record::of(&self.line) {
                Record::Model if model || found.atoms > 0 => {
                    return Err(input.wrong(format!(
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
                        let position =
                            Atom::position(&self.line).map_err(|why| input.wrong(why))?;
                        memory::append(labels, &Atom::label(&self.line))?;
                        memory::append(positions, &position)?;
                    }
                    found.atoms += 1;
                }
                Record::Cell if into.is_some() || input.counter.frame() == 0 => {
                    let cell = lines::cell(&self.line).map_err(|why| input.wrong(why))?;
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
                Record::Bonds if !input.source.rewinds() => {
                    self.whole.get_or_insert_default().bonds.add(&self.line);
                }
                _ => {}
            }
        }
    }
}

impl FrameFormat for PdbReader {
    const KIND: FormatKind = FormatKind::Pdb;
    const NAME: &'static str = "PDB";

    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool> {
        let mut positions = match into.positions.take() {
            Some(Real::F32(v)) => v,
            _ => Vec::new(),
        };
        *into = MdFrame::default();
        self.look(input)?;
        positions.clear();
        let mut labels = Vec::new();
        let Some(found) = self.pass_lines(input, Some((&mut labels, &mut positions)))? else {
            return Ok(false);
        };
        let title = found.title.unwrap_or_default();
        (into.time, into.step) = (number_after(&title, "t="), number_after(&title, "step="));
        let whole = self.whole.get_or_insert_default();
        if input.counter.frame() == 0
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
        let same = |a: &[u8], b: &[u8]| {
            a.len() == b.len()
                && a.chunks(LABEL).zip(b.chunks(LABEL)).all(|(a, b)| Atom::same(a, b))
        };
        let frame = input.counter.frame();
        let make = |name: &str| {
            let (topology, odd) = topology::topology(&labels, found.atoms, name, &whole.bonds)?;
            for (kind, count) in
                [(NoteKind::UnknownElement, odd.elements), (NoteKind::LostBonds, odd.bonds)]
            {
                if count > 0 {
                    self.report.count(&kind, count, || format!("frame {frame}"));
                }
            }
            Ok::<_, String>(topology)
        };
        let taken = self.atoms.take(&labels, &title, same, make);
        taken.map_err(|why| input.wrong(why))?;
        Ok(true)
    }

    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        if input.counter.frame() == 0 && (self.atoms.is_empty() || !input.source.rewinds()) {
            // Others may have its atoms, and a stream tells its cell once.
            return self.read(input, &mut MdFrame::default());
        }
        Ok(self.pass_lines(input, None)?.is_some())
    }

    /// The topology, which is that of the first frame where a later one has its atoms, and the first cell of a stream.
    fn needs_the_first<R: Read + Seek>(&self, input: &Input<R>) -> bool {
        self.atoms.is_empty() && input.source.at() == 0
    }

    fn take_first<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        self.read(input, &mut MdFrame::default())
    }

    fn known_topology(&self) -> Option<&Arc<Topology>> {
        self.atoms.topology()
    }

    fn notes(&self) -> ReadReport {
        self.report.clone()
    }
}

#[cfg(test)]
mod tests;
