//! `spike operator status`, which upstream does not have.

use std::io::{self, Write};

use spike_daemon::counted;
use spike_domain::Role;
use spike_mtls::clock::second;
use spike_wire::{
    CheckStatus, EmptyRequest, ImportStatus, KeeperStatus, KeeperStatusKind, RecentRequests,
    StatusResponse, StoreStatus, call,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::cli::Format;
use crate::context::Context;
use crate::error::Error;
use crate::next_step::{count_of, holding, is_new, next_step};
use crate::output::{Node, one_line, write_json, write_yaml};

pub(super) async fn run(format: Format, context: &mut Context<'_>) -> Result<(), Error> {
    let session = context.nexus(&Role::OPERATORS).await?;
    let status = session.call::<call::OperatorStatus>(&EmptyRequest, "").await?;
    context.streams.render(|out| match format {
        Format::Human => human(out, &status),
        Format::Json => write_json(out, &node(&status), 2),
        Format::Yaml => write_yaml(out, &node(&status)),
    })
}

fn human(out: &mut dyn Write, status: &StatusResponse) -> io::Result<()> {
    let state = match (status.sealed, &status.reason) {
        (false, None) => "ready".to_owned(),
        (false, Some(reason)) => format!("not ready: {}", one_line(reason)),
        (true, None) => "sealed".to_owned(),
        (true, Some(reason)) => format!("sealed: {}", one_line(reason)),
    };
    let unknown = || "none".to_owned();
    writeln!(out, "Version     : {}", one_line(&status.version))?;
    writeln!(out, "State       : {state}")?;
    writeln!(out, "Backend     : {}", one_line(&status.backend))?;
    writeln!(out, "Root key    : {}", one_line(status.root_key.as_deref().unwrap_or("none")))?;
    writeln!(out, "Data key    : {}", status.data_key.map_or_else(unknown, |key| key.to_string()))?;
    if status.shares == 0 {
        let backend = one_line(&status.backend);
        writeln!(out, "Shares      : none: the {backend} backend has no root key to share")?;
    } else {
        let danger = match status.threshold {
            1 => ": each Keeper, and each recovery file, is the whole root key",
            _ => "",
        };
        let (shares, threshold) = (status.shares, status.threshold);
        writeln!(out, "Shares      : {shares} ({threshold} rebuild the key{danger})")?;
    }
    if is_new(status) {
        writeln!(out, "Margin      : none yet: there is no root key")?;
    } else if status.sealed && status.shares > 0 {
        writeln!(out, "Margin      : {}", margin_while_sealed(status))?;
    } else if let Some(margin) = status.margin {
        write!(out, "Margin      : {}", margin_in_words(margin))?;
        if let Some(asked) = &status.asked {
            write!(out, ", every Keeper was asked at {}", to_the_second(asked))?;
        }
        writeln!(out)?;
    }
    if !status.trust_domains.is_empty() {
        writeln!(out, "Trusts      : {}", trusts(status))?;
    }
    writeln!(out, "Last export : {}", last_export(status))?;
    for trouble in &status.troubles {
        writeln!(out, "Trouble     : {}", one_line(trouble))?;
    }
    if let Some(next) = next_step(status) {
        writeln!(out, "Next        : {next}")?;
    }
    if let Some(store) = &status.store {
        human_store(out, store)?;
    }
    status.keepers.iter().try_for_each(|keeper| {
        let KeeperStatus { index, url, state, since, looked, failures, detail, .. } = keeper;
        let (url, since) = (one_line(url), to_the_second(since));
        write!(out, "Keeper {index:<4} : {}, {url}, since {since}", state.as_str())?;
        if let Some(looked) = looked {
            write!(out, ", last asked {}", to_the_second(looked))?;
        }
        if *failures > 1 {
            write!(out, ", {failures} times in a row")?;
        }
        if let Some(detail) = detail {
            write!(out, ": {}", one_line(detail))?;
        }
        writeln!(out)
    })
}

/// When recovery shares were last taken out. The time is in the store: a Nexus that has not opened it does not know whether there
/// are recovery files.
fn last_export(status: &StatusResponse) -> String {
    match &status.last_export {
        Some(at) => to_the_second(at),
        None if status.shares == 0 || status.store.is_some() => "never".to_owned(),
        None if status.sealed => "not known while SPIKE Nexus is sealed".to_owned(),
        None => "not known: there is no open store".to_owned(),
    }
}

/// The trust domains whose SVIDs SPIKE Nexus can verify, its own first.
pub(crate) fn trusts(status: &StatusResponse) -> String {
    one_line(&status.trust_domains.join(", ")).into_owned()
}

/// A sealed SPIKE Nexus has no margin: this says what it lacks.
pub(crate) fn margin_while_sealed(status: &StatusResponse) -> String {
    let (holding, keepers) = (holding(status), status.keepers.len());
    let threshold = status.threshold;
    let of_another = match count_of(status, KeeperStatusKind::Foreign) {
        0 => String::new(),
        foreign => {
            format!(" ({foreign} one of a key that is not that of the data)")
        }
    };
    let hold = if holding == 1 { "Keepers holds a share" } else { "Keepers hold a share" };
    format!(
        "none while it is sealed: {holding} of {keepers} {hold}{of_another}, {threshold} are needed"
    )
}

/// The troubles of the store, and the import from upstream.
fn human_store(out: &mut dyn Write, store: &StoreStatus) -> io::Result<()> {
    for trouble in &store.troubles {
        writeln!(out, "Trouble     : {}", one_line(trouble))?;
    }
    let Some(import) = &store.import else { return Ok(()) };
    let ImportStatus { at, secrets, versions, policies, left_out, advice, .. } = import;
    writeln!(
        out,
        "Imported    : {}: {}, {}, {}; {} left out",
        to_the_second(at),
        counted(*secrets, "secret", "secrets"),
        counted(*versions, "version", "versions"),
        counted(*policies, "policy", "policies"),
        counted(*left_out, "row", "rows"),
    )?;
    writeln!(out, "Note        : {}", one_line(advice))
}

/// A time of RFC 3339 for people, without the fraction of its second.
fn to_the_second(time: &str) -> String {
    match OffsetDateTime::parse(time, &Rfc3339) {
        Ok(at) => second(at),
        Err(_) => one_line(time).into_owned(),
    }
}

pub(crate) fn margin_in_words(margin: i64) -> String {
    match margin {
        ..0 => "a restart of SPIKE Nexus would need `spike operator restore`".to_owned(),
        0 => "no Keeper may be lost".to_owned(),
        1 => "1 Keeper may be lost".to_owned(),
        _ => format!("{margin} Keepers may be lost"),
    }
}

/// The fields of the answer, each always present.
pub(crate) fn node(status: &StatusResponse) -> Node<'_> {
    let keepers = status.keepers.iter().map(|keeper| {
        Node::map([
            ("index", Node::Integer(keeper.index.into())),
            ("url", Node::Text(&keeper.url)),
            ("state", Node::Text(keeper.state.as_str())),
            ("since", Node::Text(&keeper.since)),
            ("looked", text(keeper.looked.as_ref())),
            ("failures", Node::Integer(keeper.failures.into())),
            ("version", text(keeper.version.as_ref())),
            ("started", text(keeper.started.as_ref())),
            ("detail", text(keeper.detail.as_ref())),
        ])
    });
    Node::map([
        ("version", Node::Text(&status.version)),
        ("sealed", Node::Boolean(status.sealed)),
        ("reason", text(status.reason.as_ref())),
        ("sealedBy", status.sealed_by.map_or(Node::Null, |by| Node::Text(by.as_str()))),
        ("lastCopy", Node::Boolean(status.last_copy)),
        ("data", status.data.map_or(Node::Null, |data| Node::Text(data.as_str()))),
        ("fed", Node::Integer(status.fed.into())),
        ("backend", Node::Text(&status.backend)),
        ("started", text(status.started.as_ref())),
        ("recent", status.recent.map_or(Node::Null, recent)),
        ("rootKey", text(status.root_key.as_ref())),
        ("dataKey", status.data_key.map_or(Node::Null, |key| Node::Integer(key.into()))),
        ("shares", Node::Integer(status.shares.into())),
        ("threshold", Node::Integer(status.threshold.into())),
        ("margin", status.margin.map_or(Node::Null, Node::Integer)),
        ("asked", text(status.asked.as_ref())),
        ("keepers", Node::List(keepers.collect())),
        ("trustDomains", Node::texts(&status.trust_domains)),
        ("lastExport", text(status.last_export.as_ref())),
        ("store", status.store.as_ref().map_or(Node::Null, store_node)),
        ("troubles", Node::List(status.troubles.iter().map(|text| Node::Text(text)).collect())),
        ("checks", Node::List(status.checks.iter().map(check_node).collect())),
    ])
}

