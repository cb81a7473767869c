//! Patterns that leave the trust domain open: whoever is federated later matches them too.

use super::super::error::Field;
use super::super::pattern::Pattern;
use super::super::rewrite::{SCHEME, escaped};
use super::super::scan::{Token, tokens};
use super::{Code, Report, Severity};

/// Reports a trust domain that the pattern does not fix. A part in front of a fixed domain of two labels, as in
/// `[a-z]+\.example\.org`, is taken to be meant.
pub(super) fn check(report: &mut Report<'_>) {
    let field = Field::SpiffeIdPattern;
    let covers = |code| report.findings.iter().any(|it| it.field == field && it.code == code);
    if covers(Code::OverBroad) || covers(Code::NeverMatches) {
        return;
    }
    let text = report.policy.spiffe_id_pattern.as_str();
    if Pattern::new(text).is_err() {
        return;
    }
    let Some(domain) = Domain::of(text) else { return };
    if domain.is_fixed() {
        return;
    }
    let message = "the trust domain is left open: workloads of other trust domains match as soon as they are federated";
    if let Some(better) = domain.closed() {
        report.add_replacing(Code::OpenTrustDomain, Severity::Warning, field, message, better);
    } else {
        let fix = r"name the trust domain letter by letter, as in `^spiffe://example\.org/`; a second one is for a policy of its own";
        report.add(Code::OpenTrustDomain, Severity::Warning, field, message, fix);
    }
}

/// The tokens of a pattern between its scheme and the next slash.
struct Domain<'p> {
    tokens: Vec<Token<'p>>,
    has_path: bool,
}

impl<'p> Domain<'p> {
    /// `None` if the pattern does not begin with the scheme.
    fn of(pattern: &'p str) -> Option<Self> {
        let mut rest = tokens(pattern).into_iter().skip_while(|token| token.text == "^");
        for expected in SCHEME.chars() {
            rest.next().filter(|token| token.literal() == Some(expected))?;
        }
        let rest: Vec<Token<'p>> = rest.collect();
        let slash = rest.iter().position(|token| token.literal() == Some('/'));
        let end = slash.unwrap_or(rest.len());
        let tokens = rest.into_iter().take(end).collect();
        Some(Self { tokens, has_path: slash.is_some() })
    }

    /// Whether no foreign trust domain matches.
    fn is_fixed(&self) -> bool {
        let has_end = self.has_path
            || self.tokens.last().is_some_and(|last| matches!(last.text, "$" | r"\z"));
        let Some(open) = self.last_open() else { return has_end };
        let suffix: String = self.tokens.iter().skip(open + 1).filter_map(character).collect();
        let labels = suffix.strip_prefix('.').map_or(0, |labels| labels.split('.').count());
        has_end && labels >= 2
    }

    /// The place of the last token that stands for more than one character: a class, or a dot that is repeated. One that is not
    /// repeated is a finding of its own, and is taken for a dot.
    fn last_open(&self) -> Option<usize> {
        let is_repeated = |at: usize| {
            self.tokens.get(at + 1).is_some_and(|next| matches!(next.text, "*" | "+" | "?" | "{"))
        };
        let is_open = |at: usize, token: &Token<'_>| {
            token.is_class() || (token.text == "." || token.text == ")") && is_repeated(at)
        };
        let mut places = self.tokens.iter().enumerate();
        places.rfind(|(at, token)| is_open(*at, token)).map(|(at, _)| at)
    }

    /// A pattern for everything in the trust domain, if only its end is open.
    fn closed(&self) -> Option<String> {
        let literals: String = self.tokens.iter().map_while(|token| character(token)).collect();
        let is_whole = match self.last_open() {
            None => true,
            // The characters before a dot that ends the pattern, as in `example\.org.*`.
            Some(open) => self.tokens.get(open).is_some_and(|token| token.text == "."),
        };
        let literals = literals.strip_suffix('.').unwrap_or(&literals);
        if self.has_path || !is_whole || literals.is_empty() {
            return None;
        }
        Some(format!("^{SCHEME}{}/.*$", escaped(literals)))
    }
}

/// The character that a token stands for, if it is one.
fn character(token: &Token<'_>) -> Option<char> {
    if token.text == "." { Some('.') } else { token.literal() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn found(id: &str) -> Option<super::super::Finding> {
        read(id, "^a/").into_iter().find(|finding| finding.code == Code::OpenTrustDomain)
    }

    // Nothing was said, and docs/federation.md told to look for these by hand.
    #[test]
    fn a_pattern_that_foreign_trust_domains_match_is_a_finding() {
        for id in [
            "^spiffe://[a-z.]+/app$",
            "spiffe://[a-z.]+/app",
            "^spiffe://[^/]+/app$",
            "^spiffe://.*/app$",
            r"^spiffe://.*\.org/app$",
            r"^spiffe://.*example\.org/app$",
            r"^spiffe://example\.[a-z]+/app$",
            r"^spiffe://\w+/app$",
            r"^spiffe://(a.)*/app$",
            r"^spiffe:\/\/[a-z]+\/app$",
        ] {
            let finding = found(id).unwrap_or_else(|| panic!("no finding: {id}"));
            assert_eq!(finding.severity, Severity::Warning, "{id}");
            assert_eq!(finding.replacement, None, "{id}");
        }
    }

    #[test]
    fn a_pattern_whose_trust_domain_has_no_end_is_a_finding_with_a_pattern_that_has_none() {
        for id in [
            r"^spiffe://example\.org",
            r"^spiffe://example\.org.*",
            r"^spiffe://example\.org.*$",
            "spiffe://example.org",
        ] {
            let better = found(id).and_then(|finding| finding.replacement);
            assert_eq!(better.as_deref(), Some(r"^spiffe://example\.org/.*$"), "{id}");
            assert_eq!(read(r"^spiffe://example\.org/.*$", "^a/"), []);
        }
    }

    #[test]
    fn a_trust_domain_that_is_named_and_a_part_before_a_named_one_are_no_finding() {
        for id in [
            r"^spiffe://example\.org/app$",
            r"spiffe://example\.org/.*",
            "^spiffe://example.org/app$",
            r"^spiffe://example\.org$",
            r"^spiffe://[a-z]+\.example\.org/app$",
            r"^spiffe://(prod|test)\.example\.org/app$",
            r"^spiffe://example\.org/[^/]+/.*$",
            // Another finding says more.
            "^spiffe://.*$",
            "^spiffe://[A-Z]+/app$",
        ] {
            assert_eq!(found(id), None, "{id}");
        }
    }
}
