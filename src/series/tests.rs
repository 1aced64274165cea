use super::*;
use crate::existing::Existing;
use crate::key::Key;
use crate::series::lazy::{Expr, Resample};
use crate::series::{Points, Stored, TimeRule, block_of, series_read};
use crate::store::StoreOptions;
use std::ops::Range;

fn store() -> SeriesStore {
    SeriesStore::in_memory(SeriesOptions::default()).unwrap()
}

fn key(text: &str) -> Key {
    Key::from(text)
}

/// Times and values that tell their position.
fn numbers(range: Range<usize>) -> (Vec<f64>, Vec<f64>) {
    let times = range.clone().map(|i| i as f64 * 0.5).collect();
    (times, range.map(|i| (i as f64).sin()).collect())
}

fn put(store: &mut SeriesStore, id: &str, range: Range<usize>) {
    let (times, values) = numbers(range);
    let points = Points::new(Some(&times), vec![&values]).unwrap();
    store.store(&key(id), &points, Existing::Replace).unwrap();
}

fn append(store: &mut SeriesStore, id: &str, range: Range<usize>) {
    let (times, values) = numbers(range);
    let points = Points::new(Some(&times), vec![&values]).unwrap();
    store.append(&key(id), &points).unwrap();
}

fn check(store: &mut SeriesStore, id: &str, len: usize) {
    let (times, values) = numbers(0..len);
    let series = store.get(&key(id)).unwrap();
    assert_eq!(series.times().unwrap(), times);
    assert_eq!(series.channel(0), values);
    assert_eq!(store.size(&key(id)).unwrap(), len as u64);
    assert_eq!(store.check().unwrap(), []);
}

#[test]
fn appends_of_any_length_come_back_in_order() {
    let mut s = store();
    let block = block_of(1);
    put(&mut s, "x", 0..3);
    let mut len = 3;
    for more in [1, 1, 1, 0, 5, 100, 1, 7, block - 5, 1, 2 * block + 3, 50, block, 1, 1] {
        append(&mut s, "x", len..len + more);
        len += more;
        check(&mut s, "x", len);
    }
    // A range that begins and ends anywhere is that range.
    let (times, values) = numbers(0..len);
    for range in [0..1, 2..4, 3..3, 100..block + 7, block..len, len - 1..len + 9, len..len + 1] {
        let part = s.range(&key("x"), range.start as u64..range.end as u64).unwrap();
        let end = range.end.min(len);
        assert_eq!(part.times().unwrap(), &times[range.start.min(end)..end]);
        assert_eq!(part.channel(0), &values[range.start.min(end)..end]);
        assert_eq!(part.first(), range.start.min(end) as u64);
    }
    // A shorter series leaves nothing of a longer one.
    put(&mut s, "x", 0..2);
    check(&mut s, "x", 2);
    assert_eq!(s.reading(|r| Ok(r.len())).unwrap(), 1);
    put(&mut s, "x", 0..3 * block + 1);
    check(&mut s, "x", 3 * block + 1);
    append(&mut s, "x", 3 * block + 1..3 * block + 2);
    check(&mut s, "x", 3 * block + 2);
    s.remove(&key("x")).unwrap();
    assert_eq!(s.reading(|r| Ok(r.len())).unwrap(), 0);
    assert!(matches!(s.get(&key("x")).unwrap_err().root(), Error::NotFound { .. }));
    assert!(matches!(s.remove(&key("x")).unwrap_err().root(), Error::NotFound { .. }));
}

/// Bytes that were put so far: no place is used twice.
fn written(store: &mut SeriesStore) -> u64 {
    let mut end = 0;
    let all = store.reading(|r| {
        r.visit_index(&mut |_, _, at| {
            end = end.max(at.end);
            Ok(())
        })
    });
    all.unwrap();
    end
}

#[test]
fn pieces_stay_few_and_each_point_is_written_again_a_bounded_number_of_times() {
    let mut s = store();
    put(&mut s, "x", 0..0);
    let n = 1000;
    for i in 0..n {
        append(&mut s, "x", i..i + 1);
    }
    check(&mut s, "x", n);
    let parts = s.reading(|r| Ok(series_read::entry(r, &key("x"))?.parts(0..n as u64))).unwrap();
    assert!(parts.len() <= 12, "{}", parts.len());
    for pair in parts.windows(2) {
        assert!(pair[0].points >= 2 * pair[1].points);
    }
    // Of every point: once, and once more for each doubling up to the length.
    let written = written(&mut s);
    assert!(written < (16 * n * 13 + 200 * n) as u64, "{written}");
}

