//! The line of keys, as fields of a frame.

use super::comment::{self, Pair, Why, shorten};
use super::layout::{self, ColumnSpec, Letter, Role};
use super::notation::is_text_key;
use super::typed::Typed;
use super::value;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::formats::names::{NameMap, Target};
use crate::formats::report::NoteKind;

/// Keys that tell a line of keys from a title.
const KNOWN: [&str; 11] = [
    "Properties",
    "Lattice",
    "pbc",
    "energy",
    "free_energy",
    "stress",
    "virial",
    "dipole",
    "magmom",
    "charge",
    "config_type",
];

/// What the line of keys says beside the fields that it fills.
#[derive(Default)]
pub(super) struct Told {
    /// The columns, if they are named.
    pub(super) columns: Option<Vec<ColumnSpec>>,
    /// What a person should know.
    pub(super) notes: Vec<NoteKind>,
    /// The numbers of the names in the map that are there.
    pub(super) mapped: Vec<usize>,
}

/// Reads the line of keys into the fields of `into`.
pub(super) fn read(line: &str, map: &NameMap, into: &mut MdFrame) -> Result<Told, Why> {
    let mut told = Told::default();
    let line = line.trim();
    if line.is_empty() {
        return Ok(told);
    }
    let pairs = comment::pairs(line);
    if !is_keyed(line, pairs.as_deref(), map) {
        into.frame_properties.push(property("comment", Typed::text(line)));
        return Ok(told);
    }
    let mut pairs = pairs?;
    if let Some((step, time)) = cp2k(&pairs)
        && map.find("i").is_none()
        && map.find("time").is_none()
    {
        (into.step, into.time) = (Some(step), Some(time));
        pairs.drain(..2);
    }
    // The name in the frame, with that in the file and its value.
    let mut seen: std::collections::BTreeMap<String, (String, Option<comment::Raw>)> =
        std::collections::BTreeMap::new();
    for pair in pairs {
        let (key, mapped) = renamed(&pair.key, map, &mut told.mapped);
        if let Some((name, value)) = seen.get(&key) {
            if *name == pair.key && *value == pair.value {
                continue;
            }
            return Err(twice(&key, name, &pair.key));
        }
        if key == "Properties" {
            let text = pair.value.as_ref().map(|v| &*v.text).unwrap_or_default();
            told.columns = Some(columns(text, map, &mut told)?);
        } else {
            take(&key, mapped, &pair, into, &mut told)
                .map_err(|why| format!("key `{}`: {why}", shorten(&pair.key)))?;
        }
        seen.insert(key, (pair.key, pair.value));
    }
    settle_time(into);
    if into.cell.is_some() && into.pbc.is_none() {
        into.pbc = Some([true; 3]);
    }
    Ok(told)
}

/// In a plain file the line is a title, in any words.
fn is_keyed(line: &str, pairs: Result<&[Pair], &Why>, map: &NameMap) -> bool {
    let known = |key: &str| KNOWN.contains(&key) || map.find(key).is_some();
    match pairs {
        Ok(pairs) => {
            pairs.first().is_some_and(|p| p.value.is_some())
                || pairs.iter().any(|p| p.value.is_some() && known(&p.key))
        }
        // It begins with a key, or has one that titles have not, and goes wrong behind it.
        Err(_) => {
            let first = line.split_once('=').is_some_and(|(key, _)| {
                let key = key.trim();
                !key.is_empty() && !key.contains(char::is_whitespace)
            });
            first || line.contains("Properties=") || line.contains("Lattice=")
        }
    }
}

/// The step and the time, in femtoseconds, of a line as CP2K writes it: `i = 5, time = 2.5, E = -17.1`.
fn cp2k(pairs: &[Pair]) -> Option<(i64, f64)> {
    let [i, time, energy] = pairs else { return None };
    if (&*i.key, &*time.key, &*energy.key) != ("i", "time", "E") {
        return None;
    }
    let text = |p: &Pair| p.value.as_ref().map(|v| v.text.clone());
    let step = text(i)?.strip_suffix(',')?.parse().ok()?;
    let time: f64 = text(time)?.strip_suffix(',')?.parse().ok()?;
    let energy: f64 = text(energy)?.parse().ok()?;
    (time.is_finite() && energy.is_finite()).then_some((step, time))
}

