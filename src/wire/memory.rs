//! Memory whose amount a file or a caller decides: what is not there is an error.
//!
//! `vec![0; n]` and `Vec::with_capacity(n)` end the process where there is not so much memory. Where
//! `n` comes from a file or from who calls, it is asked for with these functions.

use crate::error::{Error, Result};

/// The error for `asked` bytes that are not there.
#[must_use]
pub const fn out_of_memory(asked: usize) -> Error {
    Error::OutOfMemory { asked: asked as u64 }
}

/// Makes room in `out` for `more` items beside those that it has, and no more than that.
///
/// # Errors
/// [`Error::OutOfMemory`]; then nothing has changed.
pub fn reserve<T>(out: &mut Vec<T>, more: usize) -> Result<()> {
    let asked = || out_of_memory(more.saturating_mul(size_of::<T>().max(1)));
    out.try_reserve_exact(more).map_err(|_| asked())
}

/// A list with room for `n` items.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn with_room<T>(n: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    reserve(&mut out, n)?;
    Ok(out)
}

/// A list of `n` times `item`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn filled<T: Clone>(n: usize, item: T) -> Result<Vec<T>> {
    let mut out = with_room(n)?;
    out.resize(n, item);
    Ok(out)
}

/// Makes `out` `n` items long, with `item` for those that it lacks.
///
/// # Errors
/// [`Error::OutOfMemory`]; then nothing has changed.
pub fn resize<T: Clone>(out: &mut Vec<T>, n: usize, item: T) -> Result<()> {
    if n > out.len() {
        reserve(out, n - out.len())?;
    }
    out.resize(n, item);
    Ok(())
}

/// `len` zero bytes.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn zeroed(len: usize) -> Result<Vec<u8>> {
    filled(len, 0)
}

/// A copy of `items`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn copied<T: Copy>(items: &[T]) -> Result<Vec<T>> {
    let mut out = with_room(items.len())?;
    out.extend_from_slice(items);
    Ok(out)
}

/// A copy of `text`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn text(text: &str) -> Result<String> {
    let mut out = String::new();
    out.try_reserve_exact(text.len()).map_err(|_| out_of_memory(text.len()))?;
    out.push_str(text);
    Ok(out)
}

/// Appends `bytes` to `out`, which grows by doubling as long as there is memory for that.
///
/// # Errors
/// [`Error::OutOfMemory`]; then nothing has changed.
pub fn append<T: Copy>(out: &mut Vec<T>, items: &[T]) -> Result<()> {
    if out.capacity() - out.len() < items.len() && out.try_reserve(items.len()).is_err() {
        reserve(out, items.len())?;
    }
    out.extend_from_slice(items);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_error_that_says_how_much_was_asked_for() {
        let most = usize::MAX / 4;
        assert!(matches!(zeroed(most), Err(Error::OutOfMemory { asked }) if asked == most as u64));
        let e = with_room::<u64>(1 << 58).unwrap_err();
        assert!(matches!(e, Error::OutOfMemory { asked } if asked == 1 << 61), "{e}");
        assert!(filled(usize::MAX, 0_u64).is_err());
        let mut list = vec![1, 2];
        assert!(reserve(&mut list, usize::MAX / 4).is_err());
        append(&mut list, &[3]).unwrap();
        assert_eq!((list, copied(&[4, 5]).unwrap()), (vec![1, 2, 3], vec![4, 5]));
    }
}
