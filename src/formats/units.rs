//! What the numbers of a file mean.

/// What the numbers of a file mean: the names of its units. Most formats fix them for all their
/// files ([`FormatKind::units`](super::FormatKind::units)); [`FrameReader::units`](super::FrameReader::units) says what holds for the one that is read.
///
/// Readers never scale; whoever stores the frames states the units once per store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Positions and cell.
    pub length: &'static str,
    /// The frame's time.
    pub time: &'static str,
    /// Velocities.
    pub velocity: &'static str,
    /// Energies.
    pub energy: &'static str,
    /// Forces.
    pub force: &'static str,
    /// Masses.
    pub mass: &'static str,
    /// Charges.
    pub charge: &'static str,
}
