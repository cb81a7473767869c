use std::sync::Arc;

use super::{request::ActiveRequest, *};

const LIMITS: TimeLimits = TimeLimits {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(90),
    stall: Duration::from_secs(30),
};

fn http2() -> Arc<Activity> {
    let activity = Arc::new(Activity::new(true));
    // The peer has sent the start of the connection.
    activity.frames_arrived(100, false, true, activity.opened);
    activity
}

fn after(activity: &Activity, seconds: u64) -> Instant {
    activity.opened + Duration::from_secs(seconds)
}

fn request(activity: &Arc<Activity>) -> ActiveRequest {
    ActiveRequest::new(Arc::clone(activity))
}

#[test]
fn a_small_request_does_not_hide_an_answer_that_is_not_taken() {
    let activity = http2();
    let mut stalled = request(&activity);
    stalled.answered(activity.opened);
    for second in [8, 16, 24] {
        let mut small = request(&activity);
        small.answered(after(&activity, second));
        assert_eq!(activity.overdue(&LIMITS, after(&activity, second)), None);
    }
    let working = request(&activity);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 31)), Some(Overdue::Answer));
    stalled.answered(after(&activity, 31));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 60)), None, "a part was taken");
    drop(stalled);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 70)), None, "it works");
    drop(working);
}

#[test]
fn bytes_that_nobody_takes_are_overdue_whatever_else_the_peer_asks_for() {
    let activity = http2();
    activity.wrote(true, || after(&activity, 1));
    let _working = request(&activity);
    activity.wrote(true, || after(&activity, 20));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 31)), None);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 32)), Some(Overdue::Answer));
    activity.wrote(false, || after(&activity, 32));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 32)), None);
}

#[test]
fn a_head_over_http_2_has_its_limit_also_while_other_requests_are_carried_out() {
    let activity = http2();
    let _working = request(&activity);
    activity.frames_arrived(30, true, false, after(&activity, 1));
    // More of the same head, and another request.
    activity.frames_arrived(1, true, false, after(&activity, 9));
    drop(request(&activity));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 11)), None);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 12)), Some(Overdue::Head));
    // It ends, and the next one begins in the same bytes.
    activity.frames_arrived(30, true, true, after(&activity, 12));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 22)), None);
    activity.frames_arrived(30, false, true, after(&activity, 22));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 80)), None);
}

#[test]
fn a_peer_that_says_nothing_after_its_handshake_is_overdue_as_a_head_is_on_both_protocols() {
    for http2 in [false, true] {
        let activity = Activity::new(http2);
        assert_eq!(activity.overdue(&LIMITS, after(&activity, 9)), None);
        assert_eq!(activity.overdue(&LIMITS, after(&activity, 11)), Some(Overdue::Head));
        assert!(!activity.has_received.load(Relaxed));
    }
}

#[test]
fn a_peer_that_has_sent_requests_ahead_may_be_idle_once_they_are_answered() {
    let activity = Arc::new(Activity::new(false));
    // Two requests at once, and an empty line after them.
    activity.bytes_arrived(false, true, || after(&activity, 1));
    for _ in 0..2 {
        let mut whole = request(&activity);
        whole.answered(after(&activity, 1));
        drop(whole);
    }
    activity.bytes_arrived(false, false, || after(&activity, 2));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 80)), None);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 92)), Some(Overdue::Idle));
    // Half a head.
    activity.bytes_arrived(true, false, || after(&activity, 80));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 91)), Some(Overdue::Head));
}

#[test]
fn a_head_that_began_behind_another_request_has_its_limit_from_the_end_of_that_one() {
    let activity = Arc::new(Activity::new(false));
    activity.bytes_arrived(true, true, || after(&activity, 1));
    let mut whole = request(&activity);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 30)), None);
    whole.answered(after(&activity, 30));
    drop(whole);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 40)), None);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 41)), Some(Overdue::Head));
}

#[test]
fn empty_lines_do_not_extend_the_time_for_the_first_head() {
    let activity = Arc::new(Activity::new(false));
    for second in 0..10 {
        activity.bytes_arrived(false, false, || after(&activity, second));
    }
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 11)), Some(Overdue::Head));
}

