//! What keeps keys out of swap, core dumps and other processes' sight. Each step is best effort: containers forbid some
//! of them, and a store that does not start protects nothing.

use rustix::{
    io::Errno,
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
    thread::{CapabilitySet, capabilities},
};

/// Locks memory, forbids core dumps and makes the process unreadable for others of its user. [`super::run`] does it for
/// every daemon; another program that holds keys calls it once its log is open.
pub fn harden(tell_about_memory: bool) {
    super::descriptors::raise_descriptor_limit();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    report("core dumps stay possible", setrlimit(Resource::Core, none));
    report(
        "other processes of this user may read this one's memory",
        set_dumpable_behavior(DumpableBehavior::NotDumpable),
    );
    match mlockall(what_to_lock()) {
        Err(error) if tell_about_memory => {
            tracing::warn!(reason = %error, "memory is not locked: keys may reach the swap; raise LimitMEMLOCK or disable swap");
        }
        other => report("memory is not locked", other),
    }
}

/// Pages are locked as they are touched: locking all that is mapped would make every thread's stack resident.
///
/// Under a finite limit only what is mapped now is locked: later memory that did not fit would not be swapped but
/// refused, and the process would die of it.
fn what_to_lock() -> MlockAllFlags {
    let limited = getrlimit(Resource::Memlock).current.is_some();
    let exempt =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    let now = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
    if limited && !exempt { now } else { now | MlockAllFlags::FUTURE }
}

fn report(consequence: &'static str, step: Result<(), Errno>) {
    if let Err(error) = step {
        tracing::info!(reason = %error, consequence, "a protection of this process is not available");
    }
}
