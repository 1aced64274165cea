//! Arrays as files that NumPy opens.

use super::array::Array;
use crate::codec::DType;

/// What stands before the values in a file of NumPy, version 1.0.
pub(super) fn header(array: &Array) -> Vec<u8> {
    let kind = match array.dtype {
        DType::Bool => "|b1",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::C64 => "<c8",
        DType::C128 => "<c16",
    };
    let axes: String = array.shape.iter().map(|n| format!("{n}, ")).collect();
    let axes = axes.trim_end();
    // One axis keeps its comma, more do not need the last one.
    let axes = if array.shape.len() == 1 { axes } else { axes.trim_end_matches(',') };
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({axes}), }}");
    let start = 10;
    let full = (start + text.len() + 1).next_multiple_of(64);
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&u16::try_from(full - start).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.resize(full - 1, b' ');
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_numpy_writes_it() {
        for (shape, said) in [(vec![], "()"), (vec![3], "(3,)"), (vec![2, 3], "(2, 3)")] {
            let header = header(&Array { dtype: DType::F64, shape, data: Vec::new() });
            assert_eq!(header.len() % 64, 0);
            let text = String::from_utf8_lossy(&header[10..]);
            let right = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {said}, }}");
            assert!(text.starts_with(&right) && text.ends_with('\n'), "{text}");
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), text.len());
        }
    }
}
