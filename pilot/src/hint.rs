//! The next steps after an error.

use spike_config::table;
use spike_domain::{Role, trust_domain_of};
use spike_mtls::{
    PeerError, TransportError,
    client::{CallError, Refusal},
    clock::{self, second},
    svid::SvidError,
};
use spike_wire::{NotReady, Operation, Rule};

use crate::about::about;
use crate::error::{Asked, Error};
use crate::output::one_line;

const TRUSTS: &str =
    "check that SPIKE Nexus trusts the trust domain of this process, and look into its log";

/// A connection too many ends without a word (`docs/audit-log.md`).
const TOO_MANY: &str = "too many connections of this SPIFFE ID, or of all, are busy, or SPIKE Nexus ends: its audit log says which (`spike audit query FILE --action connect`)";

/// The next steps, the most likely first; none if the message is enough.
pub(crate) fn hints(error: &Error) -> Vec<String> {
    match error {
        Error::Usage { hint, .. } => hint.iter().cloned().collect(),
        Error::Settings(_) => one("these are environment variables of this process"),
        Error::NoIdentity(SvidError::Forbidden { .. }) => one(
            "give this user the right to reach the socket (the directories above it need x, the socket needs w), or run this as a user that has it",
        ),
        Error::NoIdentity(_) => one(
            "check that the SPIFFE agent runs, that SPIFFE_ENDPOINT_SOCKET names its socket, and that this program has a registration entry",
        ),
        Error::OwnTimes { not_before, now, .. } => one(if now < not_before {
            "set the clock of this machine, and check the clock of the SPIRE server"
        } else {
            "if the clock is right, the agent has not renewed the SVID: look into its log, and check that it reaches the SPIRE server"
        }),
        Error::WrongRole { roles, id, expected } => wrong_role(roles, id, expected),
        Error::Call { asked, error: CallError::Refused(refusal) } => refused(asked, refusal),
        Error::Call { asked, error: CallError::Transport(error) } => unreachable(asked, error),
        Error::Call { error: CallError::Reply(_), .. } => {
            one("check that SPIKE_NEXUS_API_URL names a SPIKE Nexus, of this release or near it")
        }
        Error::NoSuchKey { keys, .. } if keys.is_empty() => one("it has no keys at all"),
        Error::NoSuchKey { keys, .. } => one(&format!("it has {}", one_line(&keys.join(", ")))),
        Error::NotThere { hint, .. } => one(hint),
        Error::NoSuchPolicy(_) => one("`spike policy list` shows all names"),
        Error::PolicyExists(_) => {
            one("`spike policy apply` replaces it; `spike policy get` shows what it says now")
        }
        Error::Partly { error, others } => {
            let mut all = hints(error);
            all.extend(others.iter().cloned());
            all
        }
        Error::UselessShares(_) => one("the log of SPIKE Nexus says more"),
        Error::OtherShares { .. } => one(
            "they may belong to an earlier root key and be the only way to its data: move them to a safe place, or choose another directory with --out DIR",
        ),
        Error::BadShare { .. } => {
            one("a recovery file holds one line, spike:<index>:<64 hex digits>; nothing was sent")
        }
        Error::Runtime(_)
        | Error::Tls(_)
        | Error::Input { .. }
        | Error::File { .. }
        | Error::Output(_) => Vec::new(),
    }
}

fn one(hint: &str) -> Vec<String> {
    vec![hint.to_owned()]
}

fn wrong_role(roles: &[Role], id: &str, expected: &[String]) -> Vec<String> {
    let mut hints = vec![format!(
        "`spike` itself refused, and did not ask SPIKE Nexus: accepted is {}, or an ID below it",
        expected.join(" or ")
    )];
    let domain = trust_domain_of(id).unwrap_or_default();
    if expected.iter().all(|expected| trust_domain_of(expected) != Some(domain)) {
        hints.push(format!(
            "this process is in the trust domain {domain}: is SPIKE_TRUST_ROOT_PILOT={domain} missing?"
        ));
    } else if Role::named_in(id).is_none() {
        // A workload is not told how to become an operator.
        hints.push(
            "this process is a workload, and may use secrets and the cipher as policies say; ask an operator for the rest. If it was to \
             run as an operator, its registration entry is wrong"
                .to_owned(),
        );
    } else {
        // Policies can grant what a superuser may do, and nothing else.
        let policies = if roles == [Role::PilotSuperuser] { ", whatever policies say" } else { "" };
        hints.push(format!(
            "an ID of another role is taken for a mistake{policies}: register this program under that ID; a change takes some seconds to arrive"
        ));
    }
    hints
}

