//! Masses of the elements, for frames whose input states none.

use super::reading::Arrived;
use crate::codec::{Real, Topology};
use crate::error::{Error, Result};
use crate::formats::standard_masses;
use std::sync::Arc;

/// Adds masses to frames, or to what they have in common.
#[derive(Debug, Default)]
pub(super) struct Weigher {
    /// The last topology that came without masses, and with them.
    last: Option<(Arc<Topology>, Arc<Topology>)>,
}

impl Weigher {
    /// Adds the masses, unless they are there.
    pub(super) fn weigh(&mut self, arrived: &mut Arrived) -> Result<()> {
        let stated = arrived.topology.as_ref().is_some_and(|t| t.masses.is_some());
        if stated || arrived.frame.masses.is_some() {
            return Ok(());
        }
        if let Some(topology) = &arrived.topology
            && let Some(types) = &topology.types
        {
            let with = match &self.last {
                Some((without, with)) if Arc::ptr_eq(without, topology) => with.clone(),
                _ => {
                    let masses = Some(Real::F64(standard_masses(types)?));
                    let with = Arc::new(Topology { masses, ..Topology::clone(topology) });
                    self.last = Some((topology.clone(), with.clone()));
                    with
                }
            };
            arrived.topology = Some(with);
            return Ok(());
        }
        let types = arrived.frame.types.as_ref().ok_or_else(|| {
            let why = "its atoms have no elements; name them with --topology FILE, such as a PDB file \
                       with elements";
            Error::invalid("masses", why)
        })?;
        arrived.frame.masses = Some(Real::F64(standard_masses(types)?));
        Ok(())
    }
}
