//! Reads of the store, on the thread that serves the request, or on another one while the disk may hang (decision 0003).

use std::sync::Arc;

use super::{Nexus, long_work::Lane};
use crate::{
    access::{Asked, Grant},
    error::Error,
    store::StoreError,
};

impl Nexus {
    /// Carries out `read`: here, and if the store refuses to be read on this thread, once more on another one.
    ///
    /// # Errors
    /// The error of `read`; [`Error::StoreHangs`] if the disk does not answer in time.
    pub(super) async fn read_with<R, T>(
        self: &Arc<Self>,
        grant: Grant<R>,
        read: impl Fn(&Self, &Grant<R>) -> Result<T, Error> + Send + 'static,
    ) -> Result<(T, Grant<R>), Error>
    where
        R: Asked + Send + 'static,
        T: Send + 'static,
    {
        match read(self, &grant) {
            Err(Error::Store(StoreError::Elsewhere)) => {}
            done => return done.map(|done| (done, grant)),
        }
        let (nexus, caller) = (Arc::clone(self), grant.principal().clone());
        let again = move |_| Ok((read(&nexus, &grant)?, grant));
        // It is boxed, so that all other reads need little.
        let done = self.long_work.run_and_hold(Lane::Reads, &caller, "", again).await;
        done.map(|(done, _place)| done)
    }
}
