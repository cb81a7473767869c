//! One look at a SPIKE: what Nexus answers, and the certificates that its parts show in a handshake.

use std::sync::Arc;
use std::time::Duration;

use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{
    ClientTimeouts, PeerCertificate, PeerError, TransportError,
    client::{KeeperClient, NexusClient},
    clock::{self, second},
    svid::SvidSource,
};
use spike_wire::{EmptyRequest, StatusResponse, call};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::command::doctor::KnownKeepers;
use crate::context::{Context, Session};
use crate::error::Error;

/// The roles that may ask: those of `spike operator status`.
const ROLES: &[Role] = &Role::OPERATORS;

/// How long a handshake may take.
const STEP: Duration = Duration::from_secs(3);

/// How long a certificate that was seen is shown. Each handshake that a Keeper refuses is a line in its audit log.
const SEEN_FOR: Duration = Duration::from_secs(30);

/// What was seen at one moment.
#[derive(Debug)]
pub(super) struct Look {
    /// When.
    pub(super) at: OffsetDateTime,
    /// The address of Nexus.
    pub(super) api: String,
    /// What Nexus answers, or why it does not.
    pub(super) answer: Result<StatusResponse, Error>,
    /// The SVID of this process, if there is one.
    pub(super) own: Option<PeerCertificate>,
    /// The certificates of others.
    pub(super) seen: Certificates,
}

/// A certificate, or why it is not known.
pub(super) type Shown = Result<PeerCertificate, String>;

/// The certificates that Nexus and the Keepers showed.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    /// That of Nexus.
    pub(super) nexus: Shown,
    /// Those of the Keepers in the settings of this process, in the order of the shares; `None` if the settings name none.
    pub(super) keepers: Option<Vec<KeeperSeen>>,
}

/// What one Keeper showed.
#[derive(Clone, Debug)]
pub(super) struct KeeperSeen {
    /// The index of its share.
    pub(super) index: u16,
    /// Its address.
    pub(super) url: String,
    /// Its certificate.
    pub(super) shown: Shown,
}

impl Look {
    /// Why Nexus did not answer, if it did not.
    pub(super) fn into_error(self) -> Option<Error> {
        self.answer.err()
    }
}

/// What is kept from one look to the next.
pub(super) struct Viewer {
    source: SvidSource,
    roots: Arc<TrustRootsByRole>,
    api: HttpsUrl,
    keepers: Option<KnownKeepers>,
    session: Option<Session>,
    seen: Option<(Instant, Certificates)>,
}

impl Viewer {
    pub(super) fn new(context: &mut Context<'_>) -> Result<Self, Error> {
        let settings = context.settings()?;
        Ok(Self {
            source: context.source(&settings),
            roots: Arc::clone(&settings.identity.trust_roots),
            api: settings.api_url,
            keepers: KnownKeepers::of(context.environment()),
            session: None,
            seen: None,
        })
    }

    pub(super) async fn look(&mut self, context: &mut Context<'_>) -> Look {
        let opened = match self.session.take() {
            Some(session) => Ok(session),
            None => context.nexus_by(&self.source, ROLES).await,
        };
        let (answer, seen) = match opened {
            Ok(session) => {
                let asked = session.call::<call::OperatorStatus>(&EmptyRequest, "");
                let (answer, seen) = tokio::join!(asked, self.certificates());
                self.session = Some(session);
                (answer, seen)
            }
            Err(error) => (Err(error), self.certificates().await),
        };
        self.seen = Some(seen.clone());
        let own = self.source.current().map(|material| PeerCertificate {
            id: material.id().to_string(),
            not_before: material.not_before(),
            not_after: material.not_after(),
        });
        Look { at: clock::now(), api: self.api.to_string(), answer, own, seen: seen.1 }
    }

    /// The certificates, and when they were seen.
    async fn certificates(&self) -> (Instant, Certificates) {
        match &self.seen {
            Some((at, seen)) if at.elapsed() < SEEN_FOR => (*at, seen.clone()),
            Some(_) | None => (Instant::now(), self.handshakes().await),
        }
    }

    async fn handshakes(&self) -> Certificates {
        let dials = self.keepers.as_ref().map(|KnownKeepers { peers, roots }| {
            let dial = |(index, url): &(u16, HttpsUrl)| {
                let (source, roots) = (self.source.clone(), Arc::clone(roots));
                let (index, url) = (*index, url.clone());
                tokio::spawn(async move {
                    let shown = of_keeper(&source, roots, &url).await;
                    KeeperSeen { index, url: url.to_string(), shown }
                })
            };
            peers.iter().map(dial).collect::<Vec<_>>()
        });
        let nexus = of_nexus(&self.source, Arc::clone(&self.roots), &self.api).await;
        let Some(dials) = dials else { return Certificates { nexus, keepers: None } };
        let mut keepers = Vec::new();
        for dial in dials {
            keepers.extend(dial.await);
        }
        Certificates { nexus, keepers: Some(keepers) }
    }
}

const NO_SVID: &str = "this process has no SVID to show";

async fn of_nexus(source: &SvidSource, roots: Arc<TrustRootsByRole>, api: &HttpsUrl) -> Shown {
    if source.current().is_none() {
        return Err(NO_SVID.to_owned());
    }
    match NexusClient::new(source, roots, api, timeouts()) {
        Ok(nexus) => nexus.certificate().await.map_err(in_words),
        Err(error) => Err(error.to_string()),
    }
}

async fn of_keeper(source: &SvidSource, roots: Arc<TrustRootsByRole>, url: &HttpsUrl) -> Shown {
    if source.current().is_none() {
        return Err(NO_SVID.to_owned());
    }
    match KeeperClient::new(source, roots, url, timeouts()) {
        Ok(keeper) => keeper.certificate().await.map_err(in_words),
        Err(error) => Err(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn in_words(error: TransportError) -> String {
    match error.peer_error() {
        Some(PeerError::Times { id, not_after, now, .. }) if now > not_after => {
            format!(
                "the SVID of {id} ended at {}: its agent has not renewed it",
                second(*not_after)
            )
        }
        Some(_) | None => error.to_string(),
    }
}

fn timeouts() -> ClientTimeouts {
    ClientTimeouts { whole: STEP, dial: STEP, handshake: STEP, ..ClientTimeouts::default() }
}
