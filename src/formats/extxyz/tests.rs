use super::*;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::error::Error;
use crate::formats::frame_format::Frames;
use crate::formats::names::NameMap;
use crate::formats::reader::FrameReader;
use crate::formats::source::Source;
use crate::formats::writer::FrameEncoder;
use std::io::Cursor;

fn reader(text: &[u8]) -> Frames<ExtXyzReader, Cursor<&[u8]>> {
    let source = Source::new(Cursor::new(text), text.len() as u64);
    Frames::new(ExtXyzReader::new(NameMap::default()), source)
}

fn frames(text: &[u8]) -> (Vec<MdFrame>, Option<Error>) {
    let (mut all, mut r, mut f) = (Vec::new(), reader(text), MdFrame::default());
    loop {
        match r.next_frame(&mut f) {
            Ok(true) => all.push(f.clone()),
            Ok(false) => return (all, None),
            Err(e) => return (all, Some(e)),
        }
    }
}

fn one(text: &str) -> MdFrame {
    let (mut all, end) = frames(text.as_bytes());
    assert!(end.is_none() && all.len() == 1, "{end:?}");
    all.remove(0)
}

fn written(frames: &[MdFrame]) -> Vec<u8> {
    let (mut e, mut out) = (ExtXyzEncoder::default(), Vec::new());
    for f in frames {
        e.encode(f, &mut out).unwrap();
    }
    out
}

fn extra<'a>(f: &'a MdFrame, name: &str) -> (&'a [u32], &'a Values) {
    let all = f.frame_properties.iter().chain(&f.atom_properties);
    let p = all.into_iter().find(|p| p.name == name).unwrap();
    (&p.shape, &p.values)
}

const MIXED: &str = r#"2
Lattice="4 0 0 1 5 0 0 0 6" Properties=species:S:1:pos:R:3:force:R:3:tag:I:1:fixed:L:2:label:S:1 energy=-3.25 stress="1 2 3 4 5 6 7 8 9" virial={9 8 7 6 5 4 3 2 1} pbc="T F T" step=12 time=0.5 time_unit=fs note="a \"b\" c" cutoff = 4.5 flags=[T,F] have_it ids="1 2 3" big=123456789012345678901 REF_energy=nan table="_JSON [[1.5, NaN], [3, 4]]" obj="_JSON {\"a\": 1}" five="_JSON \"5\"" empty="" name=water
O 0.1 -2e-3 3 1 2 3 7 T F a
H 1 2 3 4 5 6 -8 F T b
"#;

