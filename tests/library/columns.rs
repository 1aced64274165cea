//! Columns: numbers of every record that are read without the record. They survive what records
//! survive, are checked like the index, and go where the records go.

use std::collections::BTreeMap;
use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::maintain::{
    CopyOptions, MergeOptions, RecoverOptions, SplitBy, SplitOptions, compact_into, copy, merge,
    recover_into, split,
};
use vlstore::{
    Column, ColumnKind, ColumnValues, Durability, Error, Key, Layout, ReadOptions, Row, RowMaker,
    Snapshot, Store, StoreOptions, WriteOptions, Writer,
};

static COLUMNS: [Column; 3] = [
    Column::new("step", ColumnKind::I64, 1),
    Column::new("cell", ColumnKind::F64, 3),
    Column::new("energy", ColumnKind::F64, 1),
];

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            columns: Some(COLUMNS.to_vec()),
            chunk_size: 8192,
            block_size: 2048,
            ..Layout::default()
        },
        write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn row(n: i64) -> Row<'static> {
    let mut row = Row::new(&COLUMNS);
    row.set_i64("step", &[n]).unwrap();
    row.set_f64("cell", &[1.0, 2.0, n as f64]).unwrap();
    row.set_f64("energy", &[-0.5 * n as f64]).unwrap();
    row
}

