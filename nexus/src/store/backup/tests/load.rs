//! A backup that is made while writers write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_under_load_has_every_write_answered_before_it_and_is_of_one_commit() {
    let fixture = Fixture::new().await;
    let store = Arc::new(fixture.store);
    let end = Arc::new(AtomicBool::new(false));
    // Each writer goes round its ten paths, so that the values of all ten differ by at most one round in every commit.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, end) = (Arc::clone(&store), Arc::clone(&end));
            tokio::spawn(async move {
                let mut last = BTreeMap::new();
                for round in 0_u64.. {
                    for place in 0..10 {
                        let name = format!("load/{writer}/{place}");
                        put(&store, &name, &round.to_string()).await;
                        last.insert(name, round);
                        if end.load(Ordering::Relaxed) {
                            return last;
                        }
                    }
                }
                last
            })
        })
        .collect();
    let round_of = |store: &Store, name: &str| {
        current(store, name).map_or(0, |text| text.parse::<u64>().unwrap() + 1)
    };
    let names = |writer: u8| (0..10).map(move |place| format!("load/{writer}/{place}"));
    for number in 0..3 {
        let answered: BTreeMap<String, u64> =
            (0..4).flat_map(names).map(|name| (name.clone(), round_of(&store, &name))).collect();
        let file = fixture.directory.path().join(format!("backup-{number}"));
        let data = fixture.directory.path().join("data");
        let made = file.clone();
        tokio::task::spawn_blocking(move || back_up(&data, &made, NOON)).await.unwrap().unwrap();
        let shares = fixture.directory.path().join("recover");
        verify(&file, Some(&shares), NOON).unwrap();
        let to = fixture.directory.path().join(format!("restored-{number}"));
        restore(&file, &to, NOON).unwrap();
        let restored =
            Store::open_or_create(&Home::File(to), &root_key(1), &options(), NOON).unwrap();
        for (name, round) in &answered {
            assert!(round_of(&restored, name) >= *round, "{name} was answered and is not in it");
        }
        for writer in 0..4 {
            let rounds: Vec<u64> = names(writer).map(|name| round_of(&restored, &name)).collect();
            assert!(rounds.is_sorted_by(|one, next| one >= next), "{rounds:?}");
            assert!(rounds[0] - rounds[9] <= 1, "not of one commit: {rounds:?}");
        }
    }
    end.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap().values().sum::<u64>();
    }
    assert!(written > 0, "nothing was written meanwhile");
}
