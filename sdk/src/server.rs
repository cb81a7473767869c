//! What a client talks to: Nexus, or a fake of it.

use std::sync::Arc;

use spike_mtls::client::{Ended, NexusClient};
use spike_wire::Call;

use crate::SvidSource;
#[cfg(feature = "fake")]
use crate::fake::Fake;

/// One Nexus. Clones share it.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// A real one.
    Nexus(Arc<Nexus>),
    /// One in memory.
    #[cfg(feature = "fake")]
    Fake(Fake),
}

/// The connections, and the identity with which they are opened.
#[derive(Debug)]
pub(crate) struct Nexus {
    client: NexusClient,
    source: SvidSource,
}

impl Server {
    /// A real one.
    pub(crate) fn of(client: NexusClient, source: SvidSource) -> Self {
        Self::Nexus(Arc::new(Nexus { client, source }))
    }

    /// One try of a call.
    pub(crate) async fn call<C: Call>(&self, request: &C::Request) -> Ended<C::Reply> {
        match self {
            Self::Nexus(nexus) => nexus.client.call_to_its_end::<C>(request).await,
            #[cfg(feature = "fake")]
            Self::Fake(fake) => fake.call::<C>(request).await,
        }
    }
}

impl Nexus {
    /// The identity with which it is asked.
    pub(crate) const fn source(&self) -> &SvidSource {
        &self.source
    }
}
