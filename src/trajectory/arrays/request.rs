//! What is wanted of many frames: which fields, and what stands where a frame lacks one.

use crate::codec::DType;
use crate::error::{Error, Result};

/// What the arrays of a batch hold, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayRequest {
    /// Names of fields, extra properties too; `None` for the standard ones that all of the frames
    /// have (with `fill`, that any of them has).
    pub fields: Option<Vec<String>>,
    /// What stands for a field that a frame does not have; `None` makes that an error.
    pub fill: Option<Fill>,
    /// Whether there is an array `<field>_mask` beside each: which frames have the field.
    pub mask: bool,
    /// Whether there is the array `batch`: the frame of each site.
    pub batch: bool,
    /// Arrays of frames of other stores that are read with these: a field that no frame here has is as it is there.
    pub known: Vec<KnownArray>,
}

/// How the array of a field looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownArray {
    /// The name of the field.
    pub name: String,
    /// The type of its numbers.
    pub kind: DType,
    /// The shape of the entry of one frame, or of one site.
    pub item_shape: Vec<u32>,
    /// Whether there is an entry for each site.
    pub by_site: bool,
}

impl Default for ArrayRequest {
    fn default() -> Self {
        Self { fields: None, fill: None, mask: false, batch: true, known: Vec::new() }
    }
}

/// Values for fields that are missing. Without one, real numbers are NaN, integers 0 (`step`
/// -2^63), booleans false.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fill {
    /// For all fields that `each` does not name.
    pub all: Option<FillValue>,
    /// By the name of the field.
    pub each: Vec<(String, FillValue)>,
}

/// A number that stands for a missing value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FillValue {
    /// An integer.
    Int(i64),
    /// A real number; NaN means "no value" also for integers.
    Real(f64),
}

/// The field of which 0 is a value like others: a column of the index has the same.
const STEP: &str = "step";

impl Fill {
    /// The bytes of one value of `kind` where the field `name` is missing.
    pub(super) fn bytes(&self, name: &str, kind: DType) -> Result<Vec<u8>> {
        let own = self.each.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
        // NaN means "no value"; among integers that is the value below.
        let given = match (own.or(self.all), kind) {
            (Some(FillValue::Real(v)), DType::I32 | DType::I64 | DType::Bool) if v.is_nan() => None,
            (given, _) => given,
        };
        let whole = match given {
            None if name == STEP => Some(i64::MIN),
            None => Some(0),
            Some(given) => given.whole(),
        };
        let refuse = || {
            let shown = given.map_or_else(String::new, FillValue::shown);
            let why = format!(
                "{shown} is not a valid value of {name:?}, whose values are {}; give one for each such \
                 field, as fill_value={{{name:?}: 0}}",
                kind.name()
            );
            Error::invalid("fill_value", why)
        };
        let whole = || whole.ok_or_else(refuse);
        Ok(match kind {
            #[expect(clippy::cast_possible_truncation, reason = "the caller chose the number")]
            DType::F32 => (given.map_or(f64::NAN, FillValue::real) as f32).to_ne_bytes().to_vec(),
            DType::F64 => given.map_or(f64::NAN, FillValue::real).to_ne_bytes().to_vec(),
            DType::I32 => i32::try_from(whole()?).map_err(|_| refuse())?.to_ne_bytes().to_vec(),
            DType::I64 => whole()?.to_ne_bytes().to_vec(),
            _ => vec![u8::try_from(whole()?).ok().filter(|b| *b < 2).ok_or_else(refuse)?],
        })
    }
}

impl FillValue {
    #[expect(clippy::cast_precision_loss, reason = "a fill value, asked for as such")]
    fn real(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Real(v) => v,
        }
    }

    fn whole(self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(n),
            #[expect(clippy::cast_possible_truncation, reason = "it is an integer of 53 bits")]
            Self::Real(v) if v.fract() == 0.0 && v.abs() < 9.0e15 => Some(v as i64),
            Self::Real(_) => None,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Int(n) => n.to_string(),
            Self::Real(v) => v.to_string(),
        }
    }
}
