use spike_wire::{DataKind, KeeperStatusKind, SealedBy};

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
        version: None,
        started: None,
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
        store: Some(StoreStatus::default()),
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

#[test]
fn the_trust_domains_whose_bundles_are_held_are_shown_and_the_terminal_is_safe() {
    let domains = ["spike.ist", "partner.org\x1b[2J"].map(str::to_owned);
    let trusts = StatusResponse { trust_domains: domains.to_vec(), ..status() };
    let nexus = FakeNexus::start(move |_, _| (200, trusts.encode()));
    let shown = nexus.run(&["operator", "status"]).stdout;
    assert!(shown.contains("\nTrusts      : spike.ist, partner.org\\u{1b}[2J\n"), "{shown}");
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
        store: None,
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
    Margin      : none while it is sealed: 0 of 0 Keepers hold a share, 1 are needed
    Last export : 2026-07-25T20:02:04Z
    --
    ");
    insta::assert_snapshot!(nexus.run(&["operator", "status", "-f", "json"]), @r#"
    [0]
    {
      "version": "0.1.0",
      "sealed": true,
      "reason": "1 of 2 shares",
      "sealedBy": null,
      "lastCopy": false,
      "data": null,
      "fed": 0,
      "backend": "sqlite",
      "started": null,
      "recent": null,
      "rootKey": null,
      "dataKey": null,
      "shares": 2,
      "threshold": 1,
      "margin": -1,
      "asked": null,
      "keepers": [],
      "trustDomains": [],
      "lastExport": "2026-07-25T20:02:04Z",
      "store": null,
      "troubles": [],
      "checks": []
    }
    --
    "#);
}

// It said "never": in a disaster, that reads as if there were no recovery files.
#[test]
fn a_nexus_that_has_not_opened_its_store_does_not_say_that_shares_were_never_taken_out() {
    let shown = |sealed, shares, store| {
        let asked = StatusResponse { sealed, shares, store, last_export: None, ..status() };
        let nexus = FakeNexus::start(move |_, _| (200, asked.encode()));
        let shown = nexus.run(&["operator", "status"]).stdout;
        shown.lines().find_map(|line| line.strip_prefix("Last export : ")).unwrap().to_owned()
    };
    assert_eq!(shown(true, 3, None), "not known while SPIKE Nexus is sealed");
    assert_eq!(shown(false, 3, None), "not known: there is no open store");
    assert_eq!(shown(false, 3, Some(StoreStatus::default())), "never");
    assert_eq!(shown(false, 0, None), "never");
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
    assert!(new.contains("\nNext        : in a new deployment, run Bootstrap once"), "{new}");
    assert!(new.contains("If SPIKE was in use before, feed recovery shares"), "{new}");
    for (data, state, fed) in [
        (DataKind::Ours, KeeperStatusKind::Empty, 0),
        (DataKind::None, KeeperStatusKind::Unjudged, 0),
        (DataKind::None, KeeperStatusKind::Unreachable, 0),
        (DataKind::None, KeeperStatusKind::Empty, 1),
    ] {
        let used = shown(data, state, fed);
        assert!(!used.contains("run Bootstrap"), "{used}");
        let is_lost = (data, state) == (DataKind::Ours, KeeperStatusKind::Empty);
        assert!(!is_lost || used.contains("\nNext        : feed recovery shares"), "{used}");
    }
}

// It said "feed recovery shares", whatever was missing: with the shares fed already, on a full disk, and with another key's data.
#[test]
fn recovery_shares_are_asked_for_only_where_they_help() {
    let shown = |sealed_by, fed| {
        let mut sealed = StatusResponse {
            sealed: true,
            sealed_by: Some(sealed_by),
            data: Some(DataKind::None),
            fed,
            margin: None,
            threshold: 2,
            root_key: None,
            ..status()
        };
        let state = match sealed_by {
            SealedBy::Shares => KeeperStatusKind::Empty,
            _ => KeeperStatusKind::Unjudged,
        };
        sealed.keepers.iter_mut().for_each(|keeper| keeper.state = state);
        let nexus = FakeNexus::start(move |_, _| (200, sealed.encode()));
        nexus.run(&["operator", "status"]).stdout
    };
    let restore = "feed recovery shares (`spike operator restore`): too few";
    for (sealed_by, part) in [
        (SealedBy::Store, "mend what the state says of the store"),
        (SealedBy::NoData, "the key is there, and its data is not: stop SPIKE Nexus"),
        (SealedBy::OtherKey, "so that data and Keepers are of one deployment"),
        (SealedBy::Mismatch, "SPIKE_NEXUS_SHAMIR_THRESHOLD its"),
    ] {
        for fed in [0, 2] {
            let told = shown(sealed_by, fed);
            assert!(told.contains(part) && !told.contains(restore), "{sealed_by:?}: {told}");
            assert!(!told.contains("run Bootstrap once"), "{sealed_by:?}: {told}");
        }
    }
    let told = shown(SealedBy::Shares, 1);
    assert!(told.contains(restore), "{told}");
}

/// It said "put the data there" and "mend the store", both of which lead to a restart.
#[test]
fn of_a_key_that_no_quorum_holds_it_says_not_to_restart_nexus() {
    for sealed_by in [SealedBy::NoData, SealedBy::Store, SealedBy::OtherKey] {
        let mut sealed = StatusResponse {
            sealed: true,
            sealed_by: Some(sealed_by),
            threshold: 2,
            root_key: None,
            ..status()
        };
        sealed.keepers.iter_mut().for_each(|keeper| keeper.state = KeeperStatusKind::Unjudged);
        let told = next_step(&sealed).unwrap_or_default();
        assert!(!told.contains("do not restart"), "{sealed_by:?}: {told}");
        sealed.keepers.iter_mut().skip(1).for_each(|it| it.state = KeeperStatusKind::Unreachable);
        let told = next_step(&sealed).unwrap_or_default();
        assert!(told.starts_with("do not restart SPIKE Nexus"), "{sealed_by:?}: {told}");
    }
}

/// The state said not to restart Nexus, because of one of two keys or beside shares that were fed, and this line said to stop it.
#[test]
fn where_nexus_says_that_it_has_the_last_copy_no_next_step_is_a_restart() {
    for sealed_by in [SealedBy::NoData, SealedBy::Store, SealedBy::OtherKey, SealedBy::Mismatch] {
        for fed in [0, 2] {
            let mut sealed = StatusResponse {
                sealed: true,
                sealed_by: Some(sealed_by),
                last_copy: true,
                data: Some(DataKind::None),
                threshold: 2,
                root_key: None,
                fed,
                ..status()
            };
            for state in [KeeperStatusKind::Unjudged, KeeperStatusKind::Empty] {
                sealed.keepers.iter_mut().for_each(|keeper| keeper.state = state);
                let told = next_step(&sealed).unwrap_or_default();
                assert!(told.starts_with("do not restart SPIKE Nexus"), "{sealed_by:?}: {told}");
            }
        }
    }
}

/// The key of the data was in use, and no line told that a restart loses another one.
#[test]
fn where_a_restart_loses_a_key_beside_the_one_in_use_no_next_step_is_a_restart() {
    let mut unsealed = StatusResponse { last_copy: true, ..status() };
    for state in [KeeperStatusKind::Good, KeeperStatusKind::Repeated, KeeperStatusKind::Foreign] {
        unsealed.keepers.iter_mut().for_each(|keeper| keeper.state = state);
        let told = next_step(&unsealed).unwrap_or_default();
        assert!(told.starts_with("do not restart SPIKE Nexus"), "{state:?}: {told}");
    }
}

// It said "feed recovery shares" to a new deployment that named one Keeper of another.
#[test]
fn a_share_without_any_data_may_be_of_another_deployment() {
    let mut sealed = StatusResponse {
        sealed: true,
        sealed_by: Some(SealedBy::Shares),
        data: Some(DataKind::None),
        threshold: 2,
        root_key: None,
        ..status()
    };
    sealed.keepers[0].state = KeeperStatusKind::Empty;
    sealed.keepers[1].state = KeeperStatusKind::Unjudged;
    let told = next_step(&sealed).unwrap_or_default();
    assert!(told.contains("correct SPIKE_NEXUS_KEEPER_PEERS"), "{told}");
    sealed.data = Some(DataKind::Ours);
    let told = next_step(&sealed).unwrap_or_default();
    assert!(told.starts_with("feed recovery shares"), "{told}");
}

#[test]
fn every_field_of_the_wire_is_in_the_data() {
    let sealed_by = Some(SealedBy::NoData);
    let status = StatusResponse {
        data: Some(DataKind::Ours),
        sealed_by,
        last_copy: true,
        fed: 2,
        ..status()
    };
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
        "Imported    : 2026-07-25T20:02:04Z: 2 secrets, 3 versions, 1 policy; 4 rows left out",
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
