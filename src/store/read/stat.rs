//! How a store is made up: sizes of records, ratios, blocks and compression of its chunks.

use crate::error::Result;
use crate::store::read::readable::Readable;
use crate::store::read::reader::ChunkData;
use crate::store::read::snapshot::Snapshot;
use std::collections::BTreeMap;

/// Records of about the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeClass {
    /// Shortest length in bytes.
    pub from: u64,
    /// First length that is too long.
    pub to: u64,
    /// Number of records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Chunks that were compressed in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkClass {
    /// The compression, `stored` or `special` for chunks of one value.
    pub compression: Box<str>,
    /// The filter before it.
    pub filter: Box<str>,
    /// Bytes of a block, decoded.
    pub block_size: u32,
    /// Number of chunks.
    pub chunks: u64,
    /// Their bytes, decoded.
    pub raw_bytes: u64,
    /// Their bytes in the file.
    pub file_bytes: u64,
}

/// Chunks that shrank about as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioClass {
    /// Lowest ratio of decoded to stored bytes.
    pub from: f64,
    /// First ratio that is too high.
    pub to: f64,
    /// Number of chunks.
    pub chunks: u64,
}

/// What [`Snapshot::stat`] finds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stat {
    /// Records by length, each class twice as long as the one before; those without records
    /// between the first and the last are there too.
    pub sizes: Vec<SizeClass>,
    /// Shortest and longest record, in bytes; 0 without records.
    pub shortest: u64,
    /// See `shortest`.
    pub longest: u64,
    /// Number of chunks in the file that are full.
    pub chunks: u64,
    /// Bytes, decoded, in the last chunk, which still has room.
    pub open_bytes: u64,
    /// Full chunks by compressor, filter and block size.
    pub kinds: Vec<ChunkClass>,
    /// Chunks by how much they shrank, in steps of the square root of two.
    pub ratios: Vec<RatioClass>,
    /// Chunks whose header cannot be read; `verify` says more.
    pub unreadable: u64,
}

impl Snapshot {
    /// Whether the writer left the file in order after this commit: no one was writing then.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner().slot.closed.get() != 0
    }

    /// How the store is made up. Reads the index, and the first bytes of every chunk; decodes
    /// nothing.
    ///
    /// `progress` is told the chunks done and to do; its error ends the work.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for a damaged index,
    /// [`Error::Io`](crate::Error::Io), and what `progress` returns.
    pub fn stat(&self, mut progress: impl FnMut(u64, u64) -> Result<()>) -> Result<Stat> {
        let mut out = Stat::default();
        // By the number of bits of the length.
        let mut sizes = [(0_u64, 0_u64); 65];
        let mut shortest = u64::MAX;
        self.for_each(|_, _, place| {
            let len = place.len();
            let bits = usize::try_from(64 - len.leading_zeros()).unwrap_or(0);
            if let Some((records, bytes)) = sizes.get_mut(bits) {
                *records += 1;
                *bytes += len;
            }
            shortest = shortest.min(len);
            out.longest = out.longest.max(len);
            Ok(())
        })?;
        out.shortest = if self.is_empty() { 0 } else { shortest };
        let used = |class: &(u64, u64)| class.0 > 0;
        let first = sizes.iter().position(used).unwrap_or(0);
        let last = sizes.iter().rposition(used).map_or(0, |i| i + 1);
        for (bits, (records, bytes)) in sizes.iter().enumerate().take(last).skip(first) {
            let from = if bits == 0 { 0 } else { 1_u64 << (bits - 1) };
            let to = 1_u64.checked_shl(u32::try_from(bits).unwrap_or(64)).unwrap_or(u64::MAX);
            out.sizes.push(SizeClass { from, to, records: *records, bytes: *bytes });
        }
        self.stat_chunks(&mut out, &mut progress)?;
        Ok(out)
    }

    fn stat_chunks(
        &self,
        out: &mut Stat,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let reader = &self.inner().reader;
        let total = reader.memtable.chunks_end();
        let sealed = reader.sealed.as_ref().map(|sealed| sealed.0);
        if let Some(number) = sealed.or((reader.open.block != 0).then_some(reader.open.number)) {
            let start = number.saturating_mul(reader.chunk_size);
            out.open_bytes = reader.totals.cursor.saturating_sub(start);
        }
        // Codec, filter and block size; and of those chunks number, raw and stored bytes.
        type Kind = (Box<str>, Box<str>, u32);
        let mut kinds: BTreeMap<Kind, (u64, u64, u64)> = BTreeMap::new();
        let mut ratios: BTreeMap<i32, u64> = BTreeMap::new();
        for number in 0..total {
            progress(number, total)?;
            let place = match reader.chunk(number) {
                Ok(ChunkData::File(place)) => place,
                Ok(ChunkData::Memory(_)) => continue,
                Err(e) if e.is_damage() => {
                    out.unreadable += 1;
                    continue;
                }
                Err(e) => return Err(e),
            };
            let layout = &place.layout;
            let compression = match layout.algorithm() {
                _ if layout.is_special() => "special",
                _ if layout.is_stored() => "stored",
                Some(algorithm) => algorithm.name(),
                None => "stored",
            };
            let key = (compression.into(), layout.filter().name().into(), layout.block_size());
            let (raw, file) = (u64::from(layout.nbytes()), u64::from(layout.cbytes()));
            let kind = kinds.entry(key).or_default();
            *kind = (kind.0 + 1, kind.1 + raw, kind.2 + file);
            *ratios.entry(step(raw, file)).or_default() += 1;
            out.chunks += 1;
        }
        out.kinds = kinds
            .into_iter()
            .map(|((compression, filter, block_size), (chunks, raw_bytes, file_bytes))| {
                ChunkClass { compression, filter, block_size, chunks, raw_bytes, file_bytes }
            })
            .collect();
        let edge = |step: i32| 2_f64.powf(f64::from(step) / 2.0);
        out.ratios = ratios
            .into_iter()
            .map(|(at, chunks)| RatioClass { from: edge(at), to: edge(at + 1), chunks })
            .collect();
        progress(total, total)
    }
}

/// The class of a ratio: twice its logarithm to the base two, rounded down.
#[expect(clippy::cast_precision_loss, reason = "sizes of chunks are far below 2^53")]
#[expect(clippy::cast_possible_truncation, reason = "a logarithm of at most 2^28")]
fn step(raw: u64, file: u64) -> i32 {
    (2.0 * (raw.max(1) as f64 / file.max(1) as f64).log2()).floor() as i32
}
