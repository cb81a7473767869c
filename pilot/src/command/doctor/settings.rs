//! The settings: those of this process, values of others that are not valid, and names that nobody reads.

use spike_config::{
    ConfigError, Environment, Loaded, Outcome as Consequence, Problem, Process, Reader,
    table::{self, Variable},
};
use spike_daemon::{
    VERSION,
    settings::{BootstrapSettings, KeeperSettings, NexusSettings, PilotSettings},
};
use spike_mtls::settings::{IdentitySettings, OwnTrustDomain, foreign_roots};

use super::check::{Check, Group, Report, SETTING};
use super::identity::foreign_root;
use super::manifest::Container;
use crate::exit::Exit;
use crate::recovery_file;

const NAME: &str = "settings";

/// The settings of this process, with the default in place of each value that is not valid.
pub(super) struct Settings {
    pub(super) values: PilotSettings,
    broken: Vec<String>,
}

impl Settings {
    /// The first of these settings whose value cannot be used.
    pub(super) fn broken(&self, variables: &[&Variable]) -> Option<&'static str> {
        let names = variables.iter().map(|variable| variable.name);
        names.into_iter().find(|name| self.broken.iter().any(|broken| broken == name))
    }
}

/// Reads the settings of this process, and checks all that are set.
pub(super) fn examine(environment: &Environment, report: &mut Report) -> Settings {
    let executable = std::fs::read_link("/proc/self/exe");
    let shown = executable.map_or_else(|_| "unknown".to_owned(), |path| path.display().to_string());
    report.push(Check::ok(Group::Machine, "program", format!("spike {VERSION}, {shown}")));
    let mut reader = Reader::new(environment, Process::Pilot);
    let values = PilotSettings::read(&mut reader);
    let mut problems = all_problems(reader.finish());
    let broken = problems.iter().filter(|problem| problem.is_fatal());
    let broken = broken.map(|problem| problem.variable.clone()).collect();
    problems.extend(of_others(environment));
    push_problems(&problems, is_set(environment), report);
    report.extend(pod(environment, &values));
    report.push(recovery(&values));
    Settings { values, broken }
}

/// The settings of one program in another environment.
pub(super) fn examine_for(process: Process, environment: &Environment, report: &mut Report) {
    let problems = problems_of(process, environment);
    push_problems(&problems, is_set(environment), report);
    report.extend(foreign(process, environment));
}

/// The trust roots in foreign trust domains. Values that are not valid are reported elsewhere.
fn foreign(process: Process, environment: &Environment) -> Vec<Check> {
    let roots = IdentitySettings::read(&mut Reader::new(environment, process)).trust_roots;
    foreign_roots(&roots, process, OwnTrustDomain::Unknown).iter().map(foreign_root).collect()
}

/// The same for a container, whose directories are not those of this machine. What is not known of its environment is no problem.
pub(super) fn examine_container(process: Process, container: &Container, report: &mut Report) {
    let Container { place, variables, unknown, imported, .. } = container;
    for (name, from) in unknown.iter().filter(|(name, _)| table::find(name).is_some()) {
        let name = format!("{SETTING}{name}");
        let because = format!("{place}: not known, it comes from {from}");
        report.push(Check::skipped(Group::Machine, &name, because));
    }
    for name in
        variables.keys().filter(|name| name.ends_with("_DIR") && table::find(name).is_some())
    {
        let because = format!("{place}: a directory of the container, not looked at");
        report.push(Check::skipped(Group::Machine, &format!("{SETTING}{name}"), because));
    }
    for from in imported {
        let because = format!("{place}: what comes from {from} is not known");
        report.push(Check::skipped(Group::Machine, NAME, because));
    }
    let environment = Environment::from_pairs(variables.clone());
    let mut problems = problems_of(process, &environment);
    problems.retain(|problem| {
        if problem.variable.ends_with("_DIR") {
            return false;
        }
        let is_here = variables.contains_key(&problem.variable);
        let may_be_elsewhere = !imported.is_empty() || unknown.contains_key(&problem.variable);
        is_here || !may_be_elsewhere
    });
    if problems.is_empty() {
        let what = format!("{place}: {process}, {} set, all valid", is_set(&environment));
        report.push(Check::ok(Group::Machine, NAME, what));
    }
    // Of values that are not known, the trust domain of the process may be one.
    let is_known = unknown.is_empty() && imported.is_empty();
    for mut found in foreign(process, &environment).into_iter().filter(|_| is_known) {
        found.evidence = format!("{place}: {}", found.evidence);
        report.push(found);
    }
    for problem in &problems {
        let mut found = judge(problem);
        found.evidence = format!("{place}: {}", found.evidence);
        if !unknown.is_empty() || !imported.is_empty() {
            found.evidence.push_str(", while not every value is known");
        }
        report.push(found);
    }
}

