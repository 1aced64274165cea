//! What is wanted of many frames: which fields, and what stands where a frame lacks one.

use crate::convert::iterable::fields as names;
use crate::convert::number::{real, whole};
use crate::convert::text::text;
use crate::error::{Outcome, described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use vlstore::Error;
use vlstore::codec::DType;

/// What an array of a batch holds and how.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Names of fields; `None` for the standard ones that the frames have.
    pub(crate) fields: Option<Vec<String>>,
    /// What stands for a field that a frame does not have; `None` makes that an error.
    pub(crate) fill: Option<Fill>,
    /// Whether there is an array `<field>_mask` beside each.
    pub(crate) mask: bool,
}

/// Values for fields that are missing.
#[derive(Default)]
pub(crate) struct Fill {
    all: Option<Number>,
    each: Vec<(String, Number)>,
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

/// The field of which 0 is a value like others: a column of the index has the same.
const STEP: &str = "step";

impl Wanted {
    pub(crate) fn new(
        fields: Option<&Bound<'_, PyAny>>,
        missing: Option<&Bound<'_, PyAny>>,
        fill_value: Option<&Bound<'_, PyAny>>,
        mask: bool,
    ) -> PyResult<Self> {
        let fields = names(fields)?;
        let fill = fill_value.map(Fill::new).transpose()?;
        let fill = match missing {
            None => fill.or_else(|| mask.then(Fill::default)),
            Some(any) => match any.cast::<PyString>().ok().and_then(|t| t.extract().ok()) {
                Some("fill") => Some(fill.unwrap_or_default()),
                Some("error") if fill.is_none() => None,
                Some("error") => {
                    let why = "fill_value: has no effect with missing=\"error\"";
                    return Err(invalid(any.py(), why));
                }
                _ => {
                    let wanted = "missing is \"error\" or \"fill\"";
                    return Err(wrong_type(any.py(), &described(wanted, any)?));
                }
            },
        };
        if let (Some(fields), Some(fill), Some(any)) = (&fields, &fill, fill_value)
            && let Some((name, _)) = fill.each.iter().find(|(name, _)| !fields.contains(name))
        {
            let why =
                format!("fill_value: {name:?} is not one of the fields: {}", fields.join(", "));
            return Err(invalid(any.py(), &why));
        }
        Ok(Self { fields, fill, mask })
    }
}

impl Fill {
    fn new(any: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(dict) = any.cast::<PyDict>() else {
            return Ok(Self { all: Some(Number::new(any, "fill_value")?), each: Vec::new() });
        };
        let each = dict.iter().map(|(name, value)| {
            let name = text(&name, "the name of a field in fill_value")?;
            let number = Number::new(&value, &format!("fill_value of {name:?}"))?;
            Ok((name, number))
        });
        Ok(Self { all: None, each: each.collect::<PyResult<_>>()? })
    }

    /// The bytes of one value of `kind` where the field `name` is missing.
    pub(crate) fn bytes(&self, name: &str, kind: DType) -> Outcome<Vec<u8>> {
        let own = self.each.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
        // NaN means "no value"; among integers that is the value below.
        let given = match (own.or(self.all), kind) {
            (Some(Number::Real(v)), DType::I32 | DType::I64 | DType::Bool) if v.is_nan() => None,
            (given, _) => given,
        };
        let whole = match given {
            None if name == STEP => Some(i64::MIN),
            None => Some(0),
            Some(given) => given.whole(),
        };
        let refuse = || {
            let shown = given.map_or_else(String::new, Number::shown);
            let why = format!(
                "{shown} is no value of {name:?}, whose values are {}; give one for each such \
                 field, as fill_value={{{name:?}: 0}}",
                kind.name()
            );
            Error::invalid("fill_value", why)
        };
        let whole = || whole.ok_or_else(refuse);
        Ok(match kind {
            #[expect(clippy::cast_possible_truncation, reason = "the caller chose the number")]
            DType::F32 => (given.map_or(f64::NAN, Number::real) as f32).to_ne_bytes().to_vec(),
            DType::F64 => given.map_or(f64::NAN, Number::real).to_ne_bytes().to_vec(),
            DType::I32 => i32::try_from(whole()?).map_err(|_| refuse())?.to_ne_bytes().to_vec(),
            DType::I64 => whole()?.to_ne_bytes().to_vec(),
            _ => vec![u8::try_from(whole()?).ok().filter(|b| *b < 2).ok_or_else(refuse)?],
        })
    }
}

impl Number {
    fn new(any: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        if let Ok(truth) = any.cast::<PyBool>() {
            return Ok(Self::Whole(truth.is_true().into()));
        }
        if any.hasattr("__index__")? {
            return whole(any, what).map(Self::Whole);
        }
        real(any, what).map(Self::Real)
    }

    #[expect(clippy::cast_precision_loss, reason = "a fill value, asked for as such")]
    fn real(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Real(v) => v,
        }
    }

    fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(n) => Some(n),
            #[expect(clippy::cast_possible_truncation, reason = "it is an integer of 53 bits")]
            Self::Real(v) if v.fract() == 0.0 && v.abs() < 9.0e15 => Some(v as i64),
            Self::Real(_) => None,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Real(v) => v.to_string(),
        }
    }
}
