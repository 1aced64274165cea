//! Damage of every kind to stores of every kind: bits flipped, files cut, and what lay in 512 bytes
//! to 64 KiB lost, which then is zeros, ones, noise, or what was there before. Silent is what neither
//! is an error nor a report and is not what was stored: fewer records, other bytes, a missing key,
//! another attribute or column. Not even "an older state" or "a file without checksums" counts,
//! unless the caller is told.
//!
//! And what is damaged is never covered over: who opens such a store for writing is refused and
//! leaves it byte by byte as it was, or goes on with all of it, and afterwards no less can be
//! recovered than before.
//!
//! `VLSTORE_TEST_SCALE` multiplies the figures; `scripts/campaign` does so.

#![allow(unreachable_pub, reason = "used by the modules of this folder")]

mod judge;
mod kinds;
mod known;

use crate::common::{scaled_or_one_in, thorough};
use judge::{Truth, open};
use kinds::Kind;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vlstore::Readable;
use vlstore::backend::fault::Seeded;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::maintain::{RecoverOptions, recover_into};
use vlstore::{Error, Key, Opened, ReadOptions, Store, StoreOptions, WriteOptions, Writer};

/// Damages of each kind of store, in each of flips, cuts and losses.
const FLIPS: u64 = 200;
const CUTS: u64 = 30;
const LOSSES: u64 = 500;
/// One in so many damaged stores is written to; of those one in so many is recovered before and after.
const WRITTEN: u64 = 4;
const RECOVERED: u64 = 5;

/// How a damaged store answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// It does not open.
    Refused,
    /// It opens, and says that it is an older state.
    Older,
    /// All that it gives is right, and the rest are errors.
    Errors,
    /// All is right.
    Right,
    /// Both slot pages went back to what they were before the newest commit, as if the power had
    /// been cut then: nothing can tell the two.
    Back,
}

/// What happened to the file.
#[derive(Debug, Clone)]
enum Damage {
    Flip { byte: usize, bit: u8 },
    Cut(usize),
    Loss { at: usize, len: usize, fill: Fill },
}

#[derive(Debug, Clone, Copy)]
enum Fill {
    Zeros,
    Ones,
    Noise(u64),
    /// What lay there so many commits before.
    Stale(usize),
}

impl Damage {
    fn loss(rng: &mut Seeded, kind: &Kind) -> Self {
        let len = 512 << rng.below(8);
        let most = kind.image().len().div_ceil(len) as u64;
        // Places of all sectors, and often such as a page, or a whole extent, begins at.
        let at = if rng.below(2) == 0 {
            rng.below(most) as usize * len
        } else {
            rng.below(kind.image().len().div_ceil(512) as u64) as usize * 512
        };
        let fill = match rng.below(5) {
            0 => Fill::Zeros,
            1 => Fill::Ones,
            2 => Fill::Noise(rng.next()),
            _ => Fill::Stale(1 + rng.below(kind.states.len() as u64 - 1) as usize),
        };
        Self::Loss { at, len, fill }
    }

    fn apply(&self, kind: &Kind) -> Vec<u8> {
        let mut image = kind.image().to_vec();
        match *self {
            Self::Flip { byte, bit } => image[byte] ^= 1 << bit,
            Self::Cut(len) => image.truncate(len),
            Self::Loss { at, len, fill } => {
                let end = (at + len).min(image.len());
                match fill {
                    Fill::Zeros => image[at..end].fill(0),
                    Fill::Ones => image[at..end].fill(0xff),
                    Fill::Noise(seed) => {
                        let mut rng = Seeded::new(seed);
                        image[at..end].iter_mut().for_each(|b| *b = rng.next() as u8);
                    }
                    Fill::Stale(back) => {
                        let old = &kind.states[kind.states.len() - 1 - back].image;
                        image[at..end].fill(0);
                        let end = end.min(old.len()).max(at.min(old.len()));
                        let at = at.min(end);
                        image[at..end].copy_from_slice(&old[at..end]);
                    }
                }
            }
        }
        image
    }

    /// Whether both slot pages went back to an earlier commit.
    const fn turns_back(&self) -> bool {
        matches!(self, Self::Loss { at, len, fill: Fill::Stale(_) } if *at <= 4096 && *at + *len > 10_240)
    }
}

