//! The training loader over real stores: every record once and with its bytes, in bounded memory, on
//! any number of ranks, also after it was killed; damage and growth.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vlstore::loader::{
    Asked, Batching, Damaged, Loader, LoaderOptions, Mixing, Rest, Share, Shuffle, Sources, View,
    Weights,
};
use vlstore::{
    Compression, Error, Key, Layout, Purpose, ReadOptions, Readable, Snapshot, Store, StoreOptions,
    Writer,
};

/// Lengths from nothing to longer than a block; the first bytes are the number of the record.
fn record(i: u64) -> Vec<u8> {
    let len = if i % 97 == 5 { 60_000 } else { 8 + usize::try_from(i * 37 % 400).unwrap() };
    let first = i.to_le_bytes();
    (0..len)
        .map(|k| if k < 8 { first[k] } else { first[0].wrapping_add(first[k / 3 % 2]) })
        .collect()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

fn options(purpose: Purpose) -> StoreOptions {
    StoreOptions {
        layout: Layout { purpose, chunk_size: 256 << 10, ..Layout::default() },
        ..StoreOptions::default()
    }
}

fn store(n: u64, options: &StoreOptions) -> Snapshot {
    let mut w = Writer::in_memory(options).unwrap();
    for i in 0..n {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
    w.snapshot().unwrap()
}

/// Stores of so many records each, numbered on from one to the next.
fn parts(folder: &Path, sizes: &[u64]) -> Vec<PathBuf> {
    let mut first = 0;
    sizes
        .iter()
        .enumerate()
        .map(|(at, n)| {
            let path = folder.join(format!("part {at} of {n}.vls"));
            let mut w = Writer::create(&path, &options(Purpose::Balanced)).unwrap();
            for i in first..first + n {
                w.insert(i, &record(i)).unwrap();
            }
            first += n;
            w.close().unwrap();
            path
        })
        .collect()
}

fn by_count(records: u64) -> LoaderOptions {
    let batching = Batching { records: Some(records), ..Batching::default() };
    LoaderOptions { batching, seed: 3, ..LoaderOptions::default() }
}

/// The records of a run, with their bytes compared.
fn read(loader: &Loader) -> Vec<Vec<u64>> {
    let run = loader.records().unwrap();
    run.map(|batch| {
        let batch = batch.unwrap();
        let found: Vec<u64> = batch.records().map(number).collect();
        assert!(batch.records().zip(&found).all(|(bytes, i)| *bytes == *record(*i)));
        assert_eq!(found, batch.step().records);
        found
    })
    .collect()
}

fn sorted(batches: &[Vec<u64>]) -> Vec<u64> {
    let mut all = batches.concat();
    all.sort_unstable();
    all
}

#[test]
fn every_record_comes_once_from_any_store_in_any_order() {
    for purpose in [Purpose::Dense, Purpose::Balanced, Purpose::Random] {
        for n in [0, 1, 50, 1500] {
            let snapshot = store(n, &options(purpose));
            for shuffle in [Shuffle::Sequential, Shuffle::Windows, Shuffle::Global] {
                for batch in [1, 7, 64, 5000] {
                    let options = LoaderOptions {
                        shuffle,
                        window: Some(256),
                        group: Some(16),
                        ..by_count(batch)
                    };
                    let loader = Loader::new(snapshot.clone(), options).unwrap();
                    let batches = read(&loader);
                    assert_eq!(batches.len() as u64, loader.steps(0));
                    assert!(sorted(&batches).into_iter().eq(0..n), "{purpose:?} {n} {shuffle:?}");
                }
            }
            // Sizes that the loader chooses itself.
            let loader = Loader::new(snapshot, by_count(32)).unwrap();
            assert!(sorted(&read(&loader)).into_iter().eq(0..n));
        }
    }
}

#[test]
fn views_choose_records_by_ordinal_and_splits_share_none() {
    let snapshot = store(600, &options(Purpose::Balanced));
    let parts = View::range(0..600).split(&[0.8, 0.2], 1, None).unwrap();
    let mut seen = Vec::new();
    for part in &parts {
        let options = LoaderOptions { view: Some(part.clone()), ..by_count(10) };
        seen.extend(read(&Loader::new(snapshot.clone(), options).unwrap()).concat());
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..600));
    // By keys, and by a condition on a column.
    let sources = Sources::one(snapshot.clone()).unwrap();
    let keys = [599, 3, 40].map(Key::from);
    let by_key = View::chosen(sources.find(&keys).unwrap());
    let bytes = sources.values("bytes").unwrap();
    let large = View::range(0..600).filter(|o| bytes[usize::try_from(o).unwrap()] > 1000.0);
    for (view, wanted) in
        [(by_key, vec![3, 40, 599]), (large, (0..600).filter(|i| i % 97 == 5).collect())]
    {
        let options = LoaderOptions { view: Some(view), ..by_count(10) };
        assert_eq!(sorted(&read(&Loader::new(snapshot.clone(), options).unwrap())), wanted);
    }
    let unknown = sources.find(&[Key::from(3), Key::from(600)]).unwrap_err();
    assert!(matches!(&unknown, Error::NotFound { key } if &**key == "600"), "{unknown}");
    let beyond = LoaderOptions { view: Some(View::range(0..601)), ..by_count(10) };
    let refused = Loader::new(snapshot, beyond).unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
}

#[test]
fn a_cap_counts_a_column_and_names_what_is_above_it() {
    let snapshot = store(1500, &options(Purpose::Balanced));
    let capped = |cost| LoaderOptions {
        batching: Batching { cost: Some(cost), ..Batching::default() },
        cost: "bytes".into(),
        ..LoaderOptions::default()
    };
    let loader = Loader::new(snapshot.clone(), capped(70_000)).unwrap();
    let batches = read(&loader);
    for batch in &batches {
        assert!(batch.iter().map(|i| record(*i).len()).sum::<usize>() <= 70_000);
    }
    assert!(sorted(&batches).into_iter().eq(0..1500));
    let text = Loader::new(snapshot.clone(), capped(59_000)).unwrap_err().to_string();
    let why = "record 5 (ordinal 5) has bytes 60000, above the cap of 59000 a batch";
    assert!(text.contains(why), "{text}");
    let unknown = LoaderOptions { cost: "edges".into(), ..capped(9) };
    assert!(Loader::new(snapshot.clone(), unknown).unwrap_err().to_string().contains("edges"));

    // Costs of the caller's, as numbers of edges that no column has.
    let given = |costs: Vec<u64>, cap| {
        let options = LoaderOptions { costs: Some(costs.into()), ..capped(cap) };
        Loader::new(snapshot.clone(), options)
    };
    let edges: Vec<u64> = (0..1500).map(|i| i % 50).collect();
    let mut loader = given(edges.clone(), 200).unwrap();
    let batches = read(&loader);
    assert!(batches.iter().all(|b| b.iter().map(|i| i % 50).sum::<u64>() <= 200));
    assert!(sorted(&batches).into_iter().eq(0..1500));
    let state = loader.state(loader.at());
    loader.resume(&state).unwrap();
    let other = given(vec![1; 1500], 200).unwrap().resume(&state).unwrap_err().to_string();
    assert!(other.contains("its cost is \"given "), "{other}");
    for (costs, cap, why) in [
        (vec![1; 7], 200, "there are 7 costs, for 1500 records"),
        (edges.clone(), 40, "record 41 (ordinal 41) has cost 41, above the cap of 40"),
        (vec![u64::MAX; 1500], 40, "record 0 (ordinal 0) has no \"cost\" of 0 or more"),
    ] {
        let text = given(costs, cap).unwrap_err().to_string();
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn memory_stays_below_what_was_stated() {
    let snapshot = store(3000, &options(Purpose::Balanced));
    let all: u64 = (0..3000).map(|i| record(i).len() as u64).sum();
    for memory in [all / 4, all / 8] {
        let options = LoaderOptions { memory, window: Some(3000), ..by_count(8) };
        let loader = Loader::new(snapshot.clone(), options).unwrap();
        // Bytes of the pieces that are alive, and the most that ever were.
        let held: Arc<(AtomicU64, AtomicU64)> = Arc::default();
        struct Held(Arc<(AtomicU64, AtomicU64)>, u64);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.0.fetch_sub(self.1, Ordering::SeqCst);
            }
        }
        let counter = held.clone();
        let run = loader
            .start(move |asked| {
                let len = |o: &u64| asked.snapshot().location_at(*o).unwrap().len();
                let bytes = asked.ordinals().iter().map(len).sum();
                let now = counter.0.fetch_add(bytes, Ordering::SeqCst) + bytes;
                counter.1.fetch_max(now, Ordering::SeqCst);
                Ok(Held(counter.clone(), bytes))
            })
            .unwrap();
        let records: usize = run.map(|batch| batch.unwrap().places().len()).sum();
        assert_eq!(records, 3000);
        let most = held.1.load(Ordering::SeqCst);
        assert!(most <= memory, "{most} of {memory}");
        assert!(most * 2 > memory, "the memory is used: {most} of {memory}");
    }
}

/// The first byte of the block in which a record of a store with blocks of that size begins, and its chunk.
fn block(snapshot: &Snapshot, ordinal: u64, size: u64) -> (u64, u64) {
    let chunk = snapshot.layout().chunk_size as u64;
    let start = snapshot.location_at(ordinal).unwrap().start;
    (start - start % chunk % size, start / chunk)
}

#[test]
fn groups_begin_where_blocks_begin_also_when_the_store_has_grown() {
    const BLOCK: u64 = 16 << 10;
    let layout = Layout { block_size: 16 << 10, ..options(Purpose::Dense).layout };
    let options = StoreOptions { layout, ..options(Purpose::Dense) };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blocks.vls");
    let mut w = Writer::create(&path, &options).unwrap();
    let mut grow = |records: std::ops::Range<u64>| {
        for i in records {
            w.insert(i, &record(i)).unwrap();
        }
        w.commit().unwrap();
        Store::open(&path).unwrap().snapshot()
    };
    let asked = |view| LoaderOptions { view, window: Some(1024), ..by_count(32) };
    let view = |n| Some(View::range(0..n));
    let small = grow(0..4000);
    let loader = Loader::new(small.clone(), asked(view(4000))).unwrap();
    let groups = loader.schedule().groups().unwrap().clone();
    let last = block(&small, 3999, BLOCK).1;
    let mut within = 0;
    for start in &groups.starts()[1..] {
        let (before, here) = (block(&small, start - 1, BLOCK), block(&small, *start, BLOCK));
        assert!(before != here || here.1 == last, "{start} is within a block");
        within += u64::from(here.1 < last);
    }
    assert!(within >= 4, "{groups:?}");
    // The end of what the state is of is written anew when there is more.
    let mut run = loader.records().unwrap();
    let mut had: Vec<u64> = Vec::new();
    let mut at = loader.at();
    for batch in run.by_ref().take(50) {
        let batch = batch.unwrap();
        had.extend(batch.records().map(number));
        at = batch.step().after;
    }
    let state = loader.state(at);
    let large = grow(4000..9000);
    let mut same = Loader::new(large.clone(), asked(view(4000))).unwrap();
    same.resume(&state).unwrap();
    had.extend(read(&same).concat());
    had.sort_unstable();
    assert!(had.into_iter().eq(0..4000));
    // A group has at most twice the records that it was to have, so that a window has many.
    let (order, starts) = (loader.schedule().order(), groups.starts());
    assert!(starts.windows(2).all(|two| two[1] - two[0] <= 2 * order.group), "{groups:?}");

    // Other groups, another order.
    let even = LoaderOptions { group: Some(512), ..asked(view(4000)) };
    let mut even = Loader::new(small.clone(), even).unwrap();
    assert!(even.schedule().groups().is_none());
    let text = even.resume(&state).unwrap_err().to_string();
    assert!(text.contains("division into groups by the blocks of the file"), "{text}");

    // A part of the records, whose groups begin at blocks all the same, and records in another order.
    let part = View::range(0..9000).filter(|i| i % 3 != 1);
    let loader = Loader::new(large.clone(), asked(Some(part.clone()))).unwrap();
    let starts = loader.schedule().groups().unwrap().starts().to_vec();
    let at = |number| part.ordinal(number).unwrap();
    let last = block(&large, 8999, BLOCK).1;
    assert!(starts.len() > 6);
    for start in &starts[1..] {
        let here = block(&large, at(*start), BLOCK);
        assert!(block(&large, at(start - 1), BLOCK) != here || here.1 == last);
    }
    assert!(sorted(&read(&loader)).into_iter().eq((0..9000).filter(|i| i % 3 != 1)));
    let mut mixed: Vec<u64> = (0..9000).collect();
    mixed.reverse();
    let loader = Loader::new(large, asked(Some(View::chosen(mixed)))).unwrap();
    assert!(loader.schedule().groups().is_none());
    assert!(sorted(&read(&loader)).into_iter().eq(0..9000));
}

#[test]
fn groups_of_whole_blocks_lie_in_one_store_each() {
    let stores = [0..700, 700..700, 700..701, 701..3000];
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = stores
        .iter()
        .enumerate()
        .map(|(at, records)| {
            let path = dir.path().join(format!("part {at}.vls"));
            let mut w = Writer::create(&path, &options(Purpose::Dense)).unwrap();
            for i in records.clone() {
                w.insert(i, &record(i)).unwrap();
            }
            w.close().unwrap();
            path
        })
        .collect();
    let sources = Sources::open(&paths, &ReadOptions::default(), 1).unwrap();
    let asked = LoaderOptions { window: Some(512), ..by_count(30) };
    let loader = Loader::over(sources, asked).unwrap();
    let starts = loader.schedule().groups().unwrap().starts();
    assert!([0, 700, 701].iter().all(|first| starts.contains(first)), "{starts:?}");
    let mut had: Vec<u64> = Vec::new();
    for batch in loader.records().unwrap() {
        had.extend(batch.unwrap().records().map(number));
    }
    had.sort_unstable();
    assert!(had.into_iter().eq(0..3000));
}

/// Each block is decoded once for all batches of a window: the whole epoch asks for pieces, not for
/// batches.
#[test]
fn a_window_is_read_in_one_piece() {
    let snapshot = store(1200, &options(Purpose::Balanced));
    let options = LoaderOptions { window: Some(400), group: Some(20), ..by_count(10) };
    let loader = Loader::new(snapshot, options).unwrap();
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = sizes.clone();
    let run = loader
        .start(move |asked| {
            seen.lock().unwrap().push(asked.ordinals().len());
            Ok(())
        })
        .unwrap();
    assert_eq!(run.count(), 120);
    assert_eq!(*sizes.lock().unwrap(), [400; 3]);
}

#[test]
fn a_run_continues_on_another_number_of_ranks_with_what_nobody_had() {
    let snapshot = store(1000, &options(Purpose::Balanced));
    for cost in [None, Some(100_000)] {
        let base = LoaderOptions {
            batching: Batching { records: Some(9), cost, ..Batching::default() },
            cost: "bytes".into(),
            window: Some(128),
            group: Some(8),
            rest: Rest::Repeat,
            ..LoaderOptions::default()
        };
        let rank = |rank, world| {
            let share = Share { rank, world, ..Share::default() };
            Loader::new(snapshot.clone(), LoaderOptions { share, ..base.clone() }).unwrap()
        };
        let mut had = Vec::new();
        let mut states = Vec::new();
        for r in 0..3 {
            let loader = rank(r, 3);
            let mut run = loader.records().unwrap();
            let mut at = loader.at();
            for _ in 0..11 {
                let batch = run.next().unwrap().unwrap();
                had.extend(batch.records().map(number));
                at = batch.step().after;
            }
            states.push(loader.state(at).to_string());
        }
        assert!(states.iter().all(|s| *s == states[0]), "{states:?}");
        for r in 0..2 {
            let mut loader = rank(r, 2);
            loader.resume(&serde_json::from_str(&states[0]).unwrap()).unwrap();
            for batch in loader.records().unwrap().map(Result::unwrap) {
                if !batch.step().repeated {
                    had.extend(batch.records().map(number));
                }
            }
        }
        had.sort_unstable();
        assert!(had.into_iter().eq(0..1000));
    }
}

#[test]
fn a_state_of_another_store_is_refused() {
    let (a, b) = (store(100, &options(Purpose::Balanced)), store(100, &options(Purpose::Balanced)));
    let a = Loader::new(a, by_count(8)).unwrap();
    let mut b = Loader::new(b, by_count(8)).unwrap();
    let text = b.resume(&a.state(a.at())).unwrap_err().to_string();
    assert!(text.contains("its data (store or selection) is"), "{text}");
}

#[test]
fn a_store_that_grows_is_loaded_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grows.vls");
    let mut w = Writer::create(&path, &options(Purpose::Balanced)).unwrap();
    for i in 0..500 {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
    let loader = Loader::new(Store::open(&path).unwrap().snapshot(), by_count(10)).unwrap();
    let mut run = loader.records().unwrap();
    let first = run.next().unwrap().unwrap();
    let mut had: Vec<u64> = first.records().map(number).collect();
    for i in 500..900 {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
    had.extend(run.flat_map(|b| b.unwrap().records().map(number).collect::<Vec<_>>()));
    had.sort_unstable();
    assert!(had.into_iter().eq(0..500));

    // A state of the smaller store says what to do over the larger one.
    let state = loader.state(first.step().after);
    let now = |view| {
        let options = LoaderOptions { view, ..by_count(10) };
        Loader::new(Store::open(&path).unwrap().snapshot(), options).unwrap()
    };
    let text = now(None).resume(&state).unwrap_err().to_string();
    assert!(text.contains("a selection of the first ones"), "{text}");
    let mut same = now(Some(View::range(0..500)));
    same.resume(&state).unwrap();
    assert_eq!(same.records().unwrap().count(), 49);
    // Where records were deleted, ordinals may mean others.
    w.delete(Key::from(7)).unwrap();
    w.close().unwrap();
    let text = now(Some(View::range(0..500))).resume(&state).unwrap_err().to_string();
    assert!(text.contains("its data (store or selection)"), "{text}");
}

/// What a loader knows of its stores is enough to have the same records in another process, and says if it has not.
#[test]
fn pinned_stores_have_the_records_that_they_had() {
    let dir = tempfile::tempdir().unwrap();
    let paths = parts(dir.path(), &[900, 0, 700]);
    let open = || Sources::open(&paths, &ReadOptions::default(), 1).unwrap();
    let loader = Loader::over(open(), by_count(32)).unwrap();
    let (pins, before) = (loader.sources().pins(), read(&loader));
    for path in &paths {
        let mut w = Writer::open(path, &vlstore::WriteOptions::default()).unwrap();
        for i in 0..400 {
            w.insert(100_000 + i, &vec![7; 3000]).unwrap();
        }
        w.close().unwrap();
    }
    let grown = Loader::over(open(), by_count(32)).unwrap();
    assert_eq!(grown.sources().len(), 2800);
    let pinned = Loader::over(open().as_pinned(&pins).unwrap(), by_count(32)).unwrap();
    let order = loader.schedule().order();
    let pinned = pinned.with_sizes(order.group, order.window).unwrap();
    assert_eq!(pinned.order_id(), loader.order_id());
    assert_eq!(read(&pinned), before);
    // Of another share, too, with all that is open here.
    let share = Share { worker: 1, workers: 2, ..Share::default() };
    let half = loader.shared(share).unwrap();
    assert_eq!(half.sources().len(), 1600);
    let other = loader.shared(Share { worker: 0, ..share }).unwrap();
    let both = [read(&half), read(&other)].concat();
    assert_eq!(sorted(&both), (0..1600).collect::<Vec<_>>());
    assert!(loader.shared(Share { worker: 2, ..share }).is_err());

    let mut more = pins.clone();
    more[2].records += 5000;
    let mut others = pins.clone();
    others.swap(0, 2);
    let mut dead = pins;
    dead[0].deleted += 1;
    for wrong in [more, others, dead] {
        let refused = open().as_pinned(&wrong).unwrap_err();
        assert!(matches!(refused.root(), Error::Replaced), "{refused}");
    }
}

#[test]
fn several_stores_are_one_data_set_and_few_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let paths = parts(dir.path(), &[300, 0, 500, 1, 200]);
    let read_options = vlstore::ReadOptions::default();
    for most in [1, 2, 10] {
        let sources = Sources::open(&paths, &read_options, most).unwrap();
        assert_eq!((sources.len(), sources.stores()), (1001, 5));
        for cost in [None, Some(100_000)] {
            let small = LoaderOptions { window: Some(128), group: Some(8), ..by_count(16) };
            let batching = Batching { cost, ..small.batching.clone() };
            let options = LoaderOptions { batching, cost: "bytes".into(), ..small };
            let loader = Loader::over(sources.clone(), options).unwrap();
            let batches = read(&loader);
            assert!(sorted(&batches).into_iter().eq(0..1001));
            assert!(batches.iter().any(|b| b.contains(&3) || b.iter().any(|i| *i > 800)));
        }
        #[cfg(target_os = "linux")]
        {
            let links = std::fs::read_dir("/proc/self/fd").unwrap();
            let of_ours = |link: std::io::Result<std::fs::DirEntry>| {
                std::fs::read_link(link.unwrap().path()).is_ok_and(|to| to.starts_with(dir.path()))
            };
            let open = links.map(of_ours);
            assert!(open.filter(|ours| *ours).count() <= most);
        }
    }

    // A state is of these stores; one that was replaced while it was not open is noticed.
    let sources = Sources::open(&paths, &read_options, 1).unwrap();
    let loader = Loader::over(sources, by_count(16)).unwrap();
    let other = Sources::open(&paths[..4], &read_options, 1).unwrap();
    let text = Loader::over(other, by_count(16)).unwrap();
    let text = { text }.resume(&loader.state(loader.at())).unwrap_err().to_string();
    assert!(text.contains("number of records is 1001"), "{text}");
    let mut w = Writer::replace(&paths[2], &options(Purpose::Balanced)).unwrap();
    w.push(b"another").unwrap();
    w.close().unwrap();
    let error = loader.records().unwrap().find_map(Result::err).unwrap();
    assert!(
        matches!(error.root(), Error::Replaced) && error.to_string().contains("part 2"),
        "{error}"
    );

    let none: [&str; 0] = [];
    assert!(Sources::open(none, &read_options, 1).is_err());
    let path = dir.path().join("frames.vls");
    vlstore::TrajectoryWriter::create(&path, &StoreOptions::default()).unwrap().close().unwrap();
    let mixed = Sources::open([&paths[2], &path], &read_options, 1).unwrap_err().to_string();
    assert!(mixed.contains("records of one codec"), "{mixed}");
}

/// A small store comes again and again, each time in another order, while a large one goes on; a state
/// is that of these shares.
#[test]
fn several_stores_are_mixed_with_the_shares_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let paths = parts(dir.path(), &[50, 900]);
    let make = |weights: &[f64], view| {
        let sources = Sources::open(&paths, &vlstore::ReadOptions::default(), 2).unwrap();
        let weights = Weights::Stated(weights.to_vec());
        let mixing = Some(Mixing { weights, parts: None, records: Some(400) });
        Loader::over(
            sources,
            LoaderOptions { view, mixing, window: Some(64), group: Some(8), ..by_count(16) },
        )
    };
    let mut loader = make(&[1.0, 3.0], None).unwrap();
    let mut had = vec![0_u32; 950];
    let mut small = Vec::new();
    for epoch in 0..9 {
        loader.set_at(vlstore::loader::Cursor { epoch, ..Default::default() });
        let records = read(&loader).concat();
        assert_eq!(records.len(), 400);
        assert_eq!(records.iter().filter(|i| **i < 50).count(), 100);
        records.iter().for_each(|i| had[usize::try_from(*i).unwrap()] += 1);
        small.extend(records.into_iter().filter(|i| *i < 50));
    }
    // Nine epochs are 18 passes of the small store and three of the large one.
    assert!(had[..50].iter().all(|n| *n == 18) && had[50..].iter().all(|n| *n == 3));
    assert_ne!(small[..50], small[50..100]);
    let state = loader.state(loader.at());
    let text = make(&[1.0, 1.0], None).unwrap().resume(&state).unwrap_err().to_string();
    assert!(text.contains("its mixture (what an epoch has of each store) is \"100+300 "), "{text}");
    assert!(make(&[2.0, 6.0], None).unwrap().resume(&state).is_ok());
    // A view has parts of both; in another order than the stores they are refused.
    let view = View::chosen((20..80).collect());
    assert_eq!(read(&make(&[1.0, 1.0], Some(view)).unwrap()).concat().len(), 400);
    let text = make(&[1.0, 1.0], Some(View::chosen(vec![70, 3]))).unwrap_err().to_string();
    assert!(text.contains("another order than that of the stores"), "{text}");
    let text = make(&[1.0], None).unwrap_err().to_string();
    assert!(text.contains("there are 1, for 2 stores"), "{text}");
    let text = make(&[1.0, 1e-9], None).unwrap_err().to_string();
    assert!(text.contains("of 900.vls") && text.contains("larger weight"), "{text}");
}

