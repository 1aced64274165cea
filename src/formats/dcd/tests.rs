#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use super::*;
use crate::error::Error;
use crate::formats::frame_format::Frames;
use crate::formats::reader::FrameReader;
use crate::formats::writer::FrameEncoder;
use std::io::Cursor;

fn reader(bytes: &[u8]) -> Frames<DcdReader, Cursor<Vec<u8>>> {
    let source = Source::new(Cursor::new(bytes.to_vec()), bytes.len() as u64);
    Frames::new(DcdReader::default(), source)
}

fn frames(bytes: &[u8]) -> (Vec<MdFrame>, Option<String>) {
    let (mut reader, mut all, mut frame) = (reader(bytes), Vec::new(), MdFrame::default());
    loop {
        match reader.next_frame(&mut frame) {
            Ok(true) => all.push(frame.clone()),
            Ok(false) => return (all, None),
            Err(e) => {
                let again = reader.next_frame(&mut frame).unwrap_err().to_string();
                assert_eq!(again, e.to_string());
                return (all, Some(again));
            }
        }
    }
}

/// A file of another program, in any of the forms.
struct Form {
    little: bool,
    wide: bool,
    name: &'static [u8; 4],
    words: [i32; 20],
    atoms: i32,
    free: Vec<i32>,
    out: Vec<u8>,
}

impl Form {
    fn new(little: bool, wide: bool) -> Self {
        let mut words = [0; 20];
        (words[0], words[1], words[2], words[19]) = (4, 100, 50, 24);
        words[9] = 0.5_f32.to_bits().cast_signed();
        Self { little, wide, name: b"CORD", words, atoms: 3, free: vec![], out: vec![] }
    }

    fn word(&self, x: i32) -> [u8; 4] {
        if self.little { x.to_le_bytes() } else { x.to_be_bytes() }
    }

    fn record(&mut self, body: &[u8]) {
        let length = body.len() as u64;
        let mark = match (self.little, self.wide) {
            (true, true) => length.to_le_bytes().to_vec(),
            (false, true) => length.to_be_bytes().to_vec(),
            _ => self.word(i32::try_from(length).unwrap()).to_vec(),
        };
        self.out.extend(&mark);
        self.out.extend(body);
        self.out.extend(&mark);
    }

    fn begin(&mut self) {
        let mut body = self.name.to_vec();
        body.extend(self.words.iter().flat_map(|w| self.word(*w)));
        self.record(&body);
        let mut body = self.word(1).to_vec();
        body.extend([b' '; 80]);
        self.record(&body);
        let atoms = self.word(self.atoms);
        self.record(&atoms);
        if !self.free.is_empty() {
            let body: Vec<u8> = self.free.iter().flat_map(|w| self.word(*w)).collect();
            self.record(&body);
        }
    }

    fn axis(&mut self, values: &[f32]) {
        let body: Vec<u8> =
            values.iter().flat_map(|x| self.word(x.to_bits().cast_signed())).collect();
        self.record(&body);
    }

    fn cell(&mut self, six: [f64; 6]) {
        let little = self.little;
        let body = six.iter().flat_map(|x| if little { x.to_le_bytes() } else { x.to_be_bytes() });
        let body: Vec<u8> = body.collect();
        self.record(&body);
    }
}

/// Four frames of three atoms.
fn file(little: bool, wide: bool) -> Vec<u8> {
    let mut form = Form::new(little, wide);
    form.words[10] = 1;
    form.begin();
    for number in 0..4_u8 {
        form.cell([20.0, 0.0, 30.0, 0.0, 0.0, 40.0]);
        for axis in 0..3_u8 {
            form.axis(&[0, 1, 2].map(|atom| f32::from(number * 9 + atom * 3 + axis)));
        }
    }
    form.out
}

