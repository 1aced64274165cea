//! Topologies of frames: found by their digest, and joined with their frames.

use crate::codec::{Topology, TopologyView, aligned};
use crate::error::{Error, Result};
use crate::store::Readable;
use crate::wire::{AlignedBuf, Digest};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// Topologies that are kept in memory, at most, and the sites that they may have together.
const KEPT: usize = 4096;
const KEPT_SITES: usize = 8 << 20;

/// Topologies that were read, kept for the frames to come. Shared between threads.
#[derive(Debug, Default)]
pub struct Topologies {
    known: RwLock<HashMap<Digest, Arc<Topology>>>,
}

impl Topologies {
    /// The topology with this digest: as it was read before, or from `from`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`] if its bytes have changed,
    /// [`Error::Codec`] if they are no topology; each names it.
    pub fn get(&self, from: &dyn Readable, digest: &Digest) -> Result<Arc<Topology>> {
        // Never waited for: who forked while another thread held it would wait for ever.
        if let Ok(known) = self.known.try_read()
            && let Some(topology) = known.get(digest)
        {
            return Ok(topology.clone());
        }
        let record = from.shared(digest).map_err(|e| match e {
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
