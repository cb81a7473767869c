//! What Nexus and Keepers have in common of their operations.

use bytes::Bytes;

use super::ErrorCode;

/// An operation of any daemon, as the frame of its requests sees it.
pub trait AnyOperation: Copy + Send + Sync + 'static {
    /// What a POST to this path asks for.
    fn of_request(path: &str, query: Option<&str>) -> Option<Self>;

    /// A name for metrics that stays as it is.
    fn label(self) -> &'static str;

    /// `Component` and `Action` in upstream's audit log.
    fn audit(self) -> (&'static str, &'static str);

    /// Whether it changes anything that lasts, or lets a key in or out.
    fn changes(self) -> bool;

    /// The body of an error, perhaps with a sentence for people.
    fn error(self, code: ErrorCode, reason: Option<&str>) -> Bytes;
}
