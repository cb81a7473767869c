//! Who this process is, and whom it believes.

use std::{sync::Arc, time::Duration};

use spike_domain::TrustRootsByRole;

use spike_config::{EndpointSocket, Reader, table};

/// Where an SVID comes from, and under which trust roots the parts of SPIKE are recognised.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// The SPIFFE Workload API.
    pub endpoint: EndpointSocket,
    /// How long to wait for the first SVID.
    pub source_timeout: Duration,
    /// Whether a daemon that the agent refuses lets itself be looked at during the next try.
    pub visible_when_refused: bool,
    /// Where each role lives. The default for roles that the process never meets.
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
