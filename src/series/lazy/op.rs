//! Operations on each value.

macro_rules! named {
    ($(#[$doc:meta])* $ty:ident { $($(#[$each:meta])* $variant:ident $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $ty {
            $($(#[$each])* $variant,)*
        }

        impl $ty {
            /// The operation of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// An operation on one number.
    Unary {
        /// The number with the other sign.
        Negative "neg",
        /// The number without its sign.
        Absolute "abs",
        /// The square root.
        Root "sqrt",
        /// The exponential function.
        Exponential "exp",
        /// The natural logarithm.
        Logarithm "log",
    }
}

named! {
    /// An operation on two numbers.
    Binary {
        /// The sum.
        Add "add",
        /// The difference.
        Subtract "sub",
        /// The product.
        Multiply "mul",
        /// The quotient.
        Divide "div",
        /// The power.
        Power "pow",
    }
}

impl Unary {
    pub(super) fn of(self, x: f64) -> f64 {
        match self {
            Self::Negative => -x,
            Self::Absolute => x.abs(),
            Self::Root => x.sqrt(),
            Self::Exponential => x.exp(),
            Self::Logarithm => x.ln(),
        }
    }
}

impl Binary {
    pub(super) fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Power => a.powf(b),
        }
    }
}
