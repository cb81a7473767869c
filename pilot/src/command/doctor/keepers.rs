//! The root key: what Nexus says of it and of its Keepers, and whether the Keepers are reached from here.

mod margin;

use std::sync::Arc;

use spike_config::{Environment, HttpsUrl, Process, Reader, table};
use spike_domain::TrustRootsByRole;
use spike_mtls::{
    PeerError, TransportError,
    client::{CallError, KeeperClient},
    svid::SvidSource,
};
use spike_wire::{DataKind, KeeperStatus, KeeperStatusKind, NotReady, SealedBy, StatusResponse};

use super::check::{Check, Group};
use super::{STEP, health, timeouts};
use crate::exit::Exit;
use crate::next_step::{
    LISTED_TWICE, count_of, has_unused_data, holding, is_last_copy_at_nexus, is_new, next_step,
};
use crate::output::one_line;

const KEY: &str = "root key";
/// For a Nexus that has no root key.
const SEALED: &str = "docs/runbooks/SpikeSealed.md";
const AWAY: &str = "docs/runbooks/SpikeKeeperAway.md";

/// The root key and the Keepers, as Nexus sees them. `blocked` is the reason of a 503 of another operation, if Nexus is sealed.
pub(super) fn judge(status: &StatusResponse, blocked: Option<NotReady>) -> Vec<Check> {
    if status.shares == 0 {
        let evidence =
            format!("the {} backend has none, and needs no Keepers", one_line(&status.backend));
        return vec![Check::ok(Group::Keepers, KEY, evidence)];
    }
    let mut checks = vec![if status.sealed { sealed(status, blocked) } else { unsealed(status) }];
    checks.extend(status.keepers.iter().map(|it| keeper(it, status.sealed)));
    if !status.sealed {
        checks.push(margin::judge(status));
    }
    checks
}

fn unsealed(status: &StatusResponse) -> Check {
    let key = one_line(status.root_key.as_deref().unwrap_or("unknown")).into_owned();
    match &status.reason {
        None => Check::ok(Group::Keepers, KEY, key),
        // The layer whose check fails says so.
        Some(_) if health::explains_not_ready(status) => Check::ok(Group::Keepers, KEY, key),
        Some(reason) => {
            let evidence = one_line(reason).into_owned();
            let cause = format!("SPIKE Nexus has its root key, and is not ready: {evidence}");
            let next = "look into its log and its /readyz";
            Check::failed(Group::Keepers, KEY, Exit::NotReady, evidence, (cause, next))
                .page("docs/runbooks/SpikeNotReady.md")
        }
    }
}

