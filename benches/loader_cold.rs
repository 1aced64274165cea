//! A shuffled epoch of the training loader where a read is slow, against one in order and against single
//! records in random order, in one run: a file whose pages were dropped before each turn, and a backend
//! that waits before each read as a network file system does. Real frames of 64 atoms. FRAMES, ROUNDS,
//! WAIT (microseconds) and GAP (bytes that are rather read than skipped) in the environment change the records,
//! the turns, the wait and how reads are joined.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench may panic, and prints"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::data;
use support::measure::{Pair, interleave, median, seconds, setting, wanted};
use vlstore::backend::{Access, Backend, FileBackend, Mapping};
use vlstore::chunk::Algorithm;
use vlstore::loader::{Batching, Loader, LoaderOptions, Permutation, Shuffle};
use vlstore::trajectory::arrays::{ArrayInfo, ArrayRequest, Collator, Selection};
use vlstore::{
    Error, Existing, Layout, Purpose, ReadOptions, Readable, Result, Snapshot, Store, StoreOptions,
    WriteOptions, Writer,
};

/// Waits before each read, and counts them.
#[derive(Debug)]
struct Waiting {
    file: FileBackend,
    wait: Duration,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Backend for Waiting {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        std::thread::sleep(self.wait);
        self.file.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.file.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }
    fn sync(&self) -> Result<()> {
        self.file.sync()
    }
    fn map(&self, _len: u64) -> Result<Option<Mapping>> {
        Ok(None)
    }
    fn writable(&self) -> bool {
        false
    }
    fn gap(&self) -> u64 {
        setting("GAP", 64 << 10) as u64
    }
}

/// An epoch as the arrays of frames; how many there were.
fn epoch(snapshot: &Snapshot, shuffle: Shuffle) -> u64 {
    let batching = Batching { records: Some(32), ..Batching::default() };
    let options = LoaderOptions { batching, shuffle, ..LoaderOptions::default() };
    let loader = Loader::new(snapshot.clone(), options).unwrap();
    let collator = Collator::new(ArrayRequest { batch: false, ..ArrayRequest::default() });
    let run = loader.start(move |asked| {
        let new = |array: &ArrayInfo| Ok::<_, Error>(vec![0_u8; array.bytes()]);
        let chosen = Selection::Ordinals(asked.ordinals());
        collator.arrays_of(asked.snapshot(), chosen, asked.plan()?, new)
    });
    run.unwrap().map(|batch| batch.unwrap().places().len() as u64).sum()
}

/// A part of the records, one by one in random order, as bytes.
fn singles(snapshot: &Snapshot) -> u64 {
    let order = Permutation::new(snapshot.len(), 1);
    let few = (0..snapshot.len() / SINGLES).map(|i| order.at(i));
    few.map(|ordinal| u64::from(!snapshot.get_at(ordinal).unwrap().is_empty())).sum()
}

/// One record of so many is read alone.
const SINGLES: u64 = 64;

/// Takes the pages of the file out of memory, where the system does so.
fn drop_pages(path: &Path) {
    #[cfg(target_os = "linux")]
    {
        let file = std::fs::File::open(path).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}

fn cold(path: &Path, f: impl Fn(&Snapshot) -> u64) -> f64 {
    drop_pages(path);
    let snapshot = Store::open(path).unwrap().snapshot();
    seconds(|| assert!(f(&snapshot) > 0))
}

fn waiting(path: &Path) -> (Arc<Waiting>, Snapshot) {
    let file = FileBackend::open_read(path, Access::Auto).unwrap();
    let wait = Duration::from_micros(setting("WAIT", 1000) as u64);
    let backend = Arc::new(Waiting { file, wait, reads: 0.into(), bytes: 0.into() });
    let store = Store::open_in(backend.clone(), &ReadOptions::default()).unwrap();
    (backend, store.snapshot())
}

fn measure(records: &[Vec<u8>], raw: usize, name: &str, compression: Algorithm, purpose: Purpose) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loader.vls");
    let layout = Layout { purpose, compression: Some(compression).into(), ..Layout::default() };
    let options = StoreOptions { layout, write: WriteOptions::default() };
    let mut w = Writer::create(&path, &options).unwrap();
    for record in records {
        w.put_sized(None, record, data::SMALL as u32, Existing::Refuse).unwrap();
    }
    w.close().unwrap();
    std::fs::File::open(&path).unwrap().sync_all().unwrap();
    let rounds = setting("ROUNDS", 3);
    let rate = |bytes: usize, s: &[f64]| bytes as f64 / median(s) / 1e6;
    println!(
        "{name}: {} MB in a file of {} MB",
        raw / 1_000_000,
        path.metadata().unwrap().len() / 1_000_000
    );

    let shuffled = || cold(&path, |s| epoch(s, Shuffle::Windows));
    let pair = interleave(rounds, shuffled, || cold(&path, |s| epoch(s, Shuffle::Sequential)));
    let single = interleave(rounds, || cold(&path, singles), || cold(&path, singles));
    println!(
        "  pages dropped: {:>6.0} MB/s shuffled, {:>6.0} in order: {:.2}; single records {:>5.1} MB/s",
        rate(raw, &pair.ours),
        rate(raw, &pair.reference),
        1.0 / pair.ratio(),
        rate(raw / SINGLES as usize, &single.ours),
    );

    // Opened for each turn: nothing is kept from the one before.
    let (reads, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let wait = |f: &dyn Fn(&Snapshot) -> u64| {
        let (backend, snapshot) = waiting(&path);
        let time = seconds(|| assert!(f(&snapshot) > 0));
        reads.store(backend.reads.load(Ordering::Relaxed), Ordering::Relaxed);
        bytes.store(backend.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        time
    };
    let single = interleave(rounds, || wait(&singles), || 0.0);
    let shuffled = || wait(&|s| epoch(s, Shuffle::Windows));
    let pair = interleave(rounds, || wait(&|s| epoch(s, Shuffle::Sequential)), shuffled);
    let pair = Pair { ours: pair.reference, reference: pair.ours };
    let (reads, bytes) = (reads.into_inner(), bytes.into_inner());
    println!(
        "  a wait a read: {:>6.0} MB/s shuffled, {:>6.0} in order: {:.2}; single records {:>5.1} MB/s; \
         {} reads of {} kB a shuffled epoch",
        rate(raw, &pair.ours),
        rate(raw, &pair.reference),
        1.0 / pair.ratio(),
        rate(raw / SINGLES as usize, &single.ours),
        reads,
        bytes / reads.max(1) / 1000,
    );
}

fn main() {
    if !wanted() {
        return;
    }
    let set = data::small(setting("FRAMES", 40_000));
    let raw = set.bytes();
    let records: Vec<Vec<u8>> = set.records.iter().map(|r| r.to_vec()).collect();
    measure(&records, raw, "zstd dense", Algorithm::Zstd, Purpose::Dense);
    measure(&records, raw, "zstd balanced", Algorithm::Zstd, Purpose::Balanced);
    measure(&records, raw, "lz4 balanced", Algorithm::Lz4, Purpose::Balanced);
}
