//! The power is cut at any call (promises P1 and P3): of what was not synced any subset of
//! sectors is there, and the file has any of its lengths. What opens is the last commit that
//! returned or the one in flight, whole, and another crash during recovery changes nothing.

use crate::common::{Model, Rec, check, content, scaled_or_one_in, thorough};
use crate::{common, frame};
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::{RecordingBackend, Seeded};
use vlstore::chunk::{Algorithm, Filter};
use vlstore::wire::Digest;
use vlstore::{
    Alignment, Compression, Durability, Key, Layout, Opened, OriginalTable, Store, StoreOptions,
    WriteOptions, Writer,
};

/// Seeded pieces of work whose calls are recorded.
const WORKLOADS: u64 = 12;
/// Images of a power cut, over all workloads.
const IMAGES: u64 = 10_000;
/// Of these, images after which work goes on and the power is cut again: one in so many.
const TWICE: u64 = 10;
/// Of these, images whose Blosc2 frame is read too: one in so many.
const FRAMES: u64 = 8;

/// A commit or a seal: the calls during which it was under way, and what it made.
#[derive(Debug, Clone)]
struct Event {
    begin: usize,
    end: usize,
    generation: u64,
    model: Model,
}

fn options(rng: &mut Seeded, durability: Durability) -> StoreOptions {
    let pick = |rng: &mut Seeded, n| rng.below(n) as usize;
    let chunk_size = [128, 1000, 4096, 16_384, 65_536][pick(rng, 5)];
    // Every other store commits by itself too, some of them when hardly anything was added.
    let commit_bytes = match pick(rng, 4) {
        0 => u64::from(chunk_size) * 4,
        1 => 4000,
        _ => u64::MAX,
    };
    StoreOptions {
        layout: Layout {
            chunk_size,
            compression: Compression::from(
                [None, Some(Algorithm::Lz4), Some(Algorithm::Zstd)][pick(rng, 3)],
            ),
            filter: [Filter::None, Filter::Shuffle][pick(rng, 2)],
            alignment: [
                Alignment::Block,
                Alignment::NoCross,
                Alignment::Contiguous,
                Alignment::Start,
            ][pick(rng, 4)],
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            original_table: [OriginalTable::Auto, OriginalTable::Always][pick(rng, 2)],
            durability,
            commit_bytes,
            commit_interval: Duration::from_secs(1_000_000),
            cache_bytes: 0,
            rows: (rng.below(2) == 0).then(common::rows),
            ..WriteOptions::default()
        },
    }
}

fn rec(rng: &mut Seeded) -> Rec {
    let most = [3, 100, 700, 5000][rng.below(4) as usize];
    let len = rng.below(most) as usize;
    let key = match rng.below(4) {
        0 => None,
        1 => Some(Key::from(rng.below(30))),
        _ => Some(Key::from(format!("name {}", rng.below(30)))),
    };
    Rec { key, bytes: content(rng.next(), len).into(), sites: rng.below(50) as u32 }
}

/// Some seeded work on one backend, with a note of every commit.
struct Work {
    backend: Arc<RecordingBackend>,
    options: StoreOptions,
    writer: Option<Writer>,
    now: Model,
    done: Model,
    events: Vec<Event>,
    /// What the file saw before it came here: the frame may still show it.
    before: Vec<Event>,
}

impl Work {
    /// Goes on with a file that holds `model` at `generation`.
    fn on(
        backend: Arc<RecordingBackend>,
        options: &StoreOptions,
        generation: u64,
        model: Model,
    ) -> Self {
        let first = Event { begin: 0, end: 0, generation, model: model.clone() };
        Self {
            backend,
            options: options.clone(),
            writer: None,
            now: model.clone(),
            done: model,
            events: vec![first],
            before: Vec::new(),
        }
    }

    /// Runs `call`, which may commit, and notes what it made.
    fn commits(&mut self, call: impl FnOnce(&mut Self)) {
        let begin = self.backend.ops();
        call(self);
        let generation = match &self.writer {
            Some(w) => w.generation(),
            None => Store::open_in(self.backend.clone(), &self.options.write.reading())
                .unwrap()
                .generation(),
        };
        let end = self.backend.ops();
        let model = self.done.clone();
        self.events.push(Event { begin, end, generation, model });
    }