#[test]
fn every_key_and_column_has_its_place() {
    let f = one(MIXED);
    assert_eq!((f.nsites, f.types.as_deref()), (2, Some(&[8, 1][..])));
    assert_eq!(f.positions, Some(Real::F64(vec![0.1, -2e-3, 3.0, 1.0, 2.0, 3.0])));
    assert_eq!(f.forces, Some(Real::F64(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
    assert_eq!(f.cell, Some([4.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0, 0.0, 6.0]));
    assert_eq!((f.pbc, f.step, f.time), (Some([true, false, true]), Some(12), Some(0.5)));
    assert_eq!((f.energy, f.name.as_deref()), (Some(-3.25), Some("water")));
    // In the file a matrix stands column by column.
    assert_eq!(f.stress, Some([1.0, 4.0, 7.0, 2.0, 5.0, 8.0, 3.0, 6.0, 9.0]));
    let virial = vec![9.0, 6.0, 3.0, 8.0, 5.0, 2.0, 7.0, 4.0, 1.0];
    let empty: &[u32] = &[];
    let text = |t: &str| Values::Str(vec![t.into()]);
    for (name, shape, values) in [
        ("virial", &[3, 3][..], Values::Real(Real::F64(virial))),
        ("note", empty, text("a \"b\" c")),
        ("cutoff", empty, Values::Real(Real::F64(vec![4.5]))),
        ("flags", &[2], Values::Bool(vec![true, false])),
        ("have_it", empty, Values::Bool(vec![true])),
        ("ids", &[3], Values::I64(vec![1, 2, 3])),
        ("big", empty, text("123456789012345678901")),
        ("obj", empty, text("_JSON {\"a\": 1}")),
        ("five", empty, text("5")),
        ("empty", empty, text("")),
        ("tag", empty, Values::I64(vec![7, -8])),
        ("fixed", &[2], Values::Bool(vec![true, false, false, true])),
        ("label", empty, Values::Str(vec!["a".into(), "b".into()])),
    ] {
        assert_eq!(extra(&f, name), (shape, &values), "{name}");
    }
    let Values::Real(Real::F64(table)) = extra(&f, "table").1 else { panic!("no numbers") };
    assert!(table[1].is_nan() && extra(&f, "table").0 == [2, 2]);
    // The columns come out under their own names and in their own order.
    let out = String::from_utf8(written(std::slice::from_ref(&f))).unwrap();
    assert!(out.contains(" Properties=species:S:1:pos:R:3:force:R:3:tag:I:1:fixed:L:2:label:S:1 "));
    assert_eq!(format!("{:?}", one(&out)), format!("{f:?}"));
}

#[test]
fn a_label_that_is_no_element_costs_its_own_site_alone() {
    let text = "3\nProperties=species:S:1:pos:R:3\nFE 0 0 0\nC_alpha 1 1 1\nd 2 2 2\n\
                2\nProperties=species:S:1:pos:R:3\nCl 0 0 0\nX 1 1 1\n\
                1\nProperties=species:S:1:pos:R:3\nQ 0 0 0\n";
    let mut r = reader(text.as_bytes());
    let mut f = MdFrame::default();
    assert!(r.next_frame(&mut f).unwrap());
    assert_eq!(f.types, Some(vec![26, 0, 0]));
    let labels = ["Fe", "C_alpha", "d"].map(String::from);
    assert_eq!(extra(&f, "species").1, &Values::Str(labels.into()));
    assert_eq!(one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()), f);
    assert!(r.next_frame(&mut f).unwrap());
    assert_eq!((f.types.as_deref(), f.atom_properties.len()), (Some(&[17, 0][..]), 0));
    assert!(r.next_frame(&mut f).unwrap());
    let report = r.report();
    let [note] = report.notes() else { panic!("{report:?}") };
    assert_eq!(
        note.to_string(),
        "3 sites of type 0: the label is not an element; the labels are kept as atom property species \
         (first: line 4 (frame 0): `C_alpha`)"
    );
}

#[test]
fn types_come_from_symbols_in_any_case_from_numbers_and_from_isotopes() {
    for (text, types) in [
        ("2\nenergy=-1\nNa 0 0 0\nCL 0 0 1\n", [11, 17]),
        ("2\nProperties=symbols:S:1:positions:R:3\nc 0 0 0\nhE 0 0 1\n", [6, 2]),
        ("2\nProperties=numbers:I:1:pos:R:3\n6 0 0 0\n8 0 0 1\n", [6, 8]),
        ("2\nProperties=Z:I:1:species:S:1:pos:R:3\n8 O 0 0 0\n1 D 0 0 1\n", [8, 1]),
        ("2\nProperties=species:S:1:Z:I:1:pos:R:3\nC1 6 0 0 0\nC2 6 0 0 1\n", [6, 6]),
        ("2\nProperties=species:S:1:pos:R:3\nD 0 0 0\nO 0 0 1\n", [1, 8]),
        ("2\n\n6 0 0 0\nO 0 0 1\n", [6, 8]),
    ] {
        let f = one(text);
        assert_eq!(f.types.as_deref(), Some(&types[..]), "{text}");
        assert_eq!(f.positions.as_ref().map(Real::len), Some(6), "{text}");
        assert_eq!(
            one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()),
            f,
            "{text}"
        );
        assert!(reader(text.as_bytes()).report().notes().is_empty());
    }
    let f = one("1\nProperties=numbers:I:1:pos:R:3:mass:R:1\n6 0 0 0 12\n");
    let out = String::from_utf8(written(std::slice::from_ref(&f))).unwrap();
    assert!(out.contains("Properties=numbers:I:1:pos:R:3:mass:R:1"), "{out}");
    let k = MdFrame { types: Some(vec![1000, -4]), nsites: 2, ..MdFrame::default() };
    assert_eq!(one(&String::from_utf8(written(&[k])).unwrap()).types, Some(vec![1000, -4]));
}

#[test]
fn a_time_is_a_time_where_its_unit_is_known() {
    for (line, step, time, left) in [
        // CP2K, in femtoseconds.
        (" i =        5, time =        2.500, E =       -17.16", Some(5), Some(2.5), &["E"][..]),
        ("time=2.5 time_unit=fs energy=1", None, Some(2.5), &[]),
        ("energy=1 time=2.5", None, None, &["time"]),
        ("time=2.5 time_unit=ps", None, None, &["time", "time_unit"]),
        ("time=\"1 2\" time_unit=fs", None, None, &["time", "time_unit"]),
        ("Time=2.5 Timestep=3", None, None, &["Time", "Timestep"]),
        ("i=5 time=2.5 E=1", None, None, &["i", "time", "E"]),
        ("step=3", Some(3), None, &[]),
    ] {
        let f = one(&format!("1\n{line}\nH 0 0 0\n"));
        let names: Vec<_> = f.frame_properties.iter().map(|p| &*p.name).collect();
        assert_eq!((f.step, f.time, &names[..]), (step, time, left), "{line}");
        assert_eq!(
            one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()),
            f,
            "{line}"
        );
    }
}

