//! Chosen fields of frames, read without the rest of them.

use crate::error::Outcome;
use crate::store::view::View;
use vlstore::codec::{Codec as _, Fields, MdFrameCodec};
use vlstore::trajectory::Frames;

impl View<'_> {
    /// The frame at `ordinal` as a record with `fields` and nothing else.
    pub(crate) fn frame_with(&self, ordinal: u64, fields: &[String]) -> Outcome<Vec<u8>> {
        let mut out = Vec::new();
        for frame in self.frames_at(&[ordinal], Fields::named(fields)?)? {
            MdFrameCodec.encode(&frame, &mut out)?;
        }
        Ok(out)
    }
}
