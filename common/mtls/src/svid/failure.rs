//! Why the stream to the Workload API was lost or could not be opened, in the few kinds that metrics tell apart.

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The address of the Workload API is none.
    Address,
    /// Nothing answers there.
    Unreachable,
    /// The agent does not recognize this process, or could not look at it.
    Refused,
    /// The agent gave this process another SPIFFE ID than before.
    OtherIdentity,
    /// The agent answered with another error.
    Error,
    /// The agent did not answer in time.
    Silent,
    /// The agent sent what cannot be used.
    Unusable,
    /// The agent ended the stream.
    Ended,
}

impl FetchFailure {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Address,
        Self::Unreachable,
        Self::Refused,
        Self::OtherIdentity,
        Self::Error,
        Self::Silent,
        Self::Unusable,
        Self::Ended,
    ];

    /// Its name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::OtherIdentity => "other_identity",
            Self::Error => "error",
            Self::Silent => "silent",
            Self::Unusable => "unusable",
            Self::Ended => "ended",
        }
    }
}

/// How many failures there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureCounts([u64; FetchFailure::ALL.len()]);

impl FailureCounts {
    /// Each kind with its number.
    pub fn iter(&self) -> impl Iterator<Item = (FetchFailure, u64)> + '_ {
        FetchFailure::ALL.into_iter().zip(self.0)
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn add(&mut self, failure: FetchFailure) {
        if let Some(count) = self.0.get_mut(failure as usize) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_is_counted_by_itself() {
        for failure in FetchFailure::ALL {
            let mut counts = FailureCounts::default();
            counts.add(failure);
            counts.add(failure);
            let counted: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(failure, 2)]);
            assert_eq!(counts.total(), 2);
        }
    }
}
