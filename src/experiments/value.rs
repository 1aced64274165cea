//! Values of attributes: what type they have is kept, to the bit.

use crate::codec::DType;
use crate::error::{Error, Result};
use serde_json::{Map, Value as Json, json};
use std::fmt;

/// The value of an attribute of a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// There is none.
    Missing,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number, of any bits.
    Float(f64),
    /// Text.
    Text(String),
    /// A single value of a type that arrays have, such as `int16`.
    Scalar(Scalar),
}

/// A single value of the type of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scalar {
    dtype: DType,
    bytes: [u8; 16],
}

impl Scalar {
    /// The value whose little-endian bytes are these.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are more or fewer than the type has.
    pub fn new(dtype: DType, bytes: &[u8]) -> Result<Self> {
        let mut own = [0; 16];
        match own.get_mut(..dtype.size()) {
            Some(place) if place.len() == bytes.len() => place.copy_from_slice(bytes),
            _ => {
                let why = format!("{} bytes are not a value of {}", bytes.len(), dtype.name());
                return Err(Error::invalid("attribute", why));
            }
        }
        Ok(Self { dtype, bytes: own })
    }

    /// Type of the value.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// The value as little-endian bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.dtype.size()).unwrap_or_default()
    }

    /// The bytes from `at` on as `N` bytes.
    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        let part = self.bytes.get(at..at + N).and_then(|b| b.try_into().ok());
        part.unwrap_or([0; N])
    }

    /// As an integer, if it is one.
    fn integer(&self) -> Option<i128> {
        Some(match self.dtype {
            DType::I8 => i8::from_le_bytes(self.part(0)).into(),
            DType::I16 => i16::from_le_bytes(self.part(0)).into(),
            DType::I32 => i32::from_le_bytes(self.part(0)).into(),
            DType::I64 => i64::from_le_bytes(self.part(0)).into(),
            DType::U8 => u8::from_le_bytes(self.part(0)).into(),
            DType::U16 => u16::from_le_bytes(self.part(0)).into(),
            DType::U32 => u32::from_le_bytes(self.part(0)).into(),
            DType::U64 => u64::from_le_bytes(self.part(0)).into(),
            _ => return None,
        })
    }

    /// Real and imaginary part as `float64`, which holds each exactly; of a real number the first.
    pub(super) fn reals(&self) -> Option<(f64, Option<f64>)> {
        let f32_at = |at| f64::from(f32::from_le_bytes(self.part(at)));
        let f64_at = |at| f64::from_le_bytes(self.part(at));
        Some(match self.dtype {
            DType::F16 => (half(u16::from_le_bytes(self.part(0))), None),
            DType::F32 => (f32_at(0), None),
            DType::F64 => (f64_at(0), None),
            DType::C64 => (f32_at(0), Some(f32_at(4))),
            DType::C128 => (f64_at(0), Some(f64_at(8))),
            _ => return None,
        })
    }
}

/// The value of an IEEE binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2.0_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f64.powi(exponent - 15),
    }
}

impl Value {
    /// As JSON. What JSON has by itself stands as it is; every other type is named:
    /// `{"int16": 5}`, `{"float64": "0x000000000000f87f"}` (the bytes, in the order of memory).
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Missing => Json::Null,
            Self::Bool(b) => json!(b),
            Self::Int(n) => json!(n),
            Self::Float(x) if x.is_finite() => json!(x),
            Self::Float(x) => json!({ "float64": hex(&x.to_le_bytes()), "python": true }),
            Self::Text(text) => json!(text),
            Self::Scalar(scalar) => {
                let value = match (scalar.dtype, scalar.integer()) {
                    (DType::Bool, _) => json!(scalar.bytes() == [1]),
                    (DType::U64, _) => json!(u64::from_le_bytes(scalar.part(0))),
                    (_, Some(n)) => json!(i64::try_from(n).unwrap_or_default()),
                    _ => json!(hex(scalar.bytes())),
                };
                let mut members = Map::new();
                members.insert(scalar.dtype.name().into(), value);
                Json::Object(members)
            }
        }
    }

    pub(super) fn from_json(json: &Json) -> Result<Self> {
        let bad = || Error::codec("document", format!("{json} is not a value of an attribute"));
        Ok(match json {
            Json::Null => Self::Missing,
            Json::Bool(b) => Self::Bool(*b),
            Json::String(text) => Self::Text(text.clone()),
            Json::Number(n) => match n.as_i64() {
                Some(n) => Self::Int(n),
                None => Self::Float(n.as_f64().ok_or_else(bad)?),
            },
            Json::Object(members) => {
                let plain = members.contains_key("python");
                let mut known =
                    members.iter().filter_map(|(k, v)| DType::from_name(k).map(|d| (d, v)));
                let (dtype, value) = known.next().ok_or_else(bad)?;
                let bytes = match value {
                    Json::Bool(b) => vec![u8::from(*b)],
                    Json::String(text) => unhex(text).ok_or_else(bad)?,
                    Json::Number(n) => {
                        let bits = n.as_u64().or_else(|| n.as_i64().map(i64::cast_unsigned));
                        let bytes = bits.ok_or_else(bad)?.to_le_bytes();
                        bytes.get(..dtype.size()).ok_or_else(bad)?.to_vec()
                    }
                    _ => return Err(bad()),
                };
                let scalar = Scalar::new(dtype, &bytes)?;
                match scalar.reals() {
                    Some((x, None)) if plain => Self::Float(x),
                    _ => Self::Scalar(scalar),
                }
            }
            Json::Array(_) => return Err(bad()),
        })
    }

    /// Name of the type, as messages say it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Scalar(scalar) => scalar.dtype.name(),
        }
    }
}

