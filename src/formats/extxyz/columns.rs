//! The lines of the atoms, gathered column by column.

use super::comment::{Why, shorten};
use super::layout::{ColumnSpec, Letter};
use super::numbers::{loose_truth, real};
use crate::codec::{Real, Values};
use crate::formats::elements;
use crate::wire::memory;

/// The values of one column so far.
pub(super) enum Column {
    Real(Vec<f64>),
    Int(Vec<i64>),
    Str(Vec<String>),
    Bool(Vec<bool>),
    Species(Species),
}

impl Column {
    /// Species with room for so many.
    pub(super) fn species(values: usize) -> crate::Result<Self> {
        Ok(Self::Species(Species { numbers: memory::with_room(values)?, ..Species::default() }))
    }

    /// An empty column with room for `values`, in the memory of `reuse` where that fits.
    pub(super) fn new(
        letter: Letter,
        values: usize,
        reuse: Option<Vec<f64>>,
    ) -> crate::Result<Self> {
        Ok(match letter {
            Letter::Real => {
                let mut v = reuse.unwrap_or_default();
                v.clear();
                memory::reserve(&mut v, values)?;
                Self::Real(v)
            }
            Letter::Int => Self::Int(memory::with_room(values)?),
            // Texts are made when their line has been read: each costs more than its bytes.
            Letter::Str => Self::Str(Vec::new()),
            Letter::Bool => Self::Bool(memory::with_room(values)?),
        })
    }

    /// Takes the next word; or says what is wrong with it.
    pub(super) fn push(&mut self, word: &str) -> Result<(), &'static str> {
        match self {
            Self::Real(v) => match word.parse::<f64>() {
                Ok(x) if x.is_finite() => v.push(x),
                _ => v.push(real(word)?.ok_or("is not a number")?),
            },
            Self::Int(v) => v.push(word.parse().map_err(|_| "is not an integer")?),
            Self::Str(v) => v.push(word.into()),
            Self::Bool(v) => v.push(loose_truth(word).ok_or("is not T or F")?),
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
            Self::Species(mut s) => Values::Str(s.strings()),
        }
    }
}

/// Species as atomic numbers; the labels are kept as long as one of them is more than the symbol
/// of its number.
#[derive(Default)]
pub(super) struct Species {
    pub(super) numbers: Vec<i32>,
    pub(super) labels: Option<Vec<String>>,
    unknown: usize,
    /// The first unknown label and its place.
    first: Option<(usize, String)>,
}

impl Species {
    fn push(&mut self, word: &str) {
        let number = elements::number(word.as_bytes());
        if number.is_none() {
            self.labels.get_or_insert_with(|| symbols(&self.numbers));
        }
        if let Some(labels) = &mut self.labels {
            labels.push(word.into());
        }
        let known = number.or_else(|| elements::of_label(word));
        if known.is_none() {
            self.unknown = self.unknown.saturating_add(1);
            self.first.get_or_insert_with(|| (self.numbers.len(), word.into()));
        }
        self.numbers.push(known.unwrap_or(elements::UNKNOWN));
    }

    /// The labels, or the symbols where nothing else was written.
    pub(super) fn strings(&mut self) -> Vec<String> {
        self.labels.take().unwrap_or_else(|| symbols(&self.numbers))
    }

    /// How many labels are of no element, and the first of them with the number of its site.
    pub(super) fn unknown(&mut self) -> Option<(usize, (usize, String))> {
        self.first.take().map(|first| (self.unknown, first))
    }
}

fn symbols(numbers: &[i32]) -> Vec<String> {
    numbers.iter().map(|n| elements::symbol(*n).unwrap_or("X").into()).collect()
}

/// The atomic numbers that the reader makes of species.
pub(super) fn numbers_of(species: &[String]) -> Vec<i32> {
    species.iter().map(|s| elements::of_label(s).unwrap_or(elements::UNKNOWN)).collect()
}

/// Splits the line of an atom among the columns.
pub(super) fn atom(line: &str, specs: &[ColumnSpec], columns: &mut [Column]) -> Result<(), Why> {
    let mut words = line.split_ascii_whitespace();
    for (spec, column) in specs.iter().zip(columns) {
        for _ in 0..spec.width {
            let word = words
                .next()
                .ok_or_else(|| format!("the line ends before column `{}`", shorten(&spec.name)))?;
            column.push(word).map_err(|why| {
                let (name, word) = (shorten(&spec.name), shorten(word));
                format!("`{word}` in column `{name}` {why}")
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
