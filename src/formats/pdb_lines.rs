//! The lines of a PDB file: columns, numbers beyond their columns, and the cell.

use super::triclinic;

/// Bytes that are kept of the line of an atom to tell what it says beside its position.
pub(super) const LABEL: usize = 56;
/// Of these, from the occupancy on: two numbers, which may change from model to model.
const VARY: std::ops::Range<usize> = 30..42;
/// Columns of a serial number.
const WIDTH: usize = 5;

/// Records with which a file may begin.
const FIRST: [&[u8]; 22] = [
    b"HEADER", b"OBSLTE", b"TITLE ", b"SPLIT ", b"CAVEAT", b"COMPND", b"SOURCE", b"KEYWDS",
    b"EXPDTA", b"AUTHOR", b"REVDAT", b"JRNL  ", b"REMARK", b"SEQRES", b"HET   ", b"CRYST1",
    b"ORIGX1", b"SCALE1", b"MODEL ", b"ATOM  ", b"HETATM", b"USER  ",
];

/// Whether a file that begins with `head` is one of these.
pub(super) fn begins(head: &[u8]) -> bool {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii_end();
    let mut record = [b' '; 6];
    for (to, from) in record.iter_mut().zip(line) {
        *to = *from;
    }
    FIRST.contains(&record.as_slice())
        || (line.starts_with(b"ATOM ") && Atom::position(line).is_ok())
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Atom,
    Model,
    EndOfModel,
    End,
    Cell,
    Title,
    Bonds,
    Other,
}

impl Record {
    pub(super) fn of(line: &[u8]) -> Self {
        let word = line.get(..6.min(line.len())).unwrap_or_default().trim_ascii_end();
        match word {
            b"HETATM" => Self::Atom,
            // A serial number of six digits begins in the sixth column.
            w if w.starts_with(b"ATOM")
                && w.get(4..)
                    .is_none_or(|w| w.trim_ascii_start().iter().all(u8::is_ascii_digit)) =>
            {
                Self::Atom
            }
            b"MODEL" => Self::Model,
            b"ENDMDL" => Self::EndOfModel,
            b"END" => Self::End,
            b"CRYST1" => Self::Cell,
            b"TITLE" => Self::Title,
            b"CONECT" => Self::Bonds,
            _ => Self::Other,
        }
    }
}

/// Columns of a line, from 0; blank where the line is shorter.
fn columns(line: &[u8], from: usize, to: usize) -> &[u8] {
    line.get(from..to.min(line.len())).unwrap_or_default()
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().map(str::trim)
}

/// A number in so many columns: decimal, or in base 36 once these do not suffice (hybrid-36), or in base 16
/// where it begins with a digit.
pub(super) fn number(bytes: &[u8], width: usize) -> Option<i64> {
    let word = text(bytes)?;
    if let Ok(decimal) = word.parse::<i64>() {
        return Some(decimal);
    }
    let first = word.bytes().next()?;
    if word.len() != width {
        return None;
    }
    if first.is_ascii_digit() {
        return i64::from_str_radix(word, 16).ok();
    }
    let one_case = word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        || word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    let value = i64::from_str_radix(word, 36).ok().filter(|_| one_case)?;
    let power = |base: i64| base.pow(u32::try_from(width).unwrap_or_default());
    let letters = 26 * power(36) / 36;
    let begin = 10 * power(36) / 36;
    let before = if first.is_ascii_uppercase() { 0 } else { letters };
    Some(value - begin + before + power(10))
}

/// What the line of an atom says.
pub(super) struct Atom;

impl Atom {
    /// Its position.
    pub(super) fn position(line: &[u8]) -> Result<[f32; 3], &'static str> {
        let mut out = [0.0; 3];
        for (value, from) in out.iter_mut().zip([30, 38, 46]) {
            let word = text(columns(line, from, from + 8)).filter(|_| line.len() >= from + 8);
            *value = word.and_then(|w| w.parse().ok()).ok_or(
                "columns 31 to 54 of an atom are three numbers of 8 columns; these are not",
            )?;
        }
        Ok(out)
    }

    /// Its columns without the position, blank where the line is shorter.
    pub(super) fn label(line: &[u8]) -> [u8; LABEL] {
        let mut out = [b' '; LABEL];
        let parts = columns(line, 0, 30).iter().zip(0..);
        let rest = columns(line, 54, 80).iter().zip(30..);
        for (byte, at) in parts.chain(rest) {
            if let Some(place) = out.get_mut(at) {
                *place = *byte;
            }
        }
        out
    }

    /// Whether two labels name the same atom.
    pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
        let fixed = |label: &[u8]| {
            let (before, after) = (label.get(..VARY.start), label.get(VARY.end..));
            before.zip(after).map(|(x, y)| [x, y].concat())
        };
        fixed(a) == fixed(b)
    }
}

/// A part of a label.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Name,
    Alternate,
    Residue,
    Chain,
    Insertion,
    Occupancy,
    Temperature,
    Segment,
    Element,
    Charge,
}

impl Column {
    /// The text of it in a label.
    pub(super) fn of(self, label: &[u8]) -> &str {
        let (from, to) = match self {
            Self::Name => (12, 16),
            Self::Alternate => (16, 17),
            // A fourth letter of the name stands in a column that the format leaves free.
            Self::Residue => (17, 21),
            Self::Chain => (21, 22),
            Self::Insertion => (26, 27),
            Self::Occupancy => (30, 36),
            Self::Temperature => (36, 42),
            Self::Segment => (48, 52),
            Self::Element => (52, 54),
            Self::Charge => (54, 56),
        };
        text(columns(label, from, to)).unwrap_or_default()
    }
}

/// The serial number in a label, if it is one.
pub(super) fn serial(label: &[u8]) -> Option<i64> {
    let from = if label.starts_with(b"ATOM") { 4 } else { 6 };
    number(columns(label, from, 11), WIDTH)
}

/// The number of the residue in a label.
pub(super) fn residue(label: &[u8]) -> Option<i32> {
    number(columns(label, 22, 26), 4).and_then(|n| i32::try_from(n).ok())
}

/// The serial numbers of a line of bonds: of an atom, and of those to which it is bonded.
pub(super) fn bonds(line: &[u8]) -> impl Iterator<Item = Option<i64>> {
    let line = line.trim_ascii_end();
    (6..31)
        .step_by(5)
        .map(move |from| columns(line, from, from + 5))
        .filter(|c| !c.trim_ascii().is_empty())
        .map(|c| number(c, WIDTH))
}

/// The cell of a `CRYST1` line; `None` for one that stands for no crystal.
pub(super) fn cell(line: &[u8]) -> Result<Option<[f64; 9]>, String> {
    let mut six = [0.0; 6];
    let places = [(6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54)];
    for (value, (from, to)) in six.iter_mut().zip(places) {
        *value = text(columns(line, from, to)).and_then(|w| w.parse().ok()).ok_or(
            "CRYST1 has three lengths in columns 7 to 33 and three angles in columns 34 to 54; these \
             are not numbers",
        )?;
    }
    let [a, b, c, alpha, beta, gamma] = six;
    if [a, b, c] == [0.0; 3] || [a, b, c] == [1.0; 3] {
        return Ok(None);
    }
    triclinic::cell([a, b, c], [alpha, beta, gamma].map(triclinic::cosine)).map(Some)
}
