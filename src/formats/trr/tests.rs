#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use super::*;
use crate::formats::frame_format::Frames;
use crate::formats::reader::FrameReader;
use crate::formats::writer::FrameEncoder;
use std::io::Cursor;

fn reader(bytes: &[u8]) -> Frames<TrrReader, Cursor<Vec<u8>>> {
    let source = Source::new(Cursor::new(bytes.to_vec()), bytes.len() as u64);
    Frames::new(TrrReader::default(), source)
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

fn real(double: bool, values: impl Iterator<Item = f32>) -> Real {
    if double {
        Real::F64(values.map(|x| f64::from(x) + 1e-12).collect())
    } else {
        Real::F32(values.collect())
    }
}

/// A frame with chosen parts.
fn frame(double: bool, cell: bool, parts: [bool; 3], number: i64) -> MdFrame {
    let array = |there: bool, from: u8| {
        there.then(|| real(double, (from..from + 6).map(|x| f32::from(x) / 8.0)))
    };
    let [positions, velocities, forces] = parts;
    let cell = cell.then_some([1.0, 0.0, 0.0, 0.25, 2.0, 0.0, -0.5, 0.125, 3.0]);
    let lambda = if double { Real::F64(vec![0.1]) } else { Real::F32(vec![0.1]) };
    MdFrame {
        nsites: 2,
        positions: array(positions, 1),
        velocities: array(velocities, 20),
        forces: array(forces, 40),
        cell,
        pbc: cell.map(|_| [true; 3]),
        step: Some(number),
        time: Some(0.5),
        frame_properties: vec![property("lambda", &[], lambda)],
        ..MdFrame::default()
    }
}

fn mixed() -> (Vec<MdFrame>, Vec<u8>) {
    let mut all = Vec::new();
    for double in [false, true] {
        for bits in 0..16_u8 {
            let parts = [bits & 2 != 0, bits & 4 != 0, bits & 8 != 0];
            if bits != 0 {
                all.push(frame(double, bits & 1 != 0, parts, all.len().try_into().unwrap()));
            }
        }
    }
    let mut bytes = Vec::new();
    for f in &all {
        TrrEncoder.encode(f, &mut bytes).unwrap();
        assert!(TrrEncoder.left_out(f).0.is_empty());
    }
    (all, bytes)
}

#[test]
fn frames_of_all_parts_in_both_precisions_come_back_as_they_were() {
    let (all, bytes) = mixed();
    assert_eq!(frames(&bytes), (all.clone(), None));
    let mut reader = reader(&bytes);
    let places = reader.places().unwrap();
    assert_eq!(places.len(), all.len());
    let mut found = MdFrame::default();
    for (place, right) in places.iter().zip(&all).rev() {
        assert!(reader.go_to(*place).unwrap() && reader.next_frame(&mut found).unwrap());
        assert_eq!(&found, right);
    }
}

#[test]
fn a_file_that_is_cut_gives_its_whole_frames_and_says_where_it_ends() {
    let (all, bytes) = mixed();
    let places = reader(&bytes).places().unwrap();
    for cut in 1..bytes.len() {
        let whole = places.iter().skip(1).filter(|p| p.byte <= cut as u64).count();
        let (found, error) = frames(&bytes[..cut]);
        assert_eq!(found, all[..whole], "cut at {cut}");
        let begins = places[whole].byte;
        match error {
            None => assert_eq!(cut as u64, begins),
            Some(why) => {
                assert!(why.contains(&format!("frame {whole} (byte {begins})")), "{why}");
                assert!(why.contains("cut short"), "{why}");
            }
        }
    }
}

#[test]
fn virial_and_pressure_are_kept_as_properties() {
    let mut bytes = Vec::new();
    TrrEncoder.encode(&frame(false, true, [true, false, false], 7), &mut bytes).unwrap();
    let size = 36_i32.to_be_bytes();
    bytes[START + 12..][..4].copy_from_slice(&size);
    bytes[START + 16..][..4].copy_from_slice(&size);
    let behind_the_box = START + WORDS + 8 + 36;
    let more: Vec<u8> = (0_u8..18).flat_map(|x| f32::from(x).to_be_bytes()).collect();
    bytes.splice(behind_the_box..behind_the_box, more);
    let (found, error) = frames(&bytes);
    assert_eq!(error, None);
    let nine = |from: u8| Real::F32((from..from + 9).map(f32::from).collect());
    assert_eq!(found[0].frame_properties[0], property("virial", &[3, 3], nine(0)));
    assert_eq!(found[0].frame_properties[1], property("pressure", &[3, 3], nine(9)));
    assert_eq!(TrrEncoder.left_out(&found[0]).0, ["virial", "pressure"]);
}

#[test]
fn sizes_that_contradict_each_other_are_refused_with_frame_and_byte() {
    let mut good = Vec::new();
    TrrEncoder.encode(&frame(false, true, [true; 3], 7), &mut good).unwrap();
    let word = |at: usize, value: i32| {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let (found, why) = frames(&bad);
        assert!(found.is_empty());
        why.unwrap()
    };
    for (at, value, says) in [
        (0, 1994, "frame 0 (byte 0): a frame begins with 1993, found 1994"),
        (4, 14, "GMX_trn_file"),
        (START, 4, "since version 3"),
        (START + 8, 40, "40 bytes of box for 2 atoms"),
        (START + 8, 72, "no numbers of one precision"),
        (START + 28, -24, "-24 bytes of positions"),
        (START + 40, -1, "it claims -1 atoms"),
        (START + 40, i32::MAX, "24 bytes of positions for 2147483647 atoms"),
    ] {
        let why = word(at, value);
        assert!(why.contains(says), "{why}");
    }
    // What claims to be large is compared with the file before memory is taken.
    let mut huge = good.clone();
    huge[START + 8..START + 12].fill(0);
    huge[START + 32..START + 40].fill(0);
    let atoms = 178_956_970_i32;
    huge[START + 28..START + 32].copy_from_slice(&(atoms * 12).to_be_bytes());
    huge[START + 40..START + 44].copy_from_slice(&atoms.to_be_bytes());
    let why = frames(&huge).1.unwrap();
    assert!(why.contains("for 178956970 atoms where") && why.contains("cut short"), "{why}");
}

#[test]
fn what_the_format_cannot_hold_is_refused_with_the_field() {
    let good = frame(false, true, [true; 3], 7);
    for (bad, says) in [
        (MdFrame { step: Some(1 << 40), ..good.clone() }, "step"),
        (MdFrame { time: Some(1e300), ..good.clone() }, "time"),
        (MdFrame { nsites: 3, ..good.clone() }, "positions"),
        (MdFrame { nsites: 2, ..MdFrame::default() }, "positions"),
    ] {
        let error = TrrEncoder.encode(&bad, &mut Vec::new()).unwrap_err();
        let Error::Unfit(unfit) = &error else { panic!("{error}") };
        assert_eq!(&*unfit.field, says);
    }
    let more = MdFrame { energy: Some(1.0), types: Some(vec![1, 1]), ..good };
    assert_eq!(TrrEncoder.left_out(&more).0, ["types", "energy"]);
}
