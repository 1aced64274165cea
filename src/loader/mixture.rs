//! Parts of the data of which an epoch has stated shares, whatever their sizes.
//!
//! An epoch is so many *draws*, and each part has the same number of them in every epoch: its share,
//! to within one record. A part is a stream of *passes*: in each pass every record of it comes once,
//! in an order of its own, and draws take up the stream where the epoch before left it. So a small
//! part is repeated, each time in another order, a large one goes on where it was, and nothing is
//! lost or repeated within a pass. The draws of all parts are merged evenly: among the first `t` of
//! an epoch each part has its share of `t` to within half a record, and with more than two parts half its share
//! of a record more for each further one. Where a part is after `t` draws is found by bisection, so that a place in
//! an epoch needs no memory.
//!
//! Why so near: at each time of the epoch a part has its share rounded, so it is at most half a record off. The sum
//! of all is then off by the sum of these, of which a part has its share; with n parts and a share s that leaves
//! (1 - s) / 2 of its own and s / 2 of each other one, together 1/2 + s (n - 2) / 2.

use super::order::{Order, Sequence, Shuffle};
use super::random::key_of;
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// What a key is used for.
const PART: u64 = 4;

/// Shares are integers of so many bits, so that counts are exact and the same on every machine.
const SHARE_BITS: i32 = 40;

/// Draws of an epoch, at most: places along it are exact.
const MOST: u64 = 1 << 53;

/// What the parts of a mixture count for.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// A number of 0 or more for each part; only their ratios count.
    Stated(Vec<f64>),
    /// In proportion to the number of records to the power of 1/T: with 1 as they are, with a
    /// larger T small parts come more often, with infinity all alike.
    Temperature(f64),
}

/// Records in parts, one part behind the other, and how many of each an epoch has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixture {
    parts: Arc<[Part]>,
    draws: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// The number of its first record.
    first: u64,
    records: u64,
    /// How many an epoch has of it.
    draws: u64,
}

/// Neighbours in the store that come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbours {
    pub(super) part: usize,
    /// Where in the epoch the first of them comes: larger ones come later.
    pub(super) place: u64,
    pub(super) records: Range<u64>,
}

impl Mixture {
    /// Parts with these names and numbers of records, of which an epoch has `draws` records together.
    ///
    /// # Errors
    /// [`Error::Invalid`] for weights that are not one for each part, negative, infinite or all 0, for
    /// a temperature that is not above 0, for a part without records that has a weight, and for a
    /// weight so small that an epoch has no record of its part: its name is in the message.
    pub fn new(parts: &[(impl AsRef<str>, u64)], weights: &Weights, draws: u64) -> Result<Self> {
        let shares = shares(parts, weights)?;
        let bad = |why: String| Error::invalid("weights", why);
        if draws > MOST {
            return Err(bad(format!("an epoch of {draws} records is above the limit of {MOST}")));
        }
        let all: u128 = shares.iter().map(|share| u128::from(*share)).sum();
        if all == 0 && draws > 0 {
            return Err(bad("the stores have no records".into()));
        }
        // Each its quota, rounded down; what is left goes to those with the largest rests.
        let quota = |share: &u64| u128::from(draws) * u128::from(*share);
        let whole = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        let mut counts: Vec<u64> =
            shares.iter().map(|share| whole(quota(share) / all.max(1))).collect();
        let mut rests: Vec<(u128, usize)> =
            shares.iter().map(|share| quota(share) % all.max(1)).zip(0..).collect();
        rests.sort_by_key(|(rest, at)| (std::cmp::Reverse(*rest), *at));
        let left = draws - counts.iter().sum::<u64>().min(draws);
        for (_, at) in rests.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            if let Some(count) = counts.get_mut(*at) {
                *count += 1;
            }
        }
        let mut first = 0;
        let mut out = Vec::new();
        for (((name, records), share), count) in parts.iter().zip(&shares).zip(&counts) {
            if *share > 0 && *count == 0 && draws > 0 {
                let name = name.as_ref();
                return Err(bad(format!(
                    "an epoch of {draws} records has none of {name}: give it a larger weight, or an \
                     epoch more records"
                )));
            }
            out.push(Part { first, records: *records, draws: *count });
            first += records;
        }
        Ok(Self { parts: out.into(), draws })
    }

    /// Number of records of all parts.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.parts.last().map_or(0, |last| last.first + last.records)
    }

    /// Number of records of an epoch.
    #[must_use]
    pub const fn draws(&self) -> u64 {
        self.draws
    }

    /// For each part its records, by their numbers, and how many an epoch has of them.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (Range<u64>, u64)> {
        self.parts.iter().map(|part| (part.first..part.first + part.records, part.draws))
    }

    /// A short name: that of no other mixture.
    #[must_use]
    pub fn name(&self) -> String {
        let counts = self.parts.iter().map(|part| part.draws);
        let each = self.parts.iter().flat_map(|part| [part.records, part.draws]);
        let key = key_of(&each.collect::<Vec<_>>());
        if self.parts.len() > 6 {
            return format!("{} parts {key:016x}", self.parts.len());
        }
        let shown: Vec<String> = counts.map(|n| n.to_string()).collect();
        format!("{} {key:016x}", shown.join("+"))
    }

    /// The order of an epoch.
    pub(super) fn sequence<'a>(&'a self, order: &'a Order, epoch: u64) -> Mixed<'a> {
        Mixed { mixture: self, order, epoch }
    }

    /// How many of the first `t` draws of an epoch each part has.
    fn before(&self, t: u64) -> Vec<u64> {
        let sum = |time: u64| self.parts.iter().map(|part| part.until(time)).sum::<u64>();
        if t == 0 {
            return vec![0; self.parts.len()];
        }
        // The first time at which there are `t`: those of a moment earlier, and the first parts of
        // those that come at it.
        let (mut low, mut high) = (0_u64, u64::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if sum(middle) >= t { high = middle } else { low = middle + 1 }
        }
        let earlier = |part: &Part| low.checked_sub(1).map_or(0, |time| part.until(time));
        let mut left = t - self.parts.iter().map(earlier).sum::<u64>().min(t);
        let count = |part: &Part| {
            let more = (part.until(low) - earlier(part)).min(left);
            left -= more;
            earlier(part) + more
        };
        self.parts.iter().map(count).collect()
    }
}

