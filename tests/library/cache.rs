//! Results of functions come back for the same arguments, stay within their budget, and survive whatever
//! happens to the processes that share them.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vlstore::cache::{Argument, Cache, CacheOptions, Cached, Call, Object, Prepared};
use vlstore::codec::ArrayView;
use vlstore::{Compression, Error, Readable, Result, Store, StoreOptions, WriteOptions, Writer};

fn open(path: &Path) -> Cache {
    Cache::open(path, &CacheOptions::default()).unwrap()
}

fn limited(path: &Path, max_bytes: u64) -> Cache {
    Cache::open(path, &CacheOptions { max_bytes: Some(max_bytes), ..CacheOptions::default() })
        .unwrap()
}

fn put(cache: &Cache, n: u64, stored: f64) -> Result<u64> {
    let values = vec![n; 100];
    let arrays = [ArrayView::of(&[100], &values)?];
    let text = Call::new("f", 1).with(n).text();
    cache.put(&text, stored, &json!({"array": 0}), &Value::Null, &arrays)
}

fn has(cache: &Cache, n: u64) -> bool {
    cache.contains(&Call::new("f", 1).with(n).text()).unwrap()
}

#[test]
fn a_result_comes_back_in_every_handle_and_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.vls");
    let (one, two) = (open(&path), open(&path));
    for n in 0..50 {
        put(&one, n, 1000.0 + n as f64).unwrap();
        let entry = two.get(&Call::new("f", 1).with(n).text()).unwrap().unwrap();
        let view = entry.view().unwrap();
        assert_eq!(view.arrays()[0].as_slice::<u64>().unwrap(), [n; 100]);
        assert_eq!(view.result(), Some(&json!({"array": 0})));
    }
    assert_eq!((one.len().unwrap(), two.len().unwrap()), (50, 50));
    assert!(two.get("[[],{}]").unwrap().is_none());
    let listed = open(&path).entries().unwrap();
    assert_eq!(listed.len(), 50);
    assert!(listed.iter().zip(0..).all(|(e, n)| e.stored == 1000.0 + f64::from(n)));
    assert_eq!(two.remove(["[[],{}]", &listed[3].key]).unwrap(), 1);
    assert!(one.get(&listed[3].key).unwrap().is_none() && one.entry(&listed[3]).unwrap().is_none());
    assert_eq!(one.clear().unwrap(), 49);
    assert!(two.is_empty().unwrap());
}

#[test]
fn long_calls_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    let text = |n: i32| Call::new("f", 1).with("x".repeat(3000)).with(n).text();
    for n in 0..3 {
        cache.put(&text(n), 0.0, &json!(n), &Value::Null, &[]).unwrap();
    }
    for n in 0..3 {
        let entry = cache.get(&text(n)).unwrap().unwrap();
        assert_eq!(entry.view().unwrap().result(), Some(&json!(n)));
        assert_eq!(entry.view().unwrap().key(), Some(&*text(n)));
    }
    assert!(cache.get(&text(3)).unwrap().is_none());
    assert_eq!(cache.remove([&*text(1)]).unwrap(), 1);
    assert_eq!(cache.len().unwrap(), 2);
}

#[test]
fn what_was_used_least_recently_has_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = limited(&path, 5000);
    for n in 0..5 {
        assert_eq!(put(&cache, n, n as f64).unwrap(), 0);
    }
    cache.get(&Call::new("f", 1).with(0).text()).unwrap().unwrap();
    assert_eq!(put(&cache, 5, 5.0).unwrap(), 1);
    assert_eq!((has(&cache, 0), has(&cache, 1), has(&cache, 5)), (true, false, true));
    // What was used is known to the next run, too.
    cache.get(&Call::new("f", 1).with(2).text()).unwrap().unwrap();
    cache.flush().unwrap();
    let next = limited(&path, 5000);
    assert_eq!(put(&next, 6, 6.0).unwrap(), 1);
    assert_eq!((has(&next, 2), has(&next, 3)), (true, false));
    assert!(next.info().unwrap().bytes <= 5000);
    assert_eq!(next.info().unwrap().entries, next.len().unwrap());
    let listed = next.entries().unwrap();
    assert_eq!(listed.iter().map(|e| e.bytes).sum::<u64>(), next.info().unwrap().bytes);
}

