//! Typed records on files: the codec that a store names, and files that name none.

use std::path::Path;
use vlstore::Readable;
use vlstore::codec::{
    Codec as _, FlatF32Codec, MdFrame, MdFrameCodec, RawCodec, Real, RealView, TopologyRef, check,
};
use vlstore::trajectory::{Continue, StartAt};
use vlstore::wire::Digest;
use vlstore::{
    Depot, DepotWriter, Error, Row, Store, StoreOptions, Trajectory, TrajectoryWriter,
    WriteOptions, Writer,
};

fn frame(step: i64) -> MdFrame {
    let positions = Some(Real::F32(vec![0.5; 9]));
    MdFrame { nsites: 3, positions, step: Some(step), ..MdFrame::default() }
}

#[test]
fn a_store_keeps_the_name_of_its_codec_and_is_refused_to_another_naming_both_and_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.vls");
    let options = StoreOptions::default();
    let mut w = TrajectoryWriter::create(&path, &options).unwrap();
    w.insert(0, &frame(0)).unwrap();
    w.close().unwrap();
    assert_eq!(Store::open(&path).unwrap().layout().record_codec, ("md-frame".into(), 2));
    for error in [
        Depot::open(&path, RawCodec).unwrap_err(),
        DepotWriter::open(&path, RawCodec, &options.write).unwrap_err(),
        DepotWriter::open_or_create(&path, RawCodec, &options).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(matches!(error.root(), Error::Invalid { what: "codec", .. }), "{said}");
        for part in ["frames.vls", "md-frame", "raw"] {
            assert!(said.contains(part), "{said}");
        }
    }
    // The refusal gave the lock back and changed nothing.
    let depot = Trajectory::open(&path).unwrap();
    assert_eq!((depot.len(), depot.weight_at(0).unwrap()), (1, 3));
    let item = depot.get(0).unwrap();
    assert_eq!(item.view().unwrap().positions(), Some(RealView::F32(&[0.5; 9])));
    TrajectoryWriter::open(&path, &options.write).unwrap().close().unwrap();
}

#[test]
fn bytes_that_the_codec_refuses_get_into_a_store_of_frames_by_no_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.vls");
    let options = StoreOptions::default();
    let mut right = Vec::new();
    MdFrameCodec.encode(&frame(1), &mut right).unwrap();
    let referring = |digest| {
        let mut bytes = Vec::new();
        let topology = Some(digest);
        MdFrameCodec.encode(&MdFrame { topology, ..frame(2) }, &mut bytes).unwrap();
        bytes
    };
    let mut water = Vec::new();
    TopologyRef { nsites: 2, ..TopologyRef::default() }.encode(&mut water).unwrap();
    let misfit = referring(Digest::of(&water));
    TrajectoryWriter::create(&path, &options).unwrap().close().unwrap();
    // A writer of bytes that was not told of codecs says what to do.
    let mut w = Writer::open(&path, &options.write).unwrap();
    for error in [
        w.put("x", &right).unwrap_err(),
        w.push(&right).unwrap_err(),
        w.put_sized(None, &right, 3, vlstore::Existing::Refuse).unwrap_err(),
    ] {
        assert!(error.to_string().contains("md-frame") && error.to_string().contains("check"));
    }
    w.close().unwrap();
    for by_depot in [true, false] {
        let checked = StoreOptions {
            write: WriteOptions { check: Some(check), ..options.clone().write },
            ..options.clone()
        };
        let mut depot;
        let mut plain;
        let w = if by_depot {
            depot = TrajectoryWriter::open(&path, &options.write).unwrap();
            depot.writer_mut()
        } else {
            plain = Writer::open(&path, &checked.write).unwrap();
            &mut plain
        };
        w.share(&water).unwrap();
        let columns = w.layout().columns().to_vec();
        let (row, none) = (Row::new(&columns), referring(Digest::of(b"nowhere")));
        for junk in [&b"junk"[..], &[0; 1000], &right[..right.len() - 1], &none, &misfit] {
            assert!(w.put("x", junk).is_err());
            assert!(w.push(junk).is_err());
            assert!(w.put_sized(None, junk, 3, vlstore::Existing::Refuse).is_err());
            assert!(w.put_row(None, junk, 3, &row, vlstore::Existing::Refuse).is_err());
        }
        assert!(
            w.put_sized(None, &right, 4, vlstore::Existing::Refuse).is_err(),
            "another number of sites"
        );
        let before = w.len();
        w.put("x", &right).unwrap();
        w.push(&right).unwrap();
        w.commit().unwrap();
        assert!(w.len() > before);
    }
    let depot = Trajectory::open(&path).unwrap();
    assert_eq!(depot.len(), 3);
    for n in 0..3 {
        assert_eq!(depot.weight_at(n).unwrap(), 3);
        assert_eq!(depot.get_at(n).unwrap().view().unwrap().step(), Some(1));
    }
}

