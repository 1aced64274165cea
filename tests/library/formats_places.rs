//! Places in trajectories: whoever knows them reads any frame at once, where the file can be read
//! again, and where it cannot is told so.

use flate2::{Compression, write::GzEncoder};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vlstore::codec::{MdFrame, Topology};
use vlstore::formats::{self, FramePlace, FrameReader, InputOptions, Reach, Sum};

fn files() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    [
        "ala2-npt-peptide.xtc",
        "small.extxyz",
        "cp2k-pos-1.xyz",
        "cell_shapes.trr",
        "cell_shapes_d.trr",
        "fixed-atoms.dcd",
        "mrmd_h2so4-64bit-be.dcd",
        "three-models.pdb",
    ]
    .map(|n| data.join(n))
    .into()
}

fn all(reader: &mut dyn FrameReader) -> Vec<MdFrame> {
    let (mut frames, mut frame) = (Vec::new(), MdFrame::default());
    while reader.next_frame(&mut frame).unwrap() {
        frames.push(frame.clone());
    }
    frames
}

fn at(reader: &mut dyn FrameReader, place: FramePlace) -> Option<MdFrame> {
    let mut frame = MdFrame::default();
    if !reader.go_to(place).unwrap() {
        return None;
    }
    assert_eq!(reader.place(), place);
    assert!(reader.next_frame(&mut frame).unwrap());
    Some(frame)
}

#[test]
fn any_frame_of_a_file_is_read_at_its_place_in_any_order() {
    for path in files() {
        let mut reader = formats::open(&path).unwrap();
        let frames = all(&mut *reader);
        assert!(frames.len() > 1, "{}", path.display());
        assert_eq!(reader.reach(), Reach::Anywhere);
        // Back to the start, which is a place like all others.
        assert!(reader.go_to(FramePlace { byte: 0, frame: 0, line: 0 }).unwrap());
        let places = reader.places().unwrap();
        assert_eq!(places.len(), frames.len());
        let backwards = (0..places.len()).rev();
        for i in backwards.chain([0, places.len() - 1, places.len() / 2]) {
            assert_eq!(at(&mut *reader, places[i]).as_ref(), Some(&frames[i]), "frame {i}");
        }
        // Reading goes on behind the frame to which it went.
        let last = places.len() - 1;
        at(&mut *reader, places[last - 1]).unwrap();
        assert_eq!(all(&mut *reader), frames[last..]);
        let behind = FramePlace { byte: 1 << 40, frame: 0, line: 0 };
        assert!(!reader.go_to(behind).unwrap());
    }
}

#[test]
fn what_is_known_of_a_frame_does_not_depend_on_the_way_to_it() {
    type Known = (FramePlace, Sum, Option<Arc<Topology>>);
    let waters = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/waters.gro");
    for path in files().into_iter().chain([waters]) {
        let (mut known, mut frame) = (Vec::new(), MdFrame::default());
        let mut reader = formats::open(&path).unwrap();
        loop {
            let place = reader.place();
            if !reader.next_frame(&mut frame).unwrap() {
                break;
            }
            known.push((place, reader.tail(), reader.topology().cloned()));
        }
        let again = |reader: &mut dyn FrameReader, (place, tail, topology): &Known| {
            at(reader, *place).unwrap();
            assert_eq!((&reader.tail(), reader.topology()), (tail, topology.as_ref()));
        };
        for known in known.iter().take(6) {
            again(&mut *reader, known);
            again(&mut *formats::open(&path).unwrap(), known);
        }
    }
}

#[test]
fn places_lead_on_after_an_error_and_skip_a_frame_that_is_damaged() {
    let path = &files()[0];
    let places = formats::open(path).unwrap().places().unwrap();
    let frames = all(&mut *formats::open(path).unwrap());
    let mut bytes = std::fs::read(path).unwrap();
    let damaged = usize::try_from(places[3].byte).unwrap();
    bytes[damaged] ^= 0xff; // the magic of the frame
    let copy = tempfile::NamedTempFile::with_suffix(".xtc").unwrap();
    std::fs::write(copy.path(), bytes).unwrap();
    let mut reader = formats::open(copy.path()).unwrap();
    assert_eq!(reader.skip(3).unwrap(), 3);
    let mut frame = MdFrame::default();
    assert!(reader.next_frame(&mut frame).is_err());
    assert!(reader.next_frame(&mut frame).is_err(), "the error repeats");
    assert_eq!(at(&mut *reader, places[4]), Some(frames[4].clone()));
    assert_eq!(at(&mut *reader, places[0]), Some(frames[0].clone()));
}

#[test]
fn what_cannot_be_read_again_leads_forward_alone() {
    for path in files() {
        let frames = all(&mut *formats::open(&path).unwrap());
        let places = formats::open(&path).unwrap().places().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&bytes).unwrap();
        for content in [bytes, gz.finish().unwrap()] {
            let stream = Cursor::new(content);
            let mut reader = formats::read_from(stream, &path, &InputOptions::default()).unwrap();
            assert_eq!(reader.reach(), Reach::Forward, "{}", path.display());
            let last = places.len() - 1;
            assert_eq!(at(&mut *reader, places[last]).as_ref(), Some(&frames[last]));
            assert_eq!(at(&mut *reader, places[0]), None);
        }
    }
}