/// Reads all of a damaged store; an error for what is wrong without a word.
fn judge(kind: &Kind, image: &[u8], damage: &Damage) -> Result<Answer, String> {
    let Ok(store) = open(image) else { return Ok(Answer::Refused) };
    let newest = kind.states.last().unwrap().truth.generation;
    let told = match store.opened() {
        Opened::Intact => false,
        Opened::OlderCommit { .. } | Opened::LastSeal { .. } => true,
        other => return Err(format!("opened as {other:?}")),
    };
    let generation = store.generation();
    // The newest state is the best that there is, also where it is not known to be that.
    let answer = match (generation == newest, told) {
        (true, _) => Answer::Right,
        (false, true) => Answer::Older,
        (false, false) if damage.turns_back() => Answer::Back,
        (false, false) => return Err(format!("commit {generation}, not {newest}, without a word")),
    };
    let truth = truth_of(kind, generation)?;
    match truth.compare(&store)? {
        0 => Ok(answer),
        _ if store.verify(|_, _| Ok(())).map_err(|e| format!("verify: {e}"))?.is_intact() => {
            Err("errors, and verify finds nothing".into())
        }
        _ => Ok(if answer == Answer::Right { Answer::Errors } else { answer }),
    }
}

fn truth_of(kind: &Kind, generation: u64) -> Result<&Truth, String> {
    let found = kind.states.iter().map(|s| &s.truth).find(|t| t.generation == generation);
    found.ok_or_else(|| format!("commit {generation}, which never was"))
}

/// How often each record is there, with its key.
type Found = BTreeMap<(Option<String>, Vec<u8>), u64>;

/// What recovery finds.
fn recovered(image: Vec<u8>) -> Option<Found> {
    let damaged: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(image));
    let new: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let store = StoreOptions {
        write: WriteOptions { threads: 1, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let options = RecoverOptions { store, ..RecoverOptions::default() };
    recover_into(&damaged, &new, &options, |_, _| Ok(())).ok()?;
    let store = Store::open_in(new, &ReadOptions::default()).unwrap();
    let mut out = BTreeMap::new();
    for i in 0..store.len() {
        let key = store.key_at(i).unwrap().map(|k| k.to_string());
        *out.entry((key, store.get_at(i).unwrap().to_vec())).or_default() += 1;
    }
    Some(out)
}

/// Lets a writer go on with a damaged file, as somebody would who knows of nothing.
fn write_on(kind: &Kind, image: &[u8], answer: Answer, recover: bool) -> Result<bool, String> {
    let backend = Arc::new(MemoryBackend::from_bytes(image.to_vec()));
    let untouched = |why: &str| {
        if backend.to_bytes() == image { Ok(false) } else { Err(format!("{why}, and wrote")) }
    };
    let mut w = match Writer::open_in(backend.clone(), &kind.options.write) {
        Ok(w) => w,
        Err(Error::Older { .. }) if answer == Answer::Right => {
            return untouched("refused as older what is the newest");
        }
        Err(_) => return untouched("refused"),
    };
    if answer == Answer::Older {
        return Err("an older state was opened for writing unasked".into());
    }
    let new = Key::from(&b"new"[..]);
    if w.insert(new.clone(), b"record").is_err() || w.commit().is_err() || w.close().is_err() {
        return Ok(false);
    }
    let after = backend.to_bytes();
    let store = open(&after).map_err(|e| format!("does not open after a commit: {e}"))?;
    if store.opened() != Opened::Intact {
        return Err(format!("{:?} after a commit", store.opened()));
    }
    if store.get(new).map_err(|e| format!("the new record: {e}"))?.to_vec() != b"record" {
        return Err("the new record is another".into());
    }
    if recover && let Some(before) = recovered(image.to_vec()) {
        let after = recovered(after).ok_or("nothing can be recovered after a commit")?;
        let lost = before.iter().find(|(record, n)| after.get(record).is_none_or(|m| m < n));
        if let Some(((key, bytes), _)) = lost {
            let (before, after) = (before.len(), after.len());
            return Err(format!(
                "recover gave {before} records before and {after} after a commit; gone is {key:?} of {} bytes",
                bytes.len()
            ));
        }
    }
    Ok(true)
}

/// Runs `f` for `0..n` on two threads; all failures, and how often each answer came.
fn each(n: u64, f: impl Fn(u64) -> Result<Answer, String> + Sync) -> (Vec<String>, Counts) {
    let (failures, counts) = (std::sync::Mutex::new(Vec::new()), Counts::default());
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (f, failures, counts) = (&f, &failures, &counts);
            scope.spawn(move || {
                for i in (part..n).step_by(2) {
                    match catch_unwind(AssertUnwindSafe(|| f(i))) {
                        Ok(Ok(answer)) => {
                            counts.0[answer as usize].fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(Err(why)) => failures.lock().unwrap().push(why),
                        Err(_) => failures.lock().unwrap().push(format!("{i} panicked")),
                    }
                }
            });
        }
    });
    (failures.into_inner().unwrap(), counts)
}

