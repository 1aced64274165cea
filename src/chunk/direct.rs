//! LZ4 blocks without the C library around the codec: streams walked and planes joined here.
//!
//! What C-Blosc2 does for a chunk before and after the codec costs as much as a small block.
//! Here streams that were not compressed are read where they lie, and of a block whose planes
//! are streams of their own nothing behind the wanted elements is decoded.

use super::blosc::{SLACK, lz4};
use super::header::Header;
use super::params::{Codec, Filter};
use super::planes;
use super::streams::{self, Stream};
use crate::error::{Error, Result};
use crate::wire::Cursor;
use std::ops::Range;

/// The largest type size whose planes are streams of their own, as in C-Blosc2.
const PLANES: usize = 16;

/// Memory that is used again for each block.
#[derive(Default)]
pub(super) struct Space {
    /// The stream in the hands of the codec, and bytes to spare.
    stream: Vec<u8>,
    planes: Vec<u8>,
}

/// Whether [`decode`] knows blocks of `len` bytes of such a chunk.
pub(super) fn knows(header: &Header, len: u32) -> bool {
    let streams = header.streams(len) as usize;
    matches!(header.codec, Some(Codec::Lz4 | Codec::Lz4hc))
        && (header.filter == Filter::None
            || (header.filter == Filter::Shuffle && streams <= PLANES))
}

fn damaged<T>() -> Result<T> {
    Err(Error::corrupt("block", 0, "the codec cannot decode it"))
}

/// Decodes the bytes `part` of a block of `len` bytes, whose stream is `bytes`, into `out`,
/// which is as long.
///
/// # Errors
/// Those of [`streams::next`], and [`Error::Corrupt`] for a stream that does not decode to its
/// length.
pub(super) fn decode(
    header: &Header,
    bytes: &[u8],
    len: u32,
    part: &Range<usize>,
    out: &mut [u8],
    space: &mut Space,
) -> Result<()> {
    let count = header.streams(len);
    let each = len / count;
    if each * count != len {
        return Err(Error::corrupt("block", 0, "does not split into its streams"));
    }
    let mut c = Cursor::new(bytes);
    let size = usize::from(header.typesize);
    if header.filter == Filter::None || size == 1 {
        return plain(&mut c, count, each, part, out, space);
    }
    if count > 1 {
        return split(&mut c, size, each, part, out, space);
    }
    // One stream for all planes, and bytes behind the last whole element.
    let stream = streams::next(&mut c, each)?;
    let n = len as usize / size;
    let tail = n * size;
    let Space { stream: copy, planes } = space;
    let Some(whole) =
        unpacked(stream, len as usize, len as usize, copy, room(planes, len as usize))?
    else {
        out.fill(stream.value());
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
    c: &mut Cursor<'_>,
    count: u32,
    each: u32,
    part: &Range<usize>,
    out: &mut [u8],
    space: &mut Space,
) -> Result<()> {
    let each_len = each as usize;
    let mut start = 0;
    for _ in 0..count {
        let stream = streams::next(c, each)?;
        let here = start..start + each_len;
        start = here.end;
        let wanted = part.start.max(here.start)..part.end.min(here.end);
        if wanted.is_empty() {
            continue;
        }
        let to = wanted.start - part.start..wanted.end - part.start;
        let Some(to) = out.get_mut(to) else { return damaged() };
        let inside = wanted.start - here.start..wanted.end - here.start;
        let Space { stream: copy, planes } = space;
        match stream {
            // All of it: straight to its place.
            Stream::Packed(bytes) if to.len() == each_len => {
                if !lz4(held(bytes, copy), bytes.len(), to, each_len) {
                    return damaged();
                }
            }
            _ => match unpacked(stream, inside.end, each_len, copy, room(planes, each_len))? {
                None => to.fill(stream.value()),
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
    c: &mut Cursor<'_>,
    size: usize,
    each: u32,
    part: &Range<usize>,
    out: &mut [u8],
    space: &mut Space,
) -> Result<()> {
    let (first, last) = (part.start / size, part.end.div_ceil(size));
    let Space { stream: copy, planes } = space;
    let mut rest = room(planes, size * each as usize);
    let mut all = [&[][..]; PLANES];
    for plane in all.iter_mut().take(size) {
        let stream = streams::next(c, each)?;
        let Some((mine, others)) = std::mem::take(&mut rest).split_at_mut_checked(each as usize)
        else {
            return damaged();
        };
        rest = others;
        let bytes: &[u8] = match stream {
            Stream::Run(value) => {
                let Some(run) = mine.get_mut(..last) else { return damaged() };
                run.fill(value);
                run
            }
            _ => match unpacked(stream, last, each as usize, copy, mine)? {
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
    stream: Stream<'a>,
    wanted: usize,
    each: usize,
    copy: &mut Vec<u8>,
    out: &'a mut [u8],
) -> Result<Option<&'a [u8]>> {
    match stream {
        Stream::Run(_) => Ok(None),
        Stream::Plain(bytes) => Ok(Some(bytes)),
        Stream::Packed(bytes) => {
            let Some(out) = out.get_mut(..each) else { return damaged() };
            // Decoding to the end is the faster way as long as there is not much behind it.
            let wanted = if wanted >= each / 4 * 3 { each } else { wanted };
            if lz4(held(bytes, copy), bytes.len(), out, wanted) { Ok(Some(out)) } else { damaged() }
        }
    }
}

/// A copy of `bytes` with bytes to spare behind them: what C reads does not change under it.
fn held<'a>(bytes: &[u8], copy: &'a mut Vec<u8>) -> &'a [u8] {
    let space = room(copy, bytes.len() + SLACK);
    if let Some(to) = space.get_mut(..bytes.len()) {
        to.copy_from_slice(bytes);
    }
    space
}

/// At least `len` bytes of `space`.
fn room(space: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if space.len() < len {
        // A power of two, so that blocks of similar size do not each grow it a little.
        space.resize(len.next_power_of_two(), 0);
    }
    space
}
