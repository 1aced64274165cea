//! Damages that once were silent or covered over, each by itself.
//!
//! * One flipped bit where the configuration begins made a store pass for a file of the original
//!   program: shown was the last seal, and a writer made that the whole store.
//! * The newest root and the trailer of the seal before were lost with one page: our own newer seal
//!   was then taken for that of another program, and its table for records, unchecked.
//! * The newest slot was damaged: every verb that writes, also such as changed nothing, went on with
//!   the commit before, and wrote over what was left.
//! * A page of the index was damaged that held a record which the log deletes: the newest commit was
//!   given up because of a page that it need not read.

use super::judge::{Truth, open};
use crate::common::content;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::MemoryBackend;
use vlstore::frame::SLOT_OFFSETS;
use vlstore::maintain::{RecoverOptions, recover};
use vlstore::{
    Compression, Durability, Error, Layout, Opened, OriginalTable, Store, StoreOptions,
    WriteOptions, Writer,
};

fn options() -> StoreOptions {
    StoreOptions {
        write: WriteOptions {
            durability: Durability::Kernel,
            original_table: OriginalTable::Always,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            ..WriteOptions::default()
        },
        ..StoreOptions::default()
    }
}

fn fifty_and_fifty(sealed: bool) -> Vec<u8> {
    let backend = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    for k in 0..100_u64 {
        w.insert(k, &content(k, 40)).unwrap();
        if k == 49 && sealed {
            w.seal().unwrap();
        }
    }
    w.commit().unwrap();
    drop(w);
    backend.to_bytes()
}

#[test]
fn a_store_whose_configuration_is_lost_is_no_file_of_the_original() {
    for sealed in [true, false] {
        let good = fifty_and_fifty(sealed);
        let flips = (0..64).map(|bit| (1024 + bit / 8, 1 << (bit % 8)));
        let mut damaged: Vec<Vec<u8>> = flips
            .map(|(at, mask)| {
                let mut image = good.clone();
                image[at] ^= mask;
                image
            })
            .collect();
        for range in [1024..1536, 1024..4096, 1024..8192, 1024..12_288] {
            let mut image = good.clone();
            image[range].fill(0);
            damaged.push(image);
        }
        // Neither slots nor the name of the metalayer: segments alone say whose it is.
        let mut image = good.clone();
        image[1024..12_288].fill(0);
        let at = image.windows(8).position(|w| w == b"\xa7vlstore").unwrap();
        image[at + 2] ^= 1;
        damaged.push(image);
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join("s.vls"), dir.path().join("new.vls"));
        for (n, image) in damaged.into_iter().enumerate() {
            fs::write(&path, &image).unwrap();
            for error in [
                Store::open(&path).map(drop).unwrap_err(),
                Writer::open(&path, &options().write).map(drop).unwrap_err(),
                Writer::open(&path, &WriteOptions { accept_older: true, ..options().write })
                    .map(drop)
                    .unwrap_err(),
            ] {
                assert!(matches!(error.root(), Error::Corrupt(_)), "{n}: {error}");
            }
            assert_eq!(fs::read(&path).unwrap(), image, "{n}");
            if n % 16 == 0 {
                let options = RecoverOptions { overwrite: true, ..RecoverOptions::default() };
                let found = recover(&path, &new, &options, |_, _| Ok(())).unwrap();
                assert_eq!(found.records, 100, "{n}");
            }
        }
    }
}

/// A seal that another one followed, closed.
fn sealed_twice() -> Vec<u8> {
    let backend = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    for t in 0..6_u64 {
        for k in t * 12..t * 12 + 12 {
            w.insert(k, &content(4 * k, 60 + (k as usize * 37) % 300)).unwrap();
        }
        if t == 2 {
            w.seal().unwrap()
        } else {
            w.commit().unwrap()
        };
    }
    w.close().unwrap();
    backend.to_bytes()
}

