//! What a reader has to say about frames that it read whole.

use super::names::NameMap;
use std::fmt;

/// What a reader met that a person should know of, though every frame was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReport {
    notes: Vec<Note>,
    /// In how many frames each name of the map was there, in the order of the map.
    mapped: Vec<(String, u64)>,
}

/// What was met, how often, and where first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What was met.
    pub kind: NoteKind,
    /// How often: sites for labels, otherwise frames.
    pub count: u64,
    /// Where it was met first, in words.
    pub first: String,
}

/// What a reader can meet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteKind {
    /// Sites whose label is of no element: their type is 0, and the labels are kept as the atom
    /// property `species`.
    UnknownLabel,
    /// A key or column of the name of a field that does not have the shape of the field: it is kept as
    /// a property.
    OtherShape(String),
    /// A file that ends before as many frames as its header claims.
    FewerFrames(u64),
    /// Atoms whose element is none of the periodic table, or is not stated where that of others is.
    UnknownElement,
    /// Bonds that name an atom that is not there, or a number that several atoms have.
    LostBonds,
    /// A cell in nested lists that is not symmetric: the rows are taken as the cell vectors, as
    /// the specification says, where some readers take the columns.
    CellInRows,
}

impl ReadReport {
    /// A report of a reader with these names in its map.
    pub(super) fn of(map: &NameMap) -> Self {
        Self { notes: Vec::new(), mapped: map.names().map(|n| (n.into(), 0)).collect() }
    }

    /// What was met.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Names of the map that no frame had.
    pub fn unmatched(&self) -> impl Iterator<Item = &str> {
        self.mapped.iter().filter(|(_, frames)| *frames == 0).map(|(name, _)| &**name)
    }

    /// Adds what another reader, of the next file, has to say.
    pub fn add(&mut self, other: &Self) {
        for note in &other.notes {
            self.count(&note.kind, note.count, || note.first.clone());
        }
        for (name, frames) in &other.mapped {
            match self.mapped.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum = sum.saturating_add(*frames),
                None => self.mapped.push((name.clone(), *frames)),
            }
        }
    }

    pub(super) fn count(&mut self, kind: &NoteKind, count: u64, first: impl FnOnce() -> String) {
        match self.notes.iter_mut().find(|n| n.kind == *kind) {
            Some(note) => note.count = note.count.saturating_add(count),
            None => self.notes.push(Note { kind: kind.clone(), count, first: first() }),
        }
    }

    /// Counts a frame that has the name of this number in the map.
    pub(super) fn matched(&mut self, number: usize) {
        if let Some((_, frames)) = self.mapped.get_mut(number) {
            *frames = frames.saturating_add(1);
        }
    }

    /// The same, with `path` before every place.
    pub(super) fn at(&self, path: &std::path::Path) -> Self {
        let mut all = self.clone();
        for note in &mut all.notes {
            note.first = format!("{}, {}", path.display(), note.first);
        }
        all
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.count;
        let s = if n == 1 { "" } else { "s" };
        match &self.kind {
            NoteKind::UnknownLabel => write!(
                f,
                "{n} site{s} of type 0: the label is not an element; the labels are kept as atom property \
                 species"
            ),
            NoteKind::OtherShape(name) => write!(
                f,
                "`{name}` does not have the type and shape of the field of that name in {n} frame{s}; it \
                 is kept as a property"
            ),
            NoteKind::FewerFrames(claimed) => write!(
                f,
                "{n} frame{s} fewer than the {claimed} that the header of the file claims: the \
                 program that wrote it was stopped, or the file was cut between two frames"
            ),
            NoteKind::UnknownElement => write!(
                f,
                "{n} atom{s} of type 0: the columns of the element are empty or name none"
            ),
            NoteKind::LostBonds => write!(
                f,
                "{n} bond{s} of CONECT left out: the serial number is that of no atom, or of several"
            ),
            NoteKind::CellInRows => write!(
                f,
                "Lattice stands in nested lists and is not symmetric in {n} frame{s}; its rows \
                 are taken as the cell vectors, as the specification says (some readers take the \
                 columns)"
            ),
        }?;
        write!(f, " (first: {})", self.first)
    }
}
