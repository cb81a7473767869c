//! What Nexus says of its store.

use spike_wire::StatusResponse;

use super::check::{Check, Group};
use crate::exit::Exit;
use crate::output::one_line;

const BACKEND: &str = "backend";
const STORE: &str = "store";

pub(super) fn judge(status: &StatusResponse) -> Vec<Check> {
    let mut checks = vec![backend(status)];
    if status.shares > 0 && status.store.is_some() {
        checks.push(export(status));
    }
    if let Some(store) = &status.store {
        let size = format!("{} bytes, and {} in the write-ahead log", store.bytes, store.log_bytes);
        if store.troubles.is_empty() && status.backend == "sqlite" {
            checks.push(Check::ok(Group::Storage, STORE, size));
        }
        checks.extend(store.troubles.iter().map(|text| trouble(STORE, text)));
        if let Some(import) = store.import.as_ref().filter(|import| import.left_out > 0) {
            let evidence = format!("{} rows of upstream's database were left out", import.left_out);
            let cause = "the import from upstream is incomplete".to_owned();
            let next = one_line(&import.advice).into_owned();
            let check = Check::warning(Group::Storage, "import", evidence, (cause, next));
            checks.push(check.page("docs/runbooks/SpikeImportIncomplete.md"));
        }
    }
    checks.extend(status.troubles.iter().map(|text| trouble("SPIKE Nexus", text)));
    checks
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

fn trouble(name: &str, text: &str) -> Check {
    let evidence = one_line(text).into_owned();
    let cause = format!("SPIKE Nexus reports: {evidence}");
    let next = "solve what is named there; its log and its /healthz say more";
    Check::failed(Group::Storage, name, Exit::Failure, evidence, (cause, next))
        .page("docs/runbooks/SpikeStoreNotWritable.md")
}

#[cfg(test)]
mod tests {
    use spike_wire::{ImportStatus, StoreStatus};

    use super::super::check::Outcome;
    use super::*;

    fn status(backend: &str) -> StatusResponse {
        StatusResponse { backend: backend.to_owned(), ..StatusResponse::default() }
    }

    #[test]
    fn a_backend_that_loses_or_keeps_nothing_is_a_warning() {
        for (name, part) in [("memory", "lost when it restarts"), ("lite", "answered 400")] {
            let found = judge(&status(name)).remove(0);
            assert_eq!(found.outcome, Outcome::Warning);
            assert!(found.cause.as_ref().unwrap().contains(part), "{found:?}");
        }
        assert_eq!(judge(&status("sqlite")).remove(0).outcome, Outcome::Ok);
    }

    #[test]
    fn shares_that_were_never_taken_out_are_a_warning_and_without_an_open_store_nobody_knows() {
        let store = Some(StoreStatus::default());
        let live = StatusResponse { shares: 3, store, ..status("sqlite") };
        assert_eq!(judge(&live)[1].outcome, Outcome::Warning);
        let taken = StatusResponse { last_export: Some("today".to_owned()), ..live.clone() };
        assert_eq!(judge(&taken)[1].outcome, Outcome::Ok);
        assert_eq!(judge(&StatusResponse { store: None, ..live }).len(), 1);
    }

    #[test]
    fn what_nexus_reports_of_its_store_and_itself_is_a_failure_and_a_loss_of_the_import_a_warning()
    {
        let import = ImportStatus {
            left_out: 2,
            advice: "read the log".to_owned(),
            ..ImportStatus::default()
        };
        let troubles = vec!["the store cannot be written: disk full".to_owned()];
        let store = StoreStatus { troubles, import: Some(import), ..StoreStatus::default() };
        let troubles = vec!["memory is not locked".to_owned()];
        let found = judge(&StatusResponse { store: Some(store), troubles, ..status("sqlite") });
        let outcomes: Vec<_> = found.iter().map(|check| check.outcome).collect();
        let failed = Outcome::Failed(Exit::Failure);
        assert_eq!(outcomes, [Outcome::Ok, failed, Outcome::Warning, failed]);
    }
}
