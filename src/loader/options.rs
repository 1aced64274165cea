//! What a loader is asked for.

use super::order::Shuffle;
use super::schedule::Batching;
use super::view::View;
use super::walk::{Rest, Share};

/// How records are loaded; see [`Loader::new`](super::Loader::new).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderOptions {
    /// The records; by default all.
    pub view: Option<View>,
    /// How they are shuffled.
    pub shuffle: Shuffle,
    /// Chooses one of the orders.
    pub seed: u64,
    /// Records of a group; by default about 16 blocks of the store.
    pub group: Option<u64>,
    /// Records of a window; by default 64 groups, or what half of `memory` holds.
    pub window: Option<u64>,
    /// How many records, or what cost, a batch has.
    pub batching: Batching,
    /// The column that a cap counts: `weight`, `bytes` or another one with a number for each record.
    pub cost: Box<str>,
    /// Which part of the batches is loaded here.
    pub share: Share,
    /// The number of lanes; by default one for each worker of each rank. See
    /// [`Schedule`](super::Schedule).
    pub lanes: Option<u64>,
    /// What happens to a last step without a batch for every rank.
    pub rest: Rest,
    /// Bytes of records in memory, at most: in use, and read ahead. A batch that has more than half
    /// of it alone is loaded all the same.
    pub memory: u64,
    /// What happens to a damaged record.
    pub damaged: Damaged,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            view: None,
            shuffle: Shuffle::Windows,
            seed: 0,
            group: None,
            window: None,
            batching: Batching::default(),
            cost: "weight".into(),
            share: Share::default(),
            lanes: None,
            rest: Rest::Drop,
            memory: 256 << 20,
            damaged: Damaged::Refuse,
        }
    }
}

/// What happens to a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Damaged {
    /// It ends the loading with an error that names it.
    #[default]
    Refuse,
    /// It is left out of its batch and counted.
    Skip,
}
