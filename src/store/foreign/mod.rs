//! Files of the original program, and sealed files of ours that another program has added to.
//!
//! Both are read through the Blosc2 frame itself: header, offsets, trailer, `saved_lookup`.
//! What lies there has no checksums.

pub(crate) mod any;
pub(crate) mod extended;
pub(crate) mod frame;
pub(crate) mod original;
mod unchecked;