#[test]
fn cells_and_stresses_are_read_in_every_form() {
    let of = |line: &str| one(&format!("1\nProperties=species:S:1:pos:R:3 {line}\nH 0 0 0\n"));
    let square = [5.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 5.0];
    for line in [
        "Lattice=\"5 0 0 0 5 0 0 0 5\"",
        "Lattice=[[5, 0, 0], [0, 5, 0], [0, 0, 5]]",
        "Lattice={5 0 0 0 5 0 0 0 5}",
        "Lattice=[5,0,0,0,5,0,0,0,5]",
        "Lattice=\"5.0 5D0 5\"",
    ] {
        assert_eq!(of(line).cell, Some(square), "{line}");
        assert_eq!(of(line).pbc, Some([true; 3]), "{line}");
    }
    for pbc in ["[T, T, F]", "\"T T F\"", "{true True FALSE}", "\"1 1 0\""] {
        assert_eq!(of(&format!("pbc={pbc}")).pbc, Some([true, true, false]), "{pbc}");
    }
    let full = [1.0, 6.0, 5.0, 6.0, 2.0, 4.0, 5.0, 4.0, 3.0];
    for stress in ["\"1 6 5 6 2 4 5 4 3\"", "[[1, 6, 5], [6, 2, 4], [5, 4, 3]]", "[1,2,3,4,5,6]"] {
        let f = of(&format!("stress={stress}"));
        assert_eq!((f.stress, f.frame_properties.len()), (Some(full), 0), "{stress}");
    }
    // Nested lists are rows, flat ones stand column by column; where this matters it is said.
    let text = "1\nLattice=[[1, 2, 3], [0, 5, 6], [0, 0, 9]] stress=[[1, 2, 3], [0, 5, 6], [0, 0, 9]]\nH 0 0 0\n";
    let mut r = reader(text.as_bytes());
    let mut f = MdFrame::default();
    assert!(r.next_frame(&mut f).unwrap());
    let rows = [1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 0.0, 0.0, 9.0];
    assert_eq!((f.cell, f.stress), (Some(rows), Some(rows)));
    assert!(r.report().notes()[0].to_string().contains("rows are taken as the cell vectors"));
}

#[test]
fn a_known_name_of_another_shape_is_a_property_and_is_said() {
    let text = "2\nProperties=species:S:1:pos:R:3:forces:R:2:charge:I:1 energy=high stress=5\n\
                H 0 0 0 1 2 3\nH 0 0 1 4 5 6\n";
    let mut r = reader(text.as_bytes());
    let mut f = MdFrame::default();
    assert!(r.next_frame(&mut f).unwrap());
    assert_eq!((f.energy, f.stress, &f.forces, &f.charges), (None, None, &None, &None));
    assert_eq!(extra(&f, "forces").0, [2]);
    assert_eq!(extra(&f, "charge").1, &Values::I64(vec![3, 6]));
    assert_eq!(extra(&f, "energy").1, &Values::Str(vec!["high".into()]));
    let said: Vec<_> = r.report().notes().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        said.iter()
            .all(|s| s.contains("in 1 frame; it is kept as a property (first: line 2 (frame 0))"))
    );
    assert_eq!(one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()), f);
}

