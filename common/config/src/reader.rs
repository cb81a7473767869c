//! Typed reads that collect every problem.

use std::{fmt, path::PathBuf, time::Duration};

use spike_domain::{CoveredIds, TrustRoots};

use super::{
    ConfigError, Directory, DirectoryChoice, EndpointSocket, Environment, GoDuration, HttpsUrl,
    KeeperPeers, ListenAddress, Outcome, Problem,
    table::{self, Process, Rule, Variable},
    unknown,
    url::without_credentials,
};

/// Reads the settings of one process.
///
/// Each read returns a valid value: the configured one, or else the default of the table. Problems are returned by
/// [`Reader::finish`]; call it before you use any of the values.
#[derive(Debug)]
pub struct Reader<'e> {
    environment: &'e Environment,
    process: Process,
    problems: Vec<Problem>,
}

impl<'e> Reader<'e> {
    /// A reader of the variables that the table assigns to `process`. Any other variable reads as unset.
    pub const fn new(environment: &'e Environment, process: Process) -> Self {
        Self { environment, process, problems: Vec::new() }
    }

    /// Ends the reading. Returns the problems that are not fatal, each for one log line, including unknown variables.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem, if at least one is fatal. The process should end with
    /// [`super::EXIT_CONFIG`].
    pub fn finish(mut self) -> Result<Vec<Problem>, ConfigError> {
        self.problems.extend(unknown::problems(self.environment, self.process));
        self.problems.sort_by_key(|problem| !problem.is_fatal());
        match self.problems.first() {
            Some(first) if first.is_fatal() => Err(ConfigError::new(self.problems)),
            _ => Ok(self.problems),
        }
    }

    /// A duration above zero.
    pub fn duration(&mut self, variable: &'static Variable) -> Duration {
        let floor = match variable.rule {
            Rule::DurationOver(seconds) => Duration::from_secs(seconds.into()),
            _ => Duration::ZERO,
        };
        self.value(variable, |text| {
            let duration: GoDuration = text.parse().map_err(|error| format!("{error}"))?;
            duration.positive().filter(|duration| *duration > floor).ok_or_else(String::new)
        })
    }

    /// A time limit; `None` means no limit.
    pub fn time_limit(&mut self, variable: &'static Variable) -> Option<Duration> {
        self.signed_duration(variable).positive()
    }

    /// A duration of either sign.
    pub fn signed_duration(&mut self, variable: &'static Variable) -> GoDuration {
        self.value(variable, str::parse)
    }

    /// A whole number within the bounds of the table. `T` must be able to hold the largest.
    pub fn count<T: TryFrom<i64>>(&mut self, variable: &'static Variable) -> T {
        self.value(variable, |text| {
            let bounds = match variable.rule {
                Rule::Count { max } => 1..=max,
                Rule::Size { max } => 0..=max,
                _ => 1..=i64::MAX,
            };
            let number = text.parse().ok().filter(|number| bounds.contains(number));
            number.and_then(|number| T::try_from(number).ok()).ok_or("")
        })
    }

    /// A flag. Anything but true is false, as with upstream, even if the default is true.
    pub fn flag(&mut self, variable: &'static Variable) -> bool {
        let rule = variable.rule;
        let read = |text: &str| read_flag(rule, text).ok_or("");
        match self.text(variable).map(|text| read(&text)) {
            Some(Ok(flag)) => flag,
            Some(Err(_)) => {
                let outcome = Outcome::FellBackTo("false".to_owned());
                self.report(variable, format!("expected {rule}"), outcome);
                false
            }
            None => default_of(variable, read),
        }
    }

    /// Trust roots.
    pub fn trust_roots(&mut self, variable: &'static Variable) -> TrustRoots {
        self.value(variable, TrustRoots::parse)
    }

    /// SPIFFE IDs; none if it is unset.
    pub fn spiffe_ids(&mut self, variable: &'static Variable) -> CoveredIds {
        self.written(variable, CoveredIds::parse).unwrap_or_default()
    }

    /// The address of the Workload API.
    pub fn endpoint(&mut self, variable: &'static Variable) -> EndpointSocket {
        self.value(variable, str::parse)
    }

    /// The URL of an API.
    pub fn url(&mut self, variable: &'static Variable) -> HttpsUrl {
        self.value(variable, str::parse)
    }

    /// An address to listen on.
    pub fn listen(&mut self, variable: &'static Variable) -> ListenAddress {
        // The rule shows the valid forms, which helps more than a reason.
        self.word(variable, |text| text.parse().ok())
    }

    /// A listen address, or `otherwise` if it is unset; `None` if it is `off`.
    pub fn listen_or_off(
        &mut self,
        variable: &'static Variable,
        otherwise: ListenAddress,
    ) -> Option<ListenAddress> {
        let read = |text: &str| match text {
            "off" => Ok(None),
            address => address.parse().ok().map(Some).ok_or(""),
        };
        self.written(variable, read).unwrap_or(Some(otherwise))
    }

