//! The two slot pages: two copies of a slot in each, and marks of what was published last (see
//! `docs/format.md`, «Slots»).

use crate::backend::Backend;
use crate::error::Result;
use crate::frame::SLOT_OFFSETS;
use crate::index::slot::{MARK_LEN, Mark, SLOT_COPIES, SLOT_LEN, SLOT_PAGE, Slot};
use crate::store::index::io::Io;
use crate::wire::to_usize;

/// Above what any number of commits reaches: the numbers behind it are left for adding to it.
const GENERATION_MAX: u64 = 1 << 62;

/// What the two slot pages say.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// The slots that are right, newest first; of two equal copies one.
    pub(crate) right: Vec<Slot>,
    /// The greatest generation that was published for certain, if a mark says it.
    pub(crate) marked: u64,
    /// A page has no right copy, and nothing says whether it named the newest commit.
    pub(crate) unknown: bool,
    /// Places of copies and marks that are not right: of a torn write, or damaged since.
    pub(crate) bad: Vec<u64>,
}

/// The slots that are whole, newest first; each names its file itself.
pub(crate) fn slots(backend: &dyn Backend, file: Option<[u8; 16]>) -> Result<Vec<Slot>> {
    Ok(Slots::read(backend, file)?.right)
}

impl Slots {
    /// Reads both pages; `file` is the file's id, `None` takes slots at their own word.
    pub(crate) fn read(backend: &dyn Backend, file: Option<[u8; 16]>) -> Result<Self> {
        let len = backend.len()?;
        let mut out = Self::default();
        let mut marks = [None; 2];
        let mut dead = [true; 2];
        for (i, (parity, page)) in (0..).zip(SLOT_OFFSETS).enumerate() {
            let n = len.saturating_sub(page).min(SLOT_PAGE as u64);
            let mut bytes = vec![0; to_usize(n).unwrap_or(0)];
            if !bytes.is_empty() {
                backend.read_at(page, &mut bytes)?;
            }
            for at in SLOT_COPIES {
                let copy = bytes.get(at..at + SLOT_LEN).unwrap_or_default();
                let id = file.or_else(|| copy.get(8..24)?.try_into().ok());
                // A slot in the place of the other is a copy that went astray.
                let here = |s: &Slot| {
                    let generation = s.generation.get();
                    generation % 2 == parity && generation <= GENERATION_MAX
                };
                match id.and_then(|id| Slot::parse(copy, id)).filter(here) {
                    Some(slot) => {
                        if let Some(dead) = dead.get_mut(i) {
                            *dead = false;
                        }
                        if !out.right.contains(&slot) {
                            out.right.push(slot);
                        }
                    }
                    None => out.bad.push(page + at as u64),
                }
            }
            let id = file.or_else(|| out.right.first().map(|s| s.file));
            for at in SLOT_COPIES.map(|at| at + SLOT_LEN) {
                let mark = bytes.get(at..at + MARK_LEN).zip(id);
                let mark = mark.and_then(|(bytes, id)| Mark::parse(bytes, id));
                if mark.is_none() {
                    out.bad.push(page + at as u64);
                }
                if let Some(known) = marks.get_mut(i) {
                    *known = mark.max(*known);
                }
            }
        }
        out.right.sort_by_key(|s| std::cmp::Reverse(s.generation.get()));
        out.marked = marks.iter().flatten().copied().max().unwrap_or(0);
        // The mark in one page tells what the other held.
        let [even, odd] = marks;
        out.unknown = match dead {
            [false, false] => false,
            [false, true] => even.is_none(),
            [true, false] => odd.is_none(),
            [true, true] => true,
        };
        Ok(out)
    }

    /// The greatest generation of which there is evidence.
    pub(crate) fn newest(&self) -> u64 {
        self.right.first().map_or(0, |s| s.generation.get()).max(self.marked)
    }

    /// Whether a slot of this generation, whose state was read, is not the newest that was
    /// published, or may not be.
    pub(crate) fn is_older(&self, generation: u64) -> bool {
        self.unknown || generation < self.newest()
    }
}

/// Writes a slot into its page, beside the mark that `published` was published before.
pub(crate) fn write(io: &Io, slot: &Slot, published: u64) -> Result<()> {
    io.write(page_of(slot.generation.get()), &page(slot, published))
}

/// Notes in the other page that the slot of `generation` is in the file for good.
pub(crate) fn mark(io: &Io, generation: u64) -> Result<()> {
    let mark = Mark::encode(io.file(), generation);
    let page = page_of(generation + 1);
    SLOT_COPIES.into_iter().try_for_each(|at| io.write(page + (at + SLOT_LEN) as u64, &mark))
}

/// The page of a slot, as far as it is used.
pub(crate) fn page(slot: &Slot, published: u64) -> [u8; SLOT_PAGE] {
    let mut out = [0; SLOT_PAGE];
    let bytes = slot.encode();
    for at in SLOT_COPIES {
        if let Some(place) = out.get_mut(at..at + SLOT_LEN) {
            place.copy_from_slice(&bytes);
        }
        let mark = at + SLOT_LEN;
        if let Some(place) = out.get_mut(mark..mark + MARK_LEN) {
            place.copy_from_slice(&Mark::encode(slot.file, published));
        }
    }
    out
}

const fn page_of(generation: u64) -> u64 {
    let [even, odd] = SLOT_OFFSETS;
    if generation.is_multiple_of(2) { even } else { odd }
}
