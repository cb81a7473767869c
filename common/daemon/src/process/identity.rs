//! The first thing that a daemon needs: to know who it is.

use spike_domain::Role;
use spike_mtls::{
    settings::IdentitySettings,
    svid::{SvidSource, Visibility},
};

use crate::telemetry::{Telemetry, check_svid};

use super::StartError;

/// Waits for the process's SVID for as long as it takes, telling the log every so often what is missing, and checks that
/// it belongs to `role`. Health checks and metrics of the identity come with it.
///
/// # Errors
/// The SVID is another role's: somebody registered this process as something else, or set other trust roots.
pub async fn identity(
    telemetry: &Telemetry,
    settings: &IdentitySettings,
    role: Role,
) -> Result<SvidSource, StartError> {
    let endpoint = settings.endpoint.as_str();
    let source = SvidSource::follow_as(endpoint, visibility(settings));
    check_svid(telemetry, &source, endpoint);
    let material = loop {
        match source.first(endpoint, settings.source_timeout).await {
            Ok(material) => break material,
            Err(error) => tracing::warn!(reason = %error, "still waiting for an X.509-SVID"),
        }
    };
    let id = material.id().to_string();
    check_role(settings, role, &id)?;
    tracing::info!(id, offered = material.offered(), "acquired an X.509-SVID");
    Ok(source)
}

/// A process that holds keys hides itself, as far as the agent lets it.
pub const fn visibility(settings: &IdentitySettings) -> Visibility {
    Visibility::Managed { when_refused: settings.visible_when_refused }
}

/// Whether `id` is the one of `role`, which this process is about to act as.
///
/// # Errors
/// What was expected instead, and what may have caused it.
pub fn check_role(settings: &IdentitySettings, role: Role, id: &str) -> Result<(), StartError> {
    let roots = &settings.trust_roots;
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
    )
    .into())
}
