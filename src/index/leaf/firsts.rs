//! The first keys of the groups of an ascending leaf, for who searches it often.

use super::keys::{number, order};
use crate::error::Result;
use crate::index::layout::{KEY_I64, KEY_U64};
use crate::wire::memory;
use std::cmp::Ordering;

/// Bytes of first keys that are kept of a leaf, at most.
const KEYS_MAX: usize = 64 << 10;

/// The first keys of the groups of an ascending leaf.
#[derive(Debug, Default)]
pub struct Firsts {
    kind: u8,
    keys: Vec<u8>,
    groups: Vec<First>,
    /// Bytes at the front that all of these keys share.
    shared: usize,
    /// Of each key so many bits behind them that most of them differ there, in the order of the keys: to
    /// compare these is one step.
    heads: Vec<u64>,
}

/// A group, and where its first key starts and ends.
#[derive(Debug, Clone, Copy)]
struct First {
    group: usize,
    start: usize,
    end: usize,
}

/// The first 8 bytes, those that are missing as zeros, as a number with the order of the bytes.
fn front(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(front) => u64::from_be_bytes(*front),
        None => bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)) << (8 * (8 - bytes.len()) % 64),
    }
}

impl Firsts {
    /// None yet, of keys of this kind.
    pub(super) fn of(kind: u8) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Adds the first key of a group; false if that is too much.
    pub(super) fn push(&mut self, group: usize, key: &[u8]) -> Result<bool> {
        let start = self.keys.len();
        if start + key.len() > KEYS_MAX {
            return Ok(false);
        }
        memory::append(&mut self.keys, key)?;
        memory::append(&mut self.groups, &[First { group, start, end: self.keys.len() }])?;
        Ok(true)
    }

    /// Makes what they are searched by, when all are there.
    pub(super) fn finish(mut self) -> Result<Self> {
        let mut heads = memory::with_room(self.groups.len())?;
        if !self.is_integers() {
            let ends = [self.groups.first(), self.groups.last()].map(|f| self.key(f));
            let [a, b] = ends;
            // They are in order: what the outer ones share, all share.
            self.shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        }
        heads.extend(self.groups.iter().map(|f| self.head(self.key(Some(f)))));
        self.heads = heads;
        Ok(self)
    }

    /// Bytes of memory that they take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.keys.len() + self.groups.len() * (size_of::<First>() + size_of::<u64>())
    }

    const fn is_integers(&self) -> bool {
        matches!(self.kind, KEY_I64 | KEY_U64)
    }

    fn key(&self, first: Option<&First>) -> &[u8] {
        first.and_then(|f| self.keys.get(f.start..f.end)).unwrap_or_default()
    }

    /// A number that is not greater for a smaller key.
    fn head(&self, key: &[u8]) -> u64 {
        if self.is_integers() {
            let least = if self.kind == KEY_I64 { i128::from(i64::MIN) } else { 0 };
            let above = number(self.kind, key).map(|n| n - least);
            return above.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        }
        front(key.get(self.shared..).unwrap_or_default())
    }

    /// The last group whose first key is not above `key`, which is of their kind.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        if self.shared > 0 {
            let shared = self.key(self.groups.first()).get(..self.shared)?;
            match key.get(..self.shared).unwrap_or(key).cmp(shared) {
                Ordering::Less => return None,
                Ordering::Equal => {}
                Ordering::Greater => return self.groups.last().map(|f| f.group),
            }
        }
        let head = self.head(key);
        let mut behind = self.heads.partition_point(|h| *h <= head);
        // Those that begin alike are compared as a whole.
        if behind.checked_sub(1).and_then(|i| self.heads.get(i)) == Some(&head) {
            let from = self.heads.partition_point(|h| *h < head);
            let alike = self.groups.get(from..behind).unwrap_or_default();
            let not_above =
                |f: &First| order(self.kind, self.key(Some(f)), key) != Ordering::Greater;
            behind = from + alike.partition_point(not_above);
        }
        self.groups.get(behind.checked_sub(1)?).map(|f| f.group)
    }
}
