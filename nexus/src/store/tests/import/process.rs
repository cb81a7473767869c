//! Another process holds the database: SQLite's locks have no effect within one process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use super::*;

/// Run by the test below in a process of its own, in the directory of the database.
#[test]
#[ignore = "it waits to be told to end; the test below starts it"]
fn another_process_that_holds_the_database() {
    let connection = Connection::open("spike.db").unwrap();
    connection.query_row("SELECT count(*) FROM secrets", [], |_row| Ok(())).unwrap();
    println!("\nholding");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

// Otherwise later writes of upstream would be lost without an error.
#[test]
fn a_database_that_upstream_still_has_open_is_not_imported_until_it_is_closed() {
    let directory = Upstream::filled(Generation::Current).left();
    let name = "store::tests::import::process::another_process_that_holds_the_database";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holding"), "the other process ended");

    let error = open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::UpstreamInUse { .. }), "{error}");
    let created = ["nexus.db", "nexus.db.new", "nexus.import"]
        .map(|file| directory.path().join(file).exists());
    assert_eq!(created, [false; 3]);

    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(imported(directory.path()).1.secrets, 2);
}
