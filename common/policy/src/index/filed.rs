//! One pattern in the index, shared by all policies that use the same text, and its compiled form while that is kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;

use super::super::pattern::{Matcher, Pattern};
use super::super::reserved::Reserved;
use super::Slot;

/// How many compiled patterns are kept: both of a thousand policies. A compiled pattern takes some 10 KiB, and as much
/// again for each thread that matches with it; plain patterns are never compiled.
pub(super) const MAX_KEPT: usize = 2048;

/// A pattern and where it is filed.
#[derive(Debug)]
pub(in super::super) struct Filed {
    pub(in super::super) pattern: Pattern,
    /// The places in the index that stand for the keys of the pattern.
    pub(in super::super) slots: Box<[Slot]>,
    /// The reserved paths that the pattern, as the half of a policy that it is, qualifies for.
    pub(in super::super) reserved: Reserved,
    /// The reserved paths that the pattern names letter for letter.
    pub(in super::super) named: Reserved,
    /// Whether it is filed where it is tried for nearly every subject.
    pub(super) loose: bool,
    compiled: ArcSwapOption<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    matcher: Matcher,
    /// Whether it was used since it was last considered for removal.
    used: AtomicBool,
}

impl Filed {
    pub(super) fn new(
        pattern: Pattern,
        (slots, loose): (Box<[Slot]>, bool),
        reserved: Reserved,
        named: Reserved,
    ) -> Self {
        Self { pattern, slots, reserved, named, loose, compiled: ArcSwapOption::empty() }
    }

    /// What the pattern adds to the search of nearly every request.
    pub(super) fn burden(&self) -> u64 {
        if self.loose { self.pattern.width() } else { 0 }
    }

    /// Whether the pattern finds a match in `subject`. Compiles it on first use; for a subject that is not ASCII, and so
    /// neither a SPIFFE ID nor a path, on every use.
    pub(in super::super) fn is_match(self: &Arc<Self>, subject: &str, kept: &Kept) -> bool {
        if let Some(answer) = self.pattern.matches_plainly(subject) {
            return answer;
        }
        if let Some(compiled) = self.compiled.load().as_ref() {
            // A load costs less than a store that other cores must see.
            if !compiled.used.load(Ordering::Relaxed) {
                compiled.used.store(true, Ordering::Relaxed);
            }
            return compiled.matcher.is_match(subject);
        }
        let matcher = self.pattern.matcher();
        let answer = matcher.is_match(subject);
        self.compiled.store(Some(Arc::new(Compiled { matcher, used: AtomicBool::new(true) })));
        kept.remember(self);
        answer
    }
}

/// Which patterns are compiled, oldest first. Bounded: beyond [`MAX_KEPT`], the oldest that was not used lately loses
/// its compiled form and is compiled again when it is needed.
#[derive(Debug, Default)]
pub(in super::super) struct Kept(Mutex<VecDeque<Weak<Filed>>>);

impl Kept {
    fn remember(&self, filed: &Arc<Filed>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(Arc::downgrade(filed));
        while queue.len() > MAX_KEPT {
            let Some(oldest) = queue.pop_front() else { return };
            let Some(filed) = oldest.upgrade() else { continue };
            let was_used = filed
                .compiled
                .load()
                .as_ref()
                .is_some_and(|compiled| compiled.used.swap(false, Ordering::Relaxed));
            if was_used {
                queue.push_back(oldest);
            } else {
                filed.compiled.store(None);
            }
        }
    }

    /// How many compiled patterns are kept at most now.
    #[cfg(test)]
    pub(in super::super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
