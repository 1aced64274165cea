//! Where an import goes on: what the store says of its inputs, compared with the inputs and with
//! the frames that are stored. What cannot be settled is refused.

use super::duplicates::Known;
use super::inputs::Given;
use super::match_inputs;
use super::options::{Begin, Duplicates, ImportOptions, Masses, Target};
use super::reading::{Arrived, Reading};
use super::record::ImportRecord;
use super::session::{Session, Settings};
use crate::codec::MdFrame;
use crate::error::{Error, Result, Unresumed};
use crate::formats::{FramePlace, InputOptions};
use crate::key::Key;
use crate::printable::printable_path;
use crate::store::Readable;
use crate::trajectory::reader::Trajectory;

/// What there is to go on from.
pub(super) struct Resumption {
    /// Goes on behind the frames that are stored.
    pub(super) session: Session,
    pub(super) reading: Reading,
    /// Whether the record of the store was followed.
    pub(super) resumed: bool,
}

/// Settles where reading begins in each of the inputs, and under which number frames go on.
///
/// `depot` has the frames that are stored. Where there is none, `begun` may be the record of an
/// import that was stopped before its first commit.
pub(super) fn resume(
    given: Vec<Given>,
    depot: Option<&Trajectory>,
    begun: Option<&ImportRecord>,
    options: &ImportOptions,
) -> Result<Resumption> {
    let Some(depot) = depot else {
        let mut resumption = fresh(given, None, options)?;
        if let Some(begun) = begun {
            resumption.session.settings = settings(options, Some(begun));
            resumption.reading.set_growing(resumption.session.settings.growing);
            let prefix = options.key_prefix.as_ref().or(begun.key_prefix.as_ref());
            resumption.session.record.key_prefix = prefix.cloned();
        }
        return Ok(resumption);
    };
    let stream = given.iter().find(|g| g.path.is_none());
    if let Some(stream) = stream
        && !options.keep_all
        && !options.drop_newer
    {
        let why = "what was stored of it cannot be told from what is to come; to add all of it, \
                   say so";
        return Err(Error::resume(Unresumed::Stream, why).at(&stream.name));
    }
    let record = ImportRecord::of(&depot.snapshot().attributes());
    if let (Some(record), Some(prefix)) = (&record, &options.key_prefix)
        && !options.drop_newer
        && record.at.is_some()
        && record.key_prefix.as_ref() != Some(prefix)
    {
        let has = match &record.key_prefix {
            Some(has) => format!("{has:?} and their number"),
            None => "their number alone".into(),
        };
        let why = format!("frames of the store are named by {has}, not by {prefix:?} and a number");
        return Err(Error::resume(Unresumed::Options, why));
    }
    if options.keep_all || options.drop_newer {
        if options.keep_all && options.begin.is_none() {
            refuse_half(&given, record.as_ref())?;
        }
        return fresh(given, Some((depot, record)), options);
    }
    let Some(record) = record else {
        if options.begin.is_some() {
            return fresh(given, Some((depot, None)), options);
        }
        let why = format!(
            "the store has {} frames and does not say from which inputs they come",
            depot.len()
        );
        return Err(Error::resume(Unresumed::Unknown, why));
    };
    let (given, record, error) = match behind(given, depot, record, options) {
        Ok(resumption) => return Ok(resumption),
        Err(refused) => *refused,
    };
    match error.root() {
        Error::Resume { reason: Unresumed::Changed | Unresumed::Unknown, .. }
            if options.begin.is_some() =>
        {
            fresh(given, Some((depot, Some(record))), options)
        }
        _ => Err(error),
    }
}

