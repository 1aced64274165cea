//! GRO, the text of structures and trajectories of GROMACS: positions and velocities with the names of
//! atoms and residues.
//!
//! The columns are those of "gro" in the GROMACS reference manual, section "File formats": a title, the
//! number of atoms, a line for each atom and the box. Atoms are in columns of a fixed width, the
//! numbers in columns as wide as two of their points are apart. Frames may follow one another.

#[cfg(test)]
mod tests;

use super::frame_format::FrameFormat;
use super::gro_lines::{Columns, LABEL, Residues, number_after};
use super::input::Input;
use super::kind::FormatKind;
use super::known_atoms::KnownAtoms;
use crate::codec::{MdFrame, Real, Topology};
use crate::error::Result;
use crate::wire::memory;
use std::io::{Read, Seek};
use std::sync::Arc;

/// Decimals of positions up to which float32 holds them.
const SINGLE: usize = 4;

#[derive(Default)]
pub(super) struct GroReader {
    line: Vec<u8>,
    /// By the numbers and names of atoms and residues, as the file has them.
    atoms: KnownAtoms,
}

impl GroReader {
    /// The title; `None` at the end of the file, before which there may be empty lines.
    fn title<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<Option<String>> {
        loop {
            if !input.next_line(&mut self.line)? {
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
            if input.counter.line() == 1 {
                break;
            }
        }
        Ok(Some(String::from_utf8_lossy(&self.line).trim().to_owned()))
    }

    /// The line with the number of atoms.
    fn count<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<usize> {
        if !input.next_line(&mut self.line)? {
            return Err(input.short("the file ends before the number of atoms"));
        }
        let word = str::from_utf8(&self.line).unwrap_or_default().trim();
        let Ok(count) = word.parse::<u64>() else {
            let why = "the second line of a frame is the number of its atoms; this is none";
            return Err(input.wrong(why));
        };
        // The shortest line of an atom has the labels and three numbers such as ` 1.0`.
        let most = input.source.left() / (LABEL as u64 + 12) + 1;
        match usize::try_from(count) {
            Ok(n) if count <= most => Ok(n),
            _ => {
                let left = input.source.left();
                let why = format!("{count} atoms do not fit in the {left} bytes that follow");
                Err(input.short(why))
            }
        }
    }

    /// The line of the box: three lengths, or nine numbers in the order xx yy zz xy xz yx yz zx zy.
    fn cell<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<()> {
        if !input.next_line(&mut self.line)? {
            return Err(input.short("the file ends before the box of this frame"));
        }
        let words = str::from_utf8(&self.line).unwrap_or_default().split_ascii_whitespace();
        let numbers: Option<Vec<f64>> = words.map(|w| w.parse().ok()).collect();
        let cell = match numbers.as_deref() {
            Some(&[x, y, z]) => [x, 0., 0., 0., y, 0., 0., 0., z],
            Some(&[xx, yy, zz, xy, xz, yx, yz, zx, zy]) => [xx, xy, xz, yx, yy, yz, zx, zy, zz],
            _ => return Err(input.wrong("the last line of a frame is its box: 3 or 9 numbers")),
        };
        // A box of zeros says that there is none.
        if cell.iter().any(|x| *x != 0.0) {
            into.cell = Some(cell);
            into.pbc = Some([true; 3]);
        }
        Ok(())
    }
}

impl FrameFormat for GroReader {
    const KIND: FormatKind = FormatKind::Gro;
    const NAME: &'static str = "GRO";

    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool> {
        *into = MdFrame::default();
        let Some(title) = self.title(input)? else { return Ok(false) };
        (into.time, into.step) = (number_after(&title, "t="), number_after(&title, "step="));
        let atoms = self.count(input)?;
        into.nsites = atoms;
        let room =
            usize::try_from(input.source.reserve((atoms as u64).saturating_mul(LABEL as u64)))
                .unwrap_or(usize::MAX);
        let mut labels = memory::with_room(room)?;
        let (mut positions, mut velocities) = (Vec::new(), Vec::new());
        let mut columns: Option<Columns> = None;
        for done in 0..atoms {
            if !input.next_line(&mut self.line)? {
                return Err(input.short_of_atoms(done, atoms));
            }
            let of = match columns {
                Some(of) => of,
                None => *columns.insert(Columns::of(&self.line).ok_or_else(|| {
                    input.wrong(
                        "this is no line of an atom: labels in 20 columns, then three numbers",
                    )
                })?),
            };
            of.atom(&self.line, &mut positions, &mut velocities).map_err(|why| input.wrong(why))?;
            memory::append(&mut labels, self.line.get(..LABEL).unwrap_or_default())?;
        }
        self.cell(input, into)?;
        if let Some(of) = columns {
            let single = of.decimals <= SINGLE;
            let real = |values: Vec<f64>| match single {
                #[expect(clippy::cast_possible_truncation, reason = "so few digits are kept")]
                true => Real::F32(values.into_iter().map(|x| x as f32).collect()),
                false => Real::F64(values),
            };
            into.precision = single.then(|| 10f32.powi(i32::try_from(of.decimals).unwrap_or(0)));
            into.velocities = of.velocities.then(|| real(velocities));
            into.positions = Some(real(positions));
        } else {
            into.positions = Some(Real::F32(Vec::new()));
        }
        let make = |name: &str| Residues::topology(&labels, atoms, name);
        let taken = self.atoms.take(&labels, &title, Residues::same, make);
        taken.map_err(|why| input.wrong(why))?;
        Ok(true)
    }

    /// Passes over a frame: lines are counted, not read.
    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        if input.counter.frame() == 0 && self.atoms.is_empty() {
            // Others may have its atoms.
            return self.read(input, &mut MdFrame::default());
        }
        if self.title(input)?.is_none() {
            return Ok(false);
        }
        let atoms = self.count(input)?;
        for done in 0..=atoms {
            if !input.next_line(&mut self.line)? {
                return Err(input.short_of_atoms(done, atoms));
            }
        }
        Ok(true)
    }

    /// The topology, which is that of the first frame where a later one has its atoms.
    fn needs_the_first<R: Read + Seek>(&self, input: &Input<R>) -> bool {
        self.atoms.is_empty() && input.source.at() == 0
    }

    fn take_first<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        self.read(input, &mut MdFrame::default())
    }

    fn known_topology(&self) -> Option<&Arc<Topology>> {
        self.atoms.topology()
    }
}
