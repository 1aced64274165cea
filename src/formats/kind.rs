//! Which format a file is in.

use super::binary_heads::{self, Records};
use super::content;
use super::gro_lines;
use super::pdb_lines;
use super::units::Units;
use crate::backend::file_signatures;
use crate::error::{Error, Result};
use std::path::Path;

/// A format of trajectories that this crate reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FormatKind {
    /// Compressed coordinates of GROMACS.
    Xtc,
    /// Positions, velocities and forces of GROMACS in full precision.
    Trr,
    /// Positions of CHARMM, NAMD, X-PLOR, OpenMM and LAMMPS.
    Dcd,
    /// XYZ with keys in the comment line, as ASE and libAtoms write it; also plain XYZ.
    ExtXyz,
    /// Structures of the wwPDB and of simulation programs as text, with names of atoms, residues and
    /// chains, elements and bonds; read only.
    Pdb,
    /// Structures and trajectories of GROMACS as text, with names of atoms and residues; read only.
    Gro,
}

impl FormatKind {
    /// Every format, in the order in which they are listed for people.
    pub const ALL: &'static [Self] =
        &[Self::Xtc, Self::Trr, Self::Dcd, Self::ExtXyz, Self::Pdb, Self::Gro];
    /// The formats that can be written, too.
    pub const WRITTEN: &'static [Self] = &[Self::Xtc, Self::Trr, Self::Dcd, Self::ExtXyz];

    /// Whether its files are bytes that are no text, which a terminal must not get.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        match self {
            Self::Xtc | Self::Trr | Self::Dcd => true,
            Self::ExtXyz | Self::Pdb | Self::Gro => false,
        }
    }

    /// Whether steps and times of frames are not in the file for each frame, but counted from its
    /// header: then a frame that was written twice has two of them.
    #[must_use]
    pub const fn counts_steps(self) -> bool {
        matches!(self, Self::Dcd)
    }

    /// The name by which a person asks for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xtc => "xtc",
            Self::Trr => "trr",
            Self::Dcd => "dcd",
            Self::ExtXyz => "extxyz",
            Self::Pdb => "pdb",
            Self::Gro => "gro",
        }
    }

    /// The usual ends of file names, without the dot; the first is the one to give a new file.
    #[must_use]
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Xtc => &["xtc"],
            Self::Trr => &["trr"],
            Self::Dcd => &["dcd"],
            Self::ExtXyz => &["extxyz", "xyz"],
            Self::Pdb => &["pdb", "ent"],
            Self::Gro => &["gro"],
        }
    }

    /// What the numbers of such a file mean.
    #[must_use]
    pub const fn units(self) -> Units {
        match self {
            Self::Xtc | Self::Trr | Self::Gro => Units {
                length: "nm",
                time: "ps",
                velocity: "nm/ps",
                energy: "kJ/mol",
                force: "kJ/mol/nm",
                mass: "u",
                charge: "e",
            },
            // The time of DCD is turned from AKMA to ps when it is read: it follows from the header. PDB
            // has none of the others.
            Self::Dcd | Self::Pdb => Units {
                length: "angstrom",
                time: "ps",
                velocity: "angstrom/akma",
                energy: "kcal/mol",
                force: "kcal/mol/angstrom",
                mass: "u",
                charge: "e",
            },
            // ASE measures time in angstrom * sqrt(u / eV), about 10.18 fs, but writes no time
            // and no velocity in that unit. CP2K, GPUMD and libAtoms write femtoseconds.
            Self::ExtXyz => Units {
                length: "angstrom",
                time: "fs",
                velocity: "angstrom/fs",
                energy: "eV",
                force: "eV/angstrom",
                mass: "u",
                charge: "e",
            },
        }
    }

    /// The format of this [`name`](Self::name) or extension, in any case.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the names that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::by_name(name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|k| k.name()).collect();
            Error::invalid("format", format!("{name:?} is not one of {}", known.join(", ")))
        })
    }

    /// The format that the end of a file's name stands for, be the file compressed (`.gz`) or not.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        let end = path.extension()?.to_str()?;
        if end.eq_ignore_ascii_case("gz") {
            return Self::by_name(Path::new(path.file_stem()?).extension()?.to_str()?);
        }
        Self::by_name(end)
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| {
            k.name().eq_ignore_ascii_case(name)
                || k.extensions().iter().any(|e| e.eq_ignore_ascii_case(name))
        })
    }
}

