//! The contract of [`Backend`] as tests that any implementation can run.
//!
//! ```
//! use vlstore::backend::{contract, MemoryBackend};
//! contract::writable(|| Ok(MemoryBackend::new()))?;
//! # Ok::<(), vlstore::Error>(())
//! ```

use std::sync::atomic::{AtomicBool, Ordering};

use super::Backend;
use crate::error::{Error, Result};

/// Checks everything about a backend that can be written to; `empty` makes a new one without
/// bytes each time.
///
/// # Errors
/// What the backend returns where the contract has it succeed.
///
/// # Panics
/// With the sentence of the contract that is broken.
pub fn writable<B: Backend>(empty: impl Fn() -> Result<B>) -> Result<()> {
    assert!(empty()?.writable(), "a backend that can be written to says so");
    what_is_written_is_read_back(&empty()?)?;
    a_gap_reads_as_zeros(&empty()?)?;
    set_len_cuts_and_extends(&empty()?)?;
    reads_past_the_end_fail(&empty()?)?;
    writes_past_every_end_are_refused(&empty()?)?;
    a_map_shows_what_read_at_shows(&empty()?)?;
    readers_are_not_disturbed_by_a_writer(&empty()?)?;
    Ok(())
}

/// Checks everything about a backend that is only read and holds `content`.
///
/// # Errors
/// What the backend returns where the contract has it succeed.
///
/// # Panics
/// With the sentence of the contract that is broken.
pub fn read_only<B: Backend>(backend: &B, content: &[u8]) -> Result<()> {
    let len = content.len() as u64;
    assert_eq!(backend.len()?, len, "the length is that of the content");
    assert!(!backend.writable(), "a backend that cannot be written to says so");
    for refused in [backend.write_at(0, b"x"), backend.set_len(0), backend.sync()] {
        assert!(matches!(refused, Err(Error::ReadOnly)), "a change is refused as ReadOnly");
    }
    for start in [0, len / 3, len] {
        same(backend, start, tail(content, start))?;
    }
    fails_past_the_end(backend)?;
    map_agrees(backend)?;
    Ok(())
}

/// Bytes that differ from place to place, with a period that is not a power of two.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..=250_u8).cycle().map(|b| b.wrapping_mul(7).wrapping_add(seed)).take(len).collect()
}

fn tail(content: &[u8], start: u64) -> &[u8] {
    usize::try_from(start).ok().and_then(|start| content.get(start..)).unwrap_or_default()
}

fn same(backend: &impl Backend, offset: u64, expected: &[u8]) -> Result<()> {
    let mut found = vec![0xa5; expected.len()];
    backend.read_at(offset, &mut found)?;
    assert!(found == expected, "{} bytes at {offset} come back as they are", expected.len());
    Ok(())
}

fn what_is_written_is_read_back(backend: &impl Backend) -> Result<()> {
    assert!(backend.is_empty()?, "a new backend holds nothing");
    let first = pattern(10_000, 1);
    backend.write_at(0, &first)?;
    same(backend, 0, &first)?;
    backend.write_at(5_000, &pattern(700, 2))?;
    same(backend, 5_000, &pattern(700, 2))?;
    same(backend, 4_990, first.get(4_990..5_000).unwrap_or_default())?;
    same(backend, 5_700, tail(&first, 5_700))?;
    backend.sync()?;
    backend.write_at(9_999, &pattern(3, 3))?;
    assert_eq!(backend.len()?, 10_002, "a write across the end moves it");
    same(backend, 9_999, &pattern(3, 3))?;
    backend.write_at(10_002, &[])?;
    backend.write_at(20_000, &[])?;
    assert_eq!(backend.len()?, 10_002, "writing nothing changes nothing");
    Ok(())
}

fn a_gap_reads_as_zeros(backend: &impl Backend) -> Result<()> {
    backend.write_at(3, b"abc")?;
    backend.write_at(100_000, b"end")?;
    assert_eq!(backend.len()?, 100_003, "the file ends where the last write ends");
    same(backend, 0, b"\0\0\0abc\0")?;
    same(backend, 6, &vec![0; 99_994])?;
    same(backend, 99_999, b"\0end")
}

fn set_len_cuts_and_extends(backend: &impl Backend) -> Result<()> {
    backend.write_at(0, &pattern(9_000, 1))?;
    backend.set_len(5_001)?;
    assert_eq!(backend.len()?, 5_001, "the length is what was set");
    backend.set_len(9_000)?;
    same(backend, 0, pattern(9_000, 1).get(..5_001).unwrap_or_default())?;
    same(backend, 5_001, &[0; 3_999])?;
    backend.set_len(0)?;
    assert!(backend.is_empty()?, "a backend can be emptied");
    backend.sync()
}

fn reads_past_the_end_fail(backend: &impl Backend) -> Result<()> {
    fails_past_the_end(backend)?;
    backend.write_at(0, &pattern(777, 1))?;
    fails_past_the_end(backend)
}

