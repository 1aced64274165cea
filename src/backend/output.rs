//! How an output is written, whatever is at its place: the one way for all that is made as a
//! row of bytes.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::output_place::{ExistingOutput, OutputPlace};
use super::{Access, Backend, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;

/// An output that is written from its start to its end.
///
/// A regular file is built beside it and takes its place in one step, when it is whole; a link to one
/// stays, and the file that it names is replaced. Pipes and devices are written to as they are.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    StagedFile { staged: StagedFile, at: u64, existing: Existing },
    Stream(File),
    Standard(io::Stdout),
}

impl Output {
    /// Starts an output at `path`. A regular file that is there stays as it is until [`publish`](Self::publish). `wait` is called again and again while a pipe has
    /// no reader yet; its error ends the waiting.
    ///
    /// # Errors
    /// [`Error::Exists`] if a file is there and is not to be replaced; [`Error::Invalid`] for a
    /// folder or a socket; [`Error::Io`] if the place cannot be written to. All with the path.
    pub fn create(
        path: impl AsRef<Path>,
        existing: Existing,
        wait: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let place = OutputPlace::of(path)?;
        let sink = match place.there() {
            ExistingOutput::Stream { standard: true, .. } => return Ok(Self::standard()),
            ExistingOutput::Stream { .. } => {
                Sink::Stream(open_stream(place.asked(), wait).map_err(|e| e.at(place.asked()))?)
            }
            ExistingOutput::File(_) | ExistingOutput::Nothing => {
                if existing == Existing::Refuse {
                    place.must_be_free()?;
                }
                Sink::StagedFile { staged: StagedFile::at(place, Access::Pread)?, at: 0, existing }
            }
        };
        Ok(Self { sink })
    }

    /// The standard output of this process.
    #[must_use]
    pub fn standard() -> Self {
        Self { sink: Sink::Standard(io::stdout()) }
    }

    /// Whether what is written appears on a screen.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match &self.sink {
            Sink::StagedFile { .. } => false,
            Sink::Stream(file) => file.is_terminal(),
            Sink::Standard(out) => out.is_terminal(),
        }
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses; what was written to a file so far is dropped with
    /// this, a pipe has it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.sink {
            Sink::StagedFile { staged, at, .. } => {
                staged.backend().write_at(*at, bytes)?;
                *at = at.saturating_add(bytes.len() as u64);
                Ok(())
            }
            Sink::Stream(file) => file.write_all(bytes).map_err(|e| Error::io("write", e)),
            Sink::Standard(out) => {
                out.write_all(bytes).map_err(|e| Error::io("write to standard output", e))
            }
        }
    }

    /// Puts `bytes` at the place of others that were written to a file; what was written to a pipe or a
    /// device stays as it is.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn write_over(&self, at: u64, bytes: &[u8]) -> Result<()> {
        match &self.sink {
            Sink::StagedFile { staged, .. } => staged.backend().write_at(at, bytes),
            Sink::Stream(_) | Sink::Standard(_) => Ok(()),
        }
    }

    /// Makes a file durable and gives it its name; hands on what a stream still holds.
    ///
    /// # Errors
    /// [`Error::Exists`] if a file came to the place meanwhile and was not to be replaced;
    /// [`Error::Io`]. Then there is no new file.
    pub fn publish(self) -> Result<()> {
        match self.sink {
            Sink::StagedFile { staged, existing, .. } => staged.publish(existing),
            Sink::Stream(mut file) => file.flush().map_err(|e| Error::io("write", e)),
            Sink::Standard(mut out) => {
                out.flush().map_err(|e| Error::io("write to standard output", e))
            }
        }
    }
}

/// Opens a pipe or a device for writing, and never waits where `wait` cannot end it.
#[cfg(unix)]
fn open_stream(path: &Path, wait: &mut dyn FnMut() -> Result<()>) -> Result<File> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    // Appending: an open file of this process may have something in it.
    options.append(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    let no_reader = rustix::io::Errno::NXIO.raw_os_error();
    loop {
        match options.open(path) {
            Ok(file) => {
                // From here on a full pipe is waited for, as any program does.
                let blocking = |flags: OFlags| fcntl_setfl(&file, flags - OFlags::NONBLOCK);
                fcntl_getfl(&file)
                    .and_then(blocking)
                    .map_err(|e| Error::io("open for writing", e.into()))?;
                return Ok(file);
            }
            Err(e) if e.raw_os_error() == Some(no_reader) && is_pipe(path) => {
                wait()?;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(e) => return Err(Error::io("open for writing", e)),
        }
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(not(unix))]
fn open_stream(path: &Path, _wait: &mut dyn FnMut() -> Result<()>) -> Result<File> {
    std::fs::OpenOptions::new().write(true).open(path).map_err(|e| Error::io("open for writing", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let all = fs::read_dir(folder).unwrap();
        all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn create(path: &Path, existing: Existing) -> Result<Output> {
        Output::create(path, existing, &mut || Ok(()))
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.xtc");
        let mut out = create(&target, Existing::Refuse).unwrap();
        out.write(b"half").unwrap();
        assert!(!target.exists() && names(folder.path()).len() == 1);
        drop(out);
        assert!(names(folder.path()).is_empty());
        let mut out = create(&target, Existing::Refuse).unwrap();
        out.write(b"who").unwrap();
        out.write(b"le").unwrap();
        out.publish().unwrap();
        assert_eq!(names(folder.path()), ["a.xtc"]);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }

    #[test]
    fn a_file_that_is_there_stays_unless_asked_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.xtc");
        // One that comes while ours is written is kept, too.
        let late = create(&target, Existing::Refuse).unwrap();
        fs::write(&target, b"old").unwrap();
        assert!(matches!(late.publish(), Err(Error::Exists { .. })));
        let refused = create(&target, Existing::Refuse).unwrap_err();
        assert!(matches!(refused.root(), Error::Exists { .. }));
        let mut out = create(&target, Existing::Replace).unwrap();
        out.write(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        out.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(create(folder.path(), Existing::Replace).is_err());
        assert!(create(&folder.path().join("no/a.xtc"), Existing::Replace).is_err());
        assert_eq!(names(folder.path()), ["a.xtc"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_is_written_to_and_stays_and_waiting_for_its_reader_can_be_ended() {
        use std::io::Read;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let mut asked = 0;
        let ended = Output::create(&pipe, Existing::Replace, &mut || {
            asked += 1;
            if asked > 2 { Err(Error::Interrupted) } else { Ok(()) }
        });
        assert!(matches!(ended.unwrap_err().root(), Error::Interrupted));
        let reader = {
            let pipe = pipe.clone();
            std::thread::spawn(move || {
                let mut all = Vec::new();
                File::open(pipe).unwrap().read_to_end(&mut all).map(|_| all).unwrap()
            })
        };
        // More than a pipe holds, so that it is waited for.
        let bytes = vec![7; 1 << 20];
        let mut out = create(&pipe, Existing::Replace).unwrap();
        out.write(&bytes).unwrap();
        out.publish().unwrap();
        assert_eq!(reader.join().unwrap(), bytes);
        assert!(is_pipe(&pipe));
        assert_eq!(names(folder.path()), ["pipe"]);
    }
}
