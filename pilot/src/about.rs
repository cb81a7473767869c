//! The words of messages for each operation of Nexus that fails. Who may do it is in the table of operations.

use spike_wire::Operation;

/// The words for one operation.
pub(crate) struct About {
    /// The action, before its subject: `read the secret`.
    pub(crate) verb: &'static str,
    /// The meaning of 404.
    pub(crate) missing: &'static str,
    /// What to do after 404.
    pub(crate) after_missing: &'static str,
    /// The most likely meaning of 400 without a reason. Upstream's Nexus never gives one.
    pub(crate) after_invalid: &'static str,
}

const LITE: &str = "on the lite backend SPIKE Nexus stores neither secrets nor policies";
const MEMORY: &str = "on the memory backend there is no key to recover or restore";
const TOO_LARGE: &str =
    "the plaintext may be larger than SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE of SPIKE Nexus allows";
const DAMAGED: &str =
    "the ciphertext is damaged, was made with another key, or is larger than SPIKE Nexus takes";
const POLICY_RULES: &str = "the name, a pattern or a permission breaks a rule: patterns are regular expressions (RE2), and the SPIFFE ID pattern begins with spiffe://";
const NO_ROUTE: &str = "this SPIKE Nexus may be one of upstream's, which has no such route";
const WRONG_SERVER: &str = "check that SPIKE_NEXUS_API_URL names a SPIKE Nexus";
const LIST_SECRETS: &str = "`spike secret list` shows all paths";
const LIST_DELETED: &str = "`spike secret list` shows all paths, deleted ones too; `spike secret undelete` brings a deleted version back";
const SHOW_VERSIONS: &str = "`spike secret list` shows all paths, deleted ones too; `spike secret metadata get` shows which versions of one are deleted";

/// The row of an operation.
pub(crate) const fn about(operation: Operation) -> About {
    const fn row(
        verb: &'static str,
        (missing, after_missing): (&'static str, &'static str),
        after_invalid: &'static str,
    ) -> About {
        About { verb, missing, after_missing, after_invalid }
    }
    const NOWHERE: (&str, &str) = ("not found", WRONG_SERVER);
    const NO_POLICY: (&str, &str) = ("no such policy", "`spike policy list` shows all names");
    match operation {
        Operation::SecretPut => row("write the secret", NOWHERE, LITE),
        Operation::SecretGet => row(
            "read the secret",
            ("no such secret or version, or it is deleted", LIST_DELETED),
            LITE,
        ),
        Operation::SecretDelete => row("delete the secret", ("no such secret", LIST_SECRETS), LITE),
        Operation::SecretUndelete => row(
            "undelete the secret",
            ("nothing is deleted there that could be brought back", SHOW_VERSIONS),
            LITE,
        ),
        Operation::SecretList => row("list secrets", NOWHERE, LITE),
        Operation::SecretMetadata => row(
            "read the metadata of the secret",
            ("no such secret or version, or the version is deleted", LIST_DELETED),
            LITE,
        ),
        Operation::PolicyPut => row("write the policy", NOWHERE, POLICY_RULES),
        Operation::PolicyGet => row("read the policy", NO_POLICY, LITE),
        Operation::PolicyDelete => row("delete the policy", NO_POLICY, LITE),
        Operation::PolicyList => row("list policies", NOWHERE, LITE),
        Operation::PolicyExplain => row("explain a decision", NOWHERE, NO_ROUTE),
        Operation::PolicyWhoCan => row("find who has access", NOWHERE, NO_ROUTE),
        Operation::PolicyLint => row("check the policies", NOWHERE, NO_ROUTE),
        Operation::CipherEncrypt => row("encrypt", NOWHERE, TOO_LARGE),
        Operation::CipherDecrypt => row("decrypt", NOWHERE, DAMAGED),
        Operation::OperatorRecover => row("take out the recovery shares", NOWHERE, MEMORY),
        Operation::OperatorRestore => row("feed back the recovery share from", NOWHERE, MEMORY),
        Operation::OperatorStatus => row("read the status of SPIKE Nexus", NOWHERE, NO_ROUTE),
        Operation::BootstrapVerify => row("verify the root key", NOWHERE, WRONG_SERVER),
        Operation::BootstrapSurvey => row("survey the Keepers", NOWHERE, NO_ROUTE),
    }
}
