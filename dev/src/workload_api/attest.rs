//! Identifies a caller, and decides which SPIFFE ID its process has.
//!
//! The kernel reports the process number and user of the other end of a Unix socket (`SO_PEERCRED`). Then:
//!
//! 0. An entry for its user and executable decides, if there is one ([`Registry::select`]); only tests have such entries.
//! 1. The nearest ancestor with an entry in the [`Registry`] decides, the process itself first.
//! 2. If no ancestor has an entry, the program decides: `spike` is the superuser Pilot, any other is
//!    `/workload/PROGRAM`. A `spike` that runs under an explicitly registered process is thus not a superuser.
//!
//! A process whose parent has ended gets another parent from the kernel, and loses the registration of its former ancestors.
//! All this only keeps other users out. That is enough for the machine of one developer, where each process of a user can
//! become any other.

use std::io;

use spiffe::SpiffeId;
use tokio::net::UnixStream;
use tonic::Status;

use super::procfs::Process;
use super::registry::{Grant, Registry};

/// The file name of the program that is the Pilot.
const PILOT: &[u8] = b"spike";

/// The path of the superuser's SPIFFE ID.
const SUPERUSER: &str = "/spike/pilot/role/superuser";

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    process: Process,
    uid: u32,
}

impl Caller {
    /// Asks the kernel who has connected.
    ///
    /// # Errors
    /// When the kernel does not say, or the process has ended or is outside of our PID namespace.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
        Ok(Self { process: Process::find(pid)?, uid: credentials.uid() })
    }

    /// Whether this process can see the executable of the caller.
    pub(super) fn shows_executable(&self) -> bool {
        self.process.executable().is_ok()
    }

    /// The SPIFFE ID of the caller as of now.
    ///
    /// # Errors
    /// `PermissionDenied`, with SPIRE's text, for a caller that has none. Only the log has the reason.
    pub(super) fn identity(&self, registry: &Registry) -> Result<SpiffeId, Status> {
        let own_uid = rustix::process::geteuid().as_raw();
        self.decide(own_uid, registry).map_err(|reason| {
            tracing::info!(pid = self.process.pid, uid = self.uid, reason, "no identity issued");
            no_identity()
        })
    }

    fn decide(&self, own_uid: u32, registry: &Registry) -> Result<SpiffeId, &'static str> {
        if let Ok(executable) = self.process.executable()
            && let Some(id) = registry.selected(self.uid, &executable)
        {
            return Ok(id);
        }
        if !serves(self.uid, own_uid) {
            return Err("another user");
        }
        let ancestry =
            self.process.ancestry().map_err(|_gone| "the process or an ancestor has ended")?;
        match registry.grant(&ancestry) {
            Some(Grant::Identity(id)) => Ok(id),
            Some(Grant::Withheld) => Err("withheld"),
            None => {
                let program = self.process.program().map_err(|_gone| "the process has ended")?;
                let id = format!("{}{}", registry.trust_domain().id_string(), path_of(&program));
                SpiffeId::new(id).map_err(|_invalid| "the program has no usable name")
            }
        }
    }
}

/// The answer to a caller without identity.
pub(super) fn no_identity() -> Status {
    Status::permission_denied("no identity issued")
}

/// Whether a caller is the user of this process, or root, who can become that user anyway.
pub(crate) const fn serves(uid: u32, own_uid: u32) -> bool {
    uid == own_uid || uid == 0
}

/// The path of the SPIFFE ID of a program.
fn path_of(program: &[u8]) -> String {
    if program == PILOT {
        return SUPERUSER.to_owned();
    }
    format!("/workload/{}", segment(program))
}

/// The name with every byte outside the SPIFFE path alphabet (SPIFFE-ID 2.2: letters, digits, `.`, `-`, `_`) replaced.
fn segment(name: &[u8]) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    let clean: String =
        name.iter().map(|byte| if keep(byte) { char::from(*byte) } else { '-' }).collect();
    match clean.as_str() {
        // A path may not contain these as a segment.
        "" | "." | ".." => "-".repeat(clean.len().max(1)),
        _ => clean,
    }
}

#[cfg(test)]
mod tests {
    use spiffe::TrustDomain;

    use super::*;

    fn registry() -> Registry {
        Registry::new(TrustDomain::new("spike.ist").unwrap())
    }

    fn id(path: &str) -> SpiffeId {
        SpiffeId::new(format!("spiffe://spike.ist{path}")).unwrap()
    }

    fn ourselves(uid: u32) -> Caller {
        Caller { process: Process::find(std::process::id()).unwrap(), uid }
    }

    #[test]
    fn we_serve_our_own_user_and_root_and_nobody_else() {
        for (uid, own, served) in [
            (1000, 1000, true),
            (0, 1000, true),
            (0, 0, true),
            (1001, 1000, false),
            (1000, 0, false),
            (u32::MAX, 1000, false),
        ] {
            assert_eq!(serves(uid, own), served, "{uid} calls {own}");
        }
    }

