//! The order in which subsets of the shares are tried.

/// Subsets of `size` of `items` (at least `size` of them): first the runs of neighbours, with the end joined to the
/// start, then all in lexicographic order. The runs come twice.
///
/// Lexicographic order alone tries every subset with the first item before one without it. With many shares it would
/// never leave out a mismatched first share.
pub(super) fn subsets<T>(items: &[T], size: usize) -> impl Iterator<Item = Vec<&T>> {
    let count = items.len();
    let runs = (0..count)
        .filter(move |_| size < count)
        .map(move |start| (start..start + size).map(|at| at % count).collect::<Vec<_>>());
    let every = std::iter::successors(Some((0..size).collect()), move |subset: &Vec<usize>| {
        following(subset, count)
    });
    runs.chain(every).map(|subset| subset.into_iter().filter_map(|at| items.get(at)).collect())
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
    use super::subsets;
    use std::collections::BTreeSet;

    fn tried(items: &[u8], size: usize) -> Vec<Vec<u8>> {
        subsets(items, size).map(|subset| subset.into_iter().copied().collect()).collect()
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
}
