//! Chunks that claim, point and decode to what they should not. All stand in a leaf that names
//! them with the right checksums of prefix and blocks.

use super::Expect::{Error, Right};
use super::attacks;
use super::craft::{BLOCK, CHUNK, compressed, header, of_streams, sealed, stream};
use vlstore::chunk::{Algorithm, Filter};

/// Both bits that say "32-byte header", LZ4, blocks in one stream.
const LZ4: u8 = 5 | 1 << 5 | 0x10;
const BLOSCLZ: u8 = 5 | 0x10;
const ZLIB: u8 = 5 | 3 << 5 | 0x10;
const ZSTD: u8 = 5 | 4 << 5 | 0x10;
const STORED: u8 = 5 | 2;

fn with(chunk: &[u8]) -> Vec<u8> {
    sealed().with_chunk(chunk).bytes
}

/// A good LZ4 chunk with some bytes of its header changed.
fn changed(bytes: &[(usize, u8)]) -> Vec<u8> {
    let src: Vec<u8> = (0..CHUNK).map(|i| (i / 40) as u8).collect();
    let mut chunk = compressed(Some(Algorithm::Lz4), Filter::Shuffle, 4, &src);
    bytes.iter().for_each(|(at, value)| chunk[*at] = *value);
    with(&chunk)
}

/// The good chunk of a codec with its streams cut apart: block for block.
fn blocks(codec: Algorithm) -> Vec<Vec<u8>> {
    let src: Vec<u8> = (0..CHUNK).map(|i| (i / 5 % 90) as u8).collect();
    let chunk = compressed(Some(codec), Filter::None, 1, &src);
    let layout = vlstore::chunk::ChunkLayout::parse(&chunk, CHUNK).unwrap();
    assert_eq!((layout.blocks(), layout.is_stored()), (2, false));
    let of = |i| {
        let range = layout.block_range(i);
        chunk[range.start as usize..range.end as usize].to_vec()
    };
    (0..layout.blocks()).map(of).collect()
}

/// As [`blocks`], with the compressed bytes of the first block changed; its length stays true.
fn spoiled(flags: u8, codec: Algorithm, f: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut parts = blocks(codec);
    let mut inner = parts[0].split_off(4);
    f(&mut inner);
    parts[0] = stream(inner.len() as i32, &inner);
    with(&of_streams(flags, codec.id(), 0, 1, &parts))
}

/// Two blocks, the first of these bytes.
fn first_block(flags: u8, codec: u8, typesize: u8, first: &[u8]) -> Vec<u8> {
    with(&of_streams(flags, codec, 0, typesize, &[first.to_vec(), stream(0, &[])]))
}

fn special(kind: u8, typesize: u8, nbytes: u32, tail: &[u8]) -> Vec<u8> {
    let mut chunk = header(5, typesize, nbytes, BLOCK, 32 + tail.len() as u32);
    chunk[31] = kind << 4;
    chunk.extend(tail);
    with(&chunk)
}

/// Zlib bytes of `n` blocks of 65 535 zeros each, stored, without their checksum.
fn bomb_of_zlib() -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    // One fixed-Huffman block: a zero, and matches of length 258 at distance 1.
    let mut bits: Vec<bool> = vec![true, true, false];
    let push = |bits: &mut Vec<bool>, code: u32, n: u32| {
        bits.extend((0..n).rev().map(|i| code >> i & 1 == 1));
    };
    push(&mut bits, 0x30, 8);
    for _ in 0..800 {
        push(&mut bits, 0xc5, 8); // length 258
        push(&mut bits, 0, 5); // distance 1
    }
    push(&mut bits, 0, 7);
    out.extend(
        bits.chunks(8)
            .map(|b| b.iter().enumerate().fold(0_u8, |byte, (i, bit)| byte | u8::from(*bit) << i)),
    );
    out
}

