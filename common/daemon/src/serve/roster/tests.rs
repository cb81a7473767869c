use spike_mtls::{RequestInFlight, budget::Bounds};

use super::*;
use crate::serve::activity::request::ActiveRequest;

const NOON: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Six slots: at most three for one ID, and one in reserve.
fn roster() -> Roster {
    Roster::new(Budget::new(Bounds { all: 6, each: 3, reserve: 1 }), 2)
}

struct Guest {
    entry: Arc<TrackedConnection>,
    activity: Arc<Activity>,
    peer: Peer,
}

impl Guest {
    fn is_cut(&self) -> bool {
        self.entry.signal.stage() == Stage::Cut
    }

    /// Begins a request that is refused.
    fn begin_refused(&self) -> ActiveRequest {
        ActiveRequest::new(Arc::clone(&self.activity))
    }

    /// Begins a request in flight.
    fn begin_request(&self) -> (ActiveRequest, RequestInFlight) {
        (self.begin_refused(), self.peer.begin_request())
    }
}

fn admit(roster: &Roster, id: &str, class: Class) -> Result<Guest, Over> {
    admit_with(roster, (id, class), true)
}

fn admit_with(roster: &Roster, (id, class): (&str, Class), http2: bool) -> Result<Guest, Over> {
    let entry = roster.add();
    let activity = Arc::new(Activity::new(http2));
    let peer = Peer::unverified_of(id, class);
    let admitted = roster.admit(&entry, &peer, &activity, http2);
    admitted.map(|()| Guest { entry, activity, peer })
}

fn ordinary(roster: &Roster, id: &str) -> Guest {
    admit(roster, id, Class::Ordinary).unwrap()
}

/// The oldest silent one always gave way first: with places for handshakes that begin and stall, each new connection cut
/// whoever had just connected.
#[test]
fn of_silent_handshakes_and_those_that_have_begun_the_larger_group_loses_its_oldest() {
    const BEGUN: bool = true;
    const SILENT: bool = false;
    for (handshakes, evicted) in [
        (vec![], None),
        (vec![BEGUN], Some(0)),
        (vec![SILENT], Some(0)),
        (vec![BEGUN, BEGUN, SILENT], Some(2)),
        (vec![BEGUN, BEGUN, BEGUN, SILENT], Some(0)),
        (vec![SILENT, BEGUN, BEGUN, BEGUN], Some(1)),
        (vec![BEGUN, SILENT, SILENT], Some(1)),
        // The new one is silent too.
        (vec![BEGUN, SILENT], Some(1)),
        (vec![BEGUN, BEGUN, SILENT, SILENT], Some(2)),
    ] {
        let numbered = (0..).zip(handshakes.iter().copied());
        assert_eq!(to_evict(numbered), evicted, "{handshakes:?}");
    }
}

#[test]
fn a_flood_of_handshakes_that_begin_and_stall_does_not_cost_those_that_have_not_begun() {
    let roster = Roster::new(Budget::new(Bounds::NONE), 16);
    let away = [(); 4].map(|()| roster.add());
    for _ in 0..200 {
        roster.add().handshake_began();
    }
    assert!(away.iter().all(|entry| entry.signal.stage() == Stage::Open));
}

#[test]
fn a_flood_of_silent_connections_does_not_cost_handshakes_that_have_begun() {
    let roster = Roster::new(Budget::new(Bounds::NONE), 16);
    let begun = [(); 4].map(|()| roster.add());
    for entry in &begun {
        entry.handshake_began();
    }
    let mut newest = None;
    for _ in 0..200 {
        newest = Some(roster.add());
    }
    assert!(begun.iter().all(|entry| entry.signal.stage() == Stage::Open));
    assert_eq!(newest.unwrap().signal.stage(), Stage::Open);
}

#[test]
fn over_its_limit_an_id_loses_the_connection_that_it_has_not_used_for_the_longest_time() {
    let roster = roster();
    let guests = [(); 3].map(|()| ordinary(&roster, "a"));
    let busy = guests[0].begin_request();
    let fourth = ordinary(&roster, "a");
    let cut = guests.each_ref().map(Guest::is_cut);
    assert_eq!(cut, [false, true, false], "the first is busy");
    drop(busy);
    assert!(!fourth.is_cut());
    assert_eq!(roster.budget.used(), 3);
}

/// Each one's time was counted in milliseconds since it was opened: now and then the connection used last was cut.
#[test]
fn of_two_connections_used_within_a_millisecond_the_one_used_first_is_cut() {
    for distance in (1..1000).step_by(10).map(Duration::from_micros) {
        let roster = Roster::new(Budget::new(Bounds { all: 6, each: 2, reserve: 1 }), 2);
        let guest = || admit_with(&roster, ("a", Class::Ordinary), false).unwrap();
        let guests = [(); 2].map(|()| guest());
        let used = Instant::now();
        for (guest, at) in guests.iter().zip([used, used + distance]) {
            guest.begin_refused().answered(at);
        }
        ordinary(&roster, "a");
        assert_eq!(guests.each_ref().map(Guest::is_cut), [true, false], "{distance:?}");
    }
}

