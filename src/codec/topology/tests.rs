use super::*;
use crate::Error;
use crate::codec::{
    AnyCodec, Codec, MdFrame, MdFrameCodec, Property, Real, RealView, Values, refers,
};
use crate::wire::{AlignedBuf, Digest};

fn dipeptide() -> Topology {
    Topology {
        name: Some("ala2".into()),
        nsites: 4,
        types: Some(vec![6, 1, 7, 8]),
        masses: Some(Real::F64(vec![12.011, 1.008, 14.007, 15.999])),
        charges: Some(Real::F32(vec![0.1, 0.2, -0.4, 0.1])),
        names: Some(["CH3", "HH31", "N", ""].map(String::from).to_vec()),
        residues: Some(vec![0, 0, 1, 1]),
        residue_names: Some(vec!["ACE".into(), "ALA".into()]),
        residue_ids: Some(vec![1, 2]),
        segments: Some(vec![0, 0]),
        segment_names: Some(vec!["A".into()]),
        bonds: Some(vec![[0, 1], [1, 2], [2, 3]]),
        bond_orders: Some(vec![1.0, 1.5, 0.0]),
        atom_properties: vec![Property {
            name: "tag".into(),
            shape: vec![],
            values: Values::I32(vec![3, 1, 2, 0]),
        }],
    }
}

fn record(topology: &Topology) -> AlignedBuf {
    let mut out = Vec::new();
    assert_eq!(topology.encode(&mut out).unwrap() as usize, topology.nsites);
    AlignedBuf::copy_of(&out).unwrap()
}

#[test]
fn a_topology_comes_back_with_all_its_parts_and_the_same_gives_the_same_bytes() {
    for topology in
        [dipeptide(), Topology::default(), Topology { nsites: 7, ..Topology::default() }]
    {
        let bytes = record(&topology);
        let view = TopologyView::new(&bytes).unwrap();
        assert_eq!(view.to_owned(), topology);
        assert_eq!(view.fields(), &topology.view());
        assert_eq!(*record(&view.to_owned()), *bytes);
    }
    let bytes = record(&dipeptide());
    let view = TopologyView::new(&bytes).unwrap();
    assert_eq!(view.masses(), Some(RealView::F64(&[12.011, 1.008, 14.007, 15.999])));
    assert_eq!(view.names().unwrap().get(2), Some("N"));
    assert_eq!(view.bonds().unwrap()[2], [2, 3]);
}

#[test]
fn every_topology_passes_for_one_and_few_other_bytes_do() {
    for topology in [dipeptide(), Topology::default(), Topology { nsites: 7, ..dipeptide() }] {
        let mut bytes = Vec::new();
        if topology.encode(&mut bytes).is_ok() {
            assert!(may_begin(&bytes) && may_begin(&[&*bytes, &[0xff; 99]].concat()));
        }
    }
    let heap = record(&dipeptide());
    let starts = (0..heap.len()).filter(|at| may_begin(&heap[*at..])).count();
    assert!(starts * 20 < heap.len(), "{starts} of {}", heap.len());
    assert!(!may_begin(&[]) && !may_begin(&[0; 64]) && !may_begin(&[0xff; 64]));
}

/// Parts that contradict each other, and a word of the message about each.
fn contradictions() -> Vec<(&'static str, Topology)> {
    let good = dipeptide;
    let mut out = vec![
        ("4 types", Topology { nsites: 5, ..good() }),
        ("1 masses", Topology { masses: Some(Real::F32(vec![1.0])), ..good() }),
        ("0 charges", Topology { charges: Some(Real::F32(vec![])), ..good() }),
        ("1 names", Topology { names: Some(vec!["x".into()]), ..good() }),
        ("3 residues", Topology { residues: Some(vec![0, 1, 1]), ..good() }),
        ("name 2", Topology { residues: Some(vec![0, 1, 1, 2]), ..good() }),
        ("no residues", Topology { residues: None, ..good() }),
        ("3 residue numbers", Topology { residue_ids: Some(vec![1, 2, 3]), ..good() }),
        ("name 1", Topology { segments: Some(vec![0, 1]), ..good() }),
        ("no segments", Topology { segments: None, ..good() }),
        ("no segment names", Topology { segment_names: None, ..good() }),
        ("name 4", Topology { bonds: Some(vec![[0, 4]; 3]), ..good() }),
        ("with itself", Topology { bonds: Some(vec![[1, 1]; 3]), ..good() }),
        ("no bonds", Topology { bonds: None, ..good() }),
        ("2 bond orders", Topology { bond_orders: Some(vec![1.0; 2]), ..good() }),
        ("of order NaN", Topology { bond_orders: Some(vec![f32::NAN; 3]), ..good() }),
        ("of order -1", Topology { bond_orders: Some(vec![-1.0; 3]), ..good() }),
    ];
    let mut twice = good();
    twice.atom_properties.extend(good().atom_properties);
    out.push(("two atom properties", twice));
    out
}

