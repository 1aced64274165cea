//! One frame to XTC bytes.

use super::encode::encode;
use super::{ATOMS_1995, MAGIC_1995, MAGIC_2023, RAW_ATOMS};
use crate::codec::{MdFrame, Real, quantise};
use crate::error::{Error, Result};
use crate::formats::unfit::{LEAVE_OUT, single, step, three_each, unfit as refuse};
use crate::formats::writer::{FrameEncoder, LeftOut, OutputOptions};
use crate::wire::memory;

/// Encodes frames at a fixed precision.
pub(in crate::formats) struct XtcEncoder {
    precision: Option<f32>,
}

impl XtcEncoder {
    pub(in crate::formats) fn new(options: &OutputOptions) -> Result<Self> {
        match options.precision {
            Some(p) if !(p.is_finite() && p > 0.0) => Err(Error::invalid(
                "precision",
                format!("{p} is not a positive number; 1000 keeps three decimals of a nanometre"),
            )),
            precision => Ok(Self { precision }),
        }
    }
}

/// What XTC cannot hold of a frame, and what helps.
fn cannot(field: &str, why: impl Into<Box<str>>, remedy: impl Into<Box<str>>) -> Error {
    unfit(field, None, why, remedy)
}

fn unfit(
    field: &str,
    site: Option<usize>,
    why: impl Into<Box<str>>,
    remedy: impl Into<Box<str>>,
) -> Error {
    refuse("XTC", field, site, why, remedy)
}

const SET_PRECISION: &str =
    "set a precision: 1000 keeps three decimals of a nanometre; or write extended XYZ";

impl FrameEncoder for XtcEncoder {
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()> {
        let positions = frame.positions.as_ref().ok_or_else(|| {
            cannot("positions", "there are none, and XTC holds little else", LEAVE_OUT)
        })?;
        let atoms = frame.nsites;
        three_each("XTC", "positions", positions, atoms)?;
        let count = i32::try_from(atoms).map_err(|_| Error::Limit {
            what: "number of atoms",
            asked: atoms as u64,
            max: (1 << 31) - 1,
        })?;
        let step = step("XTC", frame.step)?;
        let wide = atoms > ATOMS_1995;
        let magic = if wide { MAGIC_2023 } else { MAGIC_1995 };
        let mut head = Vec::with_capacity(96);
        for word in [magic, count, step] {
            head.extend(word.to_be_bytes());
        }
        head.extend(single("XTC", "time", None, frame.time.unwrap_or_default())?.to_be_bytes());
        for x in frame.cell.unwrap_or_default() {
            head.extend(single("XTC", "cell", None, x)?.to_be_bytes());
        }
        head.extend(count.to_be_bytes());
        if atoms <= RAW_ATOMS {
            out.extend(head);
            match positions {
                Real::F32(v) => out.extend(v.iter().flat_map(|x| x.to_be_bytes())),
                Real::F64(v) => {
                    for (i, x) in v.iter().enumerate() {
                        out.extend(single("XTC", "positions", Some(i / 3), *x)?.to_be_bytes());
                    }
                }
            }
            return Ok(());
        }
        let precision = self.precision.or(frame.precision).ok_or_else(|| {
            let why = "XTC rounds positions, and neither the frame nor the options say to what";
            cannot("precision", why, SET_PRECISION)
        })?;
        if !(precision.is_finite() && precision > 0.0) {
            return Err(cannot("precision", format!("{precision} is not above 0"), SET_PRECISION));
        }
        let whole = match positions {
            Real::F32(v) => to_whole(v, precision, |x| f64::from(*x)),
            Real::F64(v) => to_whole(v, precision, |x| *x),
        }?;
        let packed = encode(&whole).ok_or_else(|| {
            cannot(
                "positions",
                format!("they span more than 2^31 steps of 1/{precision}"),
                "lower the precision, or write extended XYZ",
            )
        })?;
        head.extend(precision.to_be_bytes());
        for word in packed.min.into_iter().chain(packed.max).chain([packed.small]) {
            head.extend(word.to_be_bytes());
        }
        if wide {
            head.extend((packed.bytes.len() as u64).to_be_bytes());
        } else {
            let length = i32::try_from(packed.bytes.len()).map_err(|_| {
                cannot("positions", "packed they are longer than 2^31 bytes", LEAVE_OUT)
            })?;
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

/// Positions as integers, multiples of `1 / precision`: those that a reader turns into the same
/// `f32` again, if there are such.
fn to_whole<T>(values: &[T], precision: f32, wide: impl Fn(&T) -> f64) -> Result<Vec<[i32; 3]>> {
    let mut out = memory::with_room(values.len() / 3)?;
    for (site, at) in values.as_chunks::<3>().0.iter().enumerate() {
        let mut whole = [0; 3];
        for ((whole, x), axis) in whole.iter_mut().zip(at).zip(["x", "y", "z"]) {
            let x = wide(x);
            *whole = quantise(x, precision).ok_or_else(|| outside(site, axis, x, precision))?;
        }
        out.push(whole);
    }
    Ok(out)
}

/// Why a coordinate does not fit.
fn outside(site: usize, axis: &str, x: f64, precision: f32) -> Error {
    if !x.is_finite() {
        return unfit("positions", Some(site), format!("{axis} is {x}, not a number"), LEAVE_OUT);
    }
    let why = format!("{axis} is {x}, too far from 0 for XTC at the precision {precision}");
    // The largest power of ten at which it fits, if that still keeps anything.
    let most = (f64::from(i32::MAX) / x.abs()).log10().floor();
    let remedy = if most >= 0.0 {
        let fits = 10_f64.powf(most);
        format!("set a precision of {fits} or less, leave the frame out, or write extended XYZ")
    } else {
        LEAVE_OUT.into()
    };
    unfit("positions", Some(site), why, remedy)
}
