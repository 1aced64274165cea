//! Files of the original program open in place with every record right, and go on as ours.

use crate::common::shared;
use sha2::{Digest, Sha256};
use std::path::Path;
use vlstore::Readable;
use vlstore::{Key, Opened, Store, WriteOptions, Writer};

fn key(entry: &serde_json::Value) -> Key {
    let key = &entry["key"];
    let text = |name: &str| key[name].as_str().unwrap();
    match text("type") {
        "int" => Key::Int(text("value").parse().unwrap()),
        "bytes" => {
            let hex = text("hex");
            let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
            (0..hex.len() / 2).map(byte).collect::<Vec<u8>>().into()
        }
        _ => text("value").into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn entries(path: &Path) -> Vec<(Key, u64, u64, String)> {
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
    let list = json["records"].as_array().unwrap();
    list.iter()
        .map(|e| {
            (
                key(e),
                e["start"].as_u64().unwrap(),
                e["end"].as_u64().unwrap(),
                e["sha256"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn files_of_the_original_open_in_place_and_are_extended_by_a_copy() {
    let Some(dir) = shared("vlstore") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|e| e != "vlstore") {
            continue;
        }
        seen += 1;
        let wanted = entries(&path);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.opened(), Opened::Unchecked);
        assert_eq!(store.len(), wanted.len() as u64, "{}", path.display());
        let check = |store: &Store| {
            for (key, start, end, sum) in &wanted {
                let place = store.location(key).unwrap();
                assert_eq!((place.start, place.end), (*start, *end));
                assert_eq!(&hex(&store.get(key).unwrap()), sum, "{key}");
            }
            let keys: Vec<_> = wanted.iter().map(|w| &w.0).collect();
            for (r, w) in
                store.get_batch(keys.into_iter().rev()).unwrap().iter().zip(wanted.iter().rev())
            {
                assert_eq!(hex(r), w.3);
            }
        };
        check(&store);
        assert_eq!(store.keys().unwrap(), wanted.iter().map(|w| w.0.clone()).collect::<Vec<_>>());
        let copy = scratch.path().join(path.file_name().unwrap());
        std::fs::copy(&path, &copy).unwrap();
        let mut w = Writer::open(&copy, &WriteOptions::default()).unwrap();
        w.insert("added later", b"new bytes").unwrap();
        w.close().unwrap();
        let mut store = Store::open(&copy).unwrap();
        assert_eq!(store.opened(), Opened::Intact);
        assert_eq!(store.len(), wanted.len() as u64 + 1);
        check(&store);
        assert_eq!(*store.get("added later").unwrap(), *b"new bytes");
        assert!(!store.refresh().unwrap());
    }
    assert!(seen >= 10, "only {seen} files");
}

#[test]
fn broken_files_are_errors_that_say_what_is_wrong() {
    let Some(dir) = shared("broken") else { return };
    let open = |name: &str| Store::open(dir.join(name));
    let message = |name: &str| open(name).map(|s| s.len()).unwrap_err().to_string();
    for (name, says) in [
        ("zero-byte.vlstore", "empty"),
        ("text-renamed.vlstore", "not a store"),
        ("xtc-renamed.vlstore", "not a store"),
        ("truncated-half.vlstore", "cut short"),
        ("truncated-last-byte.vlstore", "cut short"),
        ("never-closed.vlstore", "index"),
        ("other-blosc2-frame.vlstore", "magic"),
        ("wrong-magic-meta.vlstore", "magic"),
        ("lookup-huge.vlstore", "limit"),
    ] {
        let m = message(name);
        assert!(m.contains(says) && m.contains(name), "{name}: {m}");
    }
    let s = open("lookup-beyond-end.vlstore").unwrap();
    s.get("a").unwrap();
    let m = s.get("b").unwrap_err().to_string();
    assert!(m.contains("record \"b\""), "{m}");
}
