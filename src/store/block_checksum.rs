//! The checksums of blocks and of what leads to them in a chunk: each bound to the place where the bytes belong.

use crate::wire::{checksum, identify};

/// Checksum identity of a chunk's header and block starts.
const PREFIX: u64 = u64::MAX;

/// Checksum of a block where it is stored.
pub(crate) fn block_sum(file: [u8; 16], chunk: u64, block: u32, bytes: &[u8]) -> u64 {
    checksum(bytes) ^ identify(file, chunk, u64::from(block))
}

/// Checksum of a chunk's header and block starts.
pub(crate) fn prefix_sum(file: [u8; 16], chunk: u64, bytes: &[u8]) -> u64 {
    checksum(bytes) ^ identify(file, chunk, PREFIX)
}
