//! Requests on a thread that serves, and must not be held up by the disk of the data.

use std::thread;

use spike_daemon::disk_work::DiskWork;
use spike_wire::Operation;

use super::{
    dropped::{body_for, id_for, states_for},
    fixture::{Fixture, State},
};

/// The status of the answer of a thread that reads no disk itself.
async fn answered(operation: Operation, state: State) -> u16 {
    let fixture = Fixture::new(state).await;
    DiskWork::of(0).join(0);
    let body = body_for(operation, &fixture.shares);
    let answer = fixture.send(&id_for(operation), operation, &body).await;
    fixture.quiet().await;
    answer.status().as_u16()
}

/// A read that is not handed over would be refused.
#[test]
fn every_route_is_carried_out_on_a_thread_that_must_not_read_the_disk() {
    for operation in Operation::ALL.iter().copied() {
        for state in states_for(operation).iter().copied() {
            let alone = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(answered(operation, state))
            };
            let status = thread::spawn(alone).join().unwrap();
            assert_eq!(status, 200, "{operation} in {state:?}");
        }
    }
}
