//! Numbers as little-endian bytes and back, where they lie.

use crate::wire::AlignedBuf;
use crate::{Error, Result, limits};
use bytemuck::{AnyBitPattern, NoUninit};

/// The bytes of `values` as they stand in a record.
///
/// Records are little-endian and views borrow from them, which a big-endian machine cannot do;
/// it is refused by name instead of being given swapped numbers.
pub(super) fn bytes_of<'a, T: NoUninit>(codec: &'static str, values: &'a [T]) -> Result<&'a [u8]> {
    host(codec)?;
    Ok(bytemuck::cast_slice(values))
}

/// The numbers in `bytes`, which `what` names in an error.
pub(super) fn numbers_in<'a, T: AnyBitPattern>(
    codec: &'static str,
    what: &str,
    bytes: &'a [u8],
) -> Result<&'a [T]> {
    host(codec)?;
    if bytes.is_empty() {
        return Ok(&[]);
    }
    bytemuck::try_cast_slice(bytes).map_err(|why| refused(codec, what, size_of::<T>(), why))
}

/// The booleans in `bytes`, each of which must be 0 or 1.
pub(super) fn truths_in<'a>(
    codec: &'static str,
    what: &str,
    bytes: &'a [u8],
) -> Result<&'a [bool]> {
    bytemuck::checked::try_cast_slice(bytes)
        .map_err(|_| Error::codec(codec, format!("{what} has a boolean that is neither 0 nor 1")))
}

fn refused(codec: &'static str, what: &str, size: usize, why: bytemuck::PodCastError) -> Error {
    Error::codec(
        codec,
        if why == bytemuck::PodCastError::TargetAlignmentGreaterAndInputNotAligned {
            format!(
                "{what} does not start at a multiple of its alignment in memory; copy the record \
                 to aligned memory first (codec::aligned)"
            )
        } else {
            format!("{what} does not have a multiple of {size} bytes")
        },
    )
}

fn host(codec: &'static str) -> Result<()> {
    if cfg!(target_endian = "little") {
        return Ok(());
    }
    Err(Error::codec(codec, "records are little-endian, and this machine is not"))
}

/// `bytes` at a multiple of 8 in memory: as they are if they lie so, else copied to `space`.
///
/// # Errors
/// [`Error::OutOfMemory`] if there is none for a copy.
pub fn aligned<'a>(bytes: &'a [u8], space: &'a mut AlignedBuf) -> Result<&'a [u8]> {
    if bytes.as_ptr().addr().is_multiple_of(8) {
        return Ok(bytes);
    }
    space.resize(bytes.len())?;
    space.copy_from_slice(bytes);
    Ok(space)
}

/// Refuses a record that would be longer than [`limits::RECORD_MAX`].
pub(super) fn bounded(len: u64) -> Result<()> {
    if len > limits::RECORD_MAX {
        return Err(Error::Limit { what: "record", asked: len, max: limits::RECORD_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unaligned_numbers_are_refused_with_the_remedy_and_aligned_on_request() {
        let space = AlignedBuf::copy_of(&[0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]).unwrap();
        let odd = &space[4..];
        assert_eq!(numbers_in::<f32>("raw", "x", odd).unwrap(), [1.0, 2.0]);
        let why = numbers_in::<f64>("raw", "`x`", odd).unwrap_err().to_string();
        assert!(why.contains("`x`") && why.contains("codec::aligned"), "{why}");
        let mut copy = AlignedBuf::default();
        assert!(numbers_in::<f64>("raw", "x", aligned(odd, &mut copy).unwrap()).is_ok());
        assert!(numbers_in::<f32>("raw", "x", &odd[..7]).is_err());
        assert!(numbers_in::<f64>("raw", "x", &odd[..0]).unwrap().is_empty());
    }

    #[test]
    fn a_record_is_bounded() {
        assert!(bounded(limits::RECORD_MAX).is_ok());
        assert!(matches!(bounded(limits::RECORD_MAX + 1), Err(Error::Limit { .. })));
    }

    #[test]
    fn a_truth_value_of_two_is_refused() {
        assert_eq!(truths_in("raw", "x", &[1, 0]).unwrap(), [true, false]);
        assert!(truths_in("raw", "x", &[1, 2]).is_err());
    }
}
