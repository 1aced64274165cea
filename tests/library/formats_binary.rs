//! TRR and DCD files of other programs: forms that hold the same are read as the same, they come out
//! again, compressed or not, and broken ones say what is wrong.

use crate::common::shared;
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use vlstore::codec::{MdFrame, Real};
use vlstore::formats::{self, FormatKind, FrameReader, OutputOptions};
use vlstore::trajectory::{ImportOptions, Importer, Target};
use vlstore::{Result, Trajectory};

fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(reader: &mut dyn FrameReader) -> (Vec<MdFrame>, Result<()>) {
    let (mut all, mut frame) = (Vec::new(), MdFrame::default());
    loop {
        match reader.next_frame(&mut frame) {
            Ok(true) => all.push(frame.clone()),
            Ok(false) => return (all, Ok(())),
            Err(e) => return (all, Err(e)),
        }
    }
}

fn whole(path: &Path) -> Vec<MdFrame> {
    let (frames, end) = read(&mut *formats::open(path).unwrap());
    end.unwrap();
    frames
}

fn write(path: &Path, frames: &[MdFrame]) {
    let kind = FormatKind::from_path(path).unwrap();
    let options = OutputOptions::default();
    let mut writer = formats::create(path, kind, &options, vlstore::Existing::Replace).unwrap();
    frames.iter().for_each(|frame| writer.write(frame).unwrap());
    writer.finish().unwrap();
}

#[test]
fn a_file_in_another_form_holds_the_same_frames() {
    let frames = whole(&own("mrmd_h2so4-32bit-be.dcd"));
    assert_eq!((frames.len(), frames[0].nsites), (50, 7));
    assert_eq!(whole(&own("mrmd_h2so4-64bit-be.dcd")), frames);
    if let Some(little) = shared("chemfiles/dcd/mrmd_h2so4-64bit-le.dcd") {
        assert_eq!(whole(&little), frames);
    }
    let (single, double) = (whole(&own("cell_shapes.trr")), whole(&own("cell_shapes_d.trr")));
    assert_eq!((single.len(), double.len()), (3, 3));
    for (a, b) in single.iter().zip(&double) {
        let (Some(Real::F32(x)), Some(Real::F64(y))) = (&a.positions, &b.positions) else {
            panic!("single and double")
        };
        assert!(x.iter().zip(y).all(|(x, y)| (f64::from(*x) - y).abs() < 1e-6));
        let (x, y) = (a.cell.unwrap_or_default(), b.cell.unwrap_or_default());
        assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-6));
    }
    let w = &whole(&own("4d-dynamic.dcd"))[4].atom_properties;
    assert_eq!((w.len(), &*w[0].name), (1, "w"));
}

#[test]
fn a_trr_that_is_written_has_the_bytes_of_the_file_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["md/water216-double.trr", "mdanalysis/coordinates/test.trr"];
    let files = ["cell_shapes.trr", "cell_shapes_d.trr"].map(own).into_iter();
    for path in files.chain(more.into_iter().filter_map(shared)) {
        let out = folder.path().join("out.trr");
        write(&out, &whole(&path));
        assert_eq!(whole(&out), whole(&path), "{}", path.display());
        let same = std::fs::read(&out).unwrap() == std::fs::read(&path).unwrap();
        eprintln!("{}: {}", path.display(), if same { "same bytes" } else { "other bytes" });
    }
}

#[test]
fn a_dcd_that_is_written_has_the_frames_of_the_file_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let more =
        ["md/ala2-obc2-300K.dcd", "chemfiles/dcd/water.dcd", "mdanalysis/tip125_tric_C36.dcd"];
    let files = ["mrmd_h2so4-32bit-be.dcd", "fixed-atoms.dcd"].map(own).into_iter();
    for path in files.chain(more.into_iter().filter_map(shared)) {
        let (out, frames) = (folder.path().join("out.dcd"), whole(&path));
        write(&out, &frames);
        let again = whole(&out);
        assert_eq!(again.len(), frames.len());
        for (a, b) in again.iter().zip(&frames) {
            assert_eq!((&a.positions, a.step), (&b.positions, b.step), "{}", path.display());
            let (x, y) = (a.cell.unwrap_or_default(), b.cell.unwrap_or_default());
            assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-4), "{x:?} {y:?}");
        }
    }
}

#[test]
fn frames_of_one_run_in_trr_and_xtc_agree() {
    let (Some(trr), Some(xtc)) = (shared("md/ala2-npt.trr"), shared("md/ala2-npt.xtc")) else {
        return;
    };
    let (full, rounded) = (whole(&trr), whole(&xtc));
    assert_eq!((full.len(), rounded.len()), (201, 1001));
    for (a, b) in full.iter().zip(rounded.iter().step_by(5)) {
        assert_eq!((a.step, a.cell), (b.step, b.cell));
        let (Some(Real::F32(x)), Some(Real::F32(y))) = (&a.positions, &b.positions) else {
            panic!("both are single")
        };
        assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() < 0.000_51));
    }
}

#[test]
fn broken_files_give_their_whole_frames_and_then_a_clear_error() {
    for (name, kind, frames, says) in [
        ("truncated.trr", FormatKind::Trr, 12, "frame 12 (byte 561840): the file ends inside"),
        ("bad-magic.trr", FormatKind::Trr, 0, "frame 0 (byte 0): a frame begins with 1993"),
        ("truncated.dcd", FormatKind::Dcd, 666, "frame 666 (byte "),
    ] {
        let Some(path) = shared(&format!("broken/{name}")) else { continue };
        let (found, end) = read(&mut *formats::open_as(&path, kind).unwrap());
        let error = end.unwrap_err().to_string();
        assert_eq!(found.len(), frames, "{name}: {error}");
        assert!(error.contains(says) && error.contains(name), "{error}");
    }
}

fn import(input: &Path, store: &Path) -> Result<u64> {
    let options = ImportOptions { target: Target::Append, ..ImportOptions::default() };
    let mut importer = Importer::open(vec![input.into()], store, &options)?;
    importer.run(|_| Ok(()))?;
    Ok(importer.imported().frames)
}

#[test]
fn a_file_that_grows_and_one_that_is_compressed_are_imported_frame_for_frame() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cell_shapes.trr", "fixed-atoms.dcd", "mrmd_h2so4-64bit-be.dcd"] {
        let (bytes, frames) = (std::fs::read(own(name)).unwrap(), whole(&own(name)));
        let growing = folder.path().join(name);
        let store = folder.path().join(format!("{name}.vls"));
        let mut added = 0;
        for part in [bytes.len() / 2, bytes.len() - 5, bytes.len()] {
            std::fs::write(&growing, &bytes[..part]).unwrap();
            added += import(&growing, &store).unwrap();
        }
        assert_eq!(added, frames.len() as u64, "{name}");
        let packed = folder.path().join(format!("{name}.gz"));
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&bytes).unwrap();
        std::fs::write(&packed, gz.finish().unwrap()).unwrap();
        assert_eq!(whole(&packed), frames, "{name}");
        let depot = Trajectory::open(&store).unwrap();
        for (ordinal, right) in frames.iter().enumerate() {
            let record = depot.get_at(ordinal as u64).unwrap();
            let found = depot.joined(&record.view().unwrap()).unwrap();
            assert_eq!(&found, right, "{name}, frame {ordinal}");
        }
    }
}
