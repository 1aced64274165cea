//! Any sequence of steps, and a power cut at any call: what opens is the last commit or the one
//! in flight, complete, and the next writer continues from it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vlstore::backend::fault::RecordingBackend;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::{Readable, Store, Writer};
use vlstore_fuzz::options;
use vlstore_fuzz::world::{Step, World};

fuzz_target!(|input: (bool, Vec<Step>, u16, u64)| {
    let (stored, steps, cut, seed) = input;
    let backend = Arc::new(RecordingBackend::new());
    let recorded = backend.clone();
    let mut world = World::new(backend.clone(), options(stored), Box::new(move || recorded.ops()));
    for step in steps.iter().take(40) {
        world.step(step);
    }
    let born = world.commits[0].3;
    let ops = backend.ops();
    let at = born + usize::from(cut) % (ops - born + 1);
    let image = backend.crash_image(at, seed);
    let store: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(image));
    let opened = Store::open_in(store.clone(), &options(stored).write.reading())
        .expect("it opens after a power cut");
    // Durable before the cut, or begun before it.
    let last = world.commits.iter().rposition(|c| c.3 <= at).unwrap();
    let allowed = &world.commits[last..];
    let state = allowed
        .iter()
        .filter(|c| c.2 <= at)
        .find(|c| c.0 == opened.generation())
        .expect("a state that was committed");
    state.1.compare(&opened);
    let before = state.1.clone();
    let mut w =
        Writer::open_in(store.clone(), &options(stored).write).expect("the next writer goes on");
    w.push(b"one more").unwrap();
    w.close().unwrap();
    let mut after = before;
    after.records.push((None, b"one more".to_vec()));
    after.compare(&Store::open_in(store, &options(stored).write.reading()).unwrap());
});
