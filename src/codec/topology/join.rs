//! A frame and its topology: joined when read, separated when stored.

use super::values::TopologyRef;
use crate::Result;
use crate::codec::md_frame::bad;
use crate::codec::{MdFrameRef, PropertyView, ValuesView};
use crate::wire::Digest;

impl<'a> MdFrameRef<'a> {
    /// The frame with what `topology` has and it does not state itself: name, types, masses,
    /// charges and extra properties of the atoms, those of the topology first. It refers to no
    /// topology any more.
    ///
    /// # Errors
    /// [`Error::Codec`](crate::Error::Codec) if they have different numbers of sites.
    pub fn joined(&self, topology: &TopologyRef<'a>) -> Result<Self> {
        if self.nsites != topology.nsites {
            return Err(bad(format!(
                "the frame has {} sites, its topology {}",
                self.nsites, topology.nsites
            )));
        }
        let own = |name: &str| self.atom_properties.iter().any(|p| p.name == name);
        let shared = topology.atom_properties.iter().filter(|p| !own(p.name)).copied();
        Ok(Self {
            name: self.name.or(topology.name),
            types: self.types.or(topology.types),
            masses: self.masses.or(topology.masses),
            charges: self.charges.or(topology.charges),
            atom_properties: shared.chain(self.atom_properties.iter().copied()).collect(),
            topology: None,
            ..self.clone()
        })
    }

    /// The frame without what `topology`, made of it by [`TopologyRef::of_frame`] or
    /// [`TopologyRef::core_of_frame`], has; it refers to the topology by `digest`.
    /// [`joined`](Self::joined) gives back an equal frame.
    #[must_use]
    pub fn without_shared(mut self, topology: &TopologyRef<'_>, digest: Digest) -> Self {
        self.types = None;
        self.masses = None;
        let n = topology.atom_properties.len().min(self.atom_properties.len());
        self.atom_properties.drain(..n);
        self.topology = Some(digest);
        self
    }
}

impl<'a> TopologyRef<'a> {
    /// What of a frame stays the same from frame to frame as a rule: types, masses, and of the
    /// extra properties of the atoms those before the first of floating-point numbers (a frame
    /// keeps their order). `None` if there is nothing of the kind, or if the frame has a topology
    /// already.
    #[must_use]
    pub fn of_frame(frame: &MdFrameRef<'a>) -> Option<Self> {
        let stays = |p: &&PropertyView<'_>| !matches!(p.values, ValuesView::Real(_));
        let properties = frame.atom_properties.iter().take_while(stays).copied().collect();
        Self::some(Self { atom_properties: properties, ..Self::core(frame) }, frame)
    }

    /// As [`of_frame`](Self::of_frame), of types and masses alone: extra properties may change
    /// though they are integers or texts.
    #[must_use]
    pub fn core_of_frame(frame: &MdFrameRef<'a>) -> Option<Self> {
        Self::some(Self::core(frame), frame)
    }

    fn core(frame: &MdFrameRef<'a>) -> Self {
        let MdFrameRef { nsites, types, masses, .. } = *frame;
        Self { nsites, types, masses, ..Self::default() }
    }

    fn some(self, frame: &MdFrameRef<'_>) -> Option<Self> {
        let any = self.types.is_some() || self.masses.is_some() || !self.atom_properties.is_empty();
        (any && frame.topology.is_none()).then_some(self)
    }
}
