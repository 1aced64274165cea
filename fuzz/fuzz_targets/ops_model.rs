//! Any sequence of steps: what the store says is what a list says.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vlstore::Store;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore_fuzz::options;
use vlstore_fuzz::world::{Step, World};

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (stored, steps) = input;
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut world = World::new(backend.clone(), options(stored), Box::new(|| 0));
    for step in steps.iter().take(60) {
        world.step(step);
    }
    let (_, committed, ..) = world.commits.last().unwrap().clone();
    let store = Store::open_in(backend.clone(), &options(stored).write.reading()).unwrap();
    committed.compare(&store);
    assert!(store.verify(|_, _| Ok(())).unwrap().is_intact());
    world.step(&Step::Close);
    let store = Store::open_in(backend, &options(stored).write.reading()).unwrap();
    world.now.compare(&store);
});
