//! Frames to a DCD file: little-endian, 32-bit lengths of records, as CHARMM 24, NAMD and OpenMM
//! write it.

use super::cell;
use super::head::AKMA;
use crate::codec::{MdFrame, Real};
use crate::error::{Error, Result};
use crate::formats::unfit::{LEAVE_OUT, single, step, three_each, unfit};
use crate::formats::writer::{FrameEncoder, LeftOut, Patch};

/// Version of CHARMM in the header: angles of the cell are cosines.
const VERSION: i32 = 24;
const TITLES: [&str; 2] = ["Created by vlstore", "lengths in Angstrom, time in AKMA units"];

/// Encodes frames. The header needs the second frame, so the first one waits for it.
#[derive(Default)]
pub(in crate::formats) struct DcdEncoder {
    file: Option<Begun>,
}

/// What the first frame decides.
struct Begun {
    atoms: usize,
    cell: bool,
    step: Option<i64>,
    time: Option<f64>,
    /// The first frame, until the header is written.
    waiting: Vec<u8>,
    frames: u64,
    grid: Grid,
}

/// Steps and times of frames, as the header says them.
#[derive(Clone, Copy, Default)]
struct Grid {
    start: i32,
    interval: i32,
    /// In picoseconds.
    step_time: f64,
}

impl Grid {
    /// From the first frame and the second, if there is one.
    fn of(step: Option<i64>, time: Option<f64>, next: Option<(Option<i64>, Option<f64>)>) -> Self {
        let (next_step, next_time) = next.unwrap_or_default();
        let passed = time.zip(next_time).map(|(a, b)| b - a).filter(|dt| *dt > 0.0);
        let start = step.and_then(|s| i32::try_from(s).ok());
        let interval = step.zip(next_step).and_then(|(a, b)| i32::try_from(b.checked_sub(a)?).ok());
        match (start, interval.filter(|n| *n > 0), passed) {
            (Some(start), Some(interval), passed) => {
                let step_time = passed.map_or(0.0, |dt| dt / f64::from(interval));
                Self { start, interval, step_time }
            }
            // Without steps each frame is one.
            (None, _, Some(dt)) => {
                #[expect(clippy::cast_possible_truncation, reason = "a float turns to the nearest")]
                let start = (time.unwrap_or_default() / dt).round() as i32;
                Self { start, interval: 1, step_time: dt }
            }
            (Some(start), ..) => {
                let alone = time.filter(|t| *t > 0.0 && start > 0 && next.is_none());
                let step_time = alone.map_or(0.0, |t| t / f64::from(start));
                Self { start, interval: 1, step_time }
            }
            (None, _, None) => Self { start: 0, interval: 1, step_time: 0.0 },
        }
    }

    fn step(self, frame: u64) -> Option<i64> {
        i64::try_from(frame).ok()?.checked_mul(self.interval.into())?.checked_add(self.start.into())
    }

    /// Whether a reader gets this time back, but for rounding.
    fn has_time(self, frame: u64, time: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a time has no more digits")]
        let found = self.step(frame).unwrap_or_default() as f64 * self.step_time;
        let between = f64::from(self.interval) * self.step_time;
        (found - time).abs() <= 1e-3 * between + 1e-6 * time.abs()
    }
}

fn record(body: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length = i32::try_from(body.len()).map_err(|_| Error::Limit {
        what: "bytes of a record of DCD",
        asked: body.len() as u64,
        max: (1 << 31) - 1,
    })?;
    out.extend(length.to_le_bytes());
    out.extend(body);
    out.extend(length.to_le_bytes());
    Ok(())
}

/// The records before the frames. How many these are is not known yet.
fn header(atoms: usize, cell: bool, grid: Grid, out: &mut Vec<u8>) -> Result<()> {
    let mut words = [0_i32; 20];
    let delta = single("DCD", "time", None, grid.step_time / AKMA)?;
    for (at, word) in [
        (1, grid.start),
        (2, grid.interval),
        (9, delta.to_bits().cast_signed()),
        (10, cell.into()),
        (19, VERSION),
    ] {
        if let Some(place) = words.get_mut(at) {
            *place = word;
        }
    }
    let mut body = b"CORD".to_vec();
    body.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    record(&body, out)?;
    let mut body = 2_i32.to_le_bytes().to_vec();
    body.extend(TITLES.iter().flat_map(|t| format!("{t:80}").into_bytes()));
    record(&body, out)?;
    let atoms = i32::try_from(atoms).map_err(|_| too_many(atoms))?;
    record(&atoms.to_le_bytes(), out)
}

const fn too_many(atoms: usize) -> Error {
    // The length of a record of one axis is a number of 32 bits.
    Error::Limit { what: "number of atoms", asked: atoms as u64, max: ((1 << 31) - 1) / 4 }
}

