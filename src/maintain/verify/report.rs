//! What a check found: each damage once, with what follows from it.

use crate::error::Error;
use std::collections::HashMap;
use std::fmt;

/// What is said of records whose bytes are damaged.
pub(crate) const UNREAD: &str = "cannot be read";
/// What is said of records to which no key leads.
pub(crate) const NOT_FOUND: &str = "cannot be found by key";

/// One damage, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The record that is damaged itself, as a person would write its key; `at n` for one
    /// without a key. Records that suffer from the damage of something else are in `effects`.
    pub record: Option<Box<str>>,
    /// Its ordinal.
    pub ordinal: Option<u64>,
    /// The damaged part of the file, in the words of `docs/format.md`.
    pub part: Box<str>,
    /// Where in the file, in bytes, if that is known.
    pub offset: Option<u64>,
    /// How the damage shows.
    pub why: Box<str>,
    /// What follows from it.
    pub effects: Vec<Effect>,
}

/// Something that follows from a damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What: "cannot be read", said of the records.
    pub what: Box<str>,
    /// How many records this is said of; 0 if it is said of something else.
    pub count: u64,
    /// The records, as far as they are known, in the order of the store.
    pub records: Vec<Affected>,
}

/// A record that suffers from a damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Its key, as a person would write it; `at n` for one without a key.
    pub record: Box<str>,
    /// Its ordinal; `None` for a shared record.
    pub ordinal: Option<u64>,
}

/// Names that a line shows.
const SHOWN: usize = 5;

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.records.as_slice()) {
            (0, _) => return write!(f, "{}", self.what),
            (1, [one]) => {
                write!(f, "record {}", one.record)?;
                if let Some(o) = one.ordinal {
                    write!(f, " (ordinal {o})")?;
                }
                return write!(f, " {}", self.what);
            }
            (1, _) => write!(f, "1 record {}", self.what)?,
            (n, _) => write!(f, "{n} records {}", self.what)?,
        }
        for (i, one) in self.records.iter().take(SHOWN).enumerate() {
            write!(f, "{} {}", if i == 0 { ":" } else { "," }, one.record)?;
        }
        if let (Some(last), true) = (self.records.last(), self.records.len() > SHOWN) {
            write!(f, ", ... {}", last.record)?;
        }
        Ok(())
    }
}

/// The damage and what follows from it, in one line.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause(f)?;
        self.effects.iter().try_for_each(|effect| write!(f, "; {effect}"))
    }
}

impl Damage {
    pub(crate) fn of(error: &Error) -> Self {
        match error.root() {
            Error::Corrupt(c) => Self::new(c.part, Some(c.offset), c.why),
            other => Self::new("store", None, other.to_string()),
        }
    }

    /// A damage of which nothing follows yet.
    #[must_use]
    pub fn new(part: impl Into<Box<str>>, offset: Option<u64>, why: impl Into<Box<str>>) -> Self {
        let (part, why) = (part.into(), why.into());
        Self { record: None, ordinal: None, part, offset, why, effects: Vec::new() }
    }

    /// The damage without what follows from it, in one line.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn cause(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match (&self.record, self.ordinal) {
            (Some(key), Some(o)) => write!(f, "record {key} (ordinal {o}): ")?,
            (Some(key), None) => write!(f, "record {key}: ")?,
            _ => {}
        }
        write!(f, "{}", self.part)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.why)
    }

    fn add(&mut self, what: &str, count: u64, records: impl IntoIterator<Item = Affected>) {
        let at = self.effects.iter().position(|e| *e.what == *what).unwrap_or_else(|| {
            self.effects.push(Effect { what: what.into(), count: 0, records: Vec::new() });
            self.effects.len() - 1
        });
        if let Some(effect) = self.effects.get_mut(at) {
            effect.count += count;
            effect.records.extend(records);
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Live records whose place and bytes were checked.
    pub records: u64,
    /// Shared records that were checked.
    pub shared: u64,
    /// Blocks that were decoded.
    pub blocks: u64,
    /// Bytes that they hold, decoded.
    pub bytes: u64,
    /// Blocks without a checksum: those of a file of the original.
    pub unchecked: u64,
    /// Everything that is wrong: each damage once, with what follows from it.
    pub damages: Vec<Damage>,
    /// Something that other programs would trip over, while everything of ours is whole: the
    /// Blosc2 frame around the chunks.
    pub frame: Option<Box<str>>,
}

impl Verified {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.damages.is_empty()
    }

    /// Every record that suffers from a damage; one that suffers from several, more than once.
    pub fn affected(&self) -> impl Iterator<Item = &Affected> {
        self.damages.iter().flat_map(|d| &d.effects).flat_map(|e| &e.records)
    }

    /// Adds what a further check found. A damage that is known already gets what follows from
    /// it there too.
    pub fn extend(&mut self, damages: Vec<Damage>) {
        let mut all = Causes::from(std::mem::take(&mut self.damages));
        for damage in damages {
            let effects = damage.effects.clone();
            let at = all.cause(Damage { effects: Vec::new(), ..damage });
            for e in effects {
                all.add(at, &e.what, e.count, e.records);
            }
        }
        self.damages = all.into_list();
    }
}

/// What tells one damage from another: its part, its place, and how it shows.
type Name = (Box<str>, Option<u64>, Box<str>);

/// Damages as they are found: the same one is kept once.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    list: Vec<Damage>,
    known: HashMap<Name, usize>,
}

impl From<Vec<Damage>> for Causes {
    fn from(list: Vec<Damage>) -> Self {
        let mut out = Self::default();
        for damage in list {
            out.cause(damage);
        }
        out
    }
}

impl Causes {
    /// The number of this damage.
    pub(crate) fn cause(&mut self, damage: Damage) -> usize {
        let name = (damage.part.clone(), damage.offset, damage.why.clone());
        *self.known.entry(name).or_insert_with(|| {
            self.list.push(damage);
            self.list.len() - 1
        })
    }

    /// A record suffers from the damage `cause`.
    pub(crate) fn affect(&mut self, cause: usize, what: &str, who: Affected) {
        self.add(cause, what, 1, [who]);
    }

    /// Something follows for `count` records of which nothing is known, or for something else
    /// than records if that is 0.
    pub(crate) fn follow(&mut self, cause: usize, what: &str, count: u64) {
        self.add(cause, what, count, []);
    }

    fn add(
        &mut self,
        cause: usize,
        what: &str,
        count: u64,
        records: impl IntoIterator<Item = Affected>,
    ) {
        if let Some(damage) = self.list.get_mut(cause) {
            damage.add(what, count, records);
        }
    }

    pub(crate) fn into_list(self) -> Vec<Damage> {
        self.list
    }
}
