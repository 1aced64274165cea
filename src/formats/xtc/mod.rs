//! XTC, the compressed coordinates of GROMACS.
//!
//! A file is frames one after the other, all numbers big-endian (XDR, RFC 4506): a magic number,
//! the number of atoms, the step, the time, the box, the number of atoms again; then the
//! coordinates, as they are for up to [`RAW_ATOMS`] atoms, else packed: the precision, the
//! smallest and largest value along each axis, the first index into the table of small sizes,
//! the number of bytes, and a stream of bits padded to a multiple of 4 bytes. The scheme is
//! that of `xdr3dfcoord` in the public XDR library of GROMACS. Coordinates are integers
//! of `1 / precision`; what a reader returns is that integer as a `f32` times `1 /
//! precision` as a `f32`, and every known reader agrees to the bit.
//!
//! There is no checksum and no index. What can be checked is: sizes against the file, every
//! coordinate against the stated range, and the stream against its stated length.

mod bits;
mod decode;
mod encode;
mod sizes;
mod write;

pub(super) use write::XtcEncoder;

use super::frame_format::FrameFormat;
use super::input::Input;
use super::kind::FormatKind;
use super::source::Source;
use crate::codec::{MdFrame, Real};
use crate::error::{Error, Result};
use crate::wire::{Cursor, memory};
use decode::{Packed, SLACK};
use std::io::{Read, Seek};

/// Up to this many atoms, coordinates are stored as they are.
const RAW_ATOMS: usize = 9;
/// Magic number of frames whose packed length is a 32-bit number.
const MAGIC_1995: i32 = 1995;
/// Magic number of frames whose packed length is a 64-bit number, since GROMACS 2023.
const MAGIC_2023: i32 = 2023;
/// Above this many atoms GROMACS writes frames of [`MAGIC_2023`].
const ATOMS_1995: usize = 298_261_617;
/// Magic number, atoms, step, time, box, atoms.
const HEADER: usize = 56;

#[derive(Default)]
pub(super) struct XtcReader {
    /// Packed bytes of a frame, and [`SLACK`] zeros.
    packed: Vec<u8>,
}

/// The fixed part of a frame.
struct Header {
    wide: bool,
    atoms: usize,
    step: i32,
    time: f32,
    cell: [f32; 9],
}

impl XtcReader {
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
        let mut bytes = [0; HEADER];
        // The magic number first: a tail that is not a frame should not be called cut short.
        let (magic, rest) = bytes.split_at_mut(4);
        if !source.fill(magic)? {
            return Err(Self::short("header"));
        }
        let magic = Cursor::new(magic).i32_be();
        if !matches!(magic, Some(MAGIC_1995 | MAGIC_2023)) {
            return Err(Self::wrong(format!(
                "a frame begins with 1995 or 2023, found {}",
                magic.unwrap_or_default()
            )));
        }
        if !source.fill(rest)? {
            return Err(Self::short("header"));
        }
        let mut c = Cursor::new(rest);
        let mut word = || c.i32_be().unwrap_or_default();
        let atoms = word();
        let step = word();
        let time = real(word());
        let cell = std::array::from_fn(|_| real(word()));
        let again = word();
        let Ok(count) = usize::try_from(atoms) else {
            return Err(Self::wrong(format!("it claims {atoms} atoms")));
        };
        if atoms != again {
            return Err(Self::wrong(format!(
                "it claims {atoms} atoms in its header and {again} before the coordinates"
            )));
        }
        Ok(Some(Header { wide: magic == Some(MAGIC_2023), atoms: count, step, time, cell }))
    }

    /// What stands between the header and the packed bits, checked against the file.
    fn prelude<R: Read + Seek>(source: &mut Source<R>, header: &Header) -> Result<Packed> {
        let mut bytes = [0; 40];
        let part = if header.wide { &mut bytes[..] } else { bytes.split_at_mut(36).0 };
        if !source.fill(part)? {
            return Err(Self::short("coordinates"));
        }
        let mut c = Cursor::new(part);
        let mut word = || c.i32_be().unwrap_or_default();
        let precision = real(word());
        let min = [word(), word(), word()];
        let max = [word(), word(), word()];
        let small = word();
        let length = if header.wide {
            c.i64_be().unwrap_or_default()
        } else {
            i64::from(c.i32_be().unwrap_or_default())
        };
        let padded = u64::try_from(length).ok().and_then(|n| n.checked_next_multiple_of(4));
        let (Some(padded), Ok(length)) = (padded, usize::try_from(length)) else {
            return Err(Self::wrong(format!("it claims {length} bytes of coordinates")));
        };
        if padded > source.left() {
            source.note_cut();
            return Err(Self::short("coordinates"));
        }
        Packed::new(precision, min, max, small, length, header.atoms).map_err(Self::wrong)
    }
}

const fn real(word: i32) -> f32 {
    f32::from_bits(word.cast_unsigned())
}

impl FrameFormat for XtcReader {
    const KIND: FormatKind = FormatKind::Xtc;
    const NAME: &'static str = "XTC";

    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool> {
        let mut positions = match into.positions.take() {
            Some(Real::F32(v)) => v,
            _ => Vec::new(),
        };
        *into = MdFrame::default();
        let source = &mut input.source;
        let Some(header) = Self::header(source)? else {
            return Ok(false);
        };
        let mut precision = None;
        if header.atoms <= RAW_ATOMS {
            let mut bytes = [0; RAW_ATOMS * 12];
            let part = bytes.split_at_mut(header.atoms.saturating_mul(12)).0;
            if !source.fill(part)? {
                return Err(Self::short("coordinates"));
            }
            positions.clear();
            positions.extend(part.as_chunks().0.iter().map(|b| f32::from_be_bytes(*b)));
        } else {
            let packed = Self::prelude(source, &header)?;
            precision = Some(packed.precision());
            let padded = packed.length().next_multiple_of(4);
            if !source.fill_vec(&mut self.packed, padded, SLACK)? {
                return Err(Self::short("coordinates"));
            }
            // At most 12 bytes for each 9 bits of the file: `Packed::new` saw to it.
            memory::resize(&mut positions, header.atoms.saturating_mul(3), 0.0)?;
            packed.decode(&self.packed, positions.as_chunks_mut().0).map_err(Self::wrong)?;
        }
        into.nsites = header.atoms;
        into.positions = Some(Real::F32(positions));
        into.step = Some(header.step.into());
        into.time = Some(header.time.into());
        if header.cell.iter().any(|x| *x != 0.0) {
            into.cell = Some(header.cell.map(f64::from));
            into.pbc = Some([true; 3]);
        }
        into.precision = precision;
        Ok(true)
    }

    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        let Some(header) = Self::header(&mut input.source)? else {
            return Ok(false);
        };
        let length = if header.atoms <= RAW_ATOMS {
            header.atoms.saturating_mul(12)
        } else {
            Self::prelude(&mut input.source, &header)?.length().next_multiple_of(4)
        };
        if !input.source.skip(length as u64)? {
            return Err(Self::short("coordinates"));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
