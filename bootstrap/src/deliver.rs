//! The Keepers: asked whether they are there, and given their shares. All at once; each with attempts and a time limit
//! of its own.

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use http::StatusCode;
use spike_config::{HttpsUrl, KeeperPeers};
use spike_crypto::Share;
use spike_daemon::{
    process::{StartError, chain},
    settings::BootstrapSettings,
};
use spike_mtls::{
    client::{CallError, KeeperClient},
    svid::SvidSource,
};
use spike_wire::{ContributeRequest, KeeperStatusResponse, Shard};

use crate::{
    console::progress,
    patience::{GaveUp, Patience},
    survey::Slot,
};

/// Every Keeper, in the order of the shares.
#[derive(Debug)]
pub(crate) struct Keepers {
    each: Vec<(Keeper, KeeperClient)>,
    patience: Patience,
}

/// One Keeper, as it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keeper {
    /// The index of its share, from 1.
    index: u16,
    url: HttpsUrl,
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper {} at {}", self.index, self.url)
    }
}

/// A Keeper with which it did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{keeper}: {gave_up}")]
pub(crate) struct Unreached {
    keeper: Keeper,
    gave_up: GaveUp,
}

/// Why shares were not given.
#[derive(Debug)]
pub(crate) enum NotGiven {
    /// To these, and to no other: they hold another share, which they keep.
    HoldAnother(Vec<Keeper>),
    /// Some Keepers did not take theirs.
    Unreached(Vec<Unreached>),
}

impl Keeper {
    /// Whether it is the one of this index and address.
    pub(crate) fn is(&self, index: u16, url: &str) -> bool {
        self.index == index && self.url.to_string() == url
    }

    /// One that a test tells of.
    #[cfg(test)]
    pub(crate) fn at(index: u16, url: &str) -> Self {
        Self { index, url: url.parse().unwrap() }
    }
}

impl Keepers {
    /// The Keepers of `peers`, which are as many as shares: the settings have been checked for that.
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub(crate) fn new(
        settings: &BootstrapSettings,
        peers: &KeeperPeers,
        source: &SvidSource,
    ) -> Result<Self, StartError> {
        let roots = &settings.identity.trust_roots;
        let client =
            |url| KeeperClient::new(source, Arc::clone(roots), url, settings.client.timeouts);
        let each =
            peers.iter().map(|(index, url)| Ok((Keeper { index, url: url.clone() }, client(url)?)));
        Ok(Self {
            each: each.collect::<Result<_, StartError>>()?,
            patience: Patience {
                attempts: Some(settings.keeper_attempts),
                limit: settings.keeper_timeout,
                pauses: (settings.retry_initial_interval, settings.retry_max_interval),
            },
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.each.len()
    }

    /// Asks each Keeper what is in its slot, so that no share is given to one while another is away or would lose its own.
    /// A Keeper of upstream does not know the question: that is an answer, and changes nothing.
    ///
    /// # Errors
    /// The Keepers that gave none.
    pub(crate) async fn ask(&self) -> Result<Vec<(Keeper, Slot)>, Vec<Unreached>> {
        let asked = self.each.iter().map(async |(keeper, client)| {
            let slot = reach(keeper, self.patience, async || slot(client.status().await)).await?;
            Ok((keeper.clone(), slot))
        });
        all(join_all(asked).await)
    }

    /// Gives each Keeper its share; the shares are wiped at the end. A Keeper that has it already does not mind.
    ///
    /// # Errors
    /// [`NotGiven`]: the Keepers that did not take it.
    pub(crate) async fn deliver(&self, shares: Vec<Share>) -> Result<(), NotGiven> {
        let given = self.each.iter().zip(&shares).map(async |((keeper, client), share)| {
            debug_assert_eq!(
                keeper.index,
                share.index.get(),
                "shares are in the order of the Keepers"
            );
            let request = ContributeRequest { shard: Shard::new(share.value.expose_bytes()) };
            let give = async || taken(client.contribute(&request).await);
            let taken = reach(keeper, self.patience, give).await?;
            let what = if taken { "has its share" } else { "holds another share, and keeps it" };
            progress(format_args!("{keeper} {what}"));
            Ok((keeper.clone(), taken))
        });
        let given = all(join_all(given).await).map_err(NotGiven::Unreached)?;
        let others: Vec<Keeper> =
            given.into_iter().filter(|(_, taken)| !taken).map(|(keeper, _)| keeper).collect();
        if others.is_empty() { Ok(()) } else { Err(NotGiven::HoldAnother(others)) }
    }
}

/// Whether a Keeper took its share. One that holds another will not take this one however often it is asked.
fn taken(answer: Result<(), CallError>) -> Result<bool, String> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => Ok(false),
        Err(error) => Err(chain(&error)),
    }
}