/// All frames of the inputs are taken, from where they are told to begin.
fn fresh(
    mut given: Vec<Given>,
    stored: Option<(&Trajectory, Option<ImportRecord>)>,
    options: &ImportOptions,
) -> Result<Resumption> {
    for given in &mut given {
        (given.row, given.begin, given.done) = (None, FramePlace::default(), false);
    }
    let settings = settings(options, None);
    let mut record = ImportRecord::default();
    let (mut ordinal, mut key) = (0, 0);
    let stored_frames = stored.as_ref().map(|(depot, _)| (*depot).clone());
    if let Some((depot, there)) = stored {
        ordinal = depot.len();
        let recorded = there.as_ref().and_then(|r| r.records);
        // Frames that came from elsewhere, or of an input that was not read to its end.
        let unknown = recorded.is_none_or(|n| n < ordinal);
        record = there.unwrap_or_default();
        if record.records.is_none()
            && let Some(at) = record.at.take()
        {
            // What it says of the input in which it was stopped is not up to date.
            record.rows.truncate(at.row);
        }
        record.unknown = record.unknown.saturating_add(u64::from(unknown));
        let prefix = options.key_prefix.clone().or_else(|| record.key_prefix.take());
        record.key_prefix = prefix;
        if let Some(begin) = options.begin.filter(|_| options.drop_newer) {
            ordinal = kept(depot, begin, record.key_prefix.as_deref())?;
            let here = |path: u64| given.iter().any(|g| g.path == Some(path));
            record.rows.retain(|row| row.upto <= ordinal || !here(row.path));
            record.cut(ordinal);
        }
        key = next_key(depot.snapshot(), ordinal, record.key_prefix.as_deref())?;
    } else {
        record.key_prefix.clone_from(&options.key_prefix);
    }
    let mut known = known(&given);
    if let Some(depot) = stored_frames {
        known.seed(depot.snapshot(), ordinal, settings.duplicates != Duplicates::Keep)?;
    }
    let reading = reading(given, options, &settings);
    let session = Session::new(record, settings, ordinal, key, known);
    Ok(Resumption { session, reading, resumed: false })
}

fn known(given: &[Given]) -> Known {
    Known::new(given.iter().any(|g| g.kind.counts_steps()))
}

fn reading(given: Vec<Given>, options: &ImportOptions, settings: &Settings) -> Reading {
    let skip = match options.begin {
        Some(Begin::Frame(n)) => n,
        _ => 0,
    };
    let read = InputOptions { map: settings.map.clone(), ..options.read.clone() };
    Reading::new(given, read, skip, settings.growing)
}

/// What holds from now on: what is asked for, else what an import that was interrupted said.
fn settings(options: &ImportOptions, record: Option<&ImportRecord>) -> Settings {
    let open = record.filter(|r| !r.ended);
    let appending = options.target == Target::Append;
    Settings {
        float32: options.float32 || record.is_some_and(|r| r.float32),
        precision: options.precision.or_else(|| record.and_then(|r| r.precision)),
        masses: match (options.masses, record) {
            (Masses::AsGiven, Some(record)) => record.masses,
            (asked, _) => asked,
        },
        from_step: match options.begin {
            Some(Begin::Step(step)) => Some(step),
            Some(Begin::Frame(_)) => None,
            None => open.and_then(|r| r.from_step),
        },
        duplicates: options.duplicates.or_else(|| open.map(|r| r.duplicates)).unwrap_or_default(),
        growing: options.growing.or_else(|| open.map(|r| r.growing)).unwrap_or(appending),
        map: match record {
            Some(record) if options.read.map.is_empty() => record.map.clone(),
            _ => options.read.map.clone(),
        },
    }
}

/// All frames of an input would be added, though an import of it was stopped in its middle.
fn refuse_half(given: &[Given], record: Option<&ImportRecord>) -> Result<()> {
    let Some(record) = record.filter(|r| !r.ended) else { return Ok(()) };
    let Some(row) = record.at.and_then(|at| record.rows.get(at.row)) else { return Ok(()) };
    if given.iter().any(|g| g.path == Some(row.path)) {
        let why = format!(
            "an import of {} was stopped after frame {}; it is not known which frames are meant \
             by all",
            row.file,
            row.next.frame.saturating_sub(1)
        );
        return Err(Error::resume(Unresumed::Unfinished, why));
    }
    Ok(())
}

