//! Any bytes as msgpack, as the header of a frame and as its trailer.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore::frame::msgpack::Reader;
use vlstore::frame::{FrameHeader, parse_trailer, trailer_len};

fuzz_target!(|data: &[u8]| {
    let mut r = Reader::new(data);
    while r.remaining() > 0 {
        let before = r.position();
        if r.token().is_err() {
            break;
        }
        assert!(r.position() > before && r.position() <= data.len());
    }
    let mut r = Reader::new(data);
    while r.remaining() > 0 && r.skip().is_ok() {}
    let mut headed = b"\x9e\xa8b2frame\0\xd2".to_vec();
    headed.extend((data.len() as u32 + 15).to_be_bytes());
    headed.extend(data);
    for bytes in [data, &headed] {
        if let Ok(header) = FrameHeader::parse(bytes) {
            assert!(header.metalayers.iter().all(|m| bytes.get(m.content.clone()).is_some()));
            let _ = header.trailer_at(60);
            let _ = header.chunk_len(header.chunks());
        }
    }
    let _ = trailer_len(data);
    if let Ok(layers) = parse_trailer(data) {
        assert!(layers.iter().all(|m| data.get(m.content.clone()).is_some()));
    }
});
