//! Leaves whose keys ascend, found by their fences.

use crate::error::Result;
use crate::index::fence::{self, Fence, Rank};
use crate::index::layout::LeafRef;
use crate::store::index::far::announce_leaf;
use crate::store::index::io::Io;
use crate::store::index::leaf::{Leaf, leaf_records, search_leaf};
use crate::store::index::stored_index::{StoredIndex, corrupt_page, leaf_of_fence, open_page};
use std::ops::Range;

impl StoredIndex {
    /// The record with this key in the leaves that have a fence.
    pub(crate) fn fenced(&self, io: &Io, kind: u8, bytes: &[u8]) -> Result<Option<u64>> {
        if self.fences.is_empty() {
            return Ok(None);
        }
        let Some(rank) = Rank::new(kind, bytes) else { return Ok(None) };
        match self.fence_for(io, &rank)? {
            Some((leaf, fence)) if fence.kind() == kind => {
                announce_leaf(io, leaf, true)?;
                search_leaf(io, leaf, kind, bytes)
            }
            _ => Ok(None),
        }
    }

    /// The last fence that is not above `rank`, and its leaf.
    fn fence_for(&self, io: &Io, rank: &Rank<'_>) -> Result<Option<(&Leaf, &Fence)>> {
        let Some(fence) = fence::find(&self.fences, rank) else { return Ok(None) };
        let wanted = fence.record();
        if self.leaves.first().is_some_and(|l| l.at.first_record.get() <= wanted) {
            return Ok(leaf_of_fence(&self.leaves, fence));
        }
        let page = self.pages.partition_point(|p| p.at.first_record.get() <= wanted);
        let Some(page) = page.checked_sub(1).and_then(|i| self.pages.get(i)) else {
            return Ok(None);
        };
        let open = open_page(io, page)?;
        if open.fences.first() != Some(fence) {
            return Err(corrupt_page(&page.at, "its fences disagree with the root"));
        }
        Ok(fence::find(&open.fences, rank).and_then(|f| leaf_of_fence(&open.leaves, f)))
    }

    /// The records among which that with this key is, if it is in a leaf with a fence: those of the
    /// leaf, or of a page of the directory that cannot be read.
    pub(crate) fn fenced_among(&self, io: &Io, kind: u8, bytes: &[u8]) -> Option<Range<u64>> {
        let rank = Rank::new(kind, bytes)?;
        if let Ok(found) = self.fence_for(io, &rank) {
            let (leaf, fence) = found?;
            let first = leaf.at.first_record.get();
            let end = first.saturating_add(u64::from(leaf.at.records.get()));
            return (fence.kind() == kind).then_some(first..end);
        }
        let wanted = fence::find(&self.fences, &rank)?.record();
        let behind = self.pages.partition_point(|p| p.at.first_record.get() <= wanted);
        let first = self.pages.get(behind.checked_sub(1)?)?.at.first_record.get();
        let next = self.pages.get(behind).map(|p| p.at.first_record.get());
        Some(first..next.or(self.leaves.first().map(|l| l.at.first_record.get()))?)
    }

    /// The first of the fences of a directory page with these leaves, of all that the root
    /// lists; the others are those of leaves behind them.
    pub(crate) fn split_fences(&mut self, leaves: &[LeafRef]) -> Vec<Fence> {
        let first = leaves.first().map_or(u64::MAX, |l| l.first_record.get());
        let end = leaves.last().map_or(0, |l| l.first_record.get() + u64::from(l.records.get()));
        let from = self.fences.partition_point(|f| f.record() < first);
        let to = self.fences.partition_point(|f| f.record() < end).max(from);
        let own: Vec<Fence> = self.fences.get(from..to).unwrap_or_default().to_vec();
        self.fences.drain((from + 1).min(to)..to);
        own
    }

    /// Kind and bytes of the last key in the leaves that have a fence.
    pub(crate) fn last_fenced_key(&self, io: &Io) -> Result<Option<(u8, Vec<u8>)>> {
        let Some(fence) = self.fences.last() else { return Ok(None) };
        let leaf = match leaf_of_fence(&self.leaves, fence) {
            Some((leaf, _)) => Some(leaf),
            None => {
                let page = self.pages.iter().rev();
                let page = page.into_iter().find(|p| p.at.first_record.get() <= fence.record());
                let open = page.map(|page| open_page(io, page)).transpose()?;
                let last = open.and_then(|p| Some((p, p.fences.last()?)));
                last.and_then(|(page, fence)| Some(leaf_of_fence(&page.leaves, fence)?.0))
            }
        };
        leaf.map_or(Ok(None), |leaf| leaf_records(io, leaf)?.last_key())
    }
}
