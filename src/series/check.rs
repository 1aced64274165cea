//! The ids and lengths of all series, from the index; and what of them does not fit together.

use super::ids::{Role, key, parse};
use super::known_series::{CUT, KnownSeries, MIXED, account_of, head_at};
use super::layer::lost;
use crate::error::Result;
use crate::key::Key;
use crate::store::Readable;
use std::collections::{HashMap, HashSet};

/// All series with their lengths, in the order in which they were stored. Decodes nothing.
pub(super) fn lengths(store: &dyn Readable) -> Result<Vec<(Key, u64)>> {
    let mut out: Vec<(Key, u64)> = Vec::new();
    let mut place: HashMap<Key, usize> = HashMap::new();
    let mut grown: Vec<(Key, u64)> = Vec::new();
    store.visit_index(&mut |_, name, at| {
        match name.as_ref().and_then(parse) {
            Some((id, Role::Start)) => {
                place.insert(id.clone(), out.len());
                out.push((id, at.weight.into()));
            }
            Some((id, Role::Growth)) => grown.push((id, at.weight.into())),
            _ => {}
        }
        Ok(())
    })?;
    for (id, len) in grown {
        let known = place.remove(&id).and_then(|at| out.get_mut(at));
        if let Some((_, old)) = known {
            // A length that the index cannot say stands in the account.
            *old = if len == u64::from(u32::MAX) {
                KnownSeries::find(store, &id)?.map_or(len, |e| e.len())
            } else {
                len
            };
        }
    }
    // Of a series that is cut: the points that are here.
    for at in place.into_values() {
        let Some((id, len)) = out.get_mut(at) else { continue };
        if *len == u64::from(u32::MAX)
            && let Some(ordinal) = store.find_key(id)?
        {
            *len = head_at(store, ordinal)?.points;
        }
    }
    Ok(out)
}

/// What of a series does not fit the rest of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The series; `None` for the store as a whole.
    pub id: Option<Key>,
    /// What is wrong with it.
    pub why: String,
}

impl Defect {
    fn of(id: &Key, why: impl Into<String>) -> Self {
        Self { id: Some(id.clone()), why: why.into() }
    }
}

/// That an older state is read; every series of which a part is missing or of another series, and every
/// part of a series that is not there. Decodes the accounts and the heads of what they name; `Snapshot::verify` checks every byte.
pub(super) fn check(store: &dyn Readable) -> Result<Vec<Defect>> {
    let (mut starts, mut parts, mut accounts) = (HashMap::new(), HashMap::new(), Vec::new());
    let older = lost(store).map(|why| Defect { id: None, why });
    let mut out: Vec<Defect> = older.into_iter().collect();
    store.visit_index(&mut |ordinal, name, at| {
        let found = name.as_ref().and_then(parse);
        match found {
            Some((id, Role::Start)) => drop(starts.insert(id, (ordinal, at.weight))),
            Some((id, Role::Growth)) => accounts.push((id, ordinal)),
            Some((id, role)) => drop(parts.insert((id, role), (ordinal, u64::from(at.weight)))),
            None => {
                let id = name.unwrap_or_else(|| Key::from(ordinal));
                out.push(Defect::of(&id, "a record that is of no series"));
            }
        }
        Ok(())
    })?;
    let mut known = HashSet::new();
    let grown: HashSet<Key> = accounts.iter().map(|(id, _)| id.clone()).collect();
    let mut cut: Vec<&Key> = starts
        .iter()
        .filter(|(id, at)| at.1 == u32::MAX && !grown.contains(id))
        .map(|(id, _)| id)
        .collect();
    cut.sort();
    out.extend(cut.into_iter().map(|id| Defect::of(id, CUT)));
    for (id, ordinal) in accounts {
        let mut bad = |why: String| out.push(Defect::of(&id, why));
        let start = starts.get(&id).copied();
        let growth = match store.get_at(ordinal).and_then(|record| account_of(&record)) {
            Ok(growth) => growth,
            Err(error) => {
                bad(format!("its account cannot be read: {error}"));
                continue;
            }
        };
        // Whether a record is of the series of the account.
        let own = |ordinal| head_at(store, ordinal).map(|head| head.mark == growth.mark);
        let mut mixed = false;
        match start {
            None => bad("there is an account of it, and no start".into()),
            Some((_, weight)) if weight != u32::MAX => mixed = true,
            Some((ordinal, _)) => mixed = !own(ordinal)?,
        }
        let mark = growth.mark;
        let entry = KnownSeries {
            id: id.clone(),
            ordinal,
            start: growth.start,
            growth: Some(growth),
            stamp: (0, 0),
        };
        for part in entry.parts(0..entry.len()) {
            if part.role == Role::Start {
                continue;
            }
            let range = format!("{} to {}", part.first, part.first + part.points);
            match parts.get(&(id.clone(), part.role)) {
                None => bad(format!("its points {range} are missing")),
                Some((_, n)) if *n != part.points => {
                    bad(format!("{n} points are where its points {range} should be"));
                }
                Some((ordinal, _)) => mixed |= head_at(store, *ordinal)?.mark != mark,
            }
            known.insert(key(&id, part.role));
        }
        if mixed {
            out.push(Defect::of(&id, MIXED));
        }
    }
    let mut left: Vec<_> =
        parts.into_keys().filter(|(id, role)| !known.contains(&key(id, *role))).collect();
    left.sort();
    for (id, _) in left {
        let why = if starts.contains_key(&id) {
            "there are points that no account of it names"
        } else {
            "there are points of it, and no start"
        };
        out.push(Defect::of(&id, why));
    }
    Ok(out)
}
