//! Frames of a store to a trajectory file.

use super::atoms::{Atoms, keep_atoms};
use super::choice::Choice;
use super::convert_units::Conversion;
use super::reader::Trajectory;
use crate::codec::{Fields, MdFrame, MdFrameView};
use crate::error::{Error, Result, Unfit};
use crate::existing::Existing;
use crate::formats::{self, FormatKind, FrameWriter, OutputOptions};
use crate::printable::printable_path;
use crate::store::Readable;
use std::path::Path;

/// Frames that are fetched together, at most.
const PART_RECORDS: usize = 256;
/// Bytes from which on no further frame is fetched together with others.
const PART_BYTES: u64 = 16 << 20;

/// How [`export`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The format; `None` takes the one that the name of the output stands for.
    pub format: Option<FormatKind>,
    /// Which frames.
    pub frames: Choice,
    /// Which atoms of them.
    pub atoms: Atoms,
    /// Which fields of them; `None` takes all.
    pub fields: Option<Fields>,
    /// XTC: keep positions to `1 / precision` nm; `None` takes the precision of each frame.
    pub precision: Option<f32>,
    /// Whether a file that is there is replaced; a store never is.
    pub overwrite: bool,
    /// Whether frames that the format cannot hold are left out; otherwise the first one ends the
    /// work.
    pub skip_unfit: bool,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Frames.
    pub frames: u64,
    /// The format.
    pub format: FormatKind,
    /// The fields of these frames that have no place in the format.
    pub left_out: Vec<String>,
    /// Frames that the format cannot hold, if they were to be left out.
    pub skipped: Skipped,
    /// Whether the store states its units; if not, the numbers were written as they are.
    pub units_stated: bool,
}

/// Frames that were left out.
#[derive(Debug, Clone, Default)]
pub struct Skipped {
    /// Their ordinals.
    pub ordinals: Vec<u64>,
    /// Why the first one.
    pub first: Option<Box<Unfit>>,
}

