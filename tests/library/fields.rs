//! Columns and chosen fields of frames: the same as of whole frames, and cheaper.

use crate::common::shared;
use vlstore::Readable;
use vlstore::codec::{
    Codec, Field, Fields, FramePart, HEAD, MdFrame, MdFrameCodec, MdFrameView, Property, Real,
    Values,
};
use vlstore::depot::Columns;
use vlstore::trajectory::{Frames, STATISTICS, Sharing, Statistics};
use vlstore::wire::AlignedBuf;
use vlstore::{
    ColumnValues, Compression, Layout, Store, StoreOptions, Trajectory, TrajectoryWriter, formats,
};

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn frame(n: usize, sites: usize) -> MdFrame {
    let real = |k: usize| {
        let at = |i: usize| (i * 37 + n * 11 + k) as f64 * 0.01;
        let all = 0..sites * if k < 2 { 1 } else { 3 };
        if (n + k).is_multiple_of(3) {
            Real::F64(all.map(at).collect())
        } else {
            Real::F32(all.map(|i| at(i) as f32).collect())
        }
    };
    MdFrame {
        name: Some("of many fields".into()),
        nsites: sites,
        types: Some((0..sites).map(|i| (i % 9) as i32).collect()),
        masses: Some(real(0)),
        charges: (!n.is_multiple_of(4)).then(|| real(1)),
        positions: Some(real(2)),
        velocities: (!n.is_multiple_of(5)).then(|| real(3)),
        forces: Some(real(4)),
        step: (n % 7 != 3).then_some(n as i64 * 10),
        time: Some(n as f64 / 2.0),
        cell: n.is_multiple_of(2).then_some([1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, n as f64]),
        pbc: Some([true, false, n.is_multiple_of(2)]),
        energy: (n % 7 != 5).then_some(-(n as f64)),
        stress: n.is_multiple_of(3).then_some([0.25; 9]),
        atom_properties: vec![Property {
            name: "tag".into(),
            shape: vec![],
            values: Values::I32(vec![7; sites]),
        }],
        ..MdFrame::default()
    }
}

fn every_choice() -> impl Iterator<Item = Fields> {
    let singles = Field::ALL.into_iter().map(|f| Fields::of(&[f]));
    let pairs = [
        Fields::default(),
        Fields::of(&Field::ALL),
        Fields::of(&[Field::Positions, Field::Energy]),
        Fields::of(&[Field::Forces, Field::Types, Field::Step]),
    ];
    singles.chain(pairs)
}

#[test]
fn a_part_of_a_frame_is_what_the_whole_frame_says() {
    for n in 0..40 {
        let whole = frame(n, n * 13 % 50);
        let mut bytes = Vec::new();
        MdFrameCodec.encode(&whole, &mut bytes).unwrap();
        for fields in every_choice() {
            let head = &bytes[..HEAD.min(bytes.len())];
            let part = FramePart::find(head, bytes.len(), fields).unwrap().unwrap();
            let parts: Vec<_> = part.ranges().collect();
            let found = part.finish(parts.into_iter().map(|r| &bytes[r])).unwrap();
            assert_eq!(found, fields.only(&whole.view()).to_owned(), "{n} {fields:?}");
        }
    }
}

