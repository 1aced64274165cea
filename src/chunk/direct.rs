//! Blocks of LZ4 and Zstd without Blosc2 around the algorithm: streams walked and planes joined here.
//!
//! What C-Blosc2 does for a chunk before and after the algorithm costs as much as a small block.
//! Here streams that were not compressed are read where they lie, and of a block whose planes
//! are streams of their own nothing behind the wanted elements is decoded.

use super::algorithm::Algorithm;
use super::blosc::{SLACK, lz4};
use super::header::Header;
use super::params::Filter;
use super::planes;
use super::streams::{self, Stream};
use super::zstd::Unpacker;
use crate::error::{Error, Result};
use crate::wire::Cursor;
use std::ops::Range;

/// The largest type size whose planes are streams of their own, as in C-Blosc2.
const PLANES: usize = 16;

/// The streams of a block, held where nobody changes them, with [`SLACK`] bytes behind.
#[derive(Clone, Copy)]
pub(super) struct BlockStreams<'a> {
    all: &'a [u8],
    len: usize,
}

impl<'a> BlockStreams<'a> {
    /// The first `len` of the bytes `all`; `None` if there are not so many and the slack.
    pub(super) fn new(all: &'a [u8], len: usize) -> Option<Self> {
        (all.len() >= len.checked_add(SLACK)?).then_some(Self { all, len })
    }

    fn streams<'t>(
        self,
        tools: &'t mut Tools,
        algorithm: Option<Algorithm>,
    ) -> Result<Streams<'a, 't>> {
        let zstd = match (algorithm, &mut tools.zstd) {
            (Some(Algorithm::Zstd), Some(made)) => Some(made),
            (Some(Algorithm::Zstd), none) => Some(none.insert(Unpacker::new()?)),
            _ => None,
        };
        let cursor = Cursor::new(self.all.get(..self.len).unwrap_or_default());
        let unpack = Unpack { zstd };
        Ok(Streams { walk: Walk { held: self, cursor }, unpack, planes: &mut tools.planes })
    }
}

/// What is used again for each block.
#[derive(Default)]
pub(super) struct Tools {
    zstd: Option<Unpacker>,
    planes: Vec<u8>,
}

/// The streams of a block, and what they are decoded with.
struct Streams<'a, 't> {
    walk: Walk<'a>,
    unpack: Unpack<'t>,
    planes: &'t mut Vec<u8>,
}

/// A walk over streams.
struct Walk<'a> {
    held: BlockStreams<'a>,
    cursor: Cursor<'a>,
}

/// The algorithm.
struct Unpack<'t> {
    /// For streams of Zstd; else they are of LZ4.
    zstd: Option<&'t mut Unpacker>,
}

/// A stream, and the bytes from its own on to the end of the slack.
type Next<'a> = (Stream<'a>, &'a [u8]);

impl<'a> Walk<'a> {
    fn next(&mut self, each: u32) -> Result<Next<'a>> {
        let stream = streams::next(&mut self.cursor, each)?;
        let from = match stream {
            Stream::Packed(bytes) => self.cursor.position().saturating_sub(bytes.len()),
            Stream::Run(_) | Stream::Plain(_) => self.held.all.len(),
        };
        Ok((stream, self.held.all.get(from..).unwrap_or_default()))
    }
}

/// Whether it costs less to decode a part of such a block than all of it.
pub(super) fn ends_early(header: &Header) -> bool {
    header.algorithm != Some(Algorithm::Zstd) && knows(header, header.block_size)
}

/// Whether [`decode`] knows blocks of `len` bytes of such a chunk.
pub(super) fn knows(header: &Header, len: u32) -> bool {
    let streams = header.streams(len) as usize;
    matches!(header.algorithm, Some(Algorithm::Lz4 | Algorithm::Lz4hc | Algorithm::Zstd))
        && (header.filter == Filter::None
            || (header.filter == Filter::Shuffle && streams <= PLANES))
}

fn damaged<T>() -> Result<T> {
    Err(Error::corrupt("block", 0, "its compressed bytes cannot be decoded"))
}

/// Decodes the bytes `part` of a block of `len` bytes, whose streams are `held`, into `out`,
/// which is as long.
///
/// # Errors
/// Those of [`streams::next`], and [`Error::Corrupt`] for a stream that does not decode to its
/// length.
pub(super) fn decode(
    header: &Header,
    held: BlockStreams<'_>,
    len: u32,
    part: &Range<usize>,
    out: &mut [u8],
    tools: &mut Tools,
) -> Result<()> {
    let count = header.streams(len);
    let each = len / count;
    if each * count != len {
        return Err(Error::corrupt("block", 0, "does not split into its streams"));
    }
    let mut c = held.streams(tools, header.algorithm)?;
    let size = usize::from(header.typesize);
    if header.filter == Filter::None || size == 1 {
        return plain(&mut c, count, each, part, out);
    }
    if count > 1 {
        return split(&mut c, size, each, part, out);
    }
    // One stream for all planes, and bytes behind the last whole element.
    let next = c.walk.next(each)?;
    let n = len as usize / size;
    let tail = n * size;
    let whole = c.unpack.stream(next, len as usize, len as usize, room(c.planes, len as usize))?;
    let Some(whole) = whole else {
        out.fill(next.0.value());
        return Ok(());
    };
    let Some((elements, rest)) = whole.split_at_checked(tail) else { return damaged() };
    let skip = part.start % size;
    let to = part.end.min(tail);
    let mut at = 0;
    if part.start < tail && skip == 0 && size <= PLANES {
        let (first, last) = (part.start / size, to.div_ceil(size));
        let mut all = [&[][..]; PLANES];
        for (plane, from) in all.iter_mut().zip(elements.chunks_exact(n)) {
            let Some(from) = from.get(first..last) else { return damaged() };
            *plane = from;
        }
        at = to - part.start;
        planes::join(all.get(..size).unwrap_or_default(), out.get_mut(..at).unwrap_or_default());
    } else if part.start < tail {
        at = to - part.start;
        for (place, i) in out.iter_mut().zip(part.start..to) {
            *place = elements.get(i % size * n + i / size).copied().unwrap_or_default();
        }
    }
    let from = (part.start + at).saturating_sub(tail)..part.end.saturating_sub(tail);
    match (out.get_mut(at..), rest.get(from)) {
        (Some(out), Some(rest)) if out.len() == rest.len() => out.copy_from_slice(rest),
        _ => return damaged(),
    }
    Ok(())
}