fn unreachable(asked: &Asked, error: &TransportError) -> Vec<String> {
    let mut hints = match error {
        TransportError::Connect { .. } | TransportError::Address(_) => {
            one("check that SPIKE Nexus runs, and that SPIKE_NEXUS_API_URL names its host and port")
        }
        TransportError::Handshake { .. } => one(&handshake(error.peer_error())),
        // No alert says that it is the certificate.
        TransportError::Broken(_) => vec![TOO_MANY.to_owned(), TRUSTS.to_owned(), own_times(asked)],
        TransportError::Unaccepted(_) => vec![TRUSTS.to_owned(), own_times(asked)],
        TransportError::Timeout { .. } => one(
            "SPIKE Nexus may be busy, or a firewall drops the packets; the SPIKE_HTTP_CLIENT_ settings are the limits",
        ),
        TransportError::TooLarge { .. } | TransportError::Endless { .. } => Vec::new(),
    };
    if asked.operation == Operation::OperatorRestore && may_have_arrived(error) {
        hints.push(
            "the share may have arrived anyway: repeat the command, since a share that is sent twice counts once"
                .to_owned(),
        );
    }
    hints
}

/// Whether Nexus may have carried out the request although there is no answer.
const fn may_have_arrived(error: &TransportError) -> bool {
    match error {
        TransportError::Connect { .. }
        | TransportError::Address(_)
        | TransportError::Handshake { .. }
        | TransportError::Unaccepted(_) => false,
        TransportError::Broken(_)
        | TransportError::Timeout { .. }
        | TransportError::TooLarge { .. }
        | TransportError::Endless { .. } => true,
    }
}

fn refused(asked: &Asked, refusal: &Refusal) -> Vec<String> {
    let about = about(asked.operation);
    if let Some(why) = asked.not_ready(refusal) {
        return not_ready(asked, why);
    }
    match refusal.status.as_u16() {
        // A reason says more than a guess.
        400 if refusal.reason.is_some() => Vec::new(),
        400 => one(about.after_invalid),
        401 | 403 => denied(asked, refusal),
        404 => one(about.after_missing),
        409 => one("something of that name exists already"),
        413 => one(&too_large(asked, refusal)),
        429 => one("SPIKE Nexus takes no more of these at once; try again in a moment"),
        _ => one(&in_the_log(refusal)),
    }
}

fn too_large(asked: &Asked, refusal: &Refusal) -> String {
    let limit = &table::SPIKE_HTTP_SERVER_MAX_BODY_SIZE;
    let size = match asked.too_large {
        Some(bytes) => format!("the request has {bytes} bytes, and is"),
        None => "the request is".to_owned(),
    };
    let hint = format!("{size} larger than {} of SPIKE Nexus allows", limit.name);
    // The reason tells the limit in force.
    match limit.default.text().filter(|_| refusal.reason.is_none()) {
        Some(default) => format!("{hint}, {default} by default"),
        None => hint,
    }
}

fn not_ready(asked: &Asked, why: NotReady) -> Vec<String> {
    match why {
        NotReady::Busy | NotReady::Ending | NotReady::Crowded => {
            one("try again in a moment; nothing is lost, and it needs no Bootstrap and no restore")
        }
        NotReady::Sealed | NotReady::Store if asked.next_step().is_some() => {
            asked.next_step().map(str::to_owned).into_iter().collect()
        }
        NotReady::Store => one(
            "no share is missing: once the store can be opened, SPIKE Nexus goes on by itself (stop it before you put files back); neither Bootstrap nor a restore helps",
        ),
        NotReady::Sealed if asked.finds_something() => vec![
            "once the problem above is solved, SPIKE Nexus goes on by itself; `spike operator status` shows its Keepers"
                .to_owned(),
            "if too few Keepers hold a share of the key of its data, `spike operator restore` brings the key back"
                .to_owned(),
        ],
        NotReady::Sealed => sealed(),
    }
}

