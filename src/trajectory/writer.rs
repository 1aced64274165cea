//! Writing frames: the steps that each one goes through on its way into the store.

use super::continue_from::{self, Continue, Continued, FrameFilter, StartAt};
use super::positions::{PositionEncoder, Positions};
use super::reader::Trajectory;
use super::share_topologies::{Sharer, Sharing};
use super::statistics::Statistics;
use crate::codec::{MdFrame, MdFrameCodec, Topology};
use crate::depot::DepotWriter;
use crate::error::Result;
use crate::existing::Existing;
use crate::key::Key;
use crate::store::Readable;
use crate::store::{Closed, Snapshot, StoreOptions, WriteOptions, Writer};
use crate::wire::Digest;
use std::path::Path;

/// Adds frames to a store.
///
/// Each frame is first compared with those that are stored, as
/// [`continue_from`](Self::continue_from) asked; what it shares with others is stored once, as
/// [`share_topologies`](Self::share_topologies) says; its positions are kept as
/// [`keep_positions`](Self::keep_positions) says; then it is encoded and put. Without any of these
/// calls frames are stored as they are given.
///
/// Commits as the [`Writer`] under it does. Dropping it commits nothing;
/// [`close`](Self::close) does.
#[derive(Debug)]
pub struct TrajectoryWriter {
    depot: DepotWriter<MdFrameCodec>,
    after: FrameFilter,
    sharer: Sharer,
    keeper: PositionEncoder,
    /// Frames that were put with their positions as integers.
    quantised: u64,
}

impl TrajectoryWriter {
    /// Makes a new store of frames at `path`. They are kept as [`FrameForm::record_codec`](super::FrameForm::record_codec) in
    /// its layout says; by default small ones have no table.
    ///
    /// # Errors
    /// As [`DepotWriter::create`].
    pub fn create(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        DepotWriter::create(path, MdFrameCodec, options).map(Self::of)
    }

    /// As [`create`](Self::create); a file that is there is replaced.
    ///
    /// # Errors
    /// As [`DepotWriter::replace`].
    pub fn replace(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        DepotWriter::replace(path, MdFrameCodec, options).map(Self::of)
    }

    /// Opens the store of frames at `path` for adding to it.
    ///
    /// # Errors
    /// As [`DepotWriter::open`].
    pub fn open(path: impl AsRef<Path>, options: &WriteOptions) -> Result<Self> {
        DepotWriter::open(path, MdFrameCodec, options).map(Self::of)
    }

    /// Opens the store of frames at `path`, or makes a new one there.
    ///
    /// # Errors
    /// As [`DepotWriter::open_or_create`].
    pub fn open_or_create(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        DepotWriter::open_or_create(path, MdFrameCodec, options).map(Self::of)
    }

    /// Makes a new store of frames in memory.
    ///
    /// # Errors
    /// As [`DepotWriter::in_memory`].
    pub fn in_memory(options: &StoreOptions) -> Result<Self> {
        DepotWriter::in_memory(MdFrameCodec, options).map(Self::of)
    }

    /// Adds frames through a writer that is open already.
    ///
    /// # Errors
    /// As [`DepotWriter::over`].
    pub fn over(writer: Writer) -> Result<Self> {
        DepotWriter::over(writer, MdFrameCodec).map(Self::of)
    }

    fn of(depot: DepotWriter<MdFrameCodec>) -> Self {
        Self {
            depot,
            after: FrameFilter::default(),
            sharer: Sharer::default(),
            keeper: PositionEncoder::default(),
            quantised: 0,
        }
    }

    /// Puts `frame` under `key` and returns its ordinal, or `None` if
    /// [`continue_from`](Self::continue_from) asked to ignore it. A record that is there is
    /// replaced.
    ///
    /// # Errors
    /// As [`DepotWriter::put`]; [`Error::Invalid`](crate::Error::Invalid) if frames are compared
    /// by step and it has none, or by number and the key is not an integer.
    pub fn put(&mut self, key: impl Into<Key>, frame: &MdFrame) -> Result<Option<u64>> {
        self.add(Some(&key.into()), frame, Existing::Replace)
    }

    /// As [`put`](Self::put), but a record that is there is kept, and the insertion refused.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Error::Exists`](crate::Error::Exists) if there is a record under
    /// `key`.
    pub fn insert(&mut self, key: impl Into<Key>, frame: &MdFrame) -> Result<Option<u64>> {
        self.add(Some(&key.into()), frame, Existing::Refuse)
    }