#[test]
fn parts_that_contradict_each_other_are_refused_on_write() {
    for (word, topology) in contradictions() {
        let mut out = vec![9];
        let why = topology.encode(&mut out).unwrap_err().to_string();
        assert!(why.contains(word), "{why} has no {word:?}");
        assert_eq!(out, [9]);
    }
}

#[test]
fn every_changed_byte_of_a_record_is_refused_or_gives_a_topology_that_obeys_the_rules() {
    let good = record(&dipeptide());
    let mut refused = 0;
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bad = AlignedBuf::copy_of(&good).unwrap();
            bad[at] ^= change;
            match TopologyView::new(&bad) {
                Ok(view) => {
                    let mut out = Vec::new();
                    view.fields().encode(&mut out).unwrap();
                    assert!(view.names().is_none_or(|n| n.iter().count() == view.nsites()));
                }
                Err(e) => {
                    assert!(matches!(e, Error::Codec { .. } | Error::Limit { .. }), "{e}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0);
    for cut in 0..good.len() {
        let _ = TopologyView::new(&good[..cut]);
    }
}

fn frame() -> MdFrame {
    let property = |name: &str, values| Property { name: name.into(), shape: vec![], values };
    MdFrame {
        nsites: 2,
        types: Some(vec![8, 1]),
        masses: Some(Real::F32(vec![16.0, 1.0])),
        positions: Some(Real::F32(vec![0.5; 6])),
        atom_properties: vec![
            property("label", Values::Str(vec!["O".into(), "H".into()])),
            property("spin", Values::Real(Real::F32(vec![0.0, 1.0]))),
            property("late", Values::I32(vec![1, 2])),
        ],
        ..MdFrame::default()
    }
}

#[test]
fn what_a_frame_shares_is_the_same_when_it_is_joined_again() {
    let frame = frame();
    let all = frame.view();
    let tops = [TopologyRef::of_frame(&all), TopologyRef::core_of_frame(&all)];
    for (top, properties) in tops.into_iter().flatten().zip([1, 0]) {
        assert_eq!(top.atom_properties.len(), properties);
        let digest = Digest::of(&record(&top.to_owned()));
        let without = frame.view().without_shared(&top, digest);
        assert!(without.types.is_none() && without.masses.is_none());
        let mut out = Vec::new();
        MdFrameCodec.encode_ref(&without, &mut out).unwrap();
        let out = AlignedBuf::copy_of(&out).unwrap();
        let view = MdFrameCodec.decode(&out).unwrap();
        assert_eq!(view.topology(), Some(digest));
        assert_eq!(view.fields().joined(&top).unwrap().to_owned(), frame);
        assert!(TopologyRef::of_frame(view.fields()).is_none(), "it has one already");
        assert_eq!(refers("md-frame").unwrap()(&out), Some(digest));
        assert!(MdFrameCodec.describe(&out).unwrap().contains(&digest.to_string()));
        let other = Topology { nsites: 3, ..Topology::default() };
        let why = view.fields().joined(&other.view()).unwrap_err().to_string();
        assert!(why.contains("2 sites, its topology 3"), "{why}");
    }
    assert!(TopologyRef::of_frame(&MdFrame { nsites: 3, ..MdFrame::default() }.view()).is_none());
}

#[test]
fn what_a_frame_states_itself_stands() {
    let top = Topology {
        nsites: 2,
        types: Some(vec![1, 1]),
        charges: Some(Real::F32(vec![1.0, -1.0])),
        atom_properties: vec![Property {
            name: "label".into(),
            shape: vec![],
            values: Values::I32(vec![0, 0]),
        }],
        ..Topology::default()
    };
    let joined = frame().view().joined(&top.view()).unwrap().to_owned();
    assert_eq!(joined, MdFrame { charges: top.charges, ..frame() });
}

#[test]
fn a_reference_of_another_length_is_refused() {
    let mut out = Vec::new();
    let digest = Digest::of(b"x");
    let frame = MdFrame { topology: Some(digest), ..MdFrame::default() };
    MdFrameCodec.encode(&frame, &mut out).unwrap();
    let at = out.windows(16).position(|w| w == digest.as_bytes()).unwrap();
    out[at - 4] = 15;
    let why = MdFrameCodec.decode(&AlignedBuf::copy_of(&out).unwrap()).unwrap_err().to_string();
    assert!(why.contains("15 bytes, not 16"), "{why}");
    assert_eq!(refers("md-frame").unwrap()(&out), None);
    assert_eq!(refers("raw").map(|_| ()), None);
}
