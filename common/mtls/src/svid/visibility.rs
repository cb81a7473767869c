//! Whether other processes may look at this one while the agent attests it.
//!
//! A Workload API tells its callers apart by what the kernel says about them, and some of that, the link
//! `/proc/PID/exe` above all, is hidden once a process has made itself undumpable. An agent with `CAP_SYS_PTRACE` (root,
//! usually) reads it all the same. An agent that runs as the same unprivileged user does not.
//!
//! A daemon is therefore visible until its first SVID comes, when it has no key that could be read. From then on it is
//! hidden, and stays hidden while it reconnects. Only if the agent then refuses it is it visible once more, from the next
//! connection to the first answer on it, and a setting forbids even that.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// What an [`super::SvidSource`] may do with the visibility of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Nothing: for commands and libraries, which do not hide themselves.
    Untouched,
    /// Hides the process from its first SVID on.
    Managed {
        /// Whether it becomes visible again for the next try, when the agent has refused it.
        when_refused: bool,
    },
}

/// The visibility over the tries of one source.
#[derive(Debug)]
pub(super) struct Attestation {
    visibility: Visibility,
    refused: bool,
    /// Whether this try is made hidden.
    hidden: bool,
    /// Whether this try is made visible although there are keys.
    exposed: bool,
}

impl Attestation {
    pub(super) const fn new(visibility: Visibility) -> Self {
        Self { visibility, refused: false, hidden: false, exposed: false }
    }

    /// Before a try. `identified` tells whether there was ever an SVID.
    pub(super) fn before_try(&mut self, identified: bool) {
        let Visibility::Managed { when_refused } = self.visibility else { return };
        self.hidden = identified && !(self.refused && when_refused);
        self.exposed = identified && !self.hidden;
        set(if self.hidden { DumpableBehavior::NotDumpable } else { DumpableBehavior::Dumpable });
    }

    /// When the agent has given this process an identity.
    pub(super) const fn accepted(&mut self) {
        self.refused = false;
    }

    /// When a try has failed; `refused` if the agent refused the process. `identified` as in [`Self::before_try`].
    pub(super) fn failed(&mut self, refused: bool, identified: bool) {
        self.refused |= refused;
        if identified {
            self.hide();
        }
    }

    /// Whether the next try may go better, because the agent will see more than in this one.
    pub(super) const fn can_show_more(&self) -> bool {
        self.hidden && matches!(self.visibility, Visibility::Managed { when_refused: true })
    }

    /// Whether this try must be short, because others of this user can look at a process that holds keys.
    pub(super) const fn exposed(&self) -> bool {
        self.exposed
    }

    /// Whether the agent was kept from looking at this process in this try.
    pub(super) const fn hidden(&self) -> bool {
        self.hidden
    }

    /// When the agent has answered.
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

    /// One test for all, because the process that it looks at is that of all tests.
    #[test]
    fn a_process_hides_from_its_first_svid_on_and_shows_itself_only_when_it_was_refused() {
        let mut untouched = Attestation::new(Visibility::Untouched);
        untouched.before_try(true);
        untouched.hide();
        assert!(visible());

        let mut managed = Attestation::new(Visibility::Managed { when_refused: true });
        managed.before_try(false);
        assert!(visible() && !managed.exposed());
        // Before there is an SVID, a refusal costs nothing.
        managed.failed(true, false);
        assert!(visible());
        managed.before_try(false);
        managed.hide();
        managed.accepted();
        assert!(!visible());
        // The agent has gone: nobody was refused.
        managed.failed(false, true);
        managed.before_try(true);
        assert!(!visible() && managed.hidden() && managed.can_show_more());
        managed.failed(true, true);
        assert!(!visible());
        managed.before_try(true);
        assert!(visible() && managed.exposed() && !managed.can_show_more());
        // Refused again: it hides between the tries.
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
