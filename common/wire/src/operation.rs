//! Which request means which operation: the one table of routes, walked by servers and clients alike.

use std::fmt;

use bytes::Bytes;

use super::error::{ErrorCode, ErrorFrame};
use super::target::first_action;

/// What the table says of one operation.
struct Route {
    /// Path and, after `?action=`, the action.
    target: &'static str,
    path: &'static str,
    action: &'static str,
    label: &'static str,
    component: &'static str,
    verb: &'static str,
    frame: ErrorFrame,
}

impl Route {
    const fn new(
        target: &'static str,
        label: &'static str,
        (component, verb): (&'static str, &'static str),
        frame: ErrorFrame,
    ) -> Self {
        let (path, action) = split(target);
        Self { target, path, action, label, component, verb, frame }
    }

    fn is(&self, path: &str, action: &[u8]) -> bool {
        self.path == path && self.action.as_bytes() == action
    }
}

/// Path and action of a target; every query in the table is an action.
const fn split(target: &'static str) -> (&'static str, &'static str) {
    const QUERY: &[u8] = b"?action=";
    let mut path = target.as_bytes();
    while let [rest @ .., last] = path {
        if *last == b'?' {
            let (path, query) = target.split_at(rest.len());
            return (path, query.split_at(QUERY.len()).1);
        }
        path = rest;
    }
    (target, "")
}

