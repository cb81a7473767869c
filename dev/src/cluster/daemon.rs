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
    end_reason::{LogLengths, end_reason},
    plan::Plan,
};
use crate::{
    links::CHILD,
    private,
    workload_api::{RegisterError, Registration, Registry},
};

/// How often a daemon is asked whether it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a daemon may take to end after SIGTERM, before it is killed.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A daemon, running or not.
#[derive(Debug)]
pub struct Daemon {
    plan: Plan,
    child: Child,
    /// The lengths of its logs at the start: what comes after is its own.
    lengths: LogLengths,
    /// Keeps the SPIFFE ID of the process.
    registration: Registration,
}

/// Why a daemon failed.
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
        /// Its own messages about the end.
        told: String,
        /// Its log.
        log: PathBuf,
    },
    /// It runs and is not ready.
    #[error("{name} is not ready after {waited:?}: {reason}; see {}", log.display())]
    NotReady {
        /// The daemon.
        name: String,
        /// How long this waited.
        waited: Duration,
        /// Its own reason.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// The operating system refuses to wait for it or to signal it.
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
        let lengths = plan.lengths();
        let (child, registration) = plan.spawn(registry)?;
        Ok(Self { plan, child, lengths, registration })
    }

    pub(super) fn restart(&mut self, registry: &Registry) -> Result<(), DaemonError> {
        self.lengths = self.plan.lengths();
        let (child, registration) = self.plan.spawn(registry)?;
        self.child = child;
        self.registration = registration;
        Ok(())
    }

    /// Sets or replaces a setting for the next start.
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

    /// The address of its mTLS port.
    pub const fn tls(&self) -> SocketAddr {
        self.plan.tls
    }

    /// The address of health and metrics.
    pub const fn telemetry(&self) -> SocketAddr {
        self.plan.telemetry
    }

    /// The file of its standard output, which is its log.
    pub fn log(&self) -> &Path {
        &self.plan.log
    }

    /// The file of its standard error, which is the audit log.
    pub fn audit(&self) -> &Path {
        &self.plan.audit
    }

    /// Its own messages about its end with `status`; empty if it wrote none.
    pub fn end_reason(&self, status: ExitStatus) -> String {
        end_reason(&self.plan.log, &self.plan.audit, self.lengths, status)
    }

    /// Waits until the daemon says that it is ready.
    ///
    /// # Errors
    /// [`DaemonError::Ended`] as soon as the process ends, [`DaemonError::NotReady`] after `limit`.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), DaemonError> {
        self.until(limit, async |daemon| match daemon.get("/readyz").await {
            Ok((200, _)) => Ok(()),
            Ok((_, body)) => Err(body.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Asks repeatedly until the answer is yes.
    async fn until(
        &mut self,
        limit: Duration,
        ask: impl AsyncFn(&Self) -> Result<(), String>,
    ) -> Result<(), DaemonError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                let words = self.end_reason(status);
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
    /// The operating system's, if nobody answers.
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

    /// Sends SIGTERM and waits for the end. A process that takes too long is killed.
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

    /// Ends the process with SIGKILL.
    ///
    /// # Errors
    /// [`DaemonError::Control`].
    pub async fn kill(&mut self) -> Result<ExitStatus, DaemonError> {
        self.child.start_kill().map_err(|source| self.plan.uncontrolled(source))?;
        self.wait().await
    }
}

impl Plan {
    fn lengths(&self) -> LogLengths {
        LogLengths::now(&self.log, &self.audit)
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
            // Ctrl-C in the terminal reaches only spike-dev, which then ends the daemons in order.
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
