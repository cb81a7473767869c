//! Bootstrap (cli-config-deploy 3.1 and 7.3; crypto-and-storage 5.5) makes the first key, and never a second one by mistake.

use std::{fs, path::PathBuf};

use anyhow::Result;
use http::StatusCode;
use spike_crypto::Share;
use spike_daemon::settings::Backend;
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    fake_keeper::{FakeKeeper, ReservedAddress},
    secrets::{put, value_of},
};
use spike_wire::{DecryptRequest, EncryptRequest};

use crate::crew;

mod config_map;
mod found;
mod other_keepers;
mod told;
mod unused;

/// Settings with which Bootstrap gives up soon.
const IMPATIENT: [(&str, &str); 2] = [
    ("SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES", "1"),
    ("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", "3s"),
];

async fn with_data() -> Result<Crew> {
    let crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    Ok(crew)
}

async fn data_is_there(crew: &mut Crew) -> Result<()> {
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    Ok(())
}

async fn no_keeper_holds_a_share(crew: &mut Crew) -> Result<()> {
    for keeper in 1..=3 {
        assert_eq!(crew.keeper(keeper)?.get("/readyz").await?.0, 503, "Keeper {keeper}");
    }
    Ok(())
}

async fn shares_bring_the_data_back(crew: &mut Crew, shares: &[Share]) -> Result<()> {
    for share in shares {
        crew.feed(share).await?;
    }
    data_is_there(crew).await
}

/// The marker file.
fn marker(crew: &Crew) -> PathBuf {
    crew.dir().join("bootstrap/bootstrap-completed.json")
}

fn no_share_was_replaced(crew: &Crew) -> Result<()> {
    for keeper in 1..=3 {
        let log = crew.log(&format!("keeper-{keeper}"))?;
        assert!(!log.contains("replaced the share"), "Keeper {keeper}: {log}");
    }
    Ok(())
}

/// F18: upstream makes another key each time and gives it to every Keeper.
#[tokio::test]
async fn run_again_on_a_live_system_it_changes_nothing_with_and_without_its_marker() -> Result<()> {
    let mut crew = with_data().await?;
    let key = crew.status().await?.root_key;
    for has_marker in [true, false] {
        if !has_marker {
            fs::remove_file(marker(&crew))?;
        }
        let told = crew.bootstrap(&[]).await?;
        assert_eq!(told.status, 0, "{}", told.text);
        assert!(told.text.contains("nothing to do: Nexus has a root key already"), "{}", told.text);
        assert_eq!(crew.status().await?.root_key, key);
    }
    no_share_was_replaced(&crew)?;
    crew.crash_nexus().await?;
    data_is_there(&mut crew).await?;
    crew.stop().await
}

/// cli-config-deploy 7.3, "503 after a node or cluster restart": a new key would not open what is stored.
#[tokio::test]
async fn run_after_everything_was_lost_it_refuses_and_points_to_the_restore() -> Result<()> {
    let mut crew = with_data().await?;
    let shares = crew.recover().await?;
    crew.black_out().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("spike operator restore"), "{}", told.text);
    no_keeper_holds_a_share(&mut crew).await?;
    shares_bring_the_data_back(&mut crew, &shares[1..]).await?;
    crew.stop().await
}

