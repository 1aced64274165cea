//! What a reader sees: the state at one commit, for as long as it wants.

use crate::backend::Backend;
use crate::error::Result;
use crate::index::slot::Slot;
use crate::store::index::root::Base;
use crate::store::index::slots::Slots;
use crate::store::options::Layout;
use crate::store::read::info::{Info, Parts, log_room};
use crate::store::read::newest_state::{Opened, State, followed_by};
use crate::store::read::readable::HasReader;
use crate::store::read::reader::Reader;
use std::sync::Arc;

/// The state of a store at one commit. Cheap to clone, shared between threads; takes no lock
/// and sees nothing of what is written later.
#[derive(Debug, Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) reader: Reader,
    pub(crate) slot: Slot,
    pub(crate) opened: Opened,
    pub(crate) layout: Layout,
    pub(crate) attributes: Vec<u8>,
    /// The open chunk as the last seal wrote it.
    pub(crate) base: Option<Base>,
    pub(crate) garbage: u64,
    /// Bytes that log extents take, used or not.
    pub(crate) log_room: u64,
}

impl Snapshot {
    pub(crate) fn new(state: State) -> Self {
        let State { reader, slot, root, layout, opened, attributes, .. } = state;
        let garbage = root.garbage;
        let log_room = log_room(&root.extents);
        // Once the log finishes that chunk, what the seal wrote of it is no part of the state.
        let base = root.base.filter(|_| root.chunks == reader.memtable.chunks_end());
        let inner = Inner { reader, slot, opened, layout, attributes, base, garbage, log_room };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Number of records ever put, deleted and replaced ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.inner.reader.ids()
    }

    /// The id of the file, 32 hexadecimal digits: that of no other, copies byte by byte apart.
    /// All zeros for a file of the original program.
    #[must_use]
    pub fn file_id(&self) -> String {
        self.inner.reader.io.file().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// What the commit is known by: two states of a file or of its copies with the same [`file_id`](Self::file_id),
    /// the same commit and this same number have the same index. Checksums of all records but those that were
    /// committed since the index was last written are in it.
    #[must_use]
    pub fn state_sum(&self) -> u64 {
        self.inner.slot.right_sum()
    }

    /// Counts and sizes, from what opening has read already.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the length of the file cannot be asked for.
    pub fn info(&self) -> Result<Info> {
        let inner = self.inner();
        Parts {
            reader: &inner.reader,
            slot: &inner.slot,
            opened: inner.opened,
            layout: &inner.layout,
            garbage: inner.garbage,
            log_room: inner.log_room,
        }
        .info()
    }

    /// Whether the file holds, for certain, no newer state: from its length and its slots alone, so that to
    /// ask costs the same however much was committed.
    pub(crate) fn is_newest(&self) -> Result<bool> {
        let Inner { reader, slot, opened, .. } = self.inner();
        if *opened != Opened::Intact || self.backend().len()? != reader.io.len() {
            return Ok(false);
        }
        let slots = Slots::read(&**self.backend(), Some(slot.file))?;
        let newest = slots.right.first() == Some(slot) && !slots.is_older(slot.generation.get());
        Ok(newest && followed_by(&reader.io, slot) == 0)
    }

    /// The backend under the store.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        self.inner.reader.io.backend()
    }
}

impl HasReader for Snapshot {
    fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    fn kept_layout(&self) -> &Layout {
        &self.inner.layout
    }

    fn commit_number(&self) -> u64 {
        self.inner.slot.generation.get()
    }

    fn how_opened(&self) -> Opened {
        self.inner.opened
    }

    fn attribute_bytes(&self) -> &[u8] {
        &self.inner.attributes
    }
}
