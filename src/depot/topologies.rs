//! Topologies of frames: stored once, found by their content, put together with their frames.

use super::get::Depot;
use super::put::DepotWriter;
use crate::codec::{MdFrame, MdFrameCodec, MdFrameRef, MdFrameView, Topology, TopologyRef};
use crate::codec::{TopologyView, aligned};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::store::{Snapshot, Writer};
use crate::wire::{AlignedBuf, Digest};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

/// Topologies that are kept in memory, at most, and the sites that they may have together.
const KEPT: usize = 4096;
const KEPT_SITES: usize = 8 << 20;
/// Shortest record of a topology that is worth one, in bytes: below it the types of a small
/// molecule, which compress well, cost less in each frame than another record does.
const LEAST: usize = 320;
/// Digests of topologies that a writer remembers to have seen, at most.
const SEEN: usize = 1 << 16;

/// Whether [`DepotWriter::put_frame`] lifts out of frames what does not change from one to the
/// next, and stores it once.
///
/// What is lifted are the types, the masses and the extra properties of the atoms that stand
/// before the first of floating-point numbers. [`Depot::whole`] gives back equal frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Frames are stored as they are.
    #[default]
    Never,
    /// From the second frame on that has the same; from the first on if
    /// [`DepotWriter::foresee`] tells of the second. Where no two frames have the same, or where
    /// it is little (the types alone of less than some 50 sites), nothing is lifted, since a
    /// topology would cost more than it saves.
    Repeated,
    /// From every frame.
    Always,
}

/// What a writer knows of the topologies of its frames.
#[derive(Debug, Default)]
pub(super) struct Lifting {
    how: Sharing,
    last: Option<(Topology, Digest)>,
    seen: HashSet<Digest>,
    /// Those that the next frame but one could have.
    foreseen: [Option<Digest>; 2],
    space: Vec<u8>,
}

impl Sharing {
    /// The name on the command line and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Repeated => "repeated",
            Self::Always => "always",
        }
    }

    /// The variant of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Never, Self::Repeated, Self::Always].into_iter().find(|s| s.name() == name)
    }
}

impl Lifting {
    pub(super) fn new(how: Sharing) -> Self {
        Self { how, ..Self::default() }
    }

    fn encode(&mut self, topology: &TopologyRef<'_>) -> Result<(Digest, u32)> {
        self.space.clear();
        let sites = topology.encode(&mut self.space)?;
        Ok((Digest::of(&self.space), sites))
    }

    fn is_last(&self, topology: &TopologyRef<'_>) -> Option<Digest> {
        self.last.as_ref().filter(|(last, _)| last.view() == *topology).map(|(_, digest)| *digest)
    }

    /// The topology to lift out of `frame`, and its digest; what is new is put into `writer`.
    pub(super) fn choose<'a>(
        &mut self,
        frame: &MdFrameRef<'a>,
        writer: &mut Writer,
        may_put: impl Fn(&Writer) -> Result<bool>,
    ) -> Result<Option<(TopologyRef<'a>, Digest)>> {
        let foreseen = std::mem::take(&mut self.foreseen);
        if self.how == Sharing::Never {
            return Ok(None);
        }
        for topology in candidates(frame) {
            if let Some(digest) = self.is_last(&topology) {
                return Ok(Some((topology, digest)));
            }
            let (digest, sites) = self.encode(&topology)?;
            if self.how == Sharing::Repeated && self.space.len() < LEAST {
                return Ok(None);
            }
            if self.seen.len() >= SEEN {
                self.seen.clear();
            }
            let repeated = !self.seen.insert(digest)
                || foreseen.contains(&Some(digest))
                || writer.contains_shared(&digest)?;
            if repeated || self.how == Sharing::Always {
                if !may_put(writer)? {
                    return Ok(None);
                }
                writer.share_sized(&self.space, sites)?;
                self.last = Some((topology.to_owned(), digest));
                return Ok(Some((topology, digest)));
            }
        }
        Ok(None)
    }
}

