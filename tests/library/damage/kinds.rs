//! Stores of every kind, as they were at each of their commits.

use super::judge::Truth;
use std::sync::Arc;
use std::time::Duration;
use vlstore::backend::MemoryBackend;
use vlstore::chunk::{Algorithm, Filter, Params};
use vlstore::codec::{MdFrame, Real};
use vlstore::frame::{HEADER_LEN, build_header, build_trailer, encode_offsets, patch_totals};
use vlstore::index::saved_lookup;
use vlstore::trajectory::Sharing;
use vlstore::{
    Alignment, Compression, Durability, Key, Layout, OriginalTable, Purpose, StoreOptions,
    TrajectoryWriter, WriteOptions, Writer,
};

use crate::common::{content, rows};

/// A store and its history.
pub struct Kind {
    pub name: &'static str,
    pub options: StoreOptions,
    /// The file and what is in it, after each commit; the last is the subject.
    pub states: Vec<State>,
}

pub struct State {
    pub image: Vec<u8>,
    pub truth: Truth,
}

impl Kind {
    pub fn image(&self) -> &[u8] {
        &self.states.last().unwrap().image
    }
}

/// Takes down the file after each commit.
struct Making {
    backend: Arc<MemoryBackend>,
    options: StoreOptions,
    states: Vec<State>,
}

impl Making {
    fn new(options: StoreOptions) -> (Self, Writer) {
        let backend = Arc::new(MemoryBackend::new());
        let w = Writer::create_in(backend.clone(), &options).unwrap();
        let mut making = Self { backend, options, states: Vec::new() };
        making.note();
        (making, w)
    }

    fn note(&mut self) {
        let image = self.backend.to_bytes();
        let truth = Truth::of(&image);
        self.states.push(State { image, truth });
    }

    fn commit(&mut self, w: &mut Writer) {
        w.commit().unwrap();
        self.note();
    }

    fn seal(&mut self, w: &mut Writer) {
        w.seal().unwrap();
        self.note();
    }

    fn close(&mut self, w: Writer) {
        w.close().unwrap();
        self.note();
    }

    fn reopen(&self) -> Writer {
        Writer::open_in(self.backend.clone(), &self.options.write).unwrap()
    }

    fn done(self, name: &'static str) -> Kind {
        Kind { name, options: self.options, states: self.states }
    }
}

fn options(id: u8, codec: Option<Algorithm>) -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 4096,
            block_size: 2048,
            compression: codec.into(),
            file_id: Some([id; 16]),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            original_table: OriginalTable::Always,
            durability: Durability::Kernel,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            cache_bytes: 4096,
            ..WriteOptions::default()
        },
    }
}

fn value(i: u64) -> Vec<u8> {
    content(i, [40, 0, 700, 1900, 90][(i % 5) as usize])
}

/// Several seals, commits behind the last of them, deleted and replaced records, shared ones,
/// columns, attributes.
fn several_seals() -> Kind {
    let (mut m, mut w) = Making::new(StoreOptions {
        write: WriteOptions { rows: Some(rows()), ..options(1, Some(Algorithm::Zstd)).write },
        ..options(1, Some(Algorithm::Zstd))
    });
    for i in 0..36_u64 {
        w.put(format!("k{}", i % 25), &value(i)).unwrap();
        match i % 9 {
            2 => drop(w.share(&content(i + 90, 150)).unwrap()),
            4 => w.delete_at(1).unwrap(),
            6 => w.set_attributes(&serde_json::json!({ "mark": i })).unwrap(),
            _ => {}
        }
        match i % 12 {
            3 | 10 => m.commit(&mut w),
            7 => m.seal(&mut w),
            _ => {}
        }
    }
    m.commit(&mut w);
    drop(w);
    m.done("several seals and commits behind the last; Zstd, text keys, columns, shared records")
}

/// Closed, opened again and closed.
fn closed() -> Kind {
    let (mut m, mut w) = Making::new(options(2, Some(Algorithm::Lz4)));
    for i in 0..20_i64 {
        w.insert(i - 7, &value(i.unsigned_abs())).unwrap();
    }
    m.commit(&mut w);
    m.close(w);
    let mut w = m.reopen();
    for i in 20..40_i64 {
        w.insert(i - 7, &value(i.unsigned_abs())).unwrap();
        if i % 8 == 0 {
            m.commit(&mut w);
        }
    }
    w.delete(0).unwrap();
    m.close(w);
    m.done("closed twice; LZ4, integer keys")
}

/// Never sealed, bytes and great numbers as keys, stored as they are.
fn never_sealed() -> Kind {
    let (mut m, mut w) = Making::new(StoreOptions {
        layout: Layout { alignment: Alignment::Contiguous, ..options(3, None).layout },
        ..options(3, None)
    });
    for i in 0..24_u64 {
        let key =
            if i % 2 == 0 { Key::from(u64::MAX - i) } else { Key::from(&i.to_be_bytes()[..]) };
        w.insert(key, &value(i)[..value(i).len() / 3]).unwrap();
        if i % 5 == 4 {
            m.commit(&mut w);
        }
    }
    m.commit(&mut w);
    drop(w);
    m.done("never sealed; stored, keys of bytes and of great numbers")
}

