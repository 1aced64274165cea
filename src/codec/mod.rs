//! Objects to record bytes and back.
//!
//! Knows what records mean; does not know the store. `depot` joins the two.

mod values;

pub use values::{MdFrame, Property, Real, Values};
