//! Records of trajectory frames: what was put in comes out, records of the original program are
//! read as they are, and no bytes whatever do harm.

use proptest::prelude::*;
use vlstore::Error;
use vlstore::codec::{
    AnyCodec, Codec, MdFrame, MdFrameCodec, MdFrameView, Property, Real, RealView, Values, aligned,
};
use vlstore::wire::AlignedBuf;

fn encoded(frame: &MdFrame) -> AlignedBuf {
    let mut out = Vec::new();
    let encoded = MdFrameCodec.encode(frame, &mut out).unwrap();
    assert_eq!(encoded.sites as usize, frame.nsites);
    AlignedBuf::copy_of(&out)
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
    }
}

#[test]
fn every_field_comes_back_in_its_width() {
    let bytes = encoded(&full());
    let view = MdFrameCodec.decode(&bytes).unwrap();
    assert!(same(&view.to_owned(), &full()));
    assert!(matches!(view.positions(), Some(RealView::F64(_))));
    assert!(matches!(view.velocities(), Some(RealView::F32(_))));
    assert_eq!(MdFrameCodec.sites(&bytes).unwrap(), 2);
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
