//! The pages of `nexus`, `keeper` and `bootstrap`. A specification holds their options against what the programs say themselves.

use spike_config::Process;

use super::{Page, begin, environment};

/// The programs.
pub(super) const NAMES: [&str; 3] = ["nexus", "keeper", "bootstrap"];

struct Daemon {
    name: &'static str,
    process: Process,
    about: &'static str,
    synopsis: &'static str,
    description: &'static [&'static str],
    options: &'static [(&'static str, &'static str)],
    signals: &'static [(&'static str, &'static str)],
    statuses: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    examples: &'static str,
}

const CHECK: (&str, &str) =
    ("--check-config", "read and check every setting, report all problems, and exit");
const COMMON: [(&str, &str); 3] =
    [CHECK, ("--version", "print the version"), ("--help", "print a short help")];
const SIGNALS: [(&str, &str); 3] = [
    ("SIGTERM, SIGINT", "finish what was begun, and end"),
    ("SIGHUP", "open the files of log and audit log again, after they were renamed"),
    ("SIGUSR1, SIGUSR2", "ignored"),
];
const STATUSES: [(&str, &str); 4] = [
    ("0", "a clean end"),
    ("1", "the start or the drain failed"),
    ("2", "bad command line"),
    ("78", "bad settings, all of them on standard error"),
];

const DAEMONS: [Daemon; 3] = [
    Daemon {
        name: "nexus",
        process: Process::Nexus,
        about: "the encrypted secret store of SPIKE",
        synopsis: "nexus [--check-config | --version | --help]\nnexus backup FILE --data-dir DIR\n\
                   nexus verify-backup FILE [--shares DIR]\nnexus restore-backup FILE --data-dir DIR",
        description: &[
            "Nexus stores secrets encrypted, and serves them over mTLS to workloads whose SPIFFE IDs its policies let in. Its root \
             key is in its memory only. After a start it rebuilds the key from the shares of its Keepers; until then it is sealed, \
             and answers 503.",
            "It needs an X.509-SVID from the SPIFFE Workload API. All settings are environment variables.",
            "The commands for backups work on files, need neither an SVID nor a key, and may run beside a Nexus that serves. \
             `--data-dir` is the value of SPIKE_NEXUS_DATA_DIR, and `--shares` the directory with the recovery files. \
             `nexus backup --help` says more.",
        ],
        options: &COMMON,
        signals: &SIGNALS,
        statuses: &STATUSES,
        files: &[
            (
                "$SPIKE_NEXUS_DATA_DIR/data/nexus.db",
                "the database; files beside it whose names begin alike belong to it",
            ),
            ("/etc/spike/nexus.env", "the settings of the systemd unit"),
        ],
        examples: "nexus --check-config\n\
                   nexus backup /var/backups/spike/monday.backup --data-dir /var/lib/spike-nexus",
    },
    Daemon {
        name: "keeper",
        process: Process::Keeper,
        about: "a holder of one share of SPIKE's root key",
        synopsis: "keeper [--check-config | --version | --help]",
        description: &[
            "A Keeper holds one share of the root key in its memory, and nothing on a disk. A threshold of Keepers gives Nexus its key \
             back after a restart. A Keeper that restarts is empty until Nexus gives it its share again, so Keepers are restarted one \
             at a time, and never together with Nexus.",
            "It needs an X.509-SVID from the SPIFFE Workload API. All settings are environment variables.",
        ],
        options: &COMMON,
        signals: &SIGNALS,
        statuses: &STATUSES,
        files: &[("/etc/spike/keeper-1.env", "the settings of the systemd unit spike-keeper@1")],
        examples: "keeper --check-config",
    },
    Daemon {
        name: "bootstrap",
        process: Process::Bootstrap,
        about: "make SPIKE's root key, once in the life of a deployment",
        synopsis: "bootstrap -init\nbootstrap --check-config | --version | --help",
        description: &[
            "Bootstrap asks Nexus and the Keepers what there is. If there is neither a key nor data nor a share, it makes a root key, \
             gives each Keeper its share, waits for Nexus to prove that it can use the key, and remembers that this is done: in \
             Kubernetes in a ConfigMap, elsewhere in a file. It may be run again at any time; while a root key is in use it changes \
             nothing.",
            "It needs an X.509-SVID from the SPIFFE Workload API. All settings are environment variables; where Nexus reads the same \
             one, both must have the same value.",
        ],
        options: &[
            ("-init", "run; without it nothing is done"),
            CHECK,
            ("--version", "print the version"),
            ("--help", "print a short help"),
        ],
        signals: &[],
        statuses: &[
            ("0", "done, or nothing to do"),
            ("1", "failed, or -init is missing; may be run again"),
            ("2", "a flag or an argument that is not known"),
            (
                "3",
                "refused, because there is or was another root key, data or a share; a person must decide",
            ),
            ("78", "bad settings"),
        ],
        files: &[(
            "$SPIKE_BOOTSTRAP_STATE_DIR/bootstrap/bootstrap-completed.json",
            "where it remembers that a key was made",
        )],
        examples: "bootstrap -init",
    },
];

pub(super) fn pages() -> Vec<Page> {
    DAEMONS.iter().map(page).collect()
}

fn page(daemon: &Daemon) -> Page {
    let mut page = begin(daemon.name, 8, daemon.about);
    page.section("Synopsis");
    page.as_written(daemon.synopsis);
    page.section("Description");
    daemon.description.iter().for_each(|text| page.paragraph(text));
    page.section("Options");
    daemon.options.iter().for_each(|(name, meaning)| page.item(name, meaning));
    environment(&mut page, daemon.process);
    if !daemon.signals.is_empty() {
        page.section("Signals");
        daemon.signals.iter().for_each(|(name, meaning)| page.item(name, meaning));
    }
    page.section("Files");
    daemon.files.iter().for_each(|(name, meaning)| page.item(name, meaning));
    page.section("Exit status");
    daemon.statuses.iter().for_each(|(status, meaning)| page.item(status, meaning));
    page.section("Examples");
    page.as_written(daemon.examples);
    page.section("See also");
    let others = NAMES.iter().filter(|name| **name != daemon.name).map(|name| format!("{name}(8)"));
    page.line(&std::iter::once("spike(1)".to_owned()).chain(others).collect::<Vec<_>>().join(", "));
    Page { file: format!("{}.8", daemon.name), text: page.finish() }
}
