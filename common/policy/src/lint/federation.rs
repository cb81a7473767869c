//! Policies for SPIFFE IDs of trust domains whose bundles are not held: Nexus refuses such peers in the handshake, before any
//! policy is asked.
//!
//! Only Nexus knows which bundles it holds, so this is no part of [`super::lint`].

use super::super::Policy;
use super::super::error::Field;
use super::super::rewrite::SCHEME;
use super::super::scan::{Token, tokens};
use super::{Code, Finding, Severity};

/// The trust domain that a pattern of SPIFFE IDs names literally: between the scheme and the next slash. `None` if it names
/// several, or one that it describes by more than its characters, or one with upper case: no trust domain has any, so federation
/// cannot help, and lint says so. A dot that is not escaped counts as a dot: lint reports it anyway.
pub fn named_trust_domain(spiffe_id_pattern: &str) -> Option<String> {
    let tokens = tokens(spiffe_id_pattern);
    if is_alternation(&tokens) {
        return None;
    }
    let mut tokens = tokens.iter().peekable();
    tokens.next_if(|token| token.text == "^");
    for expected in SCHEME.chars() {
        tokens.next().filter(|token| token.literal() == Some(expected))?;
    }
    let mut domain = String::new();
    while let Some(token) = tokens.next() {
        // A repetition changes what the character before it stands for.
        if tokens.peek().is_some_and(|next| matches!(next.text, "*" | "+" | "?" | "{")) {
            return None;
        }
        match token.literal() {
            Some('/') => return Some(domain).filter(|domain| !domain.is_empty()),
            Some(c) if c.is_ascii_uppercase() => return None,
            Some(c) => domain.push(c),
            None if token.text == "." => domain.push('.'),
            None => return None,
        }
    }
    None
}

/// The finding about a policy that names a trust domain whose bundle is not held, by the answer of `is_held`.
pub fn without_bundle(policy: &Policy, is_held: impl FnOnce(&str) -> bool) -> Option<Finding> {
    let domain = named_trust_domain(&policy.spiffe_id_pattern)?;
    if is_held(&domain) {
        return None;
    }
    Some(Finding {
        policy: policy.name.clone(),
        code: Code::NoBundle,
        severity: Severity::Warning,
        field: Field::SpiffeIdPattern,
        message: format!(
            "SPIKE Nexus holds no trust bundle of {domain}: it refuses every SVID of this trust domain, so the policy has no effect"
        ),
        fix: "federate the trust domains (docs/federation.md), or correct the trust domain"
            .to_owned(),
        replacement: None,
    })
}

/// Whether the pattern is one of several alternatives as a whole.
fn is_alternation(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0_usize;
    tokens.iter().any(|token| {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        token.text == "|" && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::super::{Permission, Permissions};
    use super::*;

    #[test]
    fn the_trust_domain_is_named_if_its_characters_stand_for_themselves() {
        for (pattern, domain) in [
            (r"^spiffe://partner\.org/app$", Some("partner.org")),
            (r"^spiffe://partner\.org/(app|web)$", Some("partner.org")),
            (r"spiffe://partner\.org/.*", Some("partner.org")),
            (r"^spiffe:\/\/partner\.org\/app$", Some("partner.org")),
            // Lint reports the dot.
            ("^spiffe://partner.org/app$", Some("partner.org")),
            ("^spiffe://under_score-1/app$", Some("under_score-1")),
            // These name several trust domains, or none.
            (r"^spiffe://Partner\.org/app$", None),
            (r"^spiffe://[a-z]+\.example\.org/app$", None),
            (r"^spiffe://(a|b)\.org/app$", None),
            (r"^spiffe://partner\.orgs?/app$", None),
            (r"^spiffe://partner\.o{2}/app$", None),
            (r"^spiffe://a\.org/app$|^spiffe://b\.org/app$", None),
            (r"^spiffe://partner\.org", None),
            (r"^spiffe://.*/app$", None),
            ("^spiffe:///app$", None),
            (".*", None),
            ("", None),
        ] {
            assert_eq!(named_trust_domain(pattern).as_deref(), domain, "{pattern}");
        }
    }

    #[test]
    fn a_policy_for_a_trust_domain_without_a_bundle_is_a_finding_and_for_a_held_one_is_not() {
        let policy = Policy {
            name: "partner".to_owned(),
            spiffe_id_pattern: r"^spiffe://partner\.org/app$".to_owned(),
            path_pattern: "^a$".to_owned(),
            permissions: Permissions::new([Permission::Read]),
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        let held = |held: &'static str| move |domain: &str| domain == held;
        assert_eq!(without_bundle(&policy, held("partner.org")), None);
        let finding = without_bundle(&policy, held("spike.ist")).unwrap();
        assert_eq!((finding.code, finding.severity), (Code::NoBundle, Severity::Warning));
        assert!(finding.message.contains("no trust bundle of partner.org"), "{}", finding.message);
    }
}
