//! Problems of the settings that keep nothing from working.

use spike_config::Problem;

/// Logs problems that are not fatal, so that none is lost.
pub(crate) fn log(notices: &[Problem]) {
    for notice in notices {
        tracing::warn!(setting = notice.variable, problem = %notice, "a setting has no effect as written");
    }
}
