//! On the run of alanine dipeptide that the project carries, against other programs, and on made frames.

use super::*;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::formats::{self, FormatKind};
use crate::store::StoreOptions;
use crate::trajectory::{Atoms, Choice, Sharing, Trajectory, TrajectoryWriter, state_units};
use serde_json::json;
use std::path::Path;

/// Masses in u of the atoms of the run, those of its force field (Amber99SB).
const MASSES: [f64; 22] = [
    12.01, 1.008, 1.008, 1.008, 12.01, 16.0, 14.01, 1.008, 12.01, 1.008, 12.01, 1.008, 1.008,
    1.008, 12.01, 16.0, 14.01, 1.008, 12.01, 1.008, 1.008, 1.008,
];

fn store(frames: &[MdFrame], units: bool, sharing: Sharing) -> Trajectory {
    let mut w = TrajectoryWriter::in_memory(&StoreOptions::default()).unwrap();
    w.share_topologies(sharing);
    if units {
        let stated = state_units(&json!({}), &FormatKind::Xtc.units()).unwrap().unwrap();
        w.writer_mut().set_attributes(&stated).unwrap();
    }
    for (key, frame) in (0_i64..).zip(frames) {
        w.put(key, frame).unwrap();
    }
    w.commit().unwrap();
    w.trajectory().unwrap()
}

fn run(masses: bool) -> Trajectory {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ala2-npt-peptide.xtc");
    let mut reader = formats::open(&path).unwrap();
    let (mut all, mut frame) = (Vec::new(), MdFrame::default());
    while reader.next_frame(&mut frame).unwrap() {
        frame.masses = masses.then(|| Real::F64(MASSES.into()));
        all.push(std::mem::take(&mut frame));
    }
    store(&all, true, Sharing::Always)
}

fn all(trajectory: &Trajectory, options: &MeasureOptions) -> (Vec<f64>, Measured) {
    let mut out = Vec::new();
    let take = |samples: Vec<Sample>| {
        out.extend(samples.into_iter().map(|s| s.values[0]));
        Ok(())
    };
    let measured = measure(trajectory, options, take).unwrap();
    (out, measured)
}

fn options(name: &str) -> MeasureOptions {
    let quantity = Quantity::from_name(name).unwrap();
    MeasureOptions { quantity, frames: Choice::All, atoms: Atoms::All }
}

/// The values at these frames.
fn at(values: &[f64]) -> [f64; 5] {
    [0, 1, 10, 500, 1000].map(|i: usize| values[i])
}

fn close(is: [f64; 5], right: [f64; 5], off: f64) {
    for (a, b) in is.iter().zip(right) {
        assert!((a - b).abs() < off, "{is:?} {right:?}");
    }
}

/// The numbers are those of MDAnalysis 2.10 (`analysis.rms.rmsd` with centring and superposition,
/// `radius_of_gyration`, `ts.volume`) and mdtraj 1.11 (`rmsd`, `compute_rg`) on the same file and masses.
#[test]
fn a_real_run_has_the_numbers_that_other_programs_find() {
    let run = run(true);
    let (values, measured) = all(&run, &options("rmsd"));
    let right = [0.0, 0.034973042037232, 0.047324299903034, 0.093993209356102, 0.111420043265955];
    close(at(&values), right, 1e-7);
    assert!(values[0] < 1e-12);
    assert_eq!(
        (measured.frames, measured.counted, measured.unit.as_deref()),
        (1001, 1001, Some("nm"))
    );
    let mut other = options("rmsd");
    other.quantity = Quantity::Rmsd { reference: 500 };
    let right = [0.093993209356102, 0.111198807967928, 0.084057555474963, 0.0, 0.111245460760071];
    close(at(&all(&run, &other).0), right, 1e-7);
    let mut some = options("rmsd");
    some.atoms = Atoms::Range { start: Some(4), end: Some(10), step: 1 };
    let right = [0.0, 0.008319628918171, 0.019814885039242, 0.011050501151218, 0.013317372277050];
    close(at(&all(&run, &some).0), right, 1e-7);

    let (values, measured) = all(&run, &options("radius-of-gyration"));
    let right = [
        0.236074497402198,
        0.233809226257652,
        0.241728860229054,
        0.240112491257396,
        0.230357402949156,
    ];
    close(at(&values), right, 1e-7);
    assert_eq!(measured.how.as_deref(), Some("mass-weighted"));
    let (values, measured) = all(&self::run(false), &options("radius-of-gyration"));
    let right = [
        0.291882591086884,
        0.28753543702683,
        0.292294752889613,
        0.291393756531814,
        0.282464100837056,
    ];
    close(at(&values), right, 1e-7);
    assert_eq!(measured.how.as_deref(), Some("every atom with the same weight"));

    let (values, measured) = all(&run, &options("volume"));
    let right = [
        13.420545118815042,
        13.420166067161473,
        13.381606365872976,
        13.40226089537071,
        13.441914052943746,
    ];
    close(at(&values), right, 1e-5);
    assert_eq!(measured.unit.as_deref(), Some("nm^3"));
}

