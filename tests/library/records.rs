//! Records of trajectory frames: what was put in comes out, records of the original program are
//! read as they are, and no bytes whatever do harm.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sha2::Digest as _;
use vlstore::Error;
use vlstore::codec::{
    AnyCodec, Codec, MdFrame, MdFrameCodec, MdFrameView, Property, Real, RealView, Values, aligned,
};
use vlstore::wire::{AlignedBuf, Digest};

fn encoded(frame: &MdFrame) -> AlignedBuf {
    let mut out = Vec::new();
    let encoded = MdFrameCodec.encode(frame, &mut out).unwrap();
    assert_eq!(encoded.weight as usize, frame.nsites);
    AlignedBuf::copy_of(&out).unwrap()
}

/// NaN is not equal to itself, so frames are compared by what they print.
fn same(a: &MdFrame, b: &MdFrame) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn property(name: &str, shape: &[u32], values: Values) -> Property {
    Property { name: name.into(), shape: shape.into(), values }
}

/// Every field, every kind of property, few sites.
fn full() -> MdFrame {
    MdFrame {
        name: Some("wasser äöü".into()),
        nsites: 2,
        types: Some(vec![8, -1]),
        masses: Some(Real::F32(vec![15.999, 1.008])),
        positions: Some(Real::F64(vec![0.1, 0.2, 0.3, f64::MIN_POSITIVE, -0.0, 1e300])),
        velocities: Some(Real::F32(vec![1.0; 6])),
        forces: Some(Real::F64(vec![-1.5; 6])),
        charges: Some(Real::F64(vec![-0.8, 0.4])),
        step: Some(i64::MIN),
        time: Some(0.0),
        cell: Some([1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0]),
        pbc: Some([true, false, true]),
        energy: Some(-76.4),
        stress: Some([f64::NAN; 9]),
        precision: Some(1000.0),
        atom_properties: vec![
            property("residue", &[], Values::Str(vec!["HOH".into(), String::new()])),
            property("tag", &[], Values::I32(vec![1, 2])),
            property("dipole", &[3], Values::Real(Real::F32(vec![0.5; 6]))),
            property("fixed", &[], Values::Bool(vec![true, false])),
        ],
        frame_properties: vec![
            property("virial", &[3, 3], Values::Real(Real::F64(vec![2.5; 9]))),
            property("config", &[], Values::Str(vec!["a".into()])),
            property("serial", &[], Values::I64(vec![i64::MAX])),
            property("none", &[0], Values::Bool(vec![])),
        ],
        topology: Some(Digest::of(b"water")),
    }
}

#[test]
fn every_field_comes_back_in_its_width() {
    let bytes = encoded(&full());
    let view = MdFrameCodec.decode(&bytes).unwrap();
    assert!(same(&view.to_owned(), &full()));
    assert!(matches!(view.positions(), Some(RealView::F64(_))));
    assert!(matches!(view.velocities(), Some(RealView::F32(_))));
    assert_eq!(MdFrameCodec.weight(&bytes).unwrap(), 2);
    let mut again = Vec::new();
    MdFrameCodec.encode_ref(view.fields(), &mut again).unwrap();
    assert_eq!(*again, *bytes);
}

#[test]
fn an_empty_frame_is_a_frame() {
    let frame = MdFrame::default();
    let bytes = encoded(&frame);
    assert!(bytes.len() < 64);
    assert_eq!(MdFrameCodec.decode(&bytes).unwrap().to_owned(), frame);
    let frame = MdFrame {
        name: Some(String::new()),
        positions: Some(Real::F64(vec![])),
        ..MdFrame::default()
    };
    assert_eq!(MdFrameCodec.decode(&encoded(&frame)).unwrap().to_owned(), frame);
}

#[test]
fn a_record_is_shown_as_json_with_every_digit() {
    let text = MdFrameCodec.describe(&encoded(&full())).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["name"], "wasser äöü");
    assert_eq!(json["step"], i64::MIN);
    assert_eq!(json["positions"]["dtype"], "float64");
    assert_eq!(json["positions"]["shape"], serde_json::json!([2, 3]));
    assert_eq!(json["positions"]["data"][3], f64::MIN_POSITIVE);
    assert_eq!(json["stress"][0], "NaN");
    assert_eq!(json["atom_properties"][2]["shape"], serde_json::json!([2, 3]));
    assert_eq!(json["frame_properties"][2]["data"][0], i64::MAX);
    assert_eq!(json.get("velocities64"), None);
}

