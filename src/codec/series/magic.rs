//! What every record of the codec begins with, and how others are refused.

use crate::Error;

pub(super) const NAME: &str = "series";
pub(super) const VERSION: u8 = 1;
pub(super) const MAGIC: u8 = 0x5e;

/// Most channels of a series.
pub(super) const CHANNELS: u32 = 1 << 16;

pub(super) fn bad(why: &str) -> Error {
    Error::codec(NAME, format!("the record is not a part of a series: {why}"))
}
