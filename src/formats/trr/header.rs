//! The header of a TRR frame: which parts follow, and in which precision.

use crate::wire::Cursor;

/// Name that stands behind it, with its length with and without an end.
pub(super) const NAME: &[u8; 12] = b"GMX_trn_file";
/// Magic number, both lengths, the name.
pub(super) const START: usize = 24;
/// Ten lengths, atoms, step and a number that is not used; time and lambda follow.
pub(super) const WORDS: usize = 13 * 4;

/// Parts that a frame can have, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Cell,
    Virial,
    Pressure,
    Positions,
    Velocities,
    Forces,
}

impl Part {
    pub(super) const ALL: [Self; 6] =
        [Self::Cell, Self::Virial, Self::Pressure, Self::Positions, Self::Velocities, Self::Forces];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cell => "box",
            Self::Virial => "virial",
            Self::Pressure => "pressure",
            Self::Positions => "positions",
            Self::Velocities => "velocities",
            Self::Forces => "forces",
        }
    }

    /// How many numbers it has.
    pub(super) const fn numbers(self, atoms: usize) -> u64 {
        match self {
            Self::Cell | Self::Virial | Self::Pressure => 9,
            Self::Positions | Self::Velocities | Self::Forces => (atoms as u64).saturating_mul(3),
        }
    }
}

/// What the header says of a frame.
pub(super) struct Header {
    /// Bytes of a number: 4 or 8.
    pub(super) width: u64,
    pub(super) atoms: usize,
    pub(super) step: i32,
    /// Bytes of each part, in the order of [`Part::ALL`].
    sizes: [i32; 6],
}

impl Header {
    /// The fixed words.
    pub(super) fn parse(words: &[u8; WORDS]) -> Result<Self, String> {
        let mut c = Cursor::new(words);
        let mut word = || c.i32_be().unwrap_or_default();
        let (input, energies) = (word(), word());
        let (cell, virial, pressure) = (word(), word(), word());
        let (topology, symbols) = (word(), word());
        let (positions, velocities, forces) = (word(), word(), word());
        let (atoms, step) = (word(), word());
        if [input, energies, topology, symbols] != [0; 4] {
            return Err(
                "it has parts that GROMACS has not written since version 3 (input record, \
                        energies, topology or symbols), which are not read here"
                    .into(),
            );
        }
        let count = usize::try_from(atoms).map_err(|_| format!("it claims {atoms} atoms"))?;
        let sizes = [cell, virial, pressure, positions, velocities, forces];
        let mut me = Self { width: 0, atoms: count, step, sizes };
        for (part, size) in Part::ALL.into_iter().zip(sizes) {
            if size == 0 {
                continue;
            }
            let numbers = part.numbers(count);
            let bytes = u64::try_from(size).unwrap_or(u64::MAX);
            let width = [4, 8].into_iter().find(|w| numbers.checked_mul(*w) == Some(bytes));
            match width {
                Some(width) if me.width == 0 || me.width == width => me.width = width,
                _ => {
                    return Err(format!(
                        "it claims {size} bytes of {} for {count} atoms, which are no numbers of \
                         one precision",
                        part.name()
                    ));
                }
            }
        }
        if me.width == 0 {
            return Err("it has no part at all, so the precision of its time is not known".into());
        }
        Ok(me)
    }

    pub(super) fn has(&self, part: Part) -> bool {
        Part::ALL.into_iter().zip(self.sizes).any(|(p, size)| p == part && size != 0)
    }

    /// Bytes of time, lambda and all parts.
    pub(super) fn length(&self) -> u64 {
        let parts = self.sizes.iter().map(|s| u64::try_from(*s).unwrap_or_default());
        parts.fold(2 * self.width, u64::saturating_add)
    }
}
