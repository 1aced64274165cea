//! Plain arrays: type, shape and values. The layout is drawn in `docs/records.md`.

use super::dtype::{DType, Element};
use super::json::Json;
use super::slices::{aligned, bounded, bytes_of, numbers_in, truths_in};
use super::{AnyCodec, Codec, Encoded};
use crate::wire::{AlignedBuf, Cursor};
use crate::{Error, Result, limits};
use std::fmt;
use std::io;
use std::ops::Deref;

/// Records that are one array each, of any type and shape.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArrayCodec;

const NAME: &str = "array";
const VERSION: u8 = 1;
const MAGIC: u8 = 0xa7;

/// The lengths of an array along its axes; none for a single value.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    axes: [u64; limits::ARRAY_AXES],
    len: usize,
}

impl Shape {
    /// A shape of these lengths.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] above [`limits::ARRAY_AXES`] axes or 2^32 - 1 entries along one.
    pub fn new(axes: &[u64]) -> Result<Self> {
        let mut out = Self { len: axes.len(), ..Self::default() };
        let Some(own) = out.axes.get_mut(..axes.len()) else {
            return Err(Error::Limit {
                what: "number of array axes",
                asked: axes.len() as u64,
                max: limits::ARRAY_AXES as u64,
            });
        };
        own.copy_from_slice(axes);
        match axes.iter().find(|&&n| n > u32::MAX.into()) {
            None => Ok(out),
            Some(&asked) => Err(Error::Limit { what: "array axis", asked, max: u32::MAX.into() }),
        }
    }

    /// Number of values; `None` if that is more than 64 bits can count.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        // Zero along one axis wins over an overflow along the others.
        if self.contains(&0) {
            return Some(0);
        }
        self.iter().try_fold(1u64, |n, &axis| n.checked_mul(axis))
    }

    /// Entries along the first axis, 0 for a single value: what the index keeps.
    fn first(&self) -> u32 {
        self.iter().next().and_then(|&n| u32::try_from(n).ok()).unwrap_or(0)
    }
}

impl Deref for Shape {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        self.axes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// An array that borrows its values; the length of `data` always fits type and shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrayView<'a> {
    dtype: DType,
    shape: Shape,
    data: &'a [u8],
}

impl<'a> ArrayView<'a> {
    /// An array of little-endian values in C order.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`] if `data` is not as long as type and shape say, [`Error::Limit`] for a
    /// shape that cannot be stored.
    pub fn new(dtype: DType, shape: &[u64], data: &'a [u8]) -> Result<Self> {
        let shape = Shape::new(shape)?;
        let expected = shape.count().and_then(|n| n.checked_mul(dtype.size() as u64));
        if expected != Some(data.len() as u64) {
            return Err(Error::codec(
                NAME,
                format!(
                    "{} values of shape {shape:?} need {} bytes, not {}",
                    dtype.name(),
                    expected.map_or("more than 2^64".into(), |n| n.to_string()),
                    data.len()
                ),
            ));
        }
        if dtype == DType::Bool {
            truths_in(NAME, "the array", data)?;
        }
        Ok(Self { dtype, shape, data })
    }

    /// An array of these values in C order.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn of<T: Element>(shape: &[u64], values: &'a [T]) -> Result<Self> {
        Self::new(T::DTYPE, shape, bytes_of(NAME, values)?)
    }

    /// Type of the values.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Lengths along the axes; empty for a single value.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Bytes of the record of this array.
    pub(super) fn record_len(&self) -> usize {
        8 + 8 * self.shape.len() + self.data.len()
    }

    /// The values as little-endian bytes in C order.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The values in C order.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`] if the array is of another type, or its values are not aligned in
    /// memory (then [`aligned`](super::aligned) moves the record).
    pub fn as_slice<T: Element>(&self) -> Result<&'a [T]> {
        if !T::views(self.dtype) {
            return Err(Error::codec(
                NAME,
                format!("the values are {}, not {}", self.dtype.name(), T::DTYPE.name()),
            ));
        }
        numbers_in(NAME, "the array", self.data)
    }

    /// The values of an array of booleans.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`] if the array is of another type.
    pub fn as_bools(&self) -> Result<&'a [bool]> {
        if self.dtype != DType::Bool {
            return Err(Error::codec(
                NAME,
                format!("the values are {}, not bool", self.dtype.name()),
            ));
        }
        truths_in(NAME, "the array", self.data)
    }
}