    /// As [`put`](Self::put), without a key: the frame is found by its ordinal alone.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn push(&mut self, frame: &MdFrame) -> Result<Option<u64>> {
        self.add(None, frame, Existing::Refuse)
    }

    fn add(
        &mut self,
        key: Option<&Key>,
        frame: &MdFrame,
        existing: Existing,
    ) -> Result<Option<u64>> {
        if self.after.ignores(key, self.depot.len(), frame.step)? {
            return Ok(None);
        }
        // A put that is refused changes nothing, so nothing is shared for it.
        let goes_in = |writer: &Writer| match key {
            Some(key) if existing == Existing::Refuse => Ok(!writer.contains(key)?),
            _ => Ok(true),
        };
        let mut view = frame.view();
        if let Some((topology, digest)) =
            self.sharer.share(&view, self.depot.writer_mut(), goes_in)?
        {
            view = view.without_shared(&topology, digest);
        }
        let (view, quantisable) = self.keeper.keep(view)?;
        let mut quantised = false;
        let ordinal = self.depot.put_by(key, existing, |codec, out| {
            if !quantisable {
                return codec.encode_ref(&view, out);
            }
            let encoded;
            (encoded, quantised) = codec.encode_quantised(&view, out)?;
            Ok(encoded)
        })?;
        self.after.put(frame.step);
        self.quantised += u64::from(quantised);
        Ok(Some(ordinal))
    }

    /// Prepares for going on at `start`. From then on [`put`](Self::put), [`insert`](Self::insert)
    /// and [`push`](Self::push) ignore what is older than `start`, and with
    /// [`Continue::SkipOlder`] everything up to the last stored frame, so that steps (or numbers)
    /// of stored frames only grow. The number of a frame is its integer key, or without a key the
    /// ordinal that it would have.
    ///
    /// [`Continue::DropNewer`] deletes the stored frames at and past `start`, looking back from
    /// the end to the first that is older; the deletion is committed with what is put next.
    /// Uncommitted puts are committed first.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if steps are to be compared and a stored frame
    /// has none; [`Error::Corrupt`](crate::Error::Corrupt) or
    /// [`Error::Codec`](crate::Error::Codec) if a stored frame that must be looked at is damaged.
    pub fn continue_from(&mut self, start: StartAt, how: Continue) -> Result<Continued> {
        let (found, after) = continue_from::continue_from(self.depot.writer_mut(), start, how)?;
        self.after = after;
        Ok(found)
    }

    /// Says what becomes of what frames share, from the next one on.
    pub fn share_topologies(&mut self, how: Sharing) {
        self.sharer = Sharer::new(how);
    }

    /// Tells of the frame that comes after the one that is put next, so that
    /// [`Sharing::Repeated`] sees at once that the two have the same topology.
    ///
    /// # Errors
    /// [`Error::Codec`](crate::Error::Codec) if the parts of `after` contradict each other.
    pub fn foresee(&mut self, after: &MdFrame) -> Result<()> {
        self.sharer.foresee(&after.view())
    }

    /// Stores a topology, if it is not there yet, and returns the digest by which frames refer
    /// to it ([`MdFrame::topology`]). The same topology has the same digest in every store.
    ///
    /// # Errors
    /// [`Error::Codec`](crate::Error::Codec) if its parts contradict each other; as
    /// [`Writer::share`].
    pub fn share_topology(&mut self, topology: &Topology) -> Result<Digest> {
        let mut bytes = Vec::new();
        let sites = topology.encode(&mut bytes)?;
        self.writer_mut().share_sized(&bytes, sites)
    }

    /// Says how positions are kept, from the next frame on.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a precision that is not positive and finite.
    pub fn keep_positions(&mut self, how: Positions) -> Result<()> {
        self.keeper = PositionEncoder::new(how)?;
        Ok(())
    }

    /// Number of frames that were put with their positions as integers.
    #[must_use]
    pub const fn quantised(&self) -> u64 {
        self.quantised
    }

    /// Commits, computes the statistics of all frames unless those that the store keeps are up
    /// to date, and commits them as the attribute [`STATISTICS`](super::STATISTICS).
    ///
    /// # Errors
    /// As [`Statistics::compute`] and [`Writer::commit`](crate::Writer::commit).
    pub fn keep_statistics(
        &mut self,
        progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<Statistics> {
        self.commit()?;
        let snapshot = self.snapshot()?;
        let found = Statistics::of(&snapshot, progress)?;
        if Statistics::kept(&snapshot).is_none_or(|kept| !kept.current) {
            self.writer_mut().set_attributes(&found.attributes(&snapshot))?;
            self.commit()?;
        }
        Ok(found)
    }

    /// Makes everything that was put so far survive; see [`Writer::commit`].
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn commit(&mut self) -> Result<u64> {
        self.depot.commit()
    }

    /// Brings the Blosc2 frame up to this moment; see [`Writer::seal`].
    ///
    /// # Errors
    /// As [`Writer::seal`].
    pub fn seal(&mut self) -> Result<u64> {
        self.depot.seal()
    }

    /// Commits and ends; see [`Writer::close`].
    ///
    /// # Errors
    /// As [`Writer::close`].
    pub fn close(self) -> Result<Closed> {
        self.depot.close()
    }

    /// Number of frames in the store.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.depot.len()
    }

    /// Whether there are no frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.depot.is_empty()
    }

    /// The writer of bytes under this one: for attributes, deleting, options.
    #[must_use]
    pub const fn writer(&self) -> &Writer {
        self.depot.writer()
    }

    /// As [`writer`](Self::writer), to change something. Bytes that are put through it are
    /// checked.
    pub const fn writer_mut(&mut self) -> &mut Writer {
        self.depot.writer_mut()
    }

    /// The state at the last commit, for readers.
    ///
    /// # Errors
    /// As [`Writer::snapshot`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.depot.snapshot()
    }

    /// The frames at the last commit.
    ///
    /// # Errors
    /// As [`Writer::snapshot`].
    pub fn trajectory(&self) -> Result<Trajectory> {
        Trajectory::new(self.snapshot()?)
    }
}
