use std::time::Duration;

use spike_config::{
    Environment, ListenAddress, Loaded, Origin, Outcome, Problem, Process,
    table::{self, Rule, Variable},
};
use spike_mtls::settings::WorkloadSettings;

use super::*;

mod budgets;

const PEERS: &str = "https://localhost:8443,https://localhost:8543,https://localhost:8643";

/// What every process needs to start, in a writable home directory, overridden by `pairs`.
fn environment(pairs: &[(&str, &str)]) -> Environment {
    let home = std::env::temp_dir();
    let base = [("HOME", home.to_str().unwrap()), ("SPIKE_NEXUS_KEEPER_PEERS", PEERS)];
    Environment::from_pairs(base.iter().chain(pairs).copied())
}

fn nexus(pairs: &[(&str, &str)]) -> Loaded<NexusSettings> {
    NexusSettings::load(&environment(pairs))
}

fn fatal(pairs: &[(&str, &str)]) -> Vec<String> {
    let error = nexus(pairs).unwrap_err();
    let fatal = error.problems().iter().filter(|problem| problem.is_fatal());
    fatal.map(ToString::to_string).collect()
}

fn warnings(pairs: &[(&str, &str)]) -> Vec<String> {
    nexus(pairs).unwrap().1.iter().map(ToString::to_string).collect()
}

/// All problems of `environment` for `process`.
fn problems(process: Process, environment: &Environment) -> Vec<Problem> {
    let found = match process {
        Process::Nexus => NexusSettings::load(environment).map(|(_, warnings)| warnings),
        Process::Keeper => KeeperSettings::load(environment).map(|(_, warnings)| warnings),
        Process::Bootstrap => BootstrapSettings::load(environment).map(|(_, warnings)| warnings),
        Process::Pilot => PilotSettings::load(environment).map(|(_, warnings)| warnings),
        Process::Workload => WorkloadSettings::load(environment).map(|(_, warnings)| warnings),
    };
    found.unwrap_or_else(|error| error.problems().to_vec())
}

#[test]
fn every_process_starts_on_the_defaults_without_a_warning() {
    for process in Process::ALL {
        assert_eq!(problems(process, &environment(&[])), [], "{process}");
    }
}

/// Nothing said that it was left in place, and a Nexus without its volume made a new store.
#[test]
fn a_setting_that_is_meant_for_one_start_is_a_warning_for_as_long_as_it_is_there() {
    let (settings, problems) = nexus(&[("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true")]).unwrap();
    assert!(settings.database.accept_new_store);
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.to_string().contains("meant for one start"), "{problem}");
    assert_eq!(problem.headline(), "a setting is in force that should not stay");
    assert_eq!(warnings(&[("SPIKE_NEXUS_ACCEPT_NEW_STORE", "false")]), [""; 0]);
}

#[test]
fn each_process_reads_just_the_variables_that_the_table_gives_it() {
    // Only a process that reads a bad value reports it.
    let bad = |variable: &Variable| match variable.rule {
        Rule::Directory => "/etc/spike",
        _ => "not valid",
    };
    // These take any text, and only one command checks the recovery directory.
    let silent = |variable: &Variable| {
        variable.rule == Rule::Text || variable.name == "SPIKE_PILOT_RECOVERY_DIR"
    };
    for variable in table::variables().filter(|variable| !silent(variable)) {
        for process in Process::ALL {
            let found = problems(process, &environment(&[(variable.name, bad(variable))]));
            let noticed = found.iter().any(|problem| problem.variable == variable.name);
            assert_eq!(noticed, variable.readers.contains(&process), "{} {process}", variable.name);
        }
    }
}

#[test]
fn a_bad_value_is_fatal_or_replaced_as_its_rule_says() {
    for variable in table::variables().filter(|variable| variable.rule != Rule::Text) {
        for process in variable.readers {
            let found = problems(*process, &environment(&[(variable.name, "not valid")]));
            for problem in found.iter().filter(|problem| problem.variable == variable.name) {
                assert_eq!(problem.is_fatal(), variable.rule.is_fatal(), "{problem}");
            }
        }
    }
}