/// One axis of all positions.
fn axis(positions: &Real, axis: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match positions {
        Real::F32(v) => {
            out.extend(v.iter().skip(axis).step_by(3).flat_map(|x| x.to_le_bytes()));
        }
        Real::F64(v) => {
            for (site, x) in v.iter().skip(axis).step_by(3).enumerate() {
                out.extend(single("DCD", "positions", Some(site), *x)?.to_le_bytes());
            }
        }
    }
    Ok(out)
}

impl DcdEncoder {
    /// Refuses a frame that does not belong to those before it.
    fn fits(&self, frame: &MdFrame) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if file.atoms != frame.nsites {
            let why = format!(
                "the frame has {} atoms, and those before it in the file {}, where DCD has one \
                 number for all",
                frame.nsites, file.atoms
            );
            let remedy = "write frames of one number of atoms, or extended XYZ";
            return Err(unfit("DCD", "positions", None, why, remedy));
        }
        if frame.cell.is_some() && !file.cell {
            let why = "the first frame of the file has no cell, and then DCD has none at all";
            let remedy = "leave the cell out (--fields positions,step,time), or write extended XYZ";
            return Err(unfit("DCD", "cell", None, why, remedy));
        }
        Ok(())
    }
}

impl FrameEncoder for DcdEncoder {
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()> {
        let positions = frame.positions.as_ref().ok_or_else(|| {
            let why = "there are none, and DCD holds little else";
            unfit("DCD", "positions", None, why, LEAVE_OUT)
        })?;
        three_each("DCD", "positions", positions, frame.nsites)?;
        self.fits(frame)?;
        step("DCD", frame.step)?;
        if frame.nsites > ((1 << 31) - 1) / 4 {
            return Err(too_many(frame.nsites));
        }
        let six = cell::encode(frame.cell).ok_or_else(|| {
            let why = "DCD has lengths and angles for it, and these cell vectors are turned: the \
                       first is not along x, or the second not in the plane of x and y";
            let remedy = "leave the cell out (--fields positions,step,time), or write TRR or \
                          extended XYZ";
            unfit("DCD", "cell", None, why, remedy)
        })?;
        let mut bytes = Vec::new();
        if self.file.as_ref().map_or(frame.cell.is_some(), |file| file.cell) {
            let body: Vec<u8> = six.iter().flat_map(|x| x.to_le_bytes()).collect();
            record(&body, &mut bytes)?;
        }
        for number in 0..3 {
            record(&axis(positions, number)?, &mut bytes)?;
        }
        let Some(file) = &mut self.file else {
            self.file = Some(Begun {
                atoms: frame.nsites,
                cell: frame.cell.is_some(),
                step: frame.step,
                time: frame.time,
                waiting: bytes,
                frames: 1,
                grid: Grid::of(frame.step, frame.time, None),
            });
            return Ok(());
        };
        if file.frames == 1 {
            let grid = Grid::of(file.step, file.time, Some((frame.step, frame.time)));
            header(file.atoms, file.cell, grid, out)?;
            file.grid = grid;
            out.append(&mut file.waiting);
        }
        out.append(&mut bytes);
        file.frames += 1;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Vec<Patch>> {
        let Some(file) = &mut self.file else {
            header(0, false, Grid::default(), out)?;
            return Ok(Vec::new());
        };
        if file.frames == 1 {
            header(file.atoms, file.cell, file.grid, out)?;
            out.append(&mut file.waiting);
        }
        // Number of frames and last step, behind the length and the name.
        let frames = i32::try_from(file.frames).unwrap_or_default();
        let last = file.grid.step(file.frames - 1).and_then(|n| i32::try_from(n).ok());
        let patch = |at, word: i32| Patch { at, bytes: word.to_le_bytes().into() };
        Ok(vec![patch(8, frames), patch(20, last.unwrap_or_default())])
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
        out.note("precision", frame.precision.is_some());
        out.note("pbc", frame.pbc.is_some_and(|p| p != [frame.cell.is_some(); 3]));
        out.note("topology", frame.topology.is_some());
        if let Some(file) = self.file.as_ref().filter(|file| file.frames > 1) {
            let number = file.frames - 1;
            let step = |s: i64, n| file.grid.step(n) != Some(s);
            let first = file.step.is_some_and(|s| step(s, 0));
            out.note("step", first || frame.step.is_some_and(|s| step(s, number)));
            let time = |t: f64, n| !file.grid.has_time(n, t);
            let first = file.time.is_some_and(|t| time(t, 0));
            out.note("time", first || frame.time.is_some_and(|t| time(t, number)));
        }
        out.properties(frame);
        out
    }
}
