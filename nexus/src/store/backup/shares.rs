//! Recovery files, and every key that some of their shares rebuild.

use std::fs;
use std::path::Path;

use spike_crypto::{RootKey, Share, combine};
use spike_daemon::{counted, read_small};
use zeroize::Zeroizing;

use super::error::BackupError;

/// The most bytes of a recovery file.
const LONGEST: usize = 4096;

/// No more subsets of the shares are tried.
const MOST_SUBSETS: u64 = 20_000;

/// The shares of one directory.
#[derive(Debug)]
pub(super) struct RecoveryShares<'d> {
    directory: &'d Path,
    shares: Vec<Share>,
}

impl<'d> RecoveryShares<'d> {
    /// Reads every `spike.recovery.*.txt` in `directory`.
    pub(super) fn read(directory: &'d Path) -> Result<Self, BackupError> {
        let unusable = BackupError::unusable(directory);
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(&unusable)? {
            let name = entry.map_err(&unusable)?.file_name().to_string_lossy().into_owned();
            if is_recovery_file(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        let mut shares = Vec::new();
        for name in names {
            let path = directory.join(&name);
            let bytes = read_small(&path, LONGEST).map(Zeroizing::new);
            let bytes = bytes.map_err(BackupError::unusable(&path))?;
            let share =
                Share::from_recovery_bytes(&bytes).map_err(|error| BackupError::Shares {
                    directory: directory.to_owned(),
                    what: format!("{name}: {error}"),
                })?;
            shares.push(share);
        }
        Ok(Self { directory, shares })
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.shares.len()
    }

    /// Rebuilds the key from every `threshold` of the shares. Each of them must be the key of this fingerprint; the number
    /// of subsets that were tried comes with it.
    pub(super) fn rebuild(
        &self,
        threshold: u16,
        fingerprint: &str,
    ) -> Result<(RootKey, u64), BackupError> {
        let size = usize::from(threshold);
        if size == 0 {
            return Err(self.wrong("the backup does not record how many of them rebuild the key"));
        }
        if self.shares.len() < size {
            let found = self.shares.len();
            return Err(self.wrong(format!(
                "{} spike.recovery.*.txt, and {} needed",
                counted(found as u64, "file", "files"),
                counted(threshold.into(), "share is", "shares are"),
            )));
        }
        let count = subsets(self.shares.len(), size);
        if count > MOST_SUBSETS {
            return Err(self.wrong(format!(
                "every {threshold} of them are {count} subsets, more than {MOST_SUBSETS}: give fewer files"
            )));
        }
        let mut chosen: Vec<usize> = (0..size).collect();
        let (mut key, mut tried) = (None, 0);
        loop {
            let some: Vec<&Share> = chosen.iter().filter_map(|at| self.shares.get(*at)).collect();
            let named = || {
                let names: Vec<String> = some.iter().map(|share| share.index.to_string()).collect();
                names.join(", ")
            };
            let rebuilt = combine(&some, threshold)
                .map_err(|error| self.wrong(format!("shares {}: {error}", named())))?;
            if rebuilt.fingerprint().to_string() != fingerprint {
                return Err(self.wrong(format!(
                    "shares {} do not rebuild root key {fingerprint}, which the backup was made with",
                    named()
                )));
            }
            tried += 1;
            key.get_or_insert(rebuilt);
            if !next(&mut chosen, self.shares.len()) {
                break;
            }
        }
        let key = key.ok_or_else(|| self.wrong("none was tried"))?;
        Ok((key, tried))
    }

    fn wrong(&self, what: impl Into<String>) -> BackupError {
        BackupError::Shares { directory: self.directory.to_owned(), what: what.into() }
    }
}

/// Whether a file has the name that `spike operator recover` gives, to the letter.
fn is_recovery_file(name: &str) -> bool {
    let rest = name.strip_prefix("spike.recovery.");
    rest.and_then(|rest| rest.strip_suffix(".txt")).is_some()
}

/// How many subsets of this size there are.
fn subsets(of: usize, size: usize) -> u64 {
    let mut count = 1_u64;
    for (taken, left) in (1..=size as u64).zip((0..=of as u64).rev()) {
        count = count.saturating_mul(left) / taken;
    }
    count
}

/// The next ascending choice of numbers below `of`; `false`: it was the last one.
fn next(chosen: &mut [usize], of: usize) -> bool {
    let size = chosen.len();
    let Some(at) = (0..size).rev().find(|at| chosen.get(*at).is_some_and(|n| *n < of - size + at))
    else {
        return false;
    };
    let first = chosen.get(at).map_or(0, |number| number + 1);
    for (number, place) in (first..).zip(chosen.iter_mut().skip(at)) {
        *place = number;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_comes_once_and_there_are_as_many_as_are_counted() {
        for (of, size) in [(1, 1), (3, 2), (5, 3), (6, 6), (7, 1)] {
            let mut chosen: Vec<usize> = (0..size).collect();
            let mut seen = vec![chosen.clone()];
            while next(&mut chosen, of) {
                seen.push(chosen.clone());
            }
            assert!(seen.is_sorted() && seen.windows(2).all(|two| two[0] != two[1]), "{seen:?}");
            assert_eq!(seen.len() as u64, subsets(of, size), "{size} of {of}");
        }
    }
}
