//! Calls to Nexus: whether it has a root key, and later the proof that it has the new one.

use std::{cell::Cell, sync::Arc, time::Duration};

use http::StatusCode;
use spike_daemon::{
    process::{StartError, chain},
    progress::{Amount, Progress},
    settings::{Backend, BootstrapSettings},
};
use spike_mtls::{
    TransportError,
    client::{CallError, NexusClient, Refusal},
    svid::SvidSource,
};
use spike_wire::{
    KeeperStatus, KeeperStatusKind, SealedBy, SurveyResponse, VerifyRequest, VerifyResponse,
};
use tokio::time::Instant;

use crate::{
    ceremony::Proof,
    console::progress,
    error::Error,
    retry::Retry,
    survey::{NexusState, printable},
};

#[cfg(test)]
mod tests;

/// The first and the longest pause between two calls. The first is short: Nexus notices its shares within a second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The usual time in which Nexus collects its shares and creates its store.
const USUAL_STARTUP: Duration = Duration::from_secs(3);

/// After this many failed proofs in a row, Nexus is taken to have another key. A single failure may have another cause that
/// upstream's Nexus answers with the same 500.
const UNREADABLE_LIMIT: u32 = 3;

/// The Nexus of this deployment.
#[derive(Debug)]
pub(crate) struct Nexus {
    client: NexusClient,
    url: String,
    limit: Option<Duration>,
}

/// What an answer says about the state of Nexus.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    State(NexusState),
    /// Nexus does not accept this process as Bootstrap.
    NotRecognised,
    /// Nothing about the state; with the reason.
    Nothing(String),
}

/// What an answer says about the proof.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Proved,
    /// Nexus cannot decrypt the question. Most likely it has another key.
    CannotRead(String),
    /// Not yet proved; with the reason.
    Wait(String),
    /// The proof is wrong, and asking again does not help.
    Wrong(String),
}

/// The result of one survey call.
#[derive(Debug, PartialEq, Eq)]
enum SurveyAnswer {
    Answer(Answer),
    /// No answer: the reason, and whether nothing listens at the address.
    Unreached(String, bool),
    /// The server does not know the survey.
    Unknown,
}

impl Answer {
    fn holds_key(&self) -> bool {
        matches!(self, Self::State(NexusState::HoldsKey(_)))
    }
}

impl Nexus {
    /// The Nexus of these settings.
    ///
    /// # Errors
    /// Only if the TLS library cannot be configured at all.
    pub(crate) fn new(
        settings: &BootstrapSettings,
        source: &SvidSource,
    ) -> Result<Self, StartError> {
        let roots = Arc::clone(&settings.identity.trust_roots);
        let url = &settings.api_url;
        let client = NexusClient::new(source, roots, url, settings.client.timeouts)?;
        Ok(Self { client, url: url.to_string(), limit: settings.verification_timeout })
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for an answer about the root key, and about what a new one would replace.
    ///
    /// # Errors
    /// [`Error::NexusSilent`] if something listens and does not answer in time; [`Error::NotRecognised`].
    pub(crate) async fn survey(&self) -> Result<NexusState, Error> {
        self.wait_for_answer(retry(self.limit), retry(self.limit)).await
    }

    /// As [`Self::survey`], with three attempts, for a Nexus that should not run.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub(crate) async fn survey_stopped(&self) -> Result<NexusState, Error> {
        let retry = Retry { attempts: Some(3), ..retry(self.limit) };
        self.wait_for_answer(retry, retry).await
    }

