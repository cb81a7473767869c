//! What the doctor finds: checks in groups, and the answer.

use spike_daemon::VERSION;

use crate::exit::Exit;

/// How the name of a check begins that is about one setting.
pub(super) const SETTING: &str = "setting ";

/// A layer. A lower one needs those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// This program and its settings.
    Machine,
    /// The time here, compared with that of others.
    Clock,
    /// The Workload API and the SVID of this process.
    Identity,
    /// Whether Nexus is reached, and what it answers.
    Nexus,
    /// The root key.
    Keepers,
    /// Who may do what.
    Policies,
    /// The data.
    Storage,
}

impl Group {
    /// Its name in JSON. It never changes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Clock => "clock",
            Self::Identity => "identity",
            Self::Nexus => "nexus",
            Self::Keepers => "keepers",
            Self::Policies => "policies",
            Self::Storage => "storage",
        }
    }

    /// Its heading.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Machine => "This machine",
            Self::Clock => "Clock",
            Self::Identity => "Identity",
            Self::Nexus => "SPIKE Nexus",
            Self::Keepers => "Keepers and Bootstrap",
            Self::Policies => "Policies",
            Self::Storage => "Storage",
        }
    }

    /// The page about it.
    const fn page(self) -> &'static str {
        match self {
            Self::Machine => "docs/configuration.md",
            Self::Policies => "docs/reading-secrets.md",
            Self::Storage => "docs/operations/store.md",
            Self::Keepers => "docs/runbooks/SpikeSealed.md",
            Self::Clock | Self::Identity | Self::Nexus => "docs/operations/doctor.md",
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It is broken. The status is that of the run, if this is the answer.
    Failed(Exit),
    /// It needs a check that failed, or a role that this process does not have.
    Skipped,
}

impl Outcome {
    /// Its name in JSON. It never changes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// The mark before a line. Marks have one width, and need no colour.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "[ ok ]",
            Self::Warning => "[warn]",
            Self::Failed(_) => "[FAIL]",
            Self::Skipped => "[skip]",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) group: Group,
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// What was seen; several lines, if it is a list. It may come from the network.
    pub(crate) evidence: String,
    /// What is wrong, if anything is.
    pub(crate) cause: Option<String>,
    /// What to do about it.
    pub(crate) next: Option<String>,
    /// A page of the documentation.
    pub(crate) page: &'static str,
}

impl Check {
    fn new(group: Group, name: &str, outcome: Outcome, evidence: impl Into<String>) -> Self {
        let (name, evidence, page) = (name.to_owned(), evidence.into(), group.page());
        Self { group, name, outcome, evidence, cause: None, next: None, page }
    }

    pub(crate) fn ok(group: Group, name: &str, evidence: impl Into<String>) -> Self {
        Self::new(group, name, Outcome::Ok, evidence)
    }

    /// A warning: what was seen, what it means, and what to do.
    pub(crate) fn warning(
        group: Group,
        name: &str,
        evidence: impl Into<String>,
        (cause, next): (impl Into<String>, impl Into<String>),
    ) -> Self {
        let (cause, next) = (Some(cause.into()), Some(next.into()));
        Self { cause, next, ..Self::new(group, name, Outcome::Warning, evidence) }
    }

    /// A failure: what was seen, the cause, and what to do.
    pub(crate) fn failed(
        group: Group,
        name: &str,
        exit: Exit,
        evidence: impl Into<String>,
        (cause, next): (impl Into<String>, impl Into<String>),
    ) -> Self {
        let (cause, next) = (Some(cause.into()), Some(next.into()));
        Self { cause, next, ..Self::new(group, name, Outcome::Failed(exit), evidence) }
    }

    pub(crate) fn skipped(group: Group, name: &str, because: impl Into<String>) -> Self {
        Self::new(group, name, Outcome::Skipped, because)
    }

    /// The same, with a page that says more than that of the group.
    pub(crate) fn page(self, page: &'static str) -> Self {
        Self { page, ..self }
    }
}

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The version of this program.
    pub(crate) version: &'static str,
    checks: Vec<Check>,
}

impl Report {
    pub(crate) const fn new() -> Self {
        Self { version: VERSION, checks: Vec::new() }
    }

    pub(crate) fn push(&mut self, check: Check) {
        self.checks.push(check);
    }

    pub(crate) fn extend(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
    }

    /// The same without what was seen of settings, which may be secret.
    pub(crate) fn without_values(&self) -> Self {
        let hide = |check: &Check| {
            let mut check = check.clone();
            if check.name.starts_with(SETTING) {
                "left out".clone_into(&mut check.evidence);
                check.cause = Some("its value is not valid, or nobody reads it".to_owned());
            }
            check
        };
        Self { version: self.version, checks: self.checks.iter().map(hide).collect() }
    }

    /// The checks, group by group.
    pub(crate) fn checks(&self) -> Vec<&Check> {
        let mut sorted: Vec<_> = self.checks.iter().collect();
        sorted.sort_by_key(|check| check.group);
        sorted
    }

    /// The first check of the first broken layer; if nothing is broken, the first warning.
    pub(crate) fn answer(&self) -> Option<&Check> {
        let checks = self.checks();
        let first = |wanted: fn(Outcome) -> bool| {
            checks.iter().copied().find(|check| wanted(check.outcome))
        };
        first(|outcome| matches!(outcome, Outcome::Failed(_)))
            .or_else(|| first(|outcome| outcome == Outcome::Warning))
    }

    /// How many checks ended with a warning.
    pub(crate) fn warnings(&self) -> usize {
        self.checks.iter().filter(|check| check.outcome == Outcome::Warning).count()
    }

    /// The status of the run: that of the answer.
    pub(crate) fn exit(&self) -> Exit {
        match self.answer().map(|check| check.outcome) {
            None | Some(Outcome::Ok | Outcome::Skipped) => Exit::Success,
            Some(Outcome::Warning) => Exit::Findings,
            Some(Outcome::Failed(exit)) => exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: (&str, &str) = ("cause", "next");

    #[test]
    fn the_answer_is_the_first_broken_layer_whenever_it_was_found() {
        let mut report = Report::new();
        assert_eq!((report.answer(), report.exit()), (None, Exit::Success));
        report.push(Check::warning(Group::Machine, "a setting", "", WORDS));
        assert_eq!(report.exit(), Exit::Findings);
        assert_eq!(report.answer().unwrap().name, "a setting");
        report.push(Check::failed(Group::Nexus, "answer", Exit::NotReady, "", WORDS));
        report.push(Check::failed(Group::Identity, "SVID", Exit::Unreachable, "", WORDS));
        report.push(Check::failed(Group::Identity, "role", Exit::Denied, "", WORDS));
        assert_eq!(report.answer().unwrap().name, "SVID");
        assert_eq!(report.exit(), Exit::Unreachable);
    }

    #[test]
    fn what_is_skipped_is_neither_well_nor_the_answer() {
        let mut report = Report::new();
        report.push(Check::skipped(Group::Nexus, "answer", "there is no SVID"));
        assert_eq!((report.answer(), report.exit()), (None, Exit::Success));
    }
}
