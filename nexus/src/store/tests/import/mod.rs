//! The import of upstream's databases, and its record in the store.

mod contents;
mod damage;
mod process;
mod refusals;
mod starts;
mod upstream;

use spike_domain::Version;

use super::*;

use self::upstream::{Metadata, SECOND, Upstream, files, open_with, originals};

const NANOS: i64 = 1_000_000_000;

fn open(directory: &Path) -> Result<Store, StoreError> {
    open_with(directory, &root_key(1), NOON)
}

/// A data directory as upstream left it, to make a golden database from.
pub(super) fn files_with_upstream_data() -> TempDir {
    Upstream::filled(Generation::Current).left()
}

/// Opens a store that must import the database there, even if rows are left out.
fn imported(directory: &Path) -> (Store, ImportReport) {
    let options = Options { import_with_losses: true, ..Options::default() };
    let home = Home::File(directory.to_owned());
    let store = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap();
    let Import::Done(report) = store.import() else { panic!("{:?}", store.import()) };
    let report = report.clone();
    (store, report)
}

fn get(store: &Store, name: &str, version: i64) -> Option<String> {
    let value = store.get(&path(name), Selector::from(version)).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn versions(store: &Store, name: &str) -> Vec<Version> {
    store.metadata(&path(name)).unwrap().unwrap().versions().to_vec()
}

fn numbers(store: &Store, name: &str) -> Vec<i64> {
    versions(store, name).iter().map(|version| version.number).collect()
}

fn names(store: &Store) -> Vec<String> {
    store.list("", None, usize::MAX).unwrap()
}

/// What was left out, as `table key: reason`.
fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
