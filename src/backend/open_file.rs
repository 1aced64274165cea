//! Opening a file that is there without waiting for what may never come.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens the regular file at `path`.
///
/// The name may have become a FIFO since it was looked at; to open that would wait for a second program for ever,
/// so it is opened without waiting first. For a regular file this makes a difference only where another
/// program has a lease of it: a server of NFS or SMB whose client keeps it. The kernel then tells
/// that program to give it up, takes it after a while (`/proc/sys/fs/lease-break-time`, 45 s), and the second try waits
/// for that.
#[cfg(unix)]
pub(super) fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    match options.custom_flags(without_waiting).open(path) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => options.custom_flags(0).open(path),
        opened => opened,
    }
}

/// Opens the regular file at `path`.
#[cfg(not(unix))]
pub(super) fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}
