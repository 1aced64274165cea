//! What frames share is stored once and stays right: found by its content, with frames that have
//! none beside it, through copy, merge, split, compact and recover, and under damage.

use std::fs;
use std::path::{Path, PathBuf};
use vlstore::Readable;
use vlstore::codec::{
    AnyCodec, MdFrame, MdFrameCodec, Property, Real, Topology, Values, content, refers,
};
use vlstore::formats;
use vlstore::index::layout::LEAF_MAGIC;
use vlstore::maintain::{
    CompactOptions, CopyOptions, MergeOptions, RecoverOptions, Select, SplitBy, SplitOptions,
    compact, copy, merge, recover, split,
};
use vlstore::trajectory::{Sharing, copy_frames};
use vlstore::wire::Digest;
use vlstore::{
    Alignment, Compression, DepotWriter, Durability, Error, Layout, Store, StoreOptions,
    Trajectory, TrajectoryWriter, WriteOptions,
};

/// Sites of the larger molecule: its topology takes blocks of its own.
const SITES: usize = 2000;
const BLOCK: usize = 2 << 10;

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 256 << 10,
            block_size: u32::try_from(BLOCK).unwrap(),
            compression: Compression::Stored,
            ..Layout::default()
        },
        write: WriteOptions {
            durability: Durability::None,
            threads: 1,
            // A second way to the records, where leaves of the index are lost.
            original_table: vlstore::OriginalTable::Always,
            ..WriteOptions::default()
        },
    }
}

fn quiet(_: u64, _: u64) -> Result<(), Error> {
    Ok(())
}

/// A molecule with everything that a topology can say.
fn molecule(seed: u32, sites: usize) -> Topology {
    let residues = sites.div_ceil(3);
    Topology {
        name: Some(format!("molecule {seed}")),
        nsites: sites,
        types: Some((0..sites).map(|i| (i as i32 * 7 + seed as i32) % 90).collect()),
        masses: Some(Real::F64((0..sites).map(|i| i as f64 + 0.5).collect())),
        names: Some((0..sites).map(|i| format!("A{i}")).collect()),
        residues: Some((0..sites).map(|i| (i / 3) as u32).collect()),
        residue_names: Some(vec!["SOL".into(); residues]),
        bonds: Some((1..sites).map(|i| [i as u32 - 1, i as u32]).collect()),
        ..Topology::default()
    }
}

fn frame(step: i64, sites: usize, topology: Option<Digest>) -> MdFrame {
    let x = step as f32;
    MdFrame {
        nsites: sites,
        step: Some(step),
        positions: Some(Real::F32((0..3 * sites).map(|i| x + i as f32).collect())),
        topology,
        ..MdFrame::default()
    }
}

/// Frames `first`, `first + 1`, … of the molecules in turn; every fourth refers to none.
fn make(path: &Path, first: u64, frames: u64, molecules: &[Topology]) {
    let mut w = TrajectoryWriter::create(path, &options()).unwrap();
    for n in first..first + frames {
        let topology = &molecules[n as usize % molecules.len()];
        let digest = (n % 4 != 3).then(|| w.share_topology(topology).unwrap());
        w.insert(n, &frame(n as i64, topology.nsites, digest)).unwrap();
        if n % 5 == 0 {
            w.commit().unwrap();
        }
    }
    w.close().unwrap();
}

