//! The keys of one group: of one kind in the way that takes least, or of several kinds, each
//! for itself.

use super::bits::{self, Bits};
use super::numbers::{LINE, Line, Numbers, SIGNED, UNSIGNED};
use super::text::{self, FRONT_MAX, RESTART};
use super::{Defect, GROUP, STRETCH, WORD};
use crate::index::layout::{KEY_I64, KEY_NONE, KEY_U64};
use std::cmp::Ordering;
use std::ops::{Range, RangeInclusive};

/// Integers.
const NUMBERS: u8 = 1;
/// Numbers in decimals behind a common prefix.
const NUMBERED: u8 = 2;
/// One behind the other.
const PLAIN: u8 = 3;
/// Each as what it does not share with the one before.
const FRONT: u8 = 4;
/// Of several kinds.
const MIXED: u8 = 5;

/// Most bytes in front of the keys themselves, whatever the way.
pub(super) const HEAD_MAX: usize = 4 + LINE + 1 + text::PREFIX_MAX + GROUP * 8;

/// The number that a key of this kind is, if it is one.
pub(super) fn number(kind: u8, bytes: &[u8]) -> Option<i128> {
    let bytes = bytes.try_into().ok()?;
    match kind {
        KEY_I64 => Some(i64::from_le_bytes(bytes).into()),
        KEY_U64 => Some(u64::from_le_bytes(bytes).into()),
        _ => None,
    }
}

fn bases(kind: u8) -> RangeInclusive<i128> {
    if kind == KEY_I64 { SIGNED } else { UNSIGNED }
}

