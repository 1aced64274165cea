//! Whether a file is mapped or read call by call.

use std::fs::File;
use std::io;

/// How the bytes of a file are reached for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Access {
    /// Maps files on file systems that are known to be local, reads all others call by call:
    /// on a network file system a mapped page may fault at any time, which ends the process. A file
    /// for which the process has no address space left is read call by call, too.
    #[default]
    Auto,
    /// Always maps. The caller answers for it that nobody shortens the file meanwhile.
    Map,
    /// Never maps: each read is a call, and a cut file is an error instead of a fault.
    Pread,
}

impl Access {
    /// Whether a file that is open as `file` is to be mapped.
    pub(super) fn maps(self, file: &File) -> bool {
        match self {
            Self::Auto => is_local(file),
            Self::Map => true,
            Self::Pread => false,
        }
    }
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

/// Whether `file` lies on a file system that is known to serve its pages from this machine. A
/// kind that is not known counts as remote: reading by calls is slower by a little, a fault is
/// the end of the process.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_local(file: &File) -> bool {
    // The numbers are those of statfs(2).
    const LOCAL: [u32; 21] = [
        0x0000_ef53, // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // Btrfs
        0x2fc1_2fc1, // ZFS
        0xca45_1a4e, // bcachefs
        0xf2f5_2010, // F2FS
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlayfs
        0x7371_7368, // SquashFS
        0xe0f5_e1e2, // EROFS
        0x3153_464a, // JFS
        0x5265_4973, // ReiserFS
        0x0000_3434, // NILFS
        0x0000_4d44, // FAT
        0x2011_bab0, // exFAT
        0x7366_746e, // NTFS3
        0x5346_544e, // NTFS
        0x0000_9660, // ISO 9660
        0x1501_3346, // UDF
        0x0000_482b, // HFS+
    ];
    // `f_type` differs in width and sign between machines; the kinds are 32-bit numbers.
    rustix::fs::fstatfs(file)
        .is_ok_and(|found| LOCAL.iter().any(|kind| is_kind(found.f_type, *kind)))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_kind<T: TryInto<i128>>(found: T, kind: u32) -> bool {
    found.try_into().is_ok_and(|found| found & 0xffff_ffff == i128::from(kind))
}

#[cfg(target_vendor = "apple")]
fn is_local(file: &File) -> bool {
    const MNT_LOCAL: u32 = 0x1000;
    rustix::fs::fstatfs(file).is_ok_and(|found| found.f_flags & MNT_LOCAL != 0)
}

/// Elsewhere nothing is asked. Windows could tell, but it also refuses to shorten or replace a
/// file that anybody has mapped.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn is_local(_file: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_width_and_sign_of_the_kind_do_not_matter() {
        assert!(is_kind(0x9123_683e_u64, 0x9123_683e));
        assert!(is_kind(-1_859_950_530_i64, 0x9123_683e));
        assert!(is_kind(-1_859_950_530_i32, 0x9123_683e));
        assert!(!is_kind(0x6969_i64, 0xef53));
    }

    #[test]
    fn a_file_system_that_is_not_known_is_read_by_calls() {
        let procfs = File::open("/proc/self/status").unwrap();
        assert!(!Access::Auto.maps(&procfs));
        assert!(Access::Map.maps(&procfs));
        assert!(!Access::Pread.maps(&procfs));
    }
}
