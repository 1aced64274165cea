//! One frame to TRR bytes.

use super::header::NAME;
use crate::codec::{MdFrame, Real, Values};
use crate::error::{Error, Result};
use crate::formats::binary_heads::TRR as MAGIC;
use crate::formats::unfit::{LEAVE_OUT, single, step, three_each, unfit};
use crate::formats::writer::{FrameEncoder, LeftOut};

/// Encodes frames, each in the precision of its arrays.
#[derive(Default)]
pub(in crate::formats) struct TrrEncoder;

/// Lambda of the frame, if it is one number.
fn lambda(frame: &MdFrame) -> Option<&Real> {
    let all = frame.frame_properties.iter();
    all.filter(|p| p.name == "lambda" && p.shape.is_empty()).find_map(|p| match &p.values {
        Values::Real(x) if x.len() == 1 => Some(x),
        _ => None,
    })
}

fn first(values: &Real) -> f64 {
    match values {
        Real::F32(v) => v.first().copied().map(f64::from),
        Real::F64(v) => v.first().copied(),
    }
    .unwrap_or_default()
}

fn put(double: bool, field: &str, x: f64, out: &mut Vec<u8>) -> Result<()> {
    if double {
        out.extend(x.to_be_bytes());
    } else {
        out.extend(single("TRR", field, None, x)?.to_be_bytes());
    }
    Ok(())
}

impl FrameEncoder for TrrEncoder {
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()> {
        let arrays = [
            ("positions", &frame.positions),
            ("velocities", &frame.velocities),
            ("forces", &frame.forces),
        ];
        let lambda = lambda(frame);
        let widths = arrays.iter().filter_map(|(_, a)| a.as_ref()).chain(lambda);
        let double = widths.into_iter().any(|a| matches!(a, Real::F64(_)));
        let width: u64 = if double { 8 } else { 4 };
        let size = |numbers: u64| {
            i32::try_from(numbers.saturating_mul(width)).map_err(|_| Error::Limit {
                what: "bytes of an array of TRR",
                asked: numbers.saturating_mul(width),
                max: (1 << 31) - 1,
            })
        };
        let mut sizes = [0; 3];
        for ((field, array), bytes) in arrays.iter().zip(&mut sizes) {
            if let Some(array) = array {
                three_each("TRR", field, array, frame.nsites)?;
                *bytes = size(array.len() as u64)?;
            }
        }
        let cell = if frame.cell.is_some() { size(9)? } else { 0 };
        if cell == 0 && sizes == [0; 3] {
            let why = "there are no positions, velocities or forces, and no cell, and TRR holds \
                       little else";
            return Err(unfit("TRR", "positions", None, why, LEAVE_OUT));
        }
        let atoms = i32::try_from(frame.nsites).map_err(|_| Error::Limit {
            what: "number of atoms",
            asked: frame.nsites as u64,
            max: (1 << 31) - 1,
        })?;
        let step = step("TRR", frame.step)?;
        out.extend(MAGIC.to_be_bytes());
        out.extend([0, 0, 0, 13, 0, 0, 0, 12]);
        out.extend(NAME);
        let [positions, velocities, forces] = sizes;
        for word in [0, 0, cell, 0, 0, 0, 0, positions, velocities, forces, atoms, step, 0] {
            out.extend(word.to_be_bytes());
        }
        put(double, "time", frame.time.unwrap_or_default(), out)?;
        put(double, "lambda", lambda.map_or(0.0, first), out)?;
        for x in frame.cell.iter().flatten() {
            put(double, "cell", *x, out)?;
        }
        for array in arrays.iter().filter_map(|(_, a)| a.as_ref()) {
            match (array, double) {
                (Real::F32(v), false) => out.extend(v.iter().flat_map(|x| x.to_be_bytes())),
                (Real::F32(v), true) => {
                    out.extend(v.iter().flat_map(|x| f64::from(*x).to_be_bytes()));
                }
                (Real::F64(v), _) => out.extend(v.iter().flat_map(|x| x.to_be_bytes())),
            }
        }
        Ok(())
    }

    fn left_out(&self, frame: &MdFrame) -> LeftOut {
        let mut out = LeftOut::default();
        out.note("name", frame.name.is_some());
        out.note("types", frame.types.is_some());
        out.note("masses", frame.masses.is_some());
        out.note("charges", frame.charges.is_some());
        out.note("energy", frame.energy.is_some());
        out.note("stress", frame.stress.is_some());
        out.note("pbc", frame.pbc.is_some_and(|p| p != [frame.cell.is_some(); 3]));
        out.note("topology", frame.topology.is_some());
        out.properties(frame);
        if lambda(frame).is_some() {
            out.0.retain(|name| name != "lambda");
        }
        out
    }
}
