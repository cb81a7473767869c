//! The table of all operations, used by servers, clients, documents and tests.
//!
//! A row says what an operation does and who may use it; its request and its response ([`Call`](super::Call)); how upstream
//! writes the request ([`Route`]); and how upstream answers an error ([`ErrorFrame`]). Nothing repeats these facts.

use std::fmt;

use bytes::Bytes;
use spike_domain::{ACL_PATH, CIPHER_PATH, Permission, Role, SECRET_PATH};

use super::any_operation::AnyOperation;
use super::error::{ErrorCode, ErrorFrame};
use super::route::Route;
use super::rule::{Needs, OPERATORS, Rule};
use super::table::Row;
use super::target::first_action;

operations! {
    /// The operations of Nexus.
    Operation calls by match_call!($) {
        /// N1: put a new version of a secret.
        SecretPut(SecretPutRequest => EmptyResponse) => Row {
            label: "secret_put",
            rule: Rule::OnThePath(Permission::Write),
            needs: Needs::Store,
            changes: true,
            route: Route::new("/v1/store/secrets"),
            audit: ("RoutePutSecret", "create"),
            error: ErrorFrame::PLAIN,
        },
        /// N2: read a version of a secret.
        SecretGet(SecretGetRequest => SecretGetResponse) => Row {
            label: "secret_get",
            rule: Rule::OnThePath(Permission::Read),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/store/secrets?action=get"),
            audit: ("routeGetSecret", "read"),
            error: ErrorFrame::after(r#"{"data":null,"#),
        },
        /// N3: delete versions.
        SecretDelete(SecretVersionsRequest => EmptyResponse) => Row {
            label: "secret_delete",
            rule: Rule::OnThePath(Permission::Write),
            needs: Needs::Store,
            changes: true,
            route: Route::new("/v1/store/secrets?action=delete"),
            audit: ("RouteDeleteSecret", "delete"),
            error: ErrorFrame::PLAIN,
        },
        /// N4: undelete versions.
        SecretUndelete(SecretVersionsRequest => EmptyResponse) => Row {
            label: "secret_undelete",
            rule: Rule::OnThePath(Permission::Write),
            needs: Needs::Store,
            changes: true,
            route: Route::new("/v1/store/secrets?action=undelete"),
            audit: ("routeUndeleteSecret", "undelete"),
            error: ErrorFrame::PLAIN,
        },
        /// N5: list the paths of secrets.
        SecretList(SecretListRequest => SecretListResponse) => Row {
            label: "secret_list",
            rule: Rule::Names(Permission::List, SECRET_PATH),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/store/secrets?action=list"),
            audit: ("RouteListPaths", "list"),
            error: ErrorFrame::after(r#"{"keys":null,"#),
        },
        /// N6: read the metadata of a secret.
        SecretMetadata(SecretMetadataRequest => SecretMetadataResponse) => Row {
            label: "secret_metadata",
            rule: Rule::OnThePath(Permission::Read),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/store/secrets/metadata?action=get"),
            audit: ("routeGetSecretMetadata", "read"),
            error: ErrorFrame::METADATA,
        },
        /// N7: create or replace a policy.
        PolicyPut(PolicyPutRequest => PolicyPutResponse) => Row {
            label: "policy_put",
            rule: Rule::OnSystemPath(Permission::Write, ACL_PATH),
            needs: Needs::Store,
            changes: true,
            route: Route::new("/v1/acl/policy"),
            audit: ("RoutePutPolicy", "create"),
            error: ErrorFrame::PLAIN,
        },
        /// N8: read a policy.
        PolicyGet(PolicyNameRequest => Policy) => Row {
            label: "policy_get",
            rule: Rule::OnSystemPath(Permission::Read, ACL_PATH),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/acl/policy?action=get"),
            audit: ("RouteGetPolicy", "read"),
            error: ErrorFrame::POLICY,
        },
        /// N9: delete a policy.
        PolicyDelete(PolicyNameRequest => EmptyResponse) => Row {
            label: "policy_delete",
            rule: Rule::OnSystemPath(Permission::Write, ACL_PATH),
            needs: Needs::Store,
            changes: true,
            route: Route::new("/v1/acl/policy?action=delete"),
            audit: ("RouteDeletePolicy", "delete"),
            error: ErrorFrame::PLAIN,
        },
        /// N10: list the names of policies.
        PolicyList(PolicyListRequest => PolicyListResponse) => Row {
            label: "policy_list",
            rule: Rule::OnSystemPath(Permission::List, ACL_PATH),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/acl/policy?action=list"),
            audit: ("RouteListPolicies", "list"),
            error: ErrorFrame::after(r#"{"policies":null,"#),
        },
        /// Ours, unknown upstream: explain why a SPIFFE ID has a permission or not.
        PolicyExplain(ExplainRequest => ExplainResponse) => Row {
            label: "policy_explain",
            rule: Rule::OnSystemPath(Permission::Read, ACL_PATH),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/acl/policy?action=explain"),
            audit: ("RouteExplainPolicies", "read"),
            error: ErrorFrame::PLAIN,
        },
        /// Ours, unknown upstream: list who has a permission on a path.
        PolicyWhoCan(WhoCanRequest => WhoCanResponse) => Row {
            label: "policy_who_can",
            rule: Rule::OnSystemPath(Permission::Read, ACL_PATH),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/acl/policy?action=who-can"),
            audit: ("RouteWhoCan", "read"),
            error: ErrorFrame::PLAIN,
        },
        /// Ours, unknown upstream: list probable mistakes in the stored policies.
        PolicyLint(EmptyRequest => LintResponse) => Row {
            label: "policy_lint",
            rule: Rule::OnSystemPath(Permission::Read, ACL_PATH),
            needs: Needs::Store,
            changes: false,
            route: Route::new("/v1/acl/policy?action=lint"),
            audit: ("RouteLintPolicies", "read"),
            error: ErrorFrame::PLAIN,
        },
        /// N11: encrypt.
        CipherEncrypt(EncryptRequest => EncryptResponse) => Row {
            label: "cipher_encrypt",
            rule: Rule::Cipher(Permission::Execute, CIPHER_PATH),
            needs: Needs::RootKey,
            changes: false,
            route: Route::new("/v1/cipher/encrypt"),
            audit: ("RouteEncrypt", "create"),
            error: ErrorFrame::after(r#"{"version":0,"nonce":null,"ciphertext":null,"#),
        },
        /// N12: decrypt.
        CipherDecrypt(DecryptRequest => DecryptResponse) => Row {
            label: "cipher_decrypt",
            rule: Rule::Cipher(Permission::Execute, CIPHER_PATH),
            needs: Needs::RootKey,
            changes: false,
            route: Route::new("/v1/cipher/decrypt"),
            audit: ("RouteDecrypt", "create"),
            error: ErrorFrame::after(r#"{"plaintext":null,"#),
        },
        /// N13: recover: return the recovery shares.
        OperatorRecover(EmptyRequest => RecoverResponse) => Row {
            label: "operator_recover",
            rule: Rule::Roles(&[Role::PilotRecover]),
            needs: Needs::Nothing,
            changes: true,
            route: Route::new("/v1/operator/recover"),
            audit: ("routeRecover", "create"),
            error: ErrorFrame::after(r#"{"shards":null,"#),
        },
        /// N14: restore: accept one recovery share.
        OperatorRestore(RestoreRequest => RestoreResponse) => Row {
            label: "operator_restore",
            rule: Rule::Roles(&[Role::PilotRestore]),
            needs: Needs::Nothing,
            changes: true,
            route: Route::new("/v1/operator/restore"),
            audit: ("routeRestore", "create"),
            error: ErrorFrame::after(r#"{"collected":0,"remaining":0,"restored":false,"#),
        },
        /// Ours, unknown upstream: the status of Nexus and its Keepers.
        OperatorStatus(EmptyRequest => StatusResponse) => Row {
            label: "operator_status",
            rule: Rule::Roles(OPERATORS),
            needs: Needs::Nothing,
            changes: false,
            route: Route::new("/v1/operator/status"),
            audit: ("RouteStatus", "read"),
            error: ErrorFrame::PLAIN,
        },
        /// N15: prove possession of the root key.
        BootstrapVerify(VerifyRequest => VerifyResponse) => Row {
            label: "bootstrap_verify",
            rule: Rule::Roles(&[Role::Bootstrap]),
            needs: Needs::RootKey,
            changes: false,
            route: Route::new("/v1/bootstrap/verify"),
            audit: ("RouteVerify", "create"),
            error: ErrorFrame::after(r#"{"hash":"","#),
        },
        /// Ours, unknown upstream: what a new root key would replace.
        BootstrapSurvey(EmptyRequest => SurveyResponse) => Row {
            label: "bootstrap_survey",
            rule: Rule::Roles(&[Role::Bootstrap]),
            needs: Needs::Nothing,
            changes: false,
            route: Route::new("/v1/bootstrap/survey"),
            audit: ("RouteSurvey", "read"),
            error: ErrorFrame::PLAIN,
        },
    }
}
