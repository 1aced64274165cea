//! Frames of another number of atoms than those that are stored: most often another molecule, by
//! mistake.

use super::reading::Reading;
use crate::codec::MdFrame;
use crate::error::{Error, Result, Unresumed};
use crate::formats::FormatKind;
use crate::printable::printable_path;
use crate::trajectory::reader::Trajectory;
use std::path::Path;

/// Reads the first frame of each input that is new to the store, which must be there, and refuses
/// one whose number of atoms is not that of all frames of the store. Of several XTC files, all must
/// have the same number. `mixed` allows any number. Returns whether there are several.
pub(super) fn check(
    reading: &mut Reading,
    depot: Option<&Trajectory>,
    mixed: bool,
    store: &Path,
) -> Result<bool> {
    let stored = match depot {
        Some(depot) if !mixed => Some(sites_of(depot, depot.len() - 1)?),
        _ => None,
    };
    let mut several = false;
    let mut first: Option<(usize, std::path::PathBuf)> = None;
    let read = reading.options().clone();
    for given in reading.given.iter_mut().filter(|g| g.row.is_none() && g.path.is_some()) {
        let mut reader = given.open(&read)?;
        let mut frame = MdFrame::default();
        match reader.next_frame(&mut frame) {
            Ok(true) => {}
            // Said, or refused, when its turn comes.
            Ok(false) if read.empty => continue,
            Err(_) if read.empty && reader.unfinished() => continue,
            Ok(false) => {
                let why = "it has no frames";
                return Err(Error::format("trajectory", "its end", why).at(&given.name));
            }
            Err(error) => return Err(error),
        }
        if let (Some(depot), Some(stored)) = (depot, stored)
            && frame.nsites != stored
            && all_have(depot, stored)?
        {
            let why = format!(
                "its first frame has {} atoms, all frames of {} have {stored}: another molecule?",
                frame.nsites,
                printable_path(store)
            );
            return Err(Error::resume(Unresumed::Sites, why).at(&given.name));
        }
        match &first {
            Some((sites, _)) if *sites == frame.nsites => {}
            Some((sites, other)) if given.kind == FormatKind::Xtc && !mixed => {
                let why = format!(
                    "its first frame has {} atoms, that of {} has {sites}: another molecule?",
                    frame.nsites,
                    printable_path(other)
                );
                return Err(Error::resume(Unresumed::Sites, why).at(&given.name));
            }
            Some(_) => several = true,
            None => first = Some((frame.nsites, given.name.clone())),
        }
    }
    Ok(several)
}

fn sites_of(depot: &Trajectory, ordinal: u64) -> Result<usize> {
    match depot.weight_at(ordinal)? {
        // The index of a file of the original program does not count them.
        0 => Ok(depot.get_at(ordinal)?.view()?.nsites()),
        sites => Ok(sites as usize),
    }
}

fn all_have(depot: &Trajectory, sites: usize) -> Result<bool> {
    for ordinal in 0..depot.len() {
        if sites_of(depot, ordinal)? != sites {
            return Ok(false);
        }
    }
    Ok(true)
}
