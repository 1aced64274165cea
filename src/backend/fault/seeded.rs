//! Random numbers that a seed decides.

/// A small generator (xorshift64*): the same seed gives the same numbers on every machine and
/// in every release. Not for anything that an opponent must not guess.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// A generator for `seed`. Neighbouring seeds give unrelated numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // A round of splitmix64, so that small seeds differ in all bits; zero would stay zero.
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Self(if z == 0 { 1 } else { z })
    }

    /// The next number, any of 64 bits but all zero.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, or zero if `end` is zero.
    pub const fn below(&mut self, end: u64) -> u64 {
        match (self.next() >> 11).checked_rem(end) {
            Some(n) => n,
            None => 0,
        }
    }

    /// True in `of_eight` of eight cases.
    pub const fn chance(&mut self, of_eight: u64) -> bool {
        self.below(8) < of_eight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_every_number() {
        let numbers = |seed| {
            let mut rng = Seeded::new(seed);
            [rng.next(), rng.below(100), rng.below(0), rng.next()]
        };
        assert_eq!(numbers(3), numbers(3));
        assert_ne!(numbers(3), numbers(4));
        let mut rng = Seeded::new(0);
        let trues = (0..8000).filter(|_| rng.chance(2)).count();
        assert!((1800..2200).contains(&trues), "{trues}");
        assert!(!rng.chance(0) && rng.chance(8));
    }
}
