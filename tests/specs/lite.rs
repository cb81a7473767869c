//! The lite backend: a cipher under the root key, and no store.

use anyhow::{Context, Result};
use bytes::Bytes;
use spike_crypto::{Derivation, Quorum, RootKey, Share, split};
use spike_daemon::settings::Backend;
use spike_tests::{
    PATIENCE, SUPERUSER,
    fake_keeper::{FakeKeeper, ReservedAddress},
};
use spike_wire::{DecryptRequest, EncryptRequest, KeeperStatusKind, Operation, SecretBytes};

use crate::{WORKLOAD, crew, scenario};

mod unproved;

const LITE: &str = "/spike/workload/role/lite";

#[tokio::test]
async fn a_lite_workload_encrypts_across_a_restart_and_others_do_not() -> Result<()> {
    let mut cluster = scenario().backend(Backend::Lite).start().await?;
    let lite = cluster.as_id(LITE)?;
    let sealed = lite.encrypt_stream(Bytes::from_static(b"lasting")).await?;
    assert_eq!(lite.decrypt_stream(sealed.clone()).await?, "lasting");
    let request = EncryptRequest { plaintext: SecretBytes::from(&b"json"[..]) };
    assert_eq!(lite.encrypt(&request).await?.version, 1);
    // An ID below the role's ID has the role too.
    assert_eq!(
        cluster.as_id("/spike/workload/role/lite/a")?.decrypt_stream(sealed.clone()).await?,
        "lasting"
    );
    for id in [WORKLOAD, "/spike/workload/role/litex", "/spike/bootstrap"] {
        assert!(cluster.as_id(id)?.decrypt_stream(sealed.clone()).await.is_err(), "{id}");
    }

    cluster.terminate().await?;
    cluster.restart_nexus().await?;
    let superuser = cluster.superuser()?;
    assert_eq!(
        superuser.decrypt_stream(sealed).await?,
        "lasting",
        "the key came back from the Keepers"
    );
    cluster.stop().await
}

#[tokio::test]
async fn there_are_neither_secrets_nor_policies_and_no_database() -> Result<()> {
    let cluster = scenario().backend(Backend::Lite).start().await?;
    for id in [SUPERUSER, LITE, WORKLOAD] {
        let mut connection = cluster.dial_as(id)?.connect().await?;
        for operation in Operation::ALL {
            let target = operation.path_and_query();
            if target.starts_with("/v1/store") || target.starts_with("/v1/acl") {
                let answer = connection.post(target, "{}").await?;
                assert_eq!(
                    answer.status_and_body(),
                    (400, r#"{"err":"api_bad_request"}"#),
                    "{id} {operation}"
                );
            }
        }
    }
    let databases = std::fs::read_dir(cluster.dir())?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().contains(".db"));
    assert_eq!(databases.count(), 0);
    let said = cluster.spike(&["secret", "list"]).await?;
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("lite backend"), "{said:?}");
    cluster.stop().await
}

/// With the real `spike`, as the superuser and as a lite workload.
#[tokio::test]
async fn the_spike_command_encrypts_for_a_lite_cluster() -> Result<()> {
    let cluster = scenario().backend(Backend::Lite).start().await?;
    let sealed = cluster.spike_with(&["cipher", "encrypt"], b"a key\n").await?;
    sealed.status.filter(|status| *status == 0).with_context(|| sealed.stderr.clone())?;
    assert_eq!(sealed.stdout.first(), Some(&1));
    let opened = cluster.spike_with(&["cipher", "decrypt"], &sealed.stdout).await?;
    assert_eq!(opened.done()?, "a key\n");
    cluster.stop().await
}

fn shares_of_a_key(count: u16) -> Result<Vec<Share>> {
    Ok(split(&RootKey::generate()?, Quorum::new(count, 2)?, Derivation::Reject))
}

/// A restored key was used without a check, and then its shares replaced good ones.
#[tokio::test]
async fn lite_takes_no_restored_key_that_the_shares_of_the_keepers_speak_against() -> Result<()> {
    let mut crew = crew().backend(Backend::Lite).start().await?;
    let plaintext = b"text".as_slice().into();
    let sealed = crew.superuser()?.encrypt(&EncryptRequest { plaintext }).await?;
    let shares = crew.recover().await?;
    crew.nexus().kill().await?;
    crew.kill_keepers([1, 2]).await?;
    crew.restart_keepers([1, 2]).await?;
    crew.start_nexus().await?;
    crew.sealed_because("1 of 2 shares collected").await?;

    let foreign = shares_of_a_key(3)?;
    crew.feed(&foreign[0]).await?;
    let told = crew.feed_refused(&foreign[1]).await?;
    assert!(told.contains("none of the 1 shares is that Keepers hold"), "{told}");
    crew.sealed_because("1 of 2 shares collected").await?;

    crew.feed(&shares[0]).await?;
    assert!(crew.feed(&shares[1]).await?.restored);
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    assert!(!crew.log("keeper-3")?.contains("replaced the share"));
    let request = DecryptRequest {
        version: sealed.version,
        nonce: sealed.nonce,
        ciphertext: sealed.ciphertext,
    };
    let opened = crew.superuser()?.decrypt(&request).await?;
    assert_eq!(opened.plaintext.expose_secret(), b"text");
    crew.stop().await
}

/// As above, with every Keeper away at the time of the restore: a Keeper that comes back with a share of another key keeps it.
#[tokio::test]
async fn lite_with_an_unproved_key_takes_no_share_away_from_a_keeper_that_comes_back() -> Result<()>
{
    let addresses = ReservedAddress::several(2).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let mut crew = crew().backend(Backend::Lite).keepers_at(&urls, 2).start_sealed().await?;
    let (before, other) = (shares_of_a_key(2)?, shares_of_a_key(2)?);
    let keepers: Vec<FakeKeeper> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    crew.feed(&other[0]).await?;
    assert!(crew.feed(&other[1]).await?.restored);
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    keepers[0].hold(&before[0].value);
    keepers[0].asked_again(4).await?;
    assert!(keepers[0].holds(&before[0].value));
    let states = crew.status().await?.keepers;
    assert_ne!(states[0].state, KeeperStatusKind::Good);
    crew.stop().await
}
