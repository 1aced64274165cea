//! Accessors that `flatc` made from `schemas/`; never edited, see `schemas/README.md`.
//!
//! Nothing of it is public: its safe functions trust that a verifier ran over the bytes, and its
//! `_tab` fields can be read as another table. Only `md_frame` uses it: its accessors in `read`,
//! after verification, its field numbers in `write`.

#[rustfmt::skip]
#[allow(
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    mismatched_lifetime_syntaxes,
    unsafe_op_in_unsafe_fn,
    reason = "the output of a generator is not held to the style of this crate"
)]
mod md_frame_generated;

pub(super) use md_frame_generated::vlstore::md;
