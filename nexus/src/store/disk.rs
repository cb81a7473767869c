//! The disk of a store.

use std::path::Path;

/// Bytes that this process may still write on the disk of a directory; `None` if the disk cannot be asked.
pub(super) fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_the_room_of_its_disk_and_no_directory_has_none() {
        let directory = tempfile::tempdir().unwrap();
        assert!(free_bytes(directory.path()).is_some());
        assert_eq!(free_bytes(&directory.path().join("gone")), None);
        assert_eq!(free_bytes(Path::new("")), None, "the directory of a store in memory");
    }
}
