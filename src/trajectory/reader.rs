//! Reading frames: those of a depot, with what they have from their topologies.

use super::fields::Frames;
use super::statistics::Statistics;
use super::topology_cache::Topologies;
use crate::codec::{Fields, MdFrame, MdFrameCodec, MdFrameView, Topology};
use crate::depot::{Depot, Item, Iter};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::store::{Snapshot, Store};
use crate::wire::Digest;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// The frames of a store at one commit.
///
/// A [`Depot`] of frames, which it dereferences to: [`get`](Depot::get),
/// [`get_batch`](Depot::get_batch), [`iter`](Depot::iter), [`column`](Depot::column) and all else
/// that a depot does. A view of a record has what the record has; [`frame`](Self::frame) and
/// [`joined`](Self::joined) add what the frame has from its topology. As cheap to clone as a depot,
/// and shared between threads.
#[derive(Debug, Clone)]
pub struct Trajectory {
    depot: Depot<MdFrameCodec>,
    /// Topologies that were read.
    topologies: Arc<Topologies>,
}

impl Trajectory {
    /// Opens the store of frames at `path` for reading.
    ///
    /// # Errors
    /// As [`Depot::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::new(Store::open(path)?.snapshot()).map_err(|e| e.at(path))
    }

    /// The frames of `snapshot`.
    ///
    /// # Errors
    /// As [`Depot::new`].
    pub fn new(snapshot: Snapshot) -> Result<Self> {
        Ok(Self { depot: Depot::new(snapshot, MdFrameCodec)?, topologies: Arc::default() })
    }

    /// The frame under `key`, owned, with what it has from its topology: equal to what was put.
    ///
    /// # Errors
    /// As [`Depot::get`] and [`Trajectory::joined`].
    pub fn frame(&self, key: impl Into<Key>) -> Result<MdFrame> {
        self.owned(&self.depot.get(key)?)
    }

    /// The frame at `ordinal`, owned, with what it has from its topology.
    ///
    /// # Errors
    /// As [`Depot::get_at`] and [`Trajectory::joined`].
    pub fn frame_at(&self, ordinal: u64) -> Result<MdFrame> {
        self.owned(&self.depot.get_at(ordinal)?)
    }

    fn owned(&self, item: &Item<MdFrameCodec>) -> Result<MdFrame> {
        self.joined(&item.view()?)
    }

    /// The topology with this digest. Read and checked once, then kept.
    ///
    /// # Errors
    /// As [`Topologies::get`].
    pub fn topology(&self, digest: &Digest) -> Result<Arc<Topology>> {
        self.topologies.get(self.snapshot(), digest)
    }

    /// The topology that a frame refers to; `None` if it refers to none.
    ///
    /// # Errors
    /// As [`Topologies::get`]; [`Error::Codec`] if the two have different numbers of sites.
    pub fn topology_of(&self, frame: &MdFrameView<'_>) -> Result<Option<Arc<Topology>>> {
        let Some(digest) = frame.topology() else { return Ok(None) };
        let topology = self.topology(&digest)?;
        fits(frame, &topology, &digest)?;
        Ok(Some(topology))
    }

    /// The frame, owned, with what it has from its topology: equal to what was put.
    ///
    /// # Errors
    /// As [`topology_of`](Self::topology_of).
    pub fn joined(&self, frame: &MdFrameView<'_>) -> Result<MdFrame> {
        match self.topology_of(frame)? {
            None => frame.try_to_owned(),
            Some(topology) => frame.fields().joined(&topology.view())?.try_to_owned(),
        }
    }

    /// The digests of all topologies of the store, in the order in which they were put.
    ///
    /// # Errors
    /// As [`Readable::list_shared`](crate::Readable::list_shared).
    pub fn list_topologies(&self) -> Result<Vec<Digest>> {
        Ok(self.snapshot().list_shared()?.into_iter().map(|(digest, _)| digest).collect())
    }

    /// The frame under `key` with `fields` and nothing else; see [`Frames::frames_at`].
    ///
    /// # Errors
    /// As [`Depot::get`](crate::Depot::get); [`Error::Codec`] if the record is not a frame.
    pub fn get_fields(&self, key: impl Into<Key>, fields: Fields) -> Result<MdFrame> {
        let found = self.get_fields_batch([key.into()], fields)?;
        found.into_iter().next().ok_or_else(no_frame)
    }

    /// The frame at `ordinal` with `fields` and nothing else.
    ///
    /// # Errors
    /// As [`Trajectory::get_fields`].
    pub fn get_fields_at(&self, ordinal: u64, fields: Fields) -> Result<MdFrame> {
        let found = self.get_fields_batch_at(&[ordinal], fields)?;
        found.into_iter().next().ok_or_else(no_frame)
    }

    /// The frames under `keys` with `fields` and nothing else, in the order asked for.
    ///
    /// # Errors
    /// As [`Trajectory::get_fields`].
    pub fn get_fields_batch<K>(
        &self,
        keys: impl IntoIterator<Item = K>,
        fields: Fields,
    ) -> Result<Vec<MdFrame>>
    where
        K: Into<Key>,
    {
        let ordinal = |key: K| {
            let key = key.into();
            let found = self.snapshot().find(&key)?;
            found.ok_or_else(|| Error::NotFound { key: key.to_string().into() })
        };
        let ordinals = keys.into_iter().map(ordinal).collect::<Result<Vec<_>>>()?;
        self.get_fields_batch_at(&ordinals, fields)
    }

    /// The frames at these ordinals with `fields` and nothing else, in the order asked for.
    ///
    /// # Errors
    /// As [`Trajectory::get_fields`].
    pub fn get_fields_batch_at(&self, ordinals: &[u64], fields: Fields) -> Result<Vec<MdFrame>> {
        self.snapshot().frames_at(ordinals, fields)
    }

    /// Statistics of all frames: those that the store keeps if they are up to date, else
    /// computed; see [`Statistics::of`].
    ///
    /// # Errors
    /// As [`Statistics::compute`].
    pub fn statistics(&self, progress: impl FnMut(u64, u64) -> Result<()>) -> Result<Statistics> {
        Statistics::of(self.snapshot(), progress)
    }
}

fn fits(frame: &MdFrameView<'_>, topology: &Topology, digest: &Digest) -> Result<()> {
    if frame.nsites() == topology.nsites {
        return Ok(());
    }
    let (a, b) = (frame.nsites(), topology.nsites);
    Err(Error::codec("md-frame", format!("the frame has {a} sites, its topology {digest} {b}")))
}

fn no_frame() -> Error {
    Error::invalid("fields", "no frame came back for the one that was asked for")
}

impl Deref for Trajectory {
    type Target = Depot<MdFrameCodec>;
    fn deref(&self) -> &Self::Target {
        &self.depot
    }
}

impl IntoIterator for &Trajectory {
    type Item = Result<Item<MdFrameCodec>>;
    type IntoIter = Iter<MdFrameCodec>;
    fn into_iter(self) -> Self::IntoIter {
        self.depot.iter()
    }
}