/// The inputs and the record, given back, and why.
type Refused = Box<(Vec<Given>, ImportRecord, Error)>;

/// Goes on behind what the record says, if everything agrees with it.
fn behind(
    mut given: Vec<Given>,
    depot: &Trajectory,
    record: ImportRecord,
    options: &ImportOptions,
) -> std::result::Result<Resumption, Refused> {
    let prepared = match prepare(&mut given, depot, &record, options) {
        Ok(prepared) => prepared,
        Err(error) => return Err(Box::new((given, record, error))),
    };
    let mut resumption = {
        let first = prepared.current.unwrap_or(0);
        let mut order: Vec<usize> = (first..given.len()).collect();
        order.extend(0..first);
        let known = known(&given);
        let mut reading = reading(given, options, &Settings::of(&record));
        reading.reorder(order);
        reading.notes = prepared.notes;
        let (ordinal, key) =
            (record.at.map_or(0, |at| at.record), record.at.map_or(0, |at| at.key));
        let session = Session::new(record.clone(), Settings::of(&record), ordinal, key, known);
        Resumption { session, reading, resumed: true }
    };
    match finish(&mut resumption, depot, &record, options, prepared.current.is_some()) {
        Ok(()) => Ok(resumption),
        Err(error) => Err(Box::new((resumption.reading.given, record, error))),
    }
}

struct Prepared {
    /// The input that is the one in which the record's place is.
    current: Option<usize>,
    notes: Vec<String>,
}

fn prepare(
    given: &mut [Given],
    depot: &Trajectory,
    record: &ImportRecord,
    options: &ImportOptions,
) -> Result<Prepared> {
    let found = match_inputs::find(given, record)?;
    let current = record.at.and_then(|at| given.iter().position(|g| g.row == Some(at.row)));
    let row = record.at.and_then(|at| record.rows.get(at.row));
    let stored = depot.len();
    if let (None, Some(row)) = (current, row)
        && !record.ended
    {
        let why = format!(
            "an import was stopped after frame {} of {}, which is not among the inputs; go on with \
             that one first",
            row.next.frame.saturating_sub(1),
            row.file
        );
        return Err(Error::resume(Unresumed::Unfinished, why));
    }
    if record.records.is_some_and(|n| n != stored) || record.at.is_some_and(|at| at.record > stored)
    {
        return Err(changed(record, stored));
    }
    if record.unknown > 0 && given.iter().any(|g| g.row.is_none()) {
        let why = "the store has frames of inputs that it does not list; it cannot be known whether \
                   those of this one are among them";
        let new = given.iter().find(|g| g.row.is_none());
        let error = Error::resume(Unresumed::Unknown, why);
        return Err(
            new.map_or_else(|| Error::resume(Unresumed::Unknown, why), |g| error.at(&g.name))
        );
    }
    if current.is_some() {
        contradicted(record, options)?;
    }
    let growing = settings(options, Some(record)).growing;
    for (i, given) in given.iter_mut().enumerate() {
        let Some(row) = given.row.and_then(|row| record.rows.get(row)) else { continue };
        if row.kind() != Some(given.kind) {
            let why = format!(
                "it was read as {}, and would be read as {}",
                row.format,
                given.kind.name()
            );
            return Err(Error::resume(Unresumed::Options, why).at(&given.name));
        }
        if Some(i) == current {
            given.begin = record.at.map_or(row.next, |at| at.place);
            continue;
        }
        given.begin = row.next;
        let mut reader = given.open(&options.read)?;
        given.done = reader.go_to(row.next)?
            && match reader.skip(1) {
                Ok(frames) => frames == 0 || (growing && reader.unfinished()),
                Err(_) => growing && reader.unfinished(),
            };
    }
    Ok(Prepared { current, notes: found.notes })
}

