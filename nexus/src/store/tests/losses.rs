//! Acknowledged commits that a damaged or older file lacks are noticed when the store is opened. A normal crash is no loss.

use std::fs;

use super::*;

/// A store in a directory that can be copied as after a crash.
struct Crash(TempDir);

impl Crash {
    /// The files of a running store at this moment.
    fn of(home: &Fixture) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for file in ["nexus.db", "nexus.db-wal", "nexus.db-journal", "nexus.commits"] {
            if home.directory().join(file).exists() {
                fs::copy(home.directory().join(file), copy.path().join(file)).unwrap();
            }
        }
        Self(copy)
    }

    fn open(&self) -> Store {
        let home = Home::File(self.0.path().to_owned());
        Store::open_or_create(&home, &root_key(1), &options(), NOON).unwrap()
    }

    fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.0.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.0.path().join(file)).unwrap();
    }
}

fn text(pattern: &str) -> PolicyText {
    PolicyText {
        spiffe_id_pattern: pattern.to_owned(),
        path_pattern: pattern.to_owned(),
        permissions: Vec::new(),
    }
}

/// Puts and a deleted policy, each a commit of its own.
async fn busy() -> Fixture {
    let home = in_file(options());
    home.store.put_policy("revoked", text("x"), NOON).await.unwrap();
    home.put("a", "one").await;
    home.put("b", "one").await;
    home.store.delete_policy("revoked", NOON).await.unwrap();
    home.put("a", "two").await;
    home.put("c", "one").await;
    home
}

#[tokio::test]
async fn a_crash_raises_no_alarm_whatever_was_committed_last() {
    for journal_mode in
        [JournalMode::Wal, JournalMode::Delete, JournalMode::Truncate, JournalMode::Persist]
    {
        let home = in_file(Options { journal_mode, ..options() });
        for step in 0..12 {
            match step % 6 {
                0 => drop(home.put("a", "x").await),
                1 => home.store.put_policy("p", text("x"), NOON).await.unwrap(),
                2 => drop(home.store.delete(&path("a"), Vec::new(), NOON).await.unwrap()),
                3 => drop(home.store.undelete(&path("a"), Vec::new(), NOON).await.unwrap()),
                4 => drop(home.store.delete_policy("p", NOON).await.unwrap()),
                _ => home.store.note_export(NOON).await.unwrap(),
            }
            let crash = Crash::of(&home);
            let store = crash.open();
            assert_eq!(store.loss(), None, "{journal_mode:?}, step {step}");
            // The next start does not report it either.
            store.put(&path("z"), value("x"), NOON).await.unwrap();
            drop(store);
            assert_eq!(crash.open().loss(), None, "{journal_mode:?}, step {step}");
        }
    }
}

// After a power loss, unsynced data may have its earlier state.
#[tokio::test]
async fn a_file_of_commits_that_is_older_than_the_database_or_missing_raises_no_alarm() {
    let home = in_file(options());
    home.put("a", "one").await;
    let old = fs::read(home.directory().join("nexus.commits")).unwrap();
    home.put("a", "two").await;
    home.store.put_policy("p", text("x"), NOON).await.unwrap();
    let crash = Crash::of(&home);
    fs::write(crash.0.path().join("nexus.commits"), &old).unwrap();
    assert_eq!(crash.open().loss(), None);
    for torn in [0, 17, 64 * 2 + 30] {
        let crash = Crash::of(&home);
        crash.change("nexus.commits", |bytes| bytes.truncate(torn));
        assert_eq!(crash.open().loss(), None, "{torn}");
    }
    let crash = Crash::of(&home);
    crash.remove("nexus.commits");
    assert_eq!(crash.open().loss(), None);
}

/// A change of the files, and its name.
type Damage<'a> = (&'a str, &'a dyn Fn(&Crash));

