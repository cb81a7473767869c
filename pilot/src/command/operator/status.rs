//! `spike operator status`, which upstream does not have.

use std::io::{self, Write};

use spike_domain::Role;
use spike_wire::{
    DataKind, EmptyRequest, ImportStatus, KeeperStatus, KeeperStatusKind, StatusResponse,
    StoreStatus, call,
};

use crate::cli::Format;
use crate::context::Context;
use crate::error::Error;
use crate::output::{Node, one_line, write_json, write_yaml};

pub(super) async fn run(format: Format, context: &mut Context<'_>) -> Result<(), Error> {
    let any = &[Role::PilotSuperuser, Role::PilotRecover, Role::PilotRestore];
    let session = context.nexus(any).await?;
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
    } else if let Some(margin) = status.margin {
        write!(out, "Margin      : {}", margin_in_words(margin))?;
        if let Some(asked) = &status.asked {
            write!(out, ", every Keeper was asked at {}", to_the_second(asked))?;
        }
        writeln!(out)?;
    } else if status.sealed && status.shares > 0 {
        writeln!(out, "Margin      : not known while SPIKE Nexus is sealed")?;
    }
    let export = status.last_export.as_deref().unwrap_or("never");
    writeln!(out, "Last export : {}", to_the_second(export))?;
    for trouble in &status.troubles {
        writeln!(out, "Trouble     : {}", one_line(trouble))?;
    }
    if is_new(status) {
        writeln!(
            out,
            "Next        : run Bootstrap once (`bootstrap -init`): there is neither data nor a share at any Keeper"
        )?;
    }
    if let Some(store) = &status.store {
        human_store(out, store)?;
    }
    status.keepers.iter().try_for_each(|keeper| {
        let KeeperStatus { index, url, state, since, looked, failures, detail } = keeper;
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

/// Whether no root key was ever made here, as far as anybody knows: SPIKE Nexus is sealed and has no data, and every Keeper says
/// that it holds no share. Nobody restores one either.
pub(crate) fn is_new(status: &StatusResponse) -> bool {
    let is_empty = |keeper: &KeeperStatus| keeper.state == KeeperStatusKind::Empty;
    status.sealed
        && status.fed == 0
        && status.data == Some(DataKind::None)
        && !status.keepers.is_empty()
        && status.keepers.iter().all(is_empty)
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
        "Imported    : {}: {secrets} secrets, {versions} versions, {policies} policies; {left_out} rows left out",
        to_the_second(at)
    )?;
    writeln!(out, "Note        : {}", one_line(advice))
}

/// A time of RFC 3339 for people, without the fraction of its second.
fn to_the_second(time: &str) -> String {
    let time = one_line(time);
    match time.split_once('.') {
        Some((whole, fraction)) if fraction.ends_with('Z') => format!("{whole}Z"),
        _ => time.into_owned(),
    }
}

fn margin_in_words(margin: i64) -> String {
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
            ("detail", text(keeper.detail.as_ref())),
        ])
    });
    Node::map([
        ("version", Node::Text(&status.version)),
        ("sealed", Node::Boolean(status.sealed)),
        ("reason", text(status.reason.as_ref())),
        ("data", status.data.map_or(Node::Null, |data| Node::Text(data.as_str()))),
        ("fed", Node::Integer(status.fed.into())),
        ("backend", Node::Text(&status.backend)),
        ("rootKey", text(status.root_key.as_ref())),
        ("dataKey", status.data_key.map_or(Node::Null, |key| Node::Integer(key.into()))),
        ("shares", Node::Integer(status.shares.into())),
        ("threshold", Node::Integer(status.threshold.into())),
        ("margin", status.margin.map_or(Node::Null, Node::Integer)),
        ("asked", text(status.asked.as_ref())),
        ("keepers", Node::List(keepers.collect())),
        ("lastExport", text(status.last_export.as_ref())),
        ("store", status.store.as_ref().map_or(Node::Null, store_node)),
        ("troubles", Node::List(status.troubles.iter().map(|text| Node::Text(text)).collect())),
    ])
}