#[test]
fn names_can_be_mapped_onto_fields() {
    let map = |pairs: &[(&str, &str)]| NameMap::new(pairs.iter().copied()).unwrap();
    let read = |text: &str, pairs: &[(&str, &str)]| {
        let source = Source::new(Cursor::new(text.as_bytes()), text.len() as u64);
        let mut r = Frames::new(ExtXyzReader::new(map(pairs)), source);
        let mut f = MdFrame::default();
        r.next_frame(&mut f).map(|_| (f, r.report()))
    };
    let text = "2\nProperties=species:S:1:pos:R:3:REF_forces:R:3:q:I:1:forces:R:3 REF_energy=-2 dft_energy=-3 Time=5 energy=7\n\
                H 0 0 0 1 2 3 4 0 0 0\nH 0 0 1 4 5 6 5 0 0 0\n";
    let (f, report) = read(
        text,
        &[
            ("REF_energy", "energy"),
            ("energy", "property:old_energy"),
            ("REF_forces", "forces"),
            ("forces", "property:old_forces"),
            ("q", "charges"),
            ("Time", "time"),
            ("nothing", "stress"),
        ],
    )
    .unwrap();
    assert_eq!((f.energy, f.time), (Some(-2.0), Some(5.0)));
    assert_eq!(f.forces, Some(Real::F64(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
    assert_eq!(f.charges, Some(Real::F64(vec![4.0, 5.0])));
    assert_eq!(extra(&f, "old_energy").1, &Values::I64(vec![7]));
    assert_eq!(extra(&f, "old_forces").0, [3]);
    assert_eq!(extra(&f, "dft_energy").1, &Values::I64(vec![-3]));
    assert_eq!(report.unmatched().collect::<Vec<_>>(), ["nothing"]);
    assert_eq!(one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()), f);
    for (pairs, says) in [
        (&[("REF_energy", "energy")][..], "`REF_energy` and `energy` both stand for energy"),
        (&[("REF_energy", "energy"), ("dft_energy", "energy")], "both stand for energy"),
        (&[("REF_forces", "forces")], "`REF_forces` and `forces` both stand for forces"),
        (&[("REF_forces", "masses")], "mapped onto masses, but is R:3 instead of R:1"),
        (&[("REF_energy", "stress")], "mapped onto stress, but is an integer"),
        (&[("REF_energy", "cell")], "it is an integer, not nine numbers"),
        (&[("dft_energy", "name")], "mapped onto name, but is an integer"),
    ] {
        let why = read(text, pairs).unwrap_err().to_string();
        assert!(why.contains(says) && why.contains("line 2 (frame 0)"), "{pairs:?}: {why}");
    }
}

#[test]
fn a_line_of_keys_is_told_from_a_title() {
    for (line, energy, comment) in [
        ("energy=1.5 converged", Some(1.5), false),
        ("converged energy=1.5", Some(1.5), false),
        ("step 5 T=300", None, true),
        ("Step = 5 Energy = 3 kcal", None, false),
        ("it's the Lattice of NaCl, a=5", None, true),
        ("", None, false),
    ] {
        let f = one(&format!("1\n{line}\nH 0 0 0\n"));
        assert_eq!(f.energy, energy, "{line}");
        let title = f.frame_properties.iter().find(|p| p.name == "comment");
        assert_eq!(title.is_some(), comment, "{line}");
    }
}

#[test]
fn more_keys_than_a_frame_holds_are_told_with_their_place() {
    let line = |n: usize| (0..n).map(|i| format!("k{i}={i}")).collect::<Vec<_>>().join(" ");
    let f = one(&format!("1\n{}\nH 0 0 0\n", line(300)));
    assert_eq!(f.frame_properties.len(), 300);
    assert_eq!(one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()), f);
    let text = format!("1\n\nH 0 0 0\n1\n{}\nH 0 0 0\n", line(4097));
    let error = frames(text.as_bytes()).1.unwrap().to_string();
    assert!(error.contains("line 5 (frame 1): 4097 keys") && error.contains("4096"), "{error}");
}

#[test]
fn a_plain_file_keeps_its_title_and_its_further_columns() {
    let f =
        one("  2 \r\nA title = of 2 words, \"x\r\n C 1 2 3 0.5 q\r\n\tH\t4 5 6 1 r\r\n\r\n  \r\n");
    assert_eq!(extra(&f, "comment").1, &Values::Str(vec!["A title = of 2 words, \"x".into()]));
    assert_eq!(extra(&f, "column5").1, &Values::Real(Real::F64(vec![0.5, 1.0])));
    assert_eq!(extra(&f, "column6").1, &Values::Str(vec!["q".into(), "r".into()]));
    assert_eq!(f.cell, None);
    assert_eq!(one(&String::from_utf8(written(std::slice::from_ref(&f))).unwrap()), f);
    let g = one("0\nenergy=1.5\n");
    assert_eq!((g.nsites, g.energy), (0, Some(1.5)));
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    for (text, says) in [
        ("-5\n\n", "line 1 (frame 0): a frame cannot have -5 atoms"),
        ("99999999999999999999\n\n", "line 1 (frame 0): 99999999999999999999 atoms do not fit"),
        ("1000000\n\nH 0 0 0\n", "line 1 (frame 0): 1000000 atoms do not fit in the 9 bytes"),
        ("1\n\nH 0 0 0\nVEC1 4 0 0\n", "line 4 (frame 1): cell vectors in lines of their own"),
        ("x\n", "line 1 (frame 0): `x` is not a number of atoms"),
        ("1.5\n", "`1.5` is not a number of atoms"),
        ("2\n\nH 0 0 0\nH 0 0\n", "line 4 (frame 0): the line ends before column `pos`"),
        ("2\n\nH 0 0 0\nH 0 0 0 1\n", "line 4 (frame 0): `1` follows after the last column"),
        ("3\n\nH 0 0 0\nH 0 0 0\n", "line 4 (frame 0): the file ends here, after 2 of 3 atoms"),
        (
            "1\n\nH 0 0 0\n1\n\nH 0 1.2.3 0",
            "line 6 (frame 1): `1.2.3` in column `pos` is not a number",
        ),
        ("1\nProperties=a:I:1\n1.0\n", "`1.0` in column `a` is not an integer"),
        ("1\nProperties=a:L:1\nyes\n", "`yes` in column `a` is not T or F"),
        ("1\nProperties=a:R\n1\n", "line 2 (frame 0): Properties ends after `a`"),
        ("1\nProperties=a:F:1\n1\n", "has type `F`"),
        ("1\nProperties=a:R:0\n1\n", "has width `0`"),
        ("1\nProperties=a:R:x\n1\n", "has width `x`"),
        ("1\nProperties=a:R:4000000000\n1\n", "the line ends before column `a`"),
        ("1\nProperties=a:R:1:a:R:1\n1 2\n", "`a` is named twice"),
        ("1\nLattice=\"1 2\"\nH 0 0 0\n", "key `Lattice`: it is 2 integers, not nine numbers"),
        ("1\nLattice=cubic\nH 0 0 0\n", "key `Lattice`: it is the text `cubic`, not nine numbers"),
        ("1\na=1e400\nH 0 0 0\n", "line 2 (frame 0): key `a`: `1e400` is above 1.8e308"),
        ("1\na=[[1,2],[3]]\nH 0 0 0\n", "line 2 (frame 0): key `a`: lists of 2 and of 1 values"),
        ("1\n\nH 0 1e400 0\n", "line 3 (frame 0): `1e400` in column `pos` is above 1.8e308"),
        ("1\n\nH 0 0 0 1e400\n", "a number in column `column5` is above 1.8e308"),
        ("1\nenergy=1 note=\"open\nH 0 0 0\n", "`\"` is missing"),
        ("1\nLattice=\"1 2 3\nH 0 0 0\n", "`\"` is missing"),
        ("1\npbc=maybe\nH 0 0 0\n", "key `pbc`: it is not three"),
        ("1\na=1 a=2\nH 0 0 0\n", "`a` occurs twice"),
        ("1\nProperties=Z:I:1\n4000000000\n", "does not fit 32 bits"),
        ("1\n", "line 1 (frame 0): the file ends before the line of keys"),
    ] {
        let error = frames(text.as_bytes()).1.map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(says), "{text:?} gives {error:?}, not {says:?}");
    }
    let error = frames(b"1\n\xff\nH 0 0 0\n").1.unwrap().to_string();
    assert!(error.contains("line 2 (frame 0): this line is not UTF-8"), "{error}");
}