/// F18: only "not found" means "not done".
#[tokio::test]
async fn a_marker_that_cannot_be_read_is_not_taken_for_none() -> Result<()> {
    let mut crew = with_data().await?;
    let path = marker(&crew);
    assert!(path.exists());
    fs::write(&path, "{")?;
    crew.black_out().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in [
        "cannot tell whether this was done before",
        "bootstrap-completed.json is no marker",
        "holds a database",
        "spike operator restore",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert_eq!(crew.keeper(1)?.get("/readyz").await?.0, 503);
    crew.stop().await
}

/// It ended with 1, and asked neither Nexus nor the Keepers.
#[tokio::test]
async fn beside_a_live_nexus_a_marker_that_cannot_be_read_is_told_and_written_anew() -> Result<()> {
    let crew = with_data().await?;
    let path = marker(&crew);
    fs::write(&path, "{")?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    for part in ["warning: cannot tell whether this was done before", "Nexus has a root key"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(fs::read_to_string(&path)?.contains("found-in-use"));
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// A crew with fake Keepers.
pub(crate) async fn on_fakes(count: usize, threshold: u16) -> Result<(Crew, Vec<FakeKeeper>)> {
    let addresses = ReservedAddress::several(count).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let mut plan = crew().keepers_at(&urls, threshold);
    for (name, value) in IMPATIENT {
        plan = plan.setting(name, value);
    }
    let crew = plan.start_sealed().await?;
    let fakes = addresses.into_iter().map(|address| address.serve(&crew));
    let fakes = fakes.collect::<Result<_>>()?;
    Ok((crew, fakes))
}

/// Run again, it made another key and took away the shares of the first.
#[tokio::test]
async fn half_finished_with_too_few_shares_it_takes_none_of_them_away_when_run_again() -> Result<()>
{
    let (mut crew, keepers) = on_fakes(3, 3).await?;
    keepers[2].refuse(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    assert!(told.text.contains("not every Keeper took its share"), "{}", told.text);
    assert!(told.text.contains("Keeper 3 at https://localhost:"), "{}", told.text);
    crew.sealed_because("2 of 3 shares collected").await?;

    // Keepers of upstream do not say what they hold; Nexus does.
    keepers[2].refuse(None);
    let given = |keeper: &FakeKeeper| keeper.given().len();
    let before: Vec<usize> = keepers.iter().map(given).collect();
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("Keeper 1 at https://localhost:"), "{}", told.text);
    assert!(told.text.contains("restart those Keepers and run this again"), "{}", told.text);
    assert_eq!(keepers.iter().map(given).collect::<Vec<_>>(), before);

    // As it says: the Keepers are restarted.
    keepers.iter().for_each(FakeKeeper::lose);
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    let shares = crew.recover().await?;
    for (share, keeper) in shares.iter().zip(&keepers) {
        assert!(keeper.holds(&share.value), "Keeper {}", share.index);
    }
    crew.stop().await
}

/// There are enough shares for a key that was never proved. Nothing is stored under it, so another key loses nothing.
#[tokio::test]
async fn half_finished_with_a_quorum_nothing_is_stored_under_its_key_and_another_run_makes_another()
-> Result<()> {
    let (mut crew, keepers) = on_fakes(3, 2).await?;
    keepers[2].refuse(Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(crew.bootstrap(&[]).await?.status, 1);
    crew.sealed_because("While Bootstrap runs, wait for its end").await?;
    assert!(!crew.dir().join("data/nexus.db").exists());

    keepers[2].refuse(None);
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("holds a share of a root key"), "{}", told.text);

    // While Nexus runs, the Keepers get their shares back.
    keepers.iter().for_each(FakeKeeper::lose);
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    crew.nexus().terminate().await?;
    keepers.iter().for_each(FakeKeeper::lose);
    crew.start_nexus().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    crew.keepers_good().await?;
    let shares = crew.recover().await?;
    assert!(keepers[2].holds(&shares[2].value));
    crew.crash_nexus().await?;
    data_is_there(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn nothing_is_given_to_any_keeper_while_one_does_not_answer() -> Result<()> {
    let (crew, mut keepers) = on_fakes(3, 2).await?;
    keepers.remove(1).leave().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    assert!(
        told.text.contains("nothing was changed, because not every Keeper answers"),
        "{}",
        told.text
    );
    assert!(told.text.contains("Keeper 2 at https://localhost:"), "{}", told.text);
    assert!(keepers.iter().all(|keeper| keeper.given().is_empty()));
    crew.stop().await
}

/// F17: upstream's Nexus notices it at the first push, minutes after it was healthy, and ends.
#[tokio::test]
async fn another_number_of_keepers_than_shares_is_refused_at_the_start_by_nexus_and_bootstrap()
-> Result<()> {
    let mut crew = with_data().await?;
    let told = crew.bootstrap(&[("SPIKE_NEXUS_SHAMIR_SHARES", "4")]).await?;
    assert_eq!(told.status, 78, "{}", told.text);
    assert!(told.text.contains("SPIKE_NEXUS_KEEPER_PEERS"), "{}", told.text);
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_SHARES", "4");
    crew.cluster().restart_nexus()?;
    let ended = tokio::time::timeout(PATIENCE, crew.nexus().wait()).await??;
    assert_eq!(ended.code(), Some(78));
    let audit = fs::read_to_string(crew.nexus().audit())?;
    assert!(audit.contains("3 Keepers; expected 4, as SPIKE_NEXUS_SHAMIR_SHARES says"), "{audit}");
    no_share_was_replaced(&crew)?;
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_SHARES", "3");
    crew.start_nexus().await?;
    data_is_there(&mut crew).await?;
    crew.stop().await
}

/// F27: upstream's Bootstrap declines, while Nexus waits for it.
#[tokio::test]
async fn lite_is_bootstrapped_too_and_keeps_encryption_and_operators_but_no_secrets() -> Result<()>
{
    let mut crew = crew().backend(Backend::Lite).start().await?;
    let superuser = crew.superuser()?;
    let plaintext = b"text".as_slice().into();
    let sealed = superuser.encrypt(&EncryptRequest { plaintext }).await?;
    for target in ["/v1/store/secrets?action=list", "/v1/acl/policy?action=list"] {
        let answer = crew.dial_as(SUPERUSER)?.connect().await?.post(target, "{}").await?;
        assert_eq!(answer.status_and_body(), (400, r#"{"err":"api_bad_request"}"#), "{target}");
    }
    let shares: Vec<Share> = crew.recover().await?;
    assert_eq!(shares.len(), 3);
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    let request = DecryptRequest {
        version: sealed.version,
        nonce: sealed.nonce,
        ciphertext: sealed.ciphertext,
    };
    let opened = crew.superuser()?.decrypt(&request).await?;
    assert_eq!(opened.plaintext.expose_secret(), b"text");
    assert_eq!(fs::read_dir(crew.dir().join("data"))?.count(), 0, "lite keeps no data");

    crew.black_out().await?;
    for share in &shares[..2] {
        crew.feed(share).await?;
    }
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.superuser()?.decrypt(&request).await?.plaintext.expose_secret(), b"text");
    crew.stop().await
}

#[tokio::test]
async fn on_the_memory_backend_there_is_nothing_to_do() -> Result<()> {
    let crew = crew().backend(Backend::Memory).start_sealed().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(told.text.contains("the memory backend needs no root key"), "{}", told.text);
    crew.stop().await
}