/// Why Nexus has no root key.
fn sealed(status: &StatusResponse, blocked: Option<NotReady>) -> Check {
    let reason = status.reason.as_deref().unwrap_or("SPIKE Nexus gives no reason");
    let evidence = format!("sealed: {}", one_line(reason));
    let total = status.keepers.len();
    let empty = count_of(status, KeeperStatusKind::Empty);
    let away = count_of(status, KeeperStatusKind::Unreachable);
    let hold = holding(status);
    let threshold = status.threshold;
    let told = next_step(status).unwrap_or("solve what is named there").to_owned();
    let (cause, next, page) = if is_last_copy_at_nexus(status) {
        (
            "SPIKE Nexus alone has a whole root key, and cannot use it: Keepers hold too few shares of that key"
                .to_owned(),
            told,
            NO_DATA_PAGE,
        )
    } else if status.sealed_by == Some(SealedBy::NoData) {
        ("SPIKE Nexus has a root key, and no data for it".to_owned(), told, NO_DATA_PAGE)
    } else if blocked == Some(NotReady::Store) {
        (
            format!(
                "SPIKE Nexus has its shares, and its store cannot be opened: {}",
                store_reason(reason)
            ),
            if reason.contains(OF_A_NEWER_NEXUS) {
                "start that newer SPIKE Nexus again, or put back a backup of before. Neither Bootstrap nor a restore helps".to_owned()
            } else {
                "mend the store: SPIKE Nexus then goes on by itself. Stop it before you put files back. Neither Bootstrap nor a restore helps".to_owned()
            },
            "docs/runbooks/SpikeStoreNotReadable.md",
        )
    } else if is_new(status) {
        (
            "Bootstrap has never run: there is neither data nor a share at any Keeper".to_owned(),
            "in a new deployment, run Bootstrap once (`bootstrap -init`); if SPIKE was in use before, `spike operator restore`".to_owned(),
            "docs/operations/first-start.md",
        )
    } else if status.sealed_by.is_some_and(|by| by != SealedBy::Shares) {
        (format!("SPIKE Nexus has no root key that it may use: {}", one_line(reason)), told, SEALED)
    } else if has_unused_data(status) {
        (
            "SPIKE Nexus is on the lite backend, and there is a database in its data directory, which that backend does not use".to_owned(),
            told,
            SEALED,
        )
    } else if empty == total && has_data(status) {
        (
            format!("all {total} Keepers are empty, and there is data: Keepers and SPIKE Nexus restarted at the same time, so the root key is in no memory any more"),
            "`spike operator restore` with the recovery shares brings it back. Bootstrap would make another key, which decrypts nothing that is stored".to_owned(),
            SEALED,
        )
    } else if hold < usize::from(threshold) && away > 0 {
        (
            format!(
                "{away} of {total} Keepers cannot be reached from SPIKE Nexus{}, {hold} hold a share, and {threshold} are needed",
                why_away(status)
            ),
            format!(
                "{}: SPIKE Nexus then goes on by itself. If they have lost their shares, `spike operator restore` brings the key back",
                bring_back(status)
            ),
            SEALED,
        )
    } else if hold < usize::from(threshold) && empty > 0 {
        (
            format!(
                "{empty} of {total} Keepers {} empty, {hold} {} a share, and {threshold} are needed",
                if empty == 1 { "is" } else { "are" },
                if hold == 1 { "holds" } else { "hold" },
            ),
            if has_data(status) {
                "`spike operator restore` with the recovery shares brings the key back".to_owned()
            } else {
                format!(
                    "`spike operator restore` with the recovery shares brings the key back. If Bootstrap was interrupted, so that nothing was \
                     written under the key, restart {}, which forgets its share then, and run Bootstrap again",
                    filled(status)
                )
            },
            SEALED,
        )
    } else {
        (
            format!("SPIKE Nexus has no root key that it may use: {}", one_line(reason)),
            "solve what is named there; `spike operator status` shows when it is".to_owned(),
            SEALED,
        )
    };
    Check::failed(Group::Keepers, KEY, Exit::NotReady, evidence, (cause, next)).page(page)
}

const NO_DATA_PAGE: &str = "docs/operations/store.md";

/// How Nexus says of a database that a newer one has made.
const OF_A_NEWER_NEXUS: &str = "a newer SPIKE Nexus has made it";

/// The reason without what the cause says already.
fn store_reason(reason: &str) -> String {
    let reason = reason.rsplit_once("the store cannot be opened: ").map_or(reason, |(_, why)| why);
    one_line(reason).into_owned()
}

/// The reasons why Nexus does not reach Keepers, each once, in parentheses; nothing if it tells none.
fn why_away(status: &StatusResponse) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for keeper in status.keepers.iter().filter(|keeper| is_away(keeper)) {
        let Some(detail) = &keeper.detail else { continue };
        let detail = one_line(detail);
        if !reasons.iter().any(|reason| reason.ends_with(detail.as_ref())) {
            reasons.push(format!("Keeper {}: {detail}", keeper.index));
        }
    }
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}

fn is_away(keeper: &KeeperStatus) -> bool {
    keeper.state == KeeperStatusKind::Unreachable
}

/// What brings back the Keepers that are away.
fn bring_back(status: &StatusResponse) -> &'static str {
    let away = || status.keepers.iter().filter(|keeper| is_away(keeper));
    let is_any =
        |of: fn(&str) -> bool| away().any(|keeper| keeper.detail.as_deref().is_some_and(of));
    if is_any(is_about_identity) {
        "a Keeper that answers the handshake runs: compare its trust roots and its registration entry with those of SPIKE Nexus, and both clocks"
    } else if is_any(is_silent) {
        "a Keeper that does not answer may run and hang: look into its log; else its machine is down, or a firewall drops packets. Start those that have \
         ended"
    } else {
        "start those Keepers, or mend the way to them"
    }
}

/// Whether the Keeper gave no answer in time. It is the text of an error of the connection.
fn is_silent(detail: &str) -> bool {
    ["no answer within", "took longer than"].iter().any(|part| detail.contains(part))
}