macro_rules! operations {
    (
        $(#[$doc:meta])*
        $name:ident { $( $(#[$variant_doc:meta])* $variant:ident => $route:expr, )* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[$variant_doc])* $variant, )* }

        impl $name {
            /// Every operation, in the order of the reference.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            const fn route(self) -> &'static Route {
                match self { $( Self::$variant => const { &$route }, )* }
            }

            /// The operation that a POST to `path`, percent escapes undone, with this query asks for. Path and action
            /// are compared exactly; an absent action is the empty one. `None` is answered by the fallback.
            pub fn from_request(path: &str, query: Option<&str>) -> Option<Self> {
                let action = first_action(query.unwrap_or_default());
                Self::ALL.iter().copied().find(|operation| operation.route().is(path, &action))
            }

            /// Path and query, as clients ask for it.
            pub const fn path_and_query(self) -> &'static str {
                self.route().target
            }

            /// The path alone.
            pub const fn path(self) -> &'static str {
                self.route().path
            }

            /// The action; empty where there is none.
            pub const fn action(self) -> &'static str {
                self.route().action
            }

            /// A name for metrics that stays as it is.
            pub const fn label(self) -> &'static str {
                self.route().label
            }

            /// What upstream's audit log puts into `Component`.
            pub const fn audit_component(self) -> &'static str {
                self.route().component
            }

            /// What upstream's audit log puts into `Action` between `enter` and `exit`.
            pub const fn audit_action(self) -> &'static str {
                self.route().verb
            }

            /// How an error of this operation looks.
            pub(super) const fn error_frame(self) -> ErrorFrame {
                self.route().frame
            }
        }

        impl fmt::Display for $name {
            /// The label.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}

operations! {
    /// What Nexus can be asked for.
    Operation {
        /// N1: put a new version of a secret.
        SecretPut => Route::new(
            "/v1/store/secrets",
            "secret_put",
            ("RoutePutSecret", "create"),
            ErrorFrame::PLAIN,
        ),
        /// N2: read a version of a secret.
        SecretGet => Route::new(
            "/v1/store/secrets?action=get",
            "secret_get",
            ("routeGetSecret", "read"),
            ErrorFrame::after(r#"{"data":null,"#),
        ),
        /// N3: delete versions.
        SecretDelete => Route::new(
            "/v1/store/secrets?action=delete",
            "secret_delete",
            ("RouteDeleteSecret", "delete"),
            ErrorFrame::PLAIN,
        ),
        /// N4: undelete versions.
        SecretUndelete => Route::new(
            "/v1/store/secrets?action=undelete",
            "secret_undelete",
            ("routeUndeleteSecret", "undelete"),
            ErrorFrame::PLAIN,
        ),
        /// N5: list the paths of secrets.
        SecretList => Route::new(
            "/v1/store/secrets?action=list",
            "secret_list",
            ("RouteListPaths", "list"),
            ErrorFrame::after(r#"{"keys":null,"#),
        ),
        /// N6: read what is known about a secret besides its values.
        SecretMetadata => Route::new(
            "/v1/store/secrets/metadata?action=get",
            "secret_metadata",
            ("routeGetSecretMetadata", "read"),
            ErrorFrame::METADATA,
        ),
        /// N7: create or replace a policy.
        PolicyPut => Route::new(
            "/v1/acl/policy",
            "policy_put",
            ("RoutePutPolicy", "create"),
            ErrorFrame::PLAIN,
        ),
        /// N8: read a policy.
        PolicyGet => Route::new(
            "/v1/acl/policy?action=get",
            "policy_get",
            ("RouteGetPolicy", "read"),
            ErrorFrame::POLICY,
        ),
        /// N9: delete a policy.
        PolicyDelete => Route::new(
            "/v1/acl/policy?action=delete",
            "policy_delete",
            ("RouteDeletePolicy", "delete"),
            ErrorFrame::PLAIN,
        ),
        /// N10: list the names of policies.
        PolicyList => Route::new(
            "/v1/acl/policy?action=list",
            "policy_list",
            ("RouteListPolicies", "list"),
            ErrorFrame::after(r#"{"policies":null,"#),
        ),
        /// Ours, unknown upstream: why somebody may or may not do something.
        PolicyExplain => Route::new("/v1/acl/policy?action=explain", "policy_explain",
            ("RouteExplainPolicies", "read"), ErrorFrame::PLAIN),
        /// Ours, unknown upstream: who may do something to a path.
        PolicyWhoCan => Route::new("/v1/acl/policy?action=who-can", "policy_who_can",
            ("RouteWhoCan", "read"), ErrorFrame::PLAIN),
        /// Ours, unknown upstream: what the stored policies may not mean to say.
        PolicyLint => Route::new("/v1/acl/policy?action=lint", "policy_lint", ("RouteLintPolicies", "read"),
            ErrorFrame::PLAIN),
        /// N11: encrypt.
        CipherEncrypt => Route::new(
            "/v1/cipher/encrypt",
            "cipher_encrypt",
            ("RouteEncrypt", "create"),
            ErrorFrame::after(r#"{"version":0,"nonce":null,"ciphertext":null,"#),
        ),
        /// N12: decrypt.
        CipherDecrypt => Route::new(
            "/v1/cipher/decrypt",
            "cipher_decrypt",
            ("RouteDecrypt", "create"),
            ErrorFrame::after(r#"{"plaintext":null,"#),
        ),
        /// N13: take the recovery shares out.
        OperatorRecover => Route::new(
            "/v1/operator/recover",
            "operator_recover",
            ("routeRecover", "create"),
            ErrorFrame::after(r#"{"shards":null,"#),
        ),
        /// N14: feed one recovery share back.
        OperatorRestore => Route::new(
            "/v1/operator/restore",
            "operator_restore",
            ("routeRestore", "create"),
            ErrorFrame::after(r#"{"collected":0,"remaining":0,"restored":false,"#),
        ),
        /// Ours, unknown upstream: how Nexus and its Keepers are.
        OperatorStatus => Route::new("/v1/operator/status", "operator_status", ("RouteStatus", "read"),
            ErrorFrame::PLAIN),
        /// N15: prove possession of the root key.
        BootstrapVerify => Route::new(
            "/v1/bootstrap/verify",
            "bootstrap_verify",
            ("RouteVerify", "create"),
            ErrorFrame::after(r#"{"hash":"","#),
        ),
        /// Ours, unknown upstream: what a new root key would take the place of.
        BootstrapSurvey => Route::new("/v1/bootstrap/survey", "bootstrap_survey", ("RouteSurvey", "read"),
            ErrorFrame::PLAIN),
    }
}

impl Operation {
    /// Whether it changes anything that lasts, or lets a key in or out.
    pub const fn changes(self) -> bool {
        match self {
            Self::SecretPut
            | Self::SecretDelete
            | Self::SecretUndelete
            | Self::OperatorRecover
            | Self::OperatorRestore
            | Self::PolicyPut
            | Self::PolicyDelete => true,
            Self::SecretGet
            | Self::SecretList
            | Self::SecretMetadata
            | Self::OperatorStatus
            | Self::BootstrapVerify
            | Self::BootstrapSurvey
            | Self::PolicyGet
            | Self::PolicyList
            | Self::PolicyExplain
            | Self::PolicyWhoCan
            | Self::PolicyLint
            | Self::CipherEncrypt
            | Self::CipherDecrypt => false,
        }
    }
}

operations! {
    /// What a Keeper can be asked for.
    KeeperOperation {
        /// K1: give the Keeper its share.
        Contribute => Route::new(
            "/v1/store/contribute",
            "keeper_contribute",
            ("RouteContribute", "create"),
            ErrorFrame::PLAIN,
        ),
        /// K2: take the Keeper's share.
        Shard => Route::new(
            "/v1/store/shard",
            "keeper_shard",
            ("RouteShard", "read"),
            ErrorFrame::SHARD,
        ),
        /// Ours, unknown upstream: whether the Keeper holds a share.
        Status => Route::new("/v1/store/status", "keeper_status", ("RouteKeeperStatus", "read"),
            ErrorFrame::PLAIN),
    }
}

impl Operation {
    /// The error body of this operation.
    pub fn error_body(self, code: ErrorCode) -> Bytes {
        self.error_frame().body(code, None)
    }

    /// As [`Operation::error_body`], with a sentence for people under `reason`, a key that upstream's clients pass
    /// over. It must not quote values of a secret.
    pub fn error_body_with_reason(self, code: ErrorCode, reason: &str) -> Bytes {
        self.error_frame().body(code, Some(reason))
    }
}

impl KeeperOperation {
    /// The error body of this operation.
    pub fn error_body(self, code: ErrorCode) -> Bytes {
        self.error_frame().body(code, None)
    }

    /// As [`KeeperOperation::error_body`], with a sentence for people under `reason`.
    pub fn error_body_with_reason(self, code: ErrorCode, reason: &str) -> Bytes {
        self.error_frame().body(code, Some(reason))
    }
}