#[test]
fn a_seal_of_ours_is_never_taken_for_that_of_another_program() {
    let good = sealed_twice();
    let truth = Truth::of(&good);
    for at in (12_288..good.len()).step_by(512) {
        for len in [512, 4096, 16_384] {
            let mut image = good.clone();
            let end = (at + len).min(good.len());
            image[at..end].fill(0);
            let Ok(store) = open(&image) else { continue };
            match store.opened() {
                Opened::Intact => drop(truth.compare(&store).unwrap()),
                Opened::OlderCommit { .. } | Opened::LastSeal { .. } => {
                    for k in 0..72_u64 {
                        if let Ok(found) = store.get(k) {
                            assert_eq!(*found, *truth.records[k as usize].1, "{at}, {len}: {k}");
                        }
                    }
                }
                other => panic!("{at}, {len}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_damaged_slot_costs_nothing_and_a_lost_slot_page_stops_every_writer() {
    let good = fifty_and_fifty(true);
    let newest = open(&good).unwrap().generation();
    let page = SLOT_OFFSETS[newest as usize % 2] as usize;
    let truth = Truth::of(&good);
    // Either copy alone.
    for at in [page + 40, page + 2048 + 40, page + 256] {
        let mut image = good.clone();
        image[at..at + 16].fill(0x55);
        let store = open(&image).unwrap();
        assert_eq!(store.opened(), Opened::Intact);
        assert_eq!(truth.compare(&store), Ok(0));
        assert!(!store.verify(|_, _| Ok(())).unwrap().is_intact(), "a damaged copy is damage");
    }
    // The page, lost or as it was before the commit.
    let mut before = good.clone();
    let dir = tempfile::tempdir().unwrap();
    let (path, new) = (dir.path().join("s.vls"), dir.path().join("new.vls"));
    let stale = {
        let backend = Arc::new(MemoryBackend::new());
        let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
        w.insert("a", b"1").unwrap();
        w.commit().unwrap();
        let old = backend.to_bytes();
        w.insert("b", b"2").unwrap();
        w.commit().unwrap();
        drop(w);
        let page = SLOT_OFFSETS[open(&backend.to_bytes()).unwrap().generation() as usize % 2];
        let mut now = backend.to_bytes();
        let page = page as usize..page as usize + 4096;
        now[page.clone()].copy_from_slice(&old[page]);
        now
    };
    before[page..page + 4096].fill(0);
    for (image, all) in [(before, 100), (stale, 2)] {
        fs::write(&path, &image).unwrap();
        let store = Store::open(&path).unwrap();
        assert!(matches!(store.opened(), Opened::OlderCommit { .. }), "{:?}", store.opened());
        assert!(store.len() < all);
        let error = Writer::open(&path, &options().write).map(drop).unwrap_err();
        let Error::Older { records, .. } = error.root() else { panic!("{error}") };
        assert_eq!(*records, store.len());
        assert!(error.to_string().contains("vlstore recover"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), image);
        let options = RecoverOptions { overwrite: true, ..RecoverOptions::default() };
        let found = recover(&path, &new, &options, |_, _| Ok(())).unwrap();
        assert_eq!(found.records, all);
        // Who says so goes on with what can be read, and then it is a whole store.
        let accepted = StoreOptions {
            write: WriteOptions { accept_older: true, ..self::options().write },
            ..self::options()
        };
        let mut w = Writer::open(&path, &accepted.write).unwrap();
        w.insert("new", b"record").unwrap();
        w.close().unwrap();
        let after = Store::open(&path).unwrap();
        assert_eq!((after.opened(), after.len()), (Opened::Intact, store.len() + 1));
    }
}

#[test]
fn slots_that_both_went_back_are_noticed_where_two_commits_followed() {
    let backend = Arc::new(MemoryBackend::new());
    let options = StoreOptions {
        layout: Layout { chunk_size: 4096, compression: Compression::Stored, ..options().layout },
        ..options()
    };
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    // Chunks come first in the file, so that the log lies behind what is lost.
    w.insert("first", &content(4, 20_480)).unwrap();
    let mut images = Vec::new();
    for k in 0..6_u64 {
        w.insert(k, &content(k, 40)).unwrap();
        w.commit().unwrap();
        images.push(backend.to_bytes());
    }
    drop(w);
    let mut image = images[5].clone();
    image[..16_384].copy_from_slice(&images[2][..16_384]);
    let store = open(&image).unwrap();
    assert!(matches!(store.opened(), Opened::OlderCommit { .. }), "{:?}", store.opened());
    let refused = Writer::open_in(Arc::new(MemoryBackend::from_bytes(image)), &options.write);
    assert!(matches!(refused, Err(Error::Older { records: 4, .. })));
    // One commit more is what a cut of the power inside of it leaves.
    let mut image = images[5].clone();
    image[..16_384].copy_from_slice(&images[4][..16_384]);
    assert_eq!(open(&image).unwrap().opened(), Opened::Intact);
}

#[test]
fn a_page_that_the_newest_commit_need_not_read_does_not_cost_it() {
    let backend = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    for k in 0..3000_u64 {
        w.insert(k, &content(k, 9)).unwrap();
    }
    w.seal().unwrap();
    for k in (0..3000_u64).step_by(7) {
        w.delete(k).unwrap();
    }
    w.insert("last", b"record").unwrap();
    w.commit().unwrap();
    drop(w);
    let good = backend.to_bytes();
    let truth = Truth::of(&good);
    assert_eq!(open(&good).unwrap().info().unwrap().dead_records, 429);
    let leaf = good.windows(8).position(|w| w == b"VLleaf\0\x01").unwrap();
    let len = u64::from_le_bytes(good[leaf + 32..leaf + 40].try_into().unwrap()) as usize;
    let behind = leaf + 64;
    let copy = good[behind..].windows(64).position(|w| *w == good[leaf..behind]).unwrap() + behind;
    for at in (leaf + 64..leaf + len).step_by(97) {
        // In one of the two copies it costs nothing at all.
        let mut image = good.clone();
        image[at] ^= 1;
        assert_eq!(truth.compare(&open(&image).unwrap()).unwrap(), 0, "{at}");
        image[at - leaf + copy] ^= 1;
        let store = open(&image).unwrap();
        assert_eq!(store.opened(), Opened::Intact, "{at}");
        assert_eq!(*store.get("last").unwrap(), *b"record");
        let errors = truth.compare(&store).unwrap();
        assert!(errors > 0, "{at}");
        // Dead bytes are counted without reading the leaf.
        assert_eq!(store.info().unwrap().dead_bytes, 429 * 9);
    }
}