impl Part {
    /// When a draw comes: half a step behind an even division of the epoch, which has 2^64.
    const fn time(&self, draw: u64) -> u64 {
        let wide =
            ((2 * draw as u128 + 1) << 63) / if self.draws == 0 { 1 } else { self.draws as u128 };
        #[expect(clippy::cast_possible_truncation, reason = "below 2^64 for a draw of the epoch")]
        let time = wide as u64;
        time
    }

    /// How many draws come until then: the inverse of [`time`](Self::time).
    fn until(&self, time: u64) -> u64 {
        let halves = ((u128::from(time) + 1) * u128::from(self.draws)).saturating_sub(1) >> 63;
        if self.draws == 0 { 0 } else { u64::try_from(halves.div_ceil(2)).unwrap_or(u64::MAX) }
    }
}

/// The order of one epoch of a mixture.
#[derive(Debug)]
pub(super) struct Mixed<'a> {
    mixture: &'a Mixture,
    order: &'a Order,
    epoch: u64,
}

impl Mixed<'_> {
    /// The records of the draws `range` as runs of neighbours, part by part.
    pub(super) fn runs(&self, range: Range<u64>) -> Vec<Neighbours> {
        let mut out = Vec::new();
        self.each(range, |_, _, run| out.push(run));
        out
    }

    /// The records of the draws `range`; in the order of the draws if no window is shuffled.
    pub(super) fn records(&self, range: Range<u64>) -> Vec<u64> {
        let mut out: Vec<(u64, usize, u64)> = Vec::new();
        self.each(range, |part, draw, run| {
            let times = (draw..).map(|draw| part.time(draw));
            out.extend(times.zip(run.records).map(|(time, record)| (time, run.part, record)));
        });
        if self.order.shuffle != Shuffle::Windows {
            out.sort_by_key(|(time, part, _)| (*time, *part));
        }
        out.into_iter().map(|(.., record)| record).collect()
    }

    /// Tells `take` of each run the part, its first draw of the epoch, and its records.
    fn each(&self, range: Range<u64>, mut take: impl FnMut(&Part, u64, Neighbours)) {
        let (from, to) = (self.mixture.before(range.start), self.mixture.before(range.end));
        for ((number, part), (from, to)) in
            (0..).zip(&*self.mixture.parts).zip(from.into_iter().zip(to))
        {
            if part.records == 0 {
                continue;
            }
            let began = u128::from(self.epoch) * u128::from(part.draws);
            let mut draw = from;
            while draw < to {
                let at = began + u128::from(draw);
                let short = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
                let pass = short(at / u128::from(part.records));
                let inside = short(at % u128::from(part.records));
                let end = part.records.min(inside.saturating_add(to - draw));
                for run in self.pass(number, part, pass).runs(inside..end) {
                    let n = run.end - run.start;
                    let records = part.first + run.start..part.first + run.end;
                    take(part, draw, Neighbours { part: number, place: part.time(draw), records });
                    draw += n;
                }
            }
        }
    }

    /// The order of one pass through a part.
    fn pass(&self, number: usize, part: &Part, pass: u64) -> Sequence {
        let seed = key_of(&[PART, self.order.seed, number as u64]);
        let own = Order { seed, ..self.order.clone() };
        own.sequence(part.records, pass)
    }
}

