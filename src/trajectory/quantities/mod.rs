//! Numbers of frames one after another: stored ones, and those that follow from positions, velocities and cells.
//!
//! [`measure`] reads a trajectory window by window in bounded memory. Energies and cells come from the index
//! where the store keeps them; for all else records are decoded together, and the numbers of a window are
//! found by several threads. Coordinates are used as they are stored: a molecule that crosses the border of a
//! periodic cell is not put together before.

mod arrays;
mod measure;
mod method;
mod of_frame;
mod quantity;
mod superpose;

pub use measure::{Sample, measure};
pub use method::{MeasureOptions, Measured};
pub use of_frame::{Point, radius_of_gyration, temperature, volume};
pub use quantity::Quantity;
pub use superpose::Reference;

#[cfg(test)]
mod tests;
