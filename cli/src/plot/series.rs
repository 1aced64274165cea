//! Series of a store as lines of a picture, read block by block.

use super::chart::{Line, Style};
use super::thin::Thin;
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
                        "has a step, but a line is drawn through all points",
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
        let mut thin: Vec<Thin> = (0..series.channels()).map(|_| Thin::of(len, width)).collect();
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
                let time = thin.seen() as f64;
                debug_assert!(!series.has_times());
                thin.add(time, *v);
            }),
        }
    }
}