/// Writes frames of `depot` to `output`, in the units of the format if the store states its own.
///
/// A file appears when it is whole; pipes and devices are written to as they are. `progress` is
/// told the frames done and to do, also while a pipe is waited for; its error ends the work, and
/// no file appears.
///
/// # Errors
/// [`Error::Invalid`] if the format is not known or the file that would be replaced is a store;
/// [`Error::Exists`] if there is a file and `overwrite` is false; [`Error::Unfit`] with the
/// frame, the field and the site for what the format cannot hold; [`Error::Corrupt`] with the
/// record for damage; [`Error::Interrupted`] or what else `progress` returns; [`Error::Io`].
pub fn export(
    depot: &Trajectory,
    output: impl AsRef<Path>,
    options: &ExportOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Exported> {
    let output = output.as_ref();
    let kind = kind(output, options)?;
    let total = options.frames.count(depot.len());
    let write = write_options(options);
    let conversion = conversion(depot, kind)?;
    let mut wait = || progress(0, total);
    let writer =
        formats::create_waiting(output, kind, &write, Existing::of(options.overwrite), &mut wait)?;
    run(depot, writer, kind, conversion, options, &mut progress)
}

/// As [`export`], into an output that is open already, which `name` stands for in errors.
///
/// # Errors
/// As [`export`]; [`Error::Invalid`] if `options` has no format.
pub fn export_to(
    depot: &Trajectory,
    output: crate::backend::Output,
    name: &Path,
    options: &ExportOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Exported> {
    let kind = kind(name, options)?;
    let conversion = conversion(depot, kind)?;
    let writer = formats::create_in(output, name, kind, &write_options(options))?;
    run(depot, writer, kind, conversion, options, &mut progress)
}

fn kind(output: &Path, options: &ExportOptions) -> Result<FormatKind> {
    options.format.or_else(|| FormatKind::from_path(output)).ok_or_else(|| {
        let known = FormatKind::WRITTEN.iter().map(|k| k.name()).collect::<Vec<_>>().join(" or ");
        let why = match output.extension() {
            Some(end) => {
                format!("cannot write {}; name the format: {known}", printable_path(Path::new(end)))
            }
            None => format!("the name of the output does not tell it; name it: {known}"),
        };
        Error::invalid("format", why).at(output)
    })
}

fn write_options(options: &ExportOptions) -> OutputOptions {
    let plain = OutputOptions::default();
    options.precision.map_or(plain.clone(), |precision| plain.with_precision(precision))
}

type Units = (Option<Conversion>, bool);

fn conversion(depot: &Trajectory, kind: FormatKind) -> Result<Units> {
    Conversion::new(&depot.snapshot().attributes(), &kind.units())
}

fn run(
    depot: &Trajectory,
    mut writer: Box<dyn FrameWriter>,
    kind: FormatKind,
    (conversion, units_stated): Units,
    options: &ExportOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Exported> {
    options.atoms.check()?;
    let total = options.frames.count(depot.len());
    let (mut seen, mut frames) = (0, 0);
    let mut skipped = Skipped::default();
    progress(0, total)?;
    loop {
        let part = next_part(depot, &options.frames, seen)?;
        if part.is_empty() {
            break;
        }
        let items = depot.get_batch_at(&part)?;
        for (view, ordinal) in items.iter().zip(&part) {
            let whole = view.and_then(|view| cut(depot, &view, options.atoms));
            let mut frame: MdFrame = whole.map_err(|e| in_record(e, *ordinal))?;
            if let Some(fields) = options.fields {
                fields.keep(&mut frame);
            }
            if let Some(conversion) = &conversion {
                conversion.apply(&mut frame);
            }
            match writer.write(&frame).map_err(|e| of_frame(e, depot, *ordinal)) {
                Ok(()) => frames += 1,
                Err(e) => match e.root() {
                    Error::Unfit(unfit) if options.skip_unfit => {
                        skipped.first.get_or_insert_with(|| unfit.clone());
                        skipped.ordinals.push(*ordinal);
                    }
                    _ => return Err(e),
                },
            }
            seen += 1;
            progress(seen, total)?;
        }
    }
    let left_out = writer.left_out();
    writer.finish()?;
    Ok(Exported { frames, format: kind, left_out, skipped, units_stated })
}

/// The frame with what it has from its topology, and of it the chosen atoms.
fn cut(depot: &Trajectory, view: &MdFrameView<'_>, atoms: Atoms) -> Result<MdFrame> {
    let mut frame = depot.joined(view)?;
    if atoms != Atoms::All {
        let topology = depot.topology_of(view)?;
        keep_atoms(&mut frame, &atoms.places(view.nsites(), topology.as_deref())?)?;
    }
    Ok(frame)
}

/// The next ordinals to fetch together: few enough for memory.
pub(super) fn next_part(depot: &Trajectory, chosen: &Choice, from: u64) -> Result<Vec<u64>> {
    let (mut part, mut bytes) = (Vec::new(), 0_u64);
    while part.len() < PART_RECORDS && bytes < PART_BYTES {
        let Some(ordinal) = chosen.at(from + part.len() as u64, depot.len()) else { break };
        bytes = bytes.saturating_add(depot.location_at(ordinal)?.len());
        part.push(ordinal);
    }
    Ok(part)
}

/// Says which frame does not fit.
fn of_frame(error: Error, depot: &Trajectory, ordinal: u64) -> Error {
    match error {
        Error::Unfit(mut unfit) => {
            // A key that cannot be read is no reason to hide the other error.
            let key = depot.snapshot().key_at(ordinal).ok().flatten();
            let key = key.map_or_else(|| "none".into(), |key| key.to_string());
            unfit.frame = Some((ordinal, key.into()));
            Error::Unfit(unfit)
        }
        Error::File { path, source } => {
            Error::File { path, source: Box::new(of_frame(*source, depot, ordinal)) }
        }
        other => other,
    }
}

/// Says which record does not decode.
fn in_record(error: Error, ordinal: u64) -> Error {
    match error {
        Error::Codec { codec, why } => {
            Error::codec(codec, format!("record at ordinal {ordinal}: {why}"))
        }
        Error::Record { key, source } => {
            Error::Record { key: format!("at ordinal {ordinal}, {key}").into(), source }
        }
        other => other,
    }
}
