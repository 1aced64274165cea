//! Records that another writer might make: the builder of the `flatbuffers` crate makes them.

use super::*;
use crate::codec::MdFrameCodec;
use crate::codec::generated::md::{self, MdFrame as Wire, MdFrameArgs, PropertyArgs};
use crate::codec::{AnyCodec, Codec, Fields, FramePart, MdFrame, RealView};
use crate::wire::AlignedBuf;
use crate::{Error, limits};
use flatbuffers::{FlatBufferBuilder, WIPOffset};

type Builder = FlatBufferBuilder<'static>;

/// The record that the builder makes of the fields that `fill` sets, in a frame of two sites.
fn built(fill: impl FnOnce(&mut Builder, &mut MdFrameArgs<'static>)) -> AlignedBuf {
    let mut builder = Builder::new();
    let mut args = MdFrameArgs { nsites: 2, ..MdFrameArgs::default() };
    fill(&mut builder, &mut args);
    let root = Wire::create(&mut builder, &args);
    builder.finish(root, None);
    AlignedBuf::copy_of(builder.finished_data()).unwrap()
}

fn why(record: &[u8]) -> String {
    let why = MdFrameView::new(record).unwrap_err().to_string();
    assert_eq!(MdFrameCodec.weight(record).unwrap_err().to_string(), why);
    why
}

fn property(b: &mut Builder, name: &str, values: usize) -> WIPOffset<md::Property<'static>> {
    let name = Some(b.create_string(name));
    let ints = Some(b.create_vector(&vec![1i32; values]));
    md::Property::create(b, &PropertyArgs { name, ints, ..PropertyArgs::default() })
}

#[test]
fn bytes_without_a_root_table_are_no_frame() {
    // The least frame that can be: a table without a field.
    let mut least = Vec::new();
    MdFrameCodec.encode(&MdFrame::default(), &mut least).unwrap();
    let least = AlignedBuf::copy_of(&least).unwrap();
    assert_eq!(MdFrameCodec.decode(&least).unwrap().nsites(), 0);
    for len in [4, 8, 12, 64, 1000] {
        let zeros = AlignedBuf::copy_of(&vec![0; len]).unwrap();
        let why = MdFrameCodec.decode(&zeros).unwrap_err().to_string();
        assert!(why.contains("root table"), "{len}: {why}");
        if len >= 8 {
            let why = FramePart::find(&zeros, 1 << 20, Fields::default()).unwrap_err().to_string();
            assert!(why.contains("root table"), "{len}: {why}");
        }
        assert!(
            MdFrameCodec.weight(&zeros).is_err() && MdFrameCodec::topology_of(&zeros).is_none()
        );
    }
    // A table that is its own list of fields, and one whose list overlaps the first word.
    for words in [[4_u32, 0, 4, 0], [4, 4, 0, 0], [8, 0, 4, 0]] {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(MdFrameCodec.decode(&AlignedBuf::copy_of(&bytes).unwrap()).is_err(), "{words:?}");
    }
}

#[test]
fn the_builder_and_we_write_the_same_frame() {
    let record = built(|b, args| {
        args.name = Some(b.create_string("x"));
        args.positions64 = Some(b.create_vector(&[0.5f64; 6]));
        args.types = Some(b.create_vector(&[1i32, 2]));
        args.pbc = Some(6);
        args.step = Some(0);
        let list = [property(b, "a", 2), property(b, "b", 2)];
        args.atom_properties = Some(b.create_vector(&list));
    });
    let theirs = MdFrameView::new(&record).unwrap();
    assert_eq!(theirs.positions(), Some(RealView::F64(&[0.5; 6])));
    assert_eq!(theirs.pbc(), Some([false, true, true]));
    assert_eq!((theirs.step(), theirs.time()), (Some(0), None));
    let mut out = Vec::new();
    MdFrameCodec.encode_ref(theirs.fields(), &mut out).unwrap();
    let ours = AlignedBuf::copy_of(&out).unwrap();
    assert_eq!(MdFrameView::new(&ours).unwrap(), theirs);
}

#[test]
fn values_lie_at_multiples_of_their_size_from_the_start_of_the_record() {
    for name in ["", "a", "ab", "abc", "abcdefg"] {
        let record = built(|b, args| {
            args.types = Some(b.create_vector(&[1i32, 2]));
            args.masses64 = Some(b.create_vector(&[1.0f64, 2.0]));
            args.name = Some(b.create_string(name));
        });
        // What was in the buffer before must not shift the arrays.
        let mut out = vec![0; 3];
        MdFrameCodec.encode_ref(MdFrameView::new(&record).unwrap().fields(), &mut out).unwrap();
        let record = AlignedBuf::copy_of(&out[3..]).unwrap();
        let view = MdFrameView::new(&record).unwrap();
        let Some(RealView::F64(masses)) = view.masses() else { panic!("masses were narrowed") };
        assert_eq!((masses.as_ptr().addr() - record.as_ptr().addr()) % 8, 0);
        let types = view.types().unwrap();
        assert_eq!((types.as_ptr().addr() - record.as_ptr().addr()) % 4, 0);
    }
}

