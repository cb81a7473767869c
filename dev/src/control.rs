//! The protocol between commands such as `spike-dev as` and the running `spike-dev`: one JSON line each way over a Unix socket.
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
use spiffe::{SpiffeId, TrustDomain};
use spike_mtls::clock;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::Mutex,
    task::AbortHandle,
};

use crate::{
    ca::{Ca, CaError},
    cluster::{Api, FederationError, TrustDomains},
    private,
    workload_api::{RegisterError, Registration, serves},
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
    /// Federate this trust domain with that of the cluster.
    Federate(String),
    /// End the federation with this trust domain.
    EndFederation(String),
}

/// The answer to a request.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// The calling process has the SPIFFE ID.
    Registered {
        /// The address of the Workload API that gives it.
        endpoint: String,
    },
    /// An X.509-SVID as PEM.
    Svid {
        /// The certificate.
        certificate: String,
        /// Its private key, PKCS#8.
        key: String,
        /// The root certificate for verification.
        bundle: String,
    },
    /// The two trust domains are federated.
    Federated {
        /// The trust domain of the cluster.
        own: String,
        /// The address of the Workload API of the foreign one.
        endpoint: String,
    },
    /// The two trust domains are not federated any more.
    FederationEnded {
        /// The trust domain of the cluster.
        own: String,
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
    domains: Arc<TrustDomains>,
    /// Each is valid until its process ends; the registry removes ended processes by itself.
    registrations: Mutex<Vec<Registration>>,
}

/// Listens in the state directory `dir`.
///
/// # Errors
/// The operating system's.
pub(crate) fn listen(dir: &Path, domains: Arc<TrustDomains>) -> io::Result<Control> {
    let (_open, socket) = socket(dir)?;
    private::remove(&socket)?;
    let listener = UnixListener::bind(&socket)?;
    // Until this line the socket has the mode of the umask. Another user who connects is not served.
    std::fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    let shared = Arc::new(Shared { domains, registrations: Mutex::default() });
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
            Request::Svid(path) => self.svid(&path).await,
            Request::Federate(domain) => self.federate(&domain).await,
            Request::EndFederation(domain) => self.end_federation(&domain).await,
        };
        done.unwrap_or_else(|error| Answer::Refused(spike_daemon::process::chain(&error)))
    }

    async fn register(&self, path: &str, pid: u32) -> Result<Answer, ControlError> {
        let id = self.id(path)?;
        let api = self.api_of(&id).await?;
        let registration = api.registry().register(pid, id)?;
        self.registrations.lock().await.push(registration);
        Ok(Answer::Registered { endpoint: api.endpoint() })
    }

    async fn svid(&self, path: &str) -> Result<Answer, ControlError> {
        let id = self.id(path)?;
        let api = self.api_of(&id).await?;
        let svid = api.ca().issue(&id, self.domains.svid_ttl(), clock::now())?;
        Ok(Answer::Svid {
            certificate: svid.certificate_pem(),
            key: svid.expose_key_pem().to_string(),
            // The bundle is for the verification of Nexus.
            bundle: self.own().root_pem().to_owned(),
        })
    }

    async fn federate(&self, domain: &str) -> Result<Answer, ControlError> {
        let api = self.domains.federate(&trust_domain(domain)?).await?;
        Ok(Answer::Federated {
            own: self.own().trust_domain().to_string(),
            endpoint: api.endpoint(),
        })
    }

    async fn end_federation(&self, domain: &str) -> Result<Answer, ControlError> {
        self.domains.end_federation(&trust_domain(domain)?).await?;
        Ok(Answer::FederationEnded { own: self.own().trust_domain().to_string() })
    }

    /// The authority of the cluster.
    fn own(&self) -> &Ca {
        self.domains.own().ca()
    }

    async fn api_of(&self, id: &SpiffeId) -> Result<Api<'_>, ControlError> {
        let domain = id.trust_domain();
        self.domains.of(domain).await.ok_or_else(|| ControlError::NoTrustDomain(domain.clone()))
    }

    /// The SPIFFE ID for a path of our trust domain, with or without its first slash, or for a whole ID.
    fn id(&self, path: &str) -> Result<SpiffeId, ControlError> {
        let text = if path.starts_with("spiffe://") {
            path.to_owned()
        } else {
            let path = path.strip_prefix('/').unwrap_or(path);
            format!("{}/{path}", self.own().trust_domain().id_string())
        };
        SpiffeId::new(text).map_err(|source| ControlError::Id { path: path.to_owned(), source })
    }
}

fn trust_domain(name: &str) -> Result<TrustDomain, ControlError> {
    TrustDomain::new(name)
        .map_err(|source| ControlError::TrustDomain { name: name.to_owned(), source })
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum ControlError {
    #[error("{path:?} is not the path of a SPIFFE ID, such as /workload/app1")]
    Id { path: String, source: spiffe::SpiffeIdError },
    #[error("{name:?} is not a trust domain, such as partner.org")]
    TrustDomain { name: String, source: spiffe::SpiffeIdError },
    #[error("this cluster has no trust domain {0}; `spike-dev federate {0}` makes it")]
    NoTrustDomain(TrustDomain),
    #[error(transparent)]
    Federation(#[from] FederationError),
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
