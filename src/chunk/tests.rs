//! Round trips over every parameter, and hostile bytes.

use super::header::{Header, Kind};
use super::special;
use super::*;
use crate::error::{Error, Result};
use crate::limits::STREAM_MAX;

/// Numbers that differ from run to run of the sequence only; `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
}

fn decode_all(decoder: &mut Decoder, chunk: &[u8]) -> Result<Vec<u8>> {
    let layout = ChunkLayout::parse(chunk, 1 << 24)?;
    let mut out = Vec::new();
    for i in 0..layout.blocks() {
        let range = layout.block_range(i);
        let stream = chunk.get(range.start as usize..range.end as usize).ok_or(Error::corrupt(
            "test",
            0,
            "the chunk is cut",
        ))?;
        check_block(&layout, i, stream)?;
        let at = out.len();
        out.resize(at + layout.block_len(i) as usize, 0xaa);
        decoder.decode(&layout, i, stream, &mut out[at..])?;
    }
    Ok(out)
}

fn all_params() -> Vec<Params> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ALL {
        for filter in [Filter::None, Filter::Shuffle, Filter::BitShuffle] {
            for typesize in [1, 2, 3, 4, 8, 17] {
                for level in [1, 5, 9] {
                    all.push(Params { algorithm: Some(algorithm), level, filter, typesize });
                }
            }
        }
    }
    all
}

/// Slowly changing 32-bit numbers, noise, zeros and short repeats, block by block.
fn mixed(len: usize, seed: u64) -> Vec<u8> {
    let mut r = Random(seed);
    let mut out = Vec::new();
    while out.len() < len {
        match r.below(4) {
            0 => out.extend((0..300).flat_map(|i: u32| (1000 + i * 3).to_le_bytes())),
            1 => out.extend((0..200).flat_map(|_| r.next().to_le_bytes())),
            2 => out.resize(out.len() + 1500, 0),
            _ => out.resize(out.len() + 700, 7),
        }
    }
    out.truncate(len);
    out
}

#[test]
fn every_algorithm_filter_and_size_comes_back() {
    let mut decoder = Decoder::new().unwrap();
    for (seed, params) in (0..).zip(all_params()) {
        let ts = usize::from(params.typesize);
        for (block, len) in [(64, 2000), (600, 5001), (1024, 1024), (4096, 1000), (40, 41), (4, 9)]
        {
            let block = u32::try_from(block * ts).unwrap();
            let src = mixed(len * ts, seed);
            let mut c = Compressor::new(params, block).unwrap();
            let mut chunk = vec![1, 2, 3];
            c.compress(&src, &mut chunk).unwrap();
            let layout = ChunkLayout::parse(&chunk, 1 << 24).unwrap();
            assert_eq!(layout.block_size() as usize, src.len().min(block as usize));
            assert_eq!(layout.cbytes() as usize, chunk.len());
            assert!(chunk.len() <= src.len() + 32);
            assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), src, "{params:?} {block} {len}");
        }
    }
}

#[test]
fn zeros_never_reach_the_library_and_noise_is_stored() {
    let params =
        Params { algorithm: Some(Algorithm::Zstd), level: 1, filter: Filter::Shuffle, typesize: 4 };
    let mut c = Compressor::new(params, 512).unwrap();
    let mut out = Vec::new();
    c.compress(&[0; 4000], &mut out).unwrap();
    assert_eq!(out, special::zeros_chunk(4, 4000, 512));
    assert!(ChunkLayout::parse(&out, 4000).unwrap().is_special());
    assert_eq!(decode_all(&mut Decoder::new().unwrap(), &out).unwrap(), [0; 4000]);
    let mut r = Random(1);
    let noise: Vec<u8> = (0..1000).flat_map(|_| r.next().to_le_bytes()).collect();
    c.compress(&noise, &mut out).unwrap();
    assert!(ChunkLayout::parse(&out, 8000).unwrap().is_stored());
    assert_eq!(out[32..], noise);
}