/// As a cell of a table: `True`, `5`, `0.25`, `nan`, `(1+2j)`, text as it is, nothing where there
/// is no value.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let truth = |b| if b { "True" } else { "False" };
        match self {
            Self::Missing => Ok(()),
            Self::Bool(b) => f.write_str(truth(*b)),
            Self::Int(n) => n.fmt(f),
            Self::Float(x) => f.write_str(&real(*x)),
            Self::Text(text) => f.write_str(text),
            Self::Scalar(scalar) => match (scalar.dtype, scalar.integer(), scalar.reals()) {
                (DType::F32, ..) => f.write_str(&real32(f32::from_le_bytes(scalar.part(0)))),
                (_, Some(n), _) => n.fmt(f),
                (_, _, Some((x, None))) => f.write_str(&real(x)),
                (_, _, Some((x, Some(y)))) => {
                    let sign = if y.is_sign_negative() { "" } else { "+" };
                    write!(f, "({}{sign}{}j)", real(x), real(y))
                }
                _ => f.write_str(truth(scalar.bytes() == [1])),
            },
        }
    }
}

fn real(x: f64) -> String {
    if x.is_finite() { format!("{x:?}") } else { format!("{x}").to_lowercase() }
}

fn real32(x: f32) -> String {
    if x.is_finite() { format!("{x:?}") } else { format!("{x}").to_lowercase() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |mut out, byte| {
        out.push_str(&format!("{byte:02x}"));
        out
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(value: &Value) -> Value {
        // Through text, as a record has it.
        let text = value.to_json().to_string();
        Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn every_type_comes_back_to_the_bit() {
        for value in [
            Value::Missing,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Int(0),
            Value::Float(1.0),
            Value::Float(0.1 + 0.2),
            Value::Float(1e16),
            Value::Float(f64::MIN_POSITIVE),
            Value::Float(5e-324),
            Value::Float(f64::INFINITY),
            Value::Text("Größe, \"1\"\n".into()),
            Value::Text(String::new()),
        ] {
            assert_eq!(back(&value), value);
        }
        for bits in [f64::NAN.to_bits(), 0x7ff0_0000_dead_beef, (-0.0_f64).to_bits()] {
            let Value::Float(x) = back(&Value::Float(f64::from_bits(bits))) else { panic!() };
            assert_eq!(x.to_bits(), bits);
        }
        for dtype in DType::ALL {
            for fill in [0x00, 0x7b, 0xff] {
                let fill = if *dtype == DType::Bool { fill & 1 } else { fill };
                let value = Value::Scalar(Scalar::new(*dtype, &vec![fill; dtype.size()]).unwrap());
                assert_eq!(back(&value), value, "{dtype:?}");
            }
        }
        assert!(Scalar::new(DType::I16, &[1]).is_err());
        assert!(Value::from_json(&json!([1])).is_err());
        assert!(Value::from_json(&json!({"int16": 0.5})).is_err());
        assert!(Value::from_json(&json!({"float16": "0x1"})).is_err());
    }

    #[test]
    fn cells_are_written_as_a_table_of_text_has_them() {
        let scalar = |dtype, bytes: &[u8]| Value::Scalar(Scalar::new(dtype, bytes).unwrap());
        for (value, shown) in [
            (Value::Missing, ""),
            (Value::Bool(false), "False"),
            (Value::Float(2.0), "2.0"),
            (Value::Float(f64::NAN), "nan"),
            (Value::Float(f64::NEG_INFINITY), "-inf"),
            (scalar(DType::I8, &[0xff]), "-1"),
            (scalar(DType::F32, &0.1_f32.to_le_bytes()), "0.1"),
            (scalar(DType::F16, &0x3c00_u16.to_le_bytes()), "1.0"),
            (scalar(DType::F16, &0xc500_u16.to_le_bytes()), "-5.0"),
            (scalar(DType::Bool, &[1]), "True"),
            (scalar(DType::C64, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]), "(1.0-2.0j)"),
        ] {
            assert_eq!(value.to_string(), shown);
        }
    }
}
