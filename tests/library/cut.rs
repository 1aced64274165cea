//! Of a file that ends too early, as a copy that broke off leaves it, every record comes back whose
//! bytes are in what is left, with its key: stores of every kind are cut at many lengths, and what
//! must be found follows from where the whole file says that everything lies.

use crate::common::{recovered, thorough};
use crate::listed::{Listed, listed};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use vlstore::Readable;
use vlstore::backend::{Backend, FileBackend};
use vlstore::chunk::ChunkLayout;
use vlstore::codec::{MdFrame, Real, Topology, content, refers};
use vlstore::index::layout::{
    ChunkEntry, LEAF_MAGIC, LeafHeader, LeafRef, ROOT_MAGIC, RUN_MAGIC, RootTotals,
};
use vlstore::index::log;
use vlstore::index::slot::{SLOT_LEN, Slot};
use vlstore::limits::CHUNK_MAX;
use vlstore::maintain::{RecoverOptions, recover};
use vlstore::{
    Alignment, Column, ColumnKind, Compression, Durability, Error, Key, Layout, Row, Store,
    StoreOptions, TrajectoryWriter, WriteOptions, Writer,
};

static COLUMNS: [Column; 1] = [Column::new("step", ColumnKind::I64, 1)];

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 16 << 10,
            block_size: 2 << 10,
            file_id: Some(*b"tests of cutting"),
            ..Layout::default()
        },
        write: WriteOptions { durability: Durability::None, threads: 1, ..WriteOptions::default() },
    }
}

