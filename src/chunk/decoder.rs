//! Blocks decoded: streams checked and held, handed to the C library or to `direct`; one decoder for
//! each thread.

use super::algorithm::Algorithm;
use super::blosc::{Context, ONE_BLOCK, SLACK, no_memory};
use super::header::{BITSHUFFLE, EXTENDED, Header, Kind, ONE_STREAM, SHUFFLE};
use super::layout::ChunkLayout;
use super::params::Filter;
use super::{direct, special, streams};
use crate::error::{Error, Result};
use crate::wire::memory;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Once;

/// Block sizes for which a decoder keeps the temporaries of the C library.
const KEPT: usize = 4;

/// Lets the C library choose its shuffle routines before two threads can race for it: it keeps
/// them in globals that it fills at first use without synchronisation.
pub(super) fn ready() -> Result<()> {
    static READY: Once = Once::new();
    let mut result = Ok(());
    READY.call_once(|| {
        result = Context::decompressing().and_then(|context| {
            let mut header = Header::new(Kind::Streams, 4, 64, 64);
            header.algorithm = Some(Algorithm::Lz4);
            header.filter = Filter::Shuffle;
            let mut stream = [7; 68];
            if let Some(len) = stream.first_chunk_mut() {
                *len = 64_u32.to_le_bytes();
            }
            let mut decoder = Decoder { contexts: vec![(0, context)], ..Decoder::empty() };
            decoder.whole(&header, &stream, &mut [0; 64])
        });
    });
    result
}

/// Decodes blocks of any chunk.
///
/// Owns C contexts with one thread each and a scratch buffer; reuse it for many blocks, then it
/// allocates nothing as long as no more than four block sizes take turns. One for each thread:
/// it is `Send`, and takes `&mut self`.
pub struct Decoder {
    /// Contexts and the block length for which each holds temporaries.
    contexts: Vec<(u32, Context)>,
    /// The context that the next new block length takes over.
    next: usize,
    /// The streams of the block in hand, with room for a header before them and slack behind:
    /// what an algorithm reads is what was checked, whatever happens to the file meanwhile.
    scratch: Vec<u8>,
    tools: direct::Tools,
    /// A whole block of which a part is wanted.
    whole: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    fn empty() -> Self {
        Self {
            contexts: Vec::new(),
            next: 0,
            scratch: Vec::new(),
            tools: direct::Tools::default(),
            whole: Vec::new(),
        }
    }

    /// A decoder without any memory of its own yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the environment variable `BLOSC_NTHREADS` asks for more C threads
    /// than the one that survives a fork, [`Error::Io`] if there is no memory.
    pub fn new() -> Result<Self> {
        ready()?;
        Ok(Self { contexts: vec![(0, Context::decompressing()?)], ..Self::empty() })
    }

    /// Decodes block `i`. `stream` is exactly the bytes `chunk[layout.block_range(i)]`, whose
    /// checksum the caller has verified if there is one, and `dst` has `layout.block_len(i)`
    /// bytes.
    ///
    /// Every stream length is walked before C sees it; stored blocks and runs of one value never
    /// reach C. Bytes of `dst` are unspecified after an error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a block that does not exist or slices of the wrong length,
    /// [`Error::Corrupt`] for streams that do not decode to exactly this block,
    /// [`Error::Limit`] for one longer than [`crate::limits::STREAM_MAX`].
    pub fn decode(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        dst: &mut [u8],
    ) -> Result<()> {
        self.decode_part(layout, i, stream, 0..layout.block_len(i) as usize, dst)
    }

    /// Decodes the bytes `part` of block `i` into `dst`, which is as long; else as
    /// [`Self::decode`]. Costs less than the whole block where [`Self::decodes_parts`].
    ///
    /// # Errors
    /// As [`Self::decode`]; [`Error::Invalid`] for a part that the block does not have. Of
    /// streams that are not needed only the lengths are looked at.
    pub fn decode_part(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        part: Range<usize>,
        dst: &mut [u8],
    ) -> Result<()> {
        self.decode_checked(layout, i, stream, part, dst, |_| Ok(()))
    }

    /// As [`Self::decode_part`] of streams that nobody has checked yet: `check` sees the bytes
    /// that are decoded, and not those in the file, which another program may change in between.
    ///
    /// # Errors
    /// As [`Self::decode_part`], and those of `check`.
    pub(crate) fn decode_checked(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        part: Range<usize>,
        dst: &mut [u8],
        check: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        fits(layout, i, &part, dst.len(), stream.len())?;
        let header = layout.header();
        if header.kind == Kind::Streams {
            return self.decode_read(layout, i, part, dst, |held| {
                held.copy_from_slice(stream);
                check(held)
            });
        }
        let len = layout.block_len(i);
        let whole = part == (0..len as usize);
        check(stream)?;
        match header.kind {
            Kind::Stored => dst.copy_from_slice(stream.get(part).unwrap_or_default()),
            Kind::Zeros => dst.fill(0),
            _ if whole => self.whole(header, stream, dst)?,
            _ => {
                let mut all = std::mem::take(&mut self.whole);
                memory::resize(&mut all, len as usize, 0)?;
                let done = self.whole(header, stream, &mut all);
                dst.copy_from_slice(all.get(part).unwrap_or_default());
                self.whole = all;
                done?;
            }
        }
        Ok(())
    }

