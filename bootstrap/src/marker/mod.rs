//! The marker that the work is done: in Kubernetes a ConfigMap, elsewhere a file.
//!
//! Only "not found" means "not done". A marker that cannot be read may say that there is a key, so no key is made then (F18).
//! Before a run makes a key it claims the marker, so that two Bootstraps do not make one key each.

mod claim;
mod claimant;
#[cfg(feature = "kubernetes")]
mod config_map;
mod file;

use std::{fmt, time::Duration};

use spike_daemon::{process::chain, settings::BootstrapSettings};
use spike_mtls::clock;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(crate) use self::claim::{ClaimResult, HeldClaim};
use crate::{
    console::progress,
    retry::{GaveUp, Retry},
};

/// The keys of the data, in the file and in the ConfigMap; upstream's (cli-config-deploy 3.1).
const COMPLETED: &str = "bootstrap-completed";
const COMPLETED_AT: &str = "completed-at";
const COMPLETED_BY: &str = "completed-by-pod";

/// Our key: a run found a root key in use that no marker mentioned. The time is that of the finding.
const FOUND: &str = "found-in-use";

/// The marker is too important to be lost to one failed call.
const RETRY: Retry = Retry {
    attempts: Some(4),
    limit: Some(Duration::from_secs(30)),
    pauses: (Duration::from_millis(500), Duration::from_secs(4)),
};

/// The place of the marker.
#[derive(Debug)]
pub(crate) enum Marker {
    /// In Kubernetes. Each installation and upgrade runs Bootstrap again and relies on the answer "done".
    #[cfg(feature = "kubernetes")]
    ConfigMap(Box<config_map::ConfigMapMarker>),
    /// On a machine.
    File(file::FileMarker),
    /// No durable place; with the reason, if there should be one.
    Nowhere(Option<String>),
}

/// That the work was done, when, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    at: Option<String>,
    by: Option<String>,
    /// The root key was in use already, made at an unknown time.
    found: bool,
    /// Where the marker is.
    place: Option<String>,
    /// Why the marker cannot be read, if it cannot: then it is unknown whether the work was done.
    unreadable: Option<String>,
}

/// Why a marker cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarkerError {
    /// The file.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// The ConfigMap.
    #[cfg(feature = "kubernetes")]
    #[error(transparent)]
    ConfigMap(#[from] config_map::ConfigMapError),
    /// Without that feature.
    #[cfg(not(feature = "kubernetes"))]
    #[error("this build of Bootstrap knows nothing of Kubernetes")]
    NoKubernetes,
    /// After several attempts.
    #[error("{what}: {reason}")]
    GaveUp {
        /// What was tried.
        what: &'static str,
        /// How it failed.
        reason: GaveUp,
    },
}

impl Marker {
    /// The marker of these settings. Reads nothing yet.
    ///
    /// # Errors
    /// [`MarkerError`] if the pod has no service account.
    pub(crate) fn open(settings: &BootstrapSettings) -> Result<Self, MarkerError> {
        if settings.in_kubernetes {
            #[cfg(feature = "kubernetes")]
            return Ok(Self::ConfigMap(Box::new(config_map::ConfigMapMarker::in_cluster(
                &settings.config_map,
            )?)));
            #[cfg(not(feature = "kubernetes"))]
            return Err(MarkerError::NoKubernetes);
        }
        Ok(match &settings.state_directory {
            Some(directory) => Self::File(file::FileMarker::in_directory(directory)),
            None => Self::Nowhere(settings.state_directory_trouble.clone()),
        })
    }