#[test]
fn chosen_frames_come_in_their_order_with_their_times() {
    let run = run(true);
    for name in ["volume", "rmsd"] {
        let mut options = options(name);
        options.frames = Choice::Steps { first: 1000, step: -100, count: 11 };
        let mut found = Vec::new();
        measure(&run, &options, |samples| {
            found.extend(samples);
            Ok(())
        })
        .unwrap();
        let ordinals: Vec<u64> = found.iter().map(|s| s.ordinal).collect();
        assert_eq!(ordinals, (0..11).map(|n| 1000 - 100 * n).collect::<Vec<_>>());
        for sample in found {
            let frame = run.get_at(sample.ordinal).unwrap();
            let frame = frame.view().unwrap();
            assert_eq!((sample.step, sample.time), (frame.step(), frame.time()), "{name}");
        }
    }
}

fn made() -> MdFrame {
    let property = |name: &str, shape: &[u32], values| Property {
        name: name.into(),
        shape: shape.into(),
        values,
    };
    MdFrame {
        nsites: 2,
        masses: Some(Real::F32(vec![39.948; 2])),
        velocities: Some(Real::F64(vec![0.2498804; 6])),
        energy: Some(-5.0),
        frame_properties: vec![
            property("pressure", &[], Values::Real(Real::F64(vec![1.5]))),
            property("dipole", &[3], Values::I32(vec![1, 2, 3])),
            property("title", &[], Values::Str(vec!["x".into()])),
        ],
        ..MdFrame::default()
    }
}

