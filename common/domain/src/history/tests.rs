use proptest::prelude::*;

use super::*;
use Selector::{Current, Number};

const NOON: UnixNanos = 1_800_000_000_000_000_000;
const MINUTE: UnixNanos = 60_000_000_000;

/// A path that keeps `max` versions, after `puts` puts, one a minute from `NOON`.
fn history(max: u32, puts: u32) -> History {
    let mut history = History::new(NonZeroU32::new(max).unwrap(), NOON);
    for minute in 0..puts {
        history.put(NOON + i64::from(minute) * MINUTE, None).unwrap();
    }
    history
}

fn number(version: Option<&Version>) -> Option<i64> {
    version.map(|version| version.number)
}

fn numbers(history: &History) -> Vec<i64> {
    history.versions().iter().map(|version| version.number).collect()
}

#[test]
fn the_first_put_makes_version_1_with_the_times_of_the_path() {
    let mut history = History::new(NonZeroU32::new(10).unwrap(), NOON);
    assert_eq!(history.put(NOON, None).unwrap(), Put { number: 1, pruned: vec![] });
    assert_eq!(history.versions(), [Version { number: 1, created: NOON, deleted: None }]);
    assert_eq!((history.created(), history.updated()), (NOON, NOON));
    assert_eq!((number(history.current()), number(history.oldest())), (Some(1), Some(1)));
}

#[test]
fn a_put_moves_current_and_the_update_time_and_keeps_the_creation_time() {
    let history = history(10, 3);
    assert_eq!(number(history.current()), Some(3));
    assert_eq!(history.created(), NOON);
    assert_eq!(history.updated(), NOON + 2 * MINUTE);
}

// Upstream overwrites version 2 here (F6, Q-29).
#[test]
fn the_number_of_a_deleted_current_version_is_not_used_again() {
    let mut history = history(10, 2);
    history.delete(&[Current], NOON + 5 * MINUTE);
    assert_eq!(history.put(NOON + 6 * MINUTE, None).unwrap().number, 3);
    let second = history.version(2).unwrap();
    assert_eq!((second.created, second.deleted), (NOON + MINUTE, Some(NOON + 5 * MINUTE)));
}

#[test]
fn numbers_go_on_after_every_version_was_deleted() {
    let mut history = history(10, 3);
    history.delete(&[Number(1), Number(2), Number(3)], NOON);
    assert_eq!(history.put(NOON, None).unwrap().number, 4);
}

// Upstream reports 0 (F10, Q-41).
#[test]
fn oldest_is_the_lowest_live_version_after_all_deleted_and_put() {
    let mut history = history(10, 1);
    history.delete(&[], NOON);
    assert_eq!(number(history.oldest()), None);
    history.put(NOON, None).unwrap();
    assert_eq!(number(history.oldest()), Some(2));
}

// With SQLite, upstream never erases them (F8, Q-22).
#[test]
fn versions_beyond_the_limit_are_dropped_lowest_first_deleted_or_not() {
    let mut history = history(3, 3);
    history.delete(&[Number(2)], NOON);
    let put = history.put(NOON, None).unwrap();
    assert_eq!(put, Put { number: 4, pruned: vec![1] });
    assert_eq!(numbers(&history), [2, 3, 4]);
    assert_eq!(number(history.oldest()), Some(3));
    assert_eq!(history.put(NOON, None).unwrap().pruned, [2]);
}

#[test]
fn a_limit_of_one_keeps_the_newest_only() {
    let history = history(1, 5);
    assert_eq!(numbers(&history), [5]);
}

#[test]
fn numbers_that_are_used_up_are_an_error_that_changes_nothing() {
    let limit = NonZeroU32::new(10).unwrap();
    let mut history = History::from_parts(vec![], i64::MAX, limit, NOON, NOON).unwrap();
    let before = history.clone();
    assert_eq!(history.put(NOON, None), Err(NumbersUsedUp));
    assert_eq!(history, before);
}

#[test]
fn deleting_names_versions_by_number_by_zero_and_by_default() {
    for (selectors, deleted) in [
        (vec![], vec![3]),
        (vec![Current], vec![3]),
        (vec![Number(1), Current], vec![1, 3]),
        (vec![Number(2), Number(1), Number(2)], vec![1, 2]),
        (vec![Number(7), Number(-1), Number(i64::MIN)], vec![]),
        (vec![Number(7), Number(2)], vec![2]),
    ] {
        assert_eq!(history(10, 3).delete(&selectors, NOON), deleted, "{selectors:?}");
    }
}

#[test]
fn deleting_current_moves_it_down_and_moves_the_update_time() {
    let mut history = history(10, 3);
    history.delete(&[Number(2)], NOON + 8 * MINUTE);
    assert_eq!(history.updated(), NOON + 2 * MINUTE, "current was not deleted");
    history.delete(&[Current], NOON + 9 * MINUTE);
    assert_eq!(number(history.current()), Some(1));
    assert_eq!(history.updated(), NOON + 9 * MINUTE);
}