/// Whether the Keeper runs, and one of the two ends did not accept the other. It is the text of an error of the connection.
fn is_about_identity(detail: &str) -> bool {
    ["certificate", "is not accepted here", "TLS alert"].iter().any(|part| detail.contains(part))
}

/// The Keepers that hold a share.
fn filled(status: &StatusResponse) -> String {
    let holds = |keeper: &&KeeperStatus| keeper.state.holds_share() == Some(true);
    let each = status.keepers.iter().filter(holds);
    let names: Vec<String> = each.map(|keeper| format!("Keeper {}", keeper.index)).collect();
    if names.is_empty() { "every Keeper".to_owned() } else { names.join(" and ") }
}

fn has_data(status: &StatusResponse) -> bool {
    status.data.is_some_and(|data| data != DataKind::None)
}

/// For a Keeper that gives no answer.
const SILENT: &str = "if its process runs, it hangs or is stopped: look into its log; else its machine is down, or a firewall drops packets. A restart \
                      makes it empty: while SPIKE Nexus is sealed, restart it only if enough other Keepers hold a share";

fn keeper(keeper: &KeeperStatus, sealed: bool) -> Check {
    let KeeperStatus { index, url, state, since, detail, .. } = keeper;
    let name = format!("Keeper {index}");
    let detail =
        detail.as_ref().map(|detail| format!(": {}", one_line(detail))).unwrap_or_default();
    let evidence = format!(
        "as SPIKE Nexus sees {}: {} since {}{}",
        one_line(url),
        state.as_str(),
        one_line(since),
        detail
    );
    let (cause, next, page) = match state {
        KeeperStatusKind::Good | KeeperStatusKind::Unjudged => {
            return Check::ok(Group::Keepers, &name, evidence);
        }
        KeeperStatusKind::Unknown => {
            ("SPIKE Nexus has not asked it yet", "try again in a moment", AWAY)
        }
        KeeperStatusKind::Unreachable => {
            let (fault, next) = if is_about_identity(&detail) {
                (
                    "SPIKE Nexus cannot reach it",
                    "it runs: compare its trust roots and its registration entry with those of SPIKE Nexus, and both clocks",
                )
            } else if is_silent(&detail) {
                ("it does not answer", SILENT)
            } else {
                (
                    "SPIKE Nexus cannot reach it",
                    "start it, or correct SPIKE_NEXUS_KEEPER_PEERS of SPIKE Nexus",
                )
            };
            let cause = format!("{fault}{detail}");
            return Check::warning(Group::Keepers, &name, evidence, (cause, next)).page(AWAY);
        }
        KeeperStatusKind::Empty => (
            "it holds no share: it was restarted, or never had one",
            "nothing, while SPIKE Nexus is unsealed: it sends the share again",
            "docs/runbooks/SpikeShareMissing.md",
        ),
        KeeperStatusKind::Unusable => (
            "it holds something that is not its share of the key in use, or does not show what it holds",
            "look into its log. If that does not pass, restart it: it comes back empty, and SPIKE Nexus fills it",
            "docs/runbooks/SpikeShareMissing.md",
        ),
        KeeperStatusKind::Foreign if sealed => (
            "it holds a share of a root key that is not that of the data",
            "if that key is of another deployment, correct SPIKE_NEXUS_KEEPER_PEERS or SPIKE_NEXUS_DATA_DIR. Restart the Keeper only if nobody \
             needs that key: its share is gone then",
            SEALED,
        ),
        KeeperStatusKind::Repeated => (
            "it is the same process as an earlier Keeper of the list, under another address, and counts once",
            LISTED_TWICE,
            AWAY,
        ),
        KeeperStatusKind::Foreign => (
            "it holds a share of another root key, which SPIKE Nexus does not replace",
            "if it belongs to another deployment, correct SPIKE_NEXUS_KEEPER_PEERS. If that key is not needed any more, restart \
             the Keeper: it comes back empty, and SPIKE Nexus fills it",
            "docs/runbooks/SpikeShareReplaced.md",
        ),
        KeeperStatusKind::Forgetful => (
            "it takes its share and does not give it back",
            "look into its log, and restart it",
            "docs/runbooks/SpikeKeeperForgets.md",
        ),
    };
    Check::warning(Group::Keepers, &name, evidence, (cause, next)).page(page)
}

