//! Files of other programs: frames whose header, offsets and trailer lie. Nothing in them has a
//! checksum, so nothing needs to be sealed again.

use super::Expect::{Error, Refused, Right};
use super::attacks;
use super::craft::{compressed, header};
use vlstore::Key;
use vlstore::chunk::{Algorithm, Filter, Params};
use vlstore::frame::{
    ChunkPlace, HEADER_LEN, build_header, build_trailer, encode_offsets, patch_totals,
};
use vlstore::index::saved_lookup;

/// Decoded bytes of a chunk.
pub const CHUNK: u32 = 4096;

/// A frame of one good chunk and one of zeros with three records, as the original program would
/// leave it; to be changed.
pub struct Original {
    /// Whole chunks in order; none is a chunk that only the offsets name.
    pub chunks: Vec<Option<Vec<u8>>>,
    /// The offsets of special chunks.
    pub special: u64,
    /// What the offsets say instead of where the chunks are.
    pub offsets: Option<Vec<u8>>,
    /// The chunk that holds the table of records.
    pub lookup: Vec<u8>,
    pub chunk_size: u32,
    pub nbytes: Option<u64>,
    pub typesize: u8,
}

/// The chunk around a table.
pub fn table(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let params =
        Params { algorithm: Some(Algorithm::Zstd), level: 3, filter: Filter::None, typesize: 1 };
    let mut c = vlstore::chunk::Compressor::new(params, 1 << 20).unwrap();
    c.compress(bytes, &mut out).unwrap();
    out
}

impl Default for Original {
    fn default() -> Self {
        let src: Vec<u8> = (0..CHUNK).map(|i| (i / 40) as u8).collect();
        let entries = [
            (Key::from("a"), 0, 100),
            (Key::from(-5), 100, 4096),
            (Key::from(&b"c"[..]), 4096, 5000),
        ];
        Self {
            chunks: vec![Some(compressed(Some(Algorithm::Lz4), Filter::Shuffle, 4, &src)), None],
            special: ChunkPlace::Zeros.to_raw(),
            offsets: None,
            lookup: table(&saved_lookup::encode(3, entries).unwrap()),
            chunk_size: CHUNK,
            nbytes: None,
            typesize: 4,
        }
    }
}

impl Original {
    pub fn build(self) -> Vec<u8> {
        let stored =
            Params { algorithm: None, level: 0, filter: Filter::None, typesize: self.typesize };
        let mut file =
            build_header(&stored, self.chunk_size, self.chunk_size.min(1 << 20)).unwrap();
        let mut offsets = Vec::new();
        for chunk in &self.chunks {
            offsets.push(match chunk {
                Some(_) => (file.len() - HEADER_LEN) as u64,
                None => self.special,
            });
            file.extend(chunk.iter().flatten());
        }
        let cbytes = (file.len() - HEADER_LEN) as u64;
        file.extend(self.offsets.unwrap_or_else(|| encode_offsets(&offsets).unwrap()));
        file.extend(build_trailer(&[(saved_lookup::NAME, &self.lookup)]).unwrap());
        let nbytes = self.chunks.len() as u64 * u64::from(self.chunk_size);
        let nbytes = self.nbytes.unwrap_or(nbytes);
        let totals = patch_totals(&file, file.len() as u64, nbytes, cbytes).unwrap();
        file[16..47].copy_from_slice(&totals);
        // Theirs have no metalayer of ours, which says whose a file is.
        let name = file.windows(8).position(|w| w == b"\xa7vlstore").unwrap();
        file[name + 1..name + 8].copy_from_slice(b"another");
        file
    }

    fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = Self::default().build();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    fn offsets(list: &[u64]) -> Vec<u8> {
        Self { offsets: Some(encode_offsets(list).unwrap()), ..Self::default() }.build()
    }

