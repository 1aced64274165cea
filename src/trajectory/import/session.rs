//! One import under way: which frames are taken, and what is known of where they came from.

use super::options::{Boundary, ImportOptions};
use super::reading::{Arrived, Next, Reading};
use super::record::{At, ImportRecord, InputEntry};
use crate::codec::{Codec, MdFrame, MdFrameCodec, Topology};
use crate::error::{Error, Result};
use crate::formats::{self, FramePlace, NameMap, Sum, Window};
use crate::printable::printable_path;
use crate::trajectory::positions::Positions;
use crate::trajectory::reader::Trajectory;
use crate::wire::Digest;
use std::sync::Arc;

/// What decides which frames are taken, and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) float32: bool,
    pub(super) precision: Option<f32>,
    pub(super) from_step: Option<i64>,
    pub(super) boundary: Boundary,
    pub(super) growing: bool,
    pub(super) map: NameMap,
}

impl Settings {
    /// Those under which the frames of a record were taken.
    pub(super) fn of(record: &ImportRecord) -> Self {
        Self {
            float32: record.float32,
            precision: record.precision,
            from_step: record.from_step,
            boundary: record.boundary,
            growing: record.growing,
            map: record.map.clone(),
        }
    }

    /// How positions are kept.
    pub(super) fn positions(&self, options: &ImportOptions) -> Positions {
        self.precision.map_or(options.positions, Positions::Rounded)
    }

    /// What a reader of the store sees of a frame that was taken.
    fn kept(&self, frame: &MdFrame) -> Result<MdFrame> {
        let positions = self.precision.map_or(Positions::AsGiven, Positions::Rounded);
        positions.kept(frame.clone())
    }
}

/// The record of the import, brought up to date with each frame.
pub(super) struct Session {
    pub(super) record: ImportRecord,
    pub(super) settings: Settings,
    /// Ordinal of the next frame, and the number in its key.
    pub(super) ordinal: u64,
    pub(super) key: u64,
    /// The last frame that was compared, with which the first one of an input that begins is
    /// compared.
    pub(super) last: Option<Arrived>,
    /// The stored frames, with the last of which the first one of an input that begins is compared.
    stored: Option<Trajectory>,
    /// The topology of the last input that brought one.
    topology: Option<(Arc<Topology>, Digest)>,
}

/// Whether two frames are the same to the last bit.
fn same(a: &MdFrame, b: &MdFrame) -> Result<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    MdFrameCodec.encode(a, &mut left)?;
    MdFrameCodec.encode(b, &mut right)?;
    Ok(left == right)
}

impl Session {
    pub(super) fn new(record: ImportRecord, settings: Settings, ordinal: u64, key: u64) -> Self {
        Self { record, settings, ordinal, key, last: None, stored: None, topology: None }
    }

    /// The frames that are stored already.
    pub(super) fn behind(&mut self, stored: Trajectory) {
        self.stored = Some(stored);
    }

    /// Whether the stored frame at `ordinal` is what would be stored of `frame`.
    pub(super) fn is_stored(
        &self,
        depot: &Trajectory,
        ordinal: u64,
        frame: &MdFrame,
    ) -> Result<bool> {
        let item = depot.get_at(ordinal)?;
        let there = match frame.topology {
            Some(_) => item.view()?.to_owned(),
            None => depot.joined(&item.view()?)?,
        };
        same(&there, &self.settings.kept(frame)?)
    }

    /// The next frame that is taken, after `before`; `None` at the end of all inputs.
    pub(super) fn next_taken(
        &mut self,
        reading: &mut Reading,
        mut spare: MdFrame,
        before: Option<&Arrived>,
    ) -> Result<Option<Arrived>> {
        loop {
            let mut arrived = match reading.next(std::mem::take(&mut spare))? {
                Next::Done => return Ok(None),
                Next::End { input, place, tail } => {
                    self.finish(reading, input, place, tail)?;
                    continue;
                }
                Next::Frame(arrived) => arrived,
            };
            if self.settings.float32 {
                arrived.frame = arrived.frame.narrowed()?;
            }
            self.refer(&mut arrived)?;
            if self.is_wanted(reading, &arrived, before)? {
                return Ok(Some(arrived));
            }
            reading.skipped += 1;
            self.passed(reading, &arrived)?;
            spare = arrived.frame;
        }
    }

    /// Lets a frame whose input says more of its atoms refer to that, and leaves out of the frame
    /// what it has from there.
    fn refer(&mut self, arrived: &mut Arrived) -> Result<()> {
        let Some(topology) = &arrived.topology else { return Ok(()) };
        let digest = match &self.topology {
            Some((last, digest)) if Arc::ptr_eq(last, topology) => *digest,
            _ => {
                let mut bytes = Vec::new();
                topology.encode(&mut bytes)?;
                self.topology.insert((topology.clone(), Digest::of(&bytes))).1
            }
        };
        let frame = &mut arrived.frame;
        frame.types.take_if(|types| topology.types.as_ref() == Some(types));
        frame.masses.take_if(|masses| topology.masses.as_ref() == Some(masses));
        frame.charges.take_if(|charges| topology.charges.as_ref() == Some(charges));
        frame.topology = Some(digest);
        Ok(())
    }