    /// Runs a change, after which the store may have committed by itself: everything, or all
    /// but the newest records.
    fn may_commit(&mut self, change: impl FnOnce(&mut Writer)) {
        let begin = self.backend.ops();
        let now = self.now.clone();
        let w = self.writer();
        let before = w.generation();
        change(w);
        let (generation, committed) = (w.generation(), w.committed_len() as usize);
        if generation != before {
            // Two numbers are left out behind what an earlier writer never committed.
            assert!([before + 1, before + 3].contains(&generation), "{before} to {generation}");
            self.done = now;
            self.done.records.truncate(committed);
            let (end, model) = (self.backend.ops(), self.done.clone());
            self.events.push(Event { begin, end, generation, model });
        }
    }

    fn writer(&mut self) -> &mut Writer {
        if self.writer.is_none() {
            // Opening after a crash may seal.
            self.commits(|w| {
                w.writer = Some(Writer::open_in(w.backend.clone(), &w.options.write).unwrap());
            });
        }
        self.writer.as_mut().unwrap()
    }

    fn step(&mut self, rng: &mut Seeded) {
        self.writer();
        match rng.below(40) {
            0..4 => {
                // What others refer to, in the same commit as the first that does, or before.
                let bytes = content(rng.below(20), 200);
                let digest = Digest::of(&bytes);
                let rec = Rec { bytes: digest.as_bytes()[..].into(), ..rec(rng) };
                self.now.share(&bytes);
                self.now.put(rec.clone());
                self.may_commit(|w| {
                    assert_eq!(w.share(&bytes).unwrap(), digest);
                    w.put_sized(
                        rec.key.as_ref(),
                        &rec.bytes,
                        rec.sites,
                        vlstore::Existing::Replace,
                    )
                    .unwrap();
                });
            }
            4..20 => {
                let rec = rec(rng);
                self.now.put(rec.clone());
                self.may_commit(|w| {
                    w.put_sized(
                        rec.key.as_ref(),
                        &rec.bytes,
                        rec.sites,
                        vlstore::Existing::Replace,
                    )
                    .unwrap();
                });
            }
            20..24 if !self.now.records.is_empty() => {
                let at = rng.below(self.now.records.len() as u64);
                self.now.records.remove(at as usize);
                self.may_commit(|w| w.delete_at(at).unwrap());
            }
            24 => {
                self.now.mark = Some(rng.below(1000));
                let attributes = self.now.attributes();
                self.writer().set_attributes(&attributes).unwrap();
            }
            25..28 => {
                self.done = self.now.clone();
                self.commits(|w| {
                    w.writer().seal().unwrap();
                });
            }
            28 => {
                self.done = self.now.clone();
                self.commits(|w| assert!(w.writer.take().unwrap().close().is_ok()));
            }
            29 => {
                self.writer = None;
                self.now = self.done.clone();
            }
            _ => {
                self.done = self.now.clone();
                self.commits(|w| {
                    w.writer().commit().unwrap();
                });
            }
        }
    }

    /// The commits one of which must open if the machine stops during call `op`.
    fn allowed(&self, op: usize) -> impl Iterator<Item = &Event> {
        let last = self.events.iter().rposition(|e| e.end <= op).unwrap_or(0);
        self.events.iter().skip(last).filter(move |e| e.end <= op || e.begin <= op)
    }

    /// Opens `image` and says which commit is in it.
    fn open(&self, image: Vec<u8>, op: usize, what: &str) -> Event {
        self.open_as(image, op, what, false)
    }

    /// As [`Self::open`]; `torn` images may be reported as an older commit, because half of a
    /// slot looks like damage to one.
    fn open_as(&self, image: Vec<u8>, op: usize, what: &str, torn: bool) -> Event {
        let store = match Store::from_bytes(image) {
            Ok(store) => store,
            Err(e) => panic!("{what}: {e}"),
        };
        assert!(torn || store.opened() == Opened::Intact, "{what}: {:?}", store.opened());
        let generation = store.generation();
        let mut why = String::new();
        for event in self.allowed(op).collect::<Vec<_>>().into_iter().rev() {
            if event.generation == generation {
                match check(&store, &event.model, op as u64) {
                    Ok(()) => return event.clone(),
                    Err(e) => why = e,
                }
            }
        }
        let allowed: Vec<_> = self.allowed(op).map(|e| (e.begin, e.end, e.generation)).collect();
        panic!("{what}: commit {generation} opened; allowed {allowed:?}; {why}");
    }

