//! The audit log: one JSON line per request on standard error, whatever the outcome, and one for every connection that was
//! refused before there was a request.
//!
//! Keys are upstream's (wire-api 10.2), with its gaps filled: the peer's SPIFFE ID in `UserID`, the true outcome in
//! `State` and `Err`, the HTTP status, and a request id that the answer carries too. Never a value. A request whose line
//! cannot be written fails, and no change begins while lines cannot be written.

mod entry;
mod line;
mod log;
mod metrics;
mod refusal;
mod request_id;
#[cfg(test)]
mod tests;

pub use self::{
    entry::Entry,
    log::{AuditError, AuditLog, Writing},
    metrics::AuditMetrics,
    refusal::Refusal,
    request_id::RequestId,
};
