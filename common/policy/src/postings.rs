//! The policies filed under one slot, by their numbers.

use std::collections::HashMap;
use std::hash::Hash;

/// Numbers of entries. Mostly there is one, which needs no heap.
#[derive(Debug)]
pub(super) enum Postings {
    One(u32),
    Many(Vec<u32>),
}

impl Postings {
    pub(super) fn numbers(&self) -> &[u32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Many(numbers) => numbers,
        }
    }

    fn add(&mut self, number: u32) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, number]),
            Self::Many(numbers) => numbers.push(number),
        }
    }

    /// Removes `number`. Returns whether nothing is left.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Self::One(only) => *only == number,
            Self::Many(numbers) => {
                if let Some(at) = numbers.iter().position(|&n| n == number) {
                    numbers.swap_remove(at);
                }
                numbers.is_empty()
            }
        }
    }
}

/// Files `number` under `key`.
pub(super) fn add<K: Eq + Hash>(filed: &mut HashMap<K, Postings>, key: K, number: u32) {
    filed.entry(key).and_modify(|postings| postings.add(number)).or_insert(Postings::One(number));
}

/// Reverts one [`add`].
pub(super) fn remove<K: Eq + Hash>(filed: &mut HashMap<K, Postings>, key: &K, number: u32) {
    if let Some(postings) = filed.get_mut(key)
        && postings.remove(number)
    {
        filed.remove(key);
    }
}
