//! What the last seal says for other programs: where each chunk lies, and the table of records.
//! Used where our own index is lost.

use crate::backend::Backend;
use crate::chunk::ChunkLayout;
use crate::error::Result;
use crate::frame::{ChunkPlace, FrameHeader, HEADER_LEN};
use crate::index::slot::Seal;
use crate::key::Key;
use crate::store::foreign::frame::{Frame, read_frame, read_header};
use crate::wire::memory;

/// Offsets of chunks and the records of the last seal.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    /// Where chunk n lies, counted from the start of the file; `None` for one of zeros.
    places: Vec<Option<u64>>,
    /// Records by place in the logical byte space.
    records: Vec<(Key, u64, u64)>,
    /// End of the last record of the seal; what follows in the last chunk is filling.
    end: u64,
}

impl Sealed {
    /// From the frame header or, if that is damaged, from what a slot says of the seal.
    pub(crate) fn read(backend: &dyn Backend, seal: Option<&Seal>, chunk_size: u32) -> Self {
        let by_header = || -> Result<(Frame, u64)> {
            let (header, _) = read_header(backend)?;
            let at = header.header_len;
            Ok((read_frame(backend, header)?, at))
        };
        let by_seal = || {
            let seal = seal?;
            let header = FrameHeader {
                header_len: HEADER_LEN as u64,
                frame_len: seal.frame_len.get(),
                nbytes: seal.nbytes.get(),
                cbytes: seal.cbytes.get(),
                typesize: 1,
                block_size: 0,
                chunk_size,
                algorithm: None,
                level: 0,
                filters: [0; 6],
                has_vlmetalayers: true,
                metalayers: Vec::new(),
            };
            read_frame(backend, header).ok().map(|f| (f, HEADER_LEN as u64))
        };
        let Some((frame, base)) = by_header().ok().or_else(by_seal) else {
            return Self::default();
        };
        let places = frame.places.iter().map(|p| match p {
            ChunkPlace::At(offset) => Some(base.saturating_add(*offset)),
            // Outside every file: a chunk of NaN is none of ours.
            ChunkPlace::Nans => Some(u64::MAX),
            ChunkPlace::Zeros => None,
        });
        let places = places.collect();
        let mut records = frame.lookup.unwrap_or_default();
        records.sort_by_key(|r| (r.1, r.2));
        let end = records.iter().map(|r| r.2).max().unwrap_or(0);
        Self { places, records, end }
    }

    /// The chunks of a frame whose end is lost, found one behind the other from `at` on, as
    /// other programs write them; none of them half.
    pub(crate) fn walk(backend: &dyn Backend, at: u64, chunk_size: u32) -> Result<Self> {
        let len = backend.len()?;
        let mut at = at;
        let mut places = Vec::new();
        let mut head = vec![0; ChunkLayout::HEADER_LEN];
        while at.saturating_add(head.len() as u64) <= len {
            backend.read_at(at, &mut head)?;
            let Ok(n) = ChunkLayout::prefix_len(&head, chunk_size) else { break };
            if at.saturating_add(n as u64) > len {
                break;
            }
            let mut prefix = memory::zeroed(n)?;
            backend.read_at(at, &mut prefix)?;
            let Ok(layout) = ChunkLayout::parse(&prefix, chunk_size) else { break };
            let next = at.saturating_add(u64::from(layout.cbytes()));
            if layout.nbytes() != chunk_size || next > len || next <= at {
                break;
            }
            places.push(Some(at));
            at = next;
        }
        Ok(Self { places, records: Vec::new(), end: u64::MAX })
    }

    /// Where chunk `chunk` lies, if its bytes up to logical byte `end` were there at the seal.
    pub(crate) fn place(&self, chunk: u64, end: u64) -> Option<Option<u64>> {
        let at = usize::try_from(chunk).ok()?;
        let place = self.places.get(at).copied()?;
        (at + 1 < self.places.len() || end <= self.end).then_some(place)
    }

    /// The key of the record that lies exactly there.
    pub(crate) fn key_at(&self, start: u64, end: u64) -> Option<&Key> {
        let first = self.records.partition_point(|r| (r.1, r.2) < (start, end));
        let found = self.records.get(first..).unwrap_or_default();
        let mut same = found.iter().take_while(|r| (r.1, r.2) == (start, end));
        // Empty records may share their place; then none of them is known by it.
        let key = &same.next()?.0;
        same.next().is_none().then_some(key)
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.places.len() as u64
    }

    /// The records that lie between these two logical bytes, in order.
    pub(crate) fn between(&self, from: u64, to: u64) -> &[(Key, u64, u64)] {
        let first = self.records.partition_point(|r| r.1 < from);
        let rest = self.records.get(first..).unwrap_or_default();
        let n = rest.partition_point(|r| r.1 <= to);
        let rest = rest.get(..n).unwrap_or_default();
        let n = rest.iter().rposition(|r| r.2 <= to).map_or(0, |i| i + 1);
        rest.get(..n).unwrap_or_default()
    }
}
