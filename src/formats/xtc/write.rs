//! One frame to XTC bytes.

use super::encode::encode;
use super::{ATOMS_1995, MAGIC_1995, MAGIC_2023, RAW_ATOMS};
use crate::codec::{MdFrame, Real, whole_number};
use crate::error::{Error, Result};
use crate::formats::writer::{FrameEncoder, LeftOut, WriteOptions};

/// Encodes frames at a fixed precision.
pub(in crate::formats) struct XtcEncoder {
    precision: Option<f32>,
}

impl XtcEncoder {
    pub(in crate::formats) fn new(options: &WriteOptions) -> Result<Self> {
        match options.precision {
            Some(p) if !(p.is_finite() && p > 0.0) => Err(Error::invalid(
                "precision",
                format!("{p} is not a positive number; 1000 keeps three decimals of a nanometre"),
            )),
            precision => Ok(Self { precision }),
        }
    }
}

fn cannot(why: impl Into<Box<str>>) -> Error {
    Error::invalid("frame for XTC", why)
}

impl FrameEncoder for XtcEncoder {
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()> {
        let positions = frame
            .positions
            .as_ref()
            .ok_or_else(|| cannot("it has no positions, and XTC holds little else"))?;
        let atoms = frame.nsites;
        if atoms.checked_mul(3) != Some(positions.len()) {
            return Err(cannot(format!("{} numbers for {atoms} positions", positions.len())));
        }
        let count = i32::try_from(atoms).map_err(|_| Error::Limit {
            what: "number of atoms",
            asked: atoms as u64,
            max: (1 << 31) - 1,
        })?;
        let step = match frame.step {
            Some(n) => i32::try_from(n).map_err(|_| {
                cannot(format!(
                    "step {n} is past 2^31, where XTC ends; leave the step out of the frame"
                ))
            })?,
            None => 0,
        };
        let wide = atoms > ATOMS_1995;
        let magic = if wide { MAGIC_2023 } else { MAGIC_1995 };
        let mut head = Vec::with_capacity(96);
        for word in [magic, count, step] {
            head.extend(word.to_be_bytes());
        }
        head.extend(narrow(frame.time.unwrap_or_default()).to_be_bytes());
        for x in frame.cell.unwrap_or_default() {
            head.extend(narrow(x).to_be_bytes());
        }
        head.extend(count.to_be_bytes());
        if atoms <= RAW_ATOMS {
            out.extend(head);
            match positions {
                Real::F32(v) => out.extend(v.iter().flat_map(|x| x.to_be_bytes())),
                Real::F64(v) => out.extend(v.iter().flat_map(|x| narrow(*x).to_be_bytes())),
            }
            return Ok(());
        }
        let precision = self.precision.or(frame.precision).ok_or_else(|| {
            cannot("XTC rounds positions, and neither the frame nor the options say to what precision; 1000 keeps three decimals of a nanometre")
        })?;
        if !(precision.is_finite() && precision > 0.0) {
            return Err(cannot(format!("its precision is {precision}")));
        }
        let whole = match positions {
            Real::F32(v) => to_whole(v, precision, |x| f64::from(*x)),
            Real::F64(v) => to_whole(v, precision, |x| *x),
        }?;
        let packed = encode(&whole).ok_or_else(|| {
            cannot("its positions span more than 2^31 units of the precision; lower the precision")
        })?;
        head.extend(precision.to_be_bytes());
        for word in packed.min.into_iter().chain(packed.max).chain([packed.small]) {
            head.extend(word.to_be_bytes());
        }
        if wide {
            head.extend((packed.bytes.len() as u64).to_be_bytes());
        } else {
            let length = i32::try_from(packed.bytes.len())
                .map_err(|_| cannot("its packed coordinates pass 2^31 bytes"))?;
            head.extend(length.to_be_bytes());
        }
        out.extend(head);
        let padding = packed.bytes.len().next_multiple_of(4) - packed.bytes.len();
        out.extend(packed.bytes);
        out.extend([0_u8; 3].iter().take(padding));
        Ok(())
    }

    fn left_out(&self, frame: &MdFrame) -> LeftOut {
        let mut out = LeftOut::default();
        out.note("name", frame.name.is_some());
        out.note("types", frame.types.is_some());
        out.note("masses", frame.masses.is_some());
        out.note("velocities", frame.velocities.is_some());
        out.note("forces", frame.forces.is_some());
        out.note("charges", frame.charges.is_some());
        out.note("energy", frame.energy.is_some());
        out.note("stress", frame.stress.is_some());
        out.note("pbc", frame.pbc.is_some_and(|p| p != [frame.cell.is_some(); 3]));
        out.note("topology", frame.topology.is_some());
        out.properties(frame);
        out
    }
}

#[expect(clippy::cast_possible_truncation, reason = "XTC holds 32 bits; stated in docs/formats.md")]
const fn narrow(x: f64) -> f32 {
    x as f32
}

/// Positions as whole numbers of `1 / precision`: those that a reader turns into the same `f32`
/// again, if there are such.
fn to_whole<T>(values: &[T], precision: f32, wide: impl Fn(&T) -> f64) -> Result<Vec<[i32; 3]>> {
    let mut out = Vec::with_capacity(values.len() / 3);
    for (atom, at) in values.as_chunks::<3>().0.iter().enumerate() {
        let mut whole = [0; 3];
        for (whole, x) in whole.iter_mut().zip(at) {
            let x = wide(x);
            *whole = whole_number(x, precision).ok_or_else(|| {
                cannot(format!(
                    "coordinate {x} of atom {atom} does not fit 31 bits at precision {precision}"
                ))
            })?;
        }
        out.push(whole);
    }
    Ok(out)
}
