//! Any bytes as a log entry, a slot, a segment, a run, a list of fences or a table of records, with and
//! without the right checksum.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore::index::layout::SegmentHeader;
use vlstore::index::run::Shape;
use vlstore::index::slot::Slot;
use vlstore::index::{fence, log, saved_lookup};
use vlstore::wire::{checksum, identify};
use vlstore_fuzz::FILE;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let mut bytes = data.to_vec();
    match mode % 4 {
        0 => {
            if bytes.len() >= 88 && mode & 4 == 0 {
                bytes[..8].copy_from_slice(b"VLlog\0\0\x01");
                let len = bytes.len() as u64 / 8 * 8;
                bytes[16..24].copy_from_slice(&len.to_le_bytes());
                let generation = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
                let sum = checksum(&bytes[16..len as usize]) ^ identify(FILE, generation, 640);
                bytes[8..16].copy_from_slice(&sum.to_le_bytes());
            }
            if let Some((entry, len)) = log::decode(&bytes, FILE, 640) {
                assert!(len <= bytes.len());
                // What was read is written as it was, but for what nobody reads.
                let again = entry.encode(FILE, 640).unwrap();
                let (second, _) = log::decode(&again, FILE, 640).expect("what was written is read");
                assert_eq!(entry.records, second.records);
                assert_eq!((entry.keys, entry.attributes), (second.keys, second.attributes));
                assert_eq!(entry.pieces, second.pieces);
            }
        }
        1 => {
            if bytes.len() >= 256 && mode & 4 == 0 {
                bytes[..8].copy_from_slice(b"VLslot\0\x01");
                bytes[8..24].copy_from_slice(&FILE);
                let generation = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
                let sum = checksum(&bytes[..248]) ^ identify(FILE, generation, 0);
                bytes[248..256].copy_from_slice(&sum.to_le_bytes());
            }
            if let Some(slot) = Slot::parse(&bytes, FILE) {
                assert_eq!(slot.encode(), bytes[..256]);
            }
        }
        2 => {
            if let Ok(entries) = saved_lookup::decode(&bytes) {
                let again = saved_lookup::encode(
                    entries.len(),
                    entries.iter().map(|(k, s, e)| (k, *s, *e)),
                );
                assert_eq!(saved_lookup::decode(&again.unwrap()).unwrap(), entries);
            }
        }
        _ => {
            if let Some((head, rest)) = bytes.split_first_chunk::<8>()
                && let Some(fences) = fence::decode(fence::head(*head).0, rest)
            {
                let again = fence::encode(&fences);
                assert_eq!(fence::decode(fences.len() as u32, &again[8..]).as_ref(), Some(&fences));
            }
            if let Some((words, entries)) = bytes.split_first_chunk::<24>() {
                let word =
                    |i: usize| u64::from_le_bytes(words[8 * i..8 * i + 8].try_into().unwrap());
                let header = SegmentHeader {
                    first_record: word(0).into(),
                    first_chunk: word(1).into(),
                    count: word(2).into(),
                    ..SegmentHeader::default()
                };
                let body = [&[0; 64], entries].concat();
                if let Some(shape) = Shape::read(&header, body.len()) {
                    for i in 0..shape.count().min(1000) {
                        let span = shape.span(i..i + 1).expect("entries lie in the body");
                        let entry = shape.unpack(&body[span], i, i, 0).expect("all of it is there");
                        assert!(shape.records().contains(&entry.record()));
                    }
                }
            }
        }
    }
});
