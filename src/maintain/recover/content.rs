//! Finding shared records without an index: where no known record lies, by their digest.
//!
//! A record that refers to a shared one names it by the digest of its bytes, so what has that
//! digest is the record that was meant: nothing is guessed, only its place is looked for. It was
//! put before the first record that refers to it, as a rule directly before.

use crate::error::Result;
use crate::maintain::recover::recovery_reader::RecoveryReader;
use crate::store::options::Alignment;
use crate::wire::{AlignedBuf, Digest, to_usize};
use std::collections::HashMap;
use std::ops::Range;

/// Logical bytes of a gap that are looked at: those directly before the record behind it.
const REACH: u64 = 64 << 20;
/// Bytes of a file for which there is more to spend on the search.
const BUDGET: u64 = 16 << 30;
/// What trying one length of a record costs, in bytes that could be hashed instead.
const TRIAL: u64 = 1024;

/// Where records of whose index nothing is left can lie, and how much may still be spent on
/// looking there.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// Each with a number that grows, so that a digest is looked for in each only once.
    list: Vec<(u64, Range<u64>)>,
    next: u64,
    /// Where the gaps so far end: ranges come in order, but more than once.
    end: u64,
    /// Digests that were not found, and the gaps below which they were looked for.
    tried: HashMap<Digest, u64>,
    /// Records start at multiples of this.
    step: usize,
    /// Bytes that may still be hashed. A file made to abuse the search ends it, not the recovery.
    budget: u64,
}

impl Gaps {
    pub(crate) fn new(alignment: Alignment, file_len: u64) -> Self {
        let step = match alignment {
            Alignment::Block | Alignment::Start => 8,
            Alignment::Contiguous | Alignment::NoCross => 1,
        };
        // A sparse file is as long as it likes.
        let budget = file_len.min(BUDGET).saturating_mul(64).saturating_add(4 << 30);
        Self { list: Vec::new(), next: 0, end: 0, tried: HashMap::new(), step, budget }
    }

    /// Logical bytes in which no record lies that an index or a table still names.
    pub(crate) fn add(&mut self, gap: Range<u64>) {
        self.push(gap.start.max(self.end)..gap.end);
        self.end = self.end.max(gap.end);
    }

    fn push(&mut self, gap: Range<u64>) {
        if gap.start < gap.end {
            self.list.push((self.next, gap));
            self.next += 1;
        }
    }

    /// The shared record with this digest and its place in the logical byte space. `begins` says
    /// whether one may begin with some bytes.
    pub(crate) fn find(
        &mut self,
        s: &RecoveryReader,
        begins: fn(&[u8]) -> bool,
        digest: &Digest,
    ) -> Result<Option<(u64, AlignedBuf)>> {
        let tried = self.tried.get(digest).copied().unwrap_or(0);
        // Looking everywhere for the first is not to leave nothing for the others; and before one
        // place is looked at in every way, all are looked at where it is cheap.
        let mut share = self.budget / 4;
        for way in [Way::Edges, Way::Everywhere] {
            for i in (0..self.list.len()).rev() {
                let Some((number, gap)) = self.list.get(i).cloned() else { break };
                if number < tried || share == 0 {
                    break;
                }
                let from = gap.start.max(gap.end.saturating_sub(REACH));
                let bytes = match s.read(from, gap.end) {
                    Ok((bytes, _)) => bytes,
                    Err(e) if e.is_damage() => continue,
                    Err(e) => return Err(e),
                };
                let align = to_usize(from % 8).unwrap_or(0);
                let before = share;
                let found = search(&bytes, align, self.step, begins, digest, way, &mut share);
                self.budget = self.budget.saturating_sub(before - share);
                if let Some(found) = found {
                    let (start, end) = (from + found.start as u64, from + found.end as u64);
                    self.list.remove(i);
                    self.push(gap.start..start);
                    self.push(end..gap.end);
                    let out = AlignedBuf::copy_of(bytes.get(found).unwrap_or_default())?;
                    return Ok(Some((start, out)));
                }
            }
        }
        self.tried.insert(*digest, self.next);
        Ok(None)
    }
}

/// Which ends of a content are tried.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Where data ends and zeros follow.
    Edges,
    /// Everywhere, which costs a thousand times as much.
    Everywhere,
}