/// The name under which a key is read, and whether the map says so.
fn renamed(key: &str, map: &NameMap, matched: &mut Vec<usize>) -> (String, bool) {
    let (number, name) = match map.find(key) {
        Some((number, Target::Frame("cell"))) => (number, "Lattice"),
        Some((number, Target::Frame(name))) => (number, *name),
        Some((number, Target::Property(name))) => {
            matched.push(number);
            return (name.clone(), false);
        }
        Some((_, Target::Sites(_))) | None => return (key.into(), false),
    };
    matched.push(number);
    (name.into(), true)
}

fn twice(key: &str, first: &str, second: &str) -> Why {
    if first == second {
        return format!("key `{}` occurs twice, with two values", shorten(key)).into();
    }
    format!(
        "`{}` and `{}` both stand for {}; map one of them to another name, as in \
         {first}=property:NAME",
        shorten(first),
        shorten(second),
        shorten(key)
    )
    .into()
}

/// Puts one pair where it belongs.
fn take(
    key: &str,
    mapped: bool,
    pair: &Pair,
    into: &mut MdFrame,
    told: &mut Told,
) -> Result<(), Why> {
    let typed = match &pair.value {
        None => Typed { shape: Vec::new(), values: Values::Bool(vec![true]) },
        Some(raw) if is_text_key(key) && !raw.text.starts_with("_JSON ") => Typed::text(&*raw.text),
        Some(raw) => value::of(raw)?,
    };
    match field(key, &typed, into, told)? {
        Filled::Field => Ok(()),
        // The person who maps a name onto the time says that it is in the unit of the format.
        Filled::No if mapped && key == "time" && typed.number().is_some() => {
            into.time = typed.number();
            Ok(())
        }
        Filled::No if mapped => {
            Err(format!("it is mapped onto {key}, but is {}", describe(&typed)).into())
        }
        Filled::No => {
            if matches!(key, "energy" | "stress") {
                told.notes.push(NoteKind::OtherShape(key.into()));
            }
            into.frame_properties.push(property(key, typed));
            Ok(())
        }
    }
}

/// Whether a value filled a field.
enum Filled {
    Field,
    No,
}

/// Fills the field of a name, if there is one and the value is of its shape.
fn field(name: &str, typed: &Typed, into: &mut MdFrame, told: &mut Told) -> Result<Filled, Why> {
    let one = typed.number();
    match (name, &typed.values) {
        ("Lattice", _) => into.cell = Some(cell(typed, told)?),
        ("pbc", values) => {
            into.pbc = Some(periodic(values).ok_or("it is not three of T and F")?);
        }
        ("energy", _) if one.is_some() => into.energy = one,
        ("stress", _) => match tensor(typed) {
            Some(stress) => into.stress = Some(stress),
            None => return Ok(Filled::No),
        },
        ("virial", _) => match typed.reals() {
            Some(v) if v.len() == 9 => match tensor(typed) {
                Some(virial) => {
                    let values = Values::Real(Real::F64(virial.into()));
                    into.frame_properties.push(property(name, Typed { shape: vec![3, 3], values }));
                }
                None => return Ok(Filled::No),
            },
            _ => return Ok(Filled::No),
        },
        ("step", Values::I64(v)) if v.len() == 1 => into.step = v.first().copied(),
        ("name", Values::Str(v)) if typed.shape.is_empty() => into.name = v.first().cloned(),
        _ => return Ok(Filled::No),
    }
    Ok(Filled::Field)
}

/// The cell vectors as rows: nine numbers are the vectors one after the other, nested lists have
/// them as rows, and three numbers are the lengths of a rectangular cell.
fn cell(typed: &Typed, told: &mut Told) -> Result<[f64; 9], Why> {
    let numbers =
        typed.reals().ok_or_else(|| format!("it is {}, not nine numbers", describe(typed)))?;
    if let [a, b, c] = *numbers {
        return Ok([a, 0.0, 0.0, 0.0, b, 0.0, 0.0, 0.0, c]);
    }
    let nine = <[f64; 9]>::try_from(numbers)
        .map_err(|_| format!("it is {}, not nine numbers", describe(typed)))?;
    #[expect(clippy::float_cmp, reason = "whether both orders are the same to the last bit")]
    if typed.shape == [3, 3] && transpose(nine) != nine {
        told.notes.push(NoteKind::CellInRows);
    }
    Ok(nine)
}

