//! A look as one screen for people.
//!
//! Every fact is a line with a label. No colour says what the words beside it do not say. What comes from others is escaped, so
//! that it cannot command a terminal.

mod bar;
mod lines;
mod words;

use spike_mtls::{client::CallError, clock::second};
use spike_wire::{KeeperStatus, KeeperStatusKind, RecentRequests, StatusResponse, StoreStatus};
use time::OffsetDateTime;

use super::look::{Certificates, KeeperSeen, Look, Shown};
use crate::command::operator::{margin_in_words, margin_while_sealed, trusts};
use crate::error::Error;
use crate::next_step::{is_new, next_step};
use lines::{Lines, Style};
use words::{bytes, moment, span};

/// What a look is drawn on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Its width, if it is a terminal. Otherwise lines are not broken.
    pub(super) columns: Option<usize>,
    /// Whether it has colours.
    pub(super) colour: bool,
    /// Whether it has few lines: versions, IDs and moments that can be left out are.
    pub(super) compact: bool,
}

/// The whole screen for so many lines, compact if it would not fit otherwise. The last line is for the cursor.
pub(super) fn draw_within(look: &Look, screen: &Screen, rows: usize) -> String {
    let text = draw(look, screen);
    if text.lines().count() < rows {
        return text;
    }
    draw(look, &Screen { compact: true, ..*screen })
}

/// The whole screen, with a newline after each line.
pub(super) fn draw(look: &Look, screen: &Screen) -> String {
    let mut lines = Lines::new(screen);
    lines.heading(&format!("SPIKE at {}, {}", look.api, second(look.at)));
    match &look.answer {
        Ok(status) => nexus(&mut lines, look, status),
        Err(error) => {
            let why = error.to_string();
            lines.put("Nexus", &[(Style::Bad, "not known:"), (Style::Plain, &why)]);
        }
    }
    lines.gap();
    keepers(&mut lines, look);
    lines.gap();
    svids(&mut lines, look);
    lines.finish()
}

fn nexus(lines: &mut Lines, look: &Look, status: &StatusResponse) {
    let (style, state) = match (status.sealed, &status.reason) {
        (false, None) => (Style::Good, "ready"),
        (false, Some(_)) => (Style::Bad, "not ready:"),
        (true, None) => (Style::Bad, "sealed"),
        (true, Some(_)) => (Style::Bad, "sealed:"),
    };
    let reason = status.reason.as_deref().unwrap_or_default();
    let reason = reason.strip_prefix("not ready: ").unwrap_or(reason);
    lines.put("Nexus", &[(style, state), (Style::Plain, reason)]);
    let version =
        format!("version {}, {}", status.version, since(status.started.as_deref(), look.at));
    if !lines.is_compact() {
        lines.put("", &[(Style::Plain, &version)]);
    }
    // What is wrong stands first: a low terminal shows the begin.
    let troubles =
        status.troubles.iter().chain(status.store.iter().flat_map(|store| &store.troubles));
    for trouble in troubles {
        lines.put("Trouble", &[(Style::Bad, trouble)]);
    }
    if !is_new(status) {
        lines.put("Root key", &[(Style::Plain, &root_key(status))]);
    }
    if let Some(next) = next_step(status) {
        lines.put("Next", &[(Style::Warn, next)]);
    }
    margin(lines, status);
    let (style, counted) = requests(status.recent.as_ref());
    lines.put("Requests", &[(style, &counted)]);
    store(lines, look.at, status);
    if !status.trust_domains.is_empty() {
        lines.put("Trusts", &[(Style::Plain, &trusts(status))]);
    }
}

fn since(started: Option<&str>, now: OffsetDateTime) -> String {
    match started {
        Some(started) => format!("since {}", moment(started, now)),
        None => "since when is not known: this SPIKE Nexus does not tell".to_owned(),
    }
}

fn root_key(status: &StatusResponse) -> String {
    if status.shares == 0 {
        return format!("none: the {} backend has no root key to share", status.backend);
    }
    let key = status.root_key.as_deref().unwrap_or("none");
    let data_key = status.data_key.map(|number| format!(", data key {number}")).unwrap_or_default();
    format!("{key}{data_key}, any {} of {} shares rebuild it", status.threshold, status.shares)
}

fn margin(lines: &mut Lines, status: &StatusResponse) {
    let (style, words) = match status.margin {
        _ if is_new(status) => (Style::Warn, "none yet: there is no root key".to_owned()),
        _ if status.sealed && status.shares > 0 => (Style::Bad, margin_while_sealed(status)),
        Some(margin @ ..0) => (Style::Bad, margin_in_words(margin)),
        Some(0) => (Style::Warn, margin_in_words(0)),
        Some(margin) => (Style::Good, margin_in_words(margin)),
        None if status.shares == 0 => return,
        None => (Style::Warn, "not known".to_owned()),
    };
    lines.put("Margin", &[(style, &words)]);
}

fn requests(recent: Option<&RecentRequests>) -> (Style, String) {
    let Some(recent) = recent else {
        return (Style::Dim, "not known: this SPIKE Nexus does not count them".to_owned());
    };
    let RecentRequests { seconds, requests, refused, failed } = *recent;
    let window = span(time::Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)));
    let words =
        format!("{requests} in the last {window}; {refused} refused (4xx), {failed} failed (5xx)");
    (if failed > 0 { Style::Warn } else { Style::Plain }, words)
}

