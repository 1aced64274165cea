//! Types of arrays and attributes, as HDF5 has them and as other programs expect them there.

use super::OURS;
use crate::codec::DType;
use crate::experiments::value::{Scalar, Value};
use hdf5_pure::{
    AttrValue, CompoundTypeBuilder, Datatype, DatatypeByteOrder, EnumTypeBuilder,
    FloatingPointLayout, FormatError, make_f32_type, make_f64_type, make_i8_type, make_i16_type,
    make_i32_type, make_i64_type, make_u8_type, make_u16_type, make_u32_type, make_u64_type,
};

/// The type in a file: booleans and complex numbers as h5py writes them.
pub(super) fn datatype(dtype: DType) -> Result<Datatype, FormatError> {
    Ok(match dtype {
        DType::Bool => {
            EnumTypeBuilder::with_base(make_i8_type()).value("FALSE", 0).value("TRUE", 1).build()?
        }
        DType::I8 => make_i8_type(),
        DType::I16 => make_i16_type(),
        DType::I32 => make_i32_type(),
        DType::I64 => make_i64_type(),
        DType::U8 => make_u8_type(),
        DType::U16 => make_u16_type(),
        DType::U32 => make_u32_type(),
        DType::U64 => make_u64_type(),
        DType::F16 => Datatype::FloatingPoint {
            size: 2,
            byte_order: DatatypeByteOrder::LittleEndian,
            layout: FloatingPointLayout {
                bit_offset: 0,
                bit_precision: 16,
                exponent_location: 10,
                exponent_size: 5,
                mantissa_location: 0,
                mantissa_size: 10,
                exponent_bias: 15,
            },
        },
        DType::F32 => make_f32_type(),
        DType::F64 => make_f64_type(),
        DType::C64 => CompoundTypeBuilder::new().f32_field("r").f32_field("i").build()?,
        DType::C128 => CompoundTypeBuilder::new().f64_field("r").f64_field("i").build()?,
    })
}

/// The type of ours for one in a file, and whether its bytes are in the other order; `None` for
/// what no array has.
pub(super) fn dtype(datatype: &Datatype) -> Option<(DType, bool)> {
    let swapped = |order: &DatatypeByteOrder| match order {
        DatatypeByteOrder::LittleEndian => Some(false),
        DatatypeByteOrder::BigEndian => Some(true),
        _ => None,
    };
    match datatype {
        Datatype::FixedPoint { size, byte_order, layout } => {
            if layout.bit_offset != 0 || u32::from(layout.bit_precision) != size * 8 {
                return None;
            }
            let kind = match (size, layout.signed) {
                (1, true) => DType::I8,
                (2, true) => DType::I16,
                (4, true) => DType::I32,
                (8, true) => DType::I64,
                (1, false) => DType::U8,
                (2, false) => DType::U16,
                (4, false) => DType::U32,
                (8, false) => DType::U64,
                _ => return None,
            };
            Some((kind, swapped(byte_order)?))
        }
        Datatype::FloatingPoint { byte_order, layout, .. } => {
            let known = [DType::F16, DType::F32, DType::F64].into_iter().find(|kind| {
                matches!(self::datatype(*kind), Ok(Datatype::FloatingPoint { layout: own, .. })
                    if own == *layout)
            });
            Some((known?, swapped(byte_order)?))
        }
        Datatype::Enumeration { size: 1, members, .. } => {
            let names: Vec<_> =
                members.iter().map(|m| (m.name.as_str(), m.value.as_slice())).collect();
            let truth = names == [("FALSE", &[0][..]), ("TRUE", &[1][..])];
            truth.then_some((DType::Bool, false))
        }
        Datatype::Compound { size, members } => {
            let [real, imaginary] = members.as_slice() else { return None };
            let (part, order) = dtype(&real.datatype)?;
            let kind = match part {
                DType::F32 => DType::C64,
                DType::F64 => DType::C128,
                _ => return None,
            };
            let named = (real.name.as_str(), imaginary.name.as_str()) == ("r", "i");
            let placed = real.byte_offset == 0
                && imaginary.byte_offset == part.size() as u64
                && *size as usize == kind.size();
            let same = imaginary.datatype == real.datatype;
            (named && placed && same).then_some((kind, order))
        }
        _ => None,
    }
}

/// Turns the bytes of values of `dtype` around.
pub(super) fn swap(dtype: DType, data: &mut [u8]) {
    // The two parts of a complex number stay where they are.
    let size = match dtype {
        DType::C64 => 4,
        DType::C128 => 8,
        other => other.size(),
    };
    data.chunks_exact_mut(size).for_each(<[u8]>::reverse);
}

/// The attribute that other programs see; `None` where there is no value, and for what those would
/// not read: names of ours, and text with a NUL, which ends there. A boolean is an integer of 8
/// bits, a complex number its two parts.
pub(super) fn attribute(name: &str, value: &Value) -> Option<AttrValue> {
    let nul = |text: &str| text.contains('\0');
    if name.starts_with(OURS) || nul(name) {
        return None;
    }
    Some(match value {
        Value::Text(text) if nul(text) => return None,
        Value::Missing => return None,
        Value::Bool(b) => AttrValue::I8((*b).into()),
        Value::Int(n) => AttrValue::I64(*n),
        Value::Float(x) => AttrValue::F64(*x),
        Value::Text(text) => AttrValue::VarLenString(text.clone()),
        Value::Scalar(scalar) => of_scalar(scalar),
    })
}

