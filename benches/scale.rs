//! What grows with the number of records, and what must not: rate of appending, memory, index,
//! opening, the first read, many commits.
//!
//! `cargo bench --bench scale` runs a thousand and a million records (a minute, 2.5 GB of disk);
//! `-- 10m` adds ten million of 100 bytes. Each case is a process of its own, so that its
//! peak memory is its own.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a bench may panic; criterion makes undocumented functions"
)]

mod support;

use std::path::Path;
use std::process::Command;
use support::data::Random;
use support::measure::{median, own_memory, peak_memory, seconds, wanted};
use vlstore::{Readable, Store, StoreOptions, WriteOptions, Writer};

/// Bytes of a record: numbers that change slowly, so that they compress as coordinates do.
fn record(i: u64, len: usize, out: &mut Vec<u8>) {
    out.clear();
    for k in 0..len / 4 {
        let x = (i as f32 * 0.01 + k as f32).sin() * (k % 7 + 1) as f32;
        out.extend(x.to_le_bytes());
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn main() {
    if !wanted() {
        println!("run with: cargo bench --bench scale");
        return;
    }
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|a| a == "--case") {
        let number = |i: usize| args[at + i].parse::<u64>().unwrap();
        let path = Path::new(&args[at + 4]);
        match args[at + 1].as_str() {
            "write" => write(path, number(2), number(3) as usize, |i| i),
            "scatter" => write(path, number(2), number(3) as usize, scattered),
            "read" => read(path, number(2), number(3) as usize),
            _ => commits(path, number(2)),
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut cases = vec![(1_000, 100), (1_000_000, 100), (1_000_000, 2000)];
    if args.iter().any(|a| a == "10m") {
        cases.push((10_000_000, 100));
    }
    println!(
        "| records | bytes | append, k rec/s: first, last tenth | memory writing, MiB: first tenth, most | close, s | file, MiB | index, B/record: all, in use | open + first by ordinal, ms | by key, ms | memory with pages of the map, without, MiB | random get by ordinal, by key, us |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let me = std::env::current_exe().unwrap();
    let run = |case: &str, n: u64, len: u64, path: &Path| {
        let args = ["--bench", "--case", case, &n.to_string(), &len.to_string()];
        let status = Command::new(&me).args(args).arg(path).status().unwrap();
        assert!(status.success());
    };
    for (n, len) in cases {
        let path = dir.path().join("scale");
        print!("| {n} | {len} ");
        flush();
        run("write", n, len, &path);
        run("read", n, len, &path);
        println!("|");
        std::fs::remove_file(&path).unwrap();
        if n > 1_000_000 {
            print!("| {n}, keys in no order | {len} ");
            flush();
            run("scatter", n, len, &path);
            println!("| | | | | | |");
            std::fs::remove_file(&path).unwrap();
        }
    }
    run("commits", 100_000, 0, &dir.path().join("commits"));
}

fn flush() {
    use std::io::Write as _;
    std::io::stdout().flush().unwrap();
}

/// A key for record `i` that is no greater than the ones before: each key once, in no order.
fn scattered(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1
}

fn write(path: &Path, n: u64, len: usize, key: fn(u64) -> u64) {
    let mut w = Writer::create(path, &StoreOptions::default()).unwrap();
    let mut bytes = Vec::new();
    let tenth = n / 10;
    let mut times = [0.0; 10];
    let mut memory = [0; 10];
    for (part, time) in times.iter_mut().enumerate() {
        *time = seconds(|| {
            for i in part as u64 * tenth..(part as u64 + 1) * tenth {
                record(i, len, &mut bytes);
                w.insert(key(i), &bytes).unwrap();
                if i % 4096 == 0 {
                    memory[part] = memory[part].max(own_memory());
                }
            }
        });
    }
    let close = seconds(|| {
        w.close().unwrap();
    });
    let rate = |t: f64| tenth as f64 / t / 1e3;
    print!("| {:.0}, {:.0} ", rate(times[0]), rate(times[9]));
    let most = memory.into_iter().max().unwrap_or(0);
    print!("| {:.0}, {:.0} | {close:.2} ", mib(memory[0]), mib(most));
    flush();
}

fn read(path: &Path, n: u64, len: usize) {
    let size = std::fs::metadata(path).unwrap().len();
    let (before, own_before) = (peak_memory(), own_memory());
    let mut bytes = Vec::new();
    record(n / 2, len, &mut bytes);
    let open = || {
        let access = vlstore::backend::Access::Map;
        let options = StoreOptions {
            write: WriteOptions { cache_bytes: 0, access, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        Store::open_with(path, &options.write.reading())
    };
    // In turn, and the first ones, which also warm the process up, do not count.
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..60 {
        let ordinal = seconds(|| assert_eq!(*open().unwrap().get_at(n / 2).unwrap(), bytes[..]));
        let key = seconds(|| assert_eq!(*open().unwrap().get(n / 2).unwrap(), bytes[..]));
        if round >= 10 {
            times[0].push(ordinal);
            times[1].push(key);
        }
    }
    let [ordinal, key] = times.map(|t| median(&t));
    let (memory, own) = (peak_memory() - before, own_memory() - own_before);
    let store = open().unwrap();
    let asked = Random(9).list(20_000.min(n as usize), n);
    let each = |s: f64| s / asked.len() as f64 * 1e6;
    let get = || asked.iter().for_each(|i| assert_eq!(store.get_at(*i).unwrap().len(), len));
    let by_key = || asked.iter().for_each(|i| assert_eq!(store.get(*i).unwrap().len(), len));
    get();
    let (get, by_key) = (each(seconds(get)), each(seconds(by_key)));
    // The chunks are what a seal calls the data; all the rest is index, log and header.
    let chunks = support::blosc::Chunks::of(std::fs::read(path).unwrap()).cbytes() as u64;
    let index = (size - chunks) as f64 / n as f64;
    let in_use = index - store.info().unwrap().garbage as f64 / n as f64;
    print!("| {:.1} | {index:.1}, {in_use:.1} ", mib(size));
    print!("| {:.2} | {:.2} | {:.1}, {:.1} ", ordinal * 1e3, key * 1e3, mib(memory), mib(own));
    print!("| {get:.2}, {by_key:.2} ");
    flush();
}

fn commits(path: &Path, n: u64) {
    let options = StoreOptions::default();
    let mut w = Writer::create(path, &options).unwrap();
    let mut bytes = Vec::new();
    let mut times = [0.0; 10];
    for (part, time) in (0..).zip(&mut times) {
        *time = seconds(|| {
            for i in part * (n / 10)..(part + 1) * (n / 10) {
                record(i, 100, &mut bytes);
                w.insert(i, &bytes).unwrap();
                w.commit().unwrap();
            }
        });
    }
    let committed = std::fs::metadata(path).unwrap().len();
    let one = path.with_extension("one");
    let mut other = Writer::create(&one, &options).unwrap();
    for i in 0..n {
        record(i, 100, &mut bytes);
        other.insert(i, &bytes).unwrap();
    }
    other.commit().unwrap();
    let open =
        |path| seconds(|| assert_eq!(Store::open(path).unwrap().get_at(n - 1).unwrap().len(), 100));
    let opened: Vec<_> = (0..60).map(|_| (open(path), open(&one))).skip(10).collect();
    let [many, few] = [
        median(&opened.iter().map(|o| o.0).collect::<Vec<_>>()),
        median(&opened.iter().map(|o| o.1).collect::<Vec<_>>()),
    ];
    w.close().unwrap();
    other.close().unwrap();
    let closed = std::fs::metadata(path).unwrap().len();
    let once = std::fs::metadata(&one).unwrap().len();
    let rate = |t: f64| n as f64 / 10.0 / t / 1e3;
    println!(
        "\n{n} commits of one record of 100 B: {:.0} k commits/s in the first tenth, {:.0} in the last; open + get after them {:.2} ms, after one commit {:.2}; file {:.1} MiB, closed {:.1}, of one commit {:.1}",
        rate(times[0]),
        rate(times[9]),
        many * 1e3,
        few * 1e3,
        mib(committed),
        mib(closed),
        mib(once)
    );
}
