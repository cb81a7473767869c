use std::sync::mpsc;

use spike_mtls::Peer;
use tokio::task;

use super::*;

const INSTEAD: &str = "ask for less";

fn one_at_a_time() -> LongWork {
    let bounds = Bounds {
        questions: 1,
        reserve: 1,
        patience: Duration::from_millis(10),
        ..Bounds::default()
    };
    LongWork::new(bounds)
}

fn workload(name: &str) -> Principal {
    Principal::from(&Peer::unverified(&format!("spiffe://spike.ist/{name}")))
}

fn operator() -> Principal {
    Principal::from(&Peer::unverified_of("spiffe://spike.ist/operator", Class::Reserved))
}

type Occupied = (mpsc::Sender<()>, task::JoinHandle<Result<(), Error>>);

/// Takes the only place for questions until the sender is used or dropped.
fn occupy(work: &Arc<LongWork>) -> Occupied {
    occupy_as(work, Lane::Questions, workload("first"))
}

/// Takes a place, or waits for one.
fn occupy_as(work: &Arc<LongWork>, lane: Lane, caller: Principal) -> Occupied {
    let (end, ended) = mpsc::channel::<()>();
    let work = Arc::clone(work);
    let occupied = tokio::spawn(async move {
        let wait = move |_| {
            ended.recv().ok();
            Ok(())
        };
        work.run(lane, &caller, INSTEAD, wait).await
    });
    (end, occupied)
}

async fn until_busy(work: &LongWork) {
    while work.questions.open.available_permits() > 0 {
        task::yield_now().await;
    }
}

#[tokio::test]
async fn more_than_there_are_places_for_are_told_to_come_again() {
    let work = Arc::new(one_at_a_time());
    let (end, occupied) = occupy(&work);
    until_busy(&work).await;
    let refused = work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await;
    assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    // Another lane is not held up.
    assert!(work.run(Lane::Lists, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
    assert!(work.run(Lane::Status, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
    end.send(()).unwrap();
    assert!(occupied.await.unwrap().is_ok());
    assert!(work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_free_the_place_of_work_that_goes_on() {
    let work = Arc::new(one_at_a_time());
    let (end, occupied) = occupy(&work);
    until_busy(&work).await;
    occupied.abort();
    assert!(occupied.await.unwrap_err().is_cancelled());
    let refused = work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await;
    assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    end.send(()).unwrap();
    while work.questions.open.available_permits() == 0 {
        task::yield_now().await;
    }
}

#[tokio::test]
async fn work_that_takes_too_long_ends_with_what_to_ask_for_instead() {
    let bounds = Bounds { budget: Duration::from_millis(5), ..Bounds::default() };
    let endless = |deadline: Deadline| -> Result<(), Error> {
        loop {
            deadline.check()?;
        }
    };
    let ended = LongWork::new(bounds).run(Lane::Questions, &operator(), INSTEAD, endless).await;
    let text = ended.unwrap_err().to_string();
    assert_eq!(text, "it took longer than 5ms and was given up: ask for less");
}

/// Whoever asked waited for as long as the disk took, and the others for a place.
#[tokio::test]
async fn work_that_the_disk_holds_up_is_given_up_and_keeps_its_place_until_it_ends() {
    let answer = Duration::from_millis(10);
    let bounds = Bounds { reads: 1, reserve: 1, patience: answer, answer, ..Bounds::default() };
    let work = Arc::new(LongWork::new(bounds));
    let (end, hangs) = occupy_as(&work, Lane::Reads, workload("first"));
    let told = hangs.await.unwrap().unwrap_err().to_string();
    assert!(told.starts_with("the store has not answered within 10ms"), "{told}");
    let next = work.run(Lane::Reads, &workload("second"), INSTEAD, |_| Ok(())).await;
    assert!(matches!(next, Err(Error::StoreHangs(_))), "{next:?}");
    drop(end);
    while work.reads.open.available_permits() == 0 {
        task::yield_now().await;
    }
    assert!(work.run(Lane::Reads, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn a_panic_in_the_work_is_one_of_the_request() {
    let work = Arc::new(one_at_a_time());
    let worker = Arc::clone(&work);
    let request = tokio::spawn(async move {
        worker.run::<()>(Lane::Questions, &operator(), INSTEAD, |_| panic!("a bug")).await
    });
    assert!(request.await.unwrap_err().is_panic());
    assert!(
        work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok(),
        "the place is free"
    );
}

fn without_waiting() -> Arc<LongWork> {
    Arc::new(LongWork::new(Bounds { patience: Duration::from_millis(10), ..Bounds::default() }))
}

#[tokio::test]
async fn a_workload_that_lists_all_the_time_leaves_half_of_the_lane_to_others() {
    let work = without_waiting();
    let half = Bounds::default().lists / 2;
    let held = [(); 2].map(|()| occupy_as(&work, Lane::Lists, workload("first")));
    while work.lists.open.available_permits() > half {
        task::yield_now().await;
    }
    let own = work.run(Lane::Lists, &workload("first"), INSTEAD, |_| Ok(())).await;
    assert!(matches!(own, Err(Error::Busy)), "{own:?}");
    let other = work.run(Lane::Lists, &workload("second"), INSTEAD, |_| Ok(())).await;
    assert!(other.is_ok(), "{other:?}");
    assert_eq!(work.lists.shares.lock().unwrap().len(), 2);
    drop(held);
}

#[tokio::test]
async fn an_operator_gets_in_where_workloads_have_every_place_of_a_lane() {
    let work = without_waiting();
    for lane in
        [Lane::Lists, Lane::Questions, Lane::Status, Lane::Bodies, Lane::Values, Lane::Reads]
    {
        let places = work.places(lane);
        let mut held = Vec::new();
        while places.open.available_permits() > 0 {
            let name = format!("w{}", held.len());
            let left = places.open.available_permits();
            held.push(occupy_as(&work, lane, workload(&name)));
            while places.open.available_permits() == left {
                task::yield_now().await;
            }
        }
        let third = work.run(lane, &workload("another"), INSTEAD, |_| Ok(())).await;
        assert!(matches!(third, Err(Error::Busy | Error::StoreHangs(_))), "{lane:?}: {third:?}");
        let answered = work.run(lane, &operator(), INSTEAD, |_| Ok(())).await;
        assert!(answered.is_ok(), "{lane:?}: {answered:?}");
    }
}
