//! The content of the files: no plaintext, everything that was acknowledged, and no changed byte after an attempt with another
//! key.

use std::fs;
use std::sync::Arc;

use super::*;

/// The files of a running store as a crash at this moment would leave them.
fn crash_copy(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["nexus.db", "nexus.db-wal", "nexus.db-journal"] {
        if directory.join(file).exists() {
            fs::copy(directory.join(file), copy.path().join(file)).unwrap();
        }
    }
    copy
}

fn open(directory: &Path, key: &RootKey) -> Result<Store, StoreError> {
    Store::open_or_create(&Home::File(directory.to_owned()), key, &options(), NOON)
}

fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |file: &str| (file.to_owned(), fs::read(directory.join(file)).unwrap_or_default());
    vec![read("nexus.db"), read("nexus.db-wal")]
}

#[tokio::test]
async fn an_answered_write_is_in_the_files_and_an_unanswered_one_is_not_half_there() {
    let modes =
        [JournalMode::Wal, JournalMode::Delete, JournalMode::Truncate, JournalMode::Persist];
    for journal_mode in modes {
        let Fixture { store, directory, .. } = in_file(Options { journal_mode, ..options() });
        let (store, directory) = (Arc::new(store), directory.unwrap());
        store.put(&path("answered"), value("one"), NOON).await.unwrap();
        let after_first = crash_copy(directory.path());

        // A transaction with a put, which is then prevented from committing.
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let pending = Arc::clone(&store);
        let held = tokio::spawn(async move {
            let operation = move |change: &mut sqlite::unit::SqliteChange<'_>| {
                change.unit.connection.execute("DELETE FROM versions", [])?;
                begun.send(()).unwrap();
                released.recv().unwrap_err();
                Ok(())
            };
            pending.queue.submit(NOON, operation).await.unwrap();
        });
        has_begun.await.unwrap();
        let during_second = crash_copy(directory.path());
        drop(release);
        held.await.unwrap();

        for copy in [after_first, during_second] {
            let store = open(copy.path(), &root_key(1)).unwrap();
            let got = store.get(&path("answered"), Selector::Current).unwrap().unwrap();
            assert_eq!(got.as_slice(), b"one", "{journal_mode:?}");
            assert_eq!(store.put(&path("answered"), value("two"), NOON).await.unwrap(), 2);
        }
    }
}

#[tokio::test]
async fn every_answered_write_of_many_writers_is_in_a_copy_made_after_its_answer() {
    let Fixture { store, directory, .. } = in_file(options());
    let (store, directory) = (Arc::new(store), directory.unwrap());
    for round in 0..5 {
        let mut puts = tokio::task::JoinSet::new();
        for writer in 0..16 {
            let store = Arc::clone(&store);
            let name = path(&format!("{round}/{writer}"));
            puts.spawn(async move { store.put(&name, value("x"), NOON).await.map(|_| name) });
        }
        let mut answered = Vec::new();
        while answered.len() < 7 {
            answered.push(puts.join_next().await.unwrap().unwrap().unwrap());
        }
        let copy = crash_copy(directory.path());
        let reopened = open(copy.path(), &root_key(1)).unwrap();
        for name in answered {
            assert!(reopened.get(&name, Selector::Current).unwrap().is_some(), "{name}");
        }
        puts.join_all().await;
    }
}

#[tokio::test]
async fn another_root_key_is_refused_with_both_names_and_changes_no_byte() {
    let home = in_file(options());
    for number in 0..20 {
        home.put(&format!("p{number}"), "x").await;
    }
    let crashed = crash_copy(home.directory());
    home.store.close().await.unwrap();
    let closed = crash_copy(home.directory());
    for (copy, has_log) in [(crashed, true), (closed, false)] {
        let before = contents(copy.path());
        assert_eq!(!before[1].1.is_empty(), has_log);
        for _ in 0..2 {
            let error = open(copy.path(), &root_key(2)).unwrap_err();
            let StoreError::WrongRootKey { stored, given } = error else { panic!("{error:?}") };
            assert_eq!(stored, root_key(1).fingerprint());
            assert_eq!(given, root_key(2).fingerprint());
            assert!(contents(copy.path()) == before, "a byte was changed");
        }
        let store = open(copy.path(), &root_key(1)).unwrap();
        assert_eq!(store.stats().unwrap().paths, 20);
    }
}

#[tokio::test]
async fn neither_values_nor_patterns_nor_the_root_key_are_in_the_files() {
    let home = in_file(options());
    let planted = ["PLANTED-VALUE-1", "PLANTED-VALUE-2", "PLANTED-PATTERN", "PLANTED-PERMISSION"];
    home.put("p", planted[0]).await;
    home.put("p", planted[1]).await;
    home.store.delete(&path("p"), selectors(&[1]), NOON).await.unwrap();
    let text = PolicyText {
        spiffe_id_pattern: planted[2].to_owned(),
        path_pattern: planted[2].to_owned(),
        permissions: vec![planted[3].to_owned()],
    };
    home.store.put_policy("visible-name", text, NOON).await.unwrap();
    let running = contents(home.directory());
    assert!(running.iter().any(|(_, bytes)| contains(bytes, b"visible-name")), "wrong files");
    home.store.close().await.unwrap();
    for (file, bytes) in running.into_iter().chain(contents(home.directory())) {
        for text in planted {
            assert!(!contains(&bytes, text.as_bytes()), "{text} in {file}");
        }
        assert!(!contains(&bytes, root_key(1).expose_bytes()), "the root key is in {file}");
    }
}

// F8: pruned rows are gone, not just unreachable.
#[tokio::test]
async fn the_bytes_of_a_pruned_version_are_no_longer_in_the_file() {
    let max_versions = NonZeroU32::new(1).unwrap();
    let home = in_file(Options { max_versions, ..options() });
    home.put("p", "one").await;
    let ciphertext: Vec<u8> = home
        .store
        .readers
        .read(|connection| {
            Ok(connection.query_row("SELECT ciphertext FROM versions", [], |row| row.get(0))?)
        })
        .unwrap();
    let home = home.reopened().await;
    assert!(contains(&fs::read(home.file()).unwrap(), &ciphertext));
    home.put("p", "two").await;
    home.store.close().await.unwrap();
    assert!(!contains(&fs::read(home.file()).unwrap(), &ciphertext));
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
