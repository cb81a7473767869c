//! Recovery after all Keepers and Nexus were lost at the same time: recovery shares bring the key back, and a mistake with them
//! loses nothing (crypto-and-storage 3; F3, Q-17, Q-27).

mod data;
mod edited;
mod hang;

use std::{fs, path::Path, process::Output};

use anyhow::{Context, Result, ensure};
use spike_crypto::{
    Derivation, Fingerprint, Quorum, RootKey, Share, ShareIndex, ShareValue, combine, split,
};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::{Crew, RECOVERER, RESTORER},
    fake_keeper::ReservedAddress,
    secrets::{get, put, value_of, versions},
    text::{hex, list},
};
use spike_wire::{DecryptRequest, EncryptRequest, RestoreResponse};

use crate::{WORKLOAD, crew};

const SHARES: u16 = 5;
const THRESHOLD: u16 = 3;

/// A crew with data and recovery shares, after every process was killed and restarted.
async fn blacked_out() -> Result<(Crew, Vec<Share>)> {
    let mut crew = crew().keepers(SHARES, THRESHOLD).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let shares = crew.recover().await?;
    black_out(&mut crew).await?;
    Ok((crew, shares))
}

async fn black_out(crew: &mut Crew) -> Result<()> {
    crew.black_out().await?;
    crew.sealed_because("no Keeper has sent a share yet").await?;
    Ok(())
}

async fn data_is_back(crew: &mut Crew) -> Result<()> {
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    Ok(())
}

fn database(crew: &Crew) -> Result<Vec<u8>> {
    Ok(fs::read(crew.dir().join("data/nexus.db"))?)
}

const fn collected(count: u16) -> RestoreResponse {
    let (collected, remaining) = (count as u32, (THRESHOLD - count) as u32);
    RestoreResponse {
        collected,
        remaining,
        restored: remaining == 0,
        already: false,
        repeated: false,
        unconfirmed: false,
    }
}

fn shares_of_another_key() -> Result<Vec<Share>> {
    Ok(split(&RootKey::generate()?, Quorum::new(SHARES, THRESHOLD)?, Derivation::Reject))
}

/// The output of a command that must succeed.
fn said(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The files of the real command, fed back with the real command.
#[tokio::test]
async fn spike_operator_recover_and_restore_bring_everything_back() -> Result<()> {
    let mut crew = crew().keepers(SHARES, THRESHOLD).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let dir = crew.dir().join("kept");
    let out = dir.to_str().context("not text")?;
    said(crew.pilot(RECOVERER, &["operator", "recover", "--out", out]).await?)?;
    let file = |index: u16| dir.join(format!("spike.recovery.{index}.txt")).display().to_string();
    for index in 1..=SHARES {
        let text = fs::read_to_string(file(index))?;
        assert!(text.starts_with(&format!("spike:{index}:")) && text.len() == 72, "{index}");
    }

    black_out(&mut crew).await?;
    let first = ["operator", "restore", "--file", &file(5)];
    let told = said(crew.pilot(RESTORER, &first).await?)?;
    assert!(told.contains("Shards collected:  1") && told.contains("remaining:  2"), "{told}");
    // The counts stayed as they were, and nothing said why.
    let again = crew.pilot(RESTORER, &first).await?;
    let note = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said(again)?.contains("Shards collected:  1"));
    assert!(note.contains("this share is in already, and counts once: 1 of 3 are there"), "{note}");
    crew.sealed_because("root_key").await?;
    let rest = ["operator", "restore", "--file", &file(1), "--file", &file(4)];
    let told = said(crew.pilot(RESTORER, &rest).await?)?;
    assert!(told.contains("SPIKE is now restored and ready to use."), "{told}");
    data_is_back(&mut crew).await?;

    // The Keepers have their shares, so the next restart needs no operator.
    crew.keepers_good().await?;
    crew.crash_nexus().await?;
    data_is_back(&mut crew).await?;
    let told = said(crew.pilot(SUPERUSER, &["operator", "status"]).await?)?;
    assert!(told.contains("sqlite"), "{told}");
    crew.stop().await
}

