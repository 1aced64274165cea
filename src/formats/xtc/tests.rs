use super::*;
use crate::formats::frame_format::Frames;
use crate::formats::reader::FrameReader;
use crate::formats::writer::{FrameEncoder, OutputOptions};
use std::io::Cursor as Bytes;

const PEPTIDE: &[u8] = include_bytes!("../../../tests/data/ala2-npt-peptide.xtc");

fn reader(bytes: &[u8]) -> Frames<XtcReader, Bytes<&[u8]>> {
    let source = Source::new(Bytes::new(bytes), bytes.len() as u64);
    Frames::new(XtcReader::default(), source)
}

fn frames(bytes: &[u8]) -> (Vec<MdFrame>, Option<Error>) {
    let (mut all, mut r) = (Vec::new(), reader(bytes));
    loop {
        let mut f = MdFrame::default();
        match r.next_frame(&mut f) {
            Ok(true) => all.push(f),
            Ok(false) => return (all, None),
            Err(e) => return (all, Some(e)),
        }
    }
}

fn bytes_of(frames: &[MdFrame]) -> Vec<u8> {
    let mut e = XtcEncoder::new(&OutputOptions::default()).unwrap();
    let mut out = Vec::new();
    for f in frames {
        e.encode(f, &mut out).unwrap();
    }
    out
}

#[test]
fn a_real_file_is_read_to_its_end_and_written_to_the_same_bytes() {
    let (all, end) = frames(PEPTIDE);
    assert!(end.is_none(), "{end:?}");
    assert_eq!(all.len(), 1001);
    assert_eq!(all[0].precision, Some(1000.0));
    assert_eq!(bytes_of(&all), PEPTIDE);
}

#[test]
fn skipping_lands_on_the_same_frame_as_reading() {
    let mut r = reader(PEPTIDE);
    assert_eq!(r.skip(500).unwrap(), 500);
    let mut f = MdFrame::default();
    assert!(r.next_frame(&mut f).unwrap());
    assert_eq!(f, frames(PEPTIDE).0[500]);
    assert_eq!(r.skip(u64::MAX).unwrap(), 500);
    assert!(!r.next_frame(&mut f).unwrap());
    assert_eq!(r.progress(), (172_000, 172_000));
}

#[test]
fn a_cut_at_any_byte_gives_whole_frames_then_an_error_that_stays() {
    let (all, _) = frames(PEPTIDE);
    let mut ends = vec![0];
    ends.extend(all.iter().scan(0, |at, f| {
        *at += bytes_of(std::slice::from_ref(f)).len();
        Some(*at)
    }));
    for cut in 0..ends[5] + 10 {
        let whole = ends.iter().filter(|e| **e > 0 && **e <= cut).count();
        let mut r = reader(&PEPTIDE[..cut]);
        let mut f = MdFrame::default();
        for expected in &all[..whole] {
            assert!(r.next_frame(&mut f).unwrap());
            assert_eq!(&f, expected);
        }
        if ends.contains(&cut) {
            assert!(!r.next_frame(&mut f).unwrap());
        } else {
            let first = r.next_frame(&mut f).unwrap_err().to_string();
            let at = format!("XTC, frame {whole} (byte {}): ", ends[whole]);
            assert!(first.starts_with(&at), "{first}");
            assert_eq!(r.next_frame(&mut f).unwrap_err().to_string(), first);
            assert_eq!(f, MdFrame::default());
        }
    }
}

#[test]
fn no_flipped_bit_of_two_frames_costs_more_than_an_error() {
    let (all, _) = frames(PEPTIDE);
    let two = bytes_of(&all[..2]);
    let mut seen = 0;
    for bit in 0..two.len() * 8 {
        let mut bytes = two.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (read, end) = frames(&bytes);
        assert!(read.len() <= 2 && read.iter().all(|f| f.positions.as_ref().unwrap().len() == 66));
        assert!(end.is_some() || read.len() == 2);
        seen += usize::from(end.is_some());
        // Skipping sees the headers only, and must be as safe.
        let _ = reader(&bytes).skip(10);
    }
    // What is not seen changes a box, a time or a coordinate within its range.
    assert!(seen * 3 > two.len() * 8, "{seen} of {} flips were seen", two.len() * 8);
}

fn frame(atoms: usize, positions: Real, precision: Option<f32>) -> MdFrame {
    let positions = Some(positions);
    MdFrame { nsites: atoms, positions, precision, ..MdFrame::default() }
}

fn encoded(f: &MdFrame) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    XtcEncoder::new(&OutputOptions::default())?.encode(f, &mut out)?;
    Ok(out)
}