    /// As [`Self::decode_checked`] of a block that is made of streams: `read` puts them where they are
    /// decoded from, and checks them there.
    ///
    /// # Errors
    /// As [`Self::decode_part`], and those of `read`.
    pub(crate) fn decode_read(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        part: Range<usize>,
        dst: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let held = layout.block_range(i).len();
        fits(layout, i, &part, dst.len(), held)?;
        read(self.hold(held)?)?;
        self.streams(layout.header(), held, layout.block_len(i), &part, dst)
    }

    /// As [`Self::decode_checked`] of a block whose streams are the first bytes of `stream`, in memory that
    /// nobody changes meanwhile, with at least [`SLACK`] bytes behind them: where no more than that is needed
    /// they are decoded where they are.
    ///
    /// # Errors
    /// As [`Self::decode_checked`].
    pub(crate) fn decode_in_place(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        part: Range<usize>,
        dst: &mut [u8],
        check: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let (header, len) = (layout.header(), layout.block_len(i));
        let held = layout.block_range(i).len();
        let streams = stream.get(..held).unwrap_or_default();
        match direct::BlockStreams::new(stream, held) {
            Some(all) if header.kind == Kind::Streams && direct::knows(header, len) => {
                fits(layout, i, &part, dst.len(), streams.len())?;
                check(streams)?;
                direct::decode(header, all, len, &part, dst, &mut self.tools)
            }
            _ => self.decode_checked(layout, i, streams, part, dst, check),
        }
    }

    /// Decodes a part of a block of `len` bytes whose streams are held.
    fn streams(
        &mut self,
        header: &Header,
        held: usize,
        len: u32,
        part: &Range<usize>,
        dst: &mut [u8],
    ) -> Result<()> {
        if direct::knows(header, len) {
            let all = self.scratch.get(ONE_BLOCK..).unwrap_or_default();
            let streams = direct::BlockStreams::new(all, held).ok_or_else(no_memory)?;
            return direct::decode(header, streams, len, part, dst, &mut self.tools);
        }
        if *part == (0..len as usize) {
            return self.block(header, held, dst);
        }
        let mut whole = std::mem::take(&mut self.whole);
        memory::resize(&mut whole, len as usize, 0)?;
        let done = self.block(header, held, &mut whole);
        dst.copy_from_slice(whole.get(part.clone()).unwrap_or_default());
        self.whole = whole;
        done
    }

    /// A place in the scratch buffer for `len` bytes of streams, with zeros or bytes of earlier blocks
    /// as slack behind them.
    fn hold(&mut self, len: usize) -> Result<&mut [u8]> {
        let total = ONE_BLOCK + len + SLACK;
        if self.scratch.len() < total {
            // A power of two, so that blocks of similar size do not each grow it a little.
            memory::resize(&mut self.scratch, total.next_power_of_two(), 0)?;
        }
        self.scratch.get_mut(ONE_BLOCK..ONE_BLOCK + len).ok_or_else(no_memory)
    }

    /// Whether a part of a block of this chunk costs less than the whole.
    #[must_use]
    pub fn decodes_parts(layout: &ChunkLayout) -> bool {
        let header = layout.header();
        match header.kind {
            Kind::Streams => header.split && direct::ends_early(header),
            Kind::Stored | Kind::Zeros => true,
            Kind::Value | Kind::Nans => false,
        }
    }

    /// Decodes a whole block.
    pub(super) fn whole(&mut self, header: &Header, stream: &[u8], dst: &mut [u8]) -> Result<()> {
        match header.kind {
            Kind::Stored => dst.copy_from_slice(stream),
            Kind::Zeros => dst.fill(0),
            Kind::Value => special::fill(dst, stream),
            Kind::Nans => special::fill(dst, special::nan(header.typesize)),
            Kind::Streams => {
                self.hold(stream.len())?.copy_from_slice(stream);
                self.block(header, stream.len(), dst)?;
            }
        }
        Ok(())
    }

