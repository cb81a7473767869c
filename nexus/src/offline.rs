//! The commands of `nexus` that serve nothing: backups, and what is done with them. Each works on files of this machine, and
//! needs neither an SVID nor settings.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use spike_config::{DATA_DIRECTORY, user_directory};
use spike_daemon::{console, counted, process, progress::Progress};
use spike_mtls::clock;
use time::OffsetDateTime;

use crate::store::backup::{self, BackupError, Manifest, Report};

/// What `--help` of each command says.
const HELP: &str = "\
Usage: nexus backup FILE --data-dir DIR           back up the store, while Nexus serves
       nexus verify-backup FILE [--shares DIR]    check a backup; with recovery shares, every row of it
       nexus restore-backup FILE --data-dir DIR   put a backup back where there is no data

  FILE             the backup, which is never replaced. For nexus backup also a directory, where it is named after the
                   time (if that name is taken, after the next second), or - for standard output
  --data-dir DIR   what SPIKE_NEXUS_DATA_DIR names; the database is in its directory \"data\"
  --shares DIR     the directory with the recovery files, spike.recovery.*.txt

nexus backup also verifies what it has made. Run the commands as the user that runs Nexus. docs/operations/backup.md says
how often, and how to drill.
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
        Ok(Some(text)) => console::print_with_status(&text),
        Ok(None) => ExitCode::SUCCESS,
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
        Some(Self::of(name, option, arguments))
    }

    /// The command of this name, which has one option that takes a directory.
    fn of(name: &str, option: &str, arguments: &[String]) -> Result<Self, String> {
        let (mut file, mut directory) = (None, None);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (place, value) = if argument == option {
                let value = arguments.next().ok_or(format!("{option} needs a directory"))?;
                (&mut directory, value)
            } else if argument.starts_with('-') && argument != STREAM {
                return Err(format!("unknown argument {argument:?}"));
            } else {
                (&mut file, argument)
            };
            if value == STREAM && (argument == option || name != "backup") {
                let what = if argument == option { option } else { name };
                return Err(format!("{what} takes no stream for -; ./- is the path of that name"));
            }
            if value.is_empty() {
                let what = if argument == option { option } else { "FILE" };
                return Err(format!("{what} is empty: name a path"));
            }
            if place.replace(PathBuf::from(value)).is_some() {
                return Err(format!("{value:?} is one too many"));
            }
        }
        let file = file.ok_or("which FILE?")?;
        if name == "verify-backup" {
            return Ok(Self::Verify { file, shares: directory });
        }
        let directory = directory.ok_or(format!("{option} is missing"))?;
        // Nexus would refuse the same.
        user_directory(&directory).map_err(|error| format!("{option}: {error}"))?;
        let data = directory.join(DATA_DIRECTORY);
        Ok(match name {
            "backup" => Self::BackUp { file, data },
            _ => Self::Restore { file, data },
        })
    }

    /// Carries it out and says what is to be printed.
    fn carry_out(self) -> Result<Option<String>, BackupError> {
        let now = clock::unix_nanos();
        let progress = Progress::on_terminal();
        match self {
            Self::Help => Ok(Some(HELP.to_owned())),
            Self::BackUp { file, data } if file == Path::new(STREAM) => {
                stream(&data, now, &progress).map(|()| None)
            }
            Self::BackUp { file, data } => {
                if file.is_dir() {
                    return back_up_into(&file, &data, now, &progress).map(Some);
                }
                back_up(&file, &data, now, &progress).map(Some)
            }
            Self::Verify { file, shares } => {
                // From here on there may be a root key in memory.
                let _hardening = shares.is_some().then(process::harden);
                let scratch = std::env::temp_dir();
                let verified = backup::verify(&file, shares.as_deref(), &scratch, now, &progress)?;
                Ok(Some(report(&file, &verified)))
            }
            Self::Restore { file, data } => {
                let manifest = backup::restore(&file, &data, now, &progress)?;
                Ok(Some(format!(
                    "restored to {}: {}\nStart Nexus: it takes root key {} from the Keepers, or from recovery shares",
                    data.display(),
                    described(&manifest),
                    manifest.contents.root_key
                )))
            }
        }
    }
}

/// Standard output, in place of the file of `nexus backup`.
const STREAM: &str = "-";

/// Makes a backup and reads it again; only then does it count for the metric of Nexus.
fn back_up(file: &Path, data: &Path, now: i64, progress: &Progress) -> Result<String, BackupError> {
    backup::back_up(data, file, now, progress)?;
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let verified = backup::verify(file, None, beside.unwrap_or(Path::new(".")), now, progress)?;
    backup::note_verified(data, now / SECOND)?;
    Ok(report(file, &verified))
}

