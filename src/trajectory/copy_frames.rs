//! Copies that keep frames in another way: what they share stored once, their positions quantised
//! or as given, small ones without a table or with one.

use super::frame_form::FrameForm;
use super::positions::Positions;
use super::reader::Trajectory;
use super::share_topologies::{Sharer, Sharing};
use crate::codec::{AnyCodec, LEAN, MdFrameCodec, MdFrameRef, MdFrameView, aligned};
use crate::dataset::open_store;
use crate::error::{Error, Result};
use crate::maintain::{Copied, CopyOptions, copy_with};
use crate::store::{ReadOptions, Readable};
use crate::wire::AlignedBuf;
use std::path::Path;

/// How a copy keeps frames in another way; by default as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FrameChanges {
    /// What becomes of what frames share.
    pub sharing: Sharing,
    /// How positions are kept.
    pub positions: Option<Positions>,
    /// Whether small frames have a table.
    pub form: Option<FrameForm>,
}

impl From<Sharing> for FrameChanges {
    fn from(sharing: Sharing) -> Self {
        Self { sharing, ..Self::default() }
    }
}

/// Copies a store of frames as [`copy`](crate::maintain::copy) does, and keeps its frames as a
/// [`TrajectoryWriter`](super::TrajectoryWriter) would have done: for stores that were filled
/// without. What frames share is stored once, as `sharing` says, and [`Trajectory::joined`] gives
/// back equal frames. Positions are kept as `positions` says, small frames as `form` says, `None` leaving them as they
/// are; the frames stay equal.
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
    changes: FrameChanges,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    let FrameChanges { sharing, positions, form } = changes;
    if matches!(positions, Some(Positions::Rounded(_))) {
        let why = "a copy rounds nothing; import the trajectory with a precision instead";
        return Err(Error::invalid("positions", why));
    }
    let from = from.as_ref();
    // Refused before anything is written.
    let source = Trajectory::new(open_store(from, &ReadOptions::default())?.snapshot())
        .map_err(|e| e.at(from))?;
    let version = form.map(|form| form.record_codec().1);
    let version_of = version.unwrap_or(source.snapshot().layout().record_codec.1);
    drop(source);
    let mut sharer = Sharer::new(sharing);
    let (mut space, mut again) = (AlignedBuf::default(), Vec::new());
    let rewrite = |bytes: &[u8], writer: &mut crate::Writer, out: &mut Vec<u8>| {
        let expanded = MdFrameCodec.expand(bytes)?;
        let is_lean = MdFrameCodec.version_of(bytes) == LEAN;
        let is_quantised = expanded.is_some() && !is_lean;
        let view = match &expanded {
            Some(expanded) => MdFrameView::new(expanded)?,
            None => MdFrameView::new(aligned(bytes, &mut space)?)?,
        };
        again.clear();
        encode(view.fields(), is_quantised, if is_lean { LEAN } else { 1 }, &mut again)?;
        // A lean frame has nothing that is not known.
        if again != bytes && !is_lean {
            return Ok(false);
        }
        let quantised = positions.map_or(is_quantised, |how| how == Positions::Quantised);
        let shared = sharer.share(view.fields(), writer, |_| Ok(true))?;
        let lean = version.map_or(is_lean, |version| version == LEAN);
        if shared.is_none() && quantised == is_quantised && lean == is_lean {
            return Ok(false);
        }
        match shared {
            Some((topology, digest)) => {
                let frame = view.fields().clone().without_shared(&topology, digest);
                encode(&frame, quantised, version_of, out)?;
            }
            None => encode(view.fields(), quantised, version_of, out)?,
        }
        Ok(true)
    };
    copy_with(from, to, options, version, rewrite, progress)
}

/// Positions that are integers need the table.
fn encode(frame: &MdFrameRef<'_>, quantised: bool, version: u32, out: &mut Vec<u8>) -> Result<()> {
    if quantised {
        let start = out.len();
        if MdFrameCodec.encode_quantised(frame, out)?.1 {
            return Ok(());
        }
        out.truncate(start);
    }
    MdFrameCodec.encode_for(version, frame, out).map(drop)
}
