//! Any bytes as a record of every codec: an error, or an object that is written and read again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore::codec::{CODECS, Codec, MdFrameCodec, MdFrameView, aligned};
use vlstore::wire::AlignedBuf;

fuzz_target!(|data: &[u8]| {
    let mut space = AlignedBuf::default();
    let bytes = aligned(data, &mut space).expect("memory");
    for codec in CODECS {
        let weight = codec.weight(bytes);
        let shown = codec.describe(bytes);
        assert!(weight.is_ok() || shown.is_err());
    }
    if let Ok(view) = MdFrameView::new(bytes) {
        let frame = view.to_owned();
        let mut again = Vec::new();
        MdFrameCodec.encode(&frame, &mut again).expect("what was read can be written");
        let mut space = AlignedBuf::default();
        let second =
            MdFrameView::new(aligned(&again, &mut space).expect("memory")).expect("and read again");
        assert_eq!(second.nsites(), view.nsites());
        // NaN is not equal to itself, its text is.
        assert_eq!(format!("{:?}", second.to_owned()), format!("{frame:?}"));
    }
});
