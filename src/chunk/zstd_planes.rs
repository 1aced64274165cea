//! Shuffled blocks compressed by Zstd, plane by plane, each as suits it.
//!
//! What a level of Zstd does best depends on the bytes. In the planes of real numbers that were measured or
//! computed, short matches are found by chance: to say where they are takes about as many bytes as they have, and
//! decoding takes up to twice as long. In planes of numbers with few digits, of counters or of text they are what
//! makes a block small. So a piece of each plane is tried in several ways, once a chunk, and the chunk goes on with
//! what suited it. What is written are frames of Zstd in any case.

use super::planes;
use super::zstd::{HASH_LOG, LEVEL, Packer, SHORTEST_MATCH, Setting};
use crate::error::{Error, Result};
use crate::wire::memory;

/// Ways to compress a plane, the one that is decoded fastest first.
const WAYS: [&[Setting]; 3] = [
    // Without short matches, and with a memory for few places: what is alike by chance is not found.
    &[(LEVEL, 1), (SHORTEST_MATCH, 7), (HASH_LOG, 8)],
    // Without short matches.
    &[(LEVEL, 1), (SHORTEST_MATCH, 7)],
    // As C-Blosc2 compresses at this level.
    &[(LEVEL, 1)],
];

/// Bytes of a plane that are tried.
const TRIED: usize = 8 << 10;

/// A way is taken if it leaves up to this part more than the best: it is decoded in less time.
const WORTH: usize = 64;

/// Compresses shuffled blocks at level 1.
pub(super) struct ZstdPlanes {
    packers: [Packer; WAYS.len()],
    /// Which of them compresses each plane of the chunk in hand, once that is known.
    ways: Vec<Option<usize>>,
    planes: Vec<u8>,
}

impl ZstdPlanes {
    pub(super) fn new() -> Result<Self> {
        let [a, b, c] = WAYS.map(Packer::new);
        Ok(Self { packers: [a?, b?, c?], ways: Vec::new(), planes: Vec::new() })
    }

    /// Another chunk begins, of elements of so many bytes.
    pub(super) fn begin(&mut self, typesize: u8) {
        self.ways.clear();
        self.ways.resize(typesize.into(), None);
    }

    /// Writes the streams of `src`, a whole number of elements, to the first bytes of `out`, and returns their length.
    pub(super) fn block(&mut self, src: &[u8], out: &mut [u8]) -> Result<usize> {
        let small = || Error::codec("blosc2", "while compressing: no room left");
        let each = src.len() / self.ways.len().max(1);
        memory::resize(&mut self.planes, src.len(), 0)?;
        planes::split(src, self.ways.len(), &mut self.planes);
        let mut at = 0;
        for (plane, way) in self.planes.chunks_exact(each.max(1)).zip(&mut self.ways) {
            let (len, to) =
                out.get_mut(at..).and_then(|out| out.split_at_mut_checked(4)).ok_or_else(small)?;
            let to = to.get_mut(..each).ok_or_else(small)?;
            let (stated, held) = if let [first, rest @ ..] = plane
                && rest.iter().all(|byte| byte == first)
            {
                match (first, to.first_mut()) {
                    (0, _) | (_, None) => (0, 0),
                    (value, Some(token)) => {
                        *token = 1;
                        (-i32::from(*value), 1)
                    }
                }
            } else {
                let way = *way.get_or_insert_with(|| best(&mut self.packers, plane, to));
                let found = self.packers.get_mut(way).map(|packer| packed(packer, plane, to));
                let found = found.unwrap_or(each);
                if found == each {
                    to.copy_from_slice(plane);
                }
                (i32::try_from(found).map_err(|_| small())?, found)
            };
            len.copy_from_slice(&stated.to_le_bytes());
            at += 4 + held;
        }
        Ok(at)
    }
}

/// The way that suits a plane, of which the first bytes are tried; what `to` has is not said.
fn best(packers: &mut [Packer], plane: &[u8], to: &mut [u8]) -> usize {
    let piece = plane.get(..TRIED).unwrap_or(plane);
    let mut sizes = [usize::MAX; WAYS.len()];
    for (size, packer) in sizes.iter_mut().zip(packers) {
        *size = packed(packer, piece, to);
    }
    let most = sizes.iter().min().map_or(usize::MAX, |least| least + least / WORTH);
    sizes.iter().position(|size| *size <= most).unwrap_or(0)
}

