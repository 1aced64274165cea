#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "tests may panic"
)]

use super::*;
use crate::codec::Values;
use crate::formats::frame_format::Frames;
use crate::formats::pdb_lines::{begins, number};
use crate::formats::reader::{FramePlace, FrameReader};
use crate::formats::source::Source;
use std::io::Cursor;

const TWO: &str = "\
HEADER    MADE UP
TITLE     Two models t= 2.50000 step= 1250
CRYST1   20.000   30.000   40.000  90.00  90.00  60.00 P 1           1
MODEL        1
ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.50           N
ATOM      2  CA AALA A   1      11.639   6.071  -5.147  0.60  1.50           C
ATOM      3  CA BALA A   1      11.640   6.072  -5.148  0.40  1.50           C
ATOM      4  O   ALA A   1A      1.000   2.000   3.000  1.00  0.00           O1-
TER       5      ALA A   1A
HETATM    6 ZN    ZN B  -5      -1.000  -2.000 999.999  1.00  0.00          ZN2+
ENDMDL
MODEL        2
ATOM      1  N   ALA A   1      12.104   6.134  -6.504  1.00  9.50           N
ATOM      2  CA AALA A   1      11.639   6.071  -5.147  0.60  1.50           C
ATOM      3  CA BALA A   1      11.640   6.072  -5.148  0.40  1.50           C
ATOM      4  O   ALA A   1A      1.000   2.000   3.000  1.00  0.00           O1-
HETATM    6 ZN    ZN B  -5      -1.000  -2.000 999.999  1.00  0.00          ZN2+
ENDMDL
CONECT    1    2    3
CONECT    2    1
CONECT    4    6   99
END
";

fn reader(text: &str) -> Frames<PdbReader, Cursor<Vec<u8>>> {
    let source = Source::new(Cursor::new(text.as_bytes().to_vec()), text.len() as u64);
    Frames::new(PdbReader::default(), source)
}

fn frames(text: &str) -> (Vec<MdFrame>, Option<Arc<Topology>>, Option<String>) {
    let (mut reader, mut all, mut frame) = (reader(text), Vec::new(), MdFrame::default());
    loop {
        match reader.next_frame(&mut frame) {
            Ok(true) => all.push(frame.clone()),
            Ok(false) => return (all, reader.topology().cloned(), None),
            Err(e) => {
                let again = reader.next_frame(&mut frame).unwrap_err().to_string();
                assert_eq!(again, e.to_string());
                return (all, reader.topology().cloned(), Some(again));
            }
        }
    }
}

#[test]
fn every_column_comes_out() {
    assert!(begins(TWO.as_bytes()));
    let (all, topology, error) = frames(TWO);
    assert_eq!((all.len(), error), (2, None));
    let Some(Real::F32(positions)) = &all[1].positions else { panic!("no float32") };
    assert_eq!((positions.len(), positions[0], positions[14]), (15, 12.104, 999.999));
    assert_eq!((all[0].time, all[0].step, all[0].precision), (Some(2.5), Some(1250), Some(1000.0)));
    let cell = all[1].cell.unwrap();
    assert!((cell[3] - 15.0).abs() < 1e-9 && (cell[8] - 40.0).abs() < 1e-9);
    let t = topology.unwrap();
    assert_eq!(t.name.as_deref(), Some("Two models"));
    assert_eq!(t.names.as_deref().unwrap(), ["N", "CA", "CA", "O", "ZN"]);
    assert_eq!(t.types.as_deref(), Some(&[7, 6, 6, 8, 30][..]));
    assert_eq!(t.residues.as_deref(), Some(&[0, 0, 0, 1, 2][..]));
    assert_eq!(t.residue_ids.as_deref(), Some(&[1, 1, -5][..]));
    assert_eq!(t.residue_names.as_deref().unwrap(), ["ALA", "ALA", "ZN"]);
    assert_eq!(t.segments.as_deref(), Some(&[0, 0, 1][..]));
    assert_eq!(t.segment_names.as_deref().unwrap(), ["A", "B"]);
    assert_eq!(t.bonds.as_deref(), Some(&[[0, 1], [0, 2], [3, 4]][..]));
    let values = |name: &str| {
        let found = t.atom_properties.iter().find(|p| p.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).values.clone()
    };
    let texts = |all: [&str; 5]| Values::Str(all.map(String::from).into());
    assert_eq!(values("altloc"), texts(["", "A", "B", "", ""]));
    assert_eq!(values("icode"), texts(["", "", "", "A", ""]));
    assert_eq!(values("formal_charge"), Values::I32(vec![0, 0, 0, -1, 2]));
    assert_eq!(values("hetatm"), Values::Bool(vec![false, false, false, false, true]));
    let occupancy = vec![1.0, 0.6, 0.4, 1.0, 1.0];
    assert_eq!(values("occupancy"), Values::Real(Real::F32(occupancy)));
    let mut reader = reader(TWO);
    assert_eq!(reader.skip(9).unwrap(), 2);
    assert!(reader.go_to(FramePlace::default()).unwrap());
    reader.next_frame(&mut MdFrame::default()).unwrap();
    let note = reader.report().notes()[0].to_string();
    assert!(note.contains("1 bond"), "{note}");
}

