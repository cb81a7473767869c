//! A Nexus whose backend stores nothing, started beside a database: its data directory counts all the same, because a root key that
//! is made beside a database makes it unreadable.

use anyhow::{Result, ensure};
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, SUPERUSER, crew::Crew};
use spike_wire::DataKind;

use super::{IMPATIENT, no_keeper_holds_a_share, shares_bring_the_data_back, with_data};
use crate::crew;

const BACKEND: &str = "SPIKE_NEXUS_BACKEND_STORE";

async fn operator_status(crew: &Crew) -> Result<String> {
    let told = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    Ok(String::from_utf8(told.stdout)?)
}

/// `spike` said to run Bootstrap, which made another root key: back on sqlite, Nexus was sealed under it, and the restored key found every
/// Keeper taken.
#[tokio::test]
async fn beside_a_database_that_a_lite_nexus_does_not_use_it_makes_no_key() -> Result<()> {
    let mut crew = with_data().await?;
    let (key, shares) = (crew.status().await?.root_key, crew.recover().await?);
    crew.nexus().set(BACKEND, "lite");
    crew.black_out().await?;

    let data = crew.dir().join("data");
    let data = data.to_string_lossy();
    let status = crew.status().await?;
    assert!(status.sealed && status.backend == "lite", "{status:?}");
    assert_eq!(status.data, Some(DataKind::Ours));
    let troubles = status.troubles.concat();
    let trouble = format!("{data} holds a database, and the lite backend does not use it");
    assert!(troubles.contains(&trouble), "{troubles}");
    let told = operator_status(&crew).await?;
    assert!(
        told.contains("which its lite backend does not use") && told.contains("=sqlite"),
        "{told}"
    );
    assert!(!told.contains("run Bootstrap once"), "{told}");
    let doctor = crew.pilot(SUPERUSER, &["doctor"]).await?;
    let doctor = String::from_utf8(doctor.stdout)?;
    assert!(doctor.contains("lite backend") && !doctor.contains("run Bootstrap once"), "{doctor}");

    let elsewhere = crew.dir().join("another state");
    std::fs::create_dir_all(&elsewhere)?;
    let elsewhere = elsewhere.to_string_lossy();
    let settings = [
        IMPATIENT[0],
        IMPATIENT[1],
        (BACKEND, "lite"),
        ("SPIKE_BOOTSTRAP_STATE_DIR", elsewhere.as_ref()),
    ];
    let told = crew.bootstrap(&settings).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in [
        format!("its data directory {data} holds a database, which its lite backend does not use"),
        "SPIKE_NEXUS_BACKEND_STORE=sqlite for Nexus and Bootstrap".to_owned(),
    ] {
        assert!(told.text.contains(&part), "{part}: {}", told.text);
    }
    no_keeper_holds_a_share(&mut crew).await?;

    // As it says.
    ensure!(crew.nexus().terminate().await?.success());
    crew.nexus().set(BACKEND, "sqlite");
    crew.start_nexus().await?;
    shares_bring_the_data_back(&mut crew, &shares[..2]).await?;
    crew.keepers_good().await?;
    assert_eq!(crew.status().await?.root_key, key);
    crew.stop().await
}

/// It said that there is no data, which a person should put where Nexus looks: it looks nowhere.
#[tokio::test]
async fn a_lite_nexus_without_data_asks_nobody_to_put_data_anywhere() -> Result<()> {
    let mut crew = crew().backend(Backend::Lite).start().await?;
    crew.nexus().kill().await?;
    crew.kill_keepers([1, 2]).await?;
    crew.restart_keepers([1, 2]).await?;
    crew.start_nexus().await?;
    crew.sealed_because("1 of 2 shares collected").await?;
    let told = operator_status(&crew).await?;
    assert!(told.contains("feed recovery shares"), "{told}");
    assert!(!told.contains("no data") && !told.contains("put its data"), "{told}");
    let doctor = crew.pilot(SUPERUSER, &["doctor"]).await?;
    let doctor = String::from_utf8(doctor.stdout)?;
    let doctor = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(doctor.contains("2 of 3 Keepers are empty, 1 holds a share"), "{doctor}");
    assert!(doctor.contains("restart Keeper 3, which forgets its share then"), "{doctor}");
    crew.stop().await
}

/// A Nexus that was switched to memory by mistake looked like a new one.
#[tokio::test]
async fn a_memory_nexus_beside_a_database_says_so_and_so_does_bootstrap() -> Result<()> {
    let mut crew = with_data().await?;
    ensure!(crew.nexus().terminate().await?.success());
    crew.nexus().set(BACKEND, "memory");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let troubles = crew.status().await?.troubles.concat();
    assert!(
        troubles.contains("holds a database, and the memory backend does not use it"),
        "{troubles}"
    );
    std::fs::remove_file(super::marker(&crew))?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    let part = "holds a database, which its memory backend does not use";
    assert!(told.text.contains(part), "{}", told.text);
    crew.stop().await
}

/// Another team's Nexus on the memory backend answered at a wrong address: the Job ended with 0, and no key was made.
#[tokio::test]
async fn at_a_memory_nexus_it_does_not_call_it_done_while_keepers_of_its_list_answer() -> Result<()>
{
    let mut crew = crew().start_sealed().await?;
    ensure!(crew.nexus().terminate().await?.success());
    crew.nexus().set(BACKEND, "memory");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    for force in ["false", "true"] {
        let told = crew.bootstrap(&[("SPIKE_BOOTSTRAP_FORCE", force)]).await?;
        assert_eq!(told.status, 3, "{}", told.text);
        for part in ["is on the memory backend", "Keeper 1 at", "SPIKE_NEXUS_API_URL"] {
            assert!(told.text.contains(part), "{part}: {}", told.text);
        }
    }
    no_keeper_holds_a_share(&mut crew).await?;
    crew.stop().await
}