/// The records that the original program wrote, and the SHA-256 of the arrays as it reads them.
#[test]
fn records_of_the_original_are_read_unchanged() {
    let masses = "c5e1b8dfb997bacadbf3ac4de4277a2a45986cdd87b11564126a672af7890483";
    let cases = [
        (
            include_bytes!("../data/original_frame_0.bin"),
            "frame_0",
            "335b4ab9a07d345c9d10052bcef9abedaf2eacbb76a7eff5d1bdd720c5417bde",
            "9c54c9451a7cb29c684c73f18392e8bc9120162b8917b87a9a8e2959322f9f10",
        ),
        (
            include_bytes!("../data/original_frame_1.bin"),
            "frame_1",
            "864c619eab6d114ce12a07f0754a3a670bd9c49bff260f25702986b2386c2f7d",
            "5f5268e88c4647e7040fd103ea537abe65df287ffbb1d5699d257b0c59bd404e",
        ),
    ];
    for (record, name, positions, forces) in cases {
        let record = AlignedBuf::copy_of(record).unwrap();
        let view = MdFrameCodec.decode(&record).unwrap();
        assert_eq!((view.name(), view.nsites()), (Some(name), 200));
        assert_eq!(view.types().unwrap(), (0..200).collect::<Vec<i32>>());
        assert_eq!(digest(view.masses()), masses);
        assert_eq!(digest(view.positions()), positions);
        assert_eq!(digest(view.forces()), forces);
        assert_eq!((view.velocities(), view.step(), view.pbc()), (None, None, None));
        // Stored again, the same arrays are there.
        let again = encoded(&view.to_owned());
        assert_eq!(MdFrameCodec.decode(&again).unwrap(), view);
    }
}

fn digest(values: Option<RealView<'_>>) -> String {
    let Some(RealView::F32(values)) = values else { panic!("the original has float32 only") };
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes at an address that is a multiple of 8 and looks at everything that there is.
fn look(bytes: &[u8]) -> bool {
    let bytes = AlignedBuf::copy_of(bytes).unwrap();
    let Ok(view) = MdFrameCodec.decode(&bytes) else {
        return false;
    };
    let frame = view.to_owned();
    assert_eq!(frame.nsites, view.nsites());
    assert!(!MdFrameCodec.describe(&bytes).unwrap().is_empty());
    let mut again = Vec::new();
    MdFrameCodec.encode(&frame, &mut again).unwrap();
    true
}

#[test]
fn no_truncation_and_no_flipped_bit_does_harm() {
    let mut small = full();
    small.frame_properties.truncate(2);
    for frame in [MdFrame::default(), small, full()] {
        let bytes = encoded(&frame).to_vec();
        for len in 0..bytes.len() {
            look(&bytes[..len]);
        }
        let mut still_frames = 0;
        let mut flipped = bytes.clone();
        for bit in 0..bytes.len() * 8 {
            flipped[bit / 8] ^= 1 << (bit % 8);
            still_frames += usize::from(look(&flipped));
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        // Flips in numbers and names leave a frame; the check above reached those, too.
        assert!(still_frames > 0);
        assert_eq!(flipped, bytes);
    }
}

#[test]
fn no_word_that_lies_does_harm() {
    let bytes = encoded(&full()).to_vec();
    let len = u32::try_from(bytes.len()).unwrap();
    let lies = [0, 1, 4, 8, len - 4, len, len + 1, 1 << 30, (1 << 31) - 1, 1 << 31, u32::MAX - 3];
    for at in (0..bytes.len() - 4).step_by(2) {
        for lie in lies {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&lie.to_le_bytes());
            look(&bytes);
            let far = u32::try_from(at).unwrap().wrapping_add(lie);
            bytes[at..at + 4].copy_from_slice(&far.wrapping_neg().to_le_bytes());
            look(&bytes);
        }
    }
}

#[test]
fn a_frame_at_an_odd_address_is_refused_with_the_remedy_and_decodes_once_moved() {
    let record = encoded(&full());
    let mut space = AlignedBuf::zeroed(record.len() + 8).unwrap();
    for shift in 1..8 {
        space[shift..shift + record.len()].copy_from_slice(&record);
        let at = &space[shift..shift + record.len()];
        let why = MdFrameView::new(at).unwrap_err().to_string();
        assert!(why.contains("codec::aligned"), "{why}");
        let mut moved = AlignedBuf::default();
        assert!(same(
            &MdFrameView::new(aligned(at, &mut moved).unwrap()).unwrap().to_owned(),
            &full()
        ));
        assert_eq!(MdFrameCodec.weight(at).unwrap(), 2);
    }
}

#[test]
fn contradicting_lengths_are_refused_on_write_and_leave_no_trace() {
    let six = || Some(Real::F64(vec![0.0; 6]));
    let base = || MdFrame { nsites: 3, ..MdFrame::default() };
    let cases = [
        ("types", MdFrame { types: Some(vec![1; 2]), ..base() }),
        ("masses", MdFrame { masses: six(), ..base() }),
        ("charges", MdFrame { charges: six(), ..base() }),
        ("positions", MdFrame { positions: six(), ..base() }),
        ("velocities", MdFrame { velocities: six(), ..base() }),
        ("forces", MdFrame { forces: six(), ..base() }),
        ("precision", MdFrame { precision: Some(0.0), ..base() }),
        (
            "\"p\"",
            MdFrame {
                atom_properties: vec![property("p", &[2], Values::I32(vec![0; 5]))],
                ..base()
            },
        ),
        (
            "\"q\"",
            MdFrame {
                frame_properties: vec![property("q", &[u32::MAX; 4], Values::Bool(vec![]))],
                ..base()
            },
        ),
    ];
    for (name, frame) in cases {
        let mut out = vec![1, 2, 3];
        let why = MdFrameCodec.encode(&frame, &mut out).unwrap_err();
        assert!(matches!(why, Error::Codec { .. }) && why.to_string().contains(name), "{why}");
        assert_eq!(out, [1, 2, 3]);
    }
    let many = MdFrame { nsites: 1 << 31, ..MdFrame::default() };
    assert!(matches!(MdFrameCodec.encode(&many, &mut Vec::new()), Err(Error::Limit { .. })));
}

#[test]
fn no_schema_nests_a_buffer_that_the_verifier_would_skip() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    let mut schemas = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "fbs") {
            schemas += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("nested_flatbuffer"), "{}", path.display());
        }
    }
    assert!(schemas > 0);
}