#[test]
fn an_append_of_one_point_to_a_long_series_writes_one_record_and_the_account() {
    let mut s = store();
    let mut costs = Vec::new();
    for len in [10, 100_000, 1_000_000] {
        put(&mut s, "x", 0..len);
        append(&mut s, "x", len..len + 1);
        let before = written(&mut s);
        append(&mut s, "x", len + 1..len + 2);
        costs.push(written(&mut s) - before);
    }
    assert!(costs.iter().all(|c| *c < 1000), "{costs:?}");
}

#[test]
fn channels_and_missing_times_are_kept() {
    let mut s = store();
    let block = block_of(3);
    let long: Vec<f64> = (0..block + 10).map(|i| i as f64).collect();
    let points = Points::new(None, vec![&long, &long, &long]).unwrap();
    s.store(&Key::from(7), &points, Existing::Refuse).unwrap();
    let series = s.get(&Key::from(7)).unwrap();
    assert_eq!((series.channels(), series.times()), (3, None));
    assert_eq!(series.channel(2), long);
    assert_eq!(series.time(block + 1), (block + 1) as f64);
    assert_eq!(s.range(&Key::from(7), 5..6).unwrap().time(0), 5.0);
    // The text "7" is another series.
    assert!(!s.contains(&key("7")).unwrap());
    let why = s.append(&Key::from(7), &Points::new(None, vec![&[1.0]]).unwrap()).unwrap_err();
    assert!(why.to_string().contains("3 channels"), "{why}");
    let one: &[f64] = &[1.0];
    let timed = Points::new(Some(one), vec![one, one, one]).unwrap();
    let why = s.append(&Key::from(7), &timed).unwrap_err().to_string();
    assert!(why.contains("count from 0"), "{why}");
    assert_eq!(s.shape(&Key::from(7)).unwrap(), (block as u64 + 10, 3, false));
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut s = SeriesStore::in_memory(SeriesOptions {
        times: TimeRule::Increasing,
        ..SeriesOptions::default()
    })
    .unwrap();
    put(&mut s, "x", 0..4);
    let again = Points::new(None, vec![&[1.0]]).unwrap();
    let why = s.store(&key("x"), &again, Existing::Refuse).unwrap_err().to_string();
    assert!(why.contains("series \"x\" exists already"), "{why}");
    for times in [[1.5, 2.0], [2.0, 2.0], [2.0, f64::NAN]] {
        let points = Points::new(Some(&times), vec![&[0.0, 0.0]]).unwrap();
        let why = s.append(&key("x"), &points).unwrap_err().to_string();
        assert!(why.contains("increasing"), "{why}");
    }
    assert!(s.append(&key("y"), &again).unwrap_err().to_string().contains("series \"y\""));
    assert!(s.store(&Key::from(&b"x"[..]), &again, Existing::Refuse).is_err());
    check(&mut s, "x", 4);
    assert_eq!(s.lengths().unwrap(), [(key("x"), 4)]);
}

#[test]
fn values_are_replaced_in_whatever_record_they_lie() {
    let mut s = store();
    let block = block_of(1);
    put(&mut s, "x", 0..2 * block + 100);
    append(&mut s, "x", 2 * block + 100..2 * block + 101);
    let len = 2 * block + 101;
    for (i, (from, n)) in
        [(0, 1), (block - 2, 4), (2 * block - 1, 102), (len - 1, 1)].into_iter().enumerate()
    {
        let new = vec![-2.0 - i as f64; n];
        let before = s.get(&key("x")).unwrap();
        s.set(&key("x"), from as u64, &Points::new(None, vec![&new]).unwrap()).unwrap();
        let after = s.get(&key("x")).unwrap();
        assert_eq!(&after.channel(0)[from..from + n], new);
        assert_eq!(after.channel(0)[..from], before.channel(0)[..from]);
        assert_eq!(after.times(), before.times());
        // What was read before stays as it was.
        assert!(before.channel(0)[from..from + n] != new);
    }
    let one = Points::new(None, vec![&[0.0]]).unwrap();
    assert!(s.set(&key("x"), len as u64, &one).is_err());
    assert_eq!(s.check().unwrap(), []);
}