/// All that may be shared, then, if that is more, what surely can be.
fn candidates<'a>(frame: &MdFrameRef<'a>) -> impl Iterator<Item = TopologyRef<'a>> + use<'a> {
    let whole = TopologyRef::of_frame(frame);
    let more = whole.as_ref().is_some_and(|t| !t.atom_properties.is_empty());
    let core = if more { TopologyRef::core_of_frame(frame) } else { None };
    [whole, core].into_iter().flatten()
}

impl DepotWriter<MdFrameCodec> {
    /// Says what [`put_frame`](Self::put_frame) does from now on about what frames share.
    pub fn share_topologies(&mut self, how: Sharing) {
        self.lifting = Lifting::new(how);
    }

    /// Tells of the frame that comes after the one that is put next, so that
    /// [`Sharing::Repeated`] sees at once that the two have the same topology.
    ///
    /// # Errors
    /// [`Error::Codec`] if the parts of `after` contradict each other.
    pub fn foresee(&mut self, after: &MdFrame) -> Result<()> {
        if self.lifting.how != Sharing::Repeated {
            return Ok(());
        }
        let mut found = [None; 2];
        for (topology, slot) in candidates(&after.view()).zip(&mut found) {
            *slot = match self.lifting.is_last(&topology) {
                Some(digest) => Some(digest),
                None => Some(self.lifting.encode(&topology)?.0),
            };
        }
        self.lifting.foreseen = found;
        Ok(())
    }

    /// Stores a topology, if it is not there yet, and answers the digest by which frames refer
    /// to it ([`MdFrame::topology`]). The same topology has the same digest in every store.
    ///
    /// # Errors
    /// [`Error::Codec`] if its parts contradict each other; as [`Writer::share`].
    pub fn share_topology(&mut self, topology: &Topology) -> Result<Digest> {
        let mut bytes = Vec::new();
        let sites = topology.encode(&mut bytes)?;
        self.writer.share_sized(&bytes, sites)
    }

    /// Puts a frame as [`share_topologies`](Self::share_topologies) says.
    pub(super) fn add_frame(&mut self, key: &Key, frame: &MdFrame) -> Result<u64> {
        let view = frame.view();
        // A put that is refused changes nothing, so nothing is shared for it.
        let may_put = |writer: &Writer| Ok(!writer.contains(key)?);
        let chosen = self.lifting.choose(&view, &mut self.writer, may_put)?;
        let (encoded, whole) = match chosen {
            None => self.encode_frame(&view)?,
            Some((topology, digest)) => self.encode_frame(&view.lifted(&topology, digest))?,
        };
        let ordinal = self.put_encoded(Some(key), encoded, false)?;
        self.count_whole(whole);
        Ok(ordinal)
    }
}

/// Topologies that were read, kept for the frames to come. Shared between threads.
#[derive(Debug, Default)]
pub struct Topologies {
    known: RwLock<HashMap<Digest, Arc<Topology>>>,
}

impl Topologies {
    /// The topology with this digest: as it was read before, or from `snapshot`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`] if its bytes have changed,
    /// [`Error::Codec`] if they are no topology; each names it.
    pub fn get(&self, snapshot: &Snapshot, digest: &Digest) -> Result<Arc<Topology>> {
        self.get_with(digest, |digest| snapshot.shared(digest))
    }

