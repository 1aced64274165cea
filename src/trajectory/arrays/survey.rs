//! Which fields the frames of a store have, looked up in some of them.

use super::field::{FIELDS, Name};
use crate::codec::{
    AnyCodec, DType, MdFrameCodec, MdFrameRef, MdFrameView, TopologyView, ValuesView,
};
use crate::error::{Error, Result};
use crate::store::{Readable, Record};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Frames that are looked at, at most, spread over the store: a field of fewer is not found.
const FRAMES: u64 = 1024;
/// Frames that are fetched together.
const WINDOW: usize = 32;

/// Type, shape of an entry, and whether there is one for each site.
pub(super) type Form = (DType, Vec<u32>, bool);

/// The fields that were found.
#[derive(Default)]
pub(super) struct Survey {
    /// Frames that were looked at.
    pub(super) frames: usize,
    /// Whether these are all.
    pub(super) all: bool,
    /// Which standard fields the first frame has.
    pub(super) first: Vec<&'static str>,
    forms: BTreeMap<String, Option<Form>>,
}

impl Survey {
    /// Looks at the frames of a store until each of `names` was found.
    pub(super) fn of(from: &dyn Readable, names: &[String]) -> Result<Self> {
        let len = from.len();
        let count = len.min(FRAMES);
        // The first, the last, and what is evenly between them.
        let at = |i: u64| i * (len - 1) / (count - 1).max(1);
        let ordinals: Vec<u64> = (0..count).map(at).collect();
        let mut out = Self { all: count == len, ..Self::default() };
        let mut topologies: HashMap<_, Record> = HashMap::new();
        let mut look = |out: &mut Self, window: &[u64]| -> Result<()> {
            let batch = from.get_batch_at(window)?.replaced(|b| MdFrameCodec.expand(b))?;
            for bytes in batch.iter() {
                let frame = MdFrameView::new(bytes)?;
                let Some(digest) = frame.topology() else {
                    out.add(frame.fields());
                    continue;
                };
                let record: &Record = match topologies.entry(digest) {
                    Entry::Occupied(found) => found.into_mut(),
                    Entry::Vacant(place) => place.insert(from.shared(&digest)?),
                };
                let topology = TopologyView::new(record)?;
                out.add(&frame.fields().joined(topology.fields())?);
            }
            Ok(())
        };
        let mut damage = None;
        for window in ordinals.chunks(WINDOW) {
            let before = out.frames;
            match look(&mut out, window) {
                // A damaged frame is no error here: a survey needs no frame in particular, and whoever reads that frame
                // gets the error. The readable frames of the window are counted again, one by one.
                Err(e) if e.is_damage() => {
                    out.frames = before;
                    for one in window {
                        match look(&mut out, std::slice::from_ref(one)) {
                            Err(e) if e.is_damage() => damage = damage.or(Some(e)),
                            looked => looked?,
                        }
                    }
                }
                looked => looked?,
            }
            if out.frames > 0 && names.iter().all(|name| out.forms.contains_key(name)) {
                break;
            }
        }
        match damage {
            Some(damage) if out.frames == 0 => Err(damage),
            _ => Ok(out),
        }
    }

    fn add(&mut self, frame: &MdFrameRef<'_>) {
        let there: Vec<&str> = FIELDS.into_iter().filter(|name| self.note(frame, name)).collect();
        for property in frame.atom_properties.iter().chain(&frame.frame_properties) {
            match property.values {
                ValuesView::Str(_) => {
                    self.forms.entry(property.name.to_owned()).or_default();
                }
                _ => {
                    self.note(frame, property.name);
                }
            }
        }
        if self.frames == 0 {
            self.first = there;
        }
        self.frames += 1;
    }

    /// Notes how the field `name` looks, if the frame has it.
    fn note(&mut self, frame: &MdFrameRef<'_>, name: &str) -> bool {
        let Some(found) = Name::new(name).find(frame) else { return false };
        // A text may have the same name, of the atoms or in another frame.
        let known = self.forms.entry(name.to_owned()).or_default();
        if known.is_none() {
            *known = Some((found.piece.kind(), found.item_shape.to_vec(), found.by_site));
        }
        true
    }

    /// How the field `name` looks, if a frame with it was found.
    pub(super) fn form(&self, name: &str) -> Option<Form> {
        self.forms.get(name).cloned().flatten()
    }

    /// Why there is no array of the field `name`.
    pub(super) fn unknown(&self, name: &str) -> Error {
        if self.forms.contains_key(name) {
            return Error::invalid(
                "fields",
                format!("{name:?} is a string, which cannot be in an array"),
            );
        }
        let mut known = FIELDS.join(", ");
        let extra: Vec<&str> = self
            .forms
            .iter()
            .filter(|(name, form)| form.is_some() && !FIELDS.contains(&name.as_str()))
            .map(|(name, _)| name.as_str())
            .collect();
        if !extra.is_empty() {
            known = format!("{known}, and the extra properties {}", extra.join(", "));
        }
        let seen = match (self.frames, self.all) {
            (0, _) | (_, true) => String::new(),
            (n, false) => format!(" in {n} frames that were looked at"),
        };
        Error::invalid("fields", format!("{name:?} does not exist{seen}; available: {known}"))
    }
}
