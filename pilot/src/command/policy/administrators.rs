//! Asks before a policy is written that makes an administrator, since that may be an accident.
//!
//! `^.*$` matches the reserved paths too. With `write` or `super` it therefore permits its holders to write policies. Nexus
//! accepts such a policy, as upstream's does.

use spike_policy::lint::Code;
use spike_wire::PolicyPutRequest;

use super::findings;
use crate::command::is_confirmed;
use crate::context::Context;
use crate::error::Error;

/// Whether to continue: `requests` have no such policy, or a person agrees. If `reads_input`, standard input holds the
/// policies, so nobody can answer there.
///
/// # Errors
/// [`Error::Usage`] if nobody can answer, or nobody does, and `yes` was not given.
pub(super) fn confirm(
    requests: &[PolicyPutRequest],
    yes: bool,
    reads_input: bool,
    context: &mut Context<'_>,
) -> Result<bool, Error> {
    let names = administrators(requests);
    if yes || names.is_empty() {
        return Ok(true);
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let (policies, verb) = match quoted.len() {
        1 => ("the policy", "makes"),
        _ => ("the policies", "make"),
    };
    let problem = format!(
        "{policies} {} {verb} an administrator of every workload that matches, which may then write policies and read every secret",
        quoted.join(", ")
    );
    if reads_input || !context.streams.stdin_is_terminal() {
        return Err(Error::usage_hint(
            problem,
            "nothing was written. If that is meant, repeat the command with --yes; if not, name the paths that are meant, as in '^tenants/acme/.*$'",
        ));
    }
    context.streams.message("warning:", &problem);
    is_confirmed("Is that what you want? (y/N): ", "nothing was written", context)
}

/// The names of the policies that make an administrator, as lint says.
fn administrators(requests: &[PolicyPutRequest]) -> Vec<&str> {
    let findings = findings::of_requests(requests);
    let makes_one = |request: &&PolicyPutRequest| {
        findings.iter().any(|finding| {
            finding.policy == request.name && finding.code == Code::Administrator.as_str()
        })
    };
    requests.iter().filter(makes_one).map(|request| request.name.as_str()).collect()
}
