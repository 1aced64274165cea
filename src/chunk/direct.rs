//! LZ4 blocks without the C library around the algorithm: streams walked and planes joined here.
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

    fn streams(self) -> Streams<'a> {
        Streams { held: self, cursor: Cursor::new(self.all.get(..self.len).unwrap_or_default()) }
    }
}

/// A walk over them.
struct Streams<'a> {
    held: BlockStreams<'a>,
    cursor: Cursor<'a>,
}

/// A stream, and the bytes from its own on to the end of the slack.
type Next<'a> = (Stream<'a>, &'a [u8]);

impl<'a> Streams<'a> {
    fn next(&mut self, each: u32) -> Result<Next<'a>> {
        let stream = streams::next(&mut self.cursor, each)?;
        let from = match stream {
            Stream::Packed(bytes) => self.cursor.position().saturating_sub(bytes.len()),
            Stream::Run(_) | Stream::Plain(_) => self.held.all.len(),
        };
        Ok((stream, self.held.all.get(from..).unwrap_or_default()))
    }
}

/// Whether [`decode`] knows blocks of `len` bytes of such a chunk.
pub(super) fn knows(header: &Header, len: u32) -> bool {
    let streams = header.streams(len) as usize;
    matches!(header.algorithm, Some(Algorithm::Lz4 | Algorithm::Lz4hc))
        && (header.filter == Filter::None
            || (header.filter == Filter::Shuffle && streams <= PLANES))
}

fn damaged<T>() -> Result<T> {
    Err(Error::corrupt("block", 0, "its compressed bytes cannot be decoded"))
}

/// Decodes the bytes `part` of a block of `len` bytes, whose streams are `held`, into `out`,
/// which is as long. Memory of `planes` is used again for each block.
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
    planes: &mut Vec<u8>,
) -> Result<()> {
    let count = header.streams(len);
    let each = len / count;
    if each * count != len {
        return Err(Error::corrupt("block", 0, "does not split into its streams"));
    }
    let mut c = held.streams();
    let size = usize::from(header.typesize);
    if header.filter == Filter::None || size == 1 {
        return plain(&mut c, count, each, part, out, planes);
    }
    if count > 1 {
        return split(&mut c, size, each, part, out, planes);
    }
    // One stream for all planes, and bytes behind the last whole element.
    let next = c.next(each)?;
    let n = len as usize / size;
    let tail = n * size;
    let Some(whole) = unpacked(next, len as usize, len as usize, room(planes, len as usize))?
    else {
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
    c: &mut Streams<'_>,
    count: u32,
    each: u32,
    part: &Range<usize>,
    out: &mut [u8],
    planes: &mut Vec<u8>,
) -> Result<()> {
    let each_len = each as usize;
    let mut start = 0;
    for _ in 0..count {
        let next = c.next(each)?;
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
                if !lz4(from, bytes.len(), to, each_len) {
                    return damaged();
                }
            }
            _ => match unpacked(next, inside.end, each_len, room(planes, each_len))? {
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
    c: &mut Streams<'_>,
    size: usize,
    each: u32,
    part: &Range<usize>,
    out: &mut [u8],
    planes: &mut Vec<u8>,
) -> Result<()> {
    let (first, last) = (part.start / size, part.end.div_ceil(size));
    let mut rest = room(planes, size * each as usize);
    let mut all = [&[][..]; PLANES];
    for plane in all.iter_mut().take(size) {
        let next = c.next(each)?;
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
            _ => match unpacked(next, last, each as usize, mine)? {
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

/// The first `wanted` bytes at least of a stream that decodes to `each`; `None` for a run.
fn unpacked<'a>(
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
            if lz4(from, bytes.len(), out, wanted) { Ok(Some(out)) } else { damaged() }
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
