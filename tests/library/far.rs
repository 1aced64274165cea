//! A store that is read by ranges from far away: how many round trips, requests and bytes opening, a record
//! and a batch cost, what is kept in memory and on a local disk, and what failures do.

#[path = "../common/far.rs"]
mod source;

use source::{Cost, Far, Fault};
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use vlstore::backend::{Backend, DiskCache, MemoryBackend, PagedBackend, contract};
use vlstore::{
    Durability, Error, Key, ReadOptions, Readable, Store, StoreOptions, WriteOptions, Writer,
};

const PAGE: u64 = 16 << 10;
const MEMORY: usize = 64 << 20;
/// Records of the large store. Their keys are so long that they make 128 leaves, from which on the index has
/// pages of its directory.
const RECORDS: u64 = 120_000;
const KEY: usize = 720;

fn options() -> StoreOptions {
    let write = WriteOptions {
        durability: Durability::None,
        commit_bytes: u64::MAX,
        commit_interval: Duration::from_secs(1_000_000),
        ..WriteOptions::default()
    };
    StoreOptions { write, ..StoreOptions::default() }
}

fn record(i: u64) -> [u8; 24] {
    let mut out = [0; 24];
    for (k, part) in out.chunks_mut(8).enumerate() {
        let word = (i + k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        part.copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// Texts in order, which fences find; in the second half every tenth is one that only a run has.
fn key(i: u64) -> Key {
    let out_of_order = i > RECORDS / 2 && i % 10 == 9;
    let text = if out_of_order { format!("name {i}") } else { format!("{i:0>KEY$}") };
    Key::from(text.as_str())
}

/// The bytes of a store with so many records.
fn stored(records: u64) -> Vec<u8> {
    let memory = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(memory.clone(), &options()).unwrap();
    for i in 0..records {
        w.insert(key(i), &record(i)).unwrap();
    }
    w.close().unwrap();
    let mut bytes = vec![0; memory.len().unwrap() as usize];
    memory.read_at(0, &mut bytes).unwrap();
    bytes
}

static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| stored(RECORDS));

type Source = Arc<Far<MemoryBackend>>;

fn source(bytes: &[u8]) -> Source {
    Arc::new(Far::new(MemoryBackend::from_bytes(bytes.to_vec())))
}

fn open(source: &Source, disk: Option<&DiskCache>) -> vlstore::Result<Store> {
    let backend = PagedBackend::open(source.clone(), MEMORY, disk)?;
    Store::open_in(Arc::new(backend), &ReadOptions { threads: 2, ..ReadOptions::default() })
}

fn scattered(n: u64) -> Vec<u64> {
    (0..n).map(|i| (i * 2_654_435_761) % RECORDS).collect()
}

#[test]
fn pages_keep_the_contract_of_a_backend() {
    let content: Vec<u8> = (0..100_001_u32).map(|i| (i % 251) as u8).collect();
    for len in [0, 1, PAGE as usize, 100_001] {
        let content = &content[..len];
        let backend = PagedBackend::open(source(content), MEMORY, None).unwrap();
        contract::read_only(&backend, content).unwrap();
    }
}

#[test]
fn opening_takes_four_round_trips_and_the_first_record_one_more() {
    let far = source(&LARGE);
    let store = open(&far, None).unwrap();
    let opened = far.cost();
    assert_eq!(store.len(), RECORDS);
    assert!(opened.rounds <= 4 && opened.bytes <= 256 << 10, "{opened:?}");
    store.info().unwrap();
    assert_eq!(far.cost(), Cost::default(), "info asks for nothing more");
    far.asked.lock().unwrap().clear();
    assert_eq!(&*store.get_at(0).unwrap(), record(0));
    let first = far.cost();
    assert_eq!(first.rounds, 1, "{first:?} {:?}", far.asked.lock().unwrap());
    // Any other: its leaf, then its block.
    for i in scattered(20) {
        assert_eq!(&*store.get_at(i).unwrap(), record(i));
        let cost = far.cost();
        assert!(cost.rounds <= 4, "record {i}: {cost:?}");
    }
    // By key: numbers in order by their fences, texts by the filters, table and entries of a run.
    for i in scattered(20) {
        assert_eq!(&*store.get_key(&key(i)).unwrap(), record(i));
        let cost = far.cost();
        assert!(cost.rounds <= 8, "key {i}: {cost:?}");
    }
}

#[test]
fn a_batch_takes_a_few_round_trips_and_a_request_for_each_region() {
    let far = source(&LARGE);
    let store = open(&far, None).unwrap();
    far.cost();
    let ordinals = scattered(256);
    let batch = store.get_batch_at(&ordinals).unwrap();
    for (i, found) in ordinals.iter().zip(batch.iter()) {
        assert_eq!(found, record(*i));
    }
    let cost = far.cost();
    // Directory, leaves of records, of chunks, groups, chunk headers, blocks.
    assert!(cost.rounds <= 6, "{cost:?}");
    // A region for a record in its leaf, its chunk, its block; many share them.
    assert!(cost.requests <= 3 * 256, "{cost:?}");
    store.get_batch_at(&ordinals).unwrap();
    assert_eq!(far.cost(), Cost::default(), "what is here is not asked for again");
    // Neighbours are one region.
    let store = open(&far, None).unwrap();
    far.cost();
    store.get_batch_at(&(75_000..75_256).collect::<Vec<_>>()).unwrap();
    let cost = far.cost();
    assert!(cost.rounds <= 6 && cost.requests <= 12, "{cost:?}");
}

#[test]
fn keys_of_a_batch_are_looked_up_level_by_level_for_all_of_them() {
    let far = source(&LARGE);
    let store = open(&far, None).unwrap();
    far.cost();
    let ordinals = scattered(256);
    let keys: Vec<Key> = ordinals.iter().map(|i| key(*i)).collect();
    let found = store.plan_keys(&keys).unwrap().batch().unwrap();
    for (i, found) in ordinals.iter().zip(found.iter()) {
        assert_eq!(found, record(*i));
    }
    let cost = far.cost();
    // As many as the slowest of them takes by itself, and those of a batch by ordinals.
    assert!(cost.rounds <= 12, "{cost:?}");
    // What leads to others is partly here, which does not mean that the rest is fetched one by one.
    let others: Vec<Key> = (0..256).map(|i| key((i * 48_271 + 7) % RECORDS)).collect();
    store.plan_keys(&others).unwrap().batch().unwrap();
    let cost = far.cost();
    assert!(cost.rounds <= 12, "{cost:?}");
    // With little memory for pages there are more, and what is found is the same.
    let backend = PagedBackend::open(far.clone(), 1 << 20, None).unwrap();
    let narrow = Store::open_in(Arc::new(backend), &ReadOptions::default()).unwrap();
    let found = narrow.plan_keys(&keys).unwrap().batch().unwrap();
    for (i, found) in ordinals.iter().zip(found.iter()) {
        assert_eq!(found, record(*i));
    }
    // One that is not there, and what is damaged on its way for a while or for ever.
    let store = open(&far, None).unwrap();
    let with_none = [&keys[..3], &[Key::from("none")], &keys[3..]].concat();
    let e = store.plan_keys(&with_none).unwrap_err();
    assert!(matches!(e.root(), Error::NotFound { key } if key.contains("none")), "{e:?}");
    let store = open(&far, None).unwrap();
    far.set(Fault::Flipped);
    assert!(matches!(store.plan_keys(&keys).unwrap_err().root(), Error::Corrupt(_)));
    far.set(None);
    assert_eq!(store.plan_keys(&keys).unwrap().batch().unwrap().len(), 256);
    let store = open(&far, None).unwrap();
    far.set(Fault::Fails(1));
    assert!(matches!(store.plan_keys(&keys).unwrap_err().root(), Error::Io { .. }));
    far.set(None);
    assert!(store.plan_keys(&keys).is_ok());
}

#[test]
fn who_reads_in_order_is_read_ahead_for() {
    let far = source(&LARGE);
    let store = open(&far, None).unwrap();
    far.cost();
    let mut n = 0;
    for found in store.scan(0..u64::MAX) {
        assert_eq!(&*found.unwrap(), record(n));
        n += 1;
    }
    assert_eq!(n, RECORDS);
    let cost = far.cost();
    let len = LARGE.len() as u64;
    assert!(cost.bytes < len + len / 4, "{cost:?} of {len}");
    assert!((cost.rounds as u64) < len / PAGE / 8, "{cost:?} of {} pages", len / PAGE);
    let store = open(&far, None).unwrap();
    far.cost();
    assert_eq!(store.keys().unwrap().len() as u64, RECORDS);
    let cost = far.cost();
    assert!(cost.rounds < 20, "the index is read by many leaves at once: {cost:?}");
}

#[test]
fn pages_in_memory_are_bounded_and_large_batches_come_in_parts() {
    let far = source(&LARGE);
    let backend = PagedBackend::open(far.clone(), 1 << 20, None).unwrap();
    let store = Store::open_in(Arc::new(backend), &ReadOptions::default()).unwrap();
    far.cost();
    let ordinals: Vec<u64> = (0..RECORDS).step_by(50).collect();
    let batch = store.get_batch_at(&ordinals).unwrap();
    for (i, found) in ordinals.iter().zip(batch.iter()) {
        assert_eq!(found, record(*i));
    }
    let cost = far.cost();
    assert!(cost.bytes < 4 * LARGE.len() as u64, "{cost:?} of {}", LARGE.len());
}

#[test]
fn threads_that_want_the_same_pages_fetch_them_once() {
    let small = stored(100_000);
    let far = source(&small);
    let store = open(&far, None).unwrap();
    std::thread::scope(|scope| {
        for t in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..2000 {
                    let i = (i * 47 + t) % 100_000;
                    assert_eq!(&*store.get_at(i).unwrap(), record(i));
                }
            });
        }
    });
    let cost = far.cost();
    assert!(cost.bytes <= small.len() as u64 + (256 << 10), "{cost:?} of {}", small.len());
}

