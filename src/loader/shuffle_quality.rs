//! How far an order is from a uniform shuffle, and which window brings it near enough.
//!
//! The measure is the *design effect* of survey sampling (Kish, «Survey Sampling», 1965): how many
//! times the variance of the mean of a batch is what it would be if the batch were drawn evenly from
//! all records. It is what stochastic gradient descent pays for records that come in families: a
//! batch of 32 with an effect of 4 says as much about the data as 8 records do. That a shuffle of
//! blocks and then of records in a buffer of blocks converges like a full one when this variance is
//! about the same, is shown by Xu et al., «In-database machine learning with `CorgiPile`: stochastic
//! gradient descent without full data shuffle», SIGMOD 2022.

use super::groups::Groups;
use super::mixture::Mixture;

/// The design effect of batches, for one number of each record.
#[derive(Debug, Clone)]
pub struct Spread<'a> {
    values: &'a [f64],
    mean: f64,
    variance: f64,
    /// How many records there are, each of which comes once.
    all: Option<f64>,
    sum: f64,
    batches: f64,
}

#[expect(clippy::cast_precision_loss, reason = "numbers of records are far below 2^53")]
const fn float(n: usize) -> f64 {
    n as f64
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = float(values.len().max(1));
    values.sum::<f64>() / n
}

fn variance(values: &[f64], mean: f64) -> f64 {
    self::mean(values.iter().map(|v| (v - mean).powi(2)))
}

impl<'a> Spread<'a> {
    /// Measures by `values`, one for each record: an energy, a size, or the number of the record
    /// itself, which is the worst case of a store in which neighbours resemble each other.
    #[must_use]
    pub fn new(values: &'a [f64]) -> Self {
        let mean = mean(values.iter().copied());
        let variance = variance(values, mean);
        let all = Some(float(values.len()));
        Self { values, mean, variance, all, sum: 0.0, batches: 0.0 }
    }

    /// The same of a mixture: batches are compared with those drawn evenly with its shares. An effect
    /// below 1 is possible, for the shares of a batch vary less than those of one that is drawn.
    #[must_use]
    pub fn mixed(values: &'a [f64], mixture: &Mixture) -> Self {
        let parts = parts(values, mixture);
        let mean = parts.iter().map(|(share, values)| share * mean(values.iter().copied())).sum();
        let variance = parts.iter().map(|(share, values)| share * variance(values, mean)).sum();
        Self { values, mean, variance, all: None, sum: 0.0, batches: 0.0 }
    }

    /// Takes a batch into account; numbers of records that have no value are left out.
    pub fn add(&mut self, batch: &[u64]) {
        let values: Vec<f64> = batch
            .iter()
            .filter_map(|r| self.values.get(usize::try_from(*r).ok()?).copied())
            .collect();
        let n = float(values.len());
        // The variance of the mean of `n` of `all` that are drawn without putting back.
        let left = self.all.map_or(1.0, |all| (all - n) / (all - 1.0));
        let uniform = self.variance / n * left;
        if uniform > 0.0 {
            self.sum += (mean(values.into_iter()) - self.mean).powi(2) / uniform;
            self.batches += 1.0;
        }
    }

    /// The design effect: 1 as for a uniform shuffle, and up to the size of a batch if its records
    /// are all alike. 1 if there is nothing to tell orders apart.
    #[must_use]
    pub fn effect(&self) -> f64 {
        if self.batches > 0.0 { self.sum / self.batches } else { 1.0 }
    }
}

/// The number of records that a window should have so that the design effect of batches of `batch`
/// records stays below `1 + excess`, for groups of `group` neighbours with these `values`.
///
/// A window of `k` groups adds `(batch - 1) · ρ / k` to the effect, where `ρ` is how much of the
/// variance lies between groups beyond what groups of unlike records would have. At least one group,
/// at most all records.
#[must_use]
pub fn window_for(values: &[f64], group: u64, batch: u64, excess: f64) -> u64 {
    let whole = variance(values, mean(values.iter().copied()));
    let like = Likeness { whole, groups: between(values, group), pieces: 0.0 };
    window(values.len(), like, group, batch, excess)
}