fn check_node(check: &CheckStatus) -> Node<'_> {
    Node::map([
        ("name", Node::Text(&check.name)),
        ("effect", Node::Text(check.effect.as_str())),
        ("reason", Node::Text(&check.reason)),
    ])
}

fn recent<'a>(recent: RecentRequests) -> Node<'a> {
    let RecentRequests { seconds, requests, refused, failed } = recent;
    Node::map([
        ("seconds", count(seconds)),
        ("requests", count(requests)),
        ("refused", count(refused)),
        ("failed", count(failed)),
    ])
}

fn count<'a>(count: u64) -> Node<'a> {
    Node::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn store_node(store: &StoreStatus) -> Node<'_> {
    let import = store.import.as_ref().map_or(Node::Null, |import| {
        Node::map([
            ("at", Node::Text(&import.at)),
            ("sha256", Node::Text(&import.sha256)),
            ("secrets", count(import.secrets)),
            ("versions", count(import.versions)),
            ("policies", count(import.policies)),
            ("leftOut", count(import.left_out)),
            ("advice", Node::Text(&import.advice)),
        ])
    });
    let troubles = store.troubles.iter().map(|trouble| Node::Text(trouble));
    Node::map([
        ("bytes", count(store.bytes)),
        ("logBytes", count(store.log_bytes)),
        ("lastCommit", text(store.last_commit.as_ref())),
        ("freeBytes", store.free_bytes.map_or(Node::Null, count)),
        ("lastBackup", text(store.last_backup.as_ref())),
        ("troubles", Node::List(troubles.collect())),
        ("import", import),
    ])
}

fn text(text: Option<&String>) -> Node<'_> {
    text.map_or(Node::Null, |text| Node::Text(text))
}

#[cfg(test)]
mod tests;