#[test]
fn an_id_whose_connections_are_all_busy_gets_no_other() {
    let roster = roster();
    let guests = [(); 3].map(|()| ordinary(&roster, "a"));
    let _busy = guests.each_ref().map(Guest::begin_request);
    assert_eq!(admit(&roster, "a", Class::Ordinary).err(), Some(Over::Own));
    assert!(!guests.iter().any(Guest::is_cut));
    ordinary(&roster, "b");
}

#[test]
fn a_connection_with_nothing_but_refused_requests_gives_way_after_the_idle_ones() {
    let roster = roster();
    let guests = [(); 3].map(|()| ordinary(&roster, "a"));
    let mut unread = guests[0].begin_refused();
    unread.answered(Instant::now());
    let _delayed = guests[0].begin_refused();
    let _busy = (guests[1].begin_request(), guests[1].begin_refused());
    let fourth = ordinary(&roster, "a");
    assert_eq!(guests.each_ref().map(Guest::is_cut), [false, false, true], "the idle one");
    let _busy_too = fourth.begin_request();
    let fifth = ordinary(&roster, "a");
    assert_eq!(guests.each_ref().map(Guest::is_cut), [true, false, true], "the refused one");
    let _all_are_busy = fifth.begin_request();
    assert_eq!(admit(&roster, "a", Class::Ordinary).err(), Some(Over::Own));
}

/// Four IDs without rights kept everybody else out, for as long as they did not read that they were refused.
#[test]
fn connections_with_nothing_but_refused_requests_keep_nobody_out() {
    let roster = roster();
    let of_a = [(); 3].map(|()| ordinary(&roster, "a"));
    let mut unread = of_a.each_ref().map(Guest::begin_refused);
    unread[0].answered(Instant::now());
    let _of_b = [(); 2].map(|()| ordinary(&roster, "b").begin_request());
    ordinary(&roster, "c");
    assert_eq!(of_a.iter().filter(|guest| guest.is_cut()).count(), 1);
}

#[test]
fn over_the_limit_for_all_the_id_with_the_most_connections_gives_way() {
    let roster = roster();
    let of_a = [(); 3].map(|()| ordinary(&roster, "a"));
    let of_b = [(); 2].map(|()| ordinary(&roster, "b"));
    ordinary(&roster, "c");
    assert_eq!(of_a.each_ref().map(Guest::is_cut), [true, false, false]);
    assert!(!of_b.iter().any(Guest::is_cut));
}

#[test]
fn an_operator_gets_in_when_all_others_are_busy_and_gives_way_to_nobody() {
    let roster = roster();
    let others = ["a", "a", "a", "b", "b"].map(|id| ordinary(&roster, id));
    let _busy = others.each_ref().map(Guest::begin_request);
    let operator = admit(&roster, "operator", Class::Reserved).unwrap();
    assert_eq!(admit(&roster, "c", Class::Ordinary).err(), Some(Over::All));
    assert!(!operator.is_cut());
    assert!(!others.iter().any(Guest::is_cut));
}

#[test]
fn a_connection_that_ends_returns_its_slot() {
    let roster = roster();
    let guest = ordinary(&roster, "a");
    roster.remove(&guest.entry);
    assert_eq!(roster.budget.used(), 0);
    assert!(roster.admitted().is_empty());
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_cut_and_one_that_works_is_not() {
    let none = TimeLimits { head: Duration::ZERO, idle: Duration::ZERO, stall: Duration::ZERO };
    let roster = roster();
    let idle = ordinary(&roster, "a");
    // A first request over HTTP/1.1: its head has arrived.
    let working = admit_with(&roster, ("a", Class::Ordinary), false).unwrap();
    let _busy = working.begin_request();
    roster.check_all(&none, NOON).await;
    assert_eq!((idle.is_cut(), working.is_cut()), (true, false));
}

#[tokio::test]
async fn at_the_end_of_the_listener_peers_are_notified_and_only_busy_connections_continue() {
    let roster = roster();
    let (idle, working) = (ordinary(&roster, "a"), ordinary(&roster, "a"));
    let _busy = working.begin_request();
    roster.stop();
    assert_eq!(idle.entry.signal.stage(), Stage::Ending);
    assert_eq!(ordinary(&roster, "a").entry.signal.stage(), Stage::Ending, "late ones too");
    roster.cut_ended(Duration::ZERO);
    assert_eq!((idle.is_cut(), working.is_cut()), (true, false));
    roster.cut_all();
    assert!(working.is_cut());
}