#[test]
fn an_error_stays_and_leaves_no_part_of_a_frame() {
    let mut r = reader(b"1\n\nH 0 0 0\n2\n\nH 0 0 0\n");
    let mut f = MdFrame::default();
    assert!(r.next_frame(&mut f).unwrap());
    let first = r.next_frame(&mut f).unwrap_err().to_string();
    assert_eq!(f, MdFrame::default());
    assert_eq!(r.next_frame(&mut f).unwrap_err().to_string(), first);
}

#[test]
fn skipping_lands_on_the_same_frame_as_reading() {
    let text = [MIXED, "\n1\n\nHe 0 0 0\n", MIXED, "9\n\nH 0 0 0"].concat();
    let mut r = reader(text.as_bytes());
    assert_eq!(r.skip(1).unwrap(), 1);
    let mut f = MdFrame::default();
    assert!(r.next_frame(&mut f).unwrap());
    assert_eq!(f.types, Some(vec![2]));
    assert!(r.skip(2).unwrap_err().to_string().contains("line 13 (frame 3): 9 atoms do not fit"));
    assert!(r.next_frame(&mut f).is_err());
    assert_eq!(reader(MIXED.as_bytes()).skip(7).unwrap(), 1);
    assert!(reader(b"3\n\nH 0 0 0\nH 0 0 0\n").skip(1).unwrap_err().to_string().contains("2 of 3"));
}

