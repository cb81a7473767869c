use spike_domain::Role;
use spike_mtls::PeerCertificate;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::error::Error;

mod room;

const NOW: OffsetDateTime = datetime!(2026-11-28 14:20:05 UTC);
const TERMINAL: Screen = Screen { columns: Some(80), colour: false, compact: false };
const WIDE: Screen = Screen { columns: Some(200), colour: false, compact: false };
const PIPE: Screen = Screen { columns: None, colour: false, compact: false };

/// A certificate that began so many minutes ago and lives for an hour.
fn certificate(role: &str, age: i64) -> PeerCertificate {
    let not_before = NOW - Duration::minutes(age);
    let not_after = not_before + Duration::hours(1);
    PeerCertificate { id: format!("spiffe://spike.ist/spike/{role}"), not_before, not_after }
}

fn status() -> StatusResponse {
    let keeper = |index: u16, state, failures, detail: Option<&str>| KeeperStatus {
        index,
        url: format!("https://keeper-{index}.spike.svc:8443"),
        state,
        since: "2026-11-28T12:00:02Z".to_owned(),
        looked: Some("2026-11-28T14:20:05Z".to_owned()),
        failures,
        version: (failures == 0).then(|| "0.1.0".to_owned()),
        started: (index == 1).then(|| "2026-11-27T10:00:00Z".to_owned()),
        detail: detail.map(str::to_owned),
    };
    StatusResponse {
        version: "0.1.0".to_owned(),
        backend: "sqlite".to_owned(),
        started: Some("2026-11-28T12:00:01Z".to_owned()),
        recent: Some(RecentRequests { seconds: 300, requests: 1204, refused: 3, failed: 0 }),
        root_key: Some("5f2a7c91e0d4b368".to_owned()),
        data_key: Some(1),
        shares: 3,
        threshold: 2,
        margin: Some(0),
        asked: Some("2026-11-28T14:20:05Z".to_owned()),
        keepers: vec![
            keeper(1, KeeperStatusKind::Good, 0, None),
            keeper(2, KeeperStatusKind::Good, 0, None),
            keeper(3, KeeperStatusKind::Unreachable, 4, Some("\x1b[2Jconnection refused")),
        ],
        store: Some(StoreStatus {
            bytes: 57_344,
            log_bytes: 4_194_304,
            free_bytes: Some(13_000_000_000),
            last_backup: Some("2026-11-28T02:00:00Z".to_owned()),
            ..StoreStatus::default()
        }),
        ..StatusResponse::default()
    }
}

fn keepers() -> Vec<KeeperSeen> {
    let seen = |index: u16, shown| KeeperSeen {
        index,
        url: format!("https://keeper-{index}.spike.svc:8443"),
        shown,
    };
    let away = "cannot connect to keeper-3.spike.svc:8443: Connection refused (os error 111)";
    vec![
        seen(1, Ok(certificate("keeper/one", 40))),
        seen(2, Ok(certificate("keeper/two", 50))),
        seen(3, Err(away.to_owned())),
    ]
}

fn look() -> Look {
    Look {
        at: NOW,
        api: "https://spike-nexus.spike.svc:8553/".to_owned(),
        answer: Ok(status()),
        own: Some(certificate("pilot/role/superuser", 12)),
        seen: Certificates { nexus: Ok(certificate("nexus", 25)), keepers: Some(keepers()) },
    }
}

fn away() -> Look {
    let refused = "Failed to connect to SPIKE Nexus at https://spike-nexus.spike.svc:8553/: cannot connect to spike-nexus.spike.svc:8553: Connection refused (os error 111)";
    let nexus =
        Err("cannot connect to spike-nexus.spike.svc:8553: Connection refused (os error 111)"
            .to_owned());
    Look {
        answer: Err(Error::usage(refused)),
        seen: Certificates { nexus, keepers: Some(keepers()) },
        ..look()
    }
}