    #[test]
    fn another_user_has_no_identity_even_where_the_process_is_registered() {
        let registry = registry();
        let _entry = registry.register(std::process::id(), id("/workload/a")).unwrap();
        assert_eq!(ourselves(1000).decide(1000, &registry), Ok(id("/workload/a")));
        assert_eq!(ourselves(1001).decide(1000, &registry), Err("another user"));
    }

    #[test]
    fn an_entry_for_a_user_and_an_executable_counts_for_that_user_and_that_executable_only() {
        let registry = registry();
        let ours = std::env::current_exe().unwrap();
        registry.select(1001, ours, id("/spike/keeper")).unwrap();
        registry.select(1002, "/usr/local/bin/nexus".into(), id("/spike/nexus")).unwrap();
        assert_eq!(ourselves(1001).decide(1000, &registry), Ok(id("/spike/keeper")));
        assert_eq!(ourselves(1002).decide(1000, &registry), Err("another user"));
        let foreign = SpiffeId::new("spiffe://other.example/spike/keeper").unwrap();
        assert!(registry.select(1003, "/bin/true".into(), foreign).is_err());
    }

    #[test]
    fn the_pilot_is_the_superuser_and_other_programs_are_workloads() {
        for (program, path) in [
            (&b"spike"[..], "/spike/pilot/role/superuser"),
            (b"curl", "/workload/curl"),
            (b"Spike", "/workload/Spike"),
            (b"spike2", "/workload/spike2"),
            (b"spike-agent_1.0", "/workload/spike-agent_1.0"),
            (b"my tool (v2)", "/workload/my-tool--v2-"),
            (b"spike/x", "/workload/spike-x"),
            (b"na\xc3\xafve\xff", "/workload/na--ve-"),
            (b"", "/workload/-"),
            (b".", "/workload/-"),
            (b"..", "/workload/--"),
            (b"...", "/workload/..."),
        ] {
            assert_eq!(path_of(program), path);
            assert_eq!(id(&path_of(program)).path(), path);
        }
    }

    #[test]
    fn the_latest_entry_of_a_process_counts_until_it_is_dropped() {
        let registry = registry();
        let caller = ourselves(7);
        let unregistered = caller.decide(7, &registry).unwrap();
        assert!(unregistered.path().starts_with("/workload/"));

        let first = registry.register(std::process::id(), id("/workload/first")).unwrap();
        let withheld = registry.withhold(std::process::id()).unwrap();
        assert_eq!(caller.decide(7, &registry), Err("withheld"));
        let last = registry.register(std::process::id(), id("/workload/last")).unwrap();
        assert_eq!(caller.decide(7, &registry), Ok(id("/workload/last")));
        drop(last);
        assert_eq!(caller.decide(7, &registry), Err("withheld"));
        drop(withheld);
        assert_eq!(caller.decide(7, &registry), Ok(id("/workload/first")));
        drop(first);
        assert_eq!(caller.decide(7, &registry), Ok(unregistered));
    }

    #[test]
    fn the_entry_of_the_nearest_ancestor_counts() {
        let registry = registry();
        let parent = std::os::unix::process::parent_id();
        let _far = registry.register(parent, id("/workload/parent")).unwrap();
        assert_eq!(ourselves(7).decide(7, &registry), Ok(id("/workload/parent")));
        let _near = registry.register(std::process::id(), id("/workload/us")).unwrap();
        assert_eq!(ourselves(7).decide(7, &registry), Ok(id("/workload/us")));
    }

    #[test]
    fn an_entry_does_not_pass_to_a_later_process_with_the_same_number() {
        let registry = registry();
        let _entry = registry.register(std::process::id(), id("/workload/a")).unwrap();
        let now = Process::find(std::process::id()).unwrap();
        let later = Process { started: now.started + 1, ..now };
        assert_eq!(registry.grant(&[now]), Some(Grant::Identity(id("/workload/a"))));
        assert_eq!(registry.grant(&[later]), None);
    }

    #[test]
    fn a_foreign_id_or_a_missing_process_cannot_be_registered() {
        let registry = registry();
        for foreign in ["spiffe://other.example/workload/a", "spiffe://spike.ist"] {
            let foreign = SpiffeId::new(foreign).unwrap();
            let refused = registry.register(std::process::id(), foreign);
            assert!(matches!(refused, Err(super::super::RegisterError::ForeignId { .. })));
        }
        // Above the kernel's limit for process numbers.
        let refused = registry.register(u32::MAX, id("/workload/a"));
        assert!(matches!(
            refused,
            Err(super::super::RegisterError::NoProcess { pid: u32::MAX, .. })
        ));
    }
}
