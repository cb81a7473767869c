//! The Keepers: asked whether they are there, and given their shares. All at once; each with attempts and a time limit
//! of its own.

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use spike_common::{
    client::{CallError, KeeperClient},
    config::{BootstrapSettings, HttpsUrl, KeeperPeers},
    daemon::{StartError, chain},
    svid::SvidSource,
    wire::{ContributeRequest, Shard},
};
use spike_crypto::Share;

use crate::{
    console::progress,
    patience::{GaveUp, Patience},
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

    /// Asks each Keeper for an answer of any kind, so that no share is given to one while another is away.
    ///
    /// It asks for the share, which every Keeper refuses to Bootstrap: that is an answer, and changes nothing.
    ///
    /// # Errors
    /// The Keepers that gave none.
    pub(crate) async fn ask(&self) -> Result<(), Vec<Unreached>> {
        let asked = self.each.iter().map(|(keeper, client)| {
            reach(keeper, self.patience, async || there(client.shard().await.map(drop)))
        });
        all(join_all(asked).await)
    }

    /// Gives each Keeper its share; the shares are wiped at the end. A Keeper that has it already does not mind.
    ///
    /// # Errors
    /// The Keepers that did not take it.
    pub(crate) async fn deliver(&self, shares: Vec<Share>) -> Result<(), Vec<Unreached>> {
        let given = self.each.iter().zip(&shares).map(async |((keeper, client), share)| {
            debug_assert_eq!(
                keeper.index,
                share.index.get(),
                "shares are in the order of the Keepers"
            );
            let request = ContributeRequest { shard: Shard::new(share.value.expose_bytes()) };
            let give = async || client.contribute(&request).await.map_err(|error| chain(&error));
            reach(keeper, self.patience, give).await?;
            progress(format_args!("{keeper} has its share"));
            Ok(())
        });
        all(join_all(given).await)
    }
}

/// Whether a call shows that a Keeper is there: any answer does.
fn there(answer: Result<(), CallError>) -> Result<(), String> {
    match answer {
        Ok(()) | Err(CallError::Refused(_) | CallError::Reply(_)) => Ok(()),
        Err(error @ CallError::Transport(_)) => Err(chain(&error)),
    }
}

/// Tries one Keeper, and tells of every attempt that fails.
async fn reach(
    keeper: &Keeper,
    patience: Patience,
    call: impl AsyncFn() -> Result<(), String>,
) -> Result<(), Unreached> {
    let tried = patience.keep_trying(async |attempt| {
        call().await.inspect_err(|reason| {
            let (index, url) = (keeper.index, keeper.url.to_string());
            tracing::warn!(keeper = index, url, attempt, reason, "a call to a Keeper failed");
            progress(format_args!("{keeper}, attempt {attempt}: {reason}"));
        })
    });
    tried.await.map_err(|gave_up| Unreached { keeper: keeper.clone(), gave_up })
}

fn all(results: Vec<Result<(), Unreached>>) -> Result<(), Vec<Unreached>> {
    let failed: Vec<Unreached> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use http::StatusCode;
    use spike_common::{
        client::Refusal,
        mtls::TransportError,
        wire::{EmptyRequest, ReplyError},
    };

    use super::*;

    fn keeper() -> Keeper {
        Keeper { index: 2, url: "https://keeper-2:8443".parse().unwrap() }
    }

    const PATIENCE: Patience =
        Patience { attempts: Some(3), limit: None, pauses: (Duration::ZERO, Duration::ZERO) };

    #[test]
    fn any_answer_shows_that_a_keeper_is_there_and_silence_does_not() {
        let refused = |status| {
            let refusal = Refusal { status, code: None, reason: None, request_id: None };
            Err(CallError::Refused(refusal))
        };
        assert_eq!(there(Ok(())), Ok(()));
        assert_eq!(there(refused(StatusCode::UNAUTHORIZED)), Ok(()));
        assert_eq!(there(refused(StatusCode::BAD_REQUEST)), Ok(()));
        let unreadable = ReplyError::from(EmptyRequest::decode(b"").unwrap_err());
        assert_eq!(there(Err(unreadable.into())), Ok(()));
        let broken = TransportError::Broken("reset".to_owned());
        assert!(there(Err(broken.into())).unwrap_err().contains("reset"));
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
        let call = async || Err("nothing listens".to_owned());
        let unreached = reach(&keeper(), PATIENCE, call).await.unwrap_err();
        assert_eq!(
            unreached.to_string(),
            "Keeper 2 at https://keeper-2:8443: nothing listens (3 attempts)"
        );
        assert_eq!(all(vec![Ok(()), Err(unreached.clone())]), Err(vec![unreached]));
    }
}
