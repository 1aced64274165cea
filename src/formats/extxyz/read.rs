//! Reading, frame by frame and line by line.

use super::columns::{self, Column, Species};
use super::comment::{Why, shorten};
use super::keys;
use super::layout::{self, ColumnSpec, Letter, Role};
use super::numbers::real;
use super::typed::Typed;
use super::write::derived_layout;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::error::{Error, Result};
use crate::formats::kind::FormatKind;
use crate::formats::names::NameMap;
use crate::formats::reader::{FramePlace, FrameReader, Reach};
use crate::formats::report::{NoteKind, ReadReport};
use crate::formats::{source::Source, sum::Sum};
use crate::limits;
use std::io::{Read, Seek};

/// Reads frames from `R`.
pub(in crate::formats) struct ExtXyzReader<R> {
    source: Source<R>,
    line: Vec<u8>,
    /// Number of the line in `line`, from 1.
    number: u64,
    map: NameMap,
    report: ReadReport,
    /// Number of the frame that is being read.
    frame: u64,
    failed: Option<(Box<str>, Box<str>)>,
}

impl<R: Read + Seek> ExtXyzReader<R> {
    pub(in crate::formats) fn new(source: Source<R>, map: NameMap) -> Self {
        Self {
            source,
            line: Vec::new(),
            number: 0,
            report: ReadReport::of(&map),
            map,
            frame: 0,
            failed: None,
        }
    }

    fn wrong(&self, why: impl Into<Why>) -> Error {
        Error::format("extended XYZ", self.at(self.number), why)
    }

    fn at(&self, line: u64) -> String {
        format!("line {line} (frame {})", self.frame)
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
            if word.starts_with("VEC") {
                return Err(self.wrong(
                    "cell vectors in lines of their own, as ASE's vec_cell writes them, are not \
                     read; write them as Lattice",
                ));
            }
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
        let at = self.number;
        let told = self
            .text()
            .and_then(|line| keys::read(line, &self.map, into).map_err(|why| self.wrong(why)))?;
        let named = told.columns.is_some();
        let mut specs = told.columns.unwrap_or_else(layout::plain);
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
                gathered = prepare(&specs, atoms, self.room(), &mut old)?;
                first = false;
            }
            let line = self.text()?;
            columns::atom(line, &specs, &mut gathered).map_err(|why| self.wrong(why))?;
        }
        if first {
            gathered = prepare(&specs, 0, 0, &mut old)?;
        }
        let unknown = fill(into, &specs, gathered, named).map_err(|why| self.wrong(why))?;
        self.within_limits(into, at)?;
        for number in told.mapped {
            self.report.matched(number);
        }
        for kind in told.notes {
            let place = self.at(at);
            self.report.count(&kind, 1, || place);
        }
        if let Some((count, (site, label))) = unknown {
            let line = at.saturating_add(site as u64).saturating_add(1);
            let place = format!("{}: `{}`", self.at(line), shorten(&label));
            self.report.count(&NoteKind::UnknownLabel, count as u64, || place);
        }
        Ok(true)
    }

    /// Says where a frame is that no record could hold.
    fn within_limits(&self, frame: &MdFrame, line: u64) -> Result<()> {
        let properties = frame.atom_properties.len().saturating_add(frame.frame_properties.len());
        if properties <= limits::PROPERTIES_MAX {
            return Ok(());
        }
        let why = format!(
            "{properties} keys and columns have no field of their own; a frame holds up to {} such \
             properties",
            limits::PROPERTIES_MAX
        );
        Err(Error::format("extended XYZ", self.at(line), why))
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

/// Names what follows the positions in a plain file: as text until all values are known.
fn further(line: &str, specs: &mut Vec<ColumnSpec>) {
    for n in 5..=line.split_ascii_whitespace().count() {
        specs.push(ColumnSpec { name: format!("column{n}"), letter: Letter::Str, width: 1 });
    }
}

fn prepare(
    specs: &[ColumnSpec],
    atoms: usize,
    mut room: usize,
    old: &mut MdFrame,
) -> Result<Vec<Column>> {
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
            return Column::species(values);
        }
        Column::new(spec.letter, values, reuse(at))
    };
    specs.iter().enumerate().map(column).collect()
}

