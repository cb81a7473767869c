//! Our Keepers, Nexus and Bootstrap with the requests and answers of upstream's (wire-api K1, K2, N13 to N15, and rows 31 to 42
//! of 15).

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use spike_crypto::{AssociatedData, Derivation, Quorum, RootCipher, RootKey, Share, split};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::{Crew, RECOVERER, RESTORER},
    eventually,
    fake_keeper::{ReservedAddress, answer},
    raw::Answer,
    secrets::{put, value_of},
    text::{self, hex},
};
use spike_wire::{NotReady, VerifyRequest};

use crate::{WORKLOAD, crew};

const NEXUS: &str = "/spike/nexus";
const BOOTSTRAP: &str = "/spike/bootstrap";

const CONTRIBUTE: &str = "/v1/store/contribute";
const SHARD: &str = "/v1/store/shard";
const RECOVER: &str = "/v1/operator/recover";
const RESTORE: &str = "/v1/operator/restore";
const VERIFY: &str = "/v1/bootstrap/verify";
const SURVEY: &str = "/v1/bootstrap/survey";
const STATUS: &str = "/v1/store/status";

const NO_SHARE: (u16, &str) = (400, r#"{"shard":null,"Err":"api_bad_request"}"#);

/// One POST to a Keeper as a program of upstream's sends it: HTTP/1.1, no ALPN, a connection of its own.
async fn to_keeper(
    crew: &mut Crew,
    index: u16,
    path: &str,
    target: &str,
    body: &str,
) -> Result<Answer> {
    crew.dial_keeper_as(index, path)?.connect().await?.post(target, body).await
}

/// One POST to Nexus as a program of upstream's sends it.
async fn to_nexus(crew: &Crew, path: &str, target: &str, body: &str) -> Result<Answer> {
    crew.dial_as(path)?.connect().await?.post(target, body).await
}

fn list(share: &Share) -> String {
    format!("[{}]", text::list(share.value.expose_bytes(), ","))
}

fn contribution(share: &Share) -> String {
    format!(r#"{{"shard":{}}}"#, list(share))
}

/// The answer of a Keeper that holds the share.
fn held(share: &Share) -> String {
    answer(share.value.expose_bytes())
}

/// The question of upstream's Bootstrap to Nexus under `key`, and the right answer.
fn proof(key: &RootKey) -> Result<(String, String)> {
    let text = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let encrypted =
        RootCipher::new(key).aead().encrypt(text.as_bytes(), &AssociatedData::none())?;
    let question =
        VerifyRequest { nonce: encrypted.nonce.to_vec(), ciphertext: encrypted.ciphertext };
    let hash = hex(&Sha256::digest(text));
    Ok((String::from_utf8(question.encode().to_vec())?, format!(r#"{{"hash":"{hash}"}}"#)))
}

#[tokio::test]
async fn keepers_of_upstream_serve_our_bootstrap_and_our_nexus() -> Result<()> {
    let addresses = ReservedAddress::several(3).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let plan = crew().keepers_at(&urls, 2);
    let mut crew =
        plan.setting("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", "300ms").start_sealed().await?;
    let keepers: Vec<_> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;

    let shares = crew.recover().await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        assert_eq!(keeper.given()[0].from, "spiffe://spike.ist/spike/bootstrap");
        assert!(keeper.given().iter().all(|given| given.body == contribution(share)));
        // The periodic push goes on, as with upstream's Nexus.
        eventually("a push", PATIENCE, async || {
            let last = keeper.given().pop().map(|given| given.from);
            Ok((last.as_deref() == Some("spiffe://spike.ist/spike/nexus")).then_some(()))
        })
        .await?;
    }
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// The flow of upstream's Bootstrap (crypto-and-storage 5.5): shares to every Keeper, then the question until it is
/// answered.
#[tokio::test]
async fn our_keepers_and_our_nexus_serve_the_bootstrap_and_the_nexus_of_upstream() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let key = RootKey::generate()?;
    let shares = split(&key, Quorum::new(3, 2)?, Derivation::Reject);
    let (question, proved) = proof(&key)?;
    for (index, share) in (1..).zip(&shares) {
        assert_eq!(
            to_keeper(&mut crew, index, NEXUS, SHARD, "{}").await?.status_and_body(),
            NO_SHARE
        );
        if index == 1 {
            let early = to_nexus(&crew, BOOTSTRAP, VERIFY, &question).await?;
            assert_eq!(early.status_and_body(), (503, r#"{"err":"state_not_ready"}"#));
        }
        let given =
            to_keeper(&mut crew, index, BOOTSTRAP, CONTRIBUTE, &contribution(share)).await?;
        assert_eq!(given.status_and_body(), (200, "{}"));
    }
    // Without data, only the proof of a key makes a store, whoever made the key.
    crew.sealed_because("its proof of the key is awaited").await?;
    let (foreign, _) = proof(&RootKey::generate()?)?;
    for (path, body, status) in [
        (BOOTSTRAP, foreign.as_str(), 503),
        (BOOTSTRAP, r#"{"nonce":"AAAA","ciphertext":"AAAA"}"#, 503),
        (SUPERUSER, &question, 401),
        (WORKLOAD, &question, 401),
    ] {
        assert_eq!(to_nexus(&crew, path, VERIFY, body).await?.status, status, "{path} {body}");
    }
    assert!(!crew.dir().join("data/nexus.db").exists());
    eventually("the proof", PATIENCE, async || {
        let answer = to_nexus(&crew, BOOTSTRAP, VERIFY, &question).await?;
        ensure!(
            answer.status_and_body() == (200, proved.as_str()) || answer.status == 503,
            "{:?}",
            answer.status_and_body()
        );
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(
        to_nexus(&crew, BOOTSTRAP, VERIFY, &question).await?.status_and_body(),
        (200, proved.as_str())
    );
    let refused = to_nexus(&crew, BOOTSTRAP, VERIFY, &foreign).await?;
    assert_ne!(refused.status, 200);
    assert_eq!(refused.json()["hash"], "");

    // As upstream's Nexus: it asks each Keeper for its share, and pushes it back.
    for (index, share) in (1..).zip(&shares) {
        for body in ["{}", "null"] {
            let given = to_keeper(&mut crew, index, NEXUS, SHARD, body).await?;
            assert_eq!(given.status_and_body(), (200, held(share).as_str()));
        }
        let pushed = to_keeper(&mut crew, index, NEXUS, CONTRIBUTE, &contribution(share)).await?;
        assert_eq!(pushed.status_and_body(), (200, "{}"));
        assert_eq!(
            to_keeper(&mut crew, index, NEXUS, SHARD, "").await?.status_and_body(),
            NO_SHARE
        );
    }
    let recovered = to_nexus(&crew, RECOVERER, RECOVER, "{}").await?;
    let lists: Vec<String> = shares.iter().map(list).collect();
    let expected =
        format!(r#"{{"shards":{{"1":{},"2":{},"3":{}}}}}"#, lists[0], lists[1], lists[2]);
    assert_eq!(recovered.status_and_body(), (200, expected.as_str()));
    crew.stop().await
}

/// Upstream's Bootstrap makes a new key each time it runs, tries each Keeper a few times and then ends with 1.
#[tokio::test]
async fn the_second_run_of_upstreams_bootstrap_gets_409_from_every_keeper_and_changes_nothing()
-> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let shares = split(&RootKey::generate()?, Quorum::new(3, 2)?, Derivation::Reject);
    for nexus_runs in [true, false] {
        for (index, share) in (1..).zip(&shares) {
            let given =
                to_keeper(&mut crew, index, BOOTSTRAP, CONTRIBUTE, &contribution(share)).await?;
            assert_eq!(given.status, 409, "Keeper {index}");
            assert_eq!(without_reason(&given), json!({"err": "entity_exists"}));
        }
        if nexus_runs {
            crew.nexus().kill().await?;
        }
    }
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// The survey, which is ours: while Nexus is sealed, and after.
#[tokio::test]
async fn bootstrap_learns_what_there_is_and_no_share() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let before = to_nexus(&crew, BOOTSTRAP, SURVEY, "{}").await?;
    let told = before.json();
    assert_eq!(
        (before.status, &told["sealed"], &told["data"]),
        (200, &json!(true), &json!("none"))
    );
    assert_eq!(told["backend"], "sqlite");
    assert_eq!(told["directory"], crew.dir().join("data").display().to_string());
    for index in 0..3 {
        assert_eq!(told["keepers"][index]["state"], "empty", "{told}");
    }
    let told = to_keeper(&mut crew, 1, BOOTSTRAP, STATUS, "{}").await?;
    assert_eq!((told.status, &told.json()["filled"]), (200, &json!(false)));
    assert_eq!(to_nexus(&crew, SUPERUSER, SURVEY, "{}").await?.status, 401);

    assert_eq!(crew.bootstrap(&[]).await?.status, 0);
    let after = to_nexus(&crew, BOOTSTRAP, SURVEY, "{}").await?.json();
    assert_eq!((&after["sealed"], &after["data"]), (&json!(false), &json!("ours")));
    let told = to_keeper(&mut crew, 1, BOOTSTRAP, STATUS, "{}").await?;
    assert_eq!((told.status, &told.json()["filled"]), (200, &json!(true)));
    crew.stop().await
}

#[tokio::test]
async fn row_31_there_is_nothing_to_recover_without_a_root_key() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let row_31 = to_nexus(&crew, RECOVERER, RECOVER, "{}").await?;
    assert_eq!(row_31.status_and_body(), (500, r#"{"shards":null,"err":"api_internal_error"}"#));
    assert_eq!(row_31.json()["reason"], NotReady::Sealed.as_str(), "ours");
    crew.stop().await
}

#[tokio::test]
async fn row_32_the_superuser_is_neither_an_operator_nor_bootstrap() -> Result<()> {
    let crew = crew().start().await?;
    let (question, _) = proof(&RootKey::generate()?)?;
    for path in [SUPERUSER, WORKLOAD, NEXUS] {
        for (target, body) in
            [(RECOVER, "{}"), (RESTORE, "{}"), (VERIFY, &question), (SURVEY, "{}")]
        {
            let row_32 = to_nexus(&crew, path, target, body).await?;
            assert_eq!(row_32.status, 401, "{path} {target}");
            assert_eq!(row_32.json()["err"], "access_unauthorized", "{path} {target}");
        }
    }
    for (path, target) in [(RECOVERER, RESTORE), (RESTORER, RECOVER), (BOOTSTRAP, RECOVER)] {
        assert_eq!(to_nexus(&crew, path, target, "{}").await?.status, 401, "{path} {target}");
    }
    crew.stop().await
}

/// F4: shares that upstream pads or cuts are refused too.
#[tokio::test]
async fn rows_33_and_34_a_share_to_restore_has_a_number_and_a_value_and_counts_once() -> Result<()>
{
    let plan = crew().setting("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    let mut crew = plan.start_sealed().await?;
    let shares = split(&RootKey::generate()?, Quorum::new(3, 2)?, Derivation::Reject);
    let body = |id: i64, list: &str| format!(r#"{{"id":{id},"shard":{list}}}"#);
    let good = list(&shares[0]);
    let repeated = |number: u8, count: usize| format!("{:?}", vec![number; count]);
    for (what, body) in [
        ("number 0", body(0, &good)),
        ("number -1", body(-1, &good)),
        ("number 1001", body(1001, &good)),
        ("zero", body(1, &repeated(0, 32))),
        ("no scalar", body(1, &repeated(255, 32))),
        ("too short", body(1, &repeated(7, 31))),
        ("too long", body(1, &repeated(7, 33))),
        ("null", body(1, "null")),
        ("base64", body(1, r#""AAAA""#)),
        ("a byte of 256", body(1, "[256]")),
        ("missing", r#"{"id":1}"#.to_owned()),
    ] {
        let row_33 = to_nexus(&crew, RESTORER, RESTORE, &body).await?;
        assert_eq!(row_33.status, 400, "{what}");
        let expected =
            json!({"collected":0,"remaining":0,"restored":false,"err":"api_bad_request"});
        assert_eq!(without_reason(&row_33), expected, "{what}");
    }
    // It counts once; that it was there before is said in a field of ours.
    for ours in ["", r#","repeated":true"#] {
        let row_34 = to_nexus(&crew, RESTORER, RESTORE, &body(1, &good)).await?;
        let expected = format!(r#"{{"collected":1,"remaining":1,"restored":false{ours}}}"#);
        assert_eq!(row_34.status_and_body(), (200, expected.as_str()));
    }
    let last = to_nexus(&crew, RESTORER, RESTORE, &body(3, &list(&shares[2]))).await?;
    // There is nothing to compare the key with, which is said in another field of ours.
    let expected = r#"{"collected":2,"remaining":0,"restored":true,"unconfirmed":true}"#;
    assert_eq!(last.status_and_body(), (200, expected));
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// An error body without the reason that ours adds.
fn without_reason(answer: &Answer) -> Value {
    let mut body = answer.json();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("reason");
    }
    body
}

#[tokio::test]
async fn row_37_the_nonce_of_a_verification_has_twelve_bytes() -> Result<()> {
    let crew = crew().start().await?;
    let row_37 =
        to_nexus(&crew, BOOTSTRAP, VERIFY, r#"{"nonce":"AAAA","ciphertext":"AAAA"}"#).await?;
    assert_eq!(row_37.status, 400);
    assert_eq!(without_reason(&row_37), json!({"hash":"","err":"api_bad_request"}));
    crew.stop().await
}

/// "N" is Nexus, "B" Bootstrap, "P" the superuser.
#[tokio::test]
async fn rows_38_to_40_a_keeper_gives_its_share_to_nexus_only_and_talks_to_nobody_else()
-> Result<()> {
    let mut crew = crew().start_sealed().await?;
    assert_eq!(
        to_keeper(&mut crew, 1, NEXUS, SHARD, "{}").await?.status_and_body(),
        NO_SHARE,
        "row 38"
    );
    let row_39 = to_keeper(&mut crew, 1, BOOTSTRAP, SHARD, "{}").await?;
    assert_eq!(row_39.status_and_body(), (401, r#"{"shard":null,"Err":"access_unauthorized"}"#));
    for path in [SUPERUSER, WORKLOAD, RESTORER, "/spike/keeper"] {
        let row_40 = crew.dial_keeper_as(1, path)?.connect().await?.ended().await?;
        assert!(row_40.is_some_and(|alert| alert.contains("fatal alert")), "{path}");
    }
    for target in ["/v1/nowhere", "/v1/store/shard?action=get", "/v1/store/secrets"] {
        let unknown = to_keeper(&mut crew, 1, NEXUS, target, "{}").await?;
        assert_eq!(unknown.status_and_body(), (400, r#"{"err":"api_bad_request"}"#), "{target}");
    }
    crew.stop().await
}

/// F4: upstream fills `[7]` up with zeros and keeps it, and its Nexus ends at a number that is no scalar.
#[tokio::test]
async fn rows_41_and_42_a_keeper_takes_whole_shares_only_and_keeps_the_one_it_has() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let repeated = |number: u8, count: usize| format!("{:?}", vec![number; count]);
    let bad = [
        "[7]".to_owned(),
        repeated(7, 31),
        repeated(7, 33),
        repeated(0, 32),
        repeated(255, 32),
        r#""AAAA""#.to_owned(),
        "[256]".to_owned(),
        "[-1]".to_owned(),
        "[1.0]".to_owned(),
        "null".to_owned(),
    ];
    let share = &split(&RootKey::generate()?, Quorum::new(3, 2)?, Derivation::Reject)[0];
    for full in [false, true] {
        if full {
            let given =
                to_keeper(&mut crew, 1, BOOTSTRAP, CONTRIBUTE, &contribution(share)).await?;
            assert_eq!(given.status_and_body(), (200, "{}"));
        }
        for shard in &bad {
            let body = format!(r#"{{"shard":{shard}}}"#);
            let refused = to_keeper(&mut crew, 1, BOOTSTRAP, CONTRIBUTE, &body).await?;
            assert_eq!(refused.status_and_body(), (400, r#"{"err":"api_bad_request"}"#), "{shard}");
        }
        let answer = to_keeper(&mut crew, 1, NEXUS, SHARD, "{}").await?;
        let held = held(share);
        let expected = if full { (200, held.as_str()) } else { NO_SHARE };
        assert_eq!(answer.status_and_body(), expected);
    }
    crew.stop().await
}