fn contradicted(record: &ImportRecord, options: &ImportOptions) -> Result<()> {
    let rounded =
        |p: Option<f32>| p.map_or_else(|| "as given".into(), |p| format!("rounded to 1/{p}"));
    if options.precision.is_some() && options.precision != record.precision {
        let why = format!(
            "positions of the frames that are stored of it are {}, not {}",
            rounded(record.precision),
            rounded(options.precision)
        );
        return Err(Error::resume(Unresumed::Options, why));
    }
    if options.float32 && !record.float32 {
        let why = "the frames that are stored of it were not narrowed to float32";
        return Err(Error::resume(Unresumed::Options, why));
    }
    if options.masses != Masses::AsGiven && options.masses != record.masses {
        let why = "the frames that are stored of it have no masses of the elements";
        return Err(Error::resume(Unresumed::Options, why));
    }
    let map = &options.read.map;
    if !map.is_empty() && *map != record.map {
        let all: Vec<_> = record.map.pairs().map(|(from, to)| format!("{from}={to}")).collect();
        let read = if all.is_empty() { "no name mapped".into() } else { all.join(", ") };
        let why = format!("the frames that are stored of it were read with {read}");
        return Err(Error::resume(Unresumed::Options, why));
    }
    Ok(())
}

fn changed(record: &ImportRecord, stored: u64) -> Error {
    let file = record.at.and_then(|at| record.rows.get(at.row)).map_or("", |row| &row.file);
    let why = match record.records {
        Some(n) if n != stored => format!(
            "the store has {stored} records, but had {n} when the import of {file} ended: some were \
             added or deleted since"
        ),
        _ => format!(
            "the records of the store are not the frames of {file} that were stored: some were \
             added, deleted or replaced since, or it is read in another way now"
        ),
    };
    Error::resume(Unresumed::Changed, why)
}

/// Compares the frames behind the record's place with those of the inputs, and looks at the order.
fn finish(
    resumption: &mut Resumption,
    depot: &Trajectory,
    record: &ImportRecord,
    options: &ImportOptions,
    current: bool,
) -> Result<()> {
    let Resumption { session, reading, .. } = resumption;
    let stored = depot.len();
    let wanted = reading.take_skip();
    let next = settings(options, Some(record));
    let all = [record.duplicates, next.duplicates].iter().any(|d| *d != Duplicates::Keep);
    let source: &dyn Readable = depot.snapshot();
    session.known.seed(source, if current { session.ordinal } else { stored }, all)?;
    if current {
        let mut before: Option<Arrived> = None;
        while session.ordinal < stored {
            let spare = MdFrame::default();
            let Some(next) = session.next_taken(reading, spare, before.as_ref(), Some(source))?
            else {
                return Err(changed(record, stored));
            };
            if next.replaces.is_some()
                || !session.is_stored(source, session.ordinal, &next.frame)?
            {
                return Err(changed(record, stored));
            }
            session.taken(reading, &next)?;
            session.put();
            before = Some(next);
        }
        // What was compared was passed over as well.
        reading.skipped += stored.saturating_sub(record.at.map_or(0, |at| at.record));
        session.last = before;
        session.known.clear();
        let inputs = reading.given.iter().take(reading.input().unwrap_or(0));
        let rows = inputs.filter_map(|g| session.record.rows.get(g.row?));
        let behind = rows.map(|row| row.next.frame).sum();
        reading.skip_to(wanted, behind)?;
    } else {
        reading.skip_to(wanted, 0)?;
        session.ordinal = stored;
        session.key = next_key(source, stored, record.key_prefix.as_deref())?;
    }
    session.settings = next;
    if !current && record.ended {
        // A new input is taken as it is asked for, whatever was asked for of others.
        (session.settings.float32, session.settings.precision) =
            (options.float32, options.precision);
        session.settings.masses = options.masses;
        session.settings.map = options.read.map.clone();
    }
    reading.set_map(&session.settings.map);
    reading.set_growing(session.settings.growing);
    Ok(())
}