    fn is_wanted(
        &mut self,
        reading: &mut Reading,
        arrived: &Arrived,
        before: Option<&Arrived>,
    ) -> Result<bool> {
        if let Some(first) = self.settings.from_step {
            let step = arrived.frame.step.ok_or_else(|| {
                let at = format!("frame {}", arrived.begin.frame);
                let why = "it has no step, so that it cannot be compared with the one from which \
                           on frames are wanted; give the number of a frame instead";
                let error = Error::format("trajectory", at, why);
                match reading.given.get(arrived.input) {
                    Some(given) => error.at(&given.name),
                    None => error,
                }
            })?;
            if step < first {
                return Ok(false);
            }
        }
        if arrived.begin.frame > 0 {
            return Ok(true);
        }
        let shared = match (before, &self.stored) {
            (Some(before), _) => {
                before.input != arrived.input && same(&before.frame, &arrived.frame)?
            }
            (None, Some(depot)) if self.ordinal > 0 => {
                self.is_stored(depot, self.ordinal - 1, &arrived.frame)?
            }
            _ => false,
        };
        if !shared {
            return Ok(true);
        }
        let name = |input: usize| {
            reading
                .given
                .get(input)
                .map_or_else(String::new, |g| printable_path(&g.name).to_string())
        };
        let end = match before {
            Some(before) => name(before.input),
            None => "the store".into(),
        };
        let step = arrived.frame.step.map_or_else(String::new, |s| format!(" (step {s})"));
        let what = match self.settings.boundary {
            Boundary::Keep => "both are kept; --boundary drop keeps one of them",
            Boundary::Drop => "one of them is kept",
        };
        let note =
            format!("{} begins with the last frame of {end}{step}; {what}", name(arrived.input));
        reading.notes.push(note);
        Ok(self.settings.boundary == Boundary::Keep)
    }

    /// Notes that `arrived` is put next, at [`Self::ordinal`].
    pub(super) fn taken(&mut self, reading: &mut Reading, arrived: &Arrived) -> Result<()> {
        let row = self.row(reading, arrived.input, arrived.end, true)?;
        let (ordinal, key) = (self.ordinal, self.key);
        if let Some(row) = self.record.rows.get_mut(row) {
            // What comes behind it may have been passed over already.
            if arrived.end.frame > row.next.frame || row.next.byte == 0 {
                (row.next, row.tail) = (arrived.end, arrived.tail);
            }
            row.upto = ordinal + 1;
        }
        self.record.at = Some(At { row, place: arrived.begin, record: ordinal, key });
        Ok(())
    }

    /// Notes that it was put.
    pub(super) const fn put(&mut self) {
        self.ordinal += 1;
        self.key += 1;
    }

    fn passed(&mut self, reading: &mut Reading, arrived: &Arrived) -> Result<()> {
        let row = self.row(reading, arrived.input, arrived.end, false)?;
        if let Some(row) = self.record.rows.get_mut(row) {
            (row.next, row.tail) = (arrived.end, arrived.tail);
        }
        Ok(())
    }

    /// Notes that an input was read to its end.
    fn finish(
        &mut self,
        reading: &mut Reading,
        input: usize,
        place: FramePlace,
        tail: Option<Sum>,
    ) -> Result<()> {
        if let Some(given) = reading.given.get_mut(input) {
            given.done = true;
        }
        if place.frame == 0 {
            return Ok(());
        }
        let row = self.row(reading, input, place, false)?;
        let Some(given) = reading.given.get(input) else { return Ok(()) };
        let Some(row) = self.record.rows.get_mut(row) else { return Ok(()) };
        let tail = match tail {
            Some(tail) => Some(tail),
            None if row.next.byte == place.byte => Some(row.tail),
            None if given.path.is_some() => {
                let len = u32::try_from(place.byte).unwrap_or(u32::MAX).min(4096);
                let window = Window { end: place.byte, len };
                formats::window_sums(&given.name, &[window])?.into_iter().next().flatten()
            }
            None => None,
        };
        (row.next, row.tail) = (place, tail.unwrap_or_default());
        row.bytes = given.bytes;
        Ok(())
    }

    /// The row of an input, made if there is none; moved to the end if frames of others came
    /// after it and more of it are taken now.
    fn row(
        &mut self,
        reading: &mut Reading,
        input: usize,
        end: FramePlace,
        taken: bool,
    ) -> Result<usize> {
        let missing = || Error::invalid("input", "is not among those that are read");
        let given = reading.given.get_mut(input).ok_or_else(missing)?;
        let Some(row) = given.row else {
            let head = match given.path {
                None => Sum::default(),
                Some(_) => {
                    let head = formats::head(&given.name)?;
                    let len = usize::try_from(end.byte).unwrap_or(usize::MAX).min(head.len());
                    Sum::of(head.get(..len).unwrap_or_default())
                }
            };
            self.record.rows.push(InputEntry {
                file: given.file(),
                path: given.path.unwrap_or(0),
                format: given.kind.name().into(),
                bytes: given.bytes,
                first: self.ordinal,
                upto: self.ordinal,
                head,
                ..InputEntry::default()
            });
            let row = self.record.rows.len() - 1;
            given.row = Some(row);
            return Ok(row);
        };
        if !taken || self.record.at.is_none_or(|at| row >= at.row) {
            return Ok(row);
        }
        let moved = self.record.remove(row);
        self.record.rows.push(moved);
        let last = self.record.rows.len() - 1;
        for given in &mut reading.given {
            given.row = match given.row {
                Some(r) if r == row => Some(last),
                Some(r) if r > row => Some(r - 1),
                other => other,
            };
        }
        Ok(last)
    }
}
