//! Files made to do harm (promise P4): named attacks, each with every checksum right, so that
//! what lies behind the checksums is reached. Each is opened and read in every way there is, and
//! then written to and recovered, under an allocator that gives 64 MiB and four times the file,
//! and beside a clock that only a loop without end can run down.
//!
//! The answer is an error that names the thing, or bytes; never a panic. Which row of the table
//! of hazards in `docs/safety.md` has its test where is compared in `table.rs`.
//!
//! An attack that takes more memory than it may ends this process; `--nocapture` shows which.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "a test that fails says where"
)]

mod chunks;
mod craft;
mod crowds;
mod fences;
mod frames;
mod head;
mod index;
mod journal;
mod lookup;
mod records;
mod rows;
mod shared;
mod table;

use cap::Cap;
use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::{Backend, MemoryBackend, SliceBackend};
use vlstore::limits::CHUNK_MAX;
use vlstore::maintain::{RecoverOptions, recover_into};
use vlstore::store::{CONFIG_AT, CONFIG_MAGIC};
use vlstore::{Error, Key, Store, StoreOptions, WriteOptions, Writer};

/// Fails the allocation, and by that the test, above the ceiling of promise P4.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Far longer than any attack takes: only a loop without end reaches it.
const HANGS: Duration = Duration::from_secs(60);

/// A file that was made to do harm, and what must come of it.
pub struct Attack {
    pub name: &'static str,
    pub build: fn() -> Vec<u8>,
    pub expect: Expect,
}