/// The order of keys of one kind: numbers by their value, others by their bytes.
pub(super) fn order(kind: u8, a: &[u8], b: &[u8]) -> Ordering {
    match (number(kind, a), number(kind, b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

fn byte(n: u32) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}

/// Appends the keys of up to [`GROUP`] records, kind and bytes of each; nothing if none has one.
pub(super) fn encode(keys: &[(u8, &[u8])], out: &mut Vec<u8>) {
    let mut kinds: Vec<u8> = keys.iter().map(|k| k.0).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.iter().all(|k| *k == KEY_NONE) {
        return;
    }
    let start = out.len();
    if let [_] = kinds.as_slice() {
        encode_kind(keys, out);
    } else {
        let class = |kind: u8| kinds.partition_point(|k| *k < kind) as u64;
        out.extend([MIXED, byte(u32::try_from(kinds.len()).unwrap_or(u32::MAX)), 0, 0]);
        out.extend_from_slice(&kinds);
        let lens = out.len();
        out.resize(lens + kinds.len() * 4, 0);
        bits::put(out, class_bits(kinds.len()), keys.iter().map(|k| class(k.0)));
        for (i, kind) in kinds.iter().enumerate().filter(|(_, kind)| **kind != KEY_NONE) {
            let first = out.len();
            let keys: Vec<_> = keys.iter().filter(|k| k.0 == *kind).copied().collect();
            encode_kind(&keys, out);
            // As many keys as a leaf has in all are counted with 4 bytes, too.
            let len = u32::try_from(out.len() - first).unwrap_or(u32::MAX);
            if let Some(slot) = out.get_mut(lens + i * 4..lens + i * 4 + 4) {
                slot.copy_from_slice(&len.to_le_bytes());
            }
        }
    }
    let len = out.len() - start;
    out.resize(start + len.next_multiple_of(WORD), 0);
}

const fn class_bits(kinds: usize) -> u32 {
    bits::width(kinds as u64 - 1)
}

fn encode_kind(keys: &[(u8, &[u8])], out: &mut Vec<u8>) {
    let kind = keys.first().map_or(KEY_NONE, |k| k.0);
    let numbers: Option<Vec<i128>> = keys.iter().map(|(kind, b)| number(*kind, b)).collect();
    if let Some(numbers) = numbers
        && let Some(line) = Line::below(&numbers, bases(kind))
    {
        out.extend([NUMBERS, kind, byte(line.width), 0]);
        line.put(out);
        line.put_above(&numbers, out);
        return;
    }
    let numbered = text::numbered(keys).and_then(|found| {
        let line = Line::below(&found.values, UNSIGNED)?;
        let mut out = vec![NUMBERED, kind, byte(line.width), found.digits];
        line.put(&mut out);
        out.push(u8::try_from(found.prefix.len()).ok()?);
        out.extend_from_slice(found.prefix);
        line.put_above(&found.values, &mut out);
        Some(out)
    });
    // It takes less than any other way could.
    if let Some(found) = numbered.as_ref().filter(|n| n.len() <= keys.len()) {
        return out.extend_from_slice(found);
    }
    let plain = Plain::of(keys);
    let longest = keys.iter().map(|k| k.1.len()).max().unwrap_or(0);
    let front = (longest <= FRONT_MAX).then(|| front(kind, keys));
    let best = numbered.into_iter().chain(front).min_by_key(Vec::len);
    match best.filter(|best| best.len() < plain.len) {
        Some(best) => out.extend_from_slice(&best),
        None => plain.put(kind, keys, out),
    }
}

/// How keys stand one behind the other.
struct Plain {
    least: u32,
    width: u32,
    firsts: Vec<u64>,
    first_width: u32,
    /// Bytes of all.
    len: usize,
}

impl Plain {
    fn of(keys: &[(u8, &[u8])]) -> Self {
        // No key is longer than its ceiling.
        let len = |key: &(u8, &[u8])| u32::try_from(key.1.len()).unwrap_or(u32::MAX);
        let least = keys.iter().map(len).min().unwrap_or(0);
        let most = keys.iter().map(len).max().unwrap_or(0);
        let width = bits::width(u64::from(most - least));
        let mut at = 0;
        let mut firsts = Vec::new();
        for stretch in keys.chunks(STRETCH) {
            firsts.push(at);
            at += stretch.iter().map(|k| k.1.len() as u64).sum::<u64>();
        }
        firsts.remove(0);
        let first_width = bits::width(firsts.last().copied().unwrap_or(0));
        let packed = bits::bytes(firsts.len(), first_width) + bits::bytes(keys.len(), width);
        let len = 8 + packed + keys.iter().map(|k| k.1.len()).sum::<usize>();
        Self { least, width, firsts, first_width, len }
    }

    fn put(&self, kind: u8, keys: &[(u8, &[u8])], out: &mut Vec<u8>) {
        out.extend([PLAIN, kind, byte(self.width), byte(self.first_width)]);
        out.extend(self.least.to_le_bytes());
        bits::put(out, self.first_width, self.firsts.iter().copied());
        let above = keys.iter().map(|k| (k.1.len() as u64).saturating_sub(self.least.into()));
        bits::put(out, self.width, above);
        keys.iter().for_each(|k| out.extend_from_slice(k.1));
    }
}

fn front(kind: u8, keys: &[(u8, &[u8])]) -> Vec<u8> {
    let (mut entries, mut firsts) = (Vec::new(), Vec::new());
    for stretch in keys.chunks(RESTART) {
        firsts.push(entries.len() as u64);
        let mut before: &[u8] = &[];
        for (_, key) in stretch {
            text::put_front(before, key, &mut entries);
            before = key;
        }
    }
    let width = bits::width(firsts.last().copied().unwrap_or(0));
    let mut out = vec![FRONT, kind, 0, byte(width)];
    bits::put(&mut out, width, firsts.iter().skip(1).copied());
    out.extend_from_slice(&entries);
    out
}

/// What stands in front of the keys of a group.
#[derive(Debug)]
pub(super) enum Head<'a> {
    /// All of one kind.
    One(Kind<'a>),
    /// Of several kinds.
    Mixed(Mixed<'a>),
}

/// Keys of several kinds, each for itself.
#[derive(Debug)]
pub(super) struct Mixed<'a> {
    n: usize,
    kinds: &'a [u8],
    lens: &'a [[u8; 4]],
    classes: Bits<'a>,
    first: usize,
}

/// Keys of one kind among the keys of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KindKeys {
    /// The kind.
    pub(super) kind: u8,
    /// Where they lie.
    pub(super) at: Range<usize>,
    /// How many they are.
    pub(super) n: usize,
}

impl Mixed<'_> {
    /// The kinds with the places of their keys; of [`KEY_NONE`] there are none.
    pub(super) fn parts(&self) -> impl Iterator<Item = KindKeys> {
        let mut at = self.first;
        self.kinds.iter().zip(self.lens).enumerate().map(move |(class, (kind, len))| {
            let first = at;
            at = at.saturating_add(u32::from_le_bytes(*len) as usize);
            let n = (0..self.n).filter(|i| self.class(*i) == Some(class)).count();
            KindKeys { kind: *kind, at: first..at, n }
        })
    }

    fn class(&self, i: usize) -> Option<usize> {
        usize::try_from(self.classes.get(i)?).ok()
    }

    /// The part with the key of the record at position `i`, and its position in that part.
    pub(super) fn find(&self, i: usize) -> Option<(KindKeys, usize)> {
        let class = self.class(i)?;
        let before = (0..i).filter(|j| self.class(*j) == Some(class)).count();
        Some((self.parts().nth(class)?, before))
    }

    /// The position of record `i` of the part of `kind` among all of the group.
    pub(super) fn position(&self, kind: u8, i: usize) -> Option<usize> {
        let class = self.kinds.iter().position(|k| *k == kind)?;
        (0..self.n).filter(|j| self.class(*j) == Some(class)).nth(i)
    }
}

