//! Nexus: asked whether it has a root key, and later to prove that it has the new one.

use std::{cell::Cell, sync::Arc, time::Duration};

use http::StatusCode;
use spike_daemon::{
    process::{StartError, chain},
    settings::{Backend, BootstrapSettings},
};
use spike_mtls::{
    TransportError,
    client::{CallError, NexusClient, Refusal},
    svid::SvidSource,
};
use spike_wire::{SurveyResponse, VerifyRequest, VerifyResponse};
use tokio::time::Instant;

use crate::{
    ceremony::Proof,
    console::progress,
    error::Error,
    patience::Patience,
    survey::{NexusState, printable},
};

#[cfg(test)]
mod tests;

/// Pauses between two questions: short at first, since Nexus notices its shares within a second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How long Nexus usually takes to collect its shares and to make its store.
const EXPECTED: Duration = Duration::from_secs(3);

/// How many times in a row Nexus must fail at the proof, with a key in hand, until it is taken to have another key. Once
/// may be some other trouble that upstream's Nexus answers with the same 500.
const CERTAIN: u32 = 3;

/// The Nexus of this deployment.
#[derive(Debug)]
pub(crate) struct Nexus {
    client: NexusClient,
    url: String,
    limit: Option<Duration>,
}

/// What an answer to the question for its state says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    State(NexusState),
    /// It does not take us for Bootstrap.
    NotRecognised,
    /// Nothing, and why.
    Nothing(String),
}

/// What an answer to the question for a proof says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Proved,
    /// It has a key and cannot read the question: most likely another key.
    CannotRead(String),
    /// Not yet.
    Wait(String),
    /// It never will.
    Wrong(String),
}

/// What came of the question what there is.
#[derive(Debug, PartialEq, Eq)]
enum Surveyed {
    Said(Said),
    /// Nobody answered, why, and whether nothing listens there.
    Unreached(String, bool),
    /// Whoever answered does not know the question.
    Unknown,
}

impl Said {
    fn holds_key(&self) -> bool {
        *self == Self::State(NexusState::HoldsKey)
    }
}

impl Nexus {
    /// The Nexus of these settings.
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub(crate) fn new(
        settings: &BootstrapSettings,
        source: &SvidSource,
    ) -> Result<Self, StartError> {
        let roots = Arc::clone(&settings.identity.trust_roots);
        let url = &settings.api_url;
        let client = NexusClient::new(source, roots, url, settings.client.timeouts)?;
        Ok(Self { client, url: url.to_string(), limit: settings.verification_timeout })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it says of the root key, and of what a new one would take the place of, once it answers.
    ///
    /// # Errors
    /// [`Error::NexusSilent`] where something is there that does not answer in time, [`Error::NotRecognised`].
    pub(crate) async fn survey(&self) -> Result<NexusState, Error> {
        self.wait_for_answer(patience(self.limit)).await
    }

    /// As [`Self::survey`], of a Nexus that should not run: a few attempts must do.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub(crate) async fn survey_stopped(&self) -> Result<NexusState, Error> {
        self.wait_for_answer(Patience { attempts: Some(3), ..patience(self.limit) }).await
    }