    /// As [`get`](Self::get), from a writer.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_in(&self, writer: &Writer, digest: &Digest) -> Result<Arc<Topology>> {
        self.get_with(digest, |digest| writer.shared(digest))
    }

    fn get_with(
        &self,
        digest: &Digest,
        read: impl FnOnce(&Digest) -> Result<crate::store::Record>,
    ) -> Result<Arc<Topology>> {
        // Never waited for: who forked while another thread held it would wait for ever.
        if let Ok(known) = self.known.try_read()
            && let Some(topology) = known.get(digest)
        {
            return Ok(topology.clone());
        }
        let record = read(digest).map_err(|e| match e {
            Error::NotFound { .. } => Error::NotFound { key: format!("topology {digest}").into() },
            Error::Record { source, .. } => source.of_record(&format_args!("topology {digest}")),
            other => other,
        })?;
        let mut space = AlignedBuf::default();
        let topology = TopologyView::new(aligned(&record, &mut space)?).map_err(|e| match e {
            Error::Codec { codec, why } => Error::codec(codec, format!("topology {digest}: {why}")),
            other => other,
        })?;
        let topology = Arc::new(topology.try_to_owned()?);
        if let Ok(mut known) = self.known.try_write() {
            let sites: usize = known.values().map(|t| t.nsites).sum();
            if known.len() >= KEPT || sites.saturating_add(topology.nsites) > KEPT_SITES {
                known.clear();
            }
            known.insert(*digest, topology.clone());
        }
        Ok(topology)
    }
}

impl Depot<MdFrameCodec> {
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
    pub fn whole(&self, frame: &MdFrameView<'_>) -> Result<MdFrame> {
        match self.topology_of(frame)? {
            None => frame.try_to_owned(),
            Some(topology) => frame.fields().joined(&topology.view())?.try_to_owned(),
        }
    }

    /// The digests of all topologies of the store, in the order in which they were put.
    ///
    /// # Errors
    /// As [`Snapshot::list_shared`].
    pub fn list_topologies(&self) -> Result<Vec<Digest>> {
        Ok(self.snapshot().list_shared()?.into_iter().map(|(digest, _)| digest).collect())
    }
}