/// A block without a filter; a split one has pieces of it for streams.
fn plain(
    c: &mut Streams<'_, '_>,
    count: u32,
    each: u32,
    part: &Range<usize>,
    out: &mut [u8],
) -> Result<()> {
    let each_len = each as usize;
    let mut start = 0;
    for _ in 0..count {
        let next = c.walk.next(each)?;
        let here = start..start + each_len;
        start = here.end;
        let wanted = part.start.max(here.start)..part.end.min(here.end);
        if wanted.is_empty() {
            continue;
        }
        let to = wanted.start - part.start..wanted.end - part.start;
        let Some(to) = out.get_mut(to) else { return damaged() };
        let inside = wanted.start - here.start..wanted.end - here.start;
        match next {
            // All of it: straight to its place.
            (Stream::Packed(bytes), from) if to.len() == each_len => {
                if !c.unpack.packed(from, bytes.len(), to, each_len) {
                    return damaged();
                }
            }
            _ => match c.unpack.stream(next, inside.end, each_len, room(c.planes, each_len))? {
                None => to.fill(next.0.value()),
                Some(all) => match all.get(inside) {
                    Some(from) => to.copy_from_slice(from),
                    None => return damaged(),
                },
            },
        }
    }
    Ok(())
}

/// A shuffled block with a stream for each plane.
fn split(
    c: &mut Streams<'_, '_>,
    size: usize,
    each: u32,
    part: &Range<usize>,
    out: &mut [u8],
) -> Result<()> {
    let (first, last) = (part.start / size, part.end.div_ceil(size));
    let mut rest = room(c.planes, size * each as usize);
    let mut all = [&[][..]; PLANES];
    for plane in all.iter_mut().take(size) {
        let next = c.walk.next(each)?;
        let Some((mine, others)) = std::mem::take(&mut rest).split_at_mut_checked(each as usize)
        else {
            return damaged();
        };
        rest = others;
        let bytes: &[u8] = match next {
            (Stream::Run(value), _) => {
                let Some(run) = mine.get_mut(..last) else { return damaged() };
                run.fill(value);
                run
            }
            _ => match c.unpack.stream(next, last, each as usize, mine)? {
                Some(bytes) => bytes,
                None => return damaged(),
            },
        };
        let Some(bytes) = bytes.get(first..last) else { return damaged() };
        *plane = bytes;
    }
    let planes = all.get(..size).unwrap_or_default();
    let skip = part.start % size;
    if skip == 0 {
        planes::join(planes, out);
    } else {
        for (place, i) in out.iter_mut().zip(skip..) {
            let byte = planes.get(i % size).and_then(|plane| plane.get(i / size));
            *place = byte.copied().unwrap_or_default();
        }
    }
    Ok(())
}

impl Unpack<'_> {
    /// The first `wanted` bytes at least of a stream that decodes to `each`; `None` for a run.
    fn stream<'a>(
        &mut self,
        (stream, from): Next<'a>,
        wanted: usize,
        each: usize,
        out: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>> {
        match stream {
            Stream::Run(_) => Ok(None),
            Stream::Plain(bytes) => Ok(Some(bytes)),
            Stream::Packed(bytes) => {
                let Some(out) = out.get_mut(..each) else { return damaged() };
                // Decoding to the end is the faster way as long as there is not much behind it.
                let wanted = if wanted >= each / 4 * 3 { each } else { wanted };
                if self.packed(from, bytes.len(), out, wanted) { Ok(Some(out)) } else { damaged() }
            }
        }
    }

    /// Decodes the first `len` bytes of `from` into `out`; whether it has so many, or, if fewer are wanted and
    /// the algorithm can end there, at least those.
    fn packed(&mut self, from: &[u8], len: usize, out: &mut [u8], wanted: usize) -> bool {
        match &mut self.zstd {
            Some(zstd) => zstd.unpack(from, len, out),
            None => lz4(from, len, out, wanted),
        }
    }
}

/// At least `len` bytes of `space`.
fn room(space: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if space.len() < len {
        // A power of two, so that blocks of similar size do not each grow it a little.
        space.resize(len.next_power_of_two(), 0);
    }
    space
}
