//! When the newest backup that was verified was made: a file beside the database, for the metric of Nexus.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::error::BackupError;

/// The file. It holds seconds since 1970 and nothing else, and belongs to no store: it may be removed.
const FILE: &str = "backup.verified";

/// Writes down that a backup that was made at this time, in seconds since 1970, was verified.
///
/// # Errors
/// [`BackupError::Unusable`].
pub fn note_verified(directory: &Path, made: i64) -> Result<(), BackupError> {
    if last_verified(directory) >= made {
        return Ok(());
    }
    let path = directory.join(FILE);
    let unusable = BackupError::unusable(&path);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(&unusable)?;
    writeln!(file, "{made}").map_err(&unusable)?;
    file.as_file().sync_all().map_err(&unusable)?;
    file.persist(&path).map_err(|failed| unusable(failed.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(&unusable)
}

/// The time that was written down last; 0: none, or it cannot be read.
pub(in crate::store) fn last_verified(directory: &Path) -> i64 {
    let text = fs::read_to_string(directory.join(FILE)).unwrap_or_default();
    text.trim_end().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backup_counts_whatever_is_verified_after_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(last_verified(directory.path()), 0);
        for (made, last) in [(100, 100), (300, 300), (200, 300)] {
            note_verified(directory.path(), made).unwrap();
            assert_eq!(last_verified(directory.path()), last);
        }
        fs::write(directory.path().join(FILE), "soon").unwrap();
        assert_eq!(last_verified(directory.path()), 0);
    }
}
