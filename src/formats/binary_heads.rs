//! How binary files begin, which tells their format and how their numbers are written.

/// Number with which a frame of TRR begins.
pub(super) const TRR: i32 = 1993;
/// Bytes of the first record.
const FIRST: u64 = 84;

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Records {
    little: bool,
    /// Lengths are of 64 bits.
    pub(super) wide: bool,
}

impl Records {
    /// As the first bytes of a file tell it: a length of 84, then `CORD` or `VELD`.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let is = |at: usize| {
            head.get(at..).is_some_and(|h| h.starts_with(b"CORD") || h.starts_with(b"VELD"))
        };
        let short = head.first_chunk::<4>().filter(|_| is(4));
        let long = head.first_chunk::<8>().filter(|_| is(8));
        let both = [(true, false), (false, false), (true, true), (false, true)];
        both.into_iter().map(|(little, wide)| Self { little, wide }).find(|me| {
            let mark = if me.wide {
                long.map(|b| me.length_of(*b))
            } else {
                short.map(|b| me.word(*b).cast_unsigned().into())
            };
            mark == Some(FIRST)
        })
    }

    pub(super) const fn length_of(self, bytes: [u8; 8]) -> u64 {
        if self.little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) }
    }

    pub(super) const fn word(self, bytes: [u8; 4]) -> i32 {
        if self.little { i32::from_le_bytes(bytes) } else { i32::from_be_bytes(bytes) }
    }

    pub(super) const fn single(self, bytes: [u8; 4]) -> f32 {
        f32::from_bits(self.word(bytes).cast_unsigned())
    }

    pub(super) const fn double(self, bytes: [u8; 8]) -> f64 {
        f64::from_bits(self.length_of(bytes))
    }

    /// Bytes of a record in the file, with both its lengths.
    pub(super) const fn whole(self, bytes: u64) -> u64 {
        bytes.saturating_add(if self.wide { 16 } else { 8 })
    }
}
