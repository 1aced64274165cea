//! How a store keeps its frames: all with a table, or the small ones without.

use crate::codec::{AnyCodec, LEAN, MdFrameCodec};
use crate::error::{Error, Result};

/// How the records of a store of frames are made. A frame reads the same either way.
///
/// The original program does not read lean frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameForm {
    /// Each is a FlatBuffer, with a table that says where its fields are.
    Table,
    /// Frames of at most 4095 sites that have no more than the usual fields are a word that says which, and
    /// their values: 60 to 100 bytes less for each, and 3 less for each type that fits one byte. Others
    /// have a table.
    #[default]
    Lean,
}

impl FrameForm {
    /// The form of this name on the command line: `table` or `lean`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Table, Self::Lean].into_iter().find(|form| form.name() == name)
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Lean => "lean",
        }
    }

    /// What a store keeps of it: [`Layout::record_codec`](crate::Layout::record_codec).
    #[must_use]
    pub fn record_codec(self) -> (String, u32) {
        let version = match self {
            Self::Table => MdFrameCodec.original_version(),
            Self::Lean => LEAN,
        };
        (MdFrameCodec.name().into(), version)
    }

    /// Refuses to write the table of the original program to a store with this record codec, if it would find
    /// lean frames by it.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says how to convert.
    pub fn check_original(record_codec: &(String, u32)) -> Result<()> {
        if Self::of(record_codec) == Some(Self::Lean) {
            let why = "the original program does not read lean frames, which this store may have: make one \
                       without them by `vlstore copy --frames table`";
            return Err(Error::invalid("original table", why));
        }
        Ok(())
    }

    /// The form of the frames of a store with this record codec; `None` if its records are not frames.
    #[must_use]
    pub fn of(record_codec: &(String, u32)) -> Option<Self> {
        let (name, version) = record_codec;
        let form = if *version < LEAN { Self::Table } else { Self::Lean };
        (name == MdFrameCodec.name()).then_some(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_by_its_name_and_by_what_a_store_keeps() {
        for form in [FrameForm::Table, FrameForm::Lean] {
            assert_eq!(FrameForm::from_name(form.name()), Some(form));
            assert_eq!(FrameForm::of(&form.record_codec()), Some(form));
        }
        assert_eq!(FrameForm::from_name("flat"), None);
        assert_eq!(FrameForm::of(&("raw".into(), 2)), None);
    }
}
