//! `spike operator restore` sends shares one by one, and SPIKE Nexus judges them as one set.
//!
//! A refused share does not end the command, because the next shares may complete the set without it. The highest number is
//! sent first. SPIKE Nexus judges the set when the last share arrives. It refuses a share with a number above the number of
//! shares at once, without judging the set; in this order the last share has such a number only if all have. Once the root key
//! is back, the earlier shares are sent again: only then can SPIKE Nexus tell for each whether it belongs to the key.

use std::{cmp::Reverse, time::Duration};

use spike_crypto::Share;
use spike_daemon::progress::{Amount, Progress};
use spike_domain::Role;
use spike_mtls::client::CallError;
use spike_wire::{
    EmptyRequest, KeeperStatusKind, NotReady, RestoreRequest, RestoreResponse, Shard, call,
};

use super::shares;
use crate::cli::RestoreArgs;
use crate::context::{Context, Session};
use crate::error::Error;
use crate::next_step::{count_of, next_step};
use crate::output::one_line;

/// The result for one share.
enum Verdict {
    /// No answer yet.
    NotSent,
    /// SPIKE Nexus keeps it until it has enough.
    Kept,
    /// SPIKE Nexus had this very share, and keeps it.
    KeptBefore,
    /// It belongs to the key in use.
    OfTheKey,
    /// SPIKE Nexus refuses it, alone or with the others.
    Refused(Error),
}

/// The shares of one command, in the order given.
struct ShareSet<'s> {
    each: Vec<(&'s (String, Share), Verdict)>,
    progress: RestoreResponse,
    /// Whether SPIKE Nexus judged the whole set, and answered with an error. Only that error says whether it still keeps the
    /// earlier shares.
    judged: bool,
    /// Whether the key was in use before the first share was sent.
    was_live: bool,
    /// Whether SPIKE Nexus took the key although there was nothing to compare it with.
    unconfirmed: bool,
}

pub(super) async fn run(arguments: RestoreArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let shares = shares::read(&arguments.files, context)?;
    let session = context.nexus(&[Role::PilotRestore]).await?;
    let each = shares.iter().map(|share| (share, Verdict::NotSent)).collect();
    let (progress, judged, was_live, unconfirmed) = Default::default();
    let mut set = ShareSet { each, progress, judged, was_live, unconfirmed };
    if let Err(error) = set.send(&session).await {
        return Err(set.failed(error));
    }
    if !set.progress.restored
        && let Some(refused) = set.take_last_refusal()
    {
        return Err(set.failed(refused));
    }
    let told = if set.each.len() > 1 { set.lines() } else { Vec::new() };
    let (progress, was_live) = (set.progress, set.was_live);
    context.streams.render(|out| {
        told.iter().try_for_each(|line| writeln!(out, " {line}"))?;
        out.write_all(summary(progress, was_live).as_bytes())
    })?;
    if progress.restored && !was_live {
        tell_of_keepers(&session, context).await?;
    }
    if set.each.len() == 1 && progress.repeated && !progress.restored {
        let RestoreResponse { collected, remaining, .. } = progress;
        let text = format!(
            "this share is in already, and counts once: {collected} of {} are there. Feed another one",
            collected + remaining
        );
        context.streams.remark("note:", &text)?;
    }
    if set.unconfirmed {
        context.streams.remark("warning:", UNCONFIRMED)?;
    }
    let foreign = set.foreign();
    if !foreign.is_empty() {
        let text = format!("not of the root key, and not used: {}", foreign.join(", "));
        context.streams.remark("warning:", &text)?;
    }
    Ok(())
}

/// Only somebody who knows the right key can say whether it is this one.
const UNCONFIRMED: &str = "SPIKE Nexus had nothing to compare this key with: no data, and no share of a Keeper. Compare the root key that \
                           `spike operator status` shows with the one of before";

/// How often SPIKE Nexus is asked until it has filled its Keepers, and the pause before each time.
const FILLED_WITHIN: (u32, Duration) = (10, Duration::from_millis(500));

