//! Compacting loses no record, gives back the dead space, and is whole or not at all.

use crate::listed::{Listed, listed};
use std::fs;
use std::path::Path;
use vlstore::Readable;
use vlstore::maintain::{CompactOptions, compact, compact_into};
use vlstore::{Durability, Error, Key, Layout, Purpose, Store, StoreOptions, WriteOptions, Writer};

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 16 << 10,
            block_size: 2 << 10,
            purpose: Purpose::Random,
            record_codec: ("test".into(), 3),
            ..Layout::default()
        },
        write: WriteOptions {
            durability: Durability::None,
            check: Some(|_, _, _, _| Ok(None)),
            threads: 1,
            ..WriteOptions::default()
        },
    }
}

/// Bytes that belong to record `i` of round `round`.
fn bytes(i: u64, round: u64) -> Vec<u8> {
    let len = usize::try_from(i * 7919 % 3000).unwrap();
    (0..len).map(|k| u8::try_from((k as u64 * (i + 3) + round) % 251).unwrap()).collect()
}

/// Records of every kind of key, some of them replaced, some deleted, over several commits.
fn fill(writer: &mut Writer) {
    for i in 0..200_u64 {
        let key = match i % 4 {
            0 => None,
            1 => Some(Key::from(i)),
            2 => Some(Key::from(format!("name {i}"))),
            _ => Some(Key::from(i.to_le_bytes().to_vec())),
        };
        let sites = u32::try_from(i).unwrap();
        writer.put_sized(key.as_ref(), &bytes(i, 0), sites, vlstore::Existing::Refuse).unwrap();
        if i % 40 == 39 {
            writer.commit().unwrap();
        }
    }
    for i in (1..200_u64).step_by(8) {
        writer.put_sized(Some(&Key::from(i)), &bytes(i, 1), 7, vlstore::Existing::Replace).unwrap();
    }
    for i in (2..200_u64).step_by(12) {
        writer.delete(format!("name {i}")).unwrap();
    }
    writer.delete_at(0).unwrap();
    writer.set_attributes(&serde_json::json!({"units": {"length": "nm"}})).unwrap();
}

fn store_at(path: &Path) -> Vec<Listed> {
    let mut writer = Writer::create(path, &options()).unwrap();
    fill(&mut writer);
    writer.close().unwrap();
    listed(&Store::open(path).unwrap())
}

fn names(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn every_live_record_stays_in_its_order_and_the_dead_space_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let before = store_at(&path);
    let old = Store::open(&path).unwrap();
    let dead = old.info().unwrap();
    assert!(dead.dead_bytes > 0);
    let done = compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap();
    assert_eq!(done.dead_bytes, dead.dead_bytes);
    assert!(done.dead_records > 0);
    let new = Store::open(&path).unwrap();
    assert_eq!(listed(&new), before);
    assert_eq!(done.records, before.len() as u64);
    assert_eq!(new.info().unwrap().dead_bytes, 0);
    assert_eq!(new.attributes(), old.attributes());
    assert_eq!(new.layout().record_codec, ("test".into(), 3));
    assert_eq!(new.layout().chunk(), old.layout().chunk());
    assert_eq!(done.bytes_after, fs::metadata(&path).unwrap().len());
    assert!(done.bytes_after < done.bytes_before, "{done:?}");
    assert!(new.verify(|_, _| Ok(())).unwrap().is_intact());
    assert_eq!(names(dir.path()), 1);
    // The old reader still sees the old file, deleted from its folder as it is.
    assert_eq!(listed(&old), before);
    // It can be gone on with.
    let mut writer = Writer::open(&path, &options().write).unwrap();
    writer.insert("new", b"record").unwrap();
    writer.close().unwrap();
    assert_eq!(Store::open(&path).unwrap().len(), before.len() as u64 + 1);
}

#[test]
fn interrupted_anywhere_it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    store_at(&path);
    let before = fs::read(&path).unwrap();
    let mut calls = 0;
    compact(&path, &CompactOptions::default(), |_, _| {
        calls += 1;
        Ok(())
    })
    .unwrap();
    fs::write(&path, &before).unwrap();
    for stop in (0..calls).step_by(29).chain([calls - 1]) {
        let mut left = stop;
        let error = compact(&path, &CompactOptions::default(), |_, _| {
            left -= 1;
            if left < 0 { Err(Error::Interrupted) } else { Ok(()) }
        })
        .unwrap_err();
        assert!(matches!(error.root(), Error::Interrupted), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(names(dir.path()), 1, "nothing is left behind");
    }
}

#[test]
fn a_store_that_is_being_written_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    store_at(&path);
    let writer = Writer::open(&path, &options().write).unwrap();
    let error = compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap_err();
    assert!(matches!(error.root(), Error::Locked), "{error}");
    drop(writer);
    compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap();
}

#[test]
fn damage_is_named_by_record_and_nothing_is_thrown_away_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    store_at(&path);
    let good = fs::read(&path).unwrap();
    // The first byte whose change costs a record.
    let costs = |at: &usize| {
        let mut bad = good.clone();
        bad[*at] ^= 1;
        let found = Store::from_bytes(bad).unwrap().verify(|_, _| Ok(())).unwrap();
        found.affected().next().is_some()
    };
    let at = (12_288..good.len()).step_by(997).find(costs).unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    fs::write(&path, &bad).unwrap();
    let error = compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("record "), "{error}");
    assert!(matches!(error.root(), Error::Corrupt(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bad);
    assert_eq!(names(dir.path()), 1);
}

#[test]
fn a_store_whose_newest_commit_is_gone_is_compacted_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    store_at(&path);
    let newest = Store::open(&path).unwrap().generation();
    let mut bad = fs::read(&path).unwrap();
    let slot = if newest.is_multiple_of(2) { 4096 } else { 8192 };
    bad[slot..slot + 4096].fill(0);
    fs::write(&path, &bad).unwrap();
    let error = compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("recover"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bad);
    let kept = listed(&Store::open(&path).unwrap());
    let options = CompactOptions { accept_older: true, ..CompactOptions::default() };
    compact(&path, &options, |_, _| Ok(())).unwrap();
    assert_eq!(listed(&Store::open(&path).unwrap()), kept);
}

#[test]
fn a_store_without_records_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    Writer::create(&path, &options()).unwrap().close().unwrap();
    let done = compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap();
    assert_eq!((done.records, done.bytes_after), (0, fs::metadata(&path).unwrap().len()));
    assert!(Store::open(&path).unwrap().is_empty());
}

#[test]
fn stores_in_memory_are_compacted_into_another() {
    let mut writer = Writer::in_memory(&options()).unwrap();
    fill(&mut writer);
    writer.commit().unwrap();
    let snapshot = writer.snapshot().unwrap();
    let mut new = Writer::in_memory(&options()).unwrap();
    let done = compact_into(&snapshot, &mut new, |_, _| Ok(())).unwrap();
    new.seal().unwrap();
    assert_eq!(listed(&new.snapshot().unwrap()), listed(&snapshot));
    assert_eq!(done.records, snapshot.len());
    let clash = compact_into(&snapshot, &mut new, |_, _| Ok(())).unwrap_err();
    assert!(matches!(clash, Error::Exists { .. }), "{clash}");
}
