//! Series of a store as lines of a picture, read block by block and thinned to what a picture can show.

use super::chart::{Line, Style};
use crate::keys;
use crate::ranges::Slice;
use vlstore::series::lazy::Expr;
use vlstore::series::{SeriesReader, Stored};
use vlstore::{Error, Key, Result, Snapshot};

/// Which series, and which of their points.
pub(super) struct Chosen<'a> {
    pub(super) ids: &'a [Key],
    /// How many if none are named.
    pub(super) most: usize,
    pub(super) range: Option<Slice>,
}

/// Lines, and how much they stand for.
pub(super) struct Found {
    pub(super) lines: Vec<Line>,
    /// Points that were read.
    pub(super) points: u64,
    /// Series that were not chosen.
    pub(super) left_out: u64,
}

/// The lines of a picture `width` pixels wide: one for each channel.
pub(super) fn lines(
    store: &Snapshot,
    chosen: &Chosen<'_>,
    style: Style,
    width: u32,
) -> Result<Found> {
    let reader = SeriesReader::new(store.clone())?;
    let mut out = Found { lines: Vec::new(), points: 0, left_out: 0 };
    let named: Vec<Key>;
    let ids = if chosen.ids.is_empty() {
        let all = reader.lengths()?;
        out.left_out = all.len().saturating_sub(chosen.most) as u64;
        named = all.into_iter().take(chosen.most).map(|(id, _)| id).collect();
        &named
    } else {
        chosen.ids
    };
    if ids.is_empty() {
        return Err(Error::invalid("store", "has no series to draw"));
    }
    for id in ids {
        let series = Expr::stored(reader.values(id)?);
        let range = match chosen.range {
            None => 0..series.len(),
            Some(slice) => {
                let mut chosen = slice.of(series.len());
                if slice.step() != 1 {
                    return Err(Error::invalid(
                        "range",
                        "has a step; a line is drawn of all points",
                    ));
                }
                let count = chosen.len() as u64;
                let first = chosen.next().unwrap_or(0);
                first..first + count
            }
        };
        let len = range.end - range.start;
        out.points += len;
        let several = series.channels() > 1;
        let name = |channel| {
            let name = keys::show(id);
            if several { format!("{name} [{channel}]") } else { name }
        };
        // Two points for each column of the picture, or more where there are not so many.
        let bucket = (len / (2 * u64::from(width)).max(1)).max(1);
        let mut thin: Vec<Thin> = (0..series.channels()).map(|_| Thin::new(bucket)).collect();
        let part = series.slice(range)?;
        for block in part.blocks(0) {
            add(&block?, &part, &mut thin);
        }
        for (channel, thin) in thin.into_iter().enumerate() {
            out.lines.push(Line { name: name(channel), style, parts: thin.end() });
        }
    }
    Ok(out)
}

/// Adds a block to each channel. A series without times that is drawn from its start counts from 0.
fn add(block: &Stored, series: &Expr, thin: &mut [Thin]) {
    for (thin, values) in thin.iter_mut().zip(&block.channels) {
        match &block.times {
            Some(times) => times.iter().zip(values).for_each(|(t, v)| thin.add(*t, *v)),
            None => values.iter().for_each(|v| {
                #[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
                let time = thin.seen as f64;
                debug_assert!(!series.has_times());
                thin.add(time, *v);
            }),
        }
    }
}

/// Points of which few are kept: the least and the greatest of so many neighbours.
struct Thin {
    bucket: u64,
    seen: u64,
    /// Points of the bucket under way.
    held: u64,
    least: Option<(u64, f64, f64)>,
    greatest: Option<(u64, f64, f64)>,
    parts: Vec<Vec<(f64, f64)>>,
}

impl Thin {
    fn new(bucket: u64) -> Self {
        Self { bucket, seen: 0, held: 0, least: None, greatest: None, parts: vec![Vec::new()] }
    }

    fn add(&mut self, time: f64, value: f64) {
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

    fn end(mut self) -> Vec<Vec<(f64, f64)>> {
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
