//! Files of other machines: those of network file systems, each read of which may be a question to a server.

use std::fs::File;

/// Bytes that are rather read in vain than skipped by one more call: what a network carries in the time of a
/// question, and little beside decoding where the system has the bytes already.
pub(super) const GAP: u64 = 16 << 10;

/// What is rather read in vain than skipped, of this file: 0 on disks of this machine, and where the system does not tell.
pub(super) fn gap(file: &File) -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Ok(found) = rustix::fs::fstatfs(file) {
        // As wide as the system has it; 32 bits are the number.
        let [a, b, c, d, ..] = found.f_type.to_le_bytes();
        return if is_remote(u32::from_le_bytes([a, b, c, d])) { GAP } else { 0 };
    }
    let _ = file;
    0
}

/// Whether these are the numbers of a file system that has its files elsewhere, or asks another process for them.
#[cfg(any(target_os = "linux", target_os = "android", test))]
const fn is_remote(number: u32) -> bool {
    matches!(
        number,
        0x0000_6969 // NFS
            | 0x0000_517b | 0xfe53_4d42 | 0xff53_4d42 // SMB, its second version, CIFS
            | 0x0bd0_0bd0 // Lustre
            | 0x00c3_6400 // Ceph
            | 0x4750_4653 // GPFS
            | 0x1983_0326 // BeeGFS
            | 0xaad7_aaea // PanFS
            | 0x5346_414f // AFS
            | 0x0102_1997 // 9P
            | 0x6573_5546 // FUSE: sshfs, GlusterFS, buckets that are mounted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_machines_are_told_by_the_number_of_their_file_system() {
        for (name, number, remote) in [
            ("nfs", 0x6969, true),
            ("cifs", 0xff53_4d42, true),
            ("fuse", 0x6573_5546, true),
            ("ext4", 0xef53, false),
            ("xfs", 0x5846_5342, false),
            ("btrfs", 0x9123_683e, false),
            ("tmpfs", 0x0102_1994, false),
            ("overlay", 0x794c_7630, false),
        ] {
            assert_eq!(is_remote(number), remote, "{name}");
        }
    }
}
