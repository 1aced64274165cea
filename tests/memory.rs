//! What a process takes of memory, and what it does when there is none: programs with a limit that
//! the system keeps.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

use std::path::Path;
use std::process::{Command, Output};
use vlstore::chunk::Codec;
use vlstore::{Durability, Store, StoreOptions, Writer};

/// Runs the command in `folder` with so much memory of its own: heap, stacks, private maps.
fn limited(kib: usize, folder: &Path, args: &[&str]) -> Output {
    let limited = format!("ulimit -d {kib} && exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &limited])
        .arg(env!("CARGO_BIN_EXE_vlstore"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn fine(kib: usize, folder: &Path, args: &[&str]) {
    let done = limited(kib, folder, args);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?} with {kib} KiB: {}: {said}", done.status);
}

/// Fills `out` with what compresses a little.
fn fill(mut x: u64, out: &mut [u8]) {
    for word in out.chunks_mut(8) {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for (to, from) in word.iter_mut().zip((x & 0xffff_0fff_ffff_ffff).to_le_bytes()) {
            *to = from;
        }
    }
}

/// Accident: buffers at multiples of 64, taken by one thread and freed by another, left holes in
/// the memory of the process that no later buffer fitted into: `compact` of 2 GB took 1.5 GB.
#[test]
fn verbs_that_rewrite_a_store_take_memory_that_does_not_grow_with_it() {
    const RECORD: usize = 100_000;
    const RECORDS: u64 = 2_400;
    let threads = std::thread::available_parallelism().unwrap().get();
    // What a thread is given: its stack, a chunk on its way in, one on its way out, its codec.
    let kib = (32 << 10) + threads * (8 << 10);
    if kib * 1024 * 2 > RECORD * usize::try_from(RECORDS).unwrap() {
        eprintln!("skipped: {threads} threads may take as much memory as the store is long");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let options = StoreOptions {
        codec: Some(Some(Codec::Lz4)),
        durability: Durability::None,
        ..StoreOptions::default()
    };
    let mut w = Writer::create(folder.join("store"), &options).unwrap();
    let mut bytes = vec![0; RECORD];
    for i in 0..RECORDS {
        fill(i, &mut bytes);
        w.put(i, &bytes, false).unwrap();
    }
    w.close().unwrap();
    let find = |name: &str| Store::open(folder.join(name)).unwrap().len();
    fine(kib, folder, &["compact", "store"]);
    fine(kib, folder, &["copy", "store", "copy"]);
    assert_eq!((find("store"), find("copy")), (RECORDS, RECORDS));
    fine(kib, folder, &["split", "--records", "1200", "copy", "part.vls"]);
    fine(kib, folder, &["merge", "part-000.vls", "part-001.vls", "merged"]);
    fine(kib, folder, &["recover", "merged", "saved"]);
    assert_eq!((find("part-000.vls"), find("merged"), find("saved")), (1200, RECORDS, RECORDS));
}