#[test]
fn nexus_serves_telemetry_on_loopback_1000_above_its_api() {
    let telemetry = |pairs: &[(&str, &str)]| {
        let (settings, _) = nexus(pairs).unwrap();
        settings.telemetry.listen.map(|address| address.to_string())
    };
    assert_eq!(telemetry(&[]).as_deref(), Some("127.0.0.1:9553"));
    let low = [("SPIKE_NEXUS_TLS_PORT", "10.0.0.1:443")];
    assert_eq!(telemetry(&low).as_deref(), Some("127.0.0.1:1443"));
    assert_eq!(telemetry(&[("SPIKE_NEXUS_TLS_PORT", ":0")]).as_deref(), Some("127.0.0.1:0"));
    let high = [("SPIKE_NEXUS_TLS_PORT", ":65000")];
    assert_eq!(telemetry(&high).as_deref(), Some("127.0.0.1:64000"));
    let chosen = [("SPIKE_NEXUS_TELEMETRY_ADDR", ":9090")];
    assert_eq!(telemetry(&chosen).as_deref(), Some(":9090"));
    assert_eq!(telemetry(&[("SPIKE_NEXUS_TELEMETRY_ADDR", "off")]), None);
}

#[test]
fn a_configured_telemetry_address_differs_from_the_default() {
    let chosen = |pairs: &[(&str, &str)]| nexus(pairs).unwrap().0.telemetry.chosen;
    assert!(!chosen(&[]));
    assert!(chosen(&[("SPIKE_NEXUS_TELEMETRY_ADDR", "127.0.0.1:9553")]));
}

#[test]
fn a_keeper_serves_telemetry_on_loopback_1000_above_its_api() {
    let (settings, _) = KeeperSettings::load(&environment(&[])).unwrap();
    assert_eq!(settings.telemetry.listen, Some(ListenAddress::loopback(9443)));
}

#[test]
fn audit_lines_go_to_standard_error_unless_there_is_a_file_or_to_both() {
    let audit = |pairs: &[(&str, &str)]| nexus(pairs).unwrap().0.audit;
    let (file, both) = (("SPIKE_AUDIT_FILE", "/var/log/a"), ("SPIKE_AUDIT_STDERR", "true"));
    assert!(audit(&[]).standard_error && audit(&[]).file.is_none());
    assert!(!audit(&[file]).standard_error);
    assert!(audit(&[file, both]).standard_error);
    assert!(audit(&[("SPIKE_AUDIT_STDERR", "false")]).standard_error);
}

#[test]
fn a_mistake_in_a_setting_of_the_audit_log_never_makes_it_weaker() {
    for value in ["audit.log", "/", "/var/log/", "/var/log/.."] {
        assert_eq!(fatal(&[("SPIKE_AUDIT_FILE", value)]).len(), 1, "{value}");
    }
    assert_eq!(fatal(&[("SPIKE_AUDIT_SYNC", "eech")]).len(), 1);
    assert!(!nexus(&[("SPIKE_AUDIT_OPTIONAL", "yes")]).unwrap().0.audit.optional);
}

#[test]
fn a_threshold_above_the_number_of_shares_is_fatal() {
    let found = fatal(&[("SPIKE_NEXUS_SHAMIR_THRESHOLD", "4")]);
    let expected = "SPIKE_NEXUS_SHAMIR_THRESHOLD=\"4\": a threshold of 4; expected at most \
                    SPIKE_NEXUS_SHAMIR_SHARES, which is 3";
    assert_eq!(found, [expected]);
}

#[test]
fn more_shares_than_can_be_made_are_fatal() {
    for shares in ["1001", "70000", "9223372036854775807"] {
        let found = fatal(&[("SPIKE_NEXUS_SHAMIR_SHARES", shares)]).join("\n");
        assert!(found.contains("expected at most 1000 shares"), "{shares}: {found}");
    }
}

