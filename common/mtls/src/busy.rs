//! Whether a connection has requests in flight.

use std::sync::Arc;

/// Counts the requests of one connection that are in flight. It is the number of references beside this one.
#[derive(Debug, Default)]
pub(super) struct Busy(Arc<()>);

impl Busy {
    pub(super) fn begin(&self) -> RequestInFlight {
        RequestInFlight(Arc::clone(&self.0))
    }

    pub(super) fn is_busy(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// A request in flight. Until this is dropped, its connection does not give way to another one.
#[derive(Debug)]
pub struct RequestInFlight(#[expect(dead_code, reason = "it is counted")] Arc<()>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_busy_until_its_last_request_in_flight_has_ended() {
        let busy = Busy::default();
        assert!(!busy.is_busy());
        let (first, second) = (busy.begin(), busy.begin());
        drop(first);
        assert!(busy.is_busy());
        drop(second);
        assert!(!busy.is_busy());
    }
}