/// Makes a backup in `directory`, named after the time. If another one has that name, it gets that of the next second that is
/// free, so that the names still sort like the times.
fn back_up_into(
    directory: &Path,
    data: &Path,
    now: i64,
    progress: &Progress,
) -> Result<String, BackupError> {
    let mut named = now;
    loop {
        let file = directory.join(named_after(clock::at(named)));
        match back_up(&file, data, now, progress) {
            Err(BackupError::Exists { .. }) if named < now + LATEST_NAME => named += SECOND,
            done => return done,
        }
    }
}

/// In nanoseconds. A name is at most a minute too late.
const SECOND: i64 = 1_000_000_000;
const LATEST_NAME: i64 = 60 * SECOND;

/// Makes a backup beside the database and writes it to standard output. The head of a backup says how long it is, so that
/// one that was cut on its way is noticed.
fn stream(data: &Path, now: i64, progress: &Progress) -> Result<(), BackupError> {
    let unusable = |path: &Path, source| BackupError::Unusable { path: path.to_owned(), source };
    let beside = data.parent().unwrap_or(data);
    let scratch = tempfile::Builder::new().prefix(".spike-backup-").tempdir_in(beside);
    let scratch = scratch.map_err(|error| unusable(beside, error))?;
    let file = scratch.path().join("backup");
    backup::back_up(data, &file, now, progress)?;
    backup::verify(&file, None, scratch.path(), now, progress)?;
    let mut made = File::open(&file).map_err(|error| unusable(&file, error))?;
    let mut out = io::stdout().lock();
    io::copy(&mut made, &mut out)
        .and_then(|_bytes| io::Write::flush(&mut out))
        .map_err(|error| unusable(Path::new("standard output"), error))?;
    fs::remove_file(&file).map_err(|error| unusable(&file, error))?;
    backup::note_verified(data, now / SECOND)
}

/// Sorts like the time.
fn named_after(time: OffsetDateTime) -> String {
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    format!("spike-{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z.backup")
}

fn described(manifest: &Manifest) -> String {
    let Manifest { created, version, contents, bytes, sha256, .. } = manifest;
    format!(
        "{}, {}, {}\n  \
           created   {created} by Nexus {version}\n  \
           root key  {}, any {} of {} shares\n  \
           database  schema {}, {bytes} bytes, SHA-256 {sha256}",
        counted(contents.secrets, "secret", "secrets"),
        counted(contents.versions, "version", "versions"),
        counted(contents.policies, "policy", "policies"),
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

    /// The message was "cannot use : No such file or directory".
    #[test]
    fn an_empty_name_is_refused_with_the_argument_that_it_stands_for() {
        let told = |arguments| parse(arguments).unwrap().unwrap_err();
        assert_eq!(told(&["backup", "--data-dir", "/var/lib/x", ""]), "FILE is empty: name a path");
        let refused = told(&["backup", "--data-dir", "", "b"]);
        assert_eq!(refused, "--data-dir is empty: name a path");
    }

    #[test]
    fn every_command_on_the_page_about_backups_is_one_of_these() {
        let page = include_str!("../../docs/operations/backup.md");
        let mut found = Vec::new();
        for block in page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            for line in block.lines() {
                let words = line.split(" > ").next().unwrap_or_default().split(' ');
                let words: Vec<&str> =
                    words.skip_while(|word| !["nexus", "/nexus"].contains(word)).skip(1).collect();
                if words.is_empty() || words == ["--"] {
                    continue;
                }
                assert!(matches!(parse(&words), Some(Ok(_))), "{line}");
                found.push(words[0]);
            }
        }
        for name in ["backup", "verify-backup", "restore-backup"] {
            assert!(found.contains(&name), "{name} is not on the page: {found:?}");
        }
    }

    #[test]
    fn a_backup_in_a_directory_is_named_after_the_time() {
        let name = named_after(clock::at(1_800_000_000_000_000_000));
        assert_eq!(name, "spike-20270115T080000Z.backup");
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        for (arguments, part) in [
            (&["backup", "b"][..], "--data-dir is missing"),
            (&["restore-backup", "--data-dir", "d"], "which FILE?"),
            (
                &["restore-backup", "b", "--data-dir", "/etc"],
                "--data-dir: /etc belongs to the system",
            ),
            (&["verify-backup", "b", "--shares"], "--shares needs a directory"),
            (&["verify-backup", "-"], "verify-backup takes no stream"),
            (&["restore-backup", "-", "--data-dir", "d"], "./- is the path of that name"),
            (&["backup", "-", "--data-dir", "-"], "--data-dir takes no stream"),
            (&["verify-backup", "b", "c"], "\"c\" is one too many"),
            (&["verify-backup", "b", "--data-dir", "d"], "unknown argument \"--data-dir\""),
        ] {
            let problem = parse(arguments).unwrap().unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
