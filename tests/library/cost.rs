//! What commits, opening and batches cost, counted in bytes and calls at the backend, so that
//! the machine does not matter.

use crate::common::scaled;
use crate::{common, frame};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::Seeded;
use vlstore::backend::{Backend, Mapping, MemoryBackend};
use vlstore::codec::{MdFrame, Real};
use vlstore::{
    Compression, Durability, Layout, Purpose, Result, Store, StoreOptions, WriteOptions, Writer,
    formats,
};

const FRAMES: u64 = 8000;
const SITES: usize = 1000;
const COMMITS: u64 = 100_000;

/// Memory that counts what is done to it.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryBackend,
    written: AtomicU64,
    reads: Mutex<Vec<(u64, usize)>>,
}

impl Counting {
    fn forget(&self) {
        self.written.store(0, Ordering::Relaxed);
        self.reads.lock().unwrap().clear();
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Calls and bytes of reading.
    fn read(&self) -> (usize, usize) {
        let reads = self.reads.lock().unwrap();
        (reads.len(), reads.iter().map(|r| r.1).sum())
    }
}

impl Backend for Counting {
    fn len(&self) -> Result<u64> {
        self.inner.len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.reads.lock().unwrap().push((offset, buf.len()));
        self.inner.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.inner.write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)
    }
    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
    fn map(&self, _len: u64) -> Result<Option<Mapping>> {
        Ok(None)
    }
    fn writable(&self) -> bool {
        true
    }
}

fn options(purpose: Purpose) -> StoreOptions {
    StoreOptions {
        layout: Layout { purpose, ..Layout::default() },
        write: WriteOptions {
            threads: 2,
            durability: Durability::Kernel,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            ..WriteOptions::default()
        },
    }
}

/// Coordinates of about a thousand atoms, frame by frame: those of a real run where its file is
/// at hand, else atoms that jitter about slowly drifting places, rounded as XTC rounds.
fn coordinates() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/md/ala2-npt.xtc");
    let mut out: Vec<Vec<u8>> = Vec::new();
    if let Ok(mut reader) = formats::open(&path) {
        let mut frame = MdFrame::default();
        while out.len() < 500 && reader.next_frame(&mut frame).unwrap() {
            let mut numbers: Vec<f32> = match &frame.positions {
                Some(Real::F32(v)) => v.clone(),
                _ => Vec::new(),
            };
            if numbers.is_empty() {
                break;
            }
            while numbers.len() < SITES * 3 {
                numbers.extend_from_within(..);
            }
            numbers.truncate(SITES * 3);
            out.push(numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
        }
    } else {
        eprintln!("generated coordinates are used: ../shared/data is not on this machine");
    }
    if out.is_empty() {
        let mut rng = Seeded::new(1);
        let mut unit = || rng.below(1 << 20) as f32 / (1 << 20) as f32;
        let mut places: Vec<f32> = (0..SITES * 3).map(|_| unit() * 3.0).collect();
        for _ in 0..200 {
            for x in &mut places {
                *x = ((*x + (unit() - 0.5) * 0.1) * 1000.0).round() / 1000.0;
            }
            out.push(places.iter().flat_map(|x| x.to_le_bytes()).collect());
        }
    }
    out
}

