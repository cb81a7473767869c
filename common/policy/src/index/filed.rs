//! One pattern in the index, shared by all policies with the same text, and its compiled form while that is cached.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;

use super::super::pattern::{Matcher, Pattern};
use super::super::reserved::Reserved;
use super::Slot;

/// The most compiled patterns in the cache: those of a thousand policies. A compiled pattern takes some 10 KiB, and as
/// much again for each thread that matches with it. Plain patterns are never compiled.
pub(super) const MAX_COMPILED: usize = 2048;

/// A pattern and its slots.
#[derive(Debug)]
pub(in super::super) struct Filed {
    pub(in super::super) pattern: Pattern,
    /// The slots of the pattern's keys.
    pub(in super::super) slots: Box<[Slot]>,
    /// The reserved paths that the pattern, as its half of a policy, qualifies for.
    pub(in super::super) reserved: Reserved,
    /// The reserved paths that the pattern names literally.
    pub(in super::super) named: Reserved,
    /// Whether it is filed under a slot that nearly every subject reaches.
    pub(super) loose: bool,
    compiled: ArcSwapOption<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    matcher: Matcher,
    /// Whether it was used since it was last considered for eviction.
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

    /// The width that it adds to nearly every request.
    pub(super) fn loose_width(&self) -> u64 {
        if self.loose { self.pattern.width() } else { 0 }
    }

    /// Whether the pattern matches `subject`. Compiles it on first use, and for a subject that is not ASCII, which is
    /// neither a SPIFFE ID nor a path, on every use.
    pub(in super::super) fn is_match(
        self: &Arc<Self>,
        subject: &str,
        kept: &CompiledPatterns,
    ) -> bool {
        if let Some(answer) = self.pattern.matches_plainly(subject) {
            return answer;
        }
        if let Some(compiled) = self.compiled.load().as_ref() {
            // A load is cheaper than a store that other cores must see.
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

/// The compiled patterns, oldest first. Beyond [`MAX_COMPILED`], the oldest one that was not used lately loses its
/// compiled form, and is compiled again when it is needed.
#[derive(Debug, Default)]
pub(in super::super) struct CompiledPatterns(Mutex<VecDeque<Weak<Filed>>>);

impl CompiledPatterns {
    fn remember(&self, filed: &Arc<Filed>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(Arc::downgrade(filed));
        while queue.len() > MAX_COMPILED {
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

    /// The most compiled patterns that are cached now.
    #[cfg(test)]
    pub(in super::super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
