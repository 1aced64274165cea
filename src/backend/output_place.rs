//! What is at the path where an output is to be written.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::address::not_an_address;
use crate::error::{Error, Result};
use crate::printable::printable_path;

/// As many links as the system follows.
const LINKS: usize = 40;

/// The place of an output, with links followed.
#[derive(Debug)]
pub struct OutputPlace {
    /// As it was asked for.
    asked: PathBuf,
    /// Where the last link leads; absolute.
    path: PathBuf,
    there: ExistingOutput,
}

/// What is at a [`OutputPlace`].
#[derive(Debug)]
pub enum ExistingOutput {
    /// Nothing: a new file can appear here.
    Nothing,
    /// A regular file, which a new one can replace.
    File(Metadata),
    /// What is written to and never replaced: a pipe, a device, an open file of this process.
    Stream {
        /// As a person says it: `"a pipe"`.
        what: &'static str,
        /// Whether it is the standard output of this process.
        standard: bool,
    },
}

impl OutputPlace {
    /// Looks at `path`. A symbolic link is followed, also one that leads to no file yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path for a folder, a socket, or a path that names no file;
    /// [`Error::Io`] if the system does not say.
    pub fn of(path: impl AsRef<Path>) -> Result<Self> {
        let asked = path.as_ref();
        if asked.parent().is_some_and(|folder| !folder.exists()) {
            not_an_address(asked)?;
        }
        Self::look(asked).map_err(|e| e.at(asked))
    }

    fn look(asked: &Path) -> Result<Self> {
        let failed = |e| Error::io("look at", e);
        let mut path = std::path::absolute(asked).map_err(failed)?;
        let mut descriptor = None;
        for links in 0.. {
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_symlink() && links < LINKS => {
                    descriptor = descriptor.or_else(|| own_descriptor(&path));
                    let to = fs::read_link(&path).map_err(failed)?;
                    path = match path.parent() {
                        Some(folder) => folder.join(to),
                        None => to,
                    };
                }
                _ => break,
            }
        }
        // By the path that was asked for: what a link of the system leads to, such as the pipe
        // behind `/dev/stdout`, has no path of its own.
        let there = match fs::metadata(asked) {
            Ok(found) => there(found, descriptor.or_else(|| own_descriptor(&path)))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => ExistingOutput::Nothing,
            Err(e) => return Err(failed(e)),
        };
        if path.file_name().is_none() {
            return Err(Error::invalid("path", "this path does not name a file"));
        }
        Ok(Self { asked: asked.into(), path, there })
    }

    /// The path as it was asked for.
    #[must_use]
    pub fn asked(&self) -> &Path {
        &self.asked
    }

    /// Where the file is, or will be: behind all links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is there.
    #[must_use]
    pub const fn there(&self) -> &ExistingOutput {
        &self.there
    }

    /// Refuses what is not, and cannot become, a regular file.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path and what is there.
    pub fn must_be_file(&self) -> Result<()> {
        match &self.there {
            ExistingOutput::Stream { what, .. } => Err(Error::invalid(
                "path",
                format!(
                    "this is {what}; a store is written to a regular file only: name another path"
                ),
            )
            .at(&self.asked)),
            _ => Ok(()),
        }
    }

    /// Refuses a regular file that is there: whoever asks was not told to replace it.
    ///
    /// # Errors
    /// [`Error::Exists`] with the path.
    pub fn must_be_free(&self) -> Result<()> {
        match self.there {
            ExistingOutput::File(_) => {
                Err(Error::Exists { what: printable_path(&self.asked).into(), instead: None }
                    .at(&self.asked))
            }
            _ => Ok(()),
        }
    }
}

fn there(found: Metadata, descriptor: Option<u32>) -> Result<ExistingOutput> {
    let stream = |what| Ok(ExistingOutput::Stream { what, standard: descriptor == Some(1) });
    if found.is_dir() {
        return Err(Error::invalid("path", "this is a folder; name a file in it"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_socket() && descriptor.is_none() {
            return Err(Error::invalid(
                "path",
                "this is a socket, which no file can be written to",
            ));
        }
        if kind.is_fifo() {
            return stream("a pipe");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return stream("a device");
        }
    }
    if descriptor.is_some() || !found.is_file() {
        // Renaming a file to its name would leave whoever opened it with the old one.
        return stream("an open file of this process");
    }
    Ok(ExistingOutput::File(found))
}

/// The number of the open file of this process that `path` stands for, as `/dev/stdout` does.
fn own_descriptor(path: &Path) -> Option<u32> {
    if !cfg!(unix) {
        return None;
    }
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = path.parent()?;
    let own = format!("/proc/{}/", std::process::id());
    let real = fs::canonicalize(folder).ok()?;
    let listed = real.starts_with(own) && real.ends_with("fd");
    (listed || folder == Path::new("/dev/fd")).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_and_free_names_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        assert!(matches!(OutputPlace::of(&file).unwrap().there(), ExistingOutput::Nothing));
        fs::write(&file, b"x").unwrap();
        let place = OutputPlace::of(&file).unwrap();
        assert!(matches!(place.there(), ExistingOutput::File(about) if about.len() == 1));
        assert!(matches!(place.must_be_free().unwrap_err().root(), Error::Exists { .. }));
        place.must_be_file().unwrap();
        assert!(OutputPlace::of(dir.path()).unwrap_err().to_string().contains("is a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_their_end_also_where_nothing_is_there_yet() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        symlink("sub/second", dir.path().join("first")).unwrap();
        symlink("../file", dir.path().join("sub/second")).unwrap();
        let place = OutputPlace::of(dir.path().join("first")).unwrap();
        assert!(matches!(place.there(), ExistingOutput::Nothing));
        fs::write(dir.path().join("file"), b"x").unwrap();
        let place = OutputPlace::of(dir.path().join("first")).unwrap();
        assert!(matches!(place.there(), ExistingOutput::File(_)));
        assert_eq!(fs::read(place.path()).unwrap(), b"x");
        assert!(!fs::symlink_metadata(place.path()).unwrap().is_symlink());
        symlink("round", dir.path().join("round")).unwrap();
        assert!(OutputPlace::of(dir.path().join("round")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_sockets_devices_and_open_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let said = |path: &Path| OutputPlace::of(path).and_then(|p| p.must_be_file()).unwrap_err();
        assert!(said(&pipe).to_string().contains("this is a pipe"));
        assert!(said(Path::new("/dev/null")).to_string().contains("this is a device"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        assert!(said(&link).to_string().contains("this is a pipe"));
        let socket = dir.path().join("socket");
        let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(said(&socket).to_string().contains("this is a socket"));
        // A file that this process has open, by the number of its handle.
        let file = fs::File::create(dir.path().join("file")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let place = OutputPlace::of(format!("/proc/self/fd/{number}")).unwrap();
        assert!(matches!(place.there(), ExistingOutput::Stream { standard: false, .. }));
        // The file itself is a file.
        assert!(matches!(
            OutputPlace::of(dir.path().join("file")).unwrap().there(),
            ExistingOutput::File(_)
        ));
    }
}
