//! Parts of time series: times and values as 64-bit floats, packed by `pco` where that is smaller. The
//! layout is drawn in `docs/records.md`.

mod codec;
mod growth;
mod magic;
mod packing;
mod view;

pub use codec::SeriesCodec;
pub use growth::Growth;
pub use packing::Packing;
pub use view::{SeriesHead, SeriesPart, SeriesRef, SeriesView};
