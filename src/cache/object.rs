//! Results: what can be stored, and how it becomes a tree and arrays.

use crate::codec::{ArrayView, DType, Element};
use crate::error::{Error, Result};
use crate::wire::memory;
use serde_json::{Value, json};

/// A result on its way into a cache: a tree of JSON, and arrays that it names by their number.
///
/// `docs/cache.md` has the table of the nodes, which Python reads too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    /// The tree.
    pub result: Value,
    arrays: Vec<(DType, Vec<u64>, Vec<u8>)>,
}

impl Prepared {
    /// A tree without arrays.
    #[must_use]
    pub const fn new(result: Value) -> Self {
        Self { result, arrays: Vec::new() }
    }

    /// Adds an array of these values in C order, and returns its node.
    ///
    /// # Errors
    /// As [`ArrayView::of`]; [`Error::OutOfMemory`].
    pub fn array<T: Element>(&mut self, shape: &[u64], values: &[T]) -> Result<Value> {
        let view = ArrayView::of(shape, values)?;
        let mut data = memory::with_room(view.data().len())?;
        data.extend_from_slice(view.data());
        self.arrays.push((T::DTYPE, shape.to_vec(), data));
        Ok(json!({"array": self.arrays.len() - 1}))
    }

    pub(super) fn views(&self) -> Result<Vec<ArrayView<'_>>> {
        self.arrays.iter().map(|(dtype, shape, data)| ArrayView::new(*dtype, shape, data)).collect()
    }
}

/// The array that the node `{"array": number}` names.
///
/// # Errors
/// [`Error::Codec`] if it is not such a node, or the array does not exist.
pub(super) fn named_array<'a>(
    result: &Value,
    name: &str,
    arrays: &[ArrayView<'a>],
) -> Result<ArrayView<'a>> {
    let number = result.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    number
        .and_then(|number| arrays.get(number))
        .copied()
        .ok_or_else(|| malformed(&format!("has no {name}, but must have one")))
}

fn malformed(why: &str) -> Error {
    Error::codec("document", format!("the result of the entry {why}"))
}

/// What can be stored as a result and made again from what was stored: the storage protocol.
///
/// There for numbers, texts, lists of numbers and `()`; write it for a type of your own.
///
/// ```
/// use vlstore::cache::{Object, Prepared};
/// use vlstore::codec::ArrayView;
/// use serde_json::Value;
///
/// struct Curve(Vec<f64>);
///
/// impl Object for Curve {
///     fn storage_prepare(&self) -> vlstore::Result<Prepared> {
///         self.0.storage_prepare()
///     }
///     fn storage_retrieve(result: &Value, arrays: &[ArrayView<'_>]) -> vlstore::Result<Self> {
///         Vec::storage_retrieve(result, arrays).map(Self)
///     }
/// }
/// ```
pub trait Object: Sized {
    /// The tree and the arrays of this value.
    ///
    /// # Errors
    /// Of the type's own; the value is then returned, but not stored.
    fn storage_prepare(&self) -> Result<Prepared>;

    /// The value of a tree and its arrays.
    ///
    /// # Errors
    /// [`Error::Codec`] if it is not one; others of the type's own.
    fn storage_retrieve(result: &Value, arrays: &[ArrayView<'_>]) -> Result<Self>;
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        /// One number, stored as an array without axes.
        impl Object for $kind {
            fn storage_prepare(&self) -> Result<Prepared> {
                let mut out = Prepared::default();
                out.array::<$kind>(&[], &[*self])?;
                out.result = json!({"scalar": 0});
                Ok(out)
            }

            fn storage_retrieve(result: &Value, arrays: &[ArrayView<'_>]) -> Result<Self> {
                let array = named_array(result, "scalar", arrays)?;
                let first = array.as_slice::<$kind>()?.first().copied();
                first.ok_or_else(|| malformed("is an array without a value"))
            }
        }

        /// An array with one axis.
        impl Object for Vec<$kind> {
            fn storage_prepare(&self) -> Result<Prepared> {
                let mut out = Prepared::default();
                out.result = out.array::<$kind>(&[self.len() as u64], self)?;
                Ok(out)
            }

            fn storage_retrieve(result: &Value, arrays: &[ArrayView<'_>]) -> Result<Self> {
                let array = named_array(result, "array", arrays)?;
                let values = array.as_slice::<$kind>()?;
                let mut out = memory::with_room(values.len())?;
                out.extend_from_slice(values);
                Ok(out)
            }
        }
    )*};
}
numbers!(i8 i16 i32 i64 u8 u32 u64 f32 f64);

impl Object for String {
    fn storage_prepare(&self) -> Result<Prepared> {
        Ok(Prepared::new(Value::from(self.as_str())))
    }

    fn storage_retrieve(result: &Value, _: &[ArrayView<'_>]) -> Result<Self> {
        result.as_str().map(Self::from).ok_or_else(|| malformed("is not a string"))
    }
}

impl Object for bool {
    fn storage_prepare(&self) -> Result<Prepared> {
        Ok(Prepared::new(Value::from(*self)))
    }

    fn storage_retrieve(result: &Value, _: &[ArrayView<'_>]) -> Result<Self> {
        result.as_bool().ok_or_else(|| malformed("is not a boolean"))
    }
}

impl Object for () {
    fn storage_prepare(&self) -> Result<Prepared> {
        Ok(Prepared::new(Value::Null))
    }

    fn storage_retrieve(result: &Value, _: &[ArrayView<'_>]) -> Result<Self> {
        if result.is_null() { Ok(()) } else { Err(malformed("is not null")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back<T: Object>(value: &T) -> T {
        let prepared = value.storage_prepare().unwrap();
        T::storage_retrieve(&prepared.result, &prepared.views().unwrap()).unwrap()
    }

    #[test]
    fn values_come_back_and_other_types_are_refused() {
        assert_eq!(back(&0.1_f64).to_bits(), 0.1_f64.to_bits());
        assert!(back(&f64::NAN).is_nan());
        assert_eq!(back(&i64::MIN), i64::MIN);
        assert_eq!(back(&vec![1.5_f32, -0.0]), [1.5, -0.0]);
        assert!(back(&Vec::<u8>::new()).is_empty());
        assert_eq!((back(&"é".to_owned()).as_str(), back(&true)), ("é", true));
        back(&());
        let prepared = 1.0_f64.storage_prepare().unwrap();
        let views = prepared.views().unwrap();
        assert!(f32::storage_retrieve(&prepared.result, &views).is_err());
        assert!(Vec::<f64>::storage_retrieve(&prepared.result, &views).is_err());
        assert!(String::storage_retrieve(&prepared.result, &views).is_err());
    }
}
