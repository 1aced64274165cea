//! Little-endian numbers as plain bytes: the same on every host, at any address.

use bytemuck::{Pod, Zeroable};

macro_rules! le {
    ($($(#[$doc:meta])* $name:ident $ty:ty, $n:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name([u8; $n]);

        impl $name {
            /// Stores `n`.
            #[must_use]
            pub const fn new(n: $ty) -> Self {
                Self(n.to_le_bytes())
            }
            /// The number.
            #[must_use]
            pub const fn get(self) -> $ty {
                <$ty>::from_le_bytes(self.0)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.get().fmt(f)
            }
        }
        impl From<$ty> for $name {
            fn from(n: $ty) -> Self {
                Self::new(n)
            }
        }
    )*};
}

le! {
    /// Two bytes.
    U16 u16, 2;
    /// Four bytes.
    U32 u32, 4;
    /// Eight bytes.
    U64 u64, 8;
}