impl Codec for ArrayCodec {
    type Input<'a> = ArrayView<'a>;
    type View<'a> = ArrayView<'a>;

    fn encode(&self, item: &ArrayView<'_>, out: &mut Vec<u8>) -> Result<Encoded> {
        let len = item.record_len();
        bounded(len as u64)?;
        let axes =
            u8::try_from(item.shape.len()).map_err(|_| Error::codec(NAME, "more than 255 axes"))?;
        crate::wire::memory::reserve(out, len)?;
        out.extend_from_slice(&[MAGIC, VERSION, item.dtype.code(), axes, 0, 0, 0, 0]);
        for axis in item.shape.iter() {
            out.extend_from_slice(&axis.to_le_bytes());
        }
        out.extend_from_slice(item.data);
        Ok(Encoded { weight: item.shape.first() })
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<ArrayView<'a>> {
        let mut from = Cursor::new(bytes);
        let head: [u8; 8] = from.array().ok_or_else(|| bad("its header is incomplete"))?;
        let [magic, version, dtype, axes, padding @ ..] = head;
        if magic != MAGIC {
            return Err(bad("it does not begin with the right bytes"));
        }
        if version != VERSION {
            return Err(Error::Unsupported {
                what: "array record version",
                found: version.into(),
                newest: VERSION.into(),
            });
        }
        if padding != [0; 4] {
            return Err(bad("its padding is not zero"));
        }
        let dtype = DType::from_code(dtype).ok_or_else(|| bad("its type is not known"))?;
        let mut shape = [0; limits::ARRAY_AXES];
        let Some(shape) = shape.get_mut(..axes.into()) else {
            return Err(Error::Limit {
                what: "number of array axes",
                asked: axes.into(),
                max: limits::ARRAY_AXES as u64,
            });
        };
        for axis in shape.iter_mut() {
            *axis = from.u64_le().ok_or_else(|| bad("its shape is cut off"))?;
        }
        ArrayView::new(dtype, shape, from.take(from.remaining()).unwrap_or_default())
    }
}

fn bad(why: &str) -> Error {
    Error::codec(NAME, format!("the record is not an array: {why}"))
}

impl AnyCodec for ArrayCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION.into()
    }

    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        Ok(self.decode(bytes)?.shape.first())
    }

    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let mut space = AlignedBuf::default();
        let view = self.decode(aligned(bytes, &mut space)?)?;
        let mut json = Json::new(out);
        json.open('{')?;
        json.key("codec")?.text(NAME)?;
        json.key("dtype")?.text(view.dtype.name())?;
        json.key("shape")?.list(view.shape())?;
        write_values(json.key("data")?, &view)?;
        json.close('}')
    }
}

/// Writes the values of an array as one list.
pub(super) fn write_values(json: &mut Json<'_>, view: &ArrayView<'_>) -> Result<()> {
    match view.dtype {
        DType::Bool => json.list(view.as_bools()?),
        DType::I8 => json.list(view.as_slice::<i8>()?),
        DType::I16 => json.list(view.as_slice::<i16>()?),
        DType::I32 => json.list(view.as_slice::<i32>()?),
        DType::I64 => json.list(view.as_slice::<i64>()?),
        DType::U8 => json.list(view.as_slice::<u8>()?),
        DType::U16 => json.list(view.as_slice::<u16>()?),
        DType::U32 => json.list(view.as_slice::<u32>()?),
        DType::U64 => json.list(view.as_slice::<u64>()?),
        DType::F16 => json.items(view.as_slice::<u16>()?.iter().map(|&bits| half(bits))),
        DType::F32 => json.list(view.as_slice::<f32>()?),
        DType::F64 => json.list(view.as_slice::<f64>()?),
        DType::C64 => json.list(view.as_slice::<[f32; 2]>()?),
        DType::C128 => json.list(view.as_slice::<[f64; 2]>()?),
    }
}

