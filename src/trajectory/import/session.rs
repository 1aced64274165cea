//! One import under way: which frames are taken, and what is known of where they came from.

use super::duplicates::{Known, Mark, Met, Span};
use super::options::{Duplicates, ImportOptions, Masses};
use super::reading::{Arrived, Next, Reading};
use super::record::{At, ImportRecord, InputEntry};
use super::weigh::Weigher;
use crate::codec::{AnyCodec, Codec, MdFrame, MdFrameCodec, Topology, TopologyView};
use crate::error::{Error, Result};
use crate::formats::{self, ContentPart, FramePlace, NameMap, Sum};
use crate::printable::printable;
use crate::store::{Readable, Record};
use crate::trajectory::positions::Positions;
use crate::wire::Digest;
use std::borrow::Cow;
use std::sync::Arc;

/// What decides which frames are taken, and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) float32: bool,
    pub(super) precision: Option<f32>,
    pub(super) masses: Masses,
    pub(super) from_step: Option<i64>,
    pub(super) duplicates: Duplicates,
    pub(super) growing: bool,
    pub(super) map: NameMap,
}

impl Settings {
    /// Those under which the frames of a record were taken.
    pub(super) fn of(record: &ImportRecord) -> Self {
        Self {
            float32: record.float32,
            precision: record.precision,
            masses: record.masses,
            from_step: record.from_step,
            duplicates: record.duplicates,
            growing: record.growing,
            map: record.map.clone(),
        }
    }

    /// How positions are kept.
    pub(super) fn positions(&self, options: &ImportOptions) -> Positions {
        self.precision.map_or(options.positions, Positions::Rounded)
    }

    /// What a reader of the store sees of a frame that was taken.
    fn kept<'a>(&self, frame: &'a MdFrame) -> Result<Cow<'a, MdFrame>> {
        match self.precision {
            None => Ok(Cow::Borrowed(frame)),
            Some(precision) => Positions::Rounded(precision).kept(frame.clone()).map(Cow::Owned),
        }
    }
}

/// The record of the import, brought up to date with each frame.
pub(super) struct Session {
    pub(super) record: ImportRecord,
    pub(super) settings: Settings,
    /// Ordinal of the next frame, and the number in its key.
    pub(super) ordinal: u64,
    pub(super) key: u64,
    /// The last frame that was compared.
    pub(super) last: Option<Arrived>,
    /// The frames that were taken.
    pub(super) known: Known,
    weigher: Weigher,
    /// The topology of the last input that brought one.
    topology: Option<(Arc<Topology>, Digest)>,
}