/// Keys of one kind, as far as what stands in front of them tells.
#[derive(Debug)]
pub(super) struct Kind<'a> {
    /// The kind.
    pub(super) kind: u8,
    n: usize,
    way: Way<'a>,
}

#[derive(Debug)]
enum Way<'a> {
    Numbers(Numbers<'a>),
    Numbered { prefix: &'a [u8], digits: u8, numbers: Numbers<'a> },
    Plain { least: u32, firsts: Bits<'a>, lens: Bits<'a>, at: usize, len: usize },
    Front { firsts: Bits<'a>, at: usize, len: usize },
}

/// Where a key stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum At {
    /// It was put together from what stands in front.
    Known,
    /// Here.
    Bytes(Range<usize>),
    /// Behind a restart, at a position among the keys there, of which there are so many.
    Front(Range<usize>, usize, usize),
}

const NO_FIT: Defect = "keys of a group are not as long as they say";
const OUTSIDE: Defect = "a key lies outside the keys of its group, or is none";
const OTHER: Defect = "keys of a group are packed in no known way";

impl<'a> Head<'a> {
    /// The keys of `n` records, `len` bytes of which `bytes` are the first.
    pub(super) fn parse(bytes: &'a [u8], len: usize, n: usize) -> Result<Self, Defect> {
        if bytes.first() != Some(&MIXED) {
            return Kind::parse(bytes, len, n).map(Head::One);
        }
        let parse = || {
            let (head, rest) = bytes.split_first_chunk::<4>()?;
            let [_, count, 0, 0] = *head else { return None };
            let count = usize::from(count);
            let (kinds, rest) = rest.split_at_checked(count)?;
            (count >= 2 && kinds.is_sorted_by(|a, b| a < b)).then_some(())?;
            let (lens, rest) = rest.split_at_checked(count * 4)?;
            let (classes, rest) = Bits::split(rest, n, class_bits(count))?;
            let (lens, _) = lens.as_chunks();
            let first = bytes.len() - rest.len();
            let mixed = Mixed { n, kinds, lens, classes, first };
            let end = mixed.parts().last()?.at.end;
            let whole = end <= len && end.next_multiple_of(WORD) == len;
            let known = (0..n).all(|i| mixed.class(i).is_some_and(|c| c < count));
            (whole && known).then_some(Self::Mixed(mixed))
        };
        parse().ok_or(NO_FIT)
    }
}