// The files were judged one by one, and the first refusal ended the command. Shares that could not be written were reported as a
// fault of Nexus.
#[tokio::test]
async fn a_file_of_another_key_among_the_files_is_named_and_does_not_keep_the_key_away()
-> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let refused = crew.pilot(RECOVERER, &["operator", "recover", "--stdout"]).await?;
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{told}");
    assert!(told.contains("is not ready: sealed: no Keeper has sent a share yet (500"), "{told}");

    let others = shares_of_another_key()?;
    let mut arguments = vec!["operator".to_owned(), "restore".to_owned()];
    for share in [&shares[0], &others[1], &shares[2], &shares[3]] {
        let file = crew.dir().join(format!("share-{}", share.index));
        fs::write(&file, share.to_recovery_text().as_str())?;
        arguments.extend(["--file".to_owned(), file.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let told = said(crew.pilot(RESTORER, &arguments).await?)?;
    for number in [1, 3, 4] {
        assert!(told.contains(&format!("(number {number}): belongs to the root key")), "{told}");
    }
    assert!(told.contains("(number 2): refused: "), "{told}");
    assert!(told.contains("SPIKE is now restored and ready to use."), "{told}");
    data_is_back(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn any_threshold_of_the_files_brings_the_data_back() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    for (round, chosen) in [[0, 1, 2], [4, 2, 0], [3, 4, 1]].into_iter().enumerate() {
        if round > 0 {
            black_out(&mut crew).await?;
        }
        for (fed, position) in (1..).zip(chosen) {
            assert_eq!(crew.feed(&shares[position]).await?, collected(fed), "{chosen:?}");
        }
        data_is_back(&mut crew).await?;
    }
    crew.stop().await
}

#[tokio::test]
async fn too_few_files_and_the_same_file_twice_are_counted_and_change_nothing() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let before = database(&crew)?;
    let fed = [(0, 1, false), (0, 1, true), (3, 2, false), (0, 2, true), (3, 2, true)];
    for (position, count, repeated) in fed {
        let expected = RestoreResponse { repeated, ..collected(count) };
        assert_eq!(crew.feed(&shares[position]).await?, expected);
    }
    crew.sealed_because("no Keeper has sent a share yet").await?;
    assert_eq!(database(&crew)?, before);
    assert_eq!(crew.feed(&shares[4]).await?, collected(3));
    data_is_back(&mut crew).await?;
    crew.stop().await
}

/// F3, Q-27: upstream keeps the wrong one, says that it is restored, and a restart is the only way out.
#[tokio::test]
async fn a_wrong_file_is_told_of_and_the_right_one_takes_its_place() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let before = database(&crew)?;
    let wrong = Share { index: ShareIndex::new(2)?, value: ShareValue::from_bytes(&[7; 32])? };
    crew.feed(&shares[0]).await?;
    crew.feed(&wrong).await?;
    let told = crew.feed_refused(&shares[2]).await?;
    assert!(told.contains("no 3 of them belong together"), "{told}");
    assert!(told.contains("the shares fed are 1, 2, 3"), "{told}");
    crew.sealed_because("root_key").await?;
    assert_eq!(database(&crew)?, before);
    assert_eq!(crew.feed(&shares[1]).await?, collected(3));
    data_is_back(&mut crew).await?;
    crew.stop().await
}

/// The second file was judged with one of an earlier, mistaken run, and refused before the third was looked at.
#[tokio::test]
async fn files_that_are_brought_together_are_judged_together() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    // An operator fed a share of another key. Status says so.
    crew.feed(&shares_of_another_key()?[3]).await?;
    let told = crew.status().await?.troubles.join("; ");
    assert!(told.contains("an operator has fed share 4, and 3 of one key are needed"), "{told}");

    for share in &shares[..2] {
        assert!(!crew.feed_with_more(share, true).await?.restored);
    }
    assert!(crew.feed_with_more(&shares[2], false).await?.restored);
    data_is_back(&mut crew).await?;
    let told = crew.status().await?.troubles.join("; ");
    assert!(!told.contains("has fed"), "{told}");
    crew.stop().await
}

