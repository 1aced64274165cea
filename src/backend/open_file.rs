//! Opening a file that is there without waiting for what may never come.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens the regular file at `path`.
///
/// The name may have become a FIFO since it was checked. Opening a FIFO can block for ever, so the first try does not
/// block. For a regular file this matters only if another program has a lease on it, for example a server of NFS or
/// SMB: then the first try fails, and the second one blocks until the lease is released. The kernel removes a lease
/// that is not released after `/proc/sys/fs/lease-break-time`, 45 s by default.
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