#[test]
fn a_missing_part_is_named_and_the_rest_is_read() {
    let mut s = store();
    let block = block_of(1);
    for id in ["a", "b", "c", "d"] {
        put(&mut s, id, 0..2 * block + 5);
    }
    {
        let Backing::Memory(writer) = &mut s.place else { panic!("in memory") };
        writer
            .delete(super::super::ids::key(&key("a"), super::super::ids::Role::Block(0)))
            .unwrap();
        writer.delete(key("b")).unwrap();
        writer.delete(super::super::ids::key(&key("c"), super::super::ids::Role::Growth)).unwrap();
        writer.commit().unwrap();
    }
    let found = s.check().unwrap();
    let named = found.iter().map(|d| format!("{}: {}", d.id.as_ref().unwrap(), d.why));
    let named: Vec<String> = named.collect();
    let a = format!("\"a\": its points {block} to {}", 2 * block);
    assert!(named.iter().any(|n| n.contains(&a)), "{named:?}");
    assert!(named.iter().any(|n| n.contains("\"c\": is cut")), "{named:?}");
    assert!(s.size(&key("c")).unwrap_err().to_string().contains("is cut"));
    // What is there is listed.
    assert!(s.lengths().unwrap().contains(&(key("c"), block as u64)));
    assert!(named.iter().any(|n| n.contains("\"b\": there is an account of it, and no start")));
    assert!(
        named.iter().any(|n| n.contains("\"c\": there are points that no account")),
        "{named:?}"
    );
    let why = s.get(&key("a")).unwrap_err().to_string();
    assert!(why.contains("series \"a\"") && why.contains("not in the store"), "{why}");
    assert_eq!(s.range(&key("a"), 0..10).unwrap().len(), 10);
    check_values(&mut s, "d", 2 * block + 5);
    // Storing it again puts it right.
    for id in ["a", "b", "c"] {
        put(&mut s, id, 0..3);
    }
    check(&mut s, "a", 3);
}

fn check_values(store: &mut SeriesStore, id: &str, len: usize) {
    assert_eq!(store.get(&key(id)).unwrap().channel(0), numbers(0..len).1);
}

#[test]
fn the_cache_is_bounded_and_never_stale() {
    let mut s =
        SeriesStore::in_memory(SeriesOptions { cache_bytes: 200_000, ..SeriesOptions::default() })
            .unwrap();
    for i in 0..40 {
        put(&mut s, &i.to_string(), 0..500 + i);
    }
    for _ in 0..3 {
        for i in 0..40 {
            check_values(&mut s, &i.to_string(), 500 + i);
            assert!(s.cached() <= 150_000);
        }
    }
    assert!(s.cached() > 100_000);
    put(&mut s, "39", 0..2);
    check(&mut s, "39", 2);
    append(&mut s, "39", 2..3);
    check(&mut s, "39", 3);
    s.set(&key("39"), 0, &Points::new(None, vec![&[9.0]]).unwrap()).unwrap();
    assert_eq!(s.get(&key("39")).unwrap().channel(0)[0], 9.0);
    let mut none =
        SeriesStore::in_memory(SeriesOptions { cache_bytes: 0, ..SeriesOptions::default() })
            .unwrap();
    put(&mut none, "x", 0..10);
    check(&mut none, "x", 10);
    assert_eq!(none.cached(), 0);
}

#[test]
fn a_file_is_shared_by_handles_and_a_batch_is_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("folder").join("series.vls");
    let wait = Duration::from_millis(50);
    let options = SeriesOptions { wait, ..SeriesOptions::default() };
    let mut a = SeriesStore::open(&path, options.clone()).unwrap();
    let mut b = SeriesStore::open(&path, options.clone()).unwrap();
    put(&mut a, "x", 0..5);
    check(&mut b, "x", 5);
    append(&mut b, "x", 5..9);
    check(&mut a, "x", 9);
    a.begin_batch().unwrap();
    put(&mut a, "y", 0..5);
    append(&mut a, "y", 5..6);
    check(&mut a, "y", 6);
    assert!(!b.contains(&key("y")).unwrap());
    let new = Points::new(None, vec![&[1.0]]).unwrap();
    assert!(matches!(b.store_new(&new).unwrap_err().root(), Error::Locked));
    a.end_batch(true).unwrap();
    check(&mut b, "y", 6);
    a.begin_batch().unwrap();
    put(&mut a, "y", 0..1);
    check(&mut a, "y", 1);
    a.end_batch(false).unwrap();
    check(&mut a, "y", 6);
    let id = b.store_new(&new).unwrap();
    assert_eq!(a.size(&id).unwrap(), 1);
    // Another program puts a new file in the place of this one.
    crate::maintain::compact(&path, &Default::default(), &mut |_, _| Ok(())).unwrap();
    check(&mut a, "y", 6);
    append(&mut b, "y", 6..7);
    check(&mut a, "y", 7);
    let reader = SeriesOptions { writable: false, ..options };
    let mut r = SeriesStore::open(&path, reader.clone()).unwrap();
    check(&mut r, "y", 7);
    assert!(matches!(r.remove(&key("y")).unwrap_err().root(), Error::ReadOnly));
    assert!(SeriesStore::open(folder.path().join("none"), reader).is_err());
    assert_eq!(a.clear().unwrap(), 3);
    assert_eq!(b.lengths().unwrap(), []);
}

