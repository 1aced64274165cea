//! Copies that keep frames in another way: what they share lifted out of them, their positions as
//! whole numbers or as given.

use super::get::Depot;
use super::positions::Positions;
use super::topologies::{Lifting, Sharing};
use crate::codec::{AnyCodec, MdFrameCodec, MdFrameRef, MdFrameView, aligned};
use crate::error::{Error, Result};
use crate::maintain::{Copied, CopyOptions, copy_with};
use crate::store::Store;
use crate::wire::AlignedBuf;
use std::path::Path;

/// Copies a store of frames as [`copy`](crate::copy) does, and keeps its frames as
/// [`DepotWriter::put_frame`](super::DepotWriter::put_frame) would have done: for stores that
/// were filled frame by frame. What frames share is stored once, as `how` says, and
/// [`Depot::whole`] gives back equal frames. Positions are kept as `positions` says, `None` leaving
/// them as they are; the frames stay equal.
///
/// A frame that refers to a topology already keeps it, and a frame that another program
/// wrote with more in it than this release knows stays as it is, since that would be lost. With
/// [`Sharing::Repeated`] frames are lifted from the second on that has the same.
///
/// # Errors
/// As [`copy`](crate::copy); [`Error::Invalid`] if the records are no frames, or for
/// [`Positions::Rounded`], since copies are equal; [`Error::Codec`] with the record for one that is
/// no frame.
pub fn copy_frames(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    options: &CopyOptions,
    how: Sharing,
    positions: Option<Positions>,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    if matches!(positions, Some(Positions::Rounded(_))) {
        let why = "a copy rounds nothing; import the trajectory with a precision instead";
        return Err(Error::invalid("positions", why));
    }
    let from = from.as_ref();
    // Refused before anything is written.
    Depot::new(Store::open(from)?.snapshot(), MdFrameCodec).map_err(|e| e.at(from))?;
    let mut lifting = Lifting::new(how);
    let (mut space, mut again) = (AlignedBuf::default(), Vec::new());
    let rewrite = |bytes: &[u8], writer: &mut crate::Writer, out: &mut Vec<u8>| {
        let expanded = MdFrameCodec.expand(bytes)?;
        let is_whole = expanded.is_some();
        let view = match &expanded {
            Some(expanded) => MdFrameView::new(expanded)?,
            None => MdFrameView::new(aligned(bytes, &mut space)?)?,
        };
        again.clear();
        encode(view.fields(), is_whole, &mut again)?;
        if again != bytes {
            return Ok(false);
        }
        let whole = positions.map_or(is_whole, |how| how == Positions::Whole);
        let lifted = lifting.choose(view.fields(), writer, |_| Ok(true))?;
        if lifted.is_none() && whole == is_whole {
            return Ok(false);
        }
        match lifted {
            Some((topology, digest)) => {
                encode(&view.fields().clone().lifted(&topology, digest), whole, out)?;
            }
            None => encode(view.fields(), whole, out)?,
        }
        Ok(true)
    };
    copy_with(from, to, options, rewrite, progress)
}

fn encode(frame: &MdFrameRef<'_>, whole: bool, out: &mut Vec<u8>) -> Result<()> {
    if whole {
        MdFrameCodec.encode_whole(frame, out).map(drop)
    } else {
        MdFrameCodec.encode_ref(frame, out).map(drop)
    }
}