#[test]
fn a_commit_after_each_frame_writes_three_times_the_bytes_at_most_and_keeps_one_and_a_half() {
    let frames = coordinates();
    let put = |w: &mut Writer, i: u64| {
        // The first bytes differ, so that no frame is another one's copy.
        let mut bytes = frames[i as usize % frames.len()].clone();
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        w.push(&bytes).unwrap();
    };
    for purpose in [Purpose::Balanced, Purpose::Random, Purpose::Dense] {
        let options = options(purpose);
        let n = FRAMES;
        let once = Arc::new(Counting::default());
        let mut w = Writer::create_in(once.clone(), &options).unwrap();
        (0..n).for_each(|i| put(&mut w, i));
        w.close().unwrap();
        let each = Arc::new(Counting::default());
        let mut w = Writer::create_in(each.clone(), &options).unwrap();
        for i in 0..n {
            put(&mut w, i);
            w.commit().unwrap();
        }
        w.close().unwrap();
        let written = each.written() as f64 / once.written() as f64;
        let kept = each.len().unwrap() as f64 / once.len().unwrap() as f64;
        println!("{}: {written:.2} times written, {kept:.3} times kept", purpose.name());
        assert!(written <= 3.0, "{}: {written:.2} times the bytes", purpose.name());
        assert!(kept <= 1.5, "{}: {kept:.2} times the file", purpose.name());
        // Opened as fast: in calls and bytes.
        let opening = |backend: &Arc<Counting>| {
            backend.forget();
            let store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
            assert_eq!(store.len(), n);
            store.get_at(n / 2).unwrap();
            backend.read()
        };
        let (one, many) = (opening(&once), opening(&each));
        println!("  opened and read one record with {one:?} and {many:?} calls and bytes");
        assert!(many.0 <= one.0 + 10, "{many:?} against {one:?}");
    }
}

#[test]
fn a_store_of_many_small_commits_opens_with_few_reads_of_few_bytes() {
    let options = StoreOptions {
        layout: Layout { compression: Compression::Lz4, ..options(Purpose::Balanced).layout },
        ..options(Purpose::Balanced)
    };
    let backend = Arc::new(Counting::default());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let n = scaled(COMMITS);
    for i in 0..n {
        w.insert(i, &i.to_le_bytes()).unwrap();
        w.commit().unwrap();
    }
    drop(w);
    println!("{} bytes written, {} kept", backend.written(), backend.len().unwrap());
    backend.forget();
    let mut store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
    let (calls, bytes) = backend.read();
    println!("opened with {calls} reads of {bytes} bytes");
    assert_eq!((store.len(), store.generation()), (n, n + 1));
    assert!(calls < 40, "{calls} reads to open");
    assert!(bytes < 4 << 20, "{bytes} bytes to open");
    // Whether there is something new is asked often, and the answer is mostly no.
    backend.forget();
    assert!(!store.refresh().unwrap());
    let (calls, bytes) = backend.read();
    assert!(calls < 8 && bytes < 16 << 10, "{calls} reads of {bytes} bytes to find nothing new");
    backend.forget();
    for i in (0..n).step_by(n as usize / 20) {
        backend.forget();
        assert_eq!(*store.get(i).unwrap(), i.to_le_bytes());
        let (calls, bytes) = backend.read();
        assert!(calls < 60 && bytes < 1 << 20, "record {i}: {calls} reads of {bytes} bytes");
    }
}

#[test]
fn what_the_last_seal_wrote_of_the_open_chunk_is_read_by_one_call() {
    let mut w = Writer::in_memory(&options(Purpose::Random)).unwrap();
    let records: Vec<Vec<u8>> = (0..60_u64)
        .map(|i| (0..500).flat_map(|k| (i * 977 + k * k).to_le_bytes()).collect())
        .collect();
    for (i, record) in (0_u64..).zip(&records) {
        w.insert(i, record).unwrap();
    }
    w.seal().unwrap();
    w.insert("behind", b"it").unwrap();
    w.commit().unwrap();
    let counting = Arc::new(Counting::default());
    let mut image = vec![0; w.backend().len().unwrap() as usize];
    w.backend().read_at(0, &mut image).unwrap();
    counting.write_at(0, &image).unwrap();
    let store =
        Store::open_in(counting.clone(), &options(Purpose::Random).write.reading()).unwrap();
    let (calls, _) = counting.read();
    // 15 blocks of 16 KiB.
    assert!(calls < 24, "{calls} reads to open");
    for (i, record) in (0_u64..).zip(&records) {
        assert!(store.get(i).unwrap()[..] == record[..], "{i}");
    }
}

/// Bytes of the file that are neither header nor a chunk of the sealed frame.
fn overhead(image: &[u8]) -> u64 {
    image.len() as u64 - 12_288 - frame::chunk_bytes(image).unwrap()
}

