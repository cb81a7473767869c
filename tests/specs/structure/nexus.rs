//! The rooms of Nexus: which of them may use which, and where the wire ends.

use std::{collections::BTreeSet, fs, io};

use super::module::{Crate, code, uses};
use crate::repository::root;

/// From the outside in. A room may use those of its own row and of the rows after it.
const ROOMS: [&[&str]; 4] = [&["serve"], &["service"], &["access", "keys"], &["store"]];

/// What is written for the wire ends in `serve`. These are the types of the wire that the other rooms may name, each with its
/// reason.
const OF_THE_WIRE: [(&str, &[&str], &str); 4] = [
    ("access/asked.rs", &["Needs", "Operation"], "the table of operations says what can be asked"),
    ("access/decide.rs", &["Rule"], "the table of operations says who may"),
    ("keys/quorum/contribute.rs", &["ContributeRequest", "Shard"], "what a Keeper is sent"),
    ("store/import.rs", &["SecretValues"], "upstream stores values as it sends them"),
];

/// In which row the file is; the files beside the rooms are in none.
fn row(file: &str) -> Option<usize> {
    let (room, _) = file.split_once('/')?;
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn a_room_of_nexus_uses_none_that_is_further_out() -> io::Result<()> {
    let graph = Crate::read(&root().join("nexus/src"))?.graph();
    let (mut seen, mut outward) = (0, Vec::new());
    for (file, used) in &graph {
        for other in used {
            let (Some(own), Some(theirs)) = (row(file), row(other)) else { continue };
            seen += usize::from(own < theirs);
            if theirs < own {
                outward.push(format!("{file} uses {other}"));
            }
        }
    }
    assert_eq!(outward, [""; 0]);
    assert!(seen > 20, "only {seen} uses from room to room were found");
    Ok(())
}

#[test]
fn types_of_the_wire_end_in_serve() -> io::Result<()> {
    let source = root().join("nexus/src");
    let graph = Crate::read(&source)?.graph();
    let inner: Vec<&String> = graph.keys().filter(|file| row(file) > Some(0)).collect();
    assert!(inner.len() > 50, "{inner:?}");
    let mut found = BTreeSet::new();
    for file in inner {
        let text = fs::read_to_string(source.join(file))?;
        for (path, _) in uses(&text) {
            if let Some((_, inside)) =
                path.split_first().filter(|(first, _)| *first == "spike_wire")
            {
                found.insert((file.clone(), inside.first().cloned().unwrap_or_default()));
            }
        }
        // Without a `use` line.
        for after in code(&text).split("spike_wire::").skip(1) {
            let name: String = after
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            if !name.is_empty() {
                found.insert((file.clone(), name));
            }
        }
    }
    let allowed: BTreeSet<_> = OF_THE_WIRE
        .iter()
        .flat_map(|(file, names, _)| names.iter().map(|name| ((*file).into(), (*name).into())))
        .collect();
    assert_eq!(
        found, allowed,
        "types of the wire in the inner rooms, and those that have a reason"
    );
    Ok(())
}