/// Says how many Keepers hold their share now: the key is in use, and a restart would need these recovery shares again if they
/// are too few. An upstream SPIKE Nexus does not tell.
async fn tell_of_keepers(session: &Session, context: &mut Context<'_>) -> Result<(), Error> {
    let mut told = None;
    for _ in 0..FILLED_WITHIN.0 {
        tokio::time::sleep(FILLED_WITHIN.1).await;
        let asked = session.call::<call::OperatorStatus>(&EmptyRequest, "").await;
        told = asked.ok().filter(|status| !status.sealed && !status.keepers.is_empty());
        let Some(status) = &told else { return Ok(()) };
        // It may be given its share at this moment.
        let is_open =
            [KeeperStatusKind::Empty, KeeperStatusKind::Unjudged, KeeperStatusKind::Unknown];
        if !status.keepers.iter().any(|keeper| is_open.contains(&keeper.state)) {
            break;
        }
    }
    let Some(status) = told else { return Ok(()) };
    let good = count_of(&status, KeeperStatusKind::Good);
    let (total, threshold) = (status.keepers.len(), status.threshold);
    let hold = if good == 1 { "Keeper holds" } else { "Keepers hold" };
    let count = format!("{good} of {total} {hold} a share of this key, {threshold} are needed");
    if good >= usize::from(threshold) {
        let text = format!("{count} when SPIKE Nexus is restarted");
        return context.streams.remark("note:", &text);
    }
    let next =
        next_step(&status).unwrap_or("bring back the Keepers that `spike operator status` names");
    let text = format!(
        "{count}: a restart of SPIKE Nexus would need these recovery shares again. Keep them, do not restart SPIKE Nexus, and do this: {next}"
    );
    context.streams.remark("warning:", &text)
}

