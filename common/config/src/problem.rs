//! Problems of settings, and their consequences.

use std::fmt;

/// The exit status for a configuration error: `EX_CONFIG` of `sysexits.h`.
///
/// It differs from the status of every other failure, so that a service manager can avoid a useless restart (systemd:
/// `RestartPreventExitStatus=78`).
pub const EXIT_CONFIG: u8 = 78;

/// One problem of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable at fault.
    pub variable: String,
    /// Its value as written. `None` if it is unset or must not be shown.
    pub value: Option<String>,
    /// The broken rule, as a fragment: `expected a listen address such as :8553 or 127.0.0.1:8553`.
    pub rule: String,
    /// The consequence.
    pub outcome: Outcome,
}

/// The consequence of a [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process must not start.
    Fatal,
    /// The process starts with this value instead, as upstream does silently.
    FellBackTo(String),
    /// The variable has no effect.
    Ignored,
    /// The value is used, and is dangerous if it stays.
    Used,
}

impl Problem {
    /// A problem with which the process must not start. `value` is shown as it is: see [`Self::value`].
    pub fn fatal(variable: &str, value: Option<&str>, rule: impl Into<String>) -> Self {
        Self {
            variable: variable.to_owned(),
            value: value.map(str::to_owned),
            rule: rule.into(),
            outcome: Outcome::Fatal,
        }
    }

    /// Whether the process must not start.
    pub fn is_fatal(&self) -> bool {
        self.outcome == Outcome::Fatal
    }

    /// What a log says before the problem.
    pub fn headline(&self) -> &'static str {
        match self.outcome {
            Outcome::Fatal | Outcome::FellBackTo(_) | Outcome::Ignored => {
                "a setting was not used as written"
            }
            Outcome::Used => "a setting is in force that should not stay",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, rule, outcome } = self;
        match value {
            Some(value) => write!(f, "{variable}={value:?}: {rule}")?,
            None => write!(f, "{variable}: {rule}")?,
        }
        match outcome {
            Outcome::Fatal | Outcome::Used => Ok(()),
            Outcome::FellBackTo(used) => write!(f, "; using {used}"),
            Outcome::Ignored => f.write_str("; ignored"),
        }
    }
}

/// The environment is not a valid configuration. Lists every problem, including those that are not fatal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid:{}", Lines(problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// An error with these problems, fatal ones first.
    pub const fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Every problem, fatal ones first.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(value: Option<&str>, rule: &str, outcome: Outcome) -> Problem {
        Problem {
            variable: "SPIKE_X".to_owned(),
            value: value.map(str::to_owned),
            rule: rule.to_owned(),
            outcome,
        }
    }

    #[test]
    fn a_problem_names_the_variable_the_value_as_written_and_the_rule() {
        let fatal = problem(Some("8553"), "expected a listen address", Outcome::Fatal);
        assert_eq!(fatal.to_string(), r#"SPIKE_X="8553": expected a listen address"#);
    }

    #[test]
    fn a_problem_says_what_is_used_instead() {
        let used = Outcome::FellBackTo("30s".to_owned());
        let fallen = problem(Some("soon"), "expected a duration", used);
        assert_eq!(fallen.to_string(), r#"SPIKE_X="soon": expected a duration; using 30s"#);
        let ignored = problem(None, "is no setting", Outcome::Ignored);
        assert_eq!(ignored.to_string(), "SPIKE_X: is no setting; ignored");
    }

    #[test]
    fn a_value_cannot_forge_a_second_log_line() {
        let forged = problem(Some("a\nERROR"), "expected a level", Outcome::Fatal);
        assert_eq!(forged.to_string(), r#"SPIKE_X="a\nERROR": expected a level"#);
    }

    #[test]
    fn an_error_lists_its_problems_one_per_line() {
        let error = ConfigError::new(vec![
            problem(Some("1"), "expected a", Outcome::Fatal),
            problem(Some("2"), "expected b", Outcome::Fatal),
        ]);
        assert_eq!(
            error.to_string(),
            "the configuration is not valid:\n  SPIKE_X=\"1\": expected a\n  SPIKE_X=\"2\": expected b"
        );
    }
}