/// Whether two frames are the same to the last bit; `but_clock`: but for their steps and times.
fn same(a: &MdFrame, b: &MdFrame, but_clock: bool) -> Result<bool> {
    if a.nsites != b.nsites {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (frame, out) in [(a, &mut left), (b, &mut right)] {
        let mut view = frame.view();
        if but_clock {
            (view.step, view.time) = (None, None);
        }
        MdFrameCodec.encode_ref(&view, out)?;
    }
    Ok(left == right)
}

/// The frame at `ordinal`, joined with its topology if `joined`.
fn stored(source: &dyn Readable, ordinal: u64, joined: bool) -> Result<MdFrame> {
    let record = source.get_at(ordinal)?;
    let record = MdFrameCodec.expand(&record)?.map_or(record, Record::from);
    let view = MdFrameCodec.decode(&record)?;
    match view.topology().filter(|_| joined) {
        None => view.try_to_owned(),
        Some(digest) => {
            let shared = source.shared(&digest)?;
            view.fields().joined(TopologyView::new(&shared)?.fields())?.try_to_owned()
        }
    }
}

impl Session {
    pub(super) fn new(
        record: ImportRecord,
        settings: Settings,
        ordinal: u64,
        key: u64,
        known: Known,
    ) -> Self {
        Self {
            record,
            settings,
            ordinal,
            key,
            last: None,
            known,
            weigher: Weigher::default(),
            topology: None,
        }
    }

    /// Whether the stored frame at `ordinal` is what would be stored of `frame`.
    pub(super) fn is_stored(
        &self,
        source: &dyn Readable,
        ordinal: u64,
        frame: &MdFrame,
    ) -> Result<bool> {
        self.equals_stored(source, ordinal, frame, false)
    }

    fn equals_stored(
        &self,
        source: &dyn Readable,
        ordinal: u64,
        frame: &MdFrame,
        but_clock: bool,
    ) -> Result<bool> {
        let there = stored(source, ordinal, frame.topology.is_none())?;
        same(&there, &*self.settings.kept(frame)?, but_clock)
    }

    /// The next frame that is taken, after `before`; `None` at the end of all inputs. `source` has
    /// the frames before it, but for `before`, which may not be put yet.
    pub(super) fn next_taken(
        &mut self,
        reading: &mut Reading,
        mut spare: MdFrame,
        before: Option<&Arrived>,
        source: Option<&dyn Readable>,
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
            if self.settings.masses == Masses::OfElements {
                self.weigher.weigh(&mut arrived).map_err(|e| {
                    let at = format!("frame {}", arrived.begin.frame);
                    let error = Error::format("trajectory", at, e.to_string());
                    match reading.given.get(arrived.input) {
                        Some(given) => error.at(&given.name),
                        None => error,
                    }
                })?;
            }
            if self.settings.float32 {
                arrived.frame = arrived.frame.narrowed()?;
            }
            self.refer(&mut arrived)?;
            if self.is_wanted(reading, &arrived)?
                && self.look_up(reading, &mut arrived, before, source)?
            {
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

    fn is_wanted(&self, reading: &Reading, arrived: &Arrived) -> Result<bool> {
        let Some(first) = self.settings.from_step else { return Ok(true) };
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
        Ok(step >= first)
    }

    /// Looks for a frame that was taken before and is the same or another version of this one, and
    /// says whether this one is taken.
    fn look_up(
        &mut self,
        reading: &Reading,
        arrived: &mut Arrived,
        before: Option<&Arrived>,
        source: Option<&dyn Readable>,
    ) -> Result<bool> {
        // Rounding counts only where positions do.
        let mark = match self.known.looks_at_content(&arrived.frame) {
            true => self.known.mark(&*self.settings.kept(&arrived.frame)?),
            false => self.known.mark(&arrived.frame),
        };
        let how = self.settings.duplicates;
        let found = match self.known.find(&mark) {
            Some(ordinal) => {
                let compared = self.known.compares(how, &mark);
                let met = if compared {
                    self.compare(arrived, &mark, ordinal, before, source)?
                } else {
                    self.known.is_version(&mark).then_some(Met::Other)
                };
                met.map(|met| (ordinal, met, compared))
            }
            None => None,
        };
        let Some((ordinal, met, compared)) = found else {
            self.known.take(mark, None);
            return Ok(true);
        };
        let at = (arrived.input, arrived.begin.frame);
        let begins = self.known.begins_span(at, met);
        let of = match begins || how == Duplicates::Refuse {
            true => self.whose(reading, arrived.input, ordinal, before),
            false => String::new(),
        };
        let mut span = Span::of_one(at, mark.clock, met, of);
        if how == Duplicates::Refuse {
            let why = format!(
                "{}; --duplicates keep stores both, drop stores the same frame once, latest \
                 stores the later of two versions",
                span.what()
            );
            let error = Error::format("trajectory", format!("frame {}", at.1), why);
            return Err(match reading.given.get(arrived.input) {
                Some(given) => error.at(&given.name),
                None => error,
            });
        }
        let replaces = (how == Duplicates::Latest && met == Met::Other)
            .then_some(ordinal)
            .filter(|ordinal| self.known.may_replace(*ordinal));
        span.replaced = replaces.map_or(0, |ordinal| self.known.next() - ordinal);
        span.assumed = !compared;
        self.known.meet(span, begins);
        if met == Met::Same && matches!(how, Duplicates::Drop | Duplicates::Latest) {
            return Ok(false);
        }
        self.known.take(mark, replaces);
        arrived.replaces = replaces;
        Ok(true)
    }

    fn compare(
        &self,
        arrived: &Arrived,
        mark: &Mark,
        ordinal: u64,
        before: Option<&Arrived>,
        source: Option<&dyn Readable>,
    ) -> Result<Option<Met>> {
        let but_clock = self.known.counted();
        let equal = match (before.filter(|_| ordinal + 1 == self.known.next()), source) {
            (Some(before), _) => same(
                &*self.settings.kept(&before.frame)?,
                &*self.settings.kept(&arrived.frame)?,
                but_clock,
            )?,
            (None, Some(source)) => {
                self.equals_stored(source, ordinal, &arrived.frame, but_clock)?
            }
            (None, None) => return Ok(None),
        };
        Ok(match equal {
            true => Some(Met::Same),
            false => self.known.is_version(mark).then_some(Met::Other),
        })
    }

    /// What the frame at `ordinal` is of, as a person calls it.
    fn whose(
        &self,
        reading: &Reading,
        input: usize,
        ordinal: u64,
        before: Option<&Arrived>,
    ) -> String {
        if let Some(before) = before.filter(|_| ordinal + 1 == self.known.next()) {
            return if before.input == input {
                "the same file".into()
            } else {
                reading.name(before.input)
            };
        }
        let rows = &self.record.rows;
        let row = rows.iter().rposition(|row| (row.first..row.upto).contains(&ordinal));
        match row {
            Some(row) if reading.given.get(input).is_some_and(|g| g.row == Some(row)) => {
                "the same file".into()
            }
            Some(row) => {
                rows.get(row).map_or_else(String::new, |row| printable(&row.file).to_string())
            }
            None => "the store".into(),
        }
    }

    /// Notes that the frames from `ordinal` on were deleted; the next one gets this key.
    pub(super) fn rewind(&mut self, ordinal: u64, key: u64) {
        self.record.replace_from(ordinal);
        (self.ordinal, self.key) = (ordinal, key);
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
                let part = ContentPart { end: place.byte, len };
                formats::part_sums(&given.name, &[part])?.into_iter().next().flatten()
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
            // The frame before it may not be put yet.
            let first = if taken { self.ordinal } else { self.known.next() };
            self.record.rows.push(InputEntry {
                file: given.file(),
                path: given.path.unwrap_or(0),
                format: given.kind.name().into(),
                bytes: given.bytes,
                first,
                upto: first,
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