#[test]
fn a_result_above_the_budget_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(&dir.path().join("a.vls"), 500);
    assert!(matches!(put(&cache, 1, 0.0).unwrap_err().root(), Error::Limit { .. }));
    assert!(cache.is_empty().unwrap());
    cache.put("[[],{}]", 0.0, &json!(1), &Value::Null, &[]).unwrap();
    assert!(put(&cache, 1, 0.0).is_err() && cache.len().unwrap() == 1);
}

#[test]
fn dead_space_is_given_back_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = open(&path);
    let other = open(&path);
    let mut seed = 1_u64;
    let values: Vec<u64> = (0..40_000)
        .map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            seed
        })
        .collect();
    for n in 0..20 {
        let arrays = [ArrayView::of(&[40_000], &values).unwrap()];
        cache.put("[[],{}]", f64::from(n), &json!({"array": 0}), &Value::Null, &arrays).unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() < 3_000_000);
    assert_eq!(other.get("[[],{}]").unwrap().unwrap().view().unwrap().stored(), Some(19.0));
    assert!(Store::open(&path).unwrap().verify(|_, _| Ok(())).unwrap().is_intact());
}

#[test]
fn a_turn_is_waited_for_and_not_longer_than_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    drop(open(&path));
    let options = CacheOptions { lock_wait: Duration::from_millis(50), ..CacheOptions::default() };
    let cache = Cache::open(&path, &options).unwrap();
    let writer = Writer::open(&path, &WriteOptions::default()).unwrap();
    assert!(matches!(put(&cache, 1, 0.0).unwrap_err().root(), Error::Locked));
    let patient = open(&path);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| put(&patient, 1, 0.0));
        std::thread::sleep(Duration::from_millis(100));
        drop(writer);
        waiting.join().unwrap().unwrap();
    });
    assert!(has(&cache, 1));
}

#[test]
fn threads_store_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    std::thread::scope(|scope| {
        for t in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                (0..25).for_each(|i| {
                    let _ = put(cache, t * 100 + i, 0.0).unwrap();
                })
            });
        }
    });
    assert_eq!(cache.len().unwrap(), 100);
}

#[test]
fn modes_and_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let reading = CacheOptions { read_only: true, ..CacheOptions::default() };
    assert!(Cache::open(&path, &reading).is_err() && !path.exists());
    put(&open(&path), 1, 0.0).unwrap();
    let reader = Cache::open(&path, &reading).unwrap();
    assert!(has(&reader, 1));
    for refused in [put(&reader, 2, 0.0), reader.clear(), reader.repack().map(|_| 0)] {
        assert!(matches!(refused.unwrap_err().root(), Error::ReadOnly));
    }
    assert!(Cache::replace(&path, &reading).is_err() && has(&reader, 1));
    Cache::replace(&path, &CacheOptions::default()).unwrap();
    assert!(reader.is_empty().unwrap());
    let other = dir.path().join("other.vls");
    let mut writer = Writer::create(&other, &StoreOptions::default()).unwrap();
    writer.put("a", b"record").unwrap();
    writer.close().unwrap();
    let why = Cache::open(&other, &CacheOptions::default()).unwrap_err().to_string();
    assert!(why.contains("raw records"), "{why}");
    let mut writer = Writer::open(&other, &WriteOptions::default()).unwrap();
    writer.set_attributes(&json!({"vlstore:layer": "cache", "version": 2})).unwrap();
    writer.close().unwrap();
    let newer = Cache::open(&other, &CacheOptions::default()).unwrap_err();
    assert!(matches!(newer.root(), Error::Unsupported { .. }), "{newer}");
}

#[test]
fn a_closure_runs_once_for_the_same_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = open(&path);
    let ran = AtomicU64::new(0);
    let make = |version| {
        let ran = &ran;
        Cached::new(&cache, "mean", version, move |(values, scale): (Vec<f64>, f64)| {
            ran.fetch_add(1, Ordering::Relaxed);
            if values.is_empty() {
                return Err(Error::invalid("values", "there are none"));
            }
            Ok(values.iter().sum::<f64>() * scale / values.len() as f64)
        })
    };
    let mean = make(1);
    for _ in 0..3 {
        assert_eq!(mean.call((vec![1.0, 2.0], 2.0)).unwrap(), 3.0);
    }
    assert_eq!((mean.hits(), mean.misses(), ran.load(Ordering::Relaxed)), (2, 1, 1));
    // An error is not kept, and another version is another function.
    assert!(mean.call((vec![], 1.0)).is_err() && mean.call((vec![], 1.0)).is_err());
    assert_eq!(ran.load(Ordering::Relaxed), 3);
    make(2).call((vec![1.0, 2.0], 2.0)).unwrap();
    assert_eq!((ran.load(Ordering::Relaxed), cache.len().unwrap()), (4, 2));
    // Numbers of another kind are other arguments, NaN finds itself.
    let same = Cached::new(&cache, "same", 1, |(x,): (Argument,)| Ok(x.to_string()));
    for x in [Argument::from(1), 1.0.into(), true.into(), f64::NAN.into(), f64::NAN.into()] {
        assert_eq!(same.call((x.clone(),)).unwrap(), x.to_string());
    }
    assert_eq!((same.hits(), same.misses()), (1, 4));
}