/// The weights of the parts as integers.
fn shares(parts: &[(impl AsRef<str>, u64)], weights: &Weights) -> Result<Vec<u64>> {
    let bad = |why: String| Error::invalid("weights", why);
    let weights: Vec<f64> = match weights {
        Weights::Stated(weights) => {
            if weights.len() != parts.len() {
                let why = format!("there are {}, for {} stores", weights.len(), parts.len());
                return Err(bad(why));
            }
            for (weight, (name, size)) in weights.iter().zip(parts) {
                let name = name.as_ref();
                if !weight.is_finite() || *weight < 0.0 {
                    return Err(bad(format!("{weight} of {name} is not a number of 0 or more")));
                }
                if *weight > 0.0 && *size == 0 {
                    return Err(bad(format!("{name} has the weight {weight} and no records")));
                }
            }
            weights.clone()
        }
        // Exactly as they are.
        Weights::Temperature(1.0) => return Ok(parts.iter().map(|(_, size)| *size).collect()),
        Weights::Temperature(t) => {
            if t.is_nan() || *t <= 0.0 {
                let why = "is not above 0: 1 leaves the shares of the stores as they are, more makes them \
                           alike";
                return Err(Error::invalid("temperature", format!("{t} {why}")));
            }
            #[expect(clippy::cast_precision_loss, reason = "numbers of records are below 2^53")]
            let log = |size: u64| (size.max(1) as f64).ln() / t;
            let most = parts.iter().map(|(_, size)| log(*size)).fold(0.0, f64::max);
            let weight = |size| if size == 0 { 0.0 } else { (log(size) - most).exp() };
            parts.iter().map(|(_, size)| weight(*size)).collect()
        }
    };
    let most = weights.iter().copied().fold(0.0, f64::max);
    if most <= 0.0 && parts.iter().any(|(_, size)| *size > 0) {
        return Err(bad("are all 0".into()));
    }
    let scale = 2_f64.powi(SHARE_BITS);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^40")]
    let share = |weight: f64| (weight / most * scale).round() as u64;
    Ok(weights.iter().map(|weight| if *weight > 0.0 { share(*weight).max(1) } else { 0 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn mixture(sizes: &[u64], weights: Weights, draws: u64) -> Mixture {
        let parts: Vec<_> =
            sizes.iter().enumerate().map(|(i, n)| (format!("part {i}"), *n)).collect();
        Mixture::new(&parts, &weights, draws).unwrap()
    }

    fn counts(mixture: &Mixture) -> Vec<u64> {
        mixture.parts().map(|(_, draws)| draws).collect()
    }

    fn order(shuffle: Shuffle) -> Order {
        Order { shuffle, seed: 5, group: 4, window: 16 }
    }

    proptest! {
        /// Over all epochs each part is a stream of whole passes; its draws come in one order,
        /// however an epoch is cut.
        #[test]
        fn a_pass_of_a_part_has_each_of_its_records_once(
            parts in prop::collection::vec((1_u64..40, 0_u32..5), 1..6),
            draws in 40_u64..150, cut in 1_u64..60, epochs in 1_u64..6,
        ) {
            let (sizes, weights): (Vec<u64>, Vec<f64>) =
                parts.into_iter().map(|(n, w)| (n, f64::from(w))).unzip();
            prop_assume!(weights.iter().any(|w| *w > 0.0));
            let mixture = mixture(&sizes, Weights::Stated(weights), draws);
            for shuffle in [Shuffle::Sequential, Shuffle::Windows, Shuffle::Global] {
                let order = order(shuffle);
                let mut had = HashMap::<u64, u64>::new();
                for epoch in 0..epochs {
                    let sequence = mixture.sequence(&order, epoch);
                    let whole = sequence.records(0..draws);
                    let pieces = (0..draws.div_ceil(cut)).map(|i| i * cut..draws.min((i + 1) * cut));
                    let mut cut_up: Vec<u64> = pieces.flat_map(|p| sequence.records(p)).collect();
                    let runs = sequence.runs(0..draws).into_iter().flat_map(|run| run.records);
                    let mut by_runs: Vec<u64> = runs.collect();
                    whole.iter().for_each(|r| *had.entry(*r).or_default() += 1);
                    let mut sorted = whole.clone();
                    if shuffle == Shuffle::Windows {
                        cut_up.sort_unstable();
                        by_runs.sort_unstable();
                        sorted.sort_unstable();
                        prop_assert_eq!(&by_runs, &sorted);
                    }
                    prop_assert_eq!(cut_up, sorted);
                }
                for (records, draws) in mixture.parts() {
                    let n = records.end - records.start;
                    let (whole, more) = (draws * epochs / n, draws * epochs % n);
                    let counts: Vec<u64> =
                        records.map(|r| had.get(&r).copied().unwrap_or(0)).collect();
                    prop_assert!(counts.iter().all(|c| *c == whole || *c == whole + 1));
                    prop_assert_eq!(counts.iter().filter(|c| **c > whole).count() as u64, more);
                }
            }
        }

        /// Among the first draws each part has its share, as near as the top of this file derives.
        #[test]
        fn any_beginning_of_an_epoch_has_the_shares_of_the_whole(
            weights in prop::collection::vec(1_u32..100, 1..8), t in 0_u64..=5000,
        ) {
            let sizes = vec![1000; weights.len()];
            let stated = Weights::Stated(weights.iter().copied().map(f64::from).collect());
            let mixture = mixture(&sizes, stated, 5000);
            let before = mixture.before(t);
            prop_assert_eq!(before.iter().sum::<u64>(), t);
            let parts = weights.len() as u64;
            for ((_, draws), n) in mixture.parts().zip(before) {
                // Twice what it is off, in draws of the epoch.
                let off = 2 * (n * 5000).abs_diff(draws * t);
                prop_assert!(off + 2 * draws <= 5000 + draws * parts, "{n} of {draws} after {t}");
            }
        }
    }

    #[test]
    fn counts_are_those_of_the_weights_and_the_temperature() {
        let stated = |w: &[f64]| Weights::Stated(w.to_vec());
        assert_eq!(counts(&mixture(&[10, 1000], stated(&[1.0, 3.0]), 1000)), [250, 750]);
        assert_eq!(counts(&mixture(&[10, 10, 10], stated(&[1.0, 1.0, 1.0]), 10)), [4, 3, 3]);
        assert_eq!(counts(&mixture(&[0, 5], stated(&[0.0, 1e-9]), 7)), [0, 7]);
        let temperature = |t| counts(&mixture(&[100, 10_000], Weights::Temperature(t), 10_100));
        assert_eq!(temperature(1.0), [100, 10_000]);
        // The root of 1:100 is 1:10.
        assert_eq!(temperature(2.0), [918, 9182]);
        assert_eq!(temperature(f64::INFINITY), [5050, 5050]);
        let empty = mixture(&[0, 0], Weights::Temperature(2.0), 0);
        assert!(empty.sequence(&order(Shuffle::Windows), 3).records(0..0).is_empty());
    }

    #[test]
    fn what_cannot_be_mixed_is_refused_by_name() {
        let parts = [("md", 100_u64), ("none", 0)];
        let refused =
            |weights, draws| Mixture::new(&parts, &weights, draws).unwrap_err().to_string();
        for (weights, draws, why) in [
            (vec![1.0], 100, "there are 1, for 2 stores"),
            (vec![-1.0, 0.0], 100, "-1 of md is not a number of 0 or more"),
            (vec![f64::NAN, 0.0], 100, "NaN of md"),
            (vec![1.0, 1.0], 100, "none has the weight 1 and no records"),
            (vec![0.0, 0.0], 100, "are all 0"),
            (vec![1.0, 0.0], u64::MAX, "above the limit"),
        ] {
            let text = refused(Weights::Stated(weights), draws);
            assert!(text.contains(why), "{text}");
        }
        for t in [0.0, -1.0, f64::NAN] {
            assert!(refused(Weights::Temperature(t), 9).contains("temperature"));
        }
        let rare = Mixture::new(&[("a", 5_u64), ("b", 5)], &Weights::Stated(vec![1.0, 1e-6]), 100);
        assert!(rare.unwrap_err().to_string().contains("an epoch of 100 records has none of b"));
    }

    /// The order is a promise, as that of one store is.
    #[test]
    fn the_order_of_a_seed_stays_what_it_is() {
        let mixture = mixture(&[3, 20], Weights::Stated(vec![1.0, 2.0]), 12);
        let order = order(Shuffle::Windows);
        assert_eq!(mixture.sequence(&order, 1).records(0..12), PINNED);
        assert_eq!(mixture.name(), NAME);
    }

    const PINNED: [u64; 12] = [1, 2, 0, 1, 7, 8, 9, 10, 11, 12, 13, 14];
    const NAME: &str = "4+8 0e5a41eaf164df13";
}
