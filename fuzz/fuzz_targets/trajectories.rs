//! Any bytes as a trajectory of every format: whole frames and then an error, the same from a file
//! and from a stream, and the same again from where each frame begins.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use vlstore::codec::MdFrame;
use vlstore::formats::{
    FormatKind, FramePlace, FrameReader, InputOptions, Sum, detect, open_as, read_from,
    read_topology,
};
use vlstore_fuzz::Folder;

type Frames = Vec<(FramePlace, MdFrame, Sum)>;

/// NaN is not equal to itself, its text is.
fn same(a: &MdFrame, b: &MdFrame) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

fn all(reader: &mut dyn FrameReader) -> Frames {
    let (mut out, mut frame) = (Vec::new(), MdFrame::default());
    loop {
        let place = reader.place();
        if out.len() > 5000 || !matches!(reader.next_frame(&mut frame), Ok(true)) {
            return out;
        }
        if let Some(topology) = reader.topology() {
            assert_eq!(topology.nsites, frame.nsites);
        }
        out.push((place, frame.clone(), reader.tail()));
    }
}

fuzz_target!(|data: &[u8]| {
    let folder = Folder::here();
    let path = folder.write("input", data);
    let _ = detect(&path);
    let _ = read_topology(&path);
    for kind in FormatKind::ALL.iter().copied() {
        let Ok(mut reader) = open_as(&path, kind) else { continue };
        let frames = all(&mut *reader);
        let _ = (reader.unfinished(), reader.report());
        for (place, frame, tail) in frames.iter().rev().chain(frames.first()).take(40) {
            let mut again = MdFrame::default();
            assert!(reader.go_to(*place).expect("a place that it gave"));
            assert!(reader.next_frame(&mut again).expect("a frame that was read"));
            assert!(same(&again, frame) && reader.tail() == *tail);
        }
        let mut passed = open_as(&path, kind).expect("it opened before");
        let count = frames.len().min(40) as u64;
        assert_eq!(passed.skip(count).expect("frames that were read"), count);
        let _ = passed.places();

        let stream = Cursor::new(data.to_vec());
        let options = InputOptions::of(Some(kind));
        let mut stream = read_from(stream, "stream".as_ref(), &options).expect("as the file");
        let streamed = all(&mut *stream);
        assert_eq!(streamed.len(), frames.len());
        for (a, b) in streamed.iter().zip(&frames) {
            assert!(same(&a.1, &b.1) && (a.0, a.2) == (b.0, b.2));
        }
    }
});
