//! Damage of every kind to one small store (promises P2, P3 and P6): each bit flipped, the file
//! cut at each length, sectors zeroed, swapped, repeated and filled with noise. The answer is an
//! error, an older state that is reported as such, or the right bytes: never wrong bytes, never
//! silently fewer records, never a panic, and no memory beyond 64 MiB and four times the file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]

mod common;

use common::{Model, Rec, compare, content, scaled_or_one_in, thorough};
use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::{RecordingBackend, SECTOR, Seeded};
use vlstore::backend::{Backend, MemoryBackend, SliceBackend};
use vlstore::chunk::Algorithm;
use vlstore::{
    Alignment, Durability, Key, Layout, Opened, Store, StoreOptions, WriteOptions, Writer,
};

/// Fails the allocation, and by that the test, above the ceiling of promise P4.
#[global_allocator]
static MEMORY: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// Bursts of noise of random place and length.
const BURSTS: u64 = 2_500;

/// A store as it is on disk, and its state at every commit that it may still show.
struct Subject {
    name: &'static str,
    image: Vec<u8>,
    options: StoreOptions,
    states: Vec<(u64, Model)>,
}

impl Subject {
    fn newest(&self) -> u64 {
        self.states.last().unwrap().0
    }

    /// What is wrong with the answers of the store in `image`; nothing if they are errors or
    /// right.
    fn judge(&self, image: Vec<u8>, seed: u64) -> Result<Verdict, String> {
        let backend: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(image));
        let store = match Store::open_in(backend, &self.options.write.reading()) {
            Ok(store) => store,
            Err(_) => return Ok(Verdict::Refused),
        };
        let generation = store.generation();
        let Some((_, model)) = self.states.iter().find(|s| s.0 == generation) else {
            return Err(format!("opened at commit {generation}, which never was"));
        };
        let older = generation != self.newest();
        if older && store.opened() == Opened::Intact {
            return Err(format!("silently fell back to commit {generation}"));
        }
        match compare(&store, model, seed)? {
            Ok(()) if older => Ok(Verdict::Older),
            Ok(()) => Ok(Verdict::Right),
            Err(e) => {
                let verified = store.verify(|_, _| Ok(())).map_err(|e| format!("verify: {e}"))?;
                if verified.is_intact() {
                    return Err(format!("verify found nothing, but: {e}"));
                }
                Ok(Verdict::Error)
            }
        }
    }

    fn check(&self, image: Vec<u8>, seed: u64, what: &str) -> Verdict {
        let answer = catch_unwind(AssertUnwindSafe(|| self.judge(image, seed)));
        match answer {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => panic!("{}, {what}: {why}", self.name),
            Err(_) => panic!("{}, {what}: panicked", self.name),
        }
    }
}

impl Subject {
    /// Lets a writer go on with a damaged file: it refuses, or fails with an error, or what it
    /// commits is there beside what it found.
    fn write_on(&self, image: Vec<u8>, what: &str) -> bool {
        let Ok(store) = Store::from_bytes(image.clone()) else { return false };
        let found = self.states.iter().find(|s| s.0 == store.generation());
        let mut model = found.map(|s| s.1.clone()).unwrap_or_default();
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(image));
        let Ok(mut w) = Writer::open_in(backend.clone(), &self.options.write) else {
            return false;
        };
        assert_eq!(w.len(), model.records.len() as u64, "{}, {what}", self.name);
        for i in 0..3_u64 {
            let rec = Rec { key: Some(Key::from(1000 + i)), bytes: b"new"[..].into(), sites: 1 };
            // A put looks for the key, and may find the index damaged there.
            if w.put_sized(rec.key.as_ref(), &rec.bytes, 1, vlstore::Existing::Refuse).is_err()
                || w.commit().is_err()
            {
                return false;
            }
            model.put(rec);
        }
        let generation = w.generation();
        let closed = w.close();
        let store = match Store::open_in(backend, &self.options.write.reading()) {
            Ok(store) => store,
            Err(e) => panic!("{}, {what}: cannot be opened after a commit: {e}", self.name),
        };
        assert!(store.generation() >= generation, "{}, {what}", self.name);
        if let Err(why) = compare(&store, &model, 1) {
            panic!("{}, {what}, after a commit: {why}", self.name);
        }
        closed.is_ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Refused,
    Error,
    Older,
    Right,
}

