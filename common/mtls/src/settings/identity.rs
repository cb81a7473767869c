//! Settings of the identity of a process and of the trust in others.

use std::{sync::Arc, time::Duration};

use spike_domain::TrustRootsByRole;

use spike_config::{EndpointSocket, Reader, table};

/// The source of the SVID, and the trust roots of each role.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// The SPIFFE Workload API.
    pub endpoint: EndpointSocket,
    /// How long to wait for the first SVID.
    pub source_timeout: Duration,
    /// Whether a daemon that the agent refuses becomes visible for the next try.
    pub visible_when_refused: bool,
    /// The trust roots of each role; the default for roles that the process never meets.
    pub trust_roots: Arc<TrustRootsByRole>,
}

impl IdentitySettings {
    /// Reads the group.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            endpoint: reader.endpoint(&table::SPIFFE_ENDPOINT_SOCKET),
            source_timeout: reader.duration(&table::SPIKE_SPIFFE_SOURCE_TIMEOUT),
            visible_when_refused: reader.flag(&table::SPIKE_SPIFFE_VISIBLE_WHEN_REFUSED),
            trust_roots: Arc::new(TrustRootsByRole {
                nexus: reader.trust_roots(&table::SPIKE_TRUST_ROOT_NEXUS),
                keeper: reader.trust_roots(&table::SPIKE_TRUST_ROOT_KEEPER),
                bootstrap: reader.trust_roots(&table::SPIKE_TRUST_ROOT_BOOTSTRAP),
                pilot: reader.trust_roots(&table::SPIKE_TRUST_ROOT_PILOT),
                lite_workload: reader.trust_roots(&table::SPIKE_TRUST_ROOT_LITE_WORKLOAD),
            }),
        }
    }
}