#[tokio::test]
async fn a_file_of_another_key_among_the_right_ones_is_left_out() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let foreign = shares_of_another_key()?;
    crew.feed(&shares[0]).await?;
    crew.feed(&foreign[1]).await?;
    let told = crew.feed_refused(&shares[2]).await?;
    assert!(told.contains("feed the one that you doubt again, or one more"), "{told}");
    assert_eq!(crew.feed(&shares[3]).await?, collected(3));
    crew.log_says("nexus", "this share does not belong to the others").await?;
    data_is_back(&mut crew).await?;
    crew.stop().await
}

/// F1: upstream accepts any key, reports success, and gives the Keepers its shares.
#[tokio::test]
async fn the_files_of_another_key_are_refused_and_the_right_ones_work_without_a_restart()
-> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let before = database(&crew)?;
    let foreign = shares_of_another_key()?;
    for round in 0..2 {
        crew.feed(&foreign[round]).await?;
        crew.feed(&foreign[round + 1]).await?;
        let told = crew.feed_refused(&foreign[round + 2]).await?;
        assert!(told.contains("which is not that of the data"), "{told}");
        assert!(told.contains("begin again with those of the right key"), "{told}");
        crew.sealed_because("root_key").await?;
        assert_eq!(database(&crew)?, before);
        assert!(!crew.log("nexus")?.contains("gave a Keeper its share"), "after the black-out");
    }
    for (fed, share) in (1..).zip(&shares[2..]) {
        assert_eq!(crew.feed(share).await?, collected(fed));
    }
    data_is_back(&mut crew).await?;
    crew.keepers_good().await?;
    crew.stop().await
}

/// F3, cli-config-deploy 7.3: upstream switches a healthy Nexus to another key.
#[tokio::test]
async fn shares_of_another_key_are_refused_while_a_key_is_live_and_its_own_are_acknowledged()
-> Result<()> {
    let mut crew = crew().keepers(SHARES, THRESHOLD).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let key = crew.status().await?.root_key;
    for share in &shares_of_another_key()? {
        let told = crew.feed_refused(share).await?;
        assert!(told.contains("Nexus has its root key already"), "{told}");
        assert!(told.contains("nothing was changed"), "{told}");
    }
    for share in &crew.recover().await? {
        let already = RestoreResponse { already: true, ..collected(THRESHOLD) };
        assert_eq!(crew.feed(share).await?, already);
    }
    assert_eq!(crew.status().await?.root_key, key);
    crew.keepers_good().await?;
    data_is_back(&mut crew).await?;
    crew.stop().await
}

