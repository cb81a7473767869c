//! When the newest backup that was verified was made: a file beside the database, for the metric of Nexus.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use spike_daemon::{read_small, telemetry::CLOCK_FAILS};
use spike_mtls::clock;

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

/// The most bytes that a time needs.
const LONGEST: usize = 32;

/// The time that was written down last; 0: none, or it cannot be read, or no backup can be from that time. Whoever can write to
/// the directory must not be able to stop the thread that asks, nor to hide for ever that there are no backups.
pub(in crate::store) fn last_verified(directory: &Path) -> i64 {
    let latest = (clock::now() + CLOCK_FAILS).unix_timestamp();
    let text = read_small(&directory.join(FILE), LONGEST).unwrap_or_default();
    let made = std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok());
    made.filter(|made| (0..=latest).contains(made)).unwrap_or(0)
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
        let in_an_hour = clock::now().unix_timestamp() + 3600;
        for wrong in ["soon".to_owned(), "-5".to_owned(), in_an_hour.to_string(), "1".repeat(99)] {
            std::fs::write(directory.path().join(FILE), &wrong).unwrap();
            assert_eq!(last_verified(directory.path()), 0, "{wrong}");
        }
        note_verified(directory.path(), 400).unwrap();
        assert_eq!(last_verified(directory.path()), 400, "what cannot be true is replaced");
    }
}
