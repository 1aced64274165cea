//! Whether a file is mapped or read call by call.

use std::io;

/// How the bytes of a file are reached for reading.
///
/// A mapped file is read without calls of the system, and stored records are viewed where they lie.
/// The price: if another program cuts the file short, or a network or a disk fails, the process that
/// touches a missing page is ended by the system (`SIGBUS`), and nothing in the process can make an
/// error of that. So files are mapped only by who asks for it, who knows what else happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Access {
    /// Leaves the choice to this crate, which takes what cannot end the process: files are read by
    /// calls, as with [`Access::Pread`].
    #[default]
    Auto,
    /// Maps the file: for many small random reads, two to four times as fast. Only for files
    /// that nobody shortens meanwhile and that lie on a disk of this machine.
    Map,
    /// Never maps: each read is a call, and a cut file is an error.
    Pread,
}

/// Whether the system says that this file system does not know the call, in any of its ways.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        // Two numbers on some systems, one on others.
        let code = Errno::from_io_error(error);
        if code == Some(Errno::NOTSUP) || code == Some(Errno::OPNOTSUPP) {
            return true;
        }
    }
    error.kind() == io::ErrorKind::Unsupported
}