/// The same for groups of different sizes, of which windows have pieces, too.
///
/// A window has pieces of two groups at most, at its ends. A piece of `n` records in a window of `w` adds
/// `(batch - 1) · (n / w)² · ρₙ`, where `ρₙ` is that of groups of `n`: that of the length that adds most is taken.
#[must_use]
pub fn window_for_groups(values: &[f64], groups: &Groups, batch: u64, excess: f64) -> u64 {
    let whole = variance(values, mean(values.iter().copied()));
    let size = groups.typical_size();
    let lengths = std::iter::successors(Some(size / 2), |n| Some(n / 2)).take_while(|n| *n > 0);
    let piece = |n: u64| {
        let part = float(usize::try_from(n).unwrap_or(usize::MAX))
            / float(usize::try_from(size).unwrap_or(usize::MAX));
        part * part * between(values, n)
    };
    let pieces = 2.0 * lengths.map(piece).fold(0.0, f64::max);
    let like = Likeness { whole, groups: between(values, size), pieces };
    window(values.len(), like, size, batch, excess)
}

/// The same for a mixture, whose windows have so much of each part as its share says.
#[must_use]
pub fn window_for_mixture(
    values: &[f64],
    mixture: &Mixture,
    group: u64,
    batch: u64,
    excess: f64,
) -> u64 {
    // Of a part with the share `s` a window of `k` groups has `s · k`, and the mean of these counts
    // `s`: its variance adds `s² · between / (s · k)`.
    let between =
        parts(values, mixture).iter().map(|(share, values)| share * between(values, group)).sum();
    let whole = Spread::mixed(values, mixture).variance;
    let like = Likeness { whole, groups: between, pieces: 0.0 };
    window(usize::try_from(mixture.draws()).unwrap_or(usize::MAX), like, group, batch, excess)
}

/// How alike neighbours are: variances.
struct Likeness {
    /// Of all records.
    whole: f64,
    /// Between groups.
    groups: f64,
    /// What the pieces of groups at the ends of a window of the size of one group add.
    pieces: f64,
}

/// The values of each part, and its share of an epoch.
fn parts<'a>(values: &'a [f64], mixture: &Mixture) -> Vec<(f64, &'a [f64])> {
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let draws = float(index(mixture.draws()).max(1));
    let part = |(records, count): (std::ops::Range<u64>, u64)| {
        let own = values.get(index(records.start)..index(records.end)).unwrap_or_default();
        (float(index(count)) / draws, own)
    };
    mixture.parts().map(part).collect()
}

/// How much of the variance lies between groups beyond what groups of unlike records would have.
fn between(values: &[f64], group: u64) -> f64 {
    let size = usize::try_from(group.max(1)).unwrap_or(usize::MAX);
    let mean = mean(values.iter().copied());
    let means: Vec<f64> =
        values.chunks(size).map(|group| self::mean(group.iter().copied())).collect();
    let unlike = variance(values, mean) / float(size.min(values.len()).max(1));
    (variance(&means, mean) - unlike).max(0.0)
}

