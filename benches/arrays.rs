//! Frames as flat arrays, against a model in C of a store that decodes each block once and copies the
//! records out of it, on one thread and on two. Random batches of 256, windows of 8 192 neighbours in
//! shuffled order, and the whole store in order.
//!
//! `cargo bench --bench arrays -- molecules lz4-random batch` runs what all of these words name.
//! `VLSTORE_ROUNDS` (7), `VLSTORE_MS` (60, of each measurement), `VLSTORE_MAP` (1: files are mapped) and
//! `VLSTORE_ALONE` (1: ours on one thread without the model, 2: on two, to be profiled) can be set.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench may panic, and prints what it measured"
)]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};
use support::blosc::{Chunks, Context};
use support::data::{Random, Thermal};
use support::measure::{median, setting, wanted};
use vlstore::backend::Access;
use vlstore::chunk::{Algorithm, Params};
use vlstore::trajectory::arrays::{ArrayRequest, Collator, Selection};
use vlstore::{
    Layout, Purpose, ReadOptions, Readable, Snapshot, Store, StoreOptions, TrajectoryWriter,
};

const THREADS: usize = 2;
const BATCH: usize = 256;
const WINDOW: usize = 8192;

/// The records of a store in segments that were compressed one by one.
struct Model {
    stored: Vec<u8>,
    /// Where each segment begins, in `stored` and decoded.
    at: Vec<usize>,
    starts: Vec<usize>,
    /// Where each record begins, decoded.
    records: Vec<usize>,
    largest: usize,
    compressed: bool,
}

impl Model {
    fn new(params: Params, block: usize, records: &[Vec<u8>]) -> Self {
        let mut ends = vec![0];
        ends.extend(records.iter().scan(0, |end, r| {
            *end += r.len();
            Some(*end)
        }));
        let all = records.concat();
        let starts: Vec<usize> = if block > all.len() / records.len() * 2 {
            (0..all.len()).step_by(block).chain([all.len()]).collect()
        } else {
            ends.clone()
        };
        let largest = starts.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        let compressed = params.algorithm.is_some();
        let mut context = compressed.then(|| Context::compressing(params, largest as u32));
        let (mut stored, mut at, mut space) = (Vec::new(), vec![0], vec![0; largest + 4096]);
        for w in starts.windows(2) {
            let part = &all[w[0]..w[1]];
            match &mut context {
                None => stored.extend_from_slice(part),
                Some(context) => {
                    let n = context.compress(part, &mut space);
                    stored.extend_from_slice(&space[..n]);
                }
            }
            at.push(stored.len());
        }
        Self { stored, at, starts, records: ends, largest, compressed }
    }

    fn decode(&self, segment: usize, context: &mut Context, out: &mut [u8]) -> usize {
        let from = &self.stored[self.at[segment]..self.at[segment + 1]];
        let len = self.starts[segment + 1] - self.starts[segment];
        if self.compressed {
            context.decompress(from, &mut out[..len]);
        } else {
            out[..len].copy_from_slice(from);
        }
        black_box(&mut out[..len]);
        len
    }

    /// Records in ascending order, copied out of their segments, each decoded once.
    fn fetch(&self, asked: &[u64], context: &mut Context, space: &mut [u8], out: &mut [u8]) {
        let mut held = usize::MAX;
        for record in asked {
            let (mut at, end) =
                (self.records[*record as usize], self.records[*record as usize + 1]);
            let mut segment = self.starts.partition_point(|s| *s <= at) - 1;
            let mut to = 0;
            while at < end {
                let (first, last) = (self.starts[segment], self.starts[segment + 1]);
                let stop = end.min(last);
                if at == first && stop == last && held != segment {
                    self.decode(segment, context, &mut out[to..]);
                } else {
                    if held != segment {
                        self.decode(segment, context, space);
                        held = segment;
                    }
                    out[to..to + stop - at].copy_from_slice(&space[at - first..stop - first]);
                }
                (to, at, segment) = (to + stop - at, stop, segment + 1);
            }
            black_box(&mut out[..to]);
        }
    }
}

/// What is read in one call.
struct Part {
    name: &'static str,
    calls: Vec<Vec<u64>>,
}

fn parts(n: u64) -> Vec<Part> {
    let mut random = Random(7);
    let window = (WINDOW as u64).min(n);
    let shuffled = |random: &mut Random, from: u64| {
        let mut all: Vec<u64> = (from..from + window).collect();
        for i in (1..all.len()).rev() {
            all.swap(i, random.below(i as u64 + 1) as usize);
        }
        all
    };
    let run = |step: u64| (0..n / step).map(|i| (i * step..(i + 1) * step).collect()).collect();
    vec![
        Part { name: "batch", calls: (0..200).map(|_| random.list(BATCH, n)).collect() },
        Part {
            name: "window",
            calls: (0..8)
                .map(|_| {
                    let from = random.below(n - window + 1);
                    shuffled(&mut random, from)
                })
                .collect(),
        },
        Part { name: "scan-window", calls: run(window) },
        Part { name: "scan-256", calls: run(BATCH as u64) },
    ]
}