/// Whatever a damaged record says, the walk gives an error or a frame whose arrays have as many
/// values as sites; and where the verifier accepts the record, the same fields.
#[test]
fn a_damaged_record_gives_an_error_or_what_it_says_itself() {
    let mut bytes = Vec::new();
    MdFrameCodec.encode(&frame(4, 6), &mut bytes).unwrap();
    let (mut refused, mut same) = (0, 0);
    let mut try_one = |bad: &[u8], what: &str| {
        let fields = Fields::of(&Field::ALL);
        let found =
            FramePart::find(&bad[..HEAD.min(bad.len())], bad.len(), fields).and_then(|part| {
                let Some(part) = part else { return Ok(None) };
                let parts: Vec<_> = part.ranges().collect();
                part.finish(parts.into_iter().map(|r| &bad[r])).map(Some)
            });
        if let Ok(Some(f)) = &found {
            for real in [&f.positions, &f.velocities, &f.forces].into_iter().flatten() {
                assert_eq!(real.len(), 3 * f.nsites, "{what}");
            }
        }
        let copy = AlignedBuf::copy_of(bad).unwrap();
        match (MdFrameView::new(&copy), found) {
            (Ok(view), Ok(Some(found))) => {
                // Through the text, so that NaN equals itself.
                let right = fields.only(view.fields()).to_owned();
                assert_eq!(format!("{found:?}"), format!("{right:?}"), "{what}");
                same += 1;
            }
            (Ok(_), Ok(None)) => {}
            (Ok(_), Err(e)) => unreachable!("{what}: only the walk refuses: {e}"),
            (Err(_), _) => refused += 1,
        }
    };
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        try_one(&bad, &format!("bit {bit}"));
    }
    for cut in 0..bytes.len() {
        try_one(&bytes[..cut], &format!("cut {cut}"));
    }
    let mut x = 7_u64;
    for round in 0..20_000 {
        let mut bad = bytes.clone();
        for _ in 0..3 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let at = usize::try_from(x >> 33).unwrap() % bad.len().min(200);
            bad[at] = (x >> 25) as u8;
        }
        try_one(&bad, &format!("round {round}"));
    }
    assert!(refused > 1000 && same > 1000, "{refused} {same}");
}

#[test]
fn chosen_fields_come_from_small_and_from_large_records_alike() {
    let options = StoreOptions {
        layout: Layout { block_size: 2048, chunk_size: 16 << 10, ..Layout::default() },
        ..StoreOptions::default()
    };
    let mut w = TrajectoryWriter::in_memory(&options).unwrap();
    let all: Vec<MdFrame> = (0..60).map(|n| frame(n, if n % 2 == 0 { 9 } else { 900 })).collect();
    for (n, f) in all.iter().enumerate() {
        w.insert(n as u64, f).unwrap();
    }
    // Read by the writer before a commit, and by a reader behind it.
    let asked: Vec<u64> = (0..60).rev().chain([7, 7]).collect();
    let check = |source: &dyn Frames| {
        for fields in every_choice() {
            let found = source.frames_at(&asked, fields).unwrap();
            for (o, found) in asked.iter().zip(&found) {
                let whole = &all[usize::try_from(*o).unwrap()];
                assert_eq!(*found, fields.only(&whole.view()).to_owned(), "{o} {fields:?}");
            }
        }
    };
    check(w.writer());
    w.seal().unwrap();
    let depot = w.trajectory().unwrap();
    assert!(
        depot.snapshot().blocks_at(1).unwrap() > 8 && depot.snapshot().blocks_at(0).unwrap() == 1
    );
    check(depot.snapshot());
    let one = depot.get_fields(5, Fields::named(&["energy", "types"]).unwrap()).unwrap();
    assert_eq!((one.energy, one.positions), (None, None));
    assert!(depot.get_fields(99, Fields::default()).is_err());
    let why = Fields::named(&["speed"]).unwrap_err().to_string();
    assert!(why.contains("\"speed\"") && why.contains("velocities"), "{why}");
}

/// Where only one field is asked for, damage in the blocks of the others is not met: so they
/// are not decoded.
#[test]
fn blocks_without_a_chosen_field_are_not_decoded() {
    let options = StoreOptions {
        layout: Layout {
            block_size: 4096,
            chunk_size: 256 << 10,
            compression: Compression::Stored,
            ..Layout::default()
        },
        ..StoreOptions::default()
    };
    let mut w = TrajectoryWriter::in_memory(&options).unwrap();
    let whole = MdFrame { name: None, ..frame(1, 5000) };
    for n in 0..5 {
        w.insert(n, &whole).unwrap();
    }
    w.seal().unwrap();
    let backend = w.writer().backend().clone();
    let mut file = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read_at(0, &mut file).unwrap();
    // The forces of the first frame, as they stand in the file.
    let Some(Real::F32(forces)) = &whole.forces else { unreachable!() };
    let needle = bytemuck::cast_slice::<f32, u8>(&forces[9000..9010]);
    let at = file.windows(needle.len()).position(|w| w == needle).unwrap();
    file[at] ^= 1;
    let depot = Trajectory::new(Store::from_bytes(file).unwrap().snapshot()).unwrap();
    assert!(depot.get(0).is_err());
    for fields in [Fields::of(&[Field::Positions, Field::Types]), Fields::of(&[Field::Step])] {
        let found = depot.get_fields(0, fields).unwrap();
        assert_eq!(found, fields.only(&whole.view()).to_owned());
    }
    assert!(depot.get_fields(0, Fields::of(&[Field::Forces])).is_err());
}

