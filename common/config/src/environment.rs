//! A snapshot of the environment variables that SPIKE reads.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

use super::table;

/// The variables of [`table`], and all others that begin with `SPIKE_`, at one moment.
///
/// All others are omitted, so that credentials in the environment are not copied.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The current environment of this process. Nothing else reads it.
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    /// An environment made of `pairs`; the last one of a name counts.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let relevant = |(name, value): (N, V)| {
            let name = name.into().into_string().ok()?;
            let known = name.starts_with("SPIKE_") || table::find(&name).is_some();
            known.then(|| (name, value.into()))
        };
        Self(pairs.into_iter().filter_map(relevant).collect())
    }

    /// The same environment with these pairs, which replace its own.
    #[must_use]
    pub fn with<N, V>(mut self, pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        self.0.extend(Self::from_pairs(pairs).0);
        self
    }

    /// The value of a variable. An empty one counts as unset, as it does upstream.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The names of all variables that are not empty. A name that no process reads may be one of a secret, mistyped.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The names and values of all variables that are not empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_os_str()))
            .filter(|(_, value)| !value.is_empty())
    }
}

/// Names only: the value of a mistyped name may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_counts_as_unset() {
        let environment = Environment::from_pairs([("SPIKE_NEXUS_TLS_PORT", "")]);
        assert_eq!(environment.get("SPIKE_NEXUS_TLS_PORT"), None);
        assert_eq!(environment.iter().count(), 0);
    }

    #[test]
    fn variables_of_other_programs_are_not_kept() {
        let environment = Environment::from_pairs([
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("SPIFFE_ENDPOINT_SOCKET", "unix:///run/agent.sock"),
            ("SPIKE_TYPO", "kept, to be reported"),
        ]);
        let names: Vec<_> = environment.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["SPIFFE_ENDPOINT_SOCKET", "SPIKE_TYPO"]);
    }

    #[test]
    fn a_pair_that_is_added_replaces_the_one_of_that_name() {
        let environment = Environment::from_pairs([("SPIKE_A", "1"), ("SPIKE_B", "2")]).with([
            ("SPIKE_B", "3"),
            ("SPIKE_C", "4"),
            ("PATH", "/bin"),
        ]);
        let read = |name| environment.get(name).and_then(OsStr::to_str);
        assert_eq!(
            [read("SPIKE_A"), read("SPIKE_B"), read("SPIKE_C")].map(Option::unwrap),
            ["1", "3", "4"]
        );
        assert_eq!(read("PATH"), None);
    }

    #[test]
    fn debug_output_shows_no_values() {
        let environment = Environment::from_pairs([("SPIKE_TOKEN", "hunter2")]);
        assert_eq!(format!("{environment:?}"), r#"{"SPIKE_TOKEN"}"#);
    }

    #[test]
    fn the_snapshot_of_this_process_holds_what_cargo_test_was_given() {
        // HOME is the one variable of the table that nearly every environment has.
        let ours = Environment::of_process();
        let direct = std::env::vars_os().find(|(name, value)| name == "HOME" && !value.is_empty());
        assert_eq!(ours.get("HOME").map(OsStr::to_owned), direct.map(|(_, value)| value));
    }
}