#[test]
fn the_index_stays_under_a_twentieth_and_a_mebibyte_for_any_pattern_of_commits() {
    let mut rng = Seeded::new(3);
    let noise: Vec<u8> = (0..1 << 20).map(|_| rng.next() as u8).collect();
    type Pattern = (&'static str, usize, u64, u64, u64);
    // Name, bytes of a record, records, commits every so many, closes every so many.
    let patterns: [Pattern; 6] = [
        ("one commit at the end", 1000, 10_000, u64::MAX, u64::MAX),
        ("a commit a record", 1000, 10_000, 1, u64::MAX),
        ("a commit a large record", 30_000, 1000, 1, u64::MAX),
        ("a commit every seven", 200, 40_000, 7, u64::MAX),
        ("reopened every fifty", 1000, 10_000, 5, 50),
        ("reopened every record", 3000, 600, 1, 1),
    ];
    for (name, len, n, commits, closes) in patterns {
        let options = StoreOptions {
            layout: Layout {
                chunk_size: 256 << 10,
                compression: Compression::Stored,
                ..options(Purpose::Balanced).layout
            },
            ..options(Purpose::Balanced)
        };
        let backend = Arc::new(Counting::default());
        let mut w = Writer::create_in(backend.clone(), &options).unwrap();
        for i in 0..n {
            let at = (i as usize * 7919) % (noise.len() - len);
            w.insert(i, &noise[at..at + len]).unwrap();
            if i % commits == commits - 1 {
                w.commit().unwrap();
            }
            if i % closes == closes - 1 {
                w.close().unwrap();
                w = Writer::open_in(backend.clone(), &options.write).unwrap();
            }
        }
        w.seal().unwrap();
        drop(w);
        let image = backend.inner.to_bytes();
        let over = overhead(&image);
        let written = backend.written() as f64 / image.len() as f64;
        // 40 bytes a record of entries, key and hash are live; the lookup names each key again.
        let live = n * 80;
        println!(
            "{name}: {} bytes, {over} beside the chunks ({:.1} %), of which {live} live at most; \
             {written:.2} times written",
            image.len(),
            over as f64 * 100.0 / image.len() as f64
        );
        // The log, which holds records too, stands beside: the extent in use, the one before
        // it, and the smaller ones from which it grew.
        let log = 4 * (2 * u64::from(options.layout.chunk_size)).max(1 << 20);
        let most = live + image.len() as u64 / 20 + (1 << 20) + log;
        assert!(over <= most, "{name}: {over} bytes beside the chunks, at most {most}");
    }
}

#[test]
fn a_batch_reads_each_touched_block_once_and_no_other() {
    let options = StoreOptions {
        layout: Layout {
            chunk_size: 64 << 10,
            block_size: 8192,
            compression: Compression::Lz4,
            ..options(Purpose::Random).layout
        },
        write: WriteOptions { cache_bytes: 0, ..options(Purpose::Random).write },
    };
    let backend = Arc::new(Counting::default());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let n = 4000_u64;
    let bytes = |i: u64| common::content(i * 4 + 1, 1000 + (i % 90) as usize);
    for i in 0..n {
        w.push(&bytes(i)).unwrap();
    }
    w.close().unwrap();
    let mut rng = Seeded::new(9);
    for threads in [1, 4] {
        for asked in [20_u64, 500, 3000] {
            let options = StoreOptions {
                write: WriteOptions { threads, ..options.clone().write },
                ..options.clone()
            };
            let store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
            let asked: Vec<u64> = (0..asked).map(|_| rng.below(n)).collect();
            let block = |i: u64| store.location_at(i).unwrap().start / 8192;
            let mut touched: Vec<u64> = asked.iter().map(|i| block(*i)).collect();
            touched.sort_unstable();
            touched.dedup();
            let chunks = touched.iter().map(|b| b / 8).collect::<std::collections::HashSet<_>>();
            // What finding the records and the chunks costs is paid before.
            store.get_batch_at(&asked).unwrap();
            backend.forget();
            let batch = store.get_batch_at(&asked).unwrap();
            for (i, found) in asked.iter().zip(batch.iter()) {
                assert_eq!(*found, *bytes(*i));
            }
            let mut times: HashMap<u64, u32> = HashMap::new();
            for (offset, _) in backend.reads.lock().unwrap().iter() {
                *times.entry(*offset).or_default() += 1;
            }
            let twice = times.values().filter(|n| **n > 1).count();
            assert_eq!(twice, 0, "{threads} threads, {} records", asked.len());
            let most = touched.len() + chunks.len();
            assert!(times.len() <= most, "{} reads, {} blocks", times.len(), touched.len());
            assert!(times.len() >= touched.len(), "{} reads", times.len());
        }
    }
}

#[test]
fn batches_that_follow_each_other_read_a_block_in_which_they_meet_once() {
    let options = options(Purpose::Dense);
    let backend = Arc::new(Counting::default());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let n = 8192_u64;
    let bytes = |i: u64| common::content(i * 4 + 1, 500 + (i % 90) as usize);
    for i in 0..n {
        w.push(&bytes(i)).unwrap();
    }
    w.close().unwrap();
    let store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
    // What finding the records and the chunks costs is paid before.
    store.plan_at(&(0..n).collect::<Vec<_>>()).unwrap();
    (0..n).for_each(|i| assert!(store.blocks_at(i).unwrap() <= 1));
    backend.forget();
    for first in (0..n).step_by(100) {
        let asked: Vec<u64> = (first..n.min(first + 100)).collect();
        let plan = store.plan_at(&asked).unwrap();
        plan.each(|i, found| {
            assert_eq!(*found, bytes(asked[i])[..]);
            Ok(())
        })
        .unwrap();
    }
    let mut times: HashMap<u64, u32> = HashMap::new();
    for (offset, _) in backend.reads.lock().unwrap().iter() {
        *times.entry(*offset).or_default() += 1;
    }
    assert!(times.len() >= 8, "{} reads", times.len());
    assert!(times.values().all(|n| *n == 1), "{times:?}");
}

#[test]
fn neighbours_in_short_blocks_are_read_together_and_single_ones_alone() {
    let options = options(Purpose::Random);
    let backend = Arc::new(Counting::default());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let n = 4096_u64;
    let bytes = |i: u64| common::content(i * 4 + 1, 500 + (i % 90) as usize);
    for i in 0..n {
        w.push(&bytes(i)).unwrap();
    }
    w.close().unwrap();
    let store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
    let reads = |asked: &[u64]| {
        let plan = store.plan_at(asked).unwrap();
        let visit = || {
            plan.each(|i, found| {
                assert_eq!(*found, bytes(asked[i])[..]);
                Ok(())
            })
        };
        // What finding the chunks costs is paid before.
        visit().unwrap();
        backend.forget();
        visit().unwrap();
        backend.reads.lock().unwrap().len()
    };
    let all: Vec<u64> = (0..n).collect();
    // Two megabytes of a few kilobytes each.
    let together = reads(&all);
    assert!(together <= 40, "{together} reads");
    let apart: Vec<u64> = (0..n).step_by(64).collect();
    let single = reads(&apart);
    assert_eq!(single, apart.len());
}

#[test]
fn opening_for_one_record_reads_no_more_of_the_last_chunk_than_any_other() {
    let options = options(Purpose::Dense);
    let backend = Arc::new(Counting::default());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let bytes = |i: u64| common::content(i * 4 + 1, 500 + (i % 90) as usize);
    let n = 8192;
    for i in 0..n {
        w.push(&bytes(i)).unwrap();
    }
    w.close().unwrap();
    for i in [n - 1, 5] {
        backend.forget();
        let store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
        assert_eq!(store.get_at(i).unwrap()[..], bytes(i)[..]);
        let (calls, read) = backend.read();
        assert!(calls < 20 && read < 384 << 10, "record {i}: {calls} reads of {read} bytes");
    }
    // Who adds to it goes on where it ended.
    let mut w = Writer::open_in(backend.clone(), &options.write).unwrap();
    w.push(&bytes(n)).unwrap();
    w.commit().unwrap();
    let store = Store::open_in(backend, &options.write.reading()).unwrap();
    for i in [n - 1, n] {
        assert_eq!(store.get_at(i).unwrap()[..], bytes(i)[..]);
    }
}
