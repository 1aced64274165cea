//! Stores large enough for what small ones never reach: directory pages, merged runs over
//! several levels, leaves written between commits, batches that are cut for several threads.

use crate::common::{Model, Rec, check, content, only};
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::Seeded;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::{
    Alignment, Compression, Durability, Key, Layout, Opened, Store, StoreOptions, WriteOptions,
    Writer,
};

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout { chunk_size: 65_536, compression: Compression::Lz4, ..Layout::default() },
        write: WriteOptions {
            durability: Durability::Kernel,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            threads: 2,
            ..WriteOptions::default()
        },
    }
}

fn memory() -> Arc<dyn Backend> {
    Arc::new(MemoryBackend::new())
}

/// Accident: an empty record behind the last full chunk lies where no chunk is, and a batch
/// that was cut for two threads looked for the chunk.
#[test]
fn an_empty_record_behind_the_last_chunk_is_fetched_with_many_others() {
    for alignment in [Alignment::Contiguous, Alignment::NoCross, Alignment::Start, Alignment::Block]
    {
        let backend = memory();
        // One block a chunk, so that the cut moves to the end of it.
        let size = 1 << 20;
        let options = StoreOptions {
            layout: Layout { alignment, chunk_size: size, block_size: size, ..options().layout },
            ..options()
        };
        let mut w = Writer::create_in(backend.clone(), &options).unwrap();
        let mut model = Model::default();
        for i in 0..64_u64 {
            // The last ends where a chunk does.
            for len in [16_384, 0] {
                let bytes: Arc<[u8]> = content(i, len).into();
                w.push(&bytes).unwrap();
                model.put(Rec { key: None, bytes, sites: 0 });
            }
        }
        for _ in 0..40 {
            w.push(b"").unwrap();
            model.put(Rec { key: None, bytes: Arc::default(), sites: 0 });
        }
        w.commit().unwrap();
        let store = Store::open_in(backend, &options.write.reading()).unwrap();
        check(&store, &model, 1).unwrap();
        let n = store.len();
        for asked in [(0..n).collect::<Vec<_>>(), (0..n).rev().collect(), vec![n - 1; 5]] {
            let batch = store.get_batch_at(&asked).unwrap();
            for (i, found) in asked.iter().zip(batch.iter()) {
                assert_eq!(*found, *model.records[*i as usize].bytes, "{alignment:?}");
            }
        }
    }
}

#[test]
fn a_thousand_seals_fill_directory_pages_and_every_record_is_found_through_them() {
    let backend = memory();
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    let mut model = Model::default();
    let mut rng = Seeded::new(5);
    let mut kept = Vec::new();
    for i in 0..1300_u64 {
        let key = if i % 7 == 0 { None } else { Some(Key::from(rng.below(400))) };
        let bytes: Arc<[u8]> = content(i, rng.below(60) as usize).into();
        let rec = Rec { key, bytes, sites: 0 };
        w.put_sized(rec.key.as_ref(), &rec.bytes, 0, vlstore::Existing::Replace).unwrap();
        model.put(rec);
        if i % 11 == 0 && model.records.len() > 20 {
            let at = rng.below(20);
            w.delete_at(at).unwrap();
            model.records.remove(at as usize);
        }
        w.seal().unwrap();
        if i % 250 == 100 {
            kept.push((w.snapshot().unwrap(), model.clone()));
        }
        if i % 400 == 300 {
            drop(w);
            w = Writer::open_in(backend.clone(), &options().write).unwrap();
        }
    }
    let store = Store::open_in(backend, &options().write.reading()).unwrap();
    check(&store, &model, 1).unwrap();
    for (snapshot, model) in &kept {
        check(snapshot, model, 2).unwrap();
    }
}