/// Bytes that belong to record `i` of round `round`, which hardly compress.
fn bytes(i: u64, round: u64) -> Vec<u8> {
    let mut x = (i * 31 + round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let len = if i % 29 == 28 { 20_000 } else { (i * 7919 % 2500) as usize };
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// How a store ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Closed,
    /// Committed, and more was put after that.
    Left,
    /// Never closed nor sealed, opened again and again.
    Reopened,
}

struct Kind {
    name: &'static str,
    options: StoreOptions,
    key: fn(u64) -> Option<Key>,
    seals: bool,
    deletes: bool,
    end: End,
}

fn kinds() -> Vec<Kind> {
    let int: fn(u64) -> Option<Key> = |i| Some(Key::from(i));
    let text: fn(u64) -> Option<Key> = |i| Some(Key::from(format!("frame-{i}")));
    let raw: fn(u64) -> Option<Key> = |i| Some(Key::from(&i.to_be_bytes()[..]));
    let none: fn(u64) -> Option<Key> = |_| None;
    let mixed: fn(u64) -> Option<Key> =
        |i| if i % 3 == 0 { None } else { Some(Key::from(format!("é{i}"))) };
    let with = |change: fn(&mut StoreOptions)| {
        let mut options = options();
        change(&mut options);
        options
    };
    let kind =
        |name, options, key, seals, deletes, end| Kind { name, options, key, seals, deletes, end };
    let stored = with(|o| o.layout.compression = Compression::Stored);
    let lz4 = with(|o| o.layout.compression = Compression::Lz4);
    let zstd = with(|o| o.layout.compression = Compression::Zstd);
    let columns = with(|o| o.layout.columns = Some(COLUMNS.to_vec()));
    let packed = with(|o| o.layout.alignment = Alignment::Contiguous);
    let start = with(|o| (o.layout.alignment, o.layout.chunk_size) = (Alignment::Start, 4096));
    let no_cross =
        with(|o| (o.layout.alignment, o.layout.chunk_size) = (Alignment::NoCross, 32 << 10));
    vec![
        kind("closed, never sealed between", stored.clone(), int, false, false, End::Closed),
        kind("sealed several times, deleted and replaced", lz4, text, true, true, End::Closed),
        kind("left with commits behind a seal", zstd.clone(), raw, true, true, End::Left),
        kind("never sealed, opened again", zstd.clone(), int, false, true, End::Reopened),
        kind("without keys", stored.clone(), none, true, true, End::Closed),
        kind("without keys, left", zstd, none, false, false, End::Left),
        kind("with columns", columns, mixed, true, true, End::Left),
        kind("packed", packed, text, true, false, End::Closed),
        kind("a chunk each", start, int, false, true, End::Left),
        kind("not across chunks", no_cross, mixed, true, true, End::Closed),
        kind("stored, opened again", stored, text, true, true, End::Reopened),
    ]
}

type Put = (Option<Key>, Vec<u8>);

fn image(backend: &dyn Backend) -> Vec<u8> {
    let mut out = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read_at(0, &mut out).unwrap();
    out
}

/// The file, and everything that was ever put.
fn live_through(kind: &Kind) -> (Vec<u8>, HashSet<Put>) {
    let mut w = Writer::in_memory(&kind.options).unwrap();
    let mut ever = HashSet::new();
    let rows = kind.options.layout.columns.is_some();
    let mut put = |w: &mut Writer, i: u64, round: u64| {
        let (key, bytes) = ((kind.key)(i), bytes(i, round));
        if rows && !i.is_multiple_of(4) {
            let mut row = Row::new(&COLUMNS);
            row.set_i64("step", &[i.cast_signed()]).unwrap();
            w.put_row(key.as_ref(), &bytes, 1, &row, vlstore::Existing::Replace).unwrap();
        } else {
            w.put_sized(
                key.as_ref(),
                &bytes,
                u32::try_from(i).unwrap(),
                vlstore::Existing::Replace,
            )
            .unwrap();
        }
        ever.insert((key, bytes));
    };
    for i in 0..110_u64 {
        if i % 25 == 3 {
            w.share(&bytes(i, 9)).unwrap();
        }
        put(&mut w, i, 0);
        if kind.deletes && i % 9 == 8 {
            w.delete_at(w.len() / 2).unwrap();
            put(&mut w, i - 5, 1);
        }
        if i % 12 == 11 {
            w.commit().unwrap();
        }
        if kind.seals && i % 40 == 39 {
            w.seal().unwrap();
        }
        if kind.end == End::Reopened && i % 30 == 29 {
            // What is not committed is gone, and its remains are written over in part.
            let backend = w.backend().clone();
            drop(w);
            w = Writer::open_in(backend, &kind.options.write).unwrap();
        }
    }
    let backend = w.backend().clone();
    if kind.end == End::Closed {
        w.close().unwrap();
    } else {
        w.commit().unwrap();
        (110..118).for_each(|i| put(&mut w, i, 0));
    }
    (image(&*backend), ever)
}

fn u64_at(image: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(image[at..at + 8].try_into().unwrap())
}

fn plain<T: bytemuck::AnyBitPattern>(image: &[u8], at: usize, count: usize) -> Vec<T> {
    let one = |i: usize| {
        let at = at + i * size_of::<T>();
        bytemuck::pod_read_unaligned(&image[at..at + size_of::<T>()])
    };
    (0..count).map(one).collect()
}

/// Where each block of the logical byte space lies in the file: by the page of the format, not by
/// what recovering does.
fn blocks(image: &[u8], chunk_size: u64) -> Vec<(Range<u64>, u64)> {
    let file: [u8; 16] = image[1040..1056].try_into().unwrap();
    let slots = [4096, 8192].map(|at| Slot::parse(&image[at..at + SLOT_LEN], file));
    let slot = slots.into_iter().flatten().max_by_key(|s| s.generation.get()).unwrap();
    let mut chunks: BTreeMap<u64, ChunkEntry> = BTreeMap::new();
    let root = slot.root.offset.get() as usize;
    if slot.root.len.get() > 0 {
        let totals: RootTotals = plain(image, root + 64, 1)[0];
        assert_eq!(totals.pages.get(), 0, "too many leaves for this test");
        let leaves = root + 64 + size_of::<RootTotals>() + 8 * totals.base_sums.get() as usize;
        for leaf in plain::<LeafRef>(image, leaves, totals.leaves.get() as usize) {
            let at = leaf.segment.offset.get() as usize + 64 + size_of::<LeafHeader>();
            let list = plain::<ChunkEntry>(image, at, leaf.chunks.get() as usize);
            chunks.extend((leaf.first_chunk.get()..).zip(list));
        }
        if totals.base.cbytes.get() > 0 {
            chunks.insert(totals.chunks.get(), totals.base);
        }
    }
    let (mut at, end) = (slot.log.get(), slot.log.get() + slot.log_len.get());
    while at < end {
        let (entry, len) = log::decode(&image[at as usize..end as usize], file, at).unwrap();
        chunks.extend((entry.first_chunk..).zip(entry.chunks.iter().copied()));
        at += len as u64;
    }
    let mut out = Vec::new();
    for (number, entry) in chunks {
        let at = entry.offset.get() as usize;
        let layout = ChunkLayout::parse(&image[at..], CHUNK_MAX).unwrap();
        let mut logical = number * chunk_size;
        for i in 0..layout.blocks() {
            let next = logical + u64::from(layout.block_len(i));
            out.push((logical..next, at as u64 + u64::from(layout.block_range(i).end)));
            logical = next;
        }
    }
    out
}

/// The records, and for each the length of the file from which on it must be found; `None` where
/// its bytes lie in no block yet but in the log.
fn wanted(image: &[u8]) -> Vec<(Listed, Option<u64>)> {
    let store = Store::from_bytes(image.to_vec()).unwrap();
    let size = u64::from(store.layout().chunk());
    let blocks = blocks(image, size);
    let from = |ordinal: u64| {
        let place = store.location_at(ordinal).unwrap();
        let inside = blocks.iter().filter(|(b, _)| b.start < place.end && place.start < b.end);
        let covered: u64 =
            inside.clone().map(|(b, _)| b.end.min(place.end) - b.start.max(place.start)).sum();
        (covered == place.end - place.start && covered > 0)
            .then(|| inside.map(|(_, end)| *end).max().unwrap())
    };
    (0..).zip(listed(&store)).map(|(ordinal, record)| (record, from(ordinal))).collect()
}

/// Lengths around everything of interest, and some between.
fn cuts(image: &[u8], wanted: &[(Listed, Option<u64>)]) -> Vec<usize> {
    // Of the places where a record is complete one in so many.
    let ends = wanted.iter().filter_map(|w| w.1).step_by(if thorough() { 3 } else { 6 });
    let mut out: BTreeSet<usize> = ends.flat_map(|end| [end as usize, end as usize - 1]).collect();
    for at in (12_288..image.len() - 8).step_by(64) {
        if [LEAF_MAGIC, ROOT_MAGIC, RUN_MAGIC].iter().any(|m| image[at..].starts_with(m)) {
            out.extend([at, at + u64_at(image, at + 32) as usize]);
        }
    }
    out.extend((12_288..image.len()).step_by(image.len() / 20));
    out.extend([image.len() - 1, image.len()]);
    out.into_iter().filter(|len| *len <= image.len()).collect()
}

fn check(name: &str, image: &[u8], known: impl Fn(&Option<Key>, &[u8]) -> bool) {
    let wanted = wanted(image);
    let right: Vec<&Listed> = wanted.iter().map(|w| &w.0).collect();
    let options = RecoverOptions { contents: Some(content), ..RecoverOptions::default() };
    let mut most = 0;
    for len in cuts(image, &wanted) {
        let (report, new) = recovered(&image[..len], &options).unwrap();
        let got = listed(&new);
        // What was put and lies in the blocks that are there, in its order, with its key.
        let mut rest = got.iter();
        for (record, from) in &wanted {
            if from.is_some_and(|from| from <= len as u64) {
                assert!(
                    rest.any(|r| r == record),
                    "{name}: cut to {len} of {}: {:?} of {} bytes is not there: {report:?}",
                    image.len(),
                    record.0,
                    record.2.len()
                );
            }
        }
        let strange = got.iter().find(|(key, _, bytes)| !known(key, bytes));
        assert!(strange.is_none(), "{name}: cut to {len}: {:?} never was", strange.unwrap().0);
        assert_eq!(report.without_key, 0, "{name}: cut to {len}");
        let references = new.verify_references(refers, |_, _| Ok(())).unwrap();
        assert!(references.is_empty(), "{name}: cut to {len}: {references:?}");
        if !report.is_damaged() {
            assert!(got.iter().eq(right.iter().copied()), "{name}: cut to {len}: {report:?}");
        }
        most = most.max(got.len());
    }
    assert!(most >= wanted.len(), "{name}: {most} of {}", wanted.len());
}

#[test]
fn every_record_whose_blocks_are_there_comes_back_with_its_key() {
    for kind in kinds() {
        let (image, ever) = live_through(&kind);
        check(kind.name, &image, |key, bytes| ever.contains(&(key.clone(), bytes.to_vec())));
    }
}

#[test]
fn frames_come_back_with_their_topologies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.vls");
    let sites = 40;
    let molecule = Topology {
        nsites: sites,
        names: Some((0..sites).map(|i| format!("A{i}")).collect()),
        ..Topology::default()
    };
    let mut w = TrajectoryWriter::create(&path, &options()).unwrap();
    for n in 0..250_u16 {
        let topology = (n % 4 != 3).then(|| w.share_topology(&molecule).unwrap());
        let frame = MdFrame {
            nsites: sites,
            step: Some(n.into()),
            positions: Some(Real::F32((0..120_u16).map(|i| f32::from(n * i % 997)).collect())),
            topology,
            ..MdFrame::default()
        };
        w.insert(u64::from(n), &frame).unwrap();
        if n % 60 == 59 {
            w.commit().unwrap();
        }
    }
    w.close().unwrap();
    let image = std::fs::read(&path).unwrap();
    let right: HashSet<Vec<u8>> =
        listed(&Store::open(&path).unwrap()).into_iter().map(|r| r.2).collect();
    check("frames", &image, |_, bytes| right.contains(bytes));
}