    /// As [`Self::survey`], for so long at the most.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub(crate) async fn survey_within(&self, limit: Duration) -> Result<NexusState, Error> {
        let limit = self.limit.map_or(limit, |own| own.min(limit));
        self.wait_for_answer(patience(Some(limit))).await
    }

    async fn wait_for_answer(&self, patience: Patience) -> Result<NexusState, Error> {
        let (mut told, stopped) = (Told::default(), Cell::new(false));
        let waiting = format!("waiting for Nexus{}", how_long(&patience));
        let asked = patience.keep_trying(async |_| {
            let (answer, is_nothing_there) = self.ask().await;
            stopped.set(is_nothing_there);
            let said = match answer {
                Said::State(state) => Ok(Ok(state)),
                Said::NotRecognised => Ok(Err(Error::NotRecognised { url: self.url.clone() })),
                Said::Nothing(reason) => Err(reason),
            };
            said.inspect_err(|reason| told.once(&waiting, reason))
        });
        match asked.await {
            Ok(said) => said,
            Err(reason) if stopped.get() => Ok(NexusState::Stopped(reason)),
            Err(reason) => Err(Error::NexusSilent { url: self.url.clone(), reason }),
        }
    }

    /// One question, and whether nothing listens there. Upstream's Nexus does not know the first one; it, too, answers the
    /// second.
    async fn ask(&self) -> (Said, bool) {
        match surveyed(self.client.survey().await) {
            Surveyed::Said(said) => (said, false),
            Surveyed::Unreached(reason, is_nothing_there) => {
                (Said::Nothing(reason), is_nothing_there)
            }
            Surveyed::Unknown => (said(&self.client.verify(&unanswerable()).await), false),
        }
    }

    /// Waits until Nexus proves that it can use the root key of `proof`.
    ///
    /// `forced`: another key is to be replaced, so one that Nexus still holds is no reason to stop.
    ///
    /// # Errors
    /// [`Error::WrongProof`] and [`Error::OtherKey`] at once, [`Error::Unproved`] when the time is over.
    pub(crate) async fn verify(&self, proof: &Proof, forced: bool) -> Result<(), Error> {
        let mut told = Told::default();
        let begun = Instant::now();
        let mut doubt = Doubt { forced, unreadable: 0 };
        let patience = patience(self.limit);
        let waiting = format!("waiting for the proof of Nexus{}", how_long(&patience));
        let asked = patience.keep_trying(async |_| {
            let verdict = judge(&self.client.verify(&proof.question).await, &proof.answer);
            let holds_key = match verdict {
                Verdict::CannotRead(_) => {
                    said(&self.client.verify(&unanswerable()).await).holds_key()
                }
                Verdict::Proved | Verdict::Wait(_) | Verdict::Wrong(_) => false,
            };
            let url = self.url.clone();
            let reason = match doubt.weigh(verdict, holds_key) {
                Conclusion::Proved => return Ok(Ok(())),
                Conclusion::OtherKey => return Ok(Err(Error::OtherKey { url })),
                Conclusion::Wrong(reason) => return Ok(Err(Error::WrongProof { url, reason })),
                Conclusion::Wait(reason) => self.why_sealed().await.unwrap_or(reason),
            };
            // It takes a moment to collect its shares, and that is no trouble.
            if begun.elapsed() >= EXPECTED {
                told.once(&waiting, &reason);
            }
            Err(reason)
        });
        asked.await.map_err(|reason| Error::Unproved { url: self.url.clone(), reason })?
    }

    /// Why there still is no key. The question has Nexus ask every Keeper at once, however seldom it does that by itself.
    async fn why_sealed(&self) -> Option<String> {
        let told = self.client.survey().await.ok()?;
        if told.awaits_proof {
            // Not its own reason, which tells an operator what to do where no Bootstrap is at work.
            return Some("it has a root key and waits for the proof of it".to_owned());
        }
        told.reason.as_deref().map(printable)
    }
}

