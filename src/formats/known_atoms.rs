//! Topologies of frames of which each has its atoms: the same whichever frames were read before.

use crate::codec::Topology;
use std::sync::Arc;

/// Atoms of which a topology was made, and the name that it was given.
#[derive(Clone)]
struct Known {
    labels: Arc<[u8]>,
    name: Arc<str>,
    topology: Arc<Topology>,
}

/// The atoms of the first frame of a file, and of the last that was read. A frame with those of the first has its
/// topology. Of the others none is remembered but the last, and that only where nothing in its labels differs, and not
/// its name: a file that is read from its middle on has the first frame alone.
#[derive(Default)]
pub(super) struct KnownAtoms {
    first: Option<Known>,
    last: Option<Known>,
}

impl KnownAtoms {
    /// Whether no frame was read yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The topology of the last frame.
    pub(super) fn topology(&self) -> Option<&Arc<Topology>> {
        self.last.as_ref().map(|last| &last.topology)
    }

    /// Takes a frame: `same` says whether labels are those of the same atoms, `make` makes a topology where none is known. The title of a file is
    /// what stands before its time, and so the name.
    pub(super) fn take<E>(
        &mut self,
        labels: &[u8],
        title: &str,
        same: impl Fn(&[u8], &[u8]) -> bool,
        make: impl FnOnce(&str) -> Result<Topology, E>,
    ) -> Result<(), E> {
        let name = title.split(" t=").next().unwrap_or_default().trim();
        let name = if name.starts_with("t=") { "" } else { name };
        let first = self.first.as_ref().filter(|first| same(labels, &first.labels));
        let last =
            || self.last.as_ref().filter(|last| *last.name == *name && *last.labels == *labels);
        let known = match first.or_else(last) {
            Some(known) => known.clone(),
            None => {
                let topology = Arc::new(make(name)?);
                Known { labels: labels.into(), name: name.into(), topology }
            }
        };
        self.first.get_or_insert_with(|| known.clone());
        self.last = Some(known);
        Ok(())
    }
}