#[test]
fn a_store_of_something_else_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.vls");
    Writer::create(&path, &StoreOptions::default()).unwrap().close().unwrap();
    let why = SeriesStore::open(&path, SeriesOptions::default()).unwrap_err().to_string();
    assert!(why.contains("a store of raw, not of time series"), "{why}");
}

/// A store in memory, and one on a file, with the series "x" of a block and 5 points, and "y".
fn both(folder: &Path) -> [SeriesStore; 2] {
    let options = SeriesOptions { times: TimeRule::Sorted, ..SeriesOptions::default() };
    let file = SeriesStore::open(folder.join("series.vls"), options.clone()).unwrap();
    let mut both = [SeriesStore::in_memory(options).unwrap(), file];
    for store in &mut both {
        put(store, "x", 0..block_of(1) + 5);
        put(store, "y", 0..3);
    }
    both
}

fn as_before(store: &mut SeriesStore) {
    check(store, "x", block_of(1) + 5);
    check(store, "y", 3);
    assert_eq!(store.lengths().unwrap().len(), 2);
}

#[test]
fn a_batch_that_fails_undoes_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let block = block_of(1);
    for mut s in both(folder.path()) {
        for commit in [false, true] {
            s.begin_batch().unwrap();
            assert!(s.in_batch() && s.begin_batch().is_err());
            append(&mut s, "x", block + 5..block + 6);
            put(&mut s, "y", 0..2 * block);
            put(&mut s, "z", 0..1);
            s.set(&key("x"), 0, &Points::new(None, vec![&[9.0]]).unwrap()).unwrap();
            assert_eq!(s.get(&key("x")).unwrap().channel(0)[0], 9.0);
            s.remove(&key("y")).unwrap();
            put(&mut s, "y", 0..4);
            if commit {
                s.end_batch(true).unwrap();
                break;
            }
            s.end_batch(false).unwrap();
            assert!(!s.in_batch());
            as_before(&mut s);
        }
        check(&mut s, "y", 4);
        check(&mut s, "z", 1);
        assert_eq!(s.size(&key("x")).unwrap(), block as u64 + 6);
    }
}

#[test]
fn a_large_batch_is_no_commit_before_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("series.vls");
    let options =
        SeriesOptions { packing: crate::codec::Packing::Plain, ..SeriesOptions::default() };
    let mut s = SeriesStore::open(&path, options).unwrap();
    put(&mut s, "x", 0..3);
    let long = vec![1.5; 1 << 20];
    s.begin_batch().unwrap();
    for id in 0..9 {
        s.store(&Key::from(id), &Points::new(None, vec![&long]).unwrap(), Existing::Refuse)
            .unwrap();
    }
    assert_eq!(Store::open(&path).unwrap().len(), 1);
    s.end_batch(false).unwrap();
    check(&mut s, "x", 3);
    assert_eq!(s.lengths().unwrap().len(), 1);
}

