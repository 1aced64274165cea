//! Lean frames: whatever is done with a store of them, they are the same frames as those of a store of tables.

use crate::common::recovered;
use std::path::Path;
use vlstore::Readable;
use vlstore::codec::{
    AnyCodec, Field, Fields, MdFrame, MdFrameCodec, Property, Real, Values, check, content,
};
use vlstore::maintain::{
    CopyOptions, MergeOptions, RecoverOptions, SplitBy, SplitOptions, copy, merge, split,
};
use vlstore::trajectory::arrays::{ArrayRequest, Collator, Selection};
use vlstore::trajectory::{FrameChanges, FrameForm, Frames as _, Statistics, copy_frames};
use vlstore::{
    Compression, Error, Layout, OriginalTable, Purpose, Snapshot, Store, StoreOptions, Trajectory,
    TrajectoryWriter, WriteOptions, Writer,
};

const FRAMES: u64 = 700;

/// Frames of many sizes, most of them with the same fields; some can only be tables.
fn frame(i: u64) -> MdFrame {
    let n = 1 + (i * 37 % 29) as usize;
    let numbers = |m: usize, of: u64| -> Vec<f32> {
        (0..m as u64).map(|k| ((k * 7919 + i * 104_729 + of) % 10_007) as f32 / 977.0).collect()
    };
    let mut out = MdFrame {
        nsites: n,
        types: Some((0..n).map(|k| [1, 6, 7, 8][(k + i as usize) % 4]).collect()),
        positions: Some(Real::F32(numbers(3 * n, 1))),
        forces: Some(Real::F32(numbers(3 * n, 2))),
        energy: Some(-(i as f64) / 3.0),
        step: Some(i as i64 * 10),
        ..MdFrame::default()
    };
    match i % 100 {
        7 => out.name = Some("named".into()),
        17 => out.types = Some(vec![1000; n]),
        27 => out.positions = Some(Real::F64(vec![0.1; 3 * n])),
        37 => {
            out.atom_properties = vec![Property {
                name: "charge".into(),
                shape: Vec::new(),
                values: Values::I32(vec![1; n]),
            }];
        }
        _ => {}
    }
    out
}

/// Whether the frame has no more than a lean one.
fn can_be_lean(i: u64) -> bool {
    !matches!(i % 100, 7 | 27 | 37)
}

fn options(form: FrameForm, compression: Compression) -> StoreOptions {
    let layout = Layout {
        record_codec: form.record_codec(),
        compression,
        purpose: Purpose::Random,
        ..Layout::default()
    };
    StoreOptions::from(layout)
}

fn made(path: &Path, form: FrameForm, compression: Compression) {
    let mut w = TrajectoryWriter::create(path, &options(form, compression)).unwrap();
    for i in 0..FRAMES {
        w.put(format!("mol_{i:07}"), &frame(i)).unwrap();
    }
    w.close().unwrap();
}

fn quiet(_: u64, _: u64) -> vlstore::Result<()> {
    Ok(())
}

fn lean(snapshot: &Snapshot) -> Vec<bool> {
    let is_lean = |i| MdFrameCodec.version_of(&snapshot.get_at(i).unwrap()) == 2;
    (0..snapshot.len()).map(is_lean).collect()
}

/// All ways to read give the frames that were written.
fn same(trajectory: &Trajectory) {
    let snapshot = trajectory.snapshot();
    assert_eq!(snapshot.len(), FRAMES);
    assert!(snapshot.verify(quiet).unwrap().is_intact());
    let all: Vec<u64> = (0..FRAMES).collect();
    let batch = trajectory.get_batch_at(&all).unwrap();
    let wanted = Fields::of(&[Field::Forces, Field::Types, Field::Energy]);
    let parts = snapshot.frames_at(&all, wanted).unwrap();
    for i in 0..FRAMES {
        let expected = frame(i);
        let key = format!("mol_{i:07}");
        assert_eq!(trajectory.get(key.as_str()).unwrap().view().unwrap().to_owned(), expected);
        assert_eq!(batch.view(i as usize).unwrap().to_owned(), expected);
        assert_eq!(trajectory.weight_at(i).unwrap() as usize, expected.nsites);
        let mut part = expected.clone();
        wanted.keep(&mut part);
        assert_eq!(parts[i as usize], part);
        let shown = MdFrameCodec.describe(&snapshot.get_at(i).unwrap()).unwrap();
        let mut table = Vec::new();
        MdFrameCodec.encode_ref(&expected.view(), &mut table).unwrap();
        assert_eq!(shown, MdFrameCodec.describe(&table).unwrap());
    }
    let energies = trajectory.column("energy").unwrap().values.into_words();
    let expected: Vec<u64> = all.iter().map(|i| frame(*i).energy.unwrap().to_bits()).collect();
    assert_eq!(energies, expected);
    let statistics = Statistics::of(snapshot, quiet).unwrap();
    assert_eq!(statistics.frames, FRAMES);
}