#[test]
fn a_chunk_without_compression_leaves_out_the_zeros_that_it_ends_with() {
    let mut r = Random(2);
    let mut bytes: Vec<u8> = (0..300).flat_map(|_| r.next().to_le_bytes()).collect();
    bytes.resize(40_000, 0);
    for typesize in [1, 4, 8] {
        let params = Params { algorithm: None, level: 0, filter: Filter::None, typesize };
        let mut c = Compressor::new(params, 512).unwrap();
        let mut out = Vec::new();
        c.compress(&bytes, &mut out).unwrap();
        assert!(out.len() < 4000, "{}", out.len());
        assert_eq!(decode_all(&mut Decoder::new().unwrap(), &out).unwrap(), bytes);
        // A few zeros are no reason.
        c.compress(&bytes[..2720], &mut out).unwrap();
        assert!(out[32..] == bytes[..2720]);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let params =
        Params { algorithm: Some(Algorithm::Lz4), level: 1, filter: Filter::None, typesize: 4 };
    assert!(Compressor::new(params, 0).is_err());
    assert!(Compressor::new(params, 6).is_err());
    assert!(Compressor::new(params, STREAM_MAX + 4).is_err());
    let mut c = Compressor::new(params, 8).unwrap();
    let mut out = Vec::new();
    assert!(c.compress(&[], &mut out).is_err());
    assert!(c.compress(&[1; 7], &mut out).is_err());
    assert!(c.compress(&[1; 8 * 8193], &mut out).is_err());
    c.compress(&[1; 8 * 8192], &mut out).unwrap();
    let mut decoder = Decoder::new().unwrap();
    c.compress(&[1; 20], &mut out).unwrap();
    let layout = ChunkLayout::parse(&out, 100).unwrap();
    let range = layout.block_range(0);
    let stream = out[range.start as usize..range.end as usize].to_vec();
    assert!(decoder.decode(&layout, 0, &stream, &mut [0; 7]).is_err());
    assert!(decoder.decode(&layout, 0, &stream, &mut [0; 9]).is_err());
    assert!(decoder.decode(&layout, 3, &[], &mut []).is_err());
    assert!(decoder.decode(&layout, 0, &stream[1..], &mut [0; 8]).is_err());
}

/// Decodes into the middle of larger buffers and looks at their edges: nothing outside the block
/// is written whatever the bytes say, and all of it is if that succeeds.
fn decode_guarded(decoder: &mut Decoder, chunk: &[u8]) {
    let Ok(layout) = ChunkLayout::parse(chunk, 1 << 16) else { return };
    for i in 0..layout.blocks().min(64) {
        let range = layout.block_range(i);
        let Some(stream) = chunk.get(range.start as usize..range.end as usize) else { continue };
        let len = layout.block_len(i) as usize;
        let walked = check_block(&layout, i, stream);
        let [first, second] = [0xa5, 0x5a].map(|guard| {
            let mut buffer = vec![guard; len + 128];
            let done = decoder.decode(&layout, i, stream, &mut buffer[64..64 + len]);
            assert!(walked.is_ok() || done.is_err());
            assert!(buffer[..64].iter().chain(&buffer[64 + len..]).all(|b| *b == guard));
            done.map(|()| buffer[64..64 + len].to_vec())
        });
        match (first, second) {
            (Ok(first), Ok(second)) => assert!(first == second, "bytes were left as they were"),
            (first, second) => assert!(first.is_err() && second.is_err()),
        }
    }
}

#[test]
fn flipped_and_random_bytes_never_panic_or_write_outside_the_block() {
    let mut decoder = Decoder::new().unwrap();
    let mut r = Random(42);
    for params in all_params().into_iter().step_by(7) {
        let block = 128 * u32::from(params.typesize);
        let src = mixed(block as usize * 5 + 4 * usize::from(params.typesize), r.next());
        let mut chunk = Vec::new();
        Compressor::new(params, block).unwrap().compress(&src, &mut chunk).unwrap();
        let prefix = ChunkLayout::prefix_len(&chunk, 1 << 16).unwrap();
        for at in 0..prefix {
            for bit in 0..8 {
                let mut bad = chunk.clone();
                bad[at] ^= 1 << bit;
                decode_guarded(&mut decoder, &bad);
            }
        }
        for _ in 0..300 {
            let mut bad = chunk.clone();
            for _ in 0..=r.below(6) {
                let within = if r.below(2) == 0 { prefix } else { bad.len() };
                let at = r.below(within);
                bad[at] = r.next().to_le_bytes()[0];
            }
            bad.truncate(bad.len().saturating_sub(r.below(3) * r.below(40)));
            decode_guarded(&mut decoder, &bad);
        }
        assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), src, "the decoder still works");
    }
}