/// A store of some megabytes, written in one go and closed: its commits are all at its end.
#[test]
fn half_a_store_gives_half_of_its_records() {
    let options = StoreOptions {
        layout: Layout { file_id: Some([7; 16]), ..Layout::default() },
        ..StoreOptions::default()
    };
    let mut w = Writer::in_memory(&options).unwrap();
    for i in 0..1001_u64 {
        w.insert(i, &bytes(i, 0).repeat(4)).unwrap();
    }
    let backend = w.backend().clone();
    w.close().unwrap();
    let image = image(&*backend);
    assert!(image.len() > 4 << 20);
    let wanted = wanted(&image);
    for tenth in 3..10 {
        let len = image.len() * tenth / 10;
        let (report, new) = recovered(&image[..len], &RecoverOptions::default()).unwrap();
        let must = wanted.iter().filter(|w| w.1.is_some_and(|from| from <= len as u64)).count();
        assert!(new.len() >= must as u64 && must * 11 > 1001 * (tenth - 1), "{must}: {report:?}");
        assert!(report.is_damaged() && report.records + report.lost == 1001, "{report:?}");
    }
    // Of less than the header there is nothing to save, and that is said.
    for len in [0, 1, 50, 1100, 4100, 4352, 8500, 12_287, 12_288] {
        match recovered(&image[..len], &RecoverOptions::default()) {
            Ok((report, new)) => {
                assert!(new.is_empty() && report.is_damaged(), "{len}: {report:?}");
                assert!(len < 4352 || report.lost == 1001, "{len}: {report:?}");
            }
            Err(e) => assert!(len < 8448, "{len}: {e}"),
        }
    }
}

