//! An axis: which places are marked, and how a mark is written.

/// An axis with marks at round numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether it runs the other way.
    pub(super) inverted: bool,
    /// Whether its numbers are the logarithms to base 10 of what is shown.
    pub(super) log: bool,
    /// Whether only integers are marked.
    pub(super) whole: bool,
}

/// The distance of marks so that there are at most `most`: 1, 2 or 5 times a power of 10.
fn step(extent: f64, most: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let rough = extent / most.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|n| n * power).find(|s| *s >= rough).unwrap_or(10.0 * power)
}

impl Axis {
    /// Where between 0 and 1 a number lies.
    pub(super) fn part(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        if self.inverted { 1.0 - part } else { part }
    }

    /// Round numbers, at most so many.
    pub(super) fn marks(&self, most: usize) -> Vec<f64> {
        if self.log {
            let powers = self.powers();
            let fit = powers.len().max(1) <= most;
            return if fit && powers.len() > 1 { powers } else { self.linear(most) };
        }
        self.linear(most)
    }

    /// The distance of marks. Of logarithms only whole ones are round numbers.
    fn step(&self, most: usize) -> f64 {
        let least = if self.whole || self.log { 1.0 } else { 0.0 };
        step(self.high - self.low, most).max(least)
    }

    /// The powers of ten; with twice and five times of them where there are few.
    fn powers(&self) -> Vec<f64> {
        let few = self.high - self.low < 3.0;
        let between: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (0..64).map(|n| self.low.floor() + f64::from(n));
        let marks = powers.flat_map(|p| between.iter().map(move |b| p + b.log10()));
        marks.take_while(|m| *m <= self.high).filter(|m| *m >= self.low).collect()
    }

    fn linear(&self, most: usize) -> Vec<f64> {
        let step = self.step(most);
        let first = (self.low / step).ceil();
        let marks = (0..64).map(|n| (first + f64::from(n)) * step);
        marks.take_while(|mark| *mark <= self.high).collect()
    }

    /// A mark as text, with as many digits as tell it from its neighbours.
    pub(super) fn text(&self, mark: f64, most: usize) -> String {
        if self.log {
            let value = 10_f64.powf(mark);
            let digits = 10_f64.powf(mark.floor());
            return shown((value / digits).round() * digits, digits);
        }
        shown(mark, self.step(most))
    }
}

/// A number with as many digits as tell it from one that is `step` away.
fn shown(value: f64, step: f64) -> String {
    let value = if value.abs() < step / 1e6 { 0.0 } else { value };
    let size = value.abs().max(step);
    if !(1e-4..1e7).contains(&size) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 17")]
        let digits = ((size / step).log10().floor()).clamp(0.0, 17.0) as usize;
        let text = format!("{value:.digits$e}");
        return text.replace('-', "\u{2212}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{value:.digits$}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_told_apart() {
        assert_eq!([step(1.0, 10), step(7.3, 10), step(48000.0, 10)], [0.1, 1.0, 5000.0]);
        assert_eq!(shown(-0.30000000000000004, 0.1), "\u{2212}0.3");
        assert_eq!(shown(1e-17, 0.1), "0.0");
        assert_eq!(shown(48_823.5, 0.5), "48823.5");
        assert_eq!(shown(2e300, 1e300), "2e300");
        let axis = Axis { low: 0.13, high: 0.91, inverted: false, log: false, whole: false };
        let marks = axis.marks(10);
        assert!(marks.len() > 4 && marks.iter().all(|m| (0.13..=0.91).contains(m)), "{marks:?}");
        let counts = Axis { low: -0.2, high: 2.2, whole: true, ..axis };
        assert_eq!(
            counts.marks(10).iter().map(|m| counts.text(*m, 10)).collect::<Vec<_>>(),
            ["0", "1", "2"]
        );
        assert!((axis.part(0.52) - 0.5).abs() < 1e-12);
        assert!((Axis { inverted: true, ..axis }.part(0.13) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn marks_of_a_logarithmic_axis_are_powers_of_ten() {
        let texts = |low: f64, high: f64| {
            let axis = Axis { low, high, inverted: false, log: true, whole: false };
            axis.marks(10).iter().map(|m| axis.text(*m, 10)).collect::<Vec<_>>()
        };
        assert_eq!(texts(1.9, 4.1), ["100", "200", "500", "1000", "2000", "5000", "10000"]);
        assert_eq!(texts(1.9, 6.1), ["100", "1000", "10000", "100000", "1000000"]);
        assert_eq!(texts(0.0, 30.0).len(), 7);
    }
}
