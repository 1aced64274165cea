//! Time series: a store of them, and chains of operations on them.

pub(crate) mod class;
pub(crate) mod csv;
pub(crate) mod floats;
pub(crate) mod lazy;
