//! `spike-dev federate`: begin and end the federation with a foreign trust domain while the cluster runs.

use std::{path::Path, process::ExitCode};

use spiffe::TrustDomain;

use super::{
    Failure, say,
    workload::{ask, unexpected},
};
use crate::control::{Answer, Request};

/// Begins the federation, or ends it.
pub(super) fn federate(domain: &TrustDomain, end: bool, dir: &Path) -> Result<ExitCode, Failure> {
    let name = domain.to_string();
    let request = if end { Request::EndFederation(name) } else { Request::Federate(name) };
    match ask(dir, &request)? {
        Answer::Federated { own, endpoint } => {
            say(&format!("{own} and {domain} are federated. Workload API of {domain}: {endpoint}"));
        }
        Answer::FederationEnded { own } => {
            say(&format!("{own} and {domain} are not federated any more."));
        }
        other => return Err(unexpected(other)),
    }
    Ok(ExitCode::SUCCESS)
}