// SQLite dropped acknowledged commits without an error, and a revoked policy was in force again.
#[tokio::test]
async fn a_log_that_was_cut_or_damaged_or_removed_is_told_with_what_is_missing() {
    let home = busy().await;
    let whole = fs::metadata(home.directory().join("nexus.db-wal")).unwrap().len();
    let half = usize::try_from(whole / 2).unwrap();
    let damages: [Damage<'_>; 4] = [
        ("cut", &|crash| crash.change("nexus.db-wal", |bytes| bytes.truncate(half))),
        ("last frame cut", &|crash| {
            crash.change("nexus.db-wal", |bytes| bytes.truncate(bytes.len() - 10));
        }),
        ("flipped", &|crash| crash.change("nexus.db-wal", |bytes| bytes[half] ^= 1)),
        ("removed", &|crash| crash.remove("nexus.db-wal")),
    ];
    for (what, damage) in damages {
        let crash = Crash::of(&home);
        damage(&crash);
        let store = crash.open();
        let loss = store.loss().unwrap_or_else(|| panic!("{what}")).clone();
        assert!(loss.text.contains("acknowledged commits are missing"), "{what}: {}", loss.text);
        let number = if what == "last frame cut" { Some(", 1 of them") } else { None };
        assert!(number.is_none_or(|number| loss.text.contains(number)), "{what}: {}", loss.text);
        // The store works, and new writes are no further loss.
        store.put(&path("later"), value("x"), NOON).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let store = crash.open();
        assert_eq!(store.loss(), Some(&loss), "{what}: it is told until somebody has looked");
        assert_eq!(fs::read_to_string(&loss.file).unwrap().lines().count(), 1, "{what}");
        fs::remove_file(&loss.file).unwrap();
        assert_eq!(store.loss(), None, "{what}");
        drop(store);
        assert_eq!(crash.open().loss(), None, "{what}");
    }
}

#[tokio::test]
async fn a_damaged_log_is_noticed_without_the_file_of_commits_and_kept_for_whoever_can_read_it() {
    let home = busy().await;
    let log = fs::read(home.directory().join("nexus.db-wal")).unwrap();
    for at in [20, 32 + 24 + 100, log.len() / 2] {
        let crash = Crash::of(&home);
        crash.remove("nexus.commits");
        crash.change("nexus.db-wal", |bytes| bytes[at] ^= 0x10);
        let damaged = fs::read(crash.0.path().join("nexus.db-wal")).unwrap();
        let store = crash.open();
        let loss = store.loss().unwrap_or_else(|| panic!("{at}"));
        assert!(loss.text.contains("at least"), "{}", loss.text);
        assert!(loss.text.contains("the write-ahead log is damaged"), "{}", loss.text);
        let kept: Vec<_> = fs::read_dir(crash.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("nexus.db-wal.damaged-"))
            .collect();
        assert_eq!(kept.len(), 1);
        assert!(fs::read(&kept[0]).unwrap() == damaged);
    }
}

// The write at the time of the crash was not acknowledged.
#[tokio::test]
async fn a_last_transaction_that_is_not_whole_is_no_damage() {
    let home = busy().await;
    let before = fs::metadata(home.directory().join("nexus.db-wal")).unwrap().len();
    home.put("last", &"x".repeat(20_000)).await;
    let after = fs::read(home.directory().join("nexus.db-wal")).unwrap().len();
    let before = usize::try_from(before).unwrap();
    for at in (before..after).step_by(512) {
        let crash = Crash::of(&home);
        crash.remove("nexus.commits");
        crash.change("nexus.db-wal", |bytes| bytes[at..at + 8].fill(0xaa));
        assert_eq!(crash.open().loss(), None, "{at}");
    }
}

#[tokio::test]
async fn an_older_copy_of_the_database_is_told_as_a_loss() {
    let home = busy().await;
    let home = home.reopened().await;
    let old = tempfile::tempdir().unwrap();
    home.store.close().await.unwrap();
    fs::copy(home.file(), old.path().join("nexus.db")).unwrap();
    let home = home.opened_again();
    home.put("a", "three").await;
    home.put("a", "four").await;
    home.store.close().await.unwrap();
    let Fixture { store, directory, .. } = home;
    drop(store);
    fs::copy(old.path().join("nexus.db"), directory.as_ref().unwrap().path().join("nexus.db"))
        .unwrap();
    let crash = Crash(directory.unwrap());
    let store = crash.open();
    assert!(store.loss().unwrap().text.contains(", 2 of them"), "{:?}", store.loss());
}
