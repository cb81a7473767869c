//! One Keeper under two addresses: it holds one share, so it counts once, and both addresses are named.

use std::path::PathBuf;

use anyhow::{Context, Result};
use spike_daemon::settings::Backend;
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    secrets::{put, value_of},
};
use spike_wire::KeeperStatusKind;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::crew;

const PEERS: &str = "SPIKE_NEXUS_KEEPER_PEERS";

/// Three addresses of two Keepers.
fn twice(crew: &mut Crew) -> Result<(String, String)> {
    let first = crew.keeper_url(1)?;
    let again = first.replace("localhost", "127.0.0.1");
    let list = format!("{first},{again},{}", crew.keeper_url(3)?);
    Ok((list, format!("Keeper 2 at {again}")))
}

/// It told of another Bootstrap that ran at the same time, and to restart the Keepers, which led to the same again.
#[tokio::test]
async fn bootstrap_names_both_addresses_and_makes_no_key() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let (list, again) = twice(&mut crew)?;
    crew.nexus().set(PEERS, &list);
    crew.crash_nexus().await?;
    let told = crew.bootstrap(&[(PEERS, list.as_str())]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    let same = format!("{again} is the same process as Keeper 1 at {}", crew.keeper_url(1)?);
    for part in [same.as_str(), "list each Keeper once"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(!told.text.contains("another Bootstrap ran"), "{}", told.text);
    for keeper in [1, 3] {
        assert_eq!(crew.keeper(keeper)?.get("/readyz").await?.0, 503, "Keeper {keeper}");
    }
    crew.stop().await
}

/// Nexus gave it both shares in turn, each in place of the other, and counted both.
#[tokio::test]
async fn nexus_counts_it_once_gives_it_one_share_and_names_both_addresses() -> Result<()> {
    let plan = crew().setting("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", "500ms");
    let mut crew = plan.start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    crew.keepers_good().await?;
    let (list, again) = twice(&mut crew)?;
    crew.nexus().set(PEERS, &list);
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;

    let told = crew.check_fails("quorum", "is the same process as Keeper 1").await?;
    assert!(told.contains(&again), "{told}");
    eventually("both Keepers are good", PATIENCE, async || {
        Ok((crew.status().await?.margin == Some(0)).then_some(()))
    })
    .await?;
    for _ in 0..6 {
        let status = crew.status().await?;
        let seen: Vec<KeeperStatusKind> = status.keepers.iter().map(|it| it.state).collect();
        let expected = [KeeperStatusKind::Good, KeeperStatusKind::Repeated, KeeperStatusKind::Good];
        assert_eq!((status.margin, seen), (Some(0), expected.to_vec()));
        let troubles = status.troubles.concat();
        assert!(
            troubles.contains(&again) && troubles.contains("list each Keeper once"),
            "{troubles}"
        );
    }
    assert!(!crew.log("keeper-1")?.contains("replaced the share"));
    assert_eq!(crew.metrics().await?.get("spike_keepers_with_share"), Some(2.0));
    let doctor = crew.pilot(SUPERUSER, &["doctor"]).await?;
    let doctor = String::from_utf8(doctor.stdout)?;
    assert!(doctor.contains("the same process as an earlier Keeper of the list"), "{doctor}");
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// Without data it was told as shares of several keys, and to restart the Keeper, which took its share away.
#[tokio::test]
async fn it_speaks_against_no_key_where_there_is_no_data() -> Result<()> {
    let mut crew = crew().backend(Backend::Lite).start().await?;
    let key = crew.status().await?.root_key;
    let (list, again) = twice(&mut crew)?;
    crew.nexus().set(PEERS, &list);
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.status().await?.root_key, key);
    let told = crew.check_fails("quorum", "is the same process as Keeper 1").await?;
    assert!(told.contains(&again), "{told}");
    crew.stop().await
}

/// Passes connections to one port on to another until it is dropped.
struct Relay(tokio::task::JoinHandle<()>);

impl Relay {
    async fn start(from: &str, to: &str) -> Result<Self> {
        let port = |url: &str| url.rsplit(':').next().map(str::to_owned).context("no port");
        let (from, to) = (port(from)?, port(to)?);
        let listener = TcpListener::bind(format!("[::]:{from}")).await?;
        Ok(Self(tokio::spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let to = format!("localhost:{to}");
                passing.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(to).await {
                        copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
            }
        })))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A crew that needs the shares of all three Keepers, and whose data was moved away. Nexus has ended. Returns where the data was, and
/// where it is.
async fn three_of_three_without_data() -> Result<(Crew, PathBuf, PathBuf)> {
    let plan = crew().setting("SPIKE_NEXUS_SHAMIR_THRESHOLD", "3");
    let mut crew = plan.start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    crew.keepers_good().await?;
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    crew.nexus().terminate().await?;
    std::fs::rename(&data, &away)?;
    Ok((crew, data, away))
}

/// For the moment in which the address of a Keeper led to another one, Nexus took the share of that one in place of the last copy that it
/// had of the first one's.
#[tokio::test]
async fn an_address_that_leads_to_another_keeper_for_a_moment_loses_no_share() -> Result<()> {
    let (mut crew, data, away) = three_of_three_without_data().await?;
    crew.start_nexus().await?;
    crew.sealed_because("no data in").await?;
    crew.kill_keepers([2]).await?;
    crew.sealed_because("do not restart Nexus").await?;

    let relay = Relay::start(&crew.keeper_url(2)?, &crew.keeper_url(1)?).await?;
    eventually("Keeper 2 is Keeper 1", PATIENCE, async || {
        let state = crew.status().await?.keepers.get(1).map(|keeper| keeper.state);
        Ok((state == Some(KeeperStatusKind::Repeated)).then_some(()))
    })
    .await?;
    crew.sealed_because("do not restart Nexus").await?;
    drop(relay);

    crew.restart_keepers([2]).await?;
    eventually("Keeper 2 has its share back", PATIENCE, async || {
        let status = crew.status().await?;
        let is_safe = status.reason.is_some_and(|reason| !reason.contains("do not restart"));
        Ok(is_safe.then_some(()))
    })
    .await?;
    crew.nexus().terminate().await?;
    std::fs::rename(&away, &data)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// The same moment, while the other Keeper does not answer at its own address: the last copy was gone, and nothing said so.
#[tokio::test]
async fn an_address_that_leads_to_a_keeper_that_is_away_at_its_own_loses_no_share() -> Result<()> {
    let (mut crew, data, away) = three_of_three_without_data().await?;
    // Keeper 1 is behind a relay, so that it can be away and run.
    let free = TcpListener::bind("[::]:0").await?.local_addr()?.port();
    let first = format!("https://localhost:{free}");
    let list = format!("{first},{},{}", crew.keeper_url(2)?, crew.keeper_url(3)?);
    crew.nexus().set(PEERS, &list);
    let to_first = Relay::start(&first, &crew.keeper_url(1)?).await?;
    crew.start_nexus().await?;
    crew.sealed_because("no data in").await?;
    crew.kill_keepers([2]).await?;
    crew.sealed_because("do not restart Nexus").await?;

    drop(to_first);
    eventually("Keeper 1 is away", PATIENCE, async || {
        let state = crew.status().await?.keepers.first().map(|keeper| keeper.state);
        Ok((state == Some(KeeperStatusKind::Unreachable)).then_some(()))
    })
    .await?;
    let to_first_by_second = Relay::start(&crew.keeper_url(2)?, &crew.keeper_url(1)?).await?;
    eventually("the address of Keeper 2 is answered", PATIENCE, async || {
        let state = crew.status().await?.keepers.get(1).map(|keeper| keeper.state);
        Ok((state == Some(KeeperStatusKind::Unjudged)).then_some(()))
    })
    .await?;
    let status = crew.status().await?;
    let reason = status.reason.unwrap_or_default();
    assert!(status.last_copy && reason.contains("of which Keepers hold 1"), "{reason}");
    drop(to_first_by_second);

    let _to_first = Relay::start(&first, &crew.keeper_url(1)?).await?;
    crew.restart_keepers([2]).await?;
    eventually("Keeper 2 has its share back", PATIENCE, async || {
        Ok((!crew.status().await?.last_copy).then_some(()))
    })
    .await?;
    crew.sealed_because("no data in").await?;
    crew.nexus().terminate().await?;
    std::fs::rename(&away, &data)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}
