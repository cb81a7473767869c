use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use spike_crypto::{ShareIndex, ShareValue};

use super::*;

fn shares(byte: u8, indices: &[u16]) -> Vec<Share> {
    let value = || ShareValue::from_bytes(&[byte; 32]).unwrap();
    let share = |index: &u16| Share { index: ShareIndex::new(*index).unwrap(), value: value() };
    indices.iter().map(share).collect()
}

fn contents(directory: &Path) -> BTreeMap<String, String> {
    let read = |entry: io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap_or_default())
    };
    fs::read_dir(directory).unwrap().map(read).collect()
}

#[test]
fn a_file_holds_the_text_of_its_share_and_nothing_else() {
    // crypto-and-storage 3.2: no newline at the end.
    let directory = tempfile::tempdir().unwrap();
    RecoveryDirectory::prepare(directory.path()).unwrap().write(&shares(0xab, &[1, 12])).unwrap();
    let digits = "ab".repeat(32);
    let expected = BTreeMap::from([
        ("spike.recovery.1.txt".to_owned(), format!("spike:1:{digits}")),
        ("spike.recovery.12.txt".to_owned(), format!("spike:12:{digits}")),
    ]);
    assert_eq!(contents(directory.path()), expected);
}

/// A full disk was told with the name of a temporary file that was gone already.
#[test]
fn an_error_names_no_temporary_file() {
    let text = "No space left on device (os error 28) at path \"/x/.tmpV9trvY\"";
    let told = without_the_path(io::Error::new(io::ErrorKind::StorageFull, text)).to_string();
    assert!(!told.contains("tmp") && told.contains("space"), "{told}");
    let plain = io::Error::from_raw_os_error(28);
    assert!(without_the_path(plain).to_string().contains("No space left"));
}

#[test]
fn missing_directories_are_made_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("a/b");
    let _kept = RecoveryDirectory::prepare(&deep).unwrap();
    for path in [&deep, &directory.path().join("a")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert!(contents(&deep).is_empty());
}

// They were removed, and with them shares of an earlier root key.
#[test]
fn recovery_files_of_other_numbers_stay_and_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for name in
        ["spike.recovery.9.txt", "spike.recovery.old.txt", "spike.recovery.1.gpg", "notes.txt"]
    {
        fs::write(path.join(name), name).unwrap();
    }
    let others = RecoveryDirectory::prepare(path).unwrap().write(&shares(1, &[1, 2])).unwrap();
    assert_eq!(others, ["spike.recovery.9.txt", "spike.recovery.old.txt"]);
    let there = contents(path);
    assert_eq!(there.len(), 6, "{there:?}");
    assert_eq!(there["spike.recovery.9.txt"], "spike.recovery.9.txt");
}

// They were replaced, and with them the only way to the data of the key before went.
#[test]
fn recovery_files_of_another_key_are_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let recovery = RecoveryDirectory::prepare(path).unwrap();
    recovery.write(&shares(1, &[1, 2, 3])).unwrap();
    fs::remove_file(path.join("spike.recovery.1.txt")).unwrap();
    fs::write(path.join("spike.recovery.3.txt"), "").unwrap();
    let before = contents(path);
    let error = recovery.write(&shares(2, &[1, 2, 3])).unwrap_err().to_string();
    let told = "sent now: spike.recovery.2.txt, spike.recovery.3.txt; no recovery file was written";
    assert!(error.contains(told), "{error}");
    assert_eq!(contents(path), before);
}

// Up to 64 MiB of it were read, and a longer one was an error of its own.
#[test]
fn of_a_long_file_in_the_place_of_a_share_no_more_than_a_share_is_read_and_it_stays() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("spike.recovery.1.txt");
    fs::write(&place, shares(1, &[1])[0].to_recovery_text().as_bytes()).unwrap();
    File::options().append(true).open(&place).unwrap().set_len(1 << 40).unwrap();
    let recovery = RecoveryDirectory::prepare(directory.path()).unwrap();
    let error = recovery.write(&shares(1, &[1])).unwrap_err();
    assert!(matches!(error, Error::OtherShares { .. }), "{error}");
    assert_eq!(fs::metadata(&place).unwrap().len(), 1 << 40);
}

