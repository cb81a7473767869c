//! How many Keepers may still be lost, and what raises that number.

use spike_wire::{KeeperStatusKind, StatusResponse};

use super::{Check, Group};
use crate::exit::Exit;
use crate::next_step::count_of;

const MARGIN: &str = "margin";
/// For a Nexus that has its root key, and would not find it again.
const QUORUM_LOST: &str = "docs/runbooks/SpikeQuorumLost.md";

/// How many Keepers may still be lost.
pub(super) fn judge(status: &StatusResponse) -> Check {
    let good = count_of(status, KeeperStatusKind::Good);
    let evidence = format!(
        "{good} of {} Keepers hold a share of the key in use, {} are needed",
        status.shares, status.threshold
    );
    match status.margin {
        None => Check::skipped(Group::Keepers, MARGIN, "SPIKE Nexus does not know it"),
        Some(1..) => Check::ok(Group::Keepers, MARGIN, evidence),
        Some(0) => {
            let cause = "no Keeper may be lost: a restart of SPIKE Nexus would still find its key";
            let (next, page) = raise(status, "docs/runbooks/SpikeQuorumAtItsLimit.md");
            Check::warning(Group::Keepers, MARGIN, evidence, (cause, next)).page(page)
        }
        Some(_) => {
            let cause = "SPIKE Nexus works, and would not find its root key after a restart: too few Keepers hold a share";
            let (next, page) = raise(status, QUORUM_LOST);
            let next = format!("do not restart SPIKE Nexus; {next}");
            Check::failed(Group::Keepers, MARGIN, Exit::Failure, evidence, (cause, next)).page(page)
        }
    }
}

/// What raises the margin, and the page about it. Keepers that are not away need not be brought back. `usual` is the page where
/// Keepers are away or empty.
fn raise(status: &StatusResponse, usual: &'static str) -> (String, &'static str) {
    let foreign = count_of(status, KeeperStatusKind::Foreign);
    let repeated = count_of(status, KeeperStatusKind::Repeated);
    let mut steps = Vec::new();
    if repeated > 0 {
        steps
            .push("correct the list of Keepers, in which two addresses are one process".to_owned());
    }
    if foreign > 0 {
        steps.push(
            "look at the Keepers above that hold a share of another root key: if one belongs to another deployment, correct \
             SPIKE_NEXUS_KEEPER_PEERS; if nobody needs the other key, restart that Keeper, and SPIKE Nexus fills it"
                .to_owned(),
        );
    }
    let total = status.keepers.len();
    if steps.is_empty() || foreign + repeated + count_of(status, KeeperStatusKind::Good) < total {
        steps.push("bring back the Keepers that are named above".to_owned());
        return (steps.join("; "), usual);
    }
    let page = if foreign > 0 { "docs/runbooks/SpikeShareReplaced.md" } else { usual };
    (steps.join("; "), page)
}
