//! What is put comes back, in every mode and after every kind of reopening.

use std::path::Path;
use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::MemoryBackend;
use vlstore::chunk::Filter;
use vlstore::{
    Alignment, Compression, Durability, Error, Key, Layout, Purpose, Store, StoreOptions,
    WriteOptions, Writer,
};

fn record(i: u64) -> Vec<u8> {
    let len = [0, 1, 7, 100, 1900, 12_000, 70_000][(i % 7) as usize] + (i % 5) as usize;
    let len = if i.is_multiple_of(7) { 0 } else { len };
    (0..len).map(|b| ((b as u64).wrapping_mul(i + 3) >> 3) as u8).collect()
}

fn check(store: &Store, n: u64) {
    assert_eq!(store.len(), n);
    for i in 0..n {
        assert_eq!(*store.get(format!("k{i}")).unwrap(), record(i)[..], "record {i}");
        assert_eq!(*store.get_at(i).unwrap(), record(i)[..], "ordinal {i}");
        assert_eq!(store.find(format!("k{i}")).unwrap(), Some(i));
    }
    let asked: Vec<u64> = (0..n).map(|i| (i * 7919) % n).chain([0, 0]).collect();
    let batch = store.get_batch_at(&asked).unwrap();
    for (i, bytes) in asked.iter().zip(batch.iter()) {
        assert_eq!(bytes, record(*i));
    }
    for (i, r) in store.scan(0..n).enumerate() {
        assert_eq!(*r.unwrap(), record(i as u64)[..]);
    }
}

#[test]
fn every_alignment_purpose_and_chunk_size_gives_back_what_was_put() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for alignment in
            [Alignment::Block, Alignment::NoCross, Alignment::Contiguous, Alignment::Start]
        {
            let dir = dir.path().join(alignment.name());
            scope.spawn(move || {
                std::fs::create_dir(&dir).unwrap();
                for purpose in [Purpose::Dense, Purpose::Balanced, Purpose::Random] {
                    for chunk_size in [1000, 65_536, 0] {
                        put_and_check(&dir, alignment, purpose, chunk_size);
                    }
                }
            });
        }
    });
}

fn put_and_check(dir: &Path, alignment: Alignment, purpose: Purpose, chunk_size: u32) {
    let options = StoreOptions {
        layout: Layout { alignment, purpose, chunk_size, ..Layout::default() },
        ..StoreOptions::default()
    };
    let path = dir.join(format!("{}{chunk_size}", purpose.name()));
    let mut w = Writer::create(&path, &options).unwrap();
    for i in 0..160 {
        w.insert(format!("k{i}"), &record(i)).unwrap();
        if i % 17 == 0 {
            assert_eq!(*w.get(format!("k{i}")).unwrap(), record(i)[..]);
            w.commit().unwrap();
        }
        if i % 101 == 100 {
            check(&Store::open(&path).unwrap(), i / 17 * 17 + 1);
        }
    }
    w.close().unwrap();
    check(&Store::open(&path).unwrap(), 160);
    let mut w = Writer::open(&path, &options.write).unwrap();
    for i in 160..220 {
        w.insert(format!("k{i}"), &record(i)).unwrap();
        assert_eq!(*w.get(format!("k{}", i - 60)).unwrap(), record(i - 60)[..]);
    }
    w.commit().unwrap();
    drop(w);
    check(&Store::open(&path).unwrap(), 220);
    let mut w = Writer::open(&path, &options.write).unwrap();
    w.insert("k220", &record(220)).unwrap();
    w.seal().unwrap();
    check(&Store::open(&path).unwrap(), 221);
}

#[test]
fn keys_of_all_kinds_live_together_and_are_replaced_and_deleted() {
    let mut w = Writer::in_memory(&StoreOptions {
        write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
        ..StoreOptions::default()
    })
    .unwrap();
    let keys: Vec<Key> = vec![
        "1".into(),
        1.into(),
        Key::from(&b"1"[..]),
        (-1).into(),
        u64::MAX.into(),
        "".into(),
        "名".into(),
    ];
    for (i, k) in keys.iter().enumerate() {
        w.insert(k, &[i as u8; 9]).unwrap();
        w.commit().unwrap();
    }
    w.push(b"nameless").unwrap();
    let s = w.snapshot().unwrap();
    assert_eq!(s.keys().unwrap(), keys);
    for round in 0..50_u8 {
        w.put("1", &[round; 3]).unwrap();
        w.commit().unwrap();
    }
    w.delete(1).unwrap();
    assert!(w.insert(u64::MAX, b"").is_err());
    w.commit().unwrap();
    let s = w.snapshot().unwrap();
    assert_eq!(s.get("1").unwrap(), [49; 3]);
    assert!(s.get(1).is_err());
    assert_eq!(s.len(), 7);
    assert_eq!(s.get_at(5).unwrap(), *b"nameless");
    assert_eq!(s.get_at(6).unwrap(), [49; 3]);
    assert_eq!(s.key_at(5).unwrap(), None);
    assert_eq!(s.keys().unwrap().last(), Some(&"1".into()));
}

