//! Questions about policies: why a request is allowed or denied, who has a permission, and probable mistakes. Upstream
//! has no such routes.

use super::go_json::OmitZero;

bodies! {
    /// Why does a SPIFFE ID have a permission or not?
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ExplainRequest: Request {
        /// The SPIFFE ID of the requester.
        pub spiffe_id: String = "spiffeId",
        /// The path of the request.
        pub path: String = "path",
        /// The name of the permission.
        pub permission: String = "permission",
    }

    /// The answer, and the policies that nearly allow it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ExplainResponse: Reply {
        /// Whether it is allowed.
        pub allowed: bool = "allowed",
        /// A policy that allows it; there may be others.
        pub policy: Option<String> = "policy" as OmitZero,
        /// The built-in role that decides without policies.
        pub role: Option<String> = "role" as OmitZero,
        /// The policies that nearly allow it, nearest first; empty if it is allowed.
        pub near_misses: Vec<NearMiss> = "nearMisses",
        /// The number of policies.
        pub policies: usize = "policies",
        /// The number of policies that cannot be read. They allow nothing.
        pub unusable: usize = "unusable",
        /// The trust domain of the SPIFFE ID, if Nexus holds no trust bundle of it. Then it refuses the SVID in the handshake,
        /// whatever policies allow.
        pub no_bundle_of: Option<String> = "noBundleOf" as OmitZero,
    }

    /// A policy that does not allow it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NearMiss: Part {
        /// Its name.
        pub name: String = "name",
        /// Its SPIFFE ID pattern.
        pub spiffeid_pattern: String = "spiffeidPattern",
        /// Its path pattern.
        pub path_pattern: String = "pathPattern",
        /// The parts that do not match, in words.
        pub failed: Vec<String> = "failed",
        /// The smallest changes that make them match, in words.
        pub suggestions: Vec<String> = "suggestions",
    }

    /// Who has a permission on a path?
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WhoCanRequest: Request {
        /// The path.
        pub path: String = "path",
        /// The name of the permission.
        pub permission: String = "permission",
    }

    /// All who have the permission.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WhoCanResponse: Reply {
        /// The SPIFFE IDs of roles that have it without a policy, also for IDs below them.
        pub roles: Vec<String> = "roles",
        /// Those that policies allow, in the order of the policies' names.
        pub grantees: Vec<Grantee> = "grantees",
    }

    /// Those that one policy allows.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Grantee: Part {
        /// The policy.
        pub policy: String = "policy",
        /// The pattern of their SPIFFE IDs.
        pub spiffeid_pattern: String = "spiffeidPattern",
    }

    /// Probable mistakes in the stored policies.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LintResponse: Reply {
        /// Every finding, in the order of the policies' names.
        pub findings: Vec<LintFinding> = "findings",
        /// The number of policies that were checked.
        pub policies: usize = "policies",
    }

    /// One probable mistake.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LintFinding: Part {
        /// The policy.
        pub policy: String = "policy",
        /// The kind of finding.
        pub code: String = "code",
        /// Its severity: `error`, `warning` or `notice`.
        pub severity: String = "severity",
        /// The field at fault.
        pub field: String = "field",
        /// The finding.
        pub message: String = "message",
        /// How to fix it.
        pub fix: String = "fix",
        /// A better value for the field, if there is one.
        pub replacement: Option<String> = "replacement" as OmitZero,
    }
}
