//! Points of a line, thinned to what a picture can show.

/// Points of which few are kept: the least and the greatest of so many neighbours.
pub(super) struct Thin {
    bucket: u64,
    seen: u64,
    /// Points of the bucket under way.
    held: u64,
    least: Option<(u64, f64, f64)>,
    greatest: Option<(u64, f64, f64)>,
    parts: Vec<Vec<(f64, f64)>>,
}

impl Thin {
    /// For `len` points in a picture `width` columns wide: two for each column, or all where there are not so many.
    pub(super) fn of(len: u64, width: u32) -> Self {
        Self::new((len / (2 * u64::from(width)).max(1)).max(1))
    }

    /// Points so far.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn new(bucket: u64) -> Self {
        Self { bucket, seen: 0, held: 0, least: None, greatest: None, parts: vec![Vec::new()] }
    }

    pub(super) fn add(&mut self, time: f64, value: f64) {
        let number = self.seen;
        self.seen += 1;
        if !time.is_finite() || !value.is_finite() {
            self.flush();
            if self.parts.last().is_some_and(|p| !p.is_empty()) {
                self.parts.push(Vec::new());
            }
            return;
        }
        if self.least.is_none_or(|(_, _, v)| value < v) {
            self.least = Some((number, time, value));
        }
        if self.greatest.is_none_or(|(_, _, v)| value > v) {
            self.greatest = Some((number, time, value));
        }
        self.held += 1;
        if self.held >= self.bucket {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut both = [self.least.take(), self.greatest.take()];
        both.sort_by_key(|p| p.map(|(number, _, _)| number));
        self.held = 0;
        let [first, second] = both;
        let second = second.filter(|s| first.is_none_or(|f| f.0 != s.0));
        if let Some(part) = self.parts.last_mut() {
            part.extend(first.into_iter().chain(second).map(|(_, t, v)| (t, v)));
        }
    }

    pub(super) fn end(mut self) -> Vec<Vec<(f64, f64)>> {
        self.flush();
        self.parts.retain(|part| !part.is_empty());
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_survive_and_what_is_no_number_is_a_gap() {
        let mut thin = Thin::new(100);
        for i in 0..1000 {
            let value = if i == 523 { 77.0 } else { f64::from(i % 7) };
            thin.add(f64::from(i), if i == 700 { f64::NAN } else { value });
        }
        let parts = thin.end();
        assert_eq!(parts.len(), 2);
        let all: Vec<(f64, f64)> = parts.concat();
        assert!(all.len() <= 24 && all.contains(&(523.0, 77.0)), "{}", all.len());
        assert!(all.is_sorted_by(|a, b| a.0 < b.0));
        let mut few = Thin::new(1);
        for (t, v) in [(0.0, 1.0), (1.0, f64::INFINITY), (2.0, 3.0)] {
            few.add(t, v);
        }
        assert_eq!(few.end(), [[(0.0, 1.0)], [(2.0, 3.0)]]);
    }
}