#[test]
fn a_chain_that_is_refused_half_way_leaves_what_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let block = block_of(1);
    let (times, values) = numbers(0..2 * block);
    let back: Vec<f64> = times.iter().rev().copied().collect();
    for mut s in both(folder.path()) {
        for batch in [false, true] {
            if batch {
                s.begin_batch().unwrap();
                put(&mut s, "y", 0..3);
            }
            for id in ["x", "new"] {
                let first = Points::new(Some(&times), vec![&values]).unwrap();
                let refused = s.store_all(&key(id), &first, Existing::Replace, |len| {
                    let times =
                        if len < 4 * block as u64 { vec![1e9; 2 * block] } else { back.clone() };
                    Ok(Some(Stored { times: Some(times), channels: vec![values.clone()] }))
                });
                assert!(refused.unwrap_err().to_string().contains("is not sorted"));
                as_before(&mut s);
                assert!(batch || s.lengths().unwrap()[0].0 == key("x"), "the order stays");
            }
            let first = Points::new(Some(&times), vec![&values]).unwrap();
            let failed =
                s.store_all(&key("x"), &first, Existing::Replace, |_| Err(Error::Interrupted));
            assert!(matches!(failed.unwrap_err().root(), Error::Interrupted));
            as_before(&mut s);
            if batch {
                put(&mut s, "z", 0..2);
                s.end_batch(true).unwrap();
            }
        }
        check(&mut s, "x", block + 5);
        check(&mut s, "z", 2);
    }
}

#[test]
fn a_chain_in_a_batch_sees_it_and_commits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let block = block_of(1);
    for mut s in both(folder.path()) {
        let before = s.reading(|r| Ok(r.generation())).unwrap();
        s.begin_batch().unwrap();
        append(&mut s, "x", block + 5..2 * block + 7);
        put(&mut s, "z", 0..4);
        let (x, z) = (s.values(&key("x")).unwrap(), s.values(&key("z")).unwrap());
        put(&mut s, "z", 0..2);
        let newer = s.values(&key("z")).unwrap();
        assert_eq!((x.len(), z.len(), newer.len()), (2 * block as u64 + 7, 4, 2));
        assert_eq!(s.reading(|r| Ok(r.generation())).unwrap(), before);
        if let Some(path) = s.path() {
            assert_eq!(Store::open(path).unwrap().generation(), before);
        }
        // What is computed of a series can replace it.
        s.store_all(
            &key("x"),
            &x.read(0..10).unwrap().points().unwrap(),
            Existing::Replace,
            |_| Ok(None),
        )
        .unwrap();
        assert_eq!(x.read(0..9 * block as u64).unwrap().channel(0), numbers(0..2 * block + 7).1);
        s.end_batch(true).unwrap();
        assert_eq!(z.read(0..9).unwrap().channel(0), numbers(0..4).1);
        s.begin_batch().unwrap();
        put(&mut s, "z", 0..5);
        let gone = s.values(&key("z")).unwrap();
        s.end_batch(false).unwrap();
        let why = gone.read(0..5).unwrap_err().to_string();
        assert!(why.contains("series: \"z\" was read in a batch that has been undone"), "{why}");
        assert_eq!(z.read(0..9).unwrap().len(), 4);
        check(&mut s, "z", 2);
    }
}

#[test]
fn an_older_state_is_said_and_is_a_defect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("series.vls");
    let mut s = SeriesStore::open(&path, SeriesOptions::default()).unwrap();
    put(&mut s, "x", 0..3);
    assert_eq!((s.lost(), s.check().unwrap()), (None, vec![]));
    put(&mut s, "x", 0..4);
    let newest = Store::open(&path).unwrap().generation();
    let mut bytes = std::fs::read(&path).unwrap();
    let page = usize::try_from(crate::frame::SLOT_OFFSETS[usize::from(newest % 2 == 1)]).unwrap();
    bytes[page..page + 4096].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let mut s = SeriesStore::open(&path, SeriesOptions::default()).unwrap();
    let lost = s.lost().unwrap();
    assert!(lost.contains("is missing") && lost.contains("vlstore recover"), "{lost}");
    assert_eq!(s.check().unwrap(), [crate::series::Defect { id: None, why: lost }]);
    assert_eq!(s.size(&key("x")).unwrap(), 3);
}

#[test]
fn of_points_at_the_same_time_the_last_counts() {
    let mut s = store();
    let times = [0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0];
    let values: Vec<f64> = (0..7).map(f64::from).collect();
    s.store(&key("x"), &Points::new(Some(&times), vec![&values]).unwrap(), Existing::Refuse)
        .unwrap();
    let x = Expr::stored(s.values(&key("x")).unwrap());
    let mut grid = Resample::new(&x, 0.5, Some(-0.5), Some(7)).unwrap();
    let found = grid.next_block().unwrap().unwrap();
    assert_eq!(found.channels[0], [0.0, 1.0, 1.5, 4.0, 4.5, 6.0, 6.0]);
}
