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
use crate::formats::frame_format::FrameFormat;
use crate::formats::input::Input;
use crate::formats::kind::FormatKind;
use crate::formats::names::NameMap;
use crate::formats::report::{NoteKind, ReadReport};
use crate::limits;
use std::io::{Read, Seek};

pub(in crate::formats) struct ExtXyzReader {
    line: Vec<u8>,
    map: NameMap,
    report: ReadReport,
}

impl ExtXyzReader {
    pub(in crate::formats) fn new(map: NameMap) -> Self {
        Self { line: Vec::new(), report: ReadReport::of(&map), map }
    }

    fn text<R: Read + Seek>(&self, input: &Input<R>) -> Result<&str> {
        std::str::from_utf8(&self.line).map_err(|_| input.wrong("this line is not UTF-8 text"))
    }

    /// The line with the number of atoms; `None` at the end of the file.
    fn count<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<Option<usize>> {
        loop {
            if !input.next_line(&mut self.line)? {
                return Ok(None);
            }
            if input.counter.line() == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let word = self.text(input)?.trim();
        let Ok(count) = word.parse::<i128>() else {
            if word.starts_with("VEC") {
                return Err(input.wrong(
                    "cell vectors in lines of their own, as ASE's vec_cell writes them, are not \
                     read; write them as Lattice",
                ));
            }
            return Err(input.wrong(format!("`{}` is not a number of atoms", shorten(word))));
        };
        // Two bytes are the least for an atom, and the line of keys may be empty.
        let most = input.source.left() / 2 + 1;
        match usize::try_from(count) {
            Ok(n) if n as u64 <= most => Ok(Some(n)),
            Err(_) if count < 0 => {
                Err(input.wrong(format!("a frame cannot have {count} atoms")))
            }
            _ => Err(input.short(format!(
                "{count} atoms do not fit in the {} bytes that follow; the number is wrong or the file was cut short",
                input.source.left()
            ))),
        }
    }

    /// Says where a frame is that no record could hold.
    fn within_limits<R: Read + Seek>(input: &Input<R>, frame: &MdFrame, line: u64) -> Result<()> {
        let properties = frame.atom_properties.len().saturating_add(frame.frame_properties.len());
        if properties <= limits::PROPERTIES_MAX {
            return Ok(());
        }
        let why = format!(
            "{properties} keys and columns have no field of their own; a frame holds up to {} such \
             properties",
            limits::PROPERTIES_MAX
        );
        Err(Error::format(Self::NAME, input.counter.at_line(line), why))
    }

    /// The most values that can still come, this line included: each takes a character and a
    /// space. Nothing is reserved beyond, whatever the file claims.
    fn room<R: Read + Seek>(&self, input: &Input<R>) -> usize {
        let bytes = input.source.reserve(u64::MAX).saturating_add(self.line.len() as u64) / 2;
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

impl FrameFormat for ExtXyzReader {
    const KIND: FormatKind = FormatKind::ExtXyz;
    const NAME: &'static str = "extended XYZ";

    fn read<R: Read + Seek>(&mut self, input: &mut Input<R>, into: &mut MdFrame) -> Result<bool> {
        let mut old = std::mem::take(into);
        let Some(atoms) = self.count(input)? else {
            return Ok(false);
        };
        into.nsites = atoms;
        if !input.next_line(&mut self.line)? {
            return Err(input.short("the file ends before the line of keys"));
        }
        let at = input.counter.line();
        let told = self
            .text(input)
            .and_then(|line| keys::read(line, &self.map, into).map_err(|why| input.wrong(why)))?;
        let named = told.columns.is_some();
        let mut specs = told.columns.unwrap_or_else(layout::plain);
        let mut first = true;
        let mut gathered = Vec::new();
        for done in 0..atoms {
            if !input.next_line(&mut self.line)? {
                return Err(input.short_of_atoms(done, atoms));
            }
            if first {
                if !named {
                    further(self.text(input)?, &mut specs);
                }
                gathered = prepare(&specs, atoms, self.room(input), &mut old)?;
                first = false;
            }
            let line = self.text(input)?;
            columns::atom(line, &specs, &mut gathered).map_err(|why| input.wrong(why))?;
        }
        if first {
            gathered = prepare(&specs, 0, 0, &mut old)?;
        }
        let unknown = fill(into, &specs, gathered, named).map_err(|why| input.wrong(why))?;
        Self::within_limits(input, into, at)?;
        for number in told.mapped {
            self.report.matched(number);
        }
        for kind in told.notes {
            let place = input.counter.at_line(at);
            self.report.count(&kind, 1, || place);
        }
        if let Some((count, (site, label))) = unknown {
            let line = at.saturating_add(site as u64).saturating_add(1);
            let place = format!("{}: `{}`", input.counter.at_line(line), shorten(&label));
            self.report.count(&NoteKind::UnknownLabel, count as u64, || place);
        }
        Ok(true)
    }

    /// Passes over a frame: the lines are counted, not read.
    fn pass<R: Read + Seek>(&mut self, input: &mut Input<R>) -> Result<bool> {
        let Some(atoms) = self.count(input)? else {
            return Ok(false);
        };
        for done in 0..=atoms {
            if !input.next_line(&mut self.line)? {
                return Err(match done.checked_sub(1) {
                    None => input.short("the file ends before the line of keys"),
                    Some(done) => input.short_of_atoms(done, atoms),
                });
            }
        }
        Ok(true)
    }

    fn notes(&self) -> ReadReport {
        self.report.clone()
    }
}