    /// The Keepers. It is fatal if they are not set.
    pub fn keeper_peers(&mut self, variable: &'static Variable) -> Option<KeeperPeers> {
        if self.text(variable).is_none() {
            let rule = format!("not set; expected {}", variable.rule);
            self.report(variable, rule, Outcome::Fatal);
        }
        self.written(variable, str::parse)
    }

    /// One of several words, parsed by `read`.
    pub fn word<T>(&mut self, variable: &'static Variable, read: impl Fn(&str) -> Option<T>) -> T {
        self.value(variable, |text| read(text).ok_or(""))
    }

    /// The absolute path of a file, if it is set. Nothing is opened.
    pub fn file(&mut self, variable: &'static Variable) -> Option<PathBuf> {
        self.written(variable, |text| {
            let path = PathBuf::from(text);
            // A newline at the end of a file that the setting was read from would name another file.
            let is_file = path.is_absolute()
                && path.file_name().is_some()
                && !text.ends_with('/')
                && !text.contains(char::is_control)
                && text.trim_end() == text;
            if is_file { Ok(path) } else { Err("") }
        })
    }

    /// Text, if it is set or has a default.
    pub fn any_text(&self, variable: &'static Variable) -> Option<String> {
        self.text(variable).or_else(|| variable.default.text().map(str::to_owned))
    }

    /// The settings of a directory. Nothing is checked yet.
    pub fn directory_choice(
        &self,
        variable: &'static Variable,
        subdirectory: &'static str,
    ) -> DirectoryChoice {
        // Paths need not be UTF-8, so they are not read as text.
        let path = |variable: &Variable| self.environment.get(variable.name).map(PathBuf::from);
        let user = self.environment.get(table::USER.name).map(|user| user.to_string_lossy());
        DirectoryChoice {
            configured: path(variable),
            home: path(&table::HOME),
            user: user.or(table::USER.default.text().map(Into::into)).unwrap_or_default().into(),
            subdirectory,
        }
    }

    /// A directory that exists or can be created. It is fatal if there is none (F20).
    pub fn directory(
        &mut self,
        variable: &'static Variable,
        subdirectory: &'static str,
    ) -> Option<Directory> {
        match self.directory_choice(variable, subdirectory).resolve() {
            Ok(directory) => Some(directory),
            Err(error) => {
                let rule = format!("expected {}: {error}", variable.rule);
                self.report(variable, rule, Outcome::Fatal);
                None
            }
        }
    }

    /// Whether the variable is set to anything.
    pub fn is_set(&self, variable: &'static Variable) -> bool {
        self.environment.get(variable.name).is_some()
    }

    /// Adds a problem with the configured value, if any. `rule` is a fragment, see [`Problem::rule`].
    pub fn report(&mut self, variable: &'static Variable, rule: String, outcome: Outcome) {
        let value = self.text(variable).map(|text| without_credentials(&text));
        let variable = variable.name.to_owned();
        self.problems.push(Problem { variable, value, rule, outcome });
    }

    /// The configured value if it is valid, or else the default.
    fn value<T, E: fmt::Display>(
        &mut self,
        variable: &'static Variable,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> T {
        match self.written(variable, &read) {
            Some(value) => value,
            None => default_of(variable, read),
        }
    }

    /// The configured value, if it is valid. Otherwise it is reported, with the reason from `read` if that is not
    /// empty.
    fn written<T, E: fmt::Display>(
        &mut self,
        variable: &'static Variable,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(variable)?;
        let why = match read(&text) {
            _ if text.contains(char::REPLACEMENT_CHARACTER) => "not UTF-8".to_owned(),
            Ok(value) => return Some(value),
            Err(why) => why.to_string(),
        };
        let rule = match why.as_str() {
            "" => format!("expected {}", variable.rule),
            why => format!("expected {}: {why}", variable.rule),
        };
        let outcome = match variable.default.text() {
            Some(default) if !variable.rule.is_fatal() => Outcome::FellBackTo(default.to_owned()),
            _ => Outcome::Fatal,
        };
        self.report(variable, rule, outcome);
        None
    }

    /// The configured text, if this process reads the variable. Invalid UTF-8 becomes U+FFFD, which no rule accepts.
    fn text(&self, variable: &'static Variable) -> Option<String> {
        let mine = variable.readers.contains(&self.process);
        let value = self.environment.get(variable.name).filter(|_| mine)?;
        Some(value.to_string_lossy().into_owned())
    }
}

#[expect(clippy::expect_used, reason = "a test reads the default of every variable of the table")]
fn default_of<T, E>(variable: &Variable, read: impl Fn(&str) -> Result<T, E>) -> T {
    let text = variable.default.text().expect("a variable read this way has a default");
    read(text).ok().expect("a default of the table is a good value")
}

fn read_flag(rule: Rule, text: &str) -> Option<bool> {
    let loose = text.trim().to_lowercase();
    let (yes, no) = match rule {
        Rule::GoBool => (
            ["1", "t", "T", "TRUE", "true", "True"].contains(&text),
            ["0", "f", "F", "FALSE", "false", "False"].contains(&text),
        ),
        Rule::ExactlyTrue => (text == "true", loose == "false"),
        _ => (loose == "true", loose == "false"),
    };
    (yes || no).then_some(yes)
}

#[cfg(test)]
mod tests;
