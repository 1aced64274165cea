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

/// What the numbers of an array are; all of them become float64 without loss, or are refused.
#[derive(Clone, Copy)]
enum Kind {
    Float,
    Signed,
    Unsigned,
}

/// Integers up to this one are float64, each.
const EXACT: u64 = 1 << 53;

/// A number of these bytes, the least significant first; `None` if it is an integer that would be rounded.
#[expect(clippy::cast_precision_loss, reason = "what is above 2^53 is refused before")]
fn number(kind: Kind, bytes: &[u8]) -> Option<f64> {
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
    match kind {
        Kind::Float if unused == 0 => Some(f64::from_le_bytes(whole)),
        Kind::Float => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::Unsigned => Some(u64::from_le_bytes(whole)).filter(|n| *n <= EXACT).map(|n| n as f64),
        Kind::Signed => {
            // The sign fills what is not used.
            let number = i64::from_le_bytes(whole) << unused >> unused;
            (number.unsigned_abs() <= EXACT).then_some(number as f64)
        }
    }
}

/// The rows of an array of two axes, with two rows at least: of float64, float32 or integers.
///
/// # Errors
/// [`Error::Format`].
pub(super) fn parse(bytes: &[u8]) -> Result<Npy> {
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or_else(|| bad("it does not begin with the right bytes"))?;
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
    let axes =
        axes.map(|a| a.parse::<usize>().map_err(|_| bad("its shape is not a list of integers")));
    let axes = axes.collect::<Result<Vec<_>>>()?;
    let [rows, columns] = axes[..] else {
        return Err(bad(format!("a series has two rows or more, and this has the shape {shape}")));
    };
    if rows < 2 {
        return Err(bad(format!(
            "a series has a row of times and one of values, and this has {rows}"
        )));
    }
    let (numbers, size) = match kind.get(1..) {
        Some("f8") => (Kind::Float, 8),
        Some("f4") => (Kind::Float, 4),
        Some("i8") => (Kind::Signed, 8),
        Some("i4") => (Kind::Signed, 4),
        Some("i2") => (Kind::Signed, 2),
        Some("i1") => (Kind::Signed, 1),
        Some("u8") => (Kind::Unsigned, 8),
        Some("u4") => (Kind::Unsigned, 4),
        Some("u2") => (Kind::Unsigned, 2),
        Some("u1") => (Kind::Unsigned, 1),
        _ => {
            let why = format!("a series is of float64, float32 or integers, and this of {kind}");
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
    let mut out = memory::with_room(count)?;
    let mut space = [0; 8];
    for i in 0..count {
        let at = if fortran && columns > 0 { (i % columns) * rows + i / columns } else { i };
        let place = space.get_mut(..size).ok_or_else(cut)?;
        place.copy_from_slice(data.get(at * size..(at + 1) * size).ok_or_else(cut)?);
        if big {
            place.reverse();
        }
        out.push(number(numbers, place).ok_or_else(|| {
            let (row, column) = (i / columns.max(1), i % columns.max(1));
            let at = format!("row {row}, position {column}");
            Error::format(
                "NPY",
                at,
                "an integer above 2^53 would be rounded; scale or shift it first",
            )
        })?);
    }
    Ok(Npy { numbers: out, columns, rows })
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
    fn integers_come_exactly_or_are_refused() {
        let read = |kind: &str, data: &[u8]| {
            let head =
                format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (2, 1), }}\n");
            parse(&file(&head, data)).map(|npy| npy.numbers)
        };
        assert_eq!(read("|i1", &[255, 127]).unwrap(), [-1.0, 127.0]);
        assert_eq!(read("|u1", &[255, 127]).unwrap(), [255.0, 127.0]);
        assert_eq!(read(">i2", &[255, 254, 1, 0]).unwrap(), [-2.0, 256.0]);
        assert_eq!(read("<u2", &[254, 255, 1, 0]).unwrap(), [65534.0, 1.0]);
        let two = |a: i64, b: i64| [a.to_le_bytes(), b.to_le_bytes()].concat();
        let most = 1 << 53;
        assert_eq!(read("<i8", &two(-most, 7)).unwrap(), [-9_007_199_254_740_992.0, 7.0]);
        for (kind, data) in
            [("<i8", two(1, most + 1)), ("<i8", two(1, i64::MIN)), ("<u8", two(1, -1))]
        {
            let why = read(kind, &data).unwrap_err().to_string();
            assert!(why.contains("row 1, position 0") && why.contains("rounded"), "{why}");
        }
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
