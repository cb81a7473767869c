//! The Workload API and the SVID of this process.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use spike_config::{EndpointAddress, EndpointSocket, Process};
use spike_domain::{Role, TrustRootsByRole, trust_domain_of};
use spike_mtls::{
    clock::{self, second},
    settings::{ForeignRoots, OwnTrustDomain, foreign_roots},
    svid::{Material, SvidSource, SvidStatus, may_not_open},
};
use time::OffsetDateTime;
use tokio::net::{TcpStream, UnixStream};

use super::check::{Check, Group, Report, SETTING};
use super::{STEP, within};
use crate::exit::Exit;

const AGENT: &str = "Workload API";
const SVID: &str = "SVID";
const TIMES: &str = "SVID times";
const ROLE: &str = "role";
const AWAY: &str = "docs/runbooks/SpikeWorkloadApiAway.md";

/// Whether an agent listens at the address.
pub(super) async fn agent(endpoint: &EndpointSocket) -> Check {
    let dialled = match endpoint.address() {
        EndpointAddress::Unix(path) => within(UnixStream::connect(path)).await.map(drop),
        EndpointAddress::Tcp(address) => within(TcpStream::connect(address)).await.map(drop),
    };
    judge_agent(endpoint, dialled)
}

fn judge_agent(endpoint: &EndpointSocket, dialled: io::Result<()>) -> Check {
    let at = endpoint.as_str();
    let Err(error) = dialled else {
        return Check::ok(Group::Identity, AGENT, format!("something listens at {at}"));
    };
    let evidence = format!("{at}: {error}");
    let start = "start the SPIFFE agent, or correct SPIFFE_ENDPOINT_SOCKET";
    let (cause, next) = match (error.kind(), endpoint.unix_path()) {
        (ErrorKind::NotFound, Some(path)) => (nothing_at(path), start.to_owned()),
        (ErrorKind::PermissionDenied, Some(path)) => (
            may_not_open(path),
            "give this user the right to reach the socket: the directories above it need x, the socket needs w".to_owned(),
        ),
        (ErrorKind::ConnectionRefused, Some(path)) if !is_socket(path) => {
            (format!("{} is not a socket", path.display()), "correct SPIFFE_ENDPOINT_SOCKET".to_owned())
        }
        (ErrorKind::ConnectionRefused, Some(_)) => (
            "the socket is there and nobody listens: the SPIFFE agent does not run any more".to_owned(),
            "start the SPIFFE agent, and look into its log".to_owned(),
        ),
        (ErrorKind::TimedOut, _) => (
            format!("nobody took the connection within {STEP:?}: the SPIFFE agent hangs, or a firewall drops packets"),
            "look into the log of the SPIFFE agent".to_owned(),
        ),
        _ => ("the SPIFFE agent cannot be reached at this address".to_owned(), start.to_owned()),
    };
    Check::failed(Group::Identity, AGENT, Exit::Unreachable, evidence, (cause, next)).page(AWAY)
}

