//! Calls to the Keepers: whether they answer, and the delivery of their shares. All are called at the same time, each with
//! its own attempts and time limit.

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use http::StatusCode;
use spike_config::{HttpsUrl, KeeperPeers};
use spike_crypto::Share;
use spike_daemon::{
    process::{StartError, chain},
    progress::{Amount, Progress},
    settings::BootstrapSettings,
};
use spike_mtls::{
    client::{CallError, KeeperClient},
    svid::SvidSource,
};
use spike_wire::{ContributeRequest, KeeperStatusResponse, Shard};

use crate::{
    console::progress,
    retry::{GaveUp, Retry},
};

/// Every Keeper, in the order of the shares.
#[derive(Debug)]
pub(crate) struct Keepers {
    each: Vec<(Keeper, KeeperClient)>,
    retry: Retry,
}

/// One Keeper, as messages name it.
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

/// The content of the slot of a Keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Nothing.
    Empty,
    /// A share.
    Filled,
    /// Unknown: upstream's Keeper says nothing about it to Bootstrap.
    Unknown,
}

impl Slot {
    /// The end of a line about its Keeper.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Empty => " holds no share",
            Self::Filled => " holds a share of a root key",
            Self::Unknown => "",
        }
    }
}

/// What all Keepers have answered.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Each, and the content of its slot.
    pub(crate) slots: Vec<(Keeper, Slot)>,
    /// Those that are one process under two addresses, a line each.
    pub(crate) repeated: Vec<String>,
}

/// A Keeper that could not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{keeper}: {gave_up}")]
pub(crate) struct Unreached {
    keeper: Keeper,
    gave_up: GaveUp,
}

/// Why the shares were not delivered.
#[derive(Debug)]
pub(crate) enum DeliveryError {
    /// Some Keepers hold another share, and keep it. All others took theirs.
    HoldAnother {
        /// Those that took theirs.
        took: Vec<Keeper>,
        /// Those that hold another.
        kept: Vec<Keeper>,
    },
    /// Some Keepers did not take theirs.
    Unreached(Vec<Unreached>),
}

impl Keeper {
    /// Whether it has this index and address.
    pub(crate) fn is(&self, index: u16, url: &str) -> bool {
        self.index == index && self.url.to_string() == url
    }

    /// Whether it has this address.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        self.url.to_string() == url
    }

    /// The index of its share, from 1.
    pub(crate) const fn index(&self) -> u16 {
        self.index
    }

    /// A Keeper for tests.
    #[cfg(test)]
    pub(crate) fn at(index: u16, url: &str) -> Self {
        Self { index, url: url.parse().unwrap() }
    }
}

impl Keepers {
    /// The Keepers of `peers`. The settings guarantee that there are as many as shares.
    ///
    /// # Errors
    /// Only if the TLS library cannot be configured at all.
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
            retry: Retry {
                attempts: Some(settings.keeper_attempts),
                limit: settings.keeper_timeout,
                pauses: (settings.retry_initial_interval, settings.retry_max_interval),
            },
        })
    }

    /// The number of Keepers.
    pub(crate) fn count(&self) -> usize {
        self.each.len()
    }

    /// Asks each Keeper what is in its slot. So no share is delivered while a Keeper is away or would lose its own share.
    /// Upstream's Keeper does not know the question, which counts as an answer and changes nothing.
    ///
    /// # Errors
    /// The Keepers that gave no answer.
    pub(crate) async fn ask(&self) -> Result<Answers, Vec<Unreached>> {
        let shown = self.shown("waiting for Keepers");
        let asked = self.each.iter().map(async |(keeper, client)| {
            let ask = async || {
                let answer = client.status().await;
                let process = answer.as_ref().ok().and_then(|told| told.process.clone());
                slot(answer).map(|slot| (slot, process))
            };
            let (slot, process) = reach(keeper, self.retry, ask).await?;
            shown.add(1);
            Ok((keeper.clone(), slot, process))
        });
        let told = all(join_all(asked).await)?;
        let repeated = repeated(&told);
        Ok(Answers {
            slots: told.into_iter().map(|(keeper, slot, _)| (keeper, slot)).collect(),
            repeated,
        })
    }

    /// Asks each Keeper once what is in its slot. It is unknown of those that do not answer.
    pub(crate) async fn glance(&self) -> Vec<(Keeper, Slot)> {
        let known = |(keeper, slot): (_, Option<_>)| (keeper, slot.unwrap_or(Slot::Unknown));
        self.ask_once().await.map(known).collect()
    }

    /// As [`Self::glance`], without the Keepers that do not answer.
    pub(crate) async fn answering(&self) -> Vec<(Keeper, Slot)> {
        self.ask_once().await.filter_map(|(keeper, slot)| Some((keeper, slot?))).collect()
    }

    /// Every Keeper, and the content of its slot if it answers.
    async fn ask_once(&self) -> impl Iterator<Item = (Keeper, Option<Slot>)> {
        let asked = self
            .each
            .iter()
            .map(async |(keeper, client)| (keeper.clone(), slot(client.status().await).ok()));
        join_all(asked).await.into_iter()
    }

    /// How many Keepers are done, for a person at a terminal.
    fn shown(&self, what: &'static str) -> Progress {
        let shown = Progress::on_terminal();
        shown.begin(what, Amount::Things(self.each.len() as u64));
        shown
    }

    /// Every Keeper, of which nothing is known.
    pub(crate) fn unasked(&self) -> Vec<(Keeper, Slot)> {
        self.each.iter().map(|(keeper, _)| (keeper.clone(), Slot::Unknown)).collect()
    }

    /// Gives each Keeper its share, and wipes the shares at the end. A Keeper accepts a share that it already has.
    ///
    /// # Errors
    /// [`DeliveryError`] names the Keepers that did not take their share.
    pub(crate) async fn deliver(&self, shares: Vec<Share>) -> Result<(), DeliveryError> {
        let shown = self.shown("giving shares to Keepers");
        let given = self.each.iter().zip(&shares).map(async |((keeper, client), share)| {
            debug_assert_eq!(
                keeper.index,
                share.index.get(),
                "shares are in the order of the Keepers"
            );
            let request = ContributeRequest { shard: Shard::new(share.value.expose_bytes()) };
            let give = async || taken(client.contribute(&request).await);
            let taken = reach(keeper, self.retry, give).await?;
            let what = if taken { "has its share" } else { "holds another share, and keeps it" };
            progress(format_args!("{keeper} {what}"));
            shown.add(1);
            Ok((keeper.clone(), taken))
        });
        let given = all(join_all(given).await).map_err(DeliveryError::Unreached)?;
        let of = |took: bool| {
            let each = given.iter().filter(move |(_, taken)| *taken == took);
            each.map(|(keeper, _)| keeper.clone()).collect::<Vec<_>>()
        };
        let (took, kept) = (of(true), of(false));
        if kept.is_empty() { Ok(()) } else { Err(DeliveryError::HoldAnother { took, kept }) }
    }
}

