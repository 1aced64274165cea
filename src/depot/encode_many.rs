//! Many items encoded side by side, before they are put one after the other.

use crate::error::{Error, Result};
use crate::store::Writer;
use crate::store::read::share_out::share_out;
use crate::wire::memory;
use std::ops::Range;

/// Items that one thread encodes in one piece: so few that all threads end at about the same time.
const PIECE: usize = 64;

/// Records of items, in their order; made by [`encode_many`].
#[derive(Debug)]
pub struct EncodedItems(Vec<Piece>);

/// Records of neighbours, one behind the other.
#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Where each ends, and what its codec counted.
    records: Vec<(usize, u32)>,
    /// Why the next item has no record.
    failed: Option<Error>,
}

/// Encodes items by their numbers on as many threads as `writer` compresses with: `encode` appends the record of
/// one and returns what its codec counted.
///
/// All records are in memory together: give as many items as that may take. Those behind one that cannot be encoded
/// may be missing.
///
/// # Errors
/// [`Error::Thread`] if a thread ended before its work, [`Error::OutOfMemory`]. An item that cannot be encoded is
/// an error of [`EncodedItems::each`].
pub fn encode_many(
    writer: &Writer,
    items: Range<usize>,
    encode: impl Fn(usize, &mut Vec<u8>) -> Result<u32> + Sync,
) -> Result<EncodedItems> {
    let pieces = items.clone().step_by(PIECE);
    let pieces = pieces.map(|first| first..items.end.min(first + PIECE)).collect();
    let work = |(): &mut (), items: Range<usize>| {
        let mut piece = Piece { records: memory::with_room(items.len())?, ..Piece::default() };
        for item in items {
            match encode(item, &mut piece.bytes) {
                Ok(weight) => piece.records.push((piece.bytes.len(), weight)),
                Err(error) => {
                    piece.failed = Some(error);
                    break;
                }
            }
        }
        Ok(piece)
    };
    share_out(writer.reader.threads, pieces, || (), work).map(EncodedItems)
}

impl EncodedItems {
    /// Calls `put` for each record in their order, with its bytes and what its codec counted, up to the first item
    /// that could not be encoded.
    ///
    /// # Errors
    /// Why that item could not be encoded, or what `put` returns.
    pub fn each<E: From<Error>>(
        self,
        mut put: impl FnMut(&[u8], u32) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for Piece { bytes, records, failed } in self.0 {
            let mut start = 0;
            for (end, weight) in records {
                put(bytes.get(start..end).unwrap_or_default(), weight)?;
                start = end;
            }
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreOptions, WriteOptions};

    fn writer(threads: usize) -> Writer {
        let write = WriteOptions { threads, ..WriteOptions::default() };
        Writer::in_memory(&StoreOptions { write, ..StoreOptions::default() }).unwrap()
    }

    fn record(i: usize, out: &mut Vec<u8>) -> Result<u32> {
        out.extend(std::iter::repeat_n(u8::try_from(i % 251).unwrap(), i % 7));
        Ok(u32::try_from(i).unwrap())
    }

    #[test]
    fn records_come_in_the_order_of_their_items_whatever_the_threads() {
        for threads in [1, 3] {
            for items in [0..0, 0..1, 5..5 + PIECE, 3..1000] {
                let made = encode_many(&writer(threads), items.clone(), record).unwrap();
                let mut next = items.start;
                let seen = made.each(|bytes, weight| {
                    let mut right = Vec::new();
                    assert_eq!(record(next, &mut right).unwrap(), weight);
                    assert_eq!(bytes, right);
                    next += 1;
                    Ok::<_, Error>(())
                });
                seen.unwrap();
                assert_eq!(next, items.end);
            }
        }
    }

    #[test]
    fn records_before_an_item_that_fails_come_and_then_its_error() {
        let encode = |i: usize, out: &mut Vec<u8>| match i {
            300 | 900 => Err(Error::invalid("item", i.to_string())),
            _ => record(i, out),
        };
        let mut seen = 0;
        let made = encode_many(&writer(2), 0..1000, encode).unwrap();
        let failed = made.each(|_, _| {
            seen += 1;
            Ok::<_, Error>(())
        });
        assert!(failed.unwrap_err().to_string().contains("300"));
        assert_eq!(seen, 300);
        // What the caller returns ends it.
        let made = encode_many(&writer(2), 0..10, record).unwrap();
        assert!(matches!(made.each(|_, _| Err(Error::ReadOnly)), Err(Error::ReadOnly)));
    }
}