#[test]
fn chunks_that_nothing_places_are_said_and_their_bytes_are_given_on_request() {
    let kind = &kinds()[0];
    let (mut image, _) = live_through(kind);
    let wanted = wanted(&image);
    // Every leaf is damaged, and the end with all else is cut off.
    let leaves: Vec<usize> = (12_288..image.len() - 8)
        .step_by(64)
        .filter(|at| image[*at..].starts_with(&LEAF_MAGIC))
        .collect();
    leaves.iter().for_each(|at| image[at + 70] ^= 1);
    let cut = &image[..image.len() / 2];
    let (report, new) = recovered(cut, &RecoverOptions::default()).unwrap();
    assert!(report.chunks_without_index >= 3 && report.is_damaged(), "{report:?}");
    let options = RecoverOptions { chunks: true, ..RecoverOptions::default() };
    let (again, with) = recovered(cut, &options).unwrap();
    assert_eq!(with.len(), new.len() + report.chunks_without_index, "{again:?}");
    let all: Vec<Vec<u8>> = listed(&with).into_iter().map(|r| r.2).collect();
    let ((_, _, first), _) = wanted.iter().find(|w| w.0.2.len() > 100).unwrap();
    assert!(all.iter().any(|c| c.windows(first.len()).any(|w| w == first)));
}

