//! The codec `md-frame`.

use super::md_frame::{
    MdFrameView, NAME, ROWS, append, append_lean, check, expand, fold, is_lean, remade, show,
    topology_of,
};
use crate::codec::{
    AnyCodec, Codec, Encoded, MdFrame, MdFrameRef, RealView, TopologyView, aligned,
};
use crate::column::RowMaker;
use crate::wire::{AlignedBuf, Digest};
use crate::{Error, Result};
use std::io;

/// The version of `md-frame` whose stores may hold lean frames: without a table, for small ones.
pub const LEAN: u32 = 2;

/// Records that are one frame of a trajectory each.
#[derive(Debug, Clone, Copy, Default)]
pub struct MdFrameCodec;

impl MdFrameCodec {
    /// The topology that the frame in the record `bytes` refers to. At any address, and cheaper
    /// than a view: no number is looked at.
    #[must_use]
    pub fn topology_of(bytes: &[u8]) -> Option<Digest> {
        topology_of(bytes)
    }

    /// Appends the record for a frame whose arrays lie anywhere in memory, so that they need
    /// not be gathered in an [`MdFrame`] first.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn encode_ref(&self, frame: &MdFrameRef<'_>, out: &mut Vec<u8>) -> Result<Encoded> {
        check(frame)?;
        let weight = u32::try_from(frame.nsites).map_err(|_| too_many())?;
        append(frame, None, out)?;
        Ok(Encoded { weight })
    }

    /// As [`encode_ref`](Self::encode_ref), with the positions as integers of the precision
    /// that the frame states, if they are such to the last bit: less than half the bytes once they
    /// are compressed. Returns whether they are.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn encode_quantised(
        &self,
        frame: &MdFrameRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(Encoded, bool)> {
        check(frame)?;
        let weight = u32::try_from(frame.nsites).map_err(|_| too_many())?;
        let words = match (frame.positions, frame.precision) {
            (Some(RealView::F32(positions)), Some(precision)) => fold(positions, precision),
            _ => None,
        };
        append(frame, words.as_deref(), out)?;
        Ok((Encoded { weight }, words.is_some()))
    }

    /// As [`encode_ref`](Self::encode_ref), for a store of this version of the codec: from [`LEAN`] on
    /// small frames with the usual fields have no table.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn encode_for(
        &self,
        version: u32,
        frame: &MdFrameRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded> {
        check(frame)?;
        let weight = u32::try_from(frame.nsites).map_err(|_| too_many())?;
        if version < LEAN || !append_lean(frame, out)? {
            append(frame, None, out)?;
        }
        Ok(Encoded { weight })
    }
}

/// The record `bytes`, expanded and aligned, in `space` if it has to be moved.
fn ready<'a>(bytes: &'a [u8], space: &'a mut AlignedBuf) -> Result<&'a [u8]> {
    if let Some(expanded) = expand(bytes)? {
        *space = expanded;
        return Ok(space);
    }
    aligned(bytes, space)
}

fn too_many() -> Error {
    Error::codec(NAME, "more than 2^31 - 1 sites")
}

impl Codec for MdFrameCodec {
    type Input<'a> = MdFrame;
    type View<'a> = MdFrameView<'a>;

    fn encode(&self, item: &MdFrame, out: &mut Vec<u8>) -> Result<Encoded> {
        self.encode_ref(&item.view(), out)
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<MdFrameView<'a>> {
        MdFrameView::new(bytes)
    }
}

impl AnyCodec for MdFrameCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        LEAN
    }

    fn original_version(&self) -> u32 {
        1
    }

    fn version_of(&self, bytes: &[u8]) -> u32 {
        if is_lean(bytes) { LEAN } else { 1 }
    }

    fn for_version(&self, version: u32, record: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        remade(record, version >= LEAN, out)
    }

    fn rows(&self) -> Option<RowMaker> {
        Some(ROWS)
    }

    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        let mut space = AlignedBuf::default();
        let view = MdFrameView::new(ready(bytes, &mut space)?)?;
        u32::try_from(view.nsites()).map_err(|_| too_many())
    }

    fn expand(&self, bytes: &[u8]) -> Result<Option<AlignedBuf>> {
        expand(bytes)
    }

    fn reference(&self, bytes: &[u8]) -> Option<Digest> {
        topology_of(bytes)
    }

    fn check_reference(&self, bytes: &[u8], shared: &[u8]) -> Result<()> {
        let (mut a, mut b) = (AlignedBuf::default(), AlignedBuf::default());
        let topology = TopologyView::new(aligned(shared, &mut b)?)?;
        let frame = MdFrameView::new(ready(bytes, &mut a)?)?;
        frame.fields().joined(topology.fields()).map(drop)
    }

    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let mut space = AlignedBuf::default();
        let view = MdFrameView::new(ready(bytes, &mut space)?)?;
        show(view.fields(), view.topology(), out)
    }

    fn write_json_with(&self, bytes: &[u8], shared: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let (mut a, mut b) = (AlignedBuf::default(), AlignedBuf::default());
        let topology = TopologyView::new(aligned(shared, &mut b)?)?;
        let view = MdFrameView::new(ready(bytes, &mut a)?)?;
        show(&view.fields().joined(topology.fields())?, view.topology(), out)
    }
}