/// Refuses frames that would not come where an uninterrupted import of these inputs puts them.
/// `next` is the input of the first frame that is added.
pub(super) fn check_order(
    session: &Session,
    reading: &mut Reading,
    next: usize,
    allowed: bool,
) -> Result<()> {
    let last = session.record.at.map_or(0, |at| at.row);
    let given = &reading.given;
    let name =
        |i: usize| given.get(i).map_or_else(String::new, |g| printable_path(&g.name).to_string());
    let row = |i: usize| given.get(i).and_then(|g| g.row);
    let mut odd = None;
    if row(next).is_some_and(|r| r < last) {
        let other = session.record.rows.get(last).map_or("", |r| &r.file);
        odd = Some(format!(
            "there are new frames of {}, but those of {other} were stored after it: the new ones \
             would come behind those",
            name(next)
        ));
    }
    for i in 0..given.len() {
        let open = given.get(i).is_some_and(|g| !g.done);
        if i > next && row(i).is_some() {
            odd = Some(format!(
                "there are new frames of {}, but {}, which follows it, is stored already: the new \
                 ones would come behind it",
                name(next),
                name(i)
            ));
        } else if i < next && open && (row(i).is_none() || row(i).is_some_and(|r| r < last)) {
            odd = Some(format!(
                "there are new frames of {}, but {}, which follows it, is stored already: the new \
                 ones would come behind it",
                name(i),
                name(next)
            ));
        } else if i > 0 && i <= next && row(i).is_some_and(|r| row(i - 1).is_some_and(|p| p > r)) {
            odd = Some(format!("{} is stored before {}", name(i), name(i - 1)));
        }
    }
    match odd {
        None => Ok(()),
        Some(why) if allowed => {
            reading.notes.push(why);
            Ok(())
        }
        Some(why) => Err(Error::resume(Unresumed::OutOfOrder, why)),
    }
}

/// How many frames stay where those at and past `begin` are deleted: all up to the last that is
/// older.
fn kept(depot: &Trajectory, begin: Begin, prefix: Option<&str>) -> Result<u64> {
    let mut kept = depot.len();
    while let Some(ordinal) = kept.checked_sub(1) {
        let newer = match begin {
            Begin::Step(first) => {
                let item = depot.get_at(ordinal)?;
                let step = item.view()?.step().ok_or_else(|| {
                    let why = format!(
                        "the stored frame at ordinal {ordinal} has none, so that frames cannot be \
                         compared by step; give the number of a frame instead"
                    );
                    Error::invalid("step", why)
                })?;
                step >= first
            }
            Begin::Frame(first) => {
                let key = depot.snapshot().key_at(ordinal)?;
                number(key.as_ref(), prefix).unwrap_or(ordinal) >= first
            }
        };
        if !newer {
            break;
        }
        kept = ordinal;
    }
    Ok(kept)
}

/// The number in a key.
fn number(key: Option<&Key>, prefix: Option<&str>) -> Option<u64> {
    match (key, prefix) {
        (Some(Key::Str(name)), Some(prefix)) => name.strip_prefix(prefix)?.parse().ok(),
        (Some(Key::Int(n)), _) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// The number in the key behind that of the last frame before ordinal `kept`.
pub(super) fn next_key(source: &dyn Readable, kept: u64, prefix: Option<&str>) -> Result<u64> {
    let last = kept.checked_sub(1).map(|last| source.key_at(last)).transpose()?.flatten();
    let number = match (&last, prefix) {
        // Names begin anew.
        (Some(Key::Int(_)), Some(_)) => None,
        (last, prefix) => number(last.as_ref(), prefix),
    };
    Ok(number.map_or(kept, |n| n.saturating_add(1)))
}
