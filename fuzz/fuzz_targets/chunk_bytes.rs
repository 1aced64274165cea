//! Any bytes as a chunk: refused, or every block, and a part of it, decodes or fails without a byte outside of it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use vlstore::chunk::{ChunkLayout, Decoder, check_block};

fuzz_target!(|data: &[u8]| {
    let Ok(layout) = ChunkLayout::parse(data, 1 << 20) else { return };
    let mut decoder = Decoder::new().unwrap();
    for i in 0..layout.blocks().min(16) {
        let range = layout.block_range(i);
        let Some(stream) = data.get(range.start as usize..range.end as usize) else { continue };
        let len = layout.block_len(i) as usize;
        let walked = check_block(&layout, i, stream).is_ok();
        let [first, second] = [0xa5, 0x5a].map(|guard| {
            let mut out = vec![guard; len + 64];
            let done = decoder.decode(&layout, i, stream, &mut out[32..32 + len]).is_ok();
            assert!(walked || !done);
            assert!(out[..32].iter().chain(&out[32 + len..]).all(|b| *b == guard));
            done.then_some(out)
        });
        match (&first, &second) {
            (Some(a), Some(b)) => {
                assert!(a[32..32 + len] == b[32..32 + len], "bytes left as they were")
            }
            (a, b) => assert!(a.is_none() && b.is_none()),
        }
        // A part of it, wherever: as in the whole; it may be whole where the rest is not.
        let byte = |at: usize| usize::from(data[at]);
        let (begin, end) =
            (byte(data.len() / 2) * 16 % (len + 1), byte(data.len() - 1) * 64 % (len + 1));
        let part = begin.min(end)..begin.max(end);
        if part.is_empty() {
            // Nothing is no part.
            continue;
        }
        let parts = [0xa5, 0x5a].map(|guard| {
            let mut out = vec![guard; part.len() + 64];
            let dst = &mut out[32..32 + part.len()];
            let done = decoder.decode_part(&layout, i, stream, part.clone(), dst).is_ok();
            assert!(out[..32].iter().chain(&out[32 + part.len()..]).all(|b| *b == guard));
            done.then(|| out[32..32 + part.len()].to_vec())
        });
        assert!(parts[0] == parts[1], "bytes of a part left as they were");
        // A match of LZ4 at the offset 0, which none of its writers makes, copies what was there before: there the two
        // may differ. Streams of Zstd have one meaning.
        let is_zstd = data[2] >> 5 == 4;
        if let Some(whole) = first.as_ref().filter(|_| is_zstd) {
            assert!(
                parts[0].as_deref() == Some(&whole[32..32 + len][part]),
                "a part is as in the whole"
            );
        }
    }
});
