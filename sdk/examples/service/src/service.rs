//! The service: one loop over the watch, the work, and the end.

use std::{fmt, future::Future, time::Duration};

use spike_sdk::{Client, Error};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Credentials;

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The path of the secret.
    pub path: String,
    /// How often it is looked at.
    pub every: Duration,
    /// How often there is work.
    pub work: Duration,
    /// How long the last version is used while it cannot be read.
    pub keep: Duration,
}

/// What happened, for whoever runs the service. No event has a value of the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first version is in use.
    Ready(i64),
    /// A new version is in use.
    Rotated(i64),
    /// A new version cannot be used. The one before stays in use.
    Unusable(String),
    /// The secret cannot be read, for the reason given. The last version stays in use.
    Trouble(String),
    /// The secret can be read again.
    Recovered,
    /// The trouble lasted too long: the password is wiped, and nothing is served.
    LetGo,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(version) => write!(f, "ready with version {version}"),
            Self::Rotated(version) => write!(f, "rotated to version {version}"),
            Self::Unusable(reason) => write!(f, "unusable: {reason}"),
            Self::Trouble(reason) => write!(f, "trouble: {reason}"),
            Self::Recovered => f.write_str("recovered"),
            Self::LetGo => f.write_str("let go of the password"),
        }
    }
}

/// The work that was done, and what could not be done for want of a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Done.
    pub served: u64,
    /// Not done, after the service was ready once.
    pub refused: u64,
}

/// Runs until `stop` ends.
pub async fn run(
    spike: &Client,
    rules: &Rules,
    mut report: impl FnMut(&Event),
    stop: impl Future<Output = ()>,
) -> Tally {
    let mut watch = spike.watch(&rules.path, rules.every);
    let mut work = interval(rules.work);
    work.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut state = State::default();
    let mut tally = Tally::default();
    tokio::pin!(stop);
    loop {
        // The watch may be dropped here: it goes on where it was.
        tokio::select! {
            changed = watch.next() => match changed {
                Ok(secret) => state.take(Credentials::read(&secret).map_err(|error| error.to_string()), &mut report),
                Err(error) => {
                    state.lose(&error, &mut report);
                    // So that the service learns when it can read the secret again, though it has not changed.
                    watch.reset();
                }
            },
            _ = work.tick() => {
                state.age(rules.keep, &mut report);
                state.serve(&mut tally);
            }
            () = &mut stop => return tally,
        }
    }
}

#[derive(Default)]
struct State {
    in_use: Option<Credentials>,
    was_ready: bool,
    /// Since when the secret cannot be read.
    trouble: Option<Instant>,
}

impl State {
    fn take(&mut self, read: Result<Credentials, String>, report: &mut impl FnMut(&Event)) {
        if self.trouble.take().is_some() {
            report(&Event::Recovered);
        }
        match read {
            Ok(credentials) => {
                let version = credentials.version;
                if self.in_use.as_ref().is_some_and(|in_use| in_use.version == version) {
                    return;
                }
                let event =
                    if self.was_ready { Event::Rotated(version) } else { Event::Ready(version) };
                self.was_ready = true;
                // The password before is wiped here.
                self.in_use = Some(credentials);
                report(&event);
            }
            Err(reason) => report(&Event::Unusable(reason)),
        }
    }

    fn lose(&mut self, error: &Error, report: &mut impl FnMut(&Event)) {
        if self.trouble.is_none() {
            self.trouble = Some(Instant::now());
            report(&Event::Trouble(error.to_string()));
        }
    }

    fn age(&mut self, keep: Duration, report: &mut impl FnMut(&Event)) {
        let is_over = self.trouble.is_some_and(|since| since.elapsed() > keep);
        if is_over && self.in_use.take().is_some() {
            report(&Event::LetGo);
        }
    }

    fn serve(&self, tally: &mut Tally) {
        match &self.in_use {
            Some(credentials) if credentials.can_log_in() => tally.served += 1,
            _ if self.was_ready => tally.refused += 1,
            _ => {}
        }
    }
}
