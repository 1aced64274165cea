//! One table: every target of speed and size beside what was measured here, in one run.
//!
//! `cargo bench --bench table`; `-- --large` adds ten million records (a gigabyte on disk).
//! `VLSTORE_ROUNDS` (11), `VLSTORE_THREADS` (2) and `TMPDIR` (where the files go) can be set;
//! a word after `--` runs only the parts whose name contains it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a bench may panic, and prints what it measured"
)]

mod support;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use support::blosc::{Chunks, Context, dense_size};
use support::data::{self, Data, Random};
use support::measure::{Pair, interleave, median, seconds, setting, wanted};
use vlstore::Readable;
use vlstore::chunk::Algorithm;
use vlstore::wire::checksum;
use vlstore::{
    Durability, Layout, OriginalTable, Purpose, ReadOptions, Store, StoreOptions, WriteOptions,
    Writer,
};

const CODECS: [Algorithm; 2] = [Algorithm::Zstd, Algorithm::Lz4];

struct Row {
    what: String,
    ours: String,
    reference: String,
    ratio: String,
    target: String,
    met: &'static str,
}

struct Bench {
    rounds: usize,
    threads: usize,
    dir: PathBuf,
    only: Vec<String>,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// What the ratio must be.
#[derive(Clone, Copy)]
enum Target {
    /// Our speed through that of the reference.
    AtLeast(f64),
    /// Our time or size through that of the reference.
    AtMost(f64),
    Reported,
}

fn main() {
    if !wanted() {
        println!("run with: cargo bench --bench table");
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let mut b = Bench {
        rounds: setting("VLSTORE_ROUNDS", 11).max(7),
        threads: setting("VLSTORE_THREADS", 2),
        dir: temporary.path().into(),
        only,
        rows: Vec::new(),
        notes: Vec::new(),
    };
    println!(
        "{} rounds A B A B, medians; {} threads on both sides; checksums on; page cache warm\n",
        b.rounds, b.threads
    );
    let frames = data::frames(4004);
    let small = data::small(50_000);
    for codec in CODECS {
        b.frames(&frames, codec);
    }
    for codec in CODECS {
        b.batches_of_small(&small, codec);
    }
    b.random(&small);
    b.stored(&small);
    b.sizes(&frames, "1324-atom frames");
    b.sizes(&small, "64-atom frames");
    match data::mixed(16) {
        Some(mixed) => b.sizes(&mixed, "mixed frames"),
        None => b.notes.push("mixed frames: SKIPPED, the extended XYZ file is not here".into()),
    }
    if std::env::args().any(|a| a == "--large") {
        b.large();
    }
    b.print();
}

fn options(purpose: Purpose, codec: Option<Algorithm>, threads: usize) -> StoreOptions {
    let access = vlstore::backend::Access::Map;
    StoreOptions {
        layout: Layout { purpose, compression: codec.into(), ..Layout::default() },
        write: WriteOptions { threads, access, ..WriteOptions::default() },
    }
}

/// Writes all records, under keys of text or without.
fn write(path: &Path, options: &StoreOptions, records: &[Vec<u8>], keys: bool) {
    let mut w = Writer::replace(path, options).unwrap();
    for (i, r) in records.iter().enumerate() {
        if keys {
            w.insert(format!("frame-{i:06}"), r).unwrap();
        } else {
            w.push(r).unwrap();
        }
    }
    w.close().unwrap();
}

/// Runs `f(thread, its part of the work)` on as many threads as there are contexts.
fn spread<T: Send, W: Sync>(
    states: &mut [T],
    work: &[W],
    f: impl Fn(&mut T, &[W]) + Sync + Send + Copy,
) {
    let each = work.len().div_ceil(states.len()).max(1);
    let mut parts: Vec<_> = states.iter_mut().zip(work.chunks(each)).collect();
    let last = parts.pop();
    std::thread::scope(|scope| {
        for (state, part) in parts {
            scope.spawn(move || f(state, part));
        }
        if let Some((state, part)) = last {
            f(state, part);
        }
    });
}

/// A thread of the reference: a context and memory of its own.
fn decoders(threads: usize, room: usize) -> Vec<(Context, Vec<u8>)> {
    (0..threads).map(|_| (Context::decompressing(), vec![0; room])).collect()
}

impl Bench {
    fn runs(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| part.contains(o.as_str()))
    }

    fn row(&mut self, what: String, ours: String, reference: String, ratio: f64, target: Target) {
        let (target, met) = match target {
            Target::AtLeast(t) => (format!(">= {t:.2}"), if ratio >= t { "yes" } else { "NO" }),
            Target::AtMost(t) => (format!("<= {t:.2}"), if ratio <= t { "yes" } else { "NO" }),
            Target::Reported => ("reported".into(), ""),
        };
        let ratio = if ratio.is_nan() { String::new() } else { format!("{ratio:.3}") };
        println!("{what}: {ours} against {reference}, {ratio} {target} {met}");
        self.rows.push(Row { what, ours, reference, ratio, target, met });
    }

    /// A row of throughput: `bytes` of records in each round.
    fn speed(&mut self, what: String, bytes: usize, pair: &Pair, target: Target) {
        let rate = |s: &[f64]| format!("{:.0} MB/s", bytes as f64 / median(s) / 1e6);
        self.row(what, rate(&pair.ours), rate(&pair.reference), 1.0 / pair.ratio(), target);
    }

    /// A row of time for each of `count`.
    fn time(&mut self, what: String, count: usize, pair: &Pair, target: Target) {
        let each = |s: &[f64]| format!("{:.2} us", median(s) / count as f64 * 1e6);
        self.row(what, each(&pair.ours), each(&pair.reference), pair.ratio(), target);
    }

    /// Appending, scanning and batches of frames of 1 324 atoms.
    fn frames(&mut self, data: &Data, codec: Algorithm) {
        let (zstd, label) = (codec == Algorithm::Zstd, codec.name());
        let path = self.dir.join("frames");
        let opts = options(Purpose::Balanced, Some(codec), self.threads);
        write(&path, &opts, &data.records, true);
        let chunks = Chunks::of(std::fs::read(&path).unwrap());
        self.note(&format!("{label}, balanced: {}", data.what), &chunks);
        let store = Store::open_with(&path, &opts.write.reading()).unwrap();
        for (i, r) in store.scan(0..u64::MAX).enumerate() {
            assert_eq!(*r.unwrap(), data.records[i][..]);
        }
        if self.runs("append") {
            self.append(data, codec, &opts, &chunks);
        }
        let bytes = data.bytes();
        if self.runs("scan") {
            let mut threads = decoders(self.threads, chunks.chunk_size);
            let list: Vec<usize> = (0..chunks.list.len()).collect();
            let pair = interleave(
                self.rounds,
                || {
                    seconds(|| {
                        let n: usize = store.scan(0..u64::MAX).map(|r| r.unwrap().len()).sum();
                        assert_eq!(n, bytes);
                    })
                },
                || {
                    seconds(|| {
                        spread(&mut threads, &list, |(context, out), part| {
                            for i in part {
                                context.decompress(chunks.bytes(*i), out);
                            }
                        });
                    })
                },
            );
            let target = Target::AtLeast(if zstd { 0.85 } else { 0.70 });
            self.speed(format!("scan, 1324 atoms, {label}"), bytes, &pair, target);
        }
        if self.runs("batch") {
            self.batch("1324 atoms", data, &store, &chunks, codec);
        }
    }

    fn append(&mut self, data: &Data, codec: Algorithm, opts: &StoreOptions, chunks: &Chunks) {
        let label = codec.name();
        let whole = chunks.decoded();
        let params = opts.layout.params();
        let sizes: Vec<u32> = chunks.list.iter().map(|c| c.layout.block_size()).collect();
        let work: Vec<(&[u8], u32)> = whole.chunks(chunks.chunk_size).zip(sizes).collect();
        type Thread = (Option<(u32, Context)>, Vec<u8>, usize);
        let mut threads: Vec<Thread> =
            (0..self.threads).map(|_| (None, vec![0; chunks.chunk_size + 4096], 0)).collect();
        let path = self.dir.join("append");
        let mut close = Vec::new();
        let pair = interleave(
            self.rounds,
            || {
                let mut w = Writer::replace(&path, opts).unwrap();
                let open = seconds(|| {
                    for (i, r) in data.records.iter().enumerate() {
                        w.insert(i as u64, r).unwrap();
                    }
                    w.commit().unwrap();
                });
                close.push(open + seconds(|| assert!(w.close().is_ok())));
                open
            },
            || {
                threads.iter_mut().for_each(|t| t.2 = 0);
                seconds(|| {
                    spread(&mut threads, &work, |(context, out, sum), part| {
                        for (bytes, block) in part {
                            if context.as_ref().is_none_or(|(b, _)| b != block) {
                                *context = Some((*block, Context::compressing(params, *block)));
                            }
                            *sum += context.as_mut().unwrap().1.compress(bytes, out);
                        }
                    });
                })
            },
        );
        let theirs: usize = threads.iter().map(|t| t.2).sum();
        let same = theirs as f64 / chunks.cbytes() as f64;
        assert!((0.99..1.01).contains(&same), "not the same parameters: sizes differ by {same}");
        let target = Target::AtLeast(if codec == Algorithm::Zstd { 0.80 } else { 0.60 });
        let bytes = data.bytes();
        self.speed(format!("append, 1324 atoms, {label}"), bytes, &pair, target);
        let closed = Pair { ours: close.split_off(1), reference: pair.reference };
        let what = format!("append with close (seal), 1324 atoms, {label}");
        self.speed(what, bytes, &closed, Target::Reported);
    }

    /// Batches of 256 shuffled records against the blocks that they touch.
    fn batch(&mut self, what: &str, data: &Data, store: &Store, chunks: &Chunks, codec: Algorithm) {
        const BATCHES: usize = 16;
        let mut random = Random(7);
        let n = data.records.len() as u64;
        let batches: Vec<Vec<u64>> = (0..BATCHES).map(|_| random.list(256, n)).collect();
        // The blocks of each batch, each once, in the order of the file.
        let blocks: Vec<Vec<(usize, usize, usize)>> = batches
            .iter()
            .map(|batch| {
                let mut all = Vec::new();
                for i in batch {
                    let place = store.location_at(*i).unwrap();
                    let mut at = place.start as usize;
                    while at < place.end as usize {
                        let c = at / chunks.chunk_size;
                        let layout = &chunks.list[c].layout;
                        let bs = layout.block_size() as usize;
                        let block = at % chunks.chunk_size / bs;
                        let len = layout.block_len(u32::try_from(block).unwrap()) as usize;
                        all.push((c, block * bs, len));
                        at = c * chunks.chunk_size + block * bs + len;
                    }
                }
                all.sort_unstable();
                all.dedup();
                all
            })
            .collect();
        let mut bytes = 0;
        for batch in &batches {
            let got = store.get_batch_at(batch).unwrap();
            for (r, i) in got.iter().zip(batch) {
                assert_eq!(r, data.records[*i as usize]);
                bytes += r.len();
            }
        }
        let mut threads = decoders(self.threads, 1 << 20);
        let pair = interleave(
            self.rounds,
            || {
                seconds(|| {
                    for batch in &batches {
                        black_box(store.get_batch_at(batch).unwrap());
                    }
                })
            },
            || {
                seconds(|| {
                    for blocks in &blocks {
                        spread(&mut threads, blocks, |(context, out), part| {
                            for (c, from, len) in part {
                                context.get(chunks.bytes(*c), 4, *from, &mut out[..*len]);
                            }
                        });
                    }
                })
            },
        );
        let target = Target::AtLeast(if codec == Algorithm::Zstd { 0.80 } else { 0.60 });
        self.speed(format!("batch of 256, {what}, {}", codec.name()), bytes, &pair, target);
        let rate = (BATCHES * 256) as f64 / median(&pair.ours) / 1e3;
        self.notes.push(format!("batch of 256, {what}, {}: {rate:.0} k records/s", codec.name()));
    }

    fn batches_of_small(&mut self, data: &Data, codec: Algorithm) {
        if !self.runs("batch") {
            return;
        }
        let path = self.dir.join("small");
        let opts = options(Purpose::Random, Some(codec), self.threads);
        write(&path, &opts, &data.records, true);
        let chunks = Chunks::of(std::fs::read(&path).unwrap());
        self.note(&format!("{}, random: {}", codec.name(), data.what), &chunks);
        let store = Store::open_with(&path, &opts.write.reading()).unwrap();
        self.batch("64 atoms", data, &store, &chunks, codec);
    }

    /// One record at random.
    fn random(&mut self, data: &Data) {
        if !self.runs("random get") {
            return;
        }
        let path = self.dir.join("small");
        let opts = options(Purpose::Random, Some(Algorithm::Lz4), self.threads);
        write(&path, &opts, &data.records, true);
        let chunks = Chunks::of(std::fs::read(&path).unwrap());
        self.note(&format!("lz4, random: {}", data.what), &chunks);
        let off = StoreOptions {
            write: WriteOptions { cache_bytes: 0, ..opts.clone().write },
            ..opts.clone()
        };
        let asked = Random(3).list(20_000, data.records.len() as u64);
        let keys: Vec<String> = asked.iter().map(|i| format!("frame-{i:06}")).collect();
        let store = Store::open_with(&path, &off.write.reading()).unwrap();
        for (i, key) in asked.iter().zip(&keys) {
            assert_eq!(*store.get_at(*i).unwrap(), data.records[*i as usize][..]);
            assert_eq!(*store.get(key.as_str()).unwrap(), data.records[*i as usize][..]);
        }
        let place = |i: &u64| {
            let p = store.location_at(*i).unwrap();
            let c = p.start as usize / chunks.chunk_size;
            (c, p.start as usize % chunks.chunk_size, p.len() as usize)
        };
        let places: Vec<_> = asked.iter().map(place).collect();
        let mut context = Context::decompressing();
        let mut out = vec![0; 1 << 20];
        let mut reference = || {
            seconds(|| {
                for (c, at, len) in &places {
                    context.get(chunks.bytes(*c), 4, *at, &mut out[..*len]);
                    black_box(&out);
                }
            })
        };
        let n = asked.len();
        let get = |store: &Store| {
            seconds(|| {
                for i in &asked {
                    black_box(store.get_at(*i).unwrap());
                }
            })
        };
        let pair = interleave(self.rounds, || get(&store), &mut reference);
        let what = "random get by ordinal, 64 atoms, lz4, cache off";
        self.time(what.into(), n, &pair, Target::AtMost(1.3));
        let mut own = vec![0; 4096];
        let mut into = || {
            seconds(|| {
                for i in &asked {
                    black_box(store.get_at_into(*i, &mut own).unwrap());
                }
            })
        };
        let pair = interleave(self.rounds, &mut into, &mut reference);
        let what = "random get into a buffer, 64 atoms, lz4, cache off";
        self.time(what.into(), n, &pair, Target::Reported);
        let cached = Store::open_with(&path, &opts.write.reading()).unwrap();
        let pair = interleave(self.rounds, || get(&cached), &mut reference);
        let what = "random get by ordinal, 64 atoms, lz4, cache 32 MiB";
        self.time(what.into(), n, &pair, Target::Reported);
        let by_key = || {
            seconds(|| {
                for key in &keys {
                    black_box(store.get(key.as_str()).unwrap());
                }
            })
        };
        let pair = interleave(self.rounds, by_key, &mut reference);
        let what = "random get by key (text), 64 atoms, lz4, cache off";
        self.time(what.into(), n, &pair, Target::Reported);
    }

    /// One record at random from a store without compression.
    fn stored(&mut self, data: &Data) {
        if !self.runs("random get") {
            return;
        }
        let path = self.dir.join("stored");
        let opts = options(Purpose::Random, None, self.threads);
        write(&path, &opts, &data.records, true);
        let chunks = Chunks::of(std::fs::read(&path).unwrap());
        let store = Store::open_with(&path, &opts.write.reading()).unwrap();
        let asked = Random(5).list(20_000, data.records.len() as u64);
        let mut places = Vec::new();
        for i in &asked {
            assert_eq!(*store.get_at(*i).unwrap(), data.records[*i as usize][..]);
            let p = store.location_at(*i).unwrap();
            let (c, inside) =
                (p.start as usize / chunks.chunk_size, p.start as usize % chunks.chunk_size);
            let chunk = &chunks.list[c];
            let block = chunk.layout.block_range(inside as u32 / chunk.layout.block_size());
            let block = chunk.at + block.start as usize..chunk.at + block.end as usize;
            let start = chunk.at + 32 + inside;
            places.push((block, start..start + p.len() as usize));
        }
        let mut out = vec![0; 1 << 20];
        let pair = interleave(
            self.rounds,
            || {
                seconds(|| {
                    for i in &asked {
                        black_box(store.get_at(*i).unwrap());
                    }
                })
            },
            || {
                seconds(|| {
                    for (block, record) in &places {
                        black_box(checksum(&chunks.file[block.clone()]));
                        let bytes = &chunks.file[record.clone()];
                        out[..bytes.len()].copy_from_slice(bytes);
                        black_box(&out);
                    }
                })
            },
        );
        let what = "random get by ordinal, 64 atoms, stored";
        self.time(what.into(), asked.len(), &pair, Target::AtMost(1.5));
    }

    /// Size of the file against the bare records in blocks of 256 KiB.
    fn sizes(&mut self, data: &Data, what: &str) {
        if !self.runs("size") {
            return;
        }
        let all = data.records.concat();
        self.notes.push(format!("size: {}", data.what));
        for codec in CODECS {
            for (purpose, keys, target) in [
                (Purpose::Dense, false, Target::AtMost(1.02)),
                (Purpose::Balanced, false, Target::AtMost(1.07)),
                (Purpose::Random, false, Target::AtMost(1.13)),
                (Purpose::Balanced, true, Target::Reported),
            ] {
                let path = self.dir.join("size");
                let opts = options(purpose, Some(codec), self.threads);
                write(&path, &opts, &data.records, keys);
                let file = std::fs::read(&path).unwrap();
                let len = file.len();
                let chunks = Chunks::of(file);
                let theirs = dense_size(opts.layout.params(), &all);
                let share = |n: usize| format!("{:.4}", n as f64 / all.len() as f64);
                let named = if keys { ", keys of 12 letters" } else { "" };
                let label = format!("size, {what}, {}, {}{named}", purpose.name(), codec.name());
                let mut note = format!("{label}: file {len} B, of that chunks {}", chunks.cbytes());
                let filled = chunks.list.len() * chunks.chunk_size;
                let _ = write!(note, ", records {}, logical space {filled}", all.len());
                self.notes.push(note);
                let ratio = len as f64 / theirs as f64;
                self.row(label, share(len), share(theirs), ratio, target);
                std::fs::remove_file(&path).unwrap();
            }
        }
    }

    /// Ten million records of 100 bytes.
    fn large(&mut self) {
        const N: u64 = 10_000_000;
        let path = self.dir.join("large");
        let opts = StoreOptions {
            write: WriteOptions {
                original_table: OriginalTable::Never,
                durability: Durability::Kernel,
                ..options(Purpose::Random, Some(Algorithm::Lz4), self.threads).write
            },
            ..options(Purpose::Random, Some(Algorithm::Lz4), self.threads)
        };
        let mut w = Writer::create(&path, &opts).unwrap();
        for i in 0..N {
            w.insert(i, &large_record(i)).unwrap();
        }
        w.close().unwrap();
        let asked = Random(11).list(20_000, N);
        let chunks = Chunks::of(std::fs::read(&path).unwrap());
        self.note(&format!("large: {N} records of 100 B, keys i64"), &chunks);
        for (cache, cache_bytes) in [("off", 0), ("32 MiB", 32 << 20)] {
            let store =
                Store::open_with(&path, &ReadOptions { cache_bytes, ..opts.write.reading() })
                    .unwrap();
            let mut places = Vec::new();
            for i in &asked {
                assert_eq!(*store.get_at(*i).unwrap(), large_record(*i)[..]);
                assert_eq!(*store.get(*i).unwrap(), large_record(*i)[..]);
                let p = store.location_at(*i).unwrap();
                places.push((
                    p.start as usize / chunks.chunk_size,
                    p.start as usize % chunks.chunk_size,
                ));
            }
            let mut context = Context::decompressing();
            let mut out = [0; 100];
            let mut reference = || {
                seconds(|| {
                    for (c, at) in &places {
                        context.get(chunks.bytes(*c), 4, *at, &mut out);
                        black_box(&out);
                    }
                })
            };
            let by_ordinal = || {
                seconds(|| {
                    for i in &asked {
                        black_box(store.get_at(*i).unwrap());
                    }
                })
            };
            let pair = interleave(self.rounds, by_ordinal, &mut reference);
            let what = format!("random get by ordinal, 10 M records of 100 B, lz4, cache {cache}");
            self.time(what, asked.len(), &pair, Target::Reported);
            let by_key = || {
                seconds(|| {
                    for i in &asked {
                        black_box(store.get(*i).unwrap());
                    }
                })
            };
            let pair = interleave(self.rounds, by_key, &mut reference);
            let what =
                format!("random get by key (i64), 10 M records of 100 B, lz4, cache {cache}");
            self.time(what, asked.len(), &pair, Target::Reported);
        }
        std::fs::remove_file(&path).unwrap();
    }

    fn note(&mut self, what: &str, chunks: &Chunks) {
        let mut sizes: Vec<u32> = chunks.list.iter().map(|c| c.layout.block_size()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        self.notes.push(format!(
            "{what}; {} chunks of {} KiB, blocks of {sizes:?} B",
            chunks.list.len(),
            chunks.chunk_size >> 10
        ));
    }

    fn print(&self) {
        let mut out = String::from(
            "\n| what | ours | reference | ratio | target | met |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for r in &self.rows {
            let Row { what, ours, reference, ratio, target, met } = r;
            let _ = writeln!(out, "| {what} | {ours} | {reference} | {ratio} | {target} | {met} |");
        }
        out.push('\n');
        let mut seen = Vec::new();
        for n in &self.notes {
            if !seen.contains(&n) {
                let _ = writeln!(out, "* {n}");
                seen.push(n);
            }
        }
        println!("{out}");
    }
}

/// 100 bytes of numbers that change slowly, as a log of a few values would.
fn large_record(i: u64) -> [u8; 100] {
    let mut out = [0; 100];
    for (k, part) in (0_u64..).zip(out.as_chunks_mut::<4>().0) {
        let x = (i as f32 * 0.01 + k as f32).sin() * (k + 1) as f32;
        *part = x.to_le_bytes();
    }
    out
}