#[test]
fn a_threshold_of_one_is_legal() {
    // As upstream.
    let (settings, _) = nexus(&[("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1")]).unwrap();
    assert_eq!((settings.quorum.shares(), settings.quorum.threshold()), (3, 1));
}

#[test]
fn as_many_keepers_as_shares_are_needed_from_the_start() {
    // Upstream notices minutes later, and then ends the process (F17).
    let two = ("SPIKE_NEXUS_KEEPER_PEERS", "https://k1,https://k2");
    let expected = "SPIKE_NEXUS_KEEPER_PEERS=\"https://k1,https://k2\": 2 Keepers; expected 3, as \
                    SPIKE_NEXUS_SHAMIR_SHARES says";
    assert_eq!(fatal(&[two]), [expected]);
    let (settings, _) = nexus(&[two, ("SPIKE_NEXUS_SHAMIR_SHARES", "2")]).unwrap();
    assert_eq!(settings.keepers.map(|keepers| keepers.len()), Some(2));
}

#[test]
fn keepers_that_are_not_named_are_fatal_but_not_on_the_memory_backend() {
    let none = ("SPIKE_NEXUS_KEEPER_PEERS", "");
    let expected = "SPIKE_NEXUS_KEEPER_PEERS: not set; expected a comma-separated list of https \
                    URLs, one per Keeper, in the order of their shares";
    assert_eq!(fatal(&[none]), [expected]);
    assert_eq!(fatal(&[none, ("SPIKE_NEXUS_BACKEND_STORE", "lite")]), [expected]);
    let (settings, _) = nexus(&[none, ("SPIKE_NEXUS_BACKEND_STORE", "Memory")]).unwrap();
    assert_eq!((settings.backend, settings.keepers), (Backend::Memory, None));
}

#[test]
fn the_memory_backend_does_not_read_keepers_but_does_read_the_quorum() {
    let memory = ("SPIKE_NEXUS_BACKEND_STORE", "memory");
    assert_eq!(warnings(&[memory, ("SPIKE_NEXUS_KEEPER_PEERS", "not valid")]), [""; 0]);
    assert_eq!(fatal(&[memory, ("SPIKE_NEXUS_SHAMIR_THRESHOLD", "9")]).len(), 1);
}

#[test]
fn an_unknown_backend_is_sqlite_as_upstream_has_it_but_not_silently() {
    let (settings, warnings) = nexus(&[("SPIKE_NEXUS_BACKEND_STORE", "postgres")]).unwrap();
    assert_eq!(settings.backend, Backend::Sqlite);
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert_eq!(warning.outcome, Outcome::FellBackTo("sqlite".to_owned()));
}

#[test]
fn only_the_sqlite_backend_checks_the_data_directory() {
    let system = ("SPIKE_NEXUS_DATA_DIR", "/etc/spike");
    let expected = "SPIKE_NEXUS_DATA_DIR=\"/etc/spike\": expected a directory that can be written, \
                    outside of the directories of the system: /etc/spike belongs to the system";
    assert_eq!(fatal(&[system]), [expected]);
    for backend in ["memory", "lite"] {
        let (settings, _) = nexus(&[system, ("SPIKE_NEXUS_BACKEND_STORE", backend)]).unwrap();
        assert_eq!(settings.data, None);
        assert_eq!(settings.unused_data, Some("/etc/spike/data".into()));
    }
}

#[test]
fn the_data_directory_says_why_it_was_chosen() {
    let (settings, _) = nexus(&[]).unwrap();
    let data = settings.data.unwrap();
    assert_eq!(data.origin, Origin::Home);
    assert!(data.path.ends_with(".spike/data"), "{}", data.path.display());
}

