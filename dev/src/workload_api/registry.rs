//! The processes that have a SPIFFE ID explicitly, or from which it is withheld.
//!
//! Owns the table of processes and the change counters that the streams of the API follow. [`super::attest`] decides what a
//! process without an entry gets.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spiffe::{SpiffeId, TrustDomain};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::procfs::Process;
use crate::ca::is_workload;

/// Why a process cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// There is no process with this number.
    #[error("process {pid}: cannot be registered")]
    NoProcess {
        /// The number.
        pid: u32,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The ID belongs to another trust domain, or has no path.
    #[error("{id}: not a workload of trust domain {trust_domain}")]
    ForeignId {
        /// The refused ID.
        id: SpiffeId,
        /// The trust domain of this Workload API.
        trust_domain: TrustDomain,
    },
    /// The program could not be started.
    #[error("cannot start the program")]
    Spawn(#[source] io::Error),
}

/// What an entry says about a process and its descendants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// They have this ID.
    Identity(SpiffeId),
    /// They have no ID.
    Withheld,
}

/// The table of registered processes. Clones share it.
#[derive(Clone, Debug)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    trust_domain: TrustDomain,
    table: Mutex<Table>,
    /// Counts changes of the table.
    changes: watch::Sender<u64>,
}

/// A later entry for a process has priority over an earlier one.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: Vec<Entry>,
    selected: Vec<Selector>,
}

/// An entry for every process of one user and executable, like selectors of a SPIRE agent (`unix:uid`, `unix:path`).
#[derive(Debug)]
struct Selector {
    uid: u32,
    executable: PathBuf,
    id: SpiffeId,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    process: Process,
    grant: Grant,
}

/// Keeps an entry in the table. Dropping it removes the entry.
#[derive(Debug)]
#[must_use = "dropping it ends the registration"]
pub struct Registration {
    shared: Arc<Shared>,
    number: u64,
}

impl Registry {
    pub(super) fn new(trust_domain: TrustDomain) -> Self {
        let (changes, _) = watch::channel(0);
        Self { shared: Arc::new(Shared { trust_domain, table: Mutex::default(), changes }) }
    }

    /// Gives this SPIFFE ID to the process, and to its descendants without a nearer entry.
    ///
    /// The entry lasts until the registration is dropped or the process ends. A later process with the same number does not get
    /// it. `exec` does not change it. Of two entries for one process the later counts.
    ///
    /// # Errors
    /// [`RegisterError::NoProcess`] and [`RegisterError::ForeignId`].
    pub fn register(&self, pid: u32, id: SpiffeId) -> Result<Registration, RegisterError> {
        self.check_member(&id)?;
        self.add(&mut self.shared.lock(), pid, Grant::Identity(id))
    }

    /// Starts a program that has this SPIFFE ID from its first moment: no request is answered between its start and its
    /// registration.
    ///
    /// # Errors
    /// As [`Registry::register`]; [`RegisterError::Spawn`] when the program does not start.
    pub fn spawn(
        &self,
        command: &mut Command,
        id: SpiffeId,
    ) -> Result<(Child, Registration), RegisterError> {
        self.check_member(&id)?;
        let mut table = self.shared.lock();
        let child = command.spawn().map_err(RegisterError::Spawn)?;
        let pid = child.id().unwrap_or_default();
        let registration = self.add(&mut table, pid, Grant::Identity(id))?;
        Ok((child, registration))
    }

    /// Takes the SPIFFE ID from the process and its descendants without a nearer entry, until the result is dropped. Open
    /// streams end with `PermissionDenied`.
    ///
    /// # Errors
    /// [`RegisterError::NoProcess`].
    pub fn withhold(&self, pid: u32) -> Result<Registration, RegisterError> {
        self.add(&mut self.shared.lock(), pid, Grant::Withheld)
    }

    /// Gives this SPIFFE ID to every process of the user `uid` that runs `executable`. This process must be able to see the
    /// executable. Of two entries with the same user and executable the later counts.
    ///
    /// # Errors
    /// [`RegisterError::ForeignId`].
    pub fn select(&self, uid: u32, executable: PathBuf, id: SpiffeId) -> Result<(), RegisterError> {
        self.check_member(&id)?;
        self.shared.lock().selected.push(Selector { uid, executable, id });
        self.shared.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The ID of the processes of a user that run an executable, if [`Self::select`] gave them one.
    pub(super) fn selected(&self, uid: u32, executable: &Path) -> Option<SpiffeId> {
        let table = self.shared.lock();
        let fits = |entry: &&Selector| entry.uid == uid && entry.executable == executable;
        table.selected.iter().rfind(fits).map(|entry| entry.id.clone())
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        &self.shared.trust_domain
    }

    /// The entry that counts for a process with this ancestry: that of its nearest registered ancestor.
    pub(super) fn grant(&self, ancestry: &[Process]) -> Option<Grant> {
        let table = self.shared.lock();
        ancestry.iter().find_map(|process| {
            let entry = table.entries.iter().rfind(|entry| entry.process == *process)?;
            Some(entry.grant.clone())
        })
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn add(
        &self,
        table: &mut Table,
        pid: u32,
        grant: Grant,
    ) -> Result<Registration, RegisterError> {
        let process =
            Process::find(pid).map_err(|source| RegisterError::NoProcess { pid, source })?;
        table.entries.retain(|entry| entry.process.is_alive());
        let number = table.next;
        table.next += 1;
        table.entries.push(Entry { number, process, grant });
        self.shared.changes.send_modify(|count| *count += 1);
        Ok(Registration { shared: Arc::clone(&self.shared), number })
    }

    fn check_member(&self, id: &SpiffeId) -> Result<(), RegisterError> {
        let trust_domain = &self.shared.trust_domain;
        if is_workload(id, trust_domain) {
            return Ok(());
        }
        Err(RegisterError::ForeignId { id: id.clone(), trust_domain: trust_domain.clone() })
    }
}

impl Shared {
    /// No code panics while it holds the lock, and the table would still be valid.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.lock().entries.retain(|entry| entry.number != self.number);
        self.shared.changes.send_modify(|count| *count += 1);
    }
}