fn fails_past_the_end(backend: &impl Backend) -> Result<()> {
    let len = backend.len()?;
    same(backend, len, &[])?;
    let ends = |result: &Result<()>| matches!(result, Err(Error::Corrupt(c)) if c.part == "file");
    for offset in [len.saturating_sub(1), len, len + 1, 1 << 40, 1 << 63, u64::MAX - 1, u64::MAX] {
        let refused = backend.read_at(offset, &mut [0; 2]);
        assert!(ends(&refused), "a read past the end is Corrupt, of the file: {refused:?}");
        let place = refused.err().map(|error| match error {
            Error::Corrupt(c) => c.offset,
            _ => 0,
        });
        assert_eq!(place, Some(offset), "the error names the offset of the read");
    }
    for too_long in [len + 1, 1 << 40, u64::MAX] {
        assert!(ends(&backend.map(too_long).map(drop)), "no map is longer than the file");
    }
    Ok(())
}

fn writes_past_every_end_are_refused(backend: &impl Backend) -> Result<()> {
    backend.write_at(0, b"kept")?;
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let refused = backend.write_at(offset, b"abc");
        assert!(matches!(refused, Err(Error::Limit { .. })), "no file is that long: {refused:?}");
    }
    assert_eq!(backend.len()?, 4, "a refused write changes nothing");
    same(backend, 0, b"kept")
}

fn a_map_shows_what_read_at_shows(backend: &impl Backend) -> Result<()> {
    map_agrees(backend)?;
    backend.write_at(0, &pattern(20_000, 4))?;
    map_agrees(backend)?;
    let Some(early) = backend.map(20_000)? else {
        return Ok(());
    };
    backend.write_at(20_000, &pattern(20_000, 5))?;
    map_agrees(backend)?;
    assert!(*early == *pattern(20_000, 4), "a map keeps its length while the file grows");
    Ok(())
}

fn map_agrees(backend: &impl Backend) -> Result<()> {
    let len = backend.len()?;
    for part in [0, len / 2, len] {
        if let Some(map) = backend.map(part)? {
            assert_eq!(map.len() as u64, part, "a map is as long as was asked");
            same(backend, 0, &map)?;
        }
    }
    Ok(())
}

/// Four readers of what is there while a writer appends and syncs.
fn readers_are_not_disturbed_by_a_writer(backend: &impl Backend) -> Result<()> {
    let content = pattern(64 << 10, 9);
    backend.write_at(0, &content)?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4_u64)
            .map(|n| {
                let (content, done) = (&content, &done);
                scope.spawn(move || -> Result<()> {
                    let mut rounds = 0;
                    while rounds < 50 || !done.load(Ordering::Relaxed) {
                        let start = (n * 8_191 + rounds * 4_099) % 60_000;
                        let expected = tail(content, start);
                        same(backend, start, expected.get(..4_000).unwrap_or(expected))?;
                        rounds += 1;
                    }
                    Ok(())
                })
            })
            .collect();
        let mut written = Ok(());
        for n in 0..50 {
            let place = (64 << 10) + n * 1_000;
            written = written.and_then(|()| backend.write_at(place, &pattern(1_000, 6)));
        }
        let written = written.and_then(|()| backend.sync());
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            match reader.join() {
                Ok(read) => read?,
                Err(broken) => std::panic::resume_unwind(broken),
            }
        }
        written
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Access, FileBackend, MemoryBackend, SliceBackend};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn memory_keeps_the_contract() {
        writable(|| Ok(MemoryBackend::new())).unwrap();
        writable(|| Ok(Arc::new(MemoryBackend::new()))).unwrap();
    }

    #[test]
    fn files_keep_the_contract_mapped_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bytes");
        for access in [Access::Auto, Access::Map, Access::Pread] {
            writable(|| {
                let _ = std::fs::remove_file(&path);
                FileBackend::create_new(&path, access)
            })
            .unwrap();
            std::fs::write(&path, pattern(70_001, 3)).unwrap();
            read_only(&FileBackend::open_read(&path, access).unwrap(), &pattern(70_001, 3))
                .unwrap();
        }
    }

    #[test]
    fn slices_keep_the_contract() {
        read_only(&SliceBackend::new(Arc::from(pattern(5_000, 1))), &pattern(5_000, 1)).unwrap();
        read_only(&SliceBackend::from_owner(Vec::new()), &[]).unwrap();
    }

    #[test]
    #[should_panic(expected = "a read past the end is Corrupt")]
    fn a_backend_that_fills_up_with_zeros_is_found_out() {
        #[derive(Debug)]
        struct Zeros(MemoryBackend);
        impl Backend for Zeros {
            fn len(&self) -> Result<u64> {
                self.0.len()
            }
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
                self.0.read_at(offset, buf).or_else(|_| {
                    buf.fill(0);
                    Ok(())
                })
            }
            fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
                self.0.write_at(offset, data)
            }
            fn set_len(&self, len: u64) -> Result<()> {
                self.0.set_len(len)
            }
            fn sync(&self) -> Result<()> {
                Ok(())
            }
            fn map(&self, len: u64) -> Result<Option<super::super::Mapping>> {
                self.0.map(len)
            }
            fn writable(&self) -> bool {
                true
            }
        }
        writable(|| Ok(Zeros(MemoryBackend::new()))).unwrap();
    }
}
