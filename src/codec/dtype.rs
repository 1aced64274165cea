//! The number types of arrays: their codes in a record, their names, their Rust types.

use bytemuck::Pod;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $size:literal;)*) => {
        /// The type of an array's values, all little-endian.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DType {
            $($(#[$doc])* $variant,)*
        }

        impl DType {
            /// Every type, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The byte that stands for this type in a record.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The name that `NumPy` gives to this type.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of one value.
            #[must_use]
            pub const fn size(self) -> usize {
                match self { $(Self::$variant => $size,)* }
            }

            /// The type with this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The type with this name, as `NumPy` spells it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

dtypes! {
    /// One byte, 0 or 1.
    Bool = 1, "bool", 1;
    /// Signed, 8 bits.
    I8 = 2, "int8", 1;
    /// Signed, 16 bits.
    I16 = 3, "int16", 2;
    /// Signed, 32 bits.
    I32 = 4, "int32", 4;
    /// Signed, 64 bits.
    I64 = 5, "int64", 8;
    /// Unsigned, 8 bits.
    U8 = 6, "uint8", 1;
    /// Unsigned, 16 bits.
    U16 = 7, "uint16", 2;
    /// Unsigned, 32 bits.
    U32 = 8, "uint32", 4;
    /// Unsigned, 64 bits.
    U64 = 9, "uint64", 8;
    /// IEEE binary16; in Rust its bits as `u16`.
    F16 = 10, "float16", 2;
    /// IEEE binary32.
    F32 = 11, "float32", 4;
    /// IEEE binary64.
    F64 = 12, "float64", 8;
    /// Real and imaginary part of 32 bits each.
    C64 = 13, "complex64", 8;
    /// Real and imaginary part of 64 bits each.
    C128 = 14, "complex128", 16;
}

/// A Rust type that values of an array can be viewed as.
pub trait Element: Pod {
    /// The type of an array made of such values.
    const DTYPE: DType;

    /// Whether values of `dtype` can be viewed as this type.
    #[must_use]
    fn views(dtype: DType) -> bool {
        dtype == Self::DTYPE
    }
}

macro_rules! elements {
    ($($ty:ty => $variant:ident;)*) => {$(
        impl Element for $ty {
            const DTYPE: DType = DType::$variant;
        }
    )*};
}
elements! {
    i8 => I8; i16 => I16; i32 => I32; i64 => I64;
    u8 => U8; u32 => U32; u64 => U64;
    f32 => F32; f64 => F64; [f32; 2] => C64; [f64; 2] => C128;
}

impl Element for u16 {
    const DTYPE: DType = DType::U16;

    fn views(dtype: DType) -> bool {
        matches!(dtype, DType::U16 | DType::F16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_lead_back() {
        for (i, &dtype) in DType::ALL.iter().enumerate() {
            assert_eq!(usize::from(dtype.code()), i + 1);
            assert_eq!(DType::from_code(dtype.code()), Some(dtype));
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
            assert!(dtype.size().is_power_of_two());
        }
        assert_eq!(DType::from_code(0), None);
        assert_eq!(DType::from_code(15), None);
    }
}