fn push_problems(problems: &[Problem], set: usize, report: &mut Report) {
    if problems.is_empty() {
        let what = match set {
            0 => "none is set: the defaults are used".to_owned(),
            count => format!("{count} set, all valid"),
        };
        report.push(Check::ok(Group::Machine, NAME, what));
    }
    report.extend(problems.iter().map(judge));
}

fn judge(problem: &Problem) -> Check {
    let name = format!("{SETTING}{}", problem.variable);
    let evidence = match &problem.value {
        Some(value) => format!("{value:?}"),
        None if problem.outcome == Consequence::Fatal => "not set".to_owned(),
        None => "set".to_owned(),
    };
    let what = &problem.rule;
    match &problem.outcome {
        Consequence::Fatal => {
            let cause = format!("{what}. The program does not start with it");
            let next = format!("correct {}", problem.variable);
            Check::failed(Group::Machine, &name, Exit::Usage, evidence, (cause, next))
        }
        Consequence::FellBackTo(used) => {
            let cause = format!("{what}. {used} is used instead");
            let next = format!("correct {}, or remove it", problem.variable);
            Check::warning(Group::Machine, &name, evidence, (cause, next))
        }
        Consequence::Used => {
            let next = format!("remove {}", problem.variable);
            Check::warning(Group::Machine, &name, evidence, (what.clone(), next))
        }
        Consequence::Ignored => {
            let cause = format!("{what}. It has no effect");
            let next = "correct the name, or remove the variable".to_owned();
            Check::warning(Group::Machine, &name, evidence, (cause, next))
        }
    }
}

/// What is wrong with values that only other programs read. They do not concern this process, so nothing is fatal.
fn of_others(environment: &Environment) -> Vec<Problem> {
    let is_foreign = |problem: &Problem| {
        table::find(&problem.variable).is_some_and(|variable| {
            !variable.readers.contains(&Process::Pilot) && environment.get(variable.name).is_some()
        })
    };
    let mut found: Vec<Problem> = Vec::new();
    for process in [Process::Nexus, Process::Bootstrap, Process::Keeper] {
        for problem in problems_of(process, environment).into_iter().filter(is_foreign) {
            if found.iter().all(|known| known.variable != problem.variable) {
                let rule =
                    format!("{}. This command does not read it; {process} does", problem.rule);
                found.push(Problem { rule, outcome: Consequence::Ignored, ..problem });
            }
        }
    }
    found
}

/// The variables that some program would not accept.
pub(super) fn invalid(environment: &Environment) -> Vec<String> {
    let problems = Process::ALL.into_iter().flat_map(|process| problems_of(process, environment));
    problems.map(|problem| problem.variable).collect()
}

fn problems_of(process: Process, environment: &Environment) -> Vec<Problem> {
    match process {
        Process::Nexus => of_loaded(NexusSettings::load(environment)),
        Process::Keeper => of_loaded(KeeperSettings::load(environment)),
        Process::Bootstrap => of_loaded(BootstrapSettings::load(environment)),
        Process::Pilot | Process::Workload => of_loaded(PilotSettings::load(environment)),
    }
}

fn of_loaded<T>(loaded: Loaded<T>) -> Vec<Problem> {
    all_problems(loaded.map(|(_, warnings)| warnings))
}

fn all_problems(finished: Result<Vec<Problem>, ConfigError>) -> Vec<Problem> {
    finished.unwrap_or_else(|error| error.problems().to_vec())
}

fn is_set(environment: &Environment) -> usize {
    environment
        .names()
        .filter(|name| name.starts_with("SPIKE_") || name.starts_with("SPIFFE_"))
        .count()
}

/// In a pod, `localhost` is the pod itself.
fn pod(environment: &Environment, values: &PilotSettings) -> Option<Check> {
    environment.get(table::KUBERNETES_SERVICE_HOST.name)?;
    let host = values.api_url.host();
    let is_local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if !is_local {
        return Some(Check::ok(Group::Machine, "pod", "this process runs in Kubernetes"));
    }
    let name = table::SPIKE_NEXUS_API_URL.name;
    let unset = environment.get(name).is_none();
    let evidence = format!(
        "this process runs in Kubernetes, and {name} is {}{}",
        values.api_url,
        if unset { " (not set: this is the default)" } else { "" }
    );
    let cause = format!("{name} names this pod itself, where SPIKE Nexus normally does not run");
    let next = format!("set {name}, for example to https://spike-nexus.NAMESPACE.svc:443");
    let check = Check::warning(Group::Machine, "pod", evidence, (cause, next));
    Some(check.page("docs/operations/kubernetes.md"))
}

