//! Every order in which threads can meet, up to three pre-emptions, in the block cache and in
//! the hand-over between a writer and its workers.

use loom::sync::Arc;
use loom::thread;
use vlstore_models::chunk::Params;
use vlstore_models::store::cache::BlockCache;
use vlstore_models::store::pool::Pool;
use vlstore_models::wire::AlignedBuf;

fn explore(name: &str, f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = runs.clone();
    model.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        f();
    });
    println!("{name}: {runs:?} schedules");
}

fn block(chunk: u64, number: u32) -> Arc<AlignedBuf> {
    Arc::new(AlignedBuf(vec![chunk as u8 * 16 + number as u8; 8]))
}

/// A block that is found is the one that was asked for, whoever else is at work.
#[test]
fn the_cache_never_gives_another_block() {
    explore("cache", || {
        let cache = Arc::new(BlockCache::new(128));
        let threads: Vec<_> = (0..2_u64)
            .map(|n| {
                let cache = cache.clone();
                thread::spawn(move || {
                    for i in 0..2 {
                        let (chunk, number) = (n, i);
                        match cache.get(chunk, number, &(0..8)) {
                            Some(found) => assert_eq!(found.0, block(chunk, number).0),
                            None => cache.insert(chunk, number, &block(chunk, number)),
                        }
                    }
                })
            })
            .collect();
        for (chunk, number) in [(0, 1), (1, 1)] {
            if let Some(found) = cache.get(chunk, number, &(0..8)) {
                assert_eq!(found.0, block(chunk, number).0);
            }
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// Whoever reads parts of blocks and keeps those that pay finds no other block either.
#[test]
fn a_block_that_is_kept_because_it_pays_is_the_right_one() {
    explore("parts", || {
        let cache = Arc::new(BlockCache::new(128));
        let other = cache.clone();
        let thread = thread::spawn(move || {
            for number in [0, 0] {
                if other.get(1, number, &(0..8)).is_none() && other.pays(1, number, 8) {
                    other.insert(1, number, &block(1, number));
                }
            }
        });
        if cache.pays(0, 1, 8) {
            cache.insert(0, 1, &block(0, 1));
        }
        for (chunk, number) in [(1, 0), (0, 1)] {
            if let Some(found) = cache.get(chunk, number, &(0..8)) {
                assert_eq!(found.0, block(chunk, number).0);
            }
        }
        thread.join().unwrap();
    });
}

/// Chunks come back in the order asked for, each once, however two workers take turns.
#[test]
fn the_workers_give_every_chunk_back_once_and_in_order() {
    explore("hand-over", || {
        let mut pool = Pool::new(Params, [0; 16], 2, 1 << 21);
        for n in 0..2_u64 {
            pool.submit(n, 1, std::sync::Arc::new(AlignedBuf(vec![n as u8; 4]))).unwrap();
        }
        for n in 0..2_u64 {
            let made = pool.take(n, true).expect("it was given out").unwrap();
            assert_eq!(made.bytes, [!(n as u8); 4]);
            pool.recycle(made.bytes);
        }
        assert_eq!(pool.under_way(), 0);
        assert!(pool.take(0, false).is_none() && pool.take(7, true).is_none());
    });
}

/// A pool that is dropped with work under way ends, and so do its workers.
#[test]
fn a_pool_that_is_dropped_with_work_under_way_ends() {
    explore("ending", || {
        let mut pool = Pool::new(Params, [0; 16], 1, 1 << 21);
        for n in 0..2_u64 {
            // A block size that no compressor takes is an error of that chunk alone.
            pool.submit(n, n as u32, std::sync::Arc::new(AlignedBuf(vec![1]))).unwrap();
        }
        let first = pool.take(0, true).expect("it was given out");
        assert!(first.is_err());
        drop(pool);
    });
}
