//! The three or four records before the first frame of a DCD file.

use super::records::wrong;
use crate::error::Result;
use crate::formats::binary_heads::Records;
use crate::formats::source::Source;
use crate::wire::memory;
use std::io::{Read, Seek};

/// One unit of time of CHARMM (AKMA) in picoseconds.
pub(super) const AKMA: f64 = 0.048_888_21;

/// What is the same for all frames.
pub(super) struct Head {
    pub(super) records: Records,
    /// Velocities instead of positions.
    pub(super) velocities: bool,
    /// How many frames there are, as the header says; 0 if it does not.
    pub(super) claimed: u64,
    /// Step of the first frame.
    start: i64,
    /// Steps from one frame to the next.
    interval: i64,
    /// Time of a step in picoseconds.
    step_time: f64,
    pub(super) cell: bool,
    pub(super) fourth: bool,
    pub(super) atoms: usize,
    /// Those that move, counted from 0, if some do not.
    pub(super) free: Option<Vec<usize>>,
    /// Bytes before the first frame.
    pub(super) bytes: u64,
}

impl Head {
    /// Reads it from the beginning of the source.
    pub(super) fn read<R: Read + Seek>(
        source: &mut Source<R>,
        space: &mut Vec<u8>,
    ) -> Result<Self> {
        let mut start = [0; 12];
        if !source.fill(&mut start)? {
            return Err(super::records::short("header"));
        }
        let Some(records) = Records::of(&start) else {
            return Err(wrong(
                "a DCD file begins with the length 84 and CORD or VELD; this one does not",
            ));
        };
        // Again from the first byte, now that lengths are known.
        let read = usize::try_from(records.whole(84)).unwrap_or_default();
        let mut first = start.to_vec();
        memory::resize(&mut first, read, 0)?;
        if !source.fill(first.get_mut(12..).unwrap_or_default())? {
            return Err(super::records::short("header"));
        }
        let mark = (read - 84) / 2;
        let body = first.get(mark..mark + 84).unwrap_or_default();
        if first.get(..mark) != first.get(mark + 84..) {
            return Err(wrong("the first record does not end with the length 84"));
        }
        let (name, words) = body.split_at_checked(4).unwrap_or_default();
        let word = |i: usize| words.as_chunks().0.get(i).map_or(0, |b| records.word(*b));
        // X-PLOR writes 0 for the version, and the time of a step in 64 bits.
        let charmm = word(19) != 0;
        let step = if charmm {
            words.as_chunks().0.get(9).map_or(0.0, |b| f64::from(records.single(*b)))
        } else {
            words.get(36..).and_then(|w| w.first_chunk()).map_or(0.0, |b| records.double(*b))
        };
        if charmm && word(12) != 0 {
            return Err(wrong("it has fluctuating charges, which are not read here"));
        }
        let velocities = name == b"VELD";
        title(source, space, records)?;
        records.read(source, space, Some(4), "number of atoms")?;
        let atoms = space.first_chunk().map_or(0, |b| records.word(*b));
        let fixed = word(8);
        let (Ok(count), Ok(fixed)) = (usize::try_from(atoms), usize::try_from(fixed)) else {
            return Err(wrong(format!("it claims {atoms} atoms, {fixed} of them fixed")));
        };
        let free =
            if fixed == 0 { None } else { Some(free(source, space, records, count, fixed)?) };
        Ok(Self {
            records,
            velocities,
            claimed: u64::try_from(word(0)).unwrap_or_default(),
            start: word(1).into(),
            interval: word(2).into(),
            step_time: step * AKMA,
            cell: charmm && word(10) != 0,
            fourth: charmm && word(11) != 0,
            atoms: count,
            free,
            bytes: source.at(),
        })
    }

    /// Step and time of this frame, as far as the header tells.
    pub(super) fn when(&self, frame: u64) -> (Option<i64>, Option<f64>) {
        let passed = i64::try_from(frame).ok().and_then(|n| n.checked_mul(self.interval));
        let step = passed.and_then(|n| self.start.checked_add(n)).filter(|_| self.interval > 0);
        #[expect(clippy::cast_precision_loss, reason = "a time has no more digits")]
        let time = step.map(|n| n as f64 * self.step_time);
        (step, time.filter(|_| self.step_time > 0.0))
    }

    /// Bytes of a frame.
    pub(super) fn frame(&self, number: u64) -> u64 {
        let axes = if self.fourth { 4 } else { 3 };
        let cell = if self.cell { self.records.whole(48) } else { 0 };
        self.records.whole(self.moving(number) as u64 * 4).saturating_mul(axes).saturating_add(cell)
    }

    /// How many atoms of this frame are in the file.
    pub(super) fn moving(&self, frame: u64) -> usize {
        self.free.as_ref().filter(|_| frame > 0).map_or(self.atoms, Vec::len)
    }
}

/// Passes over the title: a number of lines, and these, of 80 characters. Their number tells the length, as
/// VMD has it: MDAnalysis writes three lines and the length of two.
fn title<R: Read + Seek>(
    source: &mut Source<R>,
    space: &mut Vec<u8>,
    records: Records,
) -> Result<()> {
    let at = source.at();
    let mark = records.mark(source, "title")?;
    let mut count = [0; 4];
    if mark < 4 {
        return Err(wrong(format!("the record of the title at byte {at} has {mark} bytes")));
    }
    if !source.fill(&mut count)? {
        return Err(super::records::short("title"));
    }
    let lines = u64::try_from(records.word(count)).unwrap_or(u64::MAX).saturating_mul(80);
    let rest = if (mark - 4).is_multiple_of(80) { lines } else { mark - 4 };
    let len = usize::try_from(rest).unwrap_or(usize::MAX);
    if rest > source.left() || !source.fill_vec(space, len, 0)? {
        source.note_cut();
        return Err(super::records::short("title"));
    }
    let again = records.mark(source, "title")?;
    if again != mark {
        return Err(wrong(format!(
            "the record of the title at byte {at} begins with the length {mark} and ends with {again}"
        )));
    }
    Ok(())
}

/// The list of atoms that are not fixed.
fn free<R: Read + Seek>(
    source: &mut Source<R>,
    space: &mut Vec<u8>,
    records: Records,
    atoms: usize,
    fixed: usize,
) -> Result<Vec<usize>> {
    let Some(count) = atoms.checked_sub(fixed) else {
        return Err(wrong(format!("it claims {fixed} fixed atoms of {atoms}")));
    };
    records.read(source, space, Some(count as u64 * 4), "list of atoms that are not fixed")?;
    let mut free = memory::with_room(count)?;
    for bytes in space.as_chunks().0 {
        let number = records.word(*bytes);
        match usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < atoms) {
            Some(atom) => free.push(atom),
            None => {
                let why = format!(
                    "atom {number} of those that are not fixed is not one of the {atoms} atoms"
                );
                return Err(wrong(why));
            }
        }
    }
    Ok(free)
}
