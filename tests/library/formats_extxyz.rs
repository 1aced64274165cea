//! Extended XYZ files of others: everything in them is read, and comes out again.

use crate::common::shared;
use std::path::Path;
use vlstore::Result;
use vlstore::codec::{MdFrame, Real, Values};
use vlstore::formats::{self, FormatKind, OutputOptions};

fn read(path: &Path) -> (Vec<MdFrame>, Result<()>) {
    let mut reader = match formats::open_as(path, FormatKind::ExtXyz) {
        Ok(reader) => reader,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let (mut all, mut f) = (Vec::new(), MdFrame::default());
    loop {
        match reader.next_frame(&mut f) {
            Ok(true) => all.push(f.clone()),
            Ok(false) => return (all, Ok(())),
            Err(e) => return (all, Err(e)),
        }
    }
}

#[test]
fn files_of_others_are_read_whole_and_written_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    // Frames, all atoms, first energy.
    for (name, frames, atoms, energy) in [
        ("extxyz/gpumd-nep-pbte.xyz", 25, 6250, Some(-937.191)),
        ("extxyz/high-level-water.extxyz", 10, 1920, Some(-30011.49340274)),
        ("extxyz/mpf-TP.extxyz", 1069, 0, Some(-79.26068284)),
        ("extxyz/mpf-alkali-TP.extxyz", 460, 0, Some(-49.15055874)),
        ("extxyz/mptrj-random-1k.extxyz", 1000, 0, Some(-28.75765745)),
        ("extxyz/wfl-boron-dft.xyz", 39, 0, None),
        ("extxyz/wfl-licu-rss.xyz", 152, 0, None),
        ("extxyz/wfl-mol-errors.xyz", 40, 0, None),
        ("chemfiles/xyz/extended.xyz", 3, 0, None),
        ("chemfiles/xyz/spaces.xyz", 1, 64, None),
        ("chemfiles/xyz/trajectory.xyz", 2, 18, None),
        ("mdanalysis/coordinates/test.xyz", 5, 25, None),
    ] {
        let Some(path) = shared(name) else { continue };
        assert_eq!(formats::detect(&path).unwrap(), FormatKind::ExtXyz);
        let (all, end) = read(&path);
        end.unwrap();
        assert_eq!((all.len(), all[0].energy), (frames, energy), "{name}");
        assert!(atoms == 0 || all.iter().map(|f| f.nsites).sum::<usize>() == atoms, "{name}");
        for f in &all {
            assert_eq!(f.positions.as_ref().map(Real::len), Some(3 * f.nsites));
        }
        let out = folder.path().join("out.extxyz");
        let options = OutputOptions::default();
        let mut w = formats::create(&out, FormatKind::ExtXyz, &options, vlstore::Existing::Replace)
            .unwrap();
        for f in &all {
            w.write(f).unwrap();
        }
        assert!(w.left_out().is_empty());
        w.finish().unwrap();
        let (again, end) = read(&out);
        end.unwrap();
        assert!(again == all, "{name}");
    }
}

#[test]
fn columns_and_keys_without_a_field_keep_their_names() {
    if let Some(path) = shared("extxyz/wfl-mol-errors.xyz") {
        let f = &read(&path).0[0];
        let names: Vec<_> = f.atom_properties.iter().map(|p| &*p.name).collect();
        assert_eq!(names, ["momenta", "cur_leverage_score", "dft_forces", "mace_forces"]);
        assert_eq!((&f.forces, f.energy), (&None, None));
    }
    if let Some(path) = shared("extxyz/gpumd-nep-pbte.xyz") {
        let f = &read(&path).0[0];
        assert!(f.forces.is_some() && f.atom_properties.is_empty());
        let p = f.frame_properties.iter().find(|p| p.name == "Properties").unwrap();
        assert_eq!(p.values, Values::Str(vec!["species:S:1:pos:R:3:force:R:3".into()]));
    }
}

#[test]
fn broken_files_give_their_whole_frames_and_then_an_error_with_the_line() {
    for (name, whole, says) in [
        ("broken/frame-cut.extxyz", 1, "line 300 (frame 1): the file ends here, after 104 of 192"),
        ("broken/not-a-number.extxyz", 0, "line 4 (frame 0): `1.2.3` in column `pos`"),
        ("chemfiles/xyz-bad/helium.xyz", 0, "line 6 (frame 0): the file ends here, after 4 of 8"),
        (
            "chemfiles/xyz-bad/extended-bad-properties.xyz",
            0,
            "line 3 (frame 0): `H` in column `pos`",
        ),
        (
            "chemfiles/xyz-bad/extended.xyz",
            0,
            "line 3 (frame 0): the line ends before column `bad`",
        ),
    ] {
        let Some(path) = shared(name) else { continue };
        let (frames, end) = read(&path);
        let error = end.unwrap_err().to_string();
        assert_eq!(frames.len(), whole, "{error}");
        assert!(
            error.contains(says) && error.contains(".xyz") | error.contains(".extxyz"),
            "{error}"
        );
    }
    if let Some(path) = shared("broken/text-renamed.xtc") {
        assert!(read(&path).1.unwrap_err().to_string().contains("is not a number of atoms"));
    }
}

#[test]
fn the_file_in_the_repository_reads_as_ase_reads_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/small.extxyz");
    let (all, end) = read(&path);
    end.unwrap();
    let types: Vec<_> = all.iter().map(|f| f.types.clone().unwrap()).collect();
    assert_eq!(types, [vec![8, 1, 1], vec![18], vec![6, 8]]);
    let f = &all[0];
    assert_eq!(
        (f.energy, f.step, f.time, f.name.as_deref()),
        (Some(-14.2), Some(0), Some(0.0), Some("water"))
    );
    assert_eq!(f.stress, Some([0.01, 0.002, 0.0, 0.002, 0.03, 0.0, 0.0, 0.0, 0.02]));
    assert_eq!(f.cell.unwrap()[3], 0.5);
    let names: Vec<_> =
        f.atom_properties.iter().chain(&f.frame_properties).map(|p| &*p.name).collect();
    assert_eq!(names, ["tag", "fixed", "config_type", "cutoff", "origin", "counts"]);
    assert_eq!(all[1].positions, Some(Real::F64(vec![1e-5, -2.5, 3.0])));
    assert_eq!((all[1].forces.is_none(), all[1].pbc), (true, Some([false; 3])));
    assert_eq!(all[2].frame_properties[0].values, Values::Str(vec!["A plain title".into()]));
}

#[test]
fn float32_is_written_in_the_digits_that_a_float32_needs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.xyz");
    let xs = [0.1_f32, 2.2110002, -1e-7];
    let f = MdFrame {
        nsites: 1,
        positions: Some(Real::F32(xs.into())),
        precision: Some(1000.0),
        ..MdFrame::default()
    };
    let kind = FormatKind::from_path(&out).unwrap();
    let mut w =
        formats::create(&out, kind, &OutputOptions::default(), vlstore::Existing::Refuse).unwrap();
    w.write(&f).unwrap();
    assert_eq!(w.left_out(), ["precision"]);
    w.finish().unwrap();
    assert!(std::fs::read_to_string(&out).unwrap().ends_with("\nX 0.1 2.2110002 -1e-7\n"));
    let Some(Real::F64(back)) = &read(&out).0[0].positions else { panic!("no float64") };
    assert!(back.iter().zip(xs).all(|(a, b)| a.to_string().parse::<f32>().unwrap() == b));
}
