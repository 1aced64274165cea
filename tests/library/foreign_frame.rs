//! Files of the original program, read in place: header, trailer, lookup and every chunk block by
//! block, compared with the checksums that were taken when they were written. And broken ones,
//! which must give errors.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use vlstore::chunk::{ChunkLayout, Decoder, check_block};
use vlstore::frame::{
    ChunkPlace, FrameHeader, MAGIC, TRAILER_MIN, decode_offsets, parse_trailer, trailer_len,
};
use vlstore::index::saved_lookup;
use vlstore::limits::{CHUNK_MAX_FOREIGN, LOOKUP_MAX};
use vlstore::{Error, Key, Result};

struct Foreign {
    data: Vec<u8>,
    entries: Vec<(Key, u64, u64)>,
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn decode_chunk(decoder: &mut Decoder, bytes: &[u8], max: u32) -> Result<Vec<u8>> {
    let cut = || Error::corrupt("chunk", 0, "is cut short");
    // The two steps of a reader that fetches no more than it needs.
    let prefix = ChunkLayout::prefix_len(bytes.get(..32).unwrap_or(bytes), max)?;
    let layout = ChunkLayout::parse(bytes.get(..prefix).ok_or_else(cut)?, max)?;
    if layout.cbytes() as usize > bytes.len() {
        return Err(cut());
    }
    let mut out = vec![0xee; layout.nbytes() as usize];
    for (i, dst) in (0..).zip(out.chunks_mut(layout.block_size() as usize)) {
        let range = layout.block_range(i);
        let stream = bytes.get(range.start as usize..range.end as usize).ok_or_else(cut)?;
        check_block(&layout, i, stream)?;
        decoder.decode(&layout, i, stream, dst)?;
    }
    Ok(out)
}

fn read(file: &[u8]) -> Result<Foreign> {
    let header = FrameHeader::parse(file)?;
    if header.frame_len != file.len() as u64 {
        return Err(Error::corrupt(
            "frame",
            file.len() as u64,
            "does not have the length that it states",
        ));
    }
    let magic = header.metalayer("magic").and_then(|range| file.get(range));
    // As msgpack: two bytes that announce 16 more.
    if magic.and_then(|m| m.get(2..)) != Some(&MAGIC) {
        return Err(Error::NotAStore { why: "a Blosc2 frame without the magic" });
    }
    let mut decoder = Decoder::new()?;
    let len = trailer_len(&file[file.len().saturating_sub(TRAILER_MIN)..])?;
    let start = at(header.trailer_at(len.into())?);
    let trailer = &file[start..start + len as usize];
    let layers = parse_trailer(trailer)?;
    let lookup = layers.iter().find(|l| l.name == saved_lookup::NAME).ok_or(Error::corrupt(
        "frame",
        0,
        "the index is missing",
    ))?;
    let max = u32::try_from(LOOKUP_MAX).unwrap();
    let lookup = decode_chunk(&mut decoder, &trailer[lookup.content.clone()], max)?;
    let entries = saved_lookup::decode(&lookup)?;
    let mut data = Vec::new();
    let places = decode_offsets(&file[at(header.offsets_at())..], &header)?;
    for (i, place) in (0..).zip(places) {
        let size = header.chunk_len(i) as usize;
        match place {
            ChunkPlace::At(offset) => {
                let from = at(header.header_len + offset);
                let bytes = &file[from..at(header.offsets_at())];
                let decoded = decode_chunk(&mut decoder, bytes, CHUNK_MAX_FOREIGN)?;
                if decoded.len() != size {
                    return Err(Error::corrupt("chunk", from as u64, "has another size"));
                }
                data.extend(decoded);
            }
            ChunkPlace::Zeros | ChunkPlace::Nans => data.resize(data.len() + size, 0),
        }
    }
    match entries.iter().find(|(_, _, end)| *end > data.len() as u64) {
        Some((key, ..)) => Err(Error::invalid("lookup", format!("{key} ends beyond the data"))),
        None => Ok(Foreign { data, entries }),
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    let Ok(list) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return Vec::new();
    };
    let mut found: Vec<_> = list
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "vlstore"))
        .collect();
    found.sort();
    found
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, b| {
        write!(hex, "{b:02x}").unwrap();
        hex
    })
}

fn key_of(json: &serde_json::Value) -> Key {
    let value = |name: &str| json[name].as_str().unwrap().to_owned();
    match json["type"].as_str().unwrap() {
        "int" => Key::Int(value("value").parse().unwrap()),
        "str" => Key::from(value("value")),
        "bytes" => {
            let hex = value("hex");
            let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
            Key::from((0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>())
        }
        other => panic!("a key of type {other}"),
    }
}

#[test]
fn every_record_of_the_original_program_has_its_checksum() {
    let mut records = 0;
    let files = files("vlstore");
    for path in &files {
        let foreign = read(&std::fs::read(path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let wanted = json["records"].as_array().unwrap();
        assert_eq!(foreign.entries.len(), wanted.len(), "{}", path.display());
        for record in wanted {
            let key = key_of(&record["key"]);
            let (_, start, end) =
                foreign.entries.iter().find(|(k, ..)| *k == key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(Some(*start), record["start"].as_u64());
            assert_eq!(Some(*end), record["end"].as_u64());
            let bytes = &foreign.data[at(*start)..at(*end)];
            assert_eq!(Some(sha256(bytes).as_str()), record["sha256"].as_str(), "{key}");
            records += 1;
        }
    }
    assert!(files.is_empty() || records > 500, "only {records} records were found");
}

#[test]
fn the_lookup_is_written_as_the_original_program_writes_it() {
    for path in files("vlstore") {
        let file = std::fs::read(&path).unwrap();
        let len = trailer_len(&file).unwrap() as usize;
        let trailer = &file[file.len() - len..];
        let layers = parse_trailer(trailer).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let bytes =
            decode_chunk(&mut decoder, &trailer[layers[0].content.clone()], 1 << 24).unwrap();
        let entries = saved_lookup::decode(&bytes).unwrap();
        assert_eq!(saved_lookup::encode(entries.len(), entries).unwrap(), bytes);
    }
}

#[test]
fn broken_files_give_errors() {
    // What the format itself cannot detect: there is no checksum over the chunks.
    let unseen = ["bitflip-chunk.vlstore", "bitflip-trailer.vlstore"];
    for path in files("broken") {
        let name = path.file_name().unwrap().to_str().unwrap();
        match read(&std::fs::read(&path).unwrap()) {
            Err(error) => println!("{name}: {error}"),
            Ok(_) => assert!(unseen.contains(&name), "{name} was read"),
        }
    }
}

#[test]
fn any_byte_may_be_wrong_and_any_length_cut() {
    let small = ["empty.vlstore", "bytes-varied-nocross.vlstore", "floats-blosclz-t8.vlstore"];
    for path in files("vlstore") {
        if !small.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let good = std::fs::read(&path).unwrap();
        let mut seed = 1_u64;
        for _ in 0..400 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bad = good.clone();
            let random = at(seed >> 33);
            // Header and trailer matter most.
            let i = match random % 4 {
                0 => random % 131,
                1 => bad.len() - 1 - random % bad.len().min(400),
                _ => random % bad.len(),
            };
            bad[i] ^= 1 << (seed >> 20 & 7);
            let _ = read(&bad);
            assert!(read(&bad[..random % bad.len()]).is_err());
        }
    }
}
