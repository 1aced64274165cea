//! XTC files of others: what we read is what a second reader reads, and they come out again.

use crate::common::shared;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use vlstore::codec::{MdFrame, Real};
use vlstore::formats::{self, FormatKind, FrameReader, OutputOptions};
use vlstore::{Error, Result};

fn xtc_files() -> Vec<PathBuf> {
    let mut all =
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ala2-npt-peptide.xtc")];
    for folder in ["md", "chemfiles/xtc", "mdanalysis", "mdanalysis/coordinates", "mdtraj"] {
        let Some(folder) = shared(folder) else { continue };
        let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        all.extend(files.filter(|p| p.extension().is_some_and(|e| e == "xtc")));
    }
    all
}

fn read(reader: &mut dyn FrameReader) -> (Vec<MdFrame>, Result<()>) {
    let mut all = Vec::new();
    let mut f = MdFrame::default();
    loop {
        match reader.next_frame(&mut f) {
            Ok(true) => all.push(f.clone()),
            Ok(false) => return (all, Ok(())),
            Err(e) => return (all, Err(e)),
        }
    }
}

#[test]
fn positions_box_step_and_time_are_those_of_a_second_reader() {
    for path in xtc_files() {
        assert_eq!(formats::detect(&path).unwrap(), FormatKind::Xtc);
        let (ours, end) = read(&mut *formats::open(&path).unwrap());
        end.unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let theirs = molly::XTCReader::new(Cursor::new(bytes)).read_all_frames().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{}", path.display());
        for (a, b) in ours.iter().zip(&theirs) {
            let Some(Real::F32(positions)) = &a.positions else { panic!("no float32") };
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(positions), bits(&b.positions), "{}", path.display());
            assert_eq!(a.cell.unwrap_or_default(), b.boxvec.map(f64::from));
            assert_eq!(a.pbc, a.cell.map(|_| [true; 3]));
            assert_eq!(a.step, Some(b.step.cast_signed().into()));
            assert_eq!(a.time, Some(b.time.into()));
            match a.precision {
                Some(p) => assert_eq!(p, b.precision),
                None => assert!(a.nsites <= 9),
            }
        }
    }
}

#[test]
fn export_reads_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    for path in xtc_files() {
        let (frames, _) = read(&mut *formats::open(&path).unwrap());
        let out = folder.path().join("out.xtc");
        let mut w = formats::create(
            &out,
            FormatKind::Xtc,
            &OutputOptions::default(),
            vlstore::Existing::Replace,
        )
        .unwrap();
        for f in &frames {
            w.write(f).unwrap();
        }
        w.finish().unwrap();
        let (again, end) = read(&mut *formats::open(&out).unwrap());
        end.unwrap();
        assert!(again == frames, "{}", path.display());
        let same = std::fs::read(&out).unwrap() == std::fs::read(&path).unwrap();
        let theirs = molly::XTCReader::open(&out).unwrap().read_all_frames().unwrap();
        assert_eq!(theirs.len(), frames.len());
        for (a, b) in theirs.iter().zip(&frames) {
            assert_eq!(Some(Real::F32(a.positions.clone())), b.positions, "{}", path.display());
        }
        eprintln!("{}: {}", path.display(), if same { "same bytes" } else { "other bytes" });
    }
}

#[test]
fn broken_files_give_their_whole_frames_and_then_a_clear_error() {
    for (name, whole, says) in [
        ("truncated-mid-frame.xtc", 20, "): the file ends inside"),
        ("truncated-in-header.xtc", 5, "): the file ends inside the header"),
        ("natoms-changed.xtc", 3, "): it claims 23 atoms in its header and 22"),
        ("negative-natoms.xtc", 0, "): it claims -5 atoms"),
        ("huge-natoms.xtc", 0, "): it claims 2147483647 atoms"),
        ("bad-magic.xtc", 0, "): a frame begins with 1995 or 2023, found 1994"),
    ] {
        let Some(path) = shared(&format!("broken/{name}")) else {
            continue;
        };
        let (frames, end) = read(&mut *formats::open_as(&path, FormatKind::Xtc).unwrap());
        let error = end.unwrap_err().to_string();
        assert_eq!(frames.len(), whole, "{name}: {error}");
        let at = format!("frame {whole} (byte ");
        assert!(error.contains(&at) && error.contains(says) && error.contains(name), "{error}");
    }
    if let Some(path) = shared("broken/bitflip-payload.xtc") {
        let (good, _) =
            read(&mut *formats::open(&shared("md/ala2-npt-peptide.xtc").unwrap()).unwrap());
        let (frames, end) = read(&mut *formats::open(&path).unwrap());
        assert_eq!(frames[..2], good[..2]);
        eprintln!("bitflip-payload.xtc: {} frames, {end:?}", frames.len());
        assert!(end.is_err() || frames[3..] == good[3..]);
    }
}