#[test]
fn what_text_cannot_hold_is_refused_with_a_reason() {
    let p = |name: &str, values| Property { name: name.into(), shape: Vec::new(), values };
    let base = MdFrame { nsites: 1, types: Some(vec![1]), energy: Some(1.0), ..MdFrame::default() };
    let shaped = |shape: &[u32]| Property { shape: shape.into(), ..p("a", Values::I64(vec![])) };
    let empty = MdFrame { nsites: usize::MAX, ..MdFrame::default() };
    assert!(ExtXyzEncoder::default().encode(&empty, &mut Vec::new()).is_err());
    for (atom, frame, says) in [
        (None, Some(shaped(&[u32::MAX, 0])), "cannot be written"),
        (None, Some(shaped(&[0; 9])), "cannot be written"),
        (Some(p("a b", Values::I64(vec![1]))), None, "name of a column"),
        (Some(p("a", Values::I64(vec![1, 2]))), None, "a: found 2 values for 1 sites"),
        (
            Some(p("a", Values::Str(vec!["b c".into()]))),
            None,
            "a of site 0 (counted from 0): \"b c\"",
        ),
        (None, Some(p("energy", Values::I64(vec![1]))), "cannot be a key"),
        (None, Some(p("a", Values::I64(vec![1, 2]))), "a: found 2 values for shape []"),
    ] {
        let mut f = base.clone();
        f.atom_properties.extend(atom);
        f.frame_properties.extend(frame);
        let error = ExtXyzEncoder::default().encode(&f, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_cut_at_any_byte_and_any_flipped_bit_are_safe() {
    let text = [MIXED, MIXED].concat();
    let whole = frames(text.as_bytes()).0;
    for cut in 0..text.len() {
        let (read, end) = frames(&text.as_bytes()[..cut]);
        assert_eq!(
            read.len(),
            cut / MIXED.len() + usize::from(cut % MIXED.len() >= MIXED.len() - 1),
            "{cut}: {end:?}"
        );
        assert_eq!(format!("{read:?}"), format!("{:?}", &whole[..read.len()]));
        assert_eq!(end.is_none(), [0, MIXED.len() - 1, MIXED.len(), text.len() - 1].contains(&cut));
    }
    for bit in 0..MIXED.len() * 8 {
        let mut bytes = MIXED.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (read, end) = frames(&bytes);
        assert!(end.is_some() || !read.is_empty());
    }
}

mod any {
    use super::*;
    use proptest::prelude::*;

    fn values(n: usize, words: &'static str) -> BoxedStrategy<Values> {
        prop_oneof![
            prop::collection::vec(any::<i64>(), n).prop_map(Values::I64),
            prop::collection::vec(any::<f64>(), n).prop_map(|v| Values::Real(Real::F64(v))),
            prop::collection::vec(any::<bool>(), n).prop_map(Values::Bool),
            prop::collection::vec(words, n).prop_map(Values::Str),
        ]
        .boxed()
    }

    fn frame_property() -> BoxedStrategy<Property> {
        let shape = prop::collection::vec(1_u32..4, 0..4);
        ("[a-zA-Z_ =\"\\\\é]{1,6}9", shape)
            .prop_flat_map(|(name, shape)| {
                let n = shape.iter().product::<u32>() as usize;
                (
                    Just(name),
                    Just(shape),
                    values(n, "\\PC*|[\\x00-\\x7f]{0,8}|[0-9.eE+-]{1,4}|[TF \\\\\",]{0,4}"),
                )
            })
            .prop_map(|(name, shape, values)| Property { name, shape, values })
            .boxed()
    }

    fn atom_property(n: usize) -> BoxedStrategy<Property> {
        ("[a-zA-Z_]{1,6}9", 1_u32..4)
            .prop_flat_map(move |(name, w)| {
                (Just(name), Just(w), values(n * w as usize, "[^\\s\\pC]{1,5}"))
            })
            .prop_map(|(name, w, values)| Property {
                name,
                shape: if w > 1 { vec![w] } else { vec![] },
                values,
            })
            .boxed()
    }

    fn real(n: usize) -> BoxedStrategy<Option<Real>> {
        prop::option::of(prop::collection::vec(any::<f64>(), n).prop_map(Real::F64)).boxed()
    }

    fn unique(mut all: Vec<Property>) -> Vec<Property> {
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|p| seen.insert(p.name.clone()));
        all
    }

    fn frame() -> BoxedStrategy<MdFrame> {
        (0_usize..6)
            .prop_flat_map(|n| {
                (
                    prop::collection::vec(0_i32..119, n),
                    (real(3 * n), real(3 * n), real(3 * n), real(n), real(n)),
                    any::<(Option<i64>, Option<f64>, Option<f64>)>(),
                    any::<(Option<[f64; 9]>, Option<[f64; 9]>, [bool; 3])>(),
                    prop::option::of("\\PC*"),
                    prop::collection::vec(atom_property(n), 0..3),
                    prop::collection::vec(frame_property(), 0..4),
                )
            })
            .prop_map(|(types, reals, numbers, cell, name, of_atoms, of_frame)| MdFrame {
                name,
                nsites: types.len(),
                types: Some(types),
                positions: reals.0,
                velocities: reals.1,
                forces: reals.2,
                masses: reals.3,
                charges: reals.4,
                step: numbers.0,
                time: numbers.1,
                energy: numbers.2,
                cell: cell.0,
                stress: cell.1,
                pbc: Some(cell.2),
                precision: None,
                atom_properties: unique(of_atoms),
                frame_properties: unique(of_frame),
                topology: None,
            })
            .boxed()
    }

    proptest! {
        #[test]
        fn frames_that_are_written_are_read_back_equal(all in prop::collection::vec(frame(), 1..4)) {
            let text = written(&all);
            let (read, end) = frames(&text);
            prop_assert!(end.is_none(), "{:?} in {}", end, String::from_utf8_lossy(&text));
            prop_assert_eq!(format!("{:?}", read), format!("{all:?}"));
        }

        #[test]
        fn any_text_is_safe(text in "(\\PC|[0-9\n \"=T{\\[\\\\]){0,200}", bytes: Vec<u8>) {
            let _ = frames(text.as_bytes());
            let _ = frames(&bytes);
            let _ = frames(&[&b"1\n"[..], &bytes, b"\nH 0 0 0\n"].concat());
        }
    }
}
