//! The exit statuses, by which a Job, a unit or a person decides what to do next.

use std::process::ExitCode;

use spike_config::EXIT_CONFIG;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The root key is made and proved, or there is nothing to do.
    Done,
    /// Something failed. It is safe to run it again, and may help.
    Failed,
    /// The command line cannot be understood. (A missing `-init` is [`Exit::Failed`], as upstream has it.)
    Usage,
    /// There is a root key already, or there was one: a person must decide.
    KeyExists,
    /// The settings are invalid.
    Config,
}

impl Exit {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Done, Self::Failed, Self::Usage, Self::KeyExists, Self::Config];

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::KeyExists => 3,
            Self::Config => EXIT_CONFIG,
        }
    }

    /// Its meaning, as `--help` prints it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::Failed => "failed, or -init is missing; may be run again",
            Self::Usage => "a flag or an argument that is not known",
            Self::KeyExists => {
                "refused, because there is or was another root key, data or a share; a person must decide"
            }
            Self::Config => "bad settings",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
