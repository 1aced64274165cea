//! What frames share: found while they are written, and stored once.

use crate::codec::{MdFrameRef, Topology, TopologyRef};
use crate::error::Result;
use crate::store::Readable;
use crate::store::Writer;
use crate::wire::Digest;
use std::collections::HashSet;

/// Shortest record of a topology that is worth one, in bytes: below it the types of a small
/// molecule, which compress well, cost less in each frame than another record does.
const LEAST: usize = 320;
/// Digests of topologies that a writer remembers to have seen, at most.
const SEEN: usize = 1 << 16;

/// Whether a [`TrajectoryWriter`](super::TrajectoryWriter) stores what does not change from one frame to the next once, as
/// a topology to which the frames refer.
///
/// What is shared are the types, the masses and the extra properties of the atoms that are
/// before the first of floating-point numbers.
/// [`Trajectory::joined`](super::Trajectory::joined) gives back equal frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Frames are stored as they are.
    #[default]
    Never,
    /// From the second frame on that has the same; from the first on if
    /// [`foresee`](super::TrajectoryWriter::foresee) tells of the second. Where no two frames have the same, or where
    /// it is little (the types alone of less than some 50 sites), nothing is shared, since a
    /// topology would cost more than it saves.
    Repeated,
    /// From every frame.
    Always,
}

/// Finds what frames share: what a writer knows of the topologies of its frames.
#[derive(Debug, Default)]
pub(super) struct Sharer {
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

impl Sharer {
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

    /// Looks at the frame that comes after the next one; see
    /// [`TrajectoryWriter::foresee`](super::TrajectoryWriter::foresee).
    pub(super) fn foresee(&mut self, after: &MdFrameRef<'_>) -> Result<()> {
        if self.how != Sharing::Repeated {
            return Ok(());
        }
        let mut found = [None; 2];
        for (topology, slot) in candidates(after).zip(&mut found) {
            *slot = match self.is_last(&topology) {
                Some(digest) => Some(digest),
                None => Some(self.encode(&topology)?.0),
            };
        }
        self.foreseen = found;
        Ok(())
    }

    /// The topology that `frame` shares with others, and its digest; what is new is put into
    /// `writer`.
    pub(super) fn share<'a>(
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
    let all = TopologyRef::of_frame(frame);
    let more = all.as_ref().is_some_and(|t| !t.atom_properties.is_empty());
    let core = if more { TopologyRef::core_of_frame(frame) } else { None };
    [all, core].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{MdFrame, Property, Real, Values};
    use crate::trajectory::TrajectoryWriter;
    use crate::{StoreOptions, WriteOptions};
    use std::sync::Arc;

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

    fn writer(how: Sharing) -> TrajectoryWriter {
        let mut w = TrajectoryWriter::in_memory(&StoreOptions::default()).unwrap();
        w.share_topologies(how);
        w
    }

    /// Puts all, and says which refer to a topology.
    fn put(w: &mut TrajectoryWriter, all: &[MdFrame], foresee: bool) -> Vec<bool> {
        for (i, f) in all.iter().enumerate() {
            let n = i as u64;
            if foresee && let Some(after) = all.get(i + 1) {
                w.foresee(after).unwrap();
            }
            w.insert(n, f).unwrap();
        }
        w.commit().unwrap();
        let stored = w.trajectory().unwrap();
        let items = stored.iter().map(|item| item.unwrap());
        items
            .zip(all)
            .map(|(item, right)| {
                let view = item.view().unwrap();
                assert_eq!(stored.joined(&view).unwrap(), *right);
                view.topology().is_some()
            })
            .collect()
    }

    #[test]
    fn what_repeats_is_stored_once_and_every_frame_comes_back_equal() {
        let (water, ice) = ([8; 100], [1; 90]);
        let all: Vec<MdFrame> =
            (0..6).map(|i| frame(i, if i % 2 == 0 { &water } else { &ice }, 1)).collect();
        for (how, foresee, shared, referring) in [
            (Sharing::Never, true, 0, [false; 6]),
            (Sharing::Always, false, 2, [true; 6]),
            (Sharing::Repeated, false, 2, [false, false, true, true, true, true]),
        ] {
            let mut w = writer(how);
            assert_eq!(put(&mut w, &all, foresee), referring, "{how:?}");
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
        let stored = w.trajectory().unwrap();
        let list = stored.list_topologies().unwrap();
        assert_eq!(list.len(), 1);
        let topology = stored.topology(&list[0]).unwrap();
        assert_eq!(
            (topology.types.as_deref(), topology.atom_properties.len()),
            (Some(&[2; 80][..]), 0)
        );
        assert!(Arc::ptr_eq(&topology, &stored.topology(&list[0]).unwrap()), "it is kept");
    }

    #[test]
    fn the_next_writer_goes_on_with_the_topologies_of_the_store() {
        let all: Vec<MdFrame> = (0..2).map(|i| frame(i, &[1; 99], 0)).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let mut w = TrajectoryWriter::create(&path, &StoreOptions::default()).unwrap();
        w.share_topologies(Sharing::Repeated);
        put(&mut w, &all, true);
        w.close().unwrap();
        let mut w = TrajectoryWriter::open(&path, &WriteOptions::default()).unwrap();
        w.share_topologies(Sharing::Repeated);
        w.insert(2, &all[0]).unwrap();
        w.commit().unwrap();
        let stored = w.trajectory().unwrap();
        assert!(stored.get(2).unwrap().view().unwrap().topology().is_some());
        assert_eq!(stored.list_topologies().unwrap().len(), 1);
    }

    #[test]
    fn a_frame_is_refused_whose_topology_is_not_there_or_does_not_fit_and_changes_nothing() {
        let mut w = writer(Sharing::Never);
        let digest = Digest::of(b"nothing");
        let lost = MdFrame { nsites: 2, topology: Some(digest), ..MdFrame::default() };
        let why = w.put(0, &lost).unwrap_err().to_string();
        assert!(why.contains(&digest.to_string()) && why.contains("share"), "{why}");
        let topology = Topology { nsites: 3, ..Topology::default() };
        let digest = w.share_topology(&topology).unwrap();
        let other = MdFrame { topology: Some(digest), ..lost };
        let why = w.put(0, &other).unwrap_err().to_string();
        assert!(why.contains("2 sites, its topology"), "{why}");
        assert!(w.is_empty());
        let fits = MdFrame { nsites: 3, ..other };
        w.put(0, &fits).unwrap();
        w.commit().unwrap();
        let stored = w.trajectory().unwrap();
        let item = stored.get(0).unwrap();
        let view = item.view().unwrap();
        assert_eq!(*stored.topology_of(&view).unwrap().unwrap(), topology);
        assert_eq!(stored.joined(&view).unwrap().nsites, 3);
    }

    #[test]
    fn a_put_that_is_refused_shares_nothing() {
        let mut w = writer(Sharing::Never);
        w.put(0, &frame(0, &[1], 0)).unwrap();
        w.share_topologies(Sharing::Always);
        assert!(w.insert(0, &frame(0, &[2], 0)).is_err());
        w.commit().unwrap();
        assert_eq!(w.snapshot().unwrap().info().unwrap().shared, 0);
    }
}
