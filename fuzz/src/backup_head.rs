//! The head of a backup: its first line, the manifest and their checksum. The database after it is SQLite's to read.

use spike_nexus::store::fuzzing::backup_head;

/// See the module. Accepts a head with the right checksum.
pub fn check(data: &[u8]) -> bool {
    let Some(length) = backup_head(data) else { return false };
    let length = usize::try_from(length).expect("no longer than the input");
    let head = data.get(..length).expect("no longer than the input");
    assert!(head.ends_with(b"\n"), "a head ends with a line");
    assert_eq!(backup_head(head), backup_head(data), "what follows the head does not count");
    for at in 0..length {
        let mut flipped = head.to_vec();
        flipped[at] ^= 1;
        assert_eq!(backup_head(&flipped), None, "byte {at} was flipped");
    }
    true
}