impl ShareSet<'_> {
    /// Sends all shares, and again those that were sent before the key was back. Once it is back, a failure is no error of the
    /// restore.
    async fn send(&mut self, session: &Session) -> Result<(), Error> {
        let mut unjudged = 0;
        let mut in_order: Vec<_> = self.each.iter_mut().collect();
        in_order.sort_by_key(|(share, _)| Reverse(share.1.index));
        let last = in_order.len().saturating_sub(1);
        let shown = Progress::on_terminal();
        shown.begin("shares fed of those needed", Amount::Things(in_order.len() as u64));
        for (position, (share, verdict)) in in_order.iter_mut().enumerate() {
            let was_restored = self.progress.restored;
            let more = position < last && !was_restored;
            let fed = feed(session, share, more, &mut self.progress).await;
            self.judged = position == last && !was_restored && is_judgement(&fed);
            self.was_live |= position == 0 && self.progress.already;
            self.unconfirmed |= self.progress.unconfirmed;
            match fed {
                Ok(answered) => {
                    *verdict = answered;
                    let RestoreResponse { collected, remaining, .. } = self.progress;
                    shown.set(collected.into(), u64::from(collected) + u64::from(remaining));
                }
                Err(_) if was_restored => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.progress.restored && !was_restored {
                unjudged = position;
            }
        }
        for (share, verdict) in in_order.iter_mut().take(unjudged) {
            match feed(session, share, false, &mut self.progress).await {
                Ok(answered) => *verdict = answered,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes the refusal of the refused share that was sent last.
    fn take_last_refusal(&mut self) -> Option<Error> {
        let refused = self.each.iter_mut().filter(|(_, it)| matches!(it, Verdict::Refused(_)));
        let (_, verdict) = refused.min_by_key(|(share, _)| share.1.index)?;
        let refusal = std::mem::replace(verdict, Verdict::NotSent);
        if let Verdict::Refused(error) = refusal { Some(error) } else { None }
    }

    /// The error of the command, with the results for the other shares.
    fn failed(&self, error: Error) -> Error {
        if self.each.len() < 2 {
            return error;
        }
        Error::Partly { error: Box::new(error), others: self.lines() }
    }

    /// One line for each share that got an answer.
    fn lines(&self) -> Vec<String> {
        let line = |(share, verdict): &(&(String, Share), Verdict)| {
            let what = match verdict {
                Verdict::NotSent => return None,
                Verdict::Kept | Verdict::KeptBefore if self.progress.restored => {
                    "not known whether it belongs to the root key".to_owned()
                }
                Verdict::Kept | Verdict::KeptBefore if self.judged => {
                    "judged with the others, see the error".to_owned()
                }
                Verdict::Kept => "kept until enough shares are there".to_owned(),
                Verdict::KeptBefore => "in already, and counts once".to_owned(),
                Verdict::OfTheKey if self.unconfirmed => {
                    "belongs to the key that is in use now".to_owned()
                }
                Verdict::OfTheKey => "belongs to the root key".to_owned(),
                Verdict::Refused(error) => format!("refused: {}", reason(error)),
            };
            Some(format!("{}: {what}", subject(share)))
        };
        self.each.iter().filter_map(line).collect()
    }

    /// The shares that do not belong to the key that is in use.
    fn foreign(&self) -> Vec<String> {
        let foreign = |(share, verdict): &(&(String, Share), Verdict)| match verdict {
            Verdict::Refused(_) if self.progress.restored => Some(subject(share)),
            Verdict::Refused(_)
            | Verdict::NotSent
            | Verdict::Kept
            | Verdict::KeptBefore
            | Verdict::OfTheKey => None,
        };
        self.each.iter().filter_map(foreign).collect()
    }
}

/// Sends one share, and says whether `more` of the set follow. A refusal of this share is a verdict; any other failure is an
/// error.
async fn feed(
    session: &Session,
    share: &(String, Share),
    more: bool,
    progress: &mut RestoreResponse,
) -> Result<Verdict, Error> {
    let request = RestoreRequest {
        id: share.1.index.get().into(),
        shard: Shard::new(share.1.value.expose_bytes()),
        more,
    };
    match session.call::<call::OperatorRestore>(&request, &subject(share)).await {
        Ok(answer) => {
            *progress = answer;
            Ok(match (answer.restored, answer.repeated) {
                (true, _) => Verdict::OfTheKey,
                (false, true) => Verdict::KeptBefore,
                (false, false) => Verdict::Kept,
            })
        }
        Err(error) if error.status() == Some(400) => Ok(Verdict::Refused(error)),
        Err(error) => Err(error),
    }
}

/// Whether the answer to the last share is an error about the set: 400, or that the store cannot be opened, which an earlier SPIKE
/// Nexus answers with 500.
fn is_judgement(answer: &Result<Verdict, Error>) -> bool {
    match answer {
        Ok(verdict) => matches!(verdict, Verdict::Refused(_)),
        Err(error) => error.status() == Some(500) || is_of_store(error),
    }
}

fn is_of_store(error: &Error) -> bool {
    let Error::Call { error: CallError::Refused(refusal), .. } = error else { return false };
    refusal.reason.as_deref().and_then(NotReady::of_reason) == Some(NotReady::Store)
}

fn subject((origin, share): &(String, Share)) -> String {
    format!("{origin} (number {})", share.index)
}

/// The reason of SPIKE Nexus for refusing a share, without the rest of the message.
fn reason(error: &Error) -> String {
    match error {
        Error::Call { error: CallError::Refused(refusal), .. } => {
            let reason = refusal.reason.as_deref().unwrap_or("invalid request");
            one_line(reason).into_owned()
        }
        other => other.to_string(),
    }
}

/// Upstream's texts, which its recovery drill looks for.
fn summary(progress: RestoreResponse, was_live: bool) -> String {
    if was_live {
        return "\n  Nothing to do: SPIKE Nexus has its root key, and the share belongs to it.\n\n"
            .to_owned();
    }
    if progress.restored {
        return "\n  SPIKE is now restored and ready to use.\n\n".to_owned();
    }
    format!(
        "
 Shards collected:  {}
 Shards remaining:  {}
 Please run `spike operator restore` again to provide the remaining shards.

",
        progress.collected, progress.remaining
    )
}
