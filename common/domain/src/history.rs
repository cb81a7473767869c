//! The versions of one path, and how put, delete, undelete and prune change them (crypto-and-storage 6, with F6, F8,
//! F10 and Q-37).

use std::num::NonZeroU32;

use super::UnixNanos;

/// The version that a request means: a number, or the current one, written `0` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// The highest version that is not deleted.
    Current,
    /// Exactly this one. A number that never existed, such as a negative one, matches nothing.
    Number(i64),
}

impl From<i64> for Selector {
    fn from(number: i64) -> Self {
        if number == 0 { Self::Current } else { Self::Number(number) }
    }
}

/// One version of a secret, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// From 1; never reused.
    pub number: i64,
    /// When it was put.
    pub created: UnixNanos,
    /// When it was last deleted; `None` for a live version.
    pub deleted: Option<UnixNanos>,
}

/// The versions of one path, and the data of the path itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Strictly ascending by number.
    versions: Vec<Version>,
    last_version: i64,
    max_versions: NonZeroU32,
    created: UnixNanos,
    updated: UnixNanos,
}

/// The result of [`History::put`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The number of the new version.
    pub number: i64,
    /// The versions that were erased, ascending.
    pub pruned: Vec<i64>,
}

/// Every version number up to 2^63 - 1 has been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path has no version numbers left")]
pub struct NumbersUsedUp;

/// Stored parts that no sequence of operations leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the version numbers are not ascending, or not between 1 and the last one used")]
pub struct Inconsistent;

impl History {
    /// A new path without versions. The limit stays with the path.
    pub const fn new(max_versions: NonZeroU32, now: UnixNanos) -> Self {
        Self { versions: Vec::new(), last_version: 0, max_versions, created: now, updated: now }
    }

    /// A stored history.
    ///
    /// # Errors
    /// [`Inconsistent`] if the numbers do not ascend, or are outside of 1 to `last_version`.
    pub fn from_parts(
        versions: Vec<Version>,
        last_version: i64,
        max_versions: NonZeroU32,
        created: UnixNanos,
        updated: UnixNanos,
    ) -> Result<Self, Inconsistent> {
        let ascending = versions.is_sorted_by(|a, b| a.number < b.number);
        let first = versions.first().map_or(1, |version| version.number);
        let last = versions.last().map_or(0, |version| version.number);
        if !ascending || first < 1 || last > last_version {
            return Err(Inconsistent);
        }
        Ok(Self { versions, last_version, max_versions, created, updated })
    }

    /// Adds a version. Its number is one more than the highest ever used, so that a deleted version is never
    /// overwritten (F6, Q-29). Versions beyond the limit are erased, lowest first, deleted or not (F8). Versions made
    /// before `kept_before` are neither erased nor counted.
    ///
    /// # Errors
    /// [`NumbersUsedUp`]; nothing is changed.
    pub fn put(
        &mut self,
        now: UnixNanos,
        kept_before: Option<UnixNanos>,
    ) -> Result<Put, NumbersUsedUp> {
        let number = self.last_version.checked_add(1).ok_or(NumbersUsedUp)?;
        self.versions.push(Version { number, created: now, deleted: None });
        self.last_version = number;
        self.updated = now;
        let limit = usize::try_from(self.max_versions.get()).unwrap_or(usize::MAX);
        let counts = |version: &Version| kept_before.is_none_or(|kept| version.created >= kept);
        let counted = self.versions.iter().filter(|version| counts(version)).count();
        let surplus = counted.saturating_sub(limit);
        let dropped = self.versions.iter().filter(|version| counts(version)).take(surplus);
        let pruned: Vec<i64> = dropped.map(|version| version.number).collect();
        self.versions.retain(|version| pruned.binary_search(&version.number).is_err());
        Ok(Put { number, pruned })
    }

    /// Marks versions deleted at `now`, and returns their numbers, ascending. No selector means the current version. A
    /// version that is deleted already gets the new time, and one that does not exist is skipped. `updated` changes
    /// only if the current version is deleted (N3).
    pub fn delete(&mut self, selectors: &[Selector], now: UnixNanos) -> Vec<i64> {
        let current = self.current().map(|version| version.number);
        let mut deleted = Vec::new();
        for version in &mut self.versions {
            let named = selects(selectors, version.number, current);
            if named {
                version.deleted = Some(now);
                deleted.push(version.number);
            }
        }
        if current.is_some_and(|current| deleted.contains(&current)) {
            self.updated = now;
        }
        deleted
    }

    /// Undeletes versions, and returns their numbers, ascending; empty if there was nothing to undelete. No selector
    /// and [`Selector::Current`] mean the current version, or the highest if all are deleted. `updated` changes
    /// only if the current version does.
    pub fn undelete(&mut self, selectors: &[Selector], now: UnixNanos) -> Vec<i64> {
        let current = self.current().map(|version| version.number);
        let highest = self.versions.last().map(|version| version.number);
        let target = current.or(highest);
        let mut revived = Vec::new();
        for version in &mut self.versions {
            if selects(selectors, version.number, target) && version.deleted.take().is_some() {
                revived.push(version.number);
            }
        }
        if revived.last().copied() > current {
            self.updated = now;
        }
        revived
    }

    /// The live version that a request means. `None` if it does not exist or is deleted.
    pub fn find(&self, selector: Selector) -> Option<&Version> {
        match selector {
            Selector::Current => self.current(),
            Selector::Number(number) => {
                self.version(number).filter(|version| version.deleted.is_none())
            }
        }
    }

    /// The version with this number, deleted or not.
    pub fn version(&self, number: i64) -> Option<&Version> {
        let at = self.versions.binary_search_by_key(&number, |version| version.number).ok()?;
        self.versions.get(at)
    }

    /// The highest live version.
    pub fn current(&self) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.deleted.is_none())
    }

    /// The lowest live version (F10, Q-41).
    pub fn oldest(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.deleted.is_none())
    }

    /// Every kept version, deleted or not, ascending by number.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The highest number ever used.
    pub const fn last_version(&self) -> i64 {
        self.last_version
    }

    /// How many versions the path keeps; fixed when it was created.
    pub const fn max_versions(&self) -> NonZeroU32 {
        self.max_versions
    }

    /// When the path was created.
    pub const fn created(&self) -> UnixNanos {
        self.created
    }

    /// When the current version last changed.
    pub const fn updated(&self) -> UnixNanos {
        self.updated
    }
}

/// Whether `number` is selected; `current` is the number that [`Selector::Current`] and the empty list mean.
fn selects(selectors: &[Selector], number: i64, current: Option<i64>) -> bool {
    let is_current = Some(number) == current;
    selectors.is_empty() && is_current
        || selectors.iter().any(|selector| match *selector {
            Selector::Current => is_current,
            Selector::Number(named) => named == number,
        })
}

#[cfg(test)]
mod tests;