#[test]
fn both_orders_of_bytes_and_both_widths_of_lengths_read_the_same() {
    let mut first = None;
    for (little, wide) in [(true, false), (false, false), (true, true), (false, true)] {
        let bytes = file(little, wide);
        let (all, error) = frames(&bytes);
        assert_eq!(error, None);
        let values = (9..18_u8).map(f32::from).collect();
        assert_eq!(all[1].positions, Some(Real::F32(values)));
        assert_eq!(all[1].step, Some(150));
        assert!((all[1].time.unwrap() - 150.0 * 0.5 * 0.048_888_21).abs() < 1e-9);
        assert_eq!(all[1].cell, Some([20.0, 0.0, 0.0, 0.0, 30.0, 0.0, 0.0, 0.0, 40.0]));
        assert_eq!(all.len(), 4);
        assert_eq!(*first.get_or_insert_with(|| all.clone()), all);
        let mut reader = reader(&bytes);
        let places = reader.places().unwrap();
        let mut found = MdFrame::default();
        for (place, right) in places.iter().zip(&all).rev() {
            assert!(reader.go_to(*place).unwrap() && reader.next_frame(&mut found).unwrap());
            assert_eq!(&found, right);
        }
    }
}

#[test]
fn fixed_atoms_are_those_of_the_first_frame_wherever_reading_begins() {
    let mut form = Form::new(true, false);
    (form.words[8], form.free) = (2, vec![2]);
    form.begin();
    (0..3).for_each(|axis| form.axis(&[1.0, 2.0, 3.0].map(|x: f32| x + 10.0 * axis as f32)));
    for number in 1..4_u8 {
        (0..3).for_each(|_| form.axis(&[f32::from(number) * 100.0]));
    }
    let (all, error) = frames(&form.out);
    assert_eq!((all.len(), error), (4, None));
    let right = vec![1.0, 11.0, 21.0, 300.0, 300.0, 300.0, 3.0, 13.0, 23.0];
    assert_eq!(all[3].positions, Some(Real::F32(right)));
    let places = reader(&form.out).places().unwrap();
    for (place, right) in places.iter().zip(&all) {
        let (mut reader, mut found) = (reader(&form.out), MdFrame::default());
        assert!(reader.go_to(*place).unwrap() && reader.next_frame(&mut found).unwrap());
        assert_eq!(&found, right);
    }
    for (free, says) in [(4, "atom 4 of those"), (0, "atom 0 of those")] {
        let mut form = Form::new(true, false);
        (form.words[8], form.free) = (2, vec![free]);
        form.begin();
        let why = frames(&form.out).1.unwrap();
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn velocities_a_fourth_coordinate_and_the_time_of_x_plor_are_read() {
    let mut form = Form::new(false, false);
    form.name = b"VELD";
    form.words[11] = 1;
    form.begin();
    (0..4).for_each(|axis| form.axis(&[axis as f32; 3]));
    let (all, _) = frames(&form.out);
    assert_eq!((&all[0].positions, all[0].velocities.as_ref().map(Real::len)), (&None, Some(9)));
    let w =
        Property { name: "w".into(), shape: vec![], values: Values::Real(Real::F32(vec![3.0; 3])) };
    assert_eq!(all[0].atom_properties, [w]);

    let mut form = Form::new(true, false);
    let half = 0.5_f64.to_le_bytes();
    form.words[9] = i32::from_le_bytes(*half.first_chunk().unwrap());
    form.words[10] = i32::from_le_bytes(*half.last_chunk().unwrap());
    form.words[19] = 0;
    form.begin();
    (0..3).for_each(|_| form.axis(&[1.0; 3]));
    let (all, error) = frames(&form.out);
    assert_eq!((all.len(), error, all[0].cell), (1, None, None));
    assert!((all[0].time.unwrap() - 100.0 * 0.5 * 0.048_888_21).abs() < 1e-9);
}

#[test]
fn a_file_that_is_cut_gives_its_whole_frames_and_says_so() {
    let bytes = file(true, false);
    let (all, _) = frames(&bytes);
    let places = reader(&bytes).places().unwrap();
    let header = reader(&bytes).places().map(|_| 92 + 92 + 12).unwrap();
    for cut in 1..bytes.len() {
        let whole = places.iter().skip(1).filter(|p| p.byte <= cut as u64).count();
        let (found, error) = frames(&bytes[..cut]);
        assert_eq!(found, all[..whole], "cut at {cut}");
        let between = cut == header || (whole > 0 && cut as u64 == places[whole].byte);
        match error {
            None => assert!(between, "cut at {cut}"),
            Some(why) => assert!(why.contains("cut short") || cut < 12, "{why}"),
        }
    }
    // A cut between frames is no error, and is said.
    let mut short = reader(&bytes[..usize::try_from(places[3].byte).unwrap()]);
    assert_eq!(short.skip(9).unwrap(), 3);
    let note = short.report().notes()[0].to_string();
    assert!(note.contains("1 frame fewer than the 4"), "{note}");
}

#[test]
fn lengths_that_contradict_each_other_are_refused_with_frame_and_byte() {
    let good = file(true, false);
    let word = |at: usize, value: i32| {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        frames(&bad)
    };
    let frame = 92 + 92 + 12;
    for (at, value, whole, says) in [
        (0, 85, 0, "begins with the length 84"),
        (88, 85, 0, "does not end with the length 84"),
        (92 + 92 + 4, -3, 0, "it claims -3 atoms"),
        (92 + 92 + 4, i32::MAX, 0, "has 12 bytes, not 8589934588"),
        (8 + 32, 4, 0, "4 fixed atoms of 3"),
        (frame, 40, 0, "unit cell at byte 196 has 40 bytes, not 48"),
        (frame + 56 + 60 + 56, 16, 1, "frame 1 (byte 312): the record of the x coordinates"),
        (frame + 56 + 16, 16, 0, "begins with the length 12 and ends with 16"),
        (8 + 48, 1, 0, "fluctuating"),
    ] {
        let (found, why) = word(at, value);
        let why = why.unwrap_or_else(|| panic!("{says}: no error"));
        assert!(found.len() == whole && why.contains(says), "{why}");
    }
}

fn written(all: &[MdFrame]) -> Vec<u8> {
    let (mut encoder, mut out) = (DcdEncoder::default(), Vec::new());
    for frame in all {
        encoder.encode(frame, &mut out).unwrap();
    }
    for patch in encoder.finish(&mut out).unwrap() {
        let at = usize::try_from(patch.at).unwrap();
        out[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
    }
    out
}

#[test]
fn what_was_read_is_written_and_read_again() {
    let (all, _) = frames(&file(false, true));
    for part in [&all[..], &all[..1], &all[1..]] {
        let (again, error) = frames(&written(part));
        assert_eq!((again.as_slice(), error), (part, None));
    }
    assert_eq!(frames(&written(&[])), (vec![], None));
    // As the form in which it is written.
    let mut own = file(true, false);
    let ours = written(&all);
    assert_eq!(ours[8..12], own[8..12], "number of frames");
    own[20..24].copy_from_slice(&250_i32.to_le_bytes());
    assert_eq!(ours[..92], own[..92]);
}

#[test]
fn what_the_format_cannot_hold_is_refused_or_said() {
    let (all, _) = frames(&file(true, false));
    let good = &all[0];
    let turned = [0.0, 20.0, 0.0, 30.0, 0.0, 0.0, 0.0, 0.0, 40.0];
    for (bad, says) in [
        (MdFrame { positions: None, ..good.clone() }, "positions"),
        (MdFrame { step: Some(1 << 40), ..good.clone() }, "step"),
        (MdFrame { cell: Some(turned), ..good.clone() }, "cell"),
        (
            MdFrame { nsites: 1, positions: Some(Real::F32(vec![0.0; 3])), ..good.clone() },
            "positions",
        ),
        (MdFrame { positions: Some(Real::F64(vec![1e300; 9])), ..good.clone() }, "positions"),
    ] {
        let mut encoder = DcdEncoder::default();
        let mut out = Vec::new();
        encoder.encode(good, &mut out).unwrap();
        let error = encoder.encode(&bad, &mut out).unwrap_err();
        let Error::Unfit(unfit) = &error else { panic!("{error}") };
        assert_eq!(&*unfit.field, says);
    }
    let mut encoder = DcdEncoder::default();
    encoder.encode(&MdFrame { cell: None, ..good.clone() }, &mut Vec::new()).unwrap();
    assert!(encoder.encode(good, &mut Vec::new()).is_err(), "a cell where the first has none");

    let mut encoder = DcdEncoder::default();
    for frame in &all {
        encoder.encode(frame, &mut Vec::new()).unwrap();
        assert!(encoder.left_out(frame).0.is_empty());
    }
    let late = MdFrame { step: Some(7), time: Some(99.0), energy: Some(1.0), ..good.clone() };
    encoder.encode(&late, &mut Vec::new()).unwrap();
    assert_eq!(encoder.left_out(&late).0, ["energy", "step", "time"]);
}
