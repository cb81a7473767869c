//! Whether other processes may inspect this one during its attestation by the agent.
//!
//! A Workload API identifies its callers by kernel data. Some of it, above all the link `/proc/PID/exe`, is hidden if
//! the process is not dumpable. An agent with `CAP_SYS_PTRACE` (usually root) can read it anyway; an agent of the same
//! unprivileged user cannot.
//!
//! So a daemon is visible until its first SVID arrives: until then it has no key. After that it is hidden, even while
//! it reconnects. Only if the agent then refuses it, it becomes visible once more, from the next connection to its
//! first answer; a setting forbids even that.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// How an [`super::SvidSource`] changes the visibility of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Not at all: for commands and libraries, which do not hide.
    Untouched,
    /// Hides the process from its first SVID on.
    Managed {
        /// Whether it becomes visible for the next try after a refusal.
        when_refused: bool,
    },
}

/// The visibility during the tries of one source.
#[derive(Debug)]
pub(super) struct Attestation {
    visibility: Visibility,
    refused: bool,
    /// Whether the process is hidden in this try.
    hidden: bool,
    /// Whether the process is visible in this try although it has keys.
    exposed: bool,
}

impl Attestation {
    pub(super) const fn new(visibility: Visibility) -> Self {
        Self { visibility, refused: false, hidden: false, exposed: false }
    }

    /// Call before a try. `identified`: whether there ever was an SVID.
    pub(super) fn before_try(&mut self, identified: bool) {
        let Visibility::Managed { when_refused } = self.visibility else { return };
        self.hidden = identified && !(self.refused && when_refused);
        self.exposed = identified && !self.hidden;
        set(if self.hidden { DumpableBehavior::NotDumpable } else { DumpableBehavior::Dumpable });
    }

    /// Call when the agent has given this process an identity.
    pub(super) const fn accepted(&mut self) {
        self.refused = false;
    }

    /// Call when a try has failed; `refused`: the agent refused the process. `identified` as in [`Self::before_try`].
    pub(super) fn failed(&mut self, refused: bool, identified: bool) {
        self.refused |= refused;
        if identified {
            self.hide();
        }
    }

    /// Whether the next try may succeed because the agent will see more.
    pub(super) const fn can_show_more(&self) -> bool {
        self.hidden && matches!(self.visibility, Visibility::Managed { when_refused: true })
    }

    /// Whether this try must be short, because a process with keys is visible.
    pub(super) const fn exposed(&self) -> bool {
        self.exposed
    }

    /// Whether the process is hidden from the agent in this try.
    pub(super) const fn hidden(&self) -> bool {
        self.hidden
    }

    /// Call when the agent has answered.
    pub(super) fn hide(&self) {
        if matches!(self.visibility, Visibility::Managed { .. }) {
            set(DumpableBehavior::NotDumpable);
        }
    }
}

fn set(behavior: DumpableBehavior) {
    if let Err(error) = set_dumpable_behavior(behavior) {
        let consequence = match behavior {
            DumpableBehavior::Dumpable => {
                "an agent that is not root may not be able to attest this process"
            }
            _ => "other processes of this user may read this one's memory",
        };
        tracing::warn!(reason = %error, consequence, "cannot change who may look at this process");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    fn visible() -> bool {
        matches!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable))
    }

    /// One test for all, because they share one process.
    #[test]
    fn a_process_hides_from_its_first_svid_on_and_shows_itself_only_when_it_was_refused() {
        let mut untouched = Attestation::new(Visibility::Untouched);
        untouched.before_try(true);
        untouched.hide();
        assert!(visible());

        let mut managed = Attestation::new(Visibility::Managed { when_refused: true });
        managed.before_try(false);
        assert!(visible() && !managed.exposed());
        // Before the first SVID, a refusal changes nothing.
        managed.failed(true, false);
        assert!(visible());
        managed.before_try(false);
        managed.hide();
        managed.accepted();
        assert!(!visible());
        // The agent is gone: this was no refusal.
        managed.failed(false, true);
        managed.before_try(true);
        assert!(!visible() && managed.hidden() && managed.can_show_more());
        managed.failed(true, true);
        assert!(!visible());
        managed.before_try(true);
        assert!(visible() && managed.exposed() && !managed.can_show_more());
        // Refused again: the process is hidden between the tries.
        managed.failed(true, true);
        assert!(!visible());
        managed.before_try(true);
        managed.hide();
        managed.accepted();
        managed.failed(false, true);
        managed.before_try(true);
        assert!(!visible());

        let mut never = Attestation::new(Visibility::Managed { when_refused: false });
        never.before_try(true);
        never.failed(true, true);
        never.before_try(true);
        assert!(!visible() && never.hidden() && !never.can_show_more());

        set(DumpableBehavior::Dumpable);
    }
}