fn window(all: usize, like: Likeness, group: u64, batch: u64, excess: f64) -> u64 {
    let size = usize::try_from(group.max(1)).unwrap_or(usize::MAX);
    let share = |part: f64| if like.whole > 0.0 { (part / like.whole).min(1.0) } else { 0.0 };
    let batch = usize::try_from(batch).unwrap_or(usize::MAX);
    let many = float(batch.saturating_sub(1)) / excess.max(f64::MIN_POSITIVE);
    // The number `k` of groups for which `many · (groups / k + pieces / k²)` is 1.
    let (groups, pieces) = (many * share(like.groups), many * share(like.pieces));
    let groups = (groups.midpoint(groups.hypot(2.0 * pieces.sqrt()))).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let groups = (groups as usize).max(1);
    groups.saturating_mul(size).min(all.max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::{Batching, Cursor, Order, Random, Rest, Schedule, Share, Shuffle, Walk};
    use super::*;

    fn effect(values: &[f64], shuffle: Shuffle, window: u64) -> f64 {
        let order = Order { shuffle, seed: 3, group: 50, window };
        let batching = Batching { records: Some(32), ..Batching::default() };
        let schedule = Schedule::new(values.len() as u64, order, batching, 1, None).unwrap();
        let mut spread = Spread::new(values);
        // Several epochs, so that chance does not decide.
        for epoch in 0..8 {
            let from = Cursor { epoch, ..Cursor::default() };
            let walk = Walk::new(schedule.clone(), Share::default(), Rest::Drop, from).unwrap();
            walk.for_each(|step| spread.add(&step.records));
        }
        spread.effect()
    }

    /// Families of neighbours: every trajectory has a level of its own.
    fn levels() -> Vec<f64> {
        let mut random = Random::new(1);
        let mut level = 0;
        (0..20_000)
            .map(|i| {
                if i % 100 == 0 {
                    level = random.below(1000);
                }
                f64::from(u32::try_from(level + random.below(100)).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_uniform_shuffle_has_an_effect_of_one_and_families_in_order_that_of_a_batch() {
        let levels = levels();
        let global = effect(&levels, Shuffle::Global, 1000);
        assert!((0.93..1.07).contains(&global), "{global}");
        let sequential = effect(&levels, Shuffle::Sequential, 1000);
        assert!(sequential > 20.0 && sequential <= 32.5, "{sequential}");
    }

    #[test]
    fn the_window_that_is_advised_keeps_what_it_promises() {
        let levels = levels();
        let numbers: Vec<f64> = (0..20_000_u32).map(f64::from).collect();
        for values in [&levels, &numbers] {
            for excess in [0.5, 0.2] {
                let window = window_for(values, 50, 32, excess);
                assert!((50..20_000).contains(&window), "{window}");
                let reached = effect(values, Shuffle::Windows, window);
                assert!(reached < 1.08 + excess, "{reached} with a window of {window}");
                let narrow = effect(values, Shuffle::Windows, window / 8);
                assert!(narrow > 1.0 + excess, "{narrow} with an eighth of {window}");
            }
        }
        // Records without families need no window at all.
        let mut random = Random::new(2);
        let noise: Vec<f64> =
            (0..20_000).map(|_| f64::from(u32::try_from(random.below(1000)).unwrap())).collect();
        assert!(window_for(&noise, 50, 32, 0.2) <= 100);
    }

    /// Of values that come and go within one group, so that it is their pieces at the ends of windows that tell.
    #[test]
    fn a_window_for_groups_of_many_sizes_counts_their_pieces() {
        let values: Vec<f64> = (0..12_000_u32).map(|i| (f64::from(i) / 50.0).sin()).collect();
        let mut random = Random::new(8);
        let mut starts = vec![0];
        while starts[starts.len() - 1] < 12_000 {
            starts.push(starts[starts.len() - 1] + 800 + random.below(800));
        }
        let groups = Groups::new(12_000, starts);
        assert!((1100..1500).contains(&groups.typical_size()));
        for (batch, excess) in [(128, 0.5), (32, 0.2)] {
            let window = window_for_groups(&values, &groups, batch, excess);
            assert!(window > 2 * groups.typical_size() && window <= 12_000, "{window}");
            let order = Order { shuffle: Shuffle::Windows, seed: 3, group: 1024, window };
            let batching = Batching { records: Some(batch), ..Batching::default() };
            let schedule = Schedule::new(12_000, order, batching, 1, None).unwrap();
            let schedule = schedule.grouped(groups.clone()).unwrap();
            let mut spread = Spread::new(&values);
            for epoch in 0..8 {
                let from = Cursor { epoch, ..Cursor::default() };
                let walk = Walk::new(schedule.clone(), Share::default(), Rest::Drop, from).unwrap();
                walk.for_each(|step| spread.add(&step.records));
            }
            assert!(spread.effect() < 1.08 + excess, "{} at {window}", spread.effect());
        }
    }

    #[test]
    fn nothing_to_measure_is_as_good_as_shuffled() {
        assert!((Spread::new(&[]).effect() - 1.0).abs() < 1e-12);
        let mut spread = Spread::new(&[2.0; 9]);
        spread.add(&[0, 1, 99]);
        assert!((spread.effect() - 1.0).abs() < 1e-12);
        assert_eq!((window_for(&[], 8, 4, 0.1), window_for(&[1.0; 9], 4, 4, 0.1)), (1, 4));
    }
}
