//! A claim: one Bootstrap at a time makes a key, and a claim whose Bootstrap has died does not last.
//!
//! On a machine it is a lock on a file, which goes with the process. In Kubernetes it is in the ConfigMap that later says
//! that the work is done: created, or replaced at the version that was read, so that of two only one succeeds. One that
//! stays as it is for [`Watch::limit`] is taken over. That is safe: whoever takes it over asks Nexus and every Keeper again
//! before anything is made, and whoever lost it looks before anything is delivered.

use std::fs::File;
#[cfg(feature = "kubernetes")]
use std::time::Duration;

#[cfg(feature = "kubernetes")]
use tokio::time::Instant;

#[cfg(feature = "kubernetes")]
use super::config_map::{ConfigMapError, ConfigMapMarker, Kept};
use super::{Marker, MarkerError, claimant::Claim};
#[cfg(feature = "kubernetes")]
use crate::console::progress;

/// What came of claiming.
#[derive(Debug)]
pub(crate) enum Claiming {
    /// It is this run's turn, for as long as this is kept.
    Mine(Held),
    /// Somebody else has come to the end meanwhile.
    #[cfg(feature = "kubernetes")]
    Done,
    /// Another Bootstrap is at work.
    Taken,
}

/// A claim that this run has.
#[derive(Debug)]
pub(crate) struct Held {
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(dead_code, reason = "a ConfigMap is asked for it")
    )]
    claim: Claim,
    /// Locked for as long as it is open.
    _lock: Option<File>,
}

/// How long a claim of somebody else is watched, and how often it is looked at.
#[cfg(feature = "kubernetes")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) pause: Duration,
    pub(super) limit: Duration,
}

/// Between a claim and the first share that a Keeper has there are one look at Nexus and the Keepers, and one delivery:
/// seconds.
#[cfg(feature = "kubernetes")]
const WATCH: Watch = Watch { pause: Duration::from_secs(2), limit: Duration::from_secs(45) };

impl Marker {
    /// Takes this run's turn, and waits for it in Kubernetes.
    ///
    /// # Errors
    /// [`MarkerError`] where it cannot be told whether somebody else has it.
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn claim(&self, by: Option<&str>) -> Result<Claiming, MarkerError> {
        let claim = Claim::new(by);
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => Ok(in_config_map(marker, claim, WATCH).await?),
            Self::File(marker) => Ok(match marker.lock()? {
                Some(lock) => Claiming::Mine(Held { claim, _lock: Some(lock) }),
                None => Claiming::Taken,
            }),
            Self::Nowhere(_) => Ok(Claiming::Mine(Held { claim, _lock: None })),
        }
    }

    /// Whether nobody has taken the claim over.
    ///
    /// # Errors
    /// [`MarkerError`] where it cannot be told.
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn still_holds(&self, held: &Held) -> Result<bool, MarkerError> {
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => {
                let kept = marker.kept().await?;
                Ok(matches!(kept, Kept::Claimed(claim, _) if claim == held.claim))
            }
            Self::File(_) | Self::Nowhere(_) => {
                let Held { claim: _, _lock: _ } = held;
                Ok(true)
            }
        }
    }

    /// Gives the claim back, before anything was delivered. Where that does not work, it is watched and taken over later.
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn give_back(&self, held: Held) {
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => {
                if let Ok(Kept::Claimed(claim, version)) = marker.kept().await
                    && claim == held.claim
                    && let Err(error) = marker.put(None, version.as_deref()).await
                {
                    tracing::warn!(reason = %error, "a claim cannot be given back");
                }
            }
            Self::File(_) | Self::Nowhere(_) => drop(held),
        }
    }
}

/// Claims the ConfigMap, once nobody else does.
#[cfg(feature = "kubernetes")]
pub(super) async fn in_config_map(
    marker: &ConfigMapMarker,
    claim: Claim,
    watch: Watch,
) -> Result<Claiming, ConfigMapError> {
    let mut watched: Option<(Claim, Instant)> = None;
    loop {
        let over = match marker.kept().await? {
            Kept::Done(_) => return Ok(Claiming::Done),
            Kept::Nothing => None,
            Kept::Unclaimed(version) => version,
            Kept::Claimed(other, version) => {
                let since = match &watched {
                    Some((known, since)) if *known == other => *since,
                    Some(_) | None => {
                        progress(format_args!(
                            "{marker} has {other}: waiting for it to come to its end"
                        ));
                        watched = Some((other.clone(), Instant::now()));
                        Instant::now()
                    }
                };
                if since.elapsed() < watch.limit {
                    tokio::time::sleep(watch.pause).await;
                    continue;
                }
                progress(format_args!(
                    "taking over {other}, which made no progress for {:?}",
                    watch.limit
                ));
                version
            }
        };
        if marker.put(Some(&claim), over.as_deref()).await? {
            return Ok(Claiming::Mine(Held { claim, _lock: None }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::FileMarker;
    use super::*;

    #[tokio::test]
    async fn two_bootstraps_of_one_machine_do_not_work_at_the_same_time() {
        let home = tempfile::tempdir().unwrap();
        let marker = || Marker::File(FileMarker::in_directory(home.path()));
        let Claiming::Mine(held) = marker().claim(None).await.unwrap() else { panic!("not mine") };
        assert!(marker().still_holds(&held).await.unwrap());
        assert!(matches!(marker().claim(None).await.unwrap(), Claiming::Taken));
        marker().give_back(held).await;
        assert!(matches!(marker().claim(None).await.unwrap(), Claiming::Mine(_)));
    }

    #[test]
    fn no_two_claims_are_the_same() {
        assert_ne!(Claim::new(Some("pod")), Claim::new(Some("pod")));
    }
}