/// The Keepers in the settings of this process.
#[derive(Clone, Debug)]
pub(crate) struct KnownKeepers {
    /// Their addresses, by the index of their share.
    pub(crate) peers: Vec<(u16, HttpsUrl)>,
    /// The trust roots that they are known under.
    pub(crate) roots: Arc<TrustRootsByRole>,
}

impl KnownKeepers {
    /// `None` if there are no such settings, or they cannot be used.
    pub(crate) fn of(environment: &Environment) -> Option<Self> {
        environment.get(table::SPIKE_NEXUS_KEEPER_PEERS.name)?;
        let mut reader = Reader::new(environment, Process::Nexus);
        let peers = reader.keeper_peers(&table::SPIKE_NEXUS_KEEPER_PEERS)?;
        let keeper = reader.trust_roots(&table::SPIKE_TRUST_ROOT_KEEPER);
        let roots = TrustRootsByRole { keeper, ..TrustRootsByRole::default() };
        let peers = peers.iter().map(|(index, url)| (index, url.clone())).collect();
        Some(Self { peers, roots: Arc::new(roots) })
    }
}

/// Dials each Keeper in the settings of this process, if there are any. A Keeper speaks only with Nexus and Bootstrap, so a
/// handshake that it ends after its certificate was accepted is as good as it gets.
pub(super) async fn dial(environment: &Environment, source: &SvidSource) -> Vec<Check> {
    let Some(KnownKeepers { peers, roots }) = KnownKeepers::of(environment) else {
        return Vec::new();
    };
    let dials: Vec<_> = peers
        .into_iter()
        .map(|(index, url)| {
            let (source, roots) = (source.clone(), Arc::clone(&roots));
            tokio::spawn(
                async move { judge_dial(index, &url, &dial_one(&source, roots, &url).await) },
            )
        })
        .collect();
    let mut checks = Vec::new();
    for dial in dials {
        checks.extend(dial.await.ok());
    }
    checks
}

async fn dial_one(
    source: &SvidSource,
    roots: Arc<TrustRootsByRole>,
    url: &HttpsUrl,
) -> Result<(), TransportError> {
    let client = KeeperClient::new(source, roots, url, timeouts(STEP))
        .map_err(|error| TransportError::Broken(error.to_string()))?;
    match client.status().await {
        Err(CallError::Transport(error)) => Err(error),
        Ok(_) | Err(CallError::Refused(_) | CallError::Reply(_)) => Ok(()),
    }
}

fn judge_dial(index: u16, url: &HttpsUrl, dialled: &Result<(), TransportError>) -> Check {
    let name = format!("Keeper {index} from here");
    let error = match dialled {
        Ok(()) | Err(TransportError::Unaccepted(_) | TransportError::Broken(_)) => {
            let evidence = format!(
                "{url} shows the SVID of a Keeper. It speaks with SPIKE Nexus and Bootstrap only, so nothing more can be seen from here"
            );
            return Check::ok(Group::Keepers, &name, evidence);
        }
        Err(error) => error,
    };
    let (cause, next) = match error.peer_error() {
        Some(PeerError::Refused { id, .. }) => (
            format!("the server at {url} is {id}, and no Keeper under SPIKE_TRUST_ROOT_KEEPER"),
            "correct SPIKE_NEXUS_KEEPER_PEERS or SPIKE_TRUST_ROOT_KEEPER",
        ),
        Some(PeerError::Times { id, not_before, now, .. }) if now < not_before => (
            format!(
                "the certificate of {id} is not valid yet: the clocks of its machine and of this one differ"
            ),
            "set the clock that is wrong: `timedatectl` says whether it is synchronized",
        ),
        Some(PeerError::Times { id, .. }) => (
            format!(
                "the certificate of {id} has expired: its SPIFFE agent has not renewed it, or the clocks differ"
            ),
            "look into the log of the SPIFFE agent on its machine; compare the clocks",
        ),
        Some(_) => (
            format!("the certificate of the server at {url} is not accepted"),
            "compare the trust domains",
        ),
        None if is_silent(&error.to_string()) => {
            (format!("the Keeper at {url} does not answer"), SILENT)
        }
        None => (
            format!("the Keeper at {url} cannot be reached from this machine"),
            "start it, or correct SPIKE_NEXUS_KEEPER_PEERS. If only SPIKE Nexus may reach it, this is no fault",
        ),
    };
    Check::warning(Group::Keepers, &name, error.to_string(), (cause, next)).page(AWAY)
}

#[cfg(test)]
mod tests;
