//! The identity of a daemon: its SVID and role.

use std::sync::Arc;

use spike_config::Process;
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{
    settings::{IdentitySettings, OwnTrustDomain, foreign_roots},
    svid::{Material, SvidSource, Visibility},
};

use crate::telemetry::{Telemetry, check_svid};

use super::StartError;

/// Waits for the process's SVID without limit, logs from time to time what is missing, and checks that it has `role`.
/// Adds health checks and metrics of the identity.
///
/// # Errors
/// The SVID has another role: the registration entry or the trust roots are wrong.
pub async fn identity(
    telemetry: &Telemetry,
    settings: &IdentitySettings,
    role: Role,
) -> Result<SvidSource, StartError> {
    let endpoint = settings.endpoint.as_str();
    let source = SvidSource::follow_as(endpoint, visibility(settings));
    let roots = Arc::clone(&settings.trust_roots);
    check_svid(telemetry, &source, endpoint, move |id| holds(&roots, role, id));
    let material = loop {
        match source.first_within(endpoint, settings.source_timeout).await {
            Ok(material) => break material,
            Err(error) => tracing::warn!(reason = %error, "still waiting for an X.509-SVID"),
        }
    };
    let id = material.id().to_string();
    check_role(settings, role, &id)?;
    let held = material.held_trust_domains();
    tracing::info!(
        id,
        offered = material.offered(),
        trust_domains = held.join(","),
        "acquired an X.509-SVID"
    );
    warn_of_foreign_roots(settings, role, &material);
    Ok(source)
}

/// Logs which trust roots are in foreign trust domains, and what these may do.
pub fn warn_of_foreign_roots(settings: &IdentitySettings, role: Role, material: &Material) {
    let process = match role {
        Role::Nexus => Process::Nexus,
        Role::Keeper => Process::Keeper,
        Role::Bootstrap => Process::Bootstrap,
        Role::PilotSuperuser | Role::PilotRecover | Role::PilotRestore => Process::Pilot,
        Role::LiteWorkload => Process::Workload,
    };
    let held = material.held_trust_domains();
    let own = OwnTrustDomain::Known { own: material.id().trust_domain().as_ref(), held: &held };
    for found in foreign_roots(&settings.trust_roots, process, own) {
        tracing::warn!(reason = %found, "a trust root is in a foreign trust domain");
    }
}

/// The visibility of a process that holds keys: hidden, as far as its agent permits.
pub const fn visibility(settings: &IdentitySettings) -> Visibility {
    Visibility::Managed { when_refused: settings.visible_when_refused }
}

/// Checks that `id` has `role`.
///
/// # Errors
/// The expected ID, and a possible cause.
pub fn check_role(settings: &IdentitySettings, role: Role, id: &str) -> Result<(), StartError> {
    holds(&settings.trust_roots, role, id).map_err(StartError::from)
}

fn holds(roots: &TrustRootsByRole, role: Role, id: &str) -> Result<(), String> {
    if roots.hold(role, id) {
        return Ok(());
    }
    let expected: Vec<String> = roots.of(role).ids(role).collect();
    let hint = if id.contains("/ns/") {
        "; this looks like a fallback identity: is there a ClusterSPIFFEID for this pod?"
    } else {
        ""
    };
    Err(format!(
        "this process has SPIFFE ID {id}, which is not {role}: expected {} or below; {} says where it may live{hint}",
        expected.join(" or "),
        role.variable(),
    ))
}
