//! The limit of open file descriptors, and how many connections fit into it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors reserved for everything but peers' connections: the store and its readers, log and audit files, the
/// Workload API, the Keepers, and telemetry.
const RESERVED: u64 = 192;

/// Raises the soft limit of open descriptors to the hard one, as Go's runtime does. The usual soft limit of 1,024
/// exists for programs that use `select`.
pub(super) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(reason = %error, limit = limit.current, "cannot raise the limit of open file descriptors");
    }
}

/// The limit of open descriptors of this process, if there is one.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// `configured` connections, or fewer if the process has not enough descriptors. Then it logs that.
pub fn fit_connections(configured: usize) -> usize {
    let limit = descriptor_limit();
    let fitted = fit(configured, limit);
    if fitted < configured {
        tracing::warn!(
            descriptors = limit,
            reserved = RESERVED,
            configured,
            used = fitted,
            "the limit of open file descriptors is too low for the configured connections: raise LimitNOFILE (ulimit -n)"
        );
    }
    fitted
}

fn fit(configured: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return configured };
    // If the limit is below the reserve, connections get half of it.
    let available = limit.saturating_sub(RESERVED).max(limit / 2).max(1);
    configured.min(usize::try_from(available).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_descriptors_with_a_reserve_for_the_rest() {
        for (configured, limit, fitted) in [
            (4096, None, 4096),
            (4096, Some(1_048_576), 4096),
            (4096, Some(4096 + RESERVED), 4096),
            (4096, Some(1024), 832),
            (100, Some(1024), 100),
            (4096, Some(256), 128),
            (4096, Some(1), 1),
            (4096, Some(0), 1),
        ] {
            assert_eq!(fit(configured, limit), fitted, "{configured} under {limit:?}");
        }
    }

    #[test]
    fn the_soft_limit_is_the_hard_one_after_the_start() {
        raise_descriptor_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(descriptor_limit(), limit.maximum);
    }
}
