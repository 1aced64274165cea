//! A batch where each read has its price: blocks are read together, and their records copied.

use crate::error::Result;
use crate::store::read::batch::{Want, copy, outside};
use crate::store::read::plan::{FilePlan, Wanted};
use crate::store::read::reader::Reader;
use crate::store::read::visit::Visit;
use crate::wire::memory;
use std::borrow::Cow;

impl Reader {
    /// Fills `out`, the buffer of the batch.
    pub(super) fn gather_together(&self, wants: &[Want], out: &mut [u8]) -> Result<()> {
        let mut wanted = memory::with_room(wants.len())?;
        for (i, want) in wants.iter().enumerate() {
            wanted.push(Wanted::bytes(&(want.start..want.end), i)?);
        }
        let plan = FilePlan { reader: self, wanted: Cow::Owned(wanted) };
        plan.visit(|parts| {
            let (mut rest, mut base) = (out, 0);
            parts
                .map(|part| {
                    // The parts follow each other, and so do their places in the buffer.
                    let next = part.last().and_then(|last| wants.get(last + 1));
                    let end = next.map_or(base + rest.len(), |next| next.to);
                    let (now, later) = std::mem::take(&mut rest).split_at_mut(end - base);
                    rest = later;
                    let copy = Copier { wants, base, out: now };
                    base = end;
                    copy
                })
                .collect()
        })
    }
}

/// Copies records to their places in the buffer of a batch.
struct Copier<'a> {
    wants: &'a [Want],
    /// Of the part of the buffer that is `out`.
    base: usize,
    out: &'a mut [u8],
}

impl Visit for Copier<'_> {
    fn record(&mut self, position: usize, bytes: &[u8]) -> Result<()> {
        let want = self.wants.get(position).ok_or_else(outside)?;
        copy(self.out, want.to - self.base, Some(bytes))
    }
}
