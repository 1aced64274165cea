//! Where a record lies.

/// Where a record lies in the logical byte space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// What the codec counted when it was put: the number of sites of a frame.
    pub weight: u32,
}

impl Location {
    /// Length of the record in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the record is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }
}