#[test]
fn two_hundred_thousand_records_without_a_commit_go_to_leaves_that_nobody_sees_until_then() {
    let backend = memory();
    let options = StoreOptions {
        write: WriteOptions { durability: Durability::None, ..options().write },
        ..options()
    };
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    w.insert("first", b"one").unwrap();
    w.commit().unwrap();
    let n = 250_000_u64;
    let bytes = |i: u64| i.to_le_bytes();
    for i in 0..n {
        w.insert(format!("record {i}"), &bytes(i)).unwrap();
        if i % 3 == 2 {
            // Replaces one of long ago, which may be in any run.
            let at = i / 2;
            w.put(format!("record {at}"), &bytes(i + n)).unwrap();
        }
    }
    assert_eq!(Store::open_in(backend.clone(), &options.write.reading()).unwrap().len(), 1);
    // What was not committed is gone, and its place is used again.
    drop(w);
    let mut w = Writer::open_in(backend.clone(), &options.write).unwrap();
    assert_eq!((w.opened(), w.len()), (Opened::Intact, 1));
    let mut newest = std::collections::HashMap::new();
    for i in 0..n {
        w.insert(format!("record {i}"), &bytes(i)).unwrap();
        newest.insert(i, i);
        if i % 3 == 2 {
            w.put(format!("record {}", i / 2), &bytes(i + n)).unwrap();
            newest.insert(i / 2, i + n);
        }
        if i % 9 == 8 {
            w.delete(format!("record {}", i / 3)).unwrap_or_default();
            newest.remove(&(i / 3));
        }
        if i % 60_000 == 59_999 {
            w.commit().unwrap();
        }
    }
    for step in 0..2 {
        let expected = newest.len() as u64 + 1;
        if step == 0 {
            assert_eq!(w.len(), expected);
            for i in (0..n).step_by(37) {
                let found = w.get(format!("record {i}")).ok().map(|r| r.to_vec());
                assert_eq!(found, newest.get(&i).map(|v| bytes(*v).to_vec()), "record {i}");
            }
            w.commit().unwrap();
        }
        let store = Store::open_in(backend.clone(), &options.write.reading()).unwrap();
        assert_eq!(store.len(), expected);
        for i in (step..n).step_by(11) {
            let key = format!("record {i}");
            match newest.get(&i) {
                Some(v) => {
                    assert_eq!(*store.get(key.as_str()).unwrap(), bytes(*v), "{key}");
                    let at = store.find(key.as_str()).unwrap().unwrap();
                    assert_eq!(store.key_at(at).unwrap(), Some(Key::from(key)));
                }
                None => assert!(!store.contains(key).unwrap()),
            }
        }
        assert_eq!(store.keys().unwrap().len() as u64, expected);
    }
}

/// What a copy of this program is to read, with less memory than that has bytes.
#[cfg(unix)]
const LARGE: &str = "VLSTORE_TEST_LARGER_THAN_MEMORY";

#[cfg(unix)]
fn large_record(i: u64, out: &mut Vec<u8>) {
    out.clear();
    let mut x = i;
    while out.len() < LARGE_RECORD {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&x.to_le_bytes());
    }
}

#[cfg(unix)]
const LARGE_RECORD: usize = 20_000;
/// 600 MB of them, in a process that may have 256 MiB for all that it is and maps.
#[cfg(unix)]
const LARGE_RECORDS: u64 = 30_000;
#[cfg(unix)]
const KIB: &str = "262144";

/// The body of the process with little memory; does nothing in the test run itself.
#[cfg(unix)]
#[test]
fn reading_more_than_memory() {
    use vlstore::backend::Access;
    let Some(path) = std::env::var_os(LARGE) else { return };
    let mut right = Vec::new();
    for access in [Access::Auto, Access::Pread] {
        let options = StoreOptions {
            write: WriteOptions { access, threads: 2, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        let store = Store::open_with(&path, &options.write.reading()).unwrap();
        assert!(store.info().unwrap().file_bytes > 1024 * KIB.parse::<u64>().unwrap());
        for (i, record) in (0..).zip(store.scan(0..LARGE_RECORDS)) {
            large_record(i, &mut right);
            assert_eq!(*record.unwrap(), right[..]);
        }
        // Every record once, in batches in no order: 7 919 has no divisor in common with 30 000.
        let order: Vec<u64> = (0..LARGE_RECORDS).map(|i| i * 7919 % LARGE_RECORDS).collect();
        for ordinals in order.chunks(256) {
            let batch = store.get_batch_at(ordinals).unwrap();
            for (i, record) in ordinals.iter().zip(batch.iter()) {
                large_record(*i, &mut right);
                assert_eq!(record, right);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_store_larger_than_memory_is_scanned_and_shuffled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let options = StoreOptions {
        layout: Layout { compression: Compression::Stored, ..Layout::default() },
        write: WriteOptions { threads: 1, ..WriteOptions::default() },
    };
    let mut w = Writer::create(&path, &options).unwrap();
    let mut bytes = Vec::new();
    for i in 0..LARGE_RECORDS {
        large_record(i, &mut bytes);
        w.insert(i, &bytes).unwrap();
    }
    w.close().unwrap();
    let limited = format!("ulimit -v {KIB} && exec \"$0\" \"$@\"");
    let done = std::process::Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args(only(module_path!(), "reading_more_than_memory"))
        .arg("--test-threads=1")
        .env(LARGE, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{done:?}");
}
