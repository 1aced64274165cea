//! Reading from bytes that nobody has checked yet: every step is bounded.

/// A reading position in a byte slice. Every method returns `None` past the end.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident $ty:ty, $from:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self) -> Option<$ty> {
            self.array().map(<$ty>::$from)
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Position, in bytes from the start.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n)?;
        let out = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(out)
    }

    /// The next `N` bytes by value.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    numbers! {
        /// One byte.
        u8 u8, from_le_bytes;
        /// A little-endian number of 2 bytes.
        u16_le u16, from_le_bytes;
        /// A little-endian number of 4 bytes.
        u32_le u32, from_le_bytes;
        /// A little-endian number of 8 bytes.
        u64_le u64, from_le_bytes;
        /// A little-endian signed number of 4 bytes.
        i32_le i32, from_le_bytes;
        /// A big-endian number of 2 bytes.
        u16_be u16, from_be_bytes;
        /// A big-endian number of 4 bytes.
        u32_be u32, from_be_bytes;
        /// A big-endian number of 8 bytes.
        u64_be u64, from_be_bytes;
        /// A big-endian signed number of 4 bytes.
        i32_be i32, from_be_bytes;
        /// A big-endian signed number of 8 bytes.
        i64_be i64, from_be_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut c = Cursor::new(&[1, 0, 0, 0, 2]);
        assert_eq!(c.u32_le(), Some(1));
        assert_eq!(c.u16_le(), None);
        assert_eq!(c.u8(), Some(2));
        assert_eq!(c.take(usize::MAX), None);
    }
}