/// Keys that are lost with their page cost no record.
#[test]
fn records_whose_keys_are_lost_come_back_numbered_and_are_counted() {
    let mut w = Writer::in_memory(&options()).unwrap();
    // Keys in no order stand in the index as they are.
    let key = |i: u64| format!("{:016x}, a key", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for i in 0..2000_u64 {
        w.insert(key(i), &i.to_le_bytes()).unwrap();
    }
    let backend = w.backend().clone();
    w.commit().unwrap();
    drop(w);
    let mut image = image(&*backend);
    let place = |what: &[u8]| image.windows(what.len()).position(|w| w == what).unwrap();
    let at = place(key(1700).as_bytes());
    image[at] ^= 1;
    let (report, new) = recovered(&image, &RecoverOptions::default()).unwrap();
    assert!(report.without_key > 0 && report.lost == 0, "{report:?}");
    assert_eq!(new.len(), 2000);
    let keyless = listed(&new).iter().filter(|r| r.0.is_none()).count();
    assert_eq!(keyless as u64, report.without_key);
    for i in 0..2000 {
        assert_eq!(*new.get_at(i).unwrap(), i.to_le_bytes());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_sparse_file_of_terabytes_is_searched_where_it_holds_something() {
    let dir = tempfile::tempdir().unwrap();
    let (bad, new) = (dir.path().join("bad.vls"), dir.path().join("new.vls"));
    let sparse = |start: &[u8]| {
        let _ = std::fs::remove_file(&bad);
        let file = FileBackend::create_new(&bad, StoreOptions::default().write.access).unwrap();
        file.write_at(0, start).unwrap();
        file.set_len(1 << 42).is_ok()
    };
    if !sparse(&[]) {
        eprintln!("skipped: no file of 4 TB can be made here");
        return;
    }
    let error = recover(&bad, &new, &RecoverOptions::default(), |_, _| Ok(())).unwrap_err();
    assert!(matches!(error.root(), Error::NotAStore { .. } | Error::Corrupt(_)), "{error}");
    assert!(!new.exists());
    let (mut image, _) = live_through(&kinds()[1]);
    let right = listed(&Store::from_bytes(image.clone()).unwrap());
    image[4096..12_288].fill(0);
    assert!(sparse(&image));
    let report = recover(&bad, &new, &RecoverOptions::default(), |_, _| Ok(())).unwrap();
    assert!(report.is_damaged() && report.lost == 0, "{report:?}");
    assert_eq!(listed(&Store::open(&new).unwrap()), right);
}
