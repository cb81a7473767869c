//! How upstream addresses an operation: a path and, in the query, an action.

/// The target of a request. Other dialects have other routes to the same operations.
#[derive(Debug)]
pub(super) struct Route {
    /// Path and, after `?action=`, the action.
    pub(super) target: &'static str,
    pub(super) path: &'static str,
    /// Empty if there is none.
    pub(super) action: &'static str,
}

impl Route {
    /// Splits a target. Every query in the table is an action.
    pub(super) const fn new(target: &'static str) -> Self {
        const QUERY: &[u8] = b"?action=";
        let mut path = target.as_bytes();
        while let [rest @ .., last] = path {
            if *last == b'?' {
                let (path, query) = target.split_at(rest.len());
                return Self { target, path, action: query.split_at(QUERY.len()).1 };
            }
            path = rest;
        }
        Self { target, path: target, action: "" }
    }

    /// Whether a request with this path and this action matches. Both are compared exactly.
    pub(super) fn is(&self, path: &str, action: &[u8]) -> bool {
        self.path == path && self.action.as_bytes() == action
    }
}