// A peer that sent a burst was not read for some seconds, and then cut because a head of the burst was late.
#[test]
fn a_head_is_not_late_because_the_connection_is_not_read() {
    let activity = http2();
    activity.frames_arrived(30, true, false, after(&activity, 1));
    assert!(activity.suspend_head());
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 15)), None);
    activity.resume_head(after(&activity, 15));
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 25)), None);
    assert_eq!(activity.overdue(&LIMITS, after(&activity, 26)), Some(Overdue::Head));
    activity.frames_arrived(30, false, true, after(&activity, 26));
    assert!(!activity.suspend_head(), "there is none");
}

fn millis_after(activity: &Activity, millis: u64) -> Instant {
    activity.opened + Duration::from_millis(millis)
}

/// Whether a connection may be cut that ends, so many milliseconds after it was opened.
fn is_over(activity: &Activity, millis: u64) -> bool {
    activity.has_ended(Duration::ZERO, millis_after(activity, millis))
}

/// All that were not working were cut as soon as they were no longer read.
#[test]
fn at_the_end_an_answer_that_is_taken_slowly_goes_on_and_one_of_which_nothing_is_taken_does_not() {
    let activity = http2();
    let mut sending = request(&activity);
    assert!(!is_over(&activity, 60_000), "it is carried out");
    for at_once in 0..5 {
        sending.answered(millis_after(&activity, at_once));
    }
    assert!(!is_over(&activity, 2_900), "it has just begun");
    assert!(is_over(&activity, 3_100), "only what needed no peer was taken");
    for millis in [3_500, 7_500, 11_000] {
        sending.answered(millis_after(&activity, millis));
        assert!(!is_over(&activity, millis + 4_900), "it is taken slowly");
        assert!(activity.needs_windows(millis_after(&activity, millis)));
    }
    assert!(is_over(&activity, 16_100), "it is not taken any more");
    drop(sending);
    assert!(is_over(&activity, 16_100));
}

/// Over HTTP/1.1 the library asks for another part whenever it runs.
#[test]
fn at_the_end_what_has_left_the_daemon_tells_that_an_answer_over_http_1_1_is_taken() {
    let activity = Arc::new(Activity::new(false));
    let mut sending = request(&activity);
    sending.answered(activity.opened);
    activity.wrote(true, || millis_after(&activity, 10));
    sending.answered(after(&activity, 3));
    assert!(is_over(&activity, 3_100), "nothing has left");
    activity.wrote(false, || after(&activity, 4));
    activity.wrote(true, || after(&activity, 4));
    assert!(!is_over(&activity, 8_900));
    assert!(is_over(&activity, 9_100));
    activity.wrote(false, || after(&activity, 10));
    activity.flushed(false, || after(&activity, 10));
    drop(sending);
    assert!(!is_over(&activity, 14_900));
    activity.flushed(true, || after(&activity, 14));
    assert!(!is_over(&activity, 18_900), "the last bytes have left");
    assert!(is_over(&activity, 19_100));
    assert!(!activity.needs_windows(after(&activity, 14)));

    let activity = http2();
    activity.flushed(false, || activity.opened);
    assert!(!is_over(&activity, 2_900), "the last bytes are still here");
    assert!(is_over(&activity, 3_100));
    activity.flushed(true, || millis_after(&activity, 50));
    assert!(is_over(&activity, 60), "they waited for no peer");
}

/// A connection that is closed before breaks, with what the kernel has not sent.
#[test]
fn at_the_end_a_peer_that_opens_windows_for_an_answer_that_has_left_is_waited_for() {
    let activity = http2();
    activity.window_opened(millis_after(&activity, 50));
    assert!(is_over(&activity, 60), "windows that are opened at the start");
    activity.window_opened(after(&activity, 2));
    assert!(!is_over(&activity, 6_900));
    assert!(activity.needs_windows(after(&activity, 6)));
    assert!(is_over(&activity, 7_100));
    assert!(!activity.needs_windows(after(&activity, 8)));

    let activity = http2();
    let mut sending = request(&activity);
    sending.answered(activity.opened);
    activity.window_opened(after(&activity, 2));
    assert!(is_over(&activity, 3_100), "nothing was sent through it");
}