fn store_node(store: &StoreStatus) -> Node<'_> {
    let count = |count: u64| Node::Integer(i64::try_from(count).unwrap_or(i64::MAX));
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
        ("troubles", Node::List(troubles.collect())),
        ("import", import),
    ])
}

fn text(text: Option<&String>) -> Node<'_> {
    text.map_or(Node::Null, |text| Node::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeNexus;

    fn status() -> StatusResponse {
        let keeper = |index: u16, state, detail: Option<&str>| KeeperStatus {
            index,
            url: format!("https://keeper-{index}:8443"),
            state,
            since: "2026-07-25T20:02:04Z".to_owned(),
            looked: Some("2026-07-25T20:03:05Z".to_owned()),
            failures: if detail.is_some() { 2 } else { 0 },
            detail: detail.map(str::to_owned),
        };
        StatusResponse {
            version: "0.1.0".to_owned(),
            backend: "sqlite".to_owned(),
            root_key: Some("5f2a".to_owned()),
            data_key: Some(1),
            shares: 2,
            threshold: 1,
            margin: Some(0),
            asked: Some("2026-07-25T20:03:04Z".to_owned()),
            keepers: vec![
                keeper(1, KeeperStatusKind::Good, None),
                keeper(2, KeeperStatusKind::Unreachable, Some("\x1b[2Jconnection refused")),
            ],
            ..StatusResponse::default()
        }
    }

    #[test]
    fn every_keeper_is_shown_and_the_terminal_is_safe() {
        let nexus = FakeNexus::start(|_, _| (200, status().encode()));
        for role in [Role::PilotSuperuser, Role::PilotRecover, Role::PilotRestore] {
            assert_eq!(nexus.run_as(role, &["operator", "status"], "").exit, crate::Exit::Success);
        }
        insta::assert_snapshot!(nexus.run(&["operator", "status"]), @r"
        [0]
        Version     : 0.1.0
        State       : ready
        Backend     : sqlite
        Root key    : 5f2a
        Data key    : 1
        Shares      : 2 (1 rebuild the key: each Keeper, and each recovery file, is the whole root key)
        Margin      : no Keeper may be lost, every Keeper was asked at 2026-07-25T20:03:04Z
        Last export : never
        Keeper 1    : good, https://keeper-1:8443, since 2026-07-25T20:02:04Z, last asked 2026-07-25T20:03:05Z
        Keeper 2    : unreachable, https://keeper-2:8443, since 2026-07-25T20:02:04Z, last asked 2026-07-25T20:03:05Z, 2 times in a row: \u{1b}[2Jconnection refused
        --
        ");
    }

    // It was "0 (0 rebuild the key)".
    #[test]
    fn a_backend_without_a_root_key_has_no_shares() {
        let memory = StatusResponse { backend: "memory".to_owned(), ..Default::default() };
        let nexus = FakeNexus::start(move |_, _| (200, memory.encode()));
        let shown = nexus.run(&["operator", "status"]).stdout;
        let told = "\nShares      : none: the memory backend has no root key to share\n";
        assert!(shown.contains(told), "{shown}");
    }

    #[test]
    fn a_sealed_nexus_says_why() {
        let sealed = StatusResponse {
            sealed: true,
            reason: Some("1 of 2 shares".to_owned()),
            margin: Some(-1),
            asked: None,
            keepers: Vec::new(),
            root_key: None,
            data_key: None,
            last_export: Some("2026-07-25T20:02:04Z".to_owned()),
            ..status()
        };
        let nexus = FakeNexus::start(move |_, _| (200, sealed.encode()));
        insta::assert_snapshot!(nexus.run(&["operator", "status"]), @"
        [0]
        Version     : 0.1.0
        State       : sealed: 1 of 2 shares
        Backend     : sqlite
        Root key    : none
        Data key    : none
        Shares      : 2 (1 rebuild the key: each Keeper, and each recovery file, is the whole root key)
        Margin      : a restart of SPIKE Nexus would need `spike operator restore`
        Last export : 2026-07-25T20:02:04Z
        --
        ");
        insta::assert_snapshot!(nexus.run(&["operator", "status", "-f", "json"]), @r#"
        [0]
        {
          "version": "0.1.0",
          "sealed": true,
          "reason": "1 of 2 shares",
          "data": null,
          "fed": 0,
          "backend": "sqlite",
          "rootKey": null,
          "dataKey": null,
          "shares": 2,
          "threshold": 1,
          "margin": -1,
          "asked": null,
          "keepers": [],
          "lastExport": "2026-07-25T20:02:04Z",
          "store": null,
          "troubles": []
        }
        --
        "#);
    }

    // It spoke of a restore where Bootstrap had not run yet.
    #[test]
    fn a_new_deployment_is_told_to_run_bootstrap_and_one_with_data_or_a_share_is_not() {
        let shown = |data, state, fed| {
            let mut sealed = StatusResponse {
                sealed: true,
                data: Some(data),
                fed,
                margin: Some(-1),
                root_key: None,
                ..status()
            };
            sealed.keepers.iter_mut().for_each(|keeper| keeper.state = KeeperStatusKind::Empty);
            sealed.keepers[0].state = state;
            let nexus = FakeNexus::start(move |_, _| (200, sealed.encode()));
            nexus.run(&["operator", "status"]).stdout
        };
        let new = shown(DataKind::None, KeeperStatusKind::Empty, 0);
        assert!(new.contains("\nMargin      : none yet: there is no root key\n"), "{new}");
        assert!(new.contains("\nNext        : run Bootstrap once"), "{new}");
        assert!(!new.contains("restore"), "{new}");
        for (data, state, fed) in [
            (DataKind::Ours, KeeperStatusKind::Empty, 0),
            (DataKind::None, KeeperStatusKind::Unjudged, 0),
            (DataKind::None, KeeperStatusKind::Unreachable, 0),
            (DataKind::None, KeeperStatusKind::Empty, 1),
        ] {
            let used = shown(data, state, fed);
            assert!(!used.contains("Bootstrap"), "{used}");
        }
    }

    #[test]
    fn every_field_of_the_wire_is_in_the_data() {
        let status = StatusResponse { data: Some(DataKind::Ours), fed: 2, ..status() };
        let mut out = Vec::new();
        write_json(&mut out, &node(&status), 2).unwrap();
        assert_eq!(StatusResponse::decode(&out).unwrap(), status);
    }

    #[test]
    fn what_is_wrong_with_the_store_and_what_was_imported_is_shown() {
        let import = ImportStatus {
            at: "2026-07-25T20:02:04Z".to_owned(),
            secrets: 2,
            versions: 3,
            policies: 1,
            left_out: 4,
            advice: "destroy spike.db".to_owned(),
            ..ImportStatus::default()
        };
        let troubles = vec!["the store cannot be written: \x1b[2Jdisk full".to_owned()];
        let store = StoreStatus { troubles, import: Some(import), ..StoreStatus::default() };
        let status = StatusResponse { store: Some(store), ..status() };
        let mut out = Vec::new();
        write_json(&mut out, &node(&status), 2).unwrap();
        assert_eq!(StatusResponse::decode(&out).unwrap(), status);
        let nexus = FakeNexus::start(move |_, _| (200, status.encode()));
        let shown = nexus.run(&["operator", "status"]).to_string();
        for part in [
            "Trouble     : the store cannot be written:",
            "Imported    : 2026-07-25T20:02:04Z: 2 secrets, 3 versions, 1 policies; 4 rows left out",
            "Note        : destroy spike.db",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\x1b'));
    }

    #[test]
    fn a_nexus_of_upstreams_is_recognised() {
        let nexus = FakeNexus::start(|operation, _| {
            crate::testing::error(operation, spike_wire::ErrorCode::ApiBadRequest)
        });
        insta::assert_snapshot!(nexus.run(&["operator", "status"]), @"
        [1]
        --
        Error: SPIKE Nexus refused the request to read the status of SPIKE Nexus: invalid request (400 api_bad_request, request req-1)
        hint: this SPIKE Nexus may be one of upstream's, which has no such route
        ");
    }
}
