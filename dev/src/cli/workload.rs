//! `spike-dev as` and `spike-dev svid`: use the SPIFFE ID of a workload of the running cluster.

use std::{
    ffi::OsString,
    fs::DirBuilder,
    io::ErrorKind,
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
};

use super::{Failure, say};
use crate::{
    control::{self, Answer, Request},
    private,
};

/// Gets the SPIFFE ID for this process, and replaces the process by the command.
pub(super) fn run_as(id: &str, dir: &Path, command: &[OsString]) -> Result<ExitCode, Failure> {
    let [program, arguments @ ..] = command else {
        return Err("no command".into());
    };
    let endpoint = match ask(dir, &Request::BecomeWorkload(id.to_owned()))? {
        Answer::Registered { endpoint } => endpoint,
        other => return Err(unexpected(other)),
    };
    // Each trust domain has its own Workload API.
    let error =
        Command::new(program).args(arguments).env("SPIFFE_ENDPOINT_SOCKET", endpoint).exec();
    Err(format!("cannot run {}: {error}", program.display()).into())
}

/// Writes `svid.pem`, `svid.key` (0600) and `bundle.pem` into `out`.
pub(super) fn write_svid(id: &str, dir: &Path, out: &Path) -> Result<ExitCode, Failure> {
    let (certificate, key, bundle) = match ask(dir, &Request::Svid(id.to_owned()))? {
        Answer::Svid { certificate, key, bundle } => (certificate, key, bundle),
        other => return Err(unexpected(other)),
    };
    // Another user who can write there could replace the key.
    DirBuilder::new().recursive(true).mode(0o755).create(out).map_err(|error| {
        format!("--out {}: the directory cannot be made: {error}", out.display())
    })?;
    for (name, mode, text) in
        [("svid.pem", 0o644, certificate), ("svid.key", 0o600, key), ("bundle.pem", 0o644, bundle)]
    {
        let path = out.join(name);
        private::write_new(&path, &text, mode)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    say(&format!("{0}/svid.pem {0}/svid.key {0}/bundle.pem", out.display()));
    Ok(ExitCode::SUCCESS)
}

/// Asks the running cluster.
pub(super) fn ask(dir: &Path, request: &Request) -> Result<Answer, Failure> {
    control::ask(dir, request).map_err(|error| {
        let dir = dir.display();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                format!("no cluster is running in {dir}; start one with spike-dev, or name it with --dir")
            }
            ErrorKind::PermissionDenied => {
                format!("{dir} belongs to another user, and so does its cluster; name another with --dir")
            }
            _ => format!("the cluster in {dir} does not answer: {error}; check that spike-dev still runs"),
        }
        .into()
    })
}

/// Why the answer is none to the request.
pub(super) fn unexpected(answer: Answer) -> Failure {
    match answer {
        Answer::Refused(reason) => reason.into(),
        Answer::Registered { .. }
        | Answer::Svid { .. }
        | Answer::Federated { .. }
        | Answer::FederationEnded { .. } => "the cluster gave another answer".into(),
    }
}