fn reals(values: &ColumnValues) -> Vec<Option<f64>> {
    values.as_f64().unwrap().iter().map(|v| Some(*v).filter(|v| !v.is_nan())).collect()
}

#[test]
fn columns_of_frames_are_what_the_frames_say_however_they_were_put() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.vls");
    let options = StoreOptions::default();
    let all: Vec<MdFrame> = (0..300).map(|n| frame(n, 3 + n % 5)).collect();
    let mut w = TrajectoryWriter::create(&path, &options).unwrap();
    for (n, f) in all.iter().enumerate() {
        match n % 3 {
            0 => drop(w.insert(n as u64, f).unwrap()),
            1 => drop(w.push(f).unwrap()),
            _ => {
                let mut bytes = Vec::new();
                let sites = MdFrameCodec.encode(f, &mut bytes).unwrap().weight;
                w.writer_mut().put_sized(None, &bytes, sites, vlstore::Existing::Refuse).unwrap();
            }
        }
    }
    let check = |source: &dyn Columns, unknown: usize| {
        let step = source.column_by(&MdFrameCodec, "step", 0..u64::MAX).unwrap();
        let found: Vec<_> = step
            .values
            .as_i64()
            .unwrap()
            .iter()
            .map(|s| Some(*s).filter(|s| *s != i64::MIN))
            .collect();
        assert_eq!(found, all.iter().map(|f| f.step).collect::<Vec<_>>());
        let energy = source.column_by(&MdFrameCodec, "energy", 10..290).unwrap();
        assert_eq!(
            reals(&energy.values),
            all[10..290].iter().map(|f| f.energy).collect::<Vec<_>>()
        );
        let cell = source.column_by(&MdFrameCodec, "cell", 0..300).unwrap();
        let right: Vec<_> =
            all.iter().flat_map(|f| f.cell.map_or([None; 9], |c| c.map(Some))).collect();
        assert_eq!(reals(&cell.values), right);
        let sites = source.column_by(&MdFrameCodec, "weight", 0..300).unwrap();
        let right: Vec<_> = all.iter().map(|f| f.nsites as i64).collect();
        assert_eq!(sites.values, ColumnValues::I64(right));
        let why = source.column_by(&MdFrameCodec, "enrgy", 0..1).unwrap_err().to_string();
        assert!(why.contains("enrgy") && why.contains("energy"), "{why}");
        if unknown < 300 {
            assert_eq!(source.column("time", 0..300).unwrap().unknown.len(), unknown);
        }
    };
    check(w.writer(), 0);
    w.close().unwrap();
    check(&Store::open(&path).unwrap().snapshot(), 0);
    // A writer that knows nothing of frames leaves rows open; they follow from the records.
    let mut plain = vlstore::Writer::create(
        dir.path().join("plain.vls"),
        &StoreOptions {
            layout: Layout {
                record_codec: ("md-frame".into(), 1),
                columns: Some(MdFrameCodec.rows().unwrap().columns[..3].to_vec()),
                ..Layout::default()
            },
            ..StoreOptions::default()
        },
    )
    .unwrap();
    let store = Store::open(&path).unwrap();
    for n in 0..300 {
        let sites = store.location_at(n).unwrap().weight;
        plain
            .put_unchecked(None, &store.get_at(n).unwrap(), sites, vlstore::Existing::Refuse)
            .unwrap();
    }
    check(&plain, 300);
    plain.close().unwrap();
    check(&Store::open(dir.path().join("plain.vls")).unwrap().snapshot(), 300);
    assert_eq!(Trajectory::open(&path).unwrap().column("time").unwrap().values.len(), 300);
}

use vlstore::codec::AnyCodec as _;

