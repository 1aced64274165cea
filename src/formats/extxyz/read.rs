//! Reading, frame by frame and line by line.

use super::columns::{self, Column, Species, numbers_of};
use super::comment::{self, Typed, shorten};
use super::layout::{self, ColumnSpec, Letter, Role};
use super::write::derived_layout;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::error::{Error, Result};
use crate::formats::kind::FormatKind;
use crate::formats::reader::{FrameReader, Place};
use crate::formats::source::{Source, Sum};
use std::io::{Read, Seek};

/// Reads frames from `R`.
pub(in crate::formats) struct ExtXyzReader<R> {
    source: Source<R>,
    line: Vec<u8>,
    /// Number of the line in `line`, from 1.
    number: u64,
    /// Number of the frame that is being read.
    frame: u64,
    failed: Option<(Box<str>, Box<str>)>,
}

/// What went wrong in a line.
type Why = Box<str>;

impl<R: Read + Seek> ExtXyzReader<R> {
    pub(in crate::formats) const fn new(source: Source<R>) -> Self {
        Self { source, line: Vec::new(), number: 0, frame: 0, failed: None }
    }

    fn wrong(&self, why: impl Into<Why>) -> Error {
        let at = format!("line {} (frame {})", self.number, self.frame);
        Error::format("extended XYZ", at, why)
    }

    /// Reads the next line; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        let more = self.source.line(&mut self.line)?;
        self.number = self.number.saturating_add(u64::from(more));
        Ok(more)
    }

    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.line).map_err(|_| self.wrong("this line is not UTF-8 text"))
    }

    /// The line with the number of atoms; `None` at the end of the file.
    fn count(&mut self) -> Result<Option<usize>> {
        loop {
            if !self.advance()? {
                return Ok(None);
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let word = self.text()?.trim();
        let Ok(count) = word.parse::<i128>() else {
            return Err(self.wrong(format!("`{}` is not a number of atoms", shorten(word))));
        };
        // Two bytes are the least for an atom, and the line of keys may be empty.
        let most = self.source.left() / 2 + 1;
        match usize::try_from(count) {
            Ok(n) if n as u64 <= most => Ok(Some(n)),
            Err(_) if count < 0 => {
                Err(self.wrong(format!("a frame cannot have {count} atoms")))
            }
            _ => Err(self.short(format!(
                "{count} atoms do not fit in the {} bytes that follow; the number is wrong or the file was cut short",
                self.source.left()
            ))),
        }
    }

    fn read(&mut self, into: &mut MdFrame) -> Result<bool> {
        let mut old = std::mem::take(into);
        self.source.begin();
        let Some(atoms) = self.count()? else {
            return Ok(false);
        };
        into.nsites = atoms;
        if !self.advance()? {
            return Err(self.short("the file ends before the line of keys"));
        }
        let keys = self.text().and_then(|line| keys(line, into).map_err(|why| self.wrong(why)))?;
        let named = keys.is_some();
        let mut specs = keys.unwrap_or_else(layout::plain);
        let mut first = true;
        let mut gathered = Vec::new();
        for done in 0..atoms {
            if !self.advance()? {
                return Err(self.cut(done, atoms));
            }
            if first {
                if !named {
                    further(self.text()?, &mut specs);
                }
                gathered = prepare(&specs, atoms, self.room(), &mut old);
                first = false;
            }
            let line = self.text()?;
            columns::atom(line, &specs, &mut gathered).map_err(|why| self.wrong(why))?;
        }
        if first {
            gathered = prepare(&specs, 0, 0, &mut old);
        }
        fill(into, &specs, gathered, named).map_err(|why| self.wrong(why))?;
        Ok(true)
    }

    /// Passes over a frame: the lines are counted, not read.
    fn pass(&mut self) -> Result<bool> {
        let Some(atoms) = self.count()? else {
            return Ok(false);
        };
        for done in 0..=atoms {
            if !self.advance()? {
                return Err(match done.checked_sub(1) {
                    None => self.short("the file ends before the line of keys"),
                    Some(done) => self.cut(done, atoms),
                });
            }
        }
        Ok(true)
    }

    /// As [`wrong`](Self::wrong), where more was to come.
    fn short(&mut self, why: impl Into<Why>) -> Error {
        self.source.note_cut();
        self.wrong(why)
    }

    fn cut(&mut self, done: usize, atoms: usize) -> Error {
        self.short(format!("the file ends here, after {done} of {atoms} atoms"))
    }

    /// Counts frames, and stays at the first error.
    fn step(&mut self, act: impl FnOnce(&mut Self) -> Result<bool>) -> Result<bool> {
        if let Some((at, why)) = &self.failed {
            return Err(Error::format("extended XYZ", at.clone(), why.clone()));
        }
        let result = act(self);
        match &result {
            Ok(more) => self.frame = self.frame.saturating_add(u64::from(*more)),
            Err(Error::Format { at, why, .. }) => self.failed = Some((at.clone(), why.clone())),
            Err(other) => {
                let at = format!("line {}", self.number).into();
                self.failed = Some((at, format!("{other}; open the file again").into()));
            }
        }
        result
    }

    /// The most values that can still come, this line included: each takes a character and a
    /// space. Nothing is reserved beyond, whatever the file claims.
    fn room(&self) -> usize {
        let bytes = self.source.reserve(u64::MAX).saturating_add(self.line.len() as u64) / 2;
        usize::try_from(bytes.saturating_add(1)).unwrap_or(usize::MAX)
    }
}

/// Reads the line of keys into the fields of `into`; answers the columns if they are named.
fn keys(line: &str, into: &mut MdFrame) -> Result<Option<Vec<ColumnSpec>>, Why> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    let pairs = comment::pairs(line);
    // In a plain file the line is a title, in any words.
    let keyed = match &pairs {
        Ok(pairs) => {
            pairs.iter().all(|p| p.value.is_some())
                || pairs
                    .iter()
                    .any(|p| p.value.is_some() && matches!(&*p.key, "Properties" | "Lattice"))
        }
        Err(_) => line.contains("Properties") || line.contains("Lattice"),
    };
    if !keyed {
        into.frame_properties.push(property("comment", Typed::text(line)));
        return Ok(None);
    }
    let mut columns = None;
    let mut seen = std::collections::BTreeMap::new();
    for pair in pairs? {
        let value = pair.value.unwrap_or_else(|| "T".into());
        match seen.insert(pair.key.clone(), value.clone()) {
            Some(same) if same == value => continue,
            Some(_) => {
                return Err(
                    format!("key `{}` stands twice with two values", shorten(&pair.key)).into()
                );
            }
            None => {}
        }
        if pair.key == "Properties" {
            columns = Some(layout::parse(&value)?);
        } else {
            key(&pair.key, comment::typed(&value), into)?;
        }
    }
    if into.cell.is_some() && into.pbc.is_none() {
        into.pbc = Some([true; 3]);
    }
    Ok(columns)
}

