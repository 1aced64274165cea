//! Percentiles: of values in memory by sorting them in part, of more by counting in passes.

use super::expr::{BLOCK, Expr};
use super::line::line;
use crate::error::{Error, Result};
use std::ops::Range;

/// Values of a channel up to which they are gathered: 16 MiB.
const GATHERED: u64 = 2 << 20;

/// The place of a number among all numbers, in the order of their values.
const fn place(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

const fn number(place: u64) -> f64 {
    f64::from_bits(if place >> 63 == 1 { place & !(1 << 63) } else { !place })
}

/// Refuses what is no percentile.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn check(wanted: &[f64]) -> Result<()> {
    match wanted.iter().find(|q| !(0.0..=100.0).contains(*q)) {
        None => Ok(()),
        Some(q) => Err(Error::invalid("percentile", format!("{q:?} is not between 0 and 100"))),
    }
}

/// The percentile `q` of sorted access to `n` values, between two neighbours by a straight line, as
/// NumPy's default has it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions below 2^53 are exact, and not negative"
)]
fn between(q: f64, n: u64) -> (u64, f64) {
    let at = q / 100.0 * (n - 1) as f64;
    let below = (at.floor() as u64).min(n - 1);
    (below, at - below as f64)
}

/// The percentiles of values in memory, which are brought into another order.
pub(super) fn of_values(values: &mut [f64], wanted: &[f64]) -> Vec<f64> {
    if values.is_empty() || values.iter().any(|x| x.is_nan()) {
        return vec![f64::NAN; wanted.len()];
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |i: u64| usize::try_from(i).ok().and_then(|i| values.get(i)).copied();
    let one = |q: &f64| {
        let (below, t) = between(*q, values.len() as u64);
        let low = at(below).unwrap_or(f64::NAN);
        line(low, at(below + 1).unwrap_or(low), t)
    };
    wanted.iter().map(one).collect()
}

/// The percentiles of one channel at the positions `range`: exact, in bounded memory, whatever the
/// number of values. Above some millions the values are read once for each 16 bits of the number.
///
/// # Errors
/// [`Error::Invalid`] for what is not between 0 and 100; as [`Expr::read`].
pub fn percentiles(
    series: &Expr,
    channel: usize,
    range: Range<u64>,
    wanted: &[f64],
) -> Result<Vec<f64>> {
    check(wanted)?;
    let range = range.start.min(series.len())..range.end.min(series.len());
    let n = range.end.saturating_sub(range.start);
    if n <= GATHERED {
        let mut values = Vec::new();
        each(series, channel, range, |x| values.push(x))?;
        return Ok(of_values(&mut values, wanted));
    }
    let mut nan = false;
    each(series, channel, range.clone(), |x| nan |= x.is_nan())?;
    if nan {
        return Ok(vec![f64::NAN; wanted.len()]);
    }
    let mut ranks: Vec<u64> = Vec::new();
    for q in wanted {
        let (below, _) = between(*q, n);
        ranks.extend([below, (below + 1).min(n - 1)]);
    }
    ranks.sort_unstable();
    ranks.dedup();
    let found = ranked(series, channel, &range, &ranks)?;
    let value = |rank: u64| {
        let at = ranks.binary_search(&rank).unwrap_or(0);
        found.get(at).copied().unwrap_or(f64::NAN)
    };
    let one = |q: &f64| {
        let (below, t) = between(*q, n);
        line(value(below), value((below + 1).min(n - 1)), t)
    };
    Ok(wanted.iter().map(one).collect())
}

fn each(series: &Expr, channel: usize, range: Range<u64>, mut f: impl FnMut(f64)) -> Result<()> {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at + BLOCK);
        let block = series.read(at..end)?;
        block.channels.get(channel).into_iter().flatten().for_each(|x| f(*x));
        at = end;
    }
    Ok(())
}

/// The values at these places of the sorted order: of each the upper bits are known, and the next 16
/// follow from a count of all values that share them.
fn ranked(series: &Expr, channel: usize, range: &Range<u64>, ranks: &[u64]) -> Result<Vec<f64>> {
    let mut prefixes = vec![0_u64; ranks.len()];
    // How many values lie below those with this prefix.
    let mut below = vec![0_u64; ranks.len()];
    for shift in [48_u32, 32, 16, 0] {
        let mut distinct = prefixes.clone();
        distinct.dedup();
        let mut counts = vec![0_u64; distinct.len() << 16];
        each(series, channel, range.clone(), |x| {
            let place = place(x);
            let upper = place.checked_shr(shift + 16).unwrap_or(0);
            if let Ok(which) = distinct.binary_search(&upper) {
                let digit = usize::try_from(place >> shift & 0xffff).unwrap_or(0);
                if let Some(count) = counts.get_mut((which << 16) + digit) {
                    *count += 1;
                }
            }
        })?;
        for ((rank, prefix), below) in ranks.iter().zip(&mut prefixes).zip(&mut below) {
            let which = distinct.binary_search(prefix).unwrap_or(0);
            let own = counts.get(which << 16..(which + 1) << 16).unwrap_or_default();
            for (digit, count) in (0_u64..).zip(own) {
                if *below + count > *rank {
                    *prefix = *prefix << 16 | digit;
                    break;
                }
                *below += count;
            }
        }
    }
    Ok(prefixes.into_iter().map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_the_numbers_and_lead_back() {
        let all = [f64::NEG_INFINITY, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, f64::INFINITY];
        for pair in all.windows(2) {
            assert!(place(pair[0]) < place(pair[1]));
        }
        for x in all {
            assert_eq!(number(place(x)).to_bits(), x.to_bits());
        }
    }
}
