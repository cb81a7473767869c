//! The quorum and the Keepers. Nexus and Bootstrap must agree on them.

use spike_config::{KeeperPeers, Outcome, Reader, table};
use spike_crypto::{Quorum, QuorumError};

use super::Backend;

/// The quorum, and the Keepers if the backend needs them.
pub(super) struct KeySettings {
    pub(super) quorum: Quorum,
    pub(super) keepers: Option<KeeperPeers>,
}

impl KeySettings {
    pub(super) fn read(reader: &mut Reader<'_>, backend: Backend) -> Self {
        let shares: i64 = reader.count(&table::SPIKE_NEXUS_SHAMIR_SHARES);
        let threshold: i64 = reader.count(&table::SPIKE_NEXUS_SHAMIR_THRESHOLD);
        let quorum = quorum(reader, shares, threshold);
        let keepers = match backend {
            Backend::Memory => None,
            Backend::Sqlite | Backend::Lite => {
                reader.keeper_peers(&table::SPIKE_NEXUS_KEEPER_PEERS)
            }
        };
        if let Some(keepers) = &keepers
            && i64::try_from(keepers.len()) != Ok(shares)
        {
            // Upstream notices at the first push, and then ends the process (F17).
            let name = table::SPIKE_NEXUS_SHAMIR_SHARES.name;
            let rule = format!("{} Keepers; expected {shares}, as {name} says", keepers.len());
            reader.report(&table::SPIKE_NEXUS_KEEPER_PEERS, rule, Outcome::Fatal);
        }
        Self { quorum, keepers }
    }
}

/// Falls back to no value: other numbers would make another key.
fn quorum(reader: &mut Reader<'_>, shares: i64, threshold: i64) -> Quorum {
    let narrow = |number: i64| u16::try_from(number).unwrap_or(u16::MAX);
    let error = match Quorum::new(narrow(shares), narrow(threshold)) {
        Ok(quorum) => return quorum,
        Err(error) => error,
    };
    let (variable, rule) = match error {
        QuorumError::TooManyShares { .. } => (
            &table::SPIKE_NEXUS_SHAMIR_SHARES,
            format!("expected at most {} shares", Quorum::MAX_SHARES),
        ),
        QuorumError::ThresholdZero | QuorumError::ThresholdAboveShares { .. } => {
            let name = table::SPIKE_NEXUS_SHAMIR_SHARES.name;
            let rule =
                format!("a threshold of {threshold}; expected at most {name}, which is {shares}");
            (&table::SPIKE_NEXUS_SHAMIR_THRESHOLD, rule)
        }
    };
    reader.report(variable, rule, Outcome::Fatal);
    default_quorum()
}

/// The defaults of the table, two of three. Used while the other settings are read.
#[expect(clippy::expect_used, reason = "two of three is within every bound")]
fn default_quorum() -> Quorum {
    Quorum::new(3, 2).expect("a valid quorum")
}
