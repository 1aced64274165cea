//! Each ceiling of `src/limits.rs`: at it things work, one past it they are refused by name.
//!
//! Elsewhere: `STREAM_MAX` in `chunk`, `MSGPACK_DEPTH` in `frame::msgpack`, `PROPERTIES_MAX` in
//! `codec::md_frame`, `INDEX_PAGE` in `index::segment`. Not at the limit: `RECORDS_MAX` and
//! `LOOKUP_MAX`, which would take a file of terabytes and 2 GiB of memory.

use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::chunk::{Filter, Params};
use vlstore::codec::Shape;
use vlstore::frame::{FrameHeader, build_header, build_trailer, parse_trailer, patch_totals};
use vlstore::limits::{
    ARRAY_AXES, ATTRIBUTES_MAX, BLOCK_MAX, BLOCK_MIN, BLOCKS_PER_CHUNK, CHUNK_MAX, CHUNK_MIN,
    FOREIGN_CHUNKS, KEY_MAX, METALAYER_MAX, METALAYERS, RECORD_MAX, VLMETALAYERS,
};
use vlstore::{
    Alignment, Durability, Error, Key, Layout, OriginalTable, Store, StoreOptions, WriteOptions,
    Writer,
};

fn options() -> StoreOptions {
    StoreOptions {
        write: WriteOptions {
            durability: Durability::None,
            threads: 1,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            ..WriteOptions::default()
        },
        ..StoreOptions::default()
    }
}

