//! Starting a file of a format, and writing frames to it.

use super::dcd::DcdEncoder;
use super::extxyz::ExtXyzEncoder;
use super::kind::FormatKind;
use super::trr::TrrEncoder;
use super::writer::{FrameEncoder, FrameWriter, OutputOptions};
use super::xtc::XtcEncoder;
use crate::backend::{ExistingOutput, Output, OutputPlace};
use crate::codec::MdFrame;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::store;
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes that are gathered before they are written.
const BATCH: usize = 1 << 20;

/// Starts a trajectory file that will appear at `path`. A file that is there already stays as it is
/// until then. Pipes and devices are written to as they are.
///
/// # Errors
/// [`Error::Exists`]; [`Error::Invalid`] for a folder, for options that cannot work, or if the
/// file that would be replaced is a store; [`Error::Io`] if the folder cannot be written to. All
/// have the path.
pub fn create(
    path: &Path,
    kind: FormatKind,
    options: &OutputOptions,
    existing: Existing,
) -> Result<Box<dyn FrameWriter>> {
    create_waiting(path, kind, options, existing, &mut || Ok(()))
}

/// As [`create`]; `wait` is called again and again while `path` is a pipe without a reader, and
/// its error ends the waiting.
///
/// # Errors
/// As [`create`], and what `wait` returns.
pub fn create_waiting(
    path: &Path,
    kind: FormatKind,
    options: &OutputOptions,
    existing: Existing,
    wait: &mut dyn FnMut() -> Result<()>,
) -> Result<Box<dyn FrameWriter>> {
    let mut start = || {
        let encoder = encoder(kind, options)?;
        if existing.is_replaced()
            && let ExistingOutput::File(_) = OutputPlace::of(path)?.there()
            && store::is_store(path)?
        {
            let why = "this is a store, not a trajectory, so it is not replaced; are the \
                       arguments in the right order? If it is not needed any more, delete it first";
            return Err(Error::invalid("file to write", why));
        }
        Ok((encoder, Output::create(path, existing, wait)?))
    };
    let (encoder, output) = start().map_err(|e: Error| e.at(path))?;
    FileWriter::start(encoder, output, path, kind)
}

/// Starts a trajectory in an output that is open, such as [`Output::standard`]; `name` stands for
/// it in errors.
///
/// # Errors
/// [`Error::Invalid`] for options that cannot work.
pub fn create_in(
    output: Output,
    name: &Path,
    kind: FormatKind,
    options: &OutputOptions,
) -> Result<Box<dyn FrameWriter>> {
    let encoder = encoder(kind, options).map_err(|e| e.at(name))?;
    FileWriter::start(encoder, output, name, kind)
}

fn encoder(kind: FormatKind, options: &OutputOptions) -> Result<Box<dyn FrameEncoder>> {
    Ok(match kind {
        FormatKind::Xtc => Box::new(XtcEncoder::new(options)?),
        FormatKind::Trr => Box::new(TrrEncoder),
        FormatKind::Dcd => Box::new(DcdEncoder::default()),
        FormatKind::ExtXyz => Box::new(ExtXyzEncoder::default()),
        FormatKind::Gro | FormatKind::Pdb => {
            let written = FormatKind::WRITTEN.iter().map(|k| k.name()).collect::<Vec<_>>();
            let why = format!(
                "{} can be read, but not written; supported are {}",
                kind.name(),
                written.join(", ")
            );
            return Err(Error::invalid("format", why));
        }
    })
}

struct FileWriter {
    encoder: Box<dyn FrameEncoder>,
    output: Output,
    path: Box<Path>,
    waiting: Vec<u8>,
    left_out: BTreeSet<String>,
    poisoned: bool,
}

impl FileWriter {
    fn start(
        encoder: Box<dyn FrameEncoder>,
        output: Output,
        path: &Path,
        kind: FormatKind,
    ) -> Result<Box<dyn FrameWriter>> {
        if kind.is_binary() && output.is_terminal() {
            let why = format!(
                "this is a terminal, and {} is binary: it would corrupt the display; write to a \
                 file or into a pipe, or write extxyz",
                kind.name().to_uppercase()
            );
            return Err(Error::invalid("file to write", why).at(path));
        }
        Ok(Box::new(Self {
            encoder,
            output,
            path: path.into(),
            waiting: Vec::new(),
            left_out: BTreeSet::new(),
            poisoned: false,
        }))
    }

    fn push(&mut self) -> Result<()> {
        if let Err(e) = self.output.write(&self.waiting) {
            self.poisoned = true;
            return Err(e);
        }
        self.waiting.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let patches = self.encoder.finish(&mut self.waiting)?;
        self.push()?;
        patches.iter().try_for_each(|patch| self.output.write_over(patch.at, &patch.bytes))
    }

    fn append(&mut self, frame: &MdFrame) -> Result<()> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        let whole = self.waiting.len();
        if let Err(e) = self.encoder.encode(frame, &mut self.waiting) {
            self.waiting.truncate(whole);
            return Err(e);
        }
        self.left_out.extend(self.encoder.left_out(frame).0);
        if self.waiting.len() >= BATCH { self.push() } else { Ok(()) }
    }
}

impl FrameWriter for FileWriter {
    fn write(&mut self, frame: &MdFrame) -> Result<()> {
        self.append(frame).map_err(|e| e.at(&self.path))
    }

    fn left_out(&self) -> Vec<String> {
        self.left_out.iter().cloned().collect()
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let path = self.path.clone();
        let end = if self.poisoned { Err(Error::Poisoned) } else { self.end() };
        end.and_then(|()| self.output.publish()).map_err(|e| e.at(&path))
    }
}