/// The directory of recovery files: whether it can be used, and whether any lie there.
fn recovery(values: &PilotSettings) -> Check {
    const NAME: &str = "recovery files";
    let directory = match values.recovery.resolve() {
        Ok(directory) => directory.path,
        Err(error) => {
            let cause = format!("`spike operator recover` has no directory to write to: {error}");
            let next = "set SPIKE_PILOT_RECOVERY_DIR, or use --out DIR or --stdout";
            return Check::warning(Group::Machine, NAME, error.to_string(), (cause, next));
        }
    };
    let shown = directory.display();
    match recovery_file::count(&directory) {
        0 => Check::ok(Group::Machine, NAME, format!("none in {shown}")),
        count => {
            let cause = format!(
                "recovery files lie in {shown}: whoever reads enough of them has the root key"
            );
            let next = "encrypt them, keep them in different places, and erase them here";
            let evidence = format!("{count} in {shown}");
            Check::warning(Group::Machine, NAME, evidence, (cause, next))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    fn examined(pairs: &[(&str, &str)]) -> (Settings, Report) {
        let mut report = Report::new();
        let environment = Environment::from_pairs(pairs.iter().copied());
        let settings = examine(&environment, &mut report);
        (settings, report)
    }

    fn texts(report: &Report) -> String {
        format!("{:#?}", report.checks())
    }

    #[test]
    fn no_setting_and_good_ones_are_well() {
        assert_eq!(examined(&[]).1.exit(), Exit::Success);
        let (settings, report) = examined(&[("SPIKE_TRUST_ROOT_NEXUS", "example.org")]);
        assert_eq!(report.exit(), Exit::Success);
        assert!(texts(&report).contains("1 set, all valid"));
        assert_eq!(settings.broken(&[&table::SPIKE_TRUST_ROOT_NEXUS]), None);
    }

    #[test]
    fn each_kind_of_problem_is_told_with_its_consequence() {
        let (settings, report) = examined(&[
            ("SPIKE_NEXUS_API_URL", "http://nexus:8553"),
            ("SPIKE_HTTP_CLIENT_TIMEOUT", "soon"),
            ("SPIKE_NEXUS_API_ULR", "hunter2"),
        ]);
        assert_eq!(report.exit(), Exit::Usage);
        assert_eq!(settings.broken(&[&table::SPIKE_NEXUS_API_URL]), Some("SPIKE_NEXUS_API_URL"));
        let texts = texts(&report);
        for part in [
            "the scheme is not https. The program does not start with it",
            "60s is used instead",
            "did you mean SPIKE_NEXUS_API_URL?. It has no effect",
        ] {
            assert!(texts.contains(part), "{part}: {texts}");
        }
        assert!(!texts.contains("hunter2"), "{texts}");
    }

    #[test]
    fn a_bad_value_of_another_program_is_a_warning_here() {
        let (_, report) = examined(&[("SPIKE_TRUST_ROOT_KEEPER", "example.org,")]);
        assert_eq!(report.answer().unwrap().outcome, Outcome::Warning);
        let texts = texts(&report);
        assert!(texts.contains("a stray comma") && texts.contains("Nexus does"), "{texts}");
    }

    #[test]
    fn recovery_files_that_were_left_and_a_directory_for_them_that_cannot_be_used_are_warnings() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        let cause = |path: &str| {
            let (_, report) = examined(&[("SPIKE_PILOT_RECOVERY_DIR", path)]);
            report.answer().and_then(|check| check.cause.clone())
        };
        assert_eq!(cause(at), None);
        assert!(cause("/etc/spike").unwrap().contains("has no directory to write to"));
        std::fs::create_dir(dir.path().join("recover")).unwrap();
        std::fs::write(dir.path().join("recover/spike.recovery.1.txt"), "").unwrap();
        std::fs::write(dir.path().join("recover/notes.txt"), "").unwrap();
        assert!(cause(at).unwrap().starts_with("recovery files lie in"));
    }

    #[test]
    fn in_a_pod_an_address_of_this_machine_is_a_warning() {
        let in_pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        let (_, report) = examined(&[in_pod]);
        assert!(report.answer().unwrap().cause.as_ref().unwrap().contains("this pod itself"));
        let url = ("SPIKE_NEXUS_API_URL", "https://spike-nexus.spike.svc");
        assert_eq!(examined(&[in_pod, url]).1.exit(), Exit::Success);
    }
}