impl<'a> Kind<'a> {
    /// The keys of `n` records, `len` bytes of which `bytes` are the first.
    pub(super) fn parse(bytes: &'a [u8], len: usize, n: usize) -> Result<Self, Defect> {
        let (head, rest) = bytes.split_first_chunk::<4>().ok_or(NO_FIT)?;
        let [way, kind, a, b] = *head;
        let at = |rest: &[u8]| bytes.len() - rest.len();
        let parse = || {
            Some(match way {
                NUMBERS => {
                    let (line, rest) = rest.split_first_chunk()?;
                    let numbers = Numbers::parse(*line, &bases(kind), rest, n, a)?;
                    (b == 0 && matches!(kind, KEY_I64 | KEY_U64)).then_some(())?;
                    Way::Numbers(numbers)
                }
                NUMBERED => {
                    let (line, rest) = rest.split_first_chunk()?;
                    let (prefix, rest) = rest.split_first()?;
                    let (prefix, rest) = rest.split_at_checked(usize::from(*prefix))?;
                    let numbers = Numbers::parse(*line, &UNSIGNED, rest, n, a)?;
                    (usize::from(b) <= text::DIGITS_MAX).then_some(())?;
                    Way::Numbered { prefix, digits: b, numbers }
                }
                PLAIN => {
                    let (least, rest) = rest.split_first_chunk()?;
                    let stretches = n.div_ceil(STRETCH).checked_sub(1)?;
                    let (firsts, rest) = Bits::split(rest, stretches, b.into())?;
                    let (lens, rest) = Bits::split(rest, n, a.into())?;
                    (a <= 32).then_some(())?;
                    Way::Plain {
                        least: u32::from_le_bytes(*least),
                        firsts,
                        lens,
                        at: at(rest),
                        len,
                    }
                }
                FRONT => {
                    let restarts = n.div_ceil(RESTART).checked_sub(1)?;
                    let (firsts, rest) = Bits::split(rest, restarts, b.into())?;
                    (a == 0).then_some(())?;
                    Way::Front { firsts, at: at(rest), len }
                }
                _ => return None,
            })
        };
        if !matches!(way, NUMBERS..=FRONT) || kind == KEY_NONE {
            return Err(OTHER);
        }
        let way = parse().ok_or(NO_FIT)?;
        Ok(Self { kind, n, way })
    }

    /// Calls `f` with the key at position `i`, if it follows from what stands in front; else
    /// where it stands.
    fn seek<R>(&self, i: usize, f: impl FnOnce(&[&[u8]]) -> R) -> Result<Result<R, At>, Defect> {
        let first = |firsts: Bits<'_>, i: usize, at: usize| match i.checked_sub(1) {
            None => Some(at),
            Some(i) => at.checked_add(usize::try_from(firsts.get(i)?).ok()?),
        };
        let seek = || {
            (i < self.n).then_some(())?;
            Some(match &self.way {
                Way::Numbers(numbers) => {
                    let n = numbers.get(i).filter(|n| bases(self.kind).contains(n))?;
                    let [low @ .., _, _, _, _, _, _, _, _] = n.to_le_bytes();
                    Ok(f(&[&low]))
                }
                Way::Numbered { prefix, digits, numbers } => {
                    let n = numbers.get(i)?;
                    Ok(text::with_decimals(n, *digits, |number| f(&[prefix, number]))?)
                }
                Way::Plain { least, firsts, lens, at, len } => {
                    let of = |j: usize| {
                        least.checked_add(u32::try_from(lens.get(j)?).ok()?).map(|n| n as usize)
                    };
                    let stretch = i / STRETCH;
                    let mut start = first(*firsts, stretch, *at)?;
                    for j in stretch * STRETCH..i {
                        start = start.checked_add(of(j)?)?;
                    }
                    let end = start.checked_add(of(i)?).filter(|end| end <= len)?;
                    Err(At::Bytes(start..end))
                }
                Way::Front { firsts, at, len } => {
                    let stretch = i / RESTART;
                    let start = first(*firsts, stretch, *at)?;
                    let n = (self.n - stretch * RESTART).min(RESTART);
                    let last = (stretch + 1) * RESTART >= self.n;
                    let end = if last { *len } else { first(*firsts, stretch + 1, *at)? };
                    (start <= end && end <= *len).then_some(())?;
                    Err(At::Front(start..end, i % RESTART, n))
                }
            })
        };
        seek().ok_or(OUTSIDE)
    }

    /// Puts the key at position `i` into `out`, or says where it stands.
    pub(super) fn key(&self, i: usize, out: &mut Vec<u8>) -> Result<At, Defect> {
        let known = self.seek(i, |parts| {
            out.clear();
            parts.iter().for_each(|p| out.extend_from_slice(p));
            At::Known
        })?;
        Ok(known.unwrap_or_else(|at| at))
    }

    /// How the key at position `i` compares with `wanted`, or where it stands.
    pub(super) fn compare(&self, i: usize, wanted: &[u8]) -> Result<Result<Ordering, At>, Defect> {
        self.seek(i, |parts| match parts {
            [key] => order(self.kind, key, wanted),
            parts => parts.iter().copied().flatten().cmp(wanted),
        })
    }

    /// The position of a key, searched as a number: the outer nothing if keys are packed in another way,
    /// or the order of the numbers need not be theirs.
    #[expect(clippy::option_option, reason = "no number, and no such number")]
    pub(super) fn search_numbers(&self, key: &[u8]) -> Result<Option<Option<usize>>, Defect> {
        let (numbers, wanted) = match &self.way {
            Way::Numbers(numbers) => (numbers, number(self.kind, key)),
            Way::Numbered { prefix, digits, numbers } if *digits > 0 => {
                let digits = usize::from(*digits);
                let number = key.strip_prefix(*prefix).filter(|number| number.len() == digits);
                (numbers, number.and_then(text::decimal))
            }
            _ => return Ok(None),
        };
        match wanted.map(|wanted| numbers.search(wanted, self.n)) {
            None => Ok(Some(None)),
            Some(found) => found.map(Some).ok_or(OUTSIDE),
        }
    }

    /// Positions that are compared before the keys between them are: all, or those that stand
    /// whole.
    pub(super) const fn step(&self) -> usize {
        if matches!(self.way, Way::Front { .. }) { RESTART } else { 1 }
    }
}

