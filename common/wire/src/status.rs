//! The status of Nexus and its Keepers, for operators. Upstream has no such route.

use super::go_json::OmitZero;
use super::{CheckStatus, StoreStatus};

bodies! {
    /// The state of one Nexus.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StatusResponse: Reply {
        /// The version of Nexus.
        pub version: String = "version",
        /// Whether the root key is missing.
        pub sealed: bool = "sealed",
        /// Why it is missing, or why Nexus is not ready with it.
        pub reason: Option<String> = "reason" as OmitZero,
        /// The kind of that reason, while the root key is missing.
        pub sealed_by: Option<SealedBy> = "sealedBy" as OmitZero,
        /// Whether a restart would lose a root key: Nexus has it whole and cannot use it, or uses another, and Keepers hold too few
        /// shares of it.
        pub last_copy: bool = "lastCopy" as OmitZero,
        /// The kind of data in the data directory, while the root key is missing.
        pub data: Option<DataKind> = "data" as OmitZero,
        /// The number of recovery shares that operators have fed, and that are not in use yet.
        pub fed: u16 = "fed" as OmitZero,
        /// `sqlite`, `lite` or `memory`.
        pub backend: String = "backend",
        /// When this process began to serve, RFC 3339; missing if Nexus does not say.
        pub started: Option<String> = "started" as OmitZero,
        /// The requests of the last minutes, if Nexus counts them.
        pub recent: Option<RecentRequests> = "recent" as OmitZero,
        /// A fingerprint of the root key. It is safe to show, and equal only for the same key.
        pub root_key: Option<String> = "rootKey" as OmitZero,
        /// The number of the data key that encrypts.
        pub data_key: Option<u32> = "dataKey" as OmitZero,
        /// The number of shares of the root key; 0 with the memory backend.
        pub shares: u16 = "shares",
        /// The number of shares that rebuild it.
        pub threshold: u16 = "threshold",
        /// The quorum margin: how many Keepers can fail before a restarted Nexus needs an operator. It is negative if
        /// it would need one now, and missing if Nexus is sealed and Keepers hold shares that it cannot check.
        pub margin: Option<i64> = "margin" as OmitZero,
        /// When every Keeper was asked for this answer, RFC 3339; missing on the memory backend, which has none.
        pub asked: Option<String> = "asked" as OmitZero,
        /// Every Keeper, in the order of the shares.
        pub keepers: Vec<KeeperStatus> = "keepers",
        /// The trust domains whose bundles Nexus holds, its own first; empty if it does not say.
        pub trust_domains: Vec<String> = "trustDomains" as OmitZero,
        /// When recovery shares were last returned, RFC 3339; missing if never.
        pub last_export: Option<String> = "lastExport" as OmitZero,
        /// The store, if there is one and it is open.
        pub store: Option<StoreStatus> = "store" as OmitZero,
        /// Other problems of this process.
        pub troubles: Vec<String> = "troubles" as OmitZero,
        /// The health checks that do not pass, by name. What they say is also in the reason and in the troubles, here and of
        /// the store. Missing if all pass, or if this Nexus does not tell.
        pub checks: Vec<CheckStatus> = "checks" as OmitZero,
    }

    /// How many requests were answered lately, this one not among them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RecentRequests: Part {
        /// The length of the time that is counted, in seconds.
        pub seconds: u64 = "seconds",
        /// All requests.
        pub requests: u64 = "requests",
        /// Those that were answered with a status from 400 to 499, such as a denial.
        pub refused: u64 = "refused",
        /// Those that were answered with a status from 500 on.
        pub failed: u64 = "failed",
    }

    /// The state of one Keeper, as Nexus sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeeperStatus: Part {
        /// The index of its share.
        pub index: u16 = "index",
        /// Its address.
        pub url: String = "url",
        /// Its state.
        pub state: KeeperStatusKind = "state",
        /// When that state began, RFC 3339.
        pub since: String = "since",
        /// When Nexus last asked it, or gave it its share, RFC 3339; missing if never.
        pub looked: Option<String> = "looked" as OmitZero,
        /// How many times in a row Nexus did not find its share of the key in use.
        pub failures: u32 = "failures" as OmitZero,
        /// The version that the Keeper told for this answer. It comes from the network.
        pub version: Option<String> = "version" as OmitZero,
        /// When the Keeper said that it began to serve, RFC 3339. It comes from the network.
        pub started: Option<String> = "started" as OmitZero,
        /// Details, if there are any. They come from the network: escape them before they are printed.
        pub detail: Option<String> = "detail" as OmitZero,
    }

    /// For Bootstrap: what a new key would replace, as far as Nexus knows before it has a root key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SurveyResponse: Reply {
        /// Whether the root key is missing.
        pub sealed: bool = "sealed",
        /// Why it is missing. It comes from the network: escape it before it is printed.
        pub reason: Option<String> = "reason" as OmitZero,
        /// The kind of that reason.
        pub sealed_by: Option<SealedBy> = "sealedBy" as OmitZero,
        /// Whether Nexus has a whole root key from Keepers that is not in use.
        pub holds_key: bool = "holdsKey" as OmitZero,
        /// Whether a restart would lose it, because Keepers hold too few shares of it.
        pub last_copy: bool = "lastCopy" as OmitZero,
        /// Whether there is a root key that will be used once Bootstrap has proved it.
        pub awaits_proof: bool = "awaitsProof" as OmitZero,
        /// `sqlite`, `lite` or `memory`.
        pub backend: String = "backend",
        /// The kind of data in the data directory.
        pub data: DataKind = "data",
        /// Why that is in doubt, if it is. It comes from the network: escape it before a terminal shows it.
        pub doubt: Option<String> = "doubt" as OmitZero,
        /// The data directory, if there is one.
        pub directory: Option<String> = "directory" as OmitZero,
        /// The recovery shares that operators have fed and that are not in use: a restore is under way.
        pub fed: u16 = "fed" as OmitZero,
        /// The number of shares that rebuild the key, by the settings of Nexus; 0 if it does not say.
        pub threshold: u16 = "threshold" as OmitZero,
        /// Every Keeper, in the order of the shares, with its answer to this request.
        pub keepers: Vec<KeeperStatus> = "keepers",
    }
}