/// Checks every frame and says which topologies there are.
fn check(path: &Path, molecules: &[Topology]) -> Vec<Digest> {
    let depot = Trajectory::open(path).unwrap();
    let all = depot.list_topologies().unwrap();
    for ordinal in 0..depot.len() {
        let item = depot.get_at(ordinal).unwrap();
        let view = item.view().unwrap();
        let n = view.step().unwrap();
        let topology = depot.topology_of(&view).unwrap();
        assert_eq!(topology.is_some(), n % 4 != 3, "frame {n}");
        let whole = depot.joined(&view).unwrap();
        if let Some(topology) = topology {
            assert!(molecules.contains(&topology));
            assert_eq!((&whole.types, &whole.masses), (&topology.types, &topology.masses));
            assert!(all.contains(&view.topology().unwrap()));
        }
        assert_eq!(whole.positions, frame(n, view.nsites(), None).positions);
    }
    assert!(depot.snapshot().verify(|_, _| Ok(())).unwrap().is_intact());
    assert!(depot.snapshot().verify_references(refers, quiet).unwrap().is_empty());
    all
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn copies_merges_and_parts_have_the_topologies_that_their_frames_refer_to() {
    let dir = Dir::new();
    let (small, large) = (molecule(1, 9), molecule(2, 60));
    let both = [small.clone(), large.clone()];
    let (a, b) = (dir.path("a"), dir.path("b"));
    make(&a, 0, 20, &both);
    make(&b, 20, 8, &both[..1]);
    assert_eq!(check(&a, &both).len(), 2);
    assert_eq!(check(&b, &both).len(), 1);

    // Even frames are those of the small molecule.
    let select = Select::Range { range: 0..20, step: 2 };
    for (hook, topologies) in [(Some(refers as _), 1), (None, 2)] {
        let to = dir.path("copy");
        let wanted = CopyOptions {
            select: select.clone(),
            overwrite: true,
            refers: hook,
            ..CopyOptions::default()
        };
        let done = copy(&a, &to, &wanted, quiet).unwrap();
        assert_eq!((done.records, done.shared), (10, topologies));
        assert_eq!(check(&to, &both).len() as u64, topologies);
    }

    let all = dir.path("all");
    let wanted = MergeOptions { refers: Some(refers), ..MergeOptions::default() };
    let merged = merge(&[&a, &b], &all, &wanted, quiet).unwrap();
    assert_eq!((merged.copied.records, merged.copied.shared), (28, 2));
    assert_eq!(check(&all, &both).len(), 2, "the molecule that both have is there once");

    let wanted = SplitOptions { refers: Some(refers), ..SplitOptions::default() };
    let parts = split(&all, dir.path("part"), &SplitBy::Records(20), &wanted, quiet).unwrap();
    let counts: Vec<usize> = parts.iter().map(|(path, _)| check(path, &both).len()).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn compacting_drops_the_topologies_to_which_nothing_refers_any_more() {
    let dir = Dir::new();
    let both = [molecule(1, 9), molecule(2, 60)];
    let path = dir.path("a");
    make(&path, 0, 20, &both);
    let mut w = TrajectoryWriter::open(&path, &options().write).unwrap();
    for n in (1..20).step_by(2) {
        w.writer_mut().delete(n).unwrap();
    }
    w.close().unwrap();
    assert_eq!(check(&path, &both).len(), 2);
    let done = compact(&path, &CompactOptions::default(), quiet).unwrap();
    assert_eq!((done.records, done.shared, done.dead_shared, done.dead_records), (10, 2, 0, 10));
    let options = CompactOptions { refers: Some(refers), ..CompactOptions::default() };
    let done = compact(&path, &options, quiet).unwrap();
    assert_eq!((done.records, done.shared, done.dead_shared, done.dead_records), (10, 1, 1, 0));
    assert_eq!(check(&path, &both).len(), 1);
    let info = Store::open(&path).unwrap().info().unwrap();
    assert_eq!((info.shared, info.dead_records, info.dead_bytes), (1, 0, 0));
}

/// The place of the bytes of a record in a file that does not compress: the last, the log may
/// have them too.
fn place(file: &[u8], bytes: &[u8]) -> usize {
    file.windows(bytes.len()).rposition(|w| w == bytes).unwrap()
}

#[test]
fn a_damaged_topology_is_an_error_of_its_frames_that_names_it_and_of_no_others() {
    let dir = Dir::new();
    let molecule = molecule(1, SITES);
    let path = dir.path("a");
    make(&path, 0, 8, std::slice::from_ref(&molecule));
    let mut bytes = Vec::new();
    molecule.encode(&mut bytes).unwrap();
    let digest = Digest::of(&bytes);
    let good = fs::read(&path).unwrap();
    let at = place(&good, &bytes[..1000]);
    // Records that are not compressed lie side by side: the first and the last block of the topology
    // may hold bytes of frames, too.
    let own = 8 * BLOCK..8 * (bytes.len() - BLOCK);
    assert!(own.len() > 20 * 9973, "{own:?}");
    for (n, bit) in own.step_by(9973).enumerate() {
        let mut bad = good.clone();
        bad[at + bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bad).unwrap();
        let depot = Trajectory::open(&path).unwrap();
        for ordinal in 0..8 {
            let item = depot.get_at(ordinal).unwrap();
            let view = item.view().unwrap();
            let whole = depot.joined(&view).map_err(Box::new);
            if ordinal % 4 == 3 {
                assert_eq!(whole.unwrap(), frame(ordinal as i64, SITES, None));
            } else {
                let why = whole.map(|f| f.nsites).unwrap_err();
                assert!(matches!(why.root(), Error::Corrupt(_)), "{why}");
                assert!(why.to_string().contains(&format!("topology {digest}")), "{why}");
            }
        }
        let found = depot.snapshot().verify(|_, _| Ok(())).unwrap();
        let named = format!("shared {digest}");
        assert!(found.affected().any(|r| *r.record == *named), "{found:?}");
        if n > 0 {
            continue;
        }
        // What is left is saved and the loss is named; who puts the molecule again heals it.
        let new = dir.path("recovered");
        let report = recover(&path, &new, &RecoverOptions::default(), quiet).unwrap();
        assert_eq!((report.records, report.shared, report.lost), (8, 0, 1), "{report:?}");
        assert_eq!(report.losses[0].record.as_deref(), Some(&*named));
        for damaged in [&path, &new] {
            let mut w = TrajectoryWriter::open(damaged, &options().write).unwrap();
            assert_eq!(w.share_topology(&molecule).unwrap(), digest);
            w.close().unwrap();
            let depot = Trajectory::open(damaged).unwrap();
            assert_eq!(*depot.topology(&digest).unwrap(), molecule);
            assert_eq!(depot.list_topologies().unwrap(), [digest]);
        }
        let report = recover(&path, dir.path("healed"), &RecoverOptions::default(), quiet).unwrap();
        assert_eq!((report.shared, report.lost), (1, 0), "the second copy is whole");
    }
}

#[test]
fn recovering_keeps_topologies_also_where_both_slots_are_lost() {
    let dir = Dir::new();
    let both = [molecule(1, 9), molecule(2, 60)];
    let path = dir.path("a");
    make(&path, 0, 20, &both);
    let good = fs::read(&path).unwrap();
    for zeroed in [0..0, 4096..12_288] {
        let mut bad = good.clone();
        bad[zeroed].fill(0);
        fs::write(&path, &bad).unwrap();
        let new = dir.path("new");
        let wanted = RecoverOptions { overwrite: true, ..RecoverOptions::default() };
        let report = recover(&path, &new, &wanted, quiet).unwrap();
        assert_eq!((report.records, report.shared, report.lost), (20, 2, 0), "{report:?}");
        assert_eq!(check(&new, &both).len(), 2);
    }
}

#[test]
fn a_copy_lifts_topologies_out_of_frames_that_were_put_without() {
    let dir = Dir::new();
    let (path, new) = (dir.path("a"), dir.path("new"));
    let mut w = TrajectoryWriter::create(&path, &options()).unwrap();
    let both = [molecule(1, 300), molecule(2, 200)];
    let full = |n: i64| {
        let t = &both[n as usize % 2];
        MdFrame { types: t.types.clone(), masses: t.masses.clone(), ..frame(n, t.nsites, None) }
    };
    for n in 0..40 {
        w.insert(n, &full(n)).unwrap();
    }
    // Some have a topology already, some have no key.
    let digest = w.share_topology(&both[0]).unwrap();
    w.insert(40, &frame(40, 300, Some(digest))).unwrap();
    w.push(&full(41)).unwrap();
    w.close().unwrap();
    let old = Trajectory::open(&path).unwrap();
    let mut bytes = None;
    for (how, shared) in [(Sharing::Never, 1), (Sharing::Repeated, 3), (Sharing::Always, 3)] {
        let wanted =
            CopyOptions { refers: Some(refers), overwrite: true, ..CopyOptions::default() };
        let done = copy_frames(&path, &new, &wanted, how.into(), quiet).unwrap();
        let depot = Trajectory::open(&new).unwrap();
        assert_eq!((done.records, done.shared), (42, shared), "{how:?}");
        assert_eq!(depot.list_topologies().unwrap().len() as u64, shared);
        for ordinal in 0..42 {
            let whole = |d: &Trajectory| {
                let frame = d.joined(&d.get_at(ordinal).unwrap().view().unwrap()).unwrap();
                (d.snapshot().key_at(ordinal).unwrap(), d.weight_at(ordinal).unwrap(), frame)
            };
            assert_eq!(whole(&depot), whole(&old), "{ordinal}");
        }
        for column in ["step", "weight", "energy"] {
            let [a, b] = [&depot, &old].map(|d| d.column(column).unwrap());
            assert_eq!(a.values.into_words(), b.values.into_words());
        }
        assert!(depot.snapshot().verify(|_, _| Ok(())).unwrap().is_intact());
        assert!(depot.snapshot().verify_references(refers, quiet).unwrap().is_empty());
        let before = *bytes.get_or_insert(done.record_bytes);
        assert_eq!(done.record_bytes < before, how != Sharing::Never);
    }
    // What is not a frame is refused: a store of other records before anything, one among frames by
    // its name.
    let other = dir.path("other");
    let mut w = vlstore::Writer::create(&other, &options()).unwrap();
    w.insert("x", b"no frame").unwrap();
    w.close().unwrap();
    let none = CopyOptions::default();
    let why =
        copy_frames(&other, dir.path("no"), &none, Sharing::Always.into(), quiet).unwrap_err();
    assert!(why.to_string().contains("md-frame"), "{why}");
    let mut w = TrajectoryWriter::open(&path, &options().write).unwrap();
    w.writer_mut()
        .put_unchecked(Some(&"x".into()), b"no frame", 0, vlstore::Existing::Refuse)
        .unwrap();
    w.close().unwrap();
    let why = copy_frames(&path, dir.path("no"), &none, Sharing::Always.into(), quiet).unwrap_err();
    assert!(why.to_string().contains("\"x\""), "{why}");
    assert!(!dir.path("no").exists());
}

/// Offsets of all index leaves.
fn leaves(file: &[u8]) -> Vec<usize> {
    (12_288..file.len() - 8).step_by(64).filter(|at| file[*at..*at + 8] == LEAF_MAGIC).collect()
}

/// Recovers with all that the codec knows of its records.
fn rescue(path: &Path, new: &Path) -> vlstore::maintain::Recovered {
    let wanted =
        RecoverOptions { overwrite: true, contents: Some(content), ..RecoverOptions::default() };
    recover(path, new, &wanted, quiet).unwrap()
}

#[test]
fn a_topology_whose_index_leaf_is_lost_is_found_by_its_content() {
    // Frames of a sealed file whose leaf was lost came back by `saved_lookup`, which does not
    // name shared records: they came without types, masses and bonds.
    let dir = Dir::new();
    let all: Vec<Topology> = (1..6).map(|n| molecule(n, n as usize * 47)).collect();
    let (path, new) = (dir.path("a"), dir.path("new"));
    for alignment in [Alignment::Block, Alignment::Contiguous, Alignment::NoCross, Alignment::Start]
    {
        for (block_size, molecules) in [(2 << 10, &all[..1]), (2 << 10, &all[..]), (0, &all[..])] {
            let options = StoreOptions {
                layout: Layout { alignment, block_size, ..options().layout },
                ..options()
            };
            let _ = fs::remove_file(&path);
            let mut w = TrajectoryWriter::create(&path, &options).unwrap();
            let rows = MdFrameCodec.rows().unwrap();
            assert_eq!(w.writer().layout().columns(), rows.columns);
            for n in 0..40_u64 {
                let topology = &molecules[n as usize % molecules.len()];
                let digest = (n % 4 != 3).then(|| w.share_topology(topology).unwrap());
                w.insert(n, &frame(n as i64, topology.nsites, digest)).unwrap();
                if n == 17 {
                    // What was deleted lies in the gaps as well.
                    w.writer_mut().delete(16_u64).unwrap();
                    w.writer_mut().delete(1_u64).unwrap();
                    w.writer_mut().seal().unwrap();
                }
            }
            w.writer_mut().seal().unwrap();
            w.close().unwrap();
            let good = fs::read(&path).unwrap();
            let kept = dir.path("kept");
            fs::write(&kept, &good).unwrap();
            let right = Trajectory::open(&kept).unwrap();
            let digests = right.list_topologies().unwrap();
            let leaves = leaves(&good);
            assert!(leaves.len() >= 2);
            for gone in [&leaves[..1], &leaves[1..], &leaves[..]] {
                let mut bad = good.clone();
                gone.iter().for_each(|at| bad[at + 70..at + 90].fill(0x5a));
                fs::write(&path, &bad).unwrap();
                let report = rescue(&path, &new);
                assert_eq!((report.lost, report.records), (0, 38), "{report:?}");
                let found = report.notes.iter().filter(|n| n.contains("found by its content"));
                assert!(gone.len() < leaves.len() || found.count() == digests.len(), "{report:?}");
                assert!(!report.notes.iter().any(|n| n.contains("number of sites")));
                assert_eq!(check(&new, molecules).len(), digests.len());
                // Rows and sites follow from the frames again.
                let depot = Trajectory::open(&new).unwrap();
                for column in ["step", "weight", "bytes", "energy"] {
                    let (a, b) = (depot.column(column).unwrap(), right.column(column).unwrap());
                    assert!(a.unknown.is_empty(), "{column}");
                    let (a, b) = (a.values.into_words(), b.values.into_words());
                    assert_eq!(a, b, "{column} {alignment:?}");
                }
            }
        }
    }
}

#[test]
fn a_topology_that_no_search_finds_is_named_as_lost_with_who_refers_to_it() {
    let dir = Dir::new();
    let (path, new) = (dir.path("a"), dir.path("new"));
    make(&path, 0, 12, &[molecule(1, SITES)]);
    let mut w = TrajectoryWriter::open(&path, &options().write).unwrap();
    w.writer_mut().seal().unwrap();
    w.close().unwrap();
    let mut bad = fs::read(&path).unwrap();
    let record = Trajectory::open(&path).unwrap();
    let digest = record.list_topologies().unwrap()[0];
    let bytes = record.snapshot().shared(&digest).unwrap().to_vec();
    let at = place(&bad, &bytes[..1000]);
    bad[at + 500] ^= 1;
    for leaf in leaves(&bad) {
        bad[leaf + 70] ^= 1;
    }
    fs::write(&path, &bad).unwrap();
    let report = rescue(&path, &new);
    assert_eq!((report.records, report.shared, report.lost), (12, 0, 1), "{report:?}");
    let loss = &report.losses[0];
    assert_eq!(loss.record.as_deref(), Some(&*format!("shared {digest}")));
    assert!(loss.why.contains("9 records refer to it, the first is 0"), "{loss}");
}

#[test]
fn a_frame_whose_topology_is_gone_is_not_copied_silently() {
    let dir = Dir::new();
    let path = dir.path("a");
    let mut w = TrajectoryWriter::create(&path, &options()).unwrap();
    // Past the check of the depot: as a damaged file would have it.
    let lost = Digest::of(b"lost");
    let mut record = Vec::new();
    MdFrameCodec.encode_ref(&frame(0, 2, Some(lost)).view(), &mut record).unwrap();
    w.writer_mut().put_unchecked(Some(&"x".into()), &record, 2, vlstore::Existing::Refuse).unwrap();
    w.close().unwrap();
    let depot = Trajectory::open(&path).unwrap();
    let item = depot.get("x").unwrap();
    let why = depot.joined(&item.view().unwrap()).unwrap_err().to_string();
    assert!(why.contains(&format!("topology {lost}")), "{why}");
    assert!(depot.snapshot().verify(|_, _| Ok(())).unwrap().is_intact());
    let found = depot.snapshot().verify_references(refers, quiet).unwrap();
    assert_eq!((found.len(), &*found[0].effects[0].records[0].record), (1, "\"x\""));
    assert!(found[0].why.contains(&lost.to_string()));
    let wanted = CopyOptions { refers: Some(refers), ..CopyOptions::default() };
    let why = copy(&path, dir.path("b"), &wanted, quiet).unwrap_err().to_string();
    assert!(why.contains("\"x\"") && why.contains(&lost.to_string()), "{why}");
    assert!(!dir.path("b").exists());
}

/// Everything in a trajectory, read twice: once to store it, once to compare.
fn round_trip(source: &Path, how: Sharing) -> (u64, u64, u64) {
    let dir = Dir::new();
    let path = dir.path("store");
    let mut w = TrajectoryWriter::create(&path, &StoreOptions::default()).unwrap();
    w.share_topologies(how);
    let mut reader = formats::open(source).unwrap();
    let (mut now, mut after) = (MdFrame::default(), MdFrame::default());
    let mut more = reader.next_frame(&mut now).unwrap();
    let mut n = 0;
    while more {
        more = reader.next_frame(&mut after).unwrap();
        if more {
            w.foresee(&after).unwrap();
        }
        w.insert(n, &now).unwrap();
        std::mem::swap(&mut now, &mut after);
        n += 1;
    }
    w.close().unwrap();
    let depot = Trajectory::open(&path).unwrap();
    let mut reader = formats::open(source).unwrap();
    for item in &depot {
        assert!(reader.next_frame(&mut now).unwrap());
        let item = item.unwrap();
        assert_eq!(depot.joined(&item.view().unwrap()).unwrap(), now);
    }
    assert_eq!(depot.len(), n);
    (n, depot.list_topologies().unwrap().len() as u64, fs::metadata(&path).unwrap().len())
}

#[test]
fn real_sets_of_many_molecules_come_back_equal_however_they_share() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/extxyz");
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    for file in files {
        let file = file.unwrap().path();
        let [never, repeated, always] =
            [Sharing::Never, Sharing::Repeated, Sharing::Always].map(|how| round_trip(&file, how));
        println!("{}: {never:?} {repeated:?} {always:?}", file.display());
        assert_eq!((never.1, never.0), (0, always.0));
        assert!(always.1 > 0 && repeated.1 <= always.1);
        // What cannot be shared costs next to nothing.
        assert!(repeated.2 * 100 < never.2 * 101, "{}", file.display());
    }
}

#[test]
fn a_trajectory_with_labels_gets_smaller_by_its_topology() {
    let dir = Dir::new();
    let path = dir.path("labelled.extxyz");
    let sites = 300;
    let mut w = formats::create(
        &path,
        formats::FormatKind::from_name("extxyz").unwrap(),
        &formats::OutputOptions::default(),
        vlstore::Existing::Refuse,
    )
    .unwrap();
    for step in 0..60 {
        let label = |i: usize| format!("{}{}", ["CA", "HB", "OG", "N"][i % 4], i * 31 % 97);
        w.write(&MdFrame {
            types: Some((0..sites).map(|i| [6, 1, 8, 7][i % 4]).collect()),
            masses: Some(Real::F64((0..sites).map(|i| [12.011, 1.008][i % 2]).collect())),
            cell: Some([9.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 9.0]),
            pbc: Some([true; 3]),
            atom_properties: vec![Property {
                name: "label".into(),
                shape: vec![],
                values: Values::Str((0..sites).map(label).collect()),
            }],
            ..frame(step, sites, None)
        })
        .unwrap();
    }
    w.finish().unwrap();
    let [never, repeated] = [Sharing::Never, Sharing::Repeated].map(|how| round_trip(&path, how));
    assert_eq!((never.1, repeated.1), (0, 1));
    assert!(repeated.2 < never.2, "{repeated:?} {never:?}");
}

#[test]
fn the_same_molecule_has_the_same_digest_in_every_store_and_other_codecs_may_share_too() {
    let molecule = molecule(3, 30);
    let digests = [0, 1].map(|_| {
        let mut w = TrajectoryWriter::in_memory(&options()).unwrap();
        w.share_topology(&molecule).unwrap();
        w.share_topology(&molecule).unwrap()
    });
    assert_eq!(digests[0], digests[1]);
    let mut w = DepotWriter::in_memory(vlstore::codec::RawCodec, &options()).unwrap();
    let digest = w.writer_mut().share(b"a table of its own").unwrap();
    w.push(digest.as_bytes()).unwrap();
    w.commit().unwrap();
    let depot = w.depot().unwrap();
    assert_eq!(
        (depot.len(), depot.get_at(0).unwrap().view().unwrap()),
        (1, &digest.as_bytes()[..])
    );
    assert_eq!(&depot.snapshot().shared(&digest).unwrap()[..], b"a table of its own");
}
