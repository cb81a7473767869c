//! Databases that no Nexus would open, and of which no backup is made.

use super::*;

/// What is in the directory of the database, but for what SQLite and Nexus hold in memory.
fn files(fixture: &Fixture) -> Vec<Vec<u8>> {
    ["nexus.db", "nexus.db-wal"].map(|name| fs::read(fixture.at("data").join(name)).unwrap()).into()
}

fn refused(fixture: &Fixture) -> String {
    let file = fixture.at("backup");
    let error = back_up(&fixture.at("data"), &file, NOON).unwrap_err();
    assert!(!file.exists(), "{error}");
    spike_daemon::process::chain(&error)
}

/// A copy of the other database was made, was verified, and counted as the newest backup.
#[tokio::test]
async fn a_database_that_was_overwritten_while_nexus_ran_was_backed_up() {
    let fixture = Fixture::new().await;
    let database = fixture.at("data/nexus.db");
    fs::write(&database, fs::read(&database).unwrap()).unwrap();
    fixture.store.in_place().unwrap_err();
    for has_ended in [false, true] {
        if has_ended {
            fixture.store.close().await.unwrap_err();
        }
        let before = files(&fixture);
        let told = refused(&fixture);
        for part in ["overwritten while Nexus had it open", "remove nexus.overwritten", "store.md"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(files(&fixture) == before);
    }
    let home = Home::File(fixture.at("data"));
    let at_start = Store::open(&home, &root_key(1), &options(), NOON).unwrap_err();
    assert_eq!(refused(&fixture), at_start.to_string(), "the next start says the same");
    fs::remove_file(fixture.at("data/nexus.overwritten")).unwrap();
    fixture.back_up();
}

/// The log is there, the database beside it is empty: SQLite took it for a new one.
#[tokio::test]
async fn the_log_beside_a_database_that_was_emptied_was_discarded() {
    let fixture = Fixture::new().await;
    let copy = fixture.at("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(fixture.at("data/nexus.db-wal"), copy.join("nexus.db-wal")).unwrap();
    fs::write(copy.join("nexus.db"), "").unwrap();
    let before = fs::read(copy.join("nexus.db-wal")).unwrap();
    assert!(!before.is_empty());
    let error = back_up(&copy, &fixture.at("backup"), NOON).unwrap_err();
    assert!(error.to_string().contains("it has only 0 bytes"), "{error}");
    assert!(fs::read(copy.join("nexus.db-wal")).unwrap() == before);
}

/// Nexus refuses it, because its log is elsewhere.
#[tokio::test]
async fn a_database_that_is_a_link_was_backed_up_without_a_word() {
    let fixture = Fixture::new().await;
    let linked = fixture.at("linked");
    fs::create_dir(&linked).unwrap();
    std::os::unix::fs::symlink(fixture.at("data/nexus.db"), linked.join("nexus.db")).unwrap();
    let error = back_up(&linked, &fixture.at("backup"), NOON).unwrap_err();
    assert!(spike_daemon::process::chain(&error).contains("it is a symbolic link"), "{error}");
}

/// It is refused because of the file that says what happened, which an operator has to move away with the rest.
#[tokio::test]
async fn nothing_is_restored_beside_what_says_that_a_database_was_overwritten() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let directory = fixture.at("moved away");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("nexus.overwritten"), "").unwrap();
    let error = restore(&file, &directory, NOON).unwrap_err();
    assert!(matches!(&error, BackupError::Occupied { .. }), "{error}");
    assert!(error.to_string().contains("nexus.overwritten is there"), "{error}");
}