/// A symmetric tensor in C order: of nine numbers, which stand column by column, of three lists of
/// three, row by row, or of the six of Voigt's order: xx, yy, zz, yz, xz, xy.
fn tensor(typed: &Typed) -> Option<[f64; 9]> {
    let numbers = typed.reals()?;
    match (&*numbers, &*typed.shape) {
        (nine, [3, 3]) => nine.try_into().ok(),
        (nine, [9]) => nine.try_into().ok().map(transpose),
        ([xx, yy, zz, yz, xz, xy], [6]) => Some([*xx, *xy, *xz, *xy, *yy, *yz, *xz, *yz, *zz]),
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

/// A time whose unit the line states fills the field; otherwise nobody knows what it means, and it
/// stays a property.
fn settle_time(into: &mut MdFrame) {
    let find = |name: &str| into.frame_properties.iter().position(|p| p.name == name);
    let (Some(time), Some(unit)) = (find("time"), find(TIME_UNIT)) else { return };
    let get = |at: usize| into.frame_properties.get(at);
    let fs = get(unit).is_some_and(|p| p.values == Values::Str(vec!["fs".into()]));
    let number = get(time).and_then(|p| {
        let typed = Typed { shape: p.shape.clone(), values: p.values.clone() };
        typed.number().filter(|_| p.shape.is_empty())
    });
    if let (true, Some(number), None) = (fs, number, into.time) {
        into.time = Some(number);
        into.frame_properties.retain(|p| p.name != "time" && p.name != TIME_UNIT);
    }
}

/// The key that states the unit of `time`.
pub(super) const TIME_UNIT: &str = "time_unit";

/// The columns that `Properties` names, under the names that the map gives them.
fn columns(text: &str, map: &NameMap, told: &mut Told) -> Result<Vec<ColumnSpec>, Why> {
    let mut specs = layout::parse(text)?;
    let mut given: Vec<String> = Vec::with_capacity(specs.len());
    for spec in &mut specs {
        given.push(spec.name.clone());
        match map.find(&spec.name) {
            Some((number, Target::Property(name))) => {
                told.mapped.push(number);
                spec.name.clone_from(name);
            }
            Some((number, Target::Sites(field))) => {
                told.mapped.push(number);
                let role = Role::of_field(field).ok_or("no field")?;
                fit(spec, role).map_err(|()| {
                    let ColumnSpec { name, letter, width } = &*spec;
                    let letter = letter.letter();
                    format!(
                        "column `{}` is mapped onto {field}, but is {letter}:{width} instead of \
                         {}:{}",
                        shorten(name),
                        role.letter().letter(),
                        role.width()
                    )
                })?;
            }
            Some((_, Target::Frame(_))) | None => {}
        }
    }
    for (i, spec) in specs.iter().enumerate() {
        if let Some(first) = specs.iter().take(i).position(|s| s.name == spec.name)
            && let (Some(first), Some(second)) = (given.get(first), given.get(i))
        {
            return Err(twice(&spec.name, first, second));
        }
    }
    for role in Role::ALL {
        let named = specs.iter().find(|c| role.names().contains(&&*c.name));
        if let (Some(spec), None) = (named, role.find(&specs)) {
            told.notes.push(NoteKind::OtherShape(spec.name.clone()));
        }
    }
    Ok(specs)
}

/// Makes the column that of a field, if its values can be such.
fn fit(spec: &mut ColumnSpec, role: Role) -> Result<(), ()> {
    // Symbols or numbers: both are types.
    let role = match (role, spec.letter) {
        (Role::Number, Letter::Str) => Role::Species,
        (role, _) => role,
    };
    let letter = spec.letter == role.letter()
        || (spec.letter == Letter::Int && role.letter() == Letter::Real);
    if !letter || spec.width != role.width() {
        return Err(());
    }
    *spec = layout::standard(role);
    Ok(())
}

/// A value in words, for a message.
fn describe(typed: &Typed) -> String {
    let (one, many) = match &typed.values {
        Values::Str(v) if typed.shape.is_empty() => {
            return format!("the text `{}`", v.first().map(|t| shorten(t)).unwrap_or_default());
        }
        Values::Str(_) => ("a text", "texts"),
        Values::Bool(_) => ("a truth", "truths"),
        Values::I32(_) | Values::I64(_) => ("an integer", "integers"),
        Values::Real(_) => ("a real number", "real numbers"),
    };
    if typed.shape.is_empty() {
        return one.into();
    }
    let by: Vec<_> = typed.shape.iter().map(ToString::to_string).collect();
    format!("{} {many}", by.join(" x "))
}

fn property(name: &str, value: Typed) -> Property {
    Property { name: name.into(), shape: value.shape, values: value.values }
}

/// Column by column to row by row, and back.
pub(super) const fn transpose(m: [f64; 9]) -> [f64; 9] {
    let [a, b, c, d, e, f, g, h, i] = m;
    [a, d, g, b, e, h, c, f, i]
}