words! {
    /// The state of a Keeper.
    pub enum KeeperStatusKind {
        /// Not asked yet.
        #[default]
        Unknown = "unknown",
        /// It does not answer.
        Unreachable = "unreachable",
        /// It answers, and holds no share.
        Empty = "empty",
        /// It sent something that is not a share, or not its share, or does not show what it holds.
        Unusable = "unusable",
        /// It holds a share, and there is no key to check it.
        Unjudged = "unjudged",
        /// It holds its share of the key in use.
        Good = "good",
        /// It holds a share of another key, which Nexus does not replace.
        Foreign = "foreign",
        /// It accepts its share, answers success, and then does not return it.
        Forgetful = "forgetful",
        /// It is the same process as an earlier Keeper of the list, under another address, so it counts once.
        Repeated = "repeated",
    }

    /// Why a Nexus has no root key in use.
    pub enum SealedBy {
        /// Too few shares were collected, or something else that is not known here.
        #[default]
        Shares = "shares",
        /// There are shares enough, and they are not of one key.
        Mismatch = "mismatch",
        /// The shares make a key, and it is not that of the data.
        OtherKey = "other-key",
        /// The shares make a key, and there is no data for it.
        NoData = "no-data",
        /// The shares make a key, and the store cannot be opened.
        Store = "store",
    }

    /// The kind of data in the data directory of a Nexus, readable or not.
    pub enum DataKind {
        /// No data, or a backend that stores none.
        None = "none",
        /// A database of ours, or parts of one.
        Ours = "ours",
        /// A database of upstream that is not imported yet.
        Upstream = "upstream",
        /// There may be data: the directory cannot be read, or has traces of a database. Also used if an answer omits
        /// the field.
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
            Self::Unknown | Self::Unreachable | Self::Unusable | Self::Repeated => None,
        }
    }
}
