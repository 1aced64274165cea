//! Arguments as Python gives them, and what goes back, one kind of value in each file.

pub(crate) mod array_request;
pub(crate) mod html;
pub(crate) mod iterable;
pub(crate) mod key;
mod key_array;
pub(crate) mod number;
pub(crate) mod options;
pub(crate) mod ordinals;
pub(crate) mod progress;
pub(crate) mod text;