#[test]
fn one_thread_computes_and_the_others_wait() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    let slow = Cached::new(&cache, "slow", 1, |(x,): (u32,)| {
        std::thread::sleep(Duration::from_millis(100));
        Ok(x)
    });
    std::thread::scope(|scope| {
        for i in 0..8 {
            let slow = &slow;
            scope.spawn(move || assert_eq!(slow.call((i % 2,)).unwrap(), i % 2));
        }
    });
    assert_eq!((slow.misses(), slow.hits()), (2, 6));
}

#[test]
fn a_result_that_cannot_be_stored_is_returned_and_said() {
    static TOLD: AtomicU64 = AtomicU64::new(0);
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(&dir.path().join("a.vls"), 10);
    let f = Cached::new(&cache, "f", 1, |(_,): (i32,)| Ok(5.0_f64)).reporting(|_, error| {
        assert!(matches!(error.root(), Error::Limit { .. }), "{error}");
        TOLD.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!((f.call((1,)).unwrap(), f.call((1,)).unwrap()), (5.0, 5.0));
    assert_eq!(TOLD.load(Ordering::Relaxed), 2);
}

#[test]
fn no_other_store_is_replaced_by_an_empty_cache() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious.vls");
    let mut w = Writer::create(&path, &StoreOptions::default()).unwrap();
    w.put("a", b"precious").unwrap();
    w.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Cache::replace(&path, &CacheOptions::default()).unwrap_err();
    assert!(matches!(error.root(), Error::Invalid { .. }), "{error}");
    std::fs::write(dir.path().join("text"), "precious").unwrap();
    assert!(Cache::replace(dir.path().join("text"), &CacheOptions::default()).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read(dir.path().join("text")).unwrap(), b"precious");
}

#[test]
fn the_budget_holds_in_every_commit_and_a_file_has_never_many_unsealed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = limited(&path, 10_000);
    let other = open(&path);
    for n in 0..100 {
        put(&cache, n, n as f64).unwrap();
        let info = other.info().unwrap();
        assert!(info.bytes <= 10_000, "{info:?}");
        let all = Store::open(&path).unwrap().info().unwrap();
        assert!(all.generation - all.sealed_generation < 40, "{all:?}");
    }
    assert!(has(&cache, 99) && !has(&cache, 0));
    // One commit for the result and what had to go.
    let before = Store::open(&path).unwrap().generation();
    put(&cache, 200, 200.0).unwrap();
    assert!(Store::open(&path).unwrap().generation() <= before + 2);
}

#[test]
fn old_results_are_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    let text = Call::new("f", 1).with(1).text();
    cache.put(&text, 1000.0, &json!("old"), &Value::Null, &[]).unwrap();
    let f = Cached::new(&cache, "f", 1, |(_,): (i32,)| Ok("new".to_owned()));
    assert_eq!(f.call((1,)).unwrap(), "old");
    let f = f.living(Duration::from_secs(3600));
    assert_eq!((f.call((1,)).unwrap(), f.call((1,)).unwrap()), ("new".into(), "new".into()));
    assert_eq!(f.misses(), 1);
}

