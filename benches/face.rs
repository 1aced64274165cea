//! The Rust side of `benches/face.py`, which measures what a call from Python costs more.
//!
//! A process that answers one line for each that it reads, so that the rounds of both sides
//! alternate. `prepare DIR` makes the stores; `get FILE`, `batch FILE`, `frames FILE`, `put FILE`
//! and `ingest FILE` answer the seconds that one round of calls took.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a bench may panic, and prints what it measured"
)]

// The other benches use the rest of it.
#[allow(dead_code, reason = "the other benches use the rest of it")]
mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use support::data::{self, Random};
use support::measure::{seconds, setting, wanted};
use vlstore::chunk::Algorithm;
use vlstore::codec::{AnyCodec as _, Codec as _, MdFrameCodec, MdFrameRef, RealView};
use vlstore::{Key, Layout, Purpose, Snapshot, StoreOptions, Trajectory, WriteOptions, Writer};

/// Records of a store.
const RECORDS: usize = 20_000;
/// Single reads of a round.
const GETS: usize = 4096;
/// Batches of a round, and records of each.
const BATCHES: usize = 32;
const BATCH: usize = 256;

/// What the stacked arrays of the script hold, too.
struct Stacks {
    sites: usize,
    positions: Vec<f32>,
    forces: Vec<f32>,
    types: Vec<i32>,
    energy: Vec<f64>,
    cell: Vec<[f64; 9]>,
}

struct Bench {
    records: Vec<Vec<u8>>,
    stacks: Stacks,
    ordinals: Vec<u64>,
    open: HashMap<String, Trajectory>,
}

/// The options of both sides.
fn options(codec: Option<Algorithm>) -> StoreOptions {
    StoreOptions {
        layout: Layout {
            purpose: Purpose::Random,
            compression: codec.into(),
            record_codec: ("md-frame".into(), 1),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: setting("VLSTORE_THREADS", 2),
            // The columns that a depot of frames keeps, in Python too.
            rows: MdFrameCodec.rows(),
            access: vlstore::backend::Access::Map,
            ..WriteOptions::default()
        },
    }
}

impl Bench {
    fn prepare(&mut self, dir: &Path) {
        // In the last two, each record has a block of its own.
        for (name, codec, block_size) in [
            ("lz4", Some(Algorithm::Lz4), 0),
            ("lz4, 2 KiB blocks", Some(Algorithm::Lz4), 2048),
            ("stored", None, 0),
        ] {
            let path = dir.join(format!("{name}.vls"));
            let options = StoreOptions {
                layout: Layout { block_size, ..options(codec).layout },
                ..options(codec)
            };
            let mut writer = Writer::replace(&path, &options).unwrap();
            for record in &self.records {
                writer
                    .put_unchecked(None, record, data::SMALL as u32, vlstore::Existing::Refuse)
                    .unwrap();
            }
            writer.close().unwrap();
        }
        let ordinals: Vec<u8> = self.ordinals.iter().flat_map(|o| o.to_le_bytes()).collect();
        std::fs::write(dir.join("ordinals"), ordinals).unwrap();
    }

    fn depot(&mut self, path: &str) -> &Trajectory {
        self.open.entry(path.to_owned()).or_insert_with(|| {
            let store = vlstore::Store::open_with(path, &options(None).write.reading()).unwrap();
            Trajectory::new(store.snapshot()).unwrap()
        })
    }

    /// Single frames, verified, with their arrays.
    fn get(&mut self, path: &str) -> f64 {
        let ordinals = self.ordinals[..GETS].to_vec();
        let depot = self.depot(path);
        seconds(|| {
            for ordinal in ordinals {
                let item = depot.get_at(ordinal).unwrap();
                let v = item.view().unwrap();
                black_box((v.positions(), v.forces(), v.types(), v.cell(), v.energy()));
            }
        })
    }

    /// Batches of records in one buffer.
    fn batch(&mut self, path: &str) -> f64 {
        let ordinals = self.ordinals.clone();
        let depot = self.depot(path);
        let snapshot: &Snapshot = depot.snapshot();
        seconds(|| {
            for part in ordinals.chunks_exact(BATCH).take(BATCHES) {
                black_box(snapshot.get_batch_at(part).unwrap());
            }
        })
    }

