//! The indexes under which shares may have been made. Pure.

use spike_crypto::ShareIndex;

/// Every choice of `count` indexes, each in its order.
pub(super) fn ascending(indexes: &[ShareIndex], count: usize) -> Vec<Vec<ShareIndex>> {
    let Some((first, rest)) = indexes.split_first() else {
        return if count == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = ascending(rest, count - 1);
    for chosen in &mut all {
        chosen.insert(0, *first);
    }
    all.extend(ascending(rest, count));
    all
}

/// Every order of the indexes.
pub(super) fn permutations(indexes: &[ShareIndex]) -> Vec<Vec<ShareIndex>> {
    if indexes.len() < 2 {
        return vec![indexes.to_vec()];
    }
    let mut all = Vec::new();
    for (position, first) in indexes.iter().enumerate() {
        let mut rest = indexes.to_vec();
        rest.remove(position);
        for mut order in permutations(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}