fn nothing_at(path: &Path) -> String {
    match path.parent().filter(|parent| !parent.exists()) {
        Some(parent) => format!(
            "there is no agent at that place: the directory {} does not exist",
            parent.display()
        ),
        None => format!("there is no agent at that place: nothing is at {}", path.display()),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// The SVID of this process, if it comes within the time of a step.
pub(super) async fn svid(
    source: &SvidSource,
    endpoint: &EndpointSocket,
    roots: &TrustRootsByRole,
    report: &mut Report,
) -> Option<Arc<Material>> {
    let material = source.first(endpoint.as_str(), STEP).await;
    let status = source.status();
    let Ok(material) = material else {
        let selectors = if status.refused { selectors().await } else { Vec::new() };
        let agent = if status.refused { user_of_agent(endpoint).await } else { None };
        report.push(judge_missing(
            &status,
            &selectors,
            agent.filter(|agent| is_blind(*agent, uid())),
        ));
        return None;
    };
    let id = material.id().to_string();
    report.push(several(&id, material.offered()));
    let times = (material.not_before(), material.not_after());
    report.push(judge_times(times, status.expiring(clock::now()), clock::now()));
    report.push(judge_role(&id, roots));
    report.extend(judge_roots(&material, roots));
    report.push(bundles(&material));
    Some(material)
}

/// The user of the process that listens at the socket.
async fn user_of_agent(endpoint: &EndpointSocket) -> Option<u32> {
    let stream = within(UnixStream::connect(endpoint.unix_path()?)).await.ok()?;
    stream.peer_cred().ok().map(|credentials| credentials.uid())
}

/// Whether an agent of this user may not read `/proc/PID/exe` of a process of that one, unless it has a capability for it.
const fn is_blind(agent: u32, own: u32) -> bool {
    agent != 0 && agent != own
}

/// Why no SVID came. `blind` is the user of an agent that may see little of this process.
fn judge_missing(status: &SvidStatus, selectors: &[String], blind: Option<u32>) -> Check {
    let reason = status.last_error.as_ref().map(|(_, reason)| reason.as_str());
    let evidence =
        format!("none within {STEP:?}: {}", reason.unwrap_or("the agent does not answer"));
    if status.refused {
        let evidence = std::iter::once(evidence).chain(selectors.iter().cloned());
        let cause = "there is no registration entry for this process: the agent answers and gives it no SVID";
        let next = "compare the selectors above with those of the entries (spire-server entry show); create one, or correct it. A change takes some seconds to arrive";
        let evidence = evidence.collect::<Vec<_>>().join("\n");
        let failed =
            |words| Check::failed(Group::Identity, SVID, Exit::Unreachable, &*evidence, words);
        return match blind {
            None => failed((cause.to_owned(), next.to_owned())),
            Some(agent) => failed((
                format!(
                    "{cause}. The agent runs as user {agent}, and this process as user {}: without the capability CAP_SYS_PTRACE the agent cannot read /proc/PID/exe of this process, so an entry with unix:path or unix:sha256 never matches",
                    uid()
                ),
                format!("give the agent CAP_SYS_PTRACE, or run both as one user; else {next}"),
            )),
        };
    }
    let (cause, next) = match reason {
        None => (
            "something listens at the socket and does not answer",
            "is it a SPIFFE agent? If it is, look into its log: it may not reach the SPIRE server",
        ),
        Some(_) => (
            "the Workload API answers, and its answer cannot be used",
            "is it a SPIFFE agent? If it is, look into its log",
        ),
    };
    Check::failed(Group::Identity, SVID, Exit::Unreachable, evidence, (cause, next)).page(AWAY)
}

/// This process as the Unix attestor of SPIRE sees it.
async fn selectors() -> Vec<String> {
    let executable = fs::read_link("/proc/self/exe").ok();
    let hashed =
        tokio::task::spawn_blocking(|| fs::read("/proc/self/exe").map(|bytes| hash(&bytes)));
    let hashed = tokio::time::timeout(STEP, hashed).await;
    let mut selectors = vec![
        format!("unix:uid:{}", uid()),
        format!("unix:gid:{}", rustix::process::getgid().as_raw()),
    ];
    selectors.extend(executable.map(|path| format!("unix:path:{}", path.display())));
    if let Ok(Ok(Ok(hash))) = hashed {
        selectors.push(format!("unix:sha256:{hash}"));
    }
    selectors
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn hash(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(Sha256::digest(bytes).as_slice())
}

fn several(id: &str, offered: usize) -> Check {
    if offered < 2 {
        return Check::ok(Group::Identity, SVID, id);
    }
    let cause = format!("the agent offers {offered} SVIDs, and the first one is used");
    let next = "keep one registration entry for this program, if the wrong SVID is used";
    Check::warning(Group::Identity, SVID, id, (cause, next))
}

fn judge_times(
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
    is_late: bool,
    now: OffsetDateTime,
) -> Check {
    let evidence = format!(
        "valid from {} until {}; it is {} here",
        second(not_before),
        second(not_after),
        second(now)
    );
    let exit = Exit::Unreachable;
    if now < not_before {
        let cause = "the SVID is not valid yet: the clock of this machine is behind that of the SPIRE server";
        let next = "set the clock of this machine, and check the clock of the SPIRE server";
        return Check::failed(Group::Identity, TIMES, exit, evidence, (cause, next));
    }
    if now > not_after {
        let cause = "the SVID has expired: the agent has not renewed it, or the clock of this machine is ahead";
        let next =
            "look into the log of the agent: does it reach the SPIRE server? Compare the clocks";
        let check = Check::failed(Group::Identity, TIMES, exit, evidence, (cause, next));
        return check.page("docs/runbooks/SpikeSvidExpired.md");
    }
    if is_late {
        let cause = "the SVID is over half of its life, and the agent has not renewed it";
        let next = "look into the log of the agent: does it reach the SPIRE server?";
        let check = Check::warning(Group::Identity, TIMES, evidence, (cause, next));
        return check.page("docs/runbooks/SpikeSvidNotRenewed.md");
    }
    Check::ok(Group::Identity, TIMES, evidence)
}

/// The foreign trust domains that can be SPIKE Nexus for this process. A workload of another trust domain than Nexus needs one of
/// them; an operator rarely does.
fn judge_roots(material: &Material, roots: &TrustRootsByRole) -> Vec<Check> {
    let id = material.id().to_string();
    let is_operator = Role::OPERATORS.iter().any(|role| roots.hold(*role, &id));
    let held = material.held_trust_domains();
    let own = OwnTrustDomain::Known { own: material.id().trust_domain().as_ref(), held: &held };
    let found = foreign_roots(roots, Process::Pilot, own);
    found.iter().filter(|_| is_operator).map(foreign_root).collect()
}

/// A warning of a trust root in a foreign trust domain.
pub(super) fn foreign_root(found: &ForeignRoots) -> Check {
    let name = format!("{SETTING}{}", found.variable);
    let cause = format!("{} gives a role to a foreign trust domain", found.variable);
    let next = "name the own trust domain alone, unless that is meant: workloads of a partner need only a policy";
    Check::warning(Group::Identity, &name, found.to_string(), (cause, next))
        .page("docs/federation.md")
}

fn judge_role(id: &str, roots: &TrustRootsByRole) -> Check {
    match Role::OPERATORS.into_iter().find(|role| roots.hold(*role, id)) {
        Some(Role::PilotSuperuser) => return Check::ok(Group::Identity, ROLE, "superuser"),
        Some(role) => {
            let name = if role == Role::PilotRecover { "recover" } else { "restore" };
            let evidence = format!("{name}, from {id}");
            let cause = format!(
                "this process has the role {name}, which may only run `spike operator {name}` and `status`"
            );
            let next = "register this program as superuser again once the operator is done; a change takes some seconds to arrive";
            return Check::warning(Group::Identity, ROLE, evidence, (cause, next));
        }
        None => {}
    }
    let expected: Vec<_> = roots.pilot.ids(Role::PilotSuperuser).collect();
    let evidence = format!("{id}; an operator is {}, or an ID below it", expected.join(" or "));
    let domain = trust_domain_of(id).unwrap_or_default();
    let is_of_another = roots.pilot.iter().all(|root| root.split('/').next() != Some(domain));
    let path =
        id.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    let (cause, next) = if path.is_some_and(|path| path.starts_with("ns/")) {
        (
            "the SVID is the default one of the pod (/ns/…/sa/…), and not that of a role: the ClusterSPIFFEID of SPIKE does not match this pod".to_owned(),
            "check spire-server.spike.enabled of the SPIRE chart, and the namespace selectors of its ClusterSPIFFEIDs".to_owned(),
        )
    } else if is_of_another {
        (
            format!(
                "this process is in the trust domain {domain}, and SPIKE_TRUST_ROOT_PILOT does not name it"
            ),
            if Role::named_in(id).is_some() {
                format!(
                    "if it is the trust domain of your operators, set SPIKE_TRUST_ROOT_PILOT={domain} here and at SPIKE Nexus: whoever issues SVIDs there can be superuser then"
                )
            } else {
                "a workload needs no role and no trust root, but a policy: docs/federation.md. An operator needs an SVID of a trust domain in SPIKE_TRUST_ROOT_PILOT".to_owned()
            },
        )
    } else if Role::named_in(id).is_some() {
        (
            "the SVID of this process has none of the roles of `spike`".to_owned(),
            "register this program under one of these IDs; a change takes some seconds to arrive"
                .to_owned(),
        )
    } else {
        (
            "the SVID of this process has none of the roles of `spike`: it is a workload, which may use secrets and the cipher as policies say".to_owned(),
            "ask an operator to run `spike doctor`. If this process was to run as an operator, its registration entry is wrong"
                .to_owned(),
        )
    };
    Check::failed(Group::Identity, ROLE, Exit::Denied, evidence, (cause, next))
}

fn bundles(material: &Material) -> Check {
    let domains: Vec<_> = material.trust_domains().map(ToString::to_string).collect();
    let evidence = format!("trust bundles of {}", domains.join(", "));
    let faults = material.bundle_faults();
    if faults.is_empty() {
        return Check::ok(Group::Identity, "trust bundles", evidence);
    }
    let faults = faults.iter().map(ToString::to_string);
    let evidence = std::iter::once(evidence).chain(faults).collect::<Vec<_>>().join("\n");
    let cause = "the agent sends a trust bundle that cannot be used";
    let next = "correct the bundle at the SPIRE server";
    Check::warning(Group::Identity, "trust bundles", evidence, (cause, next))
        .page("docs/runbooks/SpikeTrustBundleFault.md")
}

#[cfg(test)]
mod tests;