/// How many labels are of no element, and the first of them with its site.
type Unknown = Option<(usize, (usize, String))>;

/// Moves the columns into the fields of `into`.
fn fill(
    into: &mut MdFrame,
    specs: &[ColumnSpec],
    gathered: Vec<Column>,
    named: bool,
) -> Result<Unknown, Why> {
    let roles: Vec<_> = Role::ALL.map(|role| (role.find(specs), role)).into();
    let mut species = None;
    let mut numbers: Option<Vec<i32>> = None;
    for (at, (spec, column)) in specs.iter().zip(gathered).enumerate() {
        let role = roles.iter().find(|(found, _)| *found == Some(at)).map(|(_, role)| *role);
        match (role, column) {
            (Some(Role::Species), Column::Species(s)) => {
                species = Some((into.atom_properties.len(), &*spec.name, s));
            }
            (Some(Role::Number), Column::Int(v)) => {
                let narrow = v.iter().map(|n| i32::try_from(*n).ok()).collect::<Option<_>>();
                numbers = Some(narrow.ok_or_else(|| {
                    format!("a number in column `{}` does not fit 32 bits", shorten(&spec.name))
                })?);
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
                    let all = v.iter().map(|w| real(w)).collect::<Result<Option<Vec<f64>>, _>>();
                    let all =
                        all.map_err(|why| format!("a number in column `{}` {why}", spec.name))?;
                    values = all.map_or(values, |v| Values::Real(Real::F64(v)));
                }
                let shape = if spec.width == 1 { Vec::new() } else { vec![spec.width] };
                into.atom_properties.push(Property { name: spec.name.clone(), shape, values });
            }
        }
    }
    let unknown = settle_types(into, species, numbers);
    // What the writer would choose need not be kept.
    if named && derived_layout(into) != specs {
        let value = Typed::text(layout::text(specs));
        let Typed { shape, values } = value;
        into.frame_properties.push(Property { name: "Properties".into(), shape, values });
    }
    Ok(unknown)
}

/// Types are atomic numbers; species stay as text where these do not tell all.
fn settle_types(
    into: &mut MdFrame,
    species: Option<(usize, &str, Species)>,
    numbers: Option<Vec<i32>>,
) -> Unknown {
    let Some((at, name, mut species)) = species else {
        into.types = numbers;
        return None;
    };
    let unknown = species.unknown().filter(|_| numbers.is_none());
    let told = numbers.as_ref().is_none_or(|n| *n == species.numbers);
    let labels = if told { species.labels.take() } else { Some(species.strings()) };
    into.types = Some(numbers.unwrap_or(species.numbers));
    if let Some(labels) = labels {
        let at = at.min(into.atom_properties.len());
        let values = Values::Str(labels);
        into.atom_properties.insert(at, Property { name: name.into(), shape: Vec::new(), values });
    }
    unknown
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

    fn report(&self) -> ReadReport {
        self.report.clone()
    }

    fn progress(&self) -> (u64, u64) {
        self.source.progress()
    }

    fn place(&self) -> FramePlace {
        FramePlace { byte: self.source.at(), frame: self.frame, line: self.number }
    }

    fn go_to(&mut self, place: FramePlace) -> Result<bool> {
        if !self.source.go_to(place.byte)? {
            return Ok(false);
        }
        (self.frame, self.number, self.failed) = (place.frame, place.line, None);
        Ok(true)
    }

    fn reach(&self) -> Reach {
        if self.source.rewinds() { Reach::Anywhere } else { Reach::Forward }
    }

    fn unfinished(&self) -> bool {
        self.source.unfinished()
    }

    fn tail(&self) -> Sum {
        self.source.tail()
    }
}