/// A file in which one block of records is damaged, and the ordinals that lie in it.
fn damaged() -> (Store, HashSet<u64>) {
    let stored = StoreOptions {
        layout: Layout { compression: Compression::Stored, ..options(Purpose::Balanced).layout },
        ..options(Purpose::Balanced)
    };
    let mut w = Writer::in_memory(&stored).unwrap();
    for i in 0..2000 {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
    let backend = w.backend();
    let mut image = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read_at(0, &mut image).unwrap();
    let wanted = record(777);
    let at = image.windows(wanted.len()).position(|w| *w == *wanted).unwrap();
    image[at + 9] ^= 1;
    let store = Store::from_bytes(image).unwrap();
    let snapshot = store.snapshot();
    let lost = (0..2000).filter(|i| snapshot.get_at(*i).is_err()).collect();
    (store, lost)
}

#[test]
fn a_damaged_record_is_named_or_skipped_and_counted() {
    let (store, lost) = damaged();
    assert!(lost.contains(&777) && lost.len() < 200, "{lost:?}");
    let loader = Loader::new(store.snapshot(), by_count(10)).unwrap();
    let error = loader.records().unwrap().find_map(Result::err).unwrap();
    let Error::Record { key, .. } = &error else { panic!("{error}") };
    let named: u64 = key.split(' ').next().unwrap().parse().unwrap();
    assert!(lost.contains(&named) && key.contains("(ordinal"), "{error}");

    let options = LoaderOptions { damaged: Damaged::Skip, ..by_count(10) };
    let loader = Loader::new(store.snapshot(), options).unwrap();
    let mut run = loader.records().unwrap();
    let batches: Vec<Vec<u64>> =
        run.by_ref().map(|b| b.unwrap().records().map(number).collect()).collect();
    assert_eq!((run.skipped(), batches.len()), (lost.len() as u64, 200));
    assert!(sorted(&batches).into_iter().eq((0..2000).filter(|i| !lost.contains(i))));
}

#[test]
fn damaged_records_are_found_by_halves() {
    let (store, lost) = damaged();
    let batching = Batching { records: Some(10), ..Batching::default() };
    let options =
        LoaderOptions { damaged: Damaged::Skip, window: Some(2000), batching, ..by_count(10) };
    let loader = Loader::new(store.snapshot(), options).unwrap();
    let calls: Arc<AtomicU64> = Arc::default();
    let counter = calls.clone();
    let run = loader.start(move |asked| {
        counter.fetch_add(1, Ordering::Relaxed);
        asked.plan()?.batch()
    });
    let left: usize = run.unwrap().map(|batch| batch.unwrap().records().count()).sum();
    assert_eq!(left, 2000 - lost.len());
    // Each takes a path of eleven halves, and not every record is read alone.
    let calls = calls.load(Ordering::Relaxed);
    assert!(calls <= 2 + 2 * 11 * lost.len() as u64, "{calls} for {}", lost.len());
}

/// Who looks after something else while a window is read is not kept waiting: not for a batch, and not for
/// the end.
#[test]
fn a_run_that_reads_slowly_can_be_waited_for_and_left() {
    let snapshot = store(100, &options(Purpose::Balanced));
    let options = LoaderOptions { window: Some(50), ..by_count(10) };
    let loader = Loader::new(snapshot, options).unwrap();
    let gate = Arc::new(Mutex::new(()));
    let start = || {
        let gate = gate.clone();
        let make = move |asked: Asked<'_>| {
            let _open = gate.lock();
            asked.plan()?.batch()
        };
        loader.start(make).unwrap()
    };
    let (moment, long) = (Duration::from_millis(1), Duration::from_secs(600));
    let closed = gate.lock().unwrap();
    let (mut waited, mut left) = (start(), start());
    assert!(!waited.wait(moment) && !left.wait(moment) && !left.end(moment));
    left.leave();
    drop(closed);
    assert!(waited.wait(long) && !waited.at_hand());
    for n in 0..10 {
        assert!(waited.wait(long));
        assert_eq!(waited.next().unwrap().unwrap().records().count(), 10, "batch {n}");
        assert_eq!(waited.at_hand(), n % 5 != 4);
    }
    assert!(waited.wait(long) && waited.next().is_none() && waited.wait(long));
    let mut ended = start();
    assert!(ended.next().is_some());
    assert!(ended.end(long) && ended.next().is_none());
}

#[test]
fn an_error_of_the_caller_ends_the_run_and_an_early_end_stops_the_thread() {
    let snapshot = store(500, &options(Purpose::Balanced));
    let loader = Loader::new(snapshot, by_count(5)).unwrap();
    let mut run = loader.start(|_| Err::<(), _>(Error::Interrupted)).unwrap();
    assert!(matches!(run.next(), Some(Err(Error::Interrupted))));
    assert!(run.next().is_none());
    let mut run = loader.records().unwrap();
    assert!(run.next().is_some());
    drop(run);
    assert!(sorted(&read(&loader)).into_iter().eq(0..500), "the loader is as it was");
}
