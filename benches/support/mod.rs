//! What the benches share: real data, clocks that compare two things in one run, and the calls
//! into the C library that we are compared with.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a bench may panic, and not every bench uses all of this"
)]

pub(crate) mod blosc;
pub(crate) mod data;
pub(crate) mod measure;
