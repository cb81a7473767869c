//! The protocol between `spike-dev as` or `spike-dev svid` and the running `spike-dev`: one JSON line each way over a Unix
//! socket.
//!
//! Only the user of the cluster and root are served. Both could become any of its processes anyway.

use std::{
    fs::{File, Permissions},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, net::UnixStream as BlockingStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use spiffe::SpiffeId;
use spike_mtls::clock;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::Mutex,
    task::AbortHandle,
};

use crate::{
    ca::{Ca, CaError},
    private,
    workload_api::{RegisterError, Registration, Registry, serves},
};

/// The longest request.
const REQUEST_MAX: u64 = 4096;
/// How long to wait for a request or an answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

const SOCKET: &str = "control.sock";

/// The socket in a state directory, by a short path. The path of a Unix socket may have 107 bytes at most, and that of a state
/// directory may be longer, so the path goes through the open directory. It is valid while the file is open.
fn socket(dir: &Path) -> io::Result<(File, PathBuf)> {
    let open = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()));
    Ok((open, path))
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// Give the calling process this SPIFFE ID.
    BecomeWorkload(String),
    /// Make an X.509-SVID for this SPIFFE ID.
    Svid(String),
}

/// The answer to a request.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// The calling process has the SPIFFE ID.
    Registered,
    /// An X.509-SVID as PEM.
    Svid {
        /// The certificate.
        certificate: String,
        /// Its private key, PKCS#8.
        key: String,
        /// The root certificate for verification.
        bundle: String,
    },
    /// The request cannot be carried out, and why.
    Refused(String),
}

/// The listening socket. Dropping it stops the service.
#[derive(Debug)]
pub(crate) struct Control(AbortHandle);

impl Drop for Control {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    ca: Arc<Ca>,
    svid_ttl: Duration,
    /// Each is valid until its process ends; the registry removes ended processes by itself.
    registrations: Mutex<Vec<Registration>>,
}

/// Listens in the state directory `dir`.
///
/// # Errors
/// The operating system's.
pub(crate) fn listen(
    dir: &Path,
    registry: Registry,
    ca: Arc<Ca>,
    svid_ttl: Duration,
) -> io::Result<Control> {
    let (_open, socket) = socket(dir)?;
    private::remove(&socket)?;
    let listener = UnixListener::bind(&socket)?;
    // Until this line the socket has the mode of the umask. Another user who connects is not served.
    std::fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    let shared = Arc::new(Shared { registry, ca, svid_ttl, registrations: Mutex::default() });
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                if let Err(error) = serve(stream, &shared).await {
                    tracing::debug!(reason = %error, "a control connection broke");
                }
            });
        }
    });
    Ok(Control(task.abort_handle()))
}

async fn serve(mut stream: UnixStream, shared: &Shared) -> io::Result<()> {
    let asking = stream.peer_cred()?;
    let pid = asking.pid().and_then(|pid| u32::try_from(pid).ok());
    let ours = serves(asking.uid(), rustix::process::geteuid().as_raw());
    let mut line = String::new();
    let (read, mut write) = stream.split();
    let mut read = tokio::io::BufReader::new(read.take(REQUEST_MAX));
    tokio::time::timeout(TIME_LIMIT, read.read_line(&mut line)).await??;
    let answer = match (serde_json::from_str(&line), pid) {
        _ if !ours => Answer::Refused("the cluster belongs to another user".to_owned()),
        (Ok(request), Some(pid)) => shared.answer(request, pid).await,
        (Ok(_), None) => Answer::Refused("the kernel does not say who is asking".to_owned()),
        (Err(error), _) => Answer::Refused(format!("not a request: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

impl Shared {
    async fn answer(&self, request: Request, pid: u32) -> Answer {
        let done = match request {
            Request::BecomeWorkload(path) => self.register(&path, pid).await,
            Request::Svid(path) => self.svid(&path),
        };
        done.unwrap_or_else(|error| Answer::Refused(spike_daemon::process::chain(&error)))
    }

    async fn register(&self, path: &str, pid: u32) -> Result<Answer, ControlError> {
        let registration = self.registry.register(pid, self.id(path)?)?;
        self.registrations.lock().await.push(registration);
        Ok(Answer::Registered)
    }

    fn svid(&self, path: &str) -> Result<Answer, ControlError> {
        let svid = self.ca.issue(&self.id(path)?, self.svid_ttl, clock::now())?;
        Ok(Answer::Svid {
            certificate: svid.certificate_pem(),
            key: svid.expose_key_pem().to_string(),
            bundle: self.ca.root_pem().to_owned(),
        })
    }

    /// The SPIFFE ID for a path of our trust domain, with or without its first slash, or for a whole ID.
    fn id(&self, path: &str) -> Result<SpiffeId, ControlError> {
        let text = if path.starts_with("spiffe://") {
            path.to_owned()
        } else {
            let path = path.strip_prefix('/').unwrap_or(path);
            format!("{}/{path}", self.ca.trust_domain().id_string())
        };
        SpiffeId::new(text).map_err(|source| ControlError::Id { path: path.to_owned(), source })
    }
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum ControlError {
    #[error("{path:?} is not the path of a SPIFFE ID, such as /workload/app1")]
    Id { path: String, source: spiffe::SpiffeIdError },
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Ca(#[from] CaError),
}

/// Sends a request to the cluster whose state directory is `dir`.
///
/// # Errors
/// The operating system's. Without a cluster that is a missing file or a refused connection.
pub(crate) fn ask(dir: &Path, request: &Request) -> io::Result<Answer> {
    let (_open, socket) = socket(dir)?;
    let mut stream = BlockingStream::connect(socket)?;
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
