//! Gives a store whose bytes were changed the checksums that fit them, as far as there is still
//! something to follow: what lies behind the checksums is reached then.

use vlstore::chunk::ChunkLayout;
use vlstore::wire::{checksum, identify};

const PAGE: usize = 16 << 10;

struct Image<'a>(&'a mut [u8]);

impl Image<'_> {
    fn u64(&self, at: usize) -> Option<usize> {
        let bytes = self.0.get(at..at.checked_add(8)?)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    }

    fn u32(&self, at: usize) -> Option<usize> {
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    }

    fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        self.0.get(at..at.checked_add(len)?)
    }

    fn put(&mut self, at: usize, sum: u64) -> Option<()> {
        self.0.get_mut(at..at.checked_add(8)?)?.copy_from_slice(&sum.to_le_bytes());
        Some(())
    }

    /// Reseals the segment that the reference at `at` names.
    fn segment(&mut self, at: usize, file: [u8; 16]) -> Option<()> {
        let (offset, len) = (self.u64(at)?, self.u64(at + 8)?);
        let body = len.checked_sub(8 * len.div_ceil(PAGE + 8))?;
        self.bytes(offset, len)?;
        for (n, from) in (0..body).step_by(PAGE).enumerate() {
            let sum = checksum(self.bytes(offset + from, PAGE.min(body - from))?);
            self.put(offset + body + 8 * n, sum)?;
        }
        let table = checksum(self.bytes(offset + body, len - body)?);
        self.put(at + 16, table ^ identify(file, offset as u64, len as u64))
    }

    /// Reseals the chunks whose entries start at `at`, and then their blocks.
    fn chunks(&mut self, at: usize, count: usize, sums_at: usize, first: usize, file: [u8; 16]) {
        for i in 0..count.min(1000) {
            let _ =
                self.chunk(at.wrapping_add(32 * i), sums_at, first.wrapping_add(i) as u64, file);
        }
    }

    fn chunk(&mut self, entry: usize, sums_at: usize, number: u64, file: [u8; 16]) -> Option<()> {
        entry.checked_add(32)?;
        let (offset, cbytes) = (self.u64(entry)?, self.u32(entry + 16)?);
        let first_sum = self.u32(entry + 20)?;
        let chunk = self.bytes(offset, cbytes)?.to_vec();
        let prefix = ChunkLayout::prefix_len(&chunk, 1 << 20).ok()?;
        let sum = checksum(chunk.get(..prefix)?) ^ identify(file, number, u64::MAX);
        self.put(entry + 8, sum)?;
        let layout = ChunkLayout::parse(&chunk, 1 << 20).ok()?;
        for i in 0..layout.blocks().min(1000) {
            let range = layout.block_range(i);
            let bytes = chunk.get(range.start as usize..range.end as usize)?;
            let sum = checksum(bytes) ^ identify(file, number, u64::from(i));
            self.put(sums_at.checked_add(8 * (first_sum + i as usize))?, sum)?;
        }
        Some(())
    }

    fn root(&mut self, at: usize, file: [u8; 16]) -> Option<()> {
        let offset = self.u64(at)?;
        self.bytes(offset, 192)?;
        let totals = offset + 64;
        let count = |image: &Self, n: usize| Some(image.u32(totals + n)?.min(1000));
        let base_sums = count(self, 60)?;
        let chunks = self.u64(totals + 8)?;
        if self.u32(totals + 64 + 16)? != 0 {
            let _ = self.chunk(totals + 64, totals + 128, chunks as u64, file);
        }
        let mut list = totals + 128 + 8 * base_sums;
        for (counted, size, leaf) in
            [(96, 40, false), (100, 56, true), (104, 32, false), (108, 32, false)]
        {
            for _ in 0..count(self, counted)? {
                if leaf {
                    let _ = self.leaf(list, file);
                }
                let _ = self.segment(list, file);
                list += size;
            }
        }
        self.segment(at, file)
    }

    fn leaf(&mut self, at: usize, file: [u8; 16]) -> Option<()> {
        let offset = self.u64(at)?;
        let (first, chunks) = (self.u64(at + 32)?, self.u32(at + 44)?);
        let chunks_at = offset.checked_add(96)?;
        self.chunks(chunks_at, chunks, chunks_at.checked_add(32 * chunks)?, first, file);
        Some(())
    }

    fn log(&mut self, at: usize, file: [u8; 16]) -> Option<()> {
        let (mut at, len) = (self.u64(at)?, self.u64(at + 8)?);
        let end = at.checked_add(len)?;
        while at < end {
            let len = self.u64(at + 16).filter(|n| *n >= 88)?;
            let (first, records) = (self.u64(at + 40)?, self.u32(at + 56)?);
            let chunks = self.u32(at + 60)?;
            let chunks_at = at + 88 + 24 * records;
            self.chunks(chunks_at, chunks, chunks_at + 32 * chunks, first, file);
            let generation = self.u64(at + 24)? as u64;
            let sum = checksum(self.bytes(at, len)?.get(16..)?);
            self.put(at + 8, sum ^ identify(file, generation, at as u64))?;
            at = at.checked_add(len)?;
        }
        Some(())
    }

    fn slot(&mut self, at: usize, file: [u8; 16]) -> Option<()> {
        let _ = self.log(at + 64, file);
        let _ = self.root(at + 40, file);
        let generation = self.u64(at + 24)? as u64;
        let sum = checksum(self.bytes(at, 248)?);
        self.put(at + 248, sum ^ identify(file, generation, 0))
    }
}

/// Gives all that the slots lead to, the slots and the configuration the right checksums.
pub fn reseal(bytes: &mut [u8]) {
    let mut image = Image(bytes);
    let Some(file) = image.bytes(1040, 16).and_then(|id| id.try_into().ok()) else { return };
    for at in [4096, 8192] {
        let _ = image.slot(at, file);
    }
    if let Some(len) = image.u32(1036)
        && let (Some(head), Some(json)) = (image.bytes(1024, 32), image.bytes(1064, len.min(3032)))
    {
        let sum = checksum(&[head, json].concat());
        let _ = image.put(1056, sum);
    }
}

/// Changes `image` as `data` says: places, lengths and the bytes for them.
pub fn patch(image: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    while let [a, b, c, len, tail @ ..] = rest {
        let n = usize::from(*len % 16).min(tail.len());
        let (bytes, later) = tail.split_at(n);
        let at = (usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16) % image.len();
        for (to, from) in image[at..].iter_mut().zip(bytes) {
            *to = *from;
        }
        rest = later;
    }
}
