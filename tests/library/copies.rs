//! One damaged page of the index of a sealed store costs no record: leaves are there twice, readers
//! fall back to the copy, `verify` names what is damaged, `recover` loses nothing.

use std::ops::Range;
use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::{Backend, MemoryBackend, SliceBackend};
use vlstore::index::layout::LEAF_MAGIC;
use vlstore::limits::INDEX_PAGE;
use vlstore::maintain::{RecoverOptions, Verified, recover_into};
use vlstore::{
    Column, ColumnKind, Durability, Key, Layout, ReadOptions, Row, Snapshot, Store, StoreOptions,
    WriteOptions, Writer,
};

static COLUMNS: [Column; 1] = [Column::new("step", ColumnKind::I64, 1)];

fn options() -> StoreOptions {
    let columns = Some(COLUMNS.to_vec());
    StoreOptions {
        layout: Layout { chunk_size: 16 << 10, block_size: 2 << 10, columns, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, threads: 1, ..WriteOptions::default() },
    }
}

fn record(i: u64) -> Vec<u8> {
    (0..40 + i % 50).map(|n| (n * i % 251) as u8).collect()
}

fn put(w: &mut Writer, i: u64) {
    let mut row = Row::new(&COLUMNS);
    row.set_i64("step", &[i.cast_signed() * 5]).unwrap();
    let key = match i % 500 {
        0 => Key::from(i),
        _ => Key::from(format!("key {i:06}")),
    };
    w.put_row(Some(&key), &record(i), 3, &row, vlstore::Existing::Refuse).unwrap();
}

