//! Why an answer is 503: a text for people that programs can distinguish. Upstream answers 503 while it is sealed, with
//! only the code.

/// Why a request was refused and may succeed later. An unauthorized peer can see it, so it names no path, no Keeper and
/// no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// There is no root key.
    Sealed,
    /// There are shares of the root key, and the store cannot be opened.
    Store,
    /// The store did not accept the request in time, or another process has a lock on it. Nothing was written.
    Busy,
    /// The daemon is ending.
    Ending,
    /// All SPIFFE IDs together are at the limit of requests or memory.
    Crowded,
}

impl NotReady {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Sealed, Self::Store, Self::Busy, Self::Ending, Self::Crowded];

    /// The text of `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed: there is no root key",
            Self::Store => "store: the store cannot be opened",
            Self::Busy => {
                "busy: the store did not take the request in time, and nothing was changed"
            }
            Self::Ending => "ending: this process is about to end",
            Self::Crowded => {
                "crowded: all peers together have too many requests, or too much in memory for them"
            }
        }
    }

    /// The reason in a server's answer.
    pub fn of_reason(reason: &str) -> Option<Self> {
        let word = |text: &str| text.split(':').next().map(str::to_owned);
        Self::ALL.into_iter().find(|known| word(known.as_str()) == word(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_differs_from_the_others() {
        for known in NotReady::ALL {
            assert_eq!(NotReady::of_reason(known.as_str()), Some(known));
        }
        assert_eq!(NotReady::of_reason("busy: in other words"), Some(NotReady::Busy));
        assert_eq!(NotReady::of_reason("something else"), None);
    }
}