#[test]
fn what_is_no_trajectory_is_refused_with_a_reason() {
    for (name, says) in [
        ("broken/zero-byte.xtc", "empty"),
        ("broken/text-renamed.xtc", "named as xtc, but it is text"),
        ("broken/bad-magic.xtc", "1995 or 2023, this one with 1994"),
        ("broken/bad-magic.trr", "begins with the number 1993"),
        ("broken/truncated.db", "SQLite"),
        ("broken/truncated-half.vlstore", "Blosc2"),
        ("mdanalysis/cu.h5md", "HDF5 (H5MD, MDTraj or PyTables)"),
        ("asedb/fairchem-cattsunami.traj", "ASE .traj"),
        ("asedb/mptrj-150.aselmdb", "LMDB"),
        ("mdanalysis/amber/posfor.ncdf", "NetCDF"),
        ("md", "folder"),
    ] {
        let Some(path) = shared(name) else { continue };
        let error = formats::detect(&path).unwrap_err();
        assert!(matches!(error, Error::File { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
    for name in [
        "mdanalysis/cu.h5md",
        "mdanalysis/amber/posfor.ncdf",
        "mdanalysis/lammps/image_vf.lammpstrj",
        "asedb/fairchem-cattsunami.traj",
        "asedb/mptrj-150.db",
        "asedb/mptrj-150.aselmdb",
    ] {
        let Some(path) = shared(name) else { continue };
        let says = formats::detect(&path).unwrap_err().to_string();
        assert!(
            says.contains("the Python package reads it, `python -m vlstore import INPUT STORE`"),
            "{says}"
        );
    }
    if let Some(path) = shared("broken/xtc-renamed.vlstore") {
        assert_eq!(formats::detect(&path).unwrap(), FormatKind::Xtc);
    }
}

/// What libmdaxdr of MDAnalysis 2.11 reads from the file, as the sum over all coordinates of
/// their bits times their place, counted from 1, modulo 2^64.
const PEPTIDE_BITS: u64 = 0x204f_b5b2_3dbd_dfc3;

#[test]
fn the_file_in_the_repository_reads_as_the_library_of_mdanalysis_reads_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ala2-npt-peptide.xtc");
    let (frames, end) = read(&mut *formats::open(&path).unwrap());
    end.unwrap();
    let mut sum = 0_u64;
    let mut place = 0_u64;
    for f in &frames {
        let Some(Real::F32(v)) = &f.positions else { panic!("no float32") };
        for x in v {
            place += 1;
            sum = sum.wrapping_add(place.wrapping_mul(x.to_bits().into()));
        }
    }
    assert_eq!((frames.len(), place, sum), (1001, 66066, PEPTIDE_BITS));
    let last = frames.last().unwrap();
    assert_eq!((last.step, last.time), (Some(50_000), Some(100.0)));
    let (a, b, c) = (2.668_855_f32, 1.334_427_5_f32, 1.887_170_7_f32);
    let cell = [a, 0.0, 0.0, 0.0, a, 0.0, b, b, c].map(f64::from);
    assert_eq!((last.cell, last.precision), (Some(cell), Some(1000.0)));
}

#[test]
fn a_frame_that_does_not_fit_leaves_the_writer_usable() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.xtc");
    let options = OutputOptions::default().with_precision(100.0);
    let mut w =
        formats::create(&out, FormatKind::Xtc, &options, vlstore::Existing::Refuse).unwrap();
    let mut f = MdFrame {
        nsites: 10,
        positions: Some(Real::F64(vec![0.126; 30])),
        energy: Some(1.0),
        ..MdFrame::default()
    };
    w.write(&f).unwrap();
    f.step = Some(i64::MAX);
    let error = w.write(&f).unwrap_err().to_string();
    assert!(error.contains("out.xtc") && error.contains("step"), "{error}");
    assert_eq!(w.left_out(), ["energy"]);
    assert!(!out.exists());
    w.finish().unwrap();
    let (frames, end) = read(&mut *formats::open(&out).unwrap());
    end.unwrap();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].positions, Some(Real::F32(vec![13.0 * (1.0 / 100.0); 30])));
    let again = formats::create(&out, FormatKind::Xtc, &options, vlstore::Existing::Refuse);
    assert!(matches!(again.map(|_| ()).unwrap_err().root(), Error::Exists { .. }));
}