#[test]
fn damaged_streams_give_errors_or_a_whole_block() {
    let mut decoder = Decoder::new().unwrap();
    let mut r = Random(7);
    for algorithm in Algorithm::ALL {
        let params =
            Params { algorithm: Some(algorithm), level: 5, filter: Filter::Shuffle, typesize: 4 };
        let src = mixed(6000, 9);
        let mut chunk = Vec::new();
        Compressor::new(params, 2000).unwrap().compress(&src, &mut chunk).unwrap();
        for _ in 0..2000 {
            let mut bad = chunk.clone();
            let at = 44 + r.below(bad.len() - 44);
            bad[at] = r.next().to_le_bytes()[0];
            decode_guarded(&mut decoder, &bad);
        }
    }
}

#[test]
fn a_run_of_one_value_and_of_nan_is_made_in_rust() {
    let mut decoder = Decoder::new().unwrap();
    let mut header = Header::new(Kind::Value, 3, 3000, 300);
    header.cbytes = 35;
    let mut chunk = header.encode().to_vec();
    chunk.extend([1, 2, 3]);
    assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), [1, 2, 3].repeat(1000));
    let mut header = Header::new(Kind::Nans, 8, 800, 400);
    header.cbytes = 32;
    let got = decode_all(&mut decoder, &header.encode()).unwrap();
    assert!(got.chunks(8).all(|n| f64::from_le_bytes(n.try_into().unwrap()).is_nan()));
    let mut chunk = special::zeros_chunk(4, 800, 400);
    chunk[31] = 0x40;
    assert!(matches!(ChunkLayout::parse(&chunk, 800), Err(Error::Unsupported { .. })));
}

#[test]
fn many_block_sizes_take_turns_in_one_decoder() {
    let params =
        Params { algorithm: Some(Algorithm::Zstd), level: 3, filter: Filter::Shuffle, typesize: 4 };
    let mut decoder = Decoder::new().unwrap();
    let src = mixed(8000, 4);
    for block in [64, 128, 256, 512, 1024, 2048, 64, 4096, 128, 8000] {
        let mut chunk = Vec::new();
        Compressor::new(params, block).unwrap().compress(&src, &mut chunk).unwrap();
        assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), src);
    }
}

#[test]
fn chunks_of_the_older_16_byte_header_are_read() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    };
    let want: Vec<u8> = (0..60_u32).flat_map(|i| (1000 + 3 * i).to_le_bytes()).collect();
    let mut decoder = Decoder::new().unwrap();
    let plane: String = (0..60_u32).map(|i| format!("{:02x}", (1000 + 3 * i) & 0xff)).collect();
    // python-blosc2 4.14 with BLOSC_BLOSC1_COMPAT set: LZ4, shuffled, four streams.
    let head = "05012104f0000000f000000085000000140000003c000000";
    let tail = "0f000000130301001f0401001b5004040404040b0000001f000100235000000000000b0000001f0001\
                0023500000000000";
    let chunk = bytes(&format!("{head}{plane}{tail}"));
    assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), want);
    // python-blosc 1.11: LZ4, shuffled, one stream.
    let head = "02013104f0000000f0000000710000001400000059000000ff3a";
    let tail = "0303030303030303040404040405001c1f0001005f500000000000";
    let chunk = bytes(&format!("{head}{plane}{tail}"));
    assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), want);
    for bit in 0..8 * 24 {
        let mut bad = chunk.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        decode_guarded(&mut decoder, &bad);
    }
    // The same program, bits shuffled but stored: nothing was filtered.
    let mut chunk = bytes("02013604f0000000f000000000010000");
    chunk.extend(&want);
    assert_eq!(decode_all(&mut decoder, &chunk).unwrap(), want);
    // Not stored: Blosc 1 shuffled the bits of some sizes only.
    chunk[2] = 0x34;
    assert!(matches!(
        ChunkLayout::parse(&chunk, 1000),
        Err(Error::Unsupported { what: "bit shuffle of chunk version", .. })
    ));
}

