//! The lines of a GRO file: how one is recognised, labels and numbers of its atoms, and the residues that the
//! labels make.

use crate::codec::Topology;

/// Columns of the labels: number and name of the residue, name and number of the atom, 5 each.
pub(super) const LABEL: usize = 20;
/// Of these, the columns that say which atom it is; its number may start again at 0.
const IDENTITY: usize = 15;

/// Whether a file that begins with `head` is one of these: a title, a number of atoms, and a line with
/// three numbers in columns of one width.
pub(super) fn begins(head: &[u8]) -> bool {
    let mut lines = head.split(|b| *b == b'\n');
    let (Some(_), Some(count), Some(atom)) = (lines.next(), lines.next(), lines.next()) else {
        return false;
    };
    let count = count.trim_ascii();
    !count.is_empty() && count.iter().all(u8::is_ascii_digit) && Columns::of(atom).is_some()
}

/// Where the numbers are in the lines of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    /// Columns of a number.
    width: usize,
    /// Digits of a position behind its point.
    pub(super) decimals: usize,
    pub(super) velocities: bool,
}

impl Columns {
    /// As the first line of an atom has them: numbers are as wide as their points are apart, and a
    /// position has five columns more than decimals.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let numbers = line.get(LABEL..)?;
        let mut points = numbers.iter().enumerate().filter(|(_, b)| **b == b'.').map(|(i, _)| i);
        let (first, second) = (points.next()?, points.next()?);
        let width = second - first;
        let decimals = width.checked_sub(5)?;
        let me = Self { width, decimals, velocities: numbers.trim_ascii_end().len() > 3 * width };
        let good = first + 1 + decimals == width && decimals > 0 && me.three(numbers).is_some();
        good.then_some(me)
    }

    /// The next three numbers.
    fn three(&self, bytes: &[u8]) -> Option<[f64; 3]> {
        let mut out = [0.0; 3];
        for (value, column) in out.iter_mut().zip(bytes.chunks(self.width)) {
            *value = str::from_utf8(column).ok()?.trim().parse().ok()?;
        }
        (bytes.len() > 2 * self.width).then_some(out)
    }

    /// Appends the numbers of an atom.
    pub(super) fn atom(
        &self,
        line: &[u8],
        positions: &mut Vec<f64>,
        velocities: &mut Vec<f64>,
    ) -> Result<(), &'static str> {
        let numbers = line.get(LABEL..).unwrap_or_default();
        let three = 3 * self.width;
        let found = numbers.get(..three.min(numbers.len())).and_then(|n| self.three(n));
        positions
            .extend(found.ok_or("there are not three positions in the columns of the first atom")?);
        if self.velocities {
            let found = numbers.get(three..).and_then(|n| self.three(n));
            velocities
                .extend(found.ok_or("the velocities of this atom are missing or not numbers")?);
        }
        Ok(())
    }
}

/// Residues, as they follow from the labels.
pub(super) struct Residues;

impl Residues {
    /// What the labels of `atoms` atoms, [`LABEL`] bytes each, say. A residue ends where its number or
    /// its name changes.
    pub(super) fn topology(
        labels: &[u8],
        atoms: usize,
        name: &str,
    ) -> Result<Topology, &'static str> {
        let mut out = Topology {
            name: (!name.is_empty()).then(|| name.into()),
            nsites: atoms,
            ..Topology::default()
        };
        let (mut names, mut residues) = (Vec::new(), Vec::new());
        let (mut residue_names, mut residue_ids) = (Vec::new(), Vec::new());
        let mut last = None;
        for label in labels.chunks(LABEL) {
            let text = |from: usize| {
                let bytes = label.get(from..from + 5).unwrap_or_default();
                str::from_utf8(bytes).map(str::trim).map_err(|_| "a label is not UTF-8 text")
            };
            let (id, residue, atom) = (text(0)?, text(5)?, text(10)?);
            if last != Some((id, residue)) {
                residue_ids
                    .push(id.parse().map_err(|_| "the number of a residue is not an integer")?);
                residue_names.push(residue.to_owned());
                last = Some((id, residue));
            }
            names.push(atom.to_owned());
            residues.push(u32::try_from(residue_names.len() - 1).map_err(|_| "too many residues")?);
        }
        out.names = Some(names);
        out.residues = Some(residues);
        out.residue_names = Some(residue_names);
        out.residue_ids = Some(residue_ids);
        Ok(out)
    }

    /// Whether two frames have the same atoms: their numbers do not count.
    pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
        let identity = |label: &[u8]| label.get(..IDENTITY).map(<[u8]>::to_vec);
        a.len() == b.len()
            && a.chunks(LABEL).zip(b.chunks(LABEL)).all(|(a, b)| identity(a) == identity(b))
    }
}

/// The number after `name` in a title such as `water t= 10.5 step= 5250`.
pub(super) fn number_after<T: std::str::FromStr>(title: &str, name: &str) -> Option<T> {
    let from = title.rfind(name)?;
    let before = title.get(..from)?;
    let alone = before.is_empty() || before.ends_with([' ', '\t', ',']);
    let word = title.get(from + name.len()..)?.split_ascii_whitespace().next()?;
    word.parse().ok().filter(|_| alone)
}