/// Numbers that do not repeat, so that records compress a little only.
fn bytes(n: i64, len: usize) -> Vec<u8> {
    let mut x = n.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn steps(s: &Snapshot) -> Vec<i64> {
    s.column("step", 0..u64::MAX).unwrap().values.as_i64().unwrap().to_vec()
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn check(s: &Snapshot, expected: &[i64]) {
    assert_eq!(steps(s), expected);
    let energy = s.column("energy", 0..u64::MAX).unwrap();
    let right: Vec<f64> = expected.iter().map(|n| -0.5 * *n as f64).collect();
    assert_eq!(energy.values, ColumnValues::F64(right));
    assert!(energy.unknown.is_empty());
    let cell = s.column("cell", 0..u64::MAX).unwrap();
    let right: Vec<f64> = expected.iter().flat_map(|n| [1.0, 2.0, *n as f64]).collect();
    assert_eq!(cell.values.as_f64(), Some(&right[..]));
    let found = s.verify(|_, _| Ok(())).unwrap();
    assert!(found.is_intact(), "{:?}", found.damages);
}

fn content(backend: &dyn Backend) -> Vec<u8> {
    let mut out = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read_at(0, &mut out).unwrap();
    out
}

fn memory(bytes: &[u8]) -> Arc<dyn Backend> {
    let backend = MemoryBackend::new();
    backend.write_at(0, bytes).unwrap();
    Arc::new(backend)
}

#[test]
fn rows_survive_commits_seals_deletions_and_reopening_like_their_records() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    let mut model: Vec<(Option<i64>, i64)> = Vec::new();
    let mut seed = 7_u64;
    let mut roll = move |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for n in 0..3000_i64 {
        let body = bytes(n, 20 + usize::try_from(roll(90)).unwrap());
        match roll(10) {
            0 if !model.is_empty() => {
                let at = usize::try_from(roll(model.len() as u64)).unwrap();
                w.delete_at(at as u64).unwrap();
                model.remove(at);
            }
            1 => {
                w.put_row(None, &body, 0, &row(n), vlstore::Existing::Refuse).unwrap();
                model.push((None, n));
            }
            _ => {
                let key = i64::try_from(roll(400)).unwrap();
                w.put_row(Some(&Key::from(key)), &body, 0, &row(n), vlstore::Existing::Replace)
                    .unwrap();
                model.retain(|(k, _)| *k != Some(key));
                model.push((Some(key), n));
            }
        }
        let expected: Vec<i64> = model.iter().map(|m| m.1).collect();
        match roll(60) {
            0 => drop(w.commit().unwrap()),
            1 => drop(w.seal().unwrap()),
            2 => {
                w.close().unwrap();
                check(
                    &Store::open_in(backend.clone(), &options().write.reading()).unwrap(),
                    &expected,
                );
                w = Writer::open_in(backend.clone(), &options().write).unwrap();
            }
            3 => {
                let found = w.column("step", 0..u64::MAX).unwrap();
                assert_eq!(found.values, ColumnValues::I64(expected));
            }
            _ => {}
        }
    }
    w.commit().unwrap();
    let expected: Vec<i64> = model.iter().map(|m| m.1).collect();
    let s = w.snapshot().unwrap();
    check(&s, &expected);
    for (from, to) in [(0, 1), (5, 5), (17, 230), (300, u64::MAX), (9999, u64::MAX)] {
        let end = usize::try_from(to).unwrap_or(usize::MAX).min(expected.len());
        let right = expected.get(usize::try_from(from).unwrap()..end).unwrap_or_default();
        let found = s.column("step", from..to).unwrap();
        assert_eq!(found.values.as_i64(), Some(right), "{from}..{to}");
    }
    let sites = s.column("weight", 0..3).unwrap();
    assert_eq!(sites.values, ColumnValues::I64(vec![0; 3]));
    let lengths = s.column("bytes", 0..u64::MAX).unwrap();
    assert_eq!(
        lengths.values.as_i64().unwrap()[4],
        i64::try_from(s.get_at(4).unwrap().len()).unwrap()
    );
    assert!(matches!(s.column("steps", 0..1).unwrap_err(), Error::NotFound { .. }));
}

#[test]
fn many_leaves_give_one_column_and_the_file_stays_small() {
    let mut with = Writer::in_memory(&options()).unwrap();
    let mut without = Writer::in_memory(&StoreOptions {
        layout: Layout { columns: None, ..options().layout },
        ..options()
    })
    .unwrap();
    let expected: Vec<i64> = (0..30_000).collect();
    for n in &expected {
        with.put_row(Some(&Key::from(*n)), &bytes(*n, 40), 0, &row(*n), vlstore::Existing::Refuse)
            .unwrap();
        without.insert(*n, &bytes(*n, 40)).unwrap();
    }
    with.seal().unwrap();
    without.seal().unwrap();
    check(&with.snapshot().unwrap(), &expected);
    let more = with.backend().len().unwrap() - without.backend().len().unwrap();
    assert!(more < 12 * 30_000, "{more} bytes for 30 000 rows of 40");
}

#[test]
fn a_column_is_read_without_touching_a_record() {
    let mut w = Writer::in_memory(&options()).unwrap();
    for n in 0..2000 {
        w.put_row(Some(&Key::from(n)), &bytes(n, 100), 3, &row(n), vlstore::Existing::Refuse)
            .unwrap();
    }
    w.seal().unwrap();
    let mut file = content(&**w.backend());
    // Every byte of every record is spoilt: whoever read one would be told.
    let s = Store::from_bytes(file.clone()).unwrap();
    let chunks: Vec<u64> = s.stat(|_, _| Ok(())).unwrap().kinds.iter().map(|k| k.chunks).collect();
    assert!(chunks.iter().sum::<u64>() > 10);
    let mut spoilt = 0;
    let starts: Vec<usize> = (12_288..file.len() - 32)
        .step_by(64)
        .filter(|at| file[*at] == 5 && file[at + 4..at + 8] == 8192_u32.to_le_bytes())
        .collect();
    // All but the last, which is the open one as the seal wrote it and is read on opening.
    for at in starts.iter().rev().skip(1).copied() {
        let len = u32::from_le_bytes(file[at + 12..at + 16].try_into().unwrap()) as usize;
        file[at + 32..at + len].fill(0xA5);
        spoilt += 1;
    }
    assert!(spoilt > 10);
    let s = Store::from_bytes(file).unwrap();
    assert!((0..1900).all(|n| s.get_at(n).is_err()));
    assert_eq!(steps(&s), (0..2000).collect::<Vec<_>>());
    assert_eq!(s.column("weight", 0..5).unwrap().values, ColumnValues::I64(vec![3; 5]));
}

#[test]
fn a_record_without_a_row_is_known_as_such_and_costs_nothing() {
    let mut w = Writer::in_memory(&options()).unwrap();
    w.insert("a", b"one").unwrap();
    w.put_row(Some(&Key::from("b")), b"two", 0, &row(5), vlstore::Existing::Refuse).unwrap();
    w.insert("c", b"three").unwrap();
    w.delete("a").unwrap();
    w.commit().unwrap();
    for round in 0..2 {
        let s = w.snapshot().unwrap();
        let found = s.column("step", 0..9).unwrap();
        assert_eq!((found.values, found.unknown), (ColumnValues::I64(vec![5, i64::MIN]), vec![1]));
        let found = s.column("energy", 1..2).unwrap();
        assert!(found.values.as_f64().unwrap()[0].is_nan());
        assert_eq!((found.unknown, round < 2), (vec![1], true));
        w.seal().unwrap();
    }
    assert!(w.put_row(None, b"x", 0, &Row::new(&COLUMNS[..1]), vlstore::Existing::Refuse).is_err());
    assert_eq!(w.len(), 2);
}

#[test]
fn a_maker_fills_the_rows_of_every_put_and_no_other_file() {
    static LENGTH: [Column; 1] = [Column::new("length", ColumnKind::I64, 1)];
    let maker = RowMaker {
        columns: &LENGTH,
        fill: |bytes, row| {
            row[0] = bytes.len() as u64;
            !bytes.is_empty()
        },
    };
    let made = StoreOptions {
        write: WriteOptions { rows: Some(maker), ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let mut w = Writer::in_memory(&made).unwrap();
    w.push(b"four").unwrap();
    w.insert(1, b"").unwrap();
    w.commit().unwrap();
    let s = w.snapshot().unwrap();
    assert_eq!(s.columns(), LENGTH);
    let found = s.column("length", 0..2).unwrap();
    assert_eq!((found.values, found.unknown), (ColumnValues::I64(vec![4, i64::MIN]), vec![1]));
    // A file of other columns keeps to its own.
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    Writer::create_in(backend.clone(), &options()).unwrap().close().unwrap();
    let mut other = Writer::open_in(backend, &made.write).unwrap();
    other.push(b"x").unwrap();
    assert_eq!(other.column("step", 0..1).unwrap().unknown, [0]);
}

#[test]
fn rows_go_where_their_records_go() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    for (name, range) in [("one", 0..500_i64), ("two", 500..700)] {
        let mut w = Writer::create(place(name), &options()).unwrap();
        for n in range {
            w.put_row(Some(&Key::from(n)), &bytes(n, 60), 2, &row(n), vlstore::Existing::Refuse)
                .unwrap();
        }
        w.insert("gone", b"x").unwrap();
        w.delete("gone").unwrap();
        w.close().unwrap();
    }
    let all: Vec<i64> = (0..700).collect();
    let quiet = |_: u64, _: u64| Ok(());
    merge(&[place("one"), place("two")], place("both"), &MergeOptions::default(), quiet).unwrap();
    check(&Store::open(place("both")).unwrap(), &all);
    copy(place("both"), place("copy"), &CopyOptions::default(), quiet).unwrap();
    check(&Store::open(place("copy")).unwrap(), &all);
    let by = SplitBy::Records(300);
    let parts = split(place("both"), place("part"), &by, &SplitOptions::default(), quiet).unwrap();
    let found: Vec<i64> =
        parts.iter().flat_map(|(path, _)| steps(&Store::open(path).unwrap())).collect();
    assert_eq!(found, all);
    let both = Store::open(place("both")).unwrap();
    let mut w = Writer::in_memory(&options()).unwrap();
    compact_into(&both, &mut w, quiet).unwrap();
    w.commit().unwrap();
    check(&w.snapshot().unwrap(), &all);
    // Into a store with other columns no row is carried that would not be whole.
    let few = StoreOptions {
        layout: Layout { columns: Some(COLUMNS[2..].to_vec()), ..options().layout },
        ..options()
    };
    let mut w = Writer::in_memory(&few).unwrap();
    compact_into(&both, &mut w, quiet).unwrap();
    let energy = w.column("energy", 0..700).unwrap();
    assert_eq!((energy.values.as_f64().unwrap()[3], energy.unknown), (-1.5, vec![]));
}

#[test]
fn recovery_saves_rows_by_every_means_and_never_a_wrong_one() {
    let mut w = Writer::in_memory(&options()).unwrap();
    for n in 0..600 {
        w.put_row(Some(&Key::from(n)), &bytes(n, 60), 2, &row(n), vlstore::Existing::Refuse)
            .unwrap();
        if n % 100 == 99 {
            w.commit().unwrap();
        }
    }
    w.seal().unwrap();
    for n in 600..700 {
        w.put_row(Some(&Key::from(n)), &bytes(n, 60), 2, &row(n), vlstore::Existing::Refuse)
            .unwrap();
    }
    w.commit().unwrap();
    let good = content(&**w.backend());
    let saved = |file: &[u8]| {
        let new: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
        recover_into(&memory(file), &new, &RecoverOptions::default(), |_, _| Ok(())).unwrap();
        Store::open_in(new, &ReadOptions::default()).unwrap()
    };
    let all: Vec<i64> = (0..700).collect();
    check(&saved(&good), &all);
    // Without slots everything is found by searching.
    let mut bad = good.clone();
    bad[4096..12_288].fill(0);
    check(&saved(&bad), &all);
    // Wherever 64 bytes are gone, a row is right or known to be lost.
    let mut lost = 0;
    for at in (12_288..good.len() - 64).step_by(4096 + 64) {
        let mut bad = good.clone();
        bad[at..at + 64].fill(0x5A);
        let s = saved(&bad);
        let found = s.column("step", 0..u64::MAX).unwrap();
        let unknown: BTreeMap<u64, ()> = found.unknown.iter().map(|o| (*o, ())).collect();
        for (o, step) in found.values.as_i64().unwrap().iter().enumerate() {
            let key = s.key_at(o as u64).unwrap().unwrap();
            match unknown.get(&(o as u64)) {
                Some(()) => lost += 1,
                None => assert_eq!(key, Key::from(*step)),
            }
        }
    }
    println!("{lost} rows were lost and known to be");
}

#[test]
fn damaged_rows_are_noticed_and_cost_no_record() {
    let mut w = Writer::in_memory(&options()).unwrap();
    for n in 0..300 {
        w.put_row(Some(&Key::from(n)), &bytes(n, 30), 0, &row(n), vlstore::Existing::Refuse)
            .unwrap();
    }
    w.seal().unwrap();
    let good = content(&**w.backend());
    let s = Store::from_bytes(good.clone()).unwrap();
    let right = steps(&s);
    // The first leaf and its copy: their rows are a chunk of numbers of 8 bytes behind the keys.
    let leaf = good.windows(8).position(|w| w == b"VLleaf\0\x01").unwrap();
    let head = &good[leaf..leaf + 64];
    let copy = leaf + 64 + good[leaf + 64..].windows(64).position(|w| w == head).unwrap();
    let chunk = (leaf..good.len() - 32)
        .step_by(8)
        .find(|at| good[*at..].starts_with(&[5, 1]) && good[at + 3] == 8)
        .unwrap();
    for bit in 0..64 * 8 {
        let mut bad = good.clone();
        bad[chunk + bit / 8] ^= 1 << (bit % 8);
        let s = Store::from_bytes(bad.clone()).unwrap();
        assert_eq!(steps(&s), right, "bit {bit}");
        assert!(!s.verify(|_, _| Ok(())).unwrap().is_intact());
        bad[chunk - leaf + copy + bit / 8] ^= 1 << (bit % 8);
        let s = Store::from_bytes(bad).unwrap();
        assert!(s.column("step", 0..1).is_err(), "bit {bit}");
        assert!(!s.verify(|_, _| Ok(())).unwrap().is_intact());
    }
    assert_eq!(right.len(), 300);
}

#[test]
fn columns_that_a_file_cannot_keep_are_refused_when_it_is_made() {
    let many = (0..65).map(|i| Column {
        name: format!("column {i}").into(),
        ..Column::new("", ColumnKind::F64, 1)
    });
    let bad = StoreOptions {
        layout: Layout { columns: Some(many.collect()), ..options().layout },
        ..options()
    };
    assert!(matches!(Writer::in_memory(&bad).unwrap_err(), Error::Limit { asked: 65, .. }));
    let none = StoreOptions {
        layout: Layout { columns: Some(Vec::new()), ..options().layout },
        ..options()
    };
    let s = Writer::in_memory(&none).unwrap().snapshot().unwrap();
    assert!(s.columns().is_empty() && s.column("weight", 0..9).unwrap().values.is_empty());
}