/// The keys of a group, taken apart.
#[derive(Debug, Default)]
pub struct GroupKeys {
    /// Of each record the kind of its key, and where it lies.
    keys: Vec<(u8, Range<usize>)>,
    bytes: Vec<u8>,
}

impl GroupKeys {
    /// Kind and bytes of the key of the record at position `i`; [`KEY_NONE`] for one without.
    #[must_use]
    pub fn get(&self, i: usize) -> (u8, &[u8]) {
        let key =
            self.keys.get(i).and_then(|(kind, at)| Some((*kind, self.bytes.get(at.clone())?)));
        key.unwrap_or((KEY_NONE, &[]))
    }

    /// Takes apart `bytes`, all keys of `n` records. What it held before is gone.
    pub(super) fn fill(&mut self, bytes: &[u8], n: usize) -> Result<(), Defect> {
        self.bytes.clear();
        self.keys.clear();
        self.keys.resize(n, (KEY_NONE, 0..0));
        if bytes.is_empty() {
            return Ok(());
        }
        match Head::parse(bytes, bytes.len(), n)? {
            Head::One(kind) => self.fill_kind(bytes, &kind, Some),
            Head::Mixed(mixed) => {
                for part in mixed.parts().filter(|p| p.kind != KEY_NONE && p.n > 0) {
                    let own = bytes.get(part.at.clone()).ok_or(NO_FIT)?;
                    let kind = Kind::parse(own, own.len(), part.n)?;
                    if kind.kind != part.kind {
                        return Err(NO_FIT);
                    }
                    self.fill_kind(own, &kind, |i| mixed.position(part.kind, i))?;
                }
                Ok(())
            }
        }
    }

    fn fill_kind(
        &mut self,
        bytes: &[u8],
        kind: &Kind<'_>,
        position: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), Defect> {
        let mut own = Vec::new();
        let mut i = 0;
        // Keys that share their bytes would be more than there are.
        let mut left = bytes.len();
        let mut note = |i: usize, key: &[u8], all: &mut Vec<u8>| {
            let at = all.len()..all.len() + key.len();
            all.extend_from_slice(key);
            if let Some(slot) = position(i).and_then(|i| self.keys.get_mut(i)) {
                *slot = (kind.kind, at);
            }
        };
        while i < kind.n {
            match kind.key(i, &mut own)? {
                At::Known => {
                    note(i, &own, &mut self.bytes);
                    i += 1;
                }
                At::Bytes(at) => {
                    left = left.checked_sub(at.len()).ok_or("keys of a group share bytes")?;
                    note(i, bytes.get(at).ok_or(NO_FIT)?, &mut self.bytes);
                    i += 1;
                }
                At::Front(at, _, n) => {
                    text::fronts(bytes.get(at).ok_or(NO_FIT)?, n, |key| {
                        note(i, key, &mut self.bytes);
                        i += 1;
                    })?;
                }
            }
        }
        Ok(())
    }
}