/// What an answer says of the slot: any answer shows that a Keeper is there. Upstream's answers 400 to a question that it
/// does not know; what else is refused may pass.
fn slot(answer: Result<KeeperStatusResponse, CallError>) -> Result<Slot, String> {
    match answer {
        Ok(KeeperStatusResponse { filled: Some(true) }) => Ok(Slot::Filled),
        Ok(KeeperStatusResponse { filled: Some(false) }) => Ok(Slot::Empty),
        Ok(KeeperStatusResponse { filled: None }) | Err(CallError::Reply(_)) => Ok(Slot::Unknown),
        Err(CallError::Refused(refusal)) if is_no_such_route(refusal.status) => Ok(Slot::Unknown),
        Err(error @ (CallError::Refused(_) | CallError::Transport(_))) => Err(chain(&error)),
    }
}

fn is_no_such_route(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
}

/// Tries one Keeper, and tells of every attempt that fails.
async fn reach<T>(
    keeper: &Keeper,
    patience: Patience,
    call: impl AsyncFn() -> Result<T, String>,
) -> Result<T, Unreached> {
    let tried = patience.keep_trying(async |attempt| {
        call().await.inspect_err(|reason| {
            let (index, url) = (keeper.index, keeper.url.to_string());
            tracing::warn!(keeper = index, url, attempt, reason, "a call to a Keeper failed");
            progress(format_args!("{keeper}, attempt {attempt}: {reason}"));
        })
    });
    tried.await.map_err(|gave_up| Unreached { keeper: keeper.clone(), gave_up })
}

fn all<T>(results: Vec<Result<T, Unreached>>) -> Result<Vec<T>, Vec<Unreached>> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(unreached) => failed.push(unreached),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(failed) }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use spike_mtls::{TransportError, client::Refusal};
    use spike_wire::{EmptyRequest, ReplyError};

    use super::*;

    fn keeper() -> Keeper {
        Keeper { index: 2, url: "https://keeper-2:8443".parse().unwrap() }
    }

    const PATIENCE: Patience =
        Patience { attempts: Some(3), limit: None, pauses: (Duration::ZERO, Duration::ZERO) };

    fn refused(status: StatusCode) -> CallError {
        CallError::Refused(Refusal { status, code: None, reason: None, request_id: None })
    }

    #[test]
    fn a_keeper_that_does_not_know_the_question_is_there_and_a_silent_or_broken_one_is_not() {
        let filled = |filled| slot(Ok(KeeperStatusResponse { filled }));
        assert_eq!((filled(Some(true)), filled(Some(false))), (Ok(Slot::Filled), Ok(Slot::Empty)));
        assert_eq!(filled(None), Ok(Slot::Unknown));
        for status in [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND] {
            assert_eq!(slot(Err(refused(status))), Ok(Slot::Unknown));
        }
        let unreadable = ReplyError::from(EmptyRequest::decode(b"").unwrap_err());
        assert_eq!(slot(Err(unreadable.into())), Ok(Slot::Unknown));
        for status in [StatusCode::UNAUTHORIZED, StatusCode::INTERNAL_SERVER_ERROR] {
            assert!(slot(Err(refused(status))).is_err(), "{status}");
        }
        let broken = TransportError::Broken("reset".to_owned());
        assert!(slot(Err(broken.into())).unwrap_err().contains("reset"));
    }

    #[test]
    fn a_keeper_that_holds_another_share_is_not_asked_again_to_take_this_one() {
        assert_eq!(taken(Ok(())), Ok(true));
        assert_eq!(taken(Err(refused(StatusCode::CONFLICT))), Ok(false));
        assert!(taken(Err(refused(StatusCode::INTERNAL_SERVER_ERROR))).is_err());
    }

    #[tokio::test]
    async fn a_keeper_that_comes_late_is_reached() {
        let calls = Cell::new(0);
        let call = async || {
            calls.set(calls.get() + 1);
            if calls.get() < 3 { Err("nothing listens".to_owned()) } else { Ok(()) }
        };
        assert_eq!(reach(&keeper(), PATIENCE, call).await, Ok(()));
        assert_eq!(calls.get(), 3);
    }

    #[tokio::test]
    async fn a_keeper_that_stays_away_is_named_with_its_address_attempts_and_reason() {
        let call = async || Err::<(), _>("nothing listens".to_owned());
        let unreached = reach(&keeper(), PATIENCE, call).await.unwrap_err();
        assert_eq!(
            unreached.to_string(),
            "Keeper 2 at https://keeper-2:8443: nothing listens (3 attempts)"
        );
        assert_eq!(all(vec![Ok(1), Err(unreached.clone())]), Err(vec![unreached]));
        assert_eq!(all(vec![Ok(1), Ok(2)]), Ok(vec![1, 2]));
    }
}
