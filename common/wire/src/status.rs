//! How Nexus and its Keepers are, for an operator. Ours: upstream has no such route.

use super::StoreStatus;
use super::go_json::OmitZero;

bodies! {
    /// The state of one Nexus.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StatusResponse: Reply {
        /// The version of Nexus.
        pub version: String = "version",
        /// Whether the root key is missing.
        pub sealed: bool = "sealed",
        /// Why it is missing; or why Nexus is not ready all the same.
        pub reason: Option<String> = "reason" as OmitZero,
        /// What lies in the data directory, while the root key is missing.
        pub data: Option<DataKind> = "data" as OmitZero,
        /// `sqlite`, `lite` or `memory`.
        pub backend: String = "backend",
        /// A name for the root key that is safe to show; two parties that show the same have the same key.
        pub root_key: Option<String> = "rootKey" as OmitZero,
        /// The number of the data key that encrypts.
        pub data_key: Option<u32> = "dataKey" as OmitZero,
        /// Shares of the root key; 0 on the memory backend.
        pub shares: u16 = "shares",
        /// Shares that rebuild it.
        pub threshold: u16 = "threshold",
        /// Keepers that may still be lost before a restarted Nexus needs an operator; negative when it would need one now.
        /// Missing as well while Keepers hold shares that nothing can judge, because Nexus is sealed.
        pub margin: Option<i64> = "margin" as OmitZero,
        /// When every Keeper was asked for this answer, RFC 3339; missing on the memory backend, which has none.
        pub asked: Option<String> = "asked" as OmitZero,
        /// Every Keeper, in the order of the shares.
        pub keepers: Vec<KeeperStatus> = "keepers",
        /// When recovery shares were last taken out, RFC 3339; never, where it is missing.
        pub last_export: Option<String> = "lastExport" as OmitZero,
        /// The store, where there is one and it is open.
        pub store: Option<StoreStatus> = "store" as OmitZero,
        /// What else is wrong with this process, one entry for each trouble.
        pub troubles: Vec<String> = "troubles" as OmitZero,
    }

    /// The state of one Keeper, as Nexus sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeeperStatus: Part {
        /// The index of its share.
        pub index: u16 = "index",
        /// Its address.
        pub url: String = "url",
        /// How it is.
        pub state: KeeperStatusKind = "state",
        /// Since when, RFC 3339.
        pub since: String = "since",
        /// When it was last asked, or given its share, RFC 3339; never yet, where it is missing.
        pub looked: Option<String> = "looked" as OmitZero,
        /// How many looks in a row have not found its share of the key in use.
        pub failures: u32 = "failures" as OmitZero,
        /// More words, where there are any. From the network: not fit for a terminal as it is.
        pub detail: Option<String> = "detail" as OmitZero,
    }

    /// What Nexus knows before it has a root key, for Bootstrap: what a new key would take the place of.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SurveyResponse: Reply {
        /// Whether the root key is missing.
        pub sealed: bool = "sealed",
        /// Why it is missing. From the network: not fit for a terminal as it is.
        pub reason: Option<String> = "reason" as OmitZero,
        /// Whether a root key is here that is put to use once Bootstrap has proved it.
        pub awaits_proof: bool = "awaitsProof" as OmitZero,
        /// `sqlite`, `lite` or `memory`.
        pub backend: String = "backend",
        /// What lies in the data directory.
        pub data: DataKind = "data",
        /// Why that is in doubt, if it is. From the network: not fit for a terminal as it is.
        pub doubt: Option<String> = "doubt" as OmitZero,
        /// The data directory, where there is one.
        pub directory: Option<String> = "directory" as OmitZero,
        /// Recovery shares that operators have fed and that are not in use: a restore is under way.
        pub fed: u16 = "fed" as OmitZero,
        /// Shares that rebuild the key, as Nexus is configured; 0: it does not say.
        pub threshold: u16 = "threshold" as OmitZero,
        /// Every Keeper, in the order of the shares, as it answered to this question.
        pub keepers: Vec<KeeperStatus> = "keepers",
    }
}

words! {
    /// How a Keeper is.
    pub enum KeeperStatusKind {
        /// Not asked yet.
        #[default]
        Unknown = "unknown",
        /// It does not answer.
        Unreachable = "unreachable",
        /// It answers, and holds no share.
        Empty = "empty",
        /// It sent something that is no share.
        Unusable = "unusable",
        /// It holds a share, and there is no key to judge it by.
        Unjudged = "unjudged",
        /// It holds its share of the key in use.
        Good = "good",
        /// It holds a share of another key.
        Foreign = "foreign",
        /// It takes its share, answers that it has it, and then does not give it back.
        Forgetful = "forgetful",
    }

    /// What lies in the data directory of a Nexus, whether it can be opened or not.
    pub enum DataKind {
        /// No data, or a backend that keeps none.
        None = "none",
        /// A database of ours, or what is left of one.
        Ours = "ours",
        /// A database of upstream, which is not taken in yet.
        Upstream = "upstream",
        /// Something may be there: the directory cannot be looked at, or holds what only a database leaves behind. An answer that does not say counts as this.
        #[default]
        Unreadable = "unreadable",
    }
}

impl KeeperStatusKind {
    /// Whether the Keeper holds a share; `None` if that is not known.
    pub const fn holds_share(self) -> Option<bool> {
        match self {
            Self::Empty => Some(false),
            Self::Unjudged | Self::Good | Self::Foreign | Self::Forgetful => Some(true),
            Self::Unknown | Self::Unreachable | Self::Unusable => None,
        }
    }
}
