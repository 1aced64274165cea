//! How a series has grown since its start: where what was appended lies.

use super::magic::NAME;
use crate::{Error, Result};

/// The account of a series that has more than its start: full blocks of one length, then pieces that
/// are not a block yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Growth {
    /// The mark of the series, which all of its records have: not 0.
    pub mark: u64,
    /// Number of channels.
    pub channels: u32,
    /// Whether times are stored; else they count from 0.
    pub times: bool,
    /// Whether each time is at least the one before it, and none is NaN; false without times.
    pub sorted: bool,
    /// The last time; 0 without times.
    pub last: f64,
    /// Points of the whole series.
    pub len: u64,
    /// Points of its start.
    pub start: u64,
    /// Points of a full block.
    pub block: u64,
    /// Number of full blocks; they are counted from 0.
    pub blocks: u64,
    /// Lengths of the pieces behind the blocks, in the order of the series; they are counted from 0.
    pub pieces: Vec<u64>,
}

/// Most pieces of an account: each is at least twice as long as the next, so there are fewer.
const PIECES: usize = 64;

impl Growth {
    /// Refuses numbers that contradict each other.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`].
    pub(super) fn check(&self) -> Result<()> {
        let bad = |why: &str| Err(Error::codec(NAME, format!("the account of a series: {why}")));
        if self.mark == 0 || self.block == 0 || self.pieces.len() > PIECES {
            return bad("has no mark, no length of a block, or too many pieces");
        }
        let full = self.blocks.checked_mul(self.block).and_then(|n| n.checked_add(self.start));
        let all = self.pieces.iter().try_fold(full, |n, points| {
            (*points > 0).then(|| n.and_then(|n| n.checked_add(*points)))
        });
        if all.flatten() != Some(self.len) {
            return bad("its parts are not as long together as the series");
        }
        Ok(())
    }

    pub(super) fn words(&self) -> Vec<u64> {
        [self.block, self.blocks, self.last.to_bits()]
            .into_iter()
            .chain(self.pieces.iter().copied())
            .collect()
    }

    /// The account with the numbers of `words`, of which the rest of `self` is known.
    pub(super) fn with_words(self, words: &[u64]) -> Option<Self> {
        let [block, blocks, last, pieces @ ..] = words else { return None };
        let last = f64::from_bits(*last);
        let growth = Self { block: *block, blocks: *blocks, last, pieces: pieces.to_vec(), ..self };
        growth.check().ok().map(|()| growth)
    }
}
