//! One frame to text.

use super::columns::numbers_of;
use super::item::{item, real};
use super::keys::{TIME_UNIT, transpose};
use super::layout::{self, ColumnSpec, Letter, Role, standard};
use super::notation::{self, put};
use super::typed::DEPTH;
use crate::codec::{MdFrame, Property, Real, Values};
use crate::error::{Error, Result, Unfit};
use crate::formats::elements;
use crate::formats::writer::{FrameEncoder, LeftOut};

/// Encodes frames; nothing to choose.
#[derive(Default)]
pub(in crate::formats) struct ExtXyzEncoder {
    text: String,
}

/// Where the values of a column come from.
#[derive(Clone, Copy)]
enum From<'a> {
    /// Symbols of `types`, or `X` where there are none.
    Symbols(Option<&'a [i32]>),
    Types(&'a [i32]),
    Real(&'a Real),
    Property(&'a Property),
}

/// What extended XYZ cannot hold of a frame, and what helps.
fn cannot(field: &str, why: impl Into<Box<str>>, remedy: &str) -> Error {
    unfit(field, None, why, remedy)
}

fn unfit(field: &str, site: Option<usize>, why: impl Into<Box<str>>, remedy: &str) -> Error {
    Error::Unfit(Box::new(Unfit {
        format: "extended XYZ",
        frame: None,
        field: field.into(),
        site,
        why: why.into(),
        remedy: remedy.into(),
    }))
}

const RENAME: &str = "rename the property, or leave it out (--fields)";
const LEAVE_OUT: &str = "leave the property out (--fields)";

const fn letter(values: &Values) -> Letter {
    match values {
        Values::I32(_) | Values::I64(_) => Letter::Int,
        Values::Real(_) => Letter::Real,
        Values::Str(_) => Letter::Str,
        Values::Bool(_) => Letter::Bool,
    }
}

/// The columns that hold a frame, in the order in which they are written if nothing else is
/// asked for.
fn derive(frame: &MdFrame) -> Vec<(ColumnSpec, From<'_>)> {
    let mut out = Vec::new();
    let types = frame.types.as_deref();
    let labels = |name: &str| Role::Species.names().contains(&name);
    let own = frame.atom_properties.iter().find(|p| labels(&p.name) && p.shape.is_empty());
    let told = match own.map(|p| &p.values) {
        Some(Values::Str(species)) => types.is_none_or(|t| numbers_of(species) == t),
        Some(_) => types.is_none(),
        None => types.is_none_or(|t| t.iter().all(|n| elements::symbol(*n).is_some())),
    };
    if own.is_none() && (told || types.is_none()) {
        out.push((standard(Role::Species), From::Symbols(types)));
    }
    if let (Some(types), false) = (types, told) {
        out.push((standard(Role::Number), From::Types(types)));
    }
    for (role, field) in [
        (Role::Positions, &frame.positions),
        (Role::Velocities, &frame.velocities),
        (Role::Forces, &frame.forces),
        (Role::Masses, &frame.masses),
        (Role::Charges, &frame.charges),
    ] {
        if let Some(values) = field {
            out.push((standard(role), From::Real(values)));
        }
    }
    for p in &frame.atom_properties {
        let width = p.shape.iter().try_fold(1_u32, |w, n| w.checked_mul(*n)).unwrap_or_default();
        let spec = ColumnSpec { name: p.name.clone(), letter: letter(&p.values), width };
        let at = if own.is_some_and(|own| own.name == p.name) { 0 } else { out.len() };
        out.insert(at, (spec, From::Property(p)));
    }
    out
}

/// The columns that the writer would choose by itself.
pub(super) fn derived_layout(frame: &MdFrame) -> Vec<ColumnSpec> {
    derive(frame).into_iter().map(|(spec, _)| spec).collect()
}

/// The columns of `asked`, if they hold exactly what `derived` holds.
fn follow<'a>(
    asked: Vec<ColumnSpec>,
    derived: &[(ColumnSpec, From<'a>)],
    frame: &'a MdFrame,
) -> Option<Vec<(ColumnSpec, From<'a>)>> {
    let mut used = vec![false; derived.len()];
    let mut numbered = false;
    let mut out = Vec::new();
    for spec in asked {
        let same = |d: &ColumnSpec| {
            *d == spec || Role::ALL.iter().any(|role| *d == standard(*role) && role.fits(&spec))
        };
        let exact = derived.iter().position(|(d, _)| *d == spec);
        let at = exact.or_else(|| derived.iter().position(|(d, _)| same(d)));
        match (at, frame.types.as_deref()) {
            (Some(at), _) if !std::mem::replace(used.get_mut(at)?, true) => {
                out.push((spec, derived.get(at)?.1));
            }
            // Numbers may stand beside the symbols, or instead of them.
            (None, Some(types)) if Role::Number.fits(&spec) && !numbered => {
                numbered = true;
                out.push((spec, From::Types(types)));
            }
            _ => return None,
        }
    }
    let needless = |from: &From<'_>| match from {
        From::Symbols(None) => true,
        From::Symbols(Some(_)) => numbered,
        _ => false,
    };
    let all = derived.iter().zip(used).all(|((_, from), used)| used || needless(from));
    all.then_some(out)
}

impl FrameEncoder for ExtXyzEncoder {
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()> {
        let derived = derive(frame);
        let asked = frame.frame_properties.iter().find(|p| p.name == "Properties");
        let asked = asked.and_then(|p| match &p.values {
            Values::Str(v) => layout::parse(v.first()?).ok(),
            _ => None,
        });
        let columns = asked.and_then(|a| follow(a, &derived, frame)).unwrap_or(derived);
        for (spec, from) in &columns {
            check(spec, *from, frame.nsites)?;
        }
        // Then nothing but the claim says how many lines to write.
        if frame.nsites > 0 && columns.iter().all(|(_, from)| matches!(from, From::Symbols(None))) {
            let why = format!(
                "there are {} sites without positions, types or other values",
                frame.nsites
            );
            return Err(cannot(
                "positions",
                why,
                "leave the frame out, or export such a field too",
            ));
        }
        self.text.clear();
        self.text.push_str(&frame.nsites.to_string());
        self.text.push('\n');
        let specs: Vec<_> = columns.iter().map(|(spec, _)| spec.clone()).collect();
        self.text.push_str(&keys(frame, &specs)?);
        self.text.push('\n');
        for atom in 0..frame.nsites {
            for (n, (spec, from)) in columns.iter().enumerate() {
                if n > 0 {
                    self.text.push(' ');
                }
                cell(&mut self.text, *from, atom, spec.width as usize);
            }
            self.text.push('\n');
        }
        out.extend(self.text.as_bytes());
        Ok(())
    }

    fn left_out(&self, frame: &MdFrame) -> LeftOut {
        let mut out = LeftOut::default();
        out.note("precision", frame.precision.is_some());
        out.note("topology", frame.topology.is_some());
        out
    }
}

/// Refuses a column whose text would not be read as the same column.
fn check(spec: &ColumnSpec, from: From<'_>, atoms: usize) -> Result<()> {
    let name = &spec.name;
    if name.is_empty() || name.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
        return Err(cannot(name, "this cannot be the name of a column", RENAME));
    }
    let length = match from {
        From::Symbols(types) => types.map_or(atoms, <[i32]>::len),
        From::Types(types) => types.len(),
        From::Real(values) => values.len(),
        From::Property(p) => p.values.len(),
    };
    if spec.width == 0 || atoms.checked_mul(spec.width as usize) != Some(length) {
        let why = format!("found {length} values for {atoms} sites of {}", spec.width);
        return Err(cannot(name, why, "store a row of values for each site"));
    }
    if let From::Property(Property { values: Values::Str(v), .. }) = from {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if let Some(at) = v.iter().position(|s| s.is_empty() || s.contains(odd)) {
            let text = v.get(at).map(String::as_str).unwrap_or_default();
            let why = format!("{text:?} cannot be a value of a column: values end at white space");
            return Err(unfit(name, Some(at / spec.width as usize), why, LEAVE_OUT));
        }
    }
    Ok(())
}

/// The values of one atom in one column.
fn cell(out: &mut String, from: From<'_>, atom: usize, width: usize) {
    let start = atom.saturating_mul(width);
    for i in start..start.saturating_add(width) {
        if i > start {
            out.push(' ');
        }
        match from {
            From::Symbols(types) => {
                let number = types.and_then(|t| t.get(i)).copied().unwrap_or_default();
                out.push_str(elements::symbol(number).unwrap_or("X"));
            }
            From::Types(types) => {
                out.push_str(&types.get(i).copied().unwrap_or_default().to_string())
            }
            From::Real(values) => real(out, values, i),
            From::Property(p) => item(out, &p.values, i),
        }
    }
}

/// The line of keys.
fn keys(frame: &MdFrame, specs: &[ColumnSpec]) -> Result<String> {
    let mut out = String::new();
    let mut taken = std::collections::BTreeSet::from(["Properties"]);
    let mut one = |key: &'static str, value: Option<String>| {
        if let Some(value) = value {
            put(&mut out, key, &value);
            taken.insert(key);
        }
    };
    one("Lattice", frame.cell.map(|c| numbers(&c)));
    one("Properties", Some(layout::text(specs)));
    let name = |n: &String| notation::text("name", &[], &Values::Str(vec![n.clone()]));
    one("name", frame.name.as_ref().map(name));
    one("step", frame.step.map(|n| n.to_string()));
    one("time", frame.time.map(|x| numbers(&[x])));
    one(TIME_UNIT, frame.time.map(|_| "fs".into()));
    one("energy", frame.energy.map(|x| numbers(&[x])));
    one("stress", frame.stress.map(|s| numbers(&transpose(s))));
    one("pbc", frame.pbc.map(|p| p.map(|b| if b { "T" } else { "F" }).join(" ")));
    for p in frame.frame_properties.iter().filter(|p| p.name != "Properties") {
        if p.name.is_empty() || p.name.contains(char::is_control) || !taken.insert(&p.name) {
            return Err(cannot(&p.name, "this cannot be a key, or is the name of a field", RENAME));
        }
        // Lists of nothing, and lists in lists in lists, as nobody means them.
        let nested = p.shape.iter().fold(1_u64, |n, k| n.saturating_mul(u64::from(*k).max(1)));
        if p.shape.len() > DEPTH || nested > (p.values.len() as u64).max(1 << 16) {
            let why = format!("values of shape {:?} cannot be written", p.shape);
            return Err(cannot(&p.name, why, LEAVE_OUT));
        }
        let length = p.shape.iter().try_fold(1_usize, |n, k| n.checked_mul(*k as usize));
        if length != Some(p.values.len()) {
            let why = format!("found {} values for shape {:?}", p.values.len(), p.shape);
            return Err(cannot(&p.name, why, LEAVE_OUT));
        }
        let value = match matrix(p) {
            Some(m) => numbers(&transpose(m)),
            None => notation::text(&p.name, &p.shape, &p.values),
        };
        put(&mut out, &p.name, &value);
    }
    Ok(out)
}

fn numbers(values: &[f64]) -> String {
    values.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(" ")
}

/// A virial, which like the stress is written column by column.
fn matrix(p: &Property) -> Option<[f64; 9]> {
    match &p.values {
        Values::Real(Real::F64(v)) if p.name == "virial" && p.shape == [3, 3] => {
            v.as_slice().try_into().ok()
        }
        _ => None,
    }
}
