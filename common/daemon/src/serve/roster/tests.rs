use spike_mtls::budget::Bounds;

use super::*;
use crate::serve::activity::Busy;

const NOON: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Six places, of which one ID may have three and one is kept back.
fn roster() -> Roster {
    Roster::new(Budget::new(Bounds { all: 6, each: 3, reserve: 1 }), 2)
}

struct Guest {
    entry: Arc<Entry>,
    activity: Arc<Activity>,
}

impl Guest {
    fn is_cut(&self) -> bool {
        self.entry.signal.stage() == Stage::Cut
    }

    fn begin_request(&self) -> Busy {
        Busy::new(Arc::clone(&self.activity), &http::HeaderMap::new())
    }
}

fn seat(roster: &Roster, id: &str, class: Class) -> Result<Guest, Over> {
    seat_over(roster, (id, class), true)
}

fn seat_over(roster: &Roster, (id, class): (&str, Class), http2: bool) -> Result<Guest, Over> {
    let entry = roster.arrive();
    let activity = Arc::new(Activity::new(http2));
    let peer = Peer::unverified_of(id, class);
    let seated = roster.seat(&entry, &peer, &activity, http2);
    // The next one is younger by what the clock can tell.
    let until = Instant::now() + Duration::from_millis(3);
    while Instant::now() < until {
        std::thread::yield_now();
    }
    seated.map(|()| Guest { entry, activity })
}

fn ordinary(roster: &Roster, id: &str) -> Guest {
    seat(roster, id, Class::Ordinary).unwrap()
}

#[test]
fn the_oldest_handshake_gives_way_to_a_new_one_and_a_silent_one_before_one_that_has_begun() {
    let roster = roster();
    let first = roster.arrive();
    first.speaks();
    let second = roster.arrive();
    let third = roster.arrive();
    third.speaks();
    let stages = [&first, &second, &third].map(|entry| entry.signal.stage());
    assert_eq!(stages, [Stage::Open, Stage::Cut, Stage::Open]);
    roster.arrive().speaks();
    assert_eq!(first.signal.stage(), Stage::Cut, "none is silent");
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
    assert_eq!(roster.places.used(), 3);
}

#[test]
fn an_id_whose_connections_are_all_busy_gets_no_other() {
    let roster = roster();
    let guests = [(); 3].map(|()| ordinary(&roster, "a"));
    let _busy = guests.each_ref().map(Guest::begin_request);
    assert_eq!(seat(&roster, "a", Class::Ordinary).err(), Some(Over::Own));
    assert!(!guests.iter().any(Guest::is_cut));
    ordinary(&roster, "b");
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
    let operator = seat(&roster, "operator", Class::Reserved).unwrap();
    assert_eq!(seat(&roster, "c", Class::Ordinary).err(), Some(Over::All));
    assert!(!operator.is_cut());
    assert!(!others.iter().any(Guest::is_cut));
}

#[test]
fn who_leaves_gives_the_place_back() {
    let roster = roster();
    let guest = ordinary(&roster, "a");
    roster.leave(&guest.entry);
    assert_eq!(roster.places.used(), 0);
    assert!(roster.seated().is_empty());
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_cut_and_one_that_works_is_not() {
    let none = TimeLimits { head: Duration::ZERO, idle: Duration::ZERO, stall: Duration::ZERO };
    let roster = roster();
    let idle = ordinary(&roster, "a");
    // A first request over HTTP/1.1: with it the head is here.
    let working = seat_over(&roster, ("a", Class::Ordinary), false).unwrap();
    let _busy = working.begin_request();
    roster.look(&none, NOON).await;
    assert_eq!((idle.is_cut(), working.is_cut()), (true, false));
}

#[tokio::test]
async fn at_the_end_of_the_listener_peers_are_told_and_only_what_works_may_go_on() {
    let roster = roster();
    let (idle, working) = (ordinary(&roster, "a"), ordinary(&roster, "a"));
    let _busy = working.begin_request();
    roster.stop();
    assert_eq!(idle.entry.signal.stage(), Stage::Ending);
    assert_eq!(ordinary(&roster, "a").entry.signal.stage(), Stage::Ending, "late ones too");
    roster.cut(false);
    assert_eq!((idle.is_cut(), working.is_cut()), (true, false));
    roster.cut(true);
    assert!(working.is_cut());
}