    /// Whether a marker that cannot be written is an error.
    pub(crate) const fn must_remember(&self) -> bool {
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(_) => true,
            Self::File(_) | Self::Nowhere(_) => false,
        }
    }

    /// Why the place for the marker cannot be used, if there should be one.
    pub(crate) fn trouble(&self) -> Option<&str> {
        let Self::Nowhere(trouble) = self else { return None };
        trouble.as_deref()
    }

    /// Whether the work was done before. A file that cannot be read is no error, since Nexus and the Keepers know more.
    ///
    /// # Errors
    /// [`MarkerError`] for every answer of a cluster except "done" and "not found".
    #[cfg_attr(
        not(feature = "kubernetes"),
        expect(clippy::unused_async, reason = "only a ConfigMap is far away")
    )]
    pub(crate) async fn read(&self) -> Result<Option<Completion>, MarkerError> {
        let completion = match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => marker.read().await?,
            Self::File(marker) => {
                marker.read().unwrap_or_else(|error| Some(Completion::unreadable(chain(&error))))
            }
            Self::Nowhere(_) => None,
        };
        Ok(completion.map(|completion| Completion { place: self.place(), ..completion }))
    }

    /// Remembers that the work is done, with a few attempts.
    ///
    /// # Errors
    /// [`MarkerError::GaveUp`].
    pub(crate) async fn write(&self, completion: &Completion) -> Result<(), MarkerError> {
        let written = RETRY.keep_trying(async |attempt| {
            let written = match self {
                #[cfg(feature = "kubernetes")]
                Self::ConfigMap(marker) => {
                    marker.write(completion).await.map_err(MarkerError::from)
                }
                Self::File(marker) => marker.write(completion).map_err(MarkerError::from),
                Self::Nowhere(_) => Ok(()),
            };
            written.map_err(|error| chain(&error)).inspect_err(|reason| {
                tracing::warn!(attempt, reason, "the marker cannot be written");
                progress(format_args!("attempt {attempt}: {reason}"));
            })
        });
        let what = "the marker cannot be written";
        written.await.map_err(|reason| MarkerError::GaveUp { what, reason })
    }

    /// What a successful [`Self::write`] did, for a person.
    pub(crate) fn outcome(&self) -> String {
        match self.place() {
            Some(place) => format!("remembered: {place}"),
            None => format!(
                "not remembered: {}",
                self.trouble().unwrap_or("there is no HOME and no SPIKE_BOOTSTRAP_STATE_DIR")
            ),
        }
    }

    /// The ConfigMap or the file.
    fn place(&self) -> Option<String> {
        match self {
            #[cfg(feature = "kubernetes")]
            Self::ConfigMap(marker) => Some(marker.to_string()),
            Self::File(marker) => Some(marker.to_string()),
            Self::Nowhere(_) => None,
        }
    }
}

impl Completion {
    /// Done now, by this pod or machine.
    pub(crate) fn now(by: Option<&str>) -> Self {
        Self::at(clock::now(), by)
    }

    /// Found done now, by this pod or machine.
    pub(crate) fn found_now(by: Option<&str>) -> Self {
        Self { found: true, ..Self::now(by) }
    }

    fn at(at: OffsetDateTime, by: Option<&str>) -> Self {
        // Whole seconds, as upstream writes them.
        let at = at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).ok();
        Self { at, by: by.map(str::to_owned), ..Self::default() }
    }

    /// Perhaps done: the marker cannot be read.
    pub(crate) fn unreadable(reason: String) -> Self {
        Self { unreadable: Some(reason), ..Self::default() }
    }

    /// Whether it cannot be read.
    pub(crate) const fn is_unreadable(&self) -> bool {
        self.unreadable.is_some()
    }

    /// Where the marker is.
    pub(crate) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The keys and values to keep.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            (COMPLETED, "true".to_owned()),
            (COMPLETED_AT, self.at.clone().unwrap_or_default()),
            (COMPLETED_BY, self.by.clone().unwrap_or_default()),
        ];
        if self.found {
            pairs.push((FOUND, "true".to_owned()));
        }
        pairs
    }

    /// Reads the keys and values; `None` if they do not say that the work is done.
    fn from_pairs<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let text = |key| get(key).and_then(printable_ascii);
        (get(COMPLETED) == Some("true")).then(|| Self {
            at: text(COMPLETED_AT),
            by: text(COMPLETED_BY),
            found: get(FOUND) == Some("true"),
            ..Self::default()
        })
    }
}

/// A text that is safe on a terminal: anybody who can write the ConfigMap could put anything in.
fn printable_ascii(text: &str) -> Option<String> {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    is_plain.then(|| text.to_owned())
}