#[test]
fn the_recovery_directory_is_checked_when_a_command_asks_for_it() {
    let system = environment(&[("SPIKE_PILOT_RECOVERY_DIR", "/etc/spike")]);
    let (settings, warnings) = PilotSettings::load(&system).unwrap();
    assert_eq!(warnings, []);
    assert!(settings.recovery.resolve().is_err());
    let (settings, _) = PilotSettings::load(&environment(&[])).unwrap();
    assert!(settings.recovery.resolve().unwrap().path.ends_with(".spike/recover"));
}

#[test]
fn idle_connections_are_bounded_by_open_ones() {
    let idle = |pairs: &[(&str, &str)]| {
        let (settings, warnings) = nexus(pairs).unwrap();
        (settings.database.max_idle_connections, warnings.len())
    };
    assert_eq!(idle(&[("SPIKE_NEXUS_DB_MAX_IDLE_CONNS", "20")]), (10, 1));
    // Five idle ones by default are not the operator's mistake.
    assert_eq!(idle(&[("SPIKE_NEXUS_DB_MAX_OPEN_CONNS", "2")]), (2, 0));
}

#[test]
fn journal_modes_that_lose_data_in_a_crash_are_not_taken() {
    let mode = |text: &str| {
        let (settings, warnings) = nexus(&[("SPIKE_NEXUS_DB_JOURNAL_MODE", text)]).unwrap();
        (settings.database.journal_mode, warnings.len())
    };
    assert_eq!(mode("truncate"), (JournalMode::Truncate, 0));
    for text in ["MEMORY", "OFF", "WAL; DROP TABLE secrets"] {
        assert_eq!(mode(text), (JournalMode::Wal, 1), "{text}");
    }
}

#[test]
fn the_log_level_is_read_in_any_case_but_not_trimmed() {
    let level = |text: &str| {
        let (settings, warnings) = nexus(&[("SPIKE_SYSTEM_LOG_LEVEL", text)]).unwrap();
        (settings.log.level, warnings.len())
    };
    assert_eq!(level("debug"), (Level::Debug, 0));
    assert_eq!(level("ERROR"), (Level::Error, 0));
    assert_eq!(level("INFO "), (Level::Warn, 1));
    assert_eq!(level("trace"), (Level::Warn, 1));
}

#[test]
fn bootstrap_knows_kubernetes_by_host_and_port_together() {
    let in_kubernetes = |pairs: &[(&str, &str)]| {
        BootstrapSettings::load(&environment(pairs)).unwrap().0.in_kubernetes
    };
    let (host, port) =
        (("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443"));
    assert!(in_kubernetes(&[host, port]));
    assert!(!in_kubernetes(&[host]));
    assert!(!in_kubernetes(&[port]));
}

#[test]
fn bootstrap_keeps_its_marker_in_the_configured_directory_or_at_home_or_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let directory = |pairs: &[(&str, &str)]| {
        let base = [("SPIKE_NEXUS_KEEPER_PEERS", PEERS)];
        let environment = Environment::from_pairs(base.iter().chain(pairs).copied());
        BootstrapSettings::load(&environment).map(|(settings, _)| settings.state_directory)
    };
    let at_home = ("HOME", home.to_str().unwrap());
    let configured = ("SPIKE_BOOTSTRAP_STATE_DIR", at_home.1);
    assert_eq!(directory(&[at_home]), Ok(Some(home.join(".spike/bootstrap"))));
    assert_eq!(directory(&[configured]), Ok(Some(home.join("bootstrap"))));
    assert_eq!(directory(&[]), Ok(None), "what is in /tmp does not last");
    assert_eq!(directory(&[("HOME", "/dev/null")]), Ok(None), "nobody asked for it");
    assert!(directory(&[("SPIKE_BOOTSTRAP_STATE_DIR", "/proc/spike")]).is_err());
    let kubernetes = [("KUBERNETES_SERVICE_HOST", "h"), ("KUBERNETES_SERVICE_PORT", "443")];
    assert_eq!(directory(&[kubernetes[0], kubernetes[1], configured]), Ok(None));
}

