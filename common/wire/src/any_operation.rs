//! What operations of Nexus and of Keepers have in common.

use bytes::Bytes;

use super::ErrorCode;

/// An operation of any daemon, as the frame of its requests uses it.
pub trait AnyOperation: Copy + Send + Sync + 'static {
    /// The operation of a POST to this path with this query.
    fn of_request(path: &str, query: Option<&str>) -> Option<Self>;

    /// A stable name for metrics.
    fn label(self) -> &'static str;

    /// `Component` and `Action` in upstream's audit log.
    fn audit(self) -> (&'static str, &'static str);

    /// Whether it makes a lasting change, or transfers key material.
    fn changes(self) -> bool;

    /// The body of an error, perhaps with a sentence for people.
    fn error(self, code: ErrorCode, reason: Option<&str>) -> Bytes;
}
