//! Lifting topologies out of frames that were stored without: a copy that shares.

use super::get::Depot;
use super::topologies::{Lifting, Sharing};
use crate::codec::{MdFrameCodec, MdFrameView, aligned};
use crate::error::Result;
use crate::store::{Copied, CopyOptions, Store, copy_with};
use crate::wire::AlignedBuf;
use std::path::Path;

/// Copies a store of frames as [`copy`](crate::copy) does, and stores once what its frames share,
/// as [`DepotWriter::put_frame`](super::DepotWriter::put_frame) would have done: for stores that
/// were filled frame by frame. [`Depot::whole`] gives back equal frames.
///
/// A frame that refers to a topology already stays as it is, and so does one that another program
/// wrote with more in it than this release knows, since that would be lost. With
/// [`Sharing::Repeated`] frames are lifted from the second on that has the same.
///
/// # Errors
/// As [`copy`](crate::copy); [`Error::Invalid`](crate::Error::Invalid) if the records are no
/// frames, [`Error::Codec`](crate::Error::Codec) with the record for one that is none.
pub fn copy_sharing(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    options: &CopyOptions,
    how: Sharing,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    let from = from.as_ref();
    // Refused before anything is written.
    Depot::new(Store::open(from)?.snapshot(), MdFrameCodec).map_err(|e| e.at(from))?;
    let mut lifting = Lifting::new(how);
    let (mut space, mut again) = (AlignedBuf::default(), Vec::new());
    let rewrite = |bytes: &[u8], writer: &mut crate::Writer, out: &mut Vec<u8>| {
        let view = MdFrameView::new(aligned(bytes, &mut space))?;
        let frame = view.fields();
        again.clear();
        MdFrameCodec.encode_ref(frame, &mut again)?;
        if again != bytes {
            return Ok(false);
        }
        let Some((topology, digest)) = lifting.choose(frame, writer, |_| Ok(true))? else {
            return Ok(false);
        };
        MdFrameCodec.encode_ref(&frame.clone().lifted(&topology, digest), out)?;
        Ok(true)
    };
    copy_with(from, to, options, rewrite, progress)
}