/// Each Keeper that has named the same process as an earlier one. Upstream's name none.
fn repeated(told: &[(Keeper, Slot, Option<String>)]) -> Vec<String> {
    let line = |(position, (keeper, _, process)): (usize, &(Keeper, Slot, Option<String>))| {
        let process = process.as_ref()?;
        let mut earlier = told.iter().take(position);
        let (same, ..) = earlier.find(|(_, _, known)| known.as_ref() == Some(process))?;
        Some(format!("{keeper} is the same process as {same}"))
    };
    told.iter().enumerate().filter_map(line).collect()
}

/// Whether a Keeper took its share. A Keeper that holds another refuses each time, so it is not asked again.
fn taken(answer: Result<(), CallError>) -> Result<bool, String> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => Ok(false),
        Err(error) => Err(chain(&error)),
    }
}

/// What an answer says about the slot. Upstream's Keeper answers 400 to a question that it does not know. Other refusals may be
/// temporary.
fn slot(answer: Result<KeeperStatusResponse, CallError>) -> Result<Slot, String> {
    match answer {
        Ok(KeeperStatusResponse { filled: Some(true), .. }) => Ok(Slot::Filled),
        Ok(KeeperStatusResponse { filled: Some(false), .. }) => Ok(Slot::Empty),
        Ok(KeeperStatusResponse { filled: None, .. }) | Err(CallError::Reply(_)) => {
            Ok(Slot::Unknown)
        }
        Err(CallError::Refused(refusal)) if is_no_such_route(refusal.status) => Ok(Slot::Unknown),
        Err(error @ (CallError::Refused(_) | CallError::Transport(_))) => Err(chain(&error)),
    }
}

fn is_no_such_route(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
}

/// Calls one Keeper with retries, and reports every attempt that fails.
async fn reach<T>(
    keeper: &Keeper,
    retry: Retry,
    call: impl AsyncFn() -> Result<T, String>,
) -> Result<T, Unreached> {
    let tried = retry.keep_trying(async |attempt| {
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

    const RETRY: Retry =
        Retry { attempts: Some(3), limit: None, pauses: (Duration::ZERO, Duration::ZERO) };

    fn refused(status: StatusCode) -> CallError {
        CallError::Refused(Refusal { status, code: None, reason: None, request_id: None })
    }

    #[test]
    fn a_keeper_that_does_not_know_the_question_is_there_and_a_silent_or_broken_one_is_not() {
        let filled =
            |filled| slot(Ok(KeeperStatusResponse { filled, ..KeeperStatusResponse::default() }));
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
        assert_eq!(reach(&keeper(), RETRY, call).await, Ok(()));
        assert_eq!(calls.get(), 3);
    }

    #[tokio::test]
    async fn a_keeper_that_stays_away_is_named_with_its_address_attempts_and_reason() {
        let call = async || Err::<(), _>("nothing listens".to_owned());
        let unreached = reach(&keeper(), RETRY, call).await.unwrap_err();
        assert_eq!(
            unreached.to_string(),
            "Keeper 2 at https://keeper-2:8443: nothing listens (3 attempts)"
        );
        assert_eq!(all(vec![Ok(1), Err(unreached.clone())]), Err(vec![unreached]));
        assert_eq!(all(vec![Ok(1), Ok(2)]), Ok(vec![1, 2]));
    }
}
