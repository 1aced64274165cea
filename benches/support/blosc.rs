//! The reference: Blosc2 itself, called as a C program would, on chunks in memory, one reused
//! context for each thread.
#![expect(unsafe_code, reason = "the reference is the C library itself")]

use blosc2_sys as ffi;
use std::ptr::{self, NonNull};
use vlstore::chunk::{ChunkLayout, Params};
use vlstore::frame::{ChunkPlace, FrameHeader, decode_offsets};

/// A context with one C thread.
#[derive(Debug)]
pub(crate) struct Context(NonNull<ffi::blosc2_context>);

// SAFETY: a context is plain memory, with one C thread it starts none; not `Sync`, so one
// thread at a time uses it.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by a create function, freed only here.
        unsafe { ffi::blosc2_free_ctx(self.0.as_ptr()) }
    }
}

impl Context {
    /// Compresses with these parameters in blocks of `block` bytes.
    pub(crate) fn compressing(params: Params, block: u32) -> Self {
        let cparams = ffi::blosc2_cparams {
            compcode: params.algorithm.unwrap().id(),
            compcode_meta: 0,
            clevel: params.level,
            use_dict: 0,
            typesize: params.typesize.into(),
            nthreads: 1,
            blocksize: i32::try_from(block).unwrap(),
            // Let the library decide when to split streams, as it does by default.
            splitmode: 4,
            schunk: ptr::null_mut(),
            filters: [0, 0, 0, 0, 0, params.filter.id()],
            filters_meta: [0; 6],
            prefilter: None,
            preparams: ptr::null_mut(),
            tuner_params: ptr::null_mut(),
            tuner_id: 0,
            instr_codec: false,
            codec_params: ptr::null_mut(),
            filter_params: [ptr::null_mut(); 6],
        };
        // SAFETY: a complete struct by value; null pointers mean "none".
        Self(NonNull::new(unsafe { ffi::blosc2_create_cctx(cparams) }).unwrap())
    }

    /// Decompresses.
    pub(crate) fn decompressing() -> Self {
        let dparams = ffi::blosc2_dparams {
            nthreads: 1,
            schunk: ptr::null_mut(),
            postfilter: None,
            postparams: ptr::null_mut(),
        };
        // SAFETY: a complete struct by value; null pointers mean "none".
        Self(NonNull::new(unsafe { ffi::blosc2_create_dctx(dparams) }).unwrap())
    }

    /// `blosc2_compress_ctx`: length of the chunk in `out`.
    pub(crate) fn compress(&mut self, src: &[u8], out: &mut [u8]) -> usize {
        let (from, to) = (i32::try_from(src.len()).unwrap(), i32::try_from(out.len()).unwrap());
        // SAFETY: both lengths are those of the slices, which cannot overlap.
        let n = unsafe {
            ffi::blosc2_compress_ctx(
                self.0.as_ptr(),
                src.as_ptr().cast(),
                from,
                out.as_mut_ptr().cast(),
                to,
            )
        };
        assert!(n > 0, "compress: {n}");
        n as usize
    }

    /// `blosc2_decompress_ctx` of a whole chunk.
    pub(crate) fn decompress(&mut self, chunk: &[u8], out: &mut [u8]) {
        let (from, to) = (i32::try_from(chunk.len()).unwrap(), i32::try_from(out.len()).unwrap());
        // SAFETY: both lengths are those of the slices, which cannot overlap; the chunk was
        // written by this crate in this run.
        let n = unsafe {
            ffi::blosc2_decompress_ctx(
                self.0.as_ptr(),
                chunk.as_ptr().cast(),
                from,
                out.as_mut_ptr().cast(),
                to,
            )
        };
        assert!(n >= 0, "decompress: {n}");
    }

    /// `blosc2_getitem_ctx`: bytes `from..` of a chunk, as many as `out` has; both multiples of
    /// the type size.
    pub(crate) fn get(&mut self, chunk: &[u8], typesize: usize, from: usize, out: &mut [u8]) {
        let [first, items] = [from, out.len()].map(|n| {
            assert!(n.is_multiple_of(typesize));
            i32::try_from(n / typesize).unwrap()
        });
        let (len, to) = (i32::try_from(chunk.len()).unwrap(), i32::try_from(out.len()).unwrap());
        // SAFETY: the lengths are those of the slices, which cannot overlap; the chunk was
        // written by this crate in this run.
        let n = unsafe {
            ffi::blosc2_getitem_ctx(
                self.0.as_ptr(),
                chunk.as_ptr().cast(),
                len,
                first,
                items,
                out.as_mut_ptr().cast(),
                to,
            )
        };
        assert_eq!(n, to, "getitem");
    }
}

/// A whole store file in memory and its chunks.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) file: Vec<u8>,
    pub(crate) list: Vec<Chunk>,
    pub(crate) chunk_size: usize,
}

/// Where a chunk lies in the file and how it is cut.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) at: usize,
    pub(crate) layout: ChunkLayout,
}

impl Chunks {
    /// The chunks of a sealed file.
    pub(crate) fn of(file: Vec<u8>) -> Self {
        let header = FrameHeader::parse(&file).unwrap();
        let offsets = &file[header.offsets_at() as usize..];
        let list = decode_offsets(offsets, &header)
            .unwrap()
            .into_iter()
            .filter_map(|place| match place {
                ChunkPlace::At(at) => Some(at),
                // Nothing of the data is all zero, and such a chunk costs nothing to decode.
                ChunkPlace::Zeros | ChunkPlace::Nans => None,
            })
            .map(|at| {
                let at = (header.header_len + at) as usize;
                let layout = ChunkLayout::parse(&file[at..], u32::MAX).unwrap();
                Chunk { at, layout }
            })
            .collect();
        Self { list, chunk_size: header.chunk_size as usize, file }
    }

    /// The bytes of chunk `i`.
    pub(crate) fn bytes(&self, i: usize) -> &[u8] {
        let c = &self.list[i];
        &self.file[c.at..c.at + c.layout.cbytes() as usize]
    }

    /// Compressed bytes of all chunks.
    pub(crate) fn cbytes(&self) -> usize {
        self.list.iter().map(|c| c.layout.cbytes() as usize).sum()
    }

    /// All chunks, decoded one after the other.
    pub(crate) fn decoded(&self) -> Vec<u8> {
        let mut out = vec![0; self.list.len() * self.chunk_size];
        let mut context = Context::decompressing();
        for (i, part) in out.chunks_mut(self.chunk_size).enumerate() {
            context.decompress(self.bytes(i), part);
        }
        out
    }
}

/// Bytes of `data` compressed in chunks of 4 MiB with blocks of 256 KiB.
pub(crate) fn dense_size(params: Params, data: &[u8]) -> usize {
    let mut context = Context::compressing(params, 256 << 10);
    let mut out = vec![0; (4 << 20) + 4096];
    data.chunks(4 << 20).map(|c| context.compress(c, &mut out)).sum()
}
