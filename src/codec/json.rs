//! One JSON value written piece by piece, so that memory does not grow with the record.

use crate::{Error, Result};
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

/// A JSON value being written. Knows where commas go; trusts the caller to nest correctly.
pub(super) struct Json<'w> {
    out: BufWriter<&'w mut dyn Write>,
    comma: bool,
    depth: usize,
}

/// A value that stands in a JSON list.
pub(super) trait Item: Copy {
    fn put(self, out: &mut dyn Write) -> io::Result<()>;
}

macro_rules! plain {
    ($($ty:ty)*) => {$(
        impl Item for $ty {
            fn put(self, out: &mut dyn Write) -> io::Result<()> {
                write!(out, "{self}")
            }
        }
    )*};
}
plain!(i8 i16 i32 i64 u8 u16 u32 u64 usize bool);

macro_rules! floating {
    ($($ty:ty)*) => {$(
        impl Item for $ty {
            fn put(self, out: &mut dyn Write) -> io::Result<()> {
                if self.is_finite() {
                    // Debug, not Display: the shortest digits that read back to the same
                    // number, with an exponent where plain digits would be long.
                    write!(out, "{self:?}")
                } else if self.is_nan() {
                    out.write_all(b"\"NaN\"")
                } else {
                    out.write_all(if self > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" })
                }
            }
        }
    )*};
}
floating!(f32 f64);

impl Item for &str {
    fn put(self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(out, self).map_err(io::Error::from)
    }
}

impl<T: Item> Item for [T; 2] {
    fn put(self, out: &mut dyn Write) -> io::Result<()> {
        let [re, im] = self;
        out.write_all(b"[")?;
        re.put(out)?;
        out.write_all(b",")?;
        im.put(out)?;
        out.write_all(b"]")
    }
}

fn failed(source: io::Error) -> Error {
    Error::io("write JSON", source)
}

impl<'w> Json<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Self {
        Self { out: BufWriter::new(out), comma: false, depth: 0 }
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(failed)
    }

    fn next(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.comma, true) { self.put(",") } else { Ok(()) }
    }

    /// Opens an object or a list, by its bracket.
    pub(super) fn open(&mut self, bracket: char) -> Result<()> {
        self.next()?;
        self.comma = false;
        self.depth += 1;
        self.put(bracket.encode_utf8(&mut [0; 4]))
    }

    /// Closes an object or a list; the outermost one flushes.
    pub(super) fn close(&mut self, bracket: char) -> Result<()> {
        self.comma = true;
        self.depth = self.depth.saturating_sub(1);
        self.put(bracket.encode_utf8(&mut [0; 4]))?;
        if self.depth == 0 { self.out.flush().map_err(failed) } else { Ok(()) }
    }

    /// The name of the value that follows.
    pub(super) fn key(&mut self, name: &str) -> Result<&mut Self> {
        self.text(name)?;
        self.put(":")?;
        self.comma = false;
        Ok(self)
    }

    /// One number or boolean.
    pub(super) fn value(&mut self, value: impl Item) -> Result<()> {
        self.next()?;
        value.put(&mut self.out).map_err(failed)
    }

    /// One text.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.value(text)
    }

    /// A value that is JSON already, on one line.
    pub(super) fn raw(&mut self, json: &str) -> Result<()> {
        self.next()?;
        // A string cannot contain a line end, so these are only between values.
        for line in json.split_inclusive(['\n', '\r']) {
            match line.strip_suffix(['\n', '\r']) {
                Some(text) => {
                    self.put(text)?;
                    self.put(" ")?;
                }
                None => self.put(line)?,
            }
        }
        Ok(())
    }

    /// One text: bytes in hexadecimal digits.
    fn hex(&mut self, bytes: &[u8]) -> Result<()> {
        self.next()?;
        self.put("\"")?;
        let mut digits = String::with_capacity(1024);
        for part in bytes.chunks(512) {
            digits.clear();
            for byte in part {
                // Writing to a String cannot fail.
                let _ = write!(digits, "{byte:02x}");
            }
            self.put(&digits)?;
        }
        self.put("\"")
    }

    /// A list of values.
    pub(super) fn list(&mut self, values: &[impl Item]) -> Result<()> {
        self.items(values.iter().copied())
    }

    /// A list of values that come one by one.
    pub(super) fn items(&mut self, values: impl Iterator<Item = impl Item>) -> Result<()> {
        self.open('[')?;
        for value in values {
            self.value(value)?;
        }
        self.close(']')
    }
}

/// Bytes of a record whose meaning is not known: as text if they are UTF-8, else in digits.
pub(super) fn write_bytes(codec: &str, bytes: &[u8], out: &mut dyn Write) -> Result<()> {
    let mut json = Json::new(out);
    json.open('{')?;
    json.key("codec")?.text(codec)?;
    json.key("bytes")?.value(bytes.len())?;
    if let Ok(text) = str::from_utf8(bytes) {
        json.key("encoding")?.text("utf-8")?;
        json.key("data")?.text(text)?;
    } else {
        json.key("encoding")?.text("hex")?;
        json.key("data")?.hex(bytes)?;
    }
    json.close('}')
}