/// The value of IEEE binary16 `bits`, which every binary32 can hold.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    // 2^(exponent - 15), put together: `powi` promises no last bit.
    let power = |exponent: u16| f32::from_bits(u32::from(exponent + 127 - 15) << 23);
    sign * match (bits >> 10) & 0x1f {
        0 => fraction * power(1),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction) * power(exponent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(view: &ArrayView<'_>) -> AlignedBuf {
        let mut out = Vec::new();
        ArrayCodec.encode(view, &mut out).unwrap();
        AlignedBuf::copy_of(&out).unwrap()
    }

    #[test]
    fn the_layout_is_as_documented() {
        let bytes = encoded(&ArrayView::of(&[1, 2], &[1i16, -2]).unwrap());
        let mut expected = vec![0xa7, 1, 3, 2, 0, 0, 0, 0];
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xfe, 0xff]);
        assert_eq!(*bytes, *expected);
    }

    #[test]
    fn an_array_comes_back_as_what_it_was_and_nothing_else() {
        let bytes = encoded(&ArrayView::of(&[2, 1], &[[1.5f64, -1.0], [0.0, 2.0]]).unwrap());
        let view = ArrayCodec.decode(&bytes).unwrap();
        assert_eq!((view.dtype(), view.shape()), (DType::C128, &[2, 1][..]));
        assert_eq!(view.as_slice::<[f64; 2]>().unwrap(), [[1.5, -1.0], [0.0, 2.0]]);
        let why = view.as_slice::<f64>().unwrap_err().to_string();
        assert!(why.contains("complex128, not float64"), "{why}");
        assert!(view.as_bools().is_err());
        assert_eq!(ArrayCodec.weight(&bytes).unwrap(), 2);
    }

    #[test]
    fn a_scalar_and_an_empty_array_are_arrays_too() {
        let scalar = encoded(&ArrayView::of(&[], &[7u8]).unwrap());
        assert_eq!(ArrayCodec.decode(&scalar).unwrap().as_slice::<u8>().unwrap(), [7]);
        assert_eq!(ArrayCodec.weight(&scalar).unwrap(), 0);
        let huge = u64::from(u32::MAX);
        let empty = encoded(&ArrayView::of::<f64>(&[huge, huge, huge, 0], &[]).unwrap());
        assert!(ArrayCodec.decode(&empty).unwrap().data().is_empty());
    }

    #[test]
    fn shapes_that_contradict_the_data_are_refused() {
        assert!(ArrayView::of(&[3], &[1u8, 2]).is_err());
        assert!(ArrayView::of(&[u32::MAX.into(); 3], &[1u8, 2]).is_err());
        assert!(matches!(ArrayView::of::<u8>(&[0, 1 << 32], &[]), Err(Error::Limit { .. })));
        assert!(matches!(ArrayView::of::<u8>(&[1; 17], &[0]), Err(Error::Limit { .. })));
        assert!(ArrayView::of(&[1; 16], &[0u8]).is_ok());
        assert!(ArrayView::new(DType::Bool, &[1], &[2]).is_err());
        let mut trailing = encoded(&ArrayView::of(&[1], &[1u8]).unwrap()).to_vec();
        trailing.push(0);
        assert!(ArrayCodec.decode(&trailing).is_err());
    }

    #[test]
    fn every_type_has_a_json_form() {
        for &dtype in DType::ALL {
            let data = vec![0; dtype.size()];
            let text = ArrayCodec
                .describe(&encoded(&ArrayView::new(dtype, &[1], &data).unwrap()))
                .unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["dtype"], dtype.name());
            assert_eq!(json["data"].as_array().unwrap().len(), 1);
        }
    }

    #[test]
    fn half_precision_has_its_ieee_values() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, f32::from_bits(0x3380_0000)),
        ];
        for (bits, value) in cases {
            assert!((half(bits) - value).abs() == 0.0, "{bits:x}");
        }
        assert!(half(0x7c00) == f32::INFINITY && half(0x7e00).is_nan());
    }

    proptest! {
        #[test]
        fn any_values_round_trip(values: Vec<i64>) {
            let bytes = encoded(&ArrayView::of(&[values.len() as u64], &values).unwrap());
            let view = ArrayCodec.decode(&bytes).unwrap();
            prop_assert_eq!(view.as_slice::<i64>().unwrap(), values);
        }

        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, likely: bool) {
            if let (true, Some(head)) = (likely, bytes.get_mut(..4)) {
                head[0] = MAGIC;
                head[1] = VERSION;
                head[2] %= 16;
                head[3] %= 3;
            }
            if let Ok(view) = ArrayCodec.decode(&bytes) {
                let mut again = Vec::new();
                ArrayCodec.encode(&view, &mut again).unwrap();
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
