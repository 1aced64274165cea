//! What a loader is asked for.

use super::mixture::Weights;
use super::order::Shuffle;
use super::ranks::{Rest, Share};
use super::schedule::Batching;
use super::view::View;
use std::sync::Arc;

/// How records are loaded; see [`Loader::new`](super::Loader::new).
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderOptions {
    /// The records; by default all.
    pub view: Option<View>,
    /// What shares several stores have of an epoch; by default each record comes once.
    pub mixing: Option<Mixing>,
    /// How they are shuffled.
    pub shuffle: Shuffle,
    /// Chooses one of the orders.
    pub seed: u64,
    /// Records of a group; by default whole blocks of about 256 KiB, 512 KiB of a store with purpose `dense`
    /// (see [`Groups`](super::Groups)).
    pub group: Option<u64>,
    /// Records of a window; by default 16 MiB as decoded, 32 groups at least, and no more than half of
    /// `memory` holds.
    pub window: Option<u64>,
    /// How many records, or what cost, a batch has.
    pub batching: Batching,
    /// The column that a cap and buckets count: `weight`, `bytes` or another one with a number for each record.
    pub cost: Box<str>,
    /// What each record of the stores costs, by its number, in place of a column; `u64::MAX` for one
    /// that has no cost.
    pub costs: Option<Arc<[u64]>>,
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
            mixing: None,
            shuffle: Shuffle::Windows,
            seed: 0,
            group: None,
            window: None,
            batching: Batching::default(),
            cost: "weight".into(),
            costs: None,
            share: Share::default(),
            lanes: None,
            rest: Rest::Drop,
            memory: 256 << 20,
            damaged: Damaged::Refuse,
        }
    }
}

/// What shares several stores have of an epoch; see [`Mixture`](super::Mixture).
#[derive(Debug, Clone, PartialEq)]
pub struct Mixing {
    /// The share of each part.
    pub weights: Weights,
    /// The parts, if they are not the stores: a name, and how many stores it has, one behind the other.
    pub parts: Option<Vec<(Box<str>, usize)>>,
    /// Records of an epoch; by default as many as there are.
    pub records: Option<u64>,
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
