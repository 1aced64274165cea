//! Copies that keep frames in another way: what they share stored once, their positions quantised
//! or as given.

use super::positions::Positions;
use super::reader::Trajectory;
use super::share_topologies::{Sharer, Sharing};
use crate::codec::{AnyCodec, MdFrameCodec, MdFrameRef, MdFrameView, aligned};
use crate::dataset::open_store;
use crate::error::{Error, Result};
use crate::maintain::{Copied, CopyOptions, copy_with};
use crate::store::ReadOptions;
use crate::wire::AlignedBuf;
use std::path::Path;

/// Copies a store of frames as [`copy`](crate::maintain::copy) does, and keeps its frames as a
/// [`TrajectoryWriter`](super::TrajectoryWriter) would have done: for stores that were filled
/// without. What frames share is stored once, as `sharing` says, and [`Trajectory::joined`] gives
/// back equal frames. Positions are kept as `positions` says, `None` leaving them as they are; the
/// frames stay equal.
///
/// A frame that refers to a topology already keeps it, and a frame that another program
/// wrote with more in it than this release knows stays as it is, since that would be lost. With
/// [`Sharing::Repeated`] frames refer to a topology from the second on that has the same.
///
/// # Errors
/// As [`copy`](crate::maintain::copy); [`Error::Invalid`] if the records are not frames, or for
/// [`Positions::Rounded`], since copies are equal; [`Error::Codec`] with the record for one that is
/// not a frame.
pub fn copy_frames(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    options: &CopyOptions,
    sharing: Sharing,
    positions: Option<Positions>,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    if matches!(positions, Some(Positions::Rounded(_))) {
        let why = "a copy rounds nothing; import the trajectory with a precision instead";
        return Err(Error::invalid("positions", why));
    }
    let from = from.as_ref();
    // Refused before anything is written.
    Trajectory::new(open_store(from, &ReadOptions::default())?.snapshot())
        .map_err(|e| e.at(from))?;
    let mut sharer = Sharer::new(sharing);
    let (mut space, mut again) = (AlignedBuf::default(), Vec::new());
    let rewrite = |bytes: &[u8], writer: &mut crate::Writer, out: &mut Vec<u8>| {
        let expanded = MdFrameCodec.expand(bytes)?;
        let is_quantised = expanded.is_some();
        let view = match &expanded {
            Some(expanded) => MdFrameView::new(expanded)?,
            None => MdFrameView::new(aligned(bytes, &mut space)?)?,
        };
        again.clear();
        encode(view.fields(), is_quantised, &mut again)?;
        if again != bytes {
            return Ok(false);
        }
        let quantised = positions.map_or(is_quantised, |how| how == Positions::Quantised);
        let shared = sharer.share(view.fields(), writer, |_| Ok(true))?;
        if shared.is_none() && quantised == is_quantised {
            return Ok(false);
        }
        match shared {
            Some((topology, digest)) => {
                let frame = view.fields().clone().without_shared(&topology, digest);
                encode(&frame, quantised, out)?;
            }
            None => encode(view.fields(), quantised, out)?,
        }
        Ok(true)
    };
    copy_with(from, to, options, rewrite, progress)
}

fn encode(frame: &MdFrameRef<'_>, quantised: bool, out: &mut Vec<u8>) -> Result<()> {
    if quantised {
        MdFrameCodec.encode_quantised(frame, out).map(drop)
    } else {
        MdFrameCodec.encode_ref(frame, out).map(drop)
    }
}
