//! The lines of the atoms, gathered column by column.

use super::comment::shorten;
use super::layout::{ColumnSpec, Letter};
use crate::codec::{Real, Values};
use crate::formats::elements;

/// The values of one column so far.
pub(super) enum Column {
    Real(Vec<f64>),
    Int(Vec<i64>),
    Str(Vec<String>),
    Bool(Vec<bool>),
    Species(Species),
}

impl Column {
    /// An empty column with room for `values`, in the memory of `reuse` where that fits.
    pub(super) fn new(letter: Letter, values: usize, reuse: Option<Vec<f64>>) -> Self {
        match letter {
            Letter::Real => {
                let mut v = reuse.unwrap_or_default();
                v.clear();
                v.reserve(values);
                Self::Real(v)
            }
            Letter::Int => Self::Int(Vec::with_capacity(values)),
            // Texts are made when their line has been read: each costs more than its bytes.
            Letter::Str => Self::Str(Vec::new()),
            Letter::Bool => Self::Bool(Vec::with_capacity(values)),
        }
    }

    pub(super) fn push(&mut self, word: &str) -> Result<(), &'static str> {
        match self {
            Self::Real(v) => v.push(word.parse().map_err(|_| "a number")?),
            Self::Int(v) => v.push(word.parse().map_err(|_| "a whole number")?),
            Self::Str(v) => v.push(word.into()),
            Self::Bool(v) => v.push(truth(word).ok_or("T or F")?),
            Self::Species(s) => s.push(word),
        }
        Ok(())
    }

    pub(super) fn values(self) -> Values {
        match self {
            Self::Real(v) => Values::Real(Real::F64(v)),
            Self::Int(v) => Values::I64(v),
            Self::Str(v) => Values::Str(v),
            Self::Bool(v) => Values::Bool(v),
            Self::Species(s) => Values::Str(s.strings()),
        }
    }
}

/// Columns may write truth in any case, where keys may not.
fn truth(word: &str) -> Option<bool> {
    let is = |long: &str, short: &str| {
        word.eq_ignore_ascii_case(long) || word.eq_ignore_ascii_case(short)
    };
    if is("true", "t") { Some(true) } else { is("false", "f").then_some(false) }
}

/// Species as atomic numbers, as long as all of them are symbols of elements.
pub(super) enum Species {
    Numbers(Vec<i32>),
    Strings(Vec<String>),
}

impl Species {
    fn push(&mut self, word: &str) {
        match self {
            Self::Numbers(v) => match elements::number(word.as_bytes()) {
                Some(n) => v.push(n),
                None => {
                    let mut strings = symbols(v);
                    strings.push(word.into());
                    *self = Self::Strings(strings);
                }
            },
            Self::Strings(v) => v.push(word.into()),
        }
    }

    pub(super) fn strings(self) -> Vec<String> {
        match self {
            Self::Numbers(v) => symbols(&v),
            Self::Strings(v) => v,
        }
    }
}

fn symbols(numbers: &[i32]) -> Vec<String> {
    numbers.iter().filter_map(|n| elements::symbol(*n)).map(String::from).collect()
}

/// Atomic numbers of species that are all symbols, or all atomic numbers themselves.
pub(super) fn numbers_of(species: &[String]) -> Option<Vec<i32>> {
    let symbol = |s: &String| elements::number(s.as_bytes());
    let digits = |s: &String| s.parse().ok().filter(|n| elements::symbol(*n).is_some());
    species
        .iter()
        .map(symbol)
        .collect::<Option<_>>()
        .or_else(|| species.iter().map(digits).collect())
}

/// Splits the line of an atom among the columns.
pub(super) fn atom(
    line: &str,
    specs: &[ColumnSpec],
    columns: &mut [Column],
) -> Result<(), Box<str>> {
    let mut words = line.split_ascii_whitespace();
    for (spec, column) in specs.iter().zip(columns) {
        for _ in 0..spec.width {
            let word = words
                .next()
                .ok_or_else(|| format!("the line ends before column `{}`", shorten(&spec.name)))?;
            column.push(word).map_err(|expected| {
                let (name, word) = (shorten(&spec.name), shorten(word));
                format!("`{word}` in column `{name}` is not {expected}")
            })?;
        }
    }
    match words.next() {
        Some(word) => {
            Err(format!("`{}` follows after the last column that Properties names", shorten(word))
                .into())
        }
        None => Ok(()),
    }
}