/// Arrays of some frames at random, of those in which the fields are alike and of all.
fn arrays(snapshot: &Snapshot, names: &[&str], of: impl Fn(u64) -> bool) -> Vec<(String, Vec<u8>)> {
    let asked: Vec<u64> = (0..FRAMES).map(|i| i * 389 % FRAMES).filter(|i| of(*i)).collect();
    let request = ArrayRequest {
        fields: Some(names.iter().map(|name| (*name).into()).collect()),
        ..ArrayRequest::default()
    };
    let new = |info: &vlstore::trajectory::arrays::ArrayInfo| Ok::<_, Error>(vec![9; info.bytes()]);
    let made = Collator::new(request).arrays(snapshot, Selection::Ordinals(&asked), new).unwrap();
    made.list.into_iter().map(|(info, memory)| (format!("{info:?}"), memory)).collect()
}

#[test]
fn frames_are_the_same_with_and_without_tables_and_smaller_without() {
    let dir = tempfile::tempdir().unwrap();
    for compression in [Compression::Zstd, Compression::Lz4, Compression::Stored] {
        let [a, b] =
            ["lean", "table"].map(|name| dir.path().join(format!("{name}-{compression:?}")));
        made(&a, FrameForm::Lean, compression);
        made(&b, FrameForm::Table, compression);
        let [a, b] = [a, b].map(|path| Trajectory::open(path).unwrap());
        same(&a);
        same(&b);
        assert!(lean(b.snapshot()).iter().all(|lean| !lean));
        for (i, lean) in (0..).zip(lean(a.snapshot())) {
            assert_eq!(lean, can_be_lean(i), "{i}");
        }
        let bytes = [&a, &b]
            .map(|t| (0..FRAMES).map(|i| t.snapshot().get_at(i).unwrap().len()).sum::<usize>());
        assert!(bytes[0] * 5 < bytes[1] * 4, "{bytes:?}");
        let all: &[&str] = &["positions", "forces", "types", "energy", "step"];
        let alike = |i: u64| can_be_lean(i) && i % 100 != 17;
        for names in [all, &["forces"], &["types", "step"]] {
            for of in [&alike as &dyn Fn(u64) -> bool, &|i| can_be_lean(i), &|_| true] {
                let [a, b] = [&a, &b].map(|t| arrays(t.snapshot(), names, of));
                // With `ptr` and `batch`.
                assert_eq!(a.len(), names.len() + 2);
                assert!(a == b, "{names:?}");
            }
        }
    }
}

#[test]
fn a_store_keeps_its_form_when_it_is_opened_again_and_copies_change_it_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    made(&path("lean"), FrameForm::Lean, Compression::Auto);
    let mut w = TrajectoryWriter::open(path("lean"), &WriteOptions::default()).unwrap();
    w.put("mol_0000003", &frame(4)).unwrap();
    w.put("mol_0000003", &frame(3)).unwrap();
    w.close().unwrap();
    let form = |name: &str| {
        let store = Store::open(path(name)).unwrap().snapshot();
        (
            FrameForm::of(&store.layout().record_codec).unwrap(),
            lean(&store).iter().any(|lean| *lean),
        )
    };
    assert_eq!(form("lean"), (FrameForm::Lean, true));
    let changed = |form| FrameChanges { form, ..FrameChanges::default() };
    let to = |from: &str, to: &str, wanted| {
        copy_frames(path(from), path(to), &CopyOptions::default(), changed(wanted), quiet).unwrap()
    };
    to("lean", "table", Some(FrameForm::Table));
    assert_eq!(form("table"), (FrameForm::Table, false));
    to("table", "again", Some(FrameForm::Lean));
    assert_eq!(form("again"), (FrameForm::Lean, true));
    to("again", "as it was", None);
    assert_eq!(form("as it was"), (FrameForm::Lean, true));
    // Stated for a copy byte by byte, another version is not that of the records.
    let layout = Layout { record_codec: FrameForm::Table.record_codec(), ..Layout::default() };
    let options = CopyOptions { layout: Some(layout), ..CopyOptions::default() };
    copy(path("lean"), path("bytes"), &options, quiet).unwrap();
    assert_eq!(form("bytes"), (FrameForm::Lean, true));
    for name in ["lean", "table", "again", "as it was", "bytes"] {
        let t = Trajectory::open(path(name)).unwrap();
        for i in 0..FRAMES {
            let key = format!("mol_{i:07}");
            assert_eq!(t.get(key.as_str()).unwrap().view().unwrap().to_owned(), frame(i), "{name}");
        }
    }
    // Both together: what can hold both.
    let all = [path("table"), path("lean")];
    let prefix = vlstore::maintain::Clash::Prefix(vec!["a".into(), "b".into()]);
    let options = MergeOptions { clash: prefix, ..MergeOptions::default() };
    merge(&all, path("merged"), &options, quiet).unwrap();
    assert_eq!(form("merged"), (FrameForm::Lean, true));
    let by = SplitBy::Records(FRAMES);
    split(path("merged"), path("part"), &by, &SplitOptions::default(), quiet).unwrap();
    assert_eq!(form("part-000"), (FrameForm::Lean, false));
    assert_eq!(form("part-001"), (FrameForm::Lean, true));
}

