//! The commands of `nexus` that serve nothing: backups, and what is done with them. Each works on files of this machine, and
//! needs neither an SVID nor settings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use spike_config::DATA_DIRECTORY;
use spike_daemon::{console, process};
use spike_mtls::clock;

use crate::store::backup::{self, BackupError, Manifest, Report};

/// What `--help` of each command says.
const HELP: &str = "\
Usage: nexus backup FILE --data-dir DIR           back up the store, while Nexus serves
       nexus verify-backup FILE [--shares DIR]    check a backup; with recovery shares, every row of it
       nexus restore-backup FILE --data-dir DIR   put a backup back where there is no data

  FILE             the backup; it is never replaced
  --data-dir DIR   what SPIKE_NEXUS_DATA_DIR names; the database is in its directory \"data\"
  --shares DIR     the directory with the recovery files, spike.recovery.*.txt

Run them as the user that runs Nexus. docs/operations/backup.md says how often, and how to drill.
Exit status: 0 done, 1 not done or not accepted, 2 for a bad command line.";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    BackUp { file: PathBuf, data: PathBuf },
    Verify { file: PathBuf, shares: Option<PathBuf> },
    Restore { file: PathBuf, data: PathBuf },
}

/// Runs the command that the arguments name. `None`: they name none, so Nexus is to start.
pub(crate) fn run(arguments: &[String]) -> Option<ExitCode> {
    let (name, rest) = arguments.split_first()?;
    let command = match Command::parse(name, rest)? {
        Ok(command) => command,
        Err(problem) => {
            console::print_error(&format!("error: {problem}\nhint: see nexus {name} --help"));
            return Some(ExitCode::from(2));
        }
    };
    Some(match command.carry_out() {
        Ok(text) => console::print_with_status(&text),
        Err(error) => {
            console::print_error(&format!("error: {}", process::chain(&error)));
            ExitCode::FAILURE
        }
    })
}

impl Command {
    fn parse(name: &str, arguments: &[String]) -> Option<Result<Self, String>> {
        let option = match name {
            "backup" | "restore-backup" => "--data-dir",
            "verify-backup" => "--shares",
            _ => return None,
        };
        if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
            return Some(Ok(Self::Help));
        }
        let (mut file, mut directory) = (None, None);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let place = if argument == option {
                &mut directory
            } else if argument.starts_with('-') {
                return Some(Err(format!("unknown argument {argument:?}")));
            } else {
                &mut file
            };
            let value = if argument == option { arguments.next() } else { Some(argument) };
            let Some(value) = value else {
                return Some(Err(format!("{option} needs a directory")));
            };
            if place.replace(PathBuf::from(value)).is_some() {
                return Some(Err(format!("{value:?} is one too many")));
            }
        }
        let Some(file) = file else { return Some(Err("which FILE?".to_owned())) };
        let data = directory.clone().map(|directory| directory.join(DATA_DIRECTORY));
        Some(match (name, data) {
            ("backup", Some(data)) => Ok(Self::BackUp { file, data }),
            ("restore-backup", Some(data)) => Ok(Self::Restore { file, data }),
            ("verify-backup", _) => Ok(Self::Verify { file, shares: directory }),
            (_, _) => Err(format!("{option} is missing")),
        })
    }

    fn carry_out(self) -> Result<String, BackupError> {
        let now = clock::unix_nanos();
        match self {
            Self::Help => Ok(HELP.to_owned()),
            Self::BackUp { file, data } => {
                let manifest = backup::back_up(&data, &file, now)?;
                Ok(format!("{}: {}", file.display(), described(&manifest)))
            }
            Self::Verify { file, shares } => {
                // From here on there may be a root key in memory.
                let _hardening = shares.is_some().then(process::harden);
                Ok(report(&file, &backup::verify(&file, shares.as_deref(), now)?))
            }
            Self::Restore { file, data } => {
                let manifest = backup::restore(&file, &data, now)?;
                Ok(format!(
                    "restored to {}: {}\nStart Nexus: it takes root key {} from the Keepers, or from recovery shares",
                    data.display(),
                    described(&manifest),
                    manifest.contents.root_key
                ))
            }
        }
    }
}

fn described(manifest: &Manifest) -> String {
    let Manifest { created, version, contents, bytes, sha256, .. } = manifest;
    format!(
        "{} secrets, {} versions, {} policies\n  \
           created   {created} by Nexus {version}\n  \
           root key  {}, any {} of {} shares\n  \
           database  schema {}, {bytes} bytes, SHA-256 {sha256}",
        contents.secrets,
        contents.versions,
        contents.policies,
        contents.root_key,
        contents.threshold,
        contents.shares,
        contents.schema,
    )
}

fn report(file: &Path, report: &Report) -> String {
    let proof = match report.proof {
        Some(proof) => format!(
            "every byte has its checksum, the database is whole, each of {} subsets of {} shares rebuilds the key, and all \
             {} rows decrypt and belong together",
            proof.subsets, proof.shares, proof.rows
        ),
        None => "every byte has its checksum, and the database is whole. Not tried without --shares: whether the rows decrypt"
            .to_owned(),
    };
    format!("{}: {}\n  verified  {proof}", file.display(), described(&report.manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Result<Command, String>> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let (name, rest) = arguments.split_first()?;
        Command::parse(name, rest)
    }

    #[test]
    fn arguments_of_the_daemon_are_none_of_these_commands() {
        for arguments in [&[][..], &["--check-config"], &["--help"], &["--backup"]] {
            assert_eq!(parse(arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn the_database_is_below_the_directory_that_the_setting_names() {
        let (file, data) = (PathBuf::from("b"), PathBuf::from("/var/lib/x/data"));
        let expected = Command::BackUp { file, data };
        assert_eq!(parse(&["backup", "--data-dir", "/var/lib/x", "b"]), Some(Ok(expected)));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        for (arguments, part) in [
            (&["backup", "b"][..], "--data-dir is missing"),
            (&["restore-backup", "--data-dir", "d"], "which FILE?"),
            (&["verify-backup", "b", "--shares"], "--shares needs a directory"),
            (&["verify-backup", "b", "c"], "\"c\" is one too many"),
            (&["verify-backup", "b", "--data-dir", "d"], "unknown argument \"--data-dir\""),
        ] {
            let problem = parse(arguments).unwrap().unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
