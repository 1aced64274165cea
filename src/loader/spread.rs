//! How far an order is from a uniform shuffle, and which window brings it near enough.
//!
//! The measure is the *design effect* of survey sampling (Kish, «Survey Sampling», 1965): how many
//! times the variance of the mean of a batch is what it would be if the batch were drawn evenly from
//! all records. It is what stochastic gradient descent pays for records that come in families: a
//! batch of 32 with an effect of 4 says as much about the data as 8 records do. That a shuffle of
//! blocks and then of records in a buffer of blocks converges like a full one when this variance is
//! about the same, is shown by Xu et al., «In-database machine learning with `CorgiPile`: stochastic
//! gradient descent without full data shuffle», SIGMOD 2022.

/// The design effect of batches, for one number of each record.
#[derive(Debug, Clone)]
pub struct Spread<'a> {
    values: &'a [f64],
    mean: f64,
    variance: f64,
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
        Self { values, mean, variance, sum: 0.0, batches: 0.0 }
    }

    /// Takes a batch into account; numbers of records that have no value are left out.
    pub fn add(&mut self, batch: &[u64]) {
        let values: Vec<f64> = batch
            .iter()
            .filter_map(|r| self.values.get(usize::try_from(*r).ok()?).copied())
            .collect();
        let (n, all) = (float(values.len()), float(self.values.len()));
        // The variance of the mean of `n` of `all` that are drawn without putting back.
        let uniform = self.variance / n * (all - n) / (all - 1.0);
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
    let all = values.len();
    let size = usize::try_from(group.max(1)).unwrap_or(usize::MAX);
    let mean = mean(values.iter().copied());
    let whole = variance(values, mean);
    let means: Vec<f64> =
        values.chunks(size).map(|group| self::mean(group.iter().copied())).collect();
    let between = variance(&means, mean) - whole / float(size.min(all).max(1));
    let share = if whole > 0.0 { (between / whole).clamp(0.0, 1.0) } else { 0.0 };
    let batch = usize::try_from(batch).unwrap_or(usize::MAX);
    let groups = (float(batch.saturating_sub(1)) * share / excess.max(f64::MIN_POSITIVE)).ceil();
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

    #[test]
    fn nothing_to_measure_is_as_good_as_shuffled() {
        assert!((Spread::new(&[]).effect() - 1.0).abs() < 1e-12);
        let mut spread = Spread::new(&[2.0; 9]);
        spread.add(&[0, 1, 99]);
        assert!((spread.effect() - 1.0).abs() < 1e-12);
        assert_eq!((window_for(&[], 8, 4, 0.1), window_for(&[1.0; 9], 4, 4, 0.1)), (1, 4));
    }
}