fn fits(frame: &MdFrameView<'_>, topology: &Topology, digest: &Digest) -> Result<()> {
    if frame.nsites() == topology.nsites {
        return Ok(());
    }
    let (a, b) = (frame.nsites(), topology.nsites);
    Err(Error::codec("md-frame", format!("the frame has {a} sites, its topology {digest} {b}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::codec::{Property, Real, Values};

    fn frame(step: i64, types: &[i32], label: i32) -> MdFrame {
        let property = Property {
            name: "id".into(),
            shape: vec![],
            values: Values::I32(vec![label; types.len()]),
        };
        MdFrame {
            nsites: types.len(),
            types: Some(types.to_vec()),
            positions: Some(Real::F32(vec![0.25; 3 * types.len()])),
            step: Some(step),
            atom_properties: vec![property],
            ..MdFrame::default()
        }
    }

    fn writer(how: Sharing) -> DepotWriter<MdFrameCodec> {
        let mut w = DepotWriter::in_memory(MdFrameCodec, &StoreOptions::default()).unwrap();
        w.share_topologies(how);
        w
    }

    /// Puts all, and says which refer to a topology.
    fn put(w: &mut DepotWriter<MdFrameCodec>, all: &[MdFrame], foresee: bool) -> Vec<bool> {
        for (i, f) in all.iter().enumerate() {
            let n = i as u64;
            if foresee && let Some(after) = all.get(i + 1) {
                w.foresee(after).unwrap();
            }
            w.put_frame(n, n, f).unwrap();
        }
        w.commit().unwrap();
        let depot = w.depot().unwrap();
        let items = depot.iter().map(|item| item.unwrap());
        items
            .zip(all)
            .map(|(item, right)| {
                let view = item.view().unwrap();
                assert_eq!(depot.whole(&view).unwrap(), *right);
                view.topology().is_some()
            })
            .collect()
    }

    #[test]
    fn what_repeats_is_stored_once_and_every_frame_comes_back_equal() {
        let (water, ice) = ([8; 100], [1; 90]);
        let all: Vec<MdFrame> =
            (0..6).map(|i| frame(i, if i % 2 == 0 { &water } else { &ice }, 1)).collect();
        for (how, foresee, shared, lifted) in [
            (Sharing::Never, true, 0, [false; 6]),
            (Sharing::Always, false, 2, [true; 6]),
            (Sharing::Repeated, false, 2, [false, false, true, true, true, true]),
        ] {
            let mut w = writer(how);
            assert_eq!(put(&mut w, &all, foresee), lifted, "{how:?}");
            assert_eq!(w.snapshot().unwrap().info().unwrap().shared, shared);
        }
        let all: Vec<MdFrame> = (0..3).map(|i| frame(i, &water, 1)).collect();
        assert_eq!(put(&mut writer(Sharing::Repeated), &all, true), [true; 3]);
        let small: Vec<MdFrame> = (0..3).map(|i| frame(i, &[8, 1, 1], 1)).collect();
        assert_eq!(put(&mut writer(Sharing::Repeated), &small, true), [false; 3]);
        let alone: Vec<MdFrame> = (1..9).map(|i| frame(0, &vec![1; 60 + i], 1)).collect();
        assert_eq!(put(&mut writer(Sharing::Repeated), &alone, true), [false; 8]);
    }

    #[test]
    fn a_property_that_changes_does_not_keep_the_types_from_being_shared() {
        let all: Vec<MdFrame> = (0..5).map(|i| frame(i.into(), &[2; 80], i)).collect();
        let mut w = writer(Sharing::Repeated);
        assert_eq!(put(&mut w, &all, true), [true; 5]);
        let depot = w.depot().unwrap();
        let list = depot.list_topologies().unwrap();
        assert_eq!(list.len(), 1);
        let topology = depot.topology(&list[0]).unwrap();
        assert_eq!(
            (topology.types.as_deref(), topology.atom_properties.len()),
            (Some(&[2; 80][..]), 0)
        );
        assert!(Arc::ptr_eq(&topology, &depot.topology(&list[0]).unwrap()), "it is kept");
    }

    #[test]
    fn the_next_writer_goes_on_with_the_topologies_of_the_store() {
        let all: Vec<MdFrame> = (0..2).map(|i| frame(i, &[1; 99], 0)).collect();
        let mut w = writer(Sharing::Repeated);
        put(&mut w, &all, true);
        let mut w = DepotWriter::over(w.writer, MdFrameCodec).unwrap();
        w.share_topologies(Sharing::Repeated);
        w.put_frame(2, 2, &all[0]).unwrap();
        w.commit().unwrap();
        let depot = w.depot().unwrap();
        assert!(depot.get(2).unwrap().view().unwrap().topology().is_some());
        assert_eq!(depot.list_topologies().unwrap().len(), 1);
    }

    #[test]
    fn a_frame_is_refused_whose_topology_is_not_there_or_does_not_fit_and_changes_nothing() {
        let mut w = writer(Sharing::Never);
        let digest = Digest::of(b"nothing");
        let lost = MdFrame { nsites: 2, topology: Some(digest), ..MdFrame::default() };
        let why = w.put(0, &lost, false).unwrap_err().to_string();
        assert!(why.contains(&digest.to_string()) && why.contains("share"), "{why}");
        let topology = Topology { nsites: 3, ..Topology::default() };
        let digest = w.share_topology(&topology).unwrap();
        let other = MdFrame { topology: Some(digest), ..lost };
        let why = w.put(0, &other, false).unwrap_err().to_string();
        assert!(why.contains("2 sites, its topology"), "{why}");
        assert!(w.is_empty());
        let fits = MdFrame { nsites: 3, ..other };
        w.put(0, &fits, false).unwrap();
        w.commit().unwrap();
        let depot = w.depot().unwrap();
        let item = depot.get(0).unwrap();
        let view = item.view().unwrap();
        assert_eq!(*depot.topology_of(&view).unwrap().unwrap(), topology);
        assert_eq!(depot.whole(&view).unwrap().nsites, 3);
    }

    #[test]
    fn a_put_that_is_refused_shares_nothing() {
        let mut w = writer(Sharing::Always);
        w.put(0, &frame(0, &[1], 0), false).unwrap();
        assert!(w.put_frame(0, 0, &frame(0, &[2], 0)).is_err());
        w.commit().unwrap();
        assert_eq!(w.snapshot().unwrap().info().unwrap().shared, 0);
    }
}
