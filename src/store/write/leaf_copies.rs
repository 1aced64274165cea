//! The second copies of leaves: a seal writes them at the end of the file, so that one damaged page
//! of the index costs no record (see `docs/format.md`, «Seal»).

use crate::error::{Error, Result};
use crate::index::layout::{LeafRef, SegmentRef};
use crate::store::index::flush::write_page;
use crate::store::index::lazy::Lazy;
use crate::store::index::leaf::Leaf;
use crate::store::index::stored_index::open_page;
use crate::store::write::writer::Writer;
use crate::wire::{U64, memory, to_usize};

/// What a copy may be long: so much, so much more for each record, and a share of the chunk size
/// for each chunk and the one that is open.
const PLAIN: u64 = 256;
const PER_RECORD: u64 = 4;
const CHUNK_SHARE: u64 = 256;
/// Bytes between a leaf and its copy, at least: disks lose pages of so much.
const APART: u64 = 4096;

/// A leaf that gets a copy, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copying {
    leaf: SegmentRef,
    to: u64,
}

/// Where the copies will lie.
#[derive(Debug)]
pub(crate) struct Copies {
    list: Vec<Copying>,
    end: u64,
}

impl Writer {
    /// Chooses places for the copies of those leaves that have none and that are to have one,
    /// behind a root and `base` bytes of a chunk that are written next, and names them in the index.
    pub(crate) fn place_copies(&mut self, generation: u64, base: Option<u64>) -> Result<Copies> {
        let mut pages = Vec::new();
        for (i, page) in self.reader.stored_index.pages.iter().enumerate() {
            match open_page(&self.reader.io, page) {
                Ok(open) if open.leaves.iter().any(|leaf| self.wants_copy(&leaf.at)) => {
                    pages.push(i);
                }
                // A page that cannot be read stays as it is.
                Ok(_) | Err(Error::Corrupt(_)) => {}
                Err(e) => return Err(e),
            }
        }
        // Neither a page nor a root is longer or shorter for the places that it names.
        let mut space = self.space;
        for page in pages.iter().filter_map(|i| self.reader.stored_index.pages.get(*i)) {
            space.take(page.at.segment.len.get());
        }
        space.take(self.root(generation).len());
        base.map(|len| space.take(len));

        let mut list = Vec::new();
        let mut place = |leaf: &LeafRef| {
            let from = leaf.segment.offset.get().saturating_add(leaf.segment.len.get());
            space.end = space.end.max(from.saturating_add(APART));
            let to = space.take(leaf.segment.len.get());
            list.push(Copying { leaf: leaf.segment, to });
            LeafRef { copy: U64::new(to), ..*leaf }
        };
        for i in pages {
            let Some(page) = self.reader.stored_index.pages.get(i) else { continue };
            let open = open_page(&self.reader.io, page)?;
            let refs: Vec<LeafRef> = open
                .leaves
                .iter()
                .map(|leaf| if self.wants_copy(&leaf.at) { place(&leaf.at) } else { leaf.at })
                .collect();
            let left = page.at.segment.len.get();
            let io = &self.reader.io;
            let new = write_page(io, &mut self.space, &refs, &open.fences, generation)?;
            self.space.garbage += left;
            if let Some(page) = self.reader.stored_index.pages.get_mut(i) {
                *page = Lazy::new(new);
            }
        }
        let leaves =
            self.reader.stored_index.leaves.iter().map(|leaf| match self.wants_copy(&leaf.at) {
                true => Leaf::new(place(&leaf.at)),
                false => leaf.clone(),
            });
        self.reader.stored_index.leaves = leaves.collect();
        Ok(Copies { list, end: space.end })
    }

    fn wants_copy(&self, leaf: &LeafRef) -> bool {
        let chunks = u64::from(leaf.chunks.get()) + 1;
        let most = PLAIN
            + PER_RECORD * u64::from(leaf.records.get())
            + chunks.saturating_mul(self.reader.chunk_size / CHUNK_SHARE);
        leaf.copy.get() == 0 && leaf.segment.len.get() <= most
    }

    /// Writes the copies to their places.
    pub(crate) fn write_copies(&mut self, copies: &Copies) -> Result<()> {
        let io = &self.reader.io;
        for Copying { leaf, to } in &copies.list {
            let len = to_usize(leaf.len.get()).unwrap_or(usize::MAX);
            // Of what cannot be read there is no copy; a reader is told by its checksums.
            if let Ok(Ok(bytes)) = io.bytes(leaf.offset.get(), len, memory::copied) {
                io.write(*to, &bytes)?;
            }
        }
        if !copies.list.is_empty() {
            self.space.end = copies.end;
        }
        Ok(())
    }
}
