//! Patterns without the mistakes that can be mended letter by letter.
//!
//! A proposal for one mistake has the others mended too, so that whoever takes it over is told of no second one.

use super::super::error::Field;
use super::super::pattern::Pattern;
use super::super::rewrite::{self, SCHEME};
use super::super::scan::{Token, tokens};

/// More steps than any pattern needs: each one mends a kind of mistake, and only backslashes may need several.
const MOST_STEPS: usize = 16;

/// `pattern` with every such mistake mended.
pub(super) fn mended(field: Field, pattern: String) -> String {
    let mut pattern = pattern;
    for _ in 0..MOST_STEPS {
        match step(field, &pattern) {
            Some(better) if better != pattern => pattern = better,
            _ => break,
        }
    }
    pattern
}

fn step(field: Field, pattern: &str) -> Option<String> {
    let of_path = || {
        let path = (field == Field::PathPattern).then_some(pattern)?;
        rewrite::placeholders_spelled_out(path).or_else(|| without_leading_slash(path))
    };
    let of_id = || {
        let id = (field == Field::SpiffeIdPattern).then_some(pattern)?;
        let dots = || dots_escaped(id).map(|(_, better)| better);
        rewrite::trust_domain_in_lower_case(id).or_else(dots)
    };
    rewrite::halved_backslashes(pattern)
        .or_else(|| rewrite::globs_spelled_out(pattern))
        .or_else(of_path)
        .or_else(of_id)
        .or_else(|| start_anchored(pattern))
        .or_else(|| end_anchored(pattern))
}

/// The pattern without a slash at the start, if it has one and is a pattern without it.
pub(super) fn without_leading_slash(pattern: &str) -> Option<String> {
    rewrite::without_leading_slash(pattern).filter(|better| Pattern::new(better).is_ok())
}

/// The pattern with `^`, if it lacks it and that widens the match.
pub(super) fn start_anchored(pattern: &str) -> Option<String> {
    let begins_open =
        matches!(tokens(pattern).as_slice(), [dot, star, ..] if is_anything(*dot, *star));
    (!pattern.starts_with('^') && !begins_open).then(|| format!("^{pattern}"))
}

/// The pattern with `$`, if it lacks it and does not end openly.
pub(super) fn end_anchored(pattern: &str) -> Option<String> {
    let ends_open = match tokens(pattern).as_slice() {
        [.., dot, star] if is_anything(*dot, *star) => true,
        [.., last] => last.text == "/" || last.text == "$" || last.text == r"\z",
        [] => true,
    };
    (!ends_open).then(|| format!("{pattern}$"))
}

/// Whether two tokens are `.*` or `.+`.
fn is_anything(dot: Token<'_>, star: Token<'_>) -> bool {
    dot.text == "." && matches!(star.text, "*" | "+")
}

/// The pattern with a backslash before every dot of the trust domain that is neither escaped nor repeated, and the place of the
/// first.
pub(super) fn dots_escaped(pattern: &str) -> Option<(usize, String)> {
    let start = pattern.find(SCHEME).map(|at| at + SCHEME.len())?;
    let tokens = tokens(pattern);
    let domain = || tokens.iter().enumerate().filter(|(_, token)| token.at >= start);
    let end = domain().find(|(_, token)| token.text == "/").map_or(pattern.len(), |(_, t)| t.at);
    let is_bare = |i: usize| {
        let next = tokens.get(i + 1).map_or("", |token| token.text);
        tokens.get(i).is_some_and(|token| token.text == ".") && !matches!(next, "*" | "+" | "?")
    };
    let dots: Vec<usize> =
        domain().filter(|(i, t)| t.at < end && is_bare(*i)).map(|(_, t)| t.at).collect();
    let first = dots.first().copied()?;
    let mut better = String::new();
    for (at, c) in pattern.char_indices() {
        if dots.contains(&at) {
            better.push('\\');
        }
        better.push(c);
    }
    Some((first, better))
}