    /// The same as frames: each verified, with its arrays.
    fn frames(&mut self, path: &str) -> f64 {
        let ordinals = self.ordinals.clone();
        let depot = self.depot(path);
        seconds(|| {
            for part in ordinals.chunks_exact(BATCH).take(BATCHES) {
                for view in depot.get_batch_at(part).unwrap().iter() {
                    let v = view.unwrap();
                    black_box((v.positions(), v.forces(), v.types(), v.cell(), v.energy()));
                }
            }
        })
    }

    /// Prepared records under keys, and the commit.
    fn put(&self, path: &str) -> f64 {
        let mut writer = Writer::replace(path, &options(Some(Algorithm::Lz4))).unwrap();
        let took = seconds(|| {
            for (i, record) in self.records.iter().enumerate() {
                let key = Key::from(i as u64);
                writer
                    .put_sized(Some(&key), record, data::SMALL as u32, vlstore::Existing::Replace)
                    .unwrap();
            }
            writer.commit().unwrap();
        });
        drop(writer);
        took
    }

    /// Frames from arrays, encoded and put, and the commit.
    fn ingest(&self, path: &str) -> f64 {
        let s = &self.stacks;
        let mut writer = Writer::replace(path, &options(Some(Algorithm::Lz4))).unwrap();
        let mut record = Vec::new();
        let took = seconds(|| {
            let three = 3 * s.sites;
            for i in 0..s.energy.len() {
                let frame = MdFrameRef {
                    nsites: s.sites,
                    positions: Some(RealView::F32(&s.positions[i * three..][..three])),
                    forces: Some(RealView::F32(&s.forces[i * three..][..three])),
                    types: Some(&s.types[i * s.sites..][..s.sites]),
                    energy: Some(s.energy[i]),
                    cell: Some(s.cell[i]),
                    ..MdFrameRef::default()
                };
                record.clear();
                let found = MdFrameCodec.encode_ref(&frame, &mut record).unwrap();
                writer.put_sized(None, &record, found.sites, vlstore::Existing::Refuse).unwrap();
            }
            writer.commit().unwrap();
        });
        drop(writer);
        took
    }
}

/// The arrays of all records, end to end.
fn stacks(records: &[Vec<u8>]) -> Stacks {
    let mut s = Stacks {
        sites: data::SMALL,
        positions: Vec::new(),
        forces: Vec::new(),
        types: Vec::new(),
        energy: Vec::new(),
        cell: Vec::new(),
    };
    for record in records {
        let mut space = vlstore::wire::AlignedBuf::default();
        let bytes = vlstore::codec::aligned(record, &mut space).expect("memory");
        let view = MdFrameCodec.decode(bytes).unwrap();
        for (values, all) in [(view.positions(), &mut s.positions), (view.forces(), &mut s.forces)]
        {
            if let Some(RealView::F32(v)) = values {
                all.extend(v);
            }
        }
        s.types.extend(view.types().unwrap());
        s.energy.push(view.energy().unwrap());
        s.cell.push(view.cell().unwrap());
    }
    s
}

fn main() {
    if !wanted() {
        println!("run with: python benches/face.py");
        return;
    }
    let small = data::small(RECORDS);
    let ordinals = Random(2).list(BATCHES * BATCH, RECORDS as u64);
    let mut bench = Bench {
        stacks: stacks(&small.records),
        records: small.records,
        ordinals,
        open: HashMap::new(),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (verb, path) = line.split_once(' ').unwrap();
        let answer = match verb {
            "prepare" => {
                bench.prepare(Path::new(path));
                small.what.clone()
            }
            "get" => bench.get(path).to_string(),
            "batch" => bench.batch(path).to_string(),
            "frames" => bench.frames(path).to_string(),
            "put" => bench.put(path).to_string(),
            "ingest" => bench.ingest(path).to_string(),
            other => panic!("unknown: {other}"),
        };
        println!("{answer}");
        std::io::stdout().flush().unwrap();
    }
}
