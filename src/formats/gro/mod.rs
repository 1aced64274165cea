//! GRO, the text of structures and trajectories of GROMACS: positions and velocities with the names of
//! atoms and residues.
//!
//! The columns are those of "gro" in the GROMACS reference manual, section "File formats": a title, the
//! number of atoms, a line for each atom and the box. Atoms are in columns of a fixed width, the
//! numbers in columns as wide as two of their points are apart. Frames may follow one another.

#[cfg(test)]
mod tests;

use super::counter::Counter;
use super::frame_format::FrameFormat;
use super::gro_lines::{Columns, LABEL, Residues, number_after};
use super::kind::FormatKind;
use super::source::Source;
use crate::codec::{MdFrame, Real, Topology};
use crate::error::{Error, Result};
use crate::wire::memory;
use std::io::{Read, Seek};
use std::sync::Arc;

/// Decimals of positions up to which float32 holds them.
const SINGLE: usize = 4;

/// Reads frames from `R`.
pub(super) struct GroReader<R> {
    source: Source<R>,
    counter: Counter,
    line: Vec<u8>,
    /// Numbers and names of atoms and residues of the frame that was read last, as the file has them.
    labels: Vec<u8>,
    topology: Option<Arc<Topology>>,
}

impl<R: Read + Seek> GroReader<R> {
    pub(super) fn new(source: Source<R>) -> Self {
        Self {
            source,
            counter: Counter::new("GRO"),
            line: Vec::new(),
            labels: Vec::new(),
            topology: None,
        }
    }

    fn wrong(&self, why: impl Into<Box<str>>) -> Error {
        self.counter.wrong_line(why)
    }

    /// As [`wrong`](Self::wrong), where more was to come.
    fn short(&mut self, why: impl Into<Box<str>>) -> Error {
        self.source.note_cut();
        self.wrong(why)
    }

    fn advance(&mut self) -> Result<bool> {
        let more = self.source.line(&mut self.line)?;
        self.counter.count_line(more);
        Ok(more)
    }

    /// The title; `None` at the end of the file, before which there may be empty lines.
    fn title(&mut self) -> Result<Option<String>> {
        loop {
            if !self.advance()? {
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
            if self.counter.line() == 1 {
                break;
            }
        }
        Ok(Some(String::from_utf8_lossy(&self.line).trim().to_owned()))
    }

    /// The line with the number of atoms.
    fn count(&mut self) -> Result<usize> {
        if !self.advance()? {
            return Err(self.short("the file ends before the number of atoms"));
        }
        let word = str::from_utf8(&self.line).unwrap_or_default().trim();
        let Ok(count) = word.parse::<u64>() else {
            let why = "the second line of a frame is the number of its atoms; this is none";
            return Err(self.wrong(why));
        };
        // The shortest line of an atom has the labels and three numbers such as ` 1.0`.
        let most = self.source.left() / (LABEL as u64 + 12) + 1;
        match usize::try_from(count) {
            Ok(n) if count <= most => Ok(n),
            _ => {
                let left = self.source.left();
                let why = format!("{count} atoms do not fit in the {left} bytes that follow");
                Err(self.short(why))
            }
        }
    }

    /// The line of the box: three lengths, or nine numbers in the order xx yy zz xy xz yx yz zx zy.
    fn cell(&mut self, into: &mut MdFrame) -> Result<()> {
        if !self.advance()? {
            return Err(self.short("the file ends before the box of this frame"));
        }
        let words = str::from_utf8(&self.line).unwrap_or_default().split_ascii_whitespace();
        let numbers: Option<Vec<f64>> = words.map(|w| w.parse().ok()).collect();
        let cell = match numbers.as_deref() {
            Some(&[x, y, z]) => [x, 0., 0., 0., y, 0., 0., 0., z],
            Some(&[xx, yy, zz, xy, xz, yx, yz, zx, zy]) => [xx, xy, xz, yx, yy, yz, zx, zy, zz],
            _ => return Err(self.wrong("the last line of a frame is its box: 3 or 9 numbers")),
        };
        // A box of zeros says that there is none.
        if cell.iter().any(|x| *x != 0.0) {
            into.cell = Some(cell);
            into.pbc = Some([true; 3]);
        }
        Ok(())
    }
}

impl<R: Read + Seek + Send> FrameFormat for GroReader<R> {
    type Input = R;
    const KIND: FormatKind = FormatKind::Gro;

    fn source(&self) -> &Source<R> {
        &self.source
    }

    fn counter(&self) -> &Counter {
        &self.counter
    }

    fn parts(&mut self) -> (&mut Source<R>, &mut Counter) {
        (&mut self.source, &mut self.counter)
    }

    fn read(&mut self, into: &mut MdFrame) -> Result<bool> {
        *into = MdFrame::default();
        let Some(title) = self.title()? else { return Ok(false) };
        (into.time, into.step) = (number_after(&title, "t="), number_after(&title, "step="));
        let atoms = self.count()?;
        into.nsites = atoms;
        let room =
            usize::try_from(self.source.reserve((atoms as u64).saturating_mul(LABEL as u64)))
                .unwrap_or(usize::MAX);
        let mut labels = memory::with_room(room)?;
        let (mut positions, mut velocities) = (Vec::new(), Vec::new());
        let mut columns: Option<Columns> = None;
        for done in 0..atoms {
            if !self.advance()? {
                return Err(
                    self.short(format!("the file ends here, after {done} of {atoms} atoms"))
                );
            }
            let of = match columns {
                Some(of) => of,
                None => *columns.insert(Columns::of(&self.line).ok_or_else(|| {
                    self.wrong(
                        "this is no line of an atom: labels in 20 columns, then three numbers",
                    )
                })?),
            };
            of.atom(&self.line, &mut positions, &mut velocities).map_err(|why| self.wrong(why))?;
            memory::append(&mut labels, self.line.get(..LABEL).unwrap_or_default())?;
        }
        self.cell(into)?;
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
        if self.topology.is_none() || !Residues::same(&labels, &self.labels) {
            let name = title.split(" t=").next().unwrap_or_default().trim();
            let topology =
                Residues::topology(&labels, atoms, name).map_err(|why| self.wrong(why))?;
            self.topology = Some(Arc::new(topology));
            self.labels = labels;
        }
        Ok(true)
    }

    /// Passes over a frame: lines are counted, not read.
    fn pass(&mut self) -> Result<bool> {
        if self.title()?.is_none() {
            return Ok(false);
        }
        let atoms = self.count()?;
        for done in 0..=atoms {
            if !self.advance()? {
                return Err(
                    self.short(format!("the file ends here, after {done} of {atoms} atoms"))
                );
            }
        }
        Ok(true)
    }

    fn known_topology(&self) -> Option<&Arc<Topology>> {
        self.topology.as_ref()
    }
}