/// About 32 KiB: several commits, seals, deletions, shared records, attributes; stored and compressed chunks.
fn subject(name: &'static str, codec: Option<Algorithm>, sealed: bool) -> Subject {
    let options = StoreOptions {
        layout: Layout {
            chunk_size: 4096,
            block_size: 2048,
            compression: codec.into(),
            alignment: if sealed { Alignment::Block } else { Alignment::Contiguous },
            file_id: Some([7; 16]),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            durability: Durability::Kernel,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            cache_bytes: 4096,
            ..WriteOptions::default()
        },
    };
    let backend = Arc::new(RecordingBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let mut model = Model::default();
    let mut states = vec![(w.generation(), model.clone())];
    for i in 0..28_u64 {
        let key = (i % 4 != 3).then(|| Key::from(format!("k{}", i % 20)));
        let len = [0, 30, 700, 1900][(i % 4) as usize] / if codec.is_none() { 3 } else { 1 };
        let bytes: Arc<[u8]> = content(i * 4 + 1 + i % 3, len).into();
        let rec = Rec { key, bytes, sites: i as u32 };
        w.put_sized(rec.key.as_ref(), &rec.bytes, rec.sites, vlstore::Existing::Replace).unwrap();
        model.put(rec);
        if i % 7 == 2 {
            let bytes = content(i + 90, 150);
            w.share(&bytes).unwrap();
            model.share(&bytes);
        }
        if i % 5 == 4 {
            w.delete_at(1).unwrap();
            model.records.remove(1);
        }
        if i == 9 || i == 24 {
            model.mark = Some(i);
            w.set_attributes(&model.attributes()).unwrap();
        }
        if i % 3 == 2 {
            w.commit().unwrap();
            states.push((w.generation(), model.clone()));
        }
        if i == 14 {
            w.seal().unwrap();
            states.push((w.generation(), model.clone()));
        }
    }
    if sealed {
        w.seal().unwrap();
        states.push((w.generation(), model.clone()));
    } else {
        for n in 0..2 {
            w.push(b"the last ones").unwrap();
            model.put(Rec { key: None, bytes: b"the last ones"[..].into(), sites: 0 });
            if n == 0 {
                w.delete("k1").unwrap();
                let at = model.find(&Key::from("k1")).unwrap();
                model.records.remove(at);
            }
            w.commit().unwrap();
            states.push((w.generation(), model.clone()));
        }
    }
    drop(w);
    Subject { name, image: backend.to_bytes(), options, states }
}

fn subjects() -> Vec<Subject> {
    vec![
        subject("Zstd, commits behind the last seal", Some(Algorithm::Zstd), false),
        subject("stored, sealed", None, true),
        subject("LZ4, sealed", Some(Algorithm::Lz4), true),
        subject("stored, commits behind the last seal", None, false),
    ]
}

/// Runs `f` for `0..n` on both cores and counts the verdicts.
fn each(n: u64, f: impl Fn(u64) -> Verdict + Sync) -> [u64; 4] {
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..2)
            .map(|part| {
                let f = &f;
                scope.spawn(move || {
                    let mut counts = [0; 4];
                    for i in (part..n).step_by(2) {
                        counts[f(i) as usize] += 1;
                    }
                    counts
                })
            })
            .collect();
        let mut all = [0; 4];
        for part in parts {
            let counts = part.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
            all.iter_mut().zip(counts).for_each(|(a, c)| *a += c);
        }
        all
    })
}

fn limit(subject: &Subject) {
    let ceiling = MEMORY.allocated() + (64 << 20) + 4 * subject.image.len();
    MEMORY.set_limit(ceiling).unwrap();
}