attacks! {
    a_chunk_of_32_bytes_claims_two_gigabytes: Error("chunk of 2147483647 is above the limit") =>
        with(&header(STORED, 1, i32::MAX as u32, 1 << 20, 32));
    a_chunk_claims_a_negative_size: Error("the decoded size is negative") =>
        with(&header(STORED, 1, 1 << 31, 16, 32));
    a_chunk_is_larger_than_the_chunk_size: Error("chunk of 4097 is above the limit of 4096") =>
        with(&[header(STORED, 1, CHUNK + 1, BLOCK, CHUNK + 33), vec![1; 4097]].concat());
    a_chunk_is_smaller_than_its_records_need: Error("does not name a chunk that records lie in") =>
        with(&[header(STORED, 1, 64, 64, 96), vec![1; 64]].concat());
    a_chunk_has_blocks_of_no_bytes: Error("the block size is not between 1 and the decoded size") =>
        with(&header(STORED, 1, CHUNK, 0, 32 + CHUNK));
    a_chunk_has_blocks_larger_than_itself: Error("the block size is not between 1") =>
        with(&header(STORED, 1, CHUNK, CHUNK + 1, 32 + CHUNK));
    a_chunk_has_a_negative_block_size: Error("the block size is not between 1") =>
        with(&header(STORED, 1, CHUNK, u32::MAX, 32 + CHUNK));
    a_chunk_is_shorter_than_its_header: Error("the compressed size is shorter than a header") =>
        with(&header(STORED, 1, CHUNK, BLOCK, 31));
    a_stored_chunk_is_shorter_than_its_bytes: Error("is not header plus data") =>
        with(&header(STORED, 1, CHUNK, BLOCK, 32));
    a_chunk_reaches_past_the_end_of_the_file: Error("ends before this place") =>
        with(&header(STORED, 1, CHUNK, BLOCK, 32 + CHUNK));
    a_chunk_has_elements_of_no_bytes: Error("the typesize is 0") => changed(&[(3, 0)]);
    // The last 16 bytes of the chunk that it stands for belong to a record that was deleted.
    a_chunk_with_elements_of_255_bytes: Right => {
        let src: Vec<u8> = (0..255 * 16).map(|i| (i / 40) as u8).collect();
        with(&compressed(Some(Algorithm::Zstd), Filter::Shuffle, 255, &src))
    };
    a_split_block_is_no_multiple_of_its_elements: Error("the block size is not a multiple of the typesize") =>
        changed(&[(2, 5 | 1 << 5), (3, 3)]);
    a_chunk_of_an_unknown_version: Error("chunk version 6") => changed(&[(0, 6)]);
    a_codec_of_another_version: Error("compression format version 2") => changed(&[(1, 2)]);
    a_lazy_chunk: Error("lazy chunk") => changed(&[(31, 0x08)]);
    a_chunk_with_a_dictionary: Error("chunk with a dictionary") => changed(&[(31, 0x01)]);
    a_big_endian_chunk: Error("big-endian chunk") => changed(&[(31, 0x02)]);
    a_chunk_with_its_codec_elsewhere: Error("compression stated elsewhere") => changed(&[(31, 0x04)]);
    an_instrumented_chunk: Error("instrumented chunk") => changed(&[(31, 0x80)]);
    a_chunk_with_blocks_of_variable_length: Error("chunk flags") => changed(&[(30, 1)]);
    a_plugin_codec_ndlz: Error("user-defined or plugin compression 32") =>
        changed(&[(2, 5 | 6 << 5), (22, 32)]);
    a_plugin_codec_zfp: Error("user-defined or plugin compression 33") =>
        changed(&[(2, 5 | 6 << 5), (22, 33)]);
    a_codec_of_the_user: Error("user-defined or plugin compression 160") =>
        changed(&[(2, 5 | 6 << 5), (22, 160)]);
    a_codec_that_was_given_up: Error("compression format 2") => changed(&[(2, 5 | 2 << 5)]);
    a_codec_with_a_parameter: Error("compression parameter 1") => changed(&[(23, 1)]);
    the_filter_bytedelta: Error("filter 35") => changed(&[(20, 35)]);
    the_filter_delta: Error("filter 3") => changed(&[(20, 3)]);
    the_delta_flag: Error("delta filter") => changed(&[(2, 5 | 8 | 1 << 5)]);
    a_filter_that_drops_bits: Error("filter 4") => changed(&[(20, 4)]);
    a_plugin_filter: Error("filter 32") => changed(&[(16, 32)]);
    a_filter_of_the_user: Error("filter 160") => changed(&[(21, 160)]);
    a_filter_with_a_parameter: Error("filter parameter 4") => changed(&[(29, 4)]);
    two_filters: Error("second filter") => changed(&[(20, 2)]);
    a_chunk_of_uninitialised_memory: Error("chunk of uninitialised values") => special(4, 4, CHUNK, &[]);
    a_special_chunk_of_an_unknown_kind: Error("special value 7") => special(7, 4, CHUNK, &[]);
    a_chunk_of_nan_with_three_bytes_each: Error("chunk of NaN with typesize 3") => special(2, 3, 4095, &[]);
    a_special_chunk_with_half_an_element: Error("not a multiple of the typesize") => special(1, 4, 4094, &[]);
    a_repeated_value_that_is_not_there: Error("no room for the repeated value") => special(3, 8, CHUNK, &[1; 7]);
    a_repeated_value: Right => special(3, 8, CHUNK, &[1, 2, 3, 4, 5, 6, 7, 8]);
    a_chunk_of_nan: Right => special(2, 8, CHUNK, &[]);
    a_block_starts_inside_the_header: Error("a block starts outside the chunk") => {
        let mut chunk = of_streams(LZ4, 1, 0, 1, &blocks(Algorithm::Lz4));
        chunk[32] = 8;
        with(&chunk)
    };
    a_block_starts_behind_the_chunk: Error("a block starts outside the chunk") => {
        let mut chunk = of_streams(LZ4, 1, 0, 1, &blocks(Algorithm::Lz4));
        chunk[35] = 0x7f;
        with(&chunk)
    };
    all_blocks_start_at_the_same_place: Right => {
        let mut chunk = of_streams(LZ4, 1, 0, 1, &blocks(Algorithm::Lz4));
        chunk.copy_within(32..36, 36);
        with(&chunk)
    };
    more_block_starts_than_the_chunk_has_room_for: Error("no room for the blocks") =>
        with(&[header(LZ4, 1, CHUNK, 1, 64), vec![0; 32]].concat());
    a_stream_that_is_longer_than_its_block: Error("is longer than what it decodes to") =>
        first_block(LZ4, 1, 1, &stream(BLOCK as i32 + 1, &vec![9; BLOCK as usize + 1]));
    a_stream_that_ends_behind_its_block: Error("ends past the end of its block") =>
        first_block(LZ4, 1, 1, &stream(1000, &[9; 100]));
    a_stream_that_starts_behind_its_block: Error("starts past the end of its block") =>
        first_block(LZ4 & !0x10, 1, 4, &[stream(3, &[9; 3]), stream(0, &[])].concat());
    a_run_of_something_that_is_no_byte: Error("repeats a value that is not a byte") =>
        first_block(LZ4, 1, 1, &stream(-256, &[1]));
    a_run_of_an_unknown_kind: Error("is a run of an unknown kind") =>
        first_block(LZ4, 1, 1, &stream(-7, &[2]));
    an_lz4_match_before_the_start_of_the_block: Error("its compressed bytes cannot be decoded") =>
        first_block(LZ4, 1, 1, &stream(12, &[0x1f, 7, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0]));
    an_lz4_bomb: Error("its compressed bytes cannot be decoded") =>
        first_block(LZ4, 1, 1, &stream(1004, &[&[0x1f, 7, 1, 0][..], &[255; 1000]].concat()));
    an_lz4_stream_that_ends_inside_a_literal: Error("its compressed bytes cannot be decoded") =>
        first_block(LZ4, 1, 1, &stream(3, &[0xf0, 255, 255]));
    a_blosclz_match_before_the_start_of_the_block: Error("its compressed bytes cannot be decoded") =>
        first_block(BLOSCLZ, 0, 1, &stream(16, &[0, 7, 0xff, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 0, 9]));
    a_blosclz_match_without_end: Error("its compressed bytes cannot be decoded") =>
        first_block(BLOSCLZ, 0, 1, &stream(1002, &[&[0, 7, 0xe0][..], &[255; 999]].concat()));
    a_zlib_bomb: Error("its compressed bytes cannot be decoded") => {
        let bomb = bomb_of_zlib();
        first_block(ZLIB, 4, 1, &stream(bomb.len() as i32, &bomb))
    };
    a_zlib_stream_that_is_cut: Error("its compressed bytes cannot be decoded") =>
        spoiled(ZLIB, Algorithm::Zlib, |s| s.truncate(s.len() / 2));
    a_zstd_frame_that_claims_an_exabyte: Error("its compressed bytes cannot be decoded") =>
        first_block(ZSTD, 5, 1, &stream(14, &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1]));
    a_zstd_bomb: Error("its compressed bytes cannot be decoded") => {
        // A raw header of an unknown size, and blocks that repeat one byte 131 071 times.
        let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x70];
        for last in [0, 0, 0, 0, 1] {
            let head: u32 = 131_071 << 3 | 1 << 1 | last;
            bytes.extend(&head.to_le_bytes()[..3]);
            bytes.push(0);
        }
        first_block(ZSTD, 5, 1, &stream(bytes.len() as i32, &bytes))
    };
    a_zstd_frame_with_a_dictionary: Error("its compressed bytes cannot be decoded") =>
        spoiled(ZSTD, Algorithm::Zstd, |s| { s[4] |= 3; s.splice(6..6, [9, 9, 9, 9]); });
    a_zstd_stream_that_is_read_past_its_end: Error("its compressed bytes cannot be decoded") =>
        spoiled(ZSTD, Algorithm::Zstd, |s| s.truncate(s.len() - 3));
    a_zstd_stream_of_noise_behind_its_header: Error("its compressed bytes cannot be decoded") =>
        spoiled(ZSTD, Algorithm::Zstd, |s| {
            let n = s.len();
            for (i, b) in s[9.min(n)..].iter_mut().enumerate() { *b = (i * 167 + 13) as u8; }
        });
    a_stream_that_decodes_to_less_than_its_block: Error("its compressed bytes cannot be decoded") =>
        first_block(LZ4, 1, 1, &stream(6, &[0x50, 1, 2, 3, 4, 5]));
}
