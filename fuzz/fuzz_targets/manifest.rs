//! Any bytes as the manifest of a data set, with and without the right checksum: an error, or a
//! manifest that is written and read again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore::dataset::{Manifest, is_member_name};
use vlstore::wire::checksum;

const LAST: &[u8] = b" \"checksum\": \"";

fuzz_target!(|data: &[u8]| {
    let mut text = data.to_vec();
    if let Some(at) = text.windows(LAST.len()).rposition(|part| part == LAST) {
        let sum = checksum(&text[..at]);
        text.truncate(at);
        text.extend_from_slice(LAST);
        text.extend_from_slice(format!("{sum:016x}\"\n}}\n").as_bytes());
    }
    let _ = Manifest::from_text(data);
    if let Ok(manifest) = Manifest::from_text(&text) {
        assert!(manifest.members.iter().all(|m| is_member_name(&m.name).is_ok()));
        let again = Manifest::from_text(manifest.to_text().as_bytes()).expect("it is read again");
        assert_eq!(again, manifest);
        let _ = (manifest.records(), manifest.weight(), manifest.file_bytes());
    }
});
