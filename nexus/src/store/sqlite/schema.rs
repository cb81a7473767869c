//! Compares the definitions in a database with those of this program, exactly.

use std::path::Path;

use rusqlite::Connection;

use crate::store::error::StoreError;

/// Creates the missing tables of [`SCHEMA_VERSION`].
pub(in crate::store) const SCHEMA: &str = include_str!("schema-2.sql");
/// The tables of schema 1, to recognise a database that is to be migrated.
const SCHEMA_1: &str = include_str!("schema-1.sql");
/// In the file's header, so that `file` and this program recognise it: "SPK2".
pub(in crate::store) const APPLICATION_ID: i64 = 0x5350_4b32;
/// In the file's header as `user_version`.
pub(in crate::store) const SCHEMA_VERSION: i64 = 2;

/// What SQLite creates for `ANALYZE` and `PRAGMA optimize`: it contains counts, and no code.
const OF_SQLITE: [&str; 4] = ["sqlite_stat1", "sqlite_stat2", "sqlite_stat3", "sqlite_stat4"];

/// Type, name and text of one definition.
type Definition = (String, String, Option<String>);

/// All definitions in the database, without those that SQLite creates itself.
pub(in crate::store) fn schema(connection: &Connection) -> rusqlite::Result<Vec<Definition>> {
    let mut statement =
        connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let of_sqlite = |definition: &Definition| OF_SQLITE.contains(&definition.1.as_str());
    rows.filter(|row| !row.as_ref().is_ok_and(of_sqlite)).collect()
}

/// The first difference of the database at `path`, and what to do about it; `None` if there is none.
pub(in crate::store) fn difference(
    path: &Path,
    expected: &[Definition],
    found: &[Definition],
) -> Option<String> {
    let same_name = |one: &Definition, other: &Definition| (&one.0, &one.1) == (&other.0, &other.1);
    // What SQLite creates with a table is removed with it.
    let of_a_table = |one: &Definition| one.1.starts_with("sqlite_autoindex_");
    let is_added =
        |one: &&Definition| !of_a_table(one) && !expected.iter().any(|other| same_name(one, other));
    let added = || found.iter().filter(is_added);
    // The index of an unknown table is removed with the table, which is what the operator has to know.
    let table = |one: &&Definition| one.0 == "table";
    if let Some((kind, name, _)) = added().find(table).or_else(|| added().next()) {
        let others: Vec<String> = added()
            .filter(|one| &one.1 != name)
            .map(|(kind, name, _)| format!("{kind} {}", shown(name)))
            .collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(" (nor {})", others.join(", ")),
        };
        return Some(format!(
            "{kind} {} is not one of ours{others}: stop what made it, and remove it{}, or put back a copy from before",
            shown(name),
            command(path, kind, name)
        ));
    }
    let missing = expected.iter().find(|one| !found.iter().any(|other| same_name(one, other)));
    if let Some((kind, name, _)) = missing {
        return Some(format!("{kind} {name} is missing: put back a copy from before"));
    }
    let changed = expected.iter().find(|one| !found.contains(one));
    changed.map(|(kind, name, _)| {
        format!("{kind} {name} was changed: put back a copy from before it was")
    })
}

/// The name, in quotes unless it is plain. It was not chosen by this program.
fn shown(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.chars().all(is_plain) { name.to_owned() } else { format!("{name:?}") }
}

/// A shell command that removes it; nothing if the name or the path cannot be written on one line.
fn command(path: &Path, kind: &str, name: &str) -> String {
    let Some(file) = path.to_str() else { return String::new() };
    if [file, name].iter().any(|text| text.chars().any(char::is_control)) {
        return String::new();
    }
    let statement = format!("DROP {} \"{}\"", kind.to_uppercase(), name.replace('"', "\"\""));
    format!(" with `sqlite3 {} {}`", quoted(file), quoted(&statement))
}

/// One quoted word of a shell command.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A schema that this program can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum KnownSchema {
    /// It is migrated.
    First,
    /// The schema of this program.
    Current,
}

impl KnownSchema {
    /// The statements that make its tables.
    pub(in crate::store) const fn sql(self) -> &'static str {
        match self {
            Self::First => SCHEMA_1,
            Self::Current => SCHEMA,
        }
    }
}

/// The schema of a database. Refuses a file that is no store, or a store of a later program.
pub(in crate::store) fn check_header(
    connection: &Connection,
    path: &Path,
) -> Result<KnownSchema, StoreError> {
    let path = path.to_owned();
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if application == 0 && found == 0 && schema(connection)?.is_empty() {
        return Err(StoreError::Damaged { path, what: "it holds nothing at all".to_owned() });
    }
    match found {
        _ if application != APPLICATION_ID => Err(StoreError::Foreign { path }),
        1 => Ok(KnownSchema::First),
        SCHEMA_VERSION => Ok(KnownSchema::Current),
        known_later if known_later > SCHEMA_VERSION => {
            Err(StoreError::NewerSchema { path, found, known: SCHEMA_VERSION })
        }
        _ => Err(StoreError::Damaged { path, what: format!("there is no schema {found}") }),
    }
}
