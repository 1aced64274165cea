//! Which frames are wanted, and what they are called in messages.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Plan, Readable};

/// Frames of a store, in the order in which they are wanted; one may come more than once.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// By their keys.
    Keys(&'a [Key]),
    /// By their ordinals.
    Ordinals(&'a [u64]),
}

impl Selection<'_> {
    /// Number of frames.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Ordinals(ordinals) => ordinals.len(),
        }
    }

    /// Whether there are no frames.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn plan<'a>(&self, from: &'a dyn Readable) -> Result<Plan<'a>> {
        match self {
            Self::Keys(keys) => from.plan_keys(keys),
            Self::Ordinals(ordinals) => from.plan_at(ordinals),
        }
    }

    /// The ordinals of the first `most` frames.
    pub(super) fn ordinals(&self, from: &dyn Readable, most: usize) -> Result<Vec<u64>> {
        let found = |key: &Key| {
            from.find_key(key)?.ok_or_else(|| Error::NotFound { key: key.to_string().into() })
        };
        match self {
            Self::Keys(keys) => keys.iter().take(most).map(found).collect(),
            Self::Ordinals(ordinals) => Ok(ordinals.iter().take(most).copied().collect()),
        }
    }

    /// What the frame at position `i` is called.
    fn name(&self, i: usize) -> String {
        let known = match self {
            Self::Keys(keys) => keys.get(i).map(|key| format!("record {key}")),
            Self::Ordinals(ordinals) => ordinals.get(i).map(|o| format!("ordinal {o}")),
        };
        format!("frame {i} of the batch ({})", known.unwrap_or_default())
    }

    /// The error that the frame at position `i` is not like those before it.
    pub(super) fn differs(&self, i: usize, text: &str, what: &str) -> Error {
        let why = format!("{} has another {what} of {text:?} than those before it", self.name(i));
        Error::invalid("batch", why)
    }

    /// The error that the frame at position `i`, which has the fields `there`, lacks one.
    pub(super) fn lacks(&self, i: usize, text: &str, there: &str) -> Error {
        let why = format!(
            "{} has no {text:?}; it has {there}. missing=\"fill\" puts a fill value there, and \
             mask=True says where",
            self.name(i)
        );
        Error::invalid("batch", why)
    }

    /// Puts the name of the frame at position `i` before an error of its record.
    pub(super) fn named(&self, i: usize, error: Error) -> Error {
        match error {
            Error::Codec { .. } => {
                Error::Record { key: self.name(i).into(), source: Box::new(error) }
            }
            other => other,
        }
    }
}