    /// The Blosc2 frame in `image` is that of a seal, whole.
    fn check_frame(&self, image: &[u8], op: usize, what: &str) {
        let found = frame::read(image).unwrap_or_else(|e| panic!("{what}: frame: {e}"));
        let Some(records) = found.records else { return };
        let got: Vec<_> = records
            .iter()
            .map(|(key, start, end)| (key.clone(), &found.bytes[*start as usize..*end as usize]))
            .collect();
        // The last seal, or one that has begun since; an open or a close may have sealed or not.
        let seen = self.events.iter().filter(|e| e.begin <= op).chain(&self.before);
        let fits = seen.into_iter().any(|e| {
            e.model.records.len() == got.len()
                && e.model
                    .records
                    .iter()
                    .zip(&got)
                    .all(|(r, (key, bytes))| r.key.as_ref() == Some(key) && *r.bytes == **bytes)
        });
        assert!(fits, "{what}: the frame shows a state that never was: {} records", got.len());
    }
}

fn work(seed: u64, durability: Durability, steps: u64) -> (Work, Seeded) {
    let mut rng = Seeded::new(seed);
    let options = options(&mut rng, durability);
    // The file is made under another name and renamed: creating is over before the first crash.
    let born = Arc::new(RecordingBackend::new());
    drop(Writer::create_in(born.clone(), &options).unwrap());
    let backend = Arc::new(RecordingBackend::from_bytes(born.to_bytes()));
    let mut work = Work::on(backend, &options, 1, Model::default());
    for _ in 0..steps {
        work.step(&mut rng);
    }
    work.writer = None;
    (work, rng)
}

#[test]
fn after_a_power_cut_the_last_commit_or_the_one_in_flight_opens_whole() {
    let each = scaled_or_one_in(4, IMAGES).div_ceil(WORKLOADS);
    std::thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || {
                for seed in (part..WORKLOADS).step_by(2) {
                    power_cuts(seed, each);
                }
            });
        }
    });
}

fn power_cuts(seed: u64, images: u64) {
    let (work, mut rng) = work(seed, Durability::Sync, 120);
    let ops = work.backend.ops();
    for n in 0..images {
        let op = (n * (ops as u64 + 1) / images) as usize;
        let image_seed = rng.next();
        let what = format!("workload {seed}, call {op} of {ops}, image {image_seed}");
        let image = work.backend.crash_image(op, image_seed);
        if n % FRAMES == 0 {
            work.check_frame(&image, op, &what);
        }
        if n % TWICE != 0 {
            work.open(image, op, &what);
            continue;
        }
        // Go on from the image, and crash again: during recovery, or in a later commit.
        let at = work.open(image.clone(), op, &what);
        let again = Arc::new(RecordingBackend::from_bytes(image));
        let mut again = Work::on(again, &work.options, at.generation, at.model);
        again.before.clone_from(&work.events);
        for _ in 0..rng.below(12) {
            again.step(&mut rng);
        }
        again.writer();
        again.writer = None;
        again.check_frame(&again.backend.to_bytes(), usize::MAX, &what);
        let ops = again.backend.ops();
        for _ in 0..3 {
            let op = rng.below(ops as u64 + 1) as usize;
            let image_seed = rng.next();
            let what = format!("{what}; again, call {op} of {ops}, image {image_seed}");
            let image = again.backend.crash_image(op, image_seed);
            again.open(image, op, &what);
        }
        again.open(again.backend.to_bytes(), ops, &what);
    }
}

#[test]
fn a_killed_process_leaves_the_last_commit_also_without_syncs() {
    // Each is killed in every call.
    let workloads = if thorough() { WORKLOADS } else { WORKLOADS / 2 };
    std::thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || {
                for seed in (100 + part..100 + workloads).step_by(2) {
                    kills(seed);
                }
            });
        }
    });
}

fn kills(seed: u64) {
    let (work, mut rng) = work(seed, Durability::Kernel, 120);
    let ops = work.backend.ops();
    for op in 0..=ops {
        let part = rng.below(300) as usize;
        let what = format!("workload {seed}, killed in call {op} of {ops} after {part}");
        let image = work.backend.kill_image(op, 0);
        work.open(image.clone(), op, &what);
        if op % 8 == 0 {
            work.check_frame(&image, op, &what);
        }
        // Killed inside a write: the next writer sets right what is half there.
        let image = work.backend.kill_image(op, part);
        let at = work.open_as(image.clone(), op, &what, true);
        if op % 4 == 0 {
            let again = Arc::new(RecordingBackend::from_bytes(image));
            let mut again = Work::on(again, &work.options, at.generation, at.model);
            again.before.clone_from(&work.events);
            again.writer();
            again.check_frame(&again.backend.to_bytes(), usize::MAX, &what);
            for _ in 0..3 {
                again.step(&mut rng);
            }
            again.writer = None;
            let ops = again.backend.ops();
            again.open_as(again.backend.to_bytes(), ops, &what, true);
            again.check_frame(&again.backend.to_bytes(), usize::MAX, &what);
        }
    }
}
