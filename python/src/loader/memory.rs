//! Memory of the arrays of windows, which is used again: pages that the system has just given cost as much
//! as decoding what is written to them.

use std::sync::{Arc, Mutex};
use vlstore::{AlignedBuf, Result};

/// Memory that was in use and is free; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<AlignedBuf>>>);

impl Spare {
    /// Exactly `len` bytes, whatever is in them. If nothing that is free is large enough, all of it goes
    /// back to the system first: there is never more than the windows need.
    pub(super) fn take(&self, len: usize) -> Result<Piece> {
        let bytes = match self.fitting(len) {
            Some(bytes) => bytes,
            // Windows differ by some records: the next one shall fit, too.
            None => AlignedBuf::lasting(len.saturating_add(len / 16))?,
        };
        Ok(Piece { bytes, len, home: self.clone() })
    }

    /// The smallest that is large enough.
    fn fitting(&self, len: usize) -> Option<AlignedBuf> {
        // Never waited for: in a child of a fork it may be locked for ever.
        let mut free = self.0.try_lock().ok()?;
        let best = free.iter().enumerate().filter(|(_, bytes)| bytes.len() >= len);
        match best.min_by_key(|(_, bytes)| bytes.len()) {
            Some((at, _)) => Some(free.swap_remove(at)),
            None => {
                free.clear();
                None
            }
        }
    }
}

/// Memory that goes back to where it came from.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: AlignedBuf,
    len: usize,
    home: Spare,
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Piece {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Ok(mut free) = self.home.0.try_lock() {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_where_it_fits() {
        let spare = Spare::default();
        let place = |piece: &Piece| piece.bytes().as_ptr().addr();
        let (first, second) = (spare.take(1000).unwrap(), spare.take(10).unwrap());
        let places = (place(&first), place(&second));
        drop((first, second));
        // The smallest that fits, and exactly as much as was asked for.
        let (second, first) = (spare.take(9).unwrap(), spare.take(1050).unwrap());
        assert_eq!((place(&first), place(&second)), places);
        assert_eq!((first.bytes().len(), second.bytes().len()), (1050, 9));
        drop((first, second));
        // Nothing is kept beside what is too small.
        drop(spare.take(2000).unwrap());
        assert_eq!(spare.0.lock().unwrap().len(), 1);
        assert!(spare.take(0).unwrap().bytes().is_empty());
    }
}
