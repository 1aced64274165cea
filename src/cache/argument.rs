//! Arguments of a call as one text: the same for equal arguments, in every run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// An argument of a call, or a part of one.
///
/// Shown, it is JSON without spaces, with names in the order of their code points, and `NaN`,
/// `Infinity` and `-Infinity`. `1`, `1.0` and `true` are three values. All NaN are one, so that a call
/// finds its result again.
///
/// ```
/// use vlstore::cache::Argument;
/// let list: Argument = vec![Argument::from(1), 1.0.into(), true.into(), "x".into()].into();
/// assert_eq!(list.to_string(), r#"[1,1.0,true,"x"]"#);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// A sequence.
    List(Vec<Argument>),
    /// Values by name.
    Map(BTreeMap<String, Argument>),
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => float(*value, f),
            Self::Text(text) => quoted(text, f),
            Self::List(items) => {
                f.write_char('[')?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
                }
                f.write_char(']')
            }
            Self::Map(members) => named(members, f),
        }
    }
}

/// An object of JSON with these members.
pub(super) fn named(
    members: &BTreeMap<String, Argument>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_char('{')?;
    for (i, (name, value)) in members.iter().enumerate() {
        f.write_str(if i > 0 { "," } else { "" })?;
        quoted(name, f)?;
        write!(f, ":{value}")?;
    }
    f.write_char('}')
}

/// A text of JSON.
pub(super) fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // It is what the package for JSON writes; the text of another value never fails.
    f.write_str(&serde_json::Value::from(text).to_string())
}

/// The shortest digits that lead back to the number, as Python's `repr` writes them: keys of both
/// languages meet.
fn float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        return f.write_str("NaN");
    }
    if value.is_infinite() {
        return f.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return f.write_str(&text) };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    write!(f, "{digits}e{sign}{exponent:0>2}")
}

/// The arguments of a closure: a tuple of up to six, or `()`.
pub trait Arguments {
    /// One after the other.
    fn list(&self) -> Vec<Argument>;
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Clone + Into<Argument>),*> Arguments for ($($name,)*) {
            #[expect(non_snake_case, reason = "the names of the types stand for the values")]
            fn list(&self) -> Vec<Argument> {
                let ($($name,)*) = self;
                vec![$($name.clone().into()),*]
            }
        }
    };
}

impl Arguments for () {
    fn list(&self) -> Vec<Argument> {
        Vec::new()
    }
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);

impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! whole_numbers {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Argument {
            fn from(value: $kind) -> Self {
                Self::Int(i128::from(value))
            }
        }
    )*};
}
whole_numbers!(i8 i16 i32 i64 u8 u16 u32 u64);

// Wide enough on every platform that there is.
impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::Int(value as i128)
    }
}

impl From<isize> for Argument {
    fn from(value: isize) -> Self {
        Self::Int(value as i128)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

impl From<&str> for Argument {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Argument {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Argument {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Argument {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> FromIterator<(String, T)> for Argument {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(members: I) -> Self {
        Self::Map(members.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_texts_and_names_have_one_text() {
        let cases: Vec<(Argument, &str)> = vec![
            (1.into(), "1"),
            (1.0.into(), "1.0"),
            (true.into(), "true"),
            (Argument::Null, "null"),
            ((-0.0).into(), "-0.0"),
            (0.1.into(), "0.1"),
            (1e15.into(), "1000000000000000.0"),
            (1e16.into(), "1e+16"),
            (1.5e-7.into(), "1.5e-07"),
            (1e-4.into(), "0.0001"),
            (1e-5.into(), "1e-05"),
            (1.7976931348623157e308.into(), "1.7976931348623157e+308"),
            (5e-324.into(), "5e-324"),
            (f64::NAN.into(), "NaN"),
            ((-f64::NAN).into(), "NaN"),
            (f64::NEG_INFINITY.into(), "-Infinity"),
            ("é\n\u{7f}\"\\\u{1}".into(), "\"é\\n\u{7f}\\\"\\\\\\u0001\""),
            (Argument::from_iter([("b".to_owned(), 1), ("a".to_owned(), 2)]), r#"{"a":2,"b":1}"#),
            (None::<i32>.into(), "null"),
            (usize::MAX.into(), "18446744073709551615"),
            ((-3_isize).into(), "-3"),
        ];
        for (argument, text) in cases {
            assert_eq!(argument.to_string(), text);
        }
    }
}
