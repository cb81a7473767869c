//! A request, as the [`Activity`] of its connection sees it.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use super::Activity;

/// A request, from its head to the last byte of its answer.
pub(in crate::serve) struct ActiveRequest {
    activity: Arc<Activity>,
    /// When the answer began, or its next part was polled, and its index among the unread answers.
    answering: Option<(Instant, usize)>,
}

impl ActiveRequest {
    /// Whether it came over HTTP/2.
    pub(in crate::serve) fn is_http2(&self) -> bool {
        self.activity.http2
    }

    /// HTTP/1.1: whether its head, or one before it, was larger than those of ordinary clients.
    pub(in crate::serve) fn has_large_head(&self) -> bool {
        self.activity.has_large_head()
    }

    pub(in crate::serve) fn new(activity: Arc<Activity>) -> Self {
        activity.working.fetch_add(1, Relaxed);
        activity.received.store(0, Relaxed);
        activity.begun.fetch_add(1, Relaxed);
        if !activity.http2 {
            activity.head_since.store(0, Relaxed);
        }
        Self { activity, answering: None }
    }

    /// Records that the answer has begun, or that the peer has read some of it. From now on the connection waits for
    /// the peer.
    pub(in crate::serve) fn answered(&mut self, now: Instant) {
        let activity = &*self.activity;
        activity.touch(now);
        let at = activity.nanos(now);
        let index = if let Some((last, index)) = self.answering {
            if activity.http2 {
                activity.took(activity.nanos(last), now);
            }
            activity.unread.taken(index, at);
            index
        } else {
            let index = activity.unread.begin(at);
            activity.working.fetch_sub(1, Relaxed);
            index
        };
        self.answering = Some((now, index));
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let now = match self.answering {
            // Over HTTP/1.1 an answer ends at the same time as its last part.
            Some((at, _)) if !self.activity.http2 => at,
            Some(_) | None => Instant::now(),
        };
        self.activity.touch(now);
        self.activity.received.store(0, Relaxed);
        if !self.activity.http2 && self.activity.is_within_head() {
            // The head of the next request has begun. The library reads the rest of it only now.
            self.activity.head_since.store(self.activity.nanos(now), Relaxed);
        }
        match self.answering {
            Some((_, index)) => self.activity.unread.end(index),
            None => {
                self.activity.working.fetch_sub(1, Relaxed);
            }
        }
    }
}
