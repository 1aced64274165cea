//! Names of contents: the 128-bit XXH3 of some bytes.

use std::fmt;
use twox_hash::XxHash3_128;

/// The XXH3 of some bytes, 128 bits: what a shared record is called, since it is found by its
/// content.
///
/// Two contents that differ by accident do not meet in 128 bits; XXH3 keeps out no one who
/// makes them meet on purpose. Shown as 32 hexadecimal digits, as `xxh128sum` shows it.
///
/// ```
/// use vlstore::wire::Digest;
/// assert_eq!(Digest::of(b"").to_string(), "99aa06d3014798d86001c324468d497f");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; Self::LEN]);

impl Digest {
    /// Its length in bytes.
    pub const LEN: usize = 16;

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(XxHash3_128::oneshot(bytes).to_be_bytes())
    }

    /// The first of the lengths `ends`, in ascending order, for which the beginning of `bytes` of
    /// that length has this digest. Costs one pass over the bytes, and for each length about as
    /// much as hashing 1000 bytes. Lengths beyond `bytes` are passed over.
    #[must_use]
    pub fn of_beginning(self, bytes: &[u8], ends: impl Iterator<Item = usize>) -> Option<usize> {
        let mut state = XxHash3_128::new();
        let mut done = 0;
        for end in ends {
            let Some(more) = bytes.get(done..end) else { continue };
            state.write(more);
            done = end;
            if state.finish_128().to_be_bytes() == self.0 {
                return Some(end);
            }
        }
        None
    }

    /// A digest from its 16 bytes; `None` for any other number of them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// A digest from the 32 hexadecimal digits by which it is shown.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.len() == 2 * Self::LEN && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
        Some(Self(number.to_be_bytes()))
    }

    /// Its 16 bytes, most significant first: the canonical form of XXH3.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_found_by_its_digest_whatever_its_length() {
        let n = if cfg!(miri) { 20 } else { 2000 };
        let bytes: Vec<u8> = (0..n).map(|i: u32| u8::try_from(i * 7 % 251).unwrap()).collect();
        let lengths = [0, 1, 16, 17, 128, 129, 240, 241, 255, 256, 257, 1024, 1025, 1999, 2000];
        for len in lengths.into_iter().filter(|len| *len <= bytes.len()) {
            let digest = Digest::of(&bytes[..len]);
            assert_eq!(digest.of_beginning(&bytes, 0..=bytes.len()), Some(len));
            assert_eq!(digest.of_beginning(&bytes, len..=len), Some(len));
            assert_eq!(digest.of_beginning(&bytes, len + 1..4000), None);
        }
    }

    #[test]
    fn a_digest_comes_back_from_its_bytes_and_from_its_digits_and_from_nothing_else() {
        let digest = Digest::of(b"water");
        assert_eq!(Digest::from_bytes(digest.as_bytes()), Some(digest));
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
        assert_ne!(digest, Digest::of(b"wader"));
        assert_eq!(Digest::from_bytes(&digest.as_bytes()[1..]), None);
        for text in ["", "+9aa06d3014798d86001c324468d497f", "99aa06d3014798d86001c324468d497fa"] {
            assert_eq!(Digest::from_hex(text), None, "{text}");
        }
    }
}