#[test]
fn an_error_is_told_and_the_next_try_may_succeed() {
    let far = source(&LARGE);
    for fault in [Fault::Fails(1), Fault::Short] {
        let store = open(&far, None).unwrap();
        far.set(fault);
        let e = store.get_at(104_700).unwrap_err();
        assert!(matches!(e.root(), Error::Io { .. }) && !e.to_string().is_empty(), "{e:?}");
        far.set(None);
        assert_eq!(&*store.get_at(104_700).unwrap(), record(104_700));
    }
    // Damage on the way is damage: nothing wrong is returned, or kept for good on a disk.
    let dir = tempfile::tempdir().unwrap();
    let disk = DiskCache::new(dir.path(), 1 << 30).unwrap();
    far.set(Fault::Flipped);
    assert!(open(&far, Some(&disk)).map_or(true, |store| !store.is_intact()));
    far.set(None);
    let store = open(&far, Some(&disk)).unwrap();
    far.set(Fault::Flipped);
    let e = store.get_at(104_700).unwrap_err();
    assert!(matches!(e.root(), Error::Corrupt(_)), "{e:?}");
    far.set(None);
    assert_eq!(&*store.get_at(104_700).unwrap(), record(104_700));
    assert_eq!(&*open(&far, Some(&disk)).unwrap().get_at(104_700).unwrap(), record(104_700));
    // Opening itself.
    far.set(Fault::Fails(100));
    assert!(matches!(open(&far, None).unwrap_err().root(), Error::Io { .. }));
}

