//! One daemon: a process with a SPIFFE ID, an address, a telemetry address and two logs.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::Instant,
};

use super::{
    last_words::{Marks, last_words},
    plan::Plan,
};
use crate::{
    links::CHILD,
    private,
    workload_api::{RegisterError, Registration, Registry},
};

/// How often a daemon is asked whether it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a daemon may take to end after it was told to, before it is killed.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A daemon, running or not.
#[derive(Debug)]
pub struct Daemon {
    plan: Plan,
    child: Child,
    /// Where its own part of the logs begins.
    marks: Marks,
    /// Holds the SPIFFE ID for as long as the process is ours.
    registration: Registration,
}

/// What can go wrong with a daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Its log cannot be written.
    #[error("{}: cannot be written", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process does not start.
    #[error("{name} does not start")]
    Start {
        /// The daemon.
        name: String,
        /// Why.
        source: RegisterError,
    },
    /// It ended by itself.
    #[error("{name} ended with {status}:\n{told}\nmore is in {}", log.display())]
    Ended {
        /// The daemon.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said about it itself.
        told: String,
        /// Its log.
        log: PathBuf,
    },
    /// It runs and is not ready.
    #[error("{name} is not ready after {waited:?}: {reason}; see {}", log.display())]
    NotReady {
        /// The daemon.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// What it says itself.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// The system does not let us wait for it or signal it.
    #[error("{name} cannot be controlled")]
    Control {
        /// The daemon.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl Daemon {
    pub(super) fn start(plan: Plan, registry: &Registry) -> Result<Self, DaemonError> {
        let marks = plan.marks();
        let (child, registration) = plan.spawn(registry)?;
        Ok(Self { plan, child, marks, registration })
    }

    pub(super) fn restart(&mut self, registry: &Registry) -> Result<(), DaemonError> {
        self.marks = self.plan.marks();
        let (child, registration) = self.plan.spawn(registry)?;
        self.child = child;
        self.registration = registration;
        Ok(())
    }

    /// A setting for the next start, in place of the one it had.
    pub fn set(&mut self, name: &str, value: &str) {
        self.plan.settings.retain(|(known, _)| known != name);
        self.plan.settings.push((name.to_owned(), value.to_string()));
    }

    /// The name: `nexus`, `keeper-1` and so on.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// The process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where it serves mTLS.
    pub const fn tls(&self) -> SocketAddr {
        self.plan.tls
    }

    /// Where it serves health and metrics.
    pub const fn telemetry(&self) -> SocketAddr {
        self.plan.telemetry
    }

    /// What it writes to standard output: its log.
    pub fn log(&self) -> &Path {
        &self.plan.log
    }

    /// What it writes to standard error: the audit log.
    pub fn audit(&self) -> &Path {
        &self.plan.audit
    }

    /// What it said about its end, which was with `status`; empty if it said nothing.
    pub fn last_words(&self, status: ExitStatus) -> String {
        last_words(&self.plan.log, &self.plan.audit, self.marks, status)
    }

    /// Waits until the daemon says that it is ready.
    ///
    /// # Errors
    /// [`DaemonError::Ended`] at once when the process ends, [`DaemonError::NotReady`] at the end of `limit`.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), DaemonError> {
        self.until(limit, async |daemon| match daemon.get("/readyz").await {
            Ok((200, _)) => Ok(()),
            Ok((_, body)) => Err(body.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Asks again and again until the answer is yes.
    async fn until(
        &mut self,
        limit: Duration,
        ask: impl AsyncFn(&Self) -> Result<(), String>,
    ) -> Result<(), DaemonError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                let words = self.last_words(status);
                return Err(DaemonError::Ended {
                    name: self.plan.name.clone(),
                    status,
                    told: if words.is_empty() { "it gave no reason".to_owned() } else { words },
                    log: self.plan.log.clone(),
                });
            }
            let Err(reason) = ask(self).await else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(DaemonError::NotReady {
                    name: self.plan.name.clone(),
                    waited: limit,
                    reason,
                    log: self.plan.log.clone(),
                });
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    /// Waits until the daemon accepts connections on its mTLS port, ready or not.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub async fn serving(&mut self, limit: Duration) -> Result<(), DaemonError> {
        let at = self.plan.tls;
        self.until(limit, async |_| match TcpStream::connect(at).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// One GET of the telemetry listener: status and body.
    ///
    /// # Errors
    /// The system's, where nobody answers.
    pub async fn get(&self, path: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.plan.telemetry).await?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status
            .map(|status| (status, body.to_owned()))
            .ok_or_else(|| io::Error::other("not an HTTP answer"))
    }

    /// How the process ended, if it has.
    ///
    /// # Errors
    /// [`DaemonError::Control`].
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, DaemonError> {
        self.child.try_wait().map_err(|source| self.plan.uncontrolled(source))
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    /// [`DaemonError::Control`].
    pub async fn wait(&mut self) -> Result<ExitStatus, DaemonError> {
        self.child.wait().await.map_err(|source| self.plan.uncontrolled(source))
    }

    /// Sends SIGTERM and returns at once.
    ///
    /// # Errors
    /// [`DaemonError::Control`].
    pub fn signal_term(&self) -> Result<(), DaemonError> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ok(()) };
        kill_process(pid, Signal::TERM).map_err(|error| self.plan.uncontrolled(error.into()))
    }

    /// Asks the process to end, as a service manager does, and waits for it. One that takes too long is killed.
    ///
    /// # Errors
    /// [`DaemonError::Control`].
    pub async fn terminate(&mut self) -> Result<ExitStatus, DaemonError> {
        self.signal_term()?;
        match tokio::time::timeout(END_LIMIT, self.child.wait()).await {
            Ok(ended) => ended.map_err(|source| self.plan.uncontrolled(source)),
            Err(_) => self.kill().await,
        }
    }

    /// Ends the process without asking: SIGKILL.
    ///
    /// # Errors
    /// [`DaemonError::Control`].
    pub async fn kill(&mut self) -> Result<ExitStatus, DaemonError> {
        self.child.start_kill().map_err(|source| self.plan.uncontrolled(source))?;
        self.wait().await
    }
}

impl Plan {
    fn marks(&self) -> Marks {
        Marks::now(&self.log, &self.audit)
    }

    fn spawn(&self, registry: &Registry) -> Result<(Child, Registration), DaemonError> {
        let log = |path: &Path| {
            private::open_log(path)
                .map_err(|source| DaemonError::Log { path: path.to_owned(), source })
        };
        let mut command = Command::new(&self.program);
        command
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env(CHILD, "true")
            .stdin(Stdio::null())
            .stdout(log(&self.log)?)
            .stderr(log(&self.audit)?)
            // A Ctrl-C in the terminal is for spike-dev, which then ends the daemons in good order.
            .process_group(0)
            .kill_on_drop(true);
        registry
            .spawn(&mut command, self.id.clone())
            .map_err(|source| DaemonError::Start { name: self.name.clone(), source })
    }

    fn uncontrolled(&self, source: io::Error) -> DaemonError {
        DaemonError::Control { name: self.name.clone(), source }
    }
}
