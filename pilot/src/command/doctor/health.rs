//! What the health checks of Nexus say: for each of them the layer that it belongs to, the next step and the page.

use spike_wire::{CheckEffect, CheckStatus, StatusResponse};

use super::check::{Check, Group};
use crate::exit::Exit;
use crate::output::one_line;

/// What the doctor says of a check that does not pass.
struct Row {
    /// The name of the check in `/healthz`.
    check: &'static str,
    group: Group,
    /// What the check is called here.
    name: &'static str,
    /// What a degraded check is: one that harms nobody yet is a warning.
    degraded: Degraded,
    next: &'static str,
    page: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Degraded {
    Warning,
    Failure,
    /// Another part of the doctor says it, by the same answer of Nexus.
    Elsewhere,
}

/// Every check that Nexus and Keepers register. The doctor sees those of Nexus; those of Keepers are in the archive.
const ROWS: [Row; 18] = [
    Row {
        check: "start",
        group: Group::Nexus,
        name: "start",
        degraded: Degraded::Warning,
        next: "try again in a moment: it is starting",
        page: "docs/runbooks/SpikeNotReady.md",
    },
    Row {
        check: "serving",
        group: Group::Nexus,
        name: "serving",
        degraded: Degraded::Failure,
        next: "try again in a moment: it starts, or ends; its log says which",
        page: "docs/runbooks/SpikeNotReady.md",
    },
    Row {
        check: "serving_threads",
        group: Group::Nexus,
        name: "threads of SPIKE Nexus",
        degraded: Degraded::Failure,
        next: "report the bug if one is named there; else look at the disks of the audit log and of the data directory of SPIKE Nexus: one does not answer",
        page: "docs/health.md",
    },
    Row {
        check: "svid",
        group: Group::Nexus,
        name: "SVID of SPIKE Nexus",
        degraded: Degraded::Failure,
        next: "look into the log of the SPIFFE agent on the machine of SPIKE Nexus: does it run, and reach the SPIRE server?",
        page: "docs/runbooks/SpikeSvidExpired.md",
    },
    Row {
        check: "svid_rotation",
        group: Group::Nexus,
        name: "SVID of SPIKE Nexus",
        degraded: Degraded::Warning,
        next: "look into the log of the SPIFFE agent on the machine of SPIKE Nexus: when the SVID ends, SPIKE Nexus can serve nobody",
        page: "docs/runbooks/SpikeSvidNotRenewed.md",
    },
    Row {
        check: "workload_api",
        group: Group::Nexus,
        name: "Workload API of SPIKE Nexus",
        degraded: Degraded::Warning,
        next: "start the SPIFFE agent on the machine of SPIKE Nexus: it works until its SVID ends",
        page: "docs/runbooks/SpikeWorkloadApiAway.md",
    },
    Row {
        check: "trust_bundles",
        group: Group::Nexus,
        name: "trust bundles of SPIKE Nexus",
        degraded: Degraded::Warning,
        next: "correct the bundle at the SPIRE server: peers of that trust domain are refused",
        page: "docs/runbooks/SpikeTrustBundleFault.md",
    },
    Row {
        check: "memory_locked",
        group: Group::Nexus,
        name: "memory of SPIKE Nexus",
        degraded: Degraded::Warning,
        next: "raise that limit for SPIKE Nexus, and restart it; for a test on this machine it may stay",
        page: "docs/operations/hardening.md",
    },
    Row {
        check: "clock",
        group: Group::Clock,
        name: "clock of SPIKE Nexus",
        degraded: Degraded::Failure,
        next: "check that the time is synchronised (NTP) on both machines that are named",
        page: "docs/runbooks/SpikeClockWrong.md",
    },
    Row {
        check: "audit",
        group: Group::Storage,
        name: "audit log",
        degraded: Degraded::Failure,
        next: "make room on the disk of the audit log, or mend what is named there: SPIKE Nexus then goes on by itself",
        page: "docs/runbooks/SpikeAuditFailing.md",
    },
    Row {
        check: "store_write",
        group: Group::Storage,
        name: "store",
        degraded: Degraded::Failure,
        next: "mend what is named there; if the disk is full, make at least 1 MiB free. SPIKE Nexus tries again every second, and needs no restart",
        page: "docs/runbooks/SpikeStoreNotWritable.md",
    },
    Row {
        check: "store_read",
        group: Group::Storage,
        name: "store",
        degraded: Degraded::Failure,
        next: "copy the data directory first, and do not restart SPIKE Nexus before",
        page: "docs/runbooks/SpikeStoreNotReadable.md",
    },
    Row {
        check: "new_store",
        group: Group::Storage,
        name: "leave to make a new store",
        degraded: Degraded::Warning,
        next: "unset SPIKE_NEXUS_ACCEPT_NEW_STORE at SPIKE Nexus: where a volume is missing at a start, it would make an empty store",
        page: "docs/operations/store.md",
    },
    Row {
        check: "store_loss",
        group: Group::Storage,
        name: "lost commits",
        degraded: Degraded::Failure,
        next: "repeat what the audit log shows from then on, and confirm the loss",
        page: "docs/runbooks/SpikeCommitsLost.md",
    },
    Row {
        check: "import",
        group: Group::Storage,
        name: "import",
        degraded: Degraded::Failure,
        next: "solve what is named there; the log of SPIKE Nexus has each row",
        page: "docs/runbooks/SpikeImportIncomplete.md",
    },
    Row {
        check: "root_key",
        group: Group::Keepers,
        name: "root key",
        degraded: Degraded::Elsewhere,
        next: "solve what is named there",
        page: "docs/runbooks/SpikeSealed.md",
    },
    Row {
        check: "quorum",
        group: Group::Keepers,
        name: "margin",
        degraded: Degraded::Elsewhere,
        next: "bring back the Keepers that are named there",
        page: "docs/runbooks/SpikeKeeperAway.md",
    },
    Row {
        check: "share",
        group: Group::Keepers,
        name: "share",
        degraded: Degraded::Elsewhere,
        next: "nothing, while SPIKE Nexus is unsealed: it sends the share again",
        page: "docs/runbooks/SpikeShareMissing.md",
    },
];

/// The checks of Nexus that do not pass, and its troubles that are no checks.
pub(super) fn judge(status: &StatusResponse) -> Vec<Check> {
    let mut found: Vec<_> = status.checks.iter().filter_map(judge_check).collect();
    let is_check = |text: &&String| status.checks.iter().any(|check| check.reason == **text);
    let of_the_store = status.store.iter().flat_map(|store| &store.troubles);
    found.extend(of_the_store.filter(|text| !is_check(text)).map(|text| {
        let next = "solve what is named there; the log of SPIKE Nexus and its /healthz say more";
        unnamed(Group::Storage, "store", text, next)
    }));
    // How far a restore has come, and doubts about the data, belong to the root key that is missing.
    let (group, name) =
        if status.sealed { (Group::Keepers, "root key") } else { (Group::Nexus, "SPIKE Nexus") };
    found.extend(status.troubles.iter().filter(|text| !is_check(text)).map(|text| {
        let next = "solve what is named there; its log and its /healthz say more";
        unnamed(group, name, text, next)
    }));
    found
}

/// Whether a check of the store fails, so that nothing may be said of a store that is well.
pub(super) fn store_fails(status: &StatusResponse) -> bool {
    let is_of_the_store =
        |check: &CheckStatus| ROWS.iter().any(|row| row.check == check.name && row.name == "store");
    status.checks.iter().any(is_of_the_store)
        || status.store.as_ref().is_some_and(|store| !store.troubles.is_empty())
}

/// Whether Nexus is not ready because of a check that has a layer of its own.
pub(super) fn explains_not_ready(status: &StatusResponse) -> bool {
    let failing = |check: &&CheckStatus| check.effect == CheckEffect::Failing;
    status.checks.iter().filter(failing).any(|check| judge_check(check).is_some())
}

fn judge_check(check: &CheckStatus) -> Option<Check> {
    let CheckStatus { name, effect, reason } = check;
    let evidence = one_line(reason).into_owned();
    let cause = format!("SPIKE Nexus reports: {evidence}");
    let Some(row) = ROWS.iter().find(|row| row.check == name) else {
        // A newer Nexus may have checks that this program does not know.
        let next = "solve what is named there; its log and its /healthz say more";
        return Some(unnamed(Group::Nexus, &one_line(name), reason, next));
    };
    let is_warning = match (effect, row.degraded) {
        (_, Degraded::Elsewhere) => return None,
        (CheckEffect::Warning, _) | (CheckEffect::Degraded, Degraded::Warning) => true,
        (CheckEffect::Degraded, Degraded::Failure) | (CheckEffect::Failing, _) => false,
    };
    let exit = if *effect == CheckEffect::Failing { Exit::NotReady } else { Exit::Failure };
    let words = (cause, row.next);
    let found = if is_warning {
        Check::warning(row.group, row.name, evidence, words)
    } else {
        Check::failed(row.group, row.name, exit, evidence, words)
    };
    Some(found.page(row.page))
}

/// A trouble that Nexus names no check for.
fn unnamed(group: Group, name: &str, text: &str, next: &str) -> Check {
    let evidence = one_line(text).into_owned();
    let cause = format!("SPIKE Nexus reports: {evidence}");
    Check::failed(group, name, Exit::Failure, evidence, (cause, next))
}

#[cfg(test)]
mod tests;