/// What follows from several verdicts in a row.
#[derive(Debug)]
struct Doubt {
    /// Another key is to be replaced: that Nexus still has it is no reason to stop.
    forced: bool,
    /// How many times in a row it had a key and could not read the question.
    unreadable: u32,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
enum Conclusion {
    Proved,
    OtherKey,
    Wrong(String),
    Wait(String),
}

impl Doubt {
    /// `holds_key`: whether Nexus, asked just after the verdict, says that it has a key.
    fn weigh(&mut self, verdict: Verdict, holds_key: bool) -> Conclusion {
        let reason = match verdict {
            Verdict::Proved => return Conclusion::Proved,
            Verdict::Wrong(reason) => return Conclusion::Wrong(reason),
            Verdict::Wait(reason) => {
                self.unreadable = 0;
                return Conclusion::Wait(reason);
            }
            Verdict::CannotRead(reason) => reason,
        };
        self.unreadable = if holds_key { self.unreadable + 1 } else { 0 };
        if self.unreadable < CERTAIN {
            Conclusion::Wait(reason)
        } else if self.forced {
            Conclusion::Wait("it still uses another root key; restart it".to_owned())
        } else {
            Conclusion::OtherKey
        }
    }
}

const fn patience(limit: Option<Duration>) -> Patience {
    Patience { attempts: None, limit, pauses: PAUSES }
}

/// How long somebody who watches has to wait: a clause.
fn how_long(patience: &Patience) -> String {
    let most = match patience.limit.map(|limit| limit.as_secs()) {
        _ if patience.attempts.is_some() => return String::new(),
        None => return ", without a limit".to_owned(),
        Some(seconds) if seconds >= 60 && seconds.is_multiple_of(60) => {
            format!("{} min", seconds / 60)
        }
        Some(seconds) => format!("{seconds} s"),
    };
    format!(", for at most {most}")
}

/// A question that shows whether there is a key and asks nothing of it: Nexus refuses its nonce with 400 before it
/// decrypts anything, but only once it has a key; until then it answers 503 (wire-api 3.2, row 37 of 15).
fn unanswerable() -> VerifyRequest {
    VerifyRequest { nonce: vec![0; 3], ciphertext: vec![0; 32] }
}

fn surveyed(answer: Result<SurveyResponse, CallError>) -> Surveyed {
    let error = match answer {
        Ok(told) => return Surveyed::Said(Said::State(state(told))),
        Err(error) => error,
    };
    let is_nothing_there = matches!(error, CallError::Transport(TransportError::Connect { .. }));
    // Ours answers this while it is sealed, too. Where it says why it does not, it is busy, or ends; upstream never says why.
    let says_why = matches!(&error, CallError::Refused(refusal) if refusal.reason.is_some());
    match error.status() {
        Some(StatusCode::UNAUTHORIZED) => Surveyed::Said(Said::NotRecognised),
        Some(StatusCode::SERVICE_UNAVAILABLE) if says_why => {
            Surveyed::Unreached(words(&error), false)
        }
        // Upstream's: no such route, which it says only when it is not sealed.
        Some(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE) => {
            Surveyed::Unknown
        }
        Some(_) | None => Surveyed::Unreached(words(&error), is_nothing_there),
    }
}

fn state(told: SurveyResponse) -> NexusState {
    if told.backend == Backend::Memory.to_string() {
        NexusState::NeedsNone
    } else if told.sealed {
        NexusState::Sealed(Some(Box::new(told)))
    } else {
        NexusState::HoldsKey
    }
}

fn said(answer: &Result<VerifyResponse, CallError>) -> Said {
    match answer {
        Err(error) => match error.status() {
            Some(StatusCode::SERVICE_UNAVAILABLE) => Said::State(NexusState::Sealed(None)),
            Some(StatusCode::BAD_REQUEST) => Said::State(NexusState::HoldsKey),
            Some(StatusCode::UNAUTHORIZED) => Said::NotRecognised,
            Some(_) | None => Said::Nothing(words(error)),
        },
        Ok(_) => Said::Nothing("it answered a question that has no answer".to_owned()),
    }
}

fn judge(answer: &Result<VerifyResponse, CallError>, expected: &str) -> Verdict {
    match answer {
        Ok(proof) if proof.hash == expected => Verdict::Proved,
        Ok(_) => Verdict::Wrong("the hash is of another text".to_owned()),
        Err(error @ CallError::Reply(_)) => Verdict::Wrong(words(error)),
        Err(error) => match error.status() {
            // Ours answers 400, upstream's 500.
            Some(StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR) => {
                Verdict::CannotRead(words(error))
            }
            Some(_) | None => Verdict::Wait(words(error)),
        },
    }
}

/// What went wrong, without the name of the request: told over and over, it is the same trouble.
fn words(error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) => Refusal { request_id: None, ..refusal.clone() }.to_string(),
        CallError::Transport(_) | CallError::Reply(_) => chain(error),
    }
}

/// Tells of a reason when it is a new one, and not at every attempt.
#[derive(Debug, Default)]
struct Told(Option<String>);

impl Told {
    fn once(&mut self, what: &str, reason: &str) {
        if self.0.as_deref() != Some(reason) {
            tracing::warn!(what, reason, "not there yet");
            progress(format_args!("{what}: {reason}"));
            self.0 = Some(reason.to_owned());
        }
    }
}
