//! What a sealed Nexus says of each Keeper, and what an operator hears of the Keepers once the key is restored.

use std::fs;

use anyhow::Result;
use spike_crypto::combine;
use spike_tests::{SUPERUSER, crew::RESTORER, fake_keeper::FakeKeeper};
use spike_wire::KeeperStatusKind::{Foreign, Unjudged};

use super::{fakes::with_a_secret, fresh_shares};

/// All three were unjudged, beside a state that named the key of two of them; and after a restore nothing said that no Keeper holds a
/// share of the key.
#[tokio::test]
async fn keepers_of_another_key_are_told_as_such_while_nexus_is_sealed_and_after_the_restore()
-> Result<()> {
    let (mut crew, keepers, shares) = with_a_secret(3, 2).await?;
    let others = fresh_shares(3, 2)?;
    let hold = |keepers: &[FakeKeeper], from: usize| {
        for (keeper, other) in keepers.iter().zip(&others).skip(from) {
            keeper.hold(&other.value);
        }
    };
    hold(&keepers, 1);
    crew.start_nexus().await?;
    let name = combine(&[&others[1], &others[2]], 2)?.fingerprint().to_string();
    crew.sealed_because(&name).await?;
    for keeper in &keepers {
        keeper.asked_again(2).await?;
    }
    let states = crew.status().await?.keepers;
    assert_eq!(states.iter().map(|it| it.state).collect::<Vec<_>>(), [Unjudged, Foreign, Foreign]);
    for keeper in &states[1..] {
        let detail = keeper.detail.as_deref().unwrap_or_default();
        assert!(detail.contains(&name) && detail.contains("not that of the data"), "{detail}");
        assert!(!detail.contains("Nexus fills it"), "it cannot while it is sealed: {detail}");
    }
    let told = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    let told = String::from_utf8(told.stdout)?;
    assert!(told.contains("(2 one of a key that is not that of the data)"), "{told}");

    hold(&keepers, 0);
    let files: Vec<String> = [0, 1]
        .map(|n| crew.dir().join(n.to_string()))
        .map(|path| path.display().to_string())
        .into();
    for (file, share) in files.iter().zip(&shares) {
        fs::write(file, share.to_recovery_text().as_str())?;
    }
    let fed = ["operator", "restore", "--file", &files[0], "--file", &files[1]];
    let told = crew.pilot(RESTORER, &fed).await?;
    assert!(told.status.success(), "{told:?}");
    let (said, warned) = (String::from_utf8(told.stdout)?, String::from_utf8(told.stderr)?);
    assert!(said.contains("SPIKE is now restored and ready to use."), "{said}");
    for part in ["0 of 3 Keepers hold a share of this key", "do not restart SPIKE Nexus"] {
        assert!(warned.contains(part), "{part}: {warned}");
    }
    let doctor = crew.pilot(SUPERUSER, &["doctor"]).await?;
    let doctor = String::from_utf8(doctor.stdout)?;
    let doctor = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, answer) = doctor.split_once("The answer:").unwrap_or_default();
    assert!(answer.contains("restart that Keeper"), "{doctor}");
    assert!(!answer.contains("bring back the Keepers"), "nothing is away: {doctor}");

    for keeper in &keepers {
        keeper.lose();
    }
    crew.keepers_good().await?;
    crew.stop().await
}
