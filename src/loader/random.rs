//! Random numbers that are the same on every machine, from a key.

/// A generator of 64-bit numbers: the same key gives the same numbers everywhere.
///
/// SplitMix64 (Steele, Lea and Flood, «Fast splittable pseudorandom number generators», OOPSLA
/// 2014): each number is a counter, mixed. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes all bits of `x` into all bits of the result, one to one.
pub(super) const fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One key out of several numbers: other numbers, or the same in another order, give another key.
#[must_use]
pub fn key_of(numbers: &[u64]) -> u64 {
    numbers.iter().fold(STEP, |key, n| mixed(key.wrapping_add(STEP) ^ mixed(n.wrapping_add(STEP))))
}

impl Random {
    /// The numbers of this key.
    #[must_use]
    pub const fn new(key: u64) -> Self {
        Self { state: key }
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mixed(self.state)
    }

    /// A number below `n`, each with the same probability; 0 for `n` = 0.
    ///
    /// By multiplication instead of division (Lemire, «Fast random integer generation in an
    /// interval», ACM TOMACS 2019).
    pub fn below(&mut self, n: u64) -> u64 {
        let uneven = n.wrapping_neg() % n.max(1);
        loop {
            let wide = u128::from(self.draw()) * u128::from(n);
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
            let (high, low) = ((wide >> 64) as u64, wide as u64);
            if low >= uneven {
                return high;
            }
        }
    }

    /// Brings `items` into random order, each order with the same probability (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = usize::try_from(self.below(i as u64 + 1)).unwrap_or(i);
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first numbers of SplitMix64 with the state 1234567, as published with it.
        let mut random = Random::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.draw()).collect();
        let known =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(drawn, known);
    }

    #[test]
    fn numbers_below_a_bound_are_even_and_orders_are_all_there() {
        let mut random = Random::new(3);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[usize::try_from(random.below(6)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        let mut orders = std::collections::HashMap::<_, u32>::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            random.shuffle(&mut items);
            *orders.entry(items).or_default() += 1;
        }
        assert_eq!(orders.len(), 24);
        assert!(orders.values().all(|n| (800..1200).contains(n)), "{orders:?}");
    }

    #[test]
    fn keys_differ_by_every_number_and_its_place() {
        let keys = [&[][..], &[0], &[0, 0], &[1, 0], &[0, 1], &[1], &[2], &[0, 0, 1]].map(key_of);
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }
}
