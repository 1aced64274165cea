//! Where a run is.

/// A place between two steps: all batches before it were given to some rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The epoch.
    pub epoch: u64,
    /// The round of the next batch.
    pub round: u64,
    /// Its number in the round.
    pub batch: u64,
}
