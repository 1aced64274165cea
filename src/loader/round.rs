//! The batches of a round, as far as somebody asks for them.

use std::collections::BTreeMap;

/// The batches of a round. One of ten thousand ranks needs those of its own lane, and a round has a window of
/// records for each.
#[derive(Debug)]
pub(super) struct Round {
    how: How,
}

#[derive(Debug)]
enum How {
    /// Batch `i` of lane `l` is number `i * lanes + l`.
    Lanes {
        lanes: u64,
        /// Batches of a lane.
        each: u64,
        /// Records of a lane, and of a batch.
        records: u64,
        batch: u64,
        /// Lanes that were asked for.
        made: BTreeMap<u64, Vec<Vec<u64>>>,
    },
    All(Vec<Vec<u64>>),
}

impl Round {
    /// Of lanes that all have `each` batches of `batch` records, the last of them what is left of `records`.
    pub(super) const fn of_lanes(lanes: u64, each: u64, records: u64, batch: u64) -> Self {
        Self { how: How::Lanes { lanes, each, records, batch, made: BTreeMap::new() } }
    }

    /// Of batches that are made already.
    pub(super) const fn of_all(batches: Vec<Vec<u64>>) -> Self {
        Self { how: How::All(batches) }
    }

    /// Number of batches.
    pub(super) fn len(&self) -> u64 {
        match &self.how {
            How::Lanes { lanes, each, .. } => lanes * each,
            How::All(batches) => batches.len() as u64,
        }
    }

    /// How many records the batch `number` has; 0 if there is none.
    pub(super) fn records_of(&self, number: u64) -> u64 {
        match &self.how {
            How::Lanes { lanes, each, records, batch, .. } if number < lanes * each => {
                (records - number / lanes * batch).min(*batch)
            }
            How::Lanes { .. } => 0,
            How::All(batches) => {
                let found = usize::try_from(number).ok().and_then(|at| batches.get(at));
                found.map_or(0, |batch| batch.len() as u64)
            }
        }
    }

    /// The batch `number`, asked for once; `make` makes the batches of a lane.
    pub(super) fn take(
        &mut self,
        number: u64,
        make: impl FnOnce(u64) -> Vec<Vec<u64>>,
    ) -> Vec<u64> {
        let (batches, at) = match &mut self.how {
            How::Lanes { lanes, made, .. } => {
                let lane = number % *lanes;
                let batches = made.entry(lane).or_insert_with(|| make(lane));
                (batches, number / *lanes)
            }
            How::All(batches) => (batches, number),
        };
        let found = usize::try_from(at).ok().and_then(|at| batches.get_mut(at));
        found.map(std::mem::take).unwrap_or_default()
    }
}
