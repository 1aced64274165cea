#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::*;
use crate::formats::frame_format::Frames;
use crate::formats::gro_lines::begins;
use crate::formats::reader::FrameReader;
use crate::formats::source::Source;
use std::io::Cursor;

const WATER: &str = "\
Two waters t= 10.50000 step= 5250
    6
    1SOL     OW    1   0.126   1.624   1.679  0.1227 -0.0580  0.0434
    1SOL    HW1    2   0.190   1.661   1.747  0.8085  0.3191 -0.7791
    1SOL    HW2    3   0.177   1.568   1.613 -0.9045 -2.6469  1.3180
    2SOL     OW    4   1.275   0.053   0.622  0.2519  0.3140 -0.1734
    2SOL    HW1    5   1.337   0.002   0.680 -1.0641 -1.1349  0.0257
    2SOL    HW2    6   1.326   0.120   0.568  1.9427 -0.8216 -0.0244
   1.82060   1.82060   1.82060
";

fn reader(text: &str) -> Frames<GroReader, Cursor<Vec<u8>>> {
    let source = Source::new(Cursor::new(text.as_bytes().to_vec()), text.len() as u64);
    Frames::new(GroReader::default(), source)
}

fn failed(text: &str) -> String {
    let mut reader = reader(text);
    let mut frame = MdFrame::default();
    loop {
        match reader.next_frame(&mut frame) {
            Ok(true) => {}
            Ok(false) => return String::new(),
            Err(e) => {
                assert_eq!(reader.next_frame(&mut frame).unwrap_err().to_string(), e.to_string());
                assert_eq!(frame, MdFrame::default());
                return e.to_string();
            }
        }
    }
}

#[test]
fn every_column_comes_out() {
    let mut reader = reader(WATER);
    let mut frame = MdFrame::default();
    assert!(reader.topology().is_none() && reader.next_frame(&mut frame).unwrap());
    assert_eq!((frame.nsites, frame.time, frame.step), (6, Some(10.5), Some(5250)));
    let Some(Real::F32(positions)) = &frame.positions else { panic!() };
    assert_eq!((positions.len(), positions[3], positions[17]), (18, 0.190, 0.568));
    let Some(Real::F32(velocities)) = &frame.velocities else { panic!() };
    assert_eq!((velocities.len(), velocities[1], velocities[17]), (18, -0.058, -0.0244));
    assert_eq!(frame.precision, Some(1000.0));
    assert_eq!(frame.cell.unwrap()[4], 1.8206);
    let topology = reader.topology().unwrap();
    assert_eq!(topology.name.as_deref(), Some("Two waters"));
    assert_eq!(topology.names.as_ref().unwrap()[4], "HW1");
    assert_eq!(topology.residues.as_deref(), Some(&[0, 0, 0, 1, 1, 1][..]));
    assert_eq!(topology.residue_ids.as_deref(), Some(&[1, 2][..]));
    assert_eq!(topology.residue_names.as_ref().unwrap()[1], "SOL");
    assert!(!reader.next_frame(&mut frame).unwrap());
}

#[test]
fn frames_of_the_same_atoms_share_one_topology_and_others_do_not() {
    let other = WATER.replace("    2SOL     OW    4", "    2SOL     OX    4");
    let numbered = WATER.replace("     OW    4", "     OW    7");
    let text = [WATER, &numbered, &other].concat() + "\n";
    let mut reader = reader(&text);
    let mut frame = MdFrame::default();
    let mut seen = Vec::new();
    while reader.next_frame(&mut frame).unwrap() {
        seen.push(reader.topology().unwrap().clone());
    }
    assert_eq!(seen.len(), 3);
    assert!(Arc::ptr_eq(&seen[0], &seen[1]) && !Arc::ptr_eq(&seen[1], &seen[2]));
}