    /// Decodes the streams of one block of a chunk with this header, which are `held` bytes of
    /// the scratch buffer, by the C library.
    fn block(&mut self, header: &Header, held: usize, dst: &mut [u8]) -> Result<()> {
        let len = u32::try_from(dst.len()).unwrap_or(u32::MAX);
        let count = header.streams(len);
        if len / count * count != len {
            // The algorithm would leave the rest of the block as it found it.
            return Err(Error::corrupt("block", 0, "does not split into its streams"));
        }
        let stream = self.scratch.get(ONE_BLOCK..ONE_BLOCK + held).unwrap_or_default();
        let walk = streams::walk(stream, count, len / count)?;
        if walk.zeros {
            dst.fill(0);
            return Ok(());
        }
        let wrapped = self.wrap(header, len, count, walk.used)?;
        let at = self.context_for(len)?;
        let scratch = &self.scratch;
        let done = match self.contexts.get_mut(at) {
            Some((_, context)) => context.decompress(scratch, wrapped, dst),
            None => -1,
        };
        if usize::try_from(done).is_ok_and(|n| n == dst.len()) {
            Ok(())
        } else {
            Err(Error::corrupt("block", 0, "its compressed bytes cannot be decoded"))
        }
    }

    /// Makes the `used` bytes of streams in the scratch buffer a chunk of one block of `len`
    /// decoded bytes; returns the length of the chunk.
    fn wrap(&mut self, header: &Header, len: u32, count: u32, used: usize) -> Result<usize> {
        let total = ONE_BLOCK + used;
        let cbytes = u32::try_from(total)
            .ok()
            .filter(|n| i32::try_from(*n).is_ok())
            .ok_or(Error::corrupt("block", 0, "is too long"))?;
        let mut head = *header;
        head.kind = Kind::Streams;
        head.nbytes = len;
        head.block_size = len;
        head.cbytes = cbytes;
        head.split = count > 1;
        let head = head.encode();
        debug_assert_eq!(head.get(2).map(|f| f & (SHUFFLE | BITSHUFFLE)), Some(5));
        debug_assert_eq!(head.get(2).map(|f| f & ONE_STREAM == 0), Some(count > 1));
        if let Some((to, rest)) = self.scratch.split_first_chunk_mut::<EXTENDED>()
            && let Some((to_start, _)) = rest.split_first_chunk_mut::<4>()
        {
            *to = head;
            *to_start = 36_u32.to_le_bytes();
        }
        Ok(total)
    }

    /// The index of a context whose temporaries fit blocks of `len` bytes, or that will make
    /// them: C allocates them anew whenever the block length differs from the one before.
    fn context_for(&mut self, len: u32) -> Result<usize> {
        if let Some(at) = self.contexts.iter().position(|(l, _)| *l == len) {
            return Ok(at);
        }
        if let Some(at) = self.contexts.iter().position(|(l, _)| *l == 0) {
            self.claim(at, len);
            return Ok(at);
        }
        if self.contexts.len() < KEPT {
            self.contexts.push((len, Context::decompressing()?));
            return Ok(self.contexts.len() - 1);
        }
        let at = self.next;
        self.next = (at + 1) % KEPT;
        self.claim(at, len);
        Ok(at)
    }

    fn claim(&mut self, at: usize, len: u32) {
        if let Some((l, _)) = self.contexts.get_mut(at) {
            *l = len;
        }
    }

    /// Decodes all of `chunk` and compares: debug builds check what they wrote.
    #[cfg(debug_assertions)]
    pub(super) fn verify(&mut self, src: &[u8], chunk: &[u8]) -> Result<()> {
        let layout = ChunkLayout::parse(chunk, u32::MAX)?;
        let mut at = 0;
        let mut block = Vec::new();
        for i in 0..layout.blocks() {
            let range = layout.block_range(i);
            let stream = chunk.get(range.start as usize..range.end as usize).unwrap_or_default();
            block.resize(layout.block_len(i) as usize, 0);
            self.decode(&layout, i, stream, &mut block)?;
            debug_assert_eq!(src.get(at..at + block.len()), Some(block.as_slice()), "block {i}");
            at += block.len();
        }
        debug_assert_eq!(at, src.len());
        Ok(())
    }
}

/// Refuses slices of the wrong length for the bytes `part` of block `i`, stored in `stored` bytes.
fn fits(
    layout: &ChunkLayout,
    i: u32,
    part: &Range<usize>,
    room: usize,
    stored: usize,
) -> Result<()> {
    let (range, len) = (layout.block_range(i), layout.block_len(i));
    if room == part.len() && room > 0 && part.end <= len as usize && stored == range.len() {
        return Ok(());
    }
    Err(Error::invalid(
        "block",
        format!(
            "{i} of {} has {len} bytes, stored in {}; asked for were {part:?} into {room} from {stored}",
            layout.blocks(),
            range.len(),
        ),
    ))
}

thread_local! {
    /// One C context a thread: none is shared, none holds threads, all survive a fork.
    static DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
}

/// Calls `f` with this thread's decoder.
pub(crate) fn with_decoder<R>(f: impl FnOnce(&mut Decoder) -> Result<R>) -> Result<R> {
    DECODER.with(|cell| {
        let Ok(mut slot) = cell.try_borrow_mut() else { return f(&mut Decoder::new()?) };
        if slot.is_none() {
            *slot = Some(Decoder::new()?);
        }
        match slot.as_mut() {
            Some(d) => f(d),
            None => f(&mut Decoder::new()?),
        }
    })
}
