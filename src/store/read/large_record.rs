//! One large record, read by several threads, chunk by chunk.

use crate::error::Result;
use crate::store::read::reader::Reader;
use crate::store::read::share_out::share_out;
use crate::wire::to_usize;
use std::ops::Range;

/// Bytes of a record below which helpers cost more than they save.
const WORTH_HELPERS: usize = 1 << 20;
/// Bytes that a thread takes at once, at least: so few that none is waited for, so many that taking them costs
/// nothing.
const PART: u64 = 1 << 20;

impl Reader {
    /// As [`Reader::read`], by as many threads as the store was given where there is much to read.
    pub(crate) fn read_parallel(&self, span: Range<u64>, out: &mut [u8]) -> Result<()> {
        if self.threads == 1 || out.len() < WORTH_HELPERS {
            return self.read(span, out);
        }
        let read = |(): &mut (), (start, part): (u64, &mut [u8])| {
            self.read(start..start + part.len() as u64, part)
        };
        share_out(self.threads, self.parts(span, out), || (), read)?;
        Ok(())
    }

    /// The bytes cut where one chunk ends and another begins, so that no block is decoded twice; each part
    /// with where it starts.
    fn parts<'o>(&self, span: Range<u64>, out: &'o mut [u8]) -> Vec<(u64, &'o mut [u8])> {
        let each = PART.next_multiple_of(self.chunk_size.max(1));
        let (mut parts, mut start, mut rest) = (Vec::new(), span.start, out);
        while !rest.is_empty() {
            let end = (start / each + 1).saturating_mul(each);
            let n = to_usize(end - start).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(n);
            parts.push((start, now));
            (start, rest) = (end, later);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use crate::chunk::Algorithm;
    use crate::store::{Layout, Readable, StoreOptions, WriteOptions, Writer};

    fn record(n: usize, seed: usize) -> Vec<u8> {
        (0..n).map(|i| u8::try_from((i * i + seed * i + i / 251) % 256).unwrap()).collect()
    }

    #[test]
    fn a_large_record_is_the_same_by_one_thread_and_by_three() {
        let lens = [(5 << 20) + 3, 10, 1 << 20, (3 << 20) - 1, 3 << 20];
        for compression in [Some(Algorithm::Lz4), None] {
            let options = StoreOptions {
                layout: Layout {
                    compression: compression.into(),
                    chunk_size: 192 << 10,
                    ..Layout::default()
                },
                write: WriteOptions { threads: 3, ..WriteOptions::default() },
            };
            let mut w = Writer::in_memory(&options).unwrap();
            for (i, n) in lens.into_iter().enumerate() {
                w.push(&record(n, i)).unwrap();
            }
            w.commit().unwrap();
            let snapshot = w.snapshot().unwrap();
            for (i, n) in lens.into_iter().enumerate() {
                assert!(w.get_at(i as u64).unwrap()[..] == record(n, i)[..], "{n}");
                assert!(snapshot.get_at(i as u64).unwrap()[..] == record(n, i)[..], "{n}");
            }
        }
    }

    #[test]
    fn of_several_damages_the_first_is_named_each_time() {
        let options = StoreOptions {
            layout: Layout { compression: None.into(), ..Layout::default() },
            write: WriteOptions { threads: 3, ..WriteOptions::default() },
        };
        let mut w = Writer::in_memory(&options).unwrap();
        let (len, data) = (12 << 20, record(12 << 20, 1));
        w.push(&data).unwrap();
        let backend = w.backend().clone();
        w.close().unwrap();
        let mut bytes = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
        backend.read_at(0, &mut bytes).unwrap();
        let found = |part: &[u8]| bytes.windows(part.len()).position(|w| w == part).unwrap();
        let places: Vec<usize> =
            [len / 3, len / 2, len - 100].into_iter().map(|at| found(&data[at..at + 64])).collect();
        for at in &places {
            bytes[*at] ^= 1;
        }
        let store = crate::Store::from_bytes(bytes).unwrap();
        let error = store.get_at(0).unwrap_err().to_string();
        for _ in 0..20 {
            assert_eq!(store.get_at(0).unwrap_err().to_string(), error);
        }
    }
}