    /// Changes bytes counted from the end of the file.
    fn end_changed(back: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = Self::default().build();
        let at = file.len() - back;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    fn first_chunk(chunk: Vec<u8>) -> Vec<u8> {
        let mut original = Self::default();
        original.chunks[0] = Some(chunk);
        original.build()
    }
}

const FAR: [u8; 8] = (i64::MAX - 7).to_be_bytes();
const MANY: u64 = 1 << 22;

fn many(chunks: u64, typesize: u8, chunk_size: u32, special: u64) -> Vec<u8> {
    let nbytes = u32::try_from(chunks * 8).unwrap();
    let mut offsets = header(5, 8, nbytes, nbytes.min(1 << 16), 40);
    offsets[31] = 3 << 4;
    offsets.extend(special.to_le_bytes());
    Original {
        chunks: vec![None],
        offsets: Some(offsets),
        nbytes: Some(chunks * u64::from(chunk_size)),
        chunk_size,
        typesize,
        special,
        ..Original::default()
    }
    .build()
}

attacks! {
    an_original_that_is_whole: Right => Original::default().build();
    a_frame_header_longer_than_any: Refused("frame header of 1879048192 is above the limit") =>
        Original::changed(11, &[0x70, 0, 0, 0]);
    a_frame_header_of_negative_length: Refused("is shorter than a header") => Original::changed(11, &[0xff; 4]);
    a_frame_header_longer_than_the_file: Refused("frame header") => Original::changed(11, &[0, 0x80, 0, 0]);
    a_frame_longer_than_its_file: Refused("ends before its frame does") => Original::changed(16, &FAR);
    a_frame_shorter_than_its_chunks: Refused("the compressed size leaves the frame") =>
        Original::changed(16, &12_300_u64.to_be_bytes());
    a_frame_of_negative_size: Refused("a size is negative") => Original::changed(30, &[0xff; 8]);
    a_frame_of_more_chunks_than_any: Refused("chunks in a frame") => Original::changed(30, &FAR);
    compressed_bytes_beyond_2_to_the_63: Refused("a size is negative") => Original::changed(39, &[0xff; 8]);
    compressed_bytes_that_wrap_around: Refused("the compressed size leaves the frame") => Original::changed(39, &FAR);
    a_frame_of_elements_without_bytes: Refused("the size of elements, blocks or chunks") =>
        Original::changed(48, &[0; 4]);
    a_frame_of_chunks_without_bytes: Refused("chunks of variable size") => Original::changed(58, &[0; 4]);
    a_frame_of_negative_chunks: Refused("the size of elements, blocks or chunks") =>
        Original::changed(58, &[0xff; 4]);
    a_frame_of_chunks_of_two_gigabytes: Refused("chunk") => Original::changed(58, &[0x7f, 0xff, 0xff, 0xff]);
    a_frame_of_chunks_of_variable_size: Refused("chunks of variable size") => Original::changed(25, &[0x52]);
    a_frame_of_another_version: Refused("frame format version 3") => Original::changed(25, &[0x13]);
    a_frame_with_narrow_offsets: Refused("width of chunk offsets") => Original::changed(25, &[0x02]);
    a_sparse_frame: Refused("sparse frame") => Original::changed(26, &[1]);
    a_frame_with_seven_filters: Refused("has more filters than there is room for") => Original::changed(70, &[7]);
    more_metalayers_than_any: Refused("metalayers of 65535 is above the limit") =>
        Original::changed(92, &[0xff, 0xff]);
    a_metalayer_outside_the_header: Refused("metalayers") => Original::changed(101, &[0x7f, 0xff, 0xff, 0xff]);
    a_metalayer_with_a_name_that_is_not_utf_8: Refused("msgpack") => Original::changed(95, &[0xff; 4]);
    a_metalayer_magic_of_another_program: Refused("is of another program") => Original::changed(130, &[0]);
    a_trailer_longer_than_its_frame: Refused("is longer than its room") => Original::end_changed(22, &[0x70, 0, 0, 0]);
    a_trailer_of_negative_length: Refused("states a length that no trailer has") =>
        Original::end_changed(22, &[0xff; 4]);
    a_trailer_of_no_length: Refused("states a length that no trailer has") => Original::end_changed(22, &[0; 4]);
    a_trailer_that_starts_elsewhere: Refused("frame trailer") => Original::end_changed(22, &[0, 0, 0, 60]);

    a_chunk_offset_beyond_the_frame: Refused("point outside the chunks") => Original::offsets(&[1 << 40, 0]);
    a_chunk_offset_beyond_2_to_the_62: Refused("point outside the chunks") => Original::offsets(&[(1 << 63) - 1, 0]);
    an_offset_of_an_unknown_special_chunk: Refused("special chunk") => Original::offsets(&[0, u64::MAX]);
    an_offset_of_uninitialised_memory: Refused("chunk of uninitialised values") => Original::offsets(&[0, 0x84 << 56]);
    fewer_offsets_than_chunks: Refused("are not as many as the chunks") => Original::offsets(&[0]);
    more_offsets_than_chunks: Refused("is above the limit") => Original::offsets(&[0; 3]);
    all_chunks_at_the_same_place: Right => Original::offsets(&[0, 0]);
    offsets_that_are_cut: Refused("chunk offsets") => {
        let mut chunk = header(5 | 2, 8, 16, 16, 48);
        chunk.truncate(32);
        Original { offsets: Some(chunk), ..Original::default() }.build()
    };
    a_chunk_of_zeros_of_256_megabytes: Right =>
        many(1, 4, 256 << 20, ChunkPlace::Zeros.to_raw());
    a_chunk_of_nan_of_256_megabytes: Right => many(1, 8, 256 << 20, ChunkPlace::Nans.to_raw());
    four_million_chunks_in_forty_bytes: Refused("chunks in a frame") =>
        many(MANY, 4, CHUNK, ChunkPlace::Zeros.to_raw());
    four_million_chunks_at_one_place: Refused("chunks in a frame") => many(MANY, 4, CHUNK, 0);
    nan_in_chunks_that_are_no_multiple_of_four: Refused("not a multiple of the typesize") =>
        many(1, 3, 4095, ChunkPlace::Nans.to_raw());
    a_chunk_of_the_original_that_claims_two_gigabytes: Error("is above the limit of 4096") =>
        Original::first_chunk(header(5 | 2, 1, i32::MAX as u32, 1 << 20, 32));
    a_chunk_of_the_original_shorter_than_the_others: Error("does not name a chunk that records lie in") => {
        Original::first_chunk(compressed(None, Filter::None, 1, &[1; 64]))
    };
    a_chunk_of_the_original_of_256_megabytes_in_32_bytes: Right => {
        let size = 256 << 20;
        let mut zeros = header(5, 4, size, size, 32);
        zeros[31] = 1 << 4;
        Original {
            chunks: vec![Some(zeros)],
            chunk_size: size,
            ..Original::default()
        }.build()
    };
    a_chunk_of_the_original_that_reaches_past_the_file: Error("ends before this place") => {
        Original::first_chunk(header(5 | 2, 1, CHUNK, CHUNK, CHUNK + 32))
    };
}
