//! A record of every kind that a codec of this release writes, to start from.

use std::sync::OnceLock;
use vlstore::codec::{
    ArrayCodec, ArrayView, Codec, DocumentCodec, DocumentRef, Growth, LEAN, MdFrame, MdFrameCodec,
    Packing, Property, Real, SeriesCodec, SeriesRef, Topology, TopologyRef, Values, coordinate,
};
use vlstore::wire::Digest;

fn frame() -> MdFrame {
    let numbers = |n: usize| (0..n).map(|i| i as f32 / 3.0).collect::<Vec<_>>();
    let positions = (0..12).map(|i| coordinate(i * 77, 1000.0)).collect();
    let property = |name: &str, shape: &[u32], values| Property {
        name: name.into(),
        shape: shape.into(),
        values,
    };
    MdFrame {
        name: Some("water".into()),
        nsites: 4,
        types: Some(vec![8, 1, 1, 6]),
        masses: Some(Real::F64(vec![15.999, 1.008, 1.008, 12.011])),
        positions: Some(Real::F32(positions)),
        velocities: Some(Real::F32(numbers(12))),
        forces: Some(Real::F64(vec![0.5; 12])),
        step: Some(500),
        time: Some(1.5),
        cell: Some([2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0]),
        pbc: Some([true, true, false]),
        energy: Some(-3.25),
        precision: Some(1000.0),
        atom_properties: vec![
            property("tag", &[], Values::I32(vec![1, 2, 3, 4])),
            property(
                "label",
                &[],
                Values::Str(["a", "b", "", "long one"].map(String::from).into()),
            ),
            property("dipole", &[3], Values::Real(Real::F32(numbers(12)))),
        ],
        frame_properties: vec![
            property("index", &[2], Values::I64(vec![i64::MIN, 9])),
            property("good", &[], Values::Bool(vec![true])),
        ],
        ..MdFrame::default()
    }
}

/// A lean frame whose types are bytes, if `first` is one.
fn lean(first: i32, out: &mut Vec<u8>) -> vlstore::Result<()> {
    let plain = MdFrame {
        name: None,
        types: Some(vec![first, 1, 1, 6]),
        masses: None,
        forces: None,
        atom_properties: Vec::new(),
        frame_properties: Vec::new(),
        ..frame()
    };
    MdFrameCodec.encode_for(LEAN, &plain.view(), out).map(drop)
}

fn topology() -> Topology {
    let texts = |texts: &[&str]| Some(texts.iter().copied().map(String::from).collect());
    Topology {
        name: Some("water".into()),
        nsites: 4,
        types: Some(vec![8, 1, 1, 6]),
        names: texts(&["O", "H1", "H2", "C"]),
        residues: Some(vec![0, 0, 0, 1]),
        residue_names: texts(&["HOH", "X"]),
        residue_ids: Some(vec![1, 7]),
        segments: Some(vec![0, 0]),
        segment_names: texts(&["A"]),
        bonds: Some(vec![[0, 1], [0, 2]]),
        bond_orders: Some(vec![1.0, 1.5]),
        ..Topology::default()
    }
}

/// The records: frames as they are, with integers for positions, and with a topology; the topology;
/// an array; a document; parts of a series, packed and plain; its account; lean frames with types of both widths.
pub fn records() -> &'static [Vec<u8>] {
    static RECORDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let made = |write: &dyn Fn(&mut Vec<u8>) -> vlstore::Result<()>| {
            let mut out = Vec::new();
            write(&mut out).expect("it is written");
            out
        };
        let owned = frame();
        let shared = made(&|out| {
            let core = TopologyRef::of_frame(&owned.view()).expect("something that stays");
            core.encode(out).map(drop)
        });
        let digest = Digest::of(&shared);
        let numbers: Vec<f64> = (0..40).map(|i| f64::from(i) * 0.25).collect();
        let times = &numbers[..];
        let array = ArrayView::of(&[4, 10], &numbers).expect("an array");
        let channels = [&numbers[..], &numbers[..]];
        let part = |times| SeriesRef::start(7, times, &channels).expect("a start");
        let later = SeriesRef::continuation(40, 7, Some(times), &channels).expect("more");
        let growth = Growth {
            mark: 7,
            channels: 2,
            times: true,
            sorted: true,
            last: 9.75,
            len: 100,
            start: 40,
            block: 20,
            blocks: 2,
            pieces: vec![15, 5],
        };
        vec![
            made(&|out| MdFrameCodec.encode(&owned, out).map(drop)),
            made(&|out| {
                let (_, integers) = MdFrameCodec.encode_quantised(&owned.view(), out)?;
                assert!(integers, "positions are integers");
                Ok(())
            }),
            made(&|out| {
                let view = owned.view();
                let core = TopologyRef::of_frame(&view).expect("something that stays");
                let rest = owned.view().without_shared(&core, digest);
                MdFrameCodec.encode_ref(&rest, out).map(drop)
            }),
            shared.clone(),
            made(&|out| topology().encode(out).map(drop)),
            made(&|out| ArrayCodec.encode(&array, out).map(drop)),
            made(&|out| {
                let arrays = [array.clone(), array.clone()];
                let head = r#"{"unit":"mV"}"#;
                DocumentCodec.encode(&DocumentRef { head, arrays: &arrays }, out).map(drop)
            }),
            made(&|out| SeriesCodec.encode_with(&part(None), Packing::Pco(8), out).map(drop)),
            made(&|out| SeriesCodec.encode_with(&part(Some(times)), Packing::Plain, out).map(drop)),
            made(&|out| SeriesCodec.encode(&later, out).map(drop)),
            made(&|out| SeriesCodec.encode_growth(&growth, out).map(drop)),
            made(&|out| lean(8, out)),
            made(&|out| lean(300, out)),
        ]
    })
}

/// The topology of the frame at 2 of [`records`].
pub fn shared() -> &'static [u8] {
    &records()[3]
}

/// Panics inside the crate that unpacks series are caught by the library: they do not end the process,
/// as others do.
pub fn let_pco_panic() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let ends = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|at| at.file().contains("/pco-")) {
                ends(info);
            }
        }));
    });
}
