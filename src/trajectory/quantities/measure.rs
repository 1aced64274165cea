//! Frames one after another: window by window, from the index or by several threads.

use super::arrays::cell_volume;
use super::method::{MeasureOptions, Measured, Method, lacking};
use crate::column::ColumnValues;
use crate::error::{Error, Result};
use crate::store::read::share_out::share_out;
use crate::trajectory::atoms::Atoms;
use crate::trajectory::choice::Choice;
use crate::trajectory::export::next_part;
use crate::trajectory::reader::Trajectory;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::thread;

/// The numbers of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The ordinal of the frame.
    pub ordinal: u64,
    /// Its step.
    pub step: Option<i64>,
    /// Its time, in the unit of the store.
    pub time: Option<f64>,
    /// The numbers: one, or all of a property in C order; NaN for a frame without it.
    pub values: Vec<f64>,
}

/// Records whose stored numbers are read together.
const WINDOW: u64 = 1 << 14;
/// Atoms from which on it is worth it to share the work of a window.
const SHARED: usize = 20_000;
/// Shares of a window for each thread, so that a slow one is waited for only a little.
const SHARES: usize = 4;

/// Measures the chosen frames in their order and hands the numbers to `each`, some frames at a time.
///
/// # Errors
/// [`Error::Invalid`] if no frame has the quantity (the message names those that the first frame has), if the
/// atoms are not there, if numbers of atoms differ from the reference, or if the units that a temperature needs
/// are not stated; as [`Depot::get_batch_at`](crate::Depot::get_batch_at); what `each` returns.
pub fn measure(
    trajectory: &Trajectory,
    options: &MeasureOptions,
    mut each: impl FnMut(Vec<Sample>) -> Result<()>,
) -> Result<Measured> {
    options.atoms.check()?;
    let len = trajectory.len();
    let Some(first) = options.frames.at(0, len) else {
        return Err(Error::invalid("store", "has no frame to measure"));
    };
    let first = trajectory.get_at(first)?;
    let first = first.view()?;
    let (method, mut out) = Method::choose(trajectory, options, &first)?;
    let mut seen = 0;
    while seen < options.frames.count(len) {
        let samples = match method.column(trajectory) {
            Some(column) => kept(trajectory, column, &options.frames, seen)?,
            None => decoded(trajectory, &method, options.atoms, &options.frames, seen)?,
        };
        seen += samples.len() as u64;
        out.frames = seen;
        let has = |s: &&Sample| s.values.iter().any(|v| v.is_finite());
        out.counted += samples.iter().filter(has).count() as u64;
        if samples.is_empty() {
            break;
        }
        each(samples)?;
    }
    if out.counted == 0 {
        return Err(lacking(trajectory, options, &first, "no frame has it"));
    }
    Ok(out)
}

/// The next samples of a quantity that the index has.
fn kept(trajectory: &Trajectory, column: &str, frames: &Choice, from: u64) -> Result<Vec<Sample>> {
    let len = trajectory.len();
    let mut ordinals = Vec::new();
    let mut span: Option<Range<u64>> = None;
    while let Some(ordinal) = frames.at(from + ordinals.len() as u64, len) {
        let wider = match &span {
            None => ordinal..ordinal + 1,
            Some(s) => s.start.min(ordinal)..s.end.max(ordinal + 1),
        };
        if wider.end - wider.start > WINDOW || ordinals.len() as u64 >= WINDOW {
            break;
        }
        span = Some(wider);
        ordinals.push(ordinal);
    }
    let Some(span) = span else { return Ok(Vec::new()) };
    let read = |name: &str| trajectory.column_range(name, span.clone());
    let (values, steps, times) = (read(column)?, read("step")?, read("time")?);
    let sample = |ordinal: u64| {
        let i = usize::try_from(ordinal - span.start).unwrap_or(usize::MAX);
        let real = |column: &ColumnValues, i: usize| match column {
            ColumnValues::F64(v) => v.get(i).copied().unwrap_or(f64::NAN),
            ColumnValues::I64(_) => f64::NAN,
        };
        let value = if column == "cell" {
            let [at, ..] = [i.saturating_mul(9)];
            let cell = std::array::from_fn(|k| real(&values.values, at.saturating_add(k)));
            cell_volume(Some(cell))
        } else {
            real(&values.values, i)
        };
        let step = match &steps.values {
            ColumnValues::I64(v) => v.get(i).copied().filter(|s| *s != i64::MIN),
            ColumnValues::F64(_) => None,
        };
        let time = Some(real(&times.values, i)).filter(|t| t.is_finite());
        Sample { ordinal, step, time, values: vec![value] }
    };
    Ok(ordinals.into_iter().map(sample).collect())
}

/// The next samples of a quantity for which records are decoded.
fn decoded(
    trajectory: &Trajectory,
    method: &Method,
    atoms: Atoms,
    frames: &Choice,
    from: u64,
) -> Result<Vec<Sample>> {
    let part = next_part(trajectory, frames, from)?;
    let items = trajectory.get_batch_at(&part)?;
    let some = |range: Range<usize>| -> Result<(usize, Vec<Sample>)> {
        let mut sites = 0_usize;
        let samples = range.clone().zip(part.get(range).unwrap_or_default()).map(|(i, ordinal)| {
            let frame = items.view(i)?;
            sites = sites.saturating_add(frame.nsites());
            let values = method.values(trajectory, &frame, atoms)?;
            Ok(Sample { ordinal: *ordinal, step: frame.step(), time: frame.time(), values })
        });
        let samples = samples.collect::<Result<Vec<_>>>()?;
        Ok((sites, samples))
    };
    // The first frame tells how much there is to do.
    let (sites, mut out) = some(0..part.len().min(1))?;
    let rest = part.len() - out.len();
    let threads = if sites.saturating_mul(rest) < SHARED {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZeroUsize::get).min(rest)
    };
    let share = rest.div_ceil(threads.saturating_mul(SHARES).max(1)).max(1);
    let shares: Vec<Range<usize>> = (1..part.len())
        .step_by(share)
        .map(|start| start..part.len().min(start.saturating_add(share)))
        .collect();
    let work = |(): &mut (), range| Ok(some(range)?.1);
    out.extend(share_out(threads, shares, || (), work)?.into_iter().flatten());
    Ok(out)
}
