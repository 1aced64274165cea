//! What a process takes of memory, and what it does when there is none: programs with a limit that
//! the system keeps.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

use std::path::Path;
use std::process::{Command, Output};
use vlstore::Readable;
use vlstore::backend::Access;
use vlstore::codec::{MdFrame, Real};
use vlstore::{Compression, Durability, Error, Layout, Store, StoreOptions, WriteOptions, Writer};

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
        layout: Layout { compression: Compression::Lz4, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
    };
    let mut w = Writer::create(folder.join("store"), &options).unwrap();
    let mut bytes = vec![0; RECORD];
    for i in 0..RECORDS {
        fill(i, &mut bytes);
        w.insert(i, &bytes).unwrap();
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

/// What a copy of this program is to read, with less memory than that has bytes.
const LITTLE: &str = "VLSTORE_TEST_LITTLE_MEMORY";
/// All that the process may have: less than one record of the store `huge`, and than the records of
/// the store `many` together. It bounds the address space, of which the C library reserves 64 MiB for the
/// heap of each thread that lives: of this one, and of one that helps with batches and scans.
const KIB: usize = 300_000;
const HUGE: usize = 1 << 29;
const MANY: u64 = 40;
const EACH: usize = 10 << 20;

fn refused<T>(what: &str, done: vlstore::Result<T>) {
    match done {
        Ok(_) => panic!("{what}: there was enough memory"),
        Err(e) => assert!(matches!(e.root(), Error::OutOfMemory { .. }), "{what}: {e}"),
    }
}

/// The body of the process with little memory; does nothing in the test run itself.
#[test]
fn in_little_memory() {
    let Some(folder) = std::env::var_os(LITTLE).map(std::path::PathBuf::from) else { return };
    for access in [Access::Auto, Access::Map] {
        let options = StoreOptions {
            write: WriteOptions { access, threads: 2, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        let huge = Store::open_with(folder.join("huge"), &options.write.reading()).unwrap();
        let told = huge.get("huge").err().unwrap().to_string();
        assert!(told.contains("record \"huge\"") && told.contains("536870912 bytes"), "{told}");
        refused("get", huge.get("huge"));
        refused("get_at", huge.get_at(1));
        refused("get_batch", huge.get_batch(["small", "huge"]));
        refused("visit", huge.plan(["huge"]).unwrap().each(|_, _| Ok(())));
        refused("scan", huge.scan(0..2).collect::<vlstore::Result<Vec<_>>>());
        assert_eq!(*huge.get("small").unwrap(), *b"small");
        assert!(huge.verify(|_, _| Ok(())).unwrap().is_intact());
        let many = Store::open_with(folder.join("many"), &options.write.reading()).unwrap();
        let all: Vec<u64> = (0..MANY).collect();
        refused("a batch", many.get_batch_at(&all));
        assert_eq!(many.get_batch_at(&all[..3]).unwrap().len(), 3);
        many.plan_at(&all)
            .unwrap()
            .each(|_, bytes| {
                assert_eq!(bytes.len(), EACH);
                Ok(())
            })
            .unwrap();
    }
    let positions = Some(Real::F32(vec![0.5; 24 << 20]));
    let frame = MdFrame { positions, ..MdFrame::default() };
    refused("an owned frame", frame.view().try_to_owned());
    drop(frame);
    let options = StoreOptions {
        write: WriteOptions { threads: 1, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let mut w = Writer::in_memory(&StoreOptions {
        layout: Layout { compression: Compression::Stored, ..options.layout },
        ..options
    })
    .unwrap();
    let mut noise = vec![0; EACH];
    fill(1, &mut noise);
    refused("a store in memory", (0..MANY).try_for_each(|i| w.insert(i, &noise).map(drop)));
}

fn stores(folder: &Path) {
    let options = StoreOptions {
        write: WriteOptions { durability: Durability::None, threads: 1, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let mut w = Writer::create(folder.join("huge"), &options).unwrap();
    w.insert("small", b"small").unwrap();
    w.insert("huge", &vec![0; HUGE]).unwrap();
    w.close().unwrap();
    let mut w = Writer::create(folder.join("many"), &options).unwrap();
    for i in 0..MANY {
        w.insert(i, &vec![u8::try_from(i % 7).unwrap() + 1; EACH]).unwrap();
    }
    w.close().unwrap();
}

/// Accident: a record of half a GiB in a file of a few hundred bytes, or a batch of 400 MB, ended the
/// process where there was not so much memory.
#[test]
fn what_a_file_claims_and_a_caller_asks_for_is_an_error_where_there_is_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    stores(dir.path());
    let limited = format!("ulimit -v {KIB} && exec \"$0\" \"$@\"");
    let done = Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args(["in_little_memory", "--exact", "--test-threads=1"])
        .env(LITTLE, dir.path())
        // To print one takes more memory than there may be, and std waits for ever then.
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{}: {said}", done.status);

    // Commands say so, too, and leave nothing half written.
    let run = |args: &[&str]| {
        let done = Command::new("sh")
            .args(["-c", &limited])
            .arg(env!("CARGO_BIN_EXE_vlstore"))
            .args(args)
            .current_dir(dir.path())
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    for args in [
        &["get", "huge", "huge"][..],
        &["copy", "huge", "copy"],
        &["compact", "huge"],
        &["split", "--records", "1", "huge", "part"],
        &["merge", "huge", "many", "merged"],
    ] {
        let (code, said) = run(args);
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("cannot allocate 536870912 bytes"), "{args:?}: {said}");
        assert!(said.contains("record \"huge\""), "{args:?}: {said}");
    }
    let (code, said) = run(&["recover", "huge", "saved"]);
    assert_eq!(code, Some(1), "what there is no memory for is not lost: {said}");
    let mut left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["huge", "many"]);
    // Frames that claim more atoms than there is memory for: a line for each is missing.
    for (name, text) in [
        ("claims.xyz", "1073741824\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"),
        ("many.xyz", "1073741824\nProperties=species:S:1:a:I:200:b:L:200:c:R:200\nH 0\n"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
        let (code, said) = run(&["import", name, "imported"]);
        assert!(matches!(code, Some(1..=3)), "{name}: {code:?} {said}");
        assert!(said.contains(name), "{said}");
    }
    // The whole is as it was.
    assert_eq!(Store::open(dir.path().join("huge")).unwrap().len(), 2);
}
