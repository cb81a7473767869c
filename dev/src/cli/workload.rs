//! `spike-dev as` and `spike-dev svid`: being a workload of the running cluster.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
};

use super::{Failure, say};
use crate::control::{self, Answer, Request};

/// Becomes the command: this process gets the SPIFFE ID and then runs the command in its place.
pub(super) fn run_as(id: &str, dir: &Path, command: &[OsString]) -> Result<ExitCode, Failure> {
    let [program, arguments @ ..] = command else {
        return Err("no command".into());
    };
    match ask(dir, &Request::BecomeWorkload(id.to_owned()))? {
        Answer::Registered => {}
        other => return Err(unexpected(other)),
    }
    let error = Command::new(program).args(arguments).exec();
    Err(format!("cannot run {}: {error}", program.display()).into())
}

/// Writes `svid.pem`, `svid.key` (0600) and `bundle.pem` into `out`.
pub(super) fn write_svid(id: &str, dir: &Path, out: &Path) -> Result<ExitCode, Failure> {
    let (certificate, key, bundle) = match ask(dir, &Request::Svid(id.to_owned()))? {
        Answer::Svid { certificate, key, bundle } => (certificate, key, bundle),
        other => return Err(unexpected(other)),
    };
    fs::create_dir_all(out)?;
    for (name, mode, text) in
        [("svid.pem", 0o644, certificate), ("svid.key", 0o600, key), ("bundle.pem", 0o644, bundle)]
    {
        let path = out.join(name);
        // A new file each time: an old one may be readable by others.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(text.as_bytes())?;
    }
    say(&format!("{0}/svid.pem {0}/svid.key {0}/bundle.pem", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn ask(dir: &Path, request: &Request) -> Result<Answer, Failure> {
    control::ask(dir, request).map_err(|error| {
        format!(
            "no running cluster in {}: {error}; start one with spike-dev, or name it with --dir",
            dir.display()
        )
        .into()
    })
}

fn unexpected(answer: Answer) -> Failure {
    match answer {
        Answer::Refused(reason) => reason.into(),
        Answer::Registered | Answer::Svid { .. } => "the cluster gave another answer".into(),
    }
}