#[test]
fn temperatures_and_properties_are_those_of_the_frame() {
    for sharing in [Sharing::Never, Sharing::Always] {
        let store = store(&[made(), MdFrame { energy: None, ..made() }], true, sharing);
        let (values, measured) = all(&store, &options("temperature"));
        assert!(values.iter().all(|t| (t - 300.0).abs() < 0.01), "{values:?}");
        assert_eq!(
            (measured.unit.as_deref(), measured.how.as_deref()),
            (Some("K"), Some("3 N degrees of freedom"))
        );
        let mut fewer = options("temperature");
        fewer.quantity = Quantity::Temperature { degrees_of_freedom: Some(3.0) };
        assert!((all(&store, &fewer).0[1] - 600.0).abs() < 0.02);
        let (values, measured) = all(&store, &options("energy"));
        assert!(values[0] == -5.0 && values[1].is_nan());
        assert_eq!((measured.counted, measured.unit.as_deref()), (1, Some("kJ/mol")));
        assert_eq!(all(&store, &options("property:pressure")).0, [1.5, 1.5]);
        measure(&store, &options("property:dipole"), |s| {
            assert_eq!(s[0].values, [1.0, 2.0, 3.0]);
            Ok(())
        })
        .unwrap();
    }
    // Momenta as ASE has them, in a store that is in its units: sqrt(eV u).
    let mut frame = made();
    let of_ase = 0.2498804 / 96.485_332_123_310_02_f64.sqrt() * 39.948;
    frame.velocities = None;
    let momenta = Values::Real(Real::F64(vec![of_ase; 6]));
    frame.atom_properties.push(Property {
        name: "momenta".into(),
        shape: vec![3],
        values: momenta,
    });
    let mut w = TrajectoryWriter::in_memory(&StoreOptions::default()).unwrap();
    let ase = state_units(&json!({}), &FormatKind::ExtXyz.units()).unwrap().unwrap();
    w.writer_mut().set_attributes(&ase).unwrap();
    w.put(0, &frame).unwrap();
    w.commit().unwrap();
    let (values, _) = all(&w.trajectory().unwrap(), &options("temperature"));
    assert!((values[0] - 300.0).abs() < 0.01, "{values:?}");
    let why = measure(&store(&[frame], true, Sharing::Never), &options("temperature"), |_| Ok(()));
    assert!(why.unwrap_err().to_string().contains("no velocities"));

    let mut frame = made();
    frame.masses = None;
    let stated = Values::Real(Real::F64(vec![310.0]));
    frame.frame_properties.push(Property {
        name: "Temperature".into(),
        shape: vec![],
        values: stated,
    });
    let (values, measured) = all(&store(&[frame], true, Sharing::Never), &options("temperature"));
    assert_eq!((values, measured.how.as_deref()), (vec![310.0], Some("as stored")));
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let why = |store: &Trajectory, name: &str| {
        measure(store, &options(name), |_| Ok(())).unwrap_err().to_string()
    };
    let there = store(&[made()], true, Sharing::Never);
    for (name, says) in [
        (
            "rmsd",
            "the reference has no positions; available: energy, temperature, property:pressure, property:dipole",
        ),
        ("radius-of-gyration", "no frame has it; available: energy"),
        ("volume", "no frame has it"),
        ("property:title", "no frame has it"),
    ] {
        let said = why(&there, name);
        assert!(said.contains(says), "{name}: {said}");
    }
    let mut frame = made();
    frame.masses = None;
    assert!(why(&store(&[frame], true, Sharing::Never), "temperature").contains("no masses"));
    assert!(
        why(&store(&[made()], false, Sharing::Never), "temperature")
            .contains("states no unit of velocity")
    );
    assert!(why(&store(&[], true, Sharing::Never), "energy").contains("no frame"));
    assert!(
        why(&store(&[MdFrame::default()], true, Sharing::Never), "energy")
            .contains("have no other")
    );
    let sizes = [2_u8, 3].map(|nsites| {
        let positions = Real::F32((0..3 * nsites).map(f32::from).collect());
        MdFrame { nsites: nsites.into(), positions: Some(positions), ..MdFrame::default() }
    });
    let mixed = store(&sizes, true, Sharing::Never);
    assert!(why(&mixed, "rmsd").contains("another frame has 3"));
    assert_eq!(all(&mixed, &options("radius-of-gyration")).1.counted, 2);
}

/// The work of a window is shared between threads where there is enough of it.
#[test]
fn many_atoms_have_the_same_numbers_as_one_frame_after_another() {
    let nsites = 3000;
    let frames: Vec<MdFrame> = (0..40_u16)
        .map(|k| {
            let x = |i: u16| f32::from(i % 997) * 0.1 + f32::from(k) * f32::from(i % 7);
            let positions = Real::F32((0..3 * nsites).map(x).collect());
            MdFrame { nsites: nsites.into(), positions: Some(positions), ..MdFrame::default() }
        })
        .collect();
    let store = store(&frames, true, Sharing::Never);
    for name in ["rmsd", "radius-of-gyration"] {
        let mut one = options(name);
        let (together, _) = all(&store, &one);
        assert_eq!(together.len(), 40);
        for (ordinal, value) in (0..).zip(&together) {
            one.frames = Choice::Ordinals(vec![ordinal]);
            assert_eq!(all(&store, &one).0, [*value], "{name} {ordinal}");
        }
    }
}