/// A flipped bit in the half-filled last chunk of a sealed store once cost every record of the
/// commit; it costs those of its block.
#[test]
fn damage_in_the_half_filled_last_chunk_costs_its_block_alone() {
    let options = StoreOptions {
        layout: Layout { block_size: 4096, purpose: Purpose::Random, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
    };
    let memory = std::sync::Arc::new(vlstore::backend::MemoryBackend::new());
    let mut w = Writer::create_in(memory.clone(), &options).unwrap();
    let bytes = |i: u64| -> Vec<u8> {
        (0..1000_u64).map(|k| (k.wrapping_mul(i + 7).wrapping_mul(k) >> 5) as u8).collect()
    };
    for i in 0..40 {
        w.insert(i, &bytes(i)).unwrap();
    }
    w.close().unwrap();
    let mut file = memory.to_bytes();
    // The first bytes behind the header's end and the first trailer are the leaf or the chunk;
    // flip one in the middle of the compressed chunk, found by its length.
    let whole = Store::from_bytes(file.clone()).unwrap();
    assert!(whole.verify(|_, _| Ok(())).unwrap().blocks > 0);
    let flipped = (12_400..file.len())
        .step_by(64)
        .find(|at| {
            let mut bad = file.clone();
            bad[*at] ^= 1;
            // Not one of the leaf, which costs all.
            let some = |s: &Store| (0..40_u64).map(|i| s.get(i).is_ok()).collect::<Vec<_>>();
            Store::from_bytes(bad).is_ok_and(|s| {
                let there = some(&s);
                s.is_intact() && there.contains(&true) && there.contains(&false)
            })
        })
        .unwrap();
    file[flipped] ^= 1;
    let s = Store::from_bytes(file.clone()).unwrap();
    let lost: Vec<u64> = (0..40).filter(|i| s.get(*i).is_err()).collect();
    assert!((1..=5).contains(&lost.len()), "{lost:?}");
    for i in (0..40).filter(|i| !lost.contains(i)) {
        assert_eq!(*s.get(i).unwrap(), bytes(i)[..]);
    }
    let report = s.verify(|_, _| Ok(())).unwrap();
    let named: Vec<u64> = report.affected().filter_map(|r| r.ordinal).collect();
    assert_eq!(named, lost);
    // A writer goes on behind it, and what is lost stays known as lost.
    let memory = std::sync::Arc::new(vlstore::backend::MemoryBackend::from_bytes(file));
    let mut w = Writer::open_in(memory.clone(), &options.write).unwrap();
    w.insert("more", &bytes(99)).unwrap();
    w.close().unwrap();
    let s = Store::from_bytes(memory.to_bytes()).unwrap();
    assert_eq!((0..40).filter(|i| s.get(*i).is_err()).collect::<Vec<u64>>(), lost);
    assert_eq!(*s.get("more").unwrap(), bytes(99)[..]);
}

#[test]
fn a_scan_goes_on_behind_a_damaged_block() {
    let options = StoreOptions {
        layout: Layout {
            compression: Compression::Stored,
            filter: Filter::None,
            block_size: 4096,
            chunk_size: 65_536,
            ..Layout::default()
        },
        ..StoreOptions::default()
    };
    let record = |i: u64| -> Vec<u8> { (0..1000).map(|b| (b ^ (i * 7)) as u8).collect() };
    let mut w = Writer::in_memory(&options).unwrap();
    for i in 0..5000_u64 {
        w.push(&[&i.to_le_bytes()[..], &record(i)].concat()).unwrap();
    }
    let backend = w.backend().clone();
    w.close().unwrap();
    let mut bytes = vec![0; backend.len().unwrap() as usize];
    backend.read_at(0, &mut bytes).unwrap();
    let marks = [3_u64, 2500, 4000].map(|i| [&i.to_le_bytes()[..], &record(i)].concat());
    for mark in &marks {
        let at = bytes.windows(mark.len()).position(|w| w == mark).unwrap();
        bytes[at + 500] ^= 1;
    }
    for threads in [1, 2] {
        let options = StoreOptions {
            write: WriteOptions { threads, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        let store = Store::open_in(
            Arc::new(MemoryBackend::from_bytes(bytes.clone())),
            &options.write.reading(),
        )
        .unwrap();
        let all: Vec<_> = store.scan(0..5000).collect();
        assert_eq!(all.len(), 5000);
        let bad = all.iter().filter(|r| r.is_err()).count();
        assert!((3..=15).contains(&bad), "{bad} records are lost to three blocks");
        for (i, found) in (0..).zip(&all) {
            match found {
                Ok(found) => assert_eq!(found[8..], record(i)),
                Err(e) => assert!(matches!(e, Error::Corrupt(_)), "{i}: {e}"),
            }
        }
    }
}