/// A chunk of one block made by hand, and its layout.
fn one_block(params: Params, src: &[u8]) -> Option<(Vec<u8>, ChunkLayout)> {
    let len = u32::try_from(src.len()).unwrap();
    let mut chunk = Vec::new();
    Compressor::new(params, len).ok()?.compress(src, &mut chunk).unwrap();
    let layout = ChunkLayout::parse(&chunk, 1 << 20).unwrap();
    Some((chunk, layout))
}

#[test]
fn what_is_checked_is_a_copy_and_nothing_is_decoded_that_does_not_pass() {
    let mut decoder = Decoder::new().unwrap();
    for algorithm in [Algorithm::Lz4, Algorithm::Zstd] {
        let params =
            Params { algorithm: Some(algorithm), level: 5, filter: Filter::Shuffle, typesize: 4 };
        let src = mixed(4000, 7);
        let (chunk, layout) = one_block(params, &src).unwrap();
        let range = layout.block_range(0);
        let stream = &chunk[range.start as usize..range.end as usize];
        let mut out = vec![9; 4000];
        let mut seen = 0;
        let refused = decoder.decode_checked(&layout, 0, stream, 0..4000, &mut out, |held| {
            assert_eq!(held, stream);
            assert_ne!(held.as_ptr(), stream.as_ptr());
            seen += 1;
            Err(Error::Locked)
        });
        assert!(matches!(refused, Err(Error::Locked)));
        assert_eq!((seen, &out), (1, &vec![9; 4000]));
        decoder.decode_checked(&layout, 0, stream, 0..4000, &mut out, |_| Ok(())).unwrap();
        assert_eq!(out, src);
    }
}

#[test]
fn blocks_are_decoded_as_the_library_does_whole_and_in_parts() {
    let mut decoder = Decoder::new().unwrap();
    let mut r = Random(11);
    for typesize in 1..=18_u8 {
        for filter in [Filter::None, Filter::Shuffle] {
            for (algorithm, level) in [
                (Algorithm::Lz4, 5),
                (Algorithm::Lz4hc, 5),
                (Algorithm::Zstd, 1),
                (Algorithm::Zstd, 6),
            ] {
                let params = Params { algorithm: Some(algorithm), level, filter, typesize };
                let ts = usize::from(typesize);
                for _ in 0..40 {
                    let len = (1 + r.below(5000 / ts)) * ts;
                    let src = mixed(len, r.next());
                    let Some((chunk, layout)) = one_block(params, &src) else { continue };
                    let range = layout.block_range(0);
                    let stream = &chunk[range.start as usize..range.end as usize];
                    let mut by_library = vec![1; len];
                    decoder.whole(layout.header(), stream, &mut by_library).unwrap();
                    assert_eq!(by_library, src);
                    let mut ours = vec![2; len];
                    decoder.decode(&layout, 0, stream, &mut ours).unwrap();
                    assert_eq!(ours, src, "{params:?} {len}");
                    for _ in 0..8 {
                        let from = r.below(len);
                        let to = from + 1 + r.below(len - from);
                        let mut part = vec![3; to - from];
                        decoder.decode_part(&layout, 0, stream, from..to, &mut part).unwrap();
                        assert_eq!(part, src[from..to], "{params:?} {len} {from}..{to}");
                        // Where it lies, with enough bytes behind it or too few.
                        for slack in [SLACK, SLACK - 1] {
                            let held = [stream, &[0xff; SLACK][..slack]].concat();
                            let mut part = vec![4; to - from];
                            let mut checked = false;
                            let check = |bytes: &[u8]| {
                                checked = bytes == stream;
                                Ok(())
                            };
                            let done = decoder.decode_in_place(
                                &layout,
                                0,
                                &held,
                                from..to,
                                &mut part,
                                check,
                            );
                            done.unwrap();
                            assert!(
                                checked && part == src[from..to],
                                "{params:?} {len} {from}..{to}"
                            );
                            let refused =
                                |_: &[u8]| Err(Error::corrupt("block", 0, "for the test"));
                            let done = decoder.decode_in_place(
                                &layout,
                                0,
                                &held,
                                from..to,
                                &mut part,
                                refused,
                            );
                            assert!(done.is_err());
                        }
                    }
                }
            }
        }
    }
}