/// The format of the file at `path`: by the first bytes of its content, and by its name where
/// these are ordinary text.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Invalid`] for a folder or a pipe,
/// [`Error::Format`] for an empty file or one whose bytes are of no format that is read here,
/// saying what they look like. All of them name the path.
pub fn detect(path: &Path) -> Result<FormatKind> {
    let look = || of_head(&content::open(path, false)?.0, FormatKind::from_path(path));
    look().map_err(|e| e.at(path))
}

/// The format of a content that begins with `head`, of a file whose name stands for `named`.
pub(super) fn of_head(head: &[u8], named: Option<FormatKind>) -> Result<FormatKind> {
    judge(head, named).map_err(|why| Error::format("trajectory", "byte 0", why))
}

fn judge(head: &[u8], named: Option<FormatKind>) -> Result<FormatKind, String> {
    let first = head.first_chunk::<4>().map(|b| i32::from_be_bytes(*b));
    if matches!(first, Some(1995 | 2023)) {
        return Ok(FormatKind::Xtc);
    }
    if first == Some(binary_heads::TRR) {
        return Ok(FormatKind::Trr);
    }
    if Records::of(head).is_some() {
        return Ok(FormatKind::Dcd);
    }
    let text = is_text(head);
    if text && (gro_lines::begins(head) || named == Some(FormatKind::Gro)) {
        return Ok(FormatKind::Gro);
    }
    if text && (pdb_lines::begins(head) || named == Some(FormatKind::Pdb)) {
        return Ok(FormatKind::Pdb);
    }
    if text && (starts_with_a_count(head) || named == Some(FormatKind::ExtXyz)) {
        return Ok(FormatKind::ExtXyz);
    }
    let what = if text && head.starts_with(b"ITEM: ") {
        another("a dump of LAMMPS", by_libraries(head))
    } else if text {
        "it is text whose first line is not a number of atoms, as in XYZ".into()
    } else if let Some((other, advice)) = file_signatures::foreign(head) {
        another(other, if advice.is_empty() { by_libraries(head) } else { advice })
    } else {
        match (named, first) {
            (Some(FormatKind::Xtc), Some(n)) => {
                format!("an XTC file begins with the number 1995 or 2023, this one with {n}")
            }
            (Some(FormatKind::Trr), Some(n)) => {
                format!("a TRR file begins with the number 1993, this one with {n}")
            }
            (Some(FormatKind::Dcd), _) => {
                "a DCD file begins with the length 84 and CORD or VELD, and this one does not"
                    .into()
            }
            _ => "its first bytes are not those of a known format".into(),
        }
    };
    let known: Vec<_> = FormatKind::ALL.iter().map(|k| k.name()).collect();
    Err(match named {
        Some(kind) => format!("the file is named as {}, but {what}", kind.name()),
        None => format!("{what}; formats are {}", known.join(", ")),
    })
}

/// What is said of a file of another kind, with what to do about it if there is something.
fn another(what: &str, advice: &str) -> String {
    let advice = if advice.is_empty() { String::new() } else { format!(": {advice}") };
    format!("it looks like {what}, which is not one of the formats{advice}")
}

/// What to do with a file that the Python package reads through libraries.
fn by_libraries(head: &[u8]) -> &'static str {
    const READ: [(usize, &[u8]); 6] = [
        (0, b"\x89HDF\r\n\x1a\n"),
        (0, b"CDF"),
        (0, b"SQLite format 3\0"),
        (16, &[0xde, 0xc0, 0xef, 0xbe]),
        (0, b"- of Ulm"),
        (0, b"ITEM: "),
    ];
    let begins = |(at, what): &(usize, &[u8])| head.get(*at..).is_some_and(|h| h.starts_with(what));
    if READ.iter().any(begins) {
        "the Python package reads it, `python -m vlstore import INPUT STORE`"
    } else {
        ""
    }
}

/// No control characters but those of text. Bytes above 127 may be any encoding.
fn is_text(head: &[u8]) -> bool {
    head.iter().all(|b| !matches!(b, 0..=8 | 14..=31 | 127))
}

fn starts_with_a_count(head: &[u8]) -> bool {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii();
    // A sign or a fraction is a mistake in a count, better told by the reader with its line.
    !line.is_empty()
        && line.iter().any(u8::is_ascii_digit)
        && line.iter().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.'))
}
