//! Small changes to a pattern that may be what its author meant. Each is a guess, and must be tried before use.

use super::error::Field;
use super::scan::{Token, tokens};

/// What comes before the trust domain.
pub(super) const SCHEME: &str = "spiffe://";

/// A changed pattern, and the reason for the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rewrite {
    pub(super) pattern: String,
    pub(super) why: &'static str,
}

/// The guesses for a pattern of `field`, most likely first.
pub(super) fn rewrites(field: Field, pattern: &str) -> Vec<Rewrite> {
    let mut guesses = vec![
        (halved_backslashes(pattern), "a backslash is written once unless quotes demand two"),
        (
            globs_spelled_out(pattern),
            "patterns are regular expressions: `.*` is what `*` is in a glob",
        ),
    ];
    if field == Field::PathPattern {
        guesses.push((
            placeholders_spelled_out(pattern),
            "`{name}` stands for itself: `[^/]+` matches one part of a path",
        ));
        guesses.push((without_leading_slash(pattern), "paths begin without a slash"));
    }
    if field == Field::SpiffeIdPattern {
        guesses
            .push((trust_domain_in_lower_case(pattern), "trust domains are written in lower case"));
    }
    guesses.push((without_trailing_slash(pattern), "the slash before the end must be there too"));
    guesses.push((
        open_below(pattern),
        "`$` ends the match there: this lets in what is below as well",
    ));
    guesses
        .into_iter()
        .filter_map(|(changed, why)| Some(Rewrite { pattern: changed?, why }))
        .filter(|rewrite| rewrite.pattern != pattern)
        .collect()
}

/// The pattern that matches only `text`.
pub(super) fn exactly(text: &str) -> String {
    format!("^{}$", escaped(text))
}

/// `text` with a backslash before every special character.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The stars that repeat nothing useful: those of a glob.
pub(super) fn glob_stars<'p>(tokens: &[Token<'p>]) -> Vec<Token<'p>> {
    let mut previous: Option<Token<'p>> = None;
    let mut stars = Vec::new();
    for &token in tokens {
        let repeats = previous.is_some_and(|before| {
            before.is_class() || matches!(before.text, "." | ")") || before.text == r"\\"
        });
        if token.text == "*" && !repeats {
            stars.push(token);
        }
        previous = Some(token);
    }
    stars
}

/// Globs as patterns: `*` and `**` become `.*`, anchored like a glob.
pub(super) fn globs_spelled_out(pattern: &str) -> Option<String> {
    let tokens = tokens(pattern);
    let stars = glob_stars(&tokens);
    if stars.is_empty() {
        return None;
    }
    let mut out = String::new();
    let mut after_star = false;
    for token in tokens {
        let is_star = stars.contains(&token);
        match token.text {
            "*" if is_star && after_star => {}
            "*" if is_star => out.push_str(".*"),
            text => out.push_str(text),
        }
        after_star = is_star;
    }
    Some(anchored(&out))
}

/// `pattern` with an anchor at both ends.
pub(super) fn anchored(pattern: &str) -> String {
    let start = if pattern.starts_with('^') { "" } else { "^" };
    let end = if ends_with_anchor(pattern) { "" } else { "$" };
    format!("{start}{pattern}{end}")
}

/// Whether `pattern` ends with a `$` that is an anchor.
pub(super) fn ends_with_anchor(pattern: &str) -> bool {
    tokens(pattern).last().is_some_and(|token| token.text == "$")
}

pub(super) fn halved_backslashes(pattern: &str) -> Option<String> {
    pattern.contains(r"\\").then(|| pattern.replace(r"\\", r"\"))
}

/// `{name}` of a template becomes one segment of a path.
pub(super) fn placeholders_spelled_out(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    let mut found = false;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) && !before.ends_with(r"\p") {
            out.push_str("[^/]+");
            found = true;
        } else {
            out.extend(["{", name, "}"]);
        }
        rest = tail;
    }
    out.push_str(rest);
    found.then_some(out)
}

pub(super) fn without_leading_slash(pattern: &str) -> Option<String> {
    let body = pattern.strip_prefix('^').unwrap_or(pattern);
    let stripped = body.strip_prefix('/')?;
    (!stripped.is_empty()).then(|| format!("^{stripped}"))
}

/// The pattern with the letters of the trust domain in lower case, if one stands for itself and is not. Escapes and classes stay.
pub(super) fn trust_domain_in_lower_case(pattern: &str) -> Option<String> {
    let start = pattern.find(SCHEME).map(|at| at + SCHEME.len())?;
    let mut out = String::with_capacity(pattern.len());
    let mut in_domain = true;
    for token in tokens(pattern) {
        in_domain &= token.at < start || token.literal() != Some('/');
        match token.literal() {
            Some(c) if in_domain && token.at >= start && c.is_ascii_uppercase() => {
                out.push(c.to_ascii_lowercase());
            }
            _ => out.push_str(token.text),
        }
    }
    (out != pattern).then_some(out)
}

fn without_trailing_slash(pattern: &str) -> Option<String> {
    if let Some(body) = pattern.strip_suffix("/$") {
        return Some(format!("{body}$"));
    }
    pattern.strip_suffix('/').map(Into::into)
}

fn open_below(pattern: &str) -> Option<String> {
    let body = ends_with_anchor(pattern).then(|| pattern.strip_suffix('$')).flatten()?;
    Some(format!("{}/.*$", body.strip_suffix('/').unwrap_or(body)))
}
