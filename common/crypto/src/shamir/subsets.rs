//! The order in which subsets of the shares are tried.

/// Whether the subsets of `size` of `count` items (at least `size`), with the runs before them, are at most `most`.
pub(super) fn are_at_most(most: usize, count: usize, size: usize) -> bool {
    let chosen = size.min(count - size);
    let mut subsets = 1_usize;
    for drawn in 0..chosen {
        // Each is a binomial coefficient, so that nothing is lost, and none is smaller than the one before.
        match subsets.checked_mul(count - drawn).map(|product| product / (drawn + 1)) {
            Some(more) if more <= most => subsets = more,
            Some(_) | None => return false,
        }
    }
    subsets + runs(count, size).count() <= most
}

/// Subsets of `size` of `items` (at least `size` of them): first the runs of neighbours, then all in lexicographic order.
/// The runs come twice.
pub(super) fn every<T>(items: &[T], size: usize) -> impl Iterator<Item = Vec<&T>> {
    let count = items.len();
    let every = std::iter::successors(Some((0..size).collect()), move |subset: &Vec<usize>| {
        following(subset, count)
    });
    runs(count, size).chain(every).map(|subset| of(items, &subset))
}

/// Subsets of `size` of `items` (at least `size` of them): first the runs of neighbours, then random ones without end, of
/// which `below` draws each item by its place among those that are left. They end if it draws none.
///
/// Lexicographic order tries every subset with the first item before one without it. With many shares it would never leave
/// out a mismatched first share.
pub(super) fn some<T>(
    items: &[T],
    size: usize,
    below: impl Fn(usize) -> Option<usize>,
) -> impl Iterator<Item = Vec<&T>> {
    let count = items.len();
    let mut places: Vec<usize> = (0..count).collect();
    let drawn = std::iter::from_fn(move || {
        for at in 0..size {
            places.swap(at, at + below(count - at)?);
        }
        places.get(..size).map(<[usize]>::to_vec)
    });
    runs(count, size).chain(drawn).map(|subset| of(items, &subset))
}

/// The runs of neighbours, with the end joined to the start; none if all items are one run.
fn runs(count: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..count)
        .filter(move |_| size < count)
        .map(move |start| (start..start + size).map(|at| at % count).collect())
}

fn of<'i, T>(items: &'i [T], places: &[usize]) -> Vec<&'i T> {
    places.iter().filter_map(|at| items.get(*at)).collect()
}

/// The next subset of 0..`count` in lexicographic order.
fn following(subset: &[usize], count: usize) -> Option<Vec<usize>> {
    let room = count - subset.len();
    let (place, at) =
        subset.iter().copied().enumerate().rev().find(|(place, at)| *at < room + place)?;
    let kept = subset.iter().copied().take(place);
    Some(kept.chain((at + 1..).take(subset.len() - place)).collect())
}

#[cfg(test)]
mod tests {
    use super::{are_at_most, every, some};
    use std::collections::BTreeSet;

    fn tried(items: &[u8], size: usize) -> Vec<Vec<u8>> {
        every(items, size).map(|subset| subset.into_iter().copied().collect()).collect()
    }

    #[test]
    fn runs_of_neighbours_come_first_then_every_subset() {
        assert_eq!(
            tried(&[1, 2, 3, 4], 2),
            [
                [1, 2],
                [2, 3],
                [3, 4],
                [4, 1], // runs
                [1, 2],
                [1, 3],
                [1, 4],
                [2, 3],
                [2, 4],
                [3, 4],
            ]
        );
    }

    #[test]
    fn all_items_have_one_subset() {
        assert_eq!(tried(&[1, 2, 3], 3), [[1, 2, 3]]);
    }

    #[test]
    fn every_subset_of_the_size_is_tried() {
        let items: Vec<u8> = (0..10).collect();
        let sorted = |mut subset: Vec<u8>| {
            subset.sort_unstable();
            subset
        };
        for (size, expected) in [(1, 10), (2, 45), (5, 252), (9, 10), (10, 1)] {
            let all: BTreeSet<Vec<u8>> = tried(&items, size).into_iter().map(sorted).collect();
            assert_eq!(all.len(), expected, "subsets of {size}");
        }
    }
    #[test]
    fn the_subsets_of_few_items_are_counted_with_the_runs() {
        for (count, size, most) in [(4, 2, 10), (3, 3, 1), (13, 6, 13 + 1716), (10, 9, 20)] {
            let items: Vec<u8> = (0..count).collect();
            assert_eq!(every(&items, size).count(), most, "{size} of {count}");
            assert!(are_at_most(most, items.len(), size), "{size} of {count}");
            assert!(!are_at_most(most - 1, items.len(), size), "{size} of {count}");
        }
        assert!(!are_at_most(2000, 14, 7) && !are_at_most(usize::MAX, 60_000, 30_000));
    }

    #[test]
    fn random_subsets_follow_the_runs_until_no_number_is_drawn() {
        let drawn = std::cell::RefCell::new(vec![3, 1, 0, 2, 0]);
        let below = |bound| {
            let at: Option<usize> = drawn.borrow_mut().pop();
            assert!(at.is_none_or(|at| at < bound));
            at
        };
        let subsets: Vec<_> = some(&[1, 2, 3, 4], 2, below).skip(4).collect();
        assert_eq!(subsets, [[&1, &4], [&1, &3]]);
    }
}
