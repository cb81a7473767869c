//! A claim: only one Bootstrap at a time makes a key. The claim of a Bootstrap that has died does not last.
//!
//! On a machine it is a lock on a file, which ends with the process. In Kubernetes it is in the ConfigMap that later says that
//! the work is done. It is created, or replaced at the version that was read, so only one of two Bootstraps succeeds. A claim
//! that does not change for [`Watch::limit`] is taken over. That is safe: the new owner asks Nexus and every Keeper again
//! before it makes a key, and the old owner checks its claim before it delivers a share.

use std::fs::File;
#[cfg(feature = "kubernetes")]
use std::time::Duration;

#[cfg(feature = "kubernetes")]
use tokio::time::Instant;

#[cfg(feature = "kubernetes")]
use super::config_map::{ConfigMapError, ConfigMapMarker, Content};
use super::{Marker, MarkerError, claimant::Claim};
#[cfg(feature = "kubernetes")]
use crate::console::progress;

/// The result of a claim.
#[derive(Debug)]
pub(crate) enum ClaimResult {
    /// This run has the claim.
    Mine(HeldClaim),
    /// Another Bootstrap has finished in the meantime.
    #[cfg(feature = "kubernetes")]
    Done,
    /// Another Bootstrap has the claim.
    Taken,
}

/// A claim that this run has.
#[derive(Debug)]
pub(crate) struct HeldClaim {
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(dead_code, reason = "a ConfigMap is asked for it")
    )]
    claim: Claim,
    /// The lock lasts while the file is open.
    _lock: Option<File>,
}

/// How long a claim of another run is watched, and the pause between two looks.
#[cfg(feature = "kubernetes")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) pause: Duration,
    pub(super) limit: Duration,
}

/// From a claim to the first delivered share it takes one survey and one delivery: seconds.
#[cfg(feature = "kubernetes")]
const WATCH: Watch = Watch { pause: Duration::from_secs(2), limit: Duration::from_secs(45) };

impl Marker {
    /// Claims the work. In Kubernetes this waits for the claim of another run to end.
    ///
    /// # Errors
    /// [`MarkerError`] if it is unknown whether another run has the claim.
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn claim(&self, by: Option<&str>) -> Result<ClaimResult, MarkerError> {
        let claim = Claim::new(by);
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => Ok(in_config_map(marker, claim, WATCH).await?),
            Self::File(marker) => Ok(match marker.lock()? {
                Some(lock) => ClaimResult::Mine(HeldClaim { claim, _lock: Some(lock) }),
                None => ClaimResult::Taken,
            }),
            Self::Nowhere(_) => Ok(ClaimResult::Mine(HeldClaim { claim, _lock: None })),
        }
    }

    /// Whether this run still has its claim.
    ///
    /// # Errors
    /// [`MarkerError`] if that is unknown.
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn still_holds(&self, held: &HeldClaim) -> Result<bool, MarkerError> {
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => {
                let kept = marker.content().await?;
                Ok(matches!(kept, Content::Claimed(claim, _) if claim == held.claim))
            }
            Self::File(_) | Self::Nowhere(_) => {
                let HeldClaim { claim: _, _lock: _ } = held;
                Ok(true)
            }
        }
    }

    /// Gives the claim back. If that fails, another run takes it over later.
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn give_back(&self, held: HeldClaim) {
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => {
                if let Ok(Content::Claimed(claim, version)) = marker.content().await
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

/// Claims the ConfigMap, as soon as no other run has a claim on it.
#[cfg(feature = "kubernetes")]
pub(super) async fn in_config_map(
    marker: &ConfigMapMarker,
    claim: Claim,
    watch: Watch,
) -> Result<ClaimResult, ConfigMapError> {
    let mut watched: Option<(Claim, Instant)> = None;
    loop {
        let over = match marker.content().await? {
            Content::Done(_) => return Ok(ClaimResult::Done),
            Content::Nothing => None,
            Content::Unclaimed(version) => version,
            Content::Claimed(other, version) => {
                let since = match &watched {
                    Some((known, since)) if *known == other => *since,
                    Some(_) | None => {
                        progress(format_args!("{marker} has {other}: waiting for its end"));
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
            return Ok(ClaimResult::Mine(HeldClaim { claim, _lock: None }));
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
        let ClaimResult::Mine(held) = marker().claim(None).await.unwrap() else {
            panic!("not mine")
        };
        assert!(marker().still_holds(&held).await.unwrap());
        assert!(matches!(marker().claim(None).await.unwrap(), ClaimResult::Taken));
        marker().give_back(held).await;
        assert!(matches!(marker().claim(None).await.unwrap(), ClaimResult::Mine(_)));
    }

    #[test]
    fn no_two_claims_are_the_same() {
        assert_ne!(Claim::new(Some("pod")), Claim::new(Some("pod")));
    }
}
