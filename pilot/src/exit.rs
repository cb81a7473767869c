//! The exit statuses of `spike`: one for each case that a script handles differently.

use std::fmt::Write as _;
use std::process::{ExitCode, Termination};

/// How a run ended. The numbers are part of the interface and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or the person who was asked declined.
    Success = 0,
    /// None of the other cases.
    Failure = 1,
    /// The command line, a setting or an input file is invalid. Nothing was changed.
    Usage = 2,
    /// No such secret, version, key or policy.
    NotFound = 3,
    /// This identity may not do that.
    Denied = 4,
    /// Nexus answers that it is sealed or too busy, or that this SPIFFE ID asks too much at once.
    NotReady = 5,
    /// Nexus, or the SPIFFE Workload API, cannot be reached.
    Unreachable = 6,
    /// A check was carried out, and found something.
    Findings = 7,
}

impl Exit {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::Denied,
        Self::NotReady,
        Self::Unreachable,
        Self::Findings,
    ];

    /// The number.
    pub const fn status(self) -> u8 {
        self as u8
    }

    /// Its meaning, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "success (also a delete that was declined)",
            Self::Failure => "any other failure",
            Self::Usage => "bad arguments, settings or input file",
            Self::NotFound => "no such secret, version, key or policy",
            Self::Denied => "this identity may not do that",
            Self::NotReady => "SPIKE Nexus is not ready: sealed, or busy",
            Self::Unreachable => "SPIKE Nexus or the SPIFFE Workload API cannot be reached",
            Self::Findings => "a check found something: lint, audit verify, warnings of doctor",
        }
    }

    /// The table for `spike --help`.
    pub(crate) fn table() -> String {
        Self::ALL.iter().fold(String::from("Exit status:"), |mut table, exit| {
            // Writing to a string cannot fail.
            write!(table, "\n  {}  {}", exit.status(), exit.meaning()).ok();
            table
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_says_the_same_of_every_status() {
        let reference = include_str!("../../docs/error-codes.md");
        let (_, table) = reference.split_once("## Exit status of `spike`").unwrap();
        for exit in Exit::ALL {
            let row = format!("| {} | {}", exit.status(), exit.meaning());
            assert!(table.contains(&row), "docs/error-codes.md has no row that begins {row:?}");
        }
    }

    #[test]
    fn the_numbers_are_an_interface() {
        insta::assert_snapshot!(Exit::table(), @r"
        Exit status:
          0  success (also a delete that was declined)
          1  any other failure
          2  bad arguments, settings or input file
          3  no such secret, version, key or policy
          4  this identity may not do that
          5  SPIKE Nexus is not ready: sealed, or busy
          6  SPIKE Nexus or the SPIFFE Workload API cannot be reached
          7  a check found something: lint, audit verify, warnings of doctor
        ");
    }
}