/// What an attack must lead to.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// The file is refused with an error that has these words in it.
    Refused(&'static str),
    /// The file opens, and something that is asked of it answers with these words.
    Error(&'static str),
    /// Nothing is wrong: all that is asked is answered.
    Right,
}

/// Names the attacks of one file of tests.
macro_rules! attacks {
    ($($name:ident: $expect:expr => $build:expr;)*) => {
        pub const ATTACKS: &[crate::Attack] = &[$(
            crate::Attack { name: stringify!($name), expect: $expect, build: || $build }
        ),*];
    };
}
pub(crate) use attacks;

/// One at a time: the ceiling is for the whole process.
static ONE: Mutex<()> = Mutex::new(());

/// Carries out attacks; `ask` does to the bytes what a victim would do and answers what it was
/// told, beginning with `refused:` if it was told so at the door.
fn run(attacks: &[Attack], ask: fn(&[u8]) -> Vec<String>) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wrong = Vec::new();
    for attack in attacks {
        println!("{}", attack.name);
        let bytes = (attack.build)();
        let (done, answer) = channel();
        MEMORY.set_limit(MEMORY.allocated() + (64 << 20) + 4 * bytes.len()).unwrap();
        let victim = std::thread::spawn(move || {
            let answer = catch_unwind(AssertUnwindSafe(|| ask(&bytes)));
            let _ = done.send(answer.ok());
        });
        let answer = match answer.recv_timeout(HANGS) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => panic!("{}: hangs", attack.name),
            Err(RecvTimeoutError::Disconnected) => None,
        };
        victim.join().ok();
        MEMORY.set_limit(usize::MAX).unwrap();
        let Some(answer) = answer else {
            wrong.push(format!("{}: a panic", attack.name));
            continue;
        };
        let refused = answer.first().is_some_and(|a| a.starts_with("refused:"));
        let good = match attack.expect {
            Expect::Refused(words) => refused && answer[0].contains(words),
            Expect::Error(words) => !refused && answer.iter().any(|a| a.contains(words)),
            Expect::Right => answer.is_empty(),
        };
        if !good {
            let some: Vec<_> = answer.iter().take(6).collect();
            wrong.push(format!("{}: {:?}, but: {some:#?}", attack.name, attack.expect));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Opens a file and asks it everything: the errors, each once.
fn ask_store(bytes: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    let backend: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(bytes.to_vec()));
    let options = StoreOptions {
        write: WriteOptions { threads: 1, cache_bytes: 1 << 20, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    match Store::open_in(backend, &options.write.reading()) {
        Ok(store) => read(&store, &mut told),
        Err(e) => told.push(format!("refused: {e}")),
    }
    write(bytes, &options);
    save(bytes, &options);
    told.sort_by_key(|t| !t.starts_with("refused:"));
    told.dedup();
    told
}

fn read(store: &Store, told: &mut Vec<String>) {
    let mut note = |e: &dyn std::fmt::Display| {
        if told.len() < 10_000 {
            told.push(e.to_string());
        }
    };
    let n = store.len();
    if let Err(e) = store.info() {
        note(&e);
    }
    let _ = store.attributes();
    let mut keys: Vec<Key> = vec!["absent".into(), "key 8".into(), 9_u64.into(), 13_u64.into()];
    let some = (0..n.min(64)).chain(n.saturating_sub(8)..n);
    let all: Vec<u64> = some.collect();
    for i in all.iter().copied().chain([n, u64::MAX]) {
        match store.get_at(i) {
            Ok(record) => assert!(record.len() <= 1 << 30),
            Err(e) if i < n => note(&e),
            Err(_) => {}
        }
        match store.key_at(i) {
            Ok(key) => keys.extend(key),
            Err(e) if i < n => note(&e),
            Err(_) => {}
        }
        if let (Err(e), true) = (store.location_at(i), i < n) {
            note(&e);
        }
    }
    for key in &keys {
        match store.find(key.clone()) {
            Ok(Some(_)) => {
                if let Err(e) = store.get(key.clone()) {
                    note(&e);
                }
            }
            Ok(None) => {}
            Err(e) => note(&e),
        }
        let mut out = vec![0; 5000];
        let _ = store.get_into(key.clone(), &mut out);
    }
    for name in ["step", "cell", "weight"] {
        match store.column(name, 0..n.min(1000)) {
            Ok(found) => assert_eq!(found.values.len() as u64 % n.clamp(1, 1000), 0),
            Err(Error::NotFound { .. } | Error::Invalid { .. }) => {}
            Err(e) => note(&e),
        }
    }
    match store.list_shared() {
        Ok(list) => {
            for (digest, _) in list.iter().take(64) {
                if let Err(e) = store.shared(digest) {
                    note(&e);
                }
            }
        }
        Err(e) => note(&e),
    }
    if let Err(e) = store.get_batch_at(&all) {
        note(&e);
    }
    if let Err(e) = store.for_each(|_, _, _| Ok(())) {
        note(&e);
    }
    for record in store.scan(0..n) {
        if let Err(e) = record {
            note(&e);
        }
    }
    match store.verify(|_, _| Ok(())) {
        Ok(found) => found.damages.iter().for_each(|d| note(d)),
        Err(e) => note(&e),
    }
    if let Err(e) = store.stat(|_, _| Ok(())) {
        note(&e);
    }
}

/// Goes on writing: an error, or commits that are there.
fn write(bytes: &[u8], options: &StoreOptions) {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(bytes.to_vec()));
    let go_on = || -> vlstore::Result<()> {
        let mut w = Writer::open_in(backend.clone(), &options.write)?;
        let first = w.put("new 0", b"bytes of it")?;
        w.commit()?;
        w.put("new 1", &[5; 3000])?;
        w.delete_at(first.min(1))?;
        w.commit()?;
        w.seal()?;
        w.close().map(drop)
    };
    if go_on().is_ok()
        && let Ok(store) = Store::open_in(backend, &options.write.reading())
        && let Ok(record) = store.get("new 1")
    {
        assert_eq!(*record, [5; 3000]);
    }
}

/// Recovers what there is.
fn save(bytes: &[u8], options: &StoreOptions) {
    let ours = bytes.get(CONFIG_AT as usize..).is_some_and(|b| b.starts_with(&CONFIG_MAGIC));
    let chunk = bytes.get(58..62).map_or(0, |b| u32::from_be_bytes(b.try_into().unwrap()));
    if !ours && chunk > CHUNK_MAX {
        // Chunks to which no record leads are looked at whole: as much memory as one takes.
        return;
    }
    let damaged: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(bytes.to_vec()));
    let new: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let options = RecoverOptions {
        chunks: true,
        contents: Some(vlstore::codec::content),
        store: options.clone(),
        ..RecoverOptions::default()
    };
    if recover_into(&damaged, &new, &options, |_, _| Ok(())).is_ok() {
        let saved =
            Store::open_in(new, &options.store.write.reading()).expect("what was recovered opens");
        let found = saved.verify(|_, _| Ok(())).expect("what was recovered can be checked");
        assert!(found.is_intact(), "what was recovered is whole: {:?}", found.damages);
    }
}

#[test]
fn the_stores_that_attacks_start_from_are_whole() {
    for image in [craft::sealed(), craft::logged()] {
        assert_eq!(ask_store(&image.bytes), [""; 0]);
        // Taken apart and put together, they still are.
        let again = image.edit_root(|_| ()).edit_leaf(1, |_| ()).edit_run(|_| ()).edit_dead(|_| ());
        assert_eq!(ask_store(&again.bytes), [""; 0]);
    }
    let again = rows::wide().edit_leaf(0, |_| ()).edit_log(|_| ());
    assert_eq!(ask_store(&again.bytes), [""; 0]);
    assert_eq!(ask_store(&crowds::long().edit_run(|_| ()).bytes), [""; 0]);
    let again = fences::ascending().edit_root(|_| ()).edit_leaf(0, |_| ());
    assert_eq!(ask_store(&again.bytes), [""; 0]);
    let again = shared::frames().edit_leaf(0, |_| ()).edit_log(|_| ());
    assert_eq!(shared::ask(&again.bytes), [""; 0]);
    let image = craft::logged().edit_log(|_| ());
    assert_eq!(ask_store(&image.bytes), [""; 0]);
    let chunk = craft::compressed(None, vlstore::chunk::Filter::None, 1, &[1; 4096]);
    assert_eq!(ask_store(&craft::sealed().with_chunk(&chunk).bytes), [""; 0]);
}

#[test]
fn hostile_chunks_are_refused_or_decode_to_what_they_say() {
    run(chunks::ATTACKS, ask_store);
}

#[test]
fn hostile_configurations_and_slots_are_refused_by_name() {
    run(head::ATTACKS, ask_store);
}

#[test]
fn hostile_indexes_are_refused_or_answer_with_errors() {
    run(index::ATTACKS, ask_store);
}

#[test]
fn hostile_logs_are_refused_by_name() {
    run(journal::ATTACKS, ask_store);
}

#[test]
fn hostile_frames_of_other_programs_are_refused_by_name() {
    run(frames::ATTACKS, ask_store);
}

#[test]
fn hostile_tables_of_the_original_program_are_refused_by_name() {
    run(lookup::ATTACKS, ask_store);
}

#[test]
fn hostile_records_are_refused_by_name() {
    run(records::ATTACKS, records::ask);
}

#[test]
fn hostile_rows_and_columns_are_refused_or_answer_with_errors() {
    run(rows::ATTACKS, ask_store);
}

#[test]
fn many_keys_of_one_hash_take_no_more_than_time_in_proportion() {
    run(crowds::ATTACKS, ask_store);
}

#[test]
fn hostile_fences_are_refused_by_name_or_hide_keys_that_are_told_of() {
    run(fences::ATTACKS, ask_store);
}

#[test]
fn hostile_shared_records_and_topologies_are_refused_by_name() {
    run(shared::ATTACKS, shared::ask);
}
