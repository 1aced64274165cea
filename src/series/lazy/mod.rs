//! Computing with series that are larger than memory: chains of operations that are evaluated block by
//! block when their values are asked for, and aggregates and resampling in one pass over them.

mod aggregate;
mod expr;
mod line;
mod op;
mod percentile;
mod resample;
mod windows;

pub use aggregate::{Summary, summary};
pub use expr::{BLOCK, Expr};
pub use op::{Binary, Unary};
pub use percentile::percentiles;
pub use resample::Resample;
pub use windows::{Aggregates, What, Windows, aggregate};
