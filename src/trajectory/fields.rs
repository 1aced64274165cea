//! Reading chosen fields of frames: of a large record only the blocks in which they lie.

use crate::codec::{
    AnyCodec, Field, Fields, FramePart, HEAD, MdFrame, MdFrameCodec, MdFrameView, TopologyView,
};
use crate::error::{Error, Result};
use crate::store::Readable;

/// Blocks of a record from which on it is read in parts. Below it one pass over the whole record
/// costs no more than first its table and then its arrays.
const SPREAD: u64 = 4;

/// Chosen fields of frames, of whatever is [read](Readable).
pub trait Frames: Readable {
    /// The frames at these ordinals with `fields` and nothing else, in the order asked for.
    ///
    /// A record that lies in several blocks is not decoded where none of the fields lies; what
    /// is not decoded is not checked either. A field that a frame does not have is `None`.
    ///
    /// # Errors
    /// As [`Readable::get_batch_at`]; [`Error::Codec`] for the first record that is not a frame.
    fn frames_at(&self, ordinals: &[u64], fields: Fields) -> Result<Vec<MdFrame>> {
        let mut out: Vec<Option<MdFrame>> = Vec::new();
        out.resize_with(ordinals.len(), || None);
        let mut heads = Vec::new();
        for (place, ordinal) in ordinals.iter().enumerate() {
            let (blocks, len) = (self.blocks_at(*ordinal)?, self.location_at(*ordinal)?.len());
            if blocks >= SPREAD {
                heads.push((place, *ordinal, len));
            }
        }
        self.spread_frames(&heads, fields, &mut out)?;
        let rest: Vec<(usize, u64)> = (0..)
            .zip(ordinals)
            .zip(&out)
            .filter(|(_, found)| found.is_none())
            .map(|((place, ordinal), _)| (place, *ordinal))
            .collect();
        let batch = self.get_batch_at(&rest.iter().map(|r| r.1).collect::<Vec<_>>())?;
        for ((place, _), bytes) in rest.iter().zip(batch.iter()) {
            let expanded = MdFrameCodec.expand(bytes)?;
            let view = MdFrameView::new(expanded.as_deref().unwrap_or(bytes))?;
            let found = match view.topology() {
                None => fields.only(view.fields()).try_to_owned()?,
                Some(digest) => {
                    let shared = self.shared(&digest)?;
                    let topology = TopologyView::new(&shared)?;
                    fields.only(&view.fields().joined(topology.fields())?).try_to_owned()?
                }
            };
            if let Some(out) = out.get_mut(*place) {
                *out = Some(found);
            }
        }
        Ok(out.into_iter().flatten().collect())
    }

    /// Reads large records in parts, as far as their tables are where ours are; `heads` are
    /// place in `out`, ordinal and length.
    #[doc(hidden)]
    fn spread_frames(
        &self,
        heads: &[(usize, u64, u64)],
        fields: Fields,
        out: &mut [Option<MdFrame>],
    ) -> Result<()> {
        let wanted: Vec<_> =
            heads.iter().map(|(_, o, len)| (*o, 0..(HEAD as u64).min(*len))).collect();
        let tables = self.get_parts_at(&wanted)?;
        let mut under_way = Vec::new();
        let mut wanted = Vec::new();
        for ((place, ordinal, len), head) in heads.iter().zip(tables.iter()) {
            let len = usize::try_from(*len).map_err(|_| Error::Limit {
                what: "record",
                asked: *len,
                max: usize::MAX as u64,
            })?;
            if let Some(part) = FramePart::find(head, len, fields)? {
                let first = wanted.len();
                let ranges = part.ranges().map(|r| (*ordinal, r.start as u64..r.end as u64));
                wanted.extend(ranges);
                under_way.push((*place, part, first..wanted.len()));
            }
        }
        let arrays = self.get_parts_at(&wanted)?;
        for (place, part, range) in under_way {
            let frame = part.finish(range.filter_map(|i| arrays.get(i)))?;
            // What is missing may stand in a topology, which the whole record names.
            let lacks = |field, there: bool| fields.has(field) && !there;
            if lacks(Field::Types, frame.types.is_some())
                || lacks(Field::Masses, frame.masses.is_some())
                || lacks(Field::Charges, frame.charges.is_some())
            {
                continue;
            }
            if let Some(out) = out.get_mut(place) {
                *out = Some(frame);
            }
        }
        Ok(())
    }
}

impl<T: Readable + ?Sized> Frames for T {}
