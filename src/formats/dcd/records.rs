//! Records as Fortran writes them: a length, the bytes, the length again, of 32 or 64 bits and in
//! the order of bytes of the machine that wrote them.

use crate::error::{Error, Result};
use crate::formats::binary_heads::Records;
use crate::formats::source::Source;
use std::io::{Read, Seek};

pub(super) fn wrong(why: impl Into<Box<str>>) -> Error {
    Error::format("DCD", "", why)
}

pub(super) fn short(part: &str) -> Error {
    wrong(format!("the file ends inside the {part}; it was cut short"))
}

impl Records {
    /// The length before or behind a record.
    pub(super) fn mark<R: Read + Seek>(self, source: &mut Source<R>, part: &str) -> Result<u64> {
        let mut bytes = [0; 8];
        let used = if self.wide { &mut bytes[..] } else { bytes.split_at_mut(4).0 };
        if !source.fill(used)? {
            return Err(short(part));
        }
        let [a, b, c, d, ..] = bytes;
        let narrow = self.word([a, b, c, d]).cast_unsigned();
        Ok(if self.wide { self.length_of(bytes) } else { narrow.into() })
    }

    /// Reads the next record into `out`. Its length must be `expected` if that is known.
    pub(super) fn read<R: Read + Seek>(
        self,
        source: &mut Source<R>,
        out: &mut Vec<u8>,
        expected: Option<u64>,
        part: &str,
    ) -> Result<()> {
        let at = source.at();
        let length = self.mark(source, part)?;
        if let Some(expected) = expected.filter(|e| *e != length) {
            return Err(wrong(format!(
                "the record of the {part} at byte {at} has {length} bytes, not {expected}"
            )));
        }
        let len = usize::try_from(length).unwrap_or(usize::MAX);
        if length > source.left() || !source.fill_vec(out, len, 0)? {
            source.note_cut();
            return Err(short(part));
        }
        let again = self.mark(source, part)?;
        if again != length {
            return Err(wrong(format!(
                "the record of the {part} at byte {at} begins with the length {length} and ends \
                 with {again}"
            )));
        }
        Ok(())
    }
}