#[test]
fn any_frame_is_read_at_its_place() {
    let (all, ..) = frames(TWO);
    let places = reader(TWO).places().unwrap();
    assert_eq!(places.len(), 2);
    for (place, right) in places.iter().zip(&all).rev() {
        let (mut reader, mut found) = (reader(TWO), MdFrame::default());
        assert!(reader.go_to(*place).unwrap() && reader.next_frame(&mut found).unwrap());
        assert_eq!(&found, right);
        assert_eq!(reader.topology().cloned().unwrap().bonds.as_ref().map(Vec::len), Some(3));
    }
}

#[test]
fn files_without_models_elements_chains_or_an_end_are_read() {
    let bare = "ATOM      1  N   ALA     1      11.104   6.134  -6.504\n\
                ATOM      2  CA  ALA     1      12.104   6.134  -6.504\n";
    let (all, topology, error) = frames(bare);
    assert_eq!((all.len(), error, all[0].cell), (1, None, None));
    let t = topology.unwrap();
    assert_eq!((&t.types, &t.segments, &t.bonds), (&None, &None, &None));
    assert!(t.atom_properties.is_empty(), "{:?}", t.atom_properties);
    let two = format!("{bare}END\n{bare}END\nEND\n");
    assert_eq!(frames(&two).0.len(), 2);
    let dummy =
        format!("CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n{bare}");
    assert_eq!(frames(&dummy).0[0].cell, None);
    assert!(frames("REMARK nothing\nEND\n").0.is_empty());
}

#[test]
fn numbers_beyond_their_columns_are_told() {
    for (word, width, value) in [
        ("99999", 5, Some(99_999)),
        ("A0000", 5, Some(100_000)),
        ("ZZZZZ", 5, Some(43_770_015)),
        ("a0000", 5, Some(43_770_016)),
        ("186a0", 5, Some(100_000)),
        ("A000", 4, Some(10_000)),
        ("-999", 4, Some(-999)),
        ("*****", 5, None),
        ("Aa000", 5, None),
        ("", 5, None),
    ] {
        assert_eq!(number(word.as_bytes(), width), value, "{word}");
    }
    let many = "ATOM  99999  N   ALA A9999      11.104   6.134  -6.504\n\
                ATOM  A0000  CA  ALA AA000      12.104   6.134  -6.504\n\
                ATOM 100001  CB  ALA AA000      12.104   6.134  -6.504\n\
                CONECTA000099999\nEND\n";
    let t = frames(many).1.unwrap();
    assert_eq!(t.residue_ids.as_deref(), Some(&[9_999, 10_000][..]));
    assert_eq!((t.bonds.as_deref(), t.nsites), (Some(&[[0, 1]][..]), 3));
}

