//! Straight lines between two values.

/// The value at `t`, from 0 at `a` to 1 at `b`; infinite where `a` or `b` is and `t` is in between.
pub(super) fn line(a: f64, b: f64, t: f64) -> f64 {
    if t == 0.0 || a == b {
        return a;
    }
    let difference = b - a;
    // An infinite value takes all in between with it; and the difference of finite ones can be too large.
    if difference.is_finite() { a + difference * t } else { a * (1.0 - t) + b * t }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinite_and_very_large_values_are_no_nan() {
        let inf = f64::INFINITY;
        assert_eq!(line(1.0, 3.0, 0.5), 2.0);
        for (a, b) in [(inf, inf), (inf, 1.0), (1.0, inf)] {
            assert_eq!(line(a, b, 0.25), inf);
            assert_eq!(line(-a, -b, 0.25), -inf);
        }
        assert_eq!(line(1.0, inf, 0.0), 1.0);
        assert_eq!(line(-1.5e308, 1.5e308, 0.5), 0.0);
        assert!(line(-inf, inf, 0.5).is_nan());
        assert!(line(f64::NAN, 1.0, 0.5).is_nan());
    }
}
