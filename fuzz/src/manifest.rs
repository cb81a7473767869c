//! The manifest of `spike doctor --config`: YAML or JSON of Kubernetes, which anybody may have rendered.

use spike_pilot::manifest_settings;

/// No value may grow beyond this by references to others.
const MOST: usize = 4 * 1024 * 1024;

/// See the module. A manifest is accepted if it has a container that concerns us.
pub fn check(data: &[u8]) -> bool {
    let Some(containers) = manifest_settings(data) else { return false };
    for (name, value) in containers.iter().flatten() {
        assert!(!name.is_empty() && value.len() <= MOST, "{name:?}");
    }
    !containers.is_empty()
}
