//! Takes the block cache and the pool of compression workers from the library as they are, and
//! changes nothing in them but the names of what they synchronise with: loom's for std's.

use std::{env, fs, path::Path};

fn take(room: &str, file: &str, changes: &[(&str, &str)]) {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let source = root.join("src/store").join(room).join(file);
    println!("cargo:rerun-if-changed={}", source.display());
    let text = fs::read_to_string(source).unwrap();
    let mut text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_string();
    // Inner documentation cannot stand in an included file.
    text = text.lines().filter(|l| !l.starts_with("//!")).collect::<Vec<_>>().join("\n");
    for (from, to) in changes {
        assert!(text.contains(from), "{file} has changed: {from}");
        text = text.replace(from, to);
    }
    fs::write(Path::new(&env::var("OUT_DIR").unwrap()).join(file), text).unwrap();
}

fn main() {
    take(
        "read",
        "cache.rs",
        &[
            ("use std::sync::atomic::", "use loom::sync::atomic::"),
            ("use std::sync::{Arc, Mutex};", "use loom::sync::{Arc, Mutex};"),
            ("use once_cell::race::OnceBox;", "use crate::once::OnceBox;"),
            ("Mutex::default()", "Mutex::new(Default::default())"),
            // Everything falls into one set, and marks meet.
            ("const SETS_MAX: usize = 4096;", "const SETS_MAX: usize = 1;"),
            ("const WAYS: usize = 4;", "const WAYS: usize = 2;"),
            ("const MARKS: usize = 8192;", "const MARKS: usize = 1;"),
            ("const RECENT: usize = 8;", "const RECENT: usize = 1;"),
            ("#[derive(Debug)]", ""),
            ("pub(crate)", "pub"),
        ],
    );
    take(
        "write",
        "pool.rs",
        &[
            ("use crossbeam::channel::", "use crate::channel::"),
            ("use crate::backend::process_id;", "use std::process::id as process_id;"),
            ("use std::thread::JoinHandle;", "use loom::thread::JoinHandle;"),
            ("std::thread::Builder", "loom::thread::Builder"),
            ("#[derive(Debug)]", ""),
            ("pub(crate)", "pub"),
        ],
    );
}
