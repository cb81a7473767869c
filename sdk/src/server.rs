//! What a client talks to: Nexus, or a fake of it.

use spike_mtls::client::{Ended, NexusClient};
use spike_wire::Call;

use crate::SvidSource;
#[cfg(feature = "fake")]
use crate::fake::Fake;

/// One Nexus.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// A real one.
    Nexus { nexus: NexusClient, source: SvidSource },
    /// One in memory.
    #[cfg(feature = "fake")]
    Fake(Fake),
}

impl Server {
    /// One try of a call.
    pub(crate) async fn call<C: Call>(&self, request: &C::Request) -> Ended<C::Reply> {
        match self {
            Self::Nexus { nexus, .. } => nexus.call_to_its_end::<C>(request).await,
            #[cfg(feature = "fake")]
            Self::Fake(fake) => fake.call::<C>(request).await,
        }
    }

    /// The identity with which it is asked.
    pub(crate) const fn source(&self) -> Option<&SvidSource> {
        match self {
            Self::Nexus { source, .. } => Some(source),
            #[cfg(feature = "fake")]
            Self::Fake(_) => None,
        }
    }
}