fn property(name: &str, value: Typed) -> Property {
    Property { name: name.into(), shape: value.shape, values: value.values }
}

/// Puts one value where it belongs.
fn key(name: &str, value: Typed, into: &mut MdFrame) -> Result<(), Why> {
    let scalar = value.shape.is_empty();
    match (name, reals(&value.values)) {
        ("Lattice", numbers) => {
            let nine = numbers.and_then(|v| v.try_into().ok());
            into.cell = Some(nine.ok_or("Lattice is not nine numbers")?);
            return Ok(());
        }
        ("pbc", _) => {
            into.pbc = Some(periodic(&value.values).ok_or("pbc is not three of T and F")?);
            return Ok(());
        }
        ("energy", Some(v)) if scalar => into.energy = v.first().copied(),
        ("time", Some(v)) if scalar => into.time = v.first().copied(),
        ("stress", Some(v)) if v.len() == 9 => into.stress = v.try_into().ok().map(transpose),
        ("virial", Some(v)) if v.len() == 9 && value.shape.len() == 1 => {
            let v: [f64; 9] = v.try_into().map_err(|_| "virial is not nine numbers")?;
            let values = Values::Real(Real::F64(transpose(v).into()));
            into.frame_properties.push(property(name, Typed { shape: vec![3, 3], values }));
        }
        _ => match (name, &value.values) {
            ("step", Values::I64(v)) if scalar => into.step = v.first().copied(),
            ("name", Values::Str(v)) if scalar => into.name = v.first().cloned(),
            _ => into.frame_properties.push(property(name, value)),
        },
    }
    Ok(())
}

fn reals(values: &Values) -> Option<Vec<f64>> {
    match values {
        Values::Real(Real::F64(v)) => Some(v.clone()),
        // Up to 2^53 a whole number is the same as a real one; beyond, it stays what it is.
        Values::I64(v) => v.iter().map(|n| i32::try_from(*n).ok().map(f64::from)).collect(),
        _ => None,
    }
}