/// Where in `bytes`, which start `align` bytes behind a multiple of 8, the content with this
/// digest lies: from the start and then from wherever one may begin, to the ends of this way.
fn search(
    bytes: &[u8],
    align: usize,
    step: usize,
    begins: fn(&[u8]) -> bool,
    digest: &Digest,
    way: Way,
    budget: &mut u64,
) -> Option<Range<usize>> {
    let len = bytes.len();
    let data_start = bytes.iter().position(|b| *b != 0).unwrap_or(0);
    // The first multiple of 8 not below the start; the last not above the first byte of data.
    let up = ((8 - align) % 8).min(len);
    let down = data_start.saturating_sub((data_start + align) % 8);
    let mut likely = vec![0, up, down, data_start];
    likely.sort_unstable();
    likely.dedup();
    let any = (0..len)
        .filter(|at| (at + align).is_multiple_of(step) && bytes.get(*at..).is_some_and(begins));
    let mut starts = likely.clone();
    starts.extend(any.filter(|at| !likely.contains(at)));
    let edges = edges(bytes);
    let mut at = |start: usize, ends: &mut dyn ExactSizeIterator<Item = usize>| {
        let cost = (len - start) as u64 + (ends.len() as u64).saturating_mul(TRIAL);
        // What is too much is left out; less may be enough.
        *budget = budget.checked_sub(cost)?;
        let ends = ends.map(|end| end.saturating_sub(start));
        digest.of_beginning(bytes.get(start..)?, ends).map(|n| start..start + n)
    };
    let behind = |start: usize| edges.get(edges.partition_point(|e| *e < start)..).unwrap_or(&[]);
    starts.iter().find_map(|start| match way {
        Way::Edges => at(*start, &mut behind(*start).iter().copied()),
        Way::Everywhere => at(*start, &mut (*start..len + 1)),
    })
}

/// Where a record can end that has zeros behind it: directly behind data that many zeros follow,
/// or the few that a number may end with later.
fn edges(bytes: &[u8]) -> Vec<usize> {
    const ZEROS: usize = 64;
    const OWN: usize = 8;
    let mut out = Vec::new();
    let mut edge = |at: usize, zeros: usize| {
        if at + zeros == bytes.len() || zeros >= ZEROS {
            out.extend(at..=at + zeros.min(OWN));
        }
    };
    let (mut data_end, mut at) = (0, 0);
    for zero in bytes.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
        if zero.first() == Some(&0) {
            edge(data_end, zero.len());
        } else {
            data_end = at + zero.len();
        }
        at += zero.len();
    }
    if data_end == bytes.len() {
        edge(data_end, 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(bytes: &[u8], align: usize, step: usize, what: &[u8]) -> Option<Range<usize>> {
        let mut budget = 1 << 30;
        let (begins, digest) = (|b: &[u8]| b.first() == Some(&7), Digest::of(what));
        let mut by = |way| search(bytes, align, step, begins, &digest, way, &mut budget);
        by(Way::Edges).or_else(|| by(Way::Everywhere))
    }

    /// A content that begins with a 7 and ends with zeros.
    fn content(len: usize, seed: usize) -> Vec<u8> {
        let middle = (1..len - 9).map(|i| u8::try_from((i * i + seed) % 251).unwrap());
        [7].into_iter().chain(middle).chain([0; 9]).collect()
    }

    #[test]
    fn a_content_is_found_wherever_it_lies_and_whatever_lies_around_it() {
        let (what, other) = (content(700, 1), content(300, 2));
        for align in 0..8_usize {
            for before in [0, 1, 7, 8, 200] {
                for after in [0, 1, 8, 500] {
                    let start = (before + align).next_multiple_of(8) - align;
                    let mut bytes = vec![0; start];
                    bytes.extend(&what);
                    bytes.resize(bytes.len() + after, 0);
                    let right = Some(start..start + 700);
                    assert_eq!(find(&bytes, align, 8, &what), right, "{align} {before} {after}");
                    // Behind a record that is of no concern, and before one.
                    let mut both = other.clone();
                    both.resize((300 + align).next_multiple_of(8) - align, 0);
                    let at = both.len();
                    both.extend(&what);
                    assert_eq!(find(&both, align, 8, &what), Some(at..at + 700));
                    both.extend(&other);
                    assert_eq!(find(&both, align, 8, &what), Some(at..at + 700));
                    assert_eq!(find(&both, align, 8, b"not there"), None);
                }
            }
        }
        let packed = [other.clone(), what.clone(), other].concat();
        assert_eq!(find(&packed, 3, 1, &what), Some(300..1000));
        assert_eq!(find(&[], 0, 8, b""), Some(0..0));
    }

    #[test]
    fn a_search_ends_when_its_budget_is_spent() {
        let bytes = vec![7; 1 << 20];
        let mut budget = 1 << 28;
        let digest = Digest::of(b"not there");
        for way in [Way::Edges, Way::Everywhere] {
            assert_eq!(search(&bytes, 0, 1, |_| true, &digest, way, &mut budget), None);
        }
        assert!(budget < 1 << 20, "{budget}");
    }
}