#[test]
fn recovery_files_of_the_same_shares_are_written_again_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let recovery = RecoveryDirectory::prepare(path).unwrap();
    recovery.write(&shares(1, &[1, 2])).unwrap();
    let before = contents(path);
    let first = path.join("spike.recovery.1.txt");
    fs::write(&first, format!("{}\n", before["spike.recovery.1.txt"])).unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(recovery.write(&shares(1, &[1, 2])).unwrap(), [""; 0]);
    assert_eq!(contents(path), before);
    assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn old_files_survive_when_new_ones_cannot_be_written() {
    // cli-config-deploy 10.2 no. 9: upstream removes the old ones first.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let recovery = RecoveryDirectory::prepare(path).unwrap();
    recovery.write(&shares(1, &[1, 2, 3])).unwrap();
    fs::remove_file(path.join("spike.recovery.2.txt")).unwrap();
    fs::create_dir(path.join("spike.recovery.2.txt")).unwrap();
    let before = contents(path);
    let error = recovery.write(&shares(2, &[1, 2, 3])).unwrap_err();
    assert!(error.to_string().contains("spike.recovery.2.txt"), "{error}");
    assert_eq!(contents(path), before);
}

#[test]
fn old_files_survive_when_the_directory_goes_away_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let (here, moved) = (directory.path().join("here"), directory.path().join("moved"));
    let recovery = RecoveryDirectory::prepare(&here).unwrap();
    recovery.write(&shares(1, &[1])).unwrap();
    let before = contents(&here);
    fs::rename(&here, &moved).unwrap();
    assert!(recovery.write(&shares(2, &[1])).is_err());
    assert_eq!(contents(&moved), before);
}

// Empty directories were left behind.
#[test]
fn directories_that_were_made_and_stay_empty_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("empty")).unwrap();
    for name in ["a/b/c", "empty", "empty/d"] {
        drop(RecoveryDirectory::prepare(&path(name)).unwrap());
    }
    assert!(!path("a").exists());
    assert!(path("empty").exists() && contents(&path("empty")).is_empty());
    fs::write(path("file"), "").unwrap();
    assert!(RecoveryDirectory::prepare(&path("file/e")).is_err());
    RecoveryDirectory::prepare(&path("a/b")).unwrap().write(&shares(1, &[1])).unwrap();
    assert_eq!(contents(&path("a/b")).len(), 1);
}

// Nothing was said.
#[test]
fn a_directory_in_which_others_can_replace_files_is_told() {
    for (owner, mode, told) in [
        (7, 0o40700, None),
        (0, 0o41777, None),
        (0, 0o40755, None),
        (8, 0o40700, Some("belongs to the user with the number 8")),
        (8, 0o41777, Some("belongs to the user with the number 8")),
        (7, 0o40777, Some("can be written by other users (mode 0777)")),
        (0, 0o40770, Some("can be written by other users (mode 0770)")),
    ] {
        assert_eq!(risk(owner, mode, 7).as_deref(), told, "{owner} {mode:o}");
    }
    let directory = tempfile::tempdir().unwrap();
    let prepared = RecoveryDirectory::prepare(directory.path()).unwrap();
    assert_eq!(prepared.risk(), None);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(prepared.risk().as_deref(), Some("can be written by other users (mode 0777)"));
}

#[test]
fn a_place_that_is_no_directory_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.join("below"), file] {
        assert!(RecoveryDirectory::prepare(&path).is_err(), "{}", path.display());
    }
}

#[test]
fn a_link_or_a_pipe_with_the_name_of_a_recovery_file_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("spike.recovery.1.txt");
    std::os::unix::fs::symlink("/dev/null", &place).unwrap();
    let prepared = RecoveryDirectory::prepare(directory.path()).unwrap();
    let error = prepared.write(&shares(1, &[1, 2])).unwrap_err().to_string();
    assert!(error.contains("it is a symbolic link"), "{error}");
    assert!(place.is_symlink());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_that_is_a_link_to_nothing_is_told_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("gone", &link).unwrap();
    let error = RecoveryDirectory::prepare(&link).unwrap_err().to_string();
    assert!(error.contains("a symbolic link to gone, which does not exist"), "{error}");
}
