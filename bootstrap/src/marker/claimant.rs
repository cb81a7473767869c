//! The owner of a claim: one run of Bootstrap.

use std::fmt;

/// One run of Bootstrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Random: no two runs have the same.
    pub(super) id: String,
    /// The pod, if it is known.
    pub(super) by: Option<String>,
}

impl Claim {
    /// A new claim. If the system has no random bytes, only the name of the pod tells claims apart.
    pub(super) fn new(by: Option<&str>) -> Self {
        let id =
            getrandom::u64().map_or_else(|_| "0".to_owned(), |number| format!("{number:016x}"));
        Self { id, by: by.map(str::to_owned) }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "claim {}", self.id)?;
        self.by.as_ref().map_or(Ok(()), |by| write!(f, " of {by}"))
    }
}