/// The reason used to be that there was no HOME.
#[test]
fn the_reason_why_bootstrap_has_no_marker_directory_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let taken = home.path().join(".spike/bootstrap");
    std::fs::create_dir(home.path().join(".spike")).unwrap();
    std::fs::write(&taken, "").unwrap();
    let trouble = |pairs: &[(&str, &str)]| {
        let base = [("SPIKE_NEXUS_KEEPER_PEERS", PEERS)];
        let environment = Environment::from_pairs(base.iter().chain(pairs).copied());
        let (settings, _) = BootstrapSettings::load(&environment).unwrap();
        assert_eq!(settings.state_directory, None);
        settings.state_directory_trouble
    };
    let told = trouble(&[("HOME", home.path().to_str().unwrap())]);
    assert_eq!(told, Some(format!("{} is not a directory", taken.display())));
    assert_eq!(trouble(&[]), None, "nothing is wrong: there is no HOME");
}

#[test]
fn a_config_map_must_have_a_name_that_kubernetes_takes() {
    let taken = |name: &str| {
        BootstrapSettings::load(&environment(&[("SPIKE_BOOTSTRAP_CONFIGMAP_NAME", name)])).is_ok()
    };
    assert!(taken("spire-spike-bootstrap") && taken("a.b-c.0"));
    for name in ["Spike", "a_b", "-a", "a.", "a..b", "a/b", &"a".repeat(254)] {
        assert!(!taken(name), "{name}");
    }
}

#[test]
fn client_limits_of_zero_and_less_are_no_limits() {
    let pairs = [("SPIKE_HTTP_CLIENT_TIMEOUT", "-1s"), ("SPIKE_HTTP_CLIENT_DIALER_TIMEOUT", "0")];
    let (settings, warnings) = PilotSettings::load(&environment(&pairs)).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(settings.client.timeouts.whole, Duration::ZERO);
    assert_eq!(settings.client.timeouts.dial, Duration::ZERO);
}

#[test]
fn the_defaults_of_a_client_are_those_of_the_settings() {
    let (settings, _) = PilotSettings::load(&environment(&[])).unwrap();
    assert_eq!(settings.client.timeouts, spike_mtls::ClientTimeouts::default());
}

#[test]
fn all_problems_are_reported_at_once() {
    let pairs = [
        ("SPIKE_NEXUS_TLS_PORT", "8553"),
        ("SPIKE_TRUST_ROOT_PILOT", "a,"),
        ("SPIKE_NEXUS_KEEPER_PEERS", "http://k1"),
        ("SPIKE_NEXUS_DATA_DIR", "/"),
        ("SPIKE_NEXUS_SHAMIR_THRESHOLD", "9"),
        ("SPIKE_HTTP_CLIENT_TIMEOUT", "1 minute"),
    ];
    let error = nexus(&pairs).unwrap_err();
    let mut names: Vec<_> =
        error.problems().iter().map(|problem| problem.variable.as_str()).collect();
    names.sort_unstable();
    let mut expected = pairs.map(|(name, _)| name);
    expected.sort_unstable();
    assert_eq!(names, expected);
}

/// A bad value made the process panic.
#[test]
fn who_may_read_the_metrics_is_named_by_whole_spiffe_ids_or_the_daemon_does_not_start() {
    let name = "SPIKE_METRICS_SPIFFE_IDS";
    for (value, why) in [
        ("spiffe://example.org/a,", "element 2 of the list is empty"),
        ("prometheus", "\"prometheus\" is not a SPIFFE ID"),
        ("spiffe://example.org", "it would be everybody of the trust domain"),
    ] {
        for process in [Process::Nexus, Process::Keeper] {
            let found = problems(process, &environment(&[(name, value)]));
            let problem = found.iter().find(|problem| problem.variable == name).unwrap();
            assert!(problem.is_fatal() && problem.to_string().contains(why), "{problem}");
        }
    }
}
