//! Chosen fields of frames, read without the rest of them.

use crate::error::Outcome;
use crate::store::view::View;
use vlstore::AlignedBuf;
use vlstore::codec::{Codec as _, Fields, MdFrameCodec};
use vlstore::trajectory::Frames;

/// Blocks of the first record from which on the fields of a batch are read in parts.
const SPREAD: u64 = 4;

impl View<'_> {
    /// The frame at `ordinal` as a record with `fields` and nothing else.
    pub(crate) fn frame_with(&self, ordinal: u64, fields: &[String]) -> Outcome<Vec<u8>> {
        let mut out = Vec::new();
        for frame in self.frames_at(&[ordinal], Fields::named(fields)?)? {
            MdFrameCodec.encode(&frame, &mut out)?;
        }
        Ok(out)
    }

    /// Records that hold the fields alone, where the frames are so large that reading them in
    /// parts is less work; `None` where it is not, or for what only whole frames have.
    pub(crate) fn slim(
        &self,
        ordinals: &[u64],
        fields: Option<&[String]>,
    ) -> Outcome<Option<Vec<AlignedBuf>>> {
        let Some(Ok(fields)) = fields.map(Fields::named) else { return Ok(None) };
        let Some(first) = ordinals.first() else { return Ok(None) };
        if self.blocks_at(*first)? < SPREAD {
            return Ok(None);
        }
        let mut space = Vec::new();
        let slim = self.frames_at(ordinals, fields)?.into_iter().map(|frame| {
            space.clear();
            MdFrameCodec.encode(&frame, &mut space)?;
            Ok(AlignedBuf::copy_of(&space)?)
        });
        slim.collect::<Outcome<Vec<_>>>().map(Some)
    }
}
