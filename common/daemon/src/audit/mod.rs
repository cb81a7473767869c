//! The audit log: one JSON line for each request, whatever its outcome, and one for each connection that was refused
//! before a request. It goes to standard error.
//!
//! Keys are upstream's (wire-api 10.2). SPIKE adds what upstream leaves empty: the peer's SPIFFE ID in `UserID`, the
//! true outcome in `State` and `Err`, the HTTP status, and the request id of the answer. A line never contains a
//! secret's value. A request whose line cannot be written fails, and no change begins while lines cannot be written.

mod entry;
mod file;
mod line;
mod log;
mod metrics;
mod refusal;
mod request_id;
#[cfg(test)]
mod tests;

pub use self::{
    entry::Entry,
    file::{AuditFile, AuditFileError, FileEnd},
    log::{AuditError, AuditLog, PendingAuditLine},
    metrics::AuditMetrics,
    refusal::Refusal,
    request_id::RequestId,
};
