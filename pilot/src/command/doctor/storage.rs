//! What Nexus says of its store.

use spike_daemon::counted;
use spike_mtls::clock::second;
use spike_wire::{StatusResponse, StoreStatus};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::check::{Check, Group};
use super::health;
use crate::output::one_line;

const BACKEND: &str = "backend";
const STORE: &str = "store";

/// Less than this is little room: about what an alert is raised for.
const LITTLE_ROOM: u64 = 512 * 1024 * 1024;
/// A verified backup that is older is an old one.
const OLD_BACKUP: Duration = Duration::days(2);

pub(super) fn judge(status: &StatusResponse, now: OffsetDateTime) -> Vec<Check> {
    let mut checks = vec![backend(status)];
    if status.shares > 0 && status.store.is_some() {
        checks.push(export(status));
    }
    if let Some(store) = &status.store {
        let size = format!("{} bytes, and {} in the write-ahead log", store.bytes, store.log_bytes);
        if !health::store_fails(status) && status.backend == "sqlite" {
            checks.push(Check::ok(Group::Storage, STORE, size));
        }
        checks.extend(little_room(store));
        checks.extend(old_backup(store, now));
        if let Some(import) = store.import.as_ref().filter(|import| import.left_out > 0) {
            let evidence = format!(
                "{} left out of upstream's database",
                counted(import.left_out, "row was", "rows were")
            );
            let cause = "the import from upstream is incomplete".to_owned();
            let next = one_line(&import.advice).into_owned();
            let check = Check::warning(Group::Storage, "import", evidence, (cause, next));
            checks.push(check.page("docs/runbooks/SpikeImportIncomplete.md"));
        }
    }
    checks
}

/// As the alert of the same name.
fn little_room(store: &StoreStatus) -> Option<Check> {
    let free = store.free_bytes.filter(|free| *free < LITTLE_ROOM)?;
    let evidence = format!("{free} bytes are free on the disk of the database");
    let cause = "the disk of the store is nearly full: then writes fail";
    let next = "remove what is not the store, or enlarge the volume; SPIKE Nexus needs no restart";
    let check = Check::warning(Group::Storage, "disk", evidence, (cause, next));
    Some(check.page("docs/runbooks/SpikeDiskNearlyFull.md"))
}

/// As the alert of the same name, if there ever was a backup.
fn old_backup(store: &StoreStatus, now: OffsetDateTime) -> Option<Check> {
    let text = store.last_backup.as_deref()?;
    let made = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let evidence = format!("the newest verified backup is of {}", second(made));
    if now - made < OLD_BACKUP {
        return Some(Check::ok(Group::Storage, "backup", evidence));
    }
    let cause = format!("there was no verified backup for {} days", (now - made).whole_days());
    let next = "look into the log of the timer or the CronJob that makes it: `nexus backup`, `nexus verify-backup`";
    let check = Check::warning(Group::Storage, "backup", evidence, (cause, next));
    Some(check.page("docs/runbooks/SpikeBackupOld.md"))
}

fn backend(status: &StatusResponse) -> Check {
    let name = one_line(&status.backend).into_owned();
    match name.as_str() {
        "memory" => {
            let cause = "the backend of SPIKE Nexus is memory: everything is lost when it restarts";
            let next = "set SPIKE_NEXUS_BACKEND_STORE=sqlite, unless this is a test";
            Check::warning(Group::Storage, BACKEND, name, (cause, next))
        }
        "lite" => {
            let cause = "the backend of SPIKE Nexus is lite: it encrypts and stores nothing, so secrets and policies are answered 400";
            let next = "set SPIKE_NEXUS_BACKEND_STORE=sqlite to store secrets; otherwise this is as it should be";
            Check::warning(Group::Storage, BACKEND, name, (cause, next))
        }
        _ => Check::ok(Group::Storage, BACKEND, name),
    }
}

/// Without recovery shares outside, the loss of all Keepers and Nexus at once loses the data.
fn export(status: &StatusResponse) -> Check {
    let name = "recovery shares";
    if let Some(at) = &status.last_export {
        return Check::ok(Group::Storage, name, format!("last taken out at {}", one_line(at)));
    }
    let cause = "the recovery shares were never taken out: if SPIKE Nexus and its Keepers stop at the same time, all data is lost";
    let next =
        "`spike operator recover`, with the role recover; keep the shares in different places";
    Check::warning(Group::Storage, name, "never taken out", (cause, next))
}

#[cfg(test)]
mod tests {
    use spike_wire::ImportStatus;

    use super::super::check::Outcome;
    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(11)
    }

    fn status(backend: &str) -> StatusResponse {
        StatusResponse { backend: backend.to_owned(), ..StatusResponse::default() }
    }

    #[test]
    fn a_backend_that_loses_or_keeps_nothing_is_a_warning() {
        for (name, part) in [("memory", "lost when it restarts"), ("lite", "answered 400")] {
            let found = judge(&status(name), now()).remove(0);
            assert_eq!(found.outcome, Outcome::Warning);
            assert!(found.cause.as_ref().unwrap().contains(part), "{found:?}");
        }
        assert_eq!(judge(&status("sqlite"), now()).remove(0).outcome, Outcome::Ok);
    }

    #[test]
    fn shares_that_were_never_taken_out_are_a_warning_and_without_an_open_store_nobody_knows() {
        let store = Some(StoreStatus::default());
        let live = StatusResponse { shares: 3, store, ..status("sqlite") };
        assert_eq!(judge(&live, now())[1].outcome, Outcome::Warning);
        let taken = StatusResponse { last_export: Some("today".to_owned()), ..live.clone() };
        assert_eq!(judge(&taken, now())[1].outcome, Outcome::Ok);
        assert_eq!(judge(&StatusResponse { store: None, ..live }, now()).len(), 1);
    }

    #[test]
    fn a_loss_of_the_import_is_a_warning_and_a_store_with_a_trouble_is_not_told_as_well() {
        let import = ImportStatus {
            left_out: 2,
            advice: "read the log".to_owned(),
            ..ImportStatus::default()
        };
        let troubles = vec!["the store cannot be written: disk full".to_owned()];
        let store = StoreStatus { troubles, import: Some(import), ..StoreStatus::default() };
        let found = judge(&StatusResponse { store: Some(store), ..status("sqlite") }, now());
        let outcomes: Vec<_> = found.iter().map(|check| check.outcome).collect();
        assert_eq!(outcomes, [Outcome::Ok, Outcome::Warning]);
    }

    #[test]
    fn a_disk_that_is_nearly_full_and_a_backup_that_is_old_are_warnings() {
        let with = |free_bytes, last_backup: Option<&str>| {
            let last_backup = last_backup.map(str::to_owned);
            let store =
                StoreStatus { free_bytes: Some(free_bytes), last_backup, ..StoreStatus::default() };
            judge(&StatusResponse { store: Some(store), ..status("sqlite") }, now())
        };
        let names = |found: &[Check], outcome| {
            let named = found.iter().filter(|check| check.outcome == outcome);
            named.map(|check| check.name.clone()).collect::<Vec<_>>().join(",")
        };
        let (room, little) = (1 << 40, 1 << 20);
        assert_eq!(names(&with(little, None), Outcome::Warning), "disk");
        assert_eq!(names(&with(room, Some("1970-01-01T00:00:00Z")), Outcome::Warning), "backup");
        assert_eq!(names(&with(room, Some("1970-01-11T00:00:00Z")), Outcome::Warning), "");
        // Nobody says how old a backup is that never was.
        assert_eq!(names(&with(room, None), Outcome::Warning), "");
    }
}