fn limit(what: &str, error: &Error) {
    match error.root() {
        Error::Limit { what: found, asked, max } => {
            assert!(*found == what && asked > max, "{error}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn sizes_of_chunks_and_blocks() {
    let of = |chunk_size, block_size, typesize| StoreOptions {
        layout: Layout {
            chunk_size,
            block_size,
            typesize,
            alignment: Alignment::NoCross,
            ..options().layout
        },
        ..options()
    };
    for (chunk, block, typesize, good) in [
        (CHUNK_MIN, 0, 1, true),
        (CHUNK_MIN - 1, 0, 1, false),
        (CHUNK_MAX, 0, 4, true),
        (CHUNK_MAX + 4, 0, 4, false),
        (CHUNK_MAX / 2, BLOCK_MIN, 4, true),
        (CHUNK_MAX / 2, BLOCK_MIN - 4, 4, false),
        (CHUNK_MAX, 2 * BLOCK_MIN, 4, true),
        (CHUNK_MAX, 2 * BLOCK_MIN - 4, 4, false),
        (CHUNK_MAX, BLOCK_MAX, 4, true),
        (CHUNK_MAX, BLOCK_MAX + 4, 4, false),
        (BLOCK_MIN - 4, BLOCK_MIN - 4, 4, true),
        (BLOCK_MIN - 4, BLOCK_MIN, 4, false),
        (255 * 16, 255 * 16, 255, true),
        (255 * 16, 255 * 16, 0, false),
        // Numbers that do not divide the usual block size.
        (255 << 14, 0, 255, true),
        (12 << 15, 0, 12, true),
        (3 << 16, 0, 3, true),
        (0, 0, 7, true),
    ] {
        let options = of(chunk, block, typesize);
        let made = Writer::in_memory(&options);
        assert_eq!(made.is_ok(), good, "{chunk} {block} {typesize}");
        let Ok(mut w) = made else { continue };
        let bytes: Vec<u8> =
            (0..options.layout.chunk() + 7).map(|i| (i >> 4).to_le_bytes()).map(|b| b[0]).collect();
        w.push(&bytes).unwrap();
        w.commit().unwrap();
        assert_eq!(*w.snapshot().unwrap().get_at(0).unwrap(), *bytes);
    }
    let smallest = CHUNK_MAX / BLOCKS_PER_CHUNK;
    assert_eq!(smallest, 2 * BLOCK_MIN, "so of the largest chunks it bounds the blocks");
}

#[test]
fn records() {
    let options =
        StoreOptions { layout: Layout { chunk_size: CHUNK_MAX, ..options().layout }, ..options() };
    let mut w = Writer::in_memory(&options).unwrap();
    let most = usize::try_from(RECORD_MAX).unwrap();
    let zeros = vec![0; most + 1];
    limit("record", &w.insert("k", &zeros).unwrap_err());
    assert!(w.is_empty(), "a refused put changes nothing");
    w.insert("k", zeros.get(..most).unwrap()).unwrap();
    drop(zeros);
    w.commit().unwrap();
    let snapshot = w.snapshot().unwrap();
    assert_eq!(snapshot.location("k").unwrap().len(), RECORD_MAX);
    let last = snapshot.get("k").unwrap();
    assert_eq!((last.len(), last.iter().position(|b| *b != 0)), (most, None));
}

#[test]
fn keys() {
    let mut w = Writer::in_memory(&options()).unwrap();
    for key in [Key::from("x".repeat(KEY_MAX)), Key::from(vec![7; KEY_MAX])] {
        w.insert(key.clone(), b"bytes").unwrap();
        assert_eq!(*w.get(key).unwrap(), *b"bytes");
    }
    for key in [Key::from("x".repeat(KEY_MAX + 1)), Key::from(vec![7; KEY_MAX + 1])] {
        limit("key", &w.insert(key, b"bytes").unwrap_err());
    }
    for n in [i128::from(i64::MIN), i128::from(u64::MAX)] {
        w.insert(Key::Int(n), b"bytes").unwrap();
    }
    for n in [i128::from(i64::MIN) - 1, i128::from(u64::MAX) + 1] {
        assert!(w.insert(Key::Int(n), b"bytes").is_err());
    }
    assert_eq!(w.len(), 4, "a refused put changes nothing");
    for seal in [false, true] {
        if seal {
            w.seal().unwrap()
        } else {
            w.commit().unwrap()
        };
        let snapshot = w.snapshot().unwrap();
        let keys = snapshot.keys().unwrap();
        assert_eq!(keys.len(), 4);
        assert!(keys.iter().all(|key| snapshot.find(key).unwrap().is_some()));
        assert!(snapshot.verify(|_, _| Ok(())).unwrap().is_intact());
    }
}

#[test]
fn attributes() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    let of = |len: usize| serde_json::json!({ "a": "x".repeat(len - r#"{"a":""}"#.len()) });
    limit("attributes", &w.set_attributes(&of(ATTRIBUTES_MAX + 1)).unwrap_err());
    w.set_attributes(&of(ATTRIBUTES_MAX)).unwrap();
    w.commit().unwrap();
    assert_eq!(
        Store::open_in(backend.clone(), &options().write.reading()).unwrap().attributes(),
        of(ATTRIBUTES_MAX)
    );
    w.seal().unwrap();
    assert_eq!(
        Store::open_in(backend, &options().write.reading()).unwrap().attributes(),
        of(ATTRIBUTES_MAX)
    );
}

/// A frame header with these metalayers behind its fixed fields.
fn header(count: usize, len: usize) -> Vec<u8> {
    let stored = Params { algorithm: None, level: 0, filter: Filter::None, typesize: 1 };
    let mut out = build_header(&stored, 4096, 4096).unwrap();
    out.truncate(87);
    let start = 87 + 7 + count * 8 + 3;
    out.extend([0x93, 0xcd, 0, 0, 0xde]);
    out.extend(u16::try_from(count).unwrap().to_be_bytes());
    for i in 0..count {
        out.extend([0xa2, b'a', b'a' + u8::try_from(i % 26).unwrap(), 0xd2]);
        out.extend(u32::try_from(start + i * (5 + len)).unwrap().to_be_bytes());
    }
    out.extend([0xdc, 0, 0]);
    for _ in 0..count {
        out.push(0xc6);
        out.extend(u32::try_from(len).unwrap().to_be_bytes());
        out.resize(out.len() + len, 1);
    }
    let total = u32::try_from(out.len()).unwrap().to_be_bytes();
    out.get_mut(11..15).unwrap().copy_from_slice(&total);
    let totals = patch_totals(&out, out.len() as u64, 0, 0).unwrap();
    out.get_mut(16..47).unwrap().copy_from_slice(&totals);
    out
}

#[test]
fn metalayers() {
    assert_eq!(FrameHeader::parse(&header(METALAYERS, 9)).unwrap().metalayers.len(), METALAYERS);
    limit("metalayers", &FrameHeader::parse(&header(METALAYERS + 1, 9)).unwrap_err());
    assert_eq!(FrameHeader::parse(&header(2, METALAYER_MAX)).unwrap().metalayers.len(), 2);
    limit("metalayer", &FrameHeader::parse(&header(2, METALAYER_MAX + 1)).unwrap_err());
    let layers: Vec<(String, [u8; 3])> =
        (0..=VLMETALAYERS).map(|i| (format!("{i}"), [1, 2, 3])).collect();
    let all: Vec<(&str, &[u8])> = layers.iter().map(|(n, c)| (n.as_str(), &c[..])).collect();
    limit("metalayers", &build_trailer(&all).unwrap_err());
    match build_trailer(all.get(..VLMETALAYERS).unwrap()) {
        Ok(trailer) => assert_eq!(parse_trailer(&trailer).unwrap().len(), VLMETALAYERS),
        // The index of the names has a length of 16 bits, and is full before.
        Err(e) => limit("metalayer index", &e),
    }
}

#[test]
fn chunks_of_other_programs() {
    let stored = Params { algorithm: None, level: 0, filter: Filter::None, typesize: 1 };
    let mut bytes = build_header(&stored, 4096, 4096).unwrap();
    for (chunks, good) in [(FOREIGN_CHUNKS, true), (FOREIGN_CHUNKS + 1, false)] {
        let totals = patch_totals(&bytes, 1 << 50, chunks * 4096, 1 << 40).unwrap();
        bytes.get_mut(16..47).unwrap().copy_from_slice(&totals);
        match FrameHeader::parse(&bytes) {
            Ok(header) => assert!(good && header.chunks() == chunks),
            Err(e) => limit("chunks in a frame", &e),
        }
    }
}

#[test]
fn axes_of_arrays() {
    for (axes, good) in [(ARRAY_AXES, true), (ARRAY_AXES + 1, false)] {
        let shape = Shape::new(&vec![1; axes]);
        assert_eq!(shape.is_ok(), good, "{axes}");
        if let Err(e) = shape {
            limit("number of array axes", &e);
        }
    }
}

#[test]
fn the_table_for_the_original_program_is_written_when_asked_and_kept_from_then_on() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let sealed = |w: &mut Writer, key: &str| {
        w.insert(key, b"x").unwrap();
        w.seal().unwrap();
        w.snapshot().unwrap().info().unwrap().original_table
    };
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    assert!(!sealed(&mut w, "a"));
    w.close().unwrap();
    let asked = |lookup| StoreOptions {
        write: WriteOptions { original_table: lookup, ..options().write },
        ..options()
    };
    let mut w = Writer::open_in(backend.clone(), &asked(OriginalTable::Always).write).unwrap();
    assert!(sealed(&mut w, "b"));
    w.close().unwrap();
    let mut w = Writer::open_in(backend.clone(), &options().write).unwrap();
    assert!(sealed(&mut w, "c"));
    w.close().unwrap();
    let mut w = Writer::open_in(backend.clone(), &asked(OriginalTable::Never).write).unwrap();
    assert!(!sealed(&mut w, "d"));
    w.close().unwrap();
    let mut w = Writer::open_in(backend, &options().write).unwrap();
    assert!(!sealed(&mut w, "e"));
}