/// Records a second.
fn ours(snapshot: &Snapshot, part: &Part, time: Duration) -> f64 {
    let fields = Some(vec!["positions".to_owned(), "forces".to_owned()]);
    let collator = Collator::new(ArrayRequest { fields, ..ArrayRequest::default() });
    let mut spare: Vec<Vec<u8>> = Vec::new();
    let (start, mut done, mut turn) = (Instant::now(), 0, 0);
    while start.elapsed() < time {
        let asked = &part.calls[turn % part.calls.len()];
        let made = collator.arrays(snapshot, Selection::Ordinals(asked), |array| {
            let mut memory = spare.pop().unwrap_or_default();
            memory.resize(array.bytes(), 0);
            Ok::<_, vlstore::Error>(memory)
        });
        spare.extend(made.unwrap().list.into_iter().rev().map(|(_, memory)| memory));
        done += asked.len();
        turn += 1;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    if !wanted() {
        println!("run with: cargo bench --bench arrays");
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let runs = |name: &str, among: &[&str]| {
        let mut named = words.iter().filter(|w| among.contains(&w.as_str())).peekable();
        named.peek().is_none() || named.any(|w| w == name)
    };
    let time = Duration::from_millis(setting("VLSTORE_MS", 60) as u64);
    let rounds = setting("VLSTORE_ROUNDS", 7);
    let alone = setting("VLSTORE_ALONE", 0);
    let dir = tempfile::tempdir().unwrap();
    let sets = ["molecules", "crystals", "chains"];
    let kinds = [
        ("dense", Purpose::Dense, Some(Algorithm::Zstd)),
        ("balanced", Purpose::Balanced, Some(Algorithm::Zstd)),
        ("random", Purpose::Random, Some(Algorithm::Zstd)),
        ("lz4-dense", Purpose::Dense, Some(Algorithm::Lz4)),
        ("lz4", Purpose::Balanced, Some(Algorithm::Lz4)),
        ("lz4-random", Purpose::Random, Some(Algorithm::Lz4)),
        ("stored", Purpose::Random, None),
    ];
    let (kind_names, part_names) =
        (kinds.map(|k| k.0), ["batch", "window", "scan-window", "scan-256"]);
    println!(
        "thousand records a second; C: the model, ours as arrays of positions and forces; {rounds} rounds of {time:?}, medians\n\n\
         | set | store | read | C, 1 thread | C, 2 | ours, 1 | ours, 2 | ours 1 / C 1 | ours 2 / C 2 | ours 2 / ours 1 |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for set in sets.iter().filter(|s| runs(s, &sets)) {
        let data = Thermal::named(set);
        for (kind, purpose, codec) in kinds.iter().filter(|k| runs(k.0, &kind_names)) {
            let path = dir.path().join(format!("{set}-{kind}"));
            let options = StoreOptions {
                layout: Layout {
                    purpose: *purpose,
                    compression: (*codec).into(),
                    ..Layout::default()
                },
                ..StoreOptions::default()
            };
            let mut w = TrajectoryWriter::create(&path, &options).unwrap();
            for (i, frame) in data.frames.iter().enumerate() {
                w.put(format!("mol_{i:07}"), frame).unwrap();
            }
            w.close().unwrap();
            let chunks = Chunks::of(std::fs::read(&path).unwrap());
            let block = chunks.list[0].layout.block_size() as usize;
            let open = |threads| {
                let access =
                    if setting("VLSTORE_MAP", 0) == 1 { Access::Map } else { Access::Auto };
                let options = ReadOptions { threads, access, ..ReadOptions::default() };
                Store::open_with(&path, &options).unwrap().snapshot()
            };
            let (one, two) = (open(1), open(THREADS));
            let records: Vec<Vec<u8>> =
                (0..one.len()).map(|i| one.get_at(i).unwrap().to_vec()).collect();
            let model = Model::new(options.layout.params(), block, &records);
            for part in parts(one.len()).iter().filter(|p| runs(p.name, &part_names)) {
                let sorted: Vec<Vec<u64>> = part
                    .calls
                    .iter()
                    .map(|call| {
                        let mut call = call.clone();
                        call.sort_unstable();
                        call
                    })
                    .collect();
                let (model, sorted) = (&model, &sorted);
                let largest = records.iter().map(Vec::len).max().unwrap();
                let theirs = |threads| {
                    std::thread::scope(|scope| {
                        let all: Vec<_> = (0..threads)
                            .map(|thread| {
                                scope.spawn(move || {
                                    let mut context = Context::decompressing();
                                    let mut space = vec![0; model.largest];
                                    let mut out = vec![0; largest + model.largest];
                                    let (start, mut done, mut turn) = (Instant::now(), 0, thread);
                                    while start.elapsed() < time {
                                        let asked = &sorted[turn % sorted.len()];
                                        model.fetch(asked, &mut context, &mut space, &mut out);
                                        done += asked.len();
                                        turn += threads;
                                    }
                                    done as f64 / start.elapsed().as_secs_f64()
                                })
                            })
                            .collect();
                        all.into_iter().map(|t| t.join().unwrap()).sum::<f64>()
                    })
                };
                let mut samples: [Vec<f64>; 4] = Default::default();
                for round in 0..=rounds {
                    let (c1, c2) = if alone == 0 { (theirs(1), theirs(2)) } else { (0.0, 0.0) };
                    let o1 = if alone == 2 { 0.0 } else { ours(&one, part, time) };
                    let o2 = if alone == 1 { 0.0 } else { ours(&two, part, time) };
                    let now = [c1, c2, o1, o2];
                    if round > 0 {
                        samples.iter_mut().zip(now).for_each(|(all, one)| all.push(one));
                    }
                }
                let [c1, c2, o1, o2] = samples.each_ref().map(|s| median(s) / 1e3);
                println!(
                    "| {set}, block {block} | {kind} | {} | {c1:.0} | {c2:.0} | {o1:.0} | {o2:.0} | {:.2} | {:.2} | {:.2} |",
                    part.name,
                    o1 / c1,
                    o2 / c2,
                    o2 / o1
                );
            }
        }
    }
}
