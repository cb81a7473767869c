//! The rows of what a process writes about itself: its log and its audit log.

use super::{
    DAEMONS,
    DefaultValue::{Is, Unset},
    PROGRAMS,
    Process::{Keeper, Nexus, Pilot},
    Rule, Section, Variable,
};

section! {
    LOGS, "Logs",
    "Logs are JSON, one object per line, on standard output. [audit-log.md](audit-log.md) says how they are rotated.";

    SPIKE_SYSTEM_LOG_LEVEL, Is("WARN"), Rule::Level, PROGRAMS,
        "The lowest severity that is logged. Upper or lower case.";
    SPIKE_BANNER_ENABLED, Is("true"), Rule::Flag, DAEMONS,
        "Whether a few lines of plain text precede the first log line. Turn it off if a parser reads the log.";
    SPIKE_PILOT_SHOW_MEMORY_WARNING, Is("false"), Rule::Flag, &[Nexus, Keeper, Pilot],
        "Accepted and checked, without effect: a daemon that cannot lock its memory always reports it, in its log and \
         in `/healthz`.",
        upstream "Nexus and Keeper read it too, and report nothing if it is false.";
    SPIKE_STACK_TRACES_ON_LOG_FATAL, Is("false"), Rule::Flag, PROGRAMS,
        "Accepted and checked, without effect: a fatal error is always reported with all its causes.";
}

section! {
    AUDIT, "Audit log",
    "Where a daemon writes its audit lines, and what it does when it cannot. See [audit-log.md](audit-log.md).";

    SPIKE_AUDIT_FILE, Unset("standard error"), Rule::File, DAEMONS,
        "A regular file to append audit lines to, instead of standard error. It is created with mode 0600 if it is missing, \
         in a directory that exists. The last part of the path must not be a symbolic link. No two daemons may have the \
         same file. If it cannot be opened, the daemon does not start.",
        upstream "New; audit lines go to standard error.";
    SPIKE_AUDIT_STDERR, Is("false"), Rule::Flag, DAEMONS,
        "Whether audit lines go to standard error as well as to `SPIKE_AUDIT_FILE`. Without a file they always do. With \
         both, a line counts as written when both have it.",
        upstream "New.";
    SPIKE_AUDIT_SYNC, Is("interval"), Rule::AuditSync, DAEMONS,
        "When the lines in `SPIKE_AUDIT_FILE` are flushed to the disk. `none`: when the operating system does it. \
         `interval`: about once a second, so that a crash of the machine loses a second of lines. `each`: before the \
         answer to the request; all lines that wait at the same time share one flush.",
        upstream "New.";
    SPIKE_AUDIT_OPTIONAL, Is("false"), Rule::Flag, DAEMONS,
        "Whether a request goes on although its audit line cannot be written. Otherwise it fails. The log and the metrics \
         say in both cases how many lines are missing.",
        upstream "New.";
}