fn store(lines: &mut Lines, now: OffsetDateTime, status: &StatusResponse) {
    let Some(StoreStatus { bytes: file, log_bytes, free_bytes, last_backup, .. }) = &status.store
    else {
        let why = if status.sealed { "SPIKE Nexus is sealed" } else { "there is no open store" };
        lines.put("Store", &[(Style::Dim, &format!("{}, not known: {why}", status.backend))]);
        return;
    };
    let free = free_bytes
        .map_or_else(|| "free disk not known".to_owned(), |free| format!("{} free", bytes(free)));
    let words =
        format!("{}, {} and {} of log, {free}", status.backend, bytes(*file), bytes(*log_bytes));
    lines.put("Store", &[(Style::Plain, &words)]);
    let (style, words) = match last_backup {
        Some(made) => (Style::Plain, format!("verified, of {}", moment(made, now))),
        None if status.backend == "memory" => return,
        None => (Style::Warn, "SPIKE Nexus knows of none that was verified".to_owned()),
    };
    lines.put("Backup", &[(style, &words)]);
}

fn keepers(lines: &mut Lines, look: &Look) {
    lines.heading("Keepers");
    match (&look.answer, &look.seen.keepers) {
        (Ok(status), _) if status.keepers.is_empty() => {
            lines.put("", &[(Style::Dim, "none: this backend needs none")]);
        }
        (Ok(status), _) => status.keepers.iter().for_each(|found| keeper(lines, found, look.at)),
        (Err(_), Some(here)) => {
            for KeeperSeen { index, url, shown } in here {
                let words = match shown {
                    Ok(_) => "it is there; whether it holds a share only SPIKE Nexus knows",
                    Err(_) => "not known",
                };
                lines.put(
                    &index.to_string(),
                    &[(Style::Plain, &format!("{url}:")), (Style::Dim, words)],
                );
            }
        }
        (Err(error), None) => {
            let why = format!(
                "not known: {}, and SPIKE_NEXUS_KEEPER_PEERS is not set here",
                why_not_told(error)
            );
            lines.put("", &[(Style::Dim, &why)]);
        }
    }
}

/// Why Nexus said nothing of its Keepers: it may well have answered, or nobody asked it.
const fn why_not_told(error: &Error) -> &'static str {
    let was_asked =
        !matches!(error, Error::NoIdentity(_) | Error::OwnTimes { .. } | Error::WrongRole { .. });
    let answered =
        matches!(error, Error::Call { error: CallError::Refused(_) | CallError::Reply(_), .. });
    match (was_asked, answered) {
        (false, _) => "SPIKE Nexus was not asked",
        (true, true) => "SPIKE Nexus answers and does not tell",
        (true, false) => "SPIKE Nexus does not answer",
    }
}

fn keeper(lines: &mut Lines, keeper: &KeeperStatus, now: OffsetDateTime) {
    let KeeperStatus { index, url, state, since, failures, version, started, detail, .. } = keeper;
    let style = match state {
        KeeperStatusKind::Good => Style::Good,
        KeeperStatusKind::Unjudged | KeeperStatusKind::Unknown => Style::Plain,
        KeeperStatusKind::Empty => Style::Warn,
        KeeperStatusKind::Unreachable
        | KeeperStatusKind::Unusable
        | KeeperStatusKind::Foreign
        | KeeperStatusKind::Repeated
        | KeeperStatusKind::Forgetful => Style::Bad,
    };
    let times = if *failures > 1 { format!(", {failures} times in a row") } else { String::new() };
    let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let running = match (version, started) {
        (Some(version), Some(started)) => {
            format!(", version {version}, up since {}", moment(started, now))
        }
        (Some(version), None) => format!(", version {version}"),
        (None, _) => String::new(),
    };
    let words = if lines.is_compact() {
        format!("{url}{times}{detail}")
    } else {
        format!("{url}, since {}{times}{running}{detail}", moment(since, now))
    };
    let state = format!("{:<11}", state.as_str());
    lines.put(&index.to_string(), &[(style, &state), (Style::Plain, &words)]);
}

fn svids(lines: &mut Lines, look: &Look) {
    lines.heading("SVIDs");
    let Certificates { nexus, keepers } = &look.seen;
    let own = look.own.clone().ok_or_else(|| "the Workload API has given none".to_owned());
    svid(lines, "spike", &own, look.at);
    svid(lines, "Nexus", nexus, look.at);
    if let Some(keepers) = keepers {
        for KeeperSeen { index, shown, .. } in keepers {
            svid(lines, &format!("Keeper {index}"), shown, look.at);
        }
    } else {
        let why = "not looked at: SPIKE_NEXUS_KEEPER_PEERS is not set here";
        lines.put("Keepers", &[(Style::Dim, why)]);
    }
}

/// What is left of the life of one SVID. One that has not been renewed after 80 % of it has an alert.
fn svid(lines: &mut Lines, whose: &str, shown: &Shown, now: OffsetDateTime) {
    let certificate = match shown {
        Ok(certificate) => certificate,
        Err(why) => return lines.put(whose, &[(Style::Warn, "not known:"), (Style::Plain, why)]),
    };
    let (from, until) = (certificate.not_before, certificate.not_after);
    let left = bar::left(from, until, now);
    let (style, words) = match left {
        _ if now < from => (Style::Bad, format!("not valid before {}", second(from))),
        _ if now > until => (Style::Bad, format!("ended {} ago", span(now - until))),
        0..20 => (
            Style::Bad,
            format!("{left} % left, {}: it should have been renewed", span(until - now)),
        ),
        20..50 => (Style::Warn, format!("{left} % left, {}", span(until - now))),
        _ => (Style::Good, format!("{left} % left, {}", span(until - now))),
    };
    let drawn = bar::bar(left, lines.bar_width());
    let words = if lines.is_compact() { words } else { format!("{words}, {}", certificate.id) };
    lines.put(whose, &[(style, &drawn), (Style::Plain, &words)]);
}

#[cfg(test)]
mod tests;
