//! A quantity of frames as lines of a picture.

use super::chart::{Line, Style};
use super::thin::Thin;
use crate::work::Work;
use vlstore::trajectory::quantities::{MeasureOptions, Measured, Quantity, Sample, measure};
use vlstore::trajectory::stated_unit;
use vlstore::{Readable, Result, Trajectory};

/// Lines of a property of several numbers, at most.
const MOST: usize = 10;

/// What the axis below is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum XAxis {
    /// Simulation time
    Time,
    /// Simulation step
    Step,
    /// Ordinal of the frame
    Frame,
}

/// Lines, and what they are.
pub(super) struct Found {
    pub(super) lines: Vec<Line>,
    pub(super) measured: Measured,
    pub(super) x_label: String,
    pub(super) y_label: String,
    /// Numbers of each frame that are not drawn.
    pub(super) left_out: u64,
}

/// Measures frames for a picture `width` columns wide.
pub(super) fn lines(
    trajectory: &Trajectory,
    options: &MeasureOptions,
    over: Option<XAxis>,
    (style, width): (Style, u32),
    work: &mut Work,
) -> Result<Found> {
    let total = options.frames.count(trajectory.len());
    let mut thin: Vec<Thin> = Vec::new();
    let mut over = over;
    let (mut done, mut left_out) = (0, 0);
    let measured = measure(trajectory, options, |samples| {
        if thin.is_empty() {
            let most = samples.iter().map(|s| s.values.len()).max().unwrap_or(0);
            left_out = most.saturating_sub(MOST) as u64;
            thin = (0..most.min(MOST)).map(|_| Thin::of(total, width)).collect();
            over = over.or_else(|| Some(best(samples.first()?)));
        }
        for sample in &samples {
            let place = place(sample, over.unwrap_or(XAxis::Frame));
            for (i, thin) in thin.iter_mut().enumerate() {
                thin.add(place, sample.values.get(i).copied().unwrap_or(f64::NAN));
            }
        }
        done += samples.len() as u64;
        work.step(done, total)
    })?;
    let several = thin.len() > 1;
    let name = |i: usize| if several { format!("[{i}]") } else { String::new() };
    let lines = thin.into_iter().enumerate();
    let lines = lines.map(|(i, thin)| Line { name: name(i), style, parts: thin.end() }).collect();
    let x_label = match over.unwrap_or(XAxis::Frame) {
        XAxis::Time => {
            let attributes = trajectory.snapshot().attributes();
            with_unit("time", stated_unit(&attributes, "time"))
        }
        XAxis::Step => "step".into(),
        XAxis::Frame => "frame".into(),
    };
    let y_label = with_unit(&title(&options.quantity), measured.unit.as_deref());
    Ok(Found { lines, measured, x_label, y_label, left_out })
}

/// Times if the first frame has one, else ordinals.
fn best(first: &Sample) -> XAxis {
    if first.time.is_some() { XAxis::Time } else { XAxis::Frame }
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn place(sample: &Sample, over: XAxis) -> f64 {
    match over {
        XAxis::Time => sample.time.unwrap_or(f64::NAN),
        XAxis::Step => sample.step.map_or(f64::NAN, |step| step as f64),
        XAxis::Frame => sample.ordinal as f64,
    }
}

/// A quantity as it is written in a picture.
pub(super) fn title(quantity: &Quantity) -> String {
    match quantity {
        Quantity::Rmsd { .. } => "RMSD".into(),
        Quantity::RadiusOfGyration => "radius of gyration".into(),
        Quantity::Property(name) => name.clone(),
        other => other.name(),
    }
}

/// A unit as it is written in a picture.
fn with_unit(what: &str, unit: Option<&str>) -> String {
    let Some(unit) = unit else { return what.into() };
    let unit = unit.replace("angstrom", "Å").replace("^3", "³");
    format!("{what} ({unit})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_as_in_a_paper() {
        assert_eq!(with_unit("volume", Some("angstrom^3")), "volume (Å³)");
        assert_eq!(with_unit("pressure", None), "pressure");
        assert_eq!(title(&Quantity::Rmsd { reference: 0 }), "RMSD");
        assert_eq!(title(&Quantity::Energy), "energy");
    }
}
