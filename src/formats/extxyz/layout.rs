//! Which columns there are, and which of them have a field of their own in an `MdFrame`.

use super::comment::{Why, shorten};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letter {
    /// `R`
    Real,
    /// `I`
    Int,
    /// `S`
    Str,
    /// `L`
    Bool,
}

impl Letter {
    pub(super) const fn letter(self) -> char {
        match self {
            Self::Real => 'R',
            Self::Int => 'I',
            Self::Str => 'S',
            Self::Bool => 'L',
        }
    }
}

/// One triple of `Properties`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnSpec {
    pub(super) name: String,
    pub(super) letter: Letter,
    pub(super) width: u32,
}

/// Fields of an `MdFrame` that columns fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Species,
    Number,
    Positions,
    Velocities,
    Forces,
    Masses,
    Charges,
}

impl Role {
    pub(super) const ALL: [Self; 7] = [
        Self::Species,
        Self::Number,
        Self::Positions,
        Self::Velocities,
        Self::Forces,
        Self::Masses,
        Self::Charges,
    ];

    /// Names of the column, the one that the writer chooses first. If several are there, the
    /// first in this list fills the field, and the others are properties.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Species => &["species", "symbols"],
            Self::Number => &["Z", "numbers"],
            Self::Positions => &["pos", "positions"],
            Self::Velocities => &["velo", "velocities", "vel"],
            Self::Forces => &["forces", "force"],
            Self::Masses => &["masses", "mass"],
            Self::Charges => &["charges", "charge", "initial_charges"],
        }
    }

    /// The field of a frame by its name there.
    pub(super) fn of_field(name: &str) -> Option<Self> {
        Some(match name {
            "types" => Self::Number,
            "positions" => Self::Positions,
            "velocities" => Self::Velocities,
            "forces" => Self::Forces,
            "masses" => Self::Masses,
            "charges" => Self::Charges,
            _ => return None,
        })
    }

    pub(super) const fn letter(self) -> Letter {
        match self {
            Self::Species => Letter::Str,
            Self::Number => Letter::Int,
            _ => Letter::Real,
        }
    }

    pub(super) const fn width(self) -> u32 {
        match self {
            Self::Positions | Self::Velocities | Self::Forces => 3,
            _ => 1,
        }
    }

    /// Whether a column can fill this field.
    pub(super) fn fits(self, c: &ColumnSpec) -> bool {
        c.letter == self.letter() && c.width == self.width() && self.names().contains(&&*c.name)
    }

    /// The column of `all` that fills this field.
    pub(super) fn find(self, all: &[ColumnSpec]) -> Option<usize> {
        self.names()
            .iter()
            .find_map(|name| all.iter().position(|c| c.name == *name && self.fits(c)))
    }
}

/// Columns of a file that does not name them.
pub(super) fn plain() -> Vec<ColumnSpec> {
    [Role::Species, Role::Positions].map(standard).into()
}

/// The column that the writer makes of a field.
pub(super) fn standard(role: Role) -> ColumnSpec {
    let name = role.names().first().copied().unwrap_or_default().into();
    ColumnSpec { name, letter: role.letter(), width: role.width() }
}

/// Reads the value of `Properties`.
pub(super) fn parse(text: &str) -> Result<Vec<ColumnSpec>, Why> {
    let mut out: Vec<ColumnSpec> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut parts = text.split(':');
    while let Some(name) = parts.next() {
        let (Some(letter), Some(width)) = (parts.next(), parts.next()) else {
            return Err(format!(
                "Properties ends after `{}`; it is made of name:type:width",
                shorten(name)
            )
            .into());
        };
        let letter = match letter {
            "R" => Letter::Real,
            "I" => Letter::Int,
            "S" => Letter::Str,
            "L" => Letter::Bool,
            other => {
                return Err(format!(
                    "column `{}` has type `{}`; types are R, I, S and L",
                    shorten(name),
                    shorten(other)
                )
                .into());
            }
        };
        let width = width.parse().ok().filter(|w| *w > 0).ok_or_else(|| {
            format!(
                "column `{}` has width `{}`, not an integer above 0",
                shorten(name),
                shorten(width)
            )
        })?;
        if !seen.insert(name) {
            return Err(format!("column `{}` is named twice", shorten(name)).into());
        }
        out.push(ColumnSpec { name: name.into(), letter, width });
    }
    Ok(out)
}

/// The value of `Properties` for these columns.
pub(super) fn text(columns: &[ColumnSpec]) -> String {
    let triples = columns.iter().map(|c| format!("{}:{}:{}", c.name, c.letter.letter(), c.width));
    triples.collect::<Vec<_>>().join(":")
}