fn periodic(values: &Values) -> Option<[bool; 3]> {
    let bits = match values {
        Values::Bool(v) => v.clone(),
        Values::I64(v) => {
            v.iter().map(|n| (0..=1).contains(n).then_some(*n == 1)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    match *bits {
        [all] => Some([all; 3]),
        [a, b, c] => Some([a, b, c]),
        _ => None,
    }
}

/// Column by column to row by row, and back.
pub(super) const fn transpose(m: [f64; 9]) -> [f64; 9] {
    let [a, b, c, d, e, f, g, h, i] = m;
    [a, d, g, b, e, h, c, f, i]
}

/// Names what follows the positions in a plain file: as text until all values are known.
fn further(line: &str, specs: &mut Vec<ColumnSpec>) {
    for n in 5..=line.split_ascii_whitespace().count() {
        specs.push(ColumnSpec { name: format!("column{n}"), letter: Letter::Str, width: 1 });
    }
}

fn prepare(specs: &[ColumnSpec], atoms: usize, mut room: usize, old: &mut MdFrame) -> Vec<Column> {
    let find = |role: Role| role.find(specs);
    let (species, positions, forces) =
        (find(Role::Species), find(Role::Positions), find(Role::Forces));
    let mut reuse = |at: usize| {
        let field = match Some(at) {
            at if at == positions => &mut old.positions,
            at if at == forces => &mut old.forces,
            _ => return None,
        };
        match field.take() {
            Some(Real::F64(v)) => Some(v),
            _ => None,
        }
    };
    let column = |(at, spec): (usize, &ColumnSpec)| {
        let values = atoms.saturating_mul(spec.width as usize).min(room);
        room = room.saturating_sub(values);
        if Some(at) == species {
            return Column::Species(Species::Numbers(Vec::with_capacity(values)));
        }
        Column::new(spec.letter, values, reuse(at))
    };
    specs.iter().enumerate().map(column).collect()
}

/// Moves the columns into the fields of `into`.
fn fill(
    into: &mut MdFrame,
    specs: &[ColumnSpec],
    gathered: Vec<Column>,
    named: bool,
) -> Result<(), Why> {
    let roles: Vec<_> = Role::ALL.map(|role| (role.find(specs), role)).into();
    let mut species = None;
    let mut numbers: Option<Vec<i32>> = None;
    for (at, (spec, column)) in specs.iter().zip(gathered).enumerate() {
        let role = roles.iter().find(|(found, _)| *found == Some(at)).map(|(_, role)| *role);
        match (role, column) {
            (Some(Role::Species), Column::Species(s)) => {
                species = Some((into.atom_properties.len(), s))
            }
            (Some(Role::Number), Column::Int(v)) => {
                let narrow = v.iter().map(|n| i32::try_from(*n).ok()).collect::<Option<_>>();
                numbers = Some(narrow.ok_or("a number in column `Z` does not fit 32 bits")?);
            }
            (Some(role), Column::Real(v)) => {
                let field = match role {
                    Role::Velocities => &mut into.velocities,
                    Role::Forces => &mut into.forces,
                    Role::Masses => &mut into.masses,
                    Role::Charges => &mut into.charges,
                    _ => &mut into.positions,
                };
                *field = Some(Real::F64(v));
            }
            (_, column) => {
                let mut values = column.values();
                if !named && let Values::Str(v) = &values {
                    // A further column of a plain file: numbers if all of it is.
                    let all = v.iter().map(|w| w.parse().ok()).collect::<Option<Vec<f64>>>();
                    values = all.map_or(values, |v| Values::Real(Real::F64(v)));
                }
                let shape = if spec.width == 1 { Vec::new() } else { vec![spec.width] };
                into.atom_properties.push(Property { name: spec.name.clone(), shape, values });
            }
        }
    }
    settle_types(into, species, numbers);
    // What the writer would choose need not be kept.
    if named && derived_layout(into) != specs {
        let value = Typed::text(layout::text(specs));
        into.frame_properties.push(property("Properties", value));
    }
    Ok(())
}

/// Types are atomic numbers; species stay as text where these do not tell all.
fn settle_types(into: &mut MdFrame, species: Option<(usize, Species)>, numbers: Option<Vec<i32>>) {
    match species {
        Some((_, Species::Numbers(v))) if numbers.as_ref().is_none_or(|n| *n == v) => {
            into.types = Some(v);
        }
        Some((at, other)) => {
            let strings = other.strings();
            into.types = numbers.or_else(|| numbers_of(&strings));
            let values = Values::Str(strings);
            let at = at.min(into.atom_properties.len());
            into.atom_properties
                .insert(at, Property { name: "species".into(), shape: Vec::new(), values });
        }
        None => into.types = numbers,
    }
}

impl<R: Read + Seek + Send> FrameReader for ExtXyzReader<R> {
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool> {
        let result = self.step(|me| me.read(into));
        if !matches!(result, Ok(true)) {
            *into = MdFrame::default();
        }
        result
    }

    fn skip(&mut self, frames: u64) -> Result<u64> {
        for done in 0..frames {
            if !self.step(Self::pass)? {
                return Ok(done);
            }
        }
        Ok(frames)
    }

    fn kind(&self) -> FormatKind {
        FormatKind::ExtXyz
    }

    fn progress(&self) -> (u64, u64) {
        self.source.progress()
    }

    fn place(&self) -> Place {
        Place { byte: self.source.at(), frame: self.frame, line: self.number }
    }

    fn go_to(&mut self, place: Place) -> Result<bool> {
        let Some(ahead) = place.byte.checked_sub(self.source.at()) else { return Ok(false) };
        (self.frame, self.number) = (place.frame, place.line);
        self.source.skip(ahead)
    }

    fn unfinished(&self) -> bool {
        self.source.unfinished()
    }

    fn tail(&self) -> Sum {
        self.source.tail()
    }
}
