//! Series that were read, kept up to a number of bytes. What is kept is returned only while the index
//! says that the series is the same.

use super::series_view::Series;
use crate::key::Key;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub(super) struct Cache {
    most: usize,
    held: usize,
    clock: u64,
    kept: HashMap<Key, Kept>,
    /// Which was used when.
    order: BTreeMap<u64, Key>,
}

#[derive(Debug)]
struct Kept {
    stamp: (u64, u64),
    series: Series,
    used: u64,
    bytes: usize,
}

/// What an entry takes beside its numbers, about.
const BESIDE: usize = 256;

impl Cache {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn get(&mut self, id: &Key, stamp: (u64, u64)) -> Option<Series> {
        let kept = self.kept.get_mut(id)?;
        if kept.stamp != stamp {
            self.forget(id);
            return None;
        }
        self.clock += 1;
        self.order.remove(&kept.used);
        kept.used = self.clock;
        self.order.insert(self.clock, id.clone());
        Some(kept.series.clone())
    }

    pub(super) fn put(&mut self, id: &Key, stamp: (u64, u64), series: &Series) {
        let bytes = series.held() + BESIDE;
        self.forget(id);
        if bytes > self.most {
            return;
        }
        while self.held + bytes > self.most {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(gone) = self.kept.remove(&oldest) {
                self.held -= gone.bytes;
            }
        }
        self.clock += 1;
        self.held += bytes;
        self.order.insert(self.clock, id.clone());
        let kept = Kept { stamp, series: series.clone(), used: self.clock, bytes };
        self.kept.insert(id.clone(), kept);
    }

    fn forget(&mut self, id: &Key) {
        if let Some(gone) = self.kept.remove(id) {
            self.held -= gone.bytes;
            self.order.remove(&gone.used);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.most);
    }

    /// Bytes that are held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }
}