#[test]
fn lengths_that_contradict_the_number_of_sites_are_refused_on_read() {
    let short = |b: &mut Builder| Some(b.create_vector(&[1.0f32; 5]));
    let cases = [
        built(|b, args| args.types = Some(b.create_vector(&[1i32; 3]))),
        built(|b, args| args.masses = short(b)),
        built(|b, args| args.charges = short(b)),
        built(|b, args| args.positions = short(b)),
        built(|b, args| args.velocities = short(b)),
        built(|b, args| args.forces = short(b)),
        built(|b, args| args.forces64 = Some(b.create_vector(&[1.0f64; 7]))),
        built(|b, args| {
            let list = [property(b, "a", 3)];
            args.atom_properties = Some(b.create_vector(&list));
        }),
        built(|b, args| {
            let list = [property(b, "a", 2)];
            args.frame_properties = Some(b.create_vector(&list));
        }),
    ];
    for record in cases {
        let why = why(&record);
        assert!(why.contains("but"), "{why}");
    }
}

#[test]
fn an_array_in_both_widths_is_refused() {
    let record = built(|b, args| {
        args.positions = Some(b.create_vector(&[1.0f32; 6]));
        args.positions64 = Some(b.create_vector(&[1.0f64; 6]));
    });
    assert!(why(&record).contains("positions are given in 32 and in 64 bits"));
}

#[test]
fn values_that_mean_nothing_are_refused() {
    assert!(why(&built(|_, args| args.ncodim = 2)).contains("2 components"));
    assert!(why(&built(|_, args| args.nsites = -1)).contains("-1"));
    assert!(why(&built(|_, args| args.pbc = Some(8))).contains("pbc is 8"));
    for precision in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(why(&built(|_, args| args.precision = Some(precision))).contains("precision"));
    }
}

#[test]
fn a_property_has_one_kind_of_values_and_a_name_of_its_own() {
    let none = built(|b, args| {
        let name = Some(b.create_string("a"));
        let list = [md::Property::create(b, &PropertyArgs { name, ..PropertyArgs::default() })];
        args.frame_properties = Some(b.create_vector(&list));
    });
    assert!(why(&none).contains("one kind"));
    let two = built(|b, args| {
        let name = Some(b.create_string("a"));
        let ints = Some(b.create_vector(&[1i32]));
        let truths = Some(b.create_vector(&[1u8]));
        let both = PropertyArgs { name, ints, truths, ..PropertyArgs::default() };
        let list = [md::Property::create(b, &both)];
        args.frame_properties = Some(b.create_vector(&list));
    });
    assert!(why(&two).contains("one kind"));
    let truth = built(|b, args| {
        let name = Some(b.create_string("a"));
        let truths = Some(b.create_vector(&[2u8]));
        let args_of = PropertyArgs { name, truths, ..PropertyArgs::default() };
        let list = [md::Property::create(b, &args_of)];
        args.frame_properties = Some(b.create_vector(&list));
    });
    assert!(why(&truth).contains("neither 0 nor 1"));
    let twins = built(|b, args| {
        let list = [property(b, "a", 2), property(b, "a", 2)];
        args.atom_properties = Some(b.create_vector(&list));
    });
    assert!(why(&twins).contains("two atom properties"));
}

#[test]
fn properties_are_bounded_in_number() {
    let with = |n: usize| {
        built(|b, args| {
            let list: Vec<_> = (0..n).map(|i| property(b, &i.to_string(), 1)).collect();
            args.frame_properties = Some(b.create_vector(&list));
        })
    };
    let at = with(limits::PROPERTIES_MAX);
    assert_eq!(MdFrameView::new(&at).unwrap().frame_properties().len(), limits::PROPERTIES_MAX);
    let past = MdFrameView::new(&with(limits::PROPERTIES_MAX + 1)).unwrap_err();
    assert!(matches!(past, Error::Limit { asked: 4097, max: 4096, .. }), "{past}");
    let mut frame: MdFrame = MdFrameView::new(&at).unwrap().to_owned();
    let mut out = vec![9];
    frame.atom_properties.push(frame.frame_properties[0].clone());
    assert!(matches!(MdFrameCodec.encode(&frame, &mut out), Err(Error::Limit { .. })));
    assert_eq!(out, [9]);
}

#[test]
fn parts_that_are_shared_a_thousandfold_are_refused_before_they_cost_anything() {
    let tables = built(|b, args| {
        let one = property(b, "a", 2);
        args.atom_properties = Some(b.create_vector(&vec![one; 100_000]));
    });
    assert!(why(&tables).contains("Too many tables"));
    let texts = built(|b, args| {
        let text = b.create_string(&"a".repeat(100_000));
        let texts = Some(b.create_vector(&vec![text; 100_000]));
        let name = Some(b.create_string("a"));
        let bomb = PropertyArgs { name, texts, ..PropertyArgs::default() };
        let list = [md::Property::create(b, &bomb)];
        args.atom_properties = Some(b.create_vector(&list));
    });
    assert!(why(&texts).contains("Apparent size"));
}