    /// As [`Self::survey`], for at most `limit`.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub(crate) async fn survey_within(&self, limit: Duration) -> Result<NexusState, Error> {
        let retry = retry(Some(self.at_most(limit)));
        self.wait_for_answer(retry, retry).await
    }

    /// The first part of [`Self::survey`], for at most `limit`.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub(crate) async fn survey_begun(&self, limit: Duration) -> Result<NexusState, Error> {
        self.wait_for_answer(retry(Some(self.at_most(limit))), retry(self.limit)).await
    }

    fn at_most(&self, limit: Duration) -> Duration {
        self.limit.map_or(limit, |own| own.min(limit))
    }

    /// Asks until there is an answer. `told` is the wait that a person is told of.
    async fn wait_for_answer(&self, retry: Retry, told: Retry) -> Result<NexusState, Error> {
        let (mut reporter, stopped) = (ReasonReporter::default(), Cell::new(false));
        let waiting = format!("waiting for Nexus{}", how_long(&told));
        let shown = Progress::on_terminal();
        shown.begin("waiting for Nexus", Amount::Unknown);
        let asked = retry.keep_trying(async |_| {
            let (answer, is_nothing_there) = self.ask().await;
            stopped.set(is_nothing_there);
            let said = match answer {
                Answer::State(state) => Ok(Ok(state)),
                Answer::NotRecognised => Ok(Err(Error::NotRecognised { url: self.url.clone() })),
                Answer::Nothing(reason) => Err(reason),
            };
            said.inspect_err(|reason| reporter.report(&waiting, reason))
        });
        match asked.await {
            Ok(said) => said,
            Err(reason) if stopped.get() => Ok(NexusState::Stopped(reason)),
            Err(reason) => {
                Err(Error::NexusSilent { url: self.url.clone(), reason, shares: Vec::new() })
            }
        }
    }

    /// Asks once; also returns whether nothing listens at the address. Upstream's Nexus does not know the survey; then a
    /// question that it knows is sent.
    async fn ask(&self) -> (Answer, bool) {
        match surveyed(self.client.survey().await) {
            SurveyAnswer::Answer(said) => (said, false),
            SurveyAnswer::Unreached(reason, is_nothing_there) => {
                (Answer::Nothing(reason), is_nothing_there)
            }
            SurveyAnswer::Unknown => (answer_of(&self.client.verify(&unanswerable()).await), false),
        }
    }

    /// Waits until Nexus proves that it can use the root key of `proof`.
    ///
    /// If `forced`, another key is to be replaced, so it is no error that Nexus still holds that key.
    ///
    /// # Errors
    /// [`Error::WrongProof`] and [`Error::OtherKey`] at once; [`Error::Unproved`] after the time limit.
    pub(crate) async fn verify(&self, proof: &Proof, forced: bool) -> Result<(), Error> {
        let mut reporter = ReasonReporter::default();
        let begun = Instant::now();
        let mut history = VerdictHistory { forced, unreadable: 0 };
        // Nexus tries again by itself, and waits for another proof meanwhile. The fault of its store is the reason all the same.
        let mut store_fault = None;
        let retry = retry(self.limit);
        let waiting = format!("waiting for the proof of Nexus{}", how_long(&retry));
        let shown = Progress::on_terminal();
        shown.begin("waiting for the proof of Nexus", Amount::Unknown);
        let asked = retry.keep_trying(async |_| {
            let verdict = judge(&self.client.verify(&proof.question).await, &proof.answer);
            let holds_key = match verdict {
                Verdict::CannotRead(_) => {
                    answer_of(&self.client.verify(&unanswerable()).await).holds_key()
                }
                Verdict::Proved | Verdict::Wait(_) | Verdict::Wrong(_) => false,
            };
            let url = self.url.clone();
            let reason = match history.add(verdict, holds_key) {
                Conclusion::Proved => return Ok(Ok(())),
                Conclusion::OtherKey => return Ok(Err(Error::OtherKey { url })),
                Conclusion::Wrong(reason) => return Ok(Err(Error::WrongProof { url, reason })),
                Conclusion::Wait(reason) => match self.why_sealed().await {
                    Some((text, Some(SealedBy::Store))) => store_fault.insert(text).clone(),
                    Some((text, _)) => store_fault.clone().unwrap_or(text),
                    None => reason,
                },
            };
            // Collecting the shares takes a moment, which is not worth a message.
            if begun.elapsed() >= USUAL_STARTUP {
                reporter.report(&waiting, &reason);
            }
            Err(reason)
        });
        let ended = asked.await;
        let is_of_store = store_fault.is_some();
        let url = self.url.clone();
        ended.map_err(|reason| Error::Unproved { url, reason, is_of_store })?
    }

    /// Why Nexus has no key yet, in its words, and of what kind that is. This call also makes Nexus ask every Keeper at once, instead of at its next interval.
    async fn why_sealed(&self) -> Option<(String, Option<SealedBy>)> {
        let survey = self.client.survey().await.ok()?;
        let by = survey.sealed_by;
        if survey.awaits_proof {
            // The reason of Nexus is for an operator when no Bootstrap runs.
            let text = "it has a root key and waits for the proof of it".to_owned();
            return Some((text, by));
        }
        let keeper = survey.keepers.iter().find_map(trouble).map(|text| format!("; {text}"));
        let text = printable(&format!("{}{}", survey.reason?, keeper.unwrap_or_default()));
        Some((text, by))
    }
}

/// What Nexus says of a Keeper that it cannot reach or use, although Bootstrap has given it its share.
fn trouble(keeper: &KeeperStatus) -> Option<String> {
    let away = [KeeperStatusKind::Unreachable, KeeperStatusKind::Unusable];
    let detail = keeper.detail.as_ref().filter(|_| away.contains(&keeper.state))?;
    Some(format!("it cannot use Keeper {} at {}: {detail}", keeper.index, keeper.url))
}

/// The verdicts so far, as far as they count.
#[derive(Debug)]
struct VerdictHistory {
    /// Another key is to be replaced, so it is no error that Nexus still has it.
    forced: bool,
    /// How many times in a row Nexus had a key and could not decrypt the question.
    unreadable: u32,
}

/// What Bootstrap does after a verdict.
#[derive(Debug, PartialEq, Eq)]
enum Conclusion {
    Proved,
    OtherKey,
    Wrong(String),
    Wait(String),
}