#[test]
fn a_damaged_entry_is_computed_again_or_refused_and_a_read_only_cache_says_so_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = open(&path);
    let text = Call::new("f", 1).with(1).text();
    cache.put(&text, 1.0, &json!({"nothing": 1}), &Value::Null, &[]).unwrap();
    let make = || Cached::new(&cache, "f", 1, |(_,): (i32,)| Ok(5.0_f64));
    let refusing = make().refusing_damage();
    assert!(matches!(refusing.call((1,)).unwrap_err().root(), Error::Codec { .. }));
    static TOLD: AtomicU64 = AtomicU64::new(0);
    let telling = make().reporting(|text, error| {
        assert!(text.contains("\"f\"") && matches!(error.root(), Error::Codec { .. }));
        TOLD.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!((telling.call((1,)).unwrap(), refusing.call((1,)).unwrap()), (5.0, 5.0));
    assert_eq!(TOLD.load(Ordering::Relaxed), 1);
    let reading = CacheOptions { read_only: true, ..CacheOptions::default() };
    let reader = Cache::open(&path, &reading).unwrap();
    let f = Cached::new(&reader, "f", 1, |(x,): (i32,)| -> Result<f64> { panic!("it ran: {x}") });
    assert_eq!(f.call((1,)).unwrap(), 5.0);
    assert!(matches!(f.call((2,)).unwrap_err().root(), Error::ReadOnly));
}

/// A type with the storage protocol.
#[derive(Debug, PartialEq)]
struct Curve {
    points: Vec<f64>,
    unit: String,
}

impl Object for Curve {
    fn storage_prepare(&self) -> Result<Prepared> {
        let mut out = Prepared::default();
        let points = out.array(&[self.points.len() as u64], &self.points)?;
        out.result = json!({"points": points, "unit": self.unit});
        Ok(out)
    }

    fn storage_retrieve(result: &Value, arrays: &[ArrayView<'_>]) -> Result<Self> {
        let unit = result["unit"].as_str().unwrap_or_default().to_owned();
        Ok(Self { points: Vec::storage_retrieve(&result["points"], arrays)?, unit })
    }
}

#[test]
fn a_type_of_the_user_is_stored_by_its_own_methods() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    let make = |n: u32| Curve { points: (0..n).map(f64::from).collect(), unit: "nm".into() };
    let f = Cached::new(&cache, "curve", 1, |(n,): (u32,)| Ok(make(n)));
    assert_eq!((f.call((5,)).unwrap(), f.call((5,)).unwrap()), (make(5), make(5)));
    assert_eq!(f.hits(), 1);
}

#[test]
fn a_cache_in_a_file_that_was_compacted_meanwhile_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = open(&path);
    for n in 0..10 {
        put(&cache, n, 0.0).unwrap();
    }
    open(&path).repack().unwrap();
    assert!(has(&cache, 3));
    put(&cache, 10, 0.0).unwrap();
    assert_eq!(Store::open(&path).unwrap().len(), 11);
    std::fs::remove_file(&path).unwrap();
    assert!(cache.get("[[],{}]").is_err());
}

#[test]
fn a_damaged_file_to_which_nothing_can_be_written_is_cleared_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let options = CacheOptions { compression: Compression::Stored, ..CacheOptions::default() };
    let cache = Cache::open(&path, &options).unwrap();
    for n in 0..20 {
        put(&cache, n, 0.0).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let value: Vec<u8> = [5_u64; 50].iter().flat_map(|n| n.to_le_bytes()).collect();
    let at = bytes.windows(value.len()).rposition(|found| found == value).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let cache = open(&path);
    assert!(matches!(put(&cache, 11, 0.0).unwrap_err().root(), Error::Corrupt(_)));
    assert_eq!(cache.clear().unwrap(), 20);
    put(&cache, 11, 0.0).unwrap();
    assert!(has(&cache, 11) && cache.len().unwrap() == 1);
    assert_eq!(Store::open(&path).unwrap().layout().compression, Compression::Stored);
}

#[test]
fn an_error_names_the_file_also_when_another_one_took_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vls");
    let cache = open(&path);
    std::fs::write(&path, "a text").unwrap();
    assert!(cache.get("[[],{}]").unwrap_err().to_string().contains("a.vls"));
}

#[test]
fn what_a_killed_process_left_of_a_repack_is_removed_by_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    let left = dir.path().join(".a.vls.0123456789abcdef.partial");
    let file = std::fs::File::create(&left).unwrap();
    cache.repack().unwrap();
    assert!(left.exists());
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    cache.repack().unwrap();
    assert!(!left.exists());
}

#[test]
fn a_closure_may_take_nothing_or_a_size() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("a.vls"));
    let f = Cached::new(&cache, "f", 1, |()| Ok(5_u64));
    assert_eq!((f.call(()).unwrap(), f.call(()).unwrap(), f.hits()), (5, 5, 1));
    let g = Cached::new(&cache, "g", 1, |(n,): (usize,)| Ok(vec![1.5; n]));
    assert_eq!(
        (g.call((3,)).unwrap(), g.call((3,)).unwrap().len(), g.hits()),
        (vec![1.5; 3], 3, 1)
    );
}