fn of_scalar(scalar: &Scalar) -> AttrValue {
    fn of<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().unwrap_or([0; N])
    }
    let bytes = scalar.bytes();
    match scalar.dtype() {
        DType::Bool | DType::I8 => AttrValue::I8(i8::from_le_bytes(of(bytes))),
        DType::I16 => AttrValue::I16(i16::from_le_bytes(of(bytes))),
        DType::I32 => AttrValue::I32(i32::from_le_bytes(of(bytes))),
        DType::I64 => AttrValue::I64(i64::from_le_bytes(of(bytes))),
        DType::U8 => AttrValue::U8(u8::from_le_bytes(of(bytes))),
        DType::U16 => AttrValue::U16(u16::from_le_bytes(of(bytes))),
        DType::U32 => AttrValue::U32(u32::from_le_bytes(of(bytes))),
        DType::U64 => AttrValue::U64(u64::from_le_bytes(of(bytes))),
        DType::F32 => AttrValue::F32(f32::from_le_bytes(of(bytes))),
        DType::F64 => AttrValue::F64(f64::from_le_bytes(of(bytes))),
        DType::F16 | DType::C64 | DType::C128 => match scalar.reals() {
            Some((x, Some(y))) => AttrValue::F64Array(vec![x, y]),
            found => AttrValue::F64(found.map_or(f64::NAN, |(x, _)| x)),
        },
    }
}

/// Whether the attribute that was found is the one that was written, to the bit; which NaN it is does not
/// count, since the library that reads it does not keep that.
pub(super) fn same(found: &AttrValue, written: &AttrValue) -> bool {
    use AttrValue::{F32, F64, F64Array};
    let equal = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    match (found, written) {
        (F64(a), F64(b)) => equal(*a, *b),
        (F32(a), F32(b)) => equal(f64::from(*a), f64::from(*b)),
        (F64Array(a), F64Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(*a, *b))
        }
        _ => match (found.as_str(), written.as_str()) {
            (Some(a), Some(b)) => a == b,
            _ => found == written,
        },
    }
}

/// The value of an attribute that another program wrote, whose type in the file is `kind`; what it is where
/// it cannot be kept as it is. `attribute` is what was made of its bytes, if anything.
pub(super) fn value(attribute: Option<&AttrValue>, kind: &Datatype) -> Result<Value, String> {
    let known = dtype(kind).map(|(known, _)| known);
    let scalar = |bytes: &[u8]| known.and_then(|known| Scalar::new(known, bytes).ok());
    let number = match (attribute, known) {
        (Some(AttrValue::I64(n)), Some(DType::I64)) => return Ok(Value::Int(*n)),
        (Some(AttrValue::F64(x)), Some(DType::F64)) => return Ok(Value::Float(*x)),
        (Some(AttrValue::I8(n)), Some(DType::Bool)) => return Ok(Value::Bool(*n != 0)),
        (Some(AttrValue::U8(n)), Some(DType::Bool)) => return Ok(Value::Bool(*n != 0)),
        (Some(AttrValue::I8(n)), Some(DType::I8)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::I16(n)), Some(DType::I16)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::I32(n)), Some(DType::I32)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::U8(n)), Some(DType::U8)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::U16(n)), Some(DType::U16)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::U32(n)), Some(DType::U32)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::U64(n)), Some(DType::U64)) => scalar(&n.to_le_bytes()),
        (Some(AttrValue::F32(x)), Some(DType::F32)) => scalar(&x.to_le_bytes()),
        _ => None,
    };
    match (number, attribute, known) {
        (Some(number), ..) => Ok(Value::Scalar(number)),
        (_, Some(_), Some(_)) => Err("a list".into()),
        (_, None, Some(known)) => Err(known.name().into()),
        (_, found, None) => match found.and_then(AttrValue::as_str) {
            // What stands for bytes that are no text.
            Some(text) if text.contains('\u{fffd}') => Err("text that is not UTF-8".into()),
            Some(text) => Ok(Value::Text(text.to_owned())),
            None => Err(kind.to_string()),
        },
    }
}

/// A complex number whose two parts were found, as `noted` is one: with its type where that holds them.
pub(super) fn complex(noted: &Value, found: &AttrValue) -> Option<Value> {
    let (Value::Scalar(noted), AttrValue::F64Array(parts)) = (noted, found) else { return None };
    let [real, imaginary] = *parts.as_slice() else { return None };
    let both = |a: &[u8], b: &[u8]| [a, b].concat();
    let short = |x: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "compared with the value before")]
        let short = x as f32;
        (f64::from(short).to_bits() == x.to_bits()).then_some(short)
    };
    let wide = || Scalar::new(DType::C128, &both(&real.to_le_bytes(), &imaginary.to_le_bytes()));
    let scalar = match noted.dtype() {
        DType::C64 => match (short(real), short(imaginary)) {
            (Some(a), Some(b)) => {
                Scalar::new(DType::C64, &both(&a.to_le_bytes(), &b.to_le_bytes()))
            }
            _ => wide(),
        },
        DType::C128 => wide(),
        _ => return None,
    };
    scalar.ok().map(Value::Scalar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_leads_back() {
        for kind in DType::ALL {
            let there = datatype(*kind).unwrap();
            assert_eq!(there.type_size() as usize, kind.size());
            assert_eq!(dtype(&there), Some((*kind, false)));
        }
        let mut bytes = *b"12345678";
        swap(DType::C64, &mut bytes);
        assert_eq!(&bytes, b"43218765");
    }
}
