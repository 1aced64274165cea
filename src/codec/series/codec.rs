//! The codec `series`.

use super::growth::Growth;
use super::magic::{NAME, VERSION, bad};
use super::packing::{self, Packing};
use super::view::{Head, SeriesHead, SeriesPart, SeriesRef, SeriesView};
use crate::Result;
use crate::codec::json::Json;
use crate::codec::slices::{aligned, bounded, bytes_of};
use crate::codec::{AnyCodec, Codec, Encoded};
use crate::wire::{AlignedBuf, memory};
use std::io;

/// Records that are a part of a time series each, or the account of how one has grown.
///
/// A short series is one record: its start. What is appended lies in records of its own, of which
/// [`Growth`] keeps the account. All records of such a series have one mark, by which parts of two
/// series are told apart. The weight of a record is its number of points, of a growth the length of the
/// whole series, and of the start of a series that has a growth `u32::MAX`.
///
/// ```
/// use vlstore::codec::{AnyCodec, Codec, SeriesCodec, SeriesRef};
///
/// let (times, values) = ([0.0, 0.5, 2.0], [1.0, f64::NAN, -0.0]);
/// let mut out = Vec::new();
/// let channels: [&[f64]; 1] = [&values];
/// let series = SeriesRef::start(0, Some(&times), &channels)?;
/// assert_eq!(SeriesCodec.encode(&series, &mut out)?.weight, 3);
///
/// let record = match SeriesCodec.expand(&out)? {
///     Some(expanded) => expanded,
///     None => vlstore::AlignedBuf::copy_of(&out)?,
/// };
/// let view = SeriesCodec.decode(&record)?;
/// assert_eq!(view.times(), Some(&times[..]));
/// assert_eq!(view.channel(0).map(|v| v[2].to_bits()), Some((-0.0_f64).to_bits()));
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesCodec;

impl SeriesCodec {
    /// As [`Codec::encode`], with the arrays packed as asked for.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn encode_with(
        &self,
        item: &SeriesRef<'_>,
        packing: Packing,
        out: &mut Vec<u8>,
    ) -> Result<Encoded> {
        let before = out.len();
        Self::append(item, packing, out).inspect_err(|_| out.truncate(before))?;
        Ok(Head::of(item, false).weight())
    }

    fn append(item: &SeriesRef<'_>, packing: Packing, out: &mut Vec<u8>) -> Result<()> {
        let arrays = || item.times().into_iter().chain(item.channels().iter().copied());
        let mut plain = 0;
        for array in arrays() {
            plain += bytes_of(NAME, array)?.len();
        }
        bounded((Head::LEN + plain) as u64)?;
        let packed = packing.pack(arrays())?;
        // The table of lengths counts too.
        let smaller = packed.filter(|p| p.iter().map(|a| 8 + a.len()).sum::<usize>() < plain);
        let head = Head::of(item, smaller.is_some());
        let table = smaller.as_ref().map_or(0, |p| 8 * p.len());
        let body = smaller.as_ref().map_or(plain, |p| p.iter().map(|a| a.len()).sum());
        memory::reserve(out, Head::LEN + table + body)?;
        head.write(out);
        match smaller {
            None => {
                for array in arrays() {
                    out.extend_from_slice(bytes_of(NAME, array)?);
                }
            }
            Some(packed) => {
                for array in &packed {
                    out.extend_from_slice(&(array.len() as u64).to_le_bytes());
                }
                for array in &packed {
                    out.extend_from_slice(array);
                }
            }
        }
        Ok(())
    }

    /// What the record says of its part, from its first [`SeriesHead::LEN`] bytes: no number is looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if they are not those of such a record.
    pub fn peek(&self, bytes: &[u8]) -> Result<SeriesHead> {
        Head::read(bytes).map(|(head, _)| head.public())
    }

    /// The record of an account.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if its numbers contradict each other.
    pub fn encode_growth(&self, growth: &Growth, out: &mut Vec<u8>) -> Result<Encoded> {
        growth.check()?;
        memory::reserve(out, Head::LEN + 8 * growth.words().len())?;
        Head::of_growth(growth).write(out);
        for word in growth.words() {
            out.extend_from_slice(&word.to_le_bytes());
        }
        Ok(Head::of_growth(growth).weight())
    }

    /// The start in `bytes` with a mark, as the start of a series that grows; its numbers stay packed
    /// as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if it is no start, or the mark is 0.
    pub fn encode_marked(&self, bytes: &[u8], mark: u64, out: &mut Vec<u8>) -> Result<Encoded> {
        let (head, body) = Head::read(bytes)?;
        if head.public().part != SeriesPart::Start || mark == 0 {
            return Err(bad("only a start is marked, and not with 0"));
        }
        let head = head.marked(mark);
        memory::reserve(out, bytes.len())?;
        head.write(out);
        out.extend_from_slice(body);
        Ok(head.weight())
    }
}

impl Codec for SeriesCodec {
    type Input<'a> = SeriesRef<'a>;
    type View<'a> = SeriesView<'a>;

    fn encode(&self, item: &SeriesRef<'_>, out: &mut Vec<u8>) -> Result<Encoded> {
        self.encode_with(item, Packing::default(), out)
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<SeriesView<'a>> {
        let (head, body) = Head::read(bytes)?;
        if head.is_packed() {
            return Err(bad("its arrays are packed; expand the record first"));
        }
        SeriesView::new(head, body)
    }
}

/// The record, expanded and aligned, in `space` if it has to be moved.
fn ready<'a>(bytes: &'a [u8], space: &'a mut AlignedBuf) -> Result<&'a [u8]> {
    if let Some(expanded) = SeriesCodec.expand(bytes)? {
        *space = expanded;
        return Ok(space);
    }
    aligned(bytes, space)
}

impl AnyCodec for SeriesCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION.into()
    }

    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        let mut space = AlignedBuf::default();
        Ok(self.decode(ready(bytes, &mut space)?)?.weight().weight)
    }

    fn expand(&self, bytes: &[u8]) -> Result<Option<AlignedBuf>> {
        let (head, body) = Head::read(bytes)?;
        if !head.is_packed() {
            return Ok(None);
        }
        let plain = head.plain_len()?;
        bounded((Head::LEN + plain) as u64)?;
        let mut out = AlignedBuf::zeroed(Head::LEN + plain)?;
        let mut start = Vec::new();
        head.expanded().write(&mut start);
        let (place, arrays) = out.split_at_mut(Head::LEN);
        place.copy_from_slice(&start);
        packing::unpack(body, arrays, head.arrays(), head.points_len()?)?;
        Ok(Some(out))
    }

    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let mut space = AlignedBuf::default();
        let view = self.decode(ready(bytes, &mut space)?)?;
        let mut json = Json::new(out);
        json.open('{')?;
        json.key("codec")?.text(NAME)?;
        json.key("part")?.text(view.part().name())?;
        json.key("first")?.value(view.first())?;
        json.key("points")?.value(view.points())?;
        json.key("mark")?.value(view.mark())?;
        if let Some(growth) = view.growth() {
            json.key("block")?.value(growth.block)?;
            json.key("blocks")?.value(growth.blocks)?;
            json.key("sorted")?.value(growth.sorted)?;
            json.key("pieces")?.list(&growth.pieces)?;
            return json.close('}');
        }
        if let Some(times) = view.times() {
            json.key("times")?.list(times)?;
        }
        json.key("values")?.open('[')?;
        for channel in 0..view.channels() {
            json.list(view.channel(channel).unwrap_or_default())?;
        }
        json.close(']')?;
        json.close('}')
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