fn real(len: usize) -> impl Strategy<Value = Real> {
    prop_oneof![
        vec(any::<f32>(), len).prop_map(Real::F32),
        vec(any::<f64>(), len).prop_map(Real::F64),
    ]
}

fn values(len: usize) -> impl Strategy<Value = Values> {
    prop_oneof![
        vec(any::<i32>(), len).prop_map(Values::I32),
        vec(any::<i64>(), len).prop_map(Values::I64),
        real(len).prop_map(Values::Real),
        vec(any::<String>(), len).prop_map(Values::Str),
        vec(any::<bool>(), len).prop_map(Values::Bool),
    ]
}

fn properties(times: usize) -> impl Strategy<Value = Vec<Property>> {
    let one = vec(0u32..4, 0..3).prop_flat_map(move |shape| {
        let len = shape.iter().fold(times, |n, &axis| n * axis as usize);
        (any::<String>(), Just(shape), values(len))
    });
    vec(one, 0..4).prop_map(|list| {
        let mut list: Vec<_> =
            list.into_iter().map(|(name, shape, v)| property(&name, &shape, v)).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list.dedup_by(|a, b| a.name == b.name);
        list
    })
}

fn frame() -> impl Strategy<Value = MdFrame> {
    (0usize..6).prop_flat_map(|n| {
        let arrays = (
            option::of(vec(any::<i32>(), n)),
            option::of(real(n)),
            option::of(real(3 * n)),
            option::of(real(3 * n)),
            option::of(real(3 * n)),
            option::of(real(n)),
        );
        let numbers = (
            any::<Option<String>>(),
            any::<Option<i64>>(),
            any::<Option<f64>>(),
            any::<Option<[f64; 9]>>(),
            any::<Option<[bool; 3]>>(),
            any::<Option<f64>>(),
            any::<Option<[f64; 9]>>(),
            option::of(1e-3f32..1e6),
        );
        (arrays, numbers, properties(n), properties(1)).prop_map(
            move |(arrays, numbers, atom_properties, frame_properties)| {
                let (types, masses, positions, velocities, forces, charges) = arrays;
                let (name, step, time, cell, pbc, energy, stress, precision) = numbers;
                MdFrame {
                    nsites: n,
                    name,
                    types,
                    masses,
                    positions,
                    velocities,
                    forces,
                    charges,
                    step,
                    time,
                    cell,
                    pbc,
                    energy,
                    stress,
                    precision,
                    atom_properties,
                    frame_properties,
                    topology: precision.map(|p| Digest::of(&p.to_le_bytes())),
                }
            },
        )
    })
}

proptest! {
    #[test]
    fn any_frame_round_trips(frame in frame()) {
        let bytes = encoded(&frame);
        let view = MdFrameCodec.decode(&bytes).unwrap();
        prop_assert!(same(&view.to_owned(), &frame));
        // To the last bit, also of a NaN.
        prop_assert_eq!(&*encoded(&view.to_owned()), &*bytes);
        let json = MdFrameCodec.describe(&bytes).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&json["nsites"], frame.nsites);
    }

    #[test]
    fn no_damage_to_any_frame_does_harm(
        frame in frame(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encoded(&frame).to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        look(&bytes);
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..256)) {
        look(&bytes);
        let _ = MdFrameCodec.decode(&bytes);
    }
}