/// A store that was sealed after each part of so many records.
fn sealed(parts: &[u64], seal_each: bool) -> Vec<u8> {
    let mut w = Writer::in_memory(&options()).unwrap();
    let mut next = 0;
    for part in parts {
        (next..next + part).for_each(|i| put(&mut w, i));
        next += part;
        if seal_each { w.seal().map(drop).unwrap() } else { w.commit().map(drop).unwrap() }
    }
    let backend = w.backend().clone();
    w.close().unwrap();
    let mut bytes = vec![0; backend.len().unwrap() as usize];
    backend.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Where leaves lie, first and second copies.
fn leaves(image: &[u8]) -> Vec<Range<usize>> {
    (0..image.len())
        .step_by(64)
        .filter(|at| image[*at..].starts_with(&LEAF_MAGIC))
        .map(|at| at..at + u64::from_le_bytes(image[at + 32..at + 40].try_into().unwrap()) as usize)
        .collect()
}

fn open(image: &[u8]) -> Snapshot {
    let backend: Arc<dyn Backend> = Arc::new(SliceBackend::new(image.into()));
    Store::open_in(backend, &ReadOptions::default()).unwrap().snapshot()
}

/// Asks for every record in every way.
fn all_there(image: &[u8], count: u64) {
    let store = open(image);
    assert_eq!(store.len(), count);
    for i in 0..count {
        assert_eq!(&*store.get_at(i).unwrap(), record(i), "{i}");
        if i % 500 != 0 && i % 7 == 0 {
            assert_eq!(&*store.get(format!("key {i:06}")).unwrap(), record(i), "{i}");
        }
    }
    let steps = store.column("step", 0..count).unwrap();
    assert!(steps.unknown.is_empty());
    assert!(
        (0..count.cast_signed()).map(|i| 5 * i).eq(steps.values.as_i64().unwrap().iter().copied())
    );
}

fn verified(image: &[u8]) -> Verified {
    open(image).verify(|_, _| Ok(())).unwrap()
}

/// Every page of every leaf is damaged in turn, and its page checksums.
fn damaged_one_by_one(image: &[u8], count: u64, every: usize) {
    assert!(verified(image).is_intact());
    all_there(image, count);
    let found = leaves(image);
    assert_eq!(found.len() % 2, 0, "each leaf is there twice");
    for (n, leaf) in found.iter().enumerate().step_by(every) {
        let pages = leaf.clone().step_by(INDEX_PAGE).map(|at| at + 100.min(leaf.end - 1 - at));
        for at in pages.chain([leaf.end - 1]) {
            let mut bad = image.to_vec();
            bad[at] ^= 4;
            all_there(&bad, count);
            let damages = verified(&bad).damages;
            assert_eq!(damages.len(), 1, "leaf {n}: {damages:?}");
            assert_eq!(&*damages[0].part, "index leaf");
            assert!(leaf.contains(&(damages[0].offset.unwrap() as usize)));
            assert!(damages[0].to_string().contains("copy"), "{}", damages[0]);
        }
        // What a disk loses: a page of 4 KiB.
        let mut bad = image.to_vec();
        let page = leaf.start / 4096 * 4096;
        bad[leaf.start..leaf.end.min(page + 4096)].fill(0);
        let lost = verified(&bad);
        let index = |d: &&vlstore::maintain::Damage| &*d.part == "index leaf";
        assert!(lost.damages.iter().any(|d| index(&d)), "leaf {n}");
        let unread = lost.damages.iter().filter(index).flat_map(|d| &d.effects);
        assert_eq!(unread.map(|e| e.count).sum::<u64>(), 0, "leaf {n}");
    }
}

#[test]
fn no_page_of_a_leaf_is_all_that_leads_to_a_record() {
    let image = sealed(&[20_000, 3000], false);
    let found = leaves(&image);
    assert!(found.len() >= 4 && found.iter().any(|leaf| leaf.len() > INDEX_PAGE));
    damaged_one_by_one(&image, 23_000, 1);
}

#[test]
fn later_seals_copy_what_earlier_ones_did_not() {
    let image = sealed(&[700, 20, 300], true);
    damaged_one_by_one(&image, 1020, 1);
}

#[test]
fn leaves_that_a_page_of_the_directory_names_have_copies_too() {
    // More leaves than a root lists itself, all before the first seal: one for each 2 MiB.
    const LONG: usize = 2 << 20;
    let StoreOptions { layout, write } = options();
    let layout = Layout { chunk_size: 2 << 20, block_size: 1 << 20, ..layout };
    let options = StoreOptions { layout, write };
    let mut w = Writer::in_memory(&options).unwrap();
    for i in 0..140_u64 {
        w.insert(i, &vec![i as u8; LONG]).unwrap();
    }
    let backend = w.backend().clone();
    w.close().unwrap();
    let mut image = vec![0; backend.len().unwrap() as usize];
    backend.read_at(0, &mut image).unwrap();
    assert!(image.windows(8).any(|w| w == b"VLpage\0\x01"));
    let found = leaves(&image);
    assert!(found.len() >= 280 && found.len().is_multiple_of(2), "{}", found.len());
    for leaf in &found[..found.len() / 2] {
        image[leaf.start + 100] ^= 1;
    }
    let store = open(&image);
    for i in 0..140_u64 {
        assert_eq!(store.get(i).unwrap()[LONG / 2], i as u8);
    }
}

#[test]
fn what_is_damaged_in_both_copies_is_an_error() {
    let image = sealed(&[700], false);
    let mut bad = image.clone();
    leaves(&image).iter().for_each(|leaf| bad[leaf.start + 200] ^= 1);
    assert!(open(&bad).get_at(5).is_err());
    let damages = verified(&bad).damages;
    assert!(damages.iter().any(|d| d.effects.iter().any(|e| e.count > 0)), "{damages:?}");
}

#[test]
fn recovering_uses_the_copies() {
    let image = sealed(&[700, 20, 300], true);
    let found = leaves(&image);
    let recovered = |bad: &[u8]| {
        let from: Arc<dyn Backend> = Arc::new(SliceBackend::new(bad.into()));
        let to: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
        let out = recover_into(&from, &to, &RecoverOptions::default(), |_, _| Ok(())).unwrap();
        let mut bytes = vec![0; to.len().unwrap() as usize];
        to.read_at(0, &mut bytes).unwrap();
        (out, bytes)
    };
    for leaf in &found {
        let mut bad = image.clone();
        bad[leaf.start + 100] ^= 1;
        let (out, whole) = recovered(&bad);
        assert_eq!((out.records, out.lost), (1020, 0));
        all_there(&whole, 1020);
        assert!(verified(&whole).is_intact());
        // And where no root is left, so that leaves are searched for: what is lost then is what lies
        // in the last chunk, which roots alone name.
        let rootless = |image: &[u8]| {
            let mut bad = image.to_vec();
            for at in (0..bad.len()).step_by(64) {
                if bad[at..].starts_with(b"VLroot") {
                    bad[at + 70] ^= 1;
                }
            }
            bad
        };
        let (out, whole) = recovered(&rootless(&bad));
        assert_eq!(out.records, recovered(&rootless(&image)).0.records);
        assert!(out.records > 900);
        assert_eq!(open(&whole).get_at(900).unwrap().to_vec(), record(900));
    }
}