#[derive(Debug, Default)]
struct Counts([AtomicUsize; 5]);

/// Tries `n` damages and fails with the first few that were silent or covered over.
fn campaign(kind: &Kind, what: &str, n: u64, damage: impl Fn(u64) -> Damage + Sync) {
    let (failures, counts) = each(n, |i| {
        let damage = damage(i);
        let image = damage.apply(kind);
        let named = |why: String| format!("{damage:?}: {why}");
        let answer = judge(kind, &image, &damage).map_err(named)?;
        if i % WRITTEN == 0 && answer != Answer::Back {
            write_on(kind, &image, answer, i % (WRITTEN * RECOVERED) == 0).map_err(named)?;
        }
        Ok(answer)
    });
    println!("{}: {n} {what}: refused, older, errors, right, back: {counts:?}", kind.name);
    let shown = failures.iter().take(8).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(failures.is_empty(), "{}: {} of {n} {what}:\n  {shown}", kind.name, failures.len());
}

/// The most that the figures may say: then all there is is tried, each once.
fn of_all(figure: u64, all: u64) -> (u64, u64) {
    let n = scaled_or_one_in(4, figure).min(all);
    (n, all / n)
}

#[test]
fn flipped_bits_and_cuts_are_never_silent_and_never_covered_over() {
    for kind in kinds::all() {
        let len = kind.image().len() as u64;
        assert_eq!(judge(&kind, kind.image(), &Damage::Cut(0)), Ok(Answer::Right), "{}", kind.name);
        // All of the header that anything depends on, each sixth byte of the configuration, which has a
        // checksum, and a part of the rest; a campaign flips a bit of each of its bytes.
        let apart = if thorough() { 1 } else { 6 };
        let head: Vec<u64> = (0..128)
            .chain((1024..1600).step_by(apart))
            .chain([4096, 4352, 6144, 6400, 8192, 8448, 10_240, 10_496])
            .collect();
        let (n, step) = of_all(FLIPS, len * 8);
        campaign(&kind, "flips", n + head.len() as u64, |i| match head.get(i as usize) {
            Some(byte) => Damage::Flip { byte: *byte as usize, bit: (i % 8) as u8 },
            None => {
                let bit = (i - head.len() as u64) * step + ((i * 0x9e37_79b9) >> 7) % step;
                Damage::Flip { byte: (bit / 8) as usize, bit: (bit % 8) as u8 }
            }
        });
        let (n, step) = of_all(CUTS, len);
        campaign(&kind, "cuts", n, |i| Damage::Cut((i * step) as usize));
    }
}

#[test]
fn lost_pages_are_never_silent_and_never_covered_over() {
    for (seed, kind) in kinds::all().iter().enumerate() {
        campaign(kind, "losses", scaled_or_one_in(4, LOSSES), |i| {
            Damage::loss(&mut Seeded::new(seed as u64 * 1_000_003 + i), kind)
        });
    }
}

#[test]
fn a_file_of_the_original_is_reported_as_unchecked_whatever_happens_to_it() {
    let image = kinds::original();
    assert_eq!(open(&image).unwrap().opened(), Opened::Unchecked);
    assert_eq!(open(&image).unwrap().len(), 24);
    let options = StoreOptions::default();
    let kind = Kind { name: "original", options, states: Vec::new() };
    let (failures, _) = each(scaled_or_one_in(4, 4000), |i| {
        let mut rng = Seeded::new(i);
        let mut image = image.clone();
        if i % 2 == 0 {
            let byte = rng.below(image.len() as u64) as usize;
            image[byte] ^= 1 << rng.below(8);
        } else {
            let at = rng.below(image.len() as u64) as usize / 512 * 512;
            let end = (at + (512 << rng.below(5))).min(image.len());
            image[at..end].fill(rng.next() as u8);
        }
        let Ok(store) = open(&image) else { return Ok(Answer::Refused) };
        match store.opened() {
            Opened::Unchecked => Ok(Answer::Older),
            other => Err(format!("{} {i}: opened as {other:?}", kind.name)),
        }
    });
    assert!(failures.is_empty(), "{failures:?}");
}