/// Encodes a plane; if it is not shorter then, its own length, and what `to` has is not said.
fn packed(packer: &mut Packer, plane: &[u8], to: &mut [u8]) -> usize {
    let room = plane.len().saturating_sub(1);
    let found = to.get_mut(..room).and_then(|to| packer.pack(plane, to));
    found.unwrap_or(plane.len())
}

#[cfg(test)]
mod tests {
    use super::{Packer, WAYS, packed};
    use crate::chunk::{Algorithm, ChunkLayout, Compressor, Decoder, Filter, Params};

    const BLOCK: u32 = 64 << 10;

    fn params(typesize: u8) -> Params {
        let filter = Filter::Shuffle;
        Params { algorithm: Some(Algorithm::Zstd), level: 1, filter, typesize }
    }

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// Between -1 and 1, more often near 0.
        fn real(&mut self) -> f32 {
            let part =
                |bits: u64| f32::from(u16::try_from(bits & 0xffff).unwrap()) / 32_768.0 - 1.0;
            let bits = self.next();
            part(bits) * part(bits >> 16) * part(bits >> 32)
        }
    }

    /// Bytes of the whole chunk.
    fn packed_by(mut compressor: Compressor, src: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compressor.compress(src, &mut out).unwrap();
        let (mut decoder, layout) =
            (Decoder::new().unwrap(), ChunkLayout::parse(&out, 1 << 24).unwrap());
        let mut back = vec![1; src.len()];
        for (i, block) in (0..).zip(back.chunks_mut(BLOCK as usize)) {
            let range = layout.block_range(i);
            let stream = &out[range.start as usize..range.end as usize];
            decoder.decode(&layout, i, stream, block).unwrap();
        }
        assert_eq!(back, src);
        out
    }

    #[test]
    fn no_plane_takes_many_more_bytes_than_by_the_library_and_reals_take_fewer() {
        let mut r = Random(5);
        let reals: Vec<u8> = (0..100_000).flat_map(|_| r.real().to_le_bytes()).collect();
        let text: Vec<u8> = (0..20_000)
            .flat_map(|i| format!("{{\"id\": {i}, \"value\": {:.3}}},", r.real()).into_bytes())
            .take(400_000)
            .collect();
        let counters: Vec<u8> = (0..60_000_u64).flat_map(|i| (i * 1000).to_le_bytes()).collect();
        for (bytes, typesize, most) in [(&reals, 4, 995), (&text, 4, 1020), (&counters, 8, 1020)] {
            let ours = packed_by(Compressor::new(params(typesize), BLOCK).unwrap(), bytes).len();
            let library =
                packed_by(Compressor::by_library(params(typesize), BLOCK).unwrap(), bytes).len();
            assert!(ours * 1000 <= library * most, "{typesize}: {ours} to {library}");
        }
    }

    #[test]
    fn each_setting_of_a_way_has_an_effect() {
        let mut r = Random(5);
        let plane: Vec<u8> = (0..64 << 10).map(|_| r.real().to_le_bytes()[3]).collect();
        let mut to = vec![0; plane.len()];
        let mut size = |way: usize| packed(&mut Packer::new(WAYS[way]).unwrap(), &plane, &mut to);
        let [few, long, usual] = [0, 1, 2].map(&mut size);
        assert!(few < long && long < usual && usual < plane.len(), "{few} {long} {usual}");
        assert!(Packer::new(&[(1, 1)]).is_err(), "there is no such setting");
    }

    #[test]
    fn the_same_chunk_has_the_same_bytes_whatever_was_compressed_before() {
        let mut r = Random(9);
        let reals: Vec<u8> = (0..40_000).flat_map(|_| r.real().to_le_bytes()).collect();
        let other: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
        let fresh = packed_by(Compressor::new(params(4), BLOCK).unwrap(), &reals);
        let mut used = Compressor::new(params(4), BLOCK).unwrap();
        used.compress(&other, &mut Vec::new()).unwrap();
        assert_eq!(packed_by(used, &reals), fresh);
    }
}