#[test]
fn a_file_of_the_original_names_no_codec_and_opens_with_any() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/vlstore");
    let path = data.join("readme-30x200-nocross.vlstore");
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return;
    }
    let frames = Trajectory::open(&path).unwrap();
    for item in &frames {
        assert_eq!(item.unwrap().view().unwrap().nsites(), 200);
    }
    let raw = Depot::open(&path, RawCodec).unwrap();
    assert_eq!(raw.len(), frames.len());
    let batch = raw.get_batch_at(&[3, 1]).unwrap();
    assert_eq!(batch.view(0).unwrap(), &frames.get_at(3).unwrap().record()[..]);
    assert!(Depot::open(&path, FlatF32Codec).is_ok());
}

#[test]
fn a_job_that_was_killed_goes_on_from_its_checkpoint_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.vls");
    let options = StoreOptions::default();
    let mut w = TrajectoryWriter::create(&path, &options).unwrap();
    for n in 0..100 {
        w.insert(n, &frame(n * 5)).unwrap();
    }
    w.commit().unwrap();
    // What is not committed is gone with its writer.
    w.insert(100, &frame(500)).unwrap();
    drop(w);

    // The checkpoint was written at step 300.
    let mut w = TrajectoryWriter::open(&path, &options.write).unwrap();
    let at = w.continue_from(StartAt::Step(301), Continue::DropNewer).unwrap();
    assert_eq!((at.kept, at.dropped, at.last_step, at.next_frame), (61, 39, Some(300), 61));
    for n in 61..120 {
        w.insert(n, &frame(i64::from(n) * 5)).unwrap().unwrap();
    }
    w.close().unwrap();
    let depot = Trajectory::open(&path).unwrap();
    let steps: Vec<_> = depot.iter().map(|f| f.unwrap().view().unwrap().step()).collect();
    assert_eq!(steps, (0..120).map(|n| Some(n * 5)).collect::<Vec<_>>());
    assert_eq!(depot.get(119).unwrap().view().unwrap().step(), Some(595));
    assert!(depot.snapshot().verify(|_, _| Ok(())).unwrap().is_intact());
}

#[test]
fn a_depot_over_a_writer_reads_what_was_not_committed() {
    let mut w = DepotWriter::in_memory(FlatF32Codec, &StoreOptions::default()).unwrap();
    w.put("a", &[0.5]).unwrap();
    w.commit().unwrap();
    w.put("b", &[1.5, 2.5]).unwrap();
    assert_eq!(w.depot().unwrap().len(), 1);
    let reading = w.reading().unwrap();
    assert_eq!((reading.len(), reading.source().is_dirty()), (2, true));
    assert_eq!(reading.get("b").unwrap().view().unwrap(), [1.5, 2.5]);
    let batch = reading.get_batch_at(&[1, 0, 1]).unwrap();
    let views: Vec<_> = (0..3).map(|i| batch.view(i).unwrap().to_vec()).collect();
    assert_eq!(views, [vec![1.5, 2.5], vec![0.5], vec![1.5, 2.5]]);
    assert_eq!(reading.column("bytes").unwrap().unknown.len(), 0);
    let error = Depot::new(w.writer(), RawCodec).unwrap_err().to_string();
    assert!(error.contains("are flat-f32"), "{error}");
}
