//! TRR, the full-precision trajectories of GROMACS.
//!
//! A file is frames one after the other, all numbers big-endian (XDR, RFC 4506): the number 1993, a
//! name, the lengths of the parts in bytes, the number of atoms, the step, the time and lambda; then
//! those parts whose length is not 0: box, virial, pressure, positions, velocities, forces. Numbers
//! are of 32 or 64 bits throughout a frame, which the lengths tell. The layout is described in the
//! GROMACS manual, section "File formats". Frames may have different parts.
//!
//! There is no checksum and no index: sizes are compared with each other and with the file.

mod header;
mod write;

pub(super) use write::TrrEncoder;

use super::binary_heads::TRR as MAGIC;
use super::frame_format::FrameFormat;
use super::input::Input;
use super::kind::FormatKind;
use super::source::Source;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::error::{Error, Result};
use crate::wire::memory;
use header::{Header, NAME, Part, START, WORDS};
use std::io::{Read, Seek};

#[derive(Default)]
pub(super) struct TrrReader {
    /// Bytes of a part.
    space: Vec<u8>,
}

impl TrrReader {
    fn wrong(why: impl Into<Box<str>>) -> Error {
        Error::format(Self::NAME, "", why)
    }

    fn short(part: &str) -> Error {
        Self::wrong(format!("the file ends inside the {part} of this frame; it was cut short"))
    }

    fn header<R: Read + Seek>(source: &mut Source<R>) -> Result<Option<Header>> {
        if source.at_end()? {
            return Ok(None);
        }
        let mut start = [0; START];
        // The magic number first: a tail that is not a frame should not be called cut short.
        let (magic, rest) = start.split_at_mut(4);
        if !source.fill(magic)? {
            return Err(Self::short("header"));
        }
        let number = magic.first_chunk().map(|b| i32::from_be_bytes(*b)).unwrap_or_default();
        if number != MAGIC {
            let why = format!("a frame begins with {MAGIC}, found {number}");
            return Err(Self::wrong(why));
        }
        if !source.fill(rest)? {
            return Err(Self::short("header"));
        }
        if rest.split_at(8) != ([0, 0, 0, 13, 0, 0, 0, 12].as_slice(), NAME.as_slice()) {
            return Err(Self::wrong("after 1993, the name GMX_trn_file does not follow"));
        }
        let mut words = [0; WORDS];
        if !source.fill(&mut words)? {
            return Err(Self::short("header"));
        }
        let header = Header::parse(&words).map_err(Self::wrong)?;
        if header.length() > source.left() {
            source.note_cut();
            return Err(Self::wrong(format!(
                "the file ends inside this frame, which claims {} bytes for {} atoms where {} are \
                 left; it was cut short",
                header.length(),
                header.atoms,
                source.left()
            )));
        }
        Ok(Some(header))
    }

    /// The numbers of the next part, in memory that was used before.
    fn numbers<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        width: u64,
        count: u64,
        name: &str,
        old: Option<Real>,
    ) -> Result<Real> {
        let bytes = usize::try_from(width.saturating_mul(count))
            .map_err(|_| memory::out_of_memory(usize::MAX))?;
        if !source.fill_vec(&mut self.space, bytes, 0)? {
            return Err(Self::short(name));
        }
        Ok(if width == 4 {
            let mut out = match old {
                Some(Real::F32(v)) => v,
                _ => Vec::new(),
            };
            out.clear();
            memory::reserve(&mut out, bytes / 4)?;
            out.extend(self.space.as_chunks().0.iter().map(|b| f32::from_be_bytes(*b)));
            Real::F32(out)
        } else {
            let mut out = match old {
                Some(Real::F64(v)) => v,
                _ => Vec::new(),
            };
            out.clear();
            memory::reserve(&mut out, bytes / 8)?;
            out.extend(self.space.as_chunks().0.iter().map(|b| f64::from_be_bytes(*b)));
            Real::F64(out)
        })
    }
}

fn property(name: &str, shape: &[u32], values: Real) -> Property {
    Property { name: name.into(), shape: shape.into(), values: Values::Real(values) }
}

impl FrameFormat for TrrReader {
    const KIND: FormatKind = FormatKind::Trr;
    const NAME: &'static str = "TRR";

    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool> {
        let old = std::mem::take(into);
        let source = &mut input.source;
        let Some(header) = Self::header(source)? else {
            return Ok(false);
        };
        let width = header.width;
        let time = match self.numbers(source, width, 1, "time", None)? {
            Real::F32(v) => v.first().copied().map(f64::from),
            Real::F64(v) => v.first().copied(),
        };
        let lambda = self.numbers(source, width, 1, "lambda", None)?;
        let mut olds = [old.positions, old.velocities, old.forces];
        for part in Part::ALL {
            if !header.has(part) {
                continue;
            }
            let reused = match (part, &mut olds) {
                (Part::Positions, [old, _, _])
                | (Part::Velocities, [_, old, _])
                | (Part::Forces, [_, _, old]) => old.take(),
                _ => None,
            };
            let numbers =
                self.numbers(source, width, part.numbers(header.atoms), part.name(), reused)?;
            match part {
                Part::Positions => into.positions = Some(numbers),
                Part::Velocities => into.velocities = Some(numbers),
                Part::Forces => into.forces = Some(numbers),
                Part::Virial | Part::Pressure => {
                    into.frame_properties.push(property(part.name(), &[3, 3], numbers));
                }
                Part::Cell => {
                    let all = match &numbers {
                        Real::F32(v) => v.first_chunk().map(|c: &[f32; 9]| c.map(f64::from)),
                        Real::F64(v) => v.first_chunk().copied(),
                    };
                    // A box of zeros says that there is none.
                    into.cell = all.filter(|c| c.iter().any(|x| *x != 0.0));
                    into.pbc = into.cell.map(|_| [true; 3]);
                }
            }
        }
        into.frame_properties.push(property("lambda", &[], lambda));
        into.nsites = header.atoms;
        into.step = Some(header.step.into());
        into.time = time;
        Ok(true)
    }

    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        let Some(header) = Self::header(&mut input.source)? else {
            return Ok(false);
        };
        if !input.source.skip(header.length())? {
            return Err(Self::short("data"));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
