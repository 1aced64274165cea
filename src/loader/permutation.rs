//! A keyed permutation in constant memory.

use super::random::{Random, mixed};

/// Passes over the two halves. Four make a permutation that cannot be told from a random one by
/// few looks (Luby and Rackoff, «How to construct pseudorandom permutations from pseudorandom
/// functions», SIAM J. Comput. 1988).
const PASSES: usize = 8;

/// Up to so many numbers are kept as a table: with halves of two bits the network does not give all
/// orders evenly, and 2 KiB are constant, too.
const TABLE: u64 = 1024;

/// A permutation of the numbers below `n`, chosen by a key, in constant memory: any place can be
/// asked for at any time, also backwards.
///
/// A Feistel network over the smallest domain of 4^k numbers that holds `n`; a number that comes
/// out above is sent through again until it lies below (cycle walking: Black and Rogaway, «Ciphers
/// with arbitrary finite domains», CT-RSA 2002), four times at most on average.
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u64,
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    Table(Box<[u64]>),
    Network { half: u32, keys: [u64; PASSES] },
}

impl Permutation {
    /// The permutation of `0..n` with this key.
    #[must_use]
    pub fn new(n: u64, key: u64) -> Self {
        let mut random = Random::new(key);
        let how = if n <= TABLE {
            let mut table: Box<[u64]> = (0..n).collect();
            random.shuffle(&mut table);
            How::Table(table)
        } else {
            let bits = u64::BITS - (n - 1).leading_zeros();
            let keys = std::array::from_fn(|_| random.draw());
            How::Network { half: bits.div_ceil(2), keys }
        };
        Self { n, how }
    }

    /// How many numbers are permuted.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.n
    }

    /// Whether there is nothing to permute.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The number at `place`; a place that is not below `n` stays as it is.
    #[must_use]
    pub fn at(&self, place: u64) -> u64 {
        match &self.how {
            How::Table(table) => {
                let found = usize::try_from(place).ok().and_then(|place| table.get(place));
                found.copied().unwrap_or(place)
            }
            How::Network { half, keys } => self.walk(place, |x| {
                let halves = (low(x >> half, *half), low(x, *half));
                let (left, right) = keys.iter().fold(halves, |(left, right), key| {
                    (right, left ^ low(mixed(right ^ key), *half))
                });
                (left << half) | right
            }),
        }
    }

    /// The place at which `number` stands: the inverse of [`at`](Self::at).
    #[must_use]
    pub fn place_of(&self, number: u64) -> u64 {
        match &self.how {
            How::Table(table) => {
                let found = table.iter().position(|x| *x == number);
                found.map_or(number, |place| place as u64)
            }
            How::Network { half, keys } => self.walk(number, |x| {
                let halves = (low(x >> half, *half), low(x, *half));
                let (left, right) = keys.iter().rev().fold(halves, |(left, right), key| {
                    (right ^ low(mixed(left ^ key), *half), left)
                });
                (left << half) | right
            }),
        }
    }

    fn walk(&self, from: u64, step: impl Fn(u64) -> u64) -> u64 {
        if from >= self.n {
            return from;
        }
        let mut x = step(from);
        while x >= self.n {
            x = step(x);
        }
        x
    }
}

/// The lowest `bits` of `x`.
const fn low(x: u64, bits: u32) -> u64 {
    x & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn every_number_has_one_place(n in 0_u64..3000, key in any::<u64>()) {
            let permutation = Permutation::new(n, key);
            let mut seen: Vec<u64> = (0..n).map(|i| permutation.at(i)).collect();
            for (i, x) in (0..n).zip(&seen) {
                prop_assert_eq!(permutation.place_of(*x), i);
            }
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..n));
        }

        #[test]
        fn large_domains_have_an_inverse_too(
            n in 1_u64..=u64::MAX, place in any::<u64>(), key in any::<u64>()
        ) {
            let permutation = Permutation::new(n, key);
            let at = permutation.at(place % n);
            prop_assert!(at < n);
            prop_assert_eq!(permutation.place_of(at), place % n);
        }
    }

    /// All 120 orders of five numbers come equally often, and every number of a larger set comes
    /// to every place: χ² within five of its standard deviations.
    #[test]
    fn keys_give_all_orders_evenly() {
        let mut orders = HashMap::<Vec<u64>, f64>::new();
        let draws = 60_000;
        for key in 0..draws {
            let permutation = Permutation::new(5, crate::loader::random::key_of(&[key]));
            *orders.entry((0..5).map(|i| permutation.at(i)).collect()).or_default() += 1.0;
        }
        assert_eq!(orders.len(), 120);
        let wanted = f64::from(u32::try_from(draws).unwrap()) / 120.0;
        let sum: f64 = orders.values().map(|n| (n - wanted).powi(2) / wanted).sum();
        assert!((sum - 119.0).abs() < 5.0 * (2.0 * 119.0_f64).sqrt(), "{sum}");

        // Of a larger set, which eighth comes to which eighth.
        let (n, parts) = (TABLE + 500, 8);
        let part = |x| usize::try_from(x * parts / n).unwrap();
        let mut places = vec![0.0_f64; 64];
        for key in 0..400 {
            let permutation = Permutation::new(n, crate::loader::random::key_of(&[7, key]));
            for i in 0..n {
                places[part(i) * 8 + part(permutation.at(i))] += 1.0;
            }
        }
        let wanted = places.iter().sum::<f64>() / 64.0;
        let sum: f64 = places.iter().map(|n| (n - wanted).powi(2) / wanted).sum();
        assert!((sum - 49.0).abs() < 5.0 * (2.0_f64 * 49.0).sqrt(), "{sum}");
    }
}