impl VerdictHistory {
    /// Adds a verdict. `holds_key`: whether Nexus, asked just after it, says that it has a key.
    fn add(&mut self, verdict: Verdict, holds_key: bool) -> Conclusion {
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
        if self.unreadable < UNREADABLE_LIMIT {
            Conclusion::Wait(reason)
        } else if self.forced {
            Conclusion::Wait("it still uses another root key; restart it".to_owned())
        } else {
            Conclusion::OtherKey
        }
    }
}

const fn retry(limit: Option<Duration>) -> Retry {
    Retry { attempts: None, limit, pauses: PAUSES }
}

/// The longest wait, as the end of a sentence.
fn how_long(retry: &Retry) -> String {
    let most = match retry.limit.map(|limit| limit.as_secs()) {
        _ if retry.attempts.is_some() => return String::new(),
        None => return ", without a limit".to_owned(),
        Some(seconds) if seconds >= 60 && seconds.is_multiple_of(60) => {
            format!("{} min", seconds / 60)
        }
        Some(seconds) => format!("{seconds} s"),
    };
    format!(", for at most {most}")
}

/// A question that shows whether Nexus has a key, without using the key. The nonce is too short: Nexus with a key answers 400
/// before it decrypts anything; without a key it answers 503 (wire-api 3.2, row 37 of 15).
fn unanswerable() -> VerifyRequest {
    VerifyRequest { nonce: vec![0; 3], ciphertext: vec![0; 32] }
}

fn surveyed(answer: Result<SurveyResponse, CallError>) -> SurveyAnswer {
    let error = match answer {
        Ok(survey) => return SurveyAnswer::Answer(Answer::State(state(survey))),
        Err(error) => error,
    };
    let is_nothing_there = matches!(error, CallError::Transport(TransportError::Connect { .. }));
    // Our Nexus answers the survey while it is sealed. If it refuses with a reason, it is busy or ending. Upstream gives none.
    let says_why = matches!(&error, CallError::Refused(refusal) if refusal.reason.is_some());
    match error.status() {
        Some(StatusCode::UNAUTHORIZED) => SurveyAnswer::Answer(Answer::NotRecognised),
        Some(StatusCode::SERVICE_UNAVAILABLE) if says_why => {
            SurveyAnswer::Unreached(reason_of(&error), false)
        }
        // Upstream has no such route; sealed, it answers 503 to every route.
        Some(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE) => {
            SurveyAnswer::Unknown
        }
        Some(_) | None => SurveyAnswer::Unreached(reason_of(&error), is_nothing_there),
    }
}

fn state(survey: SurveyResponse) -> NexusState {
    if survey.backend == Backend::Memory.to_string() {
        NexusState::NeedsNone(Some(Box::new(survey)))
    } else if survey.sealed {
        NexusState::Sealed(Some(Box::new(survey)))
    } else {
        NexusState::HoldsKey(Some(Box::new(survey)))
    }
}

fn answer_of(answer: &Result<VerifyResponse, CallError>) -> Answer {
    match answer {
        Err(error) => match error.status() {
            Some(StatusCode::SERVICE_UNAVAILABLE) => Answer::State(NexusState::Sealed(None)),
            Some(StatusCode::BAD_REQUEST) => Answer::State(NexusState::HoldsKey(None)),
            Some(StatusCode::UNAUTHORIZED) => Answer::NotRecognised,
            Some(_) | None => Answer::Nothing(reason_of(error)),
        },
        Ok(_) => Answer::Nothing("it answered a question that has no answer".to_owned()),
    }
}

fn judge(answer: &Result<VerifyResponse, CallError>, expected: &str) -> Verdict {
    match answer {
        Ok(proof) if proof.hash == expected => Verdict::Proved,
        Ok(_) => Verdict::Wrong("the hash is of another text".to_owned()),
        Err(error @ CallError::Reply(_)) => Verdict::Wrong(reason_of(error)),
        Err(error) => match error.status() {
            // Ours answers 400, upstream's 500.
            Some(StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR) => {
                Verdict::CannotRead(reason_of(error))
            }
            Some(_) | None => Verdict::Wait(reason_of(error)),
        },
    }
}

/// The reason without the request id, so that the same failure gives the same text each time.
fn reason_of(error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) => Refusal { request_id: None, ..refusal.clone() }.to_string(),
        CallError::Transport(_) | CallError::Reply(_) => chain(error),
    }
}

/// Reports a reason when it differs from the last one, and not at every attempt.
#[derive(Debug, Default)]
struct ReasonReporter(Option<String>);

impl ReasonReporter {
    fn report(&mut self, what: &str, reason: &str) {
        if self.0.as_deref() != Some(reason) {
            tracing::warn!(what, reason, "not there yet");
            progress(format_args!("{what}: {reason}"));
            self.0 = Some(reason.to_owned());
        }
    }
}