#[test]
fn more_decimals_make_wider_columns_and_float64() {
    let text = "t\n1\n    1ALA     CA    1   0.123456789  12.123456789  -3.123456789\n 1 2 3 4 5 6 7 8 9\n";
    let mut frame = MdFrame::default();
    assert!(reader(text).next_frame(&mut frame).unwrap(), "{frame:?}");
    assert_eq!(frame.positions, Some(Real::F64(vec![0.123456789, 12.123456789, -3.123456789])));
    assert_eq!(frame.precision, None);
    assert_eq!((frame.time, &frame.velocities), (None, &None));
    let none = "t\n1\n    1ALA     CA    1   0.123  12.123  -3.123\n 0 0 0\n";
    assert!(reader(none).next_frame(&mut frame).unwrap());
    assert_eq!((frame.cell, frame.pbc), (None, None));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let said = |text: &str, why: &str| {
        let found = failed(text);
        assert!(found.contains(why), "{found}");
    };
    said("t\nx\n", "line 2 (frame 0)");
    said("t\n99999999999\n", "do not fit");
    said("t\n1\n    1ALA     CA    1   0.1\n", "no line of an atom");
    said(&WATER.replace("1.275", "1.2x5"), "line 6 (frame 0)");
    said(&WATER.replace("  0.2519  0.3140 -0.1734", ""), "velocities of this atom");
    said(&WATER.replace("   1.82060   1.82060   1.82060", "   1.82060"), "3 or 9 numbers");
    said(&WATER.replace("    2SOL     OW", "     SOL     OW"), "number of a residue");
    said(&[WATER, WATER].concat()[..700], "(frame 1)");
    assert!(failed(WATER).is_empty());
}

#[test]
fn a_file_is_known_by_its_first_lines() {
    assert!(begins(WATER.as_bytes()));
    for other in ["", "6\n\nO 1.0 2.0 3.0\n", "title\n6\nO 1.0 2.0 3.0\n", "HEADER\nATOM\n"] {
        assert!(!begins(other.as_bytes()), "{other}");
    }
}

#[test]
fn any_frame_can_be_read_again_by_its_place() {
    let text = [WATER, &WATER.replace("10.5", "20.5"), &WATER.replace("10.5", "30.5")].concat();
    let mut reader = reader(&text);
    let places = reader.places().unwrap();
    assert_eq!(places.len(), 3);
    let mut frame = MdFrame::default();
    for (i, time) in [(2, 30.5), (0, 10.5), (1, 20.5)] {
        assert!(reader.go_to(places[i]).unwrap() && reader.next_frame(&mut frame).unwrap());
        assert_eq!(frame.time, Some(time));
    }
}

#[test]
fn atoms_of_a_frame_are_the_same_whether_or_not_the_frames_before_were_read() {
    // The first atoms come again under another title, others twice under two titles.
    let frame = |title: &str, name: &str| {
        format!(
            "{title}\n    1\n    1WAT  {name:>5}    1   0.100   0.200   0.300\n   1.0   1.0   1.0\n"
        )
    };
    let text = frame("one t= 1", "OW")
        + &frame("two t= 2", "HW")
        + &frame("three t= 3", "OW")
        + &frame("four t= 4", "HW");
    let (mut whole, mut into) = (reader(&text), MdFrame::default());
    let mut names = Vec::new();
    for number in 0..4 {
        let place = whole.place();
        assert!(whole.next_frame(&mut into).unwrap());
        let all = whole.topology().cloned().unwrap();
        names.push(all.name.clone().unwrap());
        let mut resumed = reader(&text);
        assert!(resumed.go_to(place).unwrap() && resumed.next_frame(&mut into).unwrap());
        assert_eq!(resumed.topology().unwrap(), &all, "frame {number}");
        let mut passed = reader(&text);
        passed.skip(number).unwrap();
        assert!(passed.next_frame(&mut into).unwrap());
        assert_eq!(passed.topology().unwrap(), &all, "frame {number}, passed");
    }
    assert_eq!(names, ["one", "two", "one", "four"]);
}
