//! Terminals without room for everything.

use super::super::super::watch::frame;
use super::*;

#[test]
fn the_screen_of_before_is_overwritten_and_never_scrolled_away() {
    let text = "one\ntwo\nthree\n";
    assert_eq!(frame(text, 24), "\x1b[Hone\x1b[K\ntwo\x1b[K\nthree\x1b[K\n\x1b[J");
    let low = frame(text, 3);
    assert_eq!(low, "\x1b[Hone\x1b[K\n… 2 more lines: this terminal is too low\x1b[K\n\x1b[J");
}

/// A screen of 80 by 24 ended in the middle of the Keepers.
#[test]
fn a_screen_of_24_lines_has_room_for_three_keepers() {
    let shown = draw_within(&look(), &TERMINAL, 24);
    assert!(shown.lines().count() < 24, "{shown}");
    for part in ["Margin", "3          unreachable", "Keeper 1   [", "Keeper 3   not known"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(draw_within(&look(), &TERMINAL, 60), draw(&look(), &TERMINAL));
}

/// What was wrong stood below the requests and the store, where a low terminal shows nothing.
#[test]
fn what_is_wrong_stands_before_what_is_well() {
    let mut seen = look();
    let troubles = vec!["memory is not locked".to_owned()];
    seen.answer = Ok(StatusResponse { troubles, ..status() });
    let shown = draw(&seen, &TERMINAL);
    let at = |part| shown.find(part).unwrap();
    assert!(at("Trouble ") < at("Root key") && at("Trouble ") < at("Requests"), "{shown}");
}