#[test]
fn a_screen_of_80_columns() {
    let shown = draw(&look(), &TERMINAL);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    insta::assert_snapshot!(shown, @r"
    SPIKE at https://spike-nexus.spike.svc:8553/, 2026-11-28T14:20:05Z
    Nexus      ready
               version 0.1.0, since 2026-11-28T12:00:01Z (2 h 20 min ago)
    Root key   5f2a7c91e0d4b368, data key 1, any 2 of 3 shares rebuild it
    Margin     no Keeper may be lost
    Requests   1204 in the last 5 min; 3 refused (4xx), 0 failed (5xx)
    Store      sqlite, 56.0 KiB and 4.0 MiB of log, 12.1 GiB free
    Backup     verified, of 2026-11-28T02:00:00Z (12 h 20 min ago)

    Keepers
    1          good        https://keeper-1.spike.svc:8443, since
               2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0, up since
               2026-11-27T10:00:00Z (1 d 4 h ago)
    2          good        https://keeper-2.spike.svc:8443, since
               2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0
    3          unreachable https://keeper-3.spike.svc:8443, since
               2026-11-28T12:00:02Z (2 h 20 min ago), 4 times in a row:
               \u{1b}[2Jconnection refused

    SVIDs
    spike      [################----] 80 % left, 48 min,
               spiffe://spike.ist/spike/pilot/role/superuser
    Nexus      [############--------] 58 % left, 35 min,
               spiffe://spike.ist/spike/nexus
    Keeper 1   [#######-------------] 33 % left, 20 min,
               spiffe://spike.ist/spike/keeper/one
    Keeper 2   [####----------------] 16 % left, 10 min: it should have been
               renewed, spiffe://spike.ist/spike/keeper/two
    Keeper 3   not known: cannot connect to keeper-3.spike.svc:8443: Connection
               refused (os error 111)
    ");
}

#[test]
fn a_screen_of_200_columns() {
    let shown = draw(&look(), &WIDE);
    assert!(shown.lines().all(|line| line.chars().count() <= 200), "{shown}");
    insta::assert_snapshot!(shown, @r"
    SPIKE at https://spike-nexus.spike.svc:8553/, 2026-11-28T14:20:05Z
    Nexus      ready
               version 0.1.0, since 2026-11-28T12:00:01Z (2 h 20 min ago)
    Root key   5f2a7c91e0d4b368, data key 1, any 2 of 3 shares rebuild it
    Margin     no Keeper may be lost
    Requests   1204 in the last 5 min; 3 refused (4xx), 0 failed (5xx)
    Store      sqlite, 56.0 KiB and 4.0 MiB of log, 12.1 GiB free
    Backup     verified, of 2026-11-28T02:00:00Z (12 h 20 min ago)

    Keepers
    1          good        https://keeper-1.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0, up since 2026-11-27T10:00:00Z (1 d 4 h ago)
    2          good        https://keeper-2.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0
    3          unreachable https://keeper-3.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), 4 times in a row: \u{1b}[2Jconnection refused

    SVIDs
    spike      [########################################----------] 80 % left, 48 min, spiffe://spike.ist/spike/pilot/role/superuser
    Nexus      [#############################---------------------] 58 % left, 35 min, spiffe://spike.ist/spike/nexus
    Keeper 1   [#################---------------------------------] 33 % left, 20 min, spiffe://spike.ist/spike/keeper/one
    Keeper 2   [########------------------------------------------] 16 % left, 10 min: it should have been renewed, spiffe://spike.ist/spike/keeper/two
    Keeper 3   not known: cannot connect to keeper-3.spike.svc:8443: Connection refused (os error 111)
    ");
}

#[test]
fn a_screen_with_colour_says_the_same_words() {
    let coloured = draw(&look(), &Screen { colour: true, ..TERMINAL });
    insta::assert_snapshot!(coloured.escape_debug().to_string().replace("\\n", "\n"), @r"
    \u{1b}[1mSPIKE\u{1b}[0m \u{1b}[1mat\u{1b}[0m \u{1b}[1mhttps://spike-nexus.spike.svc:8553/,\u{1b}[0m \u{1b}[1m2026-11-28T14:20:05Z\u{1b}[0m
    Nexus      \u{1b}[32mready\u{1b}[0m
               version 0.1.0, since 2026-11-28T12:00:01Z (2 h 20 min ago)
    Root key   5f2a7c91e0d4b368, data key 1, any 2 of 3 shares rebuild it
    Margin     \u{1b}[33mno\u{1b}[0m \u{1b}[33mKeeper\u{1b}[0m \u{1b}[33mmay\u{1b}[0m \u{1b}[33mbe\u{1b}[0m \u{1b}[33mlost\u{1b}[0m
    Requests   1204 in the last 5 min; 3 refused (4xx), 0 failed (5xx)
    Store      sqlite, 56.0 KiB and 4.0 MiB of log, 12.1 GiB free
    Backup     verified, of 2026-11-28T02:00:00Z (12 h 20 min ago)

    \u{1b}[1mKeepers\u{1b}[0m
    1          \u{1b}[32mgood\u{1b}[0m        https://keeper-1.spike.svc:8443, since
               2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0, up since
               2026-11-27T10:00:00Z (1 d 4 h ago)
    2          \u{1b}[32mgood\u{1b}[0m        https://keeper-2.spike.svc:8443, since
               2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0
    3          \u{1b}[1;31munreachable\u{1b}[0m https://keeper-3.spike.svc:8443, since
               2026-11-28T12:00:02Z (2 h 20 min ago), 4 times in a row:
               \\u{1b}[2Jconnection refused

    \u{1b}[1mSVIDs\u{1b}[0m
    spike      \u{1b}[32m[################----]\u{1b}[0m 80 % left, 48 min,
               spiffe://spike.ist/spike/pilot/role/superuser
    Nexus      \u{1b}[32m[############--------]\u{1b}[0m 58 % left, 35 min,
               spiffe://spike.ist/spike/nexus
    Keeper 1   \u{1b}[33m[#######-------------]\u{1b}[0m 33 % left, 20 min,
               spiffe://spike.ist/spike/keeper/one
    Keeper 2   \u{1b}[1;31m[####----------------]\u{1b}[0m 16 % left, 10 min: it should have been
               renewed, spiffe://spike.ist/spike/keeper/two
    Keeper 3   \u{1b}[33mnot\u{1b}[0m \u{1b}[33mknown:\u{1b}[0m cannot connect to keeper-3.spike.svc:8443: Connection
               refused (os error 111)
    ");
    let mut plain = coloured.clone();
    for code in ["32", "33", "1;31", "2", "1", "0"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    assert_eq!(plain, draw(&look(), &TERMINAL));
    assert_ne!(plain, coloured);
}

#[test]
fn a_pipe_gets_each_fact_on_one_line_and_no_escape() {
    let shown = draw(&look(), &PIPE);
    assert!(!shown.contains('\x1b'), "{shown}");
    insta::assert_snapshot!(shown, @r"
    SPIKE at https://spike-nexus.spike.svc:8553/, 2026-11-28T14:20:05Z
    Nexus      ready
               version 0.1.0, since 2026-11-28T12:00:01Z (2 h 20 min ago)
    Root key   5f2a7c91e0d4b368, data key 1, any 2 of 3 shares rebuild it
    Margin     no Keeper may be lost
    Requests   1204 in the last 5 min; 3 refused (4xx), 0 failed (5xx)
    Store      sqlite, 56.0 KiB and 4.0 MiB of log, 12.1 GiB free
    Backup     verified, of 2026-11-28T02:00:00Z (12 h 20 min ago)

    Keepers
    1          good        https://keeper-1.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0, up since 2026-11-27T10:00:00Z (1 d 4 h ago)
    2          good        https://keeper-2.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0
    3          unreachable https://keeper-3.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), 4 times in a row: \u{1b}[2Jconnection refused

    SVIDs
    spike      [################----] 80 % left, 48 min, spiffe://spike.ist/spike/pilot/role/superuser
    Nexus      [############--------] 58 % left, 35 min, spiffe://spike.ist/spike/nexus
    Keeper 1   [#######-------------] 33 % left, 20 min, spiffe://spike.ist/spike/keeper/one
    Keeper 2   [####----------------] 16 % left, 10 min: it should have been renewed, spiffe://spike.ist/spike/keeper/two
    Keeper 3   not known: cannot connect to keeper-3.spike.svc:8443: Connection refused (os error 111)
    ");
}

#[test]
fn what_is_not_known_while_nexus_is_away_is_said() {
    insta::assert_snapshot!(draw(&away(), &TERMINAL), @"
    SPIKE at https://spike-nexus.spike.svc:8553/, 2026-11-28T14:20:05Z
    Nexus      not known: Failed to connect to SPIKE Nexus at
               https://spike-nexus.spike.svc:8553/: cannot connect to
               spike-nexus.spike.svc:8553: Connection refused (os error 111)

    Keepers
    1          https://keeper-1.spike.svc:8443: it is there; whether it holds a
               share only SPIKE Nexus knows
    2          https://keeper-2.spike.svc:8443: it is there; whether it holds a
               share only SPIKE Nexus knows
    3          https://keeper-3.spike.svc:8443: not known

    SVIDs
    spike      [################----] 80 % left, 48 min,
               spiffe://spike.ist/spike/pilot/role/superuser
    Nexus      not known: cannot connect to spike-nexus.spike.svc:8553: Connection
               refused (os error 111)
    Keeper 1   [#######-------------] 33 % left, 20 min,
               spiffe://spike.ist/spike/keeper/one
    Keeper 2   [####----------------] 16 % left, 10 min: it should have been
               renewed, spiffe://spike.ist/spike/keeper/two
    Keeper 3   not known: cannot connect to keeper-3.spike.svc:8443: Connection
               refused (os error 111)
    ");
    let alone = Look {
        own: None,
        seen: Certificates {
            nexus: Err("this process has no SVID to show".to_owned()),
            keepers: None,
        },
        ..away()
    };
    insta::assert_snapshot!(draw(&alone, &PIPE), @"
    SPIKE at https://spike-nexus.spike.svc:8553/, 2026-11-28T14:20:05Z
    Nexus      not known: Failed to connect to SPIKE Nexus at https://spike-nexus.spike.svc:8553/: cannot connect to spike-nexus.spike.svc:8553: Connection refused (os error 111)

    Keepers
               not known: SPIKE Nexus does not answer, and SPIKE_NEXUS_KEEPER_PEERS is not set here

    SVIDs
    spike      not known: the Workload API has given none
    Nexus      not known: this process has no SVID to show
    Keepers    not looked at: SPIKE_NEXUS_KEEPER_PEERS is not set here
    ");
}

#[test]
fn a_sealed_nexus_says_why_and_what_it_does_not_tell_is_not_invented() {
    let sealed = StatusResponse {
        sealed: true,
        reason: Some("not ready: 1 of 2 shares".to_owned()),
        margin: None,
        root_key: None,
        data_key: None,
        store: None,
        // As one of an earlier release answers.
        started: None,
        recent: None,
        ..status()
    };
    insta::assert_snapshot!(draw(&Look { answer: Ok(sealed), ..look() }, &PIPE), @r"
    SPIKE at https://spike-nexus.spike.svc:8553/, 2026-11-28T14:20:05Z
    Nexus      sealed: 1 of 2 shares
               version 0.1.0, since when is not known: this SPIKE Nexus does not tell
    Root key   none, any 2 of 3 shares rebuild it
    Margin     none while it is sealed: 2 of 3 Keepers hold a share, 2 are needed
    Requests   not known: this SPIKE Nexus does not count them
    Store      sqlite, not known: SPIKE Nexus is sealed

    Keepers
    1          good        https://keeper-1.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0, up since 2026-11-27T10:00:00Z (1 d 4 h ago)
    2          good        https://keeper-2.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), version 0.1.0
    3          unreachable https://keeper-3.spike.svc:8443, since 2026-11-28T12:00:02Z (2 h 20 min ago), 4 times in a row: \u{1b}[2Jconnection refused

    SVIDs
    spike      [################----] 80 % left, 48 min, spiffe://spike.ist/spike/pilot/role/superuser
    Nexus      [############--------] 58 % left, 35 min, spiffe://spike.ist/spike/nexus
    Keeper 1   [#######-------------] 33 % left, 20 min, spiffe://spike.ist/spike/keeper/one
    Keeper 2   [####----------------] 16 % left, 10 min: it should have been renewed, spiffe://spike.ist/spike/keeper/two
    Keeper 3   not known: cannot connect to keeper-3.spike.svc:8443: Connection refused (os error 111)
    ");
}

#[test]
fn a_new_deployment_is_told_to_run_bootstrap() {
    let mut new = StatusResponse {
        sealed: true,
        data: Some(spike_wire::DataKind::None),
        margin: None,
        root_key: None,
        ..status()
    };
    new.keepers.iter_mut().for_each(|keeper| keeper.state = KeeperStatusKind::Empty);
    let shown = draw(&Look { answer: Ok(new), ..look() }, &PIPE);
    assert!(shown.contains("\nNext       in a new deployment, run Bootstrap once"), "{shown}");
    assert!(shown.contains("\nMargin     none yet: there is no root key\n"), "{shown}");
}

#[test]
fn the_style_of_a_life_follows_what_is_left_of_it() {
    for (age, part) in [
        (10, "83 % left, 50 min,"),
        (40, "33 % left, 20 min,"),
        (50, "16 % left, 10 min: it should have been renewed,"),
        (70, "ended 10 min ago,"),
        (-5, "not valid before 2026-11-28T14:25:05Z,"),
    ] {
        let look = Look { own: Some(certificate("pilot/role/superuser", age)), ..look() };
        let shown = draw(&look, &PIPE);
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// Of a Nexus that refused the question it said that it does not answer.
#[test]
fn a_nexus_that_refuses_or_was_not_asked_is_not_told_as_one_that_does_not_answer() {
    let shown = |error| {
        let seen = Certificates { keepers: None, ..look().seen };
        draw(&Look { answer: Err(error), seen, ..look() }, &PIPE)
    };
    let wrong_role = Error::WrongRole {
        roles: &Role::OPERATORS,
        id: "spiffe://spike.ist/app".to_owned(),
        expected: vec!["spiffe://spike.ist/spike/pilot/role/superuser".to_owned()],
    };
    assert!(shown(wrong_role).contains("SPIKE Nexus was not asked"));
    assert!(shown(Error::usage("x")).contains("SPIKE Nexus does not answer"));
}

#[test]
fn the_page_about_the_status_shows_such_a_screen() {
    let page = include_str!("../../../../../docs/operations/status.md");
    let seen = Certificates { keepers: None, ..look().seen };
    let trust_domains = ["example.org", "partner.org"].map(str::to_owned).to_vec();
    let answer = Ok(StatusResponse { trust_domains, ..status() });
    let drawn = draw(&Look { answer, seen, ..look() }, &PIPE);
    let drawn = drawn.replace(".spike.svc", "").replace("spike.ist", "example.org");
    let drawn = drawn.replace(r"\u{1b}[2J", "");
    assert!(page.contains(&format!("```text\n{}\n```", drawn.trim_end())), "{drawn}");
}
