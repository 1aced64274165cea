//! The greatest text key of a store, as far as its writer knows it: a greater one needs no
//! look-up before it is put. For integers the slot keeps such a bound.

use crate::error::{Error, Result};
use crate::index::layout::KEY_STR;
use crate::store::read::reader::Reader;

/// A bound that no text key of the store is above.
#[derive(Debug, Default)]
pub(crate) enum TextBound {
    /// Nobody asked yet.
    #[default]
    Unasked,
    /// It would have to be looked for among all keys.
    Unknown,
    /// The greatest one; `None` if there is none.
    Known(Option<Vec<u8>>),
}

impl TextBound {
    /// Whether no record can have this text as its key, because every text that was put is less.
    pub(crate) fn is_below(&mut self, reader: &Reader, text: &[u8]) -> Result<bool> {
        if matches!(self, Self::Unasked) {
            *self = Self::of(reader)?;
        }
        Ok(match self {
            Self::Known(last) => last.as_deref().is_none_or(|last| last < text),
            _ => false,
        })
    }

    /// Notes that a record was put under this text.
    pub(crate) fn raise(&mut self, text: &[u8]) {
        match self {
            Self::Known(Some(last)) if last.as_slice() < text => {
                last.clear();
                last.extend_from_slice(text);
            }
            Self::Known(last @ None) => *last = Some(text.to_vec()),
            _ => {}
        }
    }

    /// The bound of a store, if its leaves with fences and its memory have all keys.
    fn of(reader: &Reader) -> Result<Self> {
        let stored_index = &reader.stored_index;
        if !stored_index.runs.is_empty() {
            return Ok(Self::Unknown);
        }
        let fenced = match stored_index.last_fenced_key(&reader.io) {
            Ok(fenced) => fenced,
            Err(Error::Corrupt(_)) => return Ok(Self::Unknown),
            Err(e) => return Err(e),
        };
        let mut last = match fenced {
            Some((KEY_STR, text)) => Some(text),
            // Fences of text stand before those of other kinds.
            _ if stored_index.fences.first().is_some_and(|f| f.kind() == KEY_STR) => {
                return Ok(Self::Unknown);
            }
            _ => None,
        };
        let memtable = &reader.memtable;
        let texts = memtable.records.iter().filter(|e| e.key_kind == KEY_STR);
        if let Some(newer) = texts.filter_map(|e| memtable.key(e)).max()
            && last.as_deref().is_none_or(|last| last < newer)
        {
            last = Some(newer.to_vec());
        }
        Ok(Self::Known(last))
    }
}
