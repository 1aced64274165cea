//! DCD, the trajectories of CHARMM, NAMD, X-PLOR, OpenMM and LAMMPS.
//!
//! A file is Fortran records: a header of 21 words, a title, the number of atoms, if atoms are fixed
//! the list of the others; then of each frame the unit cell, x, y and z of all atoms and, if there is
//! one, a fourth coordinate. If atoms are fixed, only the first frame has all of them. Numbers are
//! in either order of bytes and lengths of records of 32 or 64 bits; the first bytes tell. Frames
//! have no step and no time of their own: the header has the first step, the steps between frames
//! and the time of a step in the unit of CHARMM (AKMA, 48.88821 fs).
//!
//! There is no checksum: all lengths are compared with each other and with the file. The layout is that
//! of `dcdplugin` of VMD and of the documentation of CHARMM (`dynamc.doc`).

mod cell;
mod head;
mod records;
mod write;

pub(super) use write::DcdEncoder;

use super::frame_format::FrameFormat;
use super::input::Input;
use super::kind::FormatKind;
use super::report::{NoteKind, ReadReport};
use super::source::Source;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::error::Result;
use crate::wire::memory;
use head::Head;
use records::{short, wrong};
use std::io::{Read, Seek};

#[derive(Default)]
pub(super) struct DcdReader {
    head: Option<Head>,
    /// Coordinates of the first frame, if atoms are fixed.
    first: Vec<f32>,
    /// Bytes of a record.
    space: Vec<u8>,
    report: ReadReport,
}

impl DcdReader {
    /// Goes behind the header, which is read once, and is no part of the first frame.
    fn behind_the_head<R: Read + Seek>(&mut self, source: &mut Source<R>) -> Result<()> {
        if source.at() > 0 {
            return Ok(());
        }
        match &self.head {
            Some(head) if source.skip(head.bytes)? => {}
            Some(_) => return Err(short("header")),
            None => self.head = Some(Head::read(source, &mut self.space)?),
        }
        source.begin();
        Ok(())
    }

    /// At the end of the file: whether there should be more.
    fn ended(&mut self, frames: u64, claimed: u64) {
        if frames < claimed && self.report.notes().is_empty() {
            let first = || format!("after frame {frames}");
            self.report.count(&NoteKind::FewerFrames(claimed), claimed - frames, first);
        }
    }
}

impl FrameFormat for DcdReader {
    const KIND: FormatKind = FormatKind::Dcd;
    const NAME: &'static str = "DCD";

    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool> {
        let old = std::mem::take(into);
        let number = input.counter.frame();
        self.behind_the_head(&mut input.source)?;
        let Some(head) = &self.head else { return Err(wrong("its header was not read")) };
        if input.source.at_end()? {
            let claimed = head.claimed;
            self.ended(number, claimed);
            return Ok(false);
        }
        let (source, space) = (&mut input.source, &mut self.space);
        if head.cell {
            head.records.read(source, space, Some(48), "unit cell")?;
            let mut six = [0.0; 6];
            for (x, bytes) in six.iter_mut().zip(space.as_chunks().0) {
                *x = head.records.double(*bytes);
            }
            into.cell = cell::decode(six).map_err(wrong)?;
            into.pbc = into.cell.map(|_| [true; 3]);
        }
        let mut values = match if head.velocities { old.velocities } else { old.positions } {
            Some(Real::F32(v)) => v,
            _ => Vec::new(),
        };
        let moving = head.moving(number);
        let expected = Some(moving as u64 * 4);
        values.clear();
        for (axis, part) in ["x coordinates", "y coordinates", "z coordinates"].iter().enumerate() {
            head.records.read(source, space, expected, part)?;
            if axis == 0 {
                // As many bytes were read as a third of this takes, or the first frame had them.
                memory::resize(&mut values, head.atoms.saturating_mul(3), 0.0)?;
                if moving < head.atoms {
                    if values.len() != self.first.len() {
                        return Err(wrong(
                            "atoms are fixed, and the first frame, which has them, was not read",
                        ));
                    }
                    values.copy_from_slice(&self.first);
                }
            }
            let numbers = space.as_chunks().0.iter().map(|b| head.records.single(*b));
            if moving == head.atoms && number == 0 || head.free.is_none() {
                let places = values.iter_mut().skip(axis).step_by(3);
                places.zip(numbers).for_each(|(place, x)| *place = x);
            } else {
                for (atom, x) in head.free.iter().flatten().zip(numbers) {
                    if let Some(place) = values.get_mut(3 * atom + axis) {
                        *place = x;
                    }
                }
            }
        }
        if head.fourth {
            let part = "fourth coordinates";
            head.records.read(source, space, expected, part)?;
            if moving == head.atoms {
                let numbers = space.as_chunks().0.iter().map(|b| head.records.single(*b));
                let values = Values::Real(Real::F32(numbers.collect()));
                into.atom_properties.push(Property { name: "w".into(), shape: vec![], values });
            }
        }
        if head.free.is_some() && number == 0 && self.first.is_empty() {
            self.first = memory::copied(&values)?;
        }
        into.nsites = head.atoms;
        let values = Some(Real::F32(values));
        if head.velocities {
            into.velocities = values;
        } else {
            into.positions = values;
        }
        (into.step, into.time) = head.when(number);
        Ok(true)
    }

    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        let number = input.counter.frame();
        let needs_the_first = self.head.as_ref().is_none_or(|h| h.free.is_some());
        if number == 0 && self.first.is_empty() && needs_the_first {
            return self.read(input, &mut MdFrame::default());
        }
        self.behind_the_head(&mut input.source)?;
        let Some(head) = &self.head else { return Err(wrong("its header was not read")) };
        if input.source.at_end()? {
            let claimed = head.claimed;
            self.ended(number, claimed);
            return Ok(false);
        }
        if !input.source.skip(head.frame(number))? {
            return Err(short("coordinates"));
        }
        Ok(true)
    }

    /// The header, and the first frame if atoms are fixed.
    fn needs_the_first<R: Read + Seek>(&self, input: &Input<R>) -> bool {
        self.head.is_none() && input.source.at() == 0
    }

    fn notes(&self) -> ReadReport {
        self.report.clone()
    }
}

#[cfg(test)]
mod tests;
