//! A frame put together from the pieces of `chunk` and `frame`, read back piece by piece.
//!
//! The file stays in the target folder, so that another program can be pointed at it.

use vlstore::Key;
use vlstore::chunk::{Algorithm, ChunkLayout, Compressor, Decoder, Filter, Params};
use vlstore::frame::{
    ChunkPlace, FrameHeader, build_header, build_trailer, decode_offsets, encode_offsets,
    parse_trailer, patch_totals, trailer_len,
};
use vlstore::index::saved_lookup;

const CHUNK: u32 = 64 << 10;
const PARAMS: Params =
    Params { algorithm: Some(Algorithm::Zstd), level: 3, filter: Filter::Shuffle, typesize: 4 };

/// Numbers that compress, with a different slope in each chunk.
fn data(chunk: u32) -> Vec<u8> {
    (0..CHUNK / 4)
        .flat_map(|i| {
            (i.wrapping_mul(chunk + 3) / 7 + (i.wrapping_mul(2_654_435_761) >> 28)).to_le_bytes()
        })
        .collect()
}

fn compressed(params: Params, block: u32, src: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new(params, block).unwrap().compress(src, &mut out).unwrap();
    out
}

/// Chunks of every kind with what they decode to, and where they are to be found.
fn chunks() -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
    let mut all = Vec::new();
    for (codec, filter, block) in [
        (Algorithm::Lz4, Filter::Shuffle, 4096),
        (Algorithm::Zstd, Filter::Shuffle, 16 << 10),
        (Algorithm::BloscLz, Filter::Shuffle, 2048),
        (Algorithm::Zlib, Filter::None, CHUNK),
        (Algorithm::Lz4hc, Filter::BitShuffle, 10_000),
        (Algorithm::Zstd, Filter::BitShuffle, 2048),
        (Algorithm::Lz4, Filter::Shuffle, 9_996),
    ] {
        let src = data(u32::try_from(all.len()).unwrap());
        let params = Params { algorithm: Some(codec), filter, ..PARAMS };
        all.push((Some(compressed(params, block, &src)), src));
    }
    let stored = Params { algorithm: None, filter: Filter::None, level: 0, typesize: 4 };
    all.push((Some(compressed(stored, 8192, &data(50))), data(50)));
    all.push((None, vec![0; CHUNK as usize]));
    // Half a chunk; the rest is zeros.
    let mut src = data(60);
    src[20_000..].fill(0);
    all.push((Some(compressed(PARAMS, 4096, &src)), src));
    all
}

fn metalayer_chunk(content: &[u8]) -> Vec<u8> {
    let params = Params { typesize: 1, filter: Filter::None, ..PARAMS };
    compressed(params, 64 << 10, content)
}

/// The whole file for these chunks, with junk in front of each.
fn build(chunks: &[(Option<Vec<u8>>, Vec<u8>)], layers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = build_header(&PARAMS, CHUNK, 4096).unwrap();
    let header_len = file.len();
    let mut offsets = Vec::new();
    for (i, (bytes, _)) in chunks.iter().enumerate() {
        file.resize(file.len() + 700 * i + 5, 0xdb);
        match bytes {
            Some(bytes) => {
                offsets.push(ChunkPlace::At((file.len() - header_len) as u64).to_raw());
                file.extend_from_slice(bytes);
            }
            None => offsets.push(ChunkPlace::Zeros.to_raw()),
        }
    }
    let cbytes = file.len() - header_len;
    file.extend(encode_offsets(&offsets).unwrap());
    file.extend(build_trailer(layers).unwrap());
    let nbytes = chunks.len() as u64 * u64::from(CHUNK);
    let totals = patch_totals(&file, file.len() as u64, nbytes, cbytes as u64).unwrap();
    file[16..47].copy_from_slice(&totals);
    file
}

fn read_back(file: &[u8]) -> Vec<Vec<u8>> {
    let header = FrameHeader::parse(file).unwrap();
    assert_eq!(header.frame_len, file.len() as u64);
    let at = |n: u64| usize::try_from(n).unwrap();
    let places = decode_offsets(&file[at(header.offsets_at())..], &header).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut out = Vec::new();
    for (i, place) in (0..).zip(places) {
        let mut decoded = vec![0; header.chunk_len(i) as usize];
        if let ChunkPlace::At(offset) = place {
            let chunk = &file[at(header.header_len + offset)..];
            let layout = ChunkLayout::parse(chunk, CHUNK).unwrap();
            for (b, dst) in (0..).zip(decoded.chunks_mut(layout.block_size() as usize)) {
                let range = layout.block_range(b);
                let stream = &chunk[range.start as usize..range.end as usize];
                decoder.decode(&layout, b, stream, dst).unwrap();
            }
        }
        out.push(decoded);
    }
    out
}

fn keep(name: &str, file: &[u8]) {
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), file).unwrap();
}

#[test]
fn a_frame_of_every_kind_of_chunk_comes_back() {
    let chunks = chunks();
    let entries = [(Key::from("a"), 0, 100), (Key::from(-7), 100, 70_000)];
    let lookup = saved_lookup::encode(2, entries.clone()).unwrap();
    let lookup_chunk = metalayer_chunk(&lookup);
    let hello = metalayer_chunk(b"\xa5hello");
    let file = build(&chunks, &[("saved_lookup", &lookup_chunk), ("greeting", &hello)]);
    keep("built.b2frame", &file);
    let decoded: Vec<u8> = chunks.iter().flat_map(|(_, d)| d.clone()).collect();
    keep("built.bytes", &decoded);
    assert_eq!(read_back(&file).concat(), decoded);
    let len = trailer_len(&file).unwrap() as usize;
    let trailer = &file[file.len() - len..];
    let layers = parse_trailer(trailer).unwrap();
    assert_eq!(layers[0].name, "saved_lookup");
    assert_eq!(trailer[layers[0].content.clone()], lookup_chunk);
    assert_eq!(saved_lookup::decode(&lookup).unwrap(), entries);
}

#[test]
fn a_frame_of_one_chunk_and_a_newborn_one_come_back() {
    let one = vec![(Some(compressed(PARAMS, 4096, &data(1))), data(1))];
    let mut file = build(&one, &[]);
    keep("one.b2frame", &file);
    assert_eq!(read_back(&file), [data(1)]);
    // Without the gap in front of it the only offset is 0, so the offsets chunk is all zeros.
    let offsets_at = FrameHeader::parse(&file).unwrap().offsets_at();
    let at = usize::try_from(offsets_at).unwrap();
    let chunk = file[12_288 + 5..at].to_vec();
    file.truncate(12_288);
    file.extend(&chunk);
    file.extend(encode_offsets(&[0]).unwrap());
    file.extend(build_trailer(&[]).unwrap());
    let totals = patch_totals(&file, file.len() as u64, CHUNK.into(), chunk.len() as u64).unwrap();
    file[16..47].copy_from_slice(&totals);
    keep("zero_offset.b2frame", &file);
    assert_eq!(read_back(&file), [data(1)]);
    let newborn = build(&[], &[]);
    keep("newborn.b2frame", &newborn);
    assert!(read_back(&newborn).is_empty());
}