#[test]
fn an_object_that_was_replaced_is_noticed() {
    let far = source(&LARGE);
    let mut store = open(&far, None).unwrap();
    assert!(!store.refresh().unwrap());
    far.set(Fault::Replaced);
    assert!(matches!(store.get_at(103_700).unwrap_err().root(), Error::Replaced));
    let e = store.refresh().unwrap_err();
    assert!(
        matches!(e.root(), Error::Replaced) && e.to_string().contains("test://here/store"),
        "{e}"
    );
    // What is here stays readable.
    far.set(None);
    assert_eq!(&*store.get_at(103_700).unwrap(), record(103_700));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            out.extend(files(&entry.path()))
        } else {
            out.push(entry.path())
        }
    }
    out
}

#[test]
fn pages_on_a_disk_are_shared_checked_and_bounded() {
    let small = stored(50_000);
    let far = source(&small);
    let dir = tempfile::tempdir().unwrap();
    let disk = DiskCache::new(dir.path(), 1 << 30).unwrap();
    let ordinals: Vec<u64> = (0..50_000).step_by(100).collect();
    let read = |disk: &DiskCache| {
        let store = open(&far, Some(disk)).unwrap();
        let batch = store.get_batch_at(&ordinals).unwrap();
        for (i, found) in ordinals.iter().zip(batch.iter()) {
            assert_eq!(found, record(*i));
        }
        far.cost()
    };
    let first = read(&disk);
    // Another process, which has a cache of its own over the same folder.
    let again = read(&DiskCache::new(dir.path(), 1 << 30).unwrap());
    assert!(
        first.requests > 2 && again == Cost { rounds: 1, requests: 1, bytes: PAGE },
        "{first:?} {again:?}"
    );
    // Damaged, cut and empty files are as if they were not there.
    let kept = files(dir.path());
    for (i, path) in kept.iter().enumerate() {
        let mut bytes = fs::read(path).unwrap();
        match i % 3 {
            0 => bytes[SUM_AND_SOME] ^= 1,
            1 => bytes.truncate(100),
            _ => bytes.clear(),
        }
        fs::write(path, bytes).unwrap();
    }
    assert!(read(&disk).bytes > first.bytes / 2);
    assert_eq!(read(&disk).requests, 1);
    // Another version of the object shares nothing with this one.
    let other =
        Arc::new(Far { version: Some("2"), ..Far::new(MemoryBackend::from_bytes(small.clone())) });
    open(&other, Some(&disk)).unwrap().get_at(7).unwrap();
    assert!(other.cost().requests > 1);
    // A source that does not tell versions apart is not kept.
    let before = files(dir.path()).len();
    let nameless =
        Arc::new(Far { version: None, ..Far::new(MemoryBackend::from_bytes(small.clone())) });
    open(&nameless, Some(&disk)).unwrap().get_at(7).unwrap();
    assert_eq!(files(dir.path()).len(), before);
    // What is too much goes; there are no temporary files.
    let limit = 20 * PAGE;
    let narrow = DiskCache::new(dir.path(), limit).unwrap();
    let store = open(&other, Some(&narrow)).unwrap();
    store.get_batch_at(&(0..50_000).step_by(50).collect::<Vec<_>>()).unwrap();
    let left: u64 = files(dir.path()).iter().map(|p| p.metadata().unwrap().len()).sum();
    assert!(left <= limit + limit / 4, "{left} of {limit}");
    assert!(files(dir.path()).iter().all(|p| p.extension().is_none()));
    // A folder that cannot be written to costs nothing but the pages.
    #[cfg(unix)]
    {
        let gone = DiskCache::new(dir.path().join("gone"), 1 << 30).unwrap();
        fs::remove_dir_all(dir.path().join("gone")).unwrap();
        fs::write(dir.path().join("gone"), b"a file").unwrap();
        assert_eq!(&*open(&far, Some(&gone)).unwrap().get_at(3).unwrap(), record(3));
    }
}

const SUM_AND_SOME: usize = 30;

/// A store that was not closed has a log and a chunk that is not finished.
#[test]
fn a_store_that_its_writer_left_open_costs_no_more() {
    let memory = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(memory.clone(), &options()).unwrap();
    for i in 0..30_000_u64 {
        w.insert(i, &record(i)).unwrap();
        if i % 1000 == 0 {
            w.commit().unwrap();
        }
    }
    w.seal().unwrap();
    for i in 30_000..30_100_u64 {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
    let mut bytes = vec![0; memory.len().unwrap() as usize];
    memory.read_at(0, &mut bytes).unwrap();
    let far = source(&bytes);
    let store = open(&far, None).unwrap();
    let cost = far.cost();
    assert!(cost.rounds <= 4, "{cost:?}");
    assert_eq!(store.len(), 30_100);
    for i in [0, 29_999, 30_099] {
        assert_eq!(&*store.get_at(i).unwrap(), record(i));
    }
}
