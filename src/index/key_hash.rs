//! The hash by which a key is found, and how many of its bits the index keeps.

/// The hash by which a key is found: XXH3 of its bytes with its kind as the seed; 1 instead of
/// 0, which stands for no key.
#[must_use]
pub fn key_hash(kind: u8, bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot_with_seed(u64::from(kind), bytes).max(1)
}

/// Bits of a hash that the look-up structure keeps: of ten million keys that are looked for among
/// as many, about a hundred meet an entry of another key, and the key in its leaf tells them apart.
pub const HASH_BITS: u32 = 40;

/// The upper [`HASH_BITS`] of a hash, as a number.
#[must_use]
pub const fn kept_hash(hash: u64) -> u64 {
    hash >> (u64::BITS - HASH_BITS)
}