/// A clause: "this was done at … by …".
impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.unreadable {
            return write!(f, "cannot tell whether this was done before: {reason}");
        }
        f.write_str(if self.found {
            "a root key was found in use before"
        } else {
            "this was done before"
        })?;
        if let Some(at) = &self.at {
            write!(f, ", at {at}")?;
        }
        if let Some(by) = &self.by {
            write!(f, ", by {by}")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place} says so)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_told_with_whole_seconds_in_utc() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1500);
        let completion = Completion::at(at, Some("pod-1"));
        assert_eq!(
            completion.to_string(),
            "this was done before, at 1970-01-01T00:00:01Z, by pod-1"
        );
    }

    /// The time of the note passed for the time at which the key was made.
    #[test]
    fn a_key_that_was_only_found_in_use_is_not_told_as_made_then() {
        let completion =
            Completion { found: true, ..Completion::at(OffsetDateTime::UNIX_EPOCH, Some("pod-2")) };
        assert_eq!(
            completion.to_string(),
            "a root key was found in use before, at 1970-01-01T00:00:00Z, by pod-2"
        );
        let pairs = completion.pairs();
        let get = |key: &str| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1.as_str());
        assert_eq!(Completion::from_pairs(get), Some(completion));
    }

    #[test]
    fn what_was_kept_is_read_again_and_only_true_means_done() {
        let completion = Completion::at(OffsetDateTime::UNIX_EPOCH, None);
        let pairs = completion.pairs();
        let get = |key: &str| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1.as_str());
        assert_eq!(Completion::from_pairs(get), Some(completion));
        for other in ["false", "True", "", "yes"] {
            let kept = Completion::from_pairs(|key| (key == COMPLETED).then_some(other));
            assert_eq!(kept, None, "{other}");
        }
    }

    #[test]
    fn what_could_move_a_terminal_is_not_shown() {
        let kept = Completion::from_pairs(|key| match key {
            COMPLETED => Some("true"),
            _ => Some("\u{1b}[2J"),
        });
        assert_eq!(kept.unwrap().to_string(), "this was done before");
    }

    #[tokio::test]
    async fn whoever_reads_a_marker_is_told_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let marker = Marker::File(file::FileMarker::in_directory(home.path()));
        marker.write(&Completion::at(OffsetDateTime::UNIX_EPOCH, None)).await.unwrap();
        let told = marker.read().await.unwrap().unwrap().to_string();
        let path = home.path().join("bootstrap-completed.json");
        let says = format!("({} says so)", path.display());
        assert_eq!(told, format!("this was done before, at 1970-01-01T00:00:00Z {says}"));
    }

    #[tokio::test]
    async fn without_a_place_nothing_is_remembered_and_nothing_fails() {
        let marker = Marker::Nowhere(None);
        marker.write(&Completion::now(None)).await.unwrap();
        assert_eq!(marker.read().await.unwrap(), None);
        assert_eq!(
            marker.outcome(),
            "not remembered: there is no HOME and no SPIKE_BOOTSTRAP_STATE_DIR"
        );
    }

    /// It said that there was no HOME, and later `remembered: nowhere`.
    #[test]
    fn without_a_place_it_says_not_remembered_and_the_true_reason() {
        let trouble = "/home/ann/.spike/bootstrap is not a directory";
        let marker = Marker::Nowhere(Some(trouble.into()));
        assert_eq!(marker.outcome(), format!("not remembered: {trouble}"));
    }

    /// The run ended there, and asked neither Nexus nor the Keepers.
    #[tokio::test]
    async fn a_file_that_cannot_be_read_may_say_that_a_key_was_made_and_is_named() {
        let home = tempfile::tempdir().unwrap();
        let marker = Marker::File(file::FileMarker::in_directory(home.path()));
        let path = home.path().join("bootstrap-completed.json");
        let unreadable = async || {
            let read = marker.read().await.unwrap().unwrap();
            assert!(read.is_unreadable(), "{read}");
            assert_eq!(read.place(), path.to_str());
            read.to_string()
        };
        std::fs::write(&path, "{").unwrap();
        let told = unreadable().await;
        assert!(told.contains("cannot tell whether this was done before"), "{told}");
        assert!(told.contains(path.to_str().unwrap()), "{told}");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(unreadable().await.contains("directory"));
    }
}
