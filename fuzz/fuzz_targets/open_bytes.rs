//! Any bytes as a store file: as they are, or as changes to a good store; then, in half of the
//! runs, with every checksum made right.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let mut image = if mode & 2 == 0 {
        let mut image = vlstore_fuzz::base().to_vec();
        vlstore_fuzz::reseal::patch(&mut image, data);
        image
    } else {
        data.to_vec()
    };
    if mode & 1 == 0 {
        vlstore_fuzz::reseal::reseal(&mut image);
    }
    vlstore_fuzz::read_all(image);
});