// As upstream does (N3).
#[test]
fn deleting_twice_takes_the_later_time() {
    let mut history = history(10, 2);
    history.delete(&[Number(1)], NOON + 5 * MINUTE);
    history.delete(&[Number(1)], NOON + 6 * MINUTE);
    assert_eq!(history.version(1).unwrap().deleted, Some(NOON + 6 * MINUTE));
}

#[test]
fn deleting_the_current_version_where_there_is_none_does_nothing() {
    let mut history = history(10, 1);
    history.delete(&[], NOON);
    let before = history.clone();
    assert_eq!(history.delete(&[], NOON + MINUTE), Vec::<i64>::new());
    assert_eq!(history.delete(&[Current], NOON + MINUTE), Vec::<i64>::new());
    assert_eq!(history, before);
}

#[test]
fn undeleting_with_a_live_current_revives_only_what_is_named() {
    for (selectors, revived) in [
        (vec![], vec![]),
        (vec![Current], vec![]),
        (vec![Number(3)], vec![]),
        (vec![Number(9)], vec![]),
        (vec![Number(1)], vec![1]),
        (vec![Current, Number(1), Number(3)], vec![1]),
    ] {
        let mut history = history(10, 3);
        history.delete(&[Number(1), Number(2)], NOON);
        assert_eq!(history.undelete(&selectors, NOON), revived, "{selectors:?}");
    }
}

// Upstream answers 404 for `[0]`, which its own CLI sends by default.
#[test]
fn undeleting_where_all_are_deleted_revives_the_highest_by_default_and_by_zero() {
    for (selectors, revived) in [
        (vec![], vec![3]),
        (vec![Current], vec![3]),
        (vec![Current, Number(1)], vec![1, 3]),
        (vec![Number(2)], vec![2]),
        (vec![Number(9)], vec![]),
    ] {
        let mut history = history(10, 3);
        history.delete(&[Number(1), Number(2), Number(3)], NOON);
        assert_eq!(history.undelete(&selectors, NOON), revived, "{selectors:?}");
    }
}

#[test]
fn undeleting_moves_the_update_time_only_with_current() {
    let mut history = history(10, 3);
    history.delete(&[Number(1), Number(3)], NOON + 5 * MINUTE);
    history.undelete(&[Number(1)], NOON + 6 * MINUTE);
    assert_eq!(history.updated(), NOON + 5 * MINUTE);
    history.undelete(&[Number(3)], NOON + 7 * MINUTE);
    assert_eq!(history.updated(), NOON + 7 * MINUTE);
    assert_eq!(number(history.current()), Some(3));
}

#[test]
fn only_live_versions_are_found() {
    let mut history = history(10, 3);
    history.delete(&[Number(3)], NOON);
    for (wire, found) in
        [(0, Some(2)), (1, Some(1)), (2, Some(2)), (3, None), (4, None), (-1, None)]
    {
        assert_eq!(number(history.find(Selector::from(wire))), found, "{wire}");
    }
}

#[test]
fn parts_that_no_operation_leaves_behind_are_refused() {
    let limit = NonZeroU32::new(10).unwrap();
    let version = |number| Version { number, created: NOON, deleted: None };
    for (numbers, last, accepted) in [
        (vec![], 0, true),
        (vec![1, 2, 5], 5, true),
        (vec![4], 9, true),
        (vec![2, 1], 2, false),
        (vec![1, 1], 2, false),
        (vec![0], 1, false),
        (vec![-3], 1, false),
        (vec![1, 2], 1, false),
    ] {
        let versions = numbers.iter().map(|number| version(*number)).collect();
        let history = History::from_parts(versions, last, limit, NOON, NOON);
        assert_eq!(history.is_ok(), accepted, "{numbers:?} up to {last}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put,
    Delete(Vec<i64>),
    Undelete(Vec<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    let list = || proptest::collection::vec(-1_i64..12, 0..3);
    prop_oneof![Just(Step::Put), list().prop_map(Step::Delete), list().prop_map(Step::Undelete)]
}

proptest! {
    #[test]
    fn whatever_happens_numbers_ascend_and_are_never_reused(
        max in 1_u32..5,
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut history = history(max, 0);
        let mut given = 0;
        for (at, step) in (NOON..).zip(steps) {
            match step {
                Step::Put => {
                    given += 1;
                    prop_assert_eq!(history.put(at, None).unwrap().number, given);
                }
                Step::Delete(list) => {
                    let list: Vec<_> = list.into_iter().map(Selector::from).collect();
                    for number in history.delete(&list, at) {
                        prop_assert_eq!(history.version(number).unwrap().deleted, Some(at));
                    }
                }
                Step::Undelete(list) => {
                    let list: Vec<_> = list.into_iter().map(Selector::from).collect();
                    for number in history.undelete(&list, at) {
                        prop_assert_eq!(history.version(number).unwrap().deleted, None);
                    }
                }
            }
            prop_assert!(history.versions().len() <= max as usize);
            let restored = History::from_parts(
                history.versions().to_vec(),
                history.last_version(),
                history.max_versions(),
                history.created(),
                history.updated(),
            );
            prop_assert_eq!(restored.as_ref(), Ok(&history));
            prop_assert!(number(history.oldest()) <= number(history.current()));
        }
    }
}
