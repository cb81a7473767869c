//! A database that somebody else writes to while the store is open.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;

/// What is written over the database, from what it was before and what it is now.
type Overwrite = (&'static str, fn(&[u8], &[u8]) -> Vec<u8>);

const OVERWRITES: [Overwrite; 4] = [
    ("an older copy", |old, _now| old.to_vec()),
    ("emptied", |_old, _now| Vec::new()),
    ("cut", |_old, now| now[..now.len() / 2].to_vec()),
    ("a part of it zeroed", |_old, now| {
        let mut bytes = now.to_vec();
        bytes[4096..8192].fill(0);
        bytes
    }),
];

/// A store whose database was overwritten as `cp` does it: it stays the same file. `a` has 3 versions, the last one of them in the log.
async fn overwritten(overwrite: fn(&[u8], &[u8]) -> Vec<u8>) -> Fixture {
    let home = in_file(options());
    home.put("a", "one").await;
    let home = home.reopened().await;
    let old = fs::read(home.file()).unwrap();
    home.put("a", "two").await;
    home.put("b", "two").await;
    let home = home.reopened().await;
    home.put("a", "three").await;
    fs::write(home.file(), overwrite(&old, &fs::read(home.file()).unwrap())).unwrap();
    home
}

fn is_told(error: &StoreError) {
    assert_eq!(error.changed_file(), Some("the database of the store"), "{error:?}");
}

/// Writes were acknowledged, and the next start found them in another database, or not at all.
#[tokio::test]
async fn a_database_that_is_overwritten_is_noticed_before_a_write_is_acknowledged() {
    for (name, overwrite) in OVERWRITES {
        let home = overwritten(overwrite).await;
        let error = home.store.put(&path("a"), value("lost"), NOON).await.unwrap_err();
        is_told(&error);
        assert!(matches!(error, StoreError::NotCommitted(_)), "{name}: {error:?}");
        let reason = home.store.condition().write_failure().unwrap().reason;
        assert!(reason.contains("nexus.db was overwritten by another process"), "{name}: {reason}");
    }
}

#[tokio::test]
async fn it_is_noticed_without_a_write_and_stays_so() {
    for (name, overwrite) in OVERWRITES {
        let home = overwritten(overwrite).await;
        let found = fs::read(home.file()).unwrap();
        is_told(&home.store.in_place().expect_err(name));
        fs::write(home.file(), found).unwrap();
        is_told(&home.store.in_place().expect_err(name));
        is_told(&home.store.put(&path("a"), value("lost"), NOON).await.unwrap_err());
    }
}

#[tokio::test]
async fn a_database_that_is_overwritten_during_a_commit_leaves_it_open_whether_the_write_is_kept() {
    let home = in_file(options());
    home.put("a", "one").await;
    let file = home.file();
    let put = home.store.queue.submit(NOON, move |change| {
        change.unit.connection.execute("UPDATE secrets SET updated = updated + 1", [])?;
        fs::write(file, "others").unwrap();
        Ok(())
    });
    let error = put.await.unwrap_err();
    is_told(&error);
    assert!(matches!(error, StoreError::Stranded(_)), "{error:?}");
}

/// An older version was read, and was taken for the newest one.
#[tokio::test]
async fn nothing_is_read_from_a_database_that_was_overwritten_but_what_is_in_memory() {
    let home = overwritten(|_old, now| now.to_vec()).await;
    home.store.get(&path("a"), Selector::Current).expect_err("it is not in memory");
    let home = in_file(options());
    home.put("a", "one").await;
    home.put("b", "one").await;
    assert_eq!(home.get("a", 0).as_deref(), Some("one"));
    fs::write(home.file(), fs::read(home.file()).unwrap()).unwrap();
    is_told(&home.store.get(&path("b"), Selector::Current).unwrap_err());
    is_told(&home.store.list("", None, 10).unwrap_err());
    assert_eq!(home.get("a", 0).as_deref(), Some("one"));
    assert!(home.store.try_read().is_err());
    let reason = home.store.condition().read_failure().unwrap().reason;
    assert!(reason.contains("was overwritten by another process"), "{reason}");
}

/// The log was moved into a database that it does not belong to.
#[tokio::test]
async fn nothing_is_moved_into_a_database_that_was_overwritten_and_it_is_not_opened_again() {
    for (name, overwrite) in OVERWRITES {
        let home = overwritten(overwrite).await;
        let log = home.directory().join("nexus.db-wal");
        let before = (fs::read(home.file()).unwrap(), fs::read(&log).unwrap());
        is_told(&home.store.close().await.expect_err(name));
        assert!((fs::read(home.file()).unwrap(), fs::read(&log).unwrap()) == before, "{name}");
        let place = Home::File(home.directory().to_owned());
        let opened = Store::open_or_create(&place, &root_key(1), &options(), NOON).unwrap_err();
        assert!(matches!(opened, StoreError::Damaged { .. }), "{name}: {opened:?}");
        assert!(opened.to_string().contains("nexus.overwritten"), "{name}: {opened}");
        assert!((fs::read(home.file()).unwrap(), fs::read(&log).unwrap()) == before, "{name}");
    }
}

#[tokio::test]
async fn once_the_right_database_is_there_again_nothing_is_lost() {
    let home = in_file(options());
    home.put("a", "one").await;
    let home = home.reopened().await;
    home.put("a", "two").await;
    let whole = fs::read(home.file()).unwrap();
    fs::write(home.file(), "others").unwrap();
    is_told(&home.store.close().await.unwrap_err());
    fs::write(home.file(), whole).unwrap();
    fs::remove_file(home.directory().join("nexus.overwritten")).unwrap();
    let home = home.opened_again();
    assert_eq!(home.get("a", 0).as_deref(), Some("two"));
    assert!(home.store.loss().is_none());
}

/// As tools for snapshots, labels and modes do.
#[tokio::test]
async fn what_leaves_the_content_alone_is_no_change() {
    let home = in_file(options());
    home.put("a", "one").await;
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(home.file(), home.directory().join("snapshot")).unwrap();
    fs::remove_file(home.directory().join("snapshot")).unwrap();
    home.store.in_place().unwrap();
    home.put("a", "two").await;
    home.store.close().await.unwrap();
}

/// The index says then that something is being moved.
#[tokio::test]
async fn it_is_noticed_after_a_crash_too_and_what_others_move_is_not_taken_for_it() {
    for is_overwritten in [false, true] {
        let home = in_file(options());
        home.put("a", "one").await;
        let crashed = tempfile::tempdir().unwrap();
        for file in ["nexus.db", "nexus.db-wal"] {
            fs::copy(home.directory().join(file), crashed.path().join(file)).unwrap();
        }
        let place = Home::File(crashed.path().to_owned());
        let store = Store::open_or_create(&place, &root_key(1), &options(), NOON).unwrap();
        let file = crashed.path().join("nexus.db");
        if is_overwritten {
            fs::write(&file, fs::read(&file).unwrap()).unwrap();
            is_told(&store.in_place().unwrap_err());
        } else {
            let other = Connection::open(&file).unwrap();
            let count: i64 =
                other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)).unwrap();
            assert!(count > 0);
            store.in_place().unwrap();
            store.put(&path("a"), value("two"), NOON).await.unwrap();
        }
    }
}
