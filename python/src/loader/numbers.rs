//! Types and units in which numbers are wanted.

use crate::convert::text::text;
use crate::error::{described, from_error, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use vlstore::codec::DType;
use vlstore::trajectory::WantedUnits;
use vlstore::trajectory::arrays::KnownArray;

/// Types in which numbers are wanted: one for all real numbers, or one for each field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DTypes {
    all: Option<DType>,
    each: Vec<(String, DType)>,
    /// The types that a first frame has, which all batches have where nothing else was asked for.
    first: Vec<(String, DType)>,
}

impl DTypes {
    /// From a name, or a dict of names by field, or `None`.
    pub(super) fn get(any: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(any) = any else { return Ok(Self::default()) };
        if let Ok(dict) = any.cast::<PyDict>() {
            let each = dict.iter().map(|(name, value)| {
                let name = text(&name, "the name of a field in dtype")?;
                let kind = kind(&value, &["float32", "float64", "int32", "int64"])?;
                Ok((name, kind))
            });
            return Ok(Self { each: each.collect::<PyResult<_>>()?, ..Self::default() });
        }
        Ok(Self { all: Some(kind(any, &["float32", "float64"])?), ..Self::default() })
    }

    /// These, and else those of `first`, by the names of fields.
    pub(super) fn or_first(self, first: &[KnownArray]) -> Self {
        let first = first.iter().map(|array| (array.name.clone(), array.kind));
        Self { first: first.collect(), ..self }
    }

    /// The type of the field `name`, whose numbers are of `kind` in the store.
    pub(super) fn of(&self, py: Python<'_>, name: &str, kind: DType) -> PyResult<DType> {
        let real = matches!(kind, DType::F32 | DType::F64);
        let Some((_, wanted)) = self.each.iter().find(|(field, _)| field == name) else {
            return match self.all.filter(|_| real) {
                Some(wanted) => Ok(wanted),
                None => self.of_first(py, name, kind),
            };
        };
        match (kind, *wanted) {
            (_, wanted) if wanted == kind => Ok(wanted),
            (DType::F32 | DType::F64, DType::F32 | DType::F64) | (DType::I32, DType::I64) => {
                Ok(*wanted)
            }
            _ => {
                let (kind, wanted) = (kind.name(), wanted.name());
                let why =
                    format!("dtype: {name:?} is {kind} in the store, not to be turned to {wanted}");
                Err(invalid(py, &why))
            }
        }
    }

    /// The type that the field has in the first frame: what other frames have is made that if nothing is lost.
    fn of_first(&self, py: Python<'_>, name: &str, kind: DType) -> PyResult<DType> {
        let Some((_, first)) = self.first.iter().find(|(field, _)| field == name) else {
            return Ok(kind);
        };
        match (kind, *first) {
            (_, first) if first == kind => Ok(first),
            (DType::F32, DType::F64) | (DType::I32, DType::I64) => Ok(*first),
            _ => {
                let turned =
                    matches!((kind, *first), (DType::F64, DType::F32) | (DType::I64, DType::I32));
                let (kind, first) = (kind.name(), first.name());
                let advice = match turned {
                    true => format!("say which it shall be, as dtype={{{name:?}: {kind:?}}}"),
                    false => "they cannot be in one array".to_owned(),
                };
                let why = format!(
                    "dtype: {name:?} is {first} in the first frame and {kind} in others: {advice}"
                );
                Err(invalid(py, &why))
            }
        }
    }

    /// Refuses what cannot be of arrays with these names and types.
    pub(super) fn check(&self, py: Python<'_>, arrays: &[KnownArray]) -> PyResult<()> {
        for (name, _) in &self.each {
            let Some(array) = arrays.iter().find(|array| array.name == *name) else {
                let names: Vec<&str> = arrays.iter().map(|array| &*array.name).collect();
                let why = format!("dtype: {name:?} is not one of the fields: {}", names.join(", "));
                return Err(invalid(py, &why));
            };
            self.of(py, name, array.kind)?;
        }
        Ok(())
    }
}

/// The type of this name, which is one of `known`.
fn kind(any: &Bound<'_, PyAny>, known: &[&str]) -> PyResult<DType> {
    let name: String = match any.cast::<PyString>() {
        Ok(name) => name.extract()?,
        Err(_) => {
            return Err(wrong_type(any.py(), &described("dtype must be the name of a type", any)?));
        }
    };
    let found = DType::ALL.iter().find(|kind| kind.name() == name && known.contains(&&*name));
    found.copied().ok_or_else(|| {
        invalid(any.py(), &format!("dtype: {name:?} is not one of {}", known.join(", ")))
    })
}

/// Units by quantity, from a dict.
pub(super) fn units(any: Option<&Bound<'_, PyAny>>) -> PyResult<WantedUnits> {
    let Some(any) = any else { return Ok(WantedUnits::default()) };
    let Ok(dict) = any.cast::<PyDict>() else {
        return Err(wrong_type(
            any.py(),
            &described("units must be a dict of units by quantity", any)?,
        ));
    };
    let pair = |(name, unit): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name = text(&name, "the name of a quantity in units")?;
        let unit = text(&unit, &format!("the unit of {name:?}"))?;
        Ok((name, unit))
    };
    let pairs: Vec<(String, String)> = dict.iter().map(pair).collect::<PyResult<_>>()?;
    let wanted = WantedUnits::new(pairs.iter().map(|(name, unit)| (&**name, &**unit)));
    wanted.map_err(|e| from_error(any.py(), &e))
}
