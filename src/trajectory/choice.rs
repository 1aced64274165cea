//! Which frames of a store, in which order.

/// A selection of frames by their ordinals, which count from 0 in the order of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// All, in order.
    #[default]
    All,
    /// `count` frames from `first` on, each `step` behind the one before; backwards with a negative step.
    Steps {
        /// The first.
        first: u64,
        /// From one to the next.
        step: i64,
        /// How many.
        count: u64,
    },
    /// These, in this order; one may come more than once.
    Ordinals(Vec<u64>),
}

impl Choice {
    /// How many there are in a store of `len` records.
    #[must_use]
    pub fn count(&self, len: u64) -> u64 {
        match self {
            Self::All => len,
            Self::Steps { count, .. } => *count,
            Self::Ordinals(all) => all.len() as u64,
        }
    }

    /// The ordinal of the `i`-th of them; `None` behind the last one.
    pub(super) fn at(&self, i: u64, len: u64) -> Option<u64> {
        if i >= self.count(len) {
            return None;
        }
        match self {
            Self::All => Some(i),
            Self::Steps { first, step, .. } => {
                first.checked_add_signed(step.checked_mul(i64::try_from(i).ok()?)?)
            }
            Self::Ordinals(all) => all.get(usize::try_from(i).ok()?).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_choice_gives_its_ordinals() {
        let all = |choice: &Choice| {
            (0..).map_while(|i| choice.at(i, 10)).inspect(|o| assert!(*o < 10)).collect::<Vec<_>>()
        };
        assert_eq!(all(&Choice::All), (0..10).collect::<Vec<_>>());
        assert_eq!(all(&Choice::Steps { first: 9, step: -3, count: 4 }), [9, 6, 3, 0]);
        assert_eq!(all(&Choice::Steps { first: 2, step: 4, count: 2 }), [2, 6]);
        assert_eq!(all(&Choice::Ordinals(vec![7, 7, 1])), [7, 7, 1]);
        assert_eq!(all(&Choice::Ordinals(Vec::new())), [0; 0]);
    }
}