#[test]
fn columns_of_a_real_trajectory_and_of_a_file_of_the_original() {
    for (name, length) in [("md/ala2-npt.xtc", 40), ("extxyz/mptrj-random-1k.extxyz", 1000)] {
        let Some(path) = shared(name) else { continue };
        let mut reader = formats::open(&path).unwrap();
        let mut w = TrajectoryWriter::in_memory(&StoreOptions::default()).unwrap();
        let (mut all, mut f) = (Vec::new(), MdFrame::default());
        while all.len() < length && reader.next_frame(&mut f).unwrap() {
            w.push(&f).unwrap();
            all.push(f.clone());
        }
        w.commit().unwrap();
        let depot = w.trajectory().unwrap();
        let time = depot.column("time").unwrap();
        assert!(time.unknown.is_empty());
        assert_eq!(reals(&time.values), all.iter().map(|f| f.time).collect::<Vec<_>>());
        let energy = depot.column("energy").unwrap();
        assert_eq!(reals(&energy.values), all.iter().map(|f| f.energy).collect::<Vec<_>>());
        let fields = Fields::of(&[Field::Positions, Field::Cell]);
        for (o, right) in all.iter().enumerate() {
            let found = depot.get_fields_at(o as u64, fields).unwrap();
            assert_eq!((found.positions, found.cell), (right.positions.clone(), right.cell));
        }
    }
    let Some(path) = shared("vlstore/ala2-npt-40x1324-nocross.vlstore") else { return };
    let depot = Trajectory::open(&path).unwrap();
    assert!(depot.snapshot().columns().is_empty());
    let Ok(view) = depot.get_at(3).unwrap().view().map(|v| v.fields().to_owned()) else {
        eprintln!("SKIPPED: the records of {} are no frames", path.display());
        return;
    };
    assert_eq!(depot.column("time").unwrap().values.len(), 40);
    let fields = Fields::of(&[Field::Positions]);
    assert_eq!(depot.get_fields_at(3, fields).unwrap().positions, view.positions);
}

#[test]
fn statistics_are_those_of_the_frames_and_know_when_they_no_longer_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.vls");
    let options = StoreOptions {
        layout: Layout { block_size: 2048, chunk_size: 16 << 10, ..Layout::default() },
        ..StoreOptions::default()
    };
    let all: Vec<MdFrame> = (0..50).map(|n| frame(n, [0, 3, 700][n % 3])).collect();
    let mut w = TrajectoryWriter::create(&path, &options).unwrap();
    w.writer_mut().set_attributes(&serde_json::json!({"title": "many"})).unwrap();
    for (n, f) in all.iter().enumerate() {
        w.insert(n as u64, f).unwrap();
    }
    let kept = w.keep_statistics(|_, _| Ok(())).unwrap();
    let generation = w.writer().generation();
    assert_eq!(w.keep_statistics(|_, _| Ok(())).unwrap(), kept);
    assert_eq!(w.writer().generation(), generation, "nothing to do, nothing committed");
    w.close().unwrap();

    let per_site: Vec<f64> = all
        .iter()
        .filter(|f| f.nsites > 0)
        .filter_map(|f| Some(f.energy? / f.nsites as f64))
        .collect();
    let mean = per_site.iter().sum::<f64>() / per_site.len() as f64;
    let var = per_site.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / per_site.len() as f64;
    let forces: Vec<f64> = all
        .iter()
        .flat_map(|f| match f.forces.as_ref().unwrap() {
            Real::F32(v) => v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(),
            Real::F64(v) => v.clone(),
        })
        .collect();
    let rms = (forces.iter().map(|f| f * f).sum::<f64>() / forces.len() as f64).sqrt();
    let near =
        |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() <= 1e-12 * b.abs(), "{a:?} {b}");
    let store = Store::open(&path).unwrap();
    let depot = Trajectory::new(store.snapshot()).unwrap();
    let found = depot.statistics(|_, _| unreachable!("they are kept")).unwrap();
    assert_eq!(found, kept);
    assert_eq!(found, Statistics::compute(&store.snapshot(), |_, _| Ok(())).unwrap());
    assert_eq!((found.frames, found.sites_range), (50, [0, 700]));
    assert_eq!(found.energies, all.iter().filter(|f| f.energy.is_some()).count() as u64);
    assert_eq!(found.force_components, forces.len() as u64);
    near(found.energy_per_site_mean, mean);
    near(found.energy_per_site_std, var.sqrt());
    near(found.force_rms, rms);
    let ones = all.iter().flat_map(|f| f.types.clone().unwrap()).filter(|t| *t == 1).count();
    assert_eq!(found.types[&1], ones as u64);
    assert_eq!(store.attributes()["title"], "many");

    // A record more, and one less: the counts of records differ from then on.
    let mut w = TrajectoryWriter::open(&path, &options.write).unwrap();
    w.insert(50, &frame(1, 3)).unwrap();
    w.writer_mut().delete(1).unwrap();
    w.commit().unwrap();
    let s = w.snapshot().unwrap();
    assert_eq!(
        Statistics::kept(&s).map(|k| (k.current, k.statistics)),
        Some((false, kept.clone()))
    );
    assert_ne!(Statistics::of(&s, |_, _| Ok(())).unwrap(), kept);
    w.close().unwrap();

    // Another file with the same attributes and as many records keeps statistics of others.
    let mut other = TrajectoryWriter::in_memory(&options).unwrap();
    other.writer_mut().set_attributes(&store.attributes()).unwrap();
    for n in 0..50 {
        other.push(&frame(n, 1)).unwrap();
    }
    other.commit().unwrap();
    let s = other.snapshot().unwrap();
    assert!(s.attributes().get(STATISTICS).is_some() && !Statistics::kept(&s).unwrap().current);
    let none = TrajectoryWriter::in_memory(&options).unwrap().snapshot().unwrap();
    let empty = Statistics::compute(&none, |_, _| Ok(())).unwrap();
    assert_eq!(Statistics::from_json(&empty.to_json()), Some(empty));
}

