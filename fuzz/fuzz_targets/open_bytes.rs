//! Any bytes as a store file: as they are, or as changes to a good store, with every checksum made
//! right or not; read in every way, and then, if the input says so, written to or recovered.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore_fuzz::{bases, read_all, recover, reseal, write_on};

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let mut image = match bases().get(usize::from(mode >> 1 & 7)) {
        Some(base) => base.patched(data),
        None => data.to_vec(),
    };
    if mode & 1 == 0 {
        reseal::reseal(&mut image);
    }
    match mode >> 4 {
        0 => write_on(&image),
        // A tenth of a second for the stores with many records.
        1 if image.len() < 1 << 16 => recover(image.clone()),
        _ => {}
    }
    read_all(image);
});