/// Records without keys, half of them deleted.
fn without_keys() -> Kind {
    let (mut m, mut w) = Making::new(options(4, Some(Algorithm::Zstd)));
    for i in 0..30_u64 {
        w.push(&value(i)).unwrap();
        if i % 7 == 6 {
            w.delete_at(i / 3).unwrap();
            m.commit(&mut w);
        }
    }
    m.close(w);
    m.done("closed; no keys")
}

/// Many small records in leaves and runs with filters, of which the log deletes some.
fn many() -> Kind {
    let (mut m, mut w) = Making::new(StoreOptions {
        layout: Layout {
            chunk_size: 16_384,
            purpose: Purpose::Random,
            ..options(5, Some(Algorithm::Lz4)).layout
        },
        ..options(5, Some(Algorithm::Lz4))
    });
    for part in 0..3_u64 {
        for i in 0..700 {
            w.insert(format!("{part}/{i}"), &[i as u8; 9]).unwrap();
        }
        m.seal(&mut w);
    }
    for i in 0..40_u64 {
        w.delete(format!("{}/{}", i % 3, i * 17)).unwrap();
        if i % 10 == 9 {
            m.commit(&mut w);
        }
    }
    drop(w);
    m.done("many records in leaves, deleted by the log")
}

/// Frames that share topologies, in the layout that they have by default.
fn frames() -> Kind {
    let options = StoreOptions {
        layout: Layout {
            chunk_size: 0,
            block_size: 0,
            record_codec: ("md-frame".into(), 1),
            ..options(6, None).layout
        },
        write: WriteOptions {
            rows: vlstore::codec::by_name("md-frame").unwrap().rows(),
            ..options(6, None).write
        },
    };
    let options = StoreOptions {
        layout: Layout { compression: Compression::Auto, ..options.layout },
        ..options
    };
    let (mut m, w) = Making::new(options);
    let mut w = TrajectoryWriter::over(w).unwrap();
    w.share_topologies(Sharing::Repeated);
    for i in 0..40_u64 {
        let sites = 12 + i as usize % 3;
        let frame = MdFrame {
            step: Some(i as i64 * 10),
            energy: Some(-1.5 * i as f64),
            nsites: sites,
            positions: Some(Real::F32((0..3 * sites).map(|n| n as f32 * 0.1 + i as f32).collect())),
            types: Some((0..sites as i32).map(|n| n % 3).collect()),
            ..MdFrame::default()
        };
        w.insert(i, &frame).unwrap();
        match i % 10 {
            3 => m.commit(w.writer_mut()),
            7 => m.seal(w.writer_mut()),
            _ => {}
        }
    }
    w.close().unwrap();
    m.note();
    m.done("closed; frames with topologies, default layout")
}

/// The default layout: chunks of half a mebibyte, of which one is open throughout.
fn default_layout() -> Kind {
    let options = StoreOptions {
        layout: Layout {
            compression: Compression::Auto,
            chunk_size: 0,
            block_size: 0,
            ..options(7, None).layout
        },
        ..options(7, None)
    };
    let (mut m, mut w) = Making::new(options);
    for t in 0..6_u64 {
        for k in t * 12..t * 12 + 12 {
            w.insert(k, &content(4 * k, 60 + (k * 37 % 300) as usize)).unwrap();
        }
        if t == 2 { m.seal(&mut w) } else { m.commit(&mut w) }
    }
    m.close(w);
    m.done("closed, sealed twice; default layout")
}

pub fn all() -> Vec<Kind> {
    vec![
        several_seals(),
        closed(),
        never_sealed(),
        without_keys(),
        many(),
        frames(),
        default_layout(),
    ]
}

/// A file as the original program leaves one: nothing in it has a checksum.
pub fn original() -> Vec<u8> {
    let params =
        Params { algorithm: Some(Algorithm::Lz4), level: 5, filter: Filter::Shuffle, typesize: 4 };
    let chunk = |bytes: &[u8]| {
        let mut out = Vec::new();
        let mut c = vlstore::chunk::Compressor::new(params, 2048).unwrap();
        c.compress(bytes, &mut out).unwrap();
        out
    };
    let mut file = build_header(&params, 4096, 2048).unwrap();
    let mut offsets = Vec::new();
    for i in 0..3 {
        offsets.push((file.len() - HEADER_LEN) as u64);
        file.extend(chunk(&content(4 * i, 4096)));
    }
    let cbytes = (file.len() - HEADER_LEN) as u64;
    let keys: Vec<_> = (0..24_u64).map(|i| (Key::from(i), i * 500, i * 500 + 500)).collect();
    let table = saved_lookup::encode(keys.len(), keys.iter().map(|(k, s, e)| (k, *s, *e))).unwrap();
    let mut lookup = Vec::new();
    let plain =
        Params { algorithm: Some(Algorithm::Zstd), level: 3, filter: Filter::None, typesize: 1 };
    vlstore::chunk::Compressor::new(plain, 1 << 20).unwrap().compress(&table, &mut lookup).unwrap();
    file.extend(encode_offsets(&offsets).unwrap());
    file.extend(build_trailer(&[(saved_lookup::NAME, &lookup)]).unwrap());
    let totals = patch_totals(&file, file.len() as u64, 3 * 4096, cbytes).unwrap();
    file[16..47].copy_from_slice(&totals);
    // Theirs have no metalayer of ours.
    let at = file.windows(8).position(|w| w == b"\xa7vlstore").unwrap();
    file[at + 1..at + 8].copy_from_slice(b"another");
    file
}
