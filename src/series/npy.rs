//! NumPy's file format for one array, as far as series are stored in it: rows of floating-point numbers.

use crate::error::{Error, Result};
use crate::wire::memory;

/// Rows of numbers of one length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Npy {
    numbers: Vec<f64>,
    pub(super) columns: usize,
    rows: usize,
}

impl Npy {
    /// The rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        let row = |i: usize| self.numbers.get(i * self.columns..(i + 1) * self.columns);
        (0..self.rows).map(move |i| row(i).unwrap_or_default())
    }
}

fn bad(why: impl Into<Box<str>>) -> Error {
    Error::format("NPY", "header", why)
}

/// The text of the value of `key` in a Python dictionary as NumPy writes it.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}'"))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = if rest.starts_with('(') { rest.find(')')? + 1 } else { rest.find([',', '}'])? };
    rest.get(..end)
}

/// A number from its bytes, which are big-endian or not.
type Number = fn(&[u8], bool) -> Option<f64>;

/// The rows of an array of two axes or one, with two rows at least: of float64, float32 or integers of
/// up to 32 bits, which become float64 without loss.
///
/// # Errors
/// [`Error::Format`].
pub(super) fn parse(bytes: &[u8]) -> Result<Npy> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| bad("it does not begin as one"))?;
    let cut = || bad("it is cut off");
    let (len, rest) = match rest {
        [1, 0, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, 0, a, b, c, d, rest @ ..] => {
            (usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX), rest)
        }
        [_, _, ..] => return Err(bad("its version is not known")),
        _ => return Err(cut()),
    };
    let header =
        str::from_utf8(rest.get(..len).ok_or_else(cut)?).map_err(|_| bad("it is not text"))?;
    let data = rest.get(len..).unwrap_or_default();
    let kind =
        value(header, "descr").ok_or_else(|| bad("it names no type"))?.trim_matches(['\'', '"']);
    let fortran = value(header, "fortran_order").ok_or_else(|| bad("it names no order"))? == "True";
    let shape = value(header, "shape").ok_or_else(|| bad("it names no shape"))?;
    let axes = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|a| !a.is_empty());
    let axes = axes.map(|a| a.parse::<usize>().map_err(|_| bad("its shape is no numbers")));
    let axes = axes.collect::<Result<Vec<_>>>()?;
    let [rows, columns] = axes[..] else {
        return Err(bad(format!("a series has two rows or more, and this has the shape {shape}")));
    };
    if rows < 2 {
        return Err(bad(format!(
            "a series has a row of times and one of values, and this has {rows}"
        )));
    }
    let (size, number): (usize, Number) = match kind.get(1..) {
        Some("f8") => (8, |b, big| {
            let b = b.try_into().ok()?;
            Some(if big { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) })
        }),
        Some("f4") => (4, |b, big| {
            let b = b.try_into().ok()?;
            Some(f64::from(if big { f32::from_be_bytes(b) } else { f32::from_le_bytes(b) }))
        }),
        Some("i4") => (4, |b, big| {
            let b = b.try_into().ok()?;
            Some(f64::from(if big { i32::from_be_bytes(b) } else { i32::from_le_bytes(b) }))
        }),
        _ => {
            let why = format!("a series is of float64, float32 or int32, and this of {kind}");
            return Err(bad(why));
        }
    };
    let big = match kind.get(..1) {
        Some("<" | "=" | "|") => false,
        Some(">") => true,
        _ => return Err(bad("its byte order is not known")),
    };
    let count = rows.checked_mul(columns).ok_or_else(|| bad("its shape is too large"))?;
    if count.checked_mul(size) != Some(data.len()) {
        let why = format!("its shape {shape} is not that of its {} bytes", data.len());
        return Err(bad(why));
    }
    let mut numbers = memory::with_room(count)?;
    for i in 0..count {
        let at = if fortran && columns > 0 { (i % columns) * rows + i / columns } else { i };
        let found = data.get(at * size..(at + 1) * size).and_then(|b| number(b, big));
        numbers.push(found.ok_or_else(cut)?);
    }
    Ok(Npy { numbers, columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn rows_come_bit_by_bit_in_either_order_of_axes_and_bytes() {
        let numbers = [1.0, f64::from_bits(0x7ff0_0000_0000_0001), -0.0, 5e-324];
        let little: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let big: Vec<u8> = numbers.iter().flat_map(|x| x.to_be_bytes()).collect();
        let head = |kind: &str, order: &str| {
            format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': (2, 2), }}   \n")
        };
        let bits = |npy: &Npy| -> Vec<Vec<u64>> {
            npy.rows().map(|r| r.iter().map(|x| x.to_bits()).collect()).collect()
        };
        let b: Vec<u64> = numbers.iter().map(|x| x.to_bits()).collect();
        let plain = [vec![b[0], b[1]], vec![b[2], b[3]]];
        assert_eq!(bits(&parse(&file(&head("<f8", "False"), &little)).unwrap()), plain);
        assert_eq!(bits(&parse(&file(&head(">f8", "False"), &big)).unwrap()), plain);
        let turned = [vec![b[0], b[2]], vec![b[1], b[3]]];
        assert_eq!(bits(&parse(&file(&head("<f8", "True"), &little)).unwrap()), turned);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        let head = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }\n";
        let good = file(head, &[0; 16]);
        assert!(parse(&good).is_ok());
        for end in 0..good.len() {
            assert!(parse(&good[..end]).is_err());
        }
        for (from, to) in
            [("(2, 1)", "(2,)"), ("(2, 1)", "(1, 2)"), ("<f8", "|O8"), ("<f8", "<c16")]
        {
            assert!(parse(&file(&head.replace(from, to), &[0; 16])).is_err());
        }
    }
}
