//! Keeps keys out of swap and core dumps. Each step is best effort: containers forbid some of them, and a store that
//! does not start protects nothing. [`spike_mtls::svid::Visibility`] hides the memory from other processes of the same
//! user, because that must wait for the attestation by the agent.

use rustix::{
    io::Errno,
    mm::{MlockAllFlags, mlockall},
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, capabilities},
};

use super::descriptors::raise_descriptor_limit;
use crate::telemetry::{Effect, Telemetry};

/// What an operator can do if memory cannot be locked.
const ADVICE: &str =
    "keys may reach the swap: raise LimitMEMLOCK (ulimit -l), grant CAP_IPC_LOCK, or turn swap off";

/// The result of [`harden`]. Show it with [`Self::watch`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operator must be able to see what is not protected"]
pub struct Hardening {
    /// Why memory is not locked; `None` if it is.
    unlocked: Option<String>,
}

/// Locks memory, forbids core dumps, and raises the limit of open descriptors. [`super::run`] does it for every daemon;
/// another program that holds keys calls it after its log has started.
pub fn harden() -> Hardening {
    raise_descriptor_limit();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(reason = %error, "core dumps stay possible: they would contain keys");
    }
    let locked = lock_memory();
    if let Err(error) = locked {
        let limit = getrlimit(Resource::Memlock).current;
        tracing::warn!(reason = %error, limit, advice = ADVICE, "memory is not locked");
    }
    Hardening { unlocked: locked.err().map(|error| error.to_string()) }
}

impl Hardening {
    /// Adds the health check `memory_locked`, which does not affect readiness.
    pub fn watch(self, telemetry: &Telemetry) {
        telemetry.health().add("memory_locked", Effect::Degraded, move |_| self.check());
    }

    fn check(&self) -> Result<(), String> {
        match &self.unlocked {
            None => Ok(()),
            Some(reason) => Err(format!("memory is not locked ({reason}): {ADVICE}")),
        }
    }
}

/// Locks as much memory as the limits allow. Single pages, such as those of the keys, cannot be locked without
/// `unsafe`.
///
/// # Errors
/// Why nothing is locked. A program that a person runs goes on all the same, and says nothing: its user cannot help it.
pub fn lock_memory() -> Result<(), Errno> {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::debug!(reason = %error, "cannot raise the limit of locked memory");
    }
    mlockall(what_to_lock())
}

/// Pages are locked when they are first used: locking every mapping would make each thread's stack resident.
///
/// Under a finite limit only current mappings are locked: an allocation above the limit would fail, and end the
/// process.
fn what_to_lock() -> MlockAllFlags {
    let limited = getrlimit(Resource::Memlock).current.is_some();
    let exempt =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    let now = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
    if limited && !exempt { now } else { now | MlockAllFlags::FUTURE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Status;
    use spike_mtls::clock;

    #[test]
    fn memory_that_is_not_locked_is_a_degraded_check_with_its_reason_and_what_to_do() {
        let telemetry = Telemetry::new("test");
        telemetry.health().complete();
        Hardening { unlocked: Some("Cannot allocate memory".to_owned()) }.watch(&telemetry);
        let report = telemetry.health().report(clock::now());
        assert_eq!(report.status, Status::Degraded);
        let reason = report.checks["memory_locked"].reason.clone().unwrap();
        assert!(reason.contains("Cannot allocate memory"), "{reason}");
        assert!(reason.contains("LimitMEMLOCK"), "{reason}");
    }

    #[test]
    fn locked_memory_is_well() {
        let telemetry = Telemetry::new("test");
        telemetry.health().complete();
        Hardening { unlocked: None }.watch(&telemetry);
        assert_eq!(telemetry.health().report(clock::now()).status, Status::Ok);
    }
}
