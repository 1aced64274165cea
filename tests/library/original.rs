//! A file of the original program that is added to in place is one of ours from then on: in
//! every call and every verb, with keys of all kinds, also such as only the original took.

use crate::{frame, other};
use std::path::Path;
use vlstore::Readable;
use vlstore::chunk::{Algorithm, Filter, Params};
use vlstore::index::slot::Slot;
use vlstore::maintain::{
    Clash, CompactOptions, CopyOptions, MergeOptions, RecoverOptions, SplitBy, SplitOptions,
};
use vlstore::wire::U64;
use vlstore::{Alignment, Error, Key, Opened, Store, StoreOptions, WriteOptions, Writer};

const PARAMS: Params =
    Params { algorithm: Some(Algorithm::Zstd), level: 1, filter: Filter::Shuffle, typesize: 4 };

/// Keys of every kind that the original takes, each with its bytes.
fn records() -> Vec<(Key, Vec<u8>)> {
    let keys = [
        Key::from(1),
        Key::from("1"),
        Key::from(&b"1"[..]),
        Key::from("a".repeat(70_000)),
        Key::from(0),
        Key::from(-7),
        Key::from(i64::MAX),
        Key::from(u64::MAX),
        Key::from(""),
        Key::from(&b""[..]),
        Key::from("Ωμέγα 🧪"),
        Key::from(vec![0xff; 300_000]),
    ];
    let bytes = |i: usize| vec![u8::try_from(i + 1).unwrap(); 100 + 700 * i];
    keys.into_iter().enumerate().map(|(i, key)| (key, bytes(i))).collect()
}

fn write(path: &Path) {
    std::fs::write(path, other::original(&records(), 4096, PARAMS, Alignment::NoCross)).unwrap();
}

/// Opens and checks everything that a file says of itself.
fn holds(path: &Path, wanted: &[(Key, Vec<u8>)]) {
    let store = Store::open(path).unwrap();
    assert_eq!(store.keys().unwrap(), wanted.iter().map(|w| w.0.clone()).collect::<Vec<_>>());
    for (key, bytes) in wanted {
        assert_eq!(*store.get(key).unwrap(), **bytes);
    }
    let verified = store.verify(|_, _| Ok(())).unwrap();
    assert!(verified.is_intact() && verified.frame.is_none(), "{:?}", verified.damages);
    assert_eq!(store.opened(), Opened::Intact);
}

#[test]
fn every_key_of_the_original_is_found_replaced_and_deleted_in_a_file_that_is_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let options = StoreOptions::default();
    for (key, bytes) in records() {
        write(&path);
        let store = Store::open(&path).unwrap();
        assert_eq!(
            (store.opened(), *store.get(&key).unwrap() == *bytes),
            (Opened::Unchecked, true)
        );
        let mut wanted = records();
        wanted.retain(|w| w.0 != key);

        let mut w = Writer::open(&path, &options.write).unwrap();
        let refused = w.insert(key.clone(), b"again").unwrap_err();
        assert!(matches!(refused.root(), Error::Exists { .. }), "{refused}");
        w.delete(key.clone()).unwrap();
        assert!(matches!(w.delete(key.clone()), Err(Error::NotFound { .. })));
        w.close().unwrap();
        holds(&path, &wanted);

        wanted.push((key.clone(), b"again".to_vec()));
        let mut w = Writer::open(&path, &options.write).unwrap();
        w.insert(key, b"again").unwrap();
        w.close().unwrap();
        holds(&path, &wanted);
    }
}

#[test]
fn a_file_of_the_original_that_is_added_to_goes_through_every_verb() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let path = at("a");
    let nothing = |_: u64, _: u64| Ok(());
    write(&path);
    let mut wanted = records();
    // As it is, before anything is added.
    vlstore::maintain::copy(&path, at("copy-before"), &CopyOptions::default(), nothing).unwrap();
    holds(&at("copy-before"), &wanted);
    let recovered =
        vlstore::maintain::recover(&path, at("saved-before"), &RecoverOptions::default(), nothing)
            .unwrap();
    assert_eq!(recovered.records, wanted.len() as u64);
    holds(&at("saved-before"), &wanted);

    let mut w = Writer::open(&path, &WriteOptions::default()).unwrap();
    for key in [Key::from("text"), Key::from(2), Key::from(&b"two"[..])] {
        w.insert(key.clone(), b"new").unwrap();
        wanted.push((key, b"new".to_vec()));
    }
    w.commit().unwrap();
    holds(&path, &wanted);
    w.seal().unwrap();
    w.close().unwrap();
    holds(&path, &wanted);
    let table = frame::read(&std::fs::read(&path).unwrap()).unwrap().records.unwrap();
    assert_eq!(table.len(), wanted.len(), "what the original program sees");

    vlstore::maintain::copy(&path, at("copy"), &CopyOptions::default(), nothing).unwrap();
    holds(&at("copy"), &wanted);
    vlstore::maintain::recover(&path, at("saved"), &RecoverOptions::default(), nothing).unwrap();
    holds(&at("saved"), &wanted);
    let clash = MergeOptions { clash: Clash::KeepFirst, ..MergeOptions::default() };
    vlstore::maintain::merge(&[&path, &at("copy-before")], at("both"), &clash, nothing).unwrap();
    holds(&at("both"), &wanted);
    let parts = SplitBy::Records(5);
    let made = vlstore::maintain::split(
        &path,
        dir.path().join("part"),
        &parts,
        &SplitOptions::default(),
        nothing,
    );
    let mut seen = 0;
    for part in made.unwrap() {
        seen += Store::open(part.0).unwrap().len();
    }
    assert_eq!(seen, wanted.len() as u64);
    vlstore::maintain::compact(&path, &CompactOptions::default(), nothing).unwrap();
    holds(&path, &wanted);
}

/// Files that were added to while the bound of integer keys started too low have some keys twice.
#[test]
fn recover_mends_a_file_whose_bound_of_integer_keys_was_too_low() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    write(&path);
    Writer::open(&path, &WriteOptions::default()).unwrap().close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let file: [u8; 16] = bytes[4104..4120].try_into().unwrap();
    for at in [4096, 8192] {
        let slot = Slot::parse(&bytes[at..], file).unwrap();
        bytes[at..at + 256].copy_from_slice(&Slot { key_bound: U64::new(1), ..slot }.encode());
    }
    std::fs::write(&path, &bytes).unwrap();
    let mut w = Writer::open(&path, &WriteOptions::default()).unwrap();
    w.insert(1, b"twice").unwrap();
    w.commit().unwrap();
    let snapshot = w.snapshot().unwrap();
    assert!(!snapshot.verify(|_, _| Ok(())).unwrap().is_intact());
    drop(w);
    vlstore::maintain::recover(&path, dir.path().join("b"), &RecoverOptions::default(), |_, _| {
        Ok(())
    })
    .unwrap();
    let mut wanted = records();
    wanted.retain(|w| w.0 != Key::from(1));
    wanted.push((Key::from(1), b"twice".to_vec()));
    holds(&dir.path().join("b"), &wanted);
}
