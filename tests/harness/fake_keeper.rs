//! A fake Keeper. It behaves like upstream's (crypto-and-storage 4), or wrongly as a test demands, and records what it got.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use spike_crypto::ShareValue;
use spike_daemon::serve::{App, ConnectionMetrics, Limits, Listener, Serving};
use spike_mtls::{Peer, PeerRule};
use spike_wire::ContributeRequest;

use crate::{PATIENCE, crew::Crew, eventually, text};

const LIMITS: Limits = Limits {
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(90),
    stall_timeout: Duration::from_mins(1),
    connections: 64,
    handshakes: 16,
    connections_per_id: 64,
};

/// A bound address for a fake Keeper. The cluster must know the address before its authority can make the SVID of the Keeper.
#[derive(Debug)]
pub struct ReservedAddress(Listener);

impl ReservedAddress {
    /// A free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn new() -> Result<Self> {
        Ok(Self(Listener::bind(&["127.0.0.1:0".parse()?]).await?))
    }

    /// As many as asked for.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn several(count: usize) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(Self::new().await?);
        }
        Ok(all)
    }

    /// Its address, as `SPIKE_NEXUS_KEEPER_PEERS` has it.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.0.address().port())
    }

    /// Serves as a Keeper of `crew` without a share.
    ///
    /// # Errors
    /// If there is no identity for it.
    pub fn serve(self, crew: &Crew) -> Result<FakeKeeper> {
        let state = Arc::new(Mutex::new(Behaviour::default()));
        let shared = Arc::clone(&state);
        let app = App::new(move |peer| {
            let shared = Arc::clone(&shared);
            move |request| handle(Arc::clone(&shared), peer.clone(), request)
        });
        let source = crew.credential("/spike/keeper")?.source()?;
        let metrics = ConnectionMetrics::default();
        let serving = self.0.serve(&source, PeerRule::AnySvid, LIMITS, metrics, app)?;
        Ok(FakeKeeper { state, serving })
    }
}

/// A fake Keeper.
#[derive(Debug)]
pub struct FakeKeeper {
    state: Arc<Mutex<Behaviour>>,
    serving: Serving,
}

#[derive(Debug, Default)]
struct Behaviour {
    /// The last share that it got, unchecked, as in upstream.
    held: Option<Vec<u8>>,
    /// The answer to a request for the share (K2), if it is not the share that is held.
    says: Option<(StatusCode, String)>,
    /// The status with which it refuses a contribution (K1), if it does.
    refuses: Option<StatusCode>,
    /// Whether it confirms each contribution and keeps nothing.
    forgets: bool,
    /// Whether it takes no contribution before this is over.
    hangs: bool,
    /// The `Date` of its answers, if it is not that of this machine.
    date: Option<String>,
    asked: u64,
    given: Vec<Contribution>,
}

/// A contribution to the Keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The SPIFFE ID of the sender.
    pub from: String,
    /// The body, unchanged.
    pub body: String,
}

impl FakeKeeper {
    /// Answers with this `Date`, as of another clock; `None`: with that of this machine.
    pub fn set_date(&self, date: Option<String>) {
        self.state().date = date;
    }

    /// Holds this share, as if it had been contributed.
    pub fn hold(&self, share: &ShareValue) {
        self.state().held = Some(share.expose_bytes().to_vec());
    }

    /// Answers requests for the share (K2) with this from now on.
    pub fn say(&self, status: u16, body: impl Into<String>) {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        self.state().says = Some((status, body.into()));
    }

    /// Answers requests for the share (K2) with the held share again.
    pub fn be_honest(&self) {
        self.state().says = None;
    }

    /// Refuses every contribution with this status, or takes them again.
    pub fn refuse(&self, status: Option<StatusCode>) {
        self.state().refuses = status;
    }

    /// Lets contributions wait, or no longer.
    pub fn hang(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    /// Holds nothing, as after a restart.
    pub fn lose(&self) {
        self.state().held = None;
    }

    /// Loses its share. If `forgets`, it confirms contributions and keeps nothing.
    pub fn forget(&self, forgets: bool) {
        self.state().forgets = forgets;
        if forgets {
            self.lose();
        }
    }

    /// The number of requests for its share.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }

    /// All contributions in order, refused or not.
    pub fn given(&self) -> Vec<Contribution> {
        self.state().given.clone()
    }

    /// Whether it holds exactly this share.
    pub fn holds(&self, share: &ShareValue) -> bool {
        self.state().held.as_deref() == Some(share.expose_bytes().as_slice())
    }

    /// Waits until it has been asked for its share `times` more times.
    ///
    /// # Errors
    /// If nobody asks.
    pub async fn asked_again(&self, times: u64) -> Result<()> {
        let before = self.state().asked;
        eventually("questions", PATIENCE, async || {
            Ok((self.state().asked >= before + times).then_some(()))
        })
        .await
    }

    /// Stops serving.
    ///
    /// # Errors
    /// If a request is still under way.
    pub async fn leave(self) -> Result<()> {
        if self.serving.drain(PATIENCE).await { Ok(()) } else { bail!("a request does not end") }
    }

    fn state(&self) -> MutexGuard<'_, Behaviour> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<Behaviour>) -> MutexGuard<'_, Behaviour> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(state: Arc<Mutex<Behaviour>>, peer: Peer, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let shared = state;
    if parts.uri.path() == "/v1/store/contribute" {
        note(&mut lock(&shared), &peer, &body);
        while lock(&shared).hangs {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let mut state = lock(&shared);
    let mut answer = match parts.uri.path() {
        "/v1/store/contribute" => contribute(&mut state, &body).into_response(),
        "/v1/store/shard" => shard(&mut state).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    };
    if let Some(date) = state.date.as_ref().and_then(|date| date.parse().ok()) {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

fn note(state: &mut Behaviour, peer: &Peer, body: &[u8]) {
    let text = String::from_utf8_lossy(body).into_owned();
    state.given.push(Contribution { from: peer.id().to_owned(), body: text });
}

fn contribute(state: &mut Behaviour, body: &[u8]) -> (StatusCode, &'static str) {
    if let Some(status) = state.refuses {
        return (status, r#"{"err":"api_internal_error"}"#);
    }
    match ContributeRequest::decode(body) {
        Ok(request) if !request.shard.is_zero() => {
            state.held = Some(request.shard.expose_secret().to_vec()).filter(|_| !state.forgets);
            (StatusCode::OK, "{}")
        }
        Ok(_) | Err(_) => (StatusCode::BAD_REQUEST, r#"{"err":"api_bad_request"}"#),
    }
}

fn shard(state: &mut Behaviour) -> (StatusCode, String) {
    state.asked += 1;
    match (&state.says, &state.held) {
        (Some((status, body)), _) => (*status, body.clone()),
        (None, None) => {
            (StatusCode::BAD_REQUEST, r#"{"shard":null,"Err":"api_bad_request"}"#.to_owned())
        }
        (None, Some(held)) => (StatusCode::OK, answer(held)),
    }
}

/// The answer with a held share (K2), as upstream writes it.
pub fn answer(held: &[u8]) -> String {
    format!(r#"{{"shard":[{}],"Err":""}}"#, text::list(held, ","))
}
