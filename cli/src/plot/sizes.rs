//! How large the records of a store are: how many records have which size.

use super::chart::{Line, Style};
use vlstore::{Column, ColumnValues, Error, Readable, Result, Snapshot};

/// Records whose sizes are read together.
const WINDOW: u64 = 1 << 16;
/// Bars, at most.
const BARS: u16 = 50;
/// From this ratio of the largest to the smallest on, the axis is logarithmic.
const WIDE: f64 = 50.0;

/// Bars, and how they are meant.
pub(super) struct Found {
    pub(super) line: Line,
    pub(super) records: u64,
    pub(super) log: bool,
}

/// How the values of `column` (`bytes` or `weight`) are distributed. Reads the index twice: for the ends, and to count.
pub(super) fn distribution(store: &Snapshot, column: &Column) -> Result<Found> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    each(store, column, |v| (low, high) = (low.min(v), high.max(v)))?;
    if low > high {
        return Err(Error::invalid("store", "has no record to draw"));
    }
    let log = low >= 1.0 && high / low >= WIDE;
    let edges = edges(low, high, log);
    let mut counts = vec![0_u64; edges.len().saturating_sub(1)];
    each(store, column, |v| {
        // The bar whose left edge is the last that is not above the value.
        let bar = edges.partition_point(|e| *e <= v).saturating_sub(1).min(counts.len() - 1);
        if let Some(count) = counts.get_mut(bar) {
            *count += 1;
        }
    })?;
    let shown = |edge: f64| if log { edge.log10() } else { edge };
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53 are exact")]
    let bars = edges.windows(2).zip(&counts).flat_map(|(ends, count)| {
        let [from, to] = [ends.first(), ends.last()].map(|e| shown(e.copied().unwrap_or(0.0)));
        [(from, *count as f64), (to, *count as f64)]
    });
    let line = Line { name: String::new(), style: Style::Bars, parts: vec![bars.collect()] };
    Ok(Found { line, records: store.len(), log })
}

/// The edges of the bars. Sizes are integers, so edges lie halfway between two of them.
fn edges(low: f64, high: f64, log: bool) -> Vec<f64> {
    let (from, to) = (low - 0.5, high + 0.5);
    if log {
        let ratio = (to / from).powf(1.0 / f64::from(BARS));
        return (0..=BARS).map(|n| from * ratio.powi(n.into())).collect();
    }
    // One size alone, with some room beside it.
    let (from, to) = if to - from < 5.0 { (from - 2.0, to + 2.0) } else { (from, to) };
    let wide = ((to - from) / f64::from(BARS)).ceil().max(1.0);
    let edges = (0..=BARS).map(|n| from + f64::from(n) * wide);
    let mut edges: Vec<f64> = edges.take_while(|e| *e < to).collect();
    edges.push(from + wide * f64::from(u16::try_from(edges.len()).unwrap_or(BARS)));
    edges
}

#[expect(clippy::cast_precision_loss, reason = "lengths below 2^53 are exact")]
fn each(store: &Snapshot, column: &Column, mut take: impl FnMut(f64)) -> Result<()> {
    let mut next = 0;
    while next < store.len() {
        let end = store.len().min(next.saturating_add(WINDOW));
        if let ColumnValues::I64(values) = store.column(&column.name, next..end)?.values {
            values.into_iter().filter(|v| *v != i64::MIN).for_each(|v| take(v as f64));
        }
        next = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vlstore::{StoreOptions, Writer};

    fn of(lengths: &[usize]) -> Found {
        let mut writer = Writer::in_memory(&StoreOptions::default()).unwrap();
        for length in lengths {
            writer.push(&vec![0; *length]).unwrap();
        }
        writer.commit().unwrap();
        distribution(&writer.snapshot().unwrap(), &Column::BYTES).unwrap()
    }

    fn bars(found: &Found) -> Vec<(f64, f64, f64)> {
        let pairs = found.line.parts[0].as_chunks::<2>().0;
        pairs.iter().map(|[(from, n), (to, _)]| (*from, *to, *n)).collect()
    }

    #[test]
    fn every_record_is_in_the_bar_of_its_size() {
        let some = bars(&of(&[7, 9, 9]));
        assert_eq!(some.len(), 7);
        assert_eq!(some[2..5], [(6.5, 7.5, 1.0), (7.5, 8.5, 0.0), (8.5, 9.5, 2.0)]);
        assert!(bars(&of(&[40; 3])).contains(&(39.5, 40.5, 3.0)));
        for lengths in [vec![0, 10, 2000], (0..300).collect(), vec![1, 1, 60_000], vec![100, 5000]]
        {
            let found = of(&lengths);
            let bars = bars(&found);
            assert!(bars.len() <= 50 && found.records == lengths.len() as u64);
            assert_eq!(found.log, lengths[0] > 0, "{lengths:?}");
            let back = |e: f64| if found.log { 10_f64.powf(e) } else { e };
            for (from, to, n) in &bars {
                let inside = |l: &&usize| (back(*from)..back(*to)).contains(&(**l as f64));
                assert_eq!(lengths.iter().filter(inside).count() as f64, *n, "{from} {to}");
            }
            assert_eq!(bars.iter().map(|b| b.2).sum::<f64>(), lengths.len() as f64);
        }
        let empty = Writer::in_memory(&StoreOptions::default()).unwrap().snapshot().unwrap();
        assert!(distribution(&empty, &Column::BYTES).is_err());
    }
}