/// upstream contacts every Keeper before it answers, and the command gives up before that ends.
#[tokio::test]
async fn a_restore_is_answered_while_the_keepers_do_not_answer() -> Result<()> {
    let silent = ReservedAddress::several(3).await?;
    let urls: Vec<String> = silent.iter().map(ReservedAddress::url).collect();
    // There never was any data.
    let plan = crew().keepers_at(&urls, 2).setting("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    let mut crew = plan.start_sealed().await?;
    let shares = split(&RootKey::generate()?, Quorum::new(3, 2)?, Derivation::Reject);
    assert!(!crew.feed(&shares[0]).await?.restored);
    assert!(crew.feed(&shares[2]).await?.restored);
    crew.ready(PATIENCE).await?;
    Ok(())
}

/// Searches all output and files for secrets that must never be there.
#[tokio::test]
async fn no_log_and_no_file_ever_holds_a_value_a_share_or_a_key() -> Result<()> {
    const PLANTED: [&str; 3] = ["planted-value-6e1f", "planted-text-90ab", "planted-name-7c2d"];
    let mut crew = crew()
        .keepers(SHARES, THRESHOLD)
        .setting("SPIKE_SYSTEM_LOG_LEVEL", "DEBUG")
        .start()
        .await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[(PLANTED[2], PLANTED[0])])).await?;
    superuser.put_secret(&put("a/b", &[(PLANTED[2], PLANTED[0])])).await?;
    superuser.delete_secret(&versions("a/b", &[1])).await?;
    superuser.get_secret(&get("a/b", 0)).await?;
    crew.as_id(WORKLOAD)?.get_secret(&get("a/b", 0)).await.unwrap_err();
    let plaintext = PLANTED[1].as_bytes().into();
    let encrypted = superuser.encrypt(&EncryptRequest { plaintext }).await?;
    let (nonce, ciphertext) = (encrypted.nonce, encrypted.ciphertext);
    superuser.decrypt(&DecryptRequest { version: encrypted.version, nonce, ciphertext }).await?;
    let again = crew.bootstrap(&[]).await?;
    let (shares, foreign) = (crew.recover().await?, shares_of_another_key()?);
    crew.feed_refused(&foreign[0]).await?;
    crew.kill_keepers([1]).await?;
    crew.restart_keepers([1]).await?;
    black_out(&mut crew).await?;
    for share in [&shares[0], &shares[1]] {
        crew.feed(share).await?;
    }
    crew.feed_refused(&foreign[2]).await?;
    crew.feed(&shares[3]).await?;
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;

    let key = combine(&[&shares[0], &shares[1], &shares[2]], THRESHOLD)?;
    let mut hidden: Vec<(String, Vec<u8>)> =
        PLANTED.iter().map(|text| ((*text).to_owned(), text.as_bytes().to_vec())).collect();
    hidden.extend(forms("the root key", key.expose_bytes()));
    for share in shares.iter().chain(&foreign) {
        hidden.extend(forms(&format!("share {}", share.index), share.value.expose_bytes()));
    }
    let mut read = 0;
    for directory in ["logs", "data"] {
        read += look_through(&crew.dir().join(directory), &hidden)?;
    }
    // Two files of each of the six daemons, the database and its log.
    assert!(read >= 14, "{read} files");
    assert!(!hidden.iter().any(|(_, bytes)| contains(again.text.as_bytes(), bytes)));
    // The search works: it finds the fingerprint of the key, which is public.
    let name: Fingerprint = key.fingerprint();
    crew.log_says("nexus", &name.to_string()).await?;
    crew.stop().await
}

/// A part of a secret number in each form in which it could be written by mistake.
fn forms(what: &str, bytes: &[u8; 32]) -> Vec<(String, Vec<u8>)> {
    let [first, second] = [&bytes[..12], &bytes[20..]];
    [first, second]
        .into_iter()
        .flat_map(|part| {
            let hex = hex(part);
            [
                (format!("{what} in hexadecimal"), hex.to_uppercase().into_bytes()),
                (format!("{what} in hexadecimal"), hex.into_bytes()),
                (format!("{what} as a list"), list(part, ",").into_bytes()),
                (format!("{what} as a spaced list"), list(part, ", ").into_bytes()),
                (format!("{what} as bytes"), part.to_vec()),
            ]
        })
        .collect()
}

fn look_through(directory: &Path, hidden: &[(String, Vec<u8>)]) -> Result<usize> {
    let mut read = 0;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        for (what, hidden) in hidden {
            ensure!(!contains(&bytes, hidden), "{} holds {what}", path.display());
        }
        read += 1;
    }
    Ok(read)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some((first, _)) = part.split_first() else { return true };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.into_iter().any(|(at, _)| bytes.get(at..).is_some_and(|rest| rest.starts_with(part)))
}