/// Nexus does not tell a workload why it is sealed. So the hints name Bootstrap only for a new deployment, where a new key
/// replaces nothing.
fn sealed() -> Vec<String> {
    vec![
        "it waits for the shares of its root key from the Keepers; `spike operator status`, its log and its /readyz say how many are there, and what is wrong"
            .to_owned(),
        "if SPIKE was in use before: solve the problem that is shown there; if too few Keepers hold a share, `spike operator restore` brings the key back. Bootstrap would make another key, which decrypts nothing that is stored"
            .to_owned(),
        "if SPIKE was just set up, with neither data nor a share at any Keeper: run Bootstrap once"
            .to_owned(),
    ]
}

/// What to check when the certificate of the server was not accepted.
pub(crate) fn handshake(refused: Option<&PeerError>) -> String {
    match refused {
        Some(PeerError::Times { not_before, now, .. }) if now < not_before => {
            "compare the clocks of this machine, of the machine of SPIKE Nexus and of the SPIRE server".to_owned()
        }
        Some(PeerError::Times { .. }) => {
            "its SVID has ended and was not renewed: look into the log of the SPIFFE agent on the machine of SPIKE Nexus, does it run and reach the SPIRE server? Compare the clocks, if it does"
                .to_owned()
        }
        Some(PeerError::Refused { id, expected })
            if Role::named_in(id).is_none() && is_of_expected_domain(id, expected) =>
        {
            format!(
                "if {id} is SPIKE Nexus, correct its registration entry (spire-server entry show); a change takes some seconds to arrive. Else SPIKE_NEXUS_API_URL names another server"
            )
        }
        Some(PeerError::Chain { .. } | PeerError::UnknownTrustDomain(_)) => {
            "check that this process and SPIKE Nexus get their SVIDs from the same SPIRE server, or from two that are federated"
                .to_owned()
        }
        Some(PeerError::Refused { id, .. }) => format!(
            "check that SPIKE_NEXUS_API_URL names a SPIKE Nexus; if {id} is yours, SPIKE_TRUST_ROOT_NEXUS must name its trust root"
        ),
        Some(
            PeerError::Malformed
            | PeerError::UriNames(_)
            | PeerError::NotASpiffeId(_)
            | PeerError::SigningCertificate(_),
        )
        | None => "check that SPIKE_NEXUS_API_URL names a SPIKE Nexus".to_owned(),
    }
}

/// Whether an ID that was refused is in a trust domain that the settings name already, by the text of the IDs that were expected.
pub(crate) fn is_of_expected_domain(id: &str, expected: &str) -> bool {
    trust_domain_of(id).is_some_and(|domain| expected.contains(&format!("spiffe://{domain}/")))
}

/// A server that rejects our certificate rarely says why. A wrong clock is one possible reason.
fn own_times(asked: &Asked) -> String {
    let (not_before, not_after) = asked.svid;
    format!(
        "the SVID of this process is valid from {} until {}, and it is {} here: does the clock of SPIKE Nexus differ?",
        second(not_before),
        second(not_after),
        second(clock::now())
    )
}

fn in_the_log(refusal: &Refusal) -> String {
    match &refusal.request_id {
        Some(request) => format!("the log of SPIKE Nexus says more about request {request}"),
        None => "the log of SPIKE Nexus says more".to_owned(),
    }
}

/// An operator's role was checked before the call, so Nexus has other trust roots. A workload needs a policy.
fn denied(asked: &Asked, refusal: &Refusal) -> Vec<String> {
    let mut hints = Vec::new();
    let takes = match asked.operation.rule() {
        Rule::OnThePath(word) => Some((word, format!("on the path {}", asked.subject))),
        Rule::OnSystemPath(word, path) | Rule::Cipher(word, path) => {
            Some((word, format!("on the path {path}")))
        }
        Rule::Names(word, path) => {
            Some((word, format!("on the paths that are to be seen, or on {path} for all names")))
        }
        Rule::Roles(_) => None,
    };
    if let Some((word, place)) = takes {
        hints.push(format!("it takes the permission '{word}' {place}"));
    }
    hints.push(if asked.is_operator {
        "operators need no policy, so SPIKE Nexus does not take this ID for an operator: compare SPIKE_TRUST_ROOT_PILOT of SPIKE Nexus with the ID"
            .to_owned()
    } else {
        format!(
            "{} is no operator, so a policy must allow it; an operator asks `spike policy explain` which one would",
            asked.id
        )
    });
    if let Some(request) = &refusal.request_id {
        hints
            .push(format!("the audit log of SPIKE Nexus tells the reason under request {request}"));
    }
    hints
}