/// Blocks whose length is not a multiple of the type size: only other programs write them.
#[test]
fn bytes_behind_the_last_element_stay_as_they_are() {
    let mut decoder = Decoder::new().unwrap();
    let mut r = Random(12);
    for typesize in 2..=17_u8 {
        for len in [33_u32, 100, 1003, 2000, 4999] {
            // A plain stream, and a run.
            for run in [false, true] {
                let mut header = Header::new(Kind::Streams, typesize, len, len);
                header.algorithm = Some(Algorithm::Lz4);
                header.filter = Filter::Shuffle;
                let mut stream = Vec::new();
                if run {
                    stream.extend((-7_i32).to_le_bytes());
                    stream.push(1);
                } else {
                    stream.extend(len.to_le_bytes());
                    stream.extend((0..len).map(|_| r.next().to_le_bytes()[0]));
                }
                header.cbytes = 36 + u32::try_from(stream.len()).unwrap();
                let mut chunk = header.encode().to_vec();
                chunk.extend(36_u32.to_le_bytes());
                chunk.extend(&stream);
                let layout = ChunkLayout::parse(&chunk, 1 << 20).unwrap();
                let mut by_library = vec![1; len as usize];
                decoder.whole(layout.header(), &stream, &mut by_library).unwrap();
                for _ in 0..20 {
                    let from = r.below(len as usize);
                    let to = from + 1 + r.below(len as usize - from);
                    let mut part = vec![3; to - from];
                    decoder.decode_part(&layout, 0, &stream, from..to, &mut part).unwrap();
                    assert_eq!(part, by_library[from..to], "{typesize} {len} {from}..{to} {run}");
                }
            }
        }
    }
}

#[test]
fn damaged_parts_of_blocks_give_errors_or_whole_parts_and_write_nothing_else() {
    let mut decoder = Decoder::new().unwrap();
    let mut r = Random(13);
    for (algorithm, level, typesize, filter) in [
        (Algorithm::Lz4, 5, 4, Filter::Shuffle),
        (Algorithm::Lz4, 5, 8, Filter::Shuffle),
        (Algorithm::Lz4, 5, 4, Filter::None),
        (Algorithm::Zstd, 1, 4, Filter::Shuffle),
        (Algorithm::Zstd, 6, 8, Filter::Shuffle),
    ] {
        let params = Params { algorithm: Some(algorithm), level, filter, typesize };
        let src = mixed(4000, 5);
        let (chunk, layout) = one_block(params, &src).unwrap();
        let range = layout.block_range(0);
        let good = &chunk[range.start as usize..range.end as usize];
        for _ in 0..12_000 {
            let mut bad = good.to_vec();
            for _ in 0..=r.below(4) {
                let at = r.below(bad.len());
                bad[at] = r.next().to_le_bytes()[0];
            }
            let from = r.below(4000);
            let to = from + 1 + r.below(4000 - from);
            let [first, second] = [0xa5, 0x5a].map(|guard| {
                let mut out = vec![guard; to - from + 128];
                let inside = 64..64 + to - from;
                let done =
                    decoder.decode_part(&layout, 0, &bad, from..to, &mut out[inside.clone()]);
                assert!(out[..64].iter().chain(&out[inside.end..]).all(|b| *b == guard));
                done.map(|()| out[inside].to_vec())
            });
            assert_eq!(first.is_ok(), second.is_ok());
            if let (Ok(first), Ok(second)) = (first, second) {
                assert!(first == second, "bytes were left as they were");
            }
        }
        // Cut short, a stream is an error or was not needed.
        for cut in 0..good.len() {
            let mut header = *layout.header();
            header.cbytes = u32::try_from(chunk.len() - cut).unwrap();
            let mut bytes = header.encode().to_vec();
            bytes.extend(&chunk[32..chunk.len() - cut]);
            let Ok(short) = ChunkLayout::parse(&bytes, 1 << 20) else { continue };
            let stream = &good[..short.block_range(0).len()];
            let mut out = vec![0; 4000];
            assert_eq!(decoder.decode(&short, 0, stream, &mut out).is_ok(), cut == 0, "{cut}");
        }
        assert!(decoder.decode_part(&layout, 0, good, 0..4001, &mut [0; 4001]).is_err());
        assert!(decoder.decode_part(&layout, 0, good, 8..16, &mut [0; 9]).is_err());
    }
}