#[test]
fn what_is_wrong_is_said_with_line_and_frame() {
    for (from, to, says) in [
        ("11.104", "1l.104", "line 5 (frame 0): columns 31 to 54"),
        ("  90.00  60.00", "  90.00  sixty", "CRYST1 has three lengths"),
        ("  90.00  60.00", "   9.00 160.00", "no parallelepiped"),
        ("ALA A   1 ", "ALA A   x ", "residue of atom 0"),
        ("ENDMDL\nMODEL", "MODEL", "line 11 (frame 0): MODEL comes before"),
    ] {
        assert!(TWO.contains(from), "{from}");
        let why = frames(&TWO.replacen(from, to, 1)).2.unwrap_or_else(|| panic!("{from}"));
        assert!(why.contains(says), "{why}");
    }
    let cut = TWO.find("ENDMDL\nCONECT").unwrap();
    let (all, _, error) = frames(&TWO[..cut]);
    let why = error.unwrap();
    assert!(all.len() == 1 && why.contains("after 5 atoms and before ENDMDL"), "{why}");
}

#[test]
fn a_cell_behind_the_first_frame_is_not_its_own_also_where_the_file_can_be_looked_through() {
    let cell = "CRYST1   20.000   30.000   40.000  90.00  90.00  60.00 P 1           1\n";
    let atom = "ATOM      1  N   ALA     1      11.104   6.134  -6.504\n";
    let text = format!("{atom}END\n{cell}{atom}END\n{atom}END\n");
    let (all, _, error) = frames(&text);
    assert_eq!((all.len(), error), (3, None));
    let stated = all[1].cell;
    assert!(stated.is_some());
    let mut streamed = crate::formats::read_from(
        Cursor::new(text.into_bytes()),
        "stream".as_ref(),
        &crate::formats::InputOptions::of(Some(FormatKind::Pdb)),
    )
    .unwrap();
    let mut frame = MdFrame::default();
    // A frame that states none has that of the first one.
    for (there, expected) in all.iter().zip([None, stated, None]) {
        assert_eq!(there.cell, expected);
        assert!(streamed.next_frame(&mut frame).unwrap());
        assert_eq!(&frame, there);
    }
}

#[test]
fn atoms_of_a_frame_are_the_same_whether_or_not_the_frames_before_were_read() {
    let atom = |name, factor| {
        format!("ATOM      1  {name}   ALA     1      11.104   6.134  -6.504  1.00  {factor}\n")
    };
    let (n, o, other) = (atom("N", "1.00"), atom("O", "1.00"), atom("O", "2.00"));
    // The first atoms come again under another title, others twice under two titles.
    let text = format!(
        "TITLE     one t= 1\n{n}END\nTITLE     two t= 2\n{o}END\nTITLE     three t= 3\n{n}END\n\
         TITLE     four t= 4\n{o}END\n{other}END\n{other}END\n"
    );
    let open = || reader(&text);
    let (mut whole, mut frame) = (open(), MdFrame::default());
    let mut names = Vec::new();
    for number in 0..6 {
        let place = whole.place();
        assert!(whole.next_frame(&mut frame).unwrap());
        let all = whole.topology().cloned().unwrap();
        names.push(all.name.clone().unwrap_or_default());
        let mut resumed = open();
        assert!(resumed.go_to(place).unwrap() && resumed.next_frame(&mut frame).unwrap());
        assert_eq!(resumed.topology().unwrap(), &all, "frame {number}");
        let mut passed = reader(&text);
        passed.skip(number).unwrap();
        assert!(passed.next_frame(&mut frame).unwrap());
        assert_eq!(passed.topology().unwrap(), &all, "frame {number}, passed");
    }
    assert_eq!(names, ["one", "two", "one", "four", "", ""]);
}
