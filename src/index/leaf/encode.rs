//! Packing the records of a leaf.

use super::keys::{self, number, order};
use super::places::{self, Place};
use super::{DIRECTORY, GROUP, WORD};
use crate::error::{Error, Result};
use crate::index::layout::{KEY_I64, KEY_NONE, KEY_SHARED, KEY_U64};
use crate::wire::memory;
use std::cmp::Ordering;

/// Bytes that a group takes beside its keys, more than that it never does.
const BESIDE: usize = 16 << 10;

/// Packed records.
#[derive(Debug)]
pub struct Records {
    /// Their bytes, a multiple of [`WORD`].
    pub bytes: Vec<u8>,
    /// The kind of all keys, if each is greater than the one before; else [`KEY_NONE`]. Records
    /// without a key and shared ones do not count.
    pub ordered: u8,
}

/// Packs records with kind and bytes of their keys.
///
/// # Errors
/// [`Error::OutOfMemory`], and [`Error::Limit`] if they take 32 GiB or more.
pub fn pack<'a>(records: impl ExactSizeIterator<Item = (Place, u8, &'a [u8])>) -> Result<Records> {
    let groups = records.len().div_ceil(GROUP);
    let (mut places_out, mut keys_out) = (Vec::new(), Vec::new());
    let mut directory = memory::with_room(groups + 1)?;
    let mut ascent = Ascent::default();
    let mut records = records.peekable();
    let (mut places, mut keys) = (Vec::new(), Vec::new());
    while records.peek().is_some() {
        places.clear();
        keys.clear();
        let mut room = BESIDE;
        for (place, kind, key) in records.by_ref().take(GROUP) {
            let key = if kind == KEY_NONE { &[] } else { key };
            room = room.saturating_add(key.len());
            ascent.next(kind, key);
            places.push(place);
            keys.push((kind, key));
        }
        for out in [&mut places_out, &mut keys_out] {
            out.try_reserve(room).map_err(|_| memory::out_of_memory(room))?;
        }
        directory.push((places_out.len(), keys_out.len()));
        places::encode(&places, &mut places_out);
        keys::encode(&keys, &mut keys_out);
    }
    if groups == 0 {
        return Ok(Records { bytes: Vec::new(), ordered: KEY_NONE });
    }
    directory.push((places_out.len(), keys_out.len()));
    let first = directory.len() * DIRECTORY;
    let len = first + places_out.len() + keys_out.len();
    let mut bytes = memory::with_room(len)?;
    let words = |bytes: usize| {
        u32::try_from(bytes / WORD).map_err(|_| {
            let max = u64::from(u32::MAX) * WORD as u64;
            Error::Limit { what: "records of one leaf", asked: len as u64, max }
        })
    };
    for (place, key) in &directory {
        bytes.extend(words(first + place)?.to_le_bytes());
        bytes.extend(words(first + places_out.len() + key)?.to_le_bytes());
    }
    bytes.extend_from_slice(&places_out);
    bytes.extend_from_slice(&keys_out);
    Ok(Records { bytes, ordered: ascent.kind() })
}

/// Whether keys ascend.
#[derive(Default)]
struct Ascent<'a> {
    last: Option<(u8, &'a [u8])>,
    broken: bool,
}

impl<'a> Ascent<'a> {
    fn next(&mut self, kind: u8, key: &'a [u8]) {
        if self.broken || matches!(kind, KEY_NONE | KEY_SHARED) {
            return;
        }
        // Numbers that are none have no order.
        self.broken = matches!(kind, KEY_I64 | KEY_U64) && number(kind, key).is_none()
            || self.last.is_some_and(|(before, last)| {
                before != kind || order(kind, last, key) != Ordering::Less
            });
        self.last = Some((kind, key));
    }

    fn kind(&self) -> u8 {
        self.last.filter(|_| !self.broken).map_or(KEY_NONE, |(kind, _)| kind)
    }
}