#[test]
fn fields_columns_and_statistics_do_not_depend_on_where_types_and_masses_stand() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        layout: Layout { block_size: 2048, chunk_size: 16 << 10, ..Layout::default() },
        ..StoreOptions::default()
    };
    // Small frames lie in one block, those of 900 sites in many; every third is like no other.
    let all: Vec<MdFrame> = (0..60)
        .map(|n| {
            let mut f = frame(n, [4, 900, 30][n % 3]);
            f.masses = frame(0, f.nsites).masses;
            f.charges = frame(1, f.nsites).charges;
            if n % 3 == 2 {
                f.types = Some(vec![n as i32; f.nsites]);
            }
            f
        })
        .collect();
    let store = |how| {
        let path = dir.path().join(format!("{how:?}"));
        let mut w = TrajectoryWriter::create(&path, &options).unwrap();
        w.share_topologies(how);
        for (n, f) in all.iter().enumerate() {
            if let Some(after) = all.get(n + 1) {
                w.foresee(after).unwrap();
            }
            w.insert(n as u64, f).unwrap();
        }
        w.close().unwrap();
        Trajectory::open(&path).unwrap()
    };
    let [never, repeated, always] = [Sharing::Never, Sharing::Repeated, Sharing::Always].map(store);
    assert_eq!(never.list_topologies().unwrap().len(), 0);
    assert!(always.list_topologies().unwrap().len() >= 22, "each third frame has its own");
    let ordinals: Vec<u64> = (0..60).rev().collect();
    for depot in [&never, &repeated, &always] {
        for fields in every_choice() {
            let batch = depot.get_fields_batch_at(&ordinals, fields).unwrap();
            for (n, found) in ordinals.iter().zip(&batch) {
                let right = fields.only(&all[*n as usize].view()).to_owned();
                assert_eq!(*found, right, "{n} {fields:?}");
                assert_eq!(depot.get_fields_at(*n, fields).unwrap(), right, "{n} {fields:?}");
            }
        }
        let compute = || Statistics::compute(depot.snapshot(), |_, _| Ok(())).unwrap();
        let found = compute();
        let mut types = std::collections::BTreeMap::new();
        for t in all.iter().flat_map(|f| f.types.clone().unwrap()) {
            *types.entry(t).or_insert(0_u64) += 1;
        }
        assert_eq!(found.types.clone().into_iter().collect::<Vec<_>>(), Vec::from_iter(types));
        assert_eq!(found.sites, all.iter().map(|f| f.nsites as u64).sum::<u64>());
        assert_eq!(found, Statistics::compute(never.snapshot(), |_, _| Ok(())).unwrap());
        for name in ["step", "time", "energy", "weight"] {
            let (found, right) = (depot.column(name).unwrap(), never.column(name).unwrap());
            // Through the text, so that NaN equals itself.
            assert_eq!(format!("{:?}", found.values), format!("{:?}", right.values), "{name}");
        }
    }
}
