//! What a picture shows, whatever it is of and however it is drawn.

use super::axis::Axis;

/// How the points of a line are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Joined.
    Line,
    /// Each by itself.
    Points,
    /// In pairs: the upper left and the upper right corner of a bar that stands on 0.
    Bars,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) style: Style,
    /// Place along both axes, finite; points between two gaps are joined.
    pub(super) parts: Vec<Vec<(f64, f64)>>,
}

/// A picture with two axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    /// Whether values grow downwards.
    pub(super) invert_y: bool,
    /// Whether places along the first axis are logarithms to base 10.
    pub(super) log_x: bool,
    pub(super) lines: Vec<Line>,
}

impl Chart {
    /// The least and the greatest place along each axis, with some room; 0 to 1 without points.
    pub(super) fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        let all = || self.lines.iter().flat_map(|line| line.parts.iter().flatten());
        let span = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            room(low, high)
        };
        let (across, mut up) = (span(&mut all().map(|p| p.0)), span(&mut all().map(|p| p.1)));
        if self.lines.iter().any(|line| line.style == Style::Bars) {
            up.0 = 0.0;
        }
        (across, up)
    }

    /// The axis below and the axis beside.
    pub(super) fn axes(&self) -> (Axis, Axis) {
        let ((left, right), (low, high)) = self.bounds();
        // Bars count items: only integers are marked.
        let whole = self.lines.iter().any(|line| line.style == Style::Bars);
        let across = Axis { low: left, high: right, inverted: false, log: self.log_x, whole };
        (across, Axis { low, high, inverted: self.invert_y, log: false, whole })
    }
}

/// A little more than from `low` to `high`.
fn room(low: f64, high: f64) -> (f64, f64) {
    if low > high {
        return (0.0, 1.0);
    }
    // Half of it at a time: the difference itself may be too large for a number.
    let mut some = (high / 2.0 - low / 2.0) * 0.06;
    if some <= low.abs().max(high.abs()) * 1e-12 {
        some = (low.abs() * 0.05).max(0.5);
    }
    let (low, high) = (low - some, high + some);
    (low.max(-f64::MAX / 4.0), high.min(f64::MAX / 4.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(points: &[(f64, f64)]) -> ((f64, f64), (f64, f64)) {
        let line = Line { name: String::new(), style: Style::Line, parts: vec![points.to_vec()] };
        Chart {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            invert_y: false,
            log_x: false,
            lines: vec![line],
        }
        .bounds()
    }

    #[test]
    fn bounds_have_an_extent_whatever_the_points_are() {
        assert_eq!(bounds(&[]), ((0.0, 1.0), (0.0, 1.0)));
        for points in [
            &[(5.0, 5.0)][..],
            &[(0.0, -1e300), (1e-300, 1e300)],
            &[(-f64::MAX, f64::MAX), (f64::MAX, -f64::MAX)],
            &[(1e15, 1.0), (1e15, 1.0)],
        ] {
            let ((left, right), (low, high)) = bounds(points);
            assert!(left < right && low < high, "{points:?}");
            assert!((right - left).is_finite() && (high - low).is_finite(), "{points:?}");
        }
    }
}
