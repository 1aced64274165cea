//! What becomes of what is there already.

/// What becomes of what is there already: of a record under a key, of a file under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The new one takes its place.
    Replace,
    /// It stays, and the new one is refused with [`Error::Exists`](crate::Error::Exists).
    Refuse,
}

impl Existing {
    /// [`Replace`](Self::Replace) if `overwrite` is set, as the options of a program have it.
    #[must_use]
    pub const fn of(overwrite: bool) -> Self {
        if overwrite { Self::Replace } else { Self::Refuse }
    }

    /// Whether the new one takes its place.
    #[must_use]
    pub const fn is_replaced(self) -> bool {
        matches!(self, Self::Replace)
    }
}