#[test]
fn claimed_sizes_are_refused_before_they_cost_memory() {
    let whole = encoded(&frame(10, Real::F32(vec![0.5; 30]), Some(1000.0))).unwrap();
    let patched = |at: &[usize], word: i32| {
        let mut bytes = whole.clone();
        for at in at {
            bytes[*at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        frames(&bytes).1.unwrap().to_string()
    };
    for (at, word, what) in [
        (&[0][..], 1994, "found 1994"),
        (&[4], 11, "11 atoms in its header and 10"),
        (&[4, 52], -5, "claims -5 atoms"),
        (&[4, 52], i32::MAX, "atoms in"),
        (&[56], 0x7fc0_0000, "precision of NaN"),
        (&[56], 0, "precision of 0"),
        (&[60], i32::MAX, "go from"),
        (&[72], i32::MIN, "go from"),
        (&[84], 8, "small size is number 8"),
        (&[84], 74, "small size is number 74"),
        (&[84], -1, "small size is number -1"),
        (&[88], -1, "claims -1 bytes"),
        (&[88], i32::MAX, "cut short"),
    ] {
        let error = patched(at, word);
        assert!(error.contains(what), "{error} does not say {what}");
    }
}

#[test]
fn frames_of_the_wide_kind_are_read_like_others() {
    let f = frame(12, Real::F32((0_u8..36).map(f32::from).collect()), Some(100.0));
    let mut bytes = encoded(&f).unwrap();
    bytes[..4].copy_from_slice(&2023_i32.to_be_bytes());
    bytes.splice(88..88, [0; 4]);
    let (read, end) = frames(&bytes);
    assert!(end.is_none(), "{end:?}");
    assert_eq!(read[0].positions, f.positions);
    assert_eq!(reader(&bytes).skip(9).unwrap(), 1);
}

/// The widespread C library begins one past the end of its table when all atoms are farther
/// apart than the largest size; we refused its files.
#[test]
fn atoms_farther_apart_than_the_largest_size_are_read() {
    let far = (0_u8..10).flat_map(|i| [f32::from(i) * 20_000.0, 0.0, 0.0]);
    let f = frame(10, Real::F32(far.collect()), Some(1000.0));
    let mut bytes = encoded(&f).unwrap();
    assert_eq!(bytes[84..88], 72_i32.to_be_bytes());
    bytes[84..88].copy_from_slice(&73_i32.to_be_bytes());
    let (read, end) = frames(&bytes);
    assert!(end.is_none(), "{end:?}");
    assert_eq!(read[0].positions, f.positions);
}

#[test]
fn what_xtc_cannot_hold_is_refused_with_a_reason() {
    let good = frame(10, Real::F32(vec![0.5; 30]), Some(1000.0));
    let mut nan = vec![0.5; 30];
    nan[29] = f32::NAN;
    for (bad, what) in [
        (frame(10, Real::F32(nan), Some(1000.0)), "positions of site 9 (counted from 0): z is NaN"),
        (frame(10, Real::F32(vec![3e6; 30]), Some(1000.0)), "x is 3000000, too far from 0"),
        (frame(10, Real::F32(vec![3e6; 30]), Some(1000.0)), "set a precision of 100 or less"),
        (frame(10, Real::F32(vec![3e20; 30]), Some(1000.0)), "leave the frame out"),
        (frame(2, Real::F64(vec![1e300; 6]), None), "site 0 (counted from 0): 1e300 is greater"),
        (frame(10, Real::F32(vec![0.5; 30]), None), "precision: XTC rounds positions"),
        (frame(10, Real::F32(vec![0.5; 29]), Some(1.0)), "29 numbers for 10 sites"),
        (MdFrame { step: Some(1 << 31), ..good.clone() }, "step: 2147483648"),
        (MdFrame { time: Some(1e39), ..good.clone() }, "time: 1e39"),
        (MdFrame { positions: None, ..good }, "positions: there are none"),
    ] {
        let error = encoded(&bad).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    assert!(XtcEncoder::new(&OutputOptions::default().with_precision(-1.0)).is_err());
}

mod any {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_that_have_the_precision_come_back(
            atoms in 0_usize..40,
            scale in 0_u32..31,
            precision in prop::sample::select(vec![1.0_f32, 10.0, 100.0, 1000.0, 123.4, 1e6]),
            seed in prop::collection::vec(any::<i32>(), 120),
            walk: bool,
            step: i32,
            time: f32,
            cell: [f32; 9],
        ) {
            let limit = (1_i64 << scale) - 1;
            let mut at = [0_i64; 3];
            let mut positions = Vec::new();
            for n in seed.iter().take(atoms * 3) {
                let axis = positions.len() % 3;
                let d = i64::from(*n) % (limit + 1);
                at[axis] = if walk { (at[axis] + d / 64).clamp(-limit / 2, limit / 2) } else { d / 2 };
                positions.push(at[axis] as f32 * (1.0 / precision));
            }
            let mut f = frame(atoms, Real::F32(positions), (atoms > 9).then_some(precision));
            f.step = Some(step.into());
            f.time = Some(time.into());
            f.cell = Some(cell.map(f64::from));
            f.pbc = Some([true; 3]);
            let (read, end) = frames(&encoded(&f).unwrap());
            prop_assert!(end.is_none(), "{:?}", end);
            if cell.iter().all(|x| *x == 0.0) {
                (f.cell, f.pbc) = (None, None);
            }
            // NaN is not equal to itself; compare as written.
            prop_assert_eq!(format!("{:?}", read[0]), format!("{f:?}"));
        }

        #[test]
        fn any_bytes_after_a_good_magic_are_safe(tail: Vec<u8>, atoms in 0_i32..100, small in 9_i32..73) {
            let mut bytes = Vec::new();
            for word in [1995, atoms, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, atoms] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(1000_f32.to_be_bytes());
            for word in [-9, -9, -9, 9, 9, 9, small, i32::try_from(tail.len()).unwrap()] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(&tail);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let (read, _) = frames(&bytes);
            prop_assert!(read.len() <= 1 + bytes.len() / 56);
        }
    }
}
