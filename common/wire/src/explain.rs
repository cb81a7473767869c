//! Questions about policies: why, who, and what an author may not have meant. Ours: upstream has no such routes.

use super::go_json::OmitZero;

bodies! {
    /// Why may, or may not, somebody do something?
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ExplainRequest: Request {
        /// Whose request it would be.
        pub spiffe_id: String = "spiffeId",
        /// The path that it would be about.
        pub path: String = "path",
        /// The word of the permission.
        pub permission: String = "permission",
    }

    /// The answer, and how near the policies came that do not allow it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ExplainResponse: Reply {
        /// The answer.
        pub allowed: bool = "allowed",
        /// The policy that allows it. Others may as well.
        pub policy: Option<String> = "policy" as OmitZero,
        /// The built-in role that decides, whatever the policies say.
        pub role: Option<String> = "role" as OmitZero,
        /// The policies that came nearest, best first; none where it is allowed.
        pub near_misses: Vec<NearMiss> = "nearMisses",
        /// How many policies there are.
        pub policies: usize = "policies",
        /// How many of them cannot be read, and allow nothing.
        pub unusable: usize = "unusable",
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
        /// The parts that fail, in words.
        pub failed: Vec<String> = "failed",
        /// The smallest changes that would make them hold, in words.
        pub suggestions: Vec<String> = "suggestions",
    }

    /// Who may do something to a path?
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WhoCanRequest: Request {
        /// The path.
        pub path: String = "path",
        /// The word of the permission.
        pub permission: String = "permission",
    }

    /// Everybody who may.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WhoCanResponse: Reply {
        /// The SPIFFE IDs of the roles that may without a policy; what lies below them may, too.
        pub roles: Vec<String> = "roles",
        /// Whom policies let, in the order of the policies' names.
        pub grantees: Vec<Grantee> = "grantees",
    }

    /// Whom one policy lets.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Grantee: Part {
        /// The policy.
        pub policy: String = "policy",
        /// Whoever has a SPIFFE ID that this matches.
        pub spiffeid_pattern: String = "spiffeidPattern",
    }

    /// What the stored policies may not mean to say.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LintResponse: Reply {
        /// Every finding, in the order of the policies' names.
        pub findings: Vec<LintFinding> = "findings",
        /// How many policies were looked at.
        pub policies: usize = "policies",
    }

    /// One thing that an author may not have meant.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LintFinding: Part {
        /// The policy.
        pub policy: String = "policy",
        /// A name for this kind of finding.
        pub code: String = "code",
        /// How bad it is: `error`, `warning` or `notice`.
        pub severity: String = "severity",
        /// The field that it is about.
        pub field: String = "field",
        /// What is found.
        pub message: String = "message",
        /// What to do about it.
        pub fix: String = "fix",
        /// What to put into the field instead, where that can be said.
        pub replacement: Option<String> = "replacement" as OmitZero,
    }
}