#[test]
fn lean_records_survive_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames");
    made(&path, FrameForm::Lean, Compression::Auto);
    let mut image = std::fs::read(&path).unwrap();
    let before = Store::open(&path).unwrap().snapshot();
    // The last quarter of the file has the whole index.
    let keep = image.len() * 3 / 4;
    image.truncate(keep);
    let options = RecoverOptions { contents: Some(content), ..RecoverOptions::default() };
    let weight = |s: &Snapshot, i| s.location_at(i).unwrap().weight;
    let (_, store) = recovered(&image, &options).unwrap();
    let found = store.snapshot();
    assert!(found.len() > FRAMES / 4, "{}", found.len());
    for i in 0..found.len() {
        let bytes = found.get_at(i).unwrap();
        let wanted = before.get_at(i).unwrap();
        assert!(*bytes == *wanted, "{i}");
        assert_eq!(weight(&found, i), weight(&before, i));
    }
}

#[test]
fn a_store_of_tables_takes_no_lean_record_and_one_for_the_original_has_none() {
    let lean = options(FrameForm::Lean, Compression::Auto);
    let mut from = TrajectoryWriter::in_memory(&lean).unwrap();
    from.put(1, &frame(1)).unwrap();
    from.commit().unwrap();
    let bytes = from.snapshot().unwrap().get_at(0).unwrap();
    assert_eq!(MdFrameCodec.version_of(&bytes), 2);
    let mut table = options(FrameForm::Table, Compression::Auto);
    table.write.check = Some(check);
    let mut to = Writer::in_memory(&table).unwrap();
    let why = to.put(1, &bytes).unwrap_err().to_string();
    assert!(why.contains("version 2") && why.contains("version 1"), "{why}");
    assert_eq!(to.len(), 0);
    // As a frame it is kept as the store keeps frames.
    let original_table = OriginalTable::Always;
    let original = StoreOptions {
        write: WriteOptions { original_table, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let mut w = TrajectoryWriter::in_memory(&original).unwrap();
    w.put(1, &frame(1)).unwrap();
    w.commit().unwrap();
    let snapshot = w.snapshot().unwrap();
    assert_eq!(snapshot.layout().record_codec, FrameForm::Table.record_codec());
    assert_eq!(MdFrameCodec.version_of(&snapshot.get_at(0).unwrap()), 1);
}

/// What one batch found out of the frames serves the next one, named or not: each asks once for each array.
#[test]
fn a_second_batch_of_like_frames_is_made_at_once_too() {
    let dir = tempfile::tempdir().unwrap();
    for (name, form) in [("lean", FrameForm::Lean), ("table", FrameForm::Table)] {
        let path = dir.path().join(name);
        made(&path, form, Compression::Lz4);
        let store = Trajectory::open(&path).unwrap();
        let alike: Vec<u64> = (0..FRAMES).filter(|i| can_be_lean(*i) && i % 100 != 17).collect();
        let named = ["positions", "forces", "types", "energy", "step"].map(Into::into).to_vec();
        for fields in [None, Some(named)] {
            let collator = Collator::new(ArrayRequest { fields, ..ArrayRequest::default() });
            for _ in 0..3 {
                let mut asked = 0;
                let new = |info: &vlstore::trajectory::arrays::ArrayInfo| {
                    asked += 1;
                    Ok::<_, Error>(vec![9; info.bytes()])
                };
                let selection = Selection::Ordinals(&alike);
                let made = collator.arrays(store.snapshot(), selection, new).unwrap();
                assert_eq!(asked, made.list.len(), "{name}");
            }
        }
    }
}
