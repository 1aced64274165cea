//! Any bytes as a trajectory that grows while it is imported: the import that goes on stores what
//! one import of the whole file does.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use vlstore::trajectory::{Duplicates, ImportOptions, Importer, Sharing, Target};
use vlstore::{Readable, Result, Store};
use vlstore_fuzz::{Folder, options};

fn import(input: &Path, store: &Path, mode: u8) -> Result<u64> {
    let options = ImportOptions {
        store: options(false),
        target: Target::Append,
        growing: Some(true),
        float32: mode & 1 != 0,
        precision: (mode & 2 != 0).then_some(1000.0),
        topologies: if mode & 4 != 0 { Sharing::Always } else { Sharing::Repeated },
        duplicates: Some(Duplicates::ALL[usize::from(mode >> 3) % 4]),
        mixed: mode & 32 != 0,
        commit_frames: (mode & 64 != 0).then_some(1),
        ..ImportOptions::default()
    };
    let mut importer = Importer::open(vec![input.into()], store, &options)?;
    importer.run(|_| Ok(()))?;
    Ok(importer.imported().records)
}

fn records(store: &Path) -> Vec<Vec<u8>> {
    let store = Store::open(store).expect("it opens");
    (0..store.len()).map(|i| store.get_at(i).expect("a record").to_vec()).collect()
}

fuzz_target!(|data: &[u8]| {
    // Behind the trajectory, so that one that is whole is a good input.
    let Some((data, [mode, a, b])) = data.split_last_chunk() else { return };
    let folder = Folder::here();
    let cut = (usize::from(*a) | usize::from(*b) << 8) % (data.len() + 1);
    let (grown, once) = (folder.path("grown.vls"), folder.path("once.vls"));
    let input = folder.write("input", &data[..cut]);
    let _ = import(&input, &grown, *mode);
    folder.write("input", data);
    let resumed = import(&input, &grown, *mode);
    let whole = import(&input, &once, *mode);
    if let (Ok(resumed), Ok(whole)) = (resumed, whole) {
        assert_eq!(resumed, whole);
        assert!(records(&grown) == records(&once));
        // There is nothing more to add.
        assert_eq!(import(&input, &grown, *mode).expect("an import without new frames"), whole);
    }
});
