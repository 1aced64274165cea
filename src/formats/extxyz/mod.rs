//! Extended XYZ.
mod stub;
pub(super) use stub::*;