#[test]
fn no_damage_gives_wrong_bytes_or_silently_fewer() {
    for (i, subject) in subjects().iter().enumerate() {
        let n = subject.image.len();
        assert_eq!(subject.check(subject.image.clone(), 0, "undamaged"), Verdict::Right);
        assert!((24 << 10..48 << 10).contains(&n), "{}: {n} bytes", subject.name);
        limit(subject);
        // A bit of each sixth byte of one store and of each 24th byte of the others, and a cut at each
        // 24th byte; a campaign tries all bits of the first, a bit of each byte, and all cuts.
        let (step, apart) = match (thorough(), i) {
            (true, 0) => (1, 1),
            (true, _) => (8, 1),
            (false, 0) => (48, 24),
            (false, _) => (192, 24),
        };
        let flips = each(n as u64 * 8 / step, |k| {
            let bit = k * step + k / 8 % step;
            let mut image = subject.image.clone();
            image[bit as usize / 8] ^= 1 << (bit % 8);
            subject.check(image, bit, &format!("bit {} of byte {}", bit % 8, bit / 8))
        });
        let cuts = each(n as u64 / apart, |k| {
            let len = k * apart + k % apart;
            let image = subject.image[..len as usize].to_vec();
            let verdict = subject.check(image, len, &format!("cut to {len}"));
            let behind = len >= subject.image.len() as u64 - 64;
            assert!(behind || verdict != Verdict::Right, "cut to {len}, and nothing was missed");
            verdict
        });
        println!("{}: refused, error, older, right: flips {flips:?}, cuts {cuts:?}", subject.name);
        sectors(subject);
        bursts(subject);
    }
}

#[test]
fn a_writer_that_goes_on_with_a_damaged_file_refuses_or_commits_for_good() {
    for subject in &subjects()[..2] {
        let good = std::sync::atomic::AtomicU64::new(0);
        let n = subject.image.len() as u64;
        let step = if thorough() { 48 } else { 192 };
        each(n * 8 / step, |k| {
            let bit = k * step + k % step;
            let mut image = subject.image.clone();
            image[bit as usize / 8] ^= 1 << (bit % 8);
            let what = format!("bit {} of byte {}", bit % 8, bit / 8);
            let on = catch_unwind(AssertUnwindSafe(|| subject.write_on(image, &what)));
            match on {
                Ok(true) => drop(good.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                Ok(false) => {}
                Err(e) => std::panic::resume_unwind(e),
            }
            Verdict::Right
        });
        println!("{}: {good:?} of {} went on", subject.name, n / 6);
    }
}

fn sectors(subject: &Subject) {
    let n = subject.image.len().div_ceil(SECTOR);
    let at = |i: usize| i * SECTOR..((i + 1) * SECTOR).min(subject.image.len());
    let counts = each(n as u64, |i| {
        let i = i as usize;
        for value in [0, 0xff] {
            let mut image = subject.image.clone();
            image[at(i)].fill(value);
            subject.check(image, 1, &format!("sector {i} all {value}"));
        }
        // One of eight pairs of sectors; a campaign tries all.
        for j in (0..n).filter(|j| thorough() || (i + j).is_multiple_of(8)) {
            let (from, to) = (at(j), at(i));
            let len = from.len().min(to.len());
            let mut image = subject.image.clone();
            image.copy_within(from.start..from.start + len, to.start);
            subject.check(image.clone(), 2, &format!("sector {j} also in the place of {i}"));
            image[from.start..from.start + len]
                .copy_from_slice(&subject.image[to.start..to.start + len]);
            subject.check(image, 3, &format!("sectors {i} and {j} swapped"));
        }
        // Everything from here on moved by one sector, as by a lost or doubled write.
        let mut image = subject.image.clone();
        image.drain(at(i));
        subject.check(image, 4, &format!("sector {i} left out"));
        let mut image = subject.image.clone();
        let double = image[at(i)].to_vec();
        image.splice(at(i).start..at(i).start, double);
        subject.check(image, 5, &format!("sector {i} doubled"))
    });
    println!("  sectors: {counts:?}");
}

fn bursts(subject: &Subject) {
    let counts = each(scaled_or_one_in(4, BURSTS), |seed| {
        let mut rng = Seeded::new(seed);
        let mut image = subject.image.clone();
        for _ in 0..=rng.below(3) {
            let most = 1 << rng.below(12);
            let len = 1 + rng.below(most) as usize;
            let from = rng.below(image.len() as u64) as usize;
            let end = (from + len).min(image.len());
            let fill = rng.below(3);
            image[from..end].iter_mut().for_each(|b| {
                *b = [0, 0xff, rng.next() as u8][fill as usize];
            });
        }
        subject.check(image, seed, &format!("burst {seed}"))
    });
    println!("  bursts: {counts:?}");
}
